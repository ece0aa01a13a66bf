//! Why a layer cannot be made again.

use std::io;

use super::{BadGuide, BadRecipe, BaseLayer};
use crate::digest::Digest;
use crate::regzip::ResumeError;

/// Why a layer cannot be made again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// A base is needed, and was not provided.
    #[error("bytes of the base layer {} are needed, which is not there", .0.digest)]
    Base(Box<BaseLayer>),
    /// A piece is not what its digest says.
    #[error("a piece is {got} of {got_size} bytes, expected {expected} of {size}")]
    Piece {
        /// What it is.
        got: Digest,
        /// How many bytes there are.
        got_size: u64,
        /// What the index says.
        expected: Digest,
        /// How many bytes it says.
        size: u64,
    },
    /// Its recipe is none.
    #[error("its recipe is wrong: {0}")]
    Recipe(#[from] BadRecipe),
    /// Its guide is none.
    #[error("its guide is wrong: {0}")]
    Guide(#[from] BadGuide),
    /// Its guide has a checkpoint at which nothing can go on.
    #[error("its guide is wrong: at a checkpoint, {0}")]
    Checkpoint(#[from] ResumeError),
    /// Something is not as it must be: this sentence says it.
    #[error("{0}")]
    Wrong(String),
    /// Reading failed.
    #[error("reading failed")]
    Read(#[source] io::Error),
}

impl From<RebuildError> for io::Error {
    /// Of bytes that are wrong an error of the kind [`io::ErrorKind::InvalidData`], out of which it can be taken again.
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::Read(error) => error,
            wrong => Self::new(io::ErrorKind::InvalidData, wrong),
        }
    }
}

impl From<io::Error> for RebuildError {
    fn from(error: io::Error) -> Self {
        error.downcast().unwrap_or_else(Self::Read)
    }
}
