//! Layers that barge builds, however they are packed, pass the checks of the programs that pack and unpack such files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::tree::{Facts, add_rarities, facts};
use crate::work::{Work, work};

/// How layers are packed, what tells tar so, and the programs that check the packing.
const PACKINGS: [(&str, &str, &[&str]); 5] = [
    ("gzip", "--gzip", &["gzip -tv", "pigz -t"]),
    ("gzip --compression-level 0", "--gzip", &["gzip -tv", "pigz -t"]),
    ("zstd", "--zstd", &["zstd -q -t"]),
    ("zstd --compression-level 19", "--zstd", &["zstd -q -t"]),
    ("none", "--no-auto-compress", &[]),
];

/// Makes a directory whose layer has everything that a tar can have: several blocks for each thread among it.
fn make(work: &Work) {
    fs::create_dir_all(work.path("root")).unwrap();
    add_rarities(&work.path("root"));
    let mut state = 1_u64;
    let bytes: Vec<u8> = (0..3 << 20)
        .map(|at: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if at % 4096 < 2048 { (state >> 56) as u8 } else { b'a' }
        })
        .collect();
    fs::write(work.path("root/large"), bytes).unwrap();
    fs::write(work.path("root/empty"), "").unwrap();
    let deep = format!("root/{}", ["directory-with-a-long-name"; 20].join("/"));
    fs::create_dir_all(work.path(&deep)).unwrap();
    fs::write(work.path(&format!("{deep}/file")), "deep").unwrap();
    std::os::unix::fs::symlink("x".repeat(300), work.path("root/far")).unwrap();
    fs::hard_link(work.path(&format!("{deep}/file")), work.path(&format!("{deep}/same"))).unwrap();
    // more than the seven octal digits of a header
    std::os::unix::fs::chown(work.path("root/empty"), Some(3_000_000), Some(4_000_000_000)).unwrap();
}

/// The layer of the one image of a layout, as a file.
fn layer(work: &Work, layout: &str) -> String {
    let manifest: Value = work.json(&format!("barge cat manifest {layout}:v1"));
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1);
    format!("{layout}/blobs/{}", layers[0]["digest"].as_str().unwrap().replace(':', "/"))
}

/// Runs a command that must have nothing to complain of, and returns what it lists.
fn quiet(work: &Work, line: &str) -> Vec<String> {
    let output = work.output(line);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // `gzip -tv` says so of what is well
    let complaint = said.lines().find(|line| !line.trim_end().ends_with("OK"));
    assert!(output.status.success() && complaint.is_none(), "{line}: {}\n{said}", output.status);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(str::to_owned).collect()
}

/// Everything below a directory; a layer has whole seconds, and says nothing of its root.
fn tree(root: &Path) -> (BTreeMap<PathBuf, Facts>, Vec<Vec<PathBuf>>) {
    let (mut found, groups) = facts(root);
    found.remove(Path::new(""));
    found.values_mut().for_each(|facts| facts.modified.1 = 0);
    (found, groups)
}

#[test]
fn layers_are_checked_and_unpacked_by_gzip_zstd_tar_and_bsdtar() {
    let Some(work) = work(&["bsdtar", "gzip", "pigz", "root", "tar", "zstd"]) else { return };
    make(&work);
    let expected = tree(&work.path("root"));
    let mut listings = Vec::new();
    for (at, (packing, read, checks)) in PACKINGS.iter().enumerate() {
        let layout = format!("layout{at}");
        work.run(&format!(
            "barge build -o {layout} -t example.com/a:v1 --platform linux/amd64 --from scratch --owner keep --keep-times \
             --add root:/ --compression {packing}"
        ));
        let layer = layer(&work, &layout);
        for check in *checks {
            assert_eq!(quiet(&work, &format!("{check} {layer}")), [""; 0], "{check}");
        }
        // bsdtar finds out by itself how it is packed
        let by_tar = quiet(&work, &format!("tar {read} --numeric-owner --full-time -tvf {layer}"));
        let by_bsdtar = quiet(&work, &format!("bsdtar --numeric-owner -tvf {layer}"));
        assert_eq!((by_tar.len(), by_bsdtar.len()), (expected.0.len(), expected.0.len()), "{packing}");
        listings.push((by_tar, by_bsdtar));
        for unpack in [
            format!("tar {read} --numeric-owner --xattrs --xattrs-include=* -xpf {layer} -C there"),
            format!("bsdtar --numeric-owner -xpf {layer} -C there"),
        ] {
            fs::create_dir(work.path("there")).unwrap();
            assert_eq!(quiet(&work, &unpack), [""; 0]);
            let (found, groups) = tree(&work.path("there"));
            for (name, facts) in &expected.0 {
                assert_eq!(found.get(name), Some(facts), "{unpack}: {}", name.display());
            }
            assert_eq!((found.len(), groups), (expected.0.len(), expected.1.clone()), "{unpack}");
            fs::remove_dir_all(work.path("there")).unwrap();
        }
    }
    assert!(listings.iter().all(|listing| *listing == listings[0]));
}
