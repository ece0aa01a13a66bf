//! `barge serve` as users run it: a process, its signals, its output, and clients that ask it.

// helpers of tests stand outside of test functions
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod cli;
#[allow(dead_code)] // the tests of the other commands use more of it
#[path = "../cli/environment.rs"]
mod environment;
mod harness;
#[path = "../support/mod.rs"]
mod support;
