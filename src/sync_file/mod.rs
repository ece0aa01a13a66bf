//! `barge.yaml`: what `barge sync` brings from where to where, as a file that people keep beside their code.
//!
//! The grammar is that of `docs/sync.schema.json`, which a test holds equal to [`FIELDS`]. Whatever can be known to be wrong is
//! said when the file is read, with line and column: patterns, ranges, templates and names are parsed here, once. The digests
//! that its sources had at one time are a [`Lock`].
//!
//! Nothing here touches the disk or the network.

mod lock;
mod read;
mod source;
mod tags;
mod target;
mod template;
#[cfg(test)]
mod tests;
mod version;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use self::lock::{Lock, LockedImage, LockedSource};
pub use self::read::FIELDS;
pub use self::source::{Kind, Repositories, Source};
pub use self::tags::{By, Choice, Tags};
pub use self::target::{Bundle, Target, TargetKind};
pub use self::template::{Parts, Template};
pub use self::version::version_of;
use crate::error::Class;
use crate::platform::PlatformFilter;
use crate::text::escaped;
use crate::yaml::{Fault, Wrong};

/// The largest file, in bytes.
pub const LARGEST_FILE: usize = crate::yaml::LARGEST_FILE;

/// Where something stands. It prints as `FILE:LINE:COLUMN`, safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The file, safe to show.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The name of the file, safe to show.
    pub file: String,
    /// The line and the character in it, from 1; none where the file as a whole is meant.
    pub position: Option<(usize, usize)>,
    /// What is wrong, safe to show.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// What the failure means to a script.
    pub class: Class,
}

impl FileError {
    fn of(fault: Fault, file: &str) -> Self {
        let Wrong { position, message, hint, class } = fault.into_pieces();
        Self { file: file.to_owned(), position, message, hint, class }
    }

    /// Says that what stands at a place cannot be.
    #[must_use]
    pub fn at(at: &At, message: String, hint: Option<String>) -> Self {
        let (file, position) = (at.file.to_string(), Some((at.line, at.column)));
        Self { file, position, message, hint, class: Class::Usage }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use {}", self.file)?;
        self.position.map_or(Ok(()), |(line, column)| write!(f, ":{line}:{column}"))?;
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for FileError {}

/// What is to be brought from where to where.
#[derive(Clone, Debug)]
pub struct SyncFile {
    /// The entries, in order; never empty.
    pub entries: Vec<Entry>,
}

/// An entry: all images of its sources go to all of its targets.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it stands.
    pub at: At,
    /// What messages call it, safe to show.
    pub name: String,
    /// Where the images come from.
    pub sources: Vec<Source>,
    /// Where they go.
    pub targets: Vec<Target>,
    /// Which platforms go.
    pub platforms: PlatformFilter,
    /// Whether an index of which platforms stay behind keeps its digest, and is sparse.
    pub keep_index: bool,
    /// Which referrers go; those of these types, where some are named.
    pub referrers: Belonging,
    /// What the images are called where they arrive.
    pub rename: Option<Template>,
    /// The files of public keys, one of which has to have signed every image; empty when nobody has to.
    pub require_signature: Vec<PathBuf>,
}

/// Which signatures, SBOMs and other referrers go along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Belonging {
    /// All.
    #[default]
    All,
    /// None.
    None,
    /// Those of these types of artifact, and those of cosign's tags when `cosign` is among them.
    Types(Vec<String>),
}

impl SyncFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is not text, larger than 8 MiB, not well formed, or says what cannot be: with line and column.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, FileError> {
        let label: Arc<str> = escaped(file).into();
        read::read(&label, bytes).map_err(|fault| FileError::of(fault, &label))
    }
}
