//! The names of what is pushed: they come last, and each is asked for afterwards.

use std::sync::PoisonError;
use std::time::Duration;

use super::delivery::{Confirmed, Delivery, Taken};
use super::push::RegistrySink;
use crate::digest::Digest;
use crate::error::Class;
use crate::store::{Location, StoreError};

/// How long to wait before each look whether a name means what it should.
const CONFIRM: [Duration; 3] = [Duration::ZERO, Duration::from_millis(250), Duration::from_secs(1)];

impl RegistrySink {
    /// Refuses tags that mean something else, where they must not be replaced.
    pub(super) fn refuse_taken(&self, delivery: &Delivery) -> Result<(), StoreError> {
        if delivery.taken == Taken::Replace {
            return Ok(());
        }
        for (tag, digest) in &delivery.names {
            let Some(tag) = tag else { continue };
            if let Some(there) = delivery.repository.published(tag)?.filter(|there| there != digest) {
                return Err(self.taken(delivery, tag, &there, digest));
            }
        }
        Ok(())
    }

    fn taken(&self, delivery: &Delivery, tag: &str, there: &Digest, digest: &Digest) -> StoreError {
        let place = Location::Registry(format!("{}/{}:{tag}", self.registry.name(), delivery.repository.path));
        let reason = format!("it is {there} there, and this is {digest}");
        let hint = Some("give it another tag, or leave out --no-clobber to replace it".to_owned());
        self.registry.remote("push to", &place, Class::Unsupported, reason, hint)
    }

    pub(super) fn stored_other(
        &self,
        delivery: &Delivery,
        reference: &str,
        got: &Digest,
        expected: &Digest,
    ) -> StoreError {
        let separator = if reference.contains(':') { '@' } else { ':' };
        let name = format!("{}/{}{separator}{reference}", self.registry.name(), delivery.repository.path);
        let reason = format!("the registry says that it is {got}, expected {expected}");
        let hint = Some("somebody else pushed at the same time, or the registry rewrites what it is given".to_owned());
        self.registry.remote("confirm", &Location::Registry(name), Class::Content, reason, hint)
    }

    /// Asks whether a name means what it should. A registry of several machines may need a moment to agree.
    fn confirm(&self, delivery: &Delivery, reference: &str, expected: &Digest) -> Result<(), StoreError> {
        let repository = &delivery.repository;
        let mut got = None;
        for pause in CONFIRM {
            if !self.registry.cancel().sleep(pause) {
                return Err(StoreError::Cancelled);
            }
            got = repository.published(reference)?;
            if got.as_ref() == Some(expected) {
                return Ok(());
            }
        }
        match got {
            Some(got) => Err(self.stored_other(delivery, reference, &got, expected)),
            None => {
                let reason = "the registry took it and does not have it";
                Err(self.registry.remote("confirm", &repository.location, Class::Content, reason, None))
            }
        }
    }

    /// Gives one name, and asks for it.
    pub(super) fn name(&self, at: usize, tag: Option<&str>, digest: &Digest) -> Result<Confirmed, StoreError> {
        let delivery = &self.deliveries[at];
        let repository = &delivery.repository;
        let reference = tag.map_or_else(|| digest.to_string(), str::to_owned);
        let before = repository.published(&reference)?;
        let right = before == Some(*digest);
        if let (Some(tag), Some(there), Taken::Refuse, false) = (tag, &before, delivery.taken, right) {
            return Err(self.taken(delivery, tag, there, digest));
        }
        if !right {
            let document = self.documents.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned();
            let (media_type, bytes) = document.ok_or_else(|| StoreError::Missing {
                digest: *digest,
                place: Location::Memory("what was pushed".to_owned()),
            })?;
            repository.put_document(&reference, &media_type, &bytes)?;
            self.tally_mut().manifests += 1;
            self.confirm(delivery, &reference, digest)?;
        }
        let unchanged = right && (tag.is_some() || !self.was_written(at, digest));
        Ok(self.named(delivery, tag, digest, unchanged, before))
    }

    fn named(
        &self,
        delivery: &Delivery,
        tag: Option<&str>,
        digest: &Digest,
        unchanged: bool,
        before: Option<Digest>,
    ) -> Confirmed {
        Confirmed {
            repository: format!("{}/{}", self.registry.name(), delivery.repository.path),
            tag: tag.map(str::to_owned),
            digest: *digest,
            unchanged,
            previous: before.filter(|before| before != digest),
        }
    }

    /// Asks what every name means now, and returns what would be confirmed if all of them were given. Writes nothing.
    ///
    /// # Errors
    /// When the registry cannot be reached or does not say.
    pub fn foresee(&self) -> Result<Vec<Confirmed>, StoreError> {
        let mut foreseen = Vec::new();
        for delivery in &self.deliveries {
            for (tag, digest) in &delivery.names {
                let before = delivery.repository.published(&tag.clone().unwrap_or_else(|| digest.to_string()))?;
                foreseen.push(self.named(delivery, tag.as_deref(), digest, before == Some(*digest), before));
            }
        }
        Ok(foreseen)
    }
}
