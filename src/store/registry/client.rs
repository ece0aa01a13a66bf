//! One registry: what it is asked, and what it wants to see first.
//!
//! Whatever may be asked twice is asked again when the failure was a passing one: the network, 429, 5xx. What the registry
//! decided (401 with a fresh token, 403, 404, 400 ...) is an answer, and is returned.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use ureq::http::Method;
use ureq::http::header::{self, HeaderName, HeaderValue};

use super::address::Url;
use super::answer::Answer;
use super::auth::{Authenticator, Scope};
use super::credentials::Found;
use super::http::{Body, Http, Request};
use super::reach::Reached;
use super::retry::Attempt;
use super::{NetworkOptions, Notice};
use crate::blob::Cancel;
use crate::digest::Digest;
use crate::error::Class;
use crate::store::{Location, StoreError};

/// How often an answer may send us elsewhere.
const MOST_HOPS: usize = 10;
/// How many different warnings of one registry are shown.
const MOST_WARNINGS: usize = 10;

/// What is asked, and how its failure is called.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) to: To<'a>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Option<&'a [u8]>,
    pub(super) scopes: BTreeSet<Scope>,
    /// The verb of a failure: `read the tags of`.
    pub(super) action: &'a str,
    /// The repository; none for the registry as a whole.
    pub(super) repository: Option<&'a str>,
}

/// Where a request goes.
pub(super) enum To<'a> {
    /// A path of the registry, with its query.
    Path(&'a str),
    /// Where the registry sent us.
    Url(Url),
}

/// A registry.
pub(super) struct Registry {
    /// As users write it.
    pub(super) name: String,
    /// Where it is.
    pub(super) host: String,
    pub(super) http: Http,
    pub(super) auth: Authenticator,
    pub(super) reached: Mutex<Option<Reached>>,
    pub(super) credentials: Mutex<HashMap<String, Option<Found>>>,
    pub(super) options: Arc<NetworkOptions>,
    cancel: Cancel,
    notice: Notice,
    said: Mutex<BTreeSet<String>>,
    /// Which of its repositories are known to have some content, in the order in which that became known.
    there: Mutex<HashMap<Digest, Vec<String>>>,
}

impl Registry {
    pub(super) fn new(name: &str, options: Arc<NetworkOptions>, cancel: Cancel, notice: Notice) -> Self {
        // the name of Docker Hub is not where its registry is
        let host = if name == "docker.io" { "registry-1.docker.io" } else { name };
        let http = Http::new(name, host, &options.tls, &options.proxies, options.limit.clone(), &cancel);
        Self {
            name: name.to_owned(),
            host: host.to_owned(),
            http,
            auth: Authenticator::default(),
            reached: Mutex::default(),
            credentials: Mutex::default(),
            options,
            cancel,
            notice,
            said: Mutex::default(),
            there: Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn options(&self) -> &NetworkOptions {
        &self.options
    }

    pub(super) const fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    pub(super) fn http(&self) -> &Http {
        &self.http
    }

    /// Tells the user something that stops nothing.
    pub(super) fn notice(&self, text: &str) {
        (self.notice)(text);
    }

    /// Takes note that a repository has some content.
    pub(super) fn has(&self, repository: &str, digest: &Digest) {
        let mut there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        let holders = there.entry(*digest).or_default();
        if !holders.iter().any(|holder| holder == repository) {
            holders.push(repository.to_owned());
        }
    }

    /// Returns whether a repository is known to have some content.
    pub(super) fn is_there(&self, repository: &str, digest: &Digest) -> bool {
        let there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        there.get(digest).is_some_and(|holders| holders.iter().any(|holder| holder == repository))
    }

    /// Returns a repository that is known to have some content: of this step of a run, or of one before.
    pub(super) fn holder(&self, digest: &Digest) -> Option<String> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner).get(digest)?.first().cloned()
    }

    /// Returns the place of a repository, or of the registry, for messages.
    pub(super) fn place(&self, repository: Option<&str>) -> Location {
        Location::Registry(match repository {
            Some(repository) => format!("{}/{repository}", self.name),
            None => self.name.clone(),
        })
    }

    /// Asks, as often as it takes, and follows where the registry sends us. Returns any answer that is a decision.
    pub(super) fn ask(&self, ask: &Ask<'_>) -> Result<Answer, StoreError> {
        let place = self.place(ask.repository);
        self.persist(ask.action, &place, || self.attempt(ask))
    }

    /// As [`Self::ask`], once.
    pub(super) fn attempt(&self, ask: &Ask<'_>) -> Result<Answer, Attempt> {
        let place = self.place(ask.repository);
        let body = || ask.body.map_or(Body::None, Body::Bytes);
        let mut answer = self.send(ask, body())?;
        // a token has come to its end, or this place asks for something else: once more with a new one
        if answer.code() == 401 && self.refused(&answer, ask)? {
            answer = self.send(ask, body())?;
        }
        let mut hops = 0;
        while matches!(answer.code(), 301 | 302 | 303 | 307 | 308) {
            let safe = matches!(ask.method, Method::GET | Method::HEAD);
            if !safe && !matches!(answer.code(), 307 | 308) {
                break;
            }
            hops += 1;
            let refused = |reason: &str| Attempt::Final(self.remote(ask.action, &place, Class::Failed, reason, None));
            let Some(url) = answer.location() else { return Err(refused("it redirects to no address")) };
            if hops > MOST_HOPS {
                return Err(refused("it redirects in circles"));
            }
            if answer.url.origin().https && !url.origin().https {
                return Err(refused("it redirects from https to http, where anybody could change the answer"));
            }
            answer = self.send_to(url, ask, body())?;
        }
        if answer.is_passing() {
            return Err(self.attempt_of_complaint(ask.action, &place, answer.into_complaint()));
        }
        self.hear_warnings(&answer);
        Ok(answer)
    }

    /// Sends one request with a body that can be sent only once. A 401 is a passing failure: the next try has a new token.
    pub(super) fn attempt_stream(&self, ask: &Ask<'_>, body: Body<'_>) -> Result<Answer, Attempt> {
        let place = self.place(ask.repository);
        let answer = self.send(ask, body)?;
        if answer.is_passing() {
            return Err(self.attempt_of_complaint(ask.action, &place, answer.into_complaint()));
        }
        self.hear_warnings(&answer);
        Ok(answer)
    }

    /// Takes note that what was sent was not authorized. Returns whether there is something else to send: the same password
    /// is not sent twice. What another host asks for is for that host to have, and not from us.
    pub(super) fn refused(&self, answer: &Answer, ask: &Ask<'_>) -> Result<bool, StoreError> {
        if answer.url.origin() != self.origin()? {
            return Ok(false);
        }
        let credential = self.credential(ask.repository.unwrap_or_default())?;
        Ok(self.auth.refused(answer, credential.as_ref().map(|found| &found.credential), &ask.scopes))
    }

    fn send(&self, ask: &Ask<'_>, body: Body<'_>) -> Result<Answer, Attempt> {
        let origin = self.origin()?;
        let url = match &ask.to {
            To::Path(path) => origin.url(path).ok_or_else(|| self.lost(ask.action, &self.place(ask.repository)))?,
            To::Url(url) => url.clone(),
        };
        self.send_to(url, ask, body)
    }

    fn send_to(&self, url: Url, ask: &Ask<'_>, body: Body<'_>) -> Result<Answer, Attempt> {
        if self.cancel.is_cancelled() {
            return Err(StoreError::Cancelled.into());
        }
        let own = self.origin()?;
        let place = self.place(ask.repository);
        let mut headers = ask.headers.clone();
        let mut trial = None;
        // whatever proves who we are is for the registry itself, and goes to no host that it names
        if url.origin() == own {
            let credential = self.credential(ask.repository.unwrap_or_default())?;
            let authorization = self.auth.authorization(
                &self.http,
                &own,
                credential.as_ref().map(|found| &found.credential),
                &ask.scopes,
            );
            let refused = |error| self.attempt_of_auth(ask.action, &place, error);
            let authorization = authorization.map_err(refused)?;
            if let Some(value) = &authorization {
                trial = self.auth.trial(value).map_err(refused)?;
            }
            headers.extend(authorization.map(|value| (header::AUTHORIZATION, value)));
        }
        let request = Request { method: ask.method.clone(), url, headers, body };
        let answer = self.http.exchange(request).map_err(|error| self.attempt_of(ask.action, &place, error))?;
        if let Some(trial) = trial {
            trial.answered(&answer);
        }
        Ok(answer)
    }

    /// Returns what the user has for a repository.
    fn credential(&self, repository: &str) -> Result<Option<Found>, StoreError> {
        let mut known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(credential) = known.get(repository) {
            return Ok(credential.clone());
        }
        let found = match self.options.keyring.find(&self.name, repository) {
            // a helper that is named and not installed, as where a config came from another machine: docker goes on too
            Err(error) if error.class() == Class::Absent && self.options.keyring.authfile.is_none() => {
                self.notice(&format!("{error}: going on without a login"));
                None
            }
            found => found?,
        };
        known.insert(repository.to_owned(), found.clone());
        Ok(found)
    }

    /// Shows what a registry wants its users to read (distribution-spec v1.1.1, spec.md, "Warnings"), once.
    fn hear_warnings(&self, answer: &Answer) {
        for value in answer.headers.get_all(header::WARNING).iter().take(8) {
            let text = String::from_utf8_lossy(value.as_bytes());
            let Some(text) = text.strip_prefix("299 - ") else { continue };
            let text: String = text.trim_matches('"').chars().take(400).collect();
            let text = format!("{} says: {}", self.name, crate::text::escaped(&text));
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.len() < MOST_WARNINGS && said.insert(text.clone()) {
                drop(said);
                self.notice(&text);
            }
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("name", &self.name).finish_non_exhaustive()
    }
}
