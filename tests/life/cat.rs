//! `cat`: exact bytes.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use barge::digest::Algorithm;
use serde_json::Value;

use super::bench::Bench;
use super::made::{Made, digest, tagged, two_images};

#[test]
fn manifests_configs_and_blobs_come_as_they_are() {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("layout"));
    made.archive(&bench.path("archive.tar"));
    let index: Value = serde_json::from_slice(&made.blobs[digest(&made.roots[0])]).unwrap();
    let arm64 = digest(&index["manifests"][1]);
    let manifest: Value = serde_json::from_slice(&made.blobs[arm64]).unwrap();
    let (config, layer) = (digest(&manifest["config"]), digest(&manifest["layers"][1]));
    for place in ["layout", "archive.tar"] {
        for (line, expected) in [
            (format!("cat manifest {place}:app:v1"), digest(&made.roots[0])),
            (format!("cat manifest --platform linux/arm64 {place}:app:v1"), arm64),
            (format!("cat manifest {place}@{arm64}"), arm64),
            (format!("cat config --platform linux/arm64 {place}:app:v1"), config),
            (format!("cat config {place}@{arm64}"), config),
            (format!("cat blob {place}@{layer}"), layer),
            (format!("cat blob {place}@{}", &layer[7..20]), layer),
            (format!("cat blob {place}@{config}"), config),
            (format!("cat blob {place}@{arm64}"), arm64),
        ] {
            assert!(bench.ok(&line).stdout == made.blobs[expected], "{line}");
        }
        bench.exits(3, &format!("cat config {place}:app:v1")).says("--platform");
        bench.exits(3, &format!("cat manifest {place}:nope"));
        bench.exits(3, &format!("cat manifest {place}")).says("cannot choose among 2");
        bench.exits(3, &format!("cat manifest --platform linux/riscv64 {place}:app:v1"));
        bench.exits(3, &format!("cat blob {place}@sha256:{}", "0".repeat(64)));
        bench.exits(2, &format!("cat blob {place}:app:v1")).says("which blob");
        bench.exits(2, &format!("cat blob {place}")).says("which blob");
        bench.exits(2, &format!("cat --json manifest {place}:app:v1"));
        bench.exits(3, &format!("cat layer {place}:app:v1")).says("--platform");
    }
    assert!(bench.ok(&format!("-L layout cat blob @{layer}")).stdout == made.blobs[layer]);
    let mut one = Made::new();
    let image = one.image("linux/amd64", &["only"]);
    one.root(tagged(&image, "v1"));
    one.archive(&bench.path("one.tar"));
    let stream = fs::read(bench.path("one.tar")).unwrap();
    assert!(bench.run_with("cat manifest -", &stream).stdout == one.blobs[digest(&image)]);
}

/// Puts a blob of zeros with its digest into a layout: it takes no room.
fn large(bench: &Bench, megabytes: u64) -> String {
    let made = two_images();
    made.layout(&bench.path("layout"));
    let mut hasher = Algorithm::Sha256.hasher();
    for _ in 0..megabytes {
        hasher.update(&vec![0; 1 << 20]);
    }
    let digest = hasher.finish().to_string();
    File::create(bench.blob("layout", &digest)).unwrap().set_len(megabytes << 20).unwrap();
    digest
}

#[test]
fn a_blob_larger_than_memory_streams_and_a_closed_pipe_is_no_failure() {
    let bench = Bench::new();
    let digest = large(&bench, 256);
    // in 128 MiB of address space
    let mut command = std::process::Command::new("sh");
    let line = format!("ulimit -v 131072; exec {} cat blob layout@{digest}", env!("CARGO_BIN_EXE_barge"));
    command.args(["-c", &line]).current_dir(bench.root()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let count = std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(count, 256 << 20);

    let mut command = bench.command(&format!("cat blob layout@{digest}"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 1000];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap(); // and closed
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));

    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = bench.command(&format!("cat blob layout@{digest}"));
    let output = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(10));
}

#[test]
fn the_last_bytes_of_a_wrong_blob_are_not_printed() {
    let bench = Bench::new();
    let digest = large(&bench, 2);
    let blob = bench.blob("layout", &digest);
    for (case, change) in [("the first byte", 0_u64), ("the last byte", (2 << 20) - 1)] {
        let file = File::options().write(true).open(&blob).unwrap();
        std::os::unix::fs::FileExt::write_at(&file, b"x", change).unwrap();
        let ran = bench.exits(4, &format!("cat blob layout@{digest}"));
        assert!(ran.stdout.len() < 2 << 20, "{case}");
        ran.says(&digest).says("expected");
    }
    // of a small one nothing is printed
    let mut made = Made::new();
    let image = made.image("linux/amd64", &["small"]);
    made.root(tagged(&image, "v1"));
    made.layout(&bench.path("small"));
    for (what, text) in [("manifest", &b"schemaVersion"[..]), ("config", b"rootfs"), ("blob", b"small")] {
        let (digest, _) =
            made.blobs.iter().find(|(_, bytes)| bytes.windows(text.len()).any(|part| part == text)).unwrap();
        let path = bench.blob("small", digest);
        let good = fs::read(&path).unwrap();
        bench.spoil(&path);
        let reference = if what == "blob" { format!("small@{digest}") } else { "small:v1".to_owned() };
        assert!(bench.exits(4, &format!("cat {what} {reference}")).stdout.is_empty(), "{what}");
        File::create(&path).unwrap().write_all(&good).unwrap();
    }
    bench.verify("small");
}
