//! Compact archives: layers made again of pieces, to the byte, and lies of all kinds.

// helpers of tests stand outside of test functions
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../cli/environment.rs"]
#[allow(dead_code)]
mod environment;
#[path = "../regzip/inputs.rs"]
#[allow(dead_code)]
mod inputs;
#[path = "../bundle/made.rs"]
#[allow(dead_code)]
mod made;
#[path = "../support/mod.rs"]
mod support;

mod archive;
mod bases;
mod echoes;
mod example;
mod hostile;
mod packer;
mod rebuild;
mod save;
