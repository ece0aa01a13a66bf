//! Layers that other programs packed, through a compact archive and back.

use std::fs;

use serde_json::Value;

use crate::inputs::Random;
use crate::work::Work;

/// Makes a directory `root` with what layers hold, and `root.tar` of it.
pub(crate) fn make(work: &Work) {
    let mut random = Random::new(70);
    fs::create_dir_all(work.path("root/usr/lib")).unwrap();
    for number in 0..30 {
        let content = if number % 3 == 0 { random.text(60_000) } else { random.mixed(50_000) };
        fs::write(work.path(&format!("root/usr/lib/{number}")), content).unwrap();
    }
    work.run("tar -C root --owner=0 --group=0 --numeric-owner --sort=name -cf root.tar .");
}

/// Carries the image `LAYOUT:v1` in a compact archive, and checks that the same comes out, and what is said of who packed it.
#[track_caller]
pub(crate) fn comes_back(work: &Work, layout: &str, packers: &str) {
    let output = work.output(&format!("barge save -o {layout}.tar --compact {layout}:v1"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.lines().any(|line| line == format!("packers: {packers}")), "{said}");
    assert!(!said.contains("along as"), "{said}");
    work.run(&format!("barge load -q -i {layout}.tar -o {layout}-again"));
    let manifest = |layout: &str| work.bytes(&format!("barge cat manifest {layout}:v1"));
    let again = manifest(&format!("{layout}-again"));
    assert_eq!(again, manifest(layout));
    let manifest: Value = serde_json::from_slice(&again).unwrap();
    for layer in manifest["layers"].as_array().unwrap() {
        let blob = format!("blobs/{}", layer["digest"].as_str().unwrap().replace(':', "/"));
        assert!(work.read(&format!("{layout}/{blob}")) == work.read(&format!("{layout}-again/{blob}")), "{blob}");
    }
}
