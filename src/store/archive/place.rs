//! How an archive gets its name: a temporary file beside it, and one rename.

use std::io;
use std::path::{Path, PathBuf};

use super::lock::ArchiveLock;
use crate::store::beside::stale;
use crate::store::lacking;
use crate::store::{CREATE_IN, Durability, Location, StoreError, directory_of, flock};

/// Which file an archive takes the place of.
#[derive(Debug)]
pub enum Place {
    /// None: a file that appears there in the meantime is not overwritten.
    New(PathBuf),
    /// This one, which is locked, and which the path must still name at the end.
    Instead(ArchiveLock),
    /// None: the archive goes to a stream.
    Stream,
}

impl Place {
    /// Returns the path; `-` for a stream.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::New(path) => path,
            Self::Instead(lock) => lock.path(),
            Self::Stream => Path::new("-"),
        }
    }
}

/// A file that has no name yet.
pub(super) struct Unnamed {
    pub(super) temporary: tempfile::NamedTempFile,
    place: Place,
    /// What it is to be called.
    pub(super) path: PathBuf,
    /// Whether a later run finds it again.
    pub(super) continues: bool,
}

impl Unnamed {
    /// Makes a temporary file beside the target, after removing those of dead processes. With an identity, the one that an
    /// earlier run made for the same is taken, unless another process has it.
    ///
    /// # Errors
    /// When no file can be made there.
    pub(super) fn beside(place: Place, identity: Option<&str>) -> Result<Self, StoreError> {
        let path = match &place {
            Place::Instead(lock) => lock.real_path()?,
            Place::New(_) | Place::Stream => place.path().to_owned(),
        };
        let directory = directory_of(&path);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let own = identity.map(|identity| stale::named(&name, identity));
        stale::remove(directory, &name, own.as_deref());
        let continued = own.and_then(|own| stale::take(&directory.join(own)).ok().flatten());
        let continues = continued.is_some();
        let temporary = continued.map_or_else(|| create(directory, &name), Ok)?;
        if let Place::Instead(lock) = &place {
            lock.pass_on_access(temporary.as_file())?;
        }
        Ok(Self { temporary, place, path, continues })
    }

    /// Gives the whole file its name.
    pub(super) fn name(&mut self, durability: Durability) -> Result<(), StoreError> {
        if durability == Durability::Synced {
            self.temporary.as_file().sync_all().map_err(StoreError::io("write", &self.path))?;
        }
        if rename(&self.temporary, &self.place, &self.path)? == Left::Nothing {
            // what stands under the temporary name from now on is another process's, which writes the same
            self.temporary.disable_cleanup(true);
        }
        if durability == Durability::Synced {
            sync_directory(directory_of(&self.path))?;
        }
        Ok(())
    }
}

/// Makes a file with a name of its own.
fn create(directory: &Path, name: &str) -> Result<tempfile::NamedTempFile, StoreError> {
    let temporary = tempfile::Builder::new()
        .prefix(&stale::prefix(name))
        .rand_bytes(stale::RANDOM)
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(directory)
        .map_err(StoreError::io(CREATE_IN, directory))?;
    // Held for as long as this process lives: how the next run tells the dead from the living. Where it cannot be had,
    // the next run cannot have it either, and takes the file for a living one.
    let _ = flock::try_exclusive(temporary.as_file());
    Ok(temporary)
}

/// What of a file stands under its temporary name once it has another one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    /// A second name of it.
    Link,
}

fn rename(temporary: &tempfile::NamedTempFile, place: &Place, path: &Path) -> Result<Left, StoreError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match place {
        Place::Instead(lock) => {
            if !lock.is_current()? {
                return Err(StoreError::Busy { place: Location::Archive(path.to_owned()) });
            }
            std::fs::rename(temporary.path(), path).map_err(StoreError::io("rename a file to", path))?;
            Ok(Left::Nothing)
        }
        Place::New(_) | Place::Stream => {
            let named = match renameat_with(CWD, temporary.path(), CWD, path, RenameFlags::NOREPLACE) {
                // a file system without it: a link is the other way never to overwrite
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                    std::fs::hard_link(temporary.path(), path).map(|()| Left::Link)
                }
                other => other.map(|()| Left::Nothing).map_err(io::Error::from),
            };
            named.map_err(|error| match error.kind() {
                // somebody else made it in the meantime: the same command again adds to that
                io::ErrorKind::AlreadyExists => StoreError::Busy { place: Location::Archive(path.to_owned()) },
                _ => StoreError::io("create", path)(error),
            })
        }
    }
}

/// Makes the names in a directory safe from a loss of power.
pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    lacking::sync_directory(path).map_err(StoreError::io("sync", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temporary_name_is_free_for_another_process_once_the_file_has_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        let identity = Some("0123456789abcdef");
        let mut first = Unnamed::beside(Place::New(path.clone()), identity).unwrap();
        first.name(Durability::Unsynced).unwrap();
        // one that looked before the first had finished, and takes the name between its rename and its end
        let mut second = Unnamed::beside(Place::New(path.clone()), identity).unwrap();
        drop(first);
        assert!(second.temporary.path().exists(), "the first has removed what is the second's");
        assert!(matches!(second.name(Durability::Unsynced), Err(StoreError::Busy { .. })));
        drop(second);
        let left = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(left.collect::<Vec<_>>(), [path]);
    }
}
