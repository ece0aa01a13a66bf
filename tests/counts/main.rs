//! What a run asks of the machine, counted by `strace`: each byte of content is read once and written once, nothing is put
//! anywhere in between, what has to be safe from a loss of power is flushed once, and the work for one small blob does not
//! grow. Only what is done counts here, never how long it takes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // all of this is tests

mod again;
#[allow(dead_code)] // the tests of the command line use more of it
#[path = "../cli/environment.rs"]
mod environment;
mod lab;
mod moving;
#[path = "../support/registry/mod.rs"]
mod registry;
mod start;
#[path = "../support/mod.rs"]
mod support;
mod tally;
mod trace;
