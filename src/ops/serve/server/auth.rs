//! Who may ask: users with passwords (RFC 7617), from a file that is read again when it changes.
//!
//! Checking a password is slow on purpose. It is done once for each that is sent: what was found out is remembered under a
//! keyed hash, never the password itself, until the file changes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use ring::hmac;
use tokio::sync::Semaphore;

use super::htpasswd::Users;
use super::remembered::Remembered;
use crate::error::Class;
use crate::ops::Error;
use crate::ops::serve::answer::{Answer, Code};
use crate::ops::serve::event::{Event, Observer};
use crate::store::archive::Identity;
use crate::text::escaped;

/// What a client is told to show (RFC 7617, section 2.1).
const CHALLENGE: &str = "Basic realm=\"barge\", charset=\"UTF-8\"";

/// How many credentials are remembered.
const ROOM: usize = 8192;

/// How many may wait to be checked.
const MOST_WAITING: usize = 1024;

/// How often it is looked whether the file has changed.
const FRESH: Duration = Duration::from_secs(1);

/// Name and password, as nobody can turn them back.
type Seal = [u8; 32];

/// The users.
pub(super) struct Auth {
    path: PathBuf,
    key: hmac::Key,
    state: Mutex<State>,
    /// Checking takes no more than its share of the processor.
    lanes: Semaphore,
    waiting: Semaphore,
    observer: Arc<dyn Observer>,
}

struct State {
    users: Arc<Users>,
    /// Which state of the file they come from; one that could not be used counts as well.
    identity: Option<Identity>,
    looked: Instant,
    /// Whose a credential is; nobody's when it is wrong.
    known: Remembered<Seal, Option<Arc<str>>>,
}

impl Auth {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(super) fn open(path: &Path, cores: usize, observer: &Arc<dyn Observer>) -> Result<Self, Error> {
        let (users, identity) = Users::read(path)?;
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| Error::Setup {
            class: Class::Machine,
            message: "cannot check passwords: the system gives no random numbers".to_owned(),
            cause: Some(error.to_string()),
            hint: None,
        })?;
        let state = State {
            users: Arc::new(users),
            identity: Some(identity),
            looked: Instant::now(),
            known: Remembered::with_room(ROOM),
        };
        Ok(Self {
            path: path.to_owned(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            state: Mutex::new(state),
            lanes: Semaphore::new((cores / 2).max(1)),
            waiting: Semaphore::new(MOST_WAITING),
            observer: Arc::clone(observer),
        })
    }

    /// Returns who asks.
    ///
    /// # Errors
    /// What is answered when they have not said it, or not shown that they are it.
    pub(super) async fn user(self: &Arc<Self>, headers: &HeaderMap) -> Result<Arc<str>, Answer> {
        let Some((name, password)) = credential(headers) else {
            return Err(unauthorized("say who you are: name and password are needed here"));
        };
        let seal = self.seal(&name, &password);
        self.look_again().await;
        if let Some(known) = self.known(&seal) {
            return known.ok_or_else(wrong);
        }
        let Ok(_waiting) = self.waiting.try_acquire() else {
            return Err(Answer::error(Code::Unavailable, "too many passwords are being checked: try again"));
        };
        let Ok(_lane) = self.lanes.acquire().await else { return Err(wrong()) };
        // the same may have been checked meanwhile
        if let Some(known) = self.known(&seal) {
            return known.ok_or_else(wrong);
        }
        let users = Arc::clone(&self.lock().users);
        let checked = Arc::clone(&users);
        let Ok(user) = tokio::task::spawn_blocking(move || checked.check(&name, &password)).await else {
            return Err(wrong());
        };
        let mut state = self.lock();
        // what is true of users that are no longer those is not remembered
        if Arc::ptr_eq(&state.users, &users) {
            state.known.insert(seal, user.clone());
        }
        user.ok_or_else(wrong)
    }

    fn known(&self, seal: &Seal) -> Option<Option<Arc<str>>> {
        self.lock().known.get(seal)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hides a credential: it can only be compared with another one, and only by this process.
    fn seal(&self, name: &str, password: &[u8]) -> Seal {
        let mut sealing = hmac::Context::with_key(&self.key);
        let length = (name.len() as u64).to_le_bytes();
        for part in [&length[..], name.as_bytes(), password] {
            sealing.update(part);
        }
        let mut seal = [0; 32];
        seal.copy_from_slice(sealing.sign().as_ref());
        seal
    }

    /// Reads the file again when it has changed.
    async fn look_again(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            if state.looked.elapsed() < FRESH {
                return;
            }
            state.looked = Instant::now();
        }
        let this = Arc::clone(self);
        let _ = tokio::task::spawn_blocking(move || this.read_again()).await;
    }

    fn read_again(&self) {
        let identity = std::fs::metadata(&self.path).ok().map(|metadata| Identity::of(&metadata));
        if identity == self.lock().identity {
            return;
        }
        let path = escaped(&self.path.to_string_lossy());
        match Users::read(&self.path) {
            Ok((users, identity)) => {
                let mut state = self.lock();
                state.users = Arc::new(users);
                state.identity = Some(identity);
                state.known.clear();
                drop(state);
                self.observer.hear(Event::Told(&format!("{path} has changed: these users count now")));
            }
            Err(error) => {
                self.lock().identity = identity;
                let why = std::iter::once(error.to_string()).chain(error.causes()).collect::<Vec<_>>().join(": ");
                let warning = format!("{path} has changed and cannot be used, the users before count on: {why}");
                self.observer.hear(Event::Warning(&warning));
            }
        }
    }
}

/// Returns the name and the password that a request shows.
fn credential(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, rest) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = STANDARD.decode(rest.trim_ascii()).ok()?;
    // skopeo and podman show an empty name and an empty password when they know none
    let colon = decoded.iter().position(|byte| *byte == b':').filter(|_| decoded != b":")?;
    let name = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((name, decoded[colon + 1..].to_vec()))
}

fn unauthorized(message: &str) -> Answer {
    Answer::error(Code::Unauthorized, message).with(WWW_AUTHENTICATE, CHALLENGE)
}

fn wrong() -> Answer {
    unauthorized("name or password is wrong")
}
