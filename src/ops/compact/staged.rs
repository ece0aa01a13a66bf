//! The pieces of a compact archive in a file without a name, to be read before they have one.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::blob::BlobReader;
use crate::compact::Pieces;
use crate::content::{Content, Descriptor};
use crate::digest::Digest;
use crate::store::lacking::unnamed_file;
use crate::store::{Location, Source, StoreError, TEMPORARY};

/// Pieces that are being written.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    path: PathBuf,
    length: u64,
    /// Where each begins and how long it is.
    extents: HashMap<Digest, (u64, u64)>,
}

impl Spool {
    pub(super) fn new(directory: &Path) -> Result<Self, StoreError> {
        let file = unnamed_file(directory).map_err(StoreError::io(TEMPORARY, directory))?;
        Ok(Self { file, path: directory.to_owned(), length: 0, extents: HashMap::new() })
    }

    /// Returns how many bytes the pieces have together.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Writes a piece, unless there is one like it, and returns its digest.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if self.extents.contains_key(&digest) {
            return Ok(digest);
        }
        self.file.write_all(bytes).map_err(StoreError::io(TEMPORARY, &self.path))?;
        self.extents.insert(digest, (self.length, bytes.len() as u64));
        self.length += bytes.len() as u64;
        Ok(digest)
    }
}

/// What a compact archive has in stock before it is written.
#[derive(Debug)]
pub struct Staged {
    location: Location,
    spool: OnceLock<Arc<Spool>>,
}

impl Default for Staged {
    fn default() -> Self {
        Self { location: Location::Memory("made by this command".to_owned()), spool: OnceLock::new() }
    }
}

impl Staged {
    pub(super) fn fill(&self, spool: Arc<Spool>) {
        // it is filled once
        drop(self.spool.set(spool));
    }
}

impl Source for Staged {
    fn location(&self) -> &Location {
        &self.location
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        Ok(Vec::new())
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        let found = self.spool.get().and_then(|spool| Some((spool, *spool.extents.get(&content.digest)?)));
        let Some((spool, (at, length))) = found else {
            return Err(StoreError::Missing { digest: content.digest, place: self.location.clone() });
        };
        Ok(BlobReader::new(content.clone(), Extent { file: &spool.file, at, end: at + length }))
    }
}

/// Reads a part of a file, whoever else reads it at the same time.
struct Extent<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Extent<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(usize::try_from(self.end - self.at).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..room], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// The pieces by their numbers.
pub(super) struct StagedPieces {
    pub(super) spool: Arc<Spool>,
    pub(super) digests: Vec<Digest>,
}

impl Pieces for StagedPieces {
    fn read(&self, piece: u32) -> io::Result<Vec<u8>> {
        let digest = self.digests.get(piece as usize);
        let (at, length) = digest.and_then(|digest| self.spool.extents.get(digest)).ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = vec![0; usize::try_from(*length).map_err(io::Error::other)?];
        self.spool.file.read_exact_at(&mut bytes, *at)?;
        Ok(bytes)
    }
}
