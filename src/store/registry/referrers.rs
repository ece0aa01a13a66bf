//! Referrers of what is pushed: whether the registry knows them as such, and what is done where it does not
//! (distribution-spec v1.1.1, spec.md, "Pushing Manifests with Subject").
//!
//! A registry that lists referrers says so when it takes one (`OCI-Subject`). Of one that was there before, it is asked.
//! Where it neither said nor lists it, the list is kept under a tag.

use std::collections::HashSet;
use std::sync::PoisonError;

use super::push::RegistrySink;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::store::StoreError;

/// Something that belongs to a manifest and says so itself.
#[derive(Clone, Debug)]
pub struct Referrer {
    /// What it belongs to.
    pub subject: Digest,
    /// As a list of referrers shows it: with its type of artifact, and its annotations pulled up.
    pub listed: Descriptor,
}

impl RegistrySink {
    /// Makes the referrers of one delivery known as such. Returns whether anything had to be written for it.
    pub(super) fn list_referrers(&self, at: usize) -> Result<bool, StoreError> {
        let mut changed = false;
        for (subject, ours) in by_subject(&self.deliveries[at].referrers) {
            let unlisted = self.unlisted(at, &subject, &ours)?;
            if !unlisted.is_empty() && self.deliveries[at].repository.list_under_tag(&subject, &unlisted)? {
                changed = true;
                self.tally_mut().lists += 1;
            }
        }
        Ok(changed)
    }

    /// Returns the referrers that the registry does not know as such.
    fn unlisted(&self, at: usize, subject: &Digest, ours: &[Descriptor]) -> Result<Vec<Descriptor>, StoreError> {
        let repository = &self.deliveries[at].repository;
        let unsaid: Vec<Descriptor> =
            ours.iter().filter(|one| !self.is_acknowledged(at, one.digest())).cloned().collect();
        if unsaid.is_empty() {
            return Ok(unsaid);
        }
        let Some(listed) = repository.listed_by_api(subject)? else { return Ok(unsaid) };
        let listed: HashSet<&Digest> = listed.entries.iter().map(Descriptor::digest).collect();
        let mut unlisted = Vec::new();
        for one in unsaid.into_iter().filter(|one| !listed.contains(one.digest())) {
            // it came there before the registry listed any: what is written again is looked at again
            if !self.was_written(at, one.digest()) && self.write_again(at, subject, one.digest())? {
                continue;
            }
            unlisted.push(one);
        }
        Ok(unlisted)
    }

    fn write_again(&self, at: usize, subject: &Digest, digest: &Digest) -> Result<bool, StoreError> {
        let document = self.documents.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned();
        let Some((media_type, bytes)) = document else { return Ok(false) };
        let stored = self.deliveries[at].repository.put_document(&digest.to_string(), &media_type, &bytes)?;
        self.tally_mut().manifests += 1;
        Ok(stored.subject.as_ref() == Some(subject))
    }

    /// Returns how many lists of referrers would be written, as far as that can be told before anything is.
    ///
    /// # Errors
    /// When the registry cannot be reached.
    pub fn foresee_lists(&self) -> Result<u64, StoreError> {
        let mut lists = 0;
        for delivery in &self.deliveries {
            for (subject, ours) in by_subject(&delivery.referrers) {
                let repository = &delivery.repository;
                if repository.listed_by_api(&subject)?.is_some() {
                    continue;
                }
                let held = repository.listed_by_tag(&subject)?.map(|listed| listed.entries).unwrap_or_default();
                let is_held = |one: &Descriptor| held.iter().any(|entry| entry.digest() == one.digest());
                lists += u64::from(!ours.iter().all(is_held));
            }
        }
        Ok(lists)
    }
}

/// Groups referrers by what they belong to, in their order.
fn by_subject(referrers: &[Referrer]) -> Vec<(Digest, Vec<Descriptor>)> {
    let mut groups: Vec<(Digest, Vec<Descriptor>)> = Vec::new();
    let mut at = std::collections::HashMap::new();
    for Referrer { subject, listed } in referrers {
        let next = groups.len();
        let group = *at.entry(*subject).or_insert(next);
        if group == next {
            groups.push((*subject, Vec::new()));
        }
        groups[group].1.push(listed.clone());
    }
    groups
}
