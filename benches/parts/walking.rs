//! The walk that every command begins with: each manifest is read, hashed and parsed once, and what it refers to is noted.

use barge::content::{Descriptor, Kind};
use barge::document::Document;
use barge::graph::reach;
use barge::media::{MediaType, OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST};
use barge::store::memory::Memory;
use criterion::{Criterion, Throughput};
use serde_json::json;

/// How many layers an image has; only the last is its own.
const LAYERS: usize = 10;

/// Returns a store with an index of so many images, and how much is to be reached.
fn store(images: usize) -> (Memory, Descriptor, usize) {
    let mut memory = Memory::new("made");
    let layer = MediaType::from(OCI_LAYER_GZIP);
    let blob = |name: String| Descriptor::of(&layer, name.as_bytes()).to_value();
    let mut manifests = Vec::with_capacity(images);
    for image in 0..images {
        let config = Descriptor::of(&MediaType::from(OCI_CONFIG), format!("config {image}").as_bytes());
        let shared = (1..LAYERS).map(|nth| blob(format!("layer {nth} of {}", image % 20)));
        let layers: Vec<_> = shared.chain([blob(format!("layer of {image}"))]).collect();
        let value =
            json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config.to_value(), "layers": layers});
        manifests.push(add(&mut memory, OCI_MANIFEST, &value).to_value());
    }
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
    let root = add(&mut memory, OCI_INDEX, &index);
    (memory, root, 1 + 3 * images + 20.min(images) * (LAYERS - 1))
}

fn add(memory: &mut Memory, media_type: &str, value: &serde_json::Value) -> Descriptor {
    let media_type = MediaType::from(media_type);
    let document = Document::make(&media_type, value).unwrap();
    memory.add(document.raw(), Kind::Manifest(media_type));
    document.descriptor()
}

pub(crate) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("graph walk");
    group.sample_size(10);
    for images in [100, 10_000] {
        let (memory, root, expected) = store(images);
        group.throughput(Throughput::Elements(images as u64));
        group.bench_function(format!("{images} images of {LAYERS} layers"), |bench| {
            bench.iter(|| {
                let found = reach(&memory, std::slice::from_ref(&root), &mut |_, _| ());
                assert_eq!((found.nodes.len(), found.findings.len()), (expected, 0));
                found
            });
        });
    }
    group.finish();
}
