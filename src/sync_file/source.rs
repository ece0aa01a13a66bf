//! Where images come from.

use std::fmt;
use std::path::PathBuf;

use super::{At, Tags};
use crate::recipe::pattern::Pattern;
use crate::reference::ImageName;

/// Some images of a registry, of layouts, of archives, or of a list.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it stands.
    pub at: At,
    /// What it is.
    pub kind: Kind,
    /// Which tags of it; all where nothing is said.
    pub tags: Option<Tags>,
    /// Patterns of the names without their tags, one of which has to match; all where there is none.
    pub images: Vec<(String, Pattern)>,
    /// The files of public keys, one of which has to have signed the archive as a bundle.
    pub verify_key: Vec<PathBuf>,
}

/// What a source is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Repositories of a registry.
    Registry(Repositories),
    /// Layouts: a path, or a pattern of paths.
    Layout(String),
    /// Archives: a path, or a pattern of paths.
    Archive(String),
    /// The images that a list names, in their registries.
    List(String),
}

/// One repository, or those that a pattern means.
#[derive(Clone, Debug)]
pub enum Repositories {
    /// This one; an image of it, when it has a tag or a digest.
    One(ImageName),
    /// Those of a registry that match.
    Matching {
        /// The registry.
        host: String,
        /// As it was written.
        text: String,
        /// Matches the path in the registry.
        pattern: Pattern,
    },
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(Repositories::One(name)) => write!(f, "registry {name}"),
            Self::Registry(Repositories::Matching { host, text, .. }) => write!(f, "registry {host}/{text}"),
            Self::Layout(path) => write!(f, "layout {path}"),
            Self::Archive(path) => write!(f, "archive {path}"),
            Self::List(path) => write!(f, "list {path}"),
        }
    }
}

impl fmt::Display for Source {
    /// Prints in one line what is taken from where: what a lock knows it by. It is not escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        if !self.images.is_empty() {
            let patterns: Vec<&str> = self.images.iter().map(|(text, _)| text.as_str()).collect();
            write!(f, ", images {}", patterns.join(" "))?;
        }
        self.tags.as_ref().map_or(Ok(()), |tags| write!(f, ", {tags}"))
    }
}

/// Returns whether a text has wildcards.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}
