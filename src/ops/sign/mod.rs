//! Signatures of images: made with a private key and checked with a public one, without a network.
//!
//! | file | what it does |
//! |---|---|
//! | `make.rs` | signs an image where it lies |
//! | `check.rs` | finds the signatures of an image, by its tag and by its subject, and checks them |
//!
//! The form is that of cosign: [`simple_signing`](crate::simple_signing). What is signed is the digest of the image, and so
//! every byte of it.

mod check;
mod make;
#[cfg(test)]
mod tests;

pub use self::check::{Checked, Found, Unsigned, check_image, require, signatures_of};
pub use self::make::{Form, SignOptions, Signing, identity, images, sign};
