//! What a registry answered, and what that means when it is no success.

use std::io::Read;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ureq::http::{HeaderMap, HeaderValue, StatusCode};

use super::address::Url;
use crate::error::Class;
use crate::text::escaped;

/// How much of an answer that tells of an error is read, in bytes.
const LARGEST_ERROR: u64 = 64 * 1024;
/// How much of what a registry says stands in a message, in characters.
const LONGEST_MESSAGE: usize = 400;
/// What is shorter, in bytes, is no password worth the name, and a word of many messages.
const SHORTEST_SECRET: usize = 4;
/// Up to here, in bytes, letters alone may be a word of the message: to hide `wrong` in `the password is wrong` would tell it.
const LONGEST_WORD: usize = 12;
/// The longest wait that a registry may ask for. Beyond it a person decides.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// An answer, its body not read yet.
pub(super) struct Answer {
    pub(super) method: &'static str,
    pub(super) url: Url,
    /// What was shown to get it.
    pub(super) authorization: Option<HeaderValue>,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: ureq::BodyReader<'static>,
}

impl Answer {
    /// Returns the status as a number.
    pub(super) fn code(&self) -> u16 {
        self.status.as_u16()
    }

    /// Returns whether the same request may succeed later.
    pub(super) fn is_passing(&self) -> bool {
        is_passing(self.status)
    }

    /// Returns a header as text; none when it is not there or no text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns where `Location` leads.
    pub(super) fn location(&self) -> Option<Url> {
        self.url.join(self.header("location").filter(|location| !location.is_empty())?)
    }

    /// Returns how long to wait before trying again (RFC 9110, section 10.2.3), in both of its forms.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse::<u64>() {
            return Some(Duration::from_secs(seconds));
        }
        let until = httpdate::parse_http_date(text).ok()?;
        Some(until.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// Reads a body that is a document of our own size limit. `None` when it is longer, which is known after one byte more.
    pub(super) fn read_at_most(mut self, most: u64) -> std::io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        self.body.by_ref().take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= most).then_some(bytes))
    }

    /// Reads what a registry says about an error (distribution-spec v1.1.1, spec.md, "Error Codes").
    pub(super) fn into_complaint(mut self) -> Complaint {
        let mut body = Vec::new();
        // a body that breaks off says as much as it says
        let _ = self.body.by_ref().take(LARGEST_ERROR).read_to_end(&mut body);
        let hidden =
            |text: String| self.authorization.as_ref().map_or_else(|| text.clone(), |shown| without(&text, shown));
        // before it is cut, which could leave most of a token, and when it is read, where a password may be spelled otherwise
        let body = hidden(String::from_utf8_lossy(&body).into_owned());
        let (codes, message) = read_errors(body.as_bytes());
        let message = hidden(message);
        Complaint {
            method: self.method,
            path: self.url.path().to_owned(),
            status: self.status,
            codes,
            message,
            retry_after: self.retry_after(),
        }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // headers can hold signed locations
        f.debug_struct("Answer").field("method", &self.method).field("status", &self.status).finish_non_exhaustive()
    }
}

/// An answer that is no success, read.
#[derive(Clone, Debug)]
pub(super) struct Complaint {
    method: &'static str,
    path: String,
    pub(super) status: StatusCode,
    /// `NAME_UNKNOWN`, `DENIED` ... as far as the registry said one.
    pub(super) codes: Vec<String>,
    message: String,
    pub(super) retry_after: Option<Duration>,
}

impl Complaint {
    pub(super) fn has_code(&self, code: &str) -> bool {
        self.codes.iter().any(|it| it == code)
    }

    /// Returns whether the same request may succeed later.
    pub(super) fn is_passing(&self) -> bool {
        is_passing(self.status) || self.has_code("TOOMANYREQUESTS")
    }

    /// Returns what it means to a script.
    pub(super) fn class(&self) -> Class {
        match self.status.as_u16() {
            _ if self.is_passing() => Class::Unreachable,
            _ if self.has_code("UNAUTHORIZED") || self.has_code("DENIED") => Class::Refused,
            401 | 403 | 407 => Class::Refused,
            404 | 410 => Class::Absent,
            405 | 501 => Class::Unsupported,
            _ if self.has_code("UNSUPPORTED") => Class::Unsupported,
            400 | 409 | 411..=417 | 422 => Class::Content,
            _ => Class::Failed,
        }
    }

    /// Returns what was asked and answered, in one line.
    pub(super) fn reason(&self) -> String {
        let status = self
            .status
            .canonical_reason()
            .map_or_else(|| self.status.as_u16().to_string(), |words| format!("{} {words}", self.status.as_u16()));
        let mut text = format!("{} {} answered {status}", self.method, escaped(&self.path));
        if !self.message.is_empty() {
            text.push_str(": ");
            text.push_str(&self.message);
        }
        text
    }
}

/// Returns whether a status tells of a failure in passing: of the server (RFC 9110, section 15.6), of who asks too often, or
/// of the network in front of it (520 to 530).
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502..=504 | 520..=530)
}

/// Leaves out of what a registry says what it was shown: a server that repeats the request would bring a password into a log.
fn without(message: &str, shown: &HeaderValue) -> String {
    let shown = shown.to_str().unwrap_or_default();
    let Some((scheme, credential)) = shown.split_once(' ') else { return message.to_owned() };
    let mut secrets = vec![credential.to_owned()];
    if scheme == "Basic"
        && let Ok(pair) = STANDARD.decode(credential)
        && let Some((_, password)) = String::from_utf8_lossy(&pair).split_once(':')
    {
        secrets.extend([password.to_owned(), escaped(password)]);
    }
    let hidden = |text: String, secret: &String| {
        let is_word = secret.len() <= LONGEST_WORD && secret.bytes().all(|byte| byte.is_ascii_alphabetic());
        if secret.len() < SHORTEST_SECRET || is_word { text } else { text.replace(secret.as_str(), "***") }
    };
    secrets.iter().fold(message.to_owned(), hidden)
}

/// Returns the codes and the words of an error body, escaped.
fn read_errors(body: &[u8]) -> (Vec<String>, String) {
    let shortened = |text: &str| escaped(&text.chars().take(LONGEST_MESSAGE).collect::<String>());
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let errors = parsed.as_ref().and_then(|value| value.get("errors")).and_then(Value::as_array);
    let Some(errors) = errors else {
        // a proxy or a gateway answers for itself, with a page: its first line is enough when it is text
        let text = std::str::from_utf8(body).unwrap_or_default().trim();
        let page = text.starts_with('<');
        return (Vec::new(), if page { String::new() } else { shortened(text.lines().next().unwrap_or_default()) });
    };
    let mut codes = Vec::new();
    let mut words = Vec::new();
    for error in errors.iter().take(5) {
        let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut line = text("code").to_owned();
        if !text("message").is_empty() {
            line = if line.is_empty() { text("message").to_owned() } else { format!("{line}: {}", text("message")) };
        }
        match error.get("detail") {
            Some(Value::String(detail)) if !detail.is_empty() && detail != text("message") => {
                line.push_str(&format!(" ({detail})"));
            }
            Some(detail @ (Value::Object(_) | Value::Array(_))) => line.push_str(&format!(" ({detail})")),
            _ => {}
        }
        codes.push(text("code").to_owned());
        words.push(shortened(&line));
    }
    (codes, words.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(status: u16, body: &str) -> Complaint {
        let (codes, message) = read_errors(body.as_bytes());
        let status = StatusCode::from_u16(status).unwrap();
        Complaint { method: "PUT", path: "/v2/app/manifests/v1".to_owned(), status, codes, message, retry_after: None }
    }

    #[test]
    fn what_a_registry_says_is_one_escaped_line() {
        for (status, body, expected) in [
            (500, "", "PUT /v2/app/manifests/v1 answered 500 Internal Server Error"),
            (502, "<html>bad gateway</html>", "PUT /v2/app/manifests/v1 answered 502 Bad Gateway"),
            (429, "slow down\nplease", "PUT /v2/app/manifests/v1 answered 429 Too Many Requests: slow down"),
            (
                400,
                r#"{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid","detail":{"a":1}}]}"#,
                "PUT /v2/app/manifests/v1 answered 400 Bad Request: MANIFEST_INVALID: manifest invalid ({\"a\":1})",
            ),
            (
                403,
                "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\\u001b[31m\"}]}",
                "PUT /v2/app/manifests/v1 answered 403 Forbidden: DENIED: no\\u{1b}[31m",
            ),
        ] {
            assert_eq!(complaint(status, body).reason(), expected);
        }
    }

    #[test]
    fn what_was_shown_is_not_said() {
        let basic = STANDARD.encode("me:correct-horse");
        for (shown, message, expected) in [
            (format!("Basic {basic}"), format!("you sent Basic {basic}"), "you sent Basic ***"),
            (format!("Basic {basic}"), "me and correct-horse do not match".to_owned(), "me and *** do not match"),
            ("Bearer eyJ.x.y".to_owned(), "the token eyJ.x.y has expired".to_owned(), "the token *** has expired"),
            (format!("Basic {}", STANDARD.encode("me:no")), "no, not now".to_owned(), "no, not now"),
            (format!("Basic {}", STANDARD.encode("me:wrong")), "password is wrong".to_owned(), "password is wrong"),
        ] {
            assert_eq!(without(&message, &HeaderValue::from_str(&shown).unwrap()), expected);
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, body, class, passing) in [
            (401, "", Class::Refused, false),
            (403, "", Class::Refused, false),
            (404, "", Class::Absent, false),
            (400, "", Class::Content, false),
            (405, "", Class::Unsupported, false),
            (429, "", Class::Unreachable, true),
            (503, "", Class::Unreachable, true),
            (400, r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#, Class::Unreachable, true),
            (404, r#"{"errors":[{"code":"DENIED"}]}"#, Class::Refused, false),
        ] {
            let complaint = complaint(status, body);
            assert_eq!((complaint.class(), complaint.is_passing()), (class, passing), "{status} {body}");
        }
    }
}
