//! One line of the log: for people and for programs. Whatever came over the network is escaped in it: no line end, no quote
//! and no escape sequence of a client stands there as it was sent.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use barge::ops::serve::Access;
use barge::text::is_unsafe;
use jiff::Timestamp;

/// How many characters of a request's target are written.
const LONGEST_TARGET: usize = 2048;
/// How many characters of a user's and a program's name.
const LONGEST_NAME: usize = 256;

/// What a line is that tells of no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Warning,
    Told,
}

/// Writes a request as text: `PEER USER [TIME] "METHOD TARGET" STATUS BYTES MILLISECONDS "AGENT"`, and `cut` behind it when the
/// answer was not sent to its end.
pub(super) fn request_as_text(access: &Access<'_>, now: Timestamp) -> String {
    let mut line = String::with_capacity(200);
    let _ = write!(line, "{} ", access.peer.ip().to_canonical());
    match access.user {
        None => line.push('-'),
        Some(user) if is_plain(user) => line.push_str(user),
        Some(user) => quote(&mut line, &[user], LONGEST_NAME),
    }
    let _ = write!(line, " [{now:.3}] ");
    quote(&mut line, &[access.method, " ", access.target], LONGEST_TARGET);
    let _ = write!(line, " {} {} {}ms ", access.status, access.bytes, Milliseconds(access.time, 1));
    quote(&mut line, &[access.agent.unwrap_or("-")], LONGEST_NAME);
    if access.cut {
        line.push_str(" cut");
    }
    line.push('\n');
    line
}

/// Writes a request as a JSON object.
pub(super) fn request_as_json(access: &Access<'_>, now: Timestamp) -> String {
    let peer = SocketAddr::new(access.peer.ip().to_canonical(), access.peer.port());
    let mut line = String::with_capacity(300);
    let _ = write!(line, r#"{{"time":"{now:.3}","event":"request","peer":"{peer}","user":"#);
    string_or_null(&mut line, access.user, LONGEST_NAME);
    line.push_str(r#","method":"#);
    string(&mut line, access.method, LONGEST_NAME);
    line.push_str(r#","target":"#);
    string(&mut line, access.target, LONGEST_TARGET);
    let (status, bytes, time) = (access.status, access.bytes, Milliseconds(access.time, 3));
    let _ = write!(line, r#","status":{status},"bytes":{bytes},"ms":{time},"cut":{},"agent":"#, access.cut);
    string_or_null(&mut line, access.agent, LONGEST_NAME);
    line.push_str("}\n");
    line
}

/// Writes what is no request as text.
pub(super) fn message_as_text(kind: Kind, message: &str, now: Timestamp) -> String {
    let kind = if kind == Kind::Warning { "warning: " } else { "" };
    format!("[{now:.3}] {kind}{}\n", barge::text::escaped(message))
}

/// Writes what is no request as a JSON object.
pub(super) fn message_as_json(kind: Kind, message: &str, now: Timestamp) -> String {
    let kind = if kind == Kind::Warning { "warning" } else { "told" };
    let mut line = format!(r#"{{"time":"{now:.3}","event":"{kind}","message":"#);
    string(&mut line, message, usize::MAX);
    line.push_str("}\n");
    line
}

/// Returns whether a word can stand without quotes, and is not what stands for none.
fn is_plain(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'[' | b']');
    !word.is_empty() && word != "-" && word.len() <= LONGEST_NAME && word.bytes().all(plain)
}

/// Writes pieces of text in one pair of quotes, so that only the last quote ends it.
fn quote(line: &mut String, pieces: &[&str], longest: usize) {
    line.push('"');
    let mut left = longest;
    for character in pieces.iter().flat_map(|piece| piece.chars()) {
        if left == 0 {
            line.push_str("...");
            break;
        }
        left -= 1;
        match character {
            '"' | '\\' => line.extend(['\\', character]),
            _ if is_unsafe(character) => drop(write!(line, "{}", character.escape_unicode())),
            _ => line.push(character),
        }
    }
    line.push('"');
}

fn string_or_null(line: &mut String, text: Option<&str>, longest: usize) {
    match text {
        Some(text) => string(line, text, longest),
        None => line.push_str("null"),
    }
}

/// Writes a JSON string, in which nothing moves a terminal either.
fn string(line: &mut String, text: &str, longest: usize) {
    line.push('"');
    for (at, character) in text.chars().enumerate() {
        if at == longest {
            line.push_str("...");
            break;
        }
        match character {
            '"' | '\\' => line.extend(['\\', character]),
            _ if is_unsafe(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(line, "\\u{unit:04x}");
                }
            }
            _ => line.push(character),
        }
    }
    line.push('"');
}

/// A time in milliseconds with so many decimals.
struct Milliseconds(Duration, usize);

impl std::fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.*}", self.1, self.0.as_secs_f64() * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millisecond(1_763_719_976_123).unwrap()
    }

    fn access() -> Access<'static> {
        Access {
            peer: "10.0.0.7:41234".parse().unwrap(),
            user: None,
            method: "GET",
            target: "/v2/org/app/manifests/v1?ns=ghcr.io",
            status: 200,
            bytes: 7143,
            cut: false,
            time: Duration::from_micros(1234),
            agent: Some("containerd/1.6.20"),
        }
    }

    /// What a client may send to deceive whoever reads the log, man or program.
    const HOSTILE: [&str; 9] = [
        "\n10.0.0.1 - [2026-11-21T10:12:56.123Z] \"GET / 200",
        "\" 200 1 0.1ms \"x",
        "\\\" 200 1 \\",
        "\u{1b}[2J\u{1b}]0;title\u{7}",
        "\u{202e}gnp.exe\u{2066}",
        "\r\u{0}\u{7f}\u{9b}\u{85}",
        "\u{2028}\u{2029}\u{feff}\u{e0041}",
        "} , \"status\":500 , {",
        "漢字 é 🛶",
    ];

    #[test]
    fn a_request_is_one_line_for_people() {
        let line = "10.0.0.7 - [2025-11-21T10:12:56.123Z] \"GET /v2/org/app/manifests/v1?ns=ghcr.io\" 200 7143 1.2ms \
                    \"containerd/1.6.20\"\n";
        assert_eq!(request_as_text(&access(), now()), line);
        let peer = "[::ffff:10.0.0.8]:1".parse().unwrap();
        let broken = Access { peer, user: Some("node"), agent: None, cut: true, ..access() };
        let shown = request_as_text(&broken, now());
        assert!(shown.starts_with("10.0.0.8 node [") && shown.ends_with(" 1.2ms \"-\" cut\n"), "{shown}");
    }

    #[test]
    fn a_request_is_one_object_for_programs() {
        let line = r#"{"time":"2025-11-21T10:12:56.123Z","event":"request","peer":"10.0.0.7:41234","user":null,"method":"GET","target":"/v2/org/app/manifests/v1?ns=ghcr.io","status":200,"bytes":7143,"ms":1.234,"cut":false,"agent":"containerd/1.6.20"}"#;
        assert_eq!(request_as_json(&access(), now()), format!("{line}\n"));
        let other = Access { user: Some("node"), agent: None, cut: true, ..access() };
        let object: Value = serde_json::from_str(&request_as_json(&other, now())).unwrap();
        assert_eq!((&object["user"], &object["agent"], &object["cut"]), (&"node".into(), &Value::Null, &true.into()));
    }

    /// Takes a text line apart: the peer, the user, the time, the request, the numbers, the agent, what follows.
    fn fields(line: &str) -> Vec<String> {
        let mut fields = vec![String::new()];
        let (mut quoted, mut escaped) = (false, false);
        for character in line.strip_suffix('\n').unwrap().chars() {
            match character {
                ' ' if !quoted => fields.push(String::new()),
                '"' if !escaped => quoted = !quoted,
                _ => fields.last_mut().unwrap().push(character),
            }
            escaped = character == '\\' && !escaped;
        }
        assert!(!quoted, "{line}");
        fields
    }

    #[test]
    fn nothing_a_client_sends_leaves_its_field() {
        let honest = fields(&request_as_text(&Access { user: Some("x"), ..access() }, now()));
        for text in HOSTILE {
            let (user, agent) = (Some(text), Some(text));
            let sent = Access { user, agent, target: text, method: text, ..access() };
            let line = request_as_text(&sent, now());
            assert!(!line.trim_end_matches('\n').chars().any(is_unsafe), "{line:?}");
            let shown = fields(&line);
            assert_eq!(shown.len(), honest.len(), "{line}");
            for at in [0, 2, 4, 5, 6] {
                assert_eq!(shown[at], honest[at], "{line}");
            }
            let line = request_as_json(&sent, now());
            assert!(!line.trim_end_matches('\n').chars().any(is_unsafe), "{line:?}");
            let object: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(object.as_object().unwrap().len(), 11);
            for field in ["user", "agent", "target", "method"] {
                assert_eq!(object[field], text);
            }
            assert_eq!(object["status"], 200);
        }
    }

    #[test]
    fn a_user_who_looks_like_something_else_is_quoted() {
        for (user, shown) in
            [("alice", "alice"), ("-", "\"-\""), ("", "\"\""), ("a b", "\"a b\""), ("[x]", "\"[x]\""), ("é", "\"é\"")]
        {
            let line = request_as_text(&Access { user: Some(user), ..access() }, now());
            assert!(line.starts_with(&format!("10.0.0.7 {shown} [2025-")), "{line}");
        }
    }

    #[test]
    fn long_text_is_cut() {
        let text = "\u{e0041}".repeat(100_000);
        let sent = Access { user: Some(&text), agent: Some(&text), target: &text, method: &text, ..access() };
        for line in [request_as_text(&sent, now()), request_as_json(&sent, now())] {
            assert!(line.len() < 45_000 && line.contains("...\""), "{}", line.len());
        }
    }

    #[test]
    fn messages_are_lines_of_the_same_kind() {
        let (text, json) = ("x.tar\n has \"changed\"", message_as_json(Kind::Warning, "x\n\"y\"", now()));
        let told = message_as_text(Kind::Told, text, now());
        assert_eq!(told, "[2025-11-21T10:12:56.123Z] x.tar\\u{a} has \"changed\"\n");
        assert!(message_as_text(Kind::Warning, text, now()).starts_with("[2025-11-21T10:12:56.123Z] warning: x.tar"));
        let object: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&object["event"], &object["message"]), (&"warning".into(), &"x\n\"y\"".into()));
    }
}
