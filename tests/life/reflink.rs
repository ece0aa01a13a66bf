//! On a file system that shares blocks a copy takes no room, and is checked like any other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use barge::digest::Digest;

use super::bench::{Bench, allowed};
use super::made::{Made, digest, tagged};

const MIB: usize = 1 << 20;

/// A file system in a file, until it is dropped.
pub(crate) struct Mounted {
    pub(crate) at: PathBuf,
}

impl Mounted {
    pub(crate) fn new(bench: &Bench, kind: &str) -> Self {
        Self::with(bench, kind, "")
    }

    /// Makes one with further words for its `mkfs`.
    pub(crate) fn with(bench: &Bench, kind: &str, options: &str) -> Self {
        let (file, at) = (bench.path(&format!("{kind}.img")), bench.path(kind));
        fs::File::create(&file).unwrap().set_len(400 * MIB as u64).unwrap();
        fs::create_dir(&at).unwrap();
        run(Command::new(format!("mkfs.{kind}")).arg("-q").args(options.split_whitespace()).arg(&file));
        run(Command::new("mount").args(["-o", "loop"]).arg(&file).arg(&at));
        Self { at }
    }

    /// Returns the bytes in use, once all is on its disk.
    pub(crate) fn used(&self) -> usize {
        run(Command::new("sync").arg("-f").arg(&self.at));
        let stat = rustix::fs::statvfs(&self.at).unwrap();
        usize::try_from((stat.f_blocks - stat.f_bfree) * stat.f_frsize).unwrap()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).status();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn has(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|at| at.join(program).is_file()))
}

/// Returns whether file systems can be made and mounted here; in CI it is a failure when not.
pub(crate) fn can_mount() -> bool {
    let root = rustix::process::geteuid().is_root();
    let needed = ["mkfs.btrfs", "mkfs.xfs", "mkfs.ext4", "mount", "filefrag"];
    allowed(root, "root, to mount a file system") && needed.iter().all(|program| allowed(has(program), program))
}

/// Returns whether all of a file lies in blocks that it shares.
fn is_shared(path: &Path) -> bool {
    let output = Command::new("filefrag").arg("-v").arg(path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // lines of extents begin with their number
    let is_extent = |line: &&str| line.trim_start().starts_with(|first: char| first.is_ascii_digit());
    let extents: Vec<&str> = text.lines().filter(is_extent).collect();
    !extents.is_empty() && extents.iter().all(|line| line.contains("shared"))
}

/// An image of 64 MiB in layers that no file system makes smaller.
fn made() -> Made {
    let mut made = Made::new();
    let layers: Vec<String> = (0..4)
        .map(|layer| {
            let line = |at: usize| Digest::of(format!("{layer} {at}").as_bytes()).hex();
            (0..16 * MIB / 64).map(line).collect()
        })
        .collect();
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    let image = made.image("linux/amd64", &layers);
    made.root(tagged(&image, "v1"));
    made
}

#[test]
fn a_copy_shares_its_blocks_and_is_checked() {
    if !can_mount() {
        return;
    }
    let made = made();
    for kind in ["btrfs", "xfs"] {
        let bench = Bench::new();
        let mounted = Mounted::new(&bench, kind);
        made.layout(&mounted.at.join("source"));
        let before = mounted.used();
        bench.ok(&format!("copy {kind}/source {kind}/target"));
        let taken = mounted.used().saturating_sub(before);
        assert!(taken < 8 * MIB, "{kind}: {taken} bytes more are in use");
        bench.verify(&format!("{kind}/target"));
        let before = mounted.used();
        bench.ok(&format!("merge -o {kind}/merged -t app:v1 {kind}/source"));
        let taken = mounted.used().saturating_sub(before);
        assert!(taken < 8 * MIB, "{kind}: a merge takes {taken} bytes");
        bench.verify(&format!("{kind}/merged"));
        let layer = made.blobs.iter().find(|(_, bytes)| bytes.len() > MIB).unwrap().0;
        let path = |layout: &str, layer: &str| mounted.at.join(layout).join("blobs").join(layer.replace(':', "/"));
        assert!(is_shared(&path("target", layer)), "{kind}");
        // its own file all the same: what is written to one does not show in the other
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path("target", layer)).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o644);
        bench.spoil(&path("source", layer));
        bench.verify(&format!("{kind}/target"));

        // what is wrong in the source gets no name
        bench.exits(4, &format!("copy {kind}/source {kind}/wrong")).says(layer).says("expected");
        assert!(!path("wrong", layer).exists());
        for change in [&b"and more"[..], b""] {
            let mut bytes = made.blobs[layer].clone();
            if change.is_empty() {
                bytes.truncate(MIB);
            } else {
                bytes.extend(change);
            }
            fs::write(path("source", layer), bytes).unwrap();
            bench.exits(4, &format!("copy {kind}/source {kind}/wrong"));
            assert!(!path("wrong", layer).exists());
        }
        let left = fs::read_dir(mounted.at.join("wrong/blobs/sha256")).unwrap();
        assert!(left.map(|entry| entry.unwrap().file_name()).all(|name| name.len() == 64), "a temporary file stayed");

        // to another file system, and out of an archive, it is copied as ever
        fs::write(path("source", layer), &made.blobs[layer]).unwrap();
        bench.ok(&format!("copy {kind}/source elsewhere"));
        bench.verify("elsewhere");
        // which needs the room for it
        fs::remove_dir_all(mounted.at.join("merged")).unwrap();
        bench.ok(&format!("save -o {kind}/a.tar {kind}/source"));
        bench.ok(&format!("load -i {kind}/a.tar -o {kind}/loaded"));
        bench.verify(&format!("{kind}/loaded"));
        assert_eq!(digest(&made.roots[0]), bench.roots(&format!("{kind}/loaded"))[0]["digest"]);
    }
}
