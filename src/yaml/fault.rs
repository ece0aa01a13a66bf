//! What is wrong with a document, where, and what to do, before the name of the file is known.

use crate::error::Class;

/// Why a document cannot be used.
#[derive(Clone, Debug)]
pub(crate) struct Fault(Box<Wrong>);

/// The pieces of a [`Fault`].
#[derive(Clone, Debug)]
pub(crate) struct Wrong {
    /// The line and the character in it, from 1; none where the file as a whole is meant.
    pub(crate) position: Option<(usize, usize)>,
    /// What is wrong, safe to show.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// What the failure means to a script.
    pub(crate) class: Class,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Wrong { position: None, message: message.into(), hint: None, class: Class::Usage }))
    }

    /// What stands there is filled in by another program.
    pub(crate) fn template(position: (usize, usize)) -> Self {
        let fault = Self::new("this is a template, and its values are not filled in").class(Class::Unsupported);
        fault.at(position).hint("render it first, as with `helm template RELEASE CHART >rendered.yaml`, and give that")
    }

    /// The machine does not give what is needed to read it.
    pub(crate) fn machine(self) -> Self {
        self.class(Class::Machine)
    }

    fn class(mut self, class: Class) -> Self {
        self.0.class = class;
        self
    }

    pub(crate) fn at(mut self, position: (usize, usize)) -> Self {
        self.0.position = Some(position);
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Returns the pieces, for an error that knows the file.
    pub(crate) fn into_pieces(self) -> Wrong {
        *self.0
    }
}
