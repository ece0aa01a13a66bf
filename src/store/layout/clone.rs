//! Copying a file by sharing its blocks (`FICLONE`): on btrfs and xfs no byte is written, and no room is taken.
//!
//! A clone is a copy like any other: what is in it is read and hashed before it gets a name. Where the file system cannot
//! do it, or the two files lie on different ones, the bytes are copied.

use std::fs::File;

/// Makes an empty file a clone of another; `false` when that is not possible, and the file is empty still.
#[cfg(target_os = "linux")]
pub(super) fn clone_into(from: &File, to: &File) -> bool {
    // whatever the reason is, copying the bytes either works or tells it
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => true,
        Err(_) => {
            // a clone that failed half-way may have left something
            let empty = to.metadata().is_ok_and(|metadata| metadata.len() == 0);
            let _ = empty || to.set_len(0).is_ok();
            false
        }
    }
}

/// Other systems have other ways, and no way that is the same everywhere.
#[cfg(not(target_os = "linux"))]
pub(super) fn clone_into(_: &File, _: &File) -> bool {
    false
}
