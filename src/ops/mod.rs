//! Operations: what a user asks for, as plain functions of plain options.
//!
//! An operation reads until it can decide, makes a plan, and lets the engine carry it out. It prints nothing and knows no
//! terminal: results are values, and what happens on the way goes to an [`Observer`](crate::transfer::Observer).

mod artifact;
pub mod attach;
pub mod attached;
mod bases;
pub mod build;
pub mod bundle;
pub mod carry;
pub mod check;
pub mod choose;
pub mod compact;
pub mod convert;
pub mod copy;
pub mod diff;
pub mod draft;
pub mod edit;
pub mod gather;
pub mod gc;
mod layer;
pub mod left_behind;
pub mod listed;
pub mod load;
pub mod loadable;
pub mod look;
pub mod lookup;
pub mod manifest;
pub mod merge;
pub mod open;
pub mod parts;
pub mod published;
pub mod pull;
pub mod push;
mod referred;
pub mod report;
pub mod rework;
pub mod rm;
pub mod rootfs;
pub mod save;
pub mod serve;
pub mod sign;
pub mod sync;
pub mod target;
mod unlisted;
pub mod unpack;
pub mod verify;
pub mod workspace;

use std::path::PathBuf;

use self::bundle::Untrusted;
use crate::digest::Digest;
use crate::error::Class;
use crate::graph::Finding;
use crate::image_list::ListError;
use crate::platform::Platform;
use crate::recipe::RecipeError;
use crate::reference::ReferenceError;
use crate::signing::KeyError;
use crate::store::archive::Damage;
use crate::store::{StoreError, causes};
use crate::sync_file::FileError;
use crate::text::escaped;
use crate::transfer::TransferError;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A store failed at one piece of content.
    #[error("{}", at_content(.about, .error))]
    Content {
        /// What the content is: `layer 3 of linux/arm64, 12.4 MiB`.
        about: String,
        /// What happened.
        error: StoreError,
        /// What to do, when the operation knows it better than the store.
        hint: Option<String>,
    },
    /// A word of the command line is no reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// Nothing, or more than one thing, answers to what was asked for.
    #[error("{message}")]
    Absent {
        /// What was looked for, and where.
        message: String,
        /// What is there instead.
        cause: Option<String>,
        /// What to do.
        hint: Option<String>,
    },
    /// Content of a split archive is wrong, and its parts were compared with their notes.
    #[error("{error}")]
    Parts {
        /// What is wrong.
        error: Box<Error>,
        /// The parts that are damaged; none when the archive was wrong before it was split.
        damaged: Vec<Damage>,
    },
    /// An archive in parts has not come as a whole: what came is kept.
    #[error("{message}")]
    Unfinished {
        /// Which archive, and which parts are needed.
        message: String,
        /// What is wrong with parts that came, and where what came is kept.
        causes: Vec<String>,
        /// Content when a part that came is of no use, else absent.
        class: Class,
        /// The parts that are damaged.
        damaged: Vec<Damage>,
        /// How to go on.
        hint: String,
    },
    /// Two images are for the same platform.
    #[error("cannot merge: {platform} is there twice")]
    Duplicate {
        /// The platform of both.
        platform: Box<Platform>,
        /// Where the first one is, as it was typed.
        first: String,
        /// Its digest.
        first_digest: Box<Digest>,
        /// Where the second one is, as it was typed.
        second: String,
        /// Its digest.
        second_digest: Box<Digest>,
    },
    /// A recipe is not what it must be, or asks for what cannot be done.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A line of a recipe cannot be carried out.
    #[error("cannot carry out line {line} of {file}: {what}")]
    Line {
        /// The file, as it is called in messages.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The instruction.
        what: String,
        /// Why.
        error: Box<Error>,
    },
    /// A key cannot be used.
    #[error("cannot {action} {}", escaped(&path.to_string_lossy()))]
    Key {
        /// What for, such as `use the private key`.
        action: &'static str,
        /// The file that it is in.
        path: PathBuf,
        /// What is wrong with it.
        error: KeyError,
    },
    /// A list of images is not what it must be.
    #[error(transparent)]
    List(#[from] ListError),
    /// A file that says what is to be done is not what it must be.
    #[error(transparent)]
    File(#[from] FileError),
    /// What a list names cannot be used.
    #[error("cannot use {what}")]
    Listed {
        /// The word, and where it stands: `app:v1 (images.txt:3)`.
        what: String,
        /// Why.
        error: Box<Error>,
    },
    /// Several things that are needed are not where they have to be.
    #[error("{message}")]
    Missing {
        /// What that means to a script.
        class: Class,
        /// What cannot be done, and how much is missing where.
        message: String,
        /// Each thing that is missing.
        missing: Vec<String>,
        /// What to do.
        hint: Option<String>,
    },
    /// Something is not known to come from the owner of a key.
    #[error("cannot trust {what}")]
    Untrusted {
        /// What it is, as messages call it.
        what: String,
        /// Why not.
        reason: Untrusted,
    },
    /// A registry cannot be served.
    #[error("{message}")]
    Setup {
        /// What that means to a script.
        class: Class,
        /// What cannot be done, and with what.
        message: String,
        /// Why.
        cause: Option<String>,
        /// What to do.
        hint: Option<String>,
    },
    /// The request contradicts itself.
    #[error("{message}")]
    Usage {
        /// What is asked for, and why it cannot be meant.
        message: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// It is not possible, or would change what must not change.
    #[error("{message}")]
    Unsupported {
        /// What is asked for.
        message: String,
        /// Why not.
        cause: Option<String>,
        /// What to do instead.
        hint: Option<String>,
    },
}

fn at_content(about: &str, error: &StoreError) -> String {
    match error {
        StoreError::Missing { digest, place } => format!("cannot find {digest} ({about}) in {place}"),
        StoreError::Absent { what, place, .. } if what.contains(':') => {
            format!("cannot find {what} ({about}) in {place}")
        }
        StoreError::Wrong { digest, place, .. } => format!("cannot read {digest} ({about}) in {place}"),
        StoreError::Malformed { what, place, .. } if what.contains(':') => {
            format!("cannot use {what} ({about}) in {place}")
        }
        other => other.to_string(),
    }
}

impl From<TransferError> for Error {
    fn from(failure: TransferError) -> Self {
        match failure.about {
            Some(about) => Self::Content { about, error: failure.error, hint: None },
            None => Self::Store(failure.error),
        }
    }
}

impl From<Finding> for Error {
    fn from(finding: Finding) -> Self {
        Self::Content { about: finding.about, error: finding.error, hint: None }
    }
}

impl Error {
    /// Returns what this means to a script.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Store(error) | Self::Content { error, .. } => error.class(),
            Self::Reference(ReferenceError::Scheme { .. }) | Self::Unsupported { .. } => Class::Unsupported,
            Self::Reference(_) | Self::Usage { .. } => Class::Usage,
            Self::Absent { .. } => Class::Absent,
            Self::Missing { class, .. } | Self::Unfinished { class, .. } | Self::Setup { class, .. } => *class,
            Self::Duplicate { .. } | Self::Untrusted { .. } => Class::Content,
            Self::Recipe(error) => error.class,
            Self::Key { error, .. } => error.class(),
            Self::List(error) => error.class,
            Self::File(error) => error.class,
            Self::Line { error, .. } | Self::Listed { error, .. } | Self::Parts { error, .. } => error.class(),
        }
    }

    /// Returns what lies below the message, outermost first.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        match self {
            Self::Store(error) | Self::Content { error, .. } => causes(error),
            Self::Reference(error) => causes(error),
            Self::Absent { cause, .. } | Self::Unsupported { cause, .. } | Self::Setup { cause, .. } => {
                cause.iter().cloned().collect()
            }
            Self::Duplicate { first, first_digest, second, second_digest, .. } => {
                vec![format!("{first} has {first_digest}"), format!("{second} has {second_digest}")]
            }
            Self::Key { error, .. } => vec![error.to_string()],
            Self::Line { error, .. } | Self::Listed { error, .. } => {
                std::iter::once(error.to_string()).chain(error.causes()).collect()
            }
            Self::Missing { missing, .. } => missing.clone(),
            Self::Unfinished { causes, .. } => causes.clone(),
            Self::Untrusted { reason, .. } => reason.causes(),
            Self::Parts { error, damaged } => {
                error.causes().into_iter().chain(damaged.iter().map(ToString::to_string)).collect()
            }
            Self::Usage { .. } | Self::Recipe(_) | Self::List(_) | Self::File(_) => Vec::new(),
        }
    }

    /// Returns what the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) | Self::Content { error, hint: None, .. } => error.hint(),
            Self::Content { hint, .. } => hint.clone(),
            Self::Reference(error) => error.hint(),
            Self::Recipe(error) => error.hint.clone(),
            Self::Untrusted { reason, .. } => reason.hint(),
            Self::Key { error, .. } => error.hint(),
            Self::List(error) => error.hint.clone(),
            Self::File(error) => error.hint.clone(),
            Self::Line { error, .. } | Self::Listed { error, .. } => error.hint(),
            Self::Unfinished { hint, .. } => Some(hint.clone()),
            Self::Parts { damaged, .. } => Some(parts::hint_for(damaged)),
            Self::Absent { hint, .. }
            | Self::Missing { hint, .. }
            | Self::Usage { hint, .. }
            | Self::Setup { hint, .. }
            | Self::Unsupported { hint, .. } => hint.clone(),
            Self::Duplicate { .. } => {
                Some("leave one out, or say which one is meant with --on-duplicate replace (the later) or keep (the earlier)".to_owned())
            }
        }
    }

    /// Returns the store's failure below, when there is one.
    #[must_use]
    pub fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) | Self::Content { error, .. } => Some(error),
            Self::Line { error, .. } | Self::Listed { error, .. } | Self::Parts { error, .. } => error.store(),
            _ => None,
        }
    }
}
