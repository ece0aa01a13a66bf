//! Debian's `docker-registry` (distribution 2.8.2) on a port of its own on 127.0.0.1, for as long as a test lasts.
//!
//! What it answers in the cases that matter here is written down, and proven, in `tests/registry/facts.rs`.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod authority;
mod config;
pub mod http;
mod jwt;
pub mod log;
mod process;
pub mod relay;
pub mod token;

use std::cell::{Cell, RefCell};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use self::authority::{Authority, run};
use self::http::{Door, Response};
use self::jwt::Signer;
use self::log::Log;
use self::process::{Ended, Process};
use self::token::{Grant, TokenServer};

/// The agent of the requests that this code makes itself: they do not count in the log.
pub const AGENT: &str = "harness";

/// Who may talk to the registry, and how.
#[derive(Clone, Copy)]
pub enum Mode<'a> {
    /// HTTP, for everybody.
    Plain,
    /// HTTPS with a certificate for 127.0.0.1 and localhost.
    Tls(&'a Authority),
    /// HTTPS for those who have a certificate of the same authority.
    MutualTls(&'a Authority),
    /// One user with a password.
    Htpasswd { user: &'a str, password: &'a str, tls: Option<&'a Authority> },
    /// Whoever has a token of the server.
    Token(&'a TokenServer),
    /// The same over HTTPS, although the token server itself speaks HTTP.
    TokenOverTls(&'a TokenServer, &'a Authority),
}

/// How the harness itself gets in.
enum Right {
    None,
    Password(String),
    Token(Arc<Signer>),
}

/// What a registry may be besides.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Refuses every DELETE of a manifest or blob.
    pub no_delete: bool,
    /// Refuses every write.
    pub read_only: bool,
    /// Where content is kept: to start another registry on the same content. Else a directory that goes away.
    pub storage: Option<PathBuf>,
    /// Else a free one.
    pub port: Option<u16>,
}

/// A registry that runs until it goes away, however the test ends.
pub struct Distribution {
    directory: tempfile::TempDir,
    storage: PathBuf,
    door: Door,
    right: Right,
    process: RefCell<Option<Process>>,
    /// How much of the log was asked to be forgotten.
    forgotten: Cell<usize>,
}

impl Distribution {
    pub fn start(mode: Mode<'_>) -> Self {
        Self::with(mode, &Options::default())
    }

    pub fn with(mode: Mode<'_>, options: &Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage = options.storage.clone().unwrap_or_else(|| directory.path().join("data"));
        fs::create_dir_all(&storage).unwrap();
        let (right, access) = match mode {
            Mode::Plain | Mode::Tls(_) | Mode::MutualTls(_) => (Right::None, config::Access::None),
            Mode::Htpasswd { user, password, .. } => {
                let line = run(Command::new("htpasswd").args(["-Bbn", user, password]).stdin(Stdio::null()));
                let file = directory.path().join("htpasswd");
                fs::write(&file, line).unwrap();
                let basic = format!("Basic {}", http::base64(format!("{user}:{password}")));
                (Right::Password(basic), config::Access::Htpasswd(file))
            }
            Mode::Token(server) | Mode::TokenOverTls(server, _) => {
                (Right::Token(server.signer()), config::Access::Token(server))
            }
        };
        let (authority, mutual) = match mode {
            Mode::Tls(authority) | Mode::Htpasswd { tls: Some(authority), .. } | Mode::TokenOverTls(_, authority) => {
                (Some(authority), false)
            }
            Mode::MutualTls(authority) => (Some(authority), true),
            Mode::Plain | Mode::Token(_) | Mode::Htpasswd { tls: None, .. } => (None, false),
        };
        let tls = authority.map(|authority| http::Tls {
            authority: authority.certificate(),
            client: mutual.then(|| authority.client(AGENT)),
        });
        // between the look for a free port and its use, somebody else may take it
        for _ in 0..10 {
            let port = options.port.unwrap_or_else(free_port);
            let text = config::text(&config::Settings {
                port,
                storage: &storage,
                no_delete: options.no_delete,
                read_only: options.read_only,
                authority,
                mutual,
                access: &access,
            });
            fs::write(directory.path().join("config.yml"), text).unwrap();
            match Process::start(directory.path()) {
                Err(Ended::PortTaken) if options.port.is_none() => {}
                Err(ended) => panic!("docker-registry on port {port}: {ended:?}"),
                Ok(process) => {
                    let process = RefCell::new(Some(process));
                    let door = Door { port, tls };
                    let registry = Self { directory, storage, door, right, process, forgotten: Cell::new(0) };
                    registry.check();
                    return registry;
                }
            }
        }
        panic!("no free port in ten attempts");
    }

    /// The host part of image names: `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.door.port)
    }

    pub fn port(&self) -> u16 {
        self.door.port
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn stop(&self) {
        // ended by its Drop
        drop(self.process.take());
    }

    /// Starts it again, on the same port and with the same content, after killing it when it runs.
    pub fn restart(&self) {
        self.stop();
        match Process::start(self.directory.path()) {
            Err(ended) => panic!("docker-registry again on port {}: {ended:?}", self.door.port),
            Ok(process) => *self.process.borrow_mut() = Some(process),
        }
        self.check();
    }

    /// The directory that holds all content.
    pub fn storage(&self) -> &Path {
        &self.storage
    }

    /// The file of a blob or manifest, which may not be there.
    pub fn blob_file(&self, digest: &str) -> PathBuf {
        log::blob_file(&self.storage, digest)
    }

    /// What the registry was asked since it started or [`Self::forget_log`], without what the harness asked. Waits
    /// until no request is under way, for two seconds at most.
    pub fn log(&self) -> Log {
        let file = self.directory.path().join(process::LOG);
        log::read(&file, &self.storage, self.process.borrow().is_some(), self.forgotten.get())
    }

    /// The log once it has something: a request whose client hung up may not even have begun here.
    pub fn log_with(&self, has: impl Fn(&Log) -> bool) -> Log {
        let began = Instant::now();
        loop {
            let log = self.log();
            if has(&log) {
                return log;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "it did not come: {log:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts to count anew.
    pub fn forget_log(&self) {
        self.forgotten.set(self.log().end);
    }

    /// Asks something, with the right to do it in every mode.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut all = vec![("User-Agent", AGENT)];
        let authorization = match &self.right {
            Right::None => None,
            Right::Password(basic) => Some(basic.clone()),
            Right::Token(signer) => Some(format!("Bearer {}", signer.token(AGENT, &everything(path), 60.0))),
        };
        all.extend(authorization.as_deref().map(|value| ("Authorization", value)));
        all.extend_from_slice(headers);
        self.door.request(method, path, &all, body)
    }

    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], b"")
    }

    /// The way in without any right but a client certificate, where one is wanted.
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// The tags of a repository; none when it is not there.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let answer = self.get(&format!("/v2/{repository}/tags/list"));
        assert!(matches!(answer.status, 200 | 404), "{answer:?}");
        // null when the last one was deleted
        let tags = answer.json()["tags"].as_array().cloned().unwrap_or_default();
        tags.iter().map(|tag| tag.as_str().unwrap().to_owned()).collect()
    }

    /// The repositories, as many as one page has (100).
    pub fn catalog(&self) -> Vec<String> {
        let answer = self.get("/v2/_catalog");
        assert_eq!(answer.status, 200, "{answer:?}");
        let names = answer.json()["repositories"].as_array().cloned().unwrap();
        names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    /// A manifest by tag or digest, in whatever media type it has.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<Manifest> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let answer = self.request("GET", &path, &[("Accept", &http::MANIFESTS.join(", "))], b"");
        match answer.status {
            200 => Some(Manifest {
                digest: answer.header("docker-content-digest").unwrap().to_owned(),
                media_type: answer.header("content-type").unwrap().to_owned(),
                bytes: answer.body,
            }),
            404 => None,
            _ => panic!("{path}: {answer:?}"),
        }
    }

    /// A blob, as a repository gives it.
    pub fn blob(&self, repository: &str, digest: &str) -> Option<Vec<u8>> {
        let answer = self.get(&format!("/v2/{repository}/blobs/{digest}"));
        assert!(matches!(answer.status, 200 | 404), "{answer:?}");
        (answer.status == 200).then_some(answer.body)
    }

    /// Puts a blob into a repository, and returns its digest.
    pub fn put_blob(&self, repository: &str, content: &[u8]) -> String {
        let digest = barge::digest::Digest::of(content).to_string();
        let begun = self.request("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"");
        let path = format!("{}&digest={digest}", begun.location());
        let headers = [("Content-Type", "application/octet-stream")];
        let put = self.request("PUT", &path, &headers, content);
        assert_eq!(put.status, 201, "{put:?}");
        digest
    }

    /// Puts a manifest under a tag, and returns its digest.
    pub fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, content: &[u8]) -> String {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let put = self.request("PUT", &path, &[("Content-Type", media_type)], content);
        assert_eq!(put.status, 201, "{put:?}");
        put.header("docker-content-digest").unwrap().to_owned()
    }

    /// Makes sure that it is this registry that answers, as a registry does.
    fn check(&self) {
        let answer = self.get("/v2/");
        assert!(matches!(answer.status, 200 | 401), "{answer:?}");
    }
}

/// A manifest as a registry gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub digest: String,
    pub media_type: String,
    pub bytes: Vec<u8>,
}

/// Every right on the repositories that a path names: that of the path itself, and the one to mount from.
fn everything(path: &str) -> Vec<Grant> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let own = path.strip_prefix("/v2/").and_then(|rest| {
        let ends = ["/manifests/", "/blobs/", "/tags/"].iter().filter_map(|part| rest.find(part));
        ends.min().map(|end| &rest[..end])
    });
    let from = query.split('&').find_map(|pair| pair.strip_prefix("from=")).map(http::unescape);
    let names = own.map(str::to_owned).into_iter().chain(from);
    let grants = names.map(|name| Grant::repository(&name, &["pull", "push", "delete"]));
    grants.chain([Grant::catalog()]).collect()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
