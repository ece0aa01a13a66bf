//! Signatures and keys beside OpenSSL: what either makes, the other takes. Bundles and receipts that are signed, and what is refused.
//! And `barge key` as users run it.

// helpers of tests stand outside of test functions
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod bundles;
mod command;
#[path = "../cli/environment.rs"]
#[allow(dead_code)] // the tests of the program use more of it
mod environment;
mod images;
mod openssl;
mod receipts;
#[path = "../support/mod.rs"]
mod support;
#[path = "../delta/versions.rs"]
#[allow(dead_code)] // the tests of deltas use more of it
mod versions;
#[allow(dead_code)] // the other programs' tests use more of it
#[path = "../interop/work.rs"]
mod work;
