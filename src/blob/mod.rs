//! The one way in which content leaves a store: a reader that checks size and digest.
//!
//! A [`BlobReader`] never reads more than one byte past the size that was promised, hashes the very bytes that it hands
//! out, and hands out the last of them only when the whole is right. Only a reader that came to that end yields a
//! [`Proof`], and only a proof gives content its name in a store. What barge makes itself is read by nobody before: it
//! passes through a [`Making`], which hashes it on its way and yields a proof as well.
//!
//! Where the bytes can begin in the middle ([`Resume`]), the first of them may come from a file in which an earlier reader
//! left them. They are hashed again like all others: the proof is about the beginning and the rest together.

mod cancel;
mod making;
mod overlap;
mod reader;
mod resume;
#[cfg(test)]
mod tests;

use std::io;

pub use self::cancel::Cancel;
pub use self::making::Making;
pub use self::reader::{BlobReader, Extent, Proof};
pub use self::resume::Resume;
use crate::digest::Digest;

/// How many bytes are read at once: large enough that system calls do not count, small enough to stay in the cache
/// between reading, hashing and writing.
pub const CHUNK: usize = 256 * 1024;

/// How content differs from what was promised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It ends too early.
    #[error("content is {got} bytes, expected {expected}")]
    Short {
        /// Bytes there are.
        got: u64,
        /// Bytes promised.
        expected: u64,
    },
    /// It goes on past its size. How far is not read.
    #[error("content is longer than {expected} bytes")]
    Long {
        /// Bytes promised.
        expected: u64,
    },
    /// It has the size but is something else.
    #[error("content is {got}, expected {expected}")]
    Digest {
        /// What the bytes hash to.
        got: Digest,
        /// What was promised.
        expected: Digest,
    },
}

/// Why a blob could not be read or passed on.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The bytes are not what was promised.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// Reading failed.
    #[error(transparent)]
    Read(io::Error),
    /// Writing failed.
    #[error(transparent)]
    Write(io::Error),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Cancelled,
}

impl BlobError {
    /// Returns what went wrong below a decoder that only knows I/O errors.
    #[must_use]
    pub fn from_io(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(error) => Self::Read(error),
        }
    }
}
