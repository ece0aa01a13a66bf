//! Encrypted PKCS#8 (RFC 5958, section 3) with PBES2 (RFC 8018): what `openssl pkcs8 -topk8` and `openssl genpkey -aes256` write.

use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{self, Decode as _, ErrorKind, SliceReader};
use pkcs8::pkcs5::pbes2::{Kdf, PBES2_OID, Pbkdf2Prf};
use pkcs8::pkcs5::{EncryptionScheme, Error};
use pkcs8::{AlgorithmIdentifierRef, EncryptedPrivateKeyInfoRef, SecretDocument};
use zeroize::Zeroizing;

use super::cosign::Costs;
use super::{KeyError, Password, names};

/// How many rounds of PBKDF2 a key may ask for: OpenSSL's default is 2048, OWASP's advice 600,000.
const MOST_ROUNDS: u32 = 10_000_000;

/// Returns the PKCS#8 document that is hidden.
pub(super) fn open(der: &[u8], password: Option<&Password>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let info = EncryptedPrivateKeyInfoRef::from_der(der).map_err(|error| unreadable(der, &error))?;
    affordable(&info.encryption_algorithm)?;
    let password = password.ok_or(KeyError::Locked)?;
    let opened: Result<SecretDocument, pkcs8::Error> = info.decrypt(password.expose());
    match opened {
        Ok(document) => Ok(Zeroizing::new(document.as_bytes().to_vec())),
        Err(pkcs8::Error::EncryptedPrivateKey(Error::UnsupportedAlgorithm { oid })) => {
            Err(KeyError::Encryption { how: names::name_of(oid) })
        }
        // the padding, or what stands before it, is noise
        Err(pkcs8::Error::EncryptedPrivateKey(Error::DecryptFailed) | pkcs8::Error::Asn1(_)) => {
            Err(KeyError::WrongPassword)
        }
        Err(error) => Err(KeyError::Malformed { reason: error.to_string() }),
    }
}

/// Says why a document is not read: mostly it is encrypted with what the library does not know.
fn unreadable(der: &[u8], error: &der::Error) -> KeyError {
    let algorithm = || {
        let mut fields = SliceReader::new(AnyRef::from_der(der).ok()?.value()).ok()?;
        Some(AlgorithmIdentifierRef::decode(&mut fields).ok()?.oid).filter(|oid| *oid != PBES2_OID)
    };
    let unknown = match error.kind() {
        ErrorKind::OidUnknown { oid } => Some(oid),
        _ => algorithm(),
    };
    match unknown {
        Some(oid) => KeyError::Encryption { how: names::name_of(oid) },
        None => KeyError::Malformed { reason: error.to_string() },
    }
}

/// Checks what the file asks for, before any of it is spent. The library takes scrypt's N for granted where it is zero.
fn affordable(scheme: &EncryptionScheme) -> Result<(), KeyError> {
    let EncryptionScheme::Pbes2(parameters) = scheme else {
        return Err(KeyError::Encryption { how: "PBES1".to_owned() });
    };
    match &parameters.kdf {
        Kdf::Pbkdf2(kdf) if kdf.iteration_count == 0 => {
            Err(KeyError::Malformed { reason: "PBKDF2 cannot take 0 rounds".to_owned() })
        }
        Kdf::Pbkdf2(kdf) if kdf.iteration_count > MOST_ROUNDS => {
            let what = format!("{} rounds of PBKDF2; the limit is {MOST_ROUNDS}", kdf.iteration_count);
            Err(KeyError::Costly { what })
        }
        // what OpenSSL wrote before 1.1; told before a password is asked for
        Kdf::Pbkdf2(kdf) if kdf.prf == Pbkdf2Prf::HmacWithSha1 => {
            Err(KeyError::Encryption { how: "PBKDF2 with SHA-1".to_owned() })
        }
        Kdf::Pbkdf2(_) => Ok(()),
        Kdf::Scrypt(kdf) => {
            Costs::checked(kdf.cost_parameter, kdf.block_size.into(), kdf.parallelization.into()).map(drop)
        }
        _ => Err(KeyError::Encryption { how: "an unknown derivation of keys".to_owned() }),
    }
}
