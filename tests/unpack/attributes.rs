//! Owners, modes, times, extended attributes and devices: as root, and without.

use super::tar::{Block, Tar};
use super::*;

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(256);
    let result = rustix::fs::lgetxattr(path, name, rustix::buffer::spare_capacity(&mut value));
    result.ok().map(|_| value)
}

#[test]
fn times_are_kept_to_the_nanosecond() {
    let tar = Tar::new()
        .pax(&[("mtime", "1700000000.123456789")])
        .file("file", b"x")
        .pax(&[("mtime", "-1.5")])
        .file("old", b"x")
        .pax(&[("mtime", "5.000000001")])
        .symlink("link", "nowhere")
        .pax(&[("mtime", "6.000000002")])
        .directory("directory/")
        .pax(&[("mtime", "7.000000003")])
        .entry(Block::ustar("fifo").flag(b'6'), b"")
        .file("directory/later", b"x");
    let bench = Bench::new();
    bench.unpack(&[tar.finished()]).unwrap();
    for (name, expected) in [
        ("file", (1_700_000_000, 123_456_789)),
        ("old", (-2, 500_000_000)),
        ("link", (5, 1)),
        ("directory", (6, 2)),
        ("fifo", (7, 3)),
    ] {
        let metadata = fs::symlink_metadata(bench.root().join(name)).unwrap();
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), expected, "{name}");
    }
}

#[test]
fn modes_are_those_of_the_layer_whatever_the_umask() {
    let tar = Tar::new()
        .entry(Block::ustar("all").mode(0o777), b"")
        .entry(Block::ustar("none").mode(0), b"")
        .entry(Block::ustar("directory").flag(b'5').mode(0o2777), b"")
        .entry(Block::ustar("directory/below").mode(0o604), b"")
        .entry(Block::ustar("fifo").flag(b'6').mode(0o666), b"")
        .file("implied/file", b"");
    let bench = Bench::new();
    let place = bench.temp.path().join("layout");
    layout(&place, &[tar.finished()]);
    let done = std::process::Command::new("sh")
        .args(["-c", "umask 077; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_barge"), "-q", "unpack"])
        .args([place, bench.root()])
        .output();
    assert!(done.unwrap().status.success());
    for (name, mode) in [
        ("all", 0o777),
        ("none", 0),
        ("directory", 0o2777),
        ("directory/below", 0o604),
        ("fifo", 0o666),
        ("implied", 0o755),
    ] {
        assert_eq!(fs::metadata(bench.root().join(name)).unwrap().mode() & 0o7777, mode, "{name}");
    }
}

#[test]
fn root_keeps_owners_and_what_hangs_on_them() {
    if !is_root() {
        return skip("not root");
    }
    let suid = |name: &str| Block::ustar(name).mode(0o6755).owner(1234, 5678);
    let tar = Tar::new()
        .entry(suid("file"), b"")
        .entry(Block::ustar("directory").flag(b'5').mode(0o2755).owner(1, 2), b"")
        .entry(Block::ustar("directory/file").owner(3, 4), b"")
        .file("directory/implied/file", b"")
        .entry(Block::ustar("link").flag(b'2').link("/etc/passwd").owner(5, 6), b"")
        .entry(Block::ustar("fifo").flag(b'6').owner(7, 8), b"")
        .pax(&[("uid", "3000000000"), ("gid", "3000000001")])
        .file("large", b"");
    let tar = with_xattr(tar, "security.capability", &CAPABILITY).entry(Block::ustar("ping").owner(9, 9).size(1), b"x");
    let bench = Bench::new();
    let unpacked = bench.unpack(&[tar.clone().finished()]).unwrap();
    for (name, owner) in [
        ("file", (1234, 5678)),
        ("directory", (1, 2)),
        ("directory/file", (3, 4)),
        ("directory/implied", (0, 0)),
        ("link", (5, 6)),
        ("fifo", (7, 8)),
        ("large", (3_000_000_000, 3_000_000_001)),
        ("ping", (9, 9)),
    ] {
        let metadata = fs::symlink_metadata(bench.root().join(name)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), owner, "{name}");
    }
    assert_eq!(fs::metadata(bench.root().join("file")).unwrap().mode() & 0o7777, 0o6755);
    assert_eq!(fs::metadata(bench.root().join("directory/implied")).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(xattr(&bench.root().join("ping"), "security.capability").unwrap(), CAPABILITY);
    assert_eq!(unpacked.skipped, barge::ops::unpack::Skipped::default());

    let bench = Bench::new();
    let mine = Options { owners: barge::ops::unpack::Owners::Mine, ..options() };
    let unpacked = bench.unpack_with(&[tar.finished()], &mine).unwrap();
    let metadata = fs::metadata(bench.root().join("file")).unwrap();
    assert_eq!((metadata.uid(), metadata.mode() & 0o7777), (0, 0o755), "no setuid without its owner");
    assert_eq!((unpacked.skipped.set_ids, unpacked.skipped.owners), (1, 7));
}

#[test]
fn root_makes_devices() {
    if !is_root() {
        return skip("not root");
    }
    let device = |name: &str, flag: u8| Block::ustar(name).flag(flag).device(1, 3).mode(0o620).owner(0, 5);
    let tar = Tar::new()
        .entry(device("dev/null", b'3'), b"")
        .entry(device("dev/block", b'4'), b"")
        .hard_link("dev/again", "dev/null");
    let bench = Bench::new();
    let unpacked = bench.unpack(&[tar.finished()]).unwrap();
    if unpacked.skipped.devices > 0 {
        return skip("this root may make no devices");
    }
    let null = fs::symlink_metadata(bench.root().join("dev/null")).unwrap();
    assert!(null.file_type().is_char_device());
    assert_eq!((null.rdev(), null.mode() & 0o7777, null.gid()), (rustix::fs::makedev(1, 3), 0o620, 5));
    assert!(fs::symlink_metadata(bench.root().join("dev/block")).unwrap().file_type().is_block_device());
    assert_eq!(fs::symlink_metadata(bench.root().join("dev/again")).unwrap().ino(), null.ino());
}

#[test]
fn extended_attributes_are_kept_where_the_file_system_has_them() {
    let probe = tempfile::NamedTempFile::new().unwrap();
    if rustix::fs::fsetxattr(&probe, "user.probe", b"", rustix::fs::XattrFlags::empty()).is_err() {
        return skip("the temporary directory is on a file system without extended attributes");
    }
    let lower = with_xattr(Tar::new(), "user.binary", b"\0\n=\xff").file("file", b"x");
    let lower = with_xattr(lower, "user.stays", b"1").directory("directory/");
    let lower = lower.pax(&[("SCHILY.xattr.user.old", "1"), ("SCHILY.xattr.user.same", "1")]).directory("changed/");
    let lower =
        lower.pax(&[("LIBARCHIVE.xattr.user.b%2Fc", "AAEC"), ("SCHILY.xattr.user.empty", "")]).file("other", b"");
    let lower = with_xattr(lower, "trusted.overlay.opaque", b"y").directory("overlay/");
    let lower = with_xattr(lower, "security.selinux", b"x").file("labelled", b"");
    let upper = Tar::new().pax(&[("SCHILY.xattr.user.same", "2")]).directory("changed/").file("directory/new", b"");
    let bench = Bench::new();
    let unpacked = bench.unpack(&[lower.finished(), upper.finished()]).unwrap();
    let get = |name: &str, attribute: &str| xattr(&bench.root().join(name), attribute);
    assert_eq!(get("file", "user.binary").unwrap(), b"\0\n=\xff");
    assert_eq!(get("directory", "user.stays").unwrap(), b"1");
    assert_eq!(get("changed", "user.same").unwrap(), b"2");
    assert_eq!(get("changed", "user.old"), None, "this layer's directory has it no more");
    assert_eq!(get("other", "user.b/c").unwrap(), [0, 1, 2]);
    assert_eq!(get("other", "user.empty").unwrap(), b"");
    assert_eq!(get("overlay", "trusted.overlay.opaque"), None);
    assert_eq!(get("labelled", "security.selinux"), None);
    assert_eq!(unpacked.skipped.xattrs, 2);
}

#[test]
fn attributes_of_a_link_are_not_those_of_what_it_leads_to() {
    // on a link itself there is no user attribute: it is left out, and not set on the target
    let tar =
        Tar::new().file("target", b"").pax(&[("SCHILY.xattr.user.x", "1"), ("mtime", "77")]).symlink("link", "target");
    let tar = tar
        .entry(Block::ustar("fifo").flag(b'6'), b"")
        .pax(&[("SCHILY.xattr.user.x", "1")])
        .entry(Block::ustar("fifo").flag(b'6'), b"");
    let bench = Bench::new();
    let unpacked = bench.unpack(&[tar.finished()]).unwrap();
    assert_eq!(unpacked.skipped.xattrs, 2);
    assert_eq!(xattr(&bench.root().join("target"), "user.x"), None);
    assert_eq!(fs::metadata(bench.root().join("target")).unwrap().mtime(), 0);
    assert_eq!(fs::symlink_metadata(bench.root().join("link")).unwrap().mtime(), 77);
}
