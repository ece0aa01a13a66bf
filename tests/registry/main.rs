//! A real registry, Debian's `docker-registry`, and what passes between it and other programs.
//!
//! [`harness`] and [`tokens`] prove that the registries of `tests/support/distribution` are what they should be;
//! [`facts`] writes down how they answer. The others run barge: [`pushes`], [`pulls`], who is let in ([`access`]), what is
//! killed or cut in the middle ([`cut`]), lists of what is there ([`lists`]), the way there ([`reach`]), and what other
//! programs make of it ([`foreign`], [`with_daemons`]). A test whose programs are not installed fails in CI, and elsewhere
//! says that it was skipped.

#![allow(clippy::unwrap_used, clippy::panic)] // all of this is tests

mod access;
mod bench;
mod cut;
#[allow(dead_code)] // the other programs' tests use more of it
#[path = "../interop/daemons.rs"]
mod daemons;
#[path = "../support/distribution/mod.rs"]
mod distribution;
mod facts;
mod foreign;
mod harness;
#[allow(dead_code)] // the other programs' tests use more of it
#[path = "../interop/images.rs"]
mod images;
#[allow(dead_code)] // the tests of packers use more of it
#[path = "../regzip/inputs.rs"]
mod inputs;
mod keep;
mod lists;
#[path = "../interop/made_again.rs"]
mod made_again;
mod pulls;
mod pushes;
mod reach;
mod referrers;
mod self_signed;
mod signatures;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
mod with_daemons;
#[allow(dead_code)] // the other programs' tests use more of it
#[path = "../interop/work.rs"]
mod work;
