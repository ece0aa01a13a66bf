//! Layers from files: the same bytes from the same files, and what other programs make of them. Here is what the files
//! beside share.

#![allow(clippy::unwrap_used, clippy::panic)] // all of this is tests

mod add;
mod bench;
mod build;
mod read_back;
mod same;
#[path = "../support/tar.rs"]
mod tar;
mod tars;

use std::fs;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use barge::blob::{Cancel, Making};
use barge::content::Kind;
use barge::layer::{AddOptions, Built, Context, LayerError, Source, Tree, build, write};
use barge::media::Compression;
use barge::pack::PackOptions;
use barge::store::{StoreError, causes};
use rustix::fs::{FileType, Mode};

/// `cap_net_raw+ep` of revision 2, as the kernel stores it.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn at(to: &str) -> AddOptions<'_> {
    AddOptions::new(Path::new(to))
}

fn path(context: &Context) -> Source<'_> {
    Source::Path(context, Path::new(""))
}

/// A tree of one directory, at the root.
fn tree_of(directory: &Path) -> Tree {
    let mut tree = Tree::new();
    tree.add(&at("/"), &path(&Context::open(directory).unwrap())).unwrap_or_else(|error| panic!("{}", told(&error)));
    tree
}

fn tar_of(tree: &Tree) -> Vec<u8> {
    let mut tar = Vec::new();
    write(tree, &mut tar).unwrap();
    tar
}

fn options(compression: Compression, jobs: usize) -> PackOptions {
    let level = PackOptions::usual_level(compression);
    PackOptions { compression, level, jobs: NonZeroUsize::new(jobs).unwrap() }
}

fn built(tree: &Tree, compression: Compression, jobs: usize) -> (Built, Vec<u8>) {
    let mut out = Vec::new();
    let mut making = Making::new(Kind::Blob, "out", &mut out);
    let built = build(tree, &options(compression, jobs), &mut making, &Cancel::default(), &|_| ()).unwrap();
    let proof = making.finish().unwrap();
    assert_eq!((proof.content().digest, proof.content().size), (built.digest, built.size));
    (built, out)
}

fn told(error: &StoreError) -> String {
    format!("{error}: {}", causes(error).join(": "))
}

fn refused(result: Result<(), StoreError>) -> String {
    told(&result.unwrap_err())
}

fn unwritten(tree: &Tree) -> String {
    match write(tree, &mut std::io::sink()).unwrap_err() {
        LayerError::From(error) => told(&error),
        LayerError::To(error) => error.to_string(),
    }
}

/// What a tar holds, in order: names and what they are, with what `tar -tv` says of them.
fn names(tar: &[u8]) -> Vec<String> {
    listed(tar).into_iter().map(|(name, _)| name).collect()
}

/// Names, and mode, owner, group, time, kind and size or target, read by a plain reader of headers and PAX paths.
fn listed(tar: &[u8]) -> Vec<(String, String)> {
    let field = |block: &[u8], at: usize, length: usize| {
        let text = block[at..at + length].split(|byte| *byte == 0).next().unwrap();
        String::from_utf8_lossy(text).into_owned()
    };
    let octal = |text: String| u64::from_str_radix(text.trim(), 8).unwrap_or(0);
    let (mut found, mut pos, mut pax) = (Vec::new(), 0, Vec::new());
    loop {
        let block = &tar[pos..pos + 512];
        if block.iter().all(|byte| *byte == 0) {
            assert_eq!(tar.len() - pos, 1024, "a tar ends with two blocks of zeros, and nothing else");
            return found;
        }
        let size = usize::try_from(octal(field(block, 124, 12))).unwrap();
        let body = &tar[pos + 512..pos + 512 + size];
        pos += 512 + size.next_multiple_of(512);
        if block[156] == b'x' {
            pax = body.to_vec();
            continue;
        }
        let text = String::from_utf8_lossy(&pax).into_owned();
        let said = |key: &str| text.split_once(&format!(" {key}=")).map(|(_, rest)| rest.lines().next().unwrap());
        let prefix = field(block, 345, 155);
        let plain = if prefix.is_empty() { field(block, 0, 100) } else { format!("{prefix}/{}", field(block, 0, 100)) };
        let name = said("path").map_or(plain, str::to_owned);
        let link = said("linkpath").map_or(field(block, 157, 100), str::to_owned);
        assert_eq!((field(block, 265, 32), field(block, 297, 32)), (String::new(), String::new()), "names of owners");
        let [mode, uid, gid, mtime] =
            [(100, 8), (108, 8), (116, 8), (136, 12)].map(|(at, length)| octal(field(block, at, length)));
        let kind = char::from(block[156]);
        found.push((name, format!("{kind} {mode:o} {uid}:{gid} {mtime} {size} {link}")));
        pax.clear();
    }
}

fn fact(tar: &[u8], name: &str) -> String {
    let found = listed(tar).into_iter().find(|(other, _)| other == name);
    found.unwrap_or_else(|| panic!("no {name} in {:?}", names(tar))).1
}

/// One of each thing that may be in a layer, as far as this user may make it, with fixed modes and times.
fn zoo(root: &Path) {
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::create_dir_all(root.join("deep/er/empty")).unwrap();
    fs::create_dir_all(root.join("d".repeat(120)).join("e".repeat(90))).unwrap();
    fs::write(root.join("bin/tool"), [7; 5000]).unwrap();
    fs::write(root.join("bin-file"), "between bin and bin/").unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::write(root.join("d".repeat(120)).join("e".repeat(90)).join("n".repeat(200)), "long").unwrap();
    fs::write(root.join("d".repeat(120)).join("short"), "prefix").unwrap();
    fs::write(root.join("\u{e9}t\u{e9}"), "umlaut").unwrap();
    fs::hard_link(root.join("bin/tool"), root.join("bin/alias")).unwrap();
    fs::hard_link(root.join("bin/tool"), root.join("zlast")).unwrap();
    symlink("tool", root.join("bin/link")).unwrap();
    symlink("x".repeat(300), root.join("long-link")).unwrap();
    symlink("/etc/passwd", root.join("absolute")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(300_000).unwrap();
    std::os::unix::fs::FileExt::write_at(&sparse, b"end", 299_997).unwrap();
    if is_root() {
        let device = rustix::fs::makedev(1, 3);
        let mode = Mode::from_raw_mode(0o666);
        rustix::fs::mknodat(rustix::fs::CWD, root.join("null"), FileType::CharacterDevice, mode, device).unwrap();
        xattr(&root.join("bin/tool"), "security.capability", &CAPABILITY);
    }
    fs::set_permissions(root.join("bin/tool"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(0o600)).unwrap();
    if is_root() {
        xattr(&root.join("bin/tool"), "security.capability", &CAPABILITY);
    }
}

fn xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
}

/// Whether files here can have attributes that a user sets.
fn has_user_xattrs(directory: &Path) -> bool {
    let probe = directory.join("probe");
    fs::write(&probe, "").unwrap();
    let set = rustix::fs::setxattr(&probe, "user.probe", b"x", rustix::fs::XattrFlags::empty());
    fs::remove_file(probe).unwrap();
    set.is_ok()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says why a test does nothing here: in CI nothing may be left out.
fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{reason}: in CI nothing is skipped");
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}
