//! What need not be asked for or sent: what a name says is there, what cannot be there, and what another repository of the
//! registry has.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::push::RegistrySink;
use super::repository::Repository;
use super::upload::Mount;
use crate::content::{Content, Kind};
use crate::digest::Digest;
use crate::error::Class;
use crate::store::StoreError;
use crate::store::lanes::in_lanes;

/// How many pieces are asked for one by one, whatever the repository is: one request more would save little.
const FEW: usize = 64;
/// How many of the largest pieces are asked for in a repository that seems to be new.
const SAMPLE: usize = 8;
/// What is sent as fast as it is asked for, in bytes.
const SMALL: u64 = 64 * 1024;

/// How much is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// For each piece.
    Everything,
    /// For what saves more than the question costs.
    WhatSaves,
}

impl RegistrySink {
    /// Asks every repository what it has. Returns what each is to have, every piece once.
    pub(super) fn ask(&self, question: Question) -> Result<Vec<(usize, Content)>, StoreError> {
        for delivery in &self.deliveries {
            self.refuse_taken(delivery)?;
        }
        let named = self.believe_names()?;
        let new = match question {
            Question::Everything => HashMap::new(),
            Question::WhatSaves => self.new_repositories(&named)?,
        };
        let mut wanted = Vec::new();
        for (at, delivery) in self.deliveries.iter().enumerate() {
            let mut seen = HashSet::new();
            let each = delivery.contents.iter().filter(|(it, _)| seen.insert(it.digest));
            wanted.extend(each.map(|(it, _)| (at, it.clone())));
        }
        let found = in_lanes(&wanted, self.lanes.get(), self.registry.cancel(), |(at, content), _| {
            let is_sent = |asked: &HashSet<Digest>| content.size <= SMALL || asked.contains(&content.digest);
            let is_sent_unasked = new.get(at).is_some_and(is_sent);
            let repository = &self.deliveries[*at].repository;
            if !is_sent_unasked && !self.is_there(*at, &content.digest) && repository.holds_content(content)? {
                self.has(*at, &content.digest);
            }
            Ok(())
        });
        found.map_err(|(_, error)| error)?;
        Ok(wanted)
    }

    /// Asks what the names mean. A tag comes last, when everything is there: where it means what it should, nothing of that
    /// image is asked for. Returns the deliveries of which a name is there.
    fn believe_names(&self) -> Result<HashSet<usize>, StoreError> {
        let names: Vec<(usize, &String, &Vec<Digest>, &Digest)> = (self.deliveries.iter().enumerate())
            .flat_map(|(at, delivery)| delivery.names.iter().map(move |(tag, digest)| (at, delivery, tag, digest)))
            .filter_map(|(at, delivery, tag, digest)| Some((at, tag.as_ref()?, delivery.whole.get(digest)?, digest)))
            .collect();
        let named = Mutex::new(HashSet::new());
        let believed = in_lanes(&names, self.lanes.get(), self.registry.cancel(), |(at, tag, whole, digest), _| {
            let published = self.deliveries[*at].repository.published(tag)?;
            if published.is_some() {
                named.lock().unwrap_or_else(PoisonError::into_inner).insert(*at);
            }
            if published == Some(**digest) {
                for digest in *whole {
                    self.has(*at, digest);
                }
            }
            Ok(())
        });
        believed.map_err(|(_, error)| error)?;
        Ok(named.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Finds the deliveries whose repositories are not there yet, and so have nothing: the registry knows none of the name,
    /// and has none of the largest pieces, which are returned. A push that was broken off has left those that came first, and the
    /// largest come first.
    fn new_repositories(&self, named: &HashSet<usize>) -> Result<HashMap<usize, HashSet<Digest>>, StoreError> {
        let mut new = HashMap::new();
        for (at, delivery) in self.deliveries.iter().enumerate() {
            // where everything is to be asked for, no image is believed to be whole
            let asks = delivery.contents.len() > FEW && !delivery.whole.is_empty() && !named.contains(&at);
            if !asks || !delivery.repository.is_unknown() {
                continue;
            }
            let mut largest: Vec<&Content> = delivery.contents.iter().map(|(content, _)| content).collect();
            largest.sort_by_key(|content| std::cmp::Reverse(content.size));
            largest.dedup_by_key(|content| content.digest);
            largest.truncate(SAMPLE);
            let found = Mutex::new(false);
            let asked = in_lanes(&largest, self.lanes.get(), self.registry.cancel(), |content, _| {
                if delivery.repository.holds_content(content)? {
                    *found.lock().unwrap_or_else(PoisonError::into_inner) = true;
                }
                Ok(())
            });
            asked.map_err(|(_, error)| error)?;
            if !found.into_inner().unwrap_or_else(PoisonError::into_inner) {
                new.insert(at, largest.into_iter().map(|content| content.digest).collect());
            }
        }
        Ok(new)
    }

    /// Finds a repository that has a blob, to be read from: one that is known to, or one of those (paths) that are likely to, that are written
    /// to, or that took it in an earlier run. `None` when none of them has it.
    ///
    /// # Errors
    /// When the registry cannot be reached.
    pub fn repository_with(&self, blob: &Content, likely: &[String]) -> Result<Option<Repository>, StoreError> {
        let repository = |path: &str| Repository::new(Arc::clone(&self.registry), path);
        if let Some(path) = self.registry.holder(&blob.digest) {
            return Ok(Some(repository(&path)));
        }
        let own = self.deliveries.iter().map(|delivery| delivery.repository.path.as_str());
        let mut asked = HashSet::new();
        let paths = likely.iter().map(String::as_str).chain(own).chain(self.holders.of(&blob.digest, ""));
        for path in paths.filter(|path| asked.insert(*path)) {
            let repository = repository(path);
            if self.gives(&repository, blob)? {
                return Ok(Some(repository));
            }
        }
        Ok(None)
    }

    /// Asks a repository for content. What we may not look at, we may not take from.
    pub(super) fn gives(&self, repository: &Repository, content: &Content) -> Result<bool, StoreError> {
        let held = match repository.holds_content(content) {
            Err(error) if error.class() == Class::Refused => false,
            held => held?,
        };
        if held {
            self.registry.has(&repository.path, &content.digest);
        }
        Ok(held)
    }

    /// Returns a repository that has, or may have, some content that a delivery lacks.
    pub(super) fn holder(&self, at: usize, digest: &Digest) -> Option<String> {
        let delivery = &self.deliveries[at];
        let noted = || self.holders.of(digest, &delivery.repository.path).map(str::to_owned);
        self.registry.holder(digest).or_else(noted).or_else(|| delivery.sibling.clone())
    }

    /// Notes which repositories have blobs now, for the next run.
    pub(super) fn note_holders(&self) {
        let blobs = self.deliveries.iter().flat_map(|delivery| {
            let path = delivery.repository.path.as_str();
            // also small ones: a mount is one request, an upload two
            let blobs = delivery.contents.iter().filter(|(content, _)| !matches!(content.kind, Kind::Manifest(_)));
            blobs.map(move |(blob, _)| (&blob.digest, path))
        });
        self.holders.note(blobs);
    }

    /// Takes a blob from a sibling where one has it. Returns whether every repository has it then.
    pub(super) fn mount_what_can_be(&self, content: &Content) -> Result<bool, StoreError> {
        for at in self.lacking(&content.digest) {
            let delivery = &self.deliveries[at];
            let Some(from) = self.holder(at, &content.digest).filter(|from| *from != delivery.repository.path) else {
                continue;
            };
            if self.unwilling.lock().unwrap_or_else(PoisonError::into_inner).contains(&from) {
                continue;
            }
            let mount = match delivery.repository.mount(&content.digest, &from) {
                // whoever gets no token for both repositories may still write to this one
                Err(error) if error.class() == Class::Refused => {
                    self.unwilling.lock().unwrap_or_else(PoisonError::into_inner).insert(from);
                    continue;
                }
                mount => mount?,
            };
            match mount {
                Mount::Done => {
                    self.has(at, &content.digest);
                    let mut tally = self.tally_mut();
                    tally.mounted += 1;
                    tally.mounted_bytes += content.size;
                }
                Mount::Session(session) => self.keep_session(&content.digest, at, session),
                Mount::Refused => {}
            }
        }
        Ok(self.lacking(&content.digest).is_empty())
    }
}
