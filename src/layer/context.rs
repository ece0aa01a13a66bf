//! A directory whose files may be added to a layer, by its handle.
//!
//! The kernel resolves every name below it (`openat2`). In the path that the user gave, links lead where they would if the
//! directory were the root of the system, as docker has it; below that path no link is followed at all. Where the kernel
//! has no `openat2`, no link is followed anywhere.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::store::{Location, StoreError};

/// Reading never waits for a writer of a FIFO, and never makes a terminal ours.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NOCTTY).union(OFlags::NONBLOCK);
/// How often a name is asked for again that others are moving about.
const ATTEMPTS: usize = 16;

/// A directory whose files may be added; cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    handle: Arc<OwnedFd>,
    path: Arc<Path>,
}

/// What is to be opened, and which links are followed on the way.
#[derive(Clone, Copy)]
pub(super) enum Opened {
    /// Anything, as no more than something to look at; links of the user's path are followed.
    Thing,
    /// The same, and no link on the way; what stands there may be one.
    Itself,
    /// A file for reading; links of the user's path are followed.
    File,
    /// A file for reading, and no link on the way.
    FileItself,
    /// A directory to be listed, and no link on the way.
    DirectoryItself,
}

impl Context {
    /// Opens a directory. Links on the way to it are the user's own, and followed.
    ///
    /// # Errors
    /// When it is not there, is no directory, or may not be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let handle = retry_on_intr(|| rustix::fs::open(path, READ | OFlags::DIRECTORY, Mode::empty()))
            .map_err(|error| StoreError::io("read", path)(error.into()))?;
        Ok(Self { handle: Arc::new(handle), path: path.into() })
    }

    /// Returns the path it was opened by, for messages only.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of a file in it, for messages only.
    pub(super) fn path_of(&self, name: &[u8]) -> PathBuf {
        if name.is_empty() { self.path.to_path_buf() } else { self.path.join(OsStr::from_bytes(name)) }
    }

    /// Opens something by the path that the user gave; empty for the directory itself.
    ///
    /// # Errors
    /// When it is not there, leads out, or may not be read.
    pub(super) fn find(&self, name: &[u8], what: Opened) -> Result<OwnedFd, StoreError> {
        self.try_find(name, what).map_err(|error| self.failed(name, error))
    }

    /// Opens something as [`Context::find`] does, and leaves it to the caller what a failure means.
    pub(super) fn try_find(&self, name: &[u8], what: Opened) -> Result<OwnedFd, Errno> {
        open(self.handle.as_fd(), name, what)
    }

    /// Says what is wrong with something in it.
    pub(super) fn failed(&self, name: &[u8], error: Errno) -> StoreError {
        let path = self.path_of(name);
        match error {
            Errno::XDEV => refused(&path, "its path leads out of the directory that it is to come from"),
            Errno::LOOP => refused(&path, "its path holds a symbolic link that cannot be followed"),
            error => StoreError::io("read", path)(error.into()),
        }
    }
}

/// Says that something cannot be in a layer.
pub(super) fn refused(path: &Path, reason: impl Into<String>) -> StoreError {
    StoreError::Unsupported {
        action: "add".to_owned(),
        place: Location::File(path.to_path_buf()),
        reason: reason.into().into(),
        hint: None,
    }
}

/// Opens something below a directory.
pub(super) fn open(directory: BorrowedFd<'_>, name: &[u8], what: Opened) -> Result<OwnedFd, Errno> {
    let name = if name.is_empty() { &b"."[..] } else { name };
    let (flags, resolve) = match what {
        Opened::Thing => (OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::IN_ROOT),
        Opened::Itself => {
            let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            (flags, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
        }
        Opened::File => (READ, ResolveFlags::IN_ROOT),
        Opened::FileItself => (READ | OFlags::NOFOLLOW, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS),
        Opened::DirectoryItself => {
            (READ | OFlags::NOFOLLOW | OFlags::DIRECTORY, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
        }
    };
    let mut failed = Errno::AGAIN;
    for _ in 0..ATTEMPTS {
        match retry_on_intr(|| {
            rustix::fs::openat2(directory, name, flags, Mode::empty(), resolve | ResolveFlags::NO_MAGICLINKS)
        }) {
            // the kernel saw a rename while it resolved the name, or a lease is being given back
            Err(error @ (Errno::AGAIN | Errno::INTR)) => failed = error,
            // Linux before 5.6, and sandboxes that do not know the call (they say "not permitted")
            Err(Errno::NOSYS | Errno::PERM) => return walk(directory, name, flags),
            result => return result,
        }
    }
    Err(failed)
}

/// Opens a name component by component and follows no link: all that can be done safely without `openat2`.
fn walk(directory: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut passed: Option<OwnedFd> = None;
    let mut components = name.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).peekable();
    while let Some(component) = components.next() {
        if component == b".." {
            return Err(Errno::XDEV);
        }
        let flags = if components.peek().is_none() { flags } else { READ | OFlags::DIRECTORY };
        let from = passed.as_ref().map_or(directory, AsFd::as_fd);
        passed = Some(retry_on_intr(|| rustix::fs::openat(from, component, flags | OFlags::NOFOLLOW, Mode::empty()))?);
    }
    passed.ok_or(Errno::NOENT)
}

/// Opens a temporary file that has no name and goes with its handle.
///
/// # Errors
/// When there can be none.
pub(crate) fn spool_file(directory: &Path) -> Result<File, StoreError> {
    crate::store::lacking::unnamed_file(directory).map_err(StoreError::io(crate::store::TEMPORARY, directory))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn without_openat2_no_link_is_followed() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir_all(temp.path().join("d/e")).unwrap();
        fs::write(temp.path().join("d/e/file"), "").unwrap();
        symlink("d", temp.path().join("link")).unwrap();
        symlink("e/file", temp.path().join("d/last")).unwrap();
        let context = Context::open(temp.path()).unwrap();
        let walk = |name: &str| walk(context.handle.as_fd(), name.as_bytes(), READ).map(drop);
        for name in ["d/e/file", "d//e", "."] {
            assert_eq!(walk(name), Ok(()), "{name}");
        }
        for (name, error) in [
            ("link/e/file", Errno::NOTDIR),
            ("d/last", Errno::LOOP),
            ("..", Errno::XDEV),
            ("d/../../x", Errno::XDEV),
            ("nothing", Errno::NOENT),
            ("", Errno::NOENT),
        ] {
            assert_eq!(walk(name), Err(error), "{name}");
        }
    }
}
