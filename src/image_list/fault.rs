//! What is wrong with a list of images: the file, line and column, what was found, and what to do.

use std::fmt;

use crate::error::Class;

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

/// A [`ListError`] before the name of the file is known.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    position: Option<(usize, usize)>,
    message: String,
    hint: Option<String>,
    class: Class,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { position: None, message: message.into(), hint: None, class: Class::Usage }
    }

    /// What stands there is filled in by another program.
    pub(super) fn template(position: (usize, usize)) -> Self {
        let fault =
            Self { class: Class::Unsupported, ..Self::new("this is a template, and its values are not filled in") };
        fault.at(position).hint("render it first, as with `helm template RELEASE CHART >rendered.yaml`, and give that")
    }

    /// The machine does not give what is needed to read it.
    pub(super) fn machine(self) -> Self {
        Self { class: Class::Machine, ..self }
    }

    pub(super) fn at(mut self, position: (usize, usize)) -> Self {
        self.position = Some(position);
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn in_file(self, file: &str) -> ListError {
        let Self { position, message, hint, class } = self;
        ListError { file: file.to_owned(), position, message, hint, class }
    }
}
