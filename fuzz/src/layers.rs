//! Layers: what is unpacked stays where it is told to.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;

use barge::blob::Cancel;
use barge::content::{Descriptor, Kind};
use barge::digest::Digest;
use barge::media::{MediaType, OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_MANIFEST};
use barge::ops::choose::choose_image;
use barge::ops::unpack::{Options, Owners, unpack};
use barge::platform::PlatformFilter;
use barge::store::Durability;
use barge::store::memory::Memory;
use serde_json::json;

use crate::places::Careful;
use crate::tars::with_check_sums;
use crate::{directory, shown};

/// Up to three layers, one over the other, cut at two bytes that stand in no text; some are packed.
pub fn layer(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let mut memory = Memory::new("it");
    let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
    for (at, tar) in cut(rest).into_iter().enumerate() {
        let tar = with_check_sums(tar);
        diff_ids.push(Digest::of(&tar).to_string());
        let packed = first & (1 << at) != 0;
        let (media_type, bytes) = if packed { (OCI_LAYER_GZIP, gzip(&tar)) } else { (OCI_LAYER, tar) };
        let media_type = MediaType::from(media_type);
        memory.add(&bytes, Kind::Blob);
        layers.push(Descriptor::of(&media_type, &bytes).to_value());
    }
    let rootfs = json!({"type": "layers", "diff_ids": diff_ids});
    let config = json!({"os": "linux", "architecture": "amd64", "rootfs": rootfs}).to_string();
    memory.add(config.as_bytes(), Kind::Blob);
    let config = Descriptor::of(&MediaType::from(OCI_CONFIG), config.as_bytes()).to_value();
    let manifest =
        json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}).to_string();
    let media_type = MediaType::from(OCI_MANIFEST);
    memory.add(manifest.as_bytes(), Kind::Manifest(media_type.clone()));
    memory.add_root(Descriptor::of(&media_type, manifest.as_bytes()));

    let place = directory();
    // what a way out would lead to
    let canary = place.path().join("canary");
    fs::create_dir(&canary).expect("a directory");
    fs::write(canary.join("file"), "as it was").expect("a file");
    symlink("file", canary.join("link")).expect("a link");
    let image = choose_image(&memory, None, &PlatformFilter::default()).expect("an image");
    let to = place.path().join("root");
    let options = Options { owners: Owners::Mine, size: 1 << 20, files: 1000, durability: Durability::Unsynced };
    let result = unpack(&memory, &image, &to, &options, &Cancel::default(), &Careful);
    if let Err(error) = &result {
        shown(error);
    }
    let mut found: Vec<_> =
        fs::read_dir(place.path()).expect("a directory").map(|it| it.expect("an entry").file_name()).collect();
    found.sort();
    match result {
        Ok(_) => assert_eq!(found, ["canary", "root"]),
        Err(_) => assert_eq!(found, ["canary"], "nothing is left of what is wrong"),
    }
    assert_eq!(fs::read_dir(&canary).expect("a directory").count(), 2);
    assert_eq!(fs::read(canary.join("file")).expect("a file"), b"as it was");
    assert_eq!(fs::read_link(canary.join("link")).expect("a link").to_str(), Some("file"));
}

fn cut(input: &[u8]) -> Vec<&[u8]> {
    let mut pieces = vec![input];
    while pieces.len() < 3 {
        let last = pieces[pieces.len() - 1];
        let Some(at) = last.windows(2).position(|pair| pair == [0xff, 0xfe]) else { break };
        let end = pieces.len() - 1;
        pieces[end] = &last[..at];
        pieces.push(&last[at + 2..]);
    }
    pieces
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).expect("a vector takes everything");
    packer.finish().expect("a vector takes everything")
}
