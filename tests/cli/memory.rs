//! Memory does not grow with the size of a layer.
//!
//! The layer is four times as large as what is allowed, and a hole, so only what is written costs time.

use std::fs;

use super::support::image::{CONFIG, Images, Layer, MANIFEST, config, manifest, named, sparse};
use super::*;

/// The promise of DESIGN.md, section 2, in KiB.
const LIMIT: u64 = 64 * 1024;
/// Of the layer, in bytes.
const SIZE: u64 = 256 << 20;

#[test]
fn memory_does_not_grow_with_a_layer() {
    let barge = Barge::new();
    sparse(&barge.path("source"), "linux/amd64", &[SIZE]);
    let mut measured = Vec::new();
    for (what, words) in [
        ("layout to layout", "copy --no-sync source copied"),
        ("layout to archive", "merge --no-sync -o app.tar -t app:v1 source"),
        ("layout to parts", "save --no-sync --split 100M -o parts.tar source"),
        ("archive to layout", "merge --no-sync -o layout -t app:v1 app.tar"),
        ("load of an archive", "load --no-sync -i app.tar -o loaded"),
        ("verify of a layout", "verify source"),
        ("verify --deep of an archive", "verify --deep app.tar"),
    ] {
        let most = peak(&barge, words);
        // one copy on the disk is enough at a time
        for layout in ["copied", "layout", "loaded"] {
            let _ = fs::remove_dir_all(barge.path(layout));
        }
        measured.push(format!("{what}: {} MiB", most / 1024));
        assert!(most < LIMIT, "{measured:?}");
        assert!(most > 0, "not measured: {what}");
    }
    println!("{SIZE} bytes: {measured:?}");
}

#[test]
fn thousands_of_images_are_looked_at_in_little_memory() {
    const IMAGES: usize = 3000;
    let barge = Barge::new();
    let mut images = Images::new();
    let layer = Layer::plain(b"layer");
    let config = images.document(CONFIG, &config("linux/amd64", std::slice::from_ref(&layer)));
    let layers = [images.put(layer.media_type, &layer.bytes)];
    for nth in 0..IMAGES {
        let mut manifest = manifest(&config, &layers);
        manifest["annotations"]["nth"] = nth.to_string().into();
        let image = images.document(MANIFEST, &manifest);
        images.root(named(image, &format!("registry.example/org/app-{nth}:v1")));
    }
    images.layout(&barge.path("many"));
    let mut measured = Vec::new();
    for words in ["ls many", "tag --no-sync many:registry.example/org/app-77:v1 stable", "verify many"] {
        let most = peak(&barge, words);
        measured.push(format!("{words}: {} MiB", most / 1024));
        assert!((1..LIMIT).contains(&most), "{measured:?}");
    }
    println!("{IMAGES} images: {measured:?}");
}

#[test]
fn each_further_blob_costs_little_memory() {
    const BLOBS: u64 = 10;
    let barge = Barge::new();
    let make = |name: &str, count: u64| {
        let mut images = Images::new();
        for nth in 0..count {
            let layers: Vec<Layer> =
                (2..BLOBS).map(|layer| Layer::plain(format!("layer {layer} of {nth}").as_bytes())).collect();
            let config = images.document(CONFIG, &config("linux/amd64", &layers));
            let layers: Vec<_> = layers.iter().map(|layer| images.put(layer.media_type, &layer.bytes)).collect();
            let image = images.document(MANIFEST, &manifest(&config, &layers));
            images.root(named(image, &format!("registry.example/org/app-{nth}:v1")));
        }
        images.layout(&barge.path(name));
    };
    let (few, many) = (20, 2000);
    make("few", few);
    make("many", many);
    let mut measured = Vec::new();
    // what is held for each blob of a layout, in bytes: one record, and a line in each of the lists at the front of an archive
    for (words, limit) in
        [("copy --no-sync PLACE copied", 900), ("save --no-sync -o saved.tar PLACE", 1900), ("gc --dry-run PLACE", 900)]
    {
        let [less, more] = ["few", "many"].map(|place| {
            let most = peak(&barge, &words.replace("PLACE", place));
            let _ = fs::remove_dir_all(barge.path("copied"));
            let _ = fs::remove_file(barge.path("saved.tar"));
            most
        });
        let each = more.saturating_sub(less) * 1024 / (BLOBS * (many - few));
        measured.push(format!("{words}: {each} bytes"));
        assert!(each < limit, "{measured:?}");
    }
    println!("for each blob: {measured:?}");
}

/// Runs a command line, and returns the most that it had in memory, in KiB.
#[track_caller]
fn peak(barge: &Barge, words: &str) -> u64 {
    let mut running = Running::start(barge.command().args(words.split(' ')));
    let mut most = 0;
    while !running.has_ended() {
        most = most.max(resident(running.id()));
        std::thread::sleep(std::time::Duration::from_millis(3));
    }
    running.output(barge).exits(0);
    most
}

/// Returns the most that a process has had in memory so far, in KiB.
fn resident(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
