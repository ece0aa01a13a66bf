//! What happens while a registry is served, for whoever keeps a log.

use std::net::SocketAddr;
use std::time::Duration;

/// Hears what happens. It is called from several threads, and must not take long.
pub trait Observer: Send + Sync + 'static {
    /// Hears of one thing.
    fn hear(&self, event: Event<'_>);
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Connections are taken from now on.
    Listening(&'a Listening),
    /// A request was answered, as far as it could be.
    Answered(&'a Access<'a>),
    /// Something is not as it should be, and serving goes on: a sentence without a dot at its end.
    Warning(&'a str),
    /// Something that is no trouble and that people like to know.
    Told(&'a str),
}

/// Where connections are taken, and what is there.
#[derive(Clone, Debug)]
pub struct Listening {
    /// The address, with the port that was found when 0 was asked for.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// What is served, when it begins.
    pub offered: Offered,
}

/// What is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// The repositories, each once, under the names and in the order of the catalog.
    pub repositories: Vec<OfferedRepository>,
}

/// One repository that is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedRepository {
    /// Its name.
    pub name: String,
    /// Its tags, in order; none when all of it is asked for by digest.
    pub tags: Vec<String>,
}

/// One request and its answer.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Who asked.
    pub peer: SocketAddr,
    /// Under which name, where users are asked who they are.
    pub user: Option<&'a str>,
    /// The method, as it was sent.
    pub method: &'a str,
    /// Path and query, as they were sent: not escaped.
    pub target: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// How many bytes of the body were handed to the connection.
    pub bytes: u64,
    /// Whether the connection broke, or the answer had to be cut, before all of them were.
    pub cut: bool,
    /// How long it took, from the end of the request's head to the end of the answer.
    pub time: Duration,
    /// The program that asked, as it says: not escaped.
    pub agent: Option<&'a str>,
}
