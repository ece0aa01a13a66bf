//! Files that follow each other, read by position as if they were one: nothing is joined or copied.
//!
//! A set may have more parts than a process may have files open, so only some are, and each is looked at again when it
//! is opened again: a part that is another file by then, or was written to, is not read on.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::bytes::{Identity, ReadAt};
use crate::store::{Location, StoreError, directory_of};
use crate::text::quoted;

/// The most files that are open at once.
const MOST_OPEN: usize = 64;

/// A file, and where it begins in the whole.
#[derive(Debug)]
struct Link {
    path: PathBuf,
    identity: Identity,
    begins: u64,
}

/// Files that follow each other.
#[derive(Debug)]
pub(super) struct Chain {
    links: Vec<Link>,
    length: u64,
    /// The files that are open, the one that was used last at the end.
    open: Mutex<Vec<(usize, Arc<File>)>>,
}

impl Chain {
    /// Takes files in their order, each as it was when it was found.
    pub(super) fn new(files: impl IntoIterator<Item = (PathBuf, Identity)>) -> Self {
        let mut length: u64 = 0;
        let mut links = Vec::new();
        for (path, identity) in files {
            links.push(Link { path, identity, begins: length });
            length = length.saturating_add(identity.length);
        }
        Self { links, length, open: Mutex::default() }
    }

    /// Returns how many bytes they have together.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    fn file(&self, at: usize) -> Result<Arc<File>, StoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = open.iter().position(|(other, _)| *other == at) {
            let used = open.remove(found);
            let file = Arc::clone(&used.1);
            open.push(used);
            return Ok(file);
        }
        let link = &self.links[at];
        let file = Arc::new(open_unchanged(&link.path, link.identity)?);
        if open.len() >= MOST_OPEN {
            open.remove(0);
        }
        open.push((at, Arc::clone(&file)));
        Ok(file)
    }

    fn read_some(&self, buffer: &mut [u8], offset: u64) -> Result<usize, StoreError> {
        if buffer.is_empty() || offset >= self.length {
            return Ok(0);
        }
        // of several that begin there the last one: those before it are empty
        let at = self.links.partition_point(|link| link.begins <= offset).saturating_sub(1);
        let link = &self.links[at];
        let within = offset - link.begins;
        let room = buffer.len().min(usize::try_from(link.identity.length - within).unwrap_or(usize::MAX));
        let file = self.file(at)?;
        loop {
            return match file.read_at(&mut buffer[..room], within) {
                Ok(0) => Err(changed(&link.path, "it became shorter while it was read")),
                Ok(count) => Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(StoreError::io("read", &link.path)(error)),
            };
        }
    }
}

impl ReadAt for Chain {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_some(buffer, offset).map_err(io::Error::other)
    }
}

/// Opens a file that must be as it was when it was found.
pub(super) fn open_unchanged(path: &Path, identity: Identity) -> Result<File, StoreError> {
    let file = File::open(path).map_err(StoreError::io("read", path))?;
    let metadata = file.metadata().map_err(StoreError::io("read", path))?;
    if Identity::of(&metadata) == identity {
        return Ok(file);
    }
    Err(changed(path, "it changed while it was read"))
}

/// Returns the complaint that a file did not stay what it was.
pub(super) fn changed(path: &Path, reason: &str) -> StoreError {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    StoreError::Malformed {
        what: quoted(&name),
        place: Location::File(directory_of(path).to_owned()),
        reason: reason.into(),
        hint: Some("run the same command again when nobody writes to it".to_owned()),
    }
}
