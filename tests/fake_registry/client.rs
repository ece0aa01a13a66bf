//! A client that sends exactly what a test says, and shows exactly what came back.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use barge::digest::Digest;
use serde_json::Value;

use crate::registry::FakeRegistry;

pub(crate) const MANIFEST: &str = "Content-Type: application/vnd.oci.image.manifest.v1+json";

pub(crate) fn blob_path(bytes: &[u8]) -> String {
    format!("/v2/app/blobs/{}", Digest::of(bytes))
}

pub(crate) fn begin(client: &mut Client) -> String {
    let got = client.send("POST", "/v2/app/blobs/uploads/", &[], b"");
    assert_eq!(got.status, 202);
    got.location().to_owned()
}

pub(crate) fn finish(client: &mut Client, location: &str, whole: &[u8], rest: &[u8]) -> Got {
    client.send("PUT", &format!("{location}&digest={}", Digest::of(whole)), &[], rest)
}

/// A client that sends what it is told to.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

/// What came back. `whole` is false when the body ended before its length.
#[derive(Debug, Default)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) whole: bool,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn location(&self) -> &str {
        let location = self.header("location").unwrap();
        location.split_once("://").map_or(location, |(_, rest)| &rest[rest.find('/').unwrap()..])
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap().to_owned()
    }
}

impl Client {
    pub(crate) fn to(registry: &FakeRegistry) -> Self {
        let stream = TcpStream::connect(registry.host()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { stream }
    }

    pub(crate) fn head(&mut self, method: &str, path: &str, headers: &[&str]) {
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: fake\r\n{headers}\r\n");
        self.stream.write_all(head.as_bytes()).unwrap();
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &[&str]) -> Got {
        self.head(method, path, headers);
        self.answer(method == "HEAD").unwrap()
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Got {
        let length = format!("Content-Length: {}", body.len());
        self.head(method, path, &[headers, &[length.as_str()]].concat());
        self.stream.write_all(body).unwrap();
        self.answer(false).unwrap()
    }

    pub(crate) fn line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            line.push(byte[0]);
        }
        Ok(String::from_utf8(line).unwrap().trim_end().to_owned())
    }

    pub(crate) fn answer(&mut self, to_head: bool) -> std::io::Result<Got> {
        let status = self.line()?.split(' ').nth(1).unwrap().parse().unwrap();
        let mut got = Got { status, whole: true, ..Got::default() };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            got.head += &format!("{line}\n");
        }
        if to_head || status == 100 || status == 204 {
            return Ok(got);
        }
        if got.header("transfer-encoding") == Some("chunked") {
            loop {
                let Ok(size) = self.line() else {
                    got.whole = false;
                    break;
                };
                let size = u64::from_str_radix(&size, 16).unwrap();
                (&mut self.stream).take(size).read_to_end(&mut got.body)?;
                self.line()?;
                if size == 0 {
                    break;
                }
            }
        } else {
            let length = got.header("content-length").map_or(u64::MAX, |length| length.parse().unwrap());
            (&mut self.stream).take(length).read_to_end(&mut got.body)?;
            got.whole = got.body.len() as u64 == length;
        }
        Ok(got)
    }

    /// Whether the connection was closed or reset.
    pub(crate) fn ended(&mut self) -> bool {
        match self.stream.read(&mut [0; 16]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}
