//! Locks between processes: `flock`, which the kernel releases when a process dies, however it dies.
//!
//! - The **directory** of a layout is locked shared by every writer from its `begin` to its end, so that whoever wants to
//!   remove content can lock it exclusively and know that nobody stands between putting blobs and naming them.
//! - **`index.json.lock`** is locked exclusively while `index.json` is read, changed and replaced. The name and the protocol
//!   are BuildKit's (`client/ociindex/ociindex.go`), which removes the file after use: so a lock counts only while the file
//!   that is locked still has that name.
//!
//! Readers take no lock.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::beneath::Directory;
use crate::blob::Cancel;
use crate::store::{StoreError, flock};

/// The lock file beside `index.json`.
pub(super) const INDEX_LOCK: &str = "index.json.lock";

/// Locks the directory of a layout, shared with other writers, for as long as the handle is open.
pub(super) fn share(root: &Directory, timeout: Duration, cancel: &Cancel) -> Result<(), StoreError> {
    flock::wait(root.location(), timeout, cancel, || {
        take(root, root.handle(), FlockOperation::NonBlockingLockShared).map(|taken| taken.then_some(()))
    })
}

/// Tries to turn the shared lock of a directory into an exclusive one; `false` when another process holds it too. The
/// shared one may be lost then.
pub(super) fn exclude(root: &Directory) -> Result<bool, StoreError> {
    take(root, root.handle(), FlockOperation::NonBlockingLockExclusive)
}

/// Waits for the exclusive lock of a directory: no writer holds it then, and none can begin. It is released with the handle.
pub(super) fn exclude_others(root: &Directory, timeout: Duration, cancel: &Cancel) -> Result<(), StoreError> {
    flock::wait(root.location(), timeout, cancel, || exclude(root).map(|taken| taken.then_some(())))
}

/// The lock on `index.json`, until it is dropped.
#[derive(Debug)]
pub(super) struct IndexLock<'a> {
    root: &'a Directory,
    file: File,
}

impl<'a> IndexLock<'a> {
    /// Waits for the lock.
    pub(super) fn wait_for(root: &'a Directory, timeout: Duration, cancel: &Cancel) -> Result<Self, StoreError> {
        flock::wait(root.location(), timeout, cancel, || Self::take(root, open(root)?))
    }

    /// Tries to lock a file that was opened just now; `None` when another process holds it, or held it and removed it.
    fn take(root: &'a Directory, file: File) -> Result<Option<Self>, StoreError> {
        if !take(root, file.as_fd(), FlockOperation::NonBlockingLockExclusive)? {
            return Ok(None);
        }
        let lock = Self { root, file };
        Ok(if lock.counts()? { Some(lock) } else { None })
    }

    /// Returns whether the file that is locked still has its name: BuildKit removes it after it gave up its lock, which may
    /// be after we took it.
    pub(super) fn counts(&self) -> Result<bool, StoreError> {
        let failed = |error: Errno| StoreError::io("lock", self.root.path_of(INDEX_LOCK))(error.into());
        let own = rustix::fs::fstat(&self.file).map_err(failed)?;
        let there = self.root.stat(INDEX_LOCK)?;
        Ok(there.is_some_and(|there| (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)))
    }
}

impl Drop for IndexLock<'_> {
    fn drop(&mut self) {
        // A file that stays behind does no harm, so a failure here is none of the commit.
        if self.counts().unwrap_or(false) {
            let _ = rustix::fs::unlinkat(self.root.handle(), INDEX_LOCK, AtFlags::empty());
        }
    }
}

/// Opens the lock file and makes it if need be.
fn open(root: &Directory) -> Result<File, StoreError> {
    let common = OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let open = |flags| {
        retry_on_intr(|| rustix::fs::openat(root.handle(), INDEX_LOCK, common | flags, Mode::from_raw_mode(0o644)))
    };
    // NFS wants a file that is open for writing; one that another user made may only be open for reading to us
    let opened = match open(OFlags::RDWR | OFlags::CREATE) {
        Err(Errno::ACCESS) => open(OFlags::RDONLY).map_err(|_| Errno::ACCESS),
        result => result,
    };
    let file = match opened {
        Ok(file) => File::from(file),
        Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => {
            return Err(root.malformed(INDEX_LOCK, "it is not a regular file"));
        }
        Err(error) => return Err(StoreError::io("lock", root.path_of(INDEX_LOCK))(error.into())),
    };
    let metadata = file.metadata().map_err(StoreError::io("lock", root.path_of(INDEX_LOCK)))?;
    if metadata.is_file() { Ok(file) } else { Err(root.malformed(INDEX_LOCK, "it is not a regular file")) }
}

fn take(root: &Directory, handle: impl AsFd, operation: FlockOperation) -> Result<bool, StoreError> {
    const HINT: &str = "write to a local file system, or write a new archive there: it needs no lock";
    flock::take(handle, operation).map_err(|error| flock::failed(error, root.location(), root.path(), HINT))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    fn open_root() -> (tempfile::TempDir, Directory) {
        let temp = tempfile::tempdir().unwrap();
        let root = Directory::open(temp.path()).unwrap().unwrap();
        (temp, root)
    }

    #[test]
    fn one_process_at_a_time_has_the_index() {
        let (temp, root) = open_root();
        let lock = IndexLock::wait_for(&root, SHORT, &Cancel::default()).unwrap();
        let other = Directory::open(temp.path()).unwrap().unwrap();
        assert!(matches!(IndexLock::wait_for(&other, SHORT, &Cancel::default()), Err(StoreError::Busy { .. })));
        drop(lock);
        IndexLock::wait_for(&other, SHORT, &Cancel::default()).unwrap();
        assert!(!temp.path().join(INDEX_LOCK).exists(), "the lock file stayed");
    }

    #[test]
    fn who_waits_can_be_asked_to_stop() {
        let (temp, root) = open_root();
        let _lock = IndexLock::wait_for(&root, SHORT, &Cancel::default()).unwrap();
        let other = Directory::open(temp.path()).unwrap().unwrap();
        let cancel = Cancel::default();
        cancel.cancel();
        let waited = IndexLock::wait_for(&other, Duration::from_secs(3600), &cancel);
        assert!(matches!(waited, Err(StoreError::Cancelled)));
    }

    #[test]
    fn a_lock_on_a_file_that_was_removed_does_not_count() {
        let (temp, root) = open_root();
        let path = temp.path().join(INDEX_LOCK);
        let first = IndexLock::wait_for(&root, SHORT, &Cancel::default()).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!first.counts().unwrap());
        let second = IndexLock::wait_for(&root, SHORT, &Cancel::default()).unwrap();
        assert!(second.counts().unwrap());
        drop(first);
        assert!(path.exists(), "the lock file of another was removed");
        assert!(second.counts().unwrap());
        drop(second);
        // removed between opening and locking
        let file = open(&root).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(IndexLock::take(&root, file).unwrap().is_none());
    }

    #[test]
    fn writers_share_the_directory_and_keep_others_out() {
        let (temp, one) = open_root();
        let two = Directory::open(temp.path()).unwrap().unwrap();
        share(&one, SHORT, &Cancel::default()).unwrap();
        share(&two, SHORT, &Cancel::default()).unwrap();
        assert!(!exclude(&one).unwrap());
        drop(two);
        assert!(exclude(&one).unwrap());
        let three = Directory::open(temp.path()).unwrap().unwrap();
        assert!(matches!(share(&three, SHORT, &Cancel::default()), Err(StoreError::Busy { .. })));
    }

    #[test]
    fn a_lock_file_that_is_none_is_refused() {
        let (temp, root) = open_root();
        let path = temp.path().join(INDEX_LOCK);
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert!(matches!(IndexLock::wait_for(&root, SHORT, &Cancel::default()), Err(StoreError::Malformed { .. })));
        assert!(!temp.path().join("elsewhere").exists());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(IndexLock::wait_for(&root, SHORT, &Cancel::default()), Err(StoreError::Malformed { .. })));
    }
}
