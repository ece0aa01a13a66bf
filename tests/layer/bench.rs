//! How fast a layer is built, against `tar | gzip` and `tar | pigz`: run by hand, in one run, with `--release --ignored`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use barge::blob::{Cancel, Making};
use barge::content::Kind;
use barge::layer::build;
use barge::media::Compression;

use super::{options, tree_of};

#[test]
#[ignore = "a measurement; LAYER_OF names a directory"]
fn speed() {
    let directory = std::env::var_os("LAYER_OF").unwrap();
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    let shell = |line: &str| {
        let start = Instant::now();
        let status = Command::new("sh").args(["-c", line]).current_dir(&directory).env("OUT", &out).status().unwrap();
        assert!(status.success());
        (start.elapsed().as_secs_f64(), fs::metadata(&out).unwrap().len())
    };
    let ours = |compression, jobs| {
        let start = Instant::now();
        let tree = tree_of(Path::new(&directory));
        let mut file = fs::File::create(&out).unwrap();
        let mut making = Making::new(Kind::Blob, &out, &mut file);
        let built = build(&tree, &options(compression, jobs), &mut making, &Cancel::default(), &|_| ()).unwrap();
        (start.elapsed().as_secs_f64(), built.size)
    };
    type Line<'a> = (&'a str, &'a dyn Fn() -> (f64, u64));
    let lines: [Line<'_>; 9] = [
        ("tar | cat", &|| shell("tar cf - . | cat > $OUT")),
        ("barge none", &|| ours(Compression::None, 2)),
        ("tar | gzip", &|| shell("tar c . | gzip > $OUT")),
        ("tar | pigz", &|| shell("tar c . | pigz > $OUT")),
        ("barge gzip 1", &|| ours(Compression::Gzip, 1)),
        ("barge gzip 2", &|| ours(Compression::Gzip, 2)),
        ("tar | zstd -T2", &|| shell("tar c . | (zstd -T2 2>/dev/null || cat) > $OUT")),
        ("barge zstd 1", &|| ours(Compression::Zstd, 1)),
        ("barge zstd 2", &|| ours(Compression::Zstd, 2)),
    ];
    for (name, run) in lines {
        let (seconds, size) = run();
        println!("{name:<16} {seconds:7.2} s {:8.1} MB", size as f64 / 1e6);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());
}
