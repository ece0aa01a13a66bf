//! barge as users run it, against registries that do as they are told: slow ones, broken ones, strict ones and liars.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // helpers of tests stand outside of test functions

mod auth;
mod bench;
#[allow(dead_code)] // what other test files need of it
#[path = "../cli/environment.rs"]
mod environment;
mod hostile;
mod misbehaving;
mod new_repository;
mod ordeal;
mod properties;
mod pull;
mod push;
mod redirects;
mod referrers;
#[path = "../support/registry/mod.rs"]
mod registry;
mod retry;
#[path = "../support/mod.rs"]
mod support;
mod uploads;
