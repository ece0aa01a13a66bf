//! Private keys: what signs, and what nobody else is to have.

use std::fmt;

use ed25519_dalek::SigningKey as Ed25519;
use ed25519_dalek::pkcs8::KeypairBytes;
use p256::SecretKey;
use p256::ecdsa::SigningKey as P256;
use p256::ecdsa::signature::Signer as _;
use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{Decode as _, Reader as _, SliceReader, TagMode, TagNumber};
use pkcs8::{EncodePrivateKey as _, ObjectIdentifier, PrivateKeyInfoRef, SecretDocument};
use zeroize::Zeroizing;

use super::pem::{self, Block};
use super::public::{self, key_type};
use super::{KeyError, KeyType, Password, PublicKey, Signature, cosign, fill_random, names, pbes2};
use crate::text::quoted;

/// A private key. It is wiped from memory when it is dropped, and no message shows more of it than its public key.
#[derive(Clone)]
pub struct PrivateKey(Inner);

#[derive(Clone)]
enum Inner {
    P256(P256),
    Ed25519(Ed25519),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrivateKey").field(&self.key_type()).field(&self.public_key().fingerprint()).finish()
    }
}

impl PrivateKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`KeyError::Random`] when the system gives no random numbers.
    pub fn generate(key_type: KeyType) -> Result<Self, KeyError> {
        let mut secret = Zeroizing::new([0; 32]);
        loop {
            fill_random(secret.as_mut())?;
            match key_type {
                KeyType::Ed25519 => return Ok(Self(Inner::Ed25519(Ed25519::from_bytes(&secret)))),
                // one number of four thousand million is above the order of the curve, or zero: take another
                KeyType::P256 => {
                    if let Ok(key) = P256::from_slice(secret.as_ref()) {
                        return Ok(Self(Inner::P256(key)));
                    }
                }
            }
        }
    }

    /// Reads a key in PEM: PKCS#8 (`PRIVATE KEY`, RFC 5958), SEC1 (`EC PRIVATE KEY`, RFC 5915), and encrypted PKCS#8 with PBES2
    /// (`ENCRYPTED PRIVATE KEY`, RFC 8018) or as cosign makes it (`ENCRYPTED SIGSTORE PRIVATE KEY`, once `... COSIGN ...`).
    ///
    /// Without a password an encrypted key is looked at and refused with [`KeyError::Locked`]: so one is asked for only when it
    /// is needed. One that is not needed is ignored.
    ///
    /// # Errors
    /// [`KeyError`] when it is no private key, one for another algorithm, or not to be opened.
    pub fn from_pem(pem: &[u8], password: Option<&Password>) -> Result<Self, KeyError> {
        let Block { label, has_headers, der } = pem::block(pem)?;
        let refused = |algorithm: &str| Err(KeyError::Algorithm { algorithm: algorithm.to_owned() });
        match label.as_str() {
            "RSA PRIVATE KEY" => refused("RSA"),
            "DSA PRIVATE KEY" => refused("DSA"),
            _ if has_headers => Err(KeyError::Encryption { how: "OpenSSL's old headers in PEM".to_owned() }),
            "PRIVATE KEY" => Self::from_pkcs8(&der),
            "EC PRIVATE KEY" => Self::from_sec1(&der),
            "ENCRYPTED PRIVATE KEY" => Self::opened(&pbes2::open(&der, password)?),
            "ENCRYPTED SIGSTORE PRIVATE KEY" | "ENCRYPTED COSIGN PRIVATE KEY" => {
                Self::opened(&cosign::open(&der, password)?)
            }
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Err(KeyError::Public),
            label => Err(KeyError::Other { label: quoted(label) }),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let info = PrivateKeyInfoRef::from_der(der).map_err(|error| malformed(&error))?;
        let inner = match key_type(info.algorithm.oid, info.algorithm.parameters_oid().ok())? {
            KeyType::P256 => Inner::P256(SecretKey::try_from(info).map_err(|error| malformed(&error))?.into()),
            KeyType::Ed25519 => Inner::Ed25519(Ed25519::try_from(info).map_err(|error| malformed(&error))?),
        };
        Ok(Self(inner))
    }

    /// Reads what was encrypted. A password that is wrong passes the padding of PBES2 once in 256 times, and gives noise.
    fn opened(der: &[u8]) -> Result<Self, KeyError> {
        match PrivateKeyInfoRef::from_der(der) {
            Ok(_) => Self::from_pkcs8(der),
            Err(_) => Err(KeyError::WrongPassword),
        }
    }

    fn from_sec1(der: &[u8]) -> Result<Self, KeyError> {
        if let Some(curve) = sec1_curve(der) {
            key_type(names::EC, Some(curve))?;
        }
        let key = SecretKey::from_sec1_der(der).map_err(|error| malformed(&error))?;
        Ok(Self(Inner::P256(key.into())))
    }

    /// Returns the type.
    #[must_use]
    pub const fn key_type(&self) -> KeyType {
        match self.0 {
            Inner::P256(_) => KeyType::P256,
            Inner::Ed25519(_) => KeyType::Ed25519,
        }
    }

    /// Returns the public key that belongs to it.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(match &self.0 {
            Inner::P256(key) => public::Inner::P256(*key.verifying_key()),
            Inner::Ed25519(key) => public::Inner::Ed25519(key.verifying_key()),
        })
    }

    /// Signs bytes; the same bytes always have the same signature.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when the key cannot sign: that is known of none.
    pub fn sign(&self, bytes: &[u8]) -> Result<Signature, KeyError> {
        let signature = match &self.0 {
            Inner::P256(key) => {
                let signature: p256::ecdsa::Signature = key.try_sign(bytes).map_err(|error| malformed(&error))?;
                signature.to_der().as_bytes().to_vec()
            }
            Inner::Ed25519(key) => key.try_sign(bytes).map_err(|error| malformed(&error))?.to_bytes().to_vec(),
        };
        Ok(Signature::of(signature))
    }

    /// Returns it in PEM, for whoever reads the file: PKCS#8, not encrypted.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when the key cannot be encoded: that is known of none.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        Ok(pem::encode("PRIVATE KEY", self.to_pkcs8()?.as_bytes()))
    }

    /// Returns it in PEM, encrypted as cosign does it: `ENCRYPTED SIGSTORE PRIVATE KEY`.
    ///
    /// # Errors
    /// [`KeyError::Random`] when the system gives no random numbers.
    pub fn to_encrypted_pem(&self, password: &Password) -> Result<String, KeyError> {
        let envelope = cosign::seal(self.to_pkcs8()?.as_bytes(), password)?;
        Ok(pem::encode("ENCRYPTED SIGSTORE PRIVATE KEY", &envelope).to_string())
    }

    fn to_pkcs8(&self) -> Result<SecretDocument, KeyError> {
        let document = match &self.0 {
            Inner::P256(key) => key.to_pkcs8_der(),
            // without the public key: OpenSSL 3.0 does not read the version of PKCS#8 that has one
            Inner::Ed25519(key) => KeypairBytes { secret_key: key.to_bytes(), public_key: None }.to_pkcs8_der(),
        };
        document.map_err(|error| malformed(&error))
    }
}

fn malformed(error: &dyn fmt::Display) -> KeyError {
    KeyError::Malformed { reason: error.to_string() }
}

/// Returns the curve that an ECPrivateKey names (RFC 5915, section 3); none when it leaves that out, or is damaged.
fn sec1_curve(der: &[u8]) -> Option<ObjectIdentifier> {
    let mut fields = SliceReader::new(AnyRef::from_der(der).ok()?.value()).ok()?;
    u8::decode(&mut fields).ok()?;
    <&OctetStringRef>::decode(&mut fields).ok()?;
    fields.context_specific(TagNumber(0), TagMode::Explicit).ok()?
}
