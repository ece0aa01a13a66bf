//! A signature, and the text in which it is kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::SignatureError;

/// How large a file with a signature may be, in bytes: one in base64 has about a hundred.
const LARGEST: usize = 4096;

/// The signature of some bytes. Which key made it does not stand in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    bytes: Vec<u8>,
}

impl Signature {
    pub(super) const fn of(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Reads what a file with a signature holds: base64, in lines of any length, or the signature as it is (as `openssl dgst
    /// -sign` writes it).
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] when it is neither ASN.1 DER of a signature nor 64 bytes, in base64 or not.
    pub fn parse(file: &[u8]) -> Result<Self, SignatureError> {
        let malformed = |reason: String| Err(SignatureError::Malformed { reason });
        if file.is_empty() {
            return malformed("it is empty".to_owned());
        }
        if file.len() > LARGEST {
            return malformed(format!("it has more than {LARGEST} bytes"));
        }
        let packed: Vec<u8> = file.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let decoded = STANDARD.decode(packed).ok();
        // DER has a byte that no base64 has, and 48 bytes of base64 are the length of no signature
        let found = decoded.iter().map(Vec::as_slice).chain([file]).find(|bytes| has_a_known_form(bytes));
        match (found, &decoded) {
            (Some(bytes), _) => Ok(Self { bytes: bytes.to_vec() }),
            (None, Some(decoded)) => {
                malformed(format!("it has {} bytes that are none of P-256 or Ed25519", decoded.len()))
            }
            (None, None) => malformed("it is not base64".to_owned()),
        }
    }

    /// Takes a signature as it is.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] when it is neither ASN.1 DER of a signature nor 64 bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SignatureError> {
        if has_a_known_form(&bytes) {
            return Ok(Self { bytes });
        }
        let reason = format!("it has {} bytes that are none of P-256 or Ed25519", bytes.len());
        Err(SignatureError::Malformed { reason })
    }

    /// Returns the signature as it is: ASN.1 DER by a P-256 key, 64 bytes by an Ed25519 key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns it in base64, on one line without its end: what `cosign sign-blob` writes, and puts into annotations.
    #[must_use]
    pub fn to_text(&self) -> String {
        STANDARD.encode(&self.bytes)
    }
}

/// Returns whether it is 64 bytes, or of the length that its ASN.1 header says.
fn has_a_known_form(bytes: &[u8]) -> bool {
    // two numbers of 33 bytes and their headers
    const LONGEST_DER: usize = 72;
    let der = matches!(bytes, [0x30, length, rest @ ..] if usize::from(*length) == rest.len() && rest.len() >= 6);
    bytes.len() == 64 || (der && bytes.len() <= LONGEST_DER)
}
