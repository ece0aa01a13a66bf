//! Archives that lie: names that leave, links, devices, and what is no archive at all.

use crate::dialects::{sample, whole};
use crate::ordeal::Scope::{Open, Reach};
use crate::ordeal::{Case, case, refused};
use crate::support::image::{digest, simple};
use crate::support::tar::{Block, Tar};

/// The archive with one file left out, and something else added.
fn but(left_out: &str, add: impl FnOnce(Tar) -> Tar) -> Vec<u8> {
    let (_, files) = sample();
    let rest = files.iter().filter(|(name, _)| name != left_out);
    add(rest.fold(Tar::new(), |tar, (name, bytes)| tar.file(name, bytes))).finished()
}

#[test]
fn names_that_leave() {
    let named = |name: &str| whole().file(name, b"x").finished();
    let pax = |name: &str| whole().pax(&[("path", name)]).file("x", b"x").finished();
    let cases: Vec<Case> = vec![
        case("up", "out of the directory", named("../escaped"), (Open, 4), "climbs"),
        case("up twice", "out of the directory", named("../../escaped"), (Open, 4), "climbs"),
        case("down and up", "a prefix is not enough", named("blobs/../../escaped"), (Open, 4), "climbs"),
        case("far down and up", "a prefix is not enough", named("blobs/sha256/../../../escaped"), (Open, 4), "climbs"),
        case("up at the end", "a directory's parent", named("blobs/.."), (Open, 4), "climbs"),
        case("absolute", "the machine's own file", named("/etc/barge-escaped"), (Open, 4), "absolute"),
        case("absolute, twice", "stripped once", named("//etc/barge-escaped"), (Open, 4), "absolute"),
        case("PAX, up", "another field", pax("../escaped"), (Open, 4), "climbs"),
        case(
            "GNU, up",
            "another field",
            whole().extension(b'L', b"../escaped\0").file("x", b"x").finished(),
            (Open, 4),
            "climbs",
        ),
        case(
            "by a prefix",
            "another field",
            whole().entry(Block::ustar("escaped").prefix(".."), b"").finished(),
            (Open, 4),
            "climbs",
        ),
        case("an escape sequence", "a message shows it", named("../\u{1b}[2J\u{202e}"), (Open, 4), "\\u{1b}[2J"),
        case(
            "a directory, up",
            "made by some",
            whole().directory("../escaped-directory/").finished(),
            (Open, 4),
            "climbs",
        ),
        case("a link, up", "made by some", whole().symlink("../escaped-link", "/").finished(), (Open, 4), "climbs"),
    ];
    refused(cases);
}

#[test]
fn links_and_devices_under_our_names() {
    let images = simple(&["linux/amd64"]);
    let _ = digest(&images.roots[0]);
    let (_, files) = sample();
    let layer =
        files.iter().map(|(name, _)| name.as_str()).rfind(|name| name.starts_with("blobs/")).unwrap().to_owned();
    let fifo = |name: &str| Block::ustar(name).flag(b'6');
    let mut cases: Vec<Case> = Vec::new();
    for name in ["index.json", "oci-layout", &layer] {
        let of = |add: &dyn Fn(Tar) -> Tar| but(name, add);
        cases.extend([
            case(
                "a link out",
                "another file's content",
                of(&|tar| tar.symlink(name, "/etc/passwd")),
                (Open, 4),
                "a symbolic link",
            ),
            case(
                "a link inside",
                "content of another name",
                of(&|tar| tar.file("a", b"x").symlink(name, "a")),
                (Open, 4),
                "a symbolic link",
            ),
            case(
                "a hard link back",
                "content of another name",
                of(&|tar| tar.file("a", b"x").hard_link(name, "a")),
                (Open, 4),
                "a hard link",
            ),
            case(
                "a hard link forward",
                "of nothing yet",
                of(&|tar| tar.hard_link(name, "a").file("a", b"x")),
                (Open, 4),
                "a hard link",
            ),
            case("a hard link to itself", "a loop", of(&|tar| tar.hard_link(name, name)), (Open, 4), "a hard link"),
            case(
                "hard links in a circle",
                "a loop",
                of(&|tar| tar.hard_link(name, "a").hard_link("a", name)),
                (Open, 4),
                "a hard link",
            ),
            case(
                "links in a circle",
                "a loop",
                of(&|tar| tar.symlink(name, "a").symlink("a", name)),
                (Open, 4),
                "a symbolic link",
            ),
            case("a FIFO", "waits for ever", of(&|tar| tar.entry(fifo(name), b"")), (Open, 4), "a FIFO"),
            case(
                "a character device",
                "never ends",
                of(&|tar| tar.entry(Block::ustar(name).flag(b'3').device(1, 5), b"")),
                (Open, 4),
                "a device",
            ),
            case(
                "a block device",
                "a disk",
                of(&|tar| tar.entry(Block::ustar(name).flag(b'4').device(8, 0), b"")),
                (Open, 4),
                "a device",
            ),
            case("a directory", "no content", of(&|tar| tar.directory(name)), (Open, 4), "a directory"),
            case(
                "an unknown type",
                "a file to some",
                of(&|tar| tar.entry(Block::ustar(name).flag(b'Z'), b"")),
                (Open, 4),
                "unknown type",
            ),
        ]);
    }
    cases.extend([
        case("blobs as a link", "elsewhere", but("", |tar| tar.symlink("blobs", "/")), (Open, 4), "blobs"),
        case(
            "blobs/sha256 as a link",
            "elsewhere",
            but("", |tar| tar.symlink("blobs/sha256", "/")),
            (Open, 4),
            "blobs/sha256",
        ),
        case("blobs as a file", "a file and a directory", but("", |tar| tar.file("blobs", b"x")), (Open, 4), "blobs"),
        case(
            "blobs/sha512 as a file",
            "a file and a directory",
            but("", |tar| tar.file("blobs/sha512", b"x")),
            (Open, 4),
            "blobs/sha512",
        ),
    ]);
    refused(cases);
}

#[test]
fn what_is_missing_or_wrong_inside() {
    let (_, files) = sample();
    let layer = files.iter().map(|(name, _)| name.clone()).rfind(|name| name.starts_with("blobs/")).unwrap();
    let mut sums = whole().finished();
    sums[1024 + 150] ^= 1;
    let mut magic = whole().finished();
    magic[0] ^= 1;
    let cases: Vec<Case> = vec![
        case("no oci-layout", "no program reads it as a layout", but("oci-layout", |tar| tar), (Open, 4), "oci-layout"),
        case("no index.json", "no names", but("index.json", |tar| tar), (Open, 4), "index.json"),
        case("no layer", "not whole", but(&layer, |tar| tar), (Reach, 4), "sha256:"),
        case(
            "another layer",
            "not what its name says",
            but(&layer, |tar| tar.file(&layer, b"other")),
            (Reach, 4),
            "sha256:",
        ),
        case("a wrong check sum", "damaged", sums, (Open, 4), "check sum is wrong"),
        case("a wrong check sum at the start", "no tar at all", magic, (Open, 4), "neither a tar"),
        case(
            "a size beyond the end",
            "cut",
            whole().entry(Block::ustar("x").size(1 << 30), b"").finished(),
            (Open, 4),
            "cut",
        ),
        case("nothing", "a failed download", Vec::new(), (Open, 4), "empty"),
        case("zeros", "a failed download", vec![0; 10240], (Open, 4), "tar"),
        case("one byte", "no tar", vec![b'x'], (Open, 4), "neither a tar"),
        case("a web page", "a failed download", b"<!DOCTYPE html><html></html>".to_vec(), (Open, 4), "web page"),
        case("JSON", "another file", b"{\"schemaVersion\":2}".to_vec(), (Open, 4), "JSON"),
        case("zip", "another format", b"PK\x03\x04xxxx".to_vec(), (Open, 4), "zip"),
        case("xz", "not unpacked here", b"\xfd7zXZ\0xxxx".to_vec(), (Open, 4), "xz"),
        case("bzip2", "not unpacked here", b"BZh91AY&SY".to_vec(), (Open, 4), "bzip2"),
        case("a program", "another file", b"\x7fELF\x02\x01\x01".to_vec(), (Open, 4), "a program"),
        case(
            "a root file system",
            "another tar",
            Tar::new().directory("etc/").file("etc/passwd", b"").finished(),
            (Open, 4),
            "root file system",
        ),
        case(
            "a layout below a directory",
            "one level off",
            Tar::new().file("dist/oci-layout", b"{}").finished(),
            (Open, 4),
            "lies below",
        ),
        case("no entries", "an empty tar", Tar::new().finished(), (Open, 4), "without entries"),
    ];
    refused(cases);
}
