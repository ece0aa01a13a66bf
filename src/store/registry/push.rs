//! A registry as a sink: one run sends to all its repositories what is not there yet, and names come last.
//!
//! | step | what happens | what others see |
//! |---|---|---|
//! | `survey` | every repository is asked for every blob and manifest it is to have | nothing |
//! | `begin` | blobs that a sibling has are mounted; an upload is begun where one is needed, so that a repository that is not there is known before a byte is sent | nothing |
//! | `put` | a blob goes to one repository, and is mounted to its siblings; manifests are written by their digests, children first | nothing |
//! | `commit` | lists of referrers where the registry keeps none; then tags, and each is asked for again | the names |
//!
//! What belongs to an image goes after it: the image is written by its digest, then its referrers, then theirs, and the tag
//! comes when all of them are there. Who finds the image by its tag finds what belongs to it.
//!
//! That a registry says it has a blob of the right digest and size is believed: it checks digests itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::client::Registry;
use super::delivery::{Confirmed, Delivery, Survey, Tally};
use super::holders::Holders;
use super::journal::Journal;
use super::known::Question;
use super::repository::Repository;
use super::sending::Upload;
use crate::blob::BlobReader;
use crate::content::{Content, Kind};
use crate::digest::Digest;
use crate::media::{MediaType, Role};
use crate::store::lanes::in_lanes;
use crate::store::{Committed, Inventory, Location, Outcome, PutError, Sink, StoreError};

/// A manifest that gets a name, at hand.
type Document = (MediaType, Arc<[u8]>);

/// A registry that is written.
pub struct RegistrySink {
    pub(super) registry: Arc<Registry>,
    location: Location,
    pub(super) deliveries: Vec<Delivery>,
    /// Which deliveries a piece of content belongs to.
    wanted_by: HashMap<Digest, Vec<usize>>,
    surveyed: bool,
    /// What needs no bytes to be sent, and why.
    settled: Vec<(Content, Outcome)>,
    pub(super) uploads: Mutex<HashMap<Digest, Upload>>,
    pub(super) documents: Mutex<HashMap<Digest, Document>>,
    /// Manifests that this run has written by their digests.
    written: Mutex<HashSet<(usize, Digest)>>,
    /// Referrers that the registry has said to know as such.
    acknowledged: Mutex<HashSet<(usize, Digest)>>,
    /// What has referrers in each delivery, and what each referrer belongs to.
    subjects: Vec<(HashSet<Digest>, HashMap<Digest, Digest>)>,
    confirmed: Vec<Confirmed>,
    pub(super) tally: Mutex<Tally>,
    pub(super) journal: Journal,
    pub(super) holders: Holders,
    /// Repositories that nothing can be taken from.
    pub(super) unwilling: Mutex<HashSet<String>>,
    pub(super) lanes: NonZeroUsize,
}

impl RegistrySink {
    /// Prepares to write to repositories of one registry; nothing is asked yet. `None` without a delivery.
    #[must_use]
    pub fn new(mut deliveries: Vec<Delivery>) -> Option<Self> {
        for delivery in &mut deliveries {
            delivery.repository = delivery.repository.clone().for_writing();
        }
        let registry = Arc::clone(&deliveries.first()?.repository.registry);
        let location = match deliveries.as_slice() {
            [one] => one.repository.location.clone(),
            _ => registry.place(None),
        };
        let mut wanted_by: HashMap<Digest, Vec<usize>> = HashMap::new();
        for (at, delivery) in deliveries.iter().enumerate() {
            for (content, _) in &delivery.contents {
                let wanted = wanted_by.entry(content.digest).or_default();
                if wanted.last() != Some(&at) {
                    wanted.push(at);
                }
            }
        }
        let subjects = deliveries.iter().map(|delivery| {
            let pairs = delivery.referrers.iter().map(|one| (*one.listed.digest(), one.subject));
            (pairs.clone().map(|(_, subject)| subject).collect(), pairs.collect())
        });
        let subjects = subjects.collect();
        let (lanes, state) = (registry.options().lanes, registry.options().state.clone());
        let holders = Holders::below(state.as_deref(), registry.name());
        Some(Self {
            registry,
            location,
            deliveries,
            wanted_by,
            surveyed: false,
            settled: Vec::new(),
            uploads: Mutex::default(),
            documents: Mutex::default(),
            written: Mutex::default(),
            acknowledged: Mutex::default(),
            subjects,
            confirmed: Vec::new(),
            tally: Mutex::default(),
            journal: Journal::below(state.as_deref()),
            holders,
            unwilling: Mutex::default(),
            lanes,
        })
    }

    /// Returns what was confirmed, in order.
    #[must_use]
    pub fn confirmed(&self) -> &[Confirmed] {
        &self.confirmed
    }

    /// Returns what was done so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        *self.tally_mut()
    }

    pub(super) fn tally_mut(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks every repository what it has. Writes nothing.
    ///
    /// # Errors
    /// When the registry cannot be reached, does not let us, or has a tag that must not be replaced.
    pub fn survey(&mut self) -> Result<Survey, StoreError> {
        let questions = self.ask(Question::Everything)?;
        self.surveyed = true;
        let mut survey = Survey::default();
        let mut given: HashSet<Digest> = HashSet::new();
        for (at, content) in &questions {
            let there = self.is_there(*at, &content.digest);
            let bytes = content.size;
            let add = |counts: &mut (u64, u64)| *counts = (counts.0 + 1, counts.1 + bytes);
            match (&content.kind, there) {
                (Kind::Manifest(_), true) => {}
                (Kind::Manifest(_), false) => {
                    survey.manifests += 1;
                    survey.referrers += u64::from(self.subjects[*at].1.contains_key(&content.digest));
                }
                (_, true) => add(&mut survey.existing),
                (_, false) => {
                    let mountable = self.holder(*at, &content.digest).is_some() || !given.insert(content.digest);
                    add(if mountable { &mut survey.mount } else { &mut survey.upload });
                }
            }
        }
        Ok(survey)
    }

    /// Returns what of some content this registry neither has in the repositories that want it nor can take from another
    /// one: from a repository that wants it too, or from one of those (paths) that are said to have had it. To be asked after
    /// [`Self::survey`].
    ///
    /// # Errors
    /// When the registry cannot be reached, or does not let us.
    pub fn without_origin(
        &self,
        needed: &[Content],
        hints: &HashMap<Digest, Vec<String>>,
    ) -> Result<Vec<Content>, StoreError> {
        let mut without = Vec::new();
        'needed: for content in needed {
            if self.lacking(&content.digest).is_empty() || self.registry.holder(&content.digest).is_some() {
                continue;
            }
            for path in hints.get(&content.digest).into_iter().flatten() {
                if self.gives(&Repository::new(Arc::clone(&self.registry), path), content)? {
                    continue 'needed;
                }
            }
            without.push(content.clone());
        }
        Ok(without)
    }

    pub(super) fn has(&self, at: usize, digest: &Digest) {
        self.registry.has(&self.deliveries[at].repository.path, digest);
    }

    pub(super) fn is_there(&self, at: usize, digest: &Digest) -> bool {
        self.registry.is_there(&self.deliveries[at].repository.path, digest)
    }

    /// Returns the deliveries that lack some content.
    pub(super) fn lacking(&self, digest: &Digest) -> Vec<usize> {
        let wanted = self.wanted_by.get(digest).into_iter().flatten();
        wanted.copied().filter(|at| !self.is_there(*at, digest)).collect()
    }

    /// Begins an upload in every repository that will need one: what cannot be written to is known before bytes are sent.
    fn knock(&self, wanted: &[Content]) -> Result<(), StoreError> {
        let mut knocked = HashSet::new();
        for content in wanted {
            for at in self.lacking(&content.digest).into_iter().take(1) {
                if knocked.insert(at) && !self.has_session(&content.digest, at) {
                    let session = self.deliveries[at].repository.begin_upload()?;
                    self.keep_session(&content.digest, at, session);
                }
            }
        }
        // what others get first comes from them; that it may come here is found out all the same
        for at in wanted.iter().flat_map(|content| self.lacking(&content.digest)) {
            if knocked.insert(at) {
                let repository = &self.deliveries[at].repository;
                repository.end_upload(&repository.begin_upload()?);
            }
        }
        Ok(())
    }

    fn write_document(&self, content: &Content, media_type: &MediaType, bytes: &[u8]) -> Result<(), StoreError> {
        for at in self.lacking(&content.digest) {
            let delivery = &self.deliveries[at];
            let below = delivery.contents.iter().any(|(it, below)| it.digest == content.digest && *below);
            let tagged = delivery.names.iter().any(|(tag, digest)| tag.is_some() && *digest == content.digest);
            let (subjects, referrers) = &self.subjects[at];
            if tagged && !below && !subjects.contains(&content.digest) && !referrers.contains_key(&content.digest) {
                continue; // it is written under its tag, at the end
            }
            let stored = delivery.repository.put_document(&content.digest.to_string(), media_type, bytes)?;
            if let Some(got) = stored.digest.filter(|got| *got != content.digest) {
                return Err(self.stored_other(delivery, &content.digest.to_string(), &got, &content.digest));
            }
            self.has(at, &content.digest);
            self.written.lock().unwrap_or_else(PoisonError::into_inner).insert((at, content.digest));
            let subject = referrers.get(&content.digest);
            if subject.is_some() && stored.subject.as_ref() == subject {
                self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).insert((at, content.digest));
            }
            let mut tally = self.tally_mut();
            tally.manifests += 1;
            tally.referrers += u64::from(subject.is_some());
        }
        Ok(())
    }

    /// Returns whether the registry has said to know a referrer as such.
    pub(super) fn is_acknowledged(&self, at: usize, digest: &Digest) -> bool {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).contains(&(at, *digest))
    }

    /// Returns whether this run has written a manifest by its digest.
    pub(super) fn was_written(&self, at: usize, digest: &Digest) -> bool {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).contains(&(at, *digest))
    }

    /// Returns when a document is written: after the earlier turns, where all that want it agree.
    fn turn(&self, content: &Content) -> usize {
        let wanted = self.wanted_by.get(&content.digest).into_iter().flatten();
        wanted.map(|at| self.deliveries[*at].turns.get(&content.digest).copied().unwrap_or(0)).min().unwrap_or(0)
    }
}

impl Sink for RegistrySink {
    fn location(&self) -> &Location {
        &self.location
    }

    fn begin(&mut self, coming: &Inventory) -> Result<Vec<Vec<Content>>, StoreError> {
        if !self.surveyed {
            self.ask(Question::WhatSaves)?;
        }
        self.journal.sweep();
        let ours = |content: &&Content| self.wanted_by.contains_key(&content.digest);
        let (documents, blobs): (Vec<&Content>, Vec<&Content>) =
            coming.contents.iter().filter(ours).partition(|content| matches!(content.kind, Kind::Manifest(_)));
        for blob in &blobs {
            let wanted = self.wanted_by.get(&blob.digest).map_or(0, Vec::len);
            let existing = wanted - self.lacking(&blob.digest).len();
            let mut tally = self.tally_mut();
            tally.existing += existing as u64;
            tally.existing_bytes += blob.size * existing as u64;
        }
        let (there, missing): (Vec<Content>, Vec<Content>) =
            blobs.into_iter().cloned().partition(|blob| self.lacking(&blob.digest).is_empty());
        let mounted = in_lanes(&missing, self.lanes.get(), self.registry.cancel(), |content, _| {
            self.mount_what_can_be(content).map(drop)
        });
        mounted.map_err(|(_, error)| error)?;
        let (mounted, mut missing): (Vec<Content>, Vec<Content>) =
            missing.into_iter().partition(|blob| self.lacking(&blob.digest).is_empty());
        let settled = |blobs: Vec<Content>, outcome| blobs.into_iter().map(move |blob| (blob, outcome));
        self.settled = settled(there, Outcome::There).chain(settled(mounted, Outcome::Mounted)).collect();
        // the largest first: the last lane to end then has the least to do
        missing.sort_by_key(|content| std::cmp::Reverse(content.size));
        self.knock(&missing)?;
        let mut stages = vec![missing];
        let mut turns: BTreeMap<usize, Vec<&Content>> = BTreeMap::new();
        for document in documents {
            turns.entry(self.turn(document)).or_default().push(document);
        }
        // manifests refer to blobs only, and go together; indexes refer to each other, and go one by one
        let is_index = |content: &&Content| matches!(&content.kind, Kind::Manifest(it) if it.role() == Role::Index);
        for documents in turns.into_values() {
            let (indexes, manifests): (Vec<&Content>, Vec<&Content>) = documents.into_iter().partition(is_index);
            stages.push(manifests.into_iter().cloned().collect());
            stages.extend(indexes.into_iter().map(|index| vec![index.clone()]));
        }
        stages.retain(|stage| !stage.is_empty());
        Ok(stages)
    }

    fn settled(&self) -> Vec<(Content, Outcome)> {
        self.settled.clone()
    }

    /// What a registry has, it has checked: there is nothing to read here.
    fn held(&self, _: &Content) -> Result<Option<BlobReader<'_>>, StoreError> {
        Ok(None)
    }

    fn put(&self, blob: BlobReader<'_>) -> Result<Outcome, PutError> {
        let content = blob.content().clone();
        let Kind::Manifest(media_type) = &content.kind else { return self.send(&content, blob) };
        let bytes: Arc<[u8]> = Arc::from(blob.into_bytes().map_err(PutError::From)?);
        let there = self.lacking(&content.digest).is_empty();
        self.write_document(&content, media_type, &bytes)?;
        let named = |delivery: &Delivery| delivery.names.iter().any(|(_, digest)| *digest == content.digest);
        let is_referrer = || self.subjects.iter().any(|(_, referrers)| referrers.contains_key(&content.digest));
        if self.deliveries.iter().any(named) || is_referrer() {
            let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
            documents.insert(content.digest, (media_type.clone(), bytes));
        }
        Ok(if there { Outcome::There } else { Outcome::Sent })
    }

    fn commit(&mut self, _: &Inventory) -> Result<Committed, StoreError> {
        // the names of one repository in their order; repositories have nothing to do with each other
        let all: Vec<usize> = (0..self.deliveries.len()).collect();
        let confirmed: Mutex<BTreeMap<(usize, usize), Confirmed>> = Mutex::default();
        let listed = std::sync::atomic::AtomicBool::new(false);
        let lists = in_lanes(&all, self.lanes.get(), self.registry.cancel(), |at, _| {
            listed.fetch_or(self.list_referrers(*at)?, std::sync::atomic::Ordering::Relaxed);
            Ok(())
        });
        lists.map_err(|(_, error)| error)?;
        let named = in_lanes(&all, self.lanes.get(), self.registry.cancel(), |at, cancel| {
            for (number, (tag, digest)) in self.deliveries[*at].names.iter().enumerate() {
                if cancel.is_cancelled() {
                    return Err(StoreError::Cancelled);
                }
                let name = self.name(*at, tag.as_deref(), digest)?;
                confirmed.lock().unwrap_or_else(PoisonError::into_inner).insert((*at, number), name);
            }
            Ok(())
        });
        self.confirmed = confirmed.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect();
        named.map_err(|(_, error)| error)?;
        if self.registry.cancel().is_cancelled() {
            return Err(StoreError::Cancelled);
        }
        self.note_holders();
        let changed = listed.into_inner() || self.confirmed.iter().any(|name| !name.unchanged);
        Ok(if changed { Committed::Changed } else { Committed::Unchanged })
    }

    /// Nothing is visible before the commit; uploads under way are noted, for the next run to go on with.
    fn abandon(&mut self) {}

    fn lanes(&self) -> usize {
        self.lanes.get()
    }
}

impl std::fmt::Debug for RegistrySink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistrySink").field("location", &self.location).finish_non_exhaustive()
    }
}
