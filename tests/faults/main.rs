//! The lab of faults: the real program is killed, refused, starved and lied to at every step, and after each fault the same
//! six properties are checked ([`properties`]), by code that shares nothing with the program ([`place`]).
//!
//! By default a part of the steps is taken, the same on every run: the first, the last, all around the visible step, and some
//! between. `BARGE_FAULTS=full` (`make faults`) takes them all. `docs/faults.md` tells what is done and what came of it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // all of this is tests

mod at_once;
mod calls;
mod cases;
mod changing;
#[path = "../support/distribution/mod.rs"]
mod distribution;
#[allow(dead_code)] // the tests of the command line use more of it
#[path = "../cli/environment.rs"]
mod environment;
mod failing;
mod killed;
mod lab;
mod limits;
mod mounted;
mod place;
mod power;
mod properties;
mod registries;
#[path = "../support/registry/mod.rs"]
mod registry;
mod rights;
mod room;
mod secrets;
mod shapes;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod systems;
