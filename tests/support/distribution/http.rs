//! One HTTP/1.1 request on one connection, written out by hand: what tests ask must not go through what they test.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;

use super::authority::Pair;

/// Every media type that a manifest or index has.
pub const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

const SECONDS: u64 = 20;

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Whom to trust, and who one is.
#[derive(Clone, Debug)]
pub struct Tls {
    pub authority: PathBuf,
    pub client: Option<Pair>,
}

/// A port of 127.0.0.1, and how to talk there.
#[derive(Clone, Debug)]
pub struct Door {
    pub port: u16,
    pub tls: Option<Tls>,
}

/// An answer, with its header names in small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Where to go on, without the host.
    pub fn location(&self) -> &str {
        let location = self.header("location").unwrap();
        match location.split_once("://") {
            None => location,
            Some((_, rest)) => &rest[rest.find('/').unwrap()..],
        }
    }

    /// The body as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The first error code of a registry's answer.
    pub fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Door {
    /// Asks, and reads the answer to its end.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let answer = self.try_request(method, path, headers, body);
        answer.unwrap_or_else(|said| panic!("{method} {path}: {said}"))
    }

    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], b"")
    }

    /// Asks where no answer, or no complete one, is expected: then this is what came, or what TLS said.
    pub fn try_request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response, String> {
        let request = self.compose(method, path, headers, body.len(), body);
        let answer = if self.tls.is_some() { self.over_tls(&request) } else { self.over_tcp(&request) };
        parse(&answer, method).ok_or_else(|| String::from_utf8_lossy(&answer).into_owned())
    }

    /// Sends a part of a body that is said to be longer, and hangs up: the part still arrives.
    pub fn cut(&self, method: &str, path: &str, headers: &[(&str, &str)], said: usize, body: &[u8]) {
        assert!(self.tls.is_none(), "only over TCP");
        let mut stream = self.connect();
        stream.write_all(&self.compose(method, path, headers, said, body)).unwrap();
    }

    fn compose(&self, method: &str, path: &str, headers: &[(&str, &str)], length: usize, body: &[u8]) -> Vec<u8> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n", self.port);
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if length > 0 || matches!(method, "POST" | "PUT" | "PATCH") {
            head += &format!("Content-Length: {length}\r\n");
        }
        head += "\r\n";
        [head.as_bytes(), body].concat()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(SECONDS))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(SECONDS))).unwrap();
        stream
    }

    fn over_tcp(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        // who answers before the end of the body may hang up: the answer is what counts
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    fn over_tls(&self, request: &[u8]) -> Vec<u8> {
        let Tls { authority, client } = self.tls.as_ref().unwrap();
        let mut command = Command::new("timeout");
        command.args([&SECONDS.to_string(), "openssl", "s_client", "-quiet", "-verify_return_error"]);
        command.args(["-verify_ip", "127.0.0.1", "-connect", &format!("127.0.0.1:{}", self.port)]);
        command.arg("-CAfile").arg(authority);
        if let Some(Pair { certificate, key }) = client {
            command.arg("-cert").arg(certificate).arg("-key").arg(key);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        thread::scope(|scope| {
            // open until the answer is complete: the program ends when its input does
            let writer = scope.spawn(move || {
                let _ = stdin.write_all(request);
                stdin
            });
            let output = child.wait_with_output().unwrap();
            drop(writer.join());
            if output.stdout.is_empty() { output.stderr } else { output.stdout }
        })
    }
}

/// None when this is not a complete answer.
fn parse(answer: &[u8], method: &str) -> Option<Response> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let split = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: Vec<(String, String)> = lines.map(split).collect::<Option<_>>()?;
    let mut response = Response { status, headers, body: answer[end + 4..].to_vec() };
    if response.header("transfer-encoding") == Some("chunked") {
        response.body = unchunk(&response.body)?;
    } else if let Some(length) = response.header("content-length") {
        // the text of a 416 is shorter than it says (facts.rs)
        let whole = length.parse() == Ok(response.body.len());
        if !whole && method != "HEAD" && status != 416 {
            return None;
        }
    }
    Some(response)
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
        let chunk = rest.get(line + 2..line + 2 + size)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(chunk);
        rest = rest.get(line + 4 + size..)?;
    }
}

/// Undoes the escapes of a query or a form.
pub(super) fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
