//! Everything that can be told of a directory, what a root file system rarely has, and Debian.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use barge::digest::Digest;

/// All that can be told of one file.
#[derive(Debug, PartialEq)]
pub struct Facts {
    pub mode: u32,
    pub owner: (u32, u32),
    pub size: u64,
    pub content: Option<Digest>,
    pub target: Option<PathBuf>,
    pub links: u64,
    pub modified: (i64, i64),
    pub device: u64,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
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
pub fn facts(root: &Path) -> (BTreeMap<PathBuf, Facts>, Vec<Vec<PathBuf>>) {
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

/// Runs a program, and says whether it did what it should; the end of what it complains of is shown.
pub fn run(program: &str, arguments: &[&str]) -> bool {
    let done = Command::new(program).args(arguments).output();
    done.is_ok_and(|done| {
        let _ = std::io::stderr().write_all(&done.stderr[done.stderr.len().saturating_sub(500)..]);
        done.status.success()
    })
}

/// Makes a Debian root file system, or says why not. That of another architecture is left as it is before its packages are
/// set up, which would need an emulator.
///
/// Debian is fetched once for all tests: an archive of it stays in cargo's directory for tests, for a day.
pub fn debian(root: &Path, architecture: &str) -> Result<(), &'static str> {
    let archive = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("debian-{architecture}.tar"));
    // of several tests the first fetches it, and the others wait
    let lock = fs::File::create(archive.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let age = fs::metadata(&archive).and_then(|file| file.modified()).map(|time| time.elapsed().unwrap_or_default());
    if !age.is_ok_and(|age| age < Duration::from_secs(24 * 60 * 60)) {
        let fetched = tempfile::tempdir().unwrap();
        let from = fetched.path().join("debian");
        fetch(&from, architecture)?;
        let part = archive.with_extension("part");
        let [from, file] = [&from, &part].map(|path| path.to_str().unwrap());
        assert!(run("tar", &["--format=posix", "--xattrs", "--xattrs-include=*", "-C", from, "-cf", file, "."]));
        fs::rename(&part, &archive).unwrap();
    }
    fs::create_dir(root).unwrap();
    let [to, file] = [root, &archive].map(|path| path.to_str().unwrap());
    assert!(run("tar", &["--numeric-owner", "--xattrs", "--xattrs-include=*", "-C", to, "-xpf", file]));
    Ok(())
}

fn fetch(root: &Path, architecture: &str) -> Result<(), &'static str> {
    if !run("debootstrap", &["--version"]) {
        return Err("no debootstrap");
    }
    let own = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let foreign = if architecture == own { &[][..] } else { &["--foreign"] };
    let asked = format!("--arch={architecture}");
    let words = [&asked, "--variant=minbase", "bookworm", root.to_str().unwrap(), "http://deb.debian.org/debian"];
    if run("debootstrap", &[foreign, &words].concat()) {
        return Ok(());
    }
    Err("debootstrap could not fetch Debian")
}

/// Adds to a directory what a root file system rarely has.
pub fn add_rarities(root: &Path) {
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
