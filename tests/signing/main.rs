//! Signatures and keys beside OpenSSL: what either makes, the other takes. And `barge key` as users run it.

// helpers of tests stand outside of test functions
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
mod openssl;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)] // the other programs' tests use more of it
#[path = "../interop/work.rs"]
mod work;
