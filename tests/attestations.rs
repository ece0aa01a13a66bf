//! Attestations that an index lists and the place does not hold, as in what `ctr images export --platform` writes.

#![allow(clippy::unwrap_used)] // all of this is tests

mod support;

use std::path::Path;

use assert_cmd::Command;
use support::digests;

fn merge(to: &str, source: &Path, options: &[&str], directory: &Path) -> assert_cmd::assert::Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barge"));
    command.current_dir(directory).args(["merge", "-q", "-o", to, "-t", "example.com/hello:v1"]).arg(source);
    command.args(options).assert()
}

#[test]
fn absent_ones_are_named_and_left_out_on_request() {
    let temp = tempfile::tempdir().unwrap();
    let sparse = temp.path().join("sparse");
    merge("sparse", &digests::fixtures().join("buildx-amd64-arm64.tar"), &[], temp.path()).success();
    for line in digests::lines() {
        if line.platform == "unknown/unknown" && line.kind == "manifest" {
            let hex = line.digest.strip_prefix("sha256:").unwrap();
            std::fs::remove_file(sparse.join("blobs/sha256").join(hex)).unwrap();
        }
    }
    let refused = merge("merged", &sparse, &[], temp.path()).code(4);
    let said = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(said.contains("manifest of the attestation of"), "{said}");
    assert!(said.contains("hint: leave attestations out with --attestations drop"), "{said}");
    merge("merged", &sparse, &["--attestations", "drop"], temp.path()).success();
}
