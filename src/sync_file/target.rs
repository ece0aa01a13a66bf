//! Where images go.

use std::fmt;
use std::path::PathBuf;

use super::{At, Template};
use crate::bundle::Mode;
use crate::reference::Prefix;
use crate::text::escaped;

/// A place that images go to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it stands.
    pub at: At,
    /// What it is.
    pub kind: TargetKind,
    /// What the images are called there, when it is not what the entry says.
    pub rename: Option<Template>,
}

/// What a target is.
#[derive(Clone, Debug)]
pub enum TargetKind {
    /// A registry, and what stands before the repositories there.
    Registry(Prefix),
    /// A layout that is added to.
    Layout(String),
    /// An archive that is added to.
    Archive(String),
    /// An archive that holds these images and nothing else.
    Bundle(Bundle),
}

/// An archive that is written anew whenever what it should hold is something else.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The file.
    pub path: String,
    /// The largest size of a part in bytes, and what the parts are.
    pub split: Option<(u64, Mode)>,
    /// Receipts, bundles and places: what they hold is left out.
    pub base: Vec<String>,
    /// The files of public keys, one of which has to have signed each base.
    pub base_key: Vec<PathBuf>,
    /// The file of the private key that signs the packing list.
    pub sign_key: Option<PathBuf>,
}

impl fmt::Display for TargetKind {
    /// Prints what it is and where, safe to show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(prefix) => write!(f, "registry {prefix}"),
            Self::Layout(path) => write!(f, "layout {}", escaped(path)),
            Self::Archive(path) => write!(f, "archive {}", escaped(path)),
            Self::Bundle(bundle) => write!(f, "bundle {}", escaped(&bundle.path)),
        }
    }
}
