//! `--align`: blobs begin at multiples in an archive, and file systems that share blocks clone them in and out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use barge::digest::Digest;

use super::bench::Bench;
use super::made::{Made, tagged, two_images};
use super::reflink::{Mounted, can_mount};

const MIB: usize = 1 << 20;
/// The block of the file systems here.
const BLOCK: usize = 4096;

/// Returns where the content of each blob begins in a plain tar, with its digest.
fn begins(archive: &Path) -> Vec<(String, usize)> {
    let tar = fs::read(archive).unwrap();
    let mut found = Vec::new();
    let mut at = 0;
    while tar[at] != 0 {
        let size = std::str::from_utf8(&tar[at + 124..at + 135]).unwrap();
        let size = usize::from_str_radix(size, 8).unwrap();
        let name = tar[at..at + 100].split(|byte| *byte == 0).next().unwrap();
        let name = String::from_utf8_lossy(name);
        if let Some(digest) = name.strip_prefix("blobs/") {
            found.push((digest.replace('/', ":"), at + 512));
        }
        at += 512 + size.next_multiple_of(512);
    }
    found
}

fn is_aligned(archive: &Path, bytes: usize) -> bool {
    let begins = begins(archive);
    assert!(!begins.is_empty());
    begins.iter().all(|(_, begin)| begin.is_multiple_of(bytes))
}

#[test]
fn every_blob_begins_at_a_multiple_and_two_runs_give_the_same_bytes() {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("layout"));
    for (option, bytes) in
        [("--align", 4096), ("--align=1K", 1024), ("--align=65536", 65536), ("--align=512K", 524_288)]
    {
        let mut seen: Vec<Vec<u8>> = Vec::new();
        for (run, line) in ["--jobs 1 save", "--jobs 8 save", "copy layout", "save --no-sync"].iter().enumerate() {
            let file = format!("{bytes}-{run}.tar");
            match line.strip_prefix("copy ") {
                // a packing list is for bundles alone
                Some(source) => drop(bench.ok(&format!("copy {option} {source} {file}"))),
                None => {
                    bench.ok(&format!("{line} {option} -o {file} layout"));
                    seen.push(fs::read(bench.path(&file)).unwrap());
                }
            }
            assert!(is_aligned(&bench.path(&file), bytes), "{file}");
            let blobs: BTreeSet<String> = begins(&bench.path(&file)).into_iter().map(|(digest, _)| digest).collect();
            assert!(made.blobs.keys().eq(&blobs), "{blobs:?}");
            bench.verify(&file);
        }
        seen.push(bench.ok(&format!("save {option} -o - layout")).stdout);
        bench.ok(&format!("save {option} -o again.tar --force {bytes}-0.tar"));
        seen.push(fs::read(bench.path("again.tar")).unwrap());
        assert!(seen.iter().all(|bytes| *bytes == seen[0]), "{option}");
        bench.ok(&format!("load -i {bytes}-0.tar -o {bytes}"));
        bench.verify(&format!("{bytes}"));
        assert_eq!(bench.roots(&format!("{bytes}")), made.roots);
    }
    let file = |name: &str| fs::read(bench.path(name)).unwrap();
    bench.ok("save --align=4K -o same.tar layout");
    assert!(file("same.tar") == file("4096-0.tar"));
    bench.ok("save -o plain.tar layout");
    assert!(!is_aligned(&bench.path("plain.tar"), 1024));
    bench.ok("save --align --format docker --platform linux/amd64 -o docker.tar layout");
    bench.verify("docker.tar");
}

#[test]
fn an_archive_that_is_added_to_is_aligned_anew_when_it_is_asked_for() {
    let bench = Bench::new();
    two_images().layout(&bench.path("layout"));
    bench.ok("merge -o a.tar -t app:v2 layout:app:v1");
    assert!(!is_aligned(&bench.path("a.tar"), BLOCK));
    bench.ok("merge --align -o a.tar -t app:v2 layout:app:v1");
    assert!(is_aligned(&bench.path("a.tar"), BLOCK));
    for option in ["--align", "--align=1K", ""] {
        bench.ok(&format!("merge {option} -o a.tar -t app:v2 layout:app:v1")).says("nothing to do");
    }
    bench.ok("copy --align layout:db:v3 a.tar");
    assert!(is_aligned(&bench.path("a.tar"), BLOCK));
    bench.ok("tag a.tar:app:v2 app:v3");
    assert!(!is_aligned(&bench.path("a.tar"), BLOCK));
    bench.verify("a.tar");
}

#[test]
fn what_is_built_is_aligned_as_it_is_asked_for() {
    let bench = Bench::new();
    fs::create_dir(bench.path("context")).unwrap();
    fs::write(bench.path("context/Containerfile"), "FROM scratch\nCOPY file /file\n").unwrap();
    fs::write(bench.path("context/file"), "content").unwrap();
    for (option, bytes) in [("", 512), ("--align", BLOCK), ("--align=64K", 65536)] {
        bench.ok(&format!("build {option} -o {bytes}.tar -t app:v1 --platform linux/amd64 context"));
        assert!(is_aligned(&bench.path(&format!("{bytes}.tar")), bytes), "{option}");
        bench.verify(&format!("{bytes}.tar"));
    }
    assert!(!is_aligned(&bench.path("512.tar"), BLOCK));
    let ran = bench.exits(2, "build --align -o layout -t app:v1 --platform linux/amd64 context");
    ran.says("cannot align blobs: no archive is written");
    assert!(!bench.path("layout").exists());
}

#[test]
fn what_cannot_be_aligned_is_refused_before_anything_is_written() {
    let bench = Bench::new();
    two_images().layout(&bench.path("layout"));
    let before = bench.listing();
    for (line, said) in [
        ("save --align --split 1M -o a.tar layout", "--align"),
        ("save --align --media dvd -o a.tar layout", "--align"),
        ("save --align --compress gzip -o a.tar layout", "--align"),
        ("save --align=3000 -o a.tar layout", "expected a power of two from 1K to 512K"),
        ("save --align=512 -o a.tar layout", "expected a power of two"),
        ("save --align=1M -o a.tar layout", "expected a power of two"),
        ("save --align= -o a.tar layout", ""),
        ("copy --align layout other", "cannot align blobs: no archive is written"),
        ("merge --align -o other -t app:v2 layout:app:v1", "cannot align blobs: no archive is written"),
    ] {
        bench.exits(2, line).says(said);
        assert_eq!(bench.listing(), before, "{line}");
    }
    bench.ok("copy --align layout other a.tar");
    assert!(is_aligned(&bench.path("a.tar"), BLOCK));
}

/// Returns how many bytes of a file lie in blocks that it shares.
fn shared(path: &Path) -> usize {
    let output = Command::new("filefrag").args(["-v", "-b4096"]).arg(path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let extents = text.lines().filter(|line| line.contains("shared"));
    // number: logical_offset: physical_offset: length: ...
    let length = |line: &str| line.split(':').nth(3).unwrap().trim().parse::<usize>().unwrap();
    extents.map(length).sum::<usize>() * BLOCK
}

/// An image with layers of these sizes, which no file system makes smaller.
fn made(sizes: &[usize]) -> Made {
    let mut made = Made::new();
    let layer = |size: &usize| {
        let line = |at: usize| Digest::of(format!("{size} {at}").as_bytes()).hex();
        let mut text: String = (0..size.div_ceil(64)).map(line).collect();
        text.truncate(*size);
        text
    };
    let layers: Vec<String> = sizes.iter().map(layer).collect();
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    let image = made.image("linux/amd64", &layers);
    made.root(tagged(&image, "v1"));
    made
}

/// Whole blocks, and those that end in the middle of one, in each way that matters.
const SIZES: [usize; 6] = [16 * MIB, 9 * MIB + 777, 5 * MIB + BLOCK - 1, 64 << 10, (64 << 10) + 1, 1000];

#[test]
fn blobs_are_cloned_into_an_archive_and_out_of_it() {
    if !can_mount() {
        return;
    }
    let made = made(&SIZES);
    let clonable = |bytes: &Vec<u8>| if bytes.len() < 64 << 10 { 0 } else { bytes.len() / BLOCK * BLOCK };
    let all: usize = made.blobs.values().map(clonable).sum();
    for kind in ["btrfs", "xfs"] {
        let bench = Bench::new();
        let mounted = Mounted::new(&bench, kind);
        made.layout(&mounted.at.join("source"));
        let mut before = mounted.used();
        let mut takes_none = |what: &str| {
            let now = mounted.used();
            assert!(now < before + 2 * MIB, "{kind}: {what} takes {} bytes", now - before);
            before = now;
        };
        bench.ok(&format!("save --align -o {kind}/a.tar {kind}/source"));
        takes_none("save");
        assert_eq!(shared(&mounted.at.join("a.tar")), all, "{kind}");
        bench.verify(&format!("{kind}/a.tar"));
        // the same bytes as where they are copied
        bench.ok(&format!("save --align -o a.tar {kind}/source"));
        assert!(fs::read(bench.path("a.tar")).unwrap() == fs::read(mounted.at.join("a.tar")).unwrap(), "{kind}");

        bench.ok(&format!("load -i {kind}/a.tar -o {kind}/loaded"));
        takes_none("load");
        for (digest, bytes) in &made.blobs {
            let blob = bench.blob(&format!("{kind}/loaded"), digest);
            assert_eq!(shared(&blob), clonable(bytes), "{kind}: {} bytes", bytes.len());
            assert!(fs::read(&blob).unwrap() == *bytes);
        }
        bench.ok(&format!("copy {kind}/a.tar {kind}/copied"));
        takes_none("copy out of an archive");
        bench.ok(&format!("copy --align {kind}/a.tar {kind}/b.tar"));
        takes_none("copy from archive to archive");
        assert_eq!(shared(&mounted.at.join("b.tar")), all, "{kind}");
        bench.ok(&format!("merge --align -o {kind}/c.tar -t app:v1 {kind}/a.tar"));
        bench.ok(&format!("merge -o {kind}/merged -t app:v1 {kind}/a.tar"));
        takes_none("merge");
        for place in ["copied", "b.tar", "c.tar", "merged"] {
            bench.verify(&format!("{kind}/{place}"));
        }

        // files of their own all the same
        let layer = made.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0;
        bench.spoil(&bench.blob(&format!("{kind}/source"), layer));
        for place in ["a.tar", "loaded", "copied", "merged"] {
            bench.verify(&format!("{kind}/{place}"));
        }
    }
}

#[test]
fn what_is_cloned_and_wrong_gets_no_name() {
    if !can_mount() {
        return;
    }
    let made = made(&SIZES);
    let layer = made.blobs.iter().find(|(_, bytes)| bytes.len() == 9 * MIB + 777).unwrap();
    let (digest, bytes) = layer;
    for kind in ["btrfs", "xfs"] {
        let bench = Bench::new();
        let mounted = Mounted::new(&bench, kind);
        made.layout(&mounted.at.join("source"));
        bench.ok(&format!("save --align -o {kind}/a.tar {kind}/source"));
        let tar = fs::read(mounted.at.join("a.tar")).unwrap();
        let begin = begins(&mounted.at.join("a.tar")).iter().find(|(found, _)| found == digest).unwrap().1;
        // in the first block, in the midst of what is cloned, in what is copied behind it
        for at in [0, 5 * MIB, bytes.len() - 1] {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            fs::write(bench.blob(&format!("{kind}/source"), digest), &wrong).unwrap();
            bench.exits(4, &format!("save --align -o {kind}/wrong.tar {kind}/source")).says(digest).says("expected");
            let mut wrong = tar.clone();
            wrong[begin + at] ^= 1;
            fs::write(mounted.at.join("spoilt.tar"), &wrong).unwrap();
            bench.exits(4, &format!("load -i {kind}/spoilt.tar -o {kind}/wrong")).says(digest).says("expected");
            assert!(!bench.blob(&format!("{kind}/wrong"), digest).exists());
        }
        // too short, and longer than its size says
        for wrong in [bytes[..MIB].to_vec(), [&bytes[..], b"and more"].concat()] {
            fs::write(bench.blob(&format!("{kind}/source"), digest), &wrong).unwrap();
            bench.exits(4, &format!("save --align -o {kind}/wrong.tar {kind}/source")).says(digest);
        }
        let left = fs::read_dir(&mounted.at).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(left.into_iter().all(|name| !name.contains("wrong.tar")), "an archive stayed");
        let left = fs::read_dir(mounted.at.join("wrong/blobs/sha256")).into_iter().flatten();
        assert!(left.into_iter().all(|entry| entry.unwrap().file_name().len() == 64), "a temporary file stayed");
    }
}

#[test]
fn where_nothing_can_be_cloned_it_is_copied() {
    if !can_mount() {
        return;
    }
    let made = made(&SIZES);
    let other = Bench::new();
    let elsewhere = Mounted::new(&other, "btrfs");
    made.layout(&elsewhere.at.join("source"));
    other.ok("save --align -o btrfs/a.tar btrfs/source");
    for (kind, options, aligned) in [
        ("ext4", "", "--align"),
        ("xfs", "-m reflink=0", "--align"),
        // smaller than its blocks, and not at all
        ("xfs", "", "--align=1K"),
        ("btrfs", "", ""),
    ] {
        let what = format!("{kind} {options}{aligned}");
        let bench = Bench::new();
        let mounted = Mounted::with(&bench, kind, options);
        made.layout(&mounted.at.join("source"));
        bench.ok(&format!("save {aligned} -o {kind}/a.tar {kind}/source"));
        bench.verify(&format!("{kind}/a.tar"));
        bench.ok(&format!("load -i {kind}/a.tar -o {kind}/loaded"));
        bench.verify(&format!("{kind}/loaded"));
        if options == "-m reflink=0" || kind == "ext4" {
            assert_eq!(shared(&mounted.at.join("a.tar")), 0, "{what}");
        }
        // out of another file system, and from one file system into another
        let [from, to] = [other.root(), bench.root()].map(|root| root.to_str().unwrap());
        bench.ok(&format!("load -i {from}/btrfs/a.tar -o {kind}/far"));
        bench.ok(&format!("save --align -o {to}/{kind}/far.tar {from}/btrfs/source"));
        for place in ["far", "far.tar"] {
            bench.verify(&format!("{kind}/{place}"));
        }
    }
}
