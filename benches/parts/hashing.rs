//! SHA-256 by the mebibyte is what nothing here can be faster than; what the reader adds to it shows beside it.

use std::fs::File;
use std::hint::black_box;
use std::io;

use barge::blob::BlobReader;
use barge::content::{Content, Kind};
use barge::digest::Algorithm;
use criterion::{Criterion, Throughput};

const SIZE: usize = 64 << 20;
const CHUNK: usize = 1 << 20;

pub(crate) fn benches(criterion: &mut Criterion) {
    let bytes = super::sample(SIZE);
    let content = Content::of(&bytes, Kind::Blob);
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("blob");
    std::fs::write(&path, &bytes).unwrap();
    let mut group = criterion.benchmark_group("hash");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(20);
    for (name, algorithm) in [("sha256", Algorithm::Sha256), ("sha512", Algorithm::Sha512)] {
        group.bench_function(format!("{name} of memory"), |bench| {
            bench.iter(|| {
                let mut hasher = algorithm.hasher();
                bytes.chunks(CHUNK).for_each(|chunk| hasher.update(chunk));
                black_box(hasher.finish())
            });
        });
    }
    group.bench_function("a file, checked", |bench| {
        bench.iter(|| BlobReader::of_file(content.clone(), File::open(&path).unwrap()).check().unwrap());
    });
    // a thread reads and hashes, another writes
    group.bench_function("a file, passed on", |bench| {
        bench.iter(|| {
            let blob = BlobReader::of_file(content.clone(), File::open(&path).unwrap());
            blob.copy_to(&mut io::sink()).unwrap()
        });
    });
    group.finish();
    let small: Vec<_> = bytes[..4_000_000].chunks(4000).map(|part| (Content::of(part, Kind::Blob), part)).collect();
    let mut group = criterion.benchmark_group("hash small");
    group.throughput(Throughput::Elements(small.len() as u64));
    group.bench_function("1000 blobs of 4 KB, checked", |bench| {
        bench.iter(|| {
            for (content, part) in &small {
                black_box(BlobReader::new(content.clone(), *part).check().unwrap());
            }
        });
    });
    group.finish();
}
