//! A registry in memory, on 127.0.0.1, that does as it is told: right by default, and wrong wherever a test says so.
//!
//! It keeps to distribution-spec v1.1.1, over plain HTTP/1.1, with as many connections as come. It lives as long as the
//! [`FakeRegistry`]; every wait in it is bounded. Include it beside other support files:
//!
//! ```ignore
//! #[path = "../support/registry/mod.rs"]
//! mod registry;
//! use registry::{Answer, Auth, FakeRegistry, Options, Rule};
//!
//! let registry = FakeRegistry::with(Options { auth: Auth::bearer("me", "secret"), ..Options::default() });
//! registry.script([
//!     Rule::on("PUT", "/v2/app/manifests/v1").times(2).answer(Answer::error(500, "UNKNOWN", "try again")),
//!     Rule::on("PUT", "/v2/*/blobs/uploads/*").once().cut_after(100_000),
//!     Rule::on("GET", "/v2/app/blobs/sha256:*").skip(1).once().body_cut_after(5000),
//!     Rule::on("POST", "/v2/app/blobs/uploads/?mount=*").answer(Answer::status(429).header("Retry-After", "1")),
//! ]);
//! // ... push to `docker://{registry.host()}/app:v1` ...
//! assert_eq!(registry.unused_rules(), [""; 0]);
//! assert_eq!(registry.count("PUT", "/v2/app/manifests/*"), 3);
//! assert_eq!(registry.log().last().unwrap().path, "/v2/app/manifests/v1");
//! assert!(registry.blob("app", &digest).is_some());
//! ```
//!
//! **Rules.** The first that matches wins, for as long as it is not used up; in a pattern `*` stands for any run of
//! characters. A rule with an [`Answer`] stands in for the registry, which then carries nothing out; all others change what
//! the registry does or how it says it, and several effects may stand in one rule. Rules see requests that authentication
//! lets through; one with [`Rule::before_auth`] sees the others as well.
//!
//! **Bodies that are not wanted.** A client that sent `Expect: 100-continue` gets the final answer at once and the connection
//! is closed; any other body is read to its end first. [`Answer::at_once`] and [`Options::early_refusals`] are less kind.
//!
//! **Uploads.** The `Location` of each answer has a query of its own and holds until the next answer: an old one is 400. What
//! a cut connection has brought stays in the session, and `GET` on the session says how much that is.
//!
//! **Another host** is another `FakeRegistry`: another port is another origin, and its log shows whether it was sent an
//! `Authorization`. [`FakeRegistry::sharing`] starts one with the same content: give its [`FakeRegistry::url`] as
//! [`Options::blobs_at`] or [`Options::uploads_at`] to the one in front:
//!
//! ```ignore
//! let storage = FakeRegistry::with(Options { refuse_authorization: true, ..Options::default() });
//! let front = FakeRegistry::sharing(&storage, Options { blobs_at: Some(storage.url()), ..Options::default() });
//! ```
#![allow(dead_code, missing_docs, unreachable_pub, unused_imports)] // each test crate uses a part of it
#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value)]

mod auth;
mod content;
mod listings;
mod log;
mod routes;
mod script;
mod send;
mod server;
mod store;
mod token;
mod uploads;
mod wire;

use std::fmt;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use barge::digest::Digest;

pub use auth::{Auth, Bearer};
pub use log::Exchange;
use log::lock;
pub use script::{Answer, Rule};
use server::Server;
pub use store::Manifest;
use store::Store;
pub use token::{Credential, TokenRequest};

/// How a registry differs from one that can do everything.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub auth: Auth,
    /// `HEAD` is 405.
    pub no_head: bool,
    /// `PATCH` is 405.
    pub no_chunks: bool,
    /// `PUT` with all the content is 400, and `POST` with the digest only begins a session.
    pub no_monolithic: bool,
    /// The body of one request of an upload may be so long; 413 beyond.
    pub max_body: Option<u64>,
    /// A manifest may be so long; 413 beyond, which by default is 4 MiB.
    pub max_manifest: Option<u64>,
    /// `OCI-Chunk-Min-Length`: a `PATCH` after one that was shorter is 400.
    pub min_chunk: Option<u64>,
    /// A mount is always 202: an upload has begun.
    pub no_mount: bool,
    /// A mount that does not say from where is 400, not 202.
    pub mount_needs_from: bool,
    /// A mount that does not say from where finds the blob in any repository.
    pub mount_from_anywhere: bool,
    /// Repositories that nobody made are 404 `NAME_UNKNOWN`; see [`FakeRegistry::make_repository`].
    pub unknown_repositories_refused: bool,
    /// `DELETE` of content is 405.
    pub no_delete: bool,
    /// `DELETE` of a tag is 405, of a digest is not.
    pub no_tag_delete: bool,
    /// So many tags, repositories and referrers come at once, with a `Link` to the next.
    pub page_size: Option<usize>,
    /// A `Link` has scheme and host.
    pub absolute_links: bool,
    /// The referrers API is 404, and no `OCI-Subject` is said.
    pub no_referrers_api: bool,
    /// A manifest whose blobs, or an index whose manifests, are not there is 400 `MANIFEST_BLOB_UNKNOWN`.
    pub children_must_exist: bool,
    /// A manifest is 404 to who does not accept its type.
    pub strict_accept: bool,
    /// A `Location` has no scheme and host.
    pub relative_locations: bool,
    /// An upload is forgotten when its connection breaks.
    pub sessions_vanish: bool,
    /// `GET` on an upload is 404.
    pub no_resume: bool,
    /// `Range` is not heeded.
    pub no_ranges: bool,
    /// No `Docker-Content-Digest` is said.
    pub no_digest_header: bool,
    /// The text of a `Warning` in every answer.
    pub warning: Option<String>,
    /// How long every answer takes.
    pub slow: Duration,
    /// Refusals come before the body was read, which is then not read, and the connection is reset.
    pub early_refusals: bool,
    /// Where `GET` of a blob is redirected to, as `http://HOST:PORT`; see [`FakeRegistry::sharing`].
    pub blobs_at: Option<String>,
    /// Where the `Location` of an upload is, as `http://HOST:PORT`; see [`FakeRegistry::sharing`].
    pub uploads_at: Option<String>,
    /// Any `Authorization` is 400, as storage behind signed addresses answers it.
    pub refuse_authorization: bool,
}

/// A running registry; it ends when it is dropped.
pub struct FakeRegistry {
    server: Arc<Server>,
    listener: Option<JoinHandle<()>>,
}

impl FakeRegistry {
    /// Starts one that can do everything and asks for no credentials.
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    pub fn with(options: Options) -> Self {
        Self::over(Arc::default(), options)
    }

    /// Starts one at another origin with the same content and the same uploads under way.
    pub fn sharing(other: &Self, options: Options) -> Self {
        Self::over(Arc::clone(&other.server.store), options)
    }

    fn over(store: Arc<Mutex<Store>>, options: Options) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let server = Arc::new(Server::new(options, host, store));
        let own = Arc::clone(&server);
        let listener = thread::Builder::new().name("fake registry".to_owned()).spawn(move || own.listen(&listener));
        Self { server, listener: Some(listener.unwrap()) }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.server.host
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.host)
    }

    /// Adds rules after those that are there.
    pub fn script(&self, rules: impl IntoIterator<Item = Rule>) {
        lock(&self.server.script).add(rules);
    }

    pub fn clear_script(&self) {
        lock(&self.server.script).clear();
    }

    /// Returns the rules that were to hold so many times and have not: a test that relies on a rule should find none.
    pub fn unused_rules(&self) -> Vec<String> {
        lock(&self.server.script).unused()
    }

    /// Returns every request since the start, or since the log was cleared, in the order of their arrival.
    pub fn log(&self) -> Vec<Exchange> {
        self.server.log.all()
    }

    pub fn clear_log(&self) {
        self.server.log.clear();
    }

    /// Returns the requests that match; patterns are as in [`Rule::on`].
    pub fn requests(&self, method: &str, path: &str) -> Vec<Exchange> {
        self.log().into_iter().filter(|exchange| exchange.is(method, path)).collect()
    }

    pub fn count(&self, method: &str, path: &str) -> usize {
        self.requests(method, path).len()
    }

    /// Returns how much has arrived in the bodies of requests, cut ones included.
    pub fn bytes_received(&self) -> u64 {
        self.log().iter().map(|exchange| exchange.body_bytes).sum()
    }

    /// Returns how much the bodies of answers came to.
    pub fn bytes_sent(&self) -> u64 {
        self.log().iter().filter(|exchange| exchange.method != "HEAD").map(|exchange| exchange.answer_bytes).sum()
    }

    /// Returns how many connections have brought a request.
    pub fn connections(&self) -> usize {
        let mut connections: Vec<usize> = self.log().iter().map(|exchange| exchange.connection).collect();
        connections.sort_unstable();
        connections.dedup();
        connections.len()
    }

    /// Returns every request for a token.
    pub fn token_log(&self) -> Vec<TokenRequest> {
        lock(&self.server.token_log).clone()
    }

    /// Makes every token that was issued so far invalid.
    pub fn revoke_tokens(&self) {
        lock(&self.server.tokens).revoke();
    }

    pub fn blob(&self, repository: &str, digest: &str) -> Option<Arc<Vec<u8>>> {
        lock(&self.server.store).repositories.get(repository)?.blobs.get(digest).cloned()
    }

    /// Returns what a tag or a digest means.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<Manifest> {
        let store = lock(&self.server.store);
        let repository = store.repositories.get(repository)?;
        repository.manifests.get(&repository.resolve(reference)?).cloned()
    }

    /// Returns the digest that a tag means.
    pub fn resolve(&self, repository: &str, reference: &str) -> Option<String> {
        lock(&self.server.store).repositories.get(repository)?.resolve(reference)
    }

    pub fn tags(&self, repository: &str) -> Vec<String> {
        let store = lock(&self.server.store);
        store.repositories.get(repository).map(|it| it.tags.keys().cloned().collect()).unwrap_or_default()
    }

    /// Returns the digests of all blobs of a repository.
    pub fn blobs(&self, repository: &str) -> Vec<String> {
        let store = lock(&self.server.store);
        store.repositories.get(repository).map(|it| it.blobs.keys().cloned().collect()).unwrap_or_default()
    }

    /// Returns how many uploads have begun and were neither finished nor given up.
    pub fn sessions(&self) -> usize {
        lock(&self.server.store).sessions.len()
    }

    /// Makes a repository with nothing in it.
    pub fn make_repository(&self, repository: &str) {
        lock(&self.server.store).repository(repository);
    }

    /// Puts a blob and returns its digest.
    pub fn put_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = Digest::of(bytes).to_string();
        self.put_wrong_blob(repository, &digest, bytes);
        digest
    }

    /// Puts a blob under a digest that need not be its own.
    pub fn put_wrong_blob(&self, repository: &str, digest: &str, bytes: &[u8]) {
        let mut store = lock(&self.server.store);
        store.repository(repository).blobs.insert(digest.to_owned(), Arc::new(bytes.to_vec()));
    }

    /// Puts a manifest, under a tag or its own digest, and returns its digest. Nothing is checked.
    pub fn put_manifest(&self, repository: &str, reference: &str, media_type: &str, bytes: &[u8]) -> String {
        lock(&self.server.store).put_manifest(repository, reference, media_type, bytes)
    }

    /// Forgets a blob.
    pub fn remove_blob(&self, repository: &str, digest: &str) {
        lock(&self.server.store).repository(repository).blobs.remove(digest);
    }
}

impl fmt::Debug for FakeRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeRegistry").field("host", &self.server.host).finish_non_exhaustive()
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.server.closing.store(true, Ordering::SeqCst);
        let woken = TcpStream::connect(self.host());
        let ended = self.listener.take().map(JoinHandle::join);
        drop(woken);
        assert!(!matches!(ended, Some(Err(_))) || thread::panicking(), "a thread of the fake registry has panicked");
    }
}
