//! A small file with a name of its own, such as a receipt or a key: it is written beside that name, and gets it when it is whole.
//!
//! `stale.rs` has what archives need too: how such files are called, and how those of dead processes go.

pub(super) mod stale;

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::lacking::sync_directory;
use super::{CREATE_IN, StoreError, directory_of, flock};

/// A file that is whole and safe from a loss of power, and has no name yet. Dropped before it has one, it is gone.
#[derive(Debug)]
pub struct SmallFile {
    temporary: NamedTempFile,
    path: PathBuf,
}

impl SmallFile {
    /// Writes a file that is to have this path, with these permissions, after removing what dead processes left of it.
    ///
    /// # Errors
    /// When it cannot be written there.
    pub fn write(path: &Path, content: &[u8], mode: u32) -> Result<Self, StoreError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut temporary = temporary(directory_of(path), &name, mode, CREATE_IN)?;
        let written = temporary.write_all(content).and_then(|()| temporary.as_file().sync_all());
        written.map_err(StoreError::io("write", path))?;
        Ok(Self { temporary, path: path.to_owned() })
    }

    /// Gives the file its name; what has it goes.
    ///
    /// # Errors
    /// When the machine fails.
    pub fn replace(self) -> Result<(), StoreError> {
        self.temporary.persist(&self.path).map_err(|error| StoreError::io("write", self.path)(error.error))?;
        Ok(())
    }

    /// Gives the file its name, unless something has it; then `false`.
    ///
    /// # Errors
    /// When the machine fails.
    pub fn name(self) -> Result<bool, StoreError> {
        match self.temporary.persist_noclobber(&self.path) {
            Ok(_) => Ok(true),
            Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(failed) => Err(StoreError::io("write", self.path)(failed.error)),
        }
    }
}

/// Makes an empty file for something that is to be called so, after removing what dead processes left of the same. It goes when
/// it is dropped before it has a name.
///
/// # Errors
/// When it cannot be made there; `action` is the verb of that.
pub(crate) fn temporary(
    directory: &Path,
    name: &str,
    mode: u32,
    action: &'static str,
) -> Result<NamedTempFile, StoreError> {
    stale::remove(directory, name, None);
    let temporary = tempfile::Builder::new()
        .prefix(&stale::prefix(name))
        .rand_bytes(stale::RANDOM)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)
        .map_err(StoreError::io(action, directory))?;
    // where there are no locks, the next run takes the file for a living process's
    let _ = flock::try_exclusive(temporary.as_file());
    Ok(temporary)
}

/// Makes the names in the directory of a file safe from a loss of power.
///
/// # Errors
/// When the machine fails.
pub fn sync_name(path: &Path) -> Result<(), StoreError> {
    let directory = directory_of(path);
    sync_directory(directory).map_err(StoreError::io("write", directory))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_a_dead_process_left_goes_and_nothing_is_replaced_unasked() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("site.json");
        let dead = temp.path().join(".site.json.barge-0123456789abcdef");
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
        File::create(&dead).unwrap().set_modified(old).unwrap();
        assert!(SmallFile::write(&path, b"first", 0o600).unwrap().name().unwrap());
        assert!(!dead.exists());
        assert!(!SmallFile::write(&path, b"second", 0o644).unwrap().name().unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        SmallFile::write(&path, b"third", 0o644).unwrap().replace().unwrap();
        sync_name(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"third");
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1, "nothing else is left");
    }
}
