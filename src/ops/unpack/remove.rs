//! Removing what lies below a directory handle: no link is followed, and no path is joined.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Dir, FileType, Mode, Timestamps};
use rustix::io::{Errno, retry_on_intr};

use super::tree::{DIRECTORY, Directory, Tree, WORKING, modified};

/// Removes a name in a directory and all below it. Nothing there is no failure.
///
/// # Errors
/// As the system says.
pub(super) fn whole(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    walk(parent, name, None)
}

/// Removes what lies under a name in a directory, but for what the present layer has made.
///
/// # Errors
/// As the system says.
pub(super) fn lower(tree: &mut Tree, parent: &Directory, name: &[u8]) -> Result<(), Errno> {
    if is_directory(parent.handle(), name)? {
        return walk(parent.handle(), name, Some(tree));
    }
    if tree.is_marked(parent.inode, name) { Ok(()) } else { whole(parent.handle(), name) }
}

/// Removes all that lies in a directory, but for what the present layer has made.
///
/// # Errors
/// As the system says.
pub(super) fn all_lower(tree: &mut Tree, parent: &Directory) -> Result<(), Errno> {
    if tree.is_emptied(parent.inode) {
        return Ok(());
    }
    // the names first: what is being listed does not change
    let mut names = Vec::new();
    for entry in retry_on_intr(|| Dir::read_from(parent.handle()))? {
        let entry = entry?;
        if !is_dot(entry.file_name().to_bytes()) {
            names.push(entry.file_name().to_bytes().to_vec());
        }
    }
    names.iter().try_for_each(|name| lower(tree, parent, name))
}

/// A directory on the way.
struct Frame {
    name: Vec<u8>,
    list: Dir,
    inode: u64,
    kept: Timestamps,
    /// It stays, because something in it does or because it is to.
    stays: bool,
    changed: bool,
    /// Nothing is left to be looked at.
    done: bool,
}

impl Frame {
    fn open(parent: BorrowedFd<'_>, name: &[u8]) -> Result<Self, Errno> {
        let handle = match retry_on_intr(|| rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())) {
            Err(Errno::ACCESS) => {
                // it is a directory, for a caller has looked, and ours
                rustix::fs::chmodat(parent, name, WORKING, AtFlags::empty())?;
                retry_on_intr(|| rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()))?
            }
            other => other?,
        };
        let stat = rustix::fs::fstat(&handle)?;
        let name = name.to_vec();
        let (inode, kept) = (stat.st_ino, modified(&stat));
        Ok(Self { name, list: Dir::new(handle)?, inode, kept, stays: false, changed: false, done: false })
    }

    /// Leaves what is in it as it is.
    fn pass_over(&mut self) -> Result<(), Errno> {
        self.done = true;
        while let Some(entry) = self.list.read() {
            if !is_dot(entry?.file_name().to_bytes()) {
                self.stays = true;
                break;
            }
        }
        Ok(())
    }

    /// Removes something from it, also where its own mode forbids that.
    fn unlink(&mut self, name: &[u8], flags: AtFlags) -> Result<(), Errno> {
        self.changed = true;
        let at = self.list.fd()?;
        match rustix::fs::unlinkat(at, name, flags) {
            Err(Errno::ACCESS) => {
                retry_on_intr(|| rustix::fs::fchmod(at, WORKING))?;
                rustix::fs::unlinkat(at, name, flags)
            }
            other => other,
        }
    }
}

/// Removes what lies under a name; what the present layer of a tree has made stays.
fn walk(parent: BorrowedFd<'_>, name: &[u8], mut tree: Option<&mut Tree>) -> Result<(), Errno> {
    if !is_directory(parent, name)? {
        return match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        };
    }
    let mut first = Frame::open(parent, name)?;
    if let Some(tree) = &mut tree {
        first.stays = tree.is_marked(rustix::fs::fstat(parent)?.st_ino, name);
        if tree.is_emptied(first.inode) {
            first.pass_over()?;
        }
    }
    // what stays was worked in by this layer: its mode allows it
    let mut stack = vec![first];
    while let Some(frame) = stack.last_mut() {
        let next = if frame.done { None } else { frame.list.read() };
        let Some(entry) = next else {
            let Some(done) = stack.pop() else { break };
            let above = stack.last_mut();
            if done.stays {
                if done.changed {
                    rustix::fs::futimens(done.list.fd()?, &done.kept)?;
                }
                if let Some(above) = above {
                    above.stays = true;
                }
            } else if let Some(above) = above {
                above.unlink(&done.name, AtFlags::REMOVEDIR)?;
            } else {
                rustix::fs::unlinkat(parent, &done.name[..], AtFlags::REMOVEDIR)?;
            }
            continue;
        };
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if is_dot(name) {
            continue;
        }
        let to_stay = tree.as_ref().is_some_and(|tree| tree.is_marked(frame.inode, name));
        let known = entry.file_type();
        if known == FileType::Directory || (known == FileType::Unknown && is_directory(frame.list.fd()?, name)?) {
            let mut below = Frame::open(frame.list.fd()?, name)?;
            below.stays = to_stay;
            if tree.as_mut().is_some_and(|tree| tree.is_emptied(below.inode)) {
                below.pass_over()?;
            }
            stack.push(below);
        } else if to_stay {
            frame.stays = true;
        } else {
            frame.unlink(name, AtFlags::empty())?;
        }
    }
    Ok(())
}

/// Returns whether a name is that of a directory, not of a link to one.
fn is_directory(parent: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Errno> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_dot(name: &[u8]) -> bool {
    matches!(name, b"." | b"..")
}
