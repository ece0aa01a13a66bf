//! What some file systems lack, and what is done without it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

/// Makes the names in a directory survive a loss of power. Some network and FUSE file systems have no such thing: there
/// nothing more can be done.
///
/// # Errors
/// When the directory cannot be opened, or the machine fails.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?;
    Ok(sync_open_directory(directory)?)
}

/// Does the same with a directory that is open for reading.
///
/// # Errors
/// When the machine fails.
pub(crate) fn sync_open_directory(directory: impl AsFd) -> Result<(), Errno> {
    match retry_on_intr(|| rustix::fs::fsync(&directory)) {
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::BADF) => Ok(()),
        result => result,
    }
}

/// Opens a temporary file that has no name and goes with its handle. Where there is none without a name (`O_TMPFILE`), it
/// has one for a moment.
///
/// # Errors
/// When there can be none.
pub(crate) fn unnamed_file(directory: &Path) -> io::Result<File> {
    match tempfile::tempfile_in(directory) {
        // what FUSE and sandboxes answer to flags that they do not know; `tempfile` knows of the other answers
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
            tempfile::Builder::new().prefix(".tmp").tempfile_in(directory).map(tempfile::NamedTempFile::into_file)
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};

    use super::*;

    #[test]
    fn an_unnamed_file_leaves_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let mut file = unnamed_file(temp.path()).unwrap();
        file.write_all(b"x").unwrap();
        file.rewind().unwrap();
        let mut held = String::new();
        file.read_to_string(&mut held).unwrap();
        assert_eq!(held, "x");
        assert!(crate::store::listing::is_empty(temp.path()).unwrap());
        sync_directory(temp.path()).unwrap();
        assert!(unnamed_file(&temp.path().join("nothing")).is_err());
        assert!(sync_directory(&temp.path().join("nothing")).is_err());
    }
}
