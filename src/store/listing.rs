//! The names in a directory.
//!
//! Not by the standard library: it panics when the system says that closing a directory failed, as a network file system may.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::retry_on_intr;

/// Returns the names in a directory, as they come.
///
/// # Errors
/// As the system says.
pub(crate) fn names_in(directory: &Path) -> io::Result<Vec<OsString>> {
    names(directory)?.collect()
}

/// Returns whether nothing is in a directory.
///
/// # Errors
/// As the system says.
pub(crate) fn is_empty(directory: &Path) -> io::Result<bool> {
    Ok(names(directory)?.next().transpose()?.is_none())
}

fn names(directory: &Path) -> io::Result<impl Iterator<Item = io::Result<OsString>> + use<>> {
    // what it would be by the standard library
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let handle = retry_on_intr(|| rustix::fs::open(directory, flags, Mode::empty()))?;
    Ok(Dir::new(handle)?.filter_map(|entry| match entry {
        Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => None,
        Ok(entry) => Some(Ok(OsStr::from_bytes(entry.file_name().to_bytes()).to_owned())),
        Err(error) => Some(Err(error.into())),
    }))
}
