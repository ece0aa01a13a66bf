//! Bytes at rest, read by position: nothing seeks, so several threads read one file at once.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use super::chain::Chain;
use crate::blob::Extent;

/// Something that is read by position.
pub(super) trait ReadAt: Sync {
    /// Reads some bytes from `offset`, which counts from the start; 0 at the end.
    ///
    /// # Errors
    /// As the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills as much of the buffer as there is from `offset`, and returns how much that was.
    ///
    /// # Errors
    /// As the system says.
    fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Returns where in a file the bytes from `offset` on stand, when they are all in one.
    fn extent(&self, _offset: u64) -> Option<Extent<'_>> {
        None
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// What an archive is read from: a regular file from some point on, or several that follow each other.
#[derive(Debug)]
pub(super) struct Stored(Kept);

#[derive(Debug)]
enum Kept {
    File { file: File, start: u64, length: u64 },
    Chain(Chain),
}

impl Stored {
    /// Takes a file of `length` bytes after `start`.
    pub(super) const fn new(file: File, start: u64, length: u64) -> Self {
        Self(Kept::File { file, start, length })
    }

    /// Takes files that follow each other.
    pub(super) const fn of_chain(chain: Chain) -> Self {
        Self(Kept::Chain(chain))
    }

    /// Returns which file it is, and in which state it is now.
    ///
    /// # Errors
    /// As the system says, and when it is several.
    pub(super) fn identity(&self) -> io::Result<Identity> {
        match &self.0 {
            Kept::File { file, .. } => Ok(Identity::of(&file.metadata()?)),
            Kept::Chain(_) => Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
    }

    /// Returns how many bytes there are.
    pub(super) const fn length(&self) -> u64 {
        match &self.0 {
            Kept::File { length, .. } => *length,
            Kept::Chain(chain) => chain.length(),
        }
    }
}

impl ReadAt for Stored {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match &self.0 {
            Kept::File { file, start, .. } => loop {
                match file.read_at(buffer, start.saturating_add(offset)) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => return result,
                }
            },
            Kept::Chain(chain) => chain.read_at(buffer, offset),
        }
    }

    fn extent(&self, offset: u64) -> Option<Extent<'_>> {
        match &self.0 {
            Kept::File { file, start, .. } => Some(Extent { file, at: start.checked_add(offset)? }),
            Kept::Chain(_) => None, // what is cut lies in two of them
        }
    }
}

/// A reader of one part of something: what an entry holds, as it stands there and unchecked.
pub struct Span<'a> {
    from: &'a dyn ReadAt,
    offset: u64,
    remaining: u64,
}

impl<'a> Span<'a> {
    /// Reads `length` bytes from `offset`.
    pub(super) const fn new(from: &'a dyn ReadAt, offset: u64, length: u64) -> Self {
        Self { from, offset, remaining: length }
    }

    /// Reads from `offset` on, which counts from where this begins, wherever it was read to so far. Returns how many bytes
    /// that were.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.from.read_full_at(buffer, self.offset.saturating_add(offset))
    }

    /// Returns where in a file the bytes lie that are still to come; none when they are not in one.
    pub(super) fn extent(&self) -> Option<Extent<'a>> {
        self.from.extent(self.offset)
    }

    /// Returns how many bytes are still to come.
    #[must_use]
    pub const fn remaining(&self) -> u64 {
        self.remaining
    }
}

impl Read for Span<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        let count = self.from.read_at(&mut buffer[..room], self.offset)?;
        self.offset += count as u64;
        self.remaining -= count as u64;
        Ok(count)
    }
}

impl fmt::Debug for Span<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, remaining, .. } = self;
        f.debug_struct("Span").field("offset", offset).field("remaining", remaining).finish_non_exhaustive()
    }
}

/// Which file an archive is, and in which state: to see whether it changed between two moments.
///
/// Not promised: that equal means unchanged. A clock that stands still, or a write that keeps the time, is not seen; a
/// wrong digest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The device.
    pub device: u64,
    /// The number of the file on it.
    pub inode: u64,
    /// Its length in bytes.
    pub length: u64,
    /// When it was last changed: seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
}

impl Identity {
    /// Takes the identity from what the system says of a file.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}
