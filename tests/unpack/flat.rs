//! All layers of an image as one: what other programs make of it.

use std::process::{Command, Stdio};

use barge::ops::rootfs::{Limits, Rootfs, layers_of};

use super::tar::{Block, Tar};
use super::*;

/// One of each thing that may be in an image, from two layers.
fn layers() -> [Vec<u8>; 2] {
    let lower = Tar::new()
        .entry(Block::ustar("./").flag(b'5').mode(0o751).mtime(5), b"")
        .entry(Block::ustar("usr/bin/su").mode(0o4755).owner(3, 4).mtime(77).size(2), b"su")
        .file("usr/bin/gone", b"gone")
        .symlink("bin", "usr/bin")
        .hard_link("su", "bin/su")
        .hard_link("bin-again", "bin")
        .entry(Block::raw(b"no-text-\xff\xfe").size(1), b"x")
        .extension(b'L', &[0xfe; 150])
        .file("cut", b"long and no text")
        .extension(b'L', &[b'n'; 200])
        .file("cut", b"long")
        .entry(Block::ustar("null").flag(b'3').device(1, 3).mode(0o666), b"")
        .entry(Block::ustar("disk").flag(b'4').device(8, 17).mode(0o660).owner(0, 6), b"")
        .entry(Block::ustar("fifo").flag(b'6').mode(0o600), b"")
        .pax(&[("mtime", "-1.25"), ("uid", "3000000")])
        .file("old", b"");
    let lower = with_xattr(lower, "security.capability", &CAPABILITY).file("bin/ping", b"ping");
    let upper = Tar::new().file("bin/.wh.gone", b"").file("bin/tool", b"tool");
    [lower.finished(), upper.finished()]
}

#[test]
fn other_programs_list_it_without_complaint() {
    let source = image(&layers());
    let chosen = choose_image(&source, None, &PlatformFilter::All).unwrap();
    let read = Rootfs::read(layers_of(&source, &chosen).unwrap(), &Limits::default(), &Cancel::default(), &Deaf);
    let mut flat = Vec::new();
    let written = read.unwrap().flatten(&mut flat).unwrap();
    for program in ["tar", "bsdtar"] {
        let child = Command::new(program)
            .args(["-tvf", "-"])
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            skip(program);
            continue;
        };
        child.stdin.take().unwrap().write_all(&flat).unwrap();
        let out = child.wait_with_output().unwrap();
        // what says that a long name is no text is a key that GNU tar does not know, nor need
        let unknown = "tar: Ignoring unknown extended header keyword 'hdrcharset'\n";
        let complaint = String::from_utf8_lossy(&out.stderr).replace(unknown, "");
        assert!(out.status.success() && complaint.is_empty(), "{program}: {complaint}");
        let listed = out.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        assert_eq!((listed as u64, written.entries), (16, 16), "{program}");
    }
}
