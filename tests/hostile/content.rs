//! Content that is not what its digest says, in every piece and in every way; and attestations that are not there.

use std::fs;

use crate::ordeal::Scope::Reach;
use crate::ordeal::{Case, Made, Ordeal, case, refused};
use crate::support::digests;
use crate::support::image::{Images, Layer, digest, named, on};

fn sample() -> (Images, [(&'static str, String); 4]) {
    let mut images = Images::new();
    let layers: Vec<Layer> = (0..3).map(|at| Layer::gzip(format!("layer {at}").repeat(50).as_bytes())).collect();
    let one = images.image("linux/amd64", &layers[..2]);
    let two = images.image("linux/arm64", &layers[1..]);
    let document: serde_json::Value = serde_json::from_slice(&images.blobs[digest(&two)]).unwrap();
    let index = images.index(&[on(one, "linux/amd64"), on(two.clone(), "linux/arm64")]);
    images.root(named(index.clone(), "v1"));
    let of = |value: &serde_json::Value| digest(value).to_owned();
    let pieces = [
        ("index", of(&index)),
        ("manifest", of(&two)),
        ("config", of(&document["config"])),
        ("layer", of(&document["layers"][1])),
    ];
    (images, pieces)
}

#[test]
fn damage() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&'static str, &'static str, Damage); 6] = [
        ("a flipped bit at the end", "bit rot", |bytes| *bytes.last_mut().unwrap() ^= 1),
        ("a flipped bit at the start", "bit rot", |bytes| bytes[0] ^= 0x80),
        ("a cut tail", "a short write", |bytes| bytes.truncate(bytes.len() - 1)),
        ("one byte more", "appended to", |bytes| bytes.push(0)),
        ("nothing in it", "after a power cut", Vec::clear),
        ("zeros", "after a power cut", |bytes| bytes.fill(0)),
    ];
    let (images, pieces) = sample();
    let mut cases: Vec<Case> = Vec::new();
    for (_, subject) in &pieces {
        for (what, why, damage) in damages {
            let mut spoilt = images.clone();
            damage(spoilt.blobs.get_mut(subject).unwrap());
            cases.push(case(what, why, Made::Images(spoilt), (Reach, 4), "sha256:"));
        }
        let mut spoilt = images.clone();
        spoilt.blobs.remove(subject);
        cases.push(case("no file", "a partial copy", Made::Images(spoilt), (Reach, 4), "sha256:"));
        // two files that took each other's names
        let mut spoilt = images.clone();
        let other = pieces.iter().find(|(_, other)| other != subject).unwrap().1.clone();
        let (one, two) = (spoilt.blobs[subject].clone(), spoilt.blobs[&other].clone());
        spoilt.blobs.insert(subject.clone(), two);
        spoilt.blobs.insert(other, one);
        cases.push(case("exchanged", "both are whole", Made::Images(spoilt), (Reach, 4), "sha256:"));
    }
    refused(cases);
}

/// As in what `ctr images export --platform` writes.
#[test]
fn absent_attestations_are_named_and_left_out_on_request() {
    let mut ordeal = Ordeal::new();
    let archive = digests::fixtures().join("buildx-amd64-arm64.tar");
    let merge = |options: &str, to: &str, source: &str| {
        format!("merge -q -o {to} -t example.com/hello:v1 {options} {source}").replace("  ", " ")
    };
    assert_eq!(ordeal.run("whole", &merge("", "sparse", archive.to_str().unwrap())).code, 0);
    for line in digests::lines() {
        if line.platform == "unknown/unknown" && line.kind == "manifest" {
            let hex = line.digest.strip_prefix("sha256:").unwrap();
            fs::remove_file(ordeal.path("sparse/blobs/sha256").join(hex)).unwrap();
        }
    }
    let refused = ordeal.run("sparse", &merge("", "merged", "sparse"));
    assert_eq!(refused.code, 4);
    assert!(refused.says("manifest of the attestation of"), "{}", refused.stderr);
    assert!(refused.says("hint: leave attestations out with --attestations drop"), "{}", refused.stderr);
    assert_eq!(ordeal.run("sparse", &merge("--attestations drop", "merged", "sparse")).code, 0);
    ordeal.judge();
}
