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
    // what it would be by the standard library
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let handle = retry_on_intr(|| rustix::fs::open(directory, flags, Mode::empty()))?;
    let mut names = Vec::new();
    for entry in Dir::new(handle)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}
