//! Compact archives: layers made again of pieces, to the byte, and lies of all kinds.

#![allow(clippy::unwrap_used, clippy::panic)] // all of this is tests

#[path = "../regzip/inputs.rs"]
#[allow(dead_code)]
mod inputs;
mod packer;
mod rebuild;
#[path = "../support/mod.rs"]
mod support;
