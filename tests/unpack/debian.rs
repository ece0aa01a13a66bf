//! A Debian root file system, unpacked as root, equals what `tar` makes of it: file by file.

use std::process::Command;

use super::*;

/// All that can be told of one file.
#[derive(Debug, PartialEq)]
struct Facts {
    mode: u32,
    owner: (u32, u32),
    size: u64,
    content: Option<Digest>,
    target: Option<PathBuf>,
    links: u64,
    modified: (i64, i64),
    device: u64,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut list = Vec::with_capacity(64 << 10);
    rustix::fs::llistxattr(path, rustix::buffer::spare_capacity(&mut list)).unwrap();
    let value = |name: &[u8]| {
        let mut value = Vec::with_capacity(64 << 10);
        rustix::fs::lgetxattr(path, name, rustix::buffer::spare_capacity(&mut value)).unwrap();
        value
    };
    list.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(|name| (name.to_vec(), value(name))).collect()
}

/// Everything below a directory and itself, and which names are one file.
fn facts(root: &Path) -> (BTreeMap<PathBuf, Facts>, Vec<Vec<PathBuf>>) {
    let mut found = BTreeMap::new();
    let mut groups: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(path) = todo.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let kind = metadata.file_type();
        let name = path.strip_prefix(root).unwrap().to_path_buf();
        if kind.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if metadata.nlink() > 1 {
            groups.entry(metadata.ino()).or_default().push(name.clone());
        }
        let facts = Facts {
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            size: if kind.is_dir() { 0 } else { metadata.size() },
            content: kind.is_file().then(|| Digest::of(&fs::read(&path).unwrap())),
            target: kind.is_symlink().then(|| fs::read_link(&path).unwrap()),
            links: if kind.is_dir() { 0 } else { metadata.nlink() },
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            device: metadata.rdev(),
            xattrs: xattrs(&path),
        };
        found.insert(name, facts);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.iter_mut().for_each(|group| group.sort());
    groups.sort();
    (found, groups)
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let done = Command::new(program).args(arguments).output();
    done.is_ok_and(|done| {
        let _ = std::io::stderr().write_all(&done.stderr[done.stderr.len().saturating_sub(500)..]);
        done.status.success()
    })
}

/// Makes a layer of a directory in a format, unpacks it with `tar` and with barge, and compares.
fn equals_tar(bench: &Bench, from: &Path, format: &str) {
    let (tar, plain) = (bench.temp.path().join("layer.tar"), bench.temp.path().join("by-tar"));
    fs::create_dir(&plain).unwrap();
    let [from, file, to] = [from, &tar, &plain].map(|path| path.to_str().unwrap());
    // only POSIX' format has extended attributes
    let xattrs = if format == "posix" { &["--xattrs", "--xattrs-include=*"][..] } else { &[] };
    let format = format!("--format={format}");
    assert!(run("tar", &[xattrs, &[&format, "-C", from, "-cf", file, "."]].concat()));
    assert!(run("tar", &[xattrs, &["--numeric-owner", "-C", to, "-xpf", file]].concat()));
    let unpacked = bench.unpack(&[fs::read(&tar).unwrap()]).unwrap();
    let (expected, expected_groups) = facts(&plain);
    let (got, got_groups) = facts(&bench.root());
    for (name, facts) in &expected {
        assert_eq!(got.get(name), Some(facts), "{}", name.display());
    }
    assert_eq!(got.len(), expected.len());
    assert_eq!(got_groups, expected_groups);
    assert_eq!(unpacked.skipped, barge::ops::unpack::Skipped::default());
    fs::remove_dir_all(plain).unwrap();
    fs::remove_dir_all(bench.root()).unwrap();
}

/// Adds to a directory what a root file system rarely has.
fn add_rarities(root: &Path) {
    let at = |name: &str| root.join(name);
    fs::create_dir_all(at("rare/closed")).unwrap();
    for (name, mode) in [("rare/su", 0o6755), ("rare/none", 0)] {
        fs::write(at(name), name).unwrap();
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::hard_link(at("rare/su"), at("rare/closed/hard")).unwrap();
    std::os::unix::fs::symlink("/absolute/../path", at("rare/link")).unwrap();
    std::os::unix::fs::lchown(at("rare/link"), Some(77), Some(88)).unwrap();
    fs::write(at("rare/name with\nnewline \u{e9}"), "x").unwrap();
    fs::write(at(&format!("rare/{}", "long".repeat(60))), "x").unwrap();
    for (name, kind) in [
        ("rare/fifo", rustix::fs::FileType::Fifo),
        ("rare/null", rustix::fs::FileType::CharacterDevice),
        ("rare/loop", rustix::fs::FileType::BlockDevice),
    ] {
        let mode = rustix::fs::Mode::from_raw_mode(0o640);
        rustix::fs::mknodat(rustix::fs::CWD, at(name), kind, mode, rustix::fs::makedev(7, 300)).unwrap();
    }
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let none = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(at("rare/none"), "security.capability", &capability, none).unwrap();
    rustix::fs::setxattr(at("rare/closed"), "user.note", b"\0binary\n", none).unwrap();
    fs::set_permissions(at("rare/closed"), fs::Permissions::from_mode(0o1000)).unwrap();
}

#[test]
fn rare_things_equal_tars_result() {
    if !is_root() {
        return skip("not root");
    }
    let bench = Bench::new();
    let root = bench.temp.path().join("made");
    fs::create_dir(&root).unwrap();
    add_rarities(&root);
    // this machine's own: links to programs, a password file that not everybody may read
    for path in ["etc", "usr/share/zoneinfo"] {
        let above = root.join(path).parent().unwrap().to_path_buf();
        fs::create_dir_all(&above).unwrap();
        assert!(run("cp", &["-a", &format!("/{path}"), above.to_str().unwrap()]));
    }
    equals_tar(&bench, &root, "posix");
    equals_tar(&bench, &root, "gnu");
}

#[test]
fn a_debian_root_file_system_equals_tars_result() {
    if !is_root() {
        return skip("not root");
    }
    if !run("debootstrap", &["--version"]) {
        return skip("no debootstrap");
    }
    let bench = Bench::new();
    let root = bench.temp.path().join("debian");
    let mirror = "http://deb.debian.org/debian";
    if !run("debootstrap", &["--variant=minbase", "bookworm", root.to_str().unwrap(), mirror]) {
        return skip("debootstrap could not fetch Debian");
    }
    add_rarities(&root);
    equals_tar(&bench, &root, "posix");
}
