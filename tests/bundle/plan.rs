//! `save --dry-run` with `--split` or `--media`: which parts there would be.

use super::split::two_images;
use super::*;

#[test]
fn a_dry_run_says_which_images_lie_in_which_part() {
    let barge = Barge::new();
    two_images().layout(&barge.path("source"));
    let told = barge.line("save --dry-run --split 4M -o x.tar source").exits(0);
    told.says(&["x.tar would be 2 parts of at most 4.0 MiB, 5.6 MiB in all:", "  x.tar.001  4.0 MiB\n", "an estimate"]);
    let plan = barge.line("save --dry-run --json --split 4M -o x.tar source").exits(0).json()["stats"]["plan"].clone();
    assert!(!barge.path("x.tar.001").exists());
    assert_clean(&barge, "a dry run");
    barge.line("save --split 4M -o x.tar source").exits(0);
    let parts = plan["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 2);
    let mut bytes = 0;
    for part in parts {
        let name = part["name"].as_str().unwrap();
        let size = fs::metadata(barge.path(name)).unwrap().len();
        assert_eq!(part["size"].as_u64(), Some(size), "{name}");
        let number: u64 = name.rsplit('.').next().unwrap().parse().unwrap();
        let note = fs::read(barge.path(format!("x.tar.part-{number:03}.json"))).unwrap();
        let note = barge::bundle::PartNote::parse(&note).unwrap();
        let shares = part["images"].as_array().unwrap().iter().chain([&part["shared"]]);
        let (mut pieces, mut here) = (0, 0);
        for share in shares {
            pieces += share["pieces"].as_u64().unwrap();
            here += share["bytes"].as_u64().unwrap();
        }
        assert_eq!(pieces, note.pieces.len() as u64);
        assert_eq!(here, note.pieces.iter().map(|piece| piece.section.length).sum::<u64>());
        bytes += here;
    }
    let blobs = blobs(&barge.path("source"));
    assert_eq!(
        bytes,
        blobs.iter().map(|blob| fs::metadata(blob).unwrap().len()).sum::<u64>(),
        "shared content counts once"
    );
    let shared: u64 = parts.iter().map(|part| part["shared"]["bytes"].as_u64().unwrap()).sum();
    assert_eq!(shared, 700_000);
    assert_eq!(plan["estimate"]["bytes"].as_u64(), Some(bytes));
}
