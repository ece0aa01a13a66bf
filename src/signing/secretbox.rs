//! NaCl's secretbox: XSalsa20 and Poly1305 ("Cryptography in NaCl", section 9).
//!
//! The first 32 bytes of the key stream are the key of the authenticator, those after it hide the message; the tag stands before
//! the hidden message.

use p256::elliptic_curve::subtle::ConstantTimeEq as _;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use zeroize::Zeroizing;

/// How many bytes the key has.
pub(super) const KEY: usize = 32;
/// How many bytes the nonce has.
pub(super) const NONCE: usize = 24;
/// How many bytes the tag has.
const TAG: usize = 16;

/// Returns the stream for the message, and the authenticator.
fn parts(key: &[u8; KEY], nonce: &[u8; NONCE]) -> (XSalsa20, Poly1305) {
    let mut stream = XSalsa20::new(key.into(), nonce.into());
    let mut authenticator = Zeroizing::new([0; 32]);
    stream.apply_keystream(authenticator.as_mut());
    (stream, Poly1305::new((&*authenticator).into()))
}

/// Hides a message.
pub(super) fn seal(key: &[u8; KEY], nonce: &[u8; NONCE], message: &[u8]) -> Vec<u8> {
    let (mut stream, authenticator) = parts(key, nonce);
    let mut sealed = vec![0; TAG];
    // room for all of it at once: growth would leave the clear message behind
    sealed.reserve_exact(message.len());
    sealed.extend_from_slice(message);
    let (tag, hidden) = sealed.split_at_mut(TAG);
    stream.apply_keystream(hidden);
    tag.copy_from_slice(&authenticator.compute_unpadded(hidden));
    sealed
}

/// Returns the message; none when it was hidden with another key, or changed.
pub(super) fn open(key: &[u8; KEY], nonce: &[u8; NONCE], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (tag, hidden) = sealed.split_at_checked(TAG)?;
    let (mut stream, authenticator) = parts(key, nonce);
    if !bool::from(authenticator.compute_unpadded(hidden).as_slice().ct_eq(tag)) {
        return None;
    }
    let mut message = Zeroizing::new(hidden.to_vec());
    stream.apply_keystream(&mut message);
    Some(message)
}
