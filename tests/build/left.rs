//! What a build that does not come to its end leaves behind: nothing.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::*;

/// A context whose layers take a while.
fn large(barge: &Barge) {
    let mut state = 1_u64;
    let mut bytes = Vec::with_capacity(64 << 20);
    while bytes.len() < 64 << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bytes.extend_from_slice(&(state >> 16).to_be_bytes()[3..]);
    }
    barge.write("c/small", "small");
    barge.write("c/large", &bytes);
    barge.write("c/larger", bytes.repeat(3));
    barge.write("c/Containerfile", "FROM scratch\nCOPY small /\nCOPY large /\nCOPY larger /\n");
}

#[test]
fn who_stops_it_finds_what_was_there_before() {
    let barge = Barge::new();
    large(&barge);
    barge.write("old/Containerfile", "FROM scratch\nCOPY Containerfile /\n");
    barge.line("build -o there -t old --platform linux/amd64 old").exits(0);
    barge.line("build -o there.tar -t old --platform linux/amd64 old").exits(0);
    for out in ["there", "there.tar", "new", "new.tar"] {
        let before = listing(&barge.path(""));
        let mut command = barge.command();
        command.args(["build", "-o", out, "-t", "new", "--platform", "linux/amd64,linux/arm64"]);
        command.args(["--compression-level", "9", "--verbose", "c"]);
        let running = Running::start(&mut command);
        std::thread::sleep(Duration::from_millis(700));
        running.signal(Signal::INT);
        let start = Instant::now();
        running.output(&barge).exits(130);
        assert!(start.elapsed() < Duration::from_secs(10));
        assert_eq!(listing(&barge.path("")), before, "{out}");
    }
}

#[test]
fn a_build_that_fails_late_leaves_nothing() {
    let barge = Barge::new();
    barge.write("c/a", "a");
    barge.write("c/Containerfile", "FROM scratch\nCOPY a /\nCOPY b /\n");
    barge.write("old/Containerfile", "FROM scratch\nCOPY Containerfile /\n");
    barge.line("build -o there -t old --platform linux/amd64 old").exits(0);
    for out in ["there", "new", "new.tar", "-"] {
        let before = listing(&barge.path(""));
        barge.line(&format!("build -o {out} -t new c")).exits(3).says(&["line 3 of c/Containerfile"]);
        assert_eq!(listing(&barge.path("")), before, "{out}");
    }
}

#[test]
fn a_build_that_is_killed_leaves_no_name_and_the_next_one_clears_up() {
    let barge = Barge::new();
    large(&barge);
    let mut command = barge.command();
    command.args("build -o out -t new --platform linux/amd64 --compression-level 9 c".split(' '));
    let running = Running::start(&mut command);
    std::thread::sleep(Duration::from_millis(700));
    running.signal(Signal::KILL);
    running.output(&barge).ends_or_was_killed();
    barge.line("ls out").exits(0).never(&["new"]);
    barge.line("build -o out -t new --platform linux/amd64 --compression none c").exits(0);
    barge.line("verify --deep out").exits(0);
}

#[test]
fn a_full_disk_is_told_and_leaves_what_was_there() {
    let barge = Barge::new();
    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root");
        return;
    }
    large(&barge);
    let disk = barge.path("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = barge.around("mount").args(["-t", "tmpfs", "-o", "size=20m", "none"]).arg(&disk).status().unwrap();
    if !mounted.success() {
        println!("skipped: no mounts here");
        return;
    }
    let outputs: Vec<_> = ["disk/out", "disk/out.tar"]
        .into_iter()
        .map(|out| {
            let output = barge.line(&format!("build -o {out} -t new --platform linux/amd64 c"));
            (output, fs::read_dir(&disk).unwrap().count())
        })
        .collect();
    assert!(barge.around("umount").arg(&disk).status().unwrap().success());
    for (output, left) in outputs {
        output.exits(10).says(&["No space left", "hint: "]);
        assert_eq!(left, 0);
    }
    let _ = (temporaries(&barge.path("")), assert_unchanged);
}
