//! One registry: where it is reached, what it wants to see, and how often it is asked.
//!
//! Whatever may be asked twice is asked again when the failure was a passing one: the network, 429, 5xx. What the registry
//! decided (401 with a fresh token, 403, 404, 400 ...) is an answer, and is returned.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::http::Method;
use ureq::http::header::{self, HeaderName, HeaderValue};

use super::address::{Origin, Url};
use super::answer::{Answer, Complaint, LONGEST_WAIT};
use super::auth::{AuthError, Authenticator, Scope};
use super::credentials::{Credential, Found, Keeper};
use super::http::{Body, ExchangeError, Http, Request};
use super::{NetworkOptions, Notice};
use crate::blob::Cancel;
use crate::digest::Digest;
use crate::error::Class;
use crate::store::{Location, Reason, StoreError};

/// How often an answer may send us elsewhere.
const MOST_HOPS: usize = 10;
/// The first pause; each one after it is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How many different warnings of one registry are shown.
const MOST_WARNINGS: usize = 10;

/// A failure that another try may not meet.
#[derive(Debug)]
pub(super) struct Passing {
    pub(super) reason: String,
    pub(super) hint: Option<String>,
    /// How long the registry asked us to wait.
    pub(super) after: Option<Duration>,
    /// The status, where there was an answer.
    pub(super) status: Option<u16>,
}

impl From<Complaint> for Passing {
    fn from(complaint: Complaint) -> Self {
        let hint = (complaint.status.as_u16() == 429)
            .then(|| "the registry limits how often it is asked: wait, or log in with `barge login`".to_owned());
        let status = Some(complaint.status.as_u16());
        Self { reason: complaint.reason(), hint, after: complaint.retry_after, status }
    }
}

/// Why one try failed.
#[derive(Debug)]
pub(super) enum Attempt {
    Passing(Passing),
    /// The reader of the body that was sent failed, and knows why.
    Body,
    Final(StoreError),
}

impl From<StoreError> for Attempt {
    fn from(error: StoreError) -> Self {
        Self::Final(error)
    }
}

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

/// What came of the first question to a registry.
enum Reached {
    At(Origin),
    /// It was tried as often as it may be: who comes next does not wait for the same failure again.
    Not {
        class: Class,
        reason: Reason,
        hint: Option<String>,
    },
}

/// A registry.
pub(super) struct Registry {
    /// As users write it.
    name: String,
    host: String,
    http: Http,
    auth: Authenticator,
    reached: Mutex<Option<Reached>>,
    credentials: Mutex<HashMap<String, Option<Found>>>,
    options: Arc<NetworkOptions>,
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

    /// Returns where the registry is reached, found out once: by https; on this machine, or where certificates need not be
    /// checked, also without.
    pub(super) fn origin(&self) -> Result<Origin, StoreError> {
        let mut known = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(Reached::At(origin)) => return Ok(origin.clone()),
            Some(Reached::Not { class, reason, hint }) => {
                return Err(self.remote("reach", &self.place(None), *class, reason.clone(), hint.clone()));
            }
            None => {}
        }
        let found = self.find();
        match &found {
            Ok(origin) => *known = Some(Reached::At(origin.clone())),
            Err(StoreError::Remote { class, reason, hint, .. }) => {
                *known = Some(Reached::Not { class: *class, reason: reason.clone(), hint: hint.clone() });
            }
            Err(_) => {}
        }
        found
    }

    fn find(&self) -> Result<Origin, StoreError> {
        let of = |https| {
            Origin::of_host(&self.host, https).ok_or_else(|| StoreError::Remote {
                action: "reach".to_owned(),
                place: self.place(None),
                class: Class::Usage,
                reason: "that is no host".into(),
                hint: Some("write HOST or HOST:PORT".to_owned()),
            })
        };
        let mut origin = of(!self.options.plain_http)?;
        let mut answer = self.knock(&origin)?;
        if answer.is_none() {
            origin = of(false)?;
            answer = self.knock(&origin)?;
        }
        let answer = answer.ok_or_else(|| self.lost("reach", &self.place(None)))?;
        match answer.code() {
            401 => {
                self.auth.challenged(&answer);
            }
            // the Go and nginx servers say so in words, others only with this status
            400 if !origin.https => {
                let reason = answer.into_complaint().reason();
                let hint = "if the registry speaks TLS, leave out --plain-http".to_owned();
                return Err(self.remote("reach", &self.place(None), Class::Unreachable, reason, Some(hint)));
            }
            _ => {}
        }
        Ok(origin)
    }

    /// Asks whether somebody is there (distribution-spec v1.1.1, spec.md, "Determining Support"). `None` when it may be asked
    /// again without TLS.
    fn knock(&self, origin: &Origin) -> Result<Option<Answer>, StoreError> {
        let (action, place) = ("reach", self.place(None));
        self.persist(action, &place, || {
            let url = origin.url("/v2/").ok_or_else(|| self.lost(action, &place))?;
            let request = Request { method: Method::GET, url, headers: Vec::new(), body: Body::None };
            match self.http.exchange(request) {
                Err(ExchangeError::Network { plain: true, .. }) if origin.https && self.may_be_plain(origin) => {
                    Ok(None)
                }
                // nobody is there, or it speaks no TLS: most often the name or an option is wrong, and a person is told at
                // once
                Err(
                    ExchangeError::Network { reason, hint, unconnected: true, .. }
                    | ExchangeError::Network { reason, hint, plain: true, .. },
                ) => Err(self.remote(action, &place, Class::Unreachable, reason, hint).into()),
                Err(error) => Err(self.attempt_of(action, &place, error)),
                Ok(answer) if answer.is_passing() => {
                    Err(self.attempt_of_complaint(action, &place, answer.into_complaint()))
                }
                Ok(answer) => Ok(Some(answer)),
            }
        })
    }

    fn may_be_plain(&self, origin: &Origin) -> bool {
        origin.is_loopback() || self.options.tls.verify == super::tls::Verify::Skip
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

    /// Does something until it succeeds or fails for good, with a pause after every passing failure.
    pub(super) fn persist<T>(
        &self,
        action: &str,
        place: &Location,
        mut attempt: impl FnMut() -> Result<T, Attempt>,
    ) -> Result<T, StoreError> {
        let mut failures = 0;
        loop {
            match attempt() {
                Ok(result) => return Ok(result),
                Err(Attempt::Final(error)) => return Err(error),
                // only what is streamed has a reader of its own, and that is not sent from here
                Err(Attempt::Body) => return Err(self.lost(action, place)),
                Err(Attempt::Passing(passing)) => {
                    let pause = self.pause(&mut failures, action, place, passing)?;
                    if !self.cancel.sleep(pause) {
                        return Err(StoreError::Cancelled);
                    }
                }
            }
        }
    }

    /// Counts a failure, and returns how long to wait before the next try; tells the user when that is for a while.
    ///
    /// # Errors
    /// That failure, when it was tried often enough; [`StoreError::Cancelled`] when it came of a request to stop.
    pub(super) fn pause(
        &self,
        failures: &mut u32,
        action: &str,
        place: &Location,
        passing: Passing,
    ) -> Result<Duration, StoreError> {
        if self.cancel.is_cancelled() {
            return Err(StoreError::Cancelled);
        }
        *failures += 1;
        let Passing { reason, hint, after, .. } = passing;
        let too_long = after.is_some_and(|after| after > LONGEST_WAIT);
        if *failures > self.options.retries || too_long {
            let reason = match (after.filter(|_| too_long), *failures) {
                (Some(after), _) => format!("{reason} (and wants us to wait for {} minutes)", after.as_secs() / 60),
                (None, 1) => reason,
                (None, tries) => format!("{reason} (tried {tries} times)"),
            };
            return Err(self.remote(action, place, Class::Unreachable, reason, hint));
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << (*failures - 1).min(10)).min(LONGEST_PAUSE);
        // half of it is left to chance, so that many clients that fail at once do not come back at once
        let pause = after.unwrap_or_else(|| doubled.mul_f64(0.5 + 0.5 * fastrand::f64()));
        self.notice(&format!("{reason}: trying again in {:.1} s", pause.as_secs_f64()));
        Ok(pause)
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

    /// Returns the failure that an answer means which is no success.
    pub(super) fn complain(&self, action: &str, place: &Location, complaint: &Complaint) -> StoreError {
        let class = complaint.class();
        let hint = match class {
            Class::Refused if complaint.status.as_u16() == 401 => Some(self.log_in_hint()),
            Class::Refused => Some(format!(
                "this user may not do that there: log in as another one with `barge login {}`, or ask its owner",
                self.name
            )),
            _ if complaint.has_code("NAME_UNKNOWN") => {
                Some("check the name; some registries want a repository to be made first".to_owned())
            }
            Class::Unsupported => Some("this registry does not offer that".to_owned()),
            _ => None,
        };
        self.remote(action, place, class, complaint.reason(), hint)
    }

    pub(super) fn remote(
        &self,
        action: &str,
        place: &Location,
        class: Class,
        reason: impl Into<Reason>,
        hint: Option<String>,
    ) -> StoreError {
        StoreError::Remote { action: action.to_owned(), place: place.clone(), class, reason: reason.into(), hint }
    }

    /// Says what to do about a 401 of the registry.
    fn log_in_hint(&self) -> String {
        let known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.values().flatten().next();
        // whoever got a token was recognised: the registry finds that it does not allow enough
        match found.map(|found| &found.credential).filter(|_| self.auth.gives_tokens()) {
            Some(Credential::Password { username, .. }) => format!(
                "{} may not do that there: log in as another user with `barge login {}`, or ask its owner",
                crate::text::escaped(username),
                self.name
            ),
            Some(Credential::IdentityToken(_)) => {
                format!("this user may not do that there: log in with `barge login {}`, or ask its owner", self.name)
            }
            Some(Credential::RegistryToken(_)) | None => self.unaccepted_hint(found),
        }
    }

    /// Says where the credentials came from that are not right.
    fn unaccepted_hint(&self, found: Option<&Found>) -> String {
        match found {
            Some(Found { keeper: Keeper::Given, .. }) => "check the user name and the password".to_owned(),
            Some(found) => format!(
                "what {} has for it is not accepted: log in again with `barge login {}`",
                found.keeper, self.name
            ),
            None => format!("log in with `barge login {}`", self.name),
        }
    }

    fn lost(&self, action: &str, place: &Location) -> StoreError {
        self.remote(action, place, Class::Failed, "the address is too long or malformed", None)
    }

    fn attempt_of_complaint(&self, action: &str, place: &Location, complaint: Complaint) -> Attempt {
        if complaint.is_passing() {
            return Attempt::Passing(complaint.into());
        }
        Attempt::Final(self.complain(action, place, &complaint))
    }

    fn attempt_of_auth(&self, action: &str, place: &Location, error: AuthError) -> Attempt {
        match error {
            AuthError::Exchange(error) => self.attempt_of(action, place, error),
            AuthError::Answer(complaint) if complaint.is_passing() => Attempt::Passing((*complaint).into()),
            AuthError::Answer(complaint) => {
                let known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
                let hint = Some(self.unaccepted_hint(known.values().flatten().next()));
                let reason = format!("its token server says no: {}", complaint.reason());
                Attempt::Final(self.remote(action, place, Class::Refused, reason, hint))
            }
            AuthError::Unusable(reason) => {
                let hint = Some(format!("this is for those to mend who run {}", self.name));
                Attempt::Final(self.remote(action, place, Class::Refused, reason, hint))
            }
            AuthError::Refused => {
                let reason = "it has refused this user and password, which are not shown again";
                let known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
                let hint = Some(self.unaccepted_hint(known.values().flatten().next()));
                Attempt::Final(self.remote(action, place, Class::Refused, reason, hint))
            }
        }
    }

    fn attempt_of(&self, action: &str, place: &Location, error: ExchangeError) -> Attempt {
        match error {
            ExchangeError::Body => Attempt::Body,
            ExchangeError::Machine(error) => Attempt::Final(error),
            ExchangeError::Network { reason, hint, .. } => {
                Attempt::Passing(Passing { reason, hint, after: None, status: None })
            }
            ExchangeError::Lasting { reason, hint } => {
                Attempt::Final(self.remote(action, place, Class::Unreachable, reason, hint))
            }
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("name", &self.name).finish_non_exhaustive()
    }
}
