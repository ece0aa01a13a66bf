//! Memory does not grow with the size of a blob that comes in parts, in a delta, or goes from parts to a registry.

use super::distribution::{Distribution, Mode};
use super::support::image::sparse;
use super::*;

/// The promise of DESIGN.md, section 2, in KiB.
const LIMIT: u64 = 64 * 1024;
/// One layer. It is a hole, so only what is written costs time.
const SIZE: u64 = 260 << 20;

/// Runs a command, and returns the most that it had in memory, in KiB.
fn measured(barge: &Barge, words: &str, code: i32) -> u64 {
    let mut running = Running::start(barge.command().args(words.split(' ')));
    let mut most = 0;
    while !running.has_ended() {
        let status = fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        most = most.max(line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(3));
    }
    running.output(barge).exits(code);
    assert!((1..LIMIT).contains(&most), "{words}: {most} KiB");
    most
}

#[test]
fn memory_does_not_grow_with_a_layer_on_the_road() {
    let barge = Barge::new();
    sparse(&barge.path("base"), "linux/amd64", &[1000]);
    sparse(&barge.path("source"), "linux/amd64", &[SIZE, 1000]);
    let registry = available("docker-registry", Path::new("/usr/bin/docker-registry").exists())
        .then(|| Distribution::start(Mode::Plain));
    let push = registry.as_ref().map(|registry| format!("push --plain-http x.tar.001 {}/org/app:v1", registry.host()));
    let mut commands = vec![
        ("save in parts", "save --no-sync --split 100M -o x.tar source", 0),
        ("load of three parts", "load --no-sync -i x.tar.001 -o whole", 0),
        ("save of a delta", "save --no-sync --base base -o delta.tar source", 0),
        ("load of a delta", "load --no-sync -i delta.tar -o base", 0),
        ("save in archives", "save --no-sync --split 100M --split-mode archive -o y.tar source", 0),
        ("load of three archives", "load --no-sync -i y.001.tar -o cut", 0),
    ];
    commands.extend(push.as_deref().map(|push| ("push of three parts", push, 0)));
    let said: Vec<String> = commands
        .iter()
        .map(|(what, words, code)| format!("{what}: {} MiB", measured(&barge, words, *code) / 1024))
        .collect();
    println!("a layer of {SIZE} bytes: {said:?}");
    assert!(barge.path("x.tar.003").exists() && barge.path("y.003.tar").exists());
    for layout in ["whole", "base", "cut"] {
        assert_eq!(fs::metadata(&blobs(&barge.path(layout))[0]).unwrap().len(), SIZE, "{layout}");
    }
}
