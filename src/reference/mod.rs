//! References: which image is meant, in the words of its user.
//!
//! Two grammars meet here. A *name* such as `app:v1` is that of docker (distribution/reference v0.6), parsed into an
//! [`ImageName`]. A *word* is what stands on the command line: a scheme and a place, a local path, a name in the current
//! layout, or something that only a look at the disk can tell apart, parsed by [`parse_word`] without that look.
//!
//! Nothing here touches the disk, the network or the environment.

mod destination;
mod name;
mod selector;
mod word;

pub use destination::{Destination, Prefix, parse_destination, parse_host, parse_remote};
pub use name::ImageName;
pub(crate) use name::is_repository;
pub use selector::{DigestPrefix, Selector};
pub use word::{Place, Reference, Rejected, Split, Word, parse_word};

use crate::digest::DigestError;
use crate::text::quoted;

/// Why a text is not a reference that barge can follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The text is not an image name of docker's grammar.
    #[error("cannot use {} as an image name: {reason}", quoted(.text))]
    Name {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
        /// What to write instead.
        hint: Option<String>,
    },
    /// The name is followed by what is not a digest.
    #[error("cannot use {} as an image name", quoted(.text))]
    NameDigest {
        /// What was written.
        text: String,
        /// What is wrong with the digest.
        #[source]
        source: DigestError,
    },
    /// What stands after the place does not select an image.
    #[error("cannot use {} to select an image: {reason}", quoted(.text))]
    Selector {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
        /// What to write instead.
        hint: Option<String>,
    },
    /// The word names no place.
    #[error("cannot use {} as a reference: {reason}", quoted(.text))]
    Word {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
        /// What to write instead.
        hint: Option<String>,
    },
    /// The scheme is one of another program.
    #[error("cannot use {} as a reference: barge does not read {scheme}", quoted(.text))]
    Scheme {
        /// What was written.
        text: String,
        /// The scheme with its colon.
        scheme: String,
        /// What to do instead.
        instead: String,
    },
}

impl ReferenceError {
    /// Returns what to write or do instead, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Name { hint, .. } | Self::Selector { hint, .. } | Self::Word { hint, .. } => hint.clone(),
            Self::NameDigest { .. } => Some("write NAME@sha256: and 64 lower-case hex digits".to_owned()),
            Self::Scheme { instead, .. } => Some(instead.clone()),
        }
    }
}

/// Returns whether two names mean the same image once both are normalised: `app` and `docker.io/library/app:latest`.
///
/// Text that is no [`ImageName`] is the same only as itself, byte for byte.
#[must_use]
pub fn same_name(a: &str, b: &str) -> bool {
    a == b
        || match (ImageName::parse(a), ImageName::parse(b)) {
            (Ok(a), Ok(b)) => a.with_default_tag() == b.with_default_tag(),
            _ => false,
        }
}

/// Returns the tag with which a name ends, leaving out a digest after it: `v1` of `ghcr.io/org/app:v1` and of
/// `./odd name:v1@sha256:...`. A name without a colon is not itself a tag.
#[must_use]
pub fn tag_of(name: &str) -> Option<&str> {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let (before, tag) = name.rsplit_once(':')?;
    (!before.is_empty() && is_tag(tag)).then_some(tag)
}

/// Returns whether text has the form of a tag: `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}` (distribution-spec v1.1.1, spec.md,
/// "Pulling manifests").
#[must_use]
pub fn is_tag(text: &str) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    text.len() <= 128
        && text.as_bytes().first().is_some_and(word)
        && text.bytes().all(|byte| word(&byte) || byte == b'.' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_once_normalised() {
        for (a, b, same) in [
            ("app", "docker.io/library/app:latest", true),
            ("app:v1", "library/app:v1", true),
            ("index.docker.io/org/app:v1", "org/app:v1", true),
            ("ghcr.io/org/app", "ghcr.io/org/app:latest", true),
            ("app:v1", "app:v2", false),
            ("app:v1", "ghcr.io/library/app:v1", false),
            ("Not A Name", "Not A Name", true),
            ("Not A Name", "Not A Name:latest", false),
        ] {
            assert_eq!(same_name(a, b), same, "{a} and {b}");
            assert_eq!(same_name(b, a), same, "{b} and {a}");
        }
    }

    #[test]
    fn a_tag_is_what_follows_the_last_colon() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (name, tag) in [
            ("app:v1", Some("v1")),
            ("ghcr.io/org/app:v1.2-rc_3", Some("v1.2-rc_3")),
            ("localhost:5000/app", None),
            ("localhost:5000/app:v1", Some("v1")),
            ("a:b:c", Some("c")),
            ("v1", None),
            (":v1", None),
            ("app:", None),
            ("app:-v1", None),
            ("app:v 1", None),
            ("", None),
            (&format!("app:v1@{digest}"), Some("v1")),
            (&format!("app@{digest}"), None),
        ] {
            assert_eq!(tag_of(name), tag, "{name}");
        }
        assert!(is_tag(&"x".repeat(128)));
        assert!(!is_tag(&"x".repeat(129)));
    }
}
