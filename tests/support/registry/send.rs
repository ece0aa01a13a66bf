//! Answers on their way out, with everything that a rule does to them.

use std::io;
use std::time::Duration;

use super::script::{Answer, Effects};
use super::wire::Wire;

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    KeepAlive,
    /// Closed when the other side has closed it or a short time is over: the answer is sure to arrive.
    Close,
    /// Reset at once.
    Reset,
}

/// How the body is delimited.
enum Length {
    None,
    Said(String),
    Chunked,
}

/// Applies what a rule does to the head and the content of an answer.
pub fn spoil(answer: &mut Answer, effects: &Effects) {
    if let Some(status) = effects.status {
        answer.status = status;
    }
    for (name, value) in &effects.headers {
        answer.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        if let Some(value) = value {
            answer.headers.push((name.clone(), value.clone()));
        }
    }
    if effects.wrong_bytes || effects.longer_by > 0 {
        let mut bytes = answer.sent().to_vec();
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle).filter(|_| effects.wrong_bytes) {
            *byte ^= 1;
        }
        bytes.resize(bytes.len() + effects.longer_by, b'x');
        answer.range = None;
        *answer = answer.clone().body(bytes);
    }
}

/// Sends an answer. `sleep` says whether to go on.
pub fn send(
    wire: &Wire,
    answer: &Answer,
    effects: &Effects,
    to_head: bool,
    mut then: Then,
    sleep: &dyn Fn(Duration) -> bool,
) -> io::Result<Then> {
    if answer.raw {
        wire.send(&answer.body)?;
        while effects.endless && sleep(Duration::ZERO) {
            wire.send(&answer.body)?;
        }
        return Ok(Then::Close);
    }
    let body = answer.sent();
    let said = answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = match &effects.content_length {
        Some(lie) => Length::Said(lie.clone()),
        None if effects.endless || effects.chunked => Length::Chunked,
        None if said || answer.status == 204 || answer.status == 304 => Length::None,
        None => Length::Said(body.len().to_string()),
    };
    if effects.content_length.is_some() || effects.body_cut_after.is_some() || (said && !to_head) {
        then = Then::Close;
    }
    let mut out = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status)).into_bytes();
    for (name, value) in &answer.headers {
        out.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    match &length {
        Length::None => {}
        Length::Said(length) => out.extend(format!("Content-Length: {length}\r\n").into_bytes()),
        Length::Chunked => out.extend(b"Transfer-Encoding: chunked\r\n"),
    }
    // a connection that a rule cuts ends without a word
    if then != Then::KeepAlive && effects.content_length.is_none() && effects.body_cut_after.is_none() {
        out.extend(b"Connection: close\r\n");
    }
    out.extend(b"\r\n");
    wire.send(&out)?;
    if to_head || (body.is_empty() && !effects.endless && !matches!(length, Length::Chunked)) {
        return Ok(then);
    }
    let chunked = matches!(length, Length::Chunked);
    let end = effects.body_cut_after.map_or(body.len(), |end| end.min(body.len()));
    let mut sent = 0;
    let mut pause = effects.body_pause;
    while sent < end {
        let mut piece = end - sent;
        if let Some((position, time)) = pause {
            if position <= sent {
                pause = None;
                if !sleep(time) {
                    return Ok(Then::Reset);
                }
            } else {
                piece = piece.min(position - sent);
            }
        }
        if let Some((most, _)) = effects.trickle {
            piece = piece.min(most);
        }
        send_piece(wire, &body[sent..sent + piece], chunked)?;
        sent += piece;
        if effects.trickle.is_some_and(|(_, time)| !sleep(time)) {
            return Ok(Then::Reset);
        }
    }
    while effects.endless && sleep(Duration::ZERO) {
        send_piece(wire, &[b'x'; 64 * 1024], chunked)?;
    }
    if chunked && effects.body_cut_after.is_none() {
        wire.send(b"0\r\n\r\n")?;
    }
    Ok(then)
}

fn send_piece(wire: &Wire, bytes: &[u8], chunked: bool) -> io::Result<()> {
    if !chunked {
        return wire.send(bytes);
    }
    wire.send(format!("{:x}\r\n", bytes.len()).as_bytes())?;
    wire.send(bytes)?;
    wire.send(b"\r\n")
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}
