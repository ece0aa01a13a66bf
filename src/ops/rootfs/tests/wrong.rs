//! Layers that are wrong, from the beginning or only when they are read again.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::blob::BlobReader;
use crate::content::Content;
use crate::error::Class;
use crate::ops::rootfs::{FlattenError, LayerOf};
use crate::store::{Location, Source, StoreError};
use crate::transfer::{Event, Observer};

/// A place whose content changes when it is told to.
struct Fickle {
    bytes: Vec<u8>,
    changed: AtomicBool,
    location: Location,
}

impl Source for Fickle {
    fn location(&self) -> &Location {
        &self.location
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        Ok(Vec::new())
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        let mut bytes = self.bytes.clone();
        if self.changed.load(Ordering::Relaxed) {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
        }
        Ok(BlobReader::new(content.clone(), io::Cursor::new(bytes)))
    }
}

fn layer_of<'a>(source: &'a dyn Source, bytes: &[u8]) -> LayerOf<'a> {
    let descriptor = Descriptor::of(&OCI_LAYER.into(), bytes);
    LayerOf { source, descriptor, diff_id: Digest::of(bytes), about: "layer 1 of test".to_owned() }
}

#[test]
fn a_layer_that_changes_gives_nothing_that_counts_as_good() {
    let bytes = Tar::new().file("a", b"content").finished();
    let source = Fickle { bytes: bytes.clone(), changed: AtomicBool::new(false), location: Location::Stdio };
    let layers = vec![layer_of(&source, &bytes)];
    let rootfs = Rootfs::read(layers.clone(), &Limits::default(), &Cancel::default(), &Deaf).unwrap();
    assert!(rootfs.read_file(Path::new("a"), 100).unwrap().is_some());
    source.changed.store(true, Ordering::Relaxed);
    let wrong = |error: &Error| {
        let told = told(error);
        assert!(told.contains("layer 1 of test") && told.contains("content is sha256:"), "{told}");
        assert_eq!(error.class(), Class::Content);
    };
    wrong(&rootfs.read_file(Path::new("a"), 100).unwrap_err());
    match rootfs.flatten(&mut io::sink()) {
        Err(FlattenError::From(error)) => wrong(&error),
        other => panic!("{other:?}"),
    }
    let spool = tempfile::tempdir().unwrap();
    let mut tree = Tree::new();
    let picking = Picking::new(&rootfs, "base", spool.path());
    wrong(&picking.add(&mut tree, &AddOptions::new(Path::new("/")), Path::new("a")).unwrap_err());
    assert!(tree.is_empty());
    wrong(&Rootfs::read(layers, &Limits::default(), &Cancel::default(), &Deaf).unwrap_err());
}

#[test]
fn what_no_layer_may_hold_is_refused() {
    let good = Tar::new().file("d/f", b"").finished();
    for (reason, layer, complaint) in [
        ("climbs", Tar::new().file("../x", b""), "climbs"),
        ("link that climbs", Tar::new().hard_link("l", "../x"), "climbs"),
        ("link to nothing", Tar::new().hard_link("l", "x"), "is not there"),
        ("link to a directory", Tar::new().hard_link("l", "d"), "is a directory"),
        ("link in the place of its target", Tar::new().hard_link("d", "d/f"), "it takes the place of"),
        ("below a file", Tar::new().file("d/f/x", b""), "no directory"),
        ("circle", Tar::new().symlink("c", "c").file("c/x", b""), "circle"),
        ("link to a NUL", Tar::new().pax(&[("linkpath", "a\0b")]).symlink("l", "x"), "NUL"),
        ("unknown", Tar::new().entry(Block::ustar("s").flag(b's'), b""), "unknown type"),
        ("root", Tar::new().file("/", b"").symlink(".", "x"), "in the place of the root"),
        ("sparse", Tar::new().entry(Block::gnu("s").flag(b'S'), b""), "sparse"),
    ] {
        let source = image(&[good.clone(), layer.finished()]);
        let error = told(&read(&source).unwrap_err());
        assert!(error.contains(complaint) && error.contains("layer 2 of"), "{reason}: {error}");
    }
    let source = image(std::slice::from_ref(&good));
    let mut layers = layers_of(&source, &chosen(&source)).unwrap();
    layers[0].diff_id = Digest::of(b"other");
    let error = Rootfs::read(layers, &Limits::default(), &Cancel::default(), &Deaf).unwrap_err();
    assert!(told(&error).contains("expected the diff_id"), "{}", told(&error));
}

#[test]
fn limits_hold_over_all_layers() {
    let layer = Tar::new().file("a", b"1").finished();
    let source = image(&[layer.clone(), layer.clone()]);
    let with = |size: u64, files: u64| {
        let layers = layers_of(&source, &chosen(&source)).unwrap();
        Rootfs::read(layers, &Limits { size, files }, &Cancel::default(), &Deaf).map(drop)
    };
    let size = 2 * layer.len() as u64;
    with(size, 2).unwrap();
    assert!(told(&with(size - 1, 2).unwrap_err()).contains("bomb"));
    assert!(told(&with(size, 1).unwrap_err()).contains("more than 1 files"));
}

#[test]
fn a_request_to_stop_is_heard() {
    let source = image(&zoo());
    let layers = layers_of(&source, &chosen(&source)).unwrap();
    let cancel = Cancel::default();
    let rootfs = Rootfs::read(layers.clone(), &Limits::default(), &cancel, &Deaf).unwrap();
    cancel.cancel();
    assert_eq!(Rootfs::read(layers, &Limits::default(), &cancel, &Deaf).unwrap_err().class(), Class::Interrupted);
    assert_eq!(rootfs.read_file(Path::new("etc/a"), 100).unwrap_err().class(), Class::Interrupted);
    match rootfs.flatten(&mut io::sink()) {
        Err(FlattenError::From(error)) => assert_eq!(error.class(), Class::Interrupted),
        other => panic!("{other:?}"),
    }
    let picking = Picking::new(&rootfs, "base", "/nowhere");
    let error = picking.add(&mut Tree::new(), &AddOptions::new(Path::new("/")), Path::new("/")).unwrap_err();
    assert_eq!(error.class(), Class::Interrupted);
}

#[test]
fn what_goes_on_is_told_but_for_the_end() {
    struct Told(std::sync::Mutex<Vec<String>>);
    impl Observer for Told {
        fn hear(&self, event: Event<'_>) {
            self.0.lock().unwrap().push(match event {
                Event::Begun { pieces, bytes } => format!("begun {pieces} {bytes}"),
                Event::Advanced { .. } | Event::Skipped { .. } => return,
                Event::Started { about, .. } => format!("started {about}"),
                Event::Finished { outcome, .. } => outcome.word().to_owned(),
                other => format!("{other:?}"),
            });
        }
    }
    let layers = [Tar::new().file("a", b"1").finished(), Tar::new().file("../b", b"1").finished()];
    let source = image(&layers);
    let heard = Told(std::sync::Mutex::default());
    Rootfs::read(layers_of(&source, &chosen(&source)).unwrap(), &Limits::default(), &Cancel::default(), &heard)
        .unwrap_err();
    let heard = heard.0.into_inner().unwrap();
    let expected = [
        "begun 2 4096",
        "started layer 1 of linux/amd64, 2.0 KiB",
        "checked",
        "started layer 2 of linux/amd64, 2.0 KiB",
        "failed",
    ];
    assert_eq!(heard, expected);
}
