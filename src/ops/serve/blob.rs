//! Content as it is served: where it lies, and read from there by position.

use std::fs::File;
use std::io::{self, Seek as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use super::place::Snapshot;
use crate::blob::{BlobReader, Cancel};
use crate::content::Content;
use crate::digest::Digest;
use crate::ops::open::Store;
use crate::store::archive::Identity;
use crate::store::{Source as _, StoreError};

/// Content that lies in a place, open for reading.
#[derive(Debug)]
pub(super) struct Blob {
    content: Content,
    snapshot: Arc<Snapshot>,
    file: Option<(File, Identity)>,
}

/// Which bytes a blob is: as long as this stays the same, they were not changed, as far as inode and times tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Bytes {
    /// A file of a layout.
    File(Digest, Identity),
    /// What stands in an archive as it was opened: each opening has another number.
    Archive(Digest, u64),
}

impl Blob {
    /// Finds content in a place; `None` when it is not there.
    ///
    /// # Errors
    /// When it is no regular file, has another size, or cannot be opened.
    pub(super) fn find(snapshot: &Arc<Snapshot>, content: &Content) -> Result<Option<Self>, StoreError> {
        let (size, file) = match snapshot.store() {
            Store::Layout(layout) => match layout.file_unverified(&content.digest)? {
                Some((file, size)) => {
                    let path = || snapshot.store().location().path().unwrap_or(Path::new("")).to_owned();
                    let metadata = file.metadata().map_err(|error| StoreError::io("read", path())(error))?;
                    (size, Some((file, Identity::of(&metadata))))
                }
                None => return Ok(None),
            },
            Store::Archive(archive) => match archive.size_unverified(&content.digest) {
                Some(size) => (size, None),
                None => return Ok(None),
            },
            Store::Registry(_) => return Ok(None),
        };
        if size != content.size {
            // opening it says what is wrong with it
            drop(snapshot.store().open(content)?);
        }
        Ok(Some(Self { content: content.clone(), snapshot: Arc::clone(snapshot), file }))
    }

    /// Returns what it is.
    pub(super) const fn content(&self) -> &Content {
        &self.content
    }

    /// Returns whether its place wants it to be hashed before it is served.
    pub(super) fn wants_proof(&self) -> bool {
        self.snapshot.read_verify()
    }

    /// Returns which bytes it is.
    pub(super) fn bytes(&self) -> Bytes {
        match &self.file {
            Some((_, identity)) => Bytes::File(self.content.digest, *identity),
            None => Bytes::Archive(self.content.digest, self.snapshot.number()),
        }
    }

    /// Reads some of it from `offset` on, as it stands there: nothing checks it. Returns how many bytes there were.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read_at_unverified(&self, buffer: &mut [u8], offset: u64) -> Result<usize, StoreError> {
        match (&self.file, self.snapshot.store()) {
            (Some((file, _)), _) => read_full_at(file, buffer, offset).map_err(|error| self.cannot_read(error)),
            (None, Store::Archive(archive)) => archive.read_at_unverified(&self.content.digest, buffer, offset),
            (None, store) => Err(StoreError::Missing { digest: self.content.digest, place: store.location().clone() }),
        }
    }

    /// Reads all of it and compares it with its digest.
    ///
    /// # Errors
    /// When it is another content, or cannot be read.
    pub(super) fn prove(&self, cancel: &Cancel) -> Result<(), StoreError> {
        let store = self.snapshot.store();
        if let Store::Archive(archive) = store
            && archive.makes(&self.content.digest)
        {
            // it is made as a whole before a byte of it is read, and checked
            return archive.read_at_unverified(&self.content.digest, &mut [0], 0).map(drop);
        }
        let reader = match &self.file {
            Some((file, _)) => {
                let mut file = file.try_clone().map_err(|error| self.cannot_read(error))?;
                file.rewind().map_err(|error| self.cannot_read(error))?;
                BlobReader::of_file(self.content.clone(), file)
            }
            None => store.open(&self.content)?,
        };
        let proof = reader.cancelled_by(cancel).check();
        proof.map_err(|error| StoreError::reading(error, &self.content, store.location()))?;
        Ok(())
    }

    fn cannot_read(&self, error: io::Error) -> StoreError {
        let place = self.snapshot.store().location();
        let path = place.path().unwrap_or(Path::new("")).join(self.content.digest.blob_path());
        StoreError::io("read", path)(error)
    }
}

fn read_full_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
