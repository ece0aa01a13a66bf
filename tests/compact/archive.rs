//! Compact archives through the program: whatever reads an archive reads them, and what comes out is what went in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use barge::blob::Cancel;
use barge::digest::Digest;
use barge::store::archive::{Archive, ReadOptions};

use crate::environment::{Barge, assert_clean};
use crate::packer::{Made, Maker, packed};
use crate::rebuild::tar;
use crate::support::image::{GZIP, Images, LAYER, Layer, annotated, digest, named};
use crate::support::tar::Tar;

pub(crate) const NAME: &str = "ghcr.io/org/app:v1";

/// An image with a layer that Go packed, one that nobody packed, and one that nobody can make again.
pub(crate) fn images(made: &mut Maker, seed: u64) -> Images {
    let mut images = Images::new();
    let mut layers = Vec::new();
    for (number, level) in [(0, Some(6)), (1, None), (2, Some(9))] {
        let plain = tar(seed + number, 12, 60_000);
        let bytes = made.layer(&plain, level, 100_000);
        let media_type = if level.is_some() { GZIP } else { LAYER };
        layers.push(Layer { media_type, bytes, ..Layer::plain(&plain) });
    }
    layers.push(Layer::zstd(&tar(seed + 9, 1, 1000)));
    let image = images.image("linux/amd64", &layers);
    let root = annotated(named(image, "v1"), barge::content::CONTAINERD_NAME, NAME);
    images.root(root);
    images
}

/// Writes a compact archive: without its layers, with pieces.
pub(crate) fn write(path: &Path, images: &Images, made: &Made) {
    write_with(path, images, made, &made.index.encode());
}

pub(crate) fn write_with(path: &Path, images: &Images, made: &Made, index: &[u8]) {
    let mut blobs: BTreeMap<String, Vec<u8>> = images.blobs.clone();
    for layer in &made.index.layers {
        blobs.remove(&layer.digest.to_string());
    }
    for bytes in &made.pieces {
        blobs.insert(Digest::of(bytes).to_string(), bytes.clone());
    }
    let mut tar = Tar::new()
        .file("oci-layout", barge::store::OCI_LAYOUT)
        .file("index.json", &images.index_json())
        .file("compact.json", index);
    for (digest, bytes) in &blobs {
        tar = tar.file(&format!("blobs/{}", digest.replace(':', "/")), bytes);
    }
    fs::write(path, tar.finished()).unwrap();
}

fn blobs(layout: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(layout.join("blobs/sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn it_is_read_like_any_other() {
    let barge = Barge::new();
    let mut maker = Maker::default();
    let images = images(&mut maker, 10);
    images.layout(&barge.path("plain"));
    write(&barge.path("c.tar"), &images, &maker.finish());

    barge.line("ls c.tar").exits(0).prints(&["app:v1"]).silent();
    barge.line("inspect c.tar").exits(0).silent();
    barge.line("tree c.tar").exits(0).silent();
    let verified = barge.line("verify --deep c.tar").exits(0);
    verified
        .prints(&["ok: 1 image, 6 blobs", "4 layers unpacked", "compact: 3 layers made again"])
        .never(&["unreferenced"]);
    barge.line("load -L loaded -i c.tar").exits(0);
    barge.line("copy c.tar copied").exits(0);
    for layout in ["loaded", "copied"] {
        assert_eq!(blobs(&barge.path(layout)), blobs(&barge.path("plain")), "{layout}");
        barge.line(&format!("verify --deep {layout}")).exits(0);
    }
    barge.line("save -o direct.tar plain").exits(0);
    barge.line("save -o again.tar c.tar").exits(0);
    assert!(fs::read(barge.path("direct.tar")).unwrap() == fs::read(barge.path("again.tar")).unwrap());
    barge.line("unpack c.tar root").exits(0);
    assert!(barge.path("root/d/3").is_file());
    assert_clean(&barge, "all of it");
}

#[test]
fn it_is_not_changed() {
    let barge = Barge::new();
    let mut maker = Maker::default();
    let images = images(&mut maker, 20);
    write(&barge.path("c.tar"), &images, &maker.finish());
    let before = fs::read(barge.path("c.tar")).unwrap();
    for line in ["rm c.tar:v1", "copy c.tar:v1 oci-archive:c.tar:v2"] {
        barge.line(line).exits(9).says(&["cannot change oci-archive:c.tar", "it is compact", "load it into a layout"]);
    }
    assert!(fs::read(barge.path("c.tar")).unwrap() == before);
    assert_clean(&barge, "a refusal");
}

#[test]
fn the_bytes_of_a_layer_can_be_read_in_any_order() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("c.tar");
    let mut maker = Maker::default();
    let images = images(&mut maker, 30);
    let made = maker.finish();
    write(&path, &images, &made);
    let archive = Archive::open(&path, &ReadOptions::default(), &Cancel::default()).unwrap();
    for layer in &made.index.layers {
        let expected = &images.blobs[&layer.digest.to_string()];
        assert_eq!(archive.size_unverified(&layer.digest), Some(layer.size));
        let (mut buffer, middle) = ([0; 1000], expected.len() / 2);
        for at in [middle, 0, expected.len() - 300, expected.len(), expected.len() + 5] {
            let count = archive.read_at_unverified(&layer.digest, &mut buffer, at as u64).unwrap();
            let rest = expected.get(at..).unwrap_or_default();
            assert!(buffer[..count] == rest[..rest.len().min(1000)]);
        }
    }
    let listed: Vec<String> = archive.blobs().iter().map(|(digest, _)| digest.to_string()).collect();
    assert_eq!(listed, images.blobs.keys().cloned().collect::<Vec<_>>());
    let ranges = archive.ranges();
    assert!(made.index.pieces.iter().all(|piece| ranges.iter().any(|(digest, _)| *digest == piece.digest)));
}

/// An image whose one layer changes a little.
fn versions() -> (Images, Images, Made) {
    let (old, mut new) = (tar(40, 12, 60_000), Tar::new());
    for part in crate::packer::parts(&old) {
        if let crate::packer::Part::Content(name, mut bytes) = part {
            bytes.extend(b"more");
            new = new.file(std::str::from_utf8(&name).unwrap(), &bytes);
        }
    }
    let new = new.finished();
    let (base, ..) = packed(&old, 6, u64::MAX);
    let mut maker = Maker::default();
    maker.base(&base, &old);
    let layer = maker.layer(&new, Some(6), 100_000);
    let image = |plain: &[u8], bytes, tag: &str| {
        let mut images = Images::new();
        let image = images.image("linux/amd64", &[Layer { media_type: GZIP, bytes, ..Layer::plain(plain) }]);
        let name = format!("ghcr.io/org/app:{tag}");
        images.root(annotated(named(image, tag), barge::content::CONTAINERD_NAME, &name));
        images
    };
    (image(&old, base, "v1"), image(&new, layer, "v2"), maker.finish())
}

#[test]
fn an_update_finds_its_base_in_the_layout() {
    let barge = Barge::new();
    let (old, new, made) = versions();
    old.layout(&barge.path("old"));
    write(&barge.path("d.tar"), &new, &made);
    let base = made.index.bases[0].digest.to_string();
    let missing = ["what it builds on is not there: 1 blob, ", &base, "a layer of example.com/app:v1, of whose bytes"];
    for line in ["copy d.tar out", "load -L empty -i d.tar", "load -i d.tar -o out"] {
        barge.line(line).exits(4).says(&missing);
    }
    barge.line("save -o plain.tar d.tar").exits(4).says(&["made of bytes of the base layer", &base, "-L DIR"]);
    for place in ["out", "empty", "plain.tar"] {
        assert!(!barge.path(place).exists(), "{place}");
    }
    let verified = barge.line("verify d.tar").exits(0);
    verified.prints(&["1 layer", "not checked: layers of example.com/app:v1 are needed to make them"]);
    barge.line("verify -L old d.tar").exits(0).prints(&["compact: 1 layer made again"]).never(&["not checked"]);
    barge.line("copy -L old d.tar out2").exits(0);
    barge.line("load -L old -i d.tar").exits(0);
    // where it goes is looked into as well
    for (place, line) in [("site", "load -i d.tar -o site"), ("mirror", "copy d.tar mirror")] {
        versions().0.layout(&barge.path(place));
        barge.line(line).exits(0);
    }
    let layer = digest(&serde_json::json!({"digest": made.index.layers[0].digest.to_string()})).to_owned();
    for place in ["old", "out2", "site", "mirror"] {
        let blob = barge.path(place).join("blobs").join(layer.replace(':', "/"));
        assert!(fs::read(&blob).unwrap() == new.blobs[&layer], "{place}");
    }
    barge.line("verify --deep old").exits(0).prints(&["2 images"]);
    // what has the digest of the base is it, and nothing else
    let blob = barge.path("old/blobs").join(base.replace(':', "/"));
    let mut bytes = fs::read(&blob).unwrap();
    bytes[5000] ^= 1;
    fs::write(&blob, bytes).unwrap();
    barge.line("copy -L old d.tar out3").exits(4).says(&[&base]);
    assert_clean(&barge, "all of it");
}

#[test]
fn parts_of_it_are_read_together_and_taken_in_one_by_one() {
    let barge = Barge::new();
    let mut maker = Maker::default();
    let images = images(&mut maker, 70);
    write(&barge.path("c.tar"), &images, &maker.finish());
    let archive = fs::read(barge.path("c.tar")).unwrap();
    let parts = crate::made::cut(&archive, "c.tar", &[archive.len() / 2]);
    let [one, two] = [1, 2].map(|number| parts[0].0.names().part(number));
    parts.iter().for_each(|part| crate::made::lay(&barge.path(""), part));
    fs::remove_file(barge.path("c.tar")).unwrap();
    barge.line(&format!("verify --deep {one}")).exits(0).prints(&["compact: 3 layers made again", "in 2 parts"]);
    barge.line(&format!("load -L loaded -i {one}")).exits(0);
    fs::create_dir(barge.path("medium")).unwrap();
    for name in [two.clone(), parts[0].0.names().note(2)] {
        fs::rename(barge.path(&name), barge.path("medium").join(&name)).unwrap();
    }
    barge.line(&format!("load -L alone -i medium/{two}")).exits(3).says(&["part 1 of 2"]);
    assert_eq!(blobs(&barge.path("alone")), [""; 0], "what layers are made of is no content of a layout");
    barge.line(&format!("load -L alone -i {one}")).exits(0);
    assert_eq!(blobs(&barge.path("alone")), blobs(&barge.path("loaded")));
    assert_eq!(fs::read_dir(barge.path("alone")).unwrap().count(), 3, "what is no layout stayed");
}
