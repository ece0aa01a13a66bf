//! The program as users run it: exit code, standard output, standard error, and what lies on the disk afterwards.
//!
//! Wording may change, so most tests look for what matters in a message: the class (as the exit code), digests, places,
//! whether there is a hint. A few snapshots hold the whole output of the main cases.

// helpers of tests stand outside of test functions
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod add;
mod browser;
mod completions;
mod crash;
mod damage;
mod environment;
mod look;
mod machine;
mod manual;
mod memory;
mod merge;
mod platforms;
mod progress;
#[path = "../support/registry/mod.rs"]
mod registry;
mod report;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod together;
mod verify;
mod width;
mod words;

use environment::{Barge, Running, assert_clean, assert_unchanged, available, listing, temporaries, until};
