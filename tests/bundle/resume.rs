//! A save into one file that did not come to its end, and the next run that continues it.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::process::Signal;

use super::support::image::sparse;
use super::*;

const MIB: u64 = 1 << 20;
const SIZES: [u64; 3] = [100 * MIB, 99 * MIB, 98 * MIB];

#[test]
fn what_arrived_before_a_failure_is_neither_read_nor_hashed_again() {
    is_continued("save");
}

#[test]
fn an_aligned_archive_is_continued_as_well() {
    is_continued("save --align");
}

fn is_continued(save: &str) {
    let barge = Barge::new();
    sparse(&barge.path("source"), "linux/amd64", &SIZES);
    barge.line(&format!("{save} --no-sync -o whole.tar source")).exits(0);
    let blobs = blobs(&barge.path("source"));
    spoil(&blobs[2], 1);
    let failed = barge.line(&format!("{save} --jobs 1 -o new.tar source")).exits(4);
    failed.says(&["199.0 MiB of it are kept in ", "/.new.tar.barge-", "run the same command again"]);
    assert_eq!(temporaries(&barge.path("")).len(), 1);
    spoil(&blobs[2], 0);
    // would be found wrong if they were read
    spoil(&blobs[0], 1);
    spoil(&blobs[1], 1);
    let stats = barge.line(&format!("{save} --json -o new.tar source")).exits(0).json()["stats"].clone();
    assert_eq!((stats["present"].as_u64(), stats["presentBytes"].as_u64()), (Some(2), Some(199 * MIB)), "{stats}");
    assert!(same(&barge.path("new.tar"), &barge.path("whole.tar")));
    assert_clean(&barge, "after success");
}

#[test]
fn a_killed_save_is_continued_and_one_of_other_content_starts_anew() {
    let barge = Barge::new();
    sparse(&barge.path("source"), "linux/amd64", &SIZES);
    sparse(&barge.path("other"), "linux/arm64", &SIZES);
    barge.line("save --no-sync -o whole.tar source").exits(0);
    let blobs = blobs(&barge.path("source"));
    let header = header_of(&blobs[0], &barge.path("whole.tar"));
    for (signal, exit) in [(Signal::KILL, None), (Signal::INT, Some(130))] {
        // not a file that is there already: what is there is replaced at the end alone
        let mut running = Running::start(barge.command().args(["save", "--jobs", "1", "-o", "new.tar", "source"]));
        until("the header of the largest blob", || {
            assert!(!running.has_ended(), "it ended before it was stopped");
            temporaries(&barge.path("")).iter().any(|path| has(path, header, &blobs[0]))
        });
        running.signal(signal);
        let output = running.output(&barge);
        match exit {
            None => output.ends_or_was_killed(),
            Some(code) => drop(output.exits(code).says(&["kept in", "run the same command again"])),
        }
        let left = temporaries(&barge.path(""));
        assert_eq!(left.len(), 1, "{left:?}");
        // the same content in another file, and other content in the same file, know nothing of it
        barge.line("save --no-sync -o third.tar source").exits(0);
        assert_eq!(temporaries(&barge.path("")), left);
        spoil(&blobs[0], 1);
        barge.line("save -o new.tar source").exits(0).says(&["was there, 100.0 MiB"]);
        spoil(&blobs[0], 0);
        assert!(same(&barge.path("new.tar"), &barge.path("whole.tar")));
        assert_clean(&barge, "after success");
        for file in ["new.tar", "third.tar"] {
            fs::remove_file(barge.path(file)).unwrap();
        }
    }
}

/// Returns where the header of a blob stands in an archive.
fn header_of(blob: &Path, archive: &Path) -> u64 {
    let listed = std::process::Command::new("tar").arg("-tRf").arg(archive).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let hex = blob.file_name().unwrap().to_str().unwrap();
    let line = listed.lines().find(|line| line.ends_with(hex)).unwrap();
    512 * line.strip_prefix("block ").unwrap().split(':').next().unwrap().parse::<u64>().unwrap()
}

fn has(path: &Path, header: u64, blob: &Path) -> bool {
    let mut name = [0; 77];
    let expected = format!("blobs/sha256/{}", blob.file_name().unwrap().to_str().unwrap());
    File::open(path).is_ok_and(|file| file.read_exact_at(&mut name, header).is_ok()) && name == *expected.as_bytes()
}

#[test]
fn a_temporary_file_that_another_process_has_or_that_is_no_such_thing_is_left_alone() {
    let barge = Barge::new();
    sparse(&barge.path("source"), "linux/amd64", &SIZES);
    let blobs = blobs(&barge.path("source"));
    spoil(&blobs[2], 1);
    barge.line("save --jobs 1 -o new.tar source").exits(4).says(&["kept in"]);
    spoil(&blobs[2], 0);
    let kept = temporaries(&barge.path(""))[0].clone();
    // in use by another process
    let holder = File::open(&kept).unwrap();
    rustix::fs::flock(&holder, rustix::fs::FlockOperation::LockExclusive).unwrap();
    barge.line("save -o new.tar source").exits(0).never(&["there"]);
    assert!(kept.exists());
    drop(holder);
    fs::remove_file(barge.path("new.tar")).unwrap();
    // the beginning of another archive under this name, longer than ours
    let mut file = File::create(&kept).unwrap();
    file.write_all(&[7; 4096]).unwrap();
    file.set_len(400 * MIB).unwrap();
    drop(file);
    barge.line("save -o new.tar source").exits(0).never(&["there"]);
    barge.line("verify new.tar").exits(0);
    fs::remove_file(barge.path("new.tar")).unwrap();
    // a link to a file of ours
    barge.write("precious", "precious");
    std::os::unix::fs::symlink("precious", &kept).unwrap();
    barge.line("save -o new.tar source").exits(0);
    assert_eq!(fs::read(barge.path("precious")).unwrap(), b"precious");
}

#[test]
fn what_is_too_little_to_be_kept_is_removed() {
    let barge = Barge::new();
    sparse(&barge.path("source"), "linux/amd64", &[20 * MIB, 10 * MIB]);
    spoil(&blobs(&barge.path("source"))[1], 1);
    barge.line("save --jobs 1 -o new.tar source").exits(4).never(&["kept"]);
    assert_clean(&barge, "after a failure");
}

#[test]
fn an_archive_that_is_added_to_is_continued_as_well() {
    let barge = Barge::new();
    sparse(&barge.path("large"), "linux/amd64", &SIZES);
    sparse(&barge.path("little"), "linux/arm64", &[1]);
    barge.line("merge --no-sync -q -o old.tar -t old:v1 little").exits(0);
    let before = fs::read(barge.path("old.tar")).unwrap();
    let blobs = blobs(&barge.path("large"));
    spoil(&blobs[2], 1);
    barge.line("merge --jobs 1 -o old.tar -t app:v1 large").exits(4).says(&["kept in"]);
    assert_eq!(fs::read(barge.path("old.tar")).unwrap(), before);
    spoil(&blobs[2], 0);
    barge.line("merge -o old.tar -t app:v1 large").exits(0).says(&["were there"]);
    barge.line("verify old.tar").exits(0);
    assert_clean(&barge, "after success");
}
