//! What barge writes, other programs read, and the other way round.
//!
//! The commands in here are those that a user types, run in a directory of their own ([`work::Work`]) where `fixtures`
//! leads to the fixtures. A test whose programs are not installed fails in CI, and elsewhere says that it was skipped.

#![allow(clippy::unwrap_used, clippy::panic)] // all of this is tests

mod aligned;
mod archives;
mod built;
mod check;
mod commands;
mod compacted;
mod copied;
mod daemons;
mod foreign;
mod images;
#[path = "../regzip/inputs.rs"]
#[allow(dead_code)] // the tests of packers use more of it
mod inputs;
mod made_again;
mod packed;
mod parts;
mod podman;
mod recipe;
mod shared_layouts;
mod skopeo;
#[path = "../support/mod.rs"]
mod support;
mod umoci;
mod with_daemons;
mod work;
