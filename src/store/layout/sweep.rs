//! Removing content from a layout, while no writer of barge can rely on it.

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::beneath::Directory;
use super::partial::{self, Partial};
use super::{Layout, LoadLeft, arrived, files, intake, lock, temporary};
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

/// A file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// Systems count devices and files in numbers of different widths.
    fn of(device: impl Into<i128>, inode: impl Into<i128>) -> Self {
        Self { device: device.into() as u64, inode: inode.into() as u64 }
    }
}

/// What stands under the name of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lying {
    /// Nothing any more.
    Nothing,
    /// A file.
    File {
        /// Which.
        file: FileId,
        /// How long ago it was written; none when that lies in the future.
        age: Option<Duration>,
    },
    /// A symbolic link to this file, inside the layout.
    Link(FileId),
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

    /// Returns `index.json` as it was when this was opened; empty when there was none.
    #[must_use]
    pub fn index(&self) -> &[u8] {
        self.index.as_deref().unwrap_or_default()
    }

    /// Returns what stands under the name of a blob.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn look_at(&self, digest: &Digest) -> Result<Lying, StoreError> {
        let Some(stat) = self.layout.stat_blob(digest)? else { return Ok(Lying::Nothing) };
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
            let file = FileId::of(stat.st_dev, stat.st_ino);
            return Ok(Lying::File { file, age: age_of(&stat) });
        }
        let path = digest.blob_path();
        let Some((file, _)) = self.layout.root.file(&path)? else { return Ok(Lying::Nothing) };
        let metadata = file.metadata().map_err(StoreError::io("read", self.layout.root.path_of(&path)))?;
        Ok(Lying::Link(FileId::of(metadata.dev(), metadata.ino())))
    }

    /// Removes a blob; one that is gone already is no failure.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&mut self, digest: &Digest) -> Result<(), StoreError> {
        let Some(directory) = self.layout.blob_directory(digest.algorithm())? else { return Ok(()) };
        match rustix::fs::unlinkat(directory.handle(), digest.hex(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(StoreError::io("remove", directory.path_of(&digest.hex()))(error.into())),
        }
        if !self.removed.contains(&digest.algorithm()) {
            self.removed.push(digest.algorithm());
        }
        Ok(())
    }

    /// Lists the beginnings of blobs that interrupted runs left.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn partials(&self) -> Result<Vec<Partial>, StoreError> {
        let mut found = Vec::new();
        for algorithm in Algorithm::ALL {
            if let Some(directory) = self.directory(algorithm)? {
                found.extend(partial::list(&directory, algorithm)?);
            }
        }
        found.sort_unstable_by_key(|partial| partial.digest);
        Ok(found)
    }

    /// Removes the beginning of a blob, unless somebody has come to continue it; returns whether it went.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_partial(&self, digest: &Digest) -> Result<bool, StoreError> {
        let Some(directory) = self.directory(digest.algorithm())? else { return Ok(false) };
        partial::remove(&directory, digest)
    }

    /// Removes what interrupted runs noted about what had arrived, when it is older than this or tells nothing more.
    pub fn remove_journals(&self, grace: Duration) {
        arrived::sweep(&self.layout.root, grace);
    }

    /// Lists what loads from several media left that have not come to their end.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn loads(&self) -> Result<Vec<LoadLeft>, StoreError> {
        intake::list(&self.layout.root)
    }

    /// Removes what a load left.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_load(&self, left: &LoadLeft) -> Result<(), StoreError> {
        intake::remove_left(&self.layout.root, left)
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

/// Returns how long ago a file was written; none when that lies in the future.
fn age_of(stat: &rustix::fs::Stat) -> Option<Duration> {
    let seconds = Duration::from_secs(stat.st_mtime.unsigned_abs());
    let nanoseconds = Duration::from_nanos(u64::try_from(i128::from(stat.st_mtime_nsec)).ok()?);
    let second = if stat.st_mtime < 0 { UNIX_EPOCH.checked_sub(seconds) } else { UNIX_EPOCH.checked_add(seconds) };
    SystemTime::now().duration_since(second?.checked_add(nanoseconds)?).ok()
}
