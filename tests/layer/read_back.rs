//! What others read: GNU tar, bsdtar and `unpack` give the same tree back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use barge::blob::Cancel;
use barge::content::{Descriptor, Kind};
use barge::layer::{AddOptions, Context, Owner, Tree};
use barge::media::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use barge::ops::choose::choose_image;
use barge::ops::unpack::{Options, unpack};
use barge::platform::PlatformFilter;
use barge::store::memory::Memory;
use barge::transfer::Deaf;
use serde_json::json;

use super::{at, has_user_xattrs, is_root, names, path, skip, tar_of, tree_of, xattr, zoo};

/// Everything that a tar can keep of what lies below a directory. Hard links are told by the names that share an inode.
fn listing(root: &Path) -> BTreeMap<Vec<u8>, String> {
    let (mut found, mut todo, mut inodes) = (BTreeMap::new(), vec![root.to_path_buf()], BTreeMap::<u64, Vec<_>>::new());
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let file = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&file).unwrap();
            let name = file.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
            let content = if metadata.is_dir() {
                todo.push(file.clone());
                String::new()
            } else if metadata.is_symlink() {
                fs::read_link(&file).unwrap().display().to_string()
            } else if metadata.is_file() {
                inodes.entry(metadata.ino()).or_default().push(name.clone());
                barge::digest::Digest::of(&fs::read(&file).unwrap()).short()
            } else {
                format!("device {}", metadata.rdev())
            };
            let mut attributes = String::new();
            for name in ["security.capability", "user.note"] {
                let mut value = [0; 64];
                if let Ok(length) = rustix::fs::lgetxattr(&file, name, &mut value) {
                    attributes.push_str(&format!(" {name}={:?}", &value[..length]));
                }
            }
            let (mode, uid, gid, time) = (metadata.mode(), metadata.uid(), metadata.gid(), metadata.mtime());
            // a link's own time is not set by every program
            let time = if metadata.is_symlink() { 0 } else { time };
            found.insert(name, format!("{mode:o} {uid}:{gid} {time} {content}{attributes}"));
        }
    }
    for mut shared in inodes.into_values().filter(|names| names.len() > 1) {
        shared.sort();
        for name in &shared {
            found.get_mut(name).unwrap().push_str(&format!(" same as {}", String::from_utf8_lossy(&shared[0])));
        }
    }
    found
}

/// A directory with one of each thing, and the layer of it with owners as they are.
fn layer(root: &Path) -> Vec<u8> {
    fs::create_dir(root).unwrap();
    zoo(root);
    if has_user_xattrs(root) {
        xattr(&root.join("empty"), "user.note", b"a note\nof = lines");
    }
    if is_root() {
        std::os::unix::fs::chown(root.join("empty"), Some(3_000_000), Some(12)).unwrap();
    }
    let mut tree = Tree::new();
    let options = AddOptions { owner: Owner::Keep, ..at("/") };
    tree.add(&options, &path(&Context::open(root).unwrap())).unwrap();
    tar_of(&tree)
}

fn compare(got: &BTreeMap<Vec<u8>, String>, expected: &BTreeMap<Vec<u8>, String>, who: &str) {
    for (name, expected) in expected {
        let name_shown = String::from_utf8_lossy(name);
        assert_eq!(got.get(name), Some(expected), "{who}: {name_shown}");
    }
    assert_eq!(got.len(), expected.len(), "{who}");
}

#[test]
fn other_programs_give_the_same_tree_back() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("files");
    let tar = layer(&root);
    fs::write(temp.path().join("layer.tar"), &tar).unwrap();
    let expected = listing(&root);
    for program in ["tar", "bsdtar"] {
        if Command::new(program).arg("--version").output().is_err() {
            skip(&format!("there is no {program}"));
            continue;
        }
        let list = Command::new(program).args(["-tf", "layer.tar"]).current_dir(temp.path()).output().unwrap();
        assert!(list.status.success(), "{list:?}");
        assert_eq!(String::from_utf8_lossy(&list.stdout).lines().count(), names(&tar).len(), "{program}");
        let out = temp.path().join(program);
        fs::create_dir(&out).unwrap();
        let mut command = Command::new(program);
        command.args(["-xpf", "../layer.tar"]).current_dir(&out);
        match program {
            "tar" => command.args(["--xattrs", "--xattrs-include=*", "--same-owner", "--numeric-owner"]),
            _ => command.args(["--xattrs", "--numeric-owner"]),
        };
        let output = command.env("LC_ALL", "C.UTF-8").output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{program}: {output:?}");
        compare(&listing(&out), &expected, program);
    }
}

#[test]
fn unpack_gives_the_same_tree_back() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("files");
    let tar = layer(&root);
    let mut source = Memory::new("test");
    let diff_id = barge::digest::Digest::of(&tar).to_string();
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
    let config = config.to_string().into_bytes();
    let described = |media_type: &str, bytes: &[u8]| Descriptor::of(&media_type.into(), bytes).to_value();
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described(OCI_CONFIG, &config),
        "layers": [described(OCI_LAYER, &tar)]});
    let manifest = manifest.to_string().into_bytes();
    source.add(&tar, Kind::Blob);
    source.add(&config, Kind::Config);
    source.add(&manifest, Kind::Manifest(OCI_MANIFEST.into()));
    source.add_root(Descriptor::of(&OCI_MANIFEST.into(), &manifest));
    let image = choose_image(&source, None, &PlatformFilter::All).unwrap();
    let out = temp.path().join("out");
    let unpacked = unpack(&source, &image, &out, &Options::default(), &Cancel::default(), &Deaf);
    unpacked.unwrap_or_else(|error| panic!("{error}: {:?}", error.causes()));
    if is_root() {
        compare(&listing(&out), &listing(&root), "unpack");
    }
    // and what was unpacked makes the same layer
    if is_root() {
        let mut tree = Tree::new();
        tree.add(&AddOptions { owner: Owner::Keep, ..at("/") }, &path(&Context::open(&out).unwrap())).unwrap();
        assert!(tar_of(&tree) == tar);
    }
}

#[test]
fn a_name_that_is_no_text_is_kept() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("files");
    fs::create_dir(&root).unwrap();
    for name in [b"\xff\xfe".to_vec(), [b"\xff".repeat(120), b"x".to_vec()].concat()] {
        fs::write(root.join(std::ffi::OsStr::from_bytes(&name)), "x").unwrap();
    }
    fs::write(temp.path().join("layer.tar"), tar_of(&tree_of(&root))).unwrap();
    let out = temp.path().join("out");
    fs::create_dir(&out).unwrap();
    let output = Command::new("tar").args(["-xf", "../layer.tar"]).current_dir(&out).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let names = |root: &Path| listing(root).into_keys().collect::<Vec<_>>();
    assert_eq!(names(&out), names(&root));
}
