//! `serve`: places are a read-only registry, where they lie.
//!
//! What is asked for is looked up in the names that the places hold, and sent from where it lies: nothing is imported,
//! copied or unpacked. The protocol is that of distribution-spec v1.1.1, the pull half and its listings.
//!
//! ```text
//! server      connections, TLS, passwords, time-outs, hashing before serving: the only part that knows an async runtime
//! event       what happens, for a log
//!
//! api         a request -> an answer; route, range and page take its words apart, answer puts its own together
//! catalog     the names of all places -> repositories and tags; names says which mean which, join makes one image of several
//! repository  what belongs to the images of a repository: walked when it is first asked for
//! everywhere  all places as one; gaps: what they leave out together
//! place blob  a place that may change under us; content in it, read by position
//! ```
//!
//! `server` hands the head of each request to `api` on a thread that may block, and sends what it answers. No other part of
//! barge takes connections.

mod answer;
mod api;
mod blob;
mod catalog;
mod event;
mod everywhere;
mod gaps;
mod join;
mod names;
mod page;
mod place;
mod range;
mod repository;
mod route;
mod server;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::api::Api;
pub use self::event::{Access, Event, Listening, Observer, Offered, OfferedRepository};
use self::place::{Opening, Place};
use super::Error;
use super::open::{Context, path_meant};

/// What is wanted of a registry.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where connections are taken; port 0 is any that is free.
    pub listen: SocketAddr,
    /// Whether images of one name that are for different platforms are served as one image.
    pub join: bool,
    /// Whether every blob is hashed before it is served for the first time; when it is not said, those of archives are.
    pub read_verify: Option<bool>,
    /// The certificate chain and the private key, as PEM, for TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The users and their passwords, as `htpasswd -B` writes them.
    pub htpasswd: Option<PathBuf>,
    /// How many connections are held at once at most.
    pub connections: usize,
    /// How long answers that are under way when it is to end may take.
    pub grace: std::time::Duration,
}

/// Serves places until it is asked to stop.
///
/// # Errors
/// [`Error::Usage`] when something that is no layout and no archive is to be served; [`Error::Absent`] and [`Error::Store`]
/// when a place cannot be opened or the address not be taken.
pub fn serve(
    words: &[String],
    options: &ServeOptions,
    context: &Context<'_>,
    observer: &Arc<dyn Observer>,
) -> Result<(), Error> {
    let api = open(words, options, context, observer)?;
    let offered = api.offered();
    server::run(options, Arc::new(api), Arc::clone(observer), offered, context.cancel)
}

/// Returns what would be served, and tells of what is odd about it.
///
/// # Errors
/// As [`serve`], but for the address, which is not looked at.
pub fn offer(
    words: &[String],
    options: &ServeOptions,
    context: &Context<'_>,
    observer: &Arc<dyn Observer>,
) -> Result<Offered, Error> {
    Ok(open(words, options, context, observer)?.offered())
}

fn open(
    words: &[String],
    options: &ServeOptions,
    context: &Context<'_>,
    observer: &Arc<dyn Observer>,
) -> Result<Api, Error> {
    let opening = Opening {
        layout: context.layout.map(Path::to_path_buf),
        bases: words.iter().filter_map(|word| path_meant(word)).collect(),
        tmpdir: context.tmpdir.map(Path::to_path_buf),
        part_dirs: context.part_dirs.to_vec(),
        read_verify: options.read_verify,
        cancel: context.cancel.clone(),
    };
    let context = &Context { bases: &opening.bases, ..*context };
    let places = words.iter().map(|word| Place::open(word, &opening, context)).collect::<Result<_, _>>()?;
    Ok(Api::new(places, options.join, Arc::clone(observer)))
}
