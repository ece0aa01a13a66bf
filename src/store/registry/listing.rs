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
use crate::json::{self, Items};
use crate::reference::is_tag;
use crate::store::{Location, StoreError};

/// How large one page of a list may be, in bytes.
const LARGEST_PAGE: u64 = 8 * 1024 * 1024;
/// How many entries a list may have, and how large they may be in all, in bytes.
const LONGEST_LIST: usize = 1_000_000;
const LARGEST_LIST: usize = 64 * 1024 * 1024;
/// How many pages of a list are read.
const MOST_PAGES: usize = 10_000;
/// After so many pages there must be this many entries on each: who gives one at a time comes to no end.
const FIRST_PAGES: usize = 100;
const FEWEST_ON_A_PAGE: usize = 10;
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

    /// Whether the registry says that it has no such repository: asked once, and what is no clear answer says nothing.
    pub(super) fn is_unknown(&self) -> bool {
        let path = format!("/v2/{}/tags/list?n=1", self.path);
        let ask = Ask {
            method: Method::GET,
            to: To::Path(&path),
            headers: Vec::new(),
            body: None,
            scopes: self.reading(),
            action: "list the tags of",
            repository: Some(&self.path),
        };
        self.registry.attempt(&ask).is_ok_and(|answer| answer.code() == 404)
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
    let (mut bytes, mut pages) = (0, 0);
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
            let link = next_page(&answer, field, &place)?;
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
        pages += 1;
        let malformed = |reason: String| Err(StoreError::malformed(format!("its list of {field}"), &place, reason));
        if bytes > LARGEST_LIST || found.len() > LONGEST_LIST {
            let size = crate::text::human_size(LARGEST_LIST as u64);
            return malformed(format!("it has more than {LONGEST_LIST} entries, or than {size}"));
        }
        next = link.filter(|_| seen.len() > before).map(To::Url);
        if next.is_some() && (pages >= MOST_PAGES || leads_nowhere(pages, found.len())) {
            return malformed(format!("it has {pages} pages with {} entries, and goes on", found.len()));
        }
    }
    Ok(found)
}

/// Returns whether so many pages have so few entries that a list comes to no end.
pub(super) const fn leads_nowhere(pages: usize, entries: usize) -> bool {
    pages >= FIRST_PAGES && entries < pages * FEWEST_ON_A_PAGE
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
    let mut entries = Items::default();
    let value = json::parse_lists(&body, "the page", &[field], &mut |_, entry| {
        entries.take(|| Ok(entry.text()?.to_owned()));
    });
    let value = value.map_err(|error| malformed(&error.to_string()))?;
    match value.get(field) {
        // distribution writes null for none
        None | Some(Value::Null | Value::Array(_)) => entries.all().map_err(|error| malformed(&error.to_string())),
        Some(_) => Err(malformed("it is no list")),
    }
}

/// Returns where the next page of a list is (RFC 8288; distribution-spec v1.1.1, spec.md, "Listing Tags").
///
/// # Errors
/// When it is not on the same registry: it is not asked for, and a part of a list is not the list.
pub(super) fn next_page(answer: &Answer, field: &str, place: &Location) -> Result<Option<Url>, Attempt> {
    let Some(address) = next_address(answer) else { return Ok(None) };
    let url = answer.url.join(address).filter(|url| url.origin() == answer.url.origin());
    url.map(Some).ok_or_else(|| {
        // a query can hold a signature
        let shown = crate::text::quoted(address.split('?').next().unwrap_or_default());
        let reason = format!("it goes on at {shown}, which is not the registry");
        Attempt::Final(StoreError::malformed(format!("its list of {field}"), place, reason))
    })
}

fn next_address(answer: &Answer) -> Option<&str> {
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
                return Some(address);
            }
        }
    }
    None
}
