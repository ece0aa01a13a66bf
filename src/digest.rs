//! Digests: the names of content.
//!
//! A digest is parsed once, here, into a type that can only be `sha256` or `sha512` with lower-case hex of the right
//! length (image-spec v1.1.1, descriptor.md, "Digests"). Whatever else a document claims is not a name that can be
//! checked, so it never becomes a file name or a URL.

use std::fmt;
use std::str::FromStr;

use ring::digest::{Context, SHA256, SHA512};

/// A registered algorithm that barge can verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256: 64 hex characters.
    Sha256,
    /// SHA-512: 128 hex characters.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, in the order in which a layout's `blobs/` is listed.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// Returns the name before the colon, which is also the directory below `blobs/`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Returns the length of a digest in bytes.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Starts to hash with this algorithm.
    #[must_use]
    pub fn hasher(self) -> Hasher {
        let context = match self {
            Self::Sha256 => Context::new(&SHA256),
            Self::Sha512 => Context::new(&SHA512),
        };
        Hasher { algorithm: self, context }
    }

    /// Returns the digest of bytes that are at hand.
    #[must_use]
    pub fn digest_of(self, bytes: &[u8]) -> Digest {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }
}

/// Content under way to its digest.
#[derive(Clone)]
pub struct Hasher {
    algorithm: Algorithm,
    context: Context,
}

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// Returns the digest of all the bytes added.
    #[must_use]
    pub fn finish(self) -> Digest {
        let mut bytes = [0; 64];
        bytes[..self.algorithm.length()].copy_from_slice(self.context.finish().as_ref());
        Digest { algorithm: self.algorithm, bytes }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The digest of some content: an algorithm that barge can verify, and its value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: [u8; 64], // what is past the algorithm's length is zero
}

impl Digest {
    /// Returns the SHA-256 of bytes that are at hand.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Algorithm::Sha256.digest_of(bytes)
    }

    /// Returns whether these are the bytes that it names.
    #[must_use]
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        self.algorithm.digest_of(bytes) == *self
    }

    /// Reads a value in lower-case hex, of the algorithm that has values of that length; `None` for anything else.
    #[must_use]
    pub fn of_hex(hex: &[u8]) -> Option<Self> {
        let algorithm = Algorithm::ALL.into_iter().find(|algorithm| 2 * algorithm.length() == hex.len())?;
        let mut bytes = [0; 64];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self { algorithm, bytes })
    }

    /// Returns the algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the value itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.length()]
    }

    /// Returns the value in lower-case hex, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bytes = self.as_bytes();
        let mut hex = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
            hex.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        hex
    }

    /// Returns the algorithm and the first twelve hex digits, for tables. Not a name: two digests may share it.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{}:{}", self.algorithm.name(), &self.hex()[..12])
    }

    /// Returns the path below a layout's or an archive's root, `blobs/ALGORITHM/HEX` (image-spec v1.1.1,
    /// image-layout.md, "Blobs").
    #[must_use]
    pub fn blob_path(&self) -> String {
        format!("blobs/{}/{}", self.algorithm.name(), self.hex())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a digest that can be verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The text is not `ALGORITHM:HEX`.
    #[error("{} is not a digest: {reason}", crate::text::quoted(.text))]
    Malformed {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The form is right, the algorithm is none of ours.
    #[error("{} cannot be verified: only sha256 and sha512 can", crate::text::quoted(.text))]
    Unverifiable {
        /// What was written.
        text: String,
    },
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let malformed = |reason| DigestError::Malformed { text: text.to_owned(), reason };
        let (algorithm, hex) = text.split_once(':').ok_or_else(|| malformed("it has no colon"))?;
        let algorithm = match algorithm {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ if is_algorithm(algorithm) && is_encoded(hex) => {
                return Err(DigestError::Unverifiable { text: text.to_owned() });
            }
            _ => return Err(malformed("its algorithm is not a word of [a-z0-9+._-]")),
        };
        if hex.len() != algorithm.length() * 2 {
            return Err(malformed(match algorithm {
                Algorithm::Sha256 => "sha256 has 64 hex digits",
                Algorithm::Sha512 => "sha512 has 128 hex digits",
            }));
        }
        Self::of_hex(hex.as_bytes()).ok_or_else(|| malformed("it must be lower-case hex"))
    }
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn is_algorithm(text: &str) -> bool {
    !text.is_empty()
        && text
            .split(['+', '.', '_', '-'])
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
}

fn is_encoded(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"=_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_only_what_can_be_verified() {
        let hello = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert_eq!(hello.parse::<Digest>().unwrap(), Digest::of(b"hello"));
        assert_eq!(Digest::of(b"hello").to_string(), hello);
        assert_eq!(Digest::of(b"hello").short(), "sha256:2cf24dba5fb0");

        let sha512 = format!("sha512:{}", "0f".repeat(64));
        assert_eq!(sha512.parse::<Digest>().unwrap().to_string(), sha512);

        let value = hello.strip_prefix("sha256:").unwrap();
        assert_eq!(Digest::of_hex(value.as_bytes()), Some(Digest::of(b"hello")));
        assert_eq!(Digest::of_hex("0f".repeat(64).as_bytes()), Some(sha512.parse().unwrap()));
        for text in ["", &value[1..], &value.to_uppercase(), &format!("0{value}"), hello] {
            assert_eq!(Digest::of_hex(text.as_bytes()), None, "{text}");
        }

        let long = format!("{hello}0");
        let upper = hello.to_uppercase().replace("SHA256", "sha256");
        let climbing = format!("sha256:../../../../{}", "0".repeat(52));
        for text in ["", "sha256", "sha256:", "sha256:abc", &long, &upper, &climbing, "../x:00", "SHA256:00", "a b:00"]
        {
            assert!(matches!(text.parse::<Digest>(), Err(DigestError::Malformed { .. })), "{text:?} was taken");
        }
        for text in ["md5:d41d8cd98f00b204e9800998ecf8427e", "blake3:00", "sha256+b64u:LCa0a2j_xo-5m0U8HTBBNBNCLXBkg7"]
        {
            assert!(matches!(text.parse::<Digest>(), Err(DigestError::Unverifiable { .. })), "{text:?}");
        }
    }
}
