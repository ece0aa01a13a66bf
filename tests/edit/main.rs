//! `edit` and `convert`, by the real program: what changes, what stays, and what is said of it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // all of this is tests

#[allow(dead_code)] // the other tests use more of it
#[path = "../life/bench.rs"]
mod bench;
mod changes;
mod convert;
mod files;
mod index;
mod interop;
#[allow(dead_code)] // the other tests use more of it
#[path = "../life/made.rs"]
mod made;
mod place;
mod rebase;
#[path = "../support/mod.rs"]
mod support;

use support::tar;

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use bench::{Bench, Ran};

/// Runs a command of words, then of more that may hold white space.
fn run(bench: &Bench, line: &str, more: &[&str]) -> Ran {
    bench.command(line).args(more).stdin(Stdio::null()).output().unwrap().into()
}

fn ok(bench: &Bench, line: &str, more: &[&str]) -> Ran {
    let ran = run(bench, line, more);
    assert_eq!(ran.code, 0, "barge {line} {more:?}: {}", ran.stderr);
    ran
}

/// Returns the exact bytes of a document of an image, `config` or `manifest`.
fn bytes(bench: &Bench, what: &str, reference: &str) -> Vec<u8> {
    bench.ok(&format!("cat {what} {reference}")).stdout
}

fn json(bench: &Bench, what: &str, reference: &str) -> Value {
    serde_json::from_slice(&bytes(bench, what, reference)).unwrap()
}

/// Returns a directory with a copy of a fixture as a layout, `place`.
fn of_fixture(name: &str) -> Bench {
    let bench = Bench::new();
    fs::copy(support::digests::fixtures().join(name), bench.path("fixture.tar")).unwrap();
    bench.ok("copy -q fixture.tar place");
    bench
}

fn verify(bench: &Bench, place: &str) {
    bench.ok(&format!("verify -q --deep {place}"));
}

/// The image and platforms of the fixture with an index and attestations.
const HELLO: &str = "buildx-amd64-arm64.tar";
