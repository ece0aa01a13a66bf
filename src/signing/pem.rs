//! PEM (RFC 7468): what is read as OpenSSL reads it, and written strictly.
//!
//! Files of keys have more than one block (`openssl ecparam -genkey` puts the curve before the key), text around them, lines
//! of any length and of either ending. Nothing of that changes which key is meant.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{KeyError, LARGEST_KEY};
use crate::text::quoted;

/// How many characters a line has that barge writes.
const LINE: usize = 64;

/// What stands between two marks.
pub(super) struct Block {
    /// What the marks say it is.
    pub(super) label: String,
    /// Whether headers stand before the content (RFC 1421): only keys that OpenSSL encrypted in its old way have them.
    pub(super) has_headers: bool,
    /// The content, wiped from memory when it is dropped.
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// Finds the first block that is not just about the curve of a key.
pub(super) fn block(pem: &[u8]) -> Result<Block, KeyError> {
    if pem.len() > LARGEST_KEY {
        return Err(KeyError::TooLarge { limit: LARGEST_KEY });
    }
    let text = std::str::from_utf8(pem).map_err(|_| KeyError::NotPem)?;
    let mut lines = text.lines().map(str::trim);
    loop {
        let begin = lines.find_map(|line| line.strip_prefix("-----BEGIN ")).ok_or(KeyError::NotPem)?;
        let label =
            begin.strip_suffix("-----").ok_or_else(|| malformed("the line with BEGIN does not end in -----"))?;
        let end = format!("-----END {label}-----");
        let mut body = Zeroizing::new(String::with_capacity(text.len()));
        let mut has_headers = false;
        loop {
            match lines.next() {
                None => return Err(malformed(&format!("the line {} is missing", quoted(&end)))),
                Some(line) if line == end => break,
                Some(line) if line.contains(':') => has_headers = true,
                Some(line) => body.push_str(line),
            }
        }
        if label == "EC PARAMETERS" {
            continue;
        }
        // where there are headers, lines that go on from the one above may be among them: nobody needs the content
        let der = if has_headers { Vec::new() } else { STANDARD.decode(body.as_bytes()).map_err(|_| not_base64())? };
        return Ok(Block { label: label.to_owned(), has_headers, der: Zeroizing::new(der) });
    }
}

fn malformed(reason: &str) -> KeyError {
    KeyError::Malformed { reason: reason.to_owned() }
}

/// The decoder's own words quote a character of what may be secret.
fn not_base64() -> KeyError {
    malformed("what stands between BEGIN and END is not base64")
}

/// Writes one block.
pub(super) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    // whole from the start: growth would leave copies behind
    let mut pem = Zeroizing::new(String::with_capacity(body.len() + body.len() / LINE + 2 * label.len() + 64));
    pem.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, below) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = below;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}
