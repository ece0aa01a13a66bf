//! Rules: what happens to requests of a kind instead of, or on top of, the right answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::log::matches_request;
use super::wire::Request;

/// Whether a text matches a pattern in which `*` stands for any run of characters.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Arc<Vec<u8>>,
    /// The part of the body that is sent, when not all of it.
    pub range: Option<(usize, usize)>,
    pub raw: bool,
    pub at_once: bool,
    pub after_body: bool,
}

impl Answer {
    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// An answer with one error in the registries' form (distribution-spec v1.1.1, spec.md, "Error Codes").
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({"errors": [{"code": code, "message": message, "detail": null}]}))
    }

    pub fn json(status: u16, body: &Value) -> Self {
        Self::status(status).header("Content-Type", "application/json").body(body.to_string())
    }

    /// Bytes that are sent as they are, from the status line on. Then the connection is closed.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { raw: true, ..Self::status(0).body(bytes) }
    }

    pub fn body(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.shared_body(Arc::new(bytes.into()))
    }

    pub fn shared_body(mut self, bytes: Arc<Vec<u8>>) -> Self {
        self.body = bytes;
        self
    }

    /// Adds a header; the same name may be given more than once.
    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sent before a byte of the body was read, and the connection is reset soon after, as most servers do with a body that
    /// they do not want: who is still writing then meets a broken pipe. Without this, a body that was not announced by
    /// `Expect: 100-continue` is read to its end first.
    pub fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }

    /// Sent when the body was read: `Expect: 100-continue` is answered by `100 Continue`, and then by this.
    pub fn after_body(mut self) -> Self {
        self.after_body = true;
        self
    }

    /// Returns what is sent of the body.
    pub fn sent(&self) -> &[u8] {
        let (start, end) = self.range.unwrap_or((0, self.body.len()));
        &self.body[start..end]
    }
}

/// What a rule does to an answer or to a connection.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    pub answer: Option<Answer>,
    pub cut_after: Option<u64>,
    pub read_pause: Option<(u64, Duration)>,
    pub lose_answer: bool,
    pub stall: Option<Duration>,
    pub status: Option<u16>,
    /// Replaced, or with no value removed.
    pub headers: Vec<(String, Option<String>)>,
    pub wrong_bytes: bool,
    pub longer_by: usize,
    pub endless: bool,
    pub chunked: bool,
    pub content_length: Option<String>,
    pub body_cut_after: Option<usize>,
    pub body_pause: Option<(usize, Duration)>,
    pub trickle: Option<(usize, Duration)>,
}

/// What happens to requests that match. Without an action, the registry answers as it would anyway.
#[derive(Clone, Debug)]
pub struct Rule {
    method: String,
    path: String,
    left: Option<usize>,
    skip: usize,
    before_auth: bool,
    effects: Effects,
}

impl Rule {
    /// A rule for a method and a path, in both of which `*` stands for any run of characters. A path with a `?` is matched
    /// together with the query as it was sent, any other against the path alone. It holds for ever unless it says how often.
    pub fn on(method: &str, path: &str) -> Self {
        let [method, path] = [method, path].map(str::to_owned);
        Self { method, path, left: None, skip: 0, before_auth: false, effects: Effects::default() }
    }

    /// Holds for so many requests only, and is then used up.
    pub fn times(mut self, times: usize) -> Self {
        self.left = Some(times);
        self
    }

    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Lets the first requests that match pass, so many of them.
    pub fn skip(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// Holds for requests that authentication would refuse, too. Other rules only see requests that it lets through.
    pub fn before_auth(mut self) -> Self {
        self.before_auth = true;
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Effects)) -> Self {
        change(&mut self.effects);
        self
    }

    /// Gives this answer and does not carry the request out.
    pub fn answer(self, answer: Answer) -> Self {
        self.with(|effects| effects.answer = Some(answer))
    }

    /// Gives a redirect instead of the answer: see also `Options::blobs_at` and `Options::uploads_at`.
    pub fn redirect(self, status: u16, url: impl ToString) -> Self {
        self.answer(Answer::status(status).header("Location", url))
    }

    /// Resets the connection when so many bytes of the body were read, or at the body's end if that comes first. The
    /// request is not carried out; what has arrived counts for an upload.
    pub fn cut_after(self, bytes: u64) -> Self {
        self.with(|effects| effects.cut_after = Some(bytes))
    }

    /// Carries the request out, and resets the connection instead of answering.
    pub fn lose_answer(self) -> Self {
        self.with(|effects| effects.lose_answer = true)
    }

    /// Does not read on for that long once so many bytes of the request's body were read.
    pub fn stall_reading_after(self, bytes: u64, time: Duration) -> Self {
        self.with(|effects| effects.read_pause = Some((bytes, time)))
    }

    /// Waits before the answer.
    pub fn stall(self, time: Duration) -> Self {
        self.with(|effects| effects.stall = Some(time))
    }

    /// Carries the request out and says another status.
    pub fn status(self, status: u16) -> Self {
        self.with(|effects| effects.status = Some(status))
    }

    /// Replaces a header of the answer, or adds it.
    pub fn header(self, name: &str, value: impl ToString) -> Self {
        let header = (name.to_owned(), Some(value.to_string()));
        self.with(|effects| effects.headers.push(header))
    }

    /// Removes a header of the answer.
    pub fn without_header(self, name: &str) -> Self {
        self.with(|effects| effects.headers.push((name.to_owned(), None)))
    }

    /// Changes one byte of the answer's body and not its length.
    pub fn wrong_bytes(self) -> Self {
        self.with(|effects| effects.wrong_bytes = true)
    }

    /// Makes the answer's body longer, and its `Content-Length` with it.
    pub fn body_longer_by(self, bytes: usize) -> Self {
        self.with(|effects| effects.longer_by = bytes)
    }

    /// Sends more and more after the answer's body, chunked, until the other side hangs up; a raw answer again and again.
    pub fn endless_body(self) -> Self {
        self.with(|effects| effects.endless = true)
    }

    /// Sends the answer's body chunked, with no `Content-Length`.
    pub fn chunked(self) -> Self {
        self.with(|effects| effects.chunked = true)
    }

    /// Says this length, whatever is true, and closes the connection after the true body.
    pub fn content_length(self, lie: impl ToString) -> Self {
        self.with(|effects| effects.content_length = Some(lie.to_string()))
    }

    /// Sends the right headers and so many bytes of the body, and closes the connection.
    pub fn body_cut_after(self, bytes: usize) -> Self {
        self.with(|effects| effects.body_cut_after = Some(bytes))
    }

    /// Sends so many bytes of the body, then nothing for that long, then the rest.
    pub fn body_stall_after(self, bytes: usize, time: Duration) -> Self {
        self.with(|effects| effects.body_pause = Some((bytes, time)))
    }

    /// Sends the body in pieces of so many bytes with a pause after each.
    pub fn trickle(self, bytes: usize, pause: Duration) -> Self {
        self.with(|effects| effects.trickle = Some((bytes.max(1), pause)))
    }
}

/// The rules of one registry: the first that matches wins.
#[derive(Debug, Default)]
pub struct Script {
    rules: Vec<Rule>,
}

impl Script {
    pub fn add(&mut self, rules: impl IntoIterator<Item = Rule>) {
        self.rules.extend(rules);
    }

    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// Returns what the first rule that matches does, and counts it as used.
    pub fn take(&mut self, request: &Request, before_auth: bool) -> Option<Effects> {
        let Request { method, path, query, .. } = request;
        for rule in &mut self.rules {
            let meant = rule.before_auth == before_auth && rule.left != Some(0);
            if !meant || !matches_request(&rule.method, &rule.path, method, path, query) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            if let Some(left) = &mut rule.left {
                *left -= 1;
            }
            return Some(rule.effects.clone());
        }
        None
    }

    /// Returns the rules that say how often they hold and have not held that often.
    pub fn unused(&self) -> Vec<String> {
        let unused = |rule: &&Rule| rule.left.is_some_and(|left| left > 0);
        let words = |rule: &Rule| format!("{} {}: {} left", rule.method, rule.path, rule.left.unwrap_or_default());
        self.rules.iter().filter(unused).map(words).collect()
    }
}
