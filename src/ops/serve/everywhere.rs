//! All places as one source: content is taken from the first that has it.

use std::sync::Arc;

use super::blob::Blob;
use super::place::Snapshot;
use crate::blob::BlobReader;
use crate::content::{Content, Descriptor};
use crate::store::{Location, Source, StoreError};

/// All places that are served, as they were at one moment.
#[derive(Clone, Debug)]
pub(super) struct Everywhere {
    snapshots: Vec<Arc<Snapshot>>,
    location: Location,
}

impl Everywhere {
    /// Takes the places, in the order in which they were given.
    pub(super) fn new(snapshots: Vec<Arc<Snapshot>>) -> Self {
        let location = match snapshots.as_slice() {
            [one] => one.store().location().clone(),
            _ => Location::Memory("the places that are served".to_owned()),
        };
        Self { snapshots, location }
    }

    /// Returns the places.
    pub(super) fn snapshots(&self) -> &[Arc<Snapshot>] {
        &self.snapshots
    }

    /// Finds content; `None` when no place has it.
    ///
    /// # Errors
    /// When a place has it and it cannot be used, and no other place has it.
    pub(super) fn find(&self, content: &Content) -> Result<Option<Blob>, StoreError> {
        let mut failed = None;
        for snapshot in &self.snapshots {
            match Blob::find(snapshot, content) {
                Ok(Some(blob)) => return Ok(Some(blob)),
                Ok(None) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(None), Err)
    }
}

impl Source for Everywhere {
    fn location(&self) -> &Location {
        &self.location
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        Ok(self.snapshots.iter().flat_map(|snapshot| snapshot.roots().iter().cloned()).collect())
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        let mut failed = None;
        for snapshot in &self.snapshots {
            match snapshot.store().open(content) {
                Ok(reader) => return Ok(reader),
                // that it is nowhere is said when it is nowhere
                Err(error @ StoreError::Missing { .. }) => failed = failed.or(Some(error)),
                Err(error) => {
                    failed = failed.filter(|held| !matches!(held, StoreError::Missing { .. })).or(Some(error));
                }
            }
        }
        Err(failed.unwrap_or_else(|| StoreError::Missing { digest: content.digest, place: self.location.clone() }))
    }
}
