//! Bundles, as people make and carry them: split, interrupted and continued, checked without barge.

// helpers of tests stand outside of test functions
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[allow(dead_code)] // the program's own tests use more of it
#[path = "../cli/environment.rs"]
mod environment;
mod resume;
#[path = "../support/mod.rs"]
mod support;

use environment::{Barge, Running, assert_clean, temporaries, until};
