//! Signatures of images: made with a private key and checked with a public one, without a network.
//!
//! | file | what it does |
//! |---|---|
//! | `make.rs` | signs images where they lie |
//! | `read.rs` | what a signature holds, in either form |
//! | `check.rs` | finds the signatures of images, by tags and by subjects, and checks them |
//!
//! The forms are those of cosign: [`simple_signing`](crate::simple_signing), and since its version 3
//! [`sigstore_bundle`](crate::sigstore_bundle). What is signed is the digest of the image, and so every byte of it.

mod check;
mod make;
mod read;
#[cfg(test)]
mod tests;

pub use self::check::{Checked, Examined, SignedImage, Unsigned, check_image, examine, require};
pub(in crate::ops) use self::make::signature;
pub use self::make::{Form, SignOptions, Signed, Signing, ToSign, sign, to_sign};
