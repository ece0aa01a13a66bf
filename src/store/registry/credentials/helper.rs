//! Credential helpers: programs called `docker-credential-NAME` that keep passwords elsewhere than in a file.
//!
//! The protocol is that of docker-credential-helpers (README.md, "Development"): one word says what to do, standard input
//! what with, and standard output is the answer, of failures too. What a helper says is shown when it fails, but never a
//! password.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::bounded::{self, Answer, Failure};
use super::document::{Asked, field};
use super::{Credential, Secret, unusable};
use crate::error::Class;
use crate::json;
use crate::store::{Location, StoreError};
use crate::text::{escaped, quoted};

/// How long a helper may take.
const LIMIT: Duration = Duration::from_secs(30);
/// The user name that says: this is an identity token.
const TOKEN: &str = "<token>";
/// How a helper says that it has nothing (`credentials/error.go` of docker-credential-helpers).
const NOT_FOUND: &str = "credentials not found in native keychain";
/// How much of what a helper says is shown, in characters.
const SHOWN: usize = 300;

/// What a helper can be asked to do, and what that is called in messages.
#[derive(Clone, Copy)]
struct Verb {
    word: &'static str,
    before: &'static str,
    after: &'static str,
}

const GET: Verb = Verb { word: "get", before: "get credentials from", after: "for" };
const STORE: Verb = Verb { word: "store", before: "give credentials to", after: "for" };
const ERASE: Verb = Verb { word: "erase", before: "erase credentials in", after: "for" };

/// A helper, and for whom it is asked what.
#[derive(Debug)]
pub(super) struct Helper<'a> {
    asked: &'a Asked,
    /// The registry, for messages.
    host: &'a str,
    /// The file that names the helper, for messages.
    file: &'a Path,
    /// The directories to look for it in, as in `$PATH`.
    path: &'a OsStr,
}

impl<'a> Helper<'a> {
    pub(super) const fn new(asked: &'a Asked, host: &'a str, file: &'a Path, path: &'a OsStr) -> Self {
        Self { asked, host, file, path }
    }

    /// Asks for the credential; `None` when the helper has none.
    pub(super) fn get(&self) -> Result<Option<Credential>, StoreError> {
        let Some(output) = self.run(GET, self.asked.server.as_bytes(), None)? else { return Ok(None) };
        let value = json::parse(&output).ok();
        let fields = value.as_ref().and_then(Value::as_object);
        let text = |name: &str| field(fields, name).map_or(Some(""), Value::as_str);
        match (fields, text("Username"), text("Secret")) {
            (Some(_), Some(""), Some("")) => Ok(None),
            (Some(_), Some(TOKEN), Some(token)) => Ok(Some(Credential::IdentityToken(Secret::new(token)))),
            (Some(_), Some(username), Some(password)) => {
                Ok(Some(Credential::Password { username: username.to_owned(), password: Secret::new(password) }))
            }
            // what it is instead may hold a password
            _ => Err(self.failed(GET, Class::Content, "its answer is not {\"Username\": TEXT, \"Secret\": TEXT}")),
        }
    }

    /// Gives the helper a credential to keep.
    pub(super) fn store(&self, credential: &Credential) -> Result<(), StoreError> {
        let (username, secret) = match credential {
            Credential::Password { username, password } => (username.as_str(), password),
            Credential::IdentityToken(token) => (TOKEN, token),
            Credential::RegistryToken(_) => {
                return Err(self.failed(STORE, Class::Unsupported, "it keeps passwords and identity tokens only"));
            }
        };
        let input = json!({ "ServerURL": self.asked.server, "Username": username, "Secret": secret.expose() });
        match self.run(STORE, input.to_string().as_bytes(), Some(secret))? {
            Some(_) => Ok(()),
            None => Err(self.failed(STORE, Class::Refused, format!("it said \"{NOT_FOUND}\""))),
        }
    }

    /// Makes the helper forget what it keeps; `false` when it has said that this was nothing.
    pub(super) fn erase(&self) -> Result<bool, StoreError> {
        Ok(self.run(ERASE, self.asked.server.as_bytes(), None)?.is_some())
    }

    /// Runs the helper and returns its output; `None` when it has no such credential.
    fn run(&self, verb: Verb, input: &[u8], secret: Option<&Secret>) -> Result<Option<Vec<u8>>, StoreError> {
        let answer = match bounded::run(&self.program(verb)?, verb.word, input, LIMIT) {
            Ok(answer) => answer,
            Err(failure) => {
                let class = if matches!(failure, Failure::Run(_)) { Class::Machine } else { Class::Refused };
                return Err(self.failed(verb, class, failure.to_string()));
            }
        };
        if answer.status.success() {
            return Ok(Some(answer.output));
        }
        if [&answer.output, &answer.errors].iter().any(|text| String::from_utf8_lossy(text).contains(NOT_FOUND)) {
            return Ok(None);
        }
        let said = said(&answer, secret);
        let what = if said.is_empty() { "said nothing".to_owned() } else { format!("said: {said}") };
        Err(self.failed(verb, Class::Refused, format!("it ended with {} and {what}", answer.status)))
    }

    /// Finds the program. Directories that are not absolute are passed over: they would be those of whoever made the
    /// working directory.
    fn program(&self, verb: Verb) -> Result<PathBuf, StoreError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !self.asked.name.bytes().all(plain) {
            let name = quoted(&self.asked.name);
            return Err(unusable(self.file, format!("it names a credential helper {name}, which is no name for one")));
        }
        let directories =
            self.path.as_bytes().split(|byte| *byte == b':').map(|name| Path::new(OsStr::from_bytes(name)));
        let programs =
            directories.filter(|directory| directory.is_absolute()).map(|directory| directory.join(self.name()));
        let is_program = |path: &PathBuf| {
            std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        };
        let mut programs = programs.filter(is_program);
        programs.next().ok_or_else(|| self.failed(verb, Class::Absent, "there is no such program in $PATH"))
    }

    fn name(&self) -> String {
        format!("docker-credential-{}", self.asked.name)
    }

    fn failed(&self, verb: Verb, class: Class, reason: impl Into<String>) -> StoreError {
        let file = escaped(&self.file.to_string_lossy());
        StoreError::Remote {
            action: format!("{} {} {}", verb.before, self.name(), verb.after),
            place: Location::Registry(self.host.to_owned()),
            class,
            reason: reason.into().into(),
            hint: Some(format!("{file} names this program: make it work, or take its name out there")),
        }
    }
}

/// Returns what a helper that failed has said, in one line, fit to be shown.
fn said(answer: &Answer, secret: Option<&Secret>) -> String {
    let output = String::from_utf8_lossy(&answer.output);
    // a helper may find something and fail all the same
    let output = if output.to_ascii_lowercase().contains("\"secret\"") { "".into() } else { output };
    let mut said = format!("{output} {}", String::from_utf8_lossy(&answer.errors));
    if let Some(secret) = secret.map(Secret::expose).filter(|secret| !secret.is_empty()) {
        let in_json = Value::from(secret).to_string();
        said = said.replace(in_json.trim_matches('"'), "...").replace(secret, "...");
    }
    said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = said.char_indices().nth(SHOWN) {
        said.truncate(end);
        said.push_str("...");
    }
    escaped(&said)
}
