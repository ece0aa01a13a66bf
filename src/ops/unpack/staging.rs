//! The directory beside the target in which an image is unpacked, and its one visible step: the rename.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::remove;
use super::tree::{DIRECTORY, WORKING};
use crate::store::lacking::sync_open_directory;
use crate::store::listing::is_empty;
use crate::store::{Durability, StoreError, UNPACK};

/// A directory younger than this may belong to a process that has not come to lock it yet.
const YOUNG: Duration = Duration::from_secs(60);
const ATTEMPTS: usize = 16;

/// A directory under a temporary name. Dropped before it has its own, it is gone with all that is in it.
#[derive(Debug)]
pub(super) struct Staging {
    above: OwnedFd,
    temporary: Vec<u8>,
    name: Vec<u8>,
    path: PathBuf,
    root: OwnedFd,
    published: bool,
}

impl Staging {
    /// Makes a directory beside the one that is to come, which must not be there or be empty. While this lives it is
    /// locked, so that a later run can tell the leftovers of a process that died.
    ///
    /// # Errors
    /// When something is there already, or nothing can be made there.
    pub(super) fn create(target: &Path) -> Result<Self, StoreError> {
        let path = examined(target)?;
        let (Some(above_path), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(refused(target, io::ErrorKind::InvalidInput, "it names no directory that could be made"));
        };
        let above_path = if above_path.as_os_str().is_empty() { Path::new(".") } else { above_path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let above = retry_on_intr(|| rustix::fs::open(above_path, flags, Mode::empty()))
            .map_err(|error| StoreError::io("open", above_path)(error.into()))?;
        let prefix = prefix(name.as_bytes());
        remove_stale(&above, &prefix);
        let failed = |error: Errno| StoreError::io("create a directory in", above_path)(error.into());
        let mut last = Errno::EXIST;
        for _ in 0..ATTEMPTS {
            let random = RandomState::new().build_hasher().finish();
            let temporary = [&prefix[..], format!("{random:016x}").as_bytes()].concat();
            match rustix::fs::mkdirat(&above, &temporary[..], WORKING) {
                Ok(()) => {}
                Err(error @ (Errno::EXIST | Errno::INTR)) => {
                    last = error;
                    continue;
                }
                Err(error) => return Err(failed(error)),
            }
            let root = retry_on_intr(|| rustix::fs::openat(&above, &temporary[..], DIRECTORY, Mode::empty()))
                .map_err(failed)?;
            let name = name.as_bytes().to_vec();
            let staging = Self { above, temporary, name, path, root, published: false };
            // a file system without locks loses only the clearing of leftovers
            let _ = rustix::fs::flock(&staging.root, FlockOperation::NonBlockingLockExclusive);
            return Ok(staging);
        }
        Err(failed(last))
    }

    /// Returns what the directory will be called.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the directory once more.
    pub(super) fn root(&self) -> Result<OwnedFd, StoreError> {
        self.root.try_clone().map_err(StoreError::io("open", &self.path))
    }

    /// Gives the directory its name.
    ///
    /// # Errors
    /// When something has come there meanwhile, or the machine fails.
    pub(super) fn publish(mut self, durability: Durability) -> Result<(), StoreError> {
        let failed = |action| {
            let path = self.path.clone();
            move |error: Errno| StoreError::io(action, path)(error.into())
        };
        if durability == Durability::Synced {
            // one call for any number of files
            retry_on_intr(|| rustix::fs::syncfs(&self.root)).map_err(failed("write"))?;
        }
        // takes the place of an empty directory, of nothing else
        rustix::fs::renameat(&self.above, &self.temporary[..], &self.above, &self.name[..])
            .map_err(failed("create"))?;
        self.published = true;
        if durability == Durability::Synced {
            sync_open_directory(&self.above).map_err(failed("write"))?;
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.published {
            // What led here is the error to tell; the next run clears the directory if this fails too.
            let _ = remove::whole(self.above.as_fd(), &self.temporary);
        }
    }
}

/// Returns where a directory is to be made. A link on the way is the user's own and followed, also the last one if it
/// leads to something.
fn examined(target: &Path) -> Result<PathBuf, StoreError> {
    let path = match std::fs::canonicalize(target) {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => match std::fs::symlink_metadata(target) {
            Err(_) => return Ok(target.to_path_buf()),
            Ok(_) => return Err(refused(target, io::ErrorKind::AlreadyExists, "it is a link to nothing")),
        },
        Err(error) => return Err(StoreError::io("open", target)(error)),
    };
    let metadata = std::fs::metadata(&path).map_err(StoreError::io("open", target))?;
    if !metadata.is_dir() {
        return Err(refused(target, io::ErrorKind::NotADirectory, "it is not a directory"));
    }
    if !is_empty(&path).map_err(StoreError::io("open", target))? {
        return Err(refused(target, io::ErrorKind::DirectoryNotEmpty, "it is not empty"));
    }
    let above = path.parent().and_then(|above| std::fs::metadata(above).ok());
    if above.is_none_or(|above| above.dev() != metadata.dev()) {
        let reason = "it is a mount point: an image is unpacked beside its target and then renamed to it";
        return Err(refused(target, io::ErrorKind::DirectoryNotEmpty, reason));
    }
    Ok(path)
}

fn refused(target: &Path, kind: io::ErrorKind, reason: &'static str) -> StoreError {
    StoreError::io(UNPACK, target)(io::Error::new(kind, reason))
}

fn prefix(name: &[u8]) -> Vec<u8> {
    const MOST: usize = 100; // with what comes behind it, a name has at most 255 bytes
    [b".", &name[..name.len().min(MOST)], b".barge-"].concat()
}

/// Removes what dead processes of this user left. A convenience: what cannot be removed stays, and stops nobody.
fn remove_stale(above: &OwnedFd, prefix: &[u8]) {
    let Ok(list) = retry_on_intr(|| Dir::read_from(above)) else { return };
    for entry in list.flatten() {
        let name = entry.file_name().to_bytes();
        let random = name.strip_prefix(prefix).unwrap_or_default();
        let is_ours = random.len() == 16 && random.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_ours && is_stale(above, name) {
            let _ = remove::whole(above.as_fd(), name);
        }
    }
}

fn is_stale(above: &OwnedFd, name: &[u8]) -> bool {
    let Ok(stat) = rustix::fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW) else { return false };
    let own = stat.st_uid == rustix::process::geteuid().as_raw();
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory || !own {
        return false;
    }
    // when it was changed last, which no layer can set
    let changed =
        u64::try_from(stat.st_ctime).ok().map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
    let Ok(handle) = retry_on_intr(|| rustix::fs::openat(above, name, DIRECTORY, Mode::empty())) else {
        return false;
    };
    age.is_some_and(|age| age > YOUNG) && rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive).is_ok()
}
