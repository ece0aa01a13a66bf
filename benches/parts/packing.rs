//! gzip as a build packs its layers, and back as `verify --deep` and `unpack` read them.

use std::io::{self, Read as _};
use std::num::NonZeroUsize;

use barge::digest::Algorithm;
use barge::media::Compression;
use barge::pack::{PackOptions, pack};
use criterion::{Criterion, Throughput};
use flate2::bufread::MultiGzDecoder;

const SIZE: usize = 32 << 20;

fn packed(bytes: &[u8], jobs: NonZeroUsize) -> Vec<u8> {
    let compression = Compression::Gzip;
    let options = PackOptions { compression, level: PackOptions::usual_level(compression), jobs };
    let mut out = Vec::with_capacity(bytes.len());
    pack(&options, &mut out, |to| to.write_all(bytes)).unwrap();
    out
}

pub(crate) fn benches(criterion: &mut Criterion) {
    let bytes = super::sample(SIZE);
    let all = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let mut group = criterion.benchmark_group("gzip");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(10);
    for (name, jobs) in [("pack, 1 thread", NonZeroUsize::MIN), ("pack, all threads", all)] {
        group.bench_function(name, |bench| bench.iter(|| packed(&bytes, jobs)));
    }
    let gzip = packed(&bytes, all);
    group.bench_function("unpack", |bench| {
        bench.iter(|| assert_eq!(io::copy(&mut MultiGzDecoder::new(&gzip[..]), &mut io::sink()).unwrap(), SIZE as u64));
    });
    group.bench_function("unpack and hash", |bench| {
        bench.iter(|| {
            let mut hasher = Algorithm::Sha256.hasher();
            let mut decoder = MultiGzDecoder::new(&gzip[..]);
            let mut buffer = vec![0; barge::blob::CHUNK];
            loop {
                match decoder.read(&mut buffer).unwrap() {
                    0 => break hasher.finish(),
                    count => hasher.update(&buffer[..count]),
                }
            }
        });
    });
    group.finish();
}
