//! The image layout as a source and a sink. Here is what the tests in the files beside share.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // all of this is tests

mod arrived;
mod read;
mod remote;
mod resume;
mod together;
mod write;

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use barge::blob::{BlobReader, Cancel};
use barge::content::{CONTAINERD_NAME, Content, Descriptor, Kind, REF_NAME};
use barge::digest::{Algorithm, Digest};
use barge::error::Class;
use barge::media::OCI_MANIFEST;
use barge::store::Durability;
use barge::store::layout::{BlobListing, Layout, LayoutOptions, LayoutSink};
use barge::store::memory::Memory;
use barge::store::{Committed, Inventory, PutError, Sink, Source, StoreError, causes};
use rustix::fs::{FileType, FlockOperation, Mode};

const OCI_LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// A directory to work in, and the path of a layout in it that is not there yet.
fn place() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("layout");
    (temp, path)
}

fn options() -> LayoutOptions {
    LayoutOptions {
        durability: Durability::Unsynced,
        lock_timeout: Duration::from_millis(200),
        ..LayoutOptions::default()
    }
}

fn sink(path: &Path) -> LayoutSink {
    LayoutSink::create_or_open(path, options()).unwrap()
}

/// Some blobs, the last of them named, in memory.
fn image(blobs: &[&str], name: &str) -> (Memory, Inventory) {
    let mut memory = Memory::new("image");
    let contents: Vec<Content> = blobs.iter().map(|blob| memory.add(blob.as_bytes(), Kind::Blob)).collect();
    let last = contents.last().unwrap();
    let root = Descriptor::new(&OCI_MANIFEST.into(), last.digest, last.size).with_annotation(REF_NAME, name);
    (memory, Inventory { contents, roots: vec![root], ..Inventory::default() })
}

fn put_all(sink: &LayoutSink, source: &Memory, contents: &[Content]) {
    for content in contents {
        sink.put(source.open(content).unwrap()).unwrap();
    }
}

/// Writes an image as the engine does.
fn write(path: &Path, blobs: &[&str], name: &str) -> Committed {
    let (memory, coming) = image(blobs, name);
    let mut sink = sink(path);
    for stage in sink.begin(&coming).unwrap() {
        put_all(&sink, &memory, &stage);
    }
    sink.commit(&coming).unwrap()
}

fn names(path: &Path) -> Vec<String> {
    let roots = Layout::open(path).unwrap().roots().unwrap();
    roots.iter().map(|root| root.annotation(REF_NAME).unwrap_or("-").to_owned()).collect()
}

/// Every path below a directory, sorted.
fn tree(path: &Path) -> Vec<String> {
    fn walk(root: &Path, directory: &Path, paths: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            paths.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            if path.is_dir() && !path.is_symlink() {
                walk(root, &path, paths);
            }
        }
    }
    let mut paths = Vec::new();
    walk(path, path, &mut paths);
    paths.sort();
    paths
}

fn blob(content: &str) -> String {
    Digest::of(content.as_bytes()).blob_path()
}

fn said(error: &StoreError) -> String {
    let mut lines = vec![error.to_string()];
    lines.extend(causes(error));
    lines.extend(error.hint());
    lines.join(" | ")
}

fn fifo(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
}

fn flock(path: &Path, operation: FlockOperation) -> File {
    let file = File::open(path).unwrap();
    rustix::fs::flock(&file, operation).unwrap();
    file
}

/// A small file system of its own; `None` (and a word about it) where this user may not mount.
fn small_file_system(at: &Path) -> Option<Mounted> {
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(at).output();
    if mount.is_ok_and(|output| output.status.success()) {
        return Some(Mounted(at.to_path_buf()));
    }
    assert!(std::env::var_os("CI").is_none(), "CI must be able to mount a tmpfs");
    println!("skipped: cannot mount a tmpfs");
    None
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().unwrap();
    }
}
