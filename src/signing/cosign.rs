//! cosign's encrypted keys: JSON around NaCl's secretbox, its key from a password by scrypt.
//!
//! ```json
//! {"kdf":{"name":"scrypt","params":{"N":65536,"r":8,"p":1},"salt":"..."},
//!  "cipher":{"name":"nacl/secretbox","nonce":"..."},"ciphertext":"..."}
//! ```
//!
//! What is hidden is a PKCS#8 document in DER.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use zeroize::Zeroizing;

use super::{KeyError, Password, fill_random, secretbox};
use crate::json::{self, JsonError, View};

/// How much memory scrypt may take: cosign's keys take 64 MiB, and twice that where OWASP's advice is followed.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;
/// How often scrypt may go over its memory.
const MOST_ROUNDS: u64 = 16;
/// How long a salt may be, in bytes: cosign's has 32.
const LONGEST_SALT: usize = 1024;

/// The costs of keys that cosign makes, as log2 N, r and p.
const COSTS: Costs = Costs { log_n: 16, r: 8, p: 1 };

/// What scrypt is to spend.
#[derive(Clone, Copy)]
pub(super) struct Costs {
    log_n: u8,
    r: u32,
    p: u32,
}

impl Costs {
    /// Checks what a file asks for, before any of it is spent.
    pub(super) fn checked(n: u64, r: u64, p: u64) -> Result<Self, KeyError> {
        let memory = n.checked_mul(r).and_then(|blocks| blocks.checked_mul(128));
        if n < 2 || !n.is_power_of_two() || r == 0 || p == 0 {
            return Err(KeyError::Malformed { reason: format!("scrypt cannot take N {n}, r {r}, p {p}") });
        }
        if memory.is_none_or(|memory| memory > MOST_MEMORY) || p > MOST_ROUNDS {
            let limit = crate::text::human_size(MOST_MEMORY);
            let what = format!("scrypt with N {n}, r {r}, p {p}; the limit is {limit} and p {MOST_ROUNDS}");
            return Err(KeyError::Costly { what });
        }
        let too_large = |_| KeyError::Malformed { reason: format!("scrypt cannot take r {r}, p {p}") };
        let log_n = u8::try_from(n.ilog2()).unwrap_or(u8::MAX);
        Ok(Self { log_n, r: u32::try_from(r).map_err(too_large)?, p: u32::try_from(p).map_err(too_large)? })
    }

    fn key(self, password: &Password, salt: &[u8]) -> Result<Zeroizing<[u8; secretbox::KEY]>, KeyError> {
        let malformed = |error: &dyn std::fmt::Display| KeyError::Malformed { reason: format!("scrypt: {error}") };
        let params = scrypt::Params::new(self.log_n, self.r, self.p).map_err(|error| malformed(&error))?;
        let mut key = Zeroizing::new([0; secretbox::KEY]);
        scrypt::scrypt(password.expose(), salt, &params, key.as_mut()).map_err(|error| malformed(&error))?;
        Ok(key)
    }
}

/// What stands in the file.
struct Envelope {
    costs: Costs,
    salt: Vec<u8>,
    nonce: [u8; secretbox::NONCE],
    ciphertext: Vec<u8>,
}

/// Returns the PKCS#8 document that is hidden.
pub(super) fn open(envelope: &[u8], password: Option<&Password>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let document = json::parse(envelope).map_err(malformed)?;
    let Envelope { costs, salt, nonce, ciphertext } = read(&View::top(&document, "key"))?;
    let password = password.ok_or(KeyError::Locked)?;
    let key = costs.key(password, &salt)?;
    secretbox::open(&key, &nonce, &ciphertext).ok_or(KeyError::WrongPassword)
}

#[allow(clippy::needless_pass_by_value)] // it stands in `map_err`
fn malformed(error: JsonError) -> KeyError {
    KeyError::Malformed { reason: error.to_string() }
}

fn read(envelope: &View<'_>) -> Result<Envelope, KeyError> {
    let kdf = envelope.need("kdf", "an object").map_err(malformed)?;
    let cipher = envelope.need("cipher", "an object").map_err(malformed)?;
    for (part, expected) in [(&kdf, "scrypt"), (&cipher, "nacl/secretbox")] {
        let name = part.need("name", expected).and_then(|name| name.text()).map_err(malformed)?;
        if name != expected {
            return Err(KeyError::Encryption { how: crate::text::quoted(name) });
        }
    }
    let params = kdf.need("params", "an object").map_err(malformed)?;
    let cost = |name: &str| params.need(name, "a number").and_then(|cost| cost.count()).map_err(malformed);
    let costs = Costs::checked(cost("N")?, cost("r")?, cost("p")?)?;
    let salt = bytes(&kdf, "salt")?;
    if salt.len() > LONGEST_SALT {
        return Err(KeyError::Malformed { reason: format!("its salt has {} bytes", salt.len()) });
    }
    let nonce = bytes(&cipher, "nonce")?;
    let nonce = <[u8; secretbox::NONCE]>::try_from(nonce.as_slice()).map_err(|_| KeyError::Malformed {
        reason: format!("its nonce has {} bytes, expected {}", nonce.len(), secretbox::NONCE),
    })?;
    Ok(Envelope { costs, salt, nonce, ciphertext: bytes(envelope, "ciphertext")? })
}

fn bytes(of: &View<'_>, name: &str) -> Result<Vec<u8>, KeyError> {
    let field = of.need(name, "base64").map_err(malformed)?;
    STANDARD.decode(field.text().map_err(malformed)?).map_err(|_| malformed(field.wrong("base64")))
}

/// Hides a PKCS#8 document.
pub(super) fn seal(pkcs8: &[u8], password: &Password) -> Result<Vec<u8>, KeyError> {
    let mut salt = [0; 32];
    let mut nonce = [0; secretbox::NONCE];
    fill_random(&mut salt)?;
    fill_random(&mut nonce)?;
    let key = COSTS.key(password, &salt)?;
    let ciphertext = secretbox::seal(&key, &nonce, pkcs8);
    let params = json!({"N": 1u64 << COSTS.log_n, "r": COSTS.r, "p": COSTS.p});
    Ok(json::encode(&json!({
        "kdf": {"name": "scrypt", "params": params, "salt": STANDARD.encode(salt)},
        "cipher": {"name": "nacl/secretbox", "nonce": STANDARD.encode(nonce)},
        "ciphertext": STANDARD.encode(ciphertext),
    })))
}
