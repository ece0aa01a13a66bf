//! Unpacking images: what layers make of each other, and what no layer may do. Here is what the files beside share.

#![allow(clippy::unwrap_used, clippy::panic)] // all of this is tests

mod apply;
mod attributes;
mod command;
mod debian;
mod flat;
mod hostile;
mod limits;
mod pick;
#[path = "../support/tar.rs"]
mod tar;
#[path = "../support/tree.rs"]
#[allow(missing_docs, unreachable_pub)] // shared with other test files
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use barge::blob::Cancel;
use barge::content::{Descriptor, Kind};
use barge::digest::Digest;
use barge::media::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use barge::ops::Error;
use barge::ops::choose::choose_image;
use barge::ops::unpack::{Options, Unpacked, unpack};
use barge::platform::PlatformFilter;
use barge::store::Durability;
use barge::store::memory::Memory;
use barge::transfer::Deaf;
use serde_json::json;

/// A directory that ends with its test: `work` to unpack in, and `outside`, which nothing may touch.
struct Bench {
    temp: tempfile::TempDir,
    outside: BTreeMap<String, String>,
}

impl Bench {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let outside = temp.path().join("outside");
        fs::create_dir_all(outside.join("directory")).unwrap();
        fs::create_dir(temp.path().join("work")).unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        fs::write(outside.join("directory/file"), "untouched").unwrap();
        fs::set_permissions(outside.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        let listed = listing(&outside);
        Self { temp, outside: listed }
    }

    /// The directory that is unpacked to.
    fn root(&self) -> PathBuf {
        self.temp.path().join("work/rootfs")
    }

    fn outside(&self) -> PathBuf {
        self.temp.path().join("outside")
    }

    fn unpack_with(&self, layers: &[Vec<u8>], options: &Options) -> Result<Unpacked, Error> {
        self.unpack_from(&image(layers), options, &Cancel::default())
    }

    fn unpack_from(&self, source: &Memory, options: &Options, cancel: &Cancel) -> Result<Unpacked, Error> {
        let image = choose_image(source, None, &PlatformFilter::All)?;
        let result = unpack(source, &image, &self.root(), options, cancel, &Deaf);
        assert_eq!(listing(&self.outside()), self.outside, "something outside was touched");
        let beside: Vec<_> = fs::read_dir(self.temp.path().join("work")).unwrap().collect();
        assert_eq!(beside.len(), usize::from(result.is_ok()), "nothing but the target may be left: {beside:?}");
        result
    }

    fn unpack(&self, layers: &[Vec<u8>]) -> Result<Unpacked, Error> {
        self.unpack_with(layers, &options())
    }

    /// Unpacks layers and lists what came of them.
    fn tree(&self, layers: &[Vec<u8>]) -> BTreeMap<String, String> {
        self.unpack(layers).unwrap_or_else(|error| panic!("{}", told(&error)));
        listing(&self.root())
    }
}

fn options() -> Options {
    Options { durability: Durability::Unsynced, ..Options::default() }
}

/// What a failure says: message and causes.
fn told(error: &Error) -> String {
    let causes = error.causes();
    format!("{error}: {}", causes.join(": "))
}

/// Says what lies below a directory: `name` to `kind content`, with modes and times where they could be of interest.
fn listing(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let kind = metadata.file_type();
            let (mode, time) = (metadata.mode() & 0o7777, metadata.mtime());
            let shown = if kind.is_dir() {
                todo.push(path.clone());
                format!("directory {mode:o} {time}")
            } else if kind.is_symlink() {
                format!("link {}", fs::read_link(&path).unwrap().display())
            } else if kind.is_file() {
                format!("file {mode:o} {}", String::from_utf8_lossy(&fs::read(&path).unwrap()))
            } else if kind.is_fifo() {
                format!("fifo {mode:o}")
            } else {
                format!("device {mode:o}")
            };
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().escape_ascii().to_string();
            found.insert(name, shown);
        }
    }
    found
}

/// Lists names alone.
fn names(tree: &BTreeMap<String, String>) -> Vec<&str> {
    tree.keys().map(String::as_str).collect()
}

/// An image in memory whose layers are what the digests say.
fn image(layers: &[Vec<u8>]) -> Memory {
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    image_with(layers, &diff_ids)
}

/// An image in memory with any `diff_ids`.
fn image_with(layers: &[Vec<u8>], diff_ids: &[Digest]) -> Memory {
    let mut source = Memory::new("test");
    let diff_ids: Vec<String> = diff_ids.iter().map(ToString::to_string).collect();
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

/// Writes an image as a layout; its layers are packed with gzip.
fn layout(path: &Path, layers: &[Vec<u8>]) {
    let packed: Vec<Vec<u8>> = layers.iter().map(|layer| gzip(layer)).collect();
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let blobs = path.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |media_type: &str, bytes: &[u8]| {
        fs::write(blobs.join(Digest::of(bytes).hex()), bytes).unwrap();
        Descriptor::of(&media_type.into(), bytes).to_value()
    };
    let diff_ids: Vec<String> = diff_ids.iter().map(ToString::to_string).collect();
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = put(OCI_CONFIG, config.to_string().as_bytes());
    let layers: Vec<_> = packed.iter().map(|layer| put(barge::media::OCI_LAYER_GZIP, layer)).collect();
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers});
    let manifest = put(OCI_MANIFEST, manifest.to_string().as_bytes());
    fs::write(path.join("index.json"), json!({"schemaVersion": 2, "manifests": [manifest]}).to_string()).unwrap();
    fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `cap_net_raw+ep` of revision 2, as the kernel stores it.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A tar with a record whose value is no text.
fn with_xattr(tar: tar::Tar, name: &str, value: &[u8]) -> tar::Tar {
    let key = format!("SCHILY.xattr.{name}");
    let rest = key.len() + value.len() + 3;
    let length = (rest..).find(|length| rest + length.to_string().len() == *length).unwrap();
    let mut record = format!("{length} {key}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    tar.extension(b'x', &record)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says why a test does nothing here: in CI nothing may be left out.
fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{reason}: in CI nothing is skipped");
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}
