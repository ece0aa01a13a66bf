//! What a registry lists: tags and repositories, page by page; and what it removes (distribution-spec v1.1.1, spec.md,
//! "Listing Tags", "Content Management").

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;
use ureq::http::Method;

use super::Registries;
use super::address::Url;
use super::answer::Answer;
use super::auth::Scope;
use super::client::{Ask, Registry, To};
use super::repository::Repository;
use super::retry::{Attempt, Passing};
use crate::digest::Digest;
use crate::error::Class;
use crate::reference::is_tag;
use crate::store::{Location, StoreError};

/// How large one page of a list may be, in bytes.
const LARGEST_PAGE: u64 = 8 * 1024 * 1024;
/// How large all entries of a list may be, in bytes: a million tags and more.
const LARGEST_LIST: usize = 64 * 1024 * 1024;
/// How many are asked for at once.
pub(super) const PAGE: usize = 1000;

/// What became of a request to remove something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// It was not there.
    Absent,
    /// The registry does not remove this.
    Unsupported,
}

impl Repository {
    /// Lists the tags, as the registry orders them.
    ///
    /// # Errors
    /// When the registry cannot be reached, or does not have the repository.
    pub fn tags(&self) -> Result<Vec<String>, StoreError> {
        let path = format!("/v2/{}/tags/list?n={PAGE}", self.path);
        let found = list(&self.registry, &path, &self.reading(), Some(&self.path), "list the tags of", "tags")?;
        let wrong = |tag: &String| {
            let reason = format!("{} is no tag", crate::text::quoted(tag));
            StoreError::malformed("its list of tags", &self.location, reason)
        };
        match found.iter().find(|tag| !is_tag(tag)) {
            Some(tag) => Err(wrong(tag)),
            None => Ok(found),
        }
    }

    /// Removes a tag, and only that: what it means stays.
    ///
    /// # Errors
    /// When the registry cannot be reached, or says no.
    pub fn remove_tag(&self, tag: &str) -> Result<Removal, StoreError> {
        self.remove(tag)
    }

    /// Removes a manifest, and with it every tag that means it.
    ///
    /// # Errors
    /// When the registry cannot be reached, or says no.
    pub fn remove_manifest(&self, digest: &Digest) -> Result<Removal, StoreError> {
        self.remove(&digest.to_string())
    }

    fn remove(&self, reference: &str) -> Result<Removal, StoreError> {
        let answer = self.delete(reference)?;
        match answer.code() {
            200..=299 => Ok(Removal::Removed),
            404 => Ok(Removal::Absent),
            // distribution 2.8 says 400 DIGEST_INVALID to a tag, others say that they do not do it
            400 | 405 | 501 => Ok(Removal::Unsupported),
            _ => Err(self.registry.complain("remove from", &self.location, &answer.into_complaint())),
        }
    }
}

impl Registries {
    /// Lists the repositories of a registry, where it lets us.
    ///
    /// # Errors
    /// When the registry cannot be reached, or has no list for us.
    pub fn catalog(&self, host: &str) -> Result<Vec<String>, StoreError> {
        let registry = self.registry(host)?;
        let scopes = BTreeSet::from([Scope::catalog()]);
        list(&registry, &format!("/v2/_catalog?n={PAGE}"), &scopes, None, "list the repositories of", "repositories")
    }

    /// Asks whether a registry lets us in with what we have.
    ///
    /// # Errors
    /// When it cannot be reached, or does not.
    pub fn log_in(&self, host: &str) -> Result<(), StoreError> {
        let registry = self.registry(host)?;
        let action = "log in to";
        let answer = registry.ask(&Ask {
            method: Method::GET,
            to: To::Path("/v2/"),
            headers: Vec::new(),
            body: None,
            scopes: BTreeSet::new(),
            action,
            repository: None,
        })?;
        if answer.status.is_success() {
            return Ok(());
        }
        let unauthorized = answer.code() == 401;
        let reason = answer.into_complaint();
        match registry.complain(action, &registry.place(None), &reason) {
            StoreError::Remote { action, place, class, reason, .. } if unauthorized => {
                let hint = Some("check the user name and the password".to_owned());
                Err(StoreError::Remote { action, place, class, reason, hint })
            }
            other => Err(other),
        }
    }
}

/// Reads a list, page by page.
fn list(
    registry: &Registry,
    path: &str,
    scopes: &BTreeSet<Scope>,
    repository: Option<&str>,
    action: &str,
    field: &str,
) -> Result<Vec<String>, StoreError> {
    let place = registry.place(repository);
    let mut found: Vec<String> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    let mut bytes = 0;
    let mut next = Some(To::Path(path));
    while let Some(to) = next.take() {
        let ask = Ask {
            method: Method::GET,
            to,
            headers: Vec::new(),
            body: None,
            scopes: scopes.clone(),
            action,
            repository,
        };
        let (entries, link) = registry.persist(action, &place, || {
            let answer = registry.attempt(&ask)?;
            if answer.code() != 200 {
                return Err(Attempt::Final(not_listed(registry, action, &place, answer)));
            }
            let link = next_page(&answer);
            Ok((read_page(answer, field, &place)?, link))
        })?;
        // a registry that leads in circles gives nothing new
        let before = seen.len();
        for entry in entries {
            if seen.insert(entry.clone()) {
                bytes += entry.len();
                found.push(entry);
            }
        }
        if bytes > LARGEST_LIST {
            let reason = format!("it has more than {}", crate::text::human_size(LARGEST_LIST as u64));
            return Err(StoreError::malformed(format!("its list of {field}"), &place, reason));
        }
        next = link.filter(|_| seen.len() > before).map(To::Url);
    }
    Ok(found)
}

fn not_listed(registry: &Registry, action: &str, place: &Location, answer: Answer) -> StoreError {
    match registry.complain(action, place, &answer.into_complaint()) {
        StoreError::Remote { action, place, class: Class::Absent, reason, .. } => {
            let name = registry.name();
            let hint = format!("check the name; `barge ls docker://{name}` lists what there is where that is allowed");
            StoreError::Remote { action, place, class: Class::Absent, reason, hint: Some(hint) }
        }
        other => other,
    }
}

pub(super) fn read_page(answer: Answer, field: &str, place: &Location) -> Result<Vec<String>, Attempt> {
    let what = format!("its list of {field}");
    let malformed = |reason: &str| Attempt::Final(StoreError::malformed(what.clone(), place, reason));
    let body = answer
        .read_at_most(LARGEST_PAGE)
        .map_err(|error| Attempt::Passing(Passing::because(format!("{place}: {what} broke off: {error}"))))?;
    let body = body.ok_or_else(|| malformed("a page of it is larger than 8 MiB"))?;
    let value: Value = serde_json::from_slice(&body).map_err(|error| malformed(&error.to_string()))?;
    match value.get(field) {
        // distribution writes null for none
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(entries)) => {
            let texts: Option<Vec<String>> = entries.iter().map(|entry| entry.as_str().map(str::to_owned)).collect();
            texts.ok_or_else(|| malformed("an entry of it is no text"))
        }
        Some(_) => Err(malformed("it is no list")),
    }
}

/// Returns where the next page is (RFC 8288; distribution-spec v1.1.1, spec.md, "Listing Tags"): on the same registry, and
/// nowhere else.
pub(super) fn next_page(answer: &Answer) -> Option<Url> {
    for value in answer.headers.get_all("link") {
        for link in value.to_str().ok()?.split(',') {
            let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
            let is_next = |it: &str| {
                it.trim().split_once('=').is_some_and(|(name, value)| {
                    name.trim().eq_ignore_ascii_case("rel")
                        && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
                })
            };
            if parameters.split(';').any(is_next) {
                let url = answer.url.join(address)?;
                return (url.origin() == answer.url.origin()).then_some(url);
            }
        }
    }
    None
}
