//! `barge serve` as users run it: a process, its signals, its output, and clients that ask it.

// helpers of tests stand outside of test functions
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[allow(dead_code, unreachable_pub)] // the tests with other registries use more of it
#[path = "../support/distribution/authority.rs"]
mod authority;
mod cli;
#[path = "../interop/daemons.rs"]
mod daemons;
#[allow(dead_code)] // the tests of the other commands use more of it
#[path = "../cli/environment.rs"]
mod environment;
mod harness;
#[allow(dead_code)]
#[path = "../interop/images.rs"]
mod images;
mod referrers;
#[path = "../support/mod.rs"]
mod support;
mod with_clients;
mod with_daemons;
#[allow(dead_code)]
#[path = "../interop/work.rs"]
mod work;
