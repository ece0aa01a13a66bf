//! An archive is read once from header to header when it is opened; then any of its content can be had.

use std::fs::File;
use std::io::{BufWriter, Seek as _, SeekFrom, Write};
use std::path::Path;

use barge::blob::Cancel;
use barge::store::archive::{Archive, ReadOptions};
use criterion::{Criterion, Throughput};

/// Writes the header of an entry with the name of a blob, or with one of the two that an archive begins with.
fn header(to: &mut impl Write, name: &str, size: u64) {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    to.write_all(header.as_bytes()).unwrap();
}

/// Writes an archive without images, and with as many blobs of one size; their bytes are holes, which nobody reads here.
fn archive(path: &Path, count: u64, size: u64) {
    let mut to = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let front: [(&str, &[u8]); 2] =
        [("oci-layout", barge::store::OCI_LAYOUT), ("index.json", br#"{"schemaVersion":2,"manifests":[]}"#)];
    for (name, bytes) in front {
        header(&mut to, name, bytes.len() as u64);
        to.write_all(bytes).unwrap();
        to.write_all(&vec![0; bytes.len().next_multiple_of(512) - bytes.len()]).unwrap();
    }
    for nth in 0..count {
        header(&mut to, &format!("blobs/sha256/{nth:064x}"), size);
        let padded = size.next_multiple_of(512);
        match usize::try_from(padded) {
            Ok(small @ 0..=4096) => to.write_all(&[0; 4096][..small]).unwrap(),
            _ => drop(to.seek(SeekFrom::Current(i64::try_from(padded).unwrap())).unwrap()),
        }
    }
    to.write_all(&[0; 1024]).unwrap();
    to.flush().unwrap();
}

pub(crate) fn benches(criterion: &mut Criterion) {
    let temp = tempfile::tempdir().unwrap();
    let mut group = criterion.benchmark_group("tar index");
    group.sample_size(10);
    for (name, count, size) in [("100,000 entries of 1 KB", 100_000, 1000), ("20 entries of 1 GiB", 20, 1 << 30)] {
        let path = temp.path().join(format!("{count}.tar"));
        archive(&path, count, size);
        group.throughput(Throughput::Elements(count));
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let archive = Archive::open(&path, &ReadOptions::default(), &Cancel::default()).unwrap();
                assert_eq!(archive.blobs().len() as u64, count);
                archive
            });
        });
    }
    group.finish();
}
