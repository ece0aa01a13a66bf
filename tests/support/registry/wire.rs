//! HTTP/1.1 as it stands on the wire: the head of a request, and its body piece by piece.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use super::log::Entry;

/// The longest head that is read; beyond it the answer is 431.
const LONGEST_HEAD: u64 = 64 * 1024;

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
}

/// The head of a request.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Percent-decoded, without the query.
    pub path: String,
    /// As it was sent, without the question mark.
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub framing: Framing,
    pub expects_continue: bool,
    pub keep_alive: bool,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Returns the first value of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameters(&self.query).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub fn has_body(&self) -> bool {
        self.framing != Framing::Length(0)
    }
}

/// Returns the first header of a name.
pub fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Takes a query or a form apart.
pub fn parameters(query: &str) -> Vec<(String, String)> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        (decoded(&key.replace('+', " ")), decoded(&value.replace('+', " ")))
    };
    query.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

/// Undoes the percent encoding; what is not one stays.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let code = code.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match code {
            Some(code) if *first == b'%' => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Encodes everything that is not plain in a query.
pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Why no request came.
#[derive(Debug)]
pub enum NoRequest {
    /// The peer has closed the connection, or was silent for too long.
    Gone,
    /// What came is no request: the status that says so.
    Bad(u16),
}

struct Peer(Arc<TcpStream>);

impl Read for Peer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

/// One connection.
pub struct Wire {
    stream: Arc<TcpStream>,
    reader: BufReader<Peer>,
}

impl Wire {
    pub fn new(stream: &Arc<TcpStream>) -> Self {
        Self { stream: Arc::clone(stream), reader: BufReader::with_capacity(64 * 1024, Peer(Arc::clone(stream))) }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        (&*self.stream).write_all(bytes)
    }

    pub fn read_request(&mut self) -> Result<Request, NoRequest> {
        let mut left = LONGEST_HEAD;
        let mut lines = Vec::new();
        loop {
            let line = self.line(&mut left)?;
            match (line.is_empty(), lines.is_empty()) {
                (true, true) => {} // RFC 9112, section 2.2: an empty line before a request is skipped
                (true, false) => return parse(&lines),
                (false, _) => lines.push(line),
            }
        }
    }

    fn line(&mut self, left: &mut u64) -> Result<String, NoRequest> {
        let mut line = Vec::new();
        let count = (&mut self.reader).take(*left).read_until(b'\n', &mut line).map_err(|_| NoRequest::Gone)?;
        *left -= count as u64;
        if line.pop() != Some(b'\n') {
            return Err(if *left == 0 { NoRequest::Bad(431) } else { NoRequest::Gone });
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map_err(|_| NoRequest::Bad(400))
    }
}

fn parse(lines: &[String]) -> Result<Request, NoRequest> {
    const BAD: NoRequest = NoRequest::Bad(400);
    let [method, target, version]: [&str; 3] = lines[0].split(' ').collect::<Vec<_>>().try_into().map_err(|_| BAD)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !version.starts_with("HTTP/1.") || !path.starts_with('/') || method.is_empty() {
        return Err(BAD);
    }
    let mut headers = Vec::new();
    for line in &lines[1..] {
        let (name, value) = line.split_once(':').ok_or(BAD)?;
        if name.is_empty() || name.contains([' ', '\t']) {
            return Err(BAD);
        }
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let has = |name: &str, value: &str| find(&headers, name).is_some_and(|is| is.eq_ignore_ascii_case(value));
    let framing = match (find(&headers, "transfer-encoding"), find(&headers, "content-length")) {
        (Some(_), Some(_)) => return Err(BAD), // RFC 9112, section 6.1: ought to be handled as an error
        (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Framing::Chunked,
        (Some(_), None) => return Err(NoRequest::Bad(501)),
        (None, Some(length)) => Framing::Length(length.parse().map_err(|_| BAD)?),
        (None, None) => Framing::Length(0),
    };
    if find(&headers, "host").is_none() {
        return Err(BAD);
    }
    Ok(Request {
        method: method.to_owned(),
        path: decoded(path),
        query: query.to_owned(),
        framing,
        expects_continue: has("expect", "100-continue") && framing != Framing::Length(0),
        keep_alive: version == "HTTP/1.1" && !has("connection", "close"),
        headers,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// So many bytes of the body, or of a chunk of it, are still to come.
    Bytes(u64),
    /// The size of a chunk comes next.
    ChunkSize,
    End,
}

/// The body of a request, read piece by piece; what was read is counted in the log at once.
pub struct Body<'a> {
    wire: &'a mut Wire,
    entry: &'a Entry,
    framing: Framing,
    part: Part,
    owes_continue: bool,
    received: u64,
    /// Where a rule cuts the connection.
    cut_at: Option<u64>,
    /// Where a rule stops reading for a while.
    pause: Option<(u64, Box<dyn Fn() -> bool + 'a>)>,
    pub was_cut: bool,
}

impl<'a> Body<'a> {
    pub fn new(wire: &'a mut Wire, request: &Request, entry: &'a Entry) -> Self {
        let part = match request.framing {
            Framing::Length(0) => Part::End,
            Framing::Length(length) => Part::Bytes(length),
            Framing::Chunked => Part::ChunkSize,
        };
        let owes_continue = request.expects_continue;
        let framing = request.framing;
        Self { wire, entry, framing, part, owes_continue, received: 0, cut_at: None, pause: None, was_cut: false }
    }

    pub fn cut_at(&mut self, position: Option<u64>) {
        self.cut_at = position;
    }

    pub fn pause_at(&mut self, position: u64, pause: impl Fn() -> bool + 'a) {
        self.pause = Some((position, Box::new(pause)));
    }

    pub fn at_end(&self) -> bool {
        self.part == Part::End
    }

    /// Whether the client waits for `100 Continue` and was not told so.
    pub fn owes_continue(&self) -> bool {
        self.owes_continue && self.part != Part::End
    }

    /// Reads some bytes; 0 means the end of the body.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pause.as_ref().is_some_and(|(position, _)| self.received >= *position)
            && let Some((_, pause)) = self.pause.take()
        {
            pause();
        }
        if self.cut_at.is_some_and(|position| self.received >= position) {
            return Err(self.cut());
        }
        if self.owes_continue() {
            self.owes_continue = false;
            self.wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if self.part == Part::ChunkSize {
            self.read_chunk_size()?;
        }
        let Part::Bytes(left) = self.part else {
            // a rule that cuts later than the end cuts at the end: before the request is carried out
            return if self.cut_at.is_some() { Err(self.cut()) } else { Ok(0) };
        };
        let to_stop = [self.cut_at, self.pause.as_ref().map(|(position, _)| *position)];
        let most = to_stop.into_iter().flatten().map(|at| at - self.received).fold(left, u64::min);
        let room = buffer.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let count = self.wire.reader.read(&mut buffer[..room])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.received += count as u64;
        self.entry.received(count as u64);
        self.part = match (left - count as u64, self.framing) {
            (0, Framing::Length(_)) => Part::End,
            (0, Framing::Chunked) => {
                self.expect_empty_line()?;
                Part::ChunkSize
            }
            (left, _) => Part::Bytes(left),
        };
        Ok(count)
    }

    fn cut(&mut self) -> io::Error {
        self.was_cut = true;
        io::Error::other("a rule cuts here")
    }

    fn read_chunk_size(&mut self) -> io::Result<()> {
        let line = self.chunk_line()?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        self.part = Part::Bytes(size);
        if size == 0 {
            while !self.chunk_line()?.is_empty() {} // trailers
            self.part = Part::End;
        }
        Ok(())
    }

    fn expect_empty_line(&mut self) -> io::Result<()> {
        if self.chunk_line()?.is_empty() { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    fn chunk_line(&mut self) -> io::Result<String> {
        self.wire.line(&mut 4096).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Reads everything that is left and throws it away.
    pub fn drain(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }

    /// Reads everything; `None` when it is longer than that.
    pub fn read_all(&mut self, most: u64) -> io::Result<Option<Vec<u8>>> {
        if matches!(self.framing, Framing::Length(length) if length > most) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = self.read(&mut buffer)?;
            bytes.extend_from_slice(&buffer[..count]);
            if bytes.len() as u64 > most {
                return Ok(None);
            }
            if count == 0 {
                return Ok(Some(bytes));
            }
        }
    }
}
