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
        let mut running = Running::start(&mut command);
        running.listens();
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

/// A base that only the delivery reads, because nothing in the recipe looks into it.
#[test]
fn a_wrong_layer_of_a_base_is_told_and_leaves_nothing() {
    let barge = Barge::new();
    barge.write("base/Containerfile", "FROM scratch\nCOPY Containerfile /\n");
    barge.line("build -o lib -t base --platform linux/amd64 base").exits(0);
    let layer = Image::of(&barge.path("lib"), None).manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let path = barge.path("lib/blobs").join(layer.replace(':', "/"));
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    for recipe in ["FROM base\nENV A=1\n", "FROM base\nCOPY Containerfile /x\n", "FROM scratch\nCOPY --from=base / /\n"]
    {
        barge.write("c/Containerfile", recipe);
        for out in ["new", "new.tar", "lib"] {
            let before = fs::read(barge.path("lib/index.json")).unwrap();
            let line = format!("-L lib build -o {out} -t new --platform linux/amd64 c");
            barge.line(&line).exits(4).says(&[&layer, "layer 1 of linux/amd64"]).never(&["replaced"]);
            assert!(!barge.path("new").exists() && !barge.path("new.tar").exists(), "{recipe} {out}");
            assert_eq!(fs::read(barge.path("lib/index.json")).unwrap(), before);
        }
    }
}

#[test]
fn a_place_that_cannot_be_is_told_before_anything_is_made() {
    let barge = Barge::new();
    barge.write("c/Containerfile", "FROM scratch\nCOPY nothing /\n");
    for out in ["nowhere/out", "nowhere/out.tar"] {
        let said = ["cannot find the directory \"nowhere\" to hold the", "make it first"];
        barge.line(&format!("build -o {out} -t new c")).exits(3).says(&said).never(&["line 2"]);
    }
}
