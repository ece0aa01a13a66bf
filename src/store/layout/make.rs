//! How content that barge makes itself comes into `blobs/`: its digest is known only when its last byte was written, and it
//! gets its name only when everything else is there too.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::beneath::Directory;
use super::temporary::{BLOB, Temporary};
use crate::blob::{Making, Proof};
use crate::content::{Content, Kind};
use crate::digest::{Algorithm, Digest};
use crate::store::{Durability, Outcome, StoreError};

/// Content that was made and has no name yet; dropped, it is gone.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<BTreeMap<Digest, (Proof, Temporary)>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, (Proof, Temporary)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `write` a temporary file to write content to; what fails leaves nothing. The file that is returned is the same
    /// one, for reading.
    pub(super) fn make<T, E: From<StoreError>>(
        &self,
        directory: &Directory,
        kind: Kind,
        durability: Durability,
        write: impl FnOnce(&mut Making<'_>) -> Result<T, E>,
    ) -> Result<(Content, File, T), E> {
        let mut temporary = Temporary::create(directory, BLOB)?;
        let mut making = Making::new(kind, directory.path(), temporary.file());
        let result = write(&mut making)?;
        let proof = making.finish().map_err(StoreError::io("write", directory.path()))?;
        temporary.flush(&proof.content().digest.hex(), durability)?;
        let file = temporary.file().try_clone().map_err(StoreError::io("read", directory.path()))?;
        let content = proof.content().clone();
        self.lock().insert(content.digest, (proof, temporary));
        Ok((content, file, result))
    }

    /// Gives those their names that are coming, takes them out of what is wanted, and returns them with what became of them.
    pub(super) fn name(
        &self,
        directory: &Directory,
        wanted: &mut Vec<Content>,
    ) -> Result<Vec<(Content, Outcome)>, StoreError> {
        let mut settled = Vec::new();
        for content in wanted.iter().filter(|content| content.digest.algorithm() == Algorithm::Sha256) {
            let Some((proof, temporary)) = self.lock().remove(&content.digest) else { continue };
            let was_there = directory.stat(&content.digest.hex())?.is_some();
            // what was there under this name may be wrong, this is not
            temporary.name_blob(&proof)?;
            settled.push((content.clone(), if was_there { Outcome::Present } else { Outcome::Written }));
        }
        wanted.retain(|content| !settled.iter().any(|(named, _)| named.digest == content.digest));
        Ok(settled)
    }

    /// Returns whether this was made and waits.
    pub(super) fn holds(&self, digest: &Digest) -> bool {
        self.lock().contains_key(digest)
    }

    /// Forgets what is not wanted.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }
}
