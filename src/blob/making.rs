//! Content that barge makes itself: hashed while it is written, and named after what it turned out to be.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::reader::Proof;
use crate::content::{Content, Kind};
use crate::digest::{Algorithm, Digest, Hasher};

/// A writer that counts and hashes what passes, on its way to where it is kept. Nothing was promised, so nothing can be
/// wrong: the proof is about exactly the bytes that passed.
pub struct Making<'a> {
    to: &'a mut (dyn Write + Send),
    path: PathBuf,
    kind: Kind,
    hasher: Hasher,
    size: u64,
    failed: bool,
}

impl<'a> Making<'a> {
    /// Puts the hash (SHA-256) before a writer; `path` is what it writes to, for messages.
    pub fn new(kind: Kind, path: impl Into<PathBuf>, to: &'a mut (dyn Write + Send)) -> Self {
        let hasher = Algorithm::Sha256.hasher();
        Self { to, path: path.into(), kind, hasher, size: 0, failed: false }
    }

    /// Returns what is written to, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how many bytes have passed.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Returns the digest of the bytes that have passed so far.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Ends the content and returns the proof of it.
    ///
    /// # Errors
    /// When the last of it cannot be written, or something before could not: nobody knows then how much of it was.
    pub fn finish(mut self) -> io::Result<Proof> {
        self.flush()?;
        if self.failed {
            return Err(io::Error::other("an earlier write to it failed"));
        }
        Ok(Proof::of_made(Content { digest: self.hasher.finish(), size: self.size, kind: self.kind }))
    }

    fn noted<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.failed |= result.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        result
    }
}

impl Write for Making<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes);
        let count = self.noted(written)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.to.flush();
        self.noted(flushed)
    }
}

impl fmt::Debug for Making<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Making").field("path", &self.path).field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_content_is_proved_by_what_passed() {
        let mut kept = Vec::new();
        let mut making = Making::new(Kind::Blob, "x", &mut kept);
        making.write_all(b"hel").unwrap();
        assert_eq!((making.digest(), making.size()), (Digest::of(b"hel"), 3));
        making.write_all(b"lo").unwrap();
        assert_eq!(*making.finish().unwrap().content(), Content::of(b"hello", Kind::Blob));
        assert_eq!(kept, b"hello");
        let empty = Making::new(Kind::Config, "x", &mut kept).finish().unwrap();
        assert_eq!(*empty.content(), Content::of(b"", Kind::Config));
    }

    #[test]
    fn only_what_was_taken_counts_and_nothing_is_proved_after_a_failure() {
        /// Takes two bytes at a time, is interrupted now and then, and is full after so many.
        struct Narrow(Vec<u8>, usize, bool);
        impl Write for Narrow {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.2 = !self.2;
                if self.2 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                let count = bytes.len().min(2).min(self.1 - self.0.len());
                if count == 0 {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                self.0.extend_from_slice(&bytes[..count]);
                Ok(count)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for (room, right) in [(5, true), (4, false)] {
            let mut narrow = Narrow(Vec::new(), room, false);
            let mut making = Making::new(Kind::Blob, "x", &mut narrow);
            assert_eq!(making.write_all(b"hello").is_ok(), right);
            assert_eq!(making.finish().is_ok_and(|proof| proof.content().digest == Digest::of(b"hello")), right);
            assert_eq!(narrow.0, b"hello"[..room]);
        }
    }
}
