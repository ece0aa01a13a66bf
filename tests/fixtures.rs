//! The fixtures are what `fixtures/digests.txt` says, as barge reads them. Another program wrote that list.

#![allow(clippy::unwrap_used)] // all of this is tests

mod support;

use std::collections::BTreeSet;

use barge::blob::Cancel;
use barge::content::Descriptor;
use barge::document::{Body, ImageConfig};
use barge::ops::open::{Context, open_path};
use barge::ops::parts::SplitArchives;
use barge::platform::Platform;
use barge::store::layout::KnownIndexes;
use barge::store::{Source, read_document, read_small};
use barge::transfer::Deaf;

use support::digests::{self, Line};

/// Reads everything that an image refers to, each piece through the reader that checks its size and digest.
fn read(source: &dyn Source, fixture: &str, root: &Descriptor, found: &mut Vec<Line>) {
    let line = |platform: &str, kind: &str, of: &Descriptor| Line {
        fixture: fixture.to_owned(),
        platform: platform.to_owned(),
        kind: kind.to_owned(),
        digest: of.digest().to_string(),
        size: of.size(),
    };
    match read_document(source, root).unwrap().body() {
        Body::Index(index) => {
            found.push(line("-", "index", root));
            for child in &index.manifests {
                read(source, fixture, child, found);
            }
        }
        Body::Manifest(manifest) => {
            let config = manifest.config.as_ref().unwrap();
            let platform = ImageConfig::parse(&read_small(source, &config.content()).unwrap()).unwrap().platform;
            let platform = as_written(&platform);
            found.push(line(&platform, "manifest", root));
            found.push(line(&platform, "config", config));
            for layer in &manifest.layers {
                source.open(&layer.content()).unwrap().check().unwrap();
                found.push(line(&platform, "layer", layer));
            }
        }
    }
}

/// A platform as its config writes it: `linux/arm64/v8`, which barge shows as `linux/arm64`.
fn as_written(platform: &Platform) -> String {
    let parts = [Some(platform.os.as_str()), Some(&platform.architecture), platform.variant.as_deref()];
    parts.into_iter().flatten().collect::<Vec<_>>().join("/")
}

#[test]
fn all_content_is_as_listed() {
    let listed = digests::lines();
    let fixtures: BTreeSet<&str> = listed.iter().map(|line| line.fixture.as_str()).collect();
    assert_eq!(fixtures.len(), 8);
    for fixture in fixtures {
        let cancel = Cancel::default();
        let registries = barge::store::registry::Registries::forbidden("the fixtures are here", None, &cancel);
        let split = SplitArchives::default();
        let context = Context {
            layout: None,
            bases: &[],
            tmpdir: None,
            part_dirs: &[],
            split: &split,
            indexes: &KnownIndexes::default(),
            cancel: &cancel,
            observer: &Deaf,
            registries: &registries,
        };
        let store = open_path(&digests::fixtures().join(fixture), &context).unwrap();
        let mut found = Vec::new();
        for root in store.roots().unwrap() {
            read(&store, fixture, &root, &mut found);
        }
        let mut expected: Vec<Line> = listed.iter().filter(|line| line.fixture == fixture).cloned().collect();
        if !expected.iter().any(|line| line.kind == "manifest") {
            // a docker-archive has none: barge makes it
            found.retain(|line| line.kind != "manifest");
        }
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{fixture}");
    }
}

#[test]
fn every_fixture_is_in_the_list() {
    let listed: BTreeSet<String> = digests::lines().into_iter().map(|line| line.fixture).collect();
    let entries = std::fs::read_dir(digests::fixtures()).unwrap().map(|entry| entry.unwrap());
    let image = |entry: &std::fs::DirEntry| {
        entry.path().join("oci-layout").exists() || entry.path().extension().is_some_and(|end| end == "tar")
    };
    let there: BTreeSet<String> = entries.filter(image).map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert_eq!(there, listed);
}
