//! What is wrong with a list of images: the file, line and column, what was found, and what to do.

use std::fmt;

use crate::error::Class;
use crate::yaml::{Fault, Wrong};

/// What to give instead of a file that is no list.
pub(super) const WHAT_IS_READ: &str = "a list is a text file with one reference a line, manifests of Kubernetes, a directory \
                                       of them, or a document with `images:`";

/// Why a list of images cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListError {
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

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot take images from {}", self.file)?;
        self.position.map_or(Ok(()), |(line, column)| write!(f, ":{line}:{column}"))?;
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ListError {}

impl ListError {
    /// Says which file is wrong.
    pub(super) fn of(fault: Fault, file: &str) -> Self {
        let Wrong { position, message, hint, class } = fault.into_pieces();
        Self { file: file.to_owned(), position, message, hint, class }
    }
}
