//! What can go wrong while a layer is applied, told apart by whose fault it is.

use std::path::PathBuf;

use rustix::io::Errno;

use crate::ops::Error;
use crate::store::{Location, StoreError};
use crate::tar::stream::TarError;

/// Why a layer cannot be applied.
#[derive(Debug)]
pub(in crate::ops) enum Fault {
    /// The layer holds what no layer may hold.
    Layer(String),
    /// It holds what barge does not read, or more than the user lets it.
    Refused {
        /// What.
        reason: String,
        /// What to do instead.
        hint: String,
    },
    /// The source or the machine failed, or somebody asked to stop.
    Store(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    /// Returns a function that gives an error of the system its verb and path. What only the names in the layer bring
    /// about is the layer's fault.
    pub(in crate::ops) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(Errno) -> Self {
        let path = path.into();
        move |error| match error {
            Errno::NAMETOOLONG => Self::Layer("a part of its name is longer than the file system takes".to_owned()),
            Errno::ILSEQ => Self::Layer("the file system does not take such a name".to_owned()),
            error => Self::Store(StoreError::io(action, path)(error.into())),
        }
    }

    /// Says which entry it is about, where that is not said yet.
    pub(in crate::ops) fn at(self, what: &str) -> Self {
        match self {
            Self::Layer(reason) => Self::Layer(format!("{what}: {reason}")),
            Self::Refused { reason, hint } => Self::Refused { reason: format!("{what}: {reason}"), hint },
            store @ Self::Store(_) => store,
        }
    }

    /// Turns a failure to read the tar into a fault; `path` is what content was written to.
    pub(in crate::ops) fn tar(error: TarError, path: impl FnOnce() -> PathBuf) -> Self {
        match error {
            TarError::Malformed(reason) => Self::Layer(reason),
            TarError::Unsupported(reason) => {
                Self::Refused { reason, hint: "build the layer again without sparse files".to_owned() }
            }
            TarError::Write(error) => Self::Store(StoreError::io("write", path())(error)),
            TarError::Read(error) => match error.downcast::<Stop>() {
                Ok(Stop(fault)) => fault,
                Err(error) => Self::Layer(error.to_string()),
            },
        }
    }

    /// Turns it into the error of the operation: `about` says which layer it is.
    pub(in crate::ops) fn into_error(self, what: &str, about: String, place: &Location) -> Error {
        match self {
            Self::Layer(reason) => {
                Error::Content { about, error: StoreError::malformed(what, place, reason), hint: None }
            }
            Self::Refused { reason, hint } => Error::Unsupported {
                message: format!("cannot unpack {what} ({about}) in {place}"),
                cause: Some(reason),
                hint: Some(hint),
            },
            Self::Store(error @ (StoreError::Io { .. } | StoreError::Cancelled)) => Error::Store(error),
            Self::Store(error) => Error::Content { about, error, hint: None },
        }
    }
}

/// A fault on its way through a reader, which only knows I/O errors.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub(in crate::ops) struct Stop(pub(super) Fault);
