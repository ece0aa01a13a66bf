//! `barge diff`: what it says of two images, two places and two file systems, and its exit code.

#![allow(clippy::unwrap_used, clippy::panic)] // all of this is tests

mod support;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use support::image::{Images, Layer, named, on};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");

fn barge(directory: &Path, words: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_barge"))
        .current_dir(directory)
        .env_remove("BARGE_LAYOUT")
        .args(words.split_whitespace())
        .output()
        .unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
}

/// Makes a layer of files: name and content; a name with a slash at its end is a directory, a `->` makes a link.
fn layer(files: &[(&str, &str)]) -> Layer {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mtime(1);
        header.set_mode(0o644);
        match (name.strip_suffix('/'), content.strip_prefix("->")) {
            (Some(directory), _) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                builder.append_data(&mut header, directory, &b""[..]).unwrap();
            }
            (None, Some(target)) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, name, target).unwrap();
            }
            (None, None) => {
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, name, content.as_bytes()).unwrap();
            }
        }
    }
    Layer::gzip(&builder.into_inner().unwrap())
}

fn place(path: &Path, layers: &[Layer]) {
    let mut images = Images::new();
    let image = images.image("linux/amd64", layers);
    let index = images.index(&[on(image, "linux/amd64")]);
    images.root(named(index, "v1"));
    images.layout(path);
}

#[test]
fn the_same_images_are_the_same_wherever_they_are() {
    let temp = tempfile::tempdir().unwrap();
    let merge = format!("merge -o one -t app:v1 {FIXTURES}/umoci-amd64 {FIXTURES}/skopeo-arm64.tar");
    assert_eq!(code(&barge(temp.path(), &merge)), 0);
    assert_eq!(code(&barge(temp.path(), "save -o one.tar one")), 0);
    for words in
        ["diff one one.tar", "diff one:app:v1 one.tar:v1", "diff one one.tar:app:v1", "diff --files one one.tar"]
    {
        let output = barge(temp.path(), words);
        assert_eq!((code(&output), lines(&output)), (0, Vec::new()), "{words}");
    }
}

#[test]
fn what_differs_is_said_with_the_way_to_it() {
    let temp = tempfile::tempdir().unwrap();
    let sources = format!("{FIXTURES}/umoci-amd64 {FIXTURES}/skopeo-arm64.tar");
    assert_eq!(code(&barge(temp.path(), &format!("merge -o one -t app:v1 {sources}"))), 0);
    let other =
        format!("merge -o two -t app:v1 -t app:v2 {FIXTURES}/buildx-amd64-arm64.tar {FIXTURES}/containerd-s390x");
    assert_eq!(code(&barge(temp.path(), &other)), 0);
    let output = barge(temp.path(), "diff one two");
    assert_eq!(code(&output), 1);
    assert!(output.stderr.is_empty(), "to differ is no failure");
    let lines = lines(&output);
    let starts = |start: &str| lines.iter().any(|line| line.starts_with(start));
    for start in [
        "~ docker.io/library/app:v1: sha256:",
        "~ docker.io/library/app:v1 linux/amd64: sha256:",
        "~ docker.io/library/app:v1 linux/amd64 config: sha256:",
        "~ docker.io/library/app:v1 linux/amd64 config .history[0].created_by: \"umoci raw add-layer\" -> ",
        "+ docker.io/library/app:v1 linux/s390x: sha256:",
        "+ docker.io/library/app:v1 attestation of linux/amd64: sha256:",
        "+ docker.io/library/app:v2: sha256:",
    ] {
        assert!(starts(start), "{start} is not in\n{}", lines.join("\n"));
    }
    let json: Value = serde_json::from_slice(&barge(temp.path(), "diff --json one two").stdout).unwrap();
    assert_eq!(json["ok"], true);
    assert_eq!(json["results"][0]["same"], false);
    assert_eq!(json["results"][0]["differences"].as_array().unwrap().len(), lines.len());
}

#[test]
fn files_are_compared_as_a_program_would_find_them() {
    let temp = tempfile::tempdir().unwrap();
    let base =
        || layer(&[("etc/", ""), ("etc/same", "s"), ("etc/changed", "old"), ("etc/gone", "g"), ("etc/link", "->a")]);
    place(&temp.path().join("one"), &[base(), layer(&[("etc/hidden", "h")])]);
    let upper = layer(&[("etc/changed", "new!"), ("etc/.wh.gone", ""), ("etc/link", "->b"), ("usr/new", "n")]);
    place(&temp.path().join("two"), &[base(), upper]);
    let output = barge(temp.path(), "diff --files one:v1 two:v1");
    assert_eq!(code(&output), 1);
    let files: Vec<String> = lines(&output).into_iter().filter(|line| line.contains(" files ")).collect();
    let start = |line: &str| line.split(" sha256:").next().unwrap().to_owned();
    assert_eq!(
        files.iter().map(|line| start(line)).collect::<Vec<_>>(),
        [
            "~ linux/amd64 files /etc/changed: 3 bytes",
            "- linux/amd64 files /etc/gone: file 0644 0:0 1 bytes",
            "- linux/amd64 files /etc/hidden: file 0644 0:0 1 bytes",
            "~ linux/amd64 files /etc/link: link to \"a\" -> link to \"b\"",
            "+ linux/amd64 files /usr: directory 0755 0:0",
            "+ linux/amd64 files /usr/new: file 0644 0:0 1 bytes",
        ]
    );
    // the same files from other layers are the same files
    place(
        &temp.path().join("flat"),
        &[layer(&[
            ("etc/", ""),
            ("etc/same", "s"),
            ("etc/changed", "old"),
            ("etc/gone", "g"),
            ("etc/link", "->a"),
            ("etc/hidden", "h"),
        ])],
    );
    let output = barge(temp.path(), "diff --files one:v1 flat:v1");
    assert_eq!(code(&output), 1, "the layers are others");
    assert!(!lines(&output).iter().any(|line| line.contains(" files ")), "{:?}", lines(&output));
}

#[test]
fn what_cannot_be_compared_is_no_difference() {
    let temp = tempfile::tempdir().unwrap();
    place(&temp.path().join("one"), &[layer(&[("a", "1")])]);
    let mut images = Images::new();
    let image = images.image("linux/amd64", &[layer(&[("a", "2")])]);
    let missing = image["digest"].as_str().unwrap().parse::<barge::digest::Digest>().unwrap();
    let index = images.index(&[on(image, "linux/amd64")]);
    images.root(named(index, "v1"));
    let two = temp.path().join("two");
    images.layout(&two);
    std::fs::remove_file(two.join(missing.blob_path())).unwrap();
    for (words, expected) in [("diff one two", 4), ("diff one nowhere", 3), ("diff one:v1 one:v2", 3), ("diff one", 2)]
    {
        let output = barge(temp.path(), words);
        assert_eq!(code(&output), expected, "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
