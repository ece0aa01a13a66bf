//! Public keys: what checks a signature, and may be known to all.

use ed25519_dalek::VerifyingKey as Ed25519;
use ed25519_dalek::pkcs8::EncodePublicKey as _;
use p256::ecdsa::VerifyingKey as P256;
use p256::ecdsa::signature::Verifier as _;
use pkcs8::der::Decode as _;
use pkcs8::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::{KeyError, KeyType, Signature, SignatureError, names, pem};
use crate::digest::Digest;
use crate::text::quoted;

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(pub(super) Inner);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    P256(P256),
    Ed25519(Ed25519),
}

impl PublicKey {
    /// Reads a key in PEM: `PUBLIC KEY`, a SubjectPublicKeyInfo (RFC 5280, section 4.1).
    ///
    /// # Errors
    /// [`KeyError`] when it is none, or one for another algorithm.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let block = pem::block(pem)?;
        match block.label.as_str() {
            "PUBLIC KEY" => Self::from_der(&block.der),
            "RSA PUBLIC KEY" => Err(KeyError::Algorithm { algorithm: "RSA".to_owned() }),
            label if label.ends_with("PRIVATE KEY") => Err(KeyError::Private),
            label => Err(KeyError::Other { label: quoted(label) }),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let malformed = |reason: &dyn std::fmt::Display| KeyError::Malformed { reason: reason.to_string() };
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|error| malformed(&error))?;
        let inner = match key_type(info.algorithm.oid, info.algorithm.parameters_oid().ok())? {
            KeyType::P256 => Inner::P256(P256::try_from(info).map_err(|error| malformed(&error))?),
            KeyType::Ed25519 => {
                let key = Ed25519::try_from(info).map_err(|error| malformed(&error))?;
                // for such a key, signatures of anything can be made by anybody
                if key.is_weak() {
                    return Err(malformed(&"no private key belongs to it"));
                }
                Inner::Ed25519(key)
            }
        };
        Ok(Self(inner))
    }

    /// Returns the type.
    #[must_use]
    pub const fn key_type(&self) -> KeyType {
        match self.0 {
            Inner::P256(_) => KeyType::P256,
            Inner::Ed25519(_) => KeyType::Ed25519,
        }
    }

    /// Checks that the private key that belongs to this one has signed these very bytes.
    ///
    /// # Errors
    /// [`SignatureError::Mismatch`] when it has not; [`SignatureError::Type`] when another type of key made the signature.
    pub fn verify(&self, bytes: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        let other_type = |_| SignatureError::Type { key: Box::new(self.fingerprint()), expected: self.key_type() };
        let verified = match &self.0 {
            Inner::P256(key) => {
                let signature = p256::ecdsa::Signature::from_der(signature.as_bytes()).map_err(other_type)?;
                key.verify(bytes, &signature)
            }
            Inner::Ed25519(key) => {
                let signature = ed25519_dalek::Signature::from_slice(signature.as_bytes()).map_err(other_type)?;
                // strict: one reading of what is valid, also for points that a forger chose
                key.verify_strict(bytes, &signature)
            }
        };
        verified.map_err(|_| SignatureError::Mismatch { key: Box::new(self.fingerprint()) })
    }

    /// Returns what a message calls this key: the SHA-256 of its SubjectPublicKeyInfo in DER, for which OpenSSL says
    /// `openssl pkey -pubin -in KEY -outform DER | sha256sum`.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.to_der())
    }

    /// Returns it in PEM, as `PUBLIC KEY`.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::encode("PUBLIC KEY", &self.to_der()).to_string()
    }

    /// Returns it in DER. A point that was compressed is written whole: one key has one form.
    fn to_der(&self) -> Vec<u8> {
        let der = match &self.0 {
            Inner::P256(key) => key.to_public_key_der(),
            Inner::Ed25519(key) => key.to_public_key_der(),
        };
        // encoding fails for what has no length, and a key has one
        der.map(|der| der.as_bytes().to_vec()).unwrap_or_default()
    }
}

/// Returns the type that an algorithm and a curve stand for.
pub(super) fn key_type(algorithm: ObjectIdentifier, curve: Option<ObjectIdentifier>) -> Result<KeyType, KeyError> {
    let refused = |algorithm: String| Err(KeyError::Algorithm { algorithm });
    match (algorithm, curve) {
        (names::ED25519, _) => Ok(KeyType::Ed25519),
        (names::EC, Some(names::P256)) => Ok(KeyType::P256),
        (names::EC, Some(curve)) => refused(names::name_of(curve)),
        (names::EC, None) => refused("a curve without a name".to_owned()),
        (other, _) => refused(names::name_of(other)),
    }
}
