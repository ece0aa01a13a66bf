//! Owners, modes, extended attributes and times: set through handles, or on names that are never followed as links.
//!
//! The order matters. A change of owner takes setuid and `security.capability` away, and nothing after the times may
//! change the thing.

use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, Gid, Mode, Uid, XattrFlags};
use rustix::io::{Errno, retry_on_intr};

use super::super::rootfs::fault::Fault;
use super::tree::times;
use super::{Owners, Skipped};
use crate::tar::header::Attributes;

/// Attributes that belong to the machine that built an image, not to the image.
const OF_THE_HOST: [&[u8]; 3] = [b"security.selinux", b"system.nfs4_acl", b"trusted.overlay."];

/// Sets attributes, as far as this process may.
#[derive(Debug)]
pub(super) struct Keeper {
    sets_owners: bool,
    own: (Uid, Gid),
    /// What could not be kept.
    pub(super) skipped: Skipped,
}

impl Keeper {
    /// Decides on owners once.
    pub(super) fn new(owners: Owners) -> Self {
        let own = (rustix::process::geteuid(), rustix::process::getegid());
        Self { sets_owners: owners == Owners::IfRoot && own.0.is_root(), own, skipped: Skipped::default() }
    }

    /// Sets all there is on a regular file.
    pub(super) fn on_file(&mut self, file: BorrowedFd<'_>, wanted: &Attributes, path: &PathBuf) -> Result<(), Fault> {
        let mut mode = Mode::from_raw_mode(wanted.mode);
        if let Some((uid, gid)) = self.owner(wanted) {
            rustix::fs::fchown(file, Some(uid), Some(gid)).map_err(|error| owner_fault(error, path))?;
        } else if mode.intersects(Mode::SUID | Mode::SGID) {
            // with another owner it would lend out somebody else's rights
            mode.remove(Mode::SUID | Mode::SGID);
            self.skipped.set_ids += 1;
        }
        self.mode_and_xattrs(file, wanted, mode, path)?;
        rustix::fs::futimens(file, &times(wanted.mtime)).map_err(Fault::io("set the times of", path))
    }

    /// Sets all there is on a directory, with this mode in the place of its own.
    pub(super) fn on_directory(
        &mut self,
        directory: BorrowedFd<'_>,
        wanted: &Attributes,
        mode: Mode,
        path: &PathBuf,
    ) -> Result<(), Fault> {
        if let Some((uid, gid)) = self.owner(wanted) {
            rustix::fs::fchown(directory, Some(uid), Some(gid)).map_err(|error| owner_fault(error, path))?;
        }
        remove_stale_xattrs(directory, wanted);
        self.mode_and_xattrs(directory, wanted, mode, path)?;
        rustix::fs::futimens(directory, &times(wanted.mtime)).map_err(Fault::io("set the times of", path))
    }

    /// Sets the mode and extended attributes of what is open and can be written by its owner. Those of users come before the
    /// mode, which may forbid them; ACLs come after it, for each change of the mode changes them.
    fn mode_and_xattrs(
        &mut self,
        handle: BorrowedFd<'_>,
        wanted: &Attributes,
        mode: Mode,
        path: &PathBuf,
    ) -> Result<(), Fault> {
        let set = |name: &[u8], value: &[u8]| rustix::fs::fsetxattr(handle, name, value, XattrFlags::empty());
        self.xattrs(handle, wanted, path, |name| !is_acl(name), set)?;
        retry_on_intr(|| rustix::fs::fchmod(handle, mode)).map_err(Fault::io("set the mode of", path))?;
        self.xattrs(handle, wanted, path, is_acl, set)
    }

    /// Sets all there is on a link, a device or a FIFO that was made under this name just now. Links have no mode.
    pub(super) fn on_node(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        wanted: &Attributes,
        mode: Option<Mode>,
        path: &PathBuf,
    ) -> Result<(), Fault> {
        let itself = AtFlags::SYMLINK_NOFOLLOW;
        if let Some((uid, gid)) = self.owner(wanted) {
            rustix::fs::chownat(parent, name, Some(uid), Some(gid), itself)
                .map_err(|error| owner_fault(error, path))?;
        }
        if let Some(mode) = mode {
            // It is no link: it was made under this name, in a directory that only we can enter.
            rustix::fs::chmodat(parent, name, mode, AtFlags::empty()).map_err(Fault::io("set the mode of", path))?;
        }
        // There is no call that takes a directory, a name and no link: the directory is named by its handle.
        let mut through = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
        through.extend_from_slice(name);
        let set = |name: &[u8], value: &[u8]| rustix::fs::lsetxattr(&through[..], name, value, XattrFlags::empty());
        self.xattrs(parent, wanted, path, |_| true, set)?;
        rustix::fs::utimensat(parent, name, &times(wanted.mtime), itself).map_err(Fault::io("set the times of", path))
    }

    /// Returns the owner to set, and counts those that are not.
    fn owner(&mut self, wanted: &Attributes) -> Option<(Uid, Gid)> {
        let owner = (Uid::from_raw(wanted.uid), Gid::from_raw(wanted.gid));
        if self.sets_owners {
            return Some(owner);
        }
        self.skipped.owners += u64::from(owner != self.own);
        None
    }

    /// Sets extended attributes; `there` is any handle on the file system.
    fn xattrs(
        &mut self,
        there: BorrowedFd<'_>,
        wanted: &Attributes,
        path: &PathBuf,
        which: impl Fn(&[u8]) -> bool,
        set: impl Fn(&[u8], &[u8]) -> Result<(), Errno>,
    ) -> Result<(), Fault> {
        for (name, value) in wanted.xattrs.iter().filter(|(name, _)| which(name)) {
            let result = if is_of_the_host(name) { Err(Errno::OPNOTSUPP) } else { set(name, value) };
            match result {
                Ok(()) => {}
                // this file system, this kind of thing or this user has none of these
                Err(Errno::OPNOTSUPP | Errno::PERM | Errno::ACCESS) => self.skipped.xattrs += 1,
                // ext4 has 4 KiB for all of a file, and says that it is full
                Err(Errno::NOSPC) if has_room(there) => self.skipped.xattrs += 1,
                Err(error @ (Errno::INVAL | Errno::TOOBIG | Errno::RANGE)) => {
                    let name = crate::text::quoted(&String::from_utf8_lossy(name));
                    return Err(Fault::Layer(format!("its extended attribute {name} cannot be set: {error}")));
                }
                Err(error) => return Err(Fault::io("set an extended attribute of", path)(error)),
            }
        }
        Ok(())
    }
}

/// Returns whether a file system has room for more than a few extended attributes.
fn has_room(there: BorrowedFd<'_>) -> bool {
    rustix::fs::fstatvfs(there).is_ok_and(|found| found.f_bavail.saturating_mul(found.f_frsize) > 1 << 20)
}

fn owner_fault(error: Errno, path: &PathBuf) -> Fault {
    if matches!(error, Errno::PERM | Errno::INVAL) {
        let reason = format!("its owner cannot be set: {error}");
        return Fault::Refused { reason, hint: "leave owners out with --no-same-owner".to_owned() };
    }
    Fault::io("set the owner of", path)(error)
}

/// Returns whether an attribute is bound up with the mode.
fn is_acl(name: &[u8]) -> bool {
    name.starts_with(b"system.")
}

fn is_of_the_host(name: &[u8]) -> bool {
    OF_THE_HOST.iter().any(|host| match host.strip_suffix(b".") {
        Some(_) => name.starts_with(host),
        None => name == *host,
    })
}

/// Takes away what a directory of a lower layer had and this layer's has no more. What cannot be listed or removed is
/// nothing that an image could have set.
fn remove_stale_xattrs(directory: BorrowedFd<'_>, wanted: &Attributes) {
    const LARGEST: usize = 64 << 10; // Linux, xattr(7)
    if rustix::fs::flistxattr_query(directory) == Ok(0) {
        return;
    }
    let mut list = Vec::with_capacity(LARGEST);
    if rustix::fs::flistxattr(directory, rustix::buffer::spare_capacity(&mut list)).is_err() {
        return;
    }
    for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if !wanted.xattrs.contains_key(name) && !is_of_the_host(name) && !name.starts_with(b"system.") {
            let _ = rustix::fs::fremovexattr(directory, name);
        }
    }
}
