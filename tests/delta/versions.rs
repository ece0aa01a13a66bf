//! An application in several versions: two base layers that stay, and one on top that changes.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::environment::Barge;
use crate::support::image::{Images, Layer, annotated, digest, named, on};

pub(crate) const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// Returns the layers that all versions share.
pub(crate) fn shared(platform: &str) -> [Layer; 2] {
    let text = |what: &str| format!("{what} of {platform}\n").repeat(2000);
    [Layer::gzip(text("the base").as_bytes()), Layer::plain(text("the runtime").as_bytes())]
}

/// Writes a layout with one version, or adds it to what was written: `ghcr.io/org/app:vN`.
pub(crate) fn version(number: u32) -> (Images, String) {
    let mut images = Images::new();
    let mut entries: Vec<Value> = Vec::new();
    for platform in PLATFORMS {
        let mut layers = shared(platform).to_vec();
        layers
            .push(Layer::plain(format!("version {number} for {platform}\n").repeat(300 + number as usize).as_bytes()));
        entries.push(on(images.image(platform, &layers), platform));
    }
    let index = images.index(&entries);
    let name = format!("ghcr.io/org/app:v{number}");
    let root = annotated(named(index, &format!("v{number}")), crate::support::image::FULL_NAME, &name);
    let top = digest(&root).to_owned();
    images.root(root);
    (images, top)
}

/// Writes the layouts `v1`, `v2` ... and returns the digests of their images.
pub(crate) fn layouts(barge: &Barge, numbers: &[u32]) -> Vec<String> {
    numbers
        .iter()
        .map(|number| {
            let (images, top) = version(*number);
            images.layout(&barge.path(format!("v{number}")));
            top
        })
        .collect()
}

/// Returns the files of an archive, in their order.
pub(crate) fn files_of(archive: &Path) -> Vec<(String, Vec<u8>)> {
    crate::support::tar::files(&fs::read(archive).unwrap())
}

/// Returns the `bundle.json` of an archive.
pub(crate) fn bundle_json(archive: &Path) -> Value {
    let files = files_of(archive);
    let (_, bytes) = files.iter().find(|(name, _)| name == "bundle.json").unwrap();
    serde_json::from_slice(bytes).unwrap()
}

/// Writes an archive anew with its `bundle.json` changed.
pub(crate) fn with_bundle_json(archive: &Path, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let mut tar = crate::support::tar::Tar::new();
    for (name, bytes) in files_of(archive) {
        let bytes = if name == "bundle.json" { change(bytes) } else { bytes };
        tar = tar.file(&name, &bytes);
    }
    fs::write(archive, tar.finished()).unwrap();
}
