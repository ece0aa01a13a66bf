//! Problems: what can be wrong, and how it is told.

use crate::blob::Mismatch;
use crate::digest::Digest;
use crate::store::{StoreError, causes};

/// What is wrong with something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Something refers to it, and it is not there.
    Missing,
    /// It is shorter or longer than promised.
    SizeMismatch,
    /// It is something else than promised.
    DigestMismatch,
    /// Unpacked, it is not what the config says.
    DiffIdMismatch,
    /// The machine could not read it.
    Unreadable,
    /// It is not of the form that it must have.
    Malformed,
    /// The index says one platform, the config another.
    PlatformMismatch,
    /// One name stands for two images.
    AmbiguousName,
    /// A part of a split archive is not what its note says.
    DamagedPart,
}

impl Status {
    /// Returns the word for JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::SizeMismatch => "size-mismatch",
            Self::DigestMismatch => "digest-mismatch",
            Self::DiffIdMismatch => "diffid-mismatch",
            Self::Unreadable => "unreadable",
            Self::Malformed => "malformed",
            Self::PlatformMismatch => "platform-mismatch",
            Self::AmbiguousName => "ambiguous-name",
            Self::DamagedPart => "damaged-part",
        }
    }
}

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The digest of the content, or the file or the name that is meant.
    pub subject: String,
    /// What is wrong with it.
    pub status: Status,
    /// What it is: `layer 3 of linux/arm64`.
    pub about: String,
    /// The digests of what refers to it.
    pub referenced_by: Vec<Digest>,
    /// The details.
    pub detail: String,
}

/// Turns what a store said into a problem.
pub(super) fn problem(subject: String, about: String, referenced_by: Vec<Digest>, error: &StoreError) -> Problem {
    let status = match error {
        StoreError::Missing { .. } | StoreError::Absent { .. } => Status::Missing,
        StoreError::Wrong { mismatch: Mismatch::Short { .. } | Mismatch::Long { .. }, .. } => Status::SizeMismatch,
        StoreError::Wrong { mismatch: Mismatch::Digest { .. }, .. } => Status::DigestMismatch,
        StoreError::Io { .. } => Status::Unreadable,
        _ => Status::Malformed,
    };
    let detail = match causes(error).as_slice() {
        [] => error.to_string(),
        causes => causes.join(": "),
    };
    Problem { subject, status, about, referenced_by, detail }
}
