//! What is wrong with a key or a signature, what it means to a script, and what to do.

use super::KeyType;
use crate::digest::Digest;
use crate::error::Class;

/// Why a key cannot be used. The messages say "it": the file stands in the message of whoever has read it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no PEM in it.
    #[error("it is no key in PEM: no line has `-----BEGIN ...-----`")]
    NotPem,
    /// It is larger than any key.
    #[error("it is no key: it has more than {limit} bytes")]
    TooLarge {
        /// How many are allowed.
        limit: usize,
    },
    /// It is a public key, and a private one is needed.
    #[error("it is a public key, and a private one is needed")]
    Public,
    /// It is a private key, and a public one is needed.
    #[error("it is a private key, and a public one is needed")]
    Private,
    /// It is PEM of something that is no key.
    #[error("it is no key: it says {label}")]
    Other {
        /// What the PEM says it is, in quotation marks.
        label: String,
    },
    /// The bytes are not what its name promises.
    #[error("it is damaged: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// It is a key for another algorithm.
    #[error("it is a key for {algorithm}: barge takes P-256 and Ed25519")]
    Algorithm {
        /// The name of the algorithm.
        algorithm: String,
    },
    /// It is encrypted in a way that is not supported.
    #[error("it is encrypted with {how}, which barge does not open")]
    Encryption {
        /// What it is encrypted with.
        how: String,
    },
    /// What it asks for to be opened is more than any honest key needs.
    #[error("it asks for too much to be opened: {what}")]
    Costly {
        /// What it asks for, and what the limit is.
        what: String,
    },
    /// It is encrypted, and no password was given.
    #[error("it is encrypted, and there is no password")]
    Locked,
    /// The password does not open it.
    #[error("the password is wrong")]
    WrongPassword,
    /// The system gives no random numbers for a new key.
    #[error("the system gives no random numbers: {reason}")]
    Random {
        /// What the system said.
        reason: String,
    },
}

impl KeyError {
    /// Returns what this means to a script.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Public | Self::Private | Self::Locked => Class::Usage,
            Self::NotPem | Self::TooLarge { .. } | Self::Other { .. } | Self::Malformed { .. } => Class::Content,
            Self::Algorithm { .. } | Self::Encryption { .. } | Self::Costly { .. } => Class::Unsupported,
            Self::WrongPassword => Class::Refused,
            Self::Random { .. } => Class::Machine,
        }
    }

    /// Returns what the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Public => "name the file that ends in .key, or was made along with this one",
            Self::Private => {
                "`barge key public KEY` prints the public key that belongs to it; keep this one to yourself"
            }
            Self::NotPem | Self::TooLarge { .. } => "keys are made with `barge key generate`, cosign or openssl",
            Self::Other { label } if label.contains("CERTIFICATE") => {
                "take the key out of it with `openssl x509 -pubkey -noout -in FILE`"
            }
            Self::Other { .. } | Self::Algorithm { .. } => {
                "make one with `barge key generate`, or with openssl: EC on prime256v1, or ED25519"
            }
            Self::Encryption { .. } | Self::Costly { .. } => {
                "write it anew with `openssl pkcs8 -topk8 -in FILE -out NEW`, which encrypts with PBES2 and AES"
            }
            Self::Locked => "give the password with BARGE_PASSWORD, or type it at a terminal",
            Self::WrongPassword => "check BARGE_PASSWORD and COSIGN_PASSWORD, or unset both to be asked",
            Self::Malformed { .. } => "copy it again from where it was made",
            Self::Random { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// Why a signature does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is not of a form that signatures have.
    #[error("it is no signature: {reason}")]
    Malformed {
        /// What it is instead.
        reason: String,
    },
    /// It was made by another type of key.
    #[error("it is no signature by the key {key}, which is for {expected}: another key made it")]
    Type {
        /// The fingerprint of the key that it was checked with.
        key: Box<Digest>,
        /// The type of that key.
        expected: KeyType,
    },
    /// The key did not sign these bytes.
    #[error("the key {} did not sign these bytes", key.as_ref())]
    Mismatch {
        /// The fingerprint of the key.
        key: Box<Digest>,
    },
}

impl SignatureError {
    /// Returns what this means to a script.
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::Content
    }

    /// Returns what the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Malformed { .. } => "a signature is one line of base64, as `cosign sign-blob` writes it",
            Self::Type { .. } | Self::Mismatch { .. } => {
                "either the bytes changed after they were signed, or another key signed them: compare the fingerprints"
            }
        };
        Some(hint.to_owned())
    }
}
