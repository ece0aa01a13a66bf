//! Packing lists, receipts and deltas: what a bundle says, what it may leave out, and what happens when that is not there.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // all of this is tests

mod chain;
#[path = "../cli/environment.rs"]
#[allow(dead_code)] // the tests of the program use more of it
mod environment;
mod hostile;
mod list;
mod parts;
mod receipts;
mod registries;
#[path = "../support/registry/mod.rs"]
mod registry;
#[path = "../support/mod.rs"]
mod support;
mod versions;
