//! Removing content from a layout, while no writer of barge can rely on it.

use std::time::{Duration, SystemTime};

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::beneath::Directory;
use super::{Layout, files, lock, temporary};
use crate::blob::Cancel;
use crate::digest::{Algorithm, Digest};
use crate::store::{Durability, StoreError};

/// A layout from which content may be removed: the exclusive lock on its directory, until this is dropped.
#[derive(Debug)]
pub struct Sweeper {
    layout: Layout,
    index: Option<Vec<u8>>,
    removed: Vec<Algorithm>,
}

impl Sweeper {
    /// Waits until no writer holds the layout, and keeps new ones out.
    ///
    /// # Errors
    /// As [`Layout::open`]; [`StoreError::Busy`] when a writer holds it for longer than the timeout.
    pub fn open(path: &std::path::Path, timeout: Duration, cancel: &Cancel) -> Result<Self, StoreError> {
        let layout = Layout::open(path)?;
        lock::exclude_others(&layout.root, timeout, cancel)?;
        let index = files::read_index(&layout.root)?;
        Ok(Self { layout, index, removed: Vec::new() })
    }

    /// Returns the layout, to be read.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns whether `index.json` is what it was when this was opened. Programs that take no lock may change it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_unchanged(&self) -> Result<bool, StoreError> {
        Ok(files::read_index(&self.layout.root)? == self.index)
    }

    /// Returns how long ago a blob was written; none when it is gone, or was written in the future.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn age(&self, digest: &Digest) -> Result<Option<Duration>, StoreError> {
        let path = digest.blob_path();
        let Some((file, _)) = self.layout.root.file_itself(&path)? else { return Ok(None) };
        let metadata = file.metadata().map_err(StoreError::io("read", self.layout.root.path_of(&path)))?;
        let written = metadata.modified().ok();
        Ok(written.and_then(|written| SystemTime::now().duration_since(written).ok()))
    }

    /// Removes a blob; one that is gone already is no failure.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&mut self, digest: &Digest) -> Result<(), StoreError> {
        let Some(directory) = self.directory(digest.algorithm())? else { return Ok(()) };
        match rustix::fs::unlinkat(directory.handle(), digest.hex(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(StoreError::io("remove", directory.path_of(&digest.hex()))(error.into())),
        }
        if !self.removed.contains(&digest.algorithm()) {
            self.removed.push(digest.algorithm());
        }
        Ok(())
    }

    /// Removes the temporary files of dead processes.
    ///
    /// # Errors
    /// When a directory cannot be opened.
    pub fn remove_leftovers(&self) -> Result<(), StoreError> {
        for algorithm in Algorithm::ALL {
            if let Some(directory) = self.directory(algorithm)? {
                temporary::remove_stale(&directory, temporary::BLOB);
            }
        }
        for prefix in temporary::TOP {
            temporary::remove_stale(&self.layout.root, prefix);
        }
        Ok(())
    }

    /// Makes what was removed stay removed after a loss of power.
    ///
    /// # Errors
    /// When a directory cannot be flushed.
    pub fn finish(self, durability: Durability) -> Result<(), StoreError> {
        for algorithm in &self.removed {
            if let (Durability::Synced, Some(directory)) = (durability, self.directory(*algorithm)?) {
                directory.sync()?;
            }
        }
        Ok(())
    }

    fn directory(&self, algorithm: Algorithm) -> Result<Option<Directory>, StoreError> {
        self.layout.root.below(&format!("blobs/{}", algorithm.name()))
    }
}
