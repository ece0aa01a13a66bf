//! Bundles, as people make and carry them: in parts, on several media, interrupted and continued, checked without barge.

// helpers of tests stand outside of test functions
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod archive_mode;
mod bases;
#[path = "../support/distribution/mod.rs"]
mod distribution;
#[allow(dead_code)] // the program's own tests use more of it
#[path = "../cli/environment.rs"]
mod environment;
mod in_turn;
mod kills;
mod made;
mod memory;
#[allow(dead_code)] // those of compact archives use more of it
#[path = "../compact/packer.rs"]
mod packer;
mod parts;
mod plan;
mod prepared;
mod resume;
mod road;
mod signed;
mod split;
#[path = "../support/mod.rs"]
mod support;
mod trust;

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use environment::{Barge, Running, assert_clean, available, temporaries, until};

/// Returns the blobs of a layout, the largest first.
pub(crate) fn blobs(layout: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(layout.join("blobs/sha256")).unwrap();
    let mut blobs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    blobs.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).unwrap().len()));
    blobs
}

/// Writes one byte, so that whoever reads it finds it wrong.
pub(crate) fn spoil(path: &Path, byte: u8) {
    File::options().write(true).open(path).unwrap().write_all_at(&[byte], 0).unwrap();
}

pub(crate) fn same(one: &Path, other: &Path) -> bool {
    // `cmp` stops at the first difference and reads no hole twice
    std::process::Command::new("cmp").arg("-s").args([one, other]).status().unwrap().success()
}

/// Returns a digest that a blob of a layout is called by.
pub(crate) fn digest_of(blob: &Path) -> String {
    format!("sha256:{}", blob.file_name().unwrap().to_str().unwrap())
}
