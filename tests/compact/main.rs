//! Compact archives: layers made again of pieces, to the byte, and lies of all kinds.

#![allow(clippy::unwrap_used, clippy::panic)] // all of this is tests

#[path = "../cli/environment.rs"]
#[allow(dead_code)]
mod environment;
#[path = "../regzip/inputs.rs"]
#[allow(dead_code)]
mod inputs;
#[path = "../support/mod.rs"]
mod support;

mod archive;
mod hostile;
mod packer;
mod rebuild;
