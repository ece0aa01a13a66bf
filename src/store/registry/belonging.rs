//! What belongs to a manifest of a repository: asked of the registry, or read from tags (distribution-spec v1.1.1, spec.md,
//! "Listing Referrers", "Unavailable Referrers API").
//!
//! Whether a registry has the API is found out by the first question, and which tags there are by one list of them: then
//! a registry that has neither costs two requests, however many manifests are asked about. Nothing that is listed is
//! believed: each document is read, checked, and must itself say what it belongs to.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ureq::http::Method;
use ureq::http::header;

use super::answer::Answer;
use super::client::{Ask, To};
use super::documents::accept;
use super::listing::{PAGE, leads_nowhere, next_page, read_page};
use super::repository::Repository;
use super::retry::Attempt;
use crate::content::{CONTAINERD_SUBJECT, Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::document::{Body, Document};
use crate::error::Class;
use crate::media::{MediaType, OCI_EMPTY, OCI_INDEX, Role};
use crate::reference::is_tag;
use crate::store::lanes::in_lanes;
use crate::store::{StoreError, Wanted, read_document};

/// How many manifests are asked about at once.
const LANES: usize = 4;
/// How many referrers of one manifest are taken.
pub(super) const MOST_REFERRERS: usize = 10_000;
/// How many pages of a list of referrers are read.
const MOST_PAGES: usize = 1000;
/// How many pages of the list of tags are read; where there are more, single tags are asked for.
const MOST_TAG_PAGES: usize = 4;
/// What cosign adds to the tag that it makes of a digest (cosign, specs/SIGNATURE_SPEC.md, "Storage").
const COSIGN: [&str; 3] = [".sig", ".att", ".sbom"];

/// What has been found out about a repository.
#[derive(Default)]
pub(super) struct Known {
    /// Whether it knows the referrers API.
    api: Mutex<Option<bool>>,
    tags: Mutex<Option<Tags>>,
    found: Mutex<HashMap<Question, Vec<Descriptor>>>,
}

/// A manifest that was asked about, the type that was wanted, and whether its tags were.
type Question = (Digest, Option<String>, bool);

/// The tags that are made of digests.
#[derive(Clone)]
enum Tags {
    /// These, and no others.
    All(HashSet<String>),
    /// There may be any: they are too many to list, or are not listed.
    Any,
}

/// What the referrers API says.
pub(super) struct Listed {
    pub(super) entries: Vec<Descriptor>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the tag under which the referrers of some content are listed where there is no API (distribution-spec v1.1.1,
/// spec.md, "Referrers Tag Schema").
pub(super) fn fallback_tag(subject: &Digest) -> String {
    let hex = subject.hex();
    format!("{}-{}", subject.algorithm().name(), hex.get(..64).unwrap_or(&hex))
}

impl Repository {
    /// Returns what belongs to some manifests, as it is to stand at the top of a layout.
    pub(super) fn belonging(&self, subjects: &[Digest], wanted: &Wanted<'_>) -> Result<Vec<Descriptor>, StoreError> {
        let key = |subject: &Digest| (*subject, wanted.artifact_type.map(str::to_owned), wanted.digest_tags);
        let is_new = |subject: &&Digest| !locked(&self.known.found).contains_key(&key(subject));
        let new: Vec<Digest> = subjects.iter().filter(is_new).copied().collect();
        let ask = |subject: &Digest| {
            let found = self.belonging_to(subject, wanted)?;
            locked(&self.known.found).insert(key(subject), found);
            Ok(())
        };
        // the first answer says how to ask about the others
        if let Some((first, others)) = new.split_first() {
            let hinted = |error| self.hinted(error);
            ask(first).map_err(hinted)?;
            let asked = in_lanes(others, LANES, self.registry.cancel(), |subject, _| ask(subject));
            asked.map_err(|(_, error)| hinted(error))?;
            // lanes that are asked to stop have not failed
            if self.registry.cancel().is_cancelled() {
                return Err(StoreError::Cancelled);
            }
        }
        let found = locked(&self.known.found);
        Ok(subjects.iter().filter_map(|subject| found.get(&key(subject))).flatten().cloned().collect())
    }

    fn hinted(&self, error: StoreError) -> StoreError {
        let alone = || Some("--referrers none takes the image alone".to_owned());
        match error {
            StoreError::Remote { action, place, class, reason, hint: None } => {
                StoreError::Remote { action, place, class, reason, hint: alone() }
            }
            StoreError::Malformed { what, place, reason, hint: None } => {
                StoreError::Malformed { what, place, reason, hint: alone() }
            }
            other => other,
        }
    }

    fn belonging_to(&self, subject: &Digest, wanted: &Wanted<'_>) -> Result<Vec<Descriptor>, StoreError> {
        let mut found = Vec::new();
        let listed = match self.listed_by_api(subject)? {
            Some(listed) => Some(listed),
            None => self.listed_by_tag(subject)?,
        };
        if let Some(Listed { entries }) = listed {
            let mut seen = HashSet::new();
            for entry in entries.iter().filter(|entry| seen.insert(*entry.digest())) {
                let is_other = |said: &str| says_all(said) && wanted.artifact_type.is_some_and(|wanted| wanted != said);
                if !entry.artifact_type().is_some_and(is_other) {
                    found.extend(self.referrer(subject, entry)?);
                }
            }
        }
        if wanted.digest_tags {
            for suffix in COSIGN {
                found.extend(self.tagged(&format!("{}-{}{suffix}", subject.algorithm().name(), subject.hex()))?);
            }
        }
        Ok(found)
    }

    /// Reads a document that is listed, and returns the descriptor by which it belongs to the subject in a layout. What the
    /// list says beside the digest is of no use: annotations could pass for names there.
    fn referrer(&self, subject: &Digest, entry: &Descriptor) -> Result<Option<Descriptor>, StoreError> {
        let left_out = |why: &str| {
            let (place, digest) = (&self.location, entry.digest());
            self.registry
                .notice(&format!("{place}: {digest} is listed as a referrer of {subject}, and {why}: left out"));
            Ok(None)
        };
        if !entry.media_type().is_document() {
            return left_out("is no manifest");
        }
        let document = match read_document(self, entry) {
            Ok(document) => document,
            Err(StoreError::Missing { .. }) => return left_out("is not there"),
            Err(error) => return Err(error),
        };
        if document.subject().is_none_or(|said| said.digest() != subject) {
            return left_out("does not say so itself");
        }
        let root = Descriptor::new(entry.media_type(), *entry.digest(), entry.size());
        let root = match document.artifact_type() {
            Some(artifact_type) => root.with_artifact_type(artifact_type),
            None => root,
        };
        Ok(Some(root.with_annotation(CONTAINERD_SUBJECT, &subject.to_string())))
    }

    /// Asks the referrers API; `None` when there is none. It is not asked for one type: what is known by the type of its layers, as
    /// cosign's signatures are, would be left out.
    pub(super) fn listed_by_api(&self, subject: &Digest) -> Result<Option<Listed>, StoreError> {
        if *locked(&self.known.api) == Some(false) {
            return Ok(None);
        }
        let path = format!("/v2/{}/referrers/{subject}", self.path);
        let action = "list what belongs to an image in";
        let mut listed = Listed { entries: Vec::new() };
        let mut seen = HashSet::new();
        let mut next = Some(To::Path(&path));
        let mut pages = 0;
        while let Some(to) = next.take() {
            let ask = self.asking_for_index(to, action);
            let answered = self.registry.persist(action, &self.location, || {
                let answer = self.registry.attempt(&ask)?;
                if answer.code() != 200 || !is_index(&answer) {
                    return Ok(Err(answer));
                }
                let link = next_page(&answer, "referrers", &self.location)?;
                Ok(Ok((self.read_document_body(answer)?, link)))
            })?;
            let (body, link) = match answered {
                Ok(page) => page,
                Err(answer) if pages == 0 => {
                    self.without_api(answer);
                    return Ok(None);
                }
                Err(answer) => return Err(self.registry.complain(action, &self.location, &answer.into_complaint())),
            };
            locked(&self.known.api).get_or_insert(true);
            let malformed =
                |reason: String| StoreError::malformed(format!("its referrers of {subject}"), &self.location, reason);
            let page = Document::parse(&MediaType::new(OCI_INDEX), body.to_vec())
                .map_err(|error| malformed(error.to_string()))?;
            let before = seen.len();
            listed.entries.extend(page.children().filter(|entry| seen.insert(*entry.digest())).cloned());
            pages += 1;
            // a registry that leads in circles gives nothing new
            next = link.filter(|_| seen.len() > before).map(To::Url);
            if listed.entries.len() > MOST_REFERRERS || (next.is_some() && pages >= MOST_PAGES) {
                return Err(malformed(format!("there are more than {MOST_REFERRERS}, or than {MOST_PAGES} pages")));
            }
            if next.is_some() && leads_nowhere(pages, listed.entries.len()) {
                return Err(malformed(format!(
                    "it has {pages} pages with {} entries, and goes on",
                    listed.entries.len()
                )));
            }
        }
        Ok(Some(listed))
    }

    fn asking_for_index<'a>(&'a self, to: To<'a>, action: &'a str) -> Ask<'a> {
        let headers = vec![(header::ACCEPT, accept(OCI_INDEX))];
        let scopes = self.reading();
        Ask { method: Method::GET, to, headers, body: None, scopes, action, repository: Some(&self.path) }
    }

    /// Takes note that there is no API. A registry that refuses what it does not know is no reason to go without the image,
    /// and a reason to say so.
    fn without_api(&self, answer: Answer) {
        let first = locked(&self.known.api).replace(false).is_none();
        if first && matches!(answer.code(), 401 | 403) {
            let reason = answer.into_complaint().reason();
            self.registry.notice(&format!("{}: {reason}: looking for referrers by their tags alone", self.location));
        }
    }

    /// Reads the list of referrers under the fallback tag; `None` when there is none.
    pub(super) fn listed_by_tag(&self, subject: &Digest) -> Result<Option<Listed>, StoreError> {
        let tag = fallback_tag(subject);
        if !self.may_have_tag(&tag)? {
            return Ok(None);
        }
        let read = match self.fetch_document(&tag) {
            Ok(read) => read,
            Err(error) if matches!(error.class(), Class::Absent | Class::Refused) => return Ok(None),
            Err(error) => return Err(error),
        };
        let document = Document::parse(&read.media_type, read.bytes.to_vec())
            .map_err(|error| StoreError::malformed(format!("the tag {tag}"), &self.location, error))?;
        let Body::Index(index) = document.body() else { return Ok(None) };
        if index.manifests.len() > MOST_REFERRERS {
            let reason = format!("it lists more than {MOST_REFERRERS} referrers");
            return Err(StoreError::malformed(format!("the tag {tag}"), &self.location, reason));
        }
        Ok(Some(Listed { entries: index.manifests.clone() }))
    }

    /// Returns what a tag made of a digest names, where it is there.
    fn tagged(&self, tag: &str) -> Result<Option<Descriptor>, StoreError> {
        if !is_tag(tag) || !self.may_have_tag(tag)? {
            return Ok(None);
        }
        // most are not there, and some registries count what is read
        if matches!(*locked(&self.known.tags), Some(Tags::Any)) {
            match self.published(tag) {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(error) if error.class() == Class::Refused => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        match self.fetch_document(tag) {
            Ok(read) => Ok(Some(self.keep_document(read, None)?.with_annotation(REF_NAME, tag))),
            Err(error) if error.class() == Class::Absent => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns whether a tag that is made of a digest may be there.
    fn may_have_tag(&self, tag: &str) -> Result<bool, StoreError> {
        let mut tags = locked(&self.known.tags);
        if tags.is_none() {
            *tags = Some(self.digest_tags()?);
        }
        Ok(match &*tags {
            Some(Tags::All(all)) => all.contains(tag),
            Some(Tags::Any) | None => true,
        })
    }

    /// Lists the tags that are made of digests.
    fn digest_tags(&self) -> Result<Tags, StoreError> {
        let path = format!("/v2/{}/tags/list?n={PAGE}", self.path);
        let mut all = HashSet::new();
        let mut next = Some(To::Path(&path));
        for _ in 0..MOST_TAG_PAGES {
            let Some(to) = next.take() else { break };
            let ask = Ask {
                method: Method::GET,
                to,
                headers: Vec::new(),
                body: None,
                scopes: self.reading(),
                action: "list the tags of",
                repository: Some(&self.path),
            };
            // it only saves requests: where it fails, whatever the reason, single tags are asked for
            let page = match self.registry.attempt(&ask) {
                Ok(answer) if answer.code() == 200 => next_page(&answer, "tags", &self.location).and_then(|link| {
                    next = link.map(To::Url);
                    read_page(answer, "tags", &self.location)
                }),
                Ok(_) => return Ok(Tags::Any),
                Err(attempt) => Err(attempt),
            };
            match page {
                Ok(tags) => all.extend(tags.into_iter().filter(|tag| tag.starts_with("sha"))),
                Err(Attempt::Final(StoreError::Cancelled)) => return Err(StoreError::Cancelled),
                Err(_) => return Ok(Tags::Any),
            }
        }
        Ok(if next.is_some() { Tags::Any } else { Tags::All(all) })
    }
}

fn is_index(answer: &Answer) -> bool {
    let said = answer.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
    said.trim().eq_ignore_ascii_case(OCI_INDEX)
}

/// Returns whether a type that a list shows is all that something is known by. What has an image's config, or the empty one, is known
/// by the types of its layers too, and some registries show no type then.
fn says_all(artifact_type: &str) -> bool {
    let is_config = MediaType::new(artifact_type).role() == Role::Config || artifact_type == OCI_EMPTY;
    !artifact_type.is_empty() && !is_config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fallback_tag_is_never_longer_than_a_tag_may_be() {
        let digest = Digest::of(b"x");
        assert_eq!(fallback_tag(&digest), digest.to_string().replace(':', "-"));
        let long = crate::digest::Algorithm::Sha512.digest_of(b"x");
        assert_eq!(fallback_tag(&long), format!("sha512-{}", &long.hex()[..64]));
    }
}
