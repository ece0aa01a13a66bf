//! What is wrong with a recipe: the file, the line, what was expected, and what to write instead.

use std::fmt;

use crate::error::Class;
use crate::text;

/// Why a recipe cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeError {
    /// The name of the file, safe to show.
    pub file: String,
    /// The line where the instruction starts, from 1; none where the file as a whole is meant.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// What the failure means to a script.
    pub class: Class,
}

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "cannot use line {line} of {}: {}", self.file, self.message),
            None => write!(f, "cannot use {}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for RecipeError {}

/// Something that is taken otherwise than its author may think.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The line where the instruction starts, from 1; none where no line is to blame.
    pub line: Option<usize>,
    /// What, in a sentence.
    pub message: String,
}

/// A [`RecipeError`] before the name of the file is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: Option<usize>,
    message: String,
    hint: Option<String>,
    class: Class,
}

impl Fault {
    /// The file does not say what it should.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { line: None, message: message.into(), hint: None, class: Class::Usage }
    }

    /// It is clear what is meant, and cannot be done.
    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self { class: Class::Unsupported, ..Self::new(message) }
    }

    /// Something that is named is not there.
    pub(super) fn absent(message: impl Into<String>) -> Self {
        Self { class: Class::Absent, ..Self::new(message) }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says which known word a mistyped one may be, when one is near.
    pub(super) fn nearest<'a>(self, typed: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match text::nearest(typed, known) {
            Some(meant) => self.hint(format!("did you mean {meant}?")),
            None => self,
        }
    }

    /// Says where, unless that is said already.
    pub(super) fn at(mut self, line: usize) -> Self {
        self.line.get_or_insert(line);
        self
    }

    /// Says where, whatever was said: for what comes from elsewhere and takes effect at a line.
    pub(super) fn again(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    pub(super) fn in_file(self, name: &str) -> RecipeError {
        let Self { line, message, hint, class } = self;
        RecipeError { file: text::escaped(name), line, message, hint, class }
    }
}
