//! What a registry was asked, from its own log: who sent which bytes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::Value;

use super::AGENT;
use super::http::unescape;

/// One request that was answered.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// Without what follows the question mark.
    pub path: String,
    /// What follows the question mark.
    pub query: String,
    pub status: u16,
    /// The bytes of the answer's body.
    pub sent: u64,
    /// The bytes of a blob that arrived by this request, as far as the registry tells: those of a finished upload, of a
    /// part that another request followed, or of a body that was cut.
    pub received: Option<u64>,
    pub agent: String,
    /// Whom a password or token stands for.
    pub user: Option<String>,
    /// The address of the client: one for each connection. Empty when the path has no route.
    pub from: String,
}

/// Without the state of sessions, which is long and signed.
impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, status, sent, received, agent, user, from, .. } = self;
        write!(formatter, "{method} {path}")?;
        for name in ["digest", "mount", "from"] {
            if let Some(value) = self.parameter(name) {
                write!(formatter, " {name}={value}")?;
            }
        }
        write!(formatter, " -> {status} sent {sent} received {received:?} by {agent} {user:?} {from}")
    }
}

impl Request {
    /// One value of the query, unescaped.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(own, _)| *own == name).map(|(_, value)| unescape(value))
    }

    /// The digest of a blob whose upload this request finished.
    pub fn uploaded(&self) -> Option<String> {
        let finished = self.method == "PUT" && self.status == 201 && self.path.contains("/blobs/uploads/");
        if finished { self.parameter("digest") } else { None }
    }

    /// The digest of a blob that this request took over from another repository.
    pub fn mounted(&self) -> Option<String> {
        if self.method == "POST" && self.status == 201 { self.parameter("mount") } else { None }
    }

    /// The upload session that this request belongs to.
    fn session(&self) -> Option<&str> {
        let (_, session) = self.path.split_once("/blobs/uploads/")?;
        Some(session).filter(|session| !session.is_empty())
    }

    /// How much of the upload was there before, as the signed state of the session has it.
    fn offset(&self) -> Option<u64> {
        let state = self.parameter("_state")?;
        let state = base64::engine::general_purpose::URL_SAFE.decode(state).ok()?;
        // a SHA-256 HMAC comes first
        let state: Value = serde_json::from_slice(state.get(32..)?).ok()?;
        state["Offset"].as_u64()
    }
}

/// Requests in the order in which they were answered.
#[derive(Clone)]
pub struct Log {
    pub requests: Vec<Request>,
    /// How many requests there were ever.
    pub(super) end: usize,
}

/// A line for each request.
impl fmt::Debug for Log {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.requests.iter().try_for_each(|request| write!(formatter, "\n  {request:?}"))
    }
}

impl Log {
    /// The requests of a method whose path contains a text.
    pub fn of(&self, method: &str, path: &str) -> Vec<&Request> {
        self.requests.iter().filter(|request| request.method == method && request.path.contains(path)).collect()
    }

    pub fn count(&self, method: &str, path: &str) -> usize {
        self.of(method, path).len()
    }

    /// The digests of the blobs that were uploaded, sorted, as often as they were.
    pub fn uploads(&self) -> Vec<String> {
        sorted(self.requests.iter().filter_map(Request::uploaded))
    }

    /// The digests of the blobs that were mounted, sorted.
    pub fn mounts(&self) -> Vec<String> {
        sorted(self.requests.iter().filter_map(Request::mounted))
    }

    /// The bytes of blobs that were sent here, also those in vain.
    pub fn received(&self) -> u64 {
        self.requests.iter().filter_map(|request| request.received).sum()
    }

    /// The bytes of blobs and manifests that were fetched from here.
    pub fn fetched(&self) -> u64 {
        let fetched = |request: &&Request| request.method == "GET" && matches!(request.status, 200 | 206);
        self.requests.iter().filter(fetched).map(|request| request.sent).sum()
    }

    pub fn connections(&self) -> usize {
        let from = self.requests.iter().map(|request| &request.from).filter(|from| !from.is_empty());
        from.collect::<BTreeSet<_>>().len()
    }
}

fn sorted(digests: impl Iterator<Item = String>) -> Vec<String> {
    let mut digests: Vec<String> = digests.collect();
    digests.sort();
    digests
}

pub(super) fn blob_file(storage: &Path, digest: &str) -> PathBuf {
    let (algorithm, hex) = digest.split_once(':').unwrap();
    storage.join("docker/registry/v2/blobs").join(algorithm).join(&hex[..2]).join(hex).join("data")
}

/// Reads a log, once every request that began is answered: a client may know the answer before it stands here.
pub(super) fn read(file: &Path, storage: &Path, running: bool, forgotten: usize) -> Log {
    let began = Instant::now();
    loop {
        let text = fs::read(file).unwrap();
        let (requests, under_way) = parse(&String::from_utf8_lossy(&text));
        if under_way == 0 || !running || began.elapsed() > Duration::from_secs(2) {
            let end = requests.len();
            let mut requests = with_received(requests, storage);
            requests.drain(..forgotten);
            requests.retain(|request| request.agent != AGENT);
            return Log { requests, end };
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// What the debug lines tell of a request, which the access log does not.
#[derive(Default)]
struct Began {
    id: String,
    from: String,
}

/// Reads the lines of both kinds that stand in one file, in the order of their time: those of the access log, which
/// has every request once it is answered, and JSON, which says when a request begins. They have the method and the URI
/// in common. Returns how many requests are under way, too.
fn parse(text: &str) -> (Vec<Request>, usize) {
    let mut requests = Vec::new();
    let mut under_way = BTreeMap::<(String, String), VecDeque<Began>>::new();
    let mut cut = BTreeMap::new();
    let mut users = BTreeMap::new();
    for line in text.lines() {
        if let Some(mut request) = answered(line) {
            let uri = line.split('"').nth(1).and_then(|line| line.split(' ').nth(1)).unwrap().to_owned();
            let began = under_way.get_mut(&(request.method.clone(), uri)).and_then(VecDeque::pop_front);
            // what has no route is answered before it counts as begun
            let Began { id, from } = began.unwrap_or_default();
            request.from = from;
            request.received = cut.remove(&id).flatten();
            request.user = users.remove(&id);
            requests.push(request);
            continue;
        }
        // what is not of the registry itself, and the last line while it is being written
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let word = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let (id, message) = (word("http.request.id"), word("msg"));
        if let Some(user) = line["auth.user.name"].as_str() {
            users.insert(id.clone(), user.to_owned());
        }
        if message.starts_with("listening on") {
            // what was under way in the process before this one is not answered any more
            under_way.clear();
        } else if message == "authorizing request" {
            let key = (word("http.request.method"), word("http.request.uri"));
            under_way.entry(key).or_default().push_back(Began { id, from: word("http.request.remoteaddr") });
        } else if message.starts_with("client disconnected during blob") {
            cut.insert(id, line["copied"].as_u64());
        }
    }
    (requests, under_way.values().map(VecDeque::len).sum())
}

/// Reads a line of the access log: `127.0.0.1 - - [TIME] "METHOD URI PROTOCOL" STATUS SIZE "REFERRER" "AGENT"`.
fn answered(line: &str) -> Option<Request> {
    let mut quoted = line.strip_prefix("127.0.0.1 - ")?.split('"');
    let (_time, request, numbers) = (quoted.next()?, quoted.next()?, quoted.next()?);
    let (_referrer, _space, agent) = (quoted.next()?, quoted.next()?, quoted.next()?);
    let mut words = request.split(' ');
    let (method, uri) = (words.next()?, words.next()?);
    let (status, sent) = numbers.trim().split_once(' ')?;
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let [method, path, query, agent] = [method, path, query, agent].map(str::to_owned);
    let (status, sent) = (status.parse().ok()?, sent.parse().ok()?);
    Some(Request { method, path, query, status, sent, received: None, agent, user: None, from: String::new() })
}

/// Works out how many bytes came by a request from what was there before it and after it.
fn with_received(mut requests: Vec<Request>, storage: &Path) -> Vec<Request> {
    for at in 0..requests.len() {
        let request = &requests[at];
        let (Some(session), Some(before), None) = (request.session(), request.offset(), request.received) else {
            continue;
        };
        let after = match (request.method.as_str(), request.status) {
            ("PUT", 201) => {
                let file = request.parameter("digest").map(|digest| blob_file(storage, &digest));
                file.and_then(|file| fs::metadata(file).ok()).map(|metadata| metadata.len())
            }
            ("PATCH", 202) => {
                let mut later = requests[at + 1..].iter();
                later.find(|later| later.session() == Some(session)).and_then(Request::offset)
            }
            _ => None,
        };
        requests[at].received = after.and_then(|after| after.checked_sub(before));
    }
    requests
}
