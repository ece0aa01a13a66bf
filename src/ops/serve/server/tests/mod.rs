//! Connections, as clients see them: a registry that answers what a test says, and plain sockets.

mod bodies;
mod ending;
mod heads;
mod shown;
mod users;
mod verifying;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::header::CONTENT_LENGTH;
use tempfile::TempDir;

use super::limits::Limits;
use super::listen;
use crate::blob::Cancel;
use crate::content::{Content, Kind};
use crate::digest::Digest;
use crate::ops::Error;
use crate::ops::open::Context;
use crate::ops::parts::SplitArchives;
use crate::ops::serve::ServeOptions;
use crate::ops::serve::answer::{Answer, Body, Request, Respond};
use crate::ops::serve::blob::Blob;
use crate::ops::serve::event::{Event, Observer, Offered};
use crate::ops::serve::place::{Opening, Place, Snapshot};
use crate::store::layout::KnownIndexes;
use crate::store::registry::Registries;
use crate::transfer::Deaf;

/// No test waits longer for one thing.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was told of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    user: Option<String>,
    method: String,
    target: String,
    status: u16,
    bytes: u64,
    cut: bool,
}

/// Remembers what happens.
struct Heard {
    address: Mutex<Sender<SocketAddr>>,
    answered: Mutex<Vec<Told>>,
    warnings: Mutex<Vec<String>>,
}

impl Observer for Heard {
    fn hear(&self, event: Event<'_>) {
        match event {
            Event::Listening(listening) => self.address.lock().unwrap().send(listening.address).unwrap(),
            Event::Answered(access) => self.answered.lock().unwrap().push(Told {
                user: access.user.map(str::to_owned),
                method: access.method.to_owned(),
                target: access.target.to_owned(),
                status: access.status,
                bytes: access.bytes,
                cut: access.cut,
            }),
            Event::Warning(text) | Event::Told(text) => self.warnings.lock().unwrap().push(text.to_owned()),
        }
    }
}

/// Answers as a test says.
struct Says<F>(F);

impl<F: Fn(&Request<'_>) -> Answer + Send + Sync + 'static> Respond for Says<F> {
    fn respond(&self, request: &Request<'_>) -> Answer {
        (self.0)(request)
    }
}

/// A registry that runs.
struct Running {
    address: SocketAddr,
    heard: Arc<Heard>,
    cancel: Cancel,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

fn options() -> ServeOptions {
    ServeOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        join: false,
        read_verify: None,
        tls: None,
        htpasswd: None,
        connections: 64,
        grace: Duration::from_secs(2),
    }
}

impl Running {
    fn start(respond: impl Fn(&Request<'_>) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_with(options(), Limits::default(), respond)
    }

    fn start_with(
        options: ServeOptions,
        limits: Limits,
        respond: impl Fn(&Request<'_>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let (sender, receiver) = channel();
        let heard =
            Arc::new(Heard { address: Mutex::new(sender), answered: Mutex::default(), warnings: Mutex::default() });
        let cancel = Cancel::default();
        let (asked, observer) = (cancel.clone(), Arc::clone(&heard));
        let thread = std::thread::spawn(move || {
            listen::run_within(&limits, &options, Arc::new(Says(respond)), observer, Offered::default(), &asked)
        });
        let address = receiver.recv_timeout(PATIENCE).unwrap();
        Self { address, heard, cancel, thread: Some(thread) }
    }

    fn connect(&self) -> Client {
        Client::to(self.address)
    }

    /// Waits until something was told of so many answers.
    fn told(&self, count: usize) -> Vec<Told> {
        eventually(|| {
            let answered = self.heard.answered.lock().unwrap();
            (answered.len() >= count).then(|| answered.clone())
        })
    }

    fn warnings(&self) -> Vec<String> {
        self.heard.warnings.lock().unwrap().clone()
    }

    /// Asks it to stop, and returns how long that took.
    fn stop(&mut self) -> Duration {
        let began = Instant::now();
        self.cancel.cancel();
        self.thread.take().unwrap().join().unwrap().unwrap();
        began.elapsed()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() && !std::thread::panicking() {
            self.stop();
        }
    }
}

fn eventually<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An answer, as it came.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A client with a plain socket.
struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    fn send(&mut self, text: impl AsRef<[u8]>) {
        self.reader.get_mut().write_all(text.as_ref()).unwrap();
    }

    /// Asks for a path, and keeps the connection.
    fn get(&mut self, path: &str) -> Reply {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        self.reply()
    }

    fn head_of_reply(&mut self) -> Reply {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            let count = self.reader.read_line(&mut line).unwrap();
            assert!(count > 0, "the connection ended in the head: {head:?}");
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head, body: Vec::new() }
    }

    fn reply(&mut self) -> Reply {
        let mut reply = self.head_of_reply();
        let length = reply.field("content-length").unwrap().parse().unwrap();
        reply.body.resize(length, 0);
        self.reader.read_exact(&mut reply.body).unwrap();
        reply
    }

    /// Returns what comes until the connection ends, and whether it ended as it should, not with a reset.
    fn rest(&mut self) -> (Vec<u8>, bool) {
        let mut rest = Vec::new();
        let ended = self.reader.read_to_end(&mut rest);
        if let Err(error) = &ended {
            let timed_out = matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
            assert!(!timed_out, "the connection was not closed");
        }
        (rest, ended.is_ok())
    }
}

fn text(text: &'static str) -> Answer {
    Answer::of(StatusCode::OK, "text/plain", text)
}

/// A layout with some blobs: each has the name that is given with it.
fn layout(blobs: &[(Digest, &[u8])]) -> TempDir {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    std::fs::write(directory.path().join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    std::fs::create_dir_all(directory.path().join("blobs/sha256")).unwrap();
    for (digest, bytes) in blobs {
        std::fs::write(directory.path().join(digest.blob_path()), bytes).unwrap();
    }
    directory
}

fn snapshot(path: &Path, read_verify: bool) -> Arc<Snapshot> {
    let cancel = Cancel::default();
    let registries = Registries::forbidden("a test", None, &cancel);
    let split = SplitArchives::default();
    let context = Context {
        layout: None,
        bases: &[],
        tmpdir: None,
        part_dirs: &[],
        split: &split,
        indexes: &KnownIndexes::default(),
        cancel: &cancel,
        observer: &Deaf,
        registries: &registries,
    };
    let (tmpdir, part_dirs, read_verify) = (None, Vec::new(), Some(read_verify));
    let opening = Opening { layout: None, bases: Vec::new(), tmpdir, part_dirs, read_verify, cancel: cancel.clone() };
    let place = Place::open(path.to_str().unwrap(), &opening, &context).unwrap();
    let (sender, _receiver) = channel();
    let nobody = Heard { address: Mutex::new(sender), answered: Mutex::default(), warnings: Mutex::default() };
    place.now(&nobody).ok().unwrap()
}

/// Answers with a blob, or with some bytes of it.
fn blob(snapshot: &Arc<Snapshot>, digest: Digest, size: u64, range: std::ops::Range<u64>) -> Answer {
    let blob = Blob::find(snapshot, &Content { digest, size, kind: Kind::Blob }).unwrap().unwrap();
    let mut answer = Answer::of(StatusCode::OK, "application/octet-stream", "")
        .with(CONTENT_LENGTH, &(range.end - range.start).to_string());
    answer.body = Body::Blob(Arc::new(blob), range);
    answer
}

/// Bytes that no two positions near each other have the same of.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8 ^ (index / 251) as u8).collect()
}
