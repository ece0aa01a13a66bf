//! The parts that barge's speed is made of, each by itself: `make bench-parts` runs them all, `ARGS=tar` those with `tar` in their
//! name. Criterion compares with its last run; what it says means something on a machine that does nothing else.
//!
//! | file | what it measures |
//! |---|---|
//! | `hashing.rs` | SHA-256 alone, and content on its way through the reader that checks it |
//! | `opening.rs` | the index of an archive: of many small entries, and of few large ones |
//! | `packing.rs` | gzip on one thread and on all, and back |
//! | `walking.rs` | the walk from an index to everything below it |
//! | `documents.rs` | JSON: an index of many images, a manifest, and what strictness costs |
//!
//! Everything is made when it runs, in memory or in a directory that goes afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)] // no part of the program

mod documents;
mod hashing;
mod opening;
mod packing;
mod walking;

use criterion::{criterion_group, criterion_main};

/// Text as a file system has it: neither noise nor all the same.
fn sample(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut bytes = Vec::with_capacity(size + 64);
    while bytes.len() < size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(format!("{:x} line {} ", state >> 44, (state >> 33) % 97).as_bytes());
    }
    bytes.truncate(size);
    bytes
}

criterion_group!(parts, hashing::benches, opening::benches, packing::benches, walking::benches, documents::benches);
criterion_main!(parts);
