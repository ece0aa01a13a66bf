//! File systems of layers made by hand. Here is what the files beside share.

mod copied;
mod flat;
mod looked_up;
mod same_as_unpacked;
mod wrong;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::json;

use super::{Limits, Picking, Rootfs, layers_of};
use crate::blob::Cancel;
use crate::content::{Descriptor, Kind};
use crate::digest::Digest;
use crate::layer::{AddOptions, Tree};
use crate::media::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use crate::ops::Error;
use crate::ops::build::origin::Origin as _;
use crate::ops::choose::{Chosen, choose_image};
use crate::ops::unpack::{FileFacts, Options, list_files};
use crate::platform::PlatformFilter;
use crate::store::Durability;
use crate::store::memory::Memory;
use crate::tar::made::{Block, Tar};
use crate::transfer::Deaf;

/// `cap_net_raw+ep` of revision 2, as the kernel stores it.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// An image in memory whose layers are what the digests say.
fn image(layers: &[Vec<u8>]) -> Memory {
    let mut source = Memory::new("test");
    let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = config.to_string().into_bytes();
    let described = |media_type: &str, bytes: &[u8]| Descriptor::of(&media_type.into(), bytes).to_value();
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described(OCI_CONFIG, &config),
        "layers": layers.iter().map(|layer| described(OCI_LAYER, layer)).collect::<Vec<_>>()});
    let manifest = manifest.to_string().into_bytes();
    for layer in layers {
        source.add(layer, Kind::Blob);
    }
    source.add(&config, Kind::Config);
    source.add(&manifest, Kind::Manifest(OCI_MANIFEST.into()));
    source.add_root(Descriptor::of(&OCI_MANIFEST.into(), &manifest));
    source
}

fn chosen(source: &Memory) -> Chosen {
    choose_image(source, None, &PlatformFilter::All).unwrap()
}

fn read(source: &Memory) -> Result<Rootfs<'_>, Error> {
    let layers = layers_of(source, &chosen(source))?;
    Rootfs::read(layers, &Limits::default(), &Cancel::default(), &Deaf)
}

fn flattened(layers: &[Vec<u8>]) -> Vec<u8> {
    let source = image(layers);
    let mut tar = Vec::new();
    read(&source).unwrap().flatten(&mut tar).unwrap();
    tar
}

/// What the files of an image are, as `diff --files` sees them.
fn files(layers: &[Vec<u8>]) -> BTreeMap<String, FileFacts> {
    let source = image(layers);
    let listed = list_files(&source, &chosen(&source), &options(), &Cancel::default(), &Deaf);
    let listed = listed.unwrap_or_else(|error| panic!("{}", told(&error)));
    listed.into_iter().map(|(name, facts)| (name.escape_ascii().to_string(), facts)).collect()
}

fn options() -> Options {
    Options { durability: Durability::Unsynced, ..Options::default() }
}

/// What a failure says: message and causes.
fn told(error: &Error) -> String {
    format!("{error}: {}", error.causes().join(": "))
}

/// A tar with a record whose value is no text.
fn with_xattr(tar: Tar, name: &str, value: &[u8]) -> Tar {
    let key = format!("SCHILY.xattr.{name}");
    let rest = key.len() + value.len() + 3;
    let length = (rest..).find(|length| rest + length.to_string().len() == *length).unwrap();
    let mut record = format!("{length} {key}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    tar.extension(b'x', &record)
}

/// Three layers with one of each thing, and one of each way in which an upper layer changes a lower one.
fn zoo() -> Vec<Vec<u8>> {
    let long = format!("{}/{}", "d".repeat(120), "n".repeat(200));
    let lower = Tar::new()
        .entry(Block::ustar("./").flag(b'5').mode(0o751).mtime(5), b"")
        .entry(Block::ustar("usr/").flag(b'5').mode(0o755).owner(1, 2).mtime(9), b"")
        .entry(Block::ustar("usr/bin/").flag(b'5').mode(0o2775).mtime(11), b"")
        .entry(Block::ustar("usr/bin/su").mode(0o4755).owner(3, 4).mtime(77).size(2), b"su")
        .file("usr/bin/gone", b"gone")
        .symlink("bin", "usr/bin")
        .symlink("lib", "/usr/lib")
        .file("etc/a", b"a")
        .file("etc/b", b"b")
        .hard_link("etc/a-again", "./etc/a")
        .hard_link("zz-a", "/etc/a")
        .symlink("etc/link", "a")
        .hard_link("etc/same-link", "etc/link")
        .symlink("etc/dangling", "nothing")
        .symlink("etc/circle", "circle")
        .file("opaque/lower", b"l")
        .file("opaque/deep/lower", b"l")
        .file("replaced/by-link", b"1")
        .file("becomes/directory", b"file")
        .directory("becomes/file/")
        .file("becomes/file/x", b"x")
        .file("twice", b"first")
        .file("twice", b"second!")
        .file("empty", b"")
        .file("also-empty", b"")
        .entry(Block::raw(b"no-text-\xff\xfe").size(1), b"x")
        .extension(b'L', &[0xfe; 150])
        .file("cut", b"long and no text")
        .pax(&[("path", &long), ("mtime", "1700000000.123456789")])
        .file("cut", b"long")
        .entry(Block::ustar("tmp/").flag(b'5').mode(0o1777), b"")
        .entry(Block::ustar("null").flag(b'3').device(1, 3).mode(0o666), b"")
        .entry(Block::ustar("disk").flag(b'4').device(8, 17).mode(0o660).owner(0, 6), b"")
        .entry(Block::ustar("fifo").flag(b'6').mode(0o600), b"")
        .hard_link("null-too", "null");
    let lower = with_xattr(lower, "security.capability", &CAPABILITY)
        .entry(Block::ustar("usr/bin/ping").mode(0o755).owner(9, 9).size(4), b"ping")
        .hard_link("ping", "usr/bin/ping");
    let lower = with_xattr(lower, "user.binary", b"\0\n=\xff").directory("etc/xattrs/");
    let middle = Tar::new()
        .file("bin/tool", b"new tool")
        .file("bin/.wh.gone", b"")
        .file("lib/x", b"x")
        .file("etc/a", b"another a")
        .file("opaque/deep/upper", b"u")
        .file("opaque/.wh..wh..opq", b"")
        .symlink("replaced", "etc")
        .file("becomes/directory/inside", b"i")
        .file("becomes/file", b"f")
        .pax(&[("mtime", "-1.25")])
        .directory("etc/xattrs/")
        .hard_link("late-b", "etc/b")
        .file(".wh..wh.plnk/1.2", b"meta");
    let middle = Tar::new().file("becomes/.wh.directory", b"").bytes(&middle.unfinished());
    let upper = Tar::new()
        .file("replaced/late", b"late")
        .file(".wh.nothing", b"")
        .file("lib/sub/y", b"y")
        .file("etc/b", b"b of the upper layer");
    vec![lower.finished(), middle.finished(), upper.finished()]
}

/// Adds a path of an image to a layer, and returns the layer as a list of names and facts.
fn added(source: &Memory, options: &AddOptions<'_>, path: &str) -> Result<BTreeMap<String, FileFacts>, String> {
    let mut tree = Tree::new();
    add(&mut tree, source, options, Path::new(path)).map_err(|error| told(&error))?;
    let mut tar = Vec::new();
    crate::layer::write(&tree, &mut tar).unwrap();
    let mut listed = files(&[tar]);
    listed.remove("/");
    Ok(listed)
}

fn add(tree: &mut Tree, source: &Memory, options: &AddOptions<'_>, path: &Path) -> Result<(), Error> {
    let spool = tempfile::tempdir().unwrap();
    let rootfs = read(source)?;
    Picking::new(&rootfs, "the stage \"base\"", spool.path()).add(tree, options, path)?;
    assert_eq!(std::fs::read_dir(spool.path()).unwrap().count(), 0, "what is spooled has no name");
    Ok(())
}

fn escaped(path: &Path) -> String {
    path.as_os_str().as_bytes().escape_ascii().to_string()
}
