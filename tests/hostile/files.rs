//! Layouts in which something else stands where a file should.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::ordeal::Scope::{Open, Reach};
use crate::ordeal::{Case, Made, Ordeal, case, refused};
use crate::support::image::{Images, digest, simple};

type Spoil = fn(&Path);

const SPOILS: [(&str, &str, Spoil); 11] = [
    ("a FIFO", "opening it waits for ever", |path| node(path, FileType::Fifo, 0)),
    ("/dev/zero", "reading it never ends", |path| node(path, FileType::CharacterDevice, makedev(1, 5))),
    ("a block device", "reading it is not for us", |path| node(path, FileType::BlockDevice, makedev(7, 250))),
    ("a socket", "cannot be opened", |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
    ("a directory", "opened, not read", |path| fs::create_dir(path).unwrap()),
    ("a link out", "another file's content", |path| symlink("/etc/passwd", path).unwrap()),
    ("a link up", "another file's content", |path| symlink("../../../../canary/secret", path).unwrap()),
    ("a link to itself", "a loop", |path| symlink(path.file_name().unwrap(), path).unwrap()),
    ("a link to nothing", "not the same as no file", |path| symlink("nothing", path).unwrap()),
    ("a link to a device", "reading it never ends", |path| symlink("/dev/zero", path).unwrap()),
    ("a link into /proc", "magic", |path| symlink("/proc/self/fd/0", path).unwrap()),
];

fn node(path: &Path, kind: FileType, device: u64) {
    if mknodat(CWD, path, kind, Mode::RWXU, device).is_err() {
        // only root makes devices
        fs::create_dir(path).unwrap();
    }
}

/// One image, and the paths of its manifest and its layer.
fn sample() -> (Images, String, String) {
    let images = simple(&["linux/amd64"]);
    let manifest = format!("blobs/{}", digest(&images.roots[0]).replace(':', "/"));
    let document: serde_json::Value = serde_json::from_slice(&images.blobs[digest(&images.roots[0])]).unwrap();
    let layer = format!("blobs/{}", digest(&document["layers"][0]).replace(':', "/"));
    (images, manifest, layer)
}

fn instead_of(file: &str, spoil: Spoil) -> Made {
    let file = file.to_owned();
    let spoil = move |root: &Path| {
        fs::remove_file(root.join(&file)).unwrap();
        spoil(&root.join(&file));
    };
    Made::Spoilt(simple(&["linux/amd64"]), Box::new(spoil))
}

#[test]
fn names_of_a_layout() {
    let mut cases: Vec<Case> = Vec::new();
    for file in ["index.json", "oci-layout"] {
        cases.extend(SPOILS.map(|(what, why, spoil)| case(what, why, instead_of(file, spoil), (Open, 4), file)));
    }
    refused(cases);
}

#[test]
fn blobs() {
    let (_, manifest, layer) = sample();
    let mut cases: Vec<Case> = Vec::new();
    for file in [&manifest, &layer] {
        cases.extend(SPOILS.map(|(what, why, spoil)| case(what, why, instead_of(file, spoil), (Reach, 4), "sha256:")));
    }
    refused(cases);
}

#[test]
fn directories_that_are_links() {
    let mut cases = Vec::new();
    for directory in ["blobs", "blobs/sha256"] {
        for (what, why, to) in [
            ("to the root", "all files of the machine", "/"),
            ("to itself", "a loop", "sha256"),
            ("to nothing", "not the same as none", "nowhere"),
            ("up", "out of the layout", "../../.."),
        ] {
            let spoil = move |root: &Path| {
                fs::remove_dir_all(root.join(directory)).unwrap();
                symlink(to, root.join(directory)).unwrap();
            };
            cases.push(case(what, why, Made::Spoilt(sample().0, Box::new(spoil)), (Reach, 4), ""));
        }
        let file = move |root: &Path| {
            fs::remove_dir_all(root.join(directory)).unwrap();
            fs::write(root.join(directory), "x").unwrap();
        };
        cases.push(case("a file", "no directory", Made::Spoilt(sample().0, Box::new(file)), (Reach, 4), ""));
    }
    refused(cases);
}

#[test]
fn files_that_are_wrong_as_files() {
    let (images, manifest, layer) = sample();
    let spoilt = |spoil: Box<dyn Fn(&Path)>| Made::Spoilt(images.clone(), spoil);
    let sized = |file: &str, size: u64| {
        let file = file.to_owned();
        spoilt(Box::new(move |root| {
            fs::File::options().write(true).open(root.join(&file)).unwrap().set_len(size).unwrap();
        }))
    };
    let gone = |file: &str| {
        let file = file.to_owned();
        spoilt(Box::new(move |root| {
            let path = root.join(&file);
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }))
    };
    refused(vec![
        case(
            "a sparse terabyte as index.json",
            "no disk needed, and no end",
            sized("index.json", 1 << 40),
            (Open, 4),
            "larger",
        ),
        case("a sparse gigabyte as oci-layout", "read as a whole", sized("oci-layout", 1 << 30), (Open, 4), "larger"),
        case("a sparse terabyte as a manifest", "read as a whole", sized(&manifest, 1 << 40), (Reach, 4), "bytes"),
        case("a sparse terabyte as a layer", "hashed for hours", sized(&layer, 1 << 40), (Reach, 4), "bytes"),
        case("a layer of nothing", "after a power cut", sized(&layer, 0), (Reach, 4), "sha256:"),
        case("a manifest of nothing", "after a power cut", sized(&manifest, 0), (Reach, 4), "sha256:"),
        case("no layer", "a partial copy", gone(&layer), (Reach, 4), "layer 1"),
        case("no manifest", "a partial copy", gone(&manifest), (Reach, 4), "sha256:"),
        case("no blobs/sha256", "a partial copy", gone("blobs/sha256"), (Reach, 4), "sha256:"),
        case("no blobs", "a partial copy", gone("blobs"), (Reach, 4), "sha256:"),
    ]);
}

#[test]
fn links_that_stay_inside_and_files_of_others_are_fine() {
    let (images, _, layer) = sample();
    let mut ordeal = Ordeal::new();
    images.layout(&ordeal.path("x"));
    let at = |name: &str| ordeal.path("x").join(name);
    fs::rename(at(&layer), at("elsewhere")).unwrap();
    symlink("../../elsewhere", at(&layer)).unwrap();
    for odd in [
        "blobs/sha256/README",
        "blobs/sha256/.nfs0001",
        "blobs/sha1/x",
        "blobs/sha256/\u{1b}[2J",
        ".DS_Store",
        "blobs/sha256/\u{202e}",
    ] {
        fs::create_dir_all(at(odd).parent().unwrap()).unwrap();
        fs::write(at(odd), "x").unwrap();
    }
    node(&at("blobs/sha256/fifo"), FileType::Fifo, 0);
    symlink("/etc/passwd", at("blobs/sha256/passwd")).unwrap();
    node(&at(&format!("blobs/sha256/{}", "a".repeat(64))), FileType::Fifo, 0);
    fs::set_permissions(at("index.json"), fs::Permissions::from_mode(0o444)).unwrap();
    for (line, ran) in ordeal.try_all("a link inside, and files of others", "x") {
        if ran.code != 0 && !line.starts_with("unpack") {
            ordeal.fault(format!("{line}: {}", ran.stderr));
        }
    }
    ordeal.judge();
}
