//! Registries: the only part of barge that opens a connection (`serve` takes some) (distribution-spec v1.1.1).
//!
//! | file | what it knows |
//! |---|---|
//! | `address` | origins and URLs: what a credential is bound to |
//! | `wire`, `tls`, `proxy`, `limit` | how a connection is made, how it hears a request to stop, how fast it may be |
//! | `http` | one exchange: bodies exact, everything bounded in time |
//! | `answer` | what an answer says, and what that means to a script |
//! | `challenge`, `credentials`, `auth` | what a registry wants to see, what the user has, tokens |
//! | `client`, `reach`, `retry`, `blame` | one registry: where it is, asked until it decides, and what its failures are called |
//! | `repository`, `documents`, `listing` | manifests, tags, the catalog |
//! | `belonging` | what belongs to a manifest: the referrers API, or tags |
//! | `pull` | a repository as a source: what breaks off goes on where it was |
//! | `push`, `delivery`, `naming` | a registry as a sink: nothing is sent that is there, and names come last |
//! | `referrers`, `fallback` | what is pushed belongs to something: the registry knows that, or a tag says so |
//! | `sending`, `upload`, `journal` | one blob on its way, its requests, and the note of where it is |

mod address;
mod answer;
mod auth;
mod belonging;
mod blame;
mod challenge;
mod client;
pub mod credentials;
mod delivery;
mod documents;
mod fallback;
mod holders;
mod http;
mod journal;
mod known;
mod limit;
mod listing;
mod naming;
pub mod proxy;
mod pull;
mod push;
mod reach;
mod referrers;
mod repository;
mod retry;
mod sending;
pub mod tls;
mod upload;
mod wire;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use self::client::Registry;
use self::credentials::Keyring;
pub use self::delivery::{Confirmed, Delivery, Survey, Taken, Tally};
pub use self::limit::RateLimit;
pub use self::listing::Removal;
use self::proxy::Proxies;
pub use self::push::RegistrySink;
pub use self::referrers::Referrer;
pub use self::repository::Repository;
use self::tls::TlsOptions;
use crate::blob::Cancel;
use crate::error::Class;
use crate::reference::ImageName;
use crate::store::{Location, StoreError};

/// Hears of what a person should know and that stops nothing: a connection that was cut, what a registry warns of.
pub type Notice = Arc<dyn Fn(&str) + Send + Sync>;

/// How registries are reached. The library reads no environment: the caller fills this in.
#[derive(Debug)]
pub struct NetworkOptions {
    /// Why nothing may be opened at all, when that is so, and what to do instead.
    pub forbidden: Option<(&'static str, Option<&'static str>)>,
    /// Whether the credentials that were given are for one registry, and which is not said.
    pub one_registry: bool,
    /// Certificates.
    pub tls: TlsOptions,
    /// Whether to speak HTTP without TLS to registries elsewhere too. On this machine it is tried in any case.
    pub plain_http: bool,
    /// Proxies.
    pub proxies: Proxies,
    /// Where passwords are.
    pub keyring: Keyring,
    /// How often what failed in passing is tried again.
    pub retries: u32,
    /// How fast, over all connections.
    pub limit: Option<Arc<RateLimit>>,
    /// How many pieces are sent or fetched at once.
    pub lanes: NonZeroUsize,
    /// The size of the pieces a blob is sent in, in bytes; none sends it in one.
    pub chunk_size: Option<u64>,
    /// Where it is noted which uploads are under way, so that a later run can go on with them.
    pub state: Option<PathBuf>,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            forbidden: None,
            one_registry: false,
            tls: TlsOptions::default(),
            plain_http: false,
            proxies: Proxies::default(),
            keyring: Keyring::default(),
            retries: 4,
            limit: None,
            lanes: LANES,
            chunk_size: None,
            state: None,
        }
    }
}

/// How many pieces are sent or fetched at once unless somebody says. What limits them is the way, not this machine.
pub const LANES: NonZeroUsize = NonZeroUsize::new(6).unwrap();

/// All registries of a run: each is asked for its ways once.
#[derive(Clone)]
pub struct Registries {
    options: Arc<NetworkOptions>,
    cancel: Cancel,
    notice: Notice,
    known: Arc<Mutex<HashMap<String, Arc<Registry>>>>,
}

impl Registries {
    /// Prepares to reach registries; nothing is opened yet.
    #[must_use]
    pub fn new(options: NetworkOptions, cancel: &Cancel, notice: Notice) -> Self {
        Self { options: Arc::new(options), cancel: cancel.clone(), notice, known: Arc::default() }
    }

    /// Returns registries that are never reached, why, and what to do instead.
    #[must_use]
    pub fn forbidden(reason: &'static str, hint: Option<&'static str>, cancel: &Cancel) -> Self {
        Self::new(
            NetworkOptions { forbidden: Some((reason, hint)), ..NetworkOptions::default() },
            cancel,
            Arc::new(|_| ()),
        )
    }

    /// Returns the repository of a name. Nothing is asked yet.
    ///
    /// # Errors
    /// When no connection may be opened.
    pub fn repository(&self, name: &ImageName) -> Result<Repository, StoreError> {
        Ok(Repository::new(self.registry(name.registry())?, name.repository()))
    }

    fn registry(&self, name: &str) -> Result<Arc<Registry>, StoreError> {
        if let Some((reason, hint)) = self.options.forbidden {
            return Err(StoreError::Remote {
                action: "reach".to_owned(),
                place: Location::Registry(name.to_owned()),
                class: Class::Usage,
                reason: reason.into(),
                hint: hint.map(str::to_owned),
            });
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = known.keys().find(|other| self.options.one_registry && *other != name) {
            return Err(StoreError::Remote {
                action: "use --creds for".to_owned(),
                place: Location::Registry(name.to_owned()),
                class: Class::Usage,
                reason: format!("this command reaches {other} too, and a password is for one registry").into(),
                hint: Some("log in to each with `barge login`".to_owned()),
            });
        }
        let made = || {
            let (options, notice) = (Arc::clone(&self.options), Arc::clone(&self.notice));
            Arc::new(Registry::new(name, options, self.cancel.clone(), notice))
        };
        Ok(Arc::clone(known.entry(name.to_owned()).or_insert_with(made)))
    }
}

impl std::fmt::Debug for Registries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registries").field("options", &self.options).finish_non_exhaustive()
    }
}
