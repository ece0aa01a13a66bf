//! Deltas: made from receipts, bundles and places; taken in by those who have their base, and by nobody else.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::environment::{Barge, listing};
use crate::versions::{PLATFORMS, bundle_json, files_of, layouts, shared, version};

/// The digests of blobs that an archive holds.
fn held(barge: &Barge, archive: &str) -> BTreeSet<String> {
    let files = files_of(&barge.path(archive)).into_iter();
    files.filter_map(|(name, _)| Some(format!("sha256:{}", name.strip_prefix("blobs/sha256/")?))).collect()
}

/// The digests of the layers that all versions share.
fn bases() -> BTreeSet<String> {
    let of = |platform: &str| shared(platform).map(|layer| barge::digest::Digest::of(&layer.bytes).to_string());
    PLATFORMS.into_iter().flat_map(of).collect()
}

#[test]
fn an_update_leaves_out_what_the_site_has() {
    let barge = Barge::new();
    let tops = layouts(&barge, &[1, 2]);
    barge.line("save -o first.tar v1").exits(0);
    barge.line("load -i first.tar -o site").exits(0);
    barge.line("receipt -L site -o site.json").exits(0).says(&["1 image, 11 blobs"]);
    barge.line("save -o update.tar --base site.json v2").exits(0).says(&["4 blobs", "are left out: in oci:site"]);
    let (second, _) = version(2);
    let all: BTreeSet<String> = second.blobs.keys().cloned().collect();
    assert_eq!(held(&barge, "update.tar"), all.difference(&bases()).cloned().collect());

    barge.line("load -i update.tar -o site").exits(0).says(&["4 were there"]);
    barge.line("verify --deep site").exits(0);
    let names = barge.line("ls --json site").exits(0).json();
    let digests: Vec<&Value> = names["results"].as_array().unwrap().iter().map(|image| &image["digest"]).collect();
    assert_eq!(digests, tops.iter().collect::<Vec<_>>());

    // the bundle itself, or the place, says the same as the receipt
    for base in ["first.tar", "v1", "oci:site:ghcr.io/org/app:v1"] {
        barge.line(&format!("save -f -o other.tar --base {base} v2")).exits(0);
        assert_eq!(held(&barge, "other.tar"), held(&barge, "update.tar"), "{base}");
    }
    let list = bundle_json(&barge.path("update.tar"));
    let left: BTreeSet<String> = list["contents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|content| content["here"] == false)
        .map(|content| content["digest"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(left, bases());
    assert_eq!(list["bases"][0]["place"], "oci:site");
    let receipt = fs::read(barge.path("site.json")).unwrap();
    assert_eq!(list["bases"][0]["list"], barge::digest::Digest::of(&receipt).to_string());
    // no loader is told of an image that is not whole
    assert!(files_of(&barge.path("update.tar")).iter().all(|(name, _)| name != "manifest.json"));
}

#[test]
fn without_its_base_a_delta_does_nothing() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    barge.line("save -o update.tar --base v1 v2").exits(0);
    let refused = barge.line("load -i update.tar -o new").exits(4);
    let refused = refused.says(&["what it builds on is not there: 4 blobs", "(layer 1 of linux/amd64", "save again"]);
    for digest in bases() {
        assert!(refused.stderr().contains(&digest), "{digest}");
    }
    assert!(!barge.path("new").exists());
    // only what is asked for has to be there
    barge.line("save --platform linux/arm64 -o arm.tar v1").exits(0);
    barge.line("load -i arm.tar -o arm").exits(0);
    let before = listing(&barge.path("arm"));
    barge.line("load -i update.tar -o arm").exits(4).says(&["2 blobs"]).never(&["linux/arm64"]);
    assert_eq!(listing(&barge.path("arm")), before);
    barge.line("load --platform linux/arm64 -i update.tar -o arm").exits(0);
    barge.line("verify arm").exits(0);
    let error = barge.line("load --json -i update.tar -o new").exits(4).json();
    assert_eq!((&error["error"]["class"], error["error"]["causes"].as_array().unwrap().len()), (&"content".into(), 4));
}

#[test]
fn a_chain_is_taken_in_in_its_order_or_at_once() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2, 3]);
    barge.line("save -o one.tar v1").exits(0);
    barge.line("save -o two.tar --base one.tar v2").exits(0);
    // what two.tar brings or builds on is there when three.tar comes; v2 is the base of a version that keeps its layers
    barge.line("copy v2 three").exits(0);
    barge.line("tag three:ghcr.io/org/app:v2 ghcr.io/org/app:stable").exits(0);
    barge.line("save -o three.tar --base two.tar three:ghcr.io/org/app:stable").exits(0).says(&["6 blobs"]);

    barge.line("load -i one.tar -o site").exits(0);
    let before = listing(&barge.path("site"));
    barge.line("load -i three.tar -o site").exits(4).says(&["2 blobs"]);
    assert_eq!(listing(&barge.path("site")), before);
    barge.line("load -i two.tar -o site").exits(0);
    barge.line("load -i three.tar -o site").exits(0);
    barge.line("verify site").exits(0);

    for order in ["one two three", "three two one", "two three one"] {
        let inputs: Vec<String> = order.split(' ').map(|name| format!("-i {name}.tar")).collect();
        let place = order.replace(' ', "-");
        barge.line(&format!("load {} -o {place}", inputs.join(" "))).exits(0);
        barge.line(&format!("verify {place}")).exits(0);
        assert_eq!(barge.line(&format!("ls --json {place}")).exits(0).json()["results"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn a_base_that_is_spoilt_is_found_and_a_new_receipt_mends_it() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    barge.line("copy v1 site").exits(0);
    barge.line("save -o update.tar --base v1 v2").exits(0);
    let base = bases().into_iter().next().unwrap();
    let file = barge.path("site/blobs").join(base.replace(':', "/"));
    let right = fs::read(&file).unwrap();
    let before = fs::read(barge.path("site/index.json")).unwrap();
    for wrong in [&right[..right.len() - 1], &vec![b'x'; right.len()]] {
        fs::remove_file(&file).unwrap();
        fs::write(&file, wrong).unwrap();
        barge.line("load -i update.tar -o site").exits(4).says(&[&base, "oci:site"]);
        assert_eq!(fs::read(barge.path("site/index.json")).unwrap(), before);
    }
    let made = barge.line("receipt -L site -o now.json").exits(0).says(&["warning", &base, "it is not in the receipt"]);
    assert!(!fs::read_to_string(barge.path("now.json")).unwrap().contains(&base), "{}", made.stderr());
    barge.line("save -o mended.tar --base now.json v1 v2").exits(0);
    assert!(held(&barge, "mended.tar").contains(&base));
    barge.line("load -i mended.tar -o site").exits(0).says(&["replaced"]);
    barge.line("verify site").exits(0);
}

#[test]
fn a_delta_is_looked_at_and_left_as_it_is() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    barge.line("save -o update.tar --base v1 v2").exits(0);
    barge.line("verify update.tar").exits(0).prints(&["ok", "a delta: 4 blobs"]);
    barge.line("ls update.tar").exits(0).prints(&["delta, 4 in its base"]);
    let image = barge.line("ls --json update.tar").exits(0).json()["results"][0].clone();
    assert_eq!((&image["complete"], &image["inBase"], &image["missing"]), (&false.into(), &4.into(), &0.into()));
    let before = listing(&barge.path("update.tar"));
    for change in ["tag update.tar:ghcr.io/org/app:v2 x:y", "rm update.tar:ghcr.io/org/app:v2", "copy v1 update.tar"] {
        barge.line(change).exits(9).says(&["it leaves out what its base has"]);
    }
    assert_eq!(listing(&barge.path("update.tar")), before);
    // what needs the whole of it says where it is to be had
    let is_delta = "update.tar is a delta, and this is in what it builds on";
    for line in [
        "merge -o out -t x:1 update.tar:ghcr.io/org/app:v2",
        "edit -o out -t x:1 --label a=b update.tar:ghcr.io/org/app:v2",
        "convert -o out -t x:1 --compression zstd update.tar:ghcr.io/org/app:v2",
        "save -o again.tar update.tar",
        "unpack --platform linux/amd64 update.tar:ghcr.io/org/app:v2 out",
    ] {
        barge.line(line).exits(4).says(&[is_delta, "barge load -i update.tar -o DIR"]);
        assert!(!barge.path("out").exists() && !barge.path("again.tar").exists(), "{line}");
    }
    for line in ["load -i update.tar -o -", "load -i update.tar -o new", "copy update.tar new.tar"] {
        barge.line(line).exits(4).says(&["as nothing is there yet"]).never(&["barge receipt"]);
    }
    let check = "it is a delta: it leaves out what its base has, and only barge takes it";
    barge.line("check update.tar").exits(1).prints(&[check, "barge load -i update.tar"]).never(&["docker load"]);
    // what is missing beside that is missing
    let files = files_of(&barge.path("update.tar"));
    let largest = files.iter().filter(|(name, _)| name.starts_with("blobs/")).max_by_key(|(_, bytes)| bytes.len());
    let largest = largest.unwrap().0.clone();
    let mut tar = crate::support::tar::Tar::new();
    for (name, bytes) in files.iter().filter(|(name, _)| *name != largest) {
        tar = tar.file(name, bytes);
    }
    fs::write(barge.path("torn.tar"), tar.finished()).unwrap();
    barge.line("verify torn.tar").exits(4).prints(&["missing: sha256:", "a delta: 4 blobs"]);
    barge.line("copy v1 site").exits(0);
    barge.line("load -i torn.tar -o site").exits(4);
}

#[test]
fn a_delta_does_not_replace_its_own_base() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    barge.line("save -o bundle.tar v1").exits(0);
    barge.line("receipt -o site.json v1").exits(0);
    let before = listing(&barge.path("bundle.tar"));
    for (base, line) in [("bundle.tar", "save -f -o ./bundle.tar"), ("site.json", "save -f -o site.json")] {
        let says = "in the place of its own base";
        barge.line(&format!("{line} --base {base} v2")).exits(2).says(&[says, "another name"]);
    }
    barge.line("save -o parts.tar --split 1M v1").exits(0);
    barge.line("save -f -o parts.tar --split 1M --base parts.tar.001 v2").exits(2).says(&["its own base"]);
    assert_eq!(listing(&barge.path("bundle.tar")), before);
    barge.line("save -f -o bundle.tar --base v1 v2").exits(0);
}

#[test]
fn copy_takes_a_delta_like_load() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    barge.line("save -o update.tar --base v1 v2").exits(0);
    barge.line("copy update.tar site").exits(4);
    assert!(!barge.path("site").exists());
    barge.line("copy update.tar whole.tar").exits(4);
    for target in ["site", "site.tar"] {
        barge.line(&format!("copy v1 {target}")).exits(0);
        barge.line(&format!("copy update.tar {target}")).exits(0);
        barge.line(&format!("verify {target}")).exits(0).prints(&["2 images"]);
    }
    barge.line("save -o everything.tar --base v2 v2").exits(0);
    barge.line("load -i everything.tar -o site").exits(0).says(&["nothing to do"]);
    barge.line("save -o nothing.tar --base v1 v1").exits(0).says(&["6 blobs"]);
    barge.line("save -f -o unlike.tar --base v2 --dry-run v1").exits(0);
}
