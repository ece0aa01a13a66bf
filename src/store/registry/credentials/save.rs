//! Replacing a file with credentials: locked, whole, and for its owner alone.
//!
//! The lock is on the file itself, so that nothing lies beside it afterwards. Whoever had it before has put another file in
//! its place: so a lock counts only while the path still names the locked file. Docker and podman lock nothing; what they
//! write meanwhile is seen, but for the moment of the rename.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::document::{open, read_all};
use crate::blob::Cancel;
use crate::store::beside::stale;
use crate::store::lacking::sync_directory;
use crate::store::listing::names_in;
use crate::store::{Location, StoreError, directory_of, flock};

/// How long to wait for others that change the same file: each takes a moment.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often somebody without locks may come in between.
const ATTEMPTS: usize = 16;
/// How many links may lead to the file.
const LINKS: usize = 40;
/// How many random characters end the name of a temporary file: what ends otherwise is somebody else's.
const RANDOM: usize = stale::RANDOM;
/// What stands before those when it is the first file of that name.
const NEW: &str = "new-";
/// What a file says that is made to be locked.
const NOTHING: &[u8] = b"{}\n";

/// Changes a file, which is made when it is not there. `edit` gets what it says, and returns what it is to say; `None`
/// leaves it. It may be asked again.
pub(super) fn change(
    path: &Path,
    mut edit: impl FnMut(&[u8]) -> Result<Option<Vec<u8>>, StoreError>,
) -> Result<(), StoreError> {
    let place = Location::File(path.to_owned());
    let real = followed(path)?;
    let directory = directory_of(&real);
    // a directory that is made here holds nothing for others
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(StoreError::io("create the directory", directory))?;
    for _ in 0..ATTEMPTS {
        let held = flock::wait(&place, PATIENCE, &Cancel::default(), || Held::take(&real))?;
        let Some(text) = edit(&read_all(&held.file, path)?)? else { return Ok(()) };
        if held.replace(&text)? {
            return Ok(());
        }
    }
    Err(StoreError::Busy { place })
}

/// Returns the path of the file itself: a link to it stays a link, also one that leads to nothing yet.
fn followed(path: &Path) -> Result<PathBuf, StoreError> {
    let mut real = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&real) {
            Ok(target) => real = directory_of(&real).join(target),
            // EINVAL: it is no link
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                return Ok(real);
            }
            Err(error) => return Err(StoreError::io("look at", path)(error)),
        }
    }
    Err(StoreError::io("look at", path)(io::Error::other("too many links lead to it, or they lead in a circle")))
}

/// A file that nobody else of us changes.
struct Held<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> Held<'a> {
    /// Locks the file that the path names, after making it; `None` when another process holds it.
    fn take(path: &'a Path) -> Result<Option<Self>, StoreError> {
        // written to only by way of a rename, but a network file system locks only what could be written to; and a file
        // that its owner has made read-only is not to be changed
        let file = match open(path, File::options().read(true).write(true)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::make(path).map(|()| None),
            Err(error) => return Err(StoreError::io("write", path)(error)),
        };
        if !flock::try_exclusive(&file).map_err(|error| StoreError::io("lock", path)(error.into()))? {
            return Ok(None);
        }
        let held = Self { path, file };
        Ok(if held.is_current()? { Some(held) } else { None })
    }

    /// Makes the file, unless somebody else has.
    fn make(path: &Path) -> Result<(), StoreError> {
        let mut temporary = temporary(path, &format!("{}{NEW}", prefix(path)))?;
        let failed = |error| StoreError::io("write", path)(error);
        temporary.write_all(NOTHING).map_err(failed)?;
        match temporary.persist_noclobber(path) {
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error.error)),
            _ => Ok(()),
        }
    }

    fn is_current(&self) -> Result<bool, StoreError> {
        let failed = |error| StoreError::io("look at", self.path)(error);
        let named = match fs::symlink_metadata(self.path) {
            Ok(named) => named,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed(error)),
        };
        let held = self.file.metadata().map_err(failed)?;
        Ok((named.dev(), named.ino()) == (held.dev(), held.ino()))
    }

    /// Puts a new file in its place, if nobody else has.
    fn replace(&self, text: &[u8]) -> Result<bool, StoreError> {
        let failed = |error| StoreError::io("write", self.path)(error);
        let directory = directory_of(self.path);
        remove_leftovers(self.path);
        let mut temporary = temporary(self.path, &prefix(self.path))?;
        let (held, new) = (self.file.metadata().map_err(failed)?, temporary.as_file().metadata().map_err(failed)?);
        if (held.uid(), held.gid()) != (new.uid(), new.gid()) {
            // root that changes the file of a user leaves it theirs; nobody else can, and then it is ours
            let _ = std::os::unix::fs::fchown(temporary.as_file(), Some(held.uid()), Some(held.gid()));
        }
        temporary.write_all(text).map_err(failed)?;
        temporary.as_file().sync_all().map_err(failed)?;
        if !self.is_current()? {
            return Ok(false);
        }
        temporary.persist(self.path).map_err(|error| failed(error.error))?;
        sync_directory(directory).map_err(StoreError::io("write", directory))?;
        Ok(true)
    }
}

/// Returns how the temporary files begin that hold what a path is to hold.
fn prefix(path: &Path) -> String {
    format!(".{}.barge-", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Makes a file beside a path that only we can read.
fn temporary(path: &Path, prefix: &str) -> Result<tempfile::NamedTempFile, StoreError> {
    let directory = directory_of(path);
    tempfile::Builder::new()
        .prefix(prefix)
        .rand_bytes(RANDOM)
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(directory)
        .map_err(StoreError::io("create a file in", directory))
}

/// Removes the temporary files of processes that died: they hold passwords. Whoever holds the lock is the only living one
/// that has any.
fn remove_leftovers(path: &Path) {
    let prefix = prefix(path);
    // made without the lock: somebody may be about to give it its name
    stale::remove_named(directory_of(path), &format!("{prefix}{NEW}"), None);
    let directory = directory_of(path);
    for name in names_in(directory).unwrap_or_default() {
        let rest = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        if rest.is_some_and(|rest| rest.len() == RANDOM && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            let _ = fs::remove_file(directory.join(&name));
        }
    }
}
