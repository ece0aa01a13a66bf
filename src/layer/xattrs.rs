//! Which extended attributes belong to an image.
//!
//! `security.capability` is a part of what a program is, and `user.*` is what somebody said of a file: these are kept. All
//! others are about the machine on which the file lies: a label of SELinux (`security.selinux`) names the policy there, an
//! ACL (`system.posix_acl_*`) names its users by number, `trusted.overlay.*` is how an overlay keeps its books. With them
//! the same files would give another layer on another machine, and a layer that cannot be unpacked on some. Who wants one
//! of them all the same asks for it by name.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

/// The most bytes that the kernel gives of a list or a value: Linux, xattr(7).
const LARGEST: usize = 64 * 1024;

/// Extended attributes by name.
pub(super) type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// Returns whether an attribute is kept.
pub(super) fn is_kept(name: &[u8], asked_for: &[impl AsRef<str>]) -> bool {
    name == b"security.capability"
        || name.starts_with(b"user.")
        || asked_for.iter().any(|other| other.as_ref().as_bytes() == name)
}

/// Returns those of an open file or directory that are kept.
///
/// # Errors
/// When the system does not give them.
pub(super) fn of_file(file: BorrowedFd<'_>, asked_for: &[impl AsRef<str>]) -> Result<Xattrs, Errno> {
    let mut kept = Xattrs::new();
    // nearly every file has none, and then no room is needed
    match rustix::fs::flistxattr_query(file) {
        Ok(0) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(kept),
        Ok(_) => {}
        Err(error) => return Err(error),
    }
    let mut names = Vec::with_capacity(LARGEST);
    rustix::fs::flistxattr(file, spare_capacity(&mut names))?;
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty() && is_kept(name, asked_for)) {
        let mut value = Vec::with_capacity(LARGEST);
        match rustix::fs::fgetxattr(file, name, spare_capacity(&mut value)) {
            Ok(_) => {
                value.shrink_to_fit();
                kept.insert(name.to_vec(), value);
            }
            // it went just now
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_a_machine_is_left_out_unless_asked_for() {
        for (name, kept) in [
            ("security.capability", true),
            ("user.comment", true),
            ("security.selinux", false),
            ("security.capability2", false),
            ("system.posix_acl_access", false),
            ("system.posix_acl_default", false),
            ("trusted.overlay.opaque", false),
            ("userx", false),
        ] {
            assert_eq!(is_kept(name.as_bytes(), &[""; 0]), kept, "{name}");
            assert!(is_kept(name.as_bytes(), &[name]));
        }
    }
}
