//! The lock on an archive that is added to.
//!
//! It is on the file itself. Whoever had it before may have put another file in its place: so a lock counts only while the
//! path still names the locked file.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use crate::blob::Cancel;
use crate::store::{Location, StoreError, flock};

/// An existing archive that nobody else may replace as long as this lives: an exclusive `flock` on the file itself.
#[derive(Debug)]
pub struct ArchiveLock {
    path: PathBuf,
    file: File,
}

impl ArchiveLock {
    /// Locks the file that the path names, and waits while another process holds it.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when it is still held after the time given, [`StoreError::Cancelled`] when somebody asked to
    /// stop, [`StoreError::Unsupported`] where files cannot be locked, [`StoreError::Io`] when it cannot be opened.
    pub fn wait_for(path: &Path, timeout: Duration, cancel: &Cancel) -> Result<Self, StoreError> {
        flock::wait(&Location::Archive(path.to_owned()), timeout, cancel, || Self::take(path))
    }

    /// Tries to lock the file that the path names now.
    fn take(path: &Path) -> Result<Option<Self>, StoreError> {
        let file = File::open(path).map_err(StoreError::io("open", path))?;
        const HINT: &str = "write to a local file system, or write a new archive there: it needs no lock";
        let failed = |error| flock::failed(error, &Location::Archive(path.to_owned()), path, HINT);
        if !flock::try_exclusive(&file).map_err(failed)? {
            return Ok(None);
        }
        let lock = Self { path: path.to_owned(), file };
        Ok(if lock.is_current()? { Some(lock) } else { None })
    }

    /// Returns the path as it was given.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where the file itself stands: a link to it is to stay a link.
    pub(super) fn real_path(&self) -> Result<PathBuf, StoreError> {
        std::fs::canonicalize(&self.path).map_err(StoreError::io("look at", &self.path))
    }

    /// Gives a file that is to take its place the same mode and, as far as this user may, the same owner: what was
    /// private stays so.
    pub(super) fn pass_on_access(&self, to: &File) -> Result<(), StoreError> {
        let failed = |error| StoreError::io("write", &self.path)(error);
        let held = self.file.metadata().map_err(failed)?;
        let _ = std::os::unix::fs::fchown(to, Some(held.uid()), Some(held.gid()));
        match to.set_permissions(held.permissions()) {
            // the file is ours, so only a file system without modes says this, and there is nothing to pass on
            Err(error)
                if matches!(Errno::from_io_error(&error), Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS)) =>
            {
                Ok(())
            }
            done => done.map_err(failed),
        }
    }

    /// Returns whether the path still names the locked file.
    pub(super) fn is_current(&self) -> Result<bool, StoreError> {
        let named = match std::fs::metadata(&self.path) {
            Ok(named) => named,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(StoreError::io("look at", &self.path)(error)),
        };
        let held = self.file.metadata().map_err(StoreError::io("look at", &self.path))?;
        Ok((named.dev(), named.ino()) == (held.dev(), held.ino()))
    }
}
