//! `build` as users run it: recipes and directories become images.

// helpers of tests stand outside of test functions
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../cli/environment.rs"]
#[allow(dead_code)] // made for all that the command line can do
mod environment;
mod left;
mod look;
mod memory;
mod refused;
#[path = "../support/registry/mod.rs"]
mod registry;
mod results;
mod same;
mod together;
mod without;

use environment::{Barge, Running, assert_unchanged, listing, temporaries};
use look::Image;
