//! Files and directories of a context become entries. Content is not read: it is opened again when it is written.
//!
//! Nothing is followed below the path that the user gave, and only one directory is open at a time, however deep they lie.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::context::{Context, Opened, open, refused};
use super::resolve::{Last, Standing};
use super::tree::{Content, Entry, Facts, Identity, Kind, Origin, Pending, Tree};
use super::{AddOptions, Choice, path, xattrs};
use crate::store::StoreError;

/// Adds what a path of a context leads to.
pub(super) fn add(tree: &mut Tree, options: &AddOptions<'_>, context: &Context, from: &Path) -> Result<(), StoreError> {
    let base = path::cleaned(from.as_os_str().as_bytes())
        .map_err(|reason| refused(&context.path_of(from.as_os_str().as_bytes()), reason))?;
    let failed = |error: Errno| context.failed(&base, error);
    let handle = context.find(&base, Opened::Thing)?;
    let stat = rustix::fs::fstat(&handle).map_err(failed)?;
    let origin = u32::try_from(tree.origins.len()).unwrap_or(u32::MAX);
    let asked_for = options.xattrs.iter().map(ToString::to_string).collect();
    tree.origins.push(Origin { context: context.clone(), base: base.clone(), xattrs: asked_for });
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        let to = tree.destination(options, Last::Itself)?;
        if to.is_empty() {
            return Err(refused(&context.path_of(&base), "it is no directory, and the root of a layer is one"));
        }
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => file(origin, to.len(), &stat),
            // whatever links there were on the way were followed
            _ => special(&stat).map_err(|reason| refused(&context.path_of(&base), reason))?,
        };
        tree.noted.note(options, &stat, &to);
        return tree.insert(to, Entry { facts: facts(&stat).with(options, false), kind });
    }
    let handle = open(handle.as_fd(), b"", Opened::DirectoryItself).map_err(failed)?;
    let to = tree.destination(options, Last::Followed)?;
    let found = xattrs::of_file(handle.as_fd(), options.xattrs).map_err(failed)?;
    let mut root = facts(&stat).with(options, true);
    root.xattrs = (!found.is_empty()).then(|| Box::new(found));
    tree.make_root(options, to.clone(), root)?;
    let walk = Walk { options, context, base: &base, to, origin, pending: Pending::default(), todo: vec![Vec::new()] };
    walk.run(tree, handle.as_fd())
}

/// A directory of a context on its way into a tree.
struct Walk<'a> {
    options: &'a AddOptions<'a>,
    context: &'a Context,
    base: &'a [u8],
    /// Where it goes.
    to: Vec<u8>,
    origin: u32,
    pending: Pending,
    /// Directories that are to be listed, by their paths from the base.
    todo: Vec<Vec<u8>>,
}

impl Walk<'_> {
    fn run(mut self, tree: &mut Tree, base: BorrowedFd<'_>) -> Result<(), StoreError> {
        while let Some(directory) = self.todo.pop() {
            tree.check_cancelled()?;
            let (context, from) = (self.context, path::join(self.base, &directory));
            let failed = |error: Errno| context.failed(&from, error);
            let handle = open(base, &directory, Opened::DirectoryItself).map_err(failed)?;
            if !directory.is_empty() {
                let found = xattrs::of_file(handle.as_fd(), self.options.xattrs).map_err(failed)?;
                let path = path::join(&self.to, &directory);
                let entry = match tree.entries.get_mut(&path) {
                    Some(entry) => Some(entry),
                    None => self.pending.get_mut(&path),
                };
                if let Some(entry) = entry.filter(|_| !found.is_empty()) {
                    entry.facts.xattrs = Some(Box::new(found));
                }
            }
            let mut names = Vec::new();
            for entry in retry_on_intr(|| Dir::read_from(&handle)).map_err(failed)? {
                match entry.map_err(failed)?.file_name().to_bytes() {
                    b"." | b".." => {}
                    name => names.push(name.to_vec()),
                }
            }
            names.sort_unstable(); // what is wrong is told in the same order everywhere
            for name in names {
                self.take(tree, handle.as_fd(), &directory, &name)?;
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        tree: &mut Tree,
        handle: BorrowedFd<'_>,
        directory: &[u8],
        name: &[u8],
    ) -> Result<(), StoreError> {
        let below = path::join(directory, name);
        let failed = |error: Errno| self.failed(&below, error);
        let stat = rustix::fs::statat(handle, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        let is_directory = file_type == FileType::Directory;
        let from_context = path::join(self.base, &below);
        let choice = (self.options.choose)(Path::new(OsStr::from_bytes(&from_context)), is_directory);
        if choice == Choice::Leave || (choice == Choice::Below && !is_directory) {
            return Ok(());
        }
        let to = path::join(&self.to, &below);
        let refuse = |reason: String| refused(&self.context.path_of(&from_context), reason);
        path::check(&to).map_err(refuse)?;
        let facts = facts(&stat);
        let entry = match file_type {
            FileType::Directory => {
                if let Some(Standing::Symlink(_)) = tree.standing(self.options, &to) {
                    let link = crate::text::quoted(&String::from_utf8_lossy(&to));
                    return Err(refuse(format!("it is a directory, and {link} is a symbolic link in the image")));
                }
                Entry { facts: facts.with(self.options, true), kind: Kind::Directory }
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(handle, name, Vec::new()).map_err(failed)?;
                Entry { facts: facts.of_link(self.options), kind: Kind::Symlink(target.to_bytes().into()) }
            }
            FileType::RegularFile => {
                let skip = self.to.len() + usize::from(!self.to.is_empty());
                Entry { facts: facts.with(self.options, false), kind: file(self.origin, skip, &stat) }
            }
            _ => Entry { facts: facts.with(self.options, false), kind: special(&stat).map_err(refuse)? },
        };
        if is_directory {
            self.todo.push(below);
        }
        tree.noted.note(self.options, &stat, &to);
        if choice == Choice::Below {
            self.pending.note(to, entry);
            return Ok(());
        }
        for (above, entry) in self.pending.above(&to) {
            tree.insert(above, entry)?;
        }
        tree.insert(to, entry)
    }

    fn failed(&self, below: &[u8], error: Errno) -> StoreError {
        self.context.failed(&path::join(self.base, below), error)
    }
}

fn facts(stat: &Stat) -> Facts {
    Facts { mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid, mtime: stat.st_mtime, xattrs: None }
}

fn file(origin: u32, skip: usize, stat: &Stat) -> Kind {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let skip = u32::try_from(skip).unwrap_or(u32::MAX);
    Kind::File(Content::File { origin, skip, identity: identity(stat), size, linked: stat.st_nlink > 1 })
}

pub(super) fn identity(stat: &Stat) -> Identity {
    Identity { device: stat.st_dev, inode: stat.st_ino }
}

/// Returns what is neither content nor a directory nor a link.
fn special(stat: &Stat) -> Result<Kind, String> {
    let device = |flag| {
        let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        if major >> 12 != 0 || minor >> 20 != 0 {
            return Err("its device number is none of Linux".to_owned());
        }
        Ok(Kind::Device { flag, major, minor })
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => device(b'3'),
        FileType::BlockDevice => device(b'4'),
        FileType::Fifo => Ok(Kind::Fifo),
        FileType::Socket => Err("it is a socket, and nobody listens behind it in an image: leave it out".to_owned()),
        _ => Err("it is of a kind that a layer cannot hold".to_owned()),
    }
}
