//! Signatures with keys: what proves, without a network, who made some bytes.
//!
//! A signature is detached, and of the form that `cosign sign-blob --key` writes: by a P-256 key ECDSA with SHA-256 in ASN.1 DER,
//! by an Ed25519 key the 64 bytes of RFC 8032, either in base64 on one line. So cosign and OpenSSL check it without barge, and what
//! they sign is checked here. The same key and bytes always give the same signature (RFC 6979; RFC 8032).
//!
//! Keys come as PEM: PKCS#8, SEC1, PKCS#8 encrypted with PBES2, and what cosign makes. What an encrypted key asks of memory and
//! time is bounded before any of it is spent. New keys, and what hides them, take random numbers from the system: nothing else
//! here reaches out of the process.
//!
//! | file | what |
//! |---|---|
//! | `public`, `private` | the keys |
//! | `signature` | a signature and its text |
//! | `pem` | PEM, as tolerant as OpenSSL where files of keys differ |
//! | `pbes2`, `cosign`, `secretbox` | encrypted private keys |
//! | `names` | what other algorithms are called, to refuse them by name |
//! | `error` | what goes wrong, and what to do |

mod cosign;
mod error;
mod names;
mod pbes2;
mod pem;
mod private;
mod public;
mod secretbox;
mod signature;
#[cfg(test)]
mod tests;

use std::fmt;

use zeroize::Zeroizing;

pub use error::{KeyError, SignatureError};
pub use private::PrivateKey;
pub use public::PublicKey;
pub use signature::Signature;

/// How large a file with a key may be, in bytes: the largest that is known has 4 KiB.
pub const LARGEST_KEY: usize = 64 * 1024;

/// The types of keys that barge signs and checks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// ECDSA over NIST P-256 with SHA-256: what cosign makes.
    P256,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

impl KeyType {
    /// Returns the name in options and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P-256",
            Self::Ed25519 => "Ed25519",
        })
    }
}

/// What opens an encrypted private key. It is wiped from memory when it is dropped, and no message shows it.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Takes a password, which may be any bytes.
    #[must_use]
    pub fn new(password: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(password.into()))
    }

    /// Returns whether there is nothing in it. cosign takes that for a password too.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl Eq for Password {}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("...")
    }
}

/// Fills bytes with random numbers of the system.
fn fill_random(bytes: &mut [u8]) -> Result<(), KeyError> {
    getrandom::fill(bytes).map_err(|error| KeyError::Random { reason: error.to_string() })
}
