//! The directory that is being filled, and the way to every directory in it.
//!
//! A path from a layer is never given to the system. The way to a directory is gone part by part, each opened below the
//! one before and never through a link; where a link stands, as `/bin` does in front of `usr/bin`, its target is read and
//! gone in the same way, with the root of the image as the root. So nothing leads out, whatever the layers hold and
//! whoever moves things about meanwhile, and no `openat2` is needed.
//!
//! A directory keeps the time that its entry gave it: it is given back after whatever happened in it, so that nothing has
//! to be remembered to the end.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::hash::BuildHasher as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::{Errno, retry_on_intr};

use super::super::rootfs::fault::Fault;
use super::super::rootfs::names::DEEPEST;
use crate::layer::Way;
use crate::text::quoted;

/// Directories are opened for reading, never through a link.
pub(super) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// What the owner needs to work in a directory.
pub(super) const WORKING: Mode = Mode::RWXU;
/// What one of them takes beside its path, in bytes.
const EACH_LATER: usize = 2 * size_of::<(u64, Later)>();
/// How many bytes of paths of directories with a mode for later are kept: those of half a million. In a store of Nix all are
/// such.
const MOST_LATER: usize = 64 << 20;

/// What becomes of directories on the way that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// They are made, as a layer may leave out the entries of directories. What is no directory is in the way.
    Make,
    /// Then nothing lies below either, nor below what is no directory.
    Leave,
}

/// An open directory below the root.
#[derive(Debug)]
pub(super) struct Directory {
    handle: OwnedFd,
    /// The number of the directory.
    pub(super) inode: u64,
    /// Its parts from the root down, without links.
    real: Vec<Vec<u8>>,
    kept: Timestamps,
}

impl Directory {
    fn new(handle: OwnedFd, real: Vec<Vec<u8>>) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(&handle)?;
        Ok(Self { handle, inode: stat.st_ino, real, kept: modified(&stat) })
    }

    pub(super) fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Gives back the time that it had when it was opened.
    pub(super) fn give_time_back(&self) -> Result<(), Errno> {
        rustix::fs::futimens(&self.handle, &self.kept)
    }
}

/// A mode that would be in the way until everything is unpacked.
#[derive(Debug)]
struct Later {
    /// Its path from the root without links.
    real: Box<[u8]>,
    mode: Mode,
}

/// A tree under way.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    path: PathBuf,
    current: Option<(Vec<u8>, Rc<Directory>)>,
    made: HashSet<u64>,
    emptied: HashSet<u64>,
    left_out: HashSet<u64>,
    keys: RandomState,
    later: HashMap<u64, Later>,
    later_bytes: usize,
}

impl Tree {
    /// Takes an empty directory. `path` is what it will be called, for messages.
    pub(super) fn new(root: OwnedFd, path: &Path) -> Self {
        Self {
            root,
            path: path.to_path_buf(),
            current: None,
            made: HashSet::new(),
            emptied: HashSet::new(),
            left_out: HashSet::new(),
            keys: RandomState::new(),
            later: HashMap::new(),
            later_bytes: 0,
        }
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Returns the path of something below, for messages only.
    pub(super) fn path_of(&self, parts: &[&[u8]], name: &[u8]) -> PathBuf {
        let parts = parts.iter().chain(std::iter::once(&name)).map(|part| OsStr::from_bytes(part));
        self.path.join(parts.collect::<PathBuf>())
    }

    /// Forgets what the layer before has made.
    pub(super) fn begin_layer(&mut self) {
        self.made.clear();
        self.emptied.clear();
    }

    /// Notes that what lower layers have in a directory is removed now. Returns whether this layer has done that before:
    /// then all that is in it is of this layer, and need not be looked at again.
    pub(super) fn is_emptied(&mut self, directory: u64) -> bool {
        !self.emptied.insert(directory)
    }

    /// Notes that this layer has made, or has an entry of, a name in a directory.
    pub(super) fn mark(&mut self, directory: u64, name: &[u8]) {
        let key = self.keys.hash_one((directory, name));
        self.made.insert(key);
    }

    /// Returns whether this layer has made a name in a directory.
    pub(super) fn is_marked(&self, directory: u64, name: &[u8]) -> bool {
        self.made.contains(&self.keys.hash_one((directory, name)))
    }

    /// Notes that something is left out that the layer has under a name in a directory.
    pub(super) fn leave_out(&mut self, directory: u64, name: &[u8]) {
        let key = self.keys.hash_one((directory, name));
        self.left_out.insert(key);
    }

    /// Returns whether something was left out under a name in a directory.
    pub(super) fn is_left_out(&self, directory: u64, name: &[u8]) -> bool {
        self.left_out.contains(&self.keys.hash_one((directory, name)))
    }

    /// Opens the directory of an entry. The one before is kept open, for the next entry most often lies there too.
    pub(super) fn parent(&mut self, parts: &[&[u8]], missing: Missing) -> Result<Option<Rc<Directory>>, Fault> {
        let key = parts.join(&b'/');
        if let Some((known, directory)) = &self.current
            && *known == key
        {
            return Ok(Some(Rc::clone(directory)));
        }
        self.leave()?;
        let Some(directory) = self.resolve(parts, missing)? else { return Ok(None) };
        let directory = Rc::new(directory);
        self.current = Some((key, Rc::clone(&directory)));
        Ok(Some(directory))
    }

    /// Closes the directory that is kept open: after a removal, its name may lead elsewhere.
    pub(super) fn leave(&mut self) -> Result<(), Fault> {
        let Some((key, directory)) = self.current.take() else { return Ok(()) };
        directory.give_time_back().map_err(Fault::io("set the times of", self.path_of(&[], &key)))
    }

    /// Goes from the root to a directory, through links as if the root of the image were that of the system.
    pub(super) fn resolve(&mut self, parts: &[&[u8]], missing: Missing) -> Result<Option<Directory>, Fault> {
        let mut todo: Vec<Vec<u8>> = parts.iter().rev().map(|part| part.to_vec()).collect();
        let mut real: Vec<Vec<u8>> = Vec::new();
        let mut at = self.open_root()?;
        let mut way = Way::default();
        while let Some(part) = todo.pop() {
            way.step(&part, real.len()).map_err(Fault::Layer)?;
            if part == b".." {
                // never by the system: the directory could have been moved
                real.pop();
                at = self
                    .open_real(real.iter().map(Vec::as_slice))
                    .map_err(|error| Fault::io("open", self.path_of(&slices(&real), b""))(error))?;
                continue;
            }
            let failed = |error| Fault::io("open", self.path_of(&slices(&real), &part))(error);
            match retry_on_intr(|| rustix::fs::openat(&at, &part[..], DIRECTORY, Mode::empty())) {
                Ok(handle) => at = handle,
                Err(Errno::NOENT) => match missing {
                    Missing::Leave => return Ok(None),
                    Missing::Make => {
                        let made = make(&at, &part).map_err(failed)?;
                        let inode = rustix::fs::fstat(&at).map_err(failed)?.st_ino;
                        self.mark(inode, &part);
                        at = made;
                    }
                },
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    let target = match rustix::fs::readlinkat(&at, &part[..], Vec::new()) {
                        Ok(target) => target.into_bytes(),
                        Err(Errno::INVAL) if missing == Missing::Leave => return Ok(None),
                        Err(Errno::INVAL) => {
                            let path = [&slices(&real)[..], &[&part]].concat().join(&b'/');
                            let path = quoted(&String::from_utf8_lossy(&path));
                            return Err(Fault::Layer(format!("it lies below {path}, which is no directory")));
                        }
                        Err(error) => return Err(failed(error)),
                    };
                    way.link().map_err(Fault::Layer)?;
                    if target.starts_with(b"/") {
                        real.clear();
                        at = self.open_root()?;
                    }
                    let steps = target.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
                    todo.extend(steps.rev().map(<[u8]>::to_vec));
                    continue;
                }
                Err(error) => return Err(failed(error)),
            }
            real.push(part);
            if real.len() > DEEPEST {
                return Err(Fault::Layer(format!("it lies more than {DEEPEST} directories deep")));
            }
        }
        let path = self.path_of(&slices(&real), b"");
        Directory::new(at, real).map(Some).map_err(Fault::io("open", path))
    }

    fn open_root(&self) -> Result<OwnedFd, Fault> {
        retry_on_intr(|| rustix::fs::openat(&self.root, ".", DIRECTORY, Mode::empty()))
            .map_err(Fault::io("open", &self.path))
    }

    /// Opens a directory by the parts that it had when it was found, none of them a link.
    fn open_real<'p>(&self, real: impl IntoIterator<Item = &'p [u8]>) -> Result<OwnedFd, Errno> {
        let mut at = retry_on_intr(|| rustix::fs::openat(&self.root, ".", DIRECTORY, Mode::empty()))?;
        for part in real {
            at = retry_on_intr(|| rustix::fs::openat(&at, part, DIRECTORY, Mode::empty()))?;
        }
        Ok(at)
    }

    /// Notes the mode of a directory in which its owner may not work, to be set when all is unpacked; forgets it when the
    /// mode is another one now.
    pub(super) fn set_mode_later(
        &mut self,
        inode: u64,
        parent: &Directory,
        name: &[u8],
        mode: Mode,
    ) -> Result<(), Fault> {
        if mode.contains(WORKING) {
            if let Some(before) = self.later.remove(&inode) {
                self.later_bytes -= before.real.len() + EACH_LATER;
            }
            return Ok(());
        }
        let parts: Vec<&[u8]> = parent.real.iter().map(Vec::as_slice).chain(std::iter::once(name)).collect();
        let real = parts.join(&b'/').into_boxed_slice();
        self.later_bytes += real.len() + EACH_LATER;
        if let Some(before) = self.later.insert(inode, Later { real, mode }) {
            self.later_bytes -= before.real.len() + EACH_LATER;
        }
        if self.later_bytes > MOST_LATER {
            return Err(Fault::Layer("there are too many directories that their owner may not enter".to_owned()));
        }
        Ok(())
    }

    /// Sets the modes that had to wait, the deepest first.
    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        self.leave()?;
        let mut later: Vec<(u64, Later)> = self.later.drain().collect();
        let depth = |later: &Later| later.real.iter().filter(|byte| **byte == b'/').count();
        later.sort_by_cached_key(|(_, later)| std::cmp::Reverse(depth(later)));
        for (inode, Later { real, mode }) in later {
            let failed = |error| Fault::io("set the mode of", self.path_of(&[], &real))(error);
            let directory = match self.open_real(real.split(|byte| *byte == b'/')) {
                Ok(directory) => directory,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue, // it was removed
                Err(error) => return Err(failed(error)),
            };
            // another one may have come in its place
            if rustix::fs::fstat(&directory).map_err(failed)?.st_ino == inode {
                retry_on_intr(|| rustix::fs::fchmod(&directory, mode)).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// Makes a directory that no entry describes, and opens it: everybody may read it, and it has no time.
fn make(parent: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let kept = modified(&rustix::fs::fstat(parent)?);
    rustix::fs::mkdirat(parent, name, WORKING)?;
    let made = retry_on_intr(|| rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()))?;
    if rustix::process::geteuid().is_root() {
        // not what a setgid directory above hands down
        rustix::fs::fchown(&made, Some(rustix::fs::Uid::ROOT), Some(rustix::fs::Gid::ROOT))?;
    }
    retry_on_intr(|| rustix::fs::fchmod(&made, IMPLIED))?;
    rustix::fs::futimens(&made, &times((0, 0)))?;
    rustix::fs::futimens(parent, &kept)?;
    Ok(made)
}

/// The mode of a directory that no entry describes.
pub(super) const IMPLIED: Mode = Mode::RWXU.union(Mode::RGRP).union(Mode::XGRP).union(Mode::ROTH).union(Mode::XOTH);

/// Returns the times for seconds and nanoseconds since 1970.
pub(super) fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// Returns what gives a thing back the time of its last change.
pub(super) fn modified(stat: &Stat) -> Timestamps {
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)] // the types differ between architectures
    let time = Timespec { tv_sec: stat.st_mtime as i64, tv_nsec: stat.st_mtime_nsec as _ };
    Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification: time }
}

pub(super) fn slices(parts: &[Vec<u8>]) -> Vec<&[u8]> {
    parts.iter().map(Vec::as_slice).collect()
}
