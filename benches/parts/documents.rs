//! JSON, read strictly: an `index.json` of many images, a manifest, a config, and an edit that keeps every other byte.

use std::hint::black_box;

use barge::content::{CONTAINERD_NAME, Descriptor, REF_NAME};
use barge::document::{Document, ImageConfig};
use barge::json;
use barge::media::{MediaType, OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST};
use criterion::{Criterion, Throughput};
use serde_json::{Value, json};

fn descriptor(media_type: &str, nth: usize) -> Value {
    Descriptor::of(&media_type.into(), format!("{media_type} {nth}").as_bytes()).to_value()
}

fn index(images: usize) -> Vec<u8> {
    let image = |nth: usize| {
        let mut image = descriptor(OCI_MANIFEST, nth);
        image["platform"] = json!({"os": "linux", "architecture": "amd64"});
        image["annotations"] = json!({REF_NAME: "v1", CONTAINERD_NAME: format!("registry.example/org/app-{nth}:v1")});
        image
    };
    let images: Vec<Value> = (0..images).map(image).collect();
    json::encode(&json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": images}))
}

fn manifest(layers: usize) -> Vec<u8> {
    let layers: Vec<Value> = (0..layers).map(|nth| descriptor(OCI_LAYER_GZIP, nth)).collect();
    let config = descriptor(OCI_CONFIG, 0);
    json::encode(&json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}))
}

fn config(layers: usize) -> Vec<u8> {
    let ids: Vec<Value> = (0..layers).map(|nth| descriptor(OCI_LAYER_GZIP, nth)["digest"].clone()).collect();
    let history = vec![json!({"created_by": "RUN true", "created": "2026-01-01T00:00:00Z"}); layers];
    json::encode(&json!({"os": "linux", "architecture": "amd64", "config": {"Env": ["PATH=/bin"]}, "history": history,
        "rootfs": {"type": "layers", "diff_ids": ids}}))
}

pub(crate) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("json");
    for (name, media_type, bytes) in
        [("manifest of 20 layers", OCI_MANIFEST, manifest(20)), ("index of 10,000 images", OCI_INDEX, index(10_000))]
    {
        let media_type = MediaType::from(media_type);
        group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(if bytes.len() > 100_000 {
            10
        } else {
            100
        });
        group.bench_function(format!("{name}, descriptors"), |bench| {
            bench.iter(|| Document::parse(&media_type, bytes.clone()).unwrap());
        });
        group.bench_function(format!("{name}, strict"), |bench| bench.iter(|| json::parse(&bytes).unwrap()));
        group.bench_function(format!("{name}, serde_json alone"), |bench| {
            bench.iter(|| serde_json::from_slice::<Value>(&bytes).unwrap());
        });
    }
    let bytes = config(20);
    group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(100);
    group.bench_function("config of 20 layers", |bench| bench.iter(|| ImageConfig::parse(&bytes).unwrap()));
    let bytes = index(10_000);
    let value = json::parse(&bytes).unwrap();
    group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(10);
    group.bench_function("index of 10,000 images, encode", |bench| bench.iter(|| black_box(json::encode(&value))));
    group.bench_function("index of 10,000 images, one more name", |bench| {
        bench.iter(|| {
            let mut object = json::Object::parse(&bytes).unwrap();
            let mut items = object.items("manifests");
            items.extend(items.last().cloned());
            object.set_items("manifests", &items);
            object.to_raw()
        });
    });
    group.finish();
}
