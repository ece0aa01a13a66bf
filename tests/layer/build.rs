//! Layers into a layout, without a second pass.

use std::fs;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use barge::blob::{Cancel, Making};
use barge::content::{Content, Kind};
use barge::layer::build;
use barge::media::Compression;
use barge::store::layout::{Layout, LayoutOptions, LayoutSink};
use barge::store::{Durability, Inventory, Outcome, Sink as _, StoreError};

use super::{built, options, refused, told, tree_of, zoo};

fn sink(path: &std::path::Path) -> LayoutSink {
    let options = LayoutOptions { durability: Durability::Unsynced, ..LayoutOptions::default() };
    LayoutSink::create_or_open(path, options).unwrap()
}

#[test]
fn a_layer_is_made_in_its_place() {
    let temp = tempfile::tempdir().unwrap();
    let (files, place) = (temp.path().join("files"), temp.path().join("layout"));
    fs::create_dir(&files).unwrap();
    zoo(&files);
    let tree = tree_of(&files);
    let mut sink = sink(&place);
    let early: Result<(Content, _, ()), StoreError> = sink.make(Kind::Blob, |_| Ok(()));
    assert!(told(&early.unwrap_err()).contains("was not begun"));
    sink.begin(&Inventory::default()).unwrap();
    let read = AtomicU64::new(0);
    let count = |bytes: u64| {
        read.fetch_add(bytes, Ordering::Relaxed);
    };
    let pack = options(Compression::Gzip, 2);
    let (content, _, layer) = sink.make(Kind::Blob, |to| build(&tree, &pack, to, &Cancel::default(), &count)).unwrap();
    assert_eq!((content.digest, content.size), (layer.digest, layer.size));
    assert_eq!(layer, built(&tree, Compression::Gzip, 1).0);
    // content with three names is read once
    assert_eq!(read.into_inner(), tree.size() - 10_000);
    sink.make(Kind::Config, |to| to.write_all(b"{}").map_err(StoreError::io("write", "config"))).unwrap();
    let listing = || Layout::open(&place).unwrap().blobs().unwrap();
    assert_eq!(listing().blobs, [], "nothing has a name before it is wanted");
    let coming = Inventory { contents: vec![content.clone()], ..Inventory::default() };
    assert_eq!(sink.begin(&coming).unwrap(), [vec![]], "what was made here need not come");
    assert_eq!(sink.settled(), [(content, Outcome::Written)]);
    let listing = listing();
    let expected = vec![(layer.digest, layer.size)];
    assert_eq!((listing.blobs, listing.foreign), (expected, Vec::new()));
    let blob = fs::read(place.join(layer.digest.blob_path())).unwrap();
    assert_eq!(barge::digest::Digest::of(&blob), layer.digest);
    // who changes their mind takes back what was made as well
    sink.abandon();
    assert!(!place.exists());
}

#[test]
fn what_fails_leaves_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let (files, place) = (temp.path().join("files"), temp.path().join("layout"));
    fs::create_dir(&files).unwrap();
    fs::write(files.join("a"), vec![1; 600_000]).unwrap();
    fs::write(files.join("b"), "gone").unwrap();
    let tree = tree_of(&files);
    fs::remove_file(files.join("b")).unwrap();
    let mut sink = sink(&place);
    sink.begin(&Inventory::default()).unwrap();
    let blobs = || fs::read_dir(place.join("blobs/sha256")).unwrap().count();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let pack = options(compression, 2);
        let result = sink.make(Kind::Blob, |to| build(&tree, &pack, to, &Cancel::default(), &|_| ()));
        let error = refused(result.map(drop));
        assert!(error.contains("files/b"), "{error}");
        assert_eq!(blobs(), 0);
    }
    // a failed write is no content, even if whoever wrote went on
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    fs::write(files.join("b"), "back").unwrap();
    let tree = tree_of(&files);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut full = Full;
        let mut making = Making::new(Kind::Blob, "the/place", &mut full);
        let error = build(&tree, &options(compression, 2), &mut making, &Cancel::default(), &|_| ()).unwrap_err();
        assert!(error.to_string().contains("cannot write the/place"), "{error}");
        assert!(matches!(error, StoreError::Io { ref source, .. } if source.kind() == io::ErrorKind::StorageFull));
        assert!(making.finish().is_err());
    }
}

/// Keeps the first bytes, and is full then.
struct Narrow(Vec<u8>);

impl io::Write for Narrow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(4096 - self.0.len());
        self.0.extend_from_slice(&bytes[..count]);
        if count == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(count) }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_of_nine_gib_has_its_size_in_a_pax_header() {
    let temp = tempfile::tempdir().unwrap();
    fs::File::create(temp.path().join("huge")).unwrap().set_len(9 << 30).unwrap();
    let mut narrow = Narrow(Vec::new());
    assert!(barge::layer::write(&tree_of(temp.path()), &mut narrow).is_err());
    assert!(String::from_utf8_lossy(&narrow.0).contains("19 size=9663676416\n"));
    assert_eq!(narrow.0[1024 + 156], b'0', "the header of the file comes behind it");
}
