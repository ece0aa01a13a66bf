//! Selectors: which image of a place.

use std::fmt;
use std::str::FromStr;

use super::ReferenceError;
use crate::digest::{Algorithm, Digest};
use crate::text::escaped;

/// The limit of DESIGN.md for names, in bytes.
pub(super) const LONGEST: usize = 4096;
const SHORTEST_PREFIX: usize = 7;

/// Which image of a place is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// `:NAME`: any text without control characters, not only what docker takes for a name or a tag: an annotation may
    /// hold anything (image-spec v1.1.1, annotations.md, "Rules"). Which images it names is for the layout to say.
    Name(String),
    /// `@DIGEST`, or a prefix of one.
    Digest(DigestPrefix),
    /// `:NAME@DIGEST`: a name, and the digest that it must have. An image may also be named so as a whole: look for the
    /// text of [`Selector::name`] first.
    Pinned {
        /// What stands before the `@`.
        name: String,
        /// What stands after it.
        digest: DigestPrefix,
    },
    /// `@N`: the Nth image, counted from 0.
    Position(usize),
}

impl Selector {
    /// Returns the whole text as a name, or `None` where no name is meant.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Name(name) => Some(name.clone()),
            Self::Pinned { name, digest } => Some(format!("{name}@{digest}")),
            Self::Digest(_) | Self::Position(_) => None,
        }
    }

    /// Parses what follows a place, with the `:` or `@` that it begins with.
    ///
    /// # Errors
    ///
    /// When it begins with neither, is empty, holds control characters, is over 4 KiB, or what follows the `@` at its
    /// start is neither a digest, nor a prefix of one, nor a number.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let refuse = |reason| ReferenceError::Selector { text: text.to_owned(), reason, hint: None };
        if let Some(pin) = text.strip_prefix('@').or_else(|| text.strip_prefix(":@")) {
            return parse_pin(pin);
        }
        let name = text.strip_prefix(':').ok_or_else(|| refuse("it begins with neither \":\" nor \"@\""))?;
        if name.is_empty() {
            return Err(refuse("there is no name after the colon"));
        }
        if name.len() > LONGEST {
            return Err(refuse("a name has at most 4096 bytes"));
        }
        if name.chars().any(char::is_control) {
            return Err(refuse("a name holds no control characters"));
        }
        if let Some((name, digest)) = name.rsplit_once('@')
            && let Ok(digest) = digest.parse()
        {
            return Ok(Self::Pinned { name: name.to_owned(), digest });
        }
        Ok(Self::Name(name.to_owned()))
    }
}

/// Parses what follows an `@`. Up to six digits are a position, more are the start of a digest.
pub(super) fn parse_pin(text: &str) -> Result<Selector, ReferenceError> {
    if text.len() < SHORTEST_PREFIX
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(position) = text.parse()
    {
        return Ok(Selector::Position(position));
    }
    text.parse().map(Selector::Digest)
}

/// Prints `:NAME`, `@DIGEST`, `:NAME@DIGEST` or `@N`, escaped.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, ":{}", escaped(name)),
            Self::Digest(digest) => write!(f, "@{digest}"),
            Self::Pinned { name, digest } => write!(f, ":{}@{digest}", escaped(name)),
            Self::Position(position) => write!(f, "@{position}"),
        }
    }
}

/// A digest or the start of one, with or without its algorithm: at least seven lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DigestPrefix {
    algorithm: Option<Algorithm>,
    hex: String,
}

impl DigestPrefix {
    /// Returns whether a digest begins so. More than one may.
    #[must_use]
    pub fn matches(&self, digest: &Digest) -> bool {
        self.algorithm.is_none_or(|algorithm| algorithm == digest.algorithm()) && digest.hex().starts_with(&self.hex)
    }

    /// Returns the digest if it is given in full, algorithm and all.
    #[must_use]
    pub fn full(&self) -> Option<Digest> {
        self.to_string().parse().ok()
    }
}

/// Prints it as it was written.
impl fmt::Display for DigestPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(algorithm) = self.algorithm {
            write!(f, "{}:", algorithm.name())?;
        }
        f.write_str(&self.hex)
    }
}

impl From<Digest> for DigestPrefix {
    fn from(digest: Digest) -> Self {
        Self { algorithm: Some(digest.algorithm()), hex: digest.hex() }
    }
}

impl FromStr for DigestPrefix {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let refuse = |reason| {
            let hint = "write @sha256: and the digest, at least 7 hex digits of it, or @N for the Nth image from 0";
            ReferenceError::Selector { text: text.to_owned(), reason, hint: Some(hint.to_owned()) }
        };
        let (algorithm, hex) = match text.split_once(':') {
            Some((name, hex)) => {
                let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
                (Some(algorithm.ok_or_else(|| refuse("only sha256 and sha512 digests can be verified"))?), hex)
            }
            None => (None, text),
        };
        if !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(refuse("a digest is lower-case hex"));
        }
        if hex.len() < SHORTEST_PREFIX {
            return Err(refuse("fewer than 7 hex digits could mean too many"));
        }
        if hex.len() > algorithm.unwrap_or(Algorithm::Sha512).length() * 2 {
            return Err(refuse("it has more hex digits than a digest"));
        }
        Ok(Self { algorithm, hex: hex.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> DigestPrefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_selector_is_a_name_a_digest_or_a_position() {
        let full = Digest::of(b"hello").to_string();
        for (text, selector) in [
            (":v1", Selector::Name("v1".into())),
            (":ghcr.io/org/app:v1", Selector::Name("ghcr.io/org/app:v1".into())),
            (":An odd+name--1/é", Selector::Name("An odd+name--1/é".into())),
            ("::v1", Selector::Name(":v1".into())),
            (":app@2", Selector::Name("app@2".into())),
            (":app@latest", Selector::Name("app@latest".into())),
            (":sha256-abc.sig", Selector::Name("sha256-abc.sig".into())),
            ("@0", Selector::Position(0)),
            ("@123456", Selector::Position(123_456)),
            ("@1234567", Selector::Digest(prefix("1234567"))),
            ("@2cf24db", Selector::Digest(prefix("2cf24db"))),
            ("@sha256:2cf24db", Selector::Digest(prefix("sha256:2cf24db"))),
            (&format!("@{full}"), Selector::Digest(prefix(&full))),
            (&format!(":v1@{full}"), Selector::Pinned { name: "v1".into(), digest: prefix(&full) }),
            (":a@b@2cf24db", Selector::Pinned { name: "a@b".into(), digest: prefix("2cf24db") }),
        ] {
            assert_eq!(Selector::parse(text).as_ref(), Ok(&selector), "{text}");
            assert_eq!(selector.to_string(), text);
            let name = text.strip_prefix(':').map(str::to_owned);
            assert_eq!(selector.name(), name, "{text}");
        }
        assert_eq!(Selector::parse(":@3"), Ok(Selector::Position(3))); // as skopeo has it
        assert_eq!(Selector::parse(":@2cf24db"), Selector::parse("@2cf24db"));
    }

    #[test]
    fn what_selects_nothing_is_refused() {
        let long = format!("@sha256:{}", "0".repeat(65));
        let longest = format!("@{}", "0".repeat(129));
        let name = format!(":{}", "x".repeat(LONGEST + 1));
        for text in [
            "",
            "v1",
            ":",
            "@",
            ":@",
            "@-1",
            "@+1",
            "@1.5",
            "@abc",
            "@v1",
            "@abcdef",
            "@ABCDEF1",
            "@sha256:",
            "@sha256:abc",
            "@sha1:1234567",
            "@md5:d41d8cd98f00b204e9800998ecf8427e",
            "@sha256:../../x",
            ":a\0b",
            ":a\nb",
            ":\u{1b}[2J",
            ":\u{9b}",
            &long,
            &longest,
            &name,
        ] {
            let error = Selector::parse(text).unwrap_err();
            assert!(matches!(error, ReferenceError::Selector { .. }), "{text:?}: {error}");
            assert!(!error.to_string().chars().any(crate::text::is_unsafe), "{text:?}");
        }
    }

    #[test]
    fn a_prefix_matches_only_what_begins_so() {
        let digest = Digest::of(b"hello"); // sha256:2cf24dba...
        for (text, matches) in [
            ("2cf24db", true),
            ("sha256:2cf24db", true),
            ("sha512:2cf24db", false),
            ("2cf24dc", false),
            ("cf24dba", false),
        ] {
            assert_eq!(prefix(text).matches(&digest), matches, "{text}");
            assert_eq!(prefix(text).full(), None, "{text}");
        }
        assert!(prefix(&digest.hex()).matches(&digest));
        assert_eq!(prefix(&digest.hex()).full(), None);
        assert_eq!(DigestPrefix::from(digest).full(), Some(digest));
    }
}
