//! `barge receipt`: what is really there.

use std::fs;

use serde_json::{Value, json};

use crate::environment::Barge;
use crate::registry::FakeRegistry;
use crate::versions::{layouts, version};

fn receipt(barge: &Barge, name: &str) -> Value {
    serde_json::from_slice(&fs::read(barge.path(name)).unwrap()).unwrap()
}

/// What a receipt says of the image of a version.
fn image(name: &str, digest: &str, number: u32) -> Value {
    let size = version(number).0.blobs[digest].len();
    json!({"name": name, "digest": digest, "mediaType": barge::media::OCI_INDEX, "size": size})
}

#[test]
fn a_receipt_lists_every_blob_that_is_right() {
    let barge = Barge::new();
    let tops = layouts(&barge, &[1]);
    // nothing refers to it, and it is there all the same
    let loose = barge::digest::Digest::of(b"loose");
    fs::write(barge.path("v1").join(loose.blob_path()), "loose").unwrap();
    let printed = barge.line("receipt v1").exits(0).says(&["1 image, 12 blobs"]);
    let (images, _) = version(1);
    let mut expected: Vec<Value> =
        images.blobs.iter().map(|(digest, bytes)| json!({"digest": digest, "size": bytes.len()})).collect();
    expected.push(json!({"digest": loose.to_string(), "size": 5}));
    expected.sort_by_key(|content| content["digest"].as_str().unwrap().to_owned());
    let made: Value = serde_json::from_slice(printed.bytes()).unwrap();
    assert_eq!(made["contents"], json!(expected));
    assert_eq!(made["images"], json!([image("ghcr.io/org/app:v1", &tops[0], 1)]));
    assert_eq!(made["places"], json!(["oci:v1"]));
    // one line for each: for a person's diff
    assert_eq!(printed.stdout().lines().filter(|line| line.contains("sha256:")).count(), 13);
    // an archive, and several places
    barge.line("save -o x.tar v1").exits(0);
    barge.line("receipt -o r.json v1 x.tar").exits(0);
    assert_eq!(receipt(&barge, "r.json")["contents"], json!(expected));
    assert_eq!(receipt(&barge, "r.json")["images"].as_array().unwrap().len(), 1);
    let report = barge.line("receipt --json v1").exits(0).json();
    assert_eq!(report["results"][0]["receipt"]["contents"], json!(expected));
}

#[test]
fn the_same_place_gives_the_same_receipt() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    barge.line("copy v1 site").exits(0);
    barge.line("copy v2 site").exits(0);
    let made = |jobs: &str| {
        let mut command = barge.command();
        command.args(["receipt", "--jobs", jobs, "site"]).env("SOURCE_DATE_EPOCH", "1714564800");
        barge.finish(&mut command).exits(0).bytes().to_vec()
    };
    assert_eq!(made("1"), made("8"));
    assert!(String::from_utf8(made("1")).unwrap().contains("2024-05-01T12:00:00Z"));
}

#[test]
fn nothing_but_a_receipt_is_replaced() {
    let barge = Barge::new();
    layouts(&barge, &[1]);
    barge.line("save -o x.tar v1").exits(0);
    let before = fs::read(barge.path("x.tar")).unwrap();
    barge.line("receipt -o x.tar v1").exits(9).says(&["something else than a receipt is there"]);
    assert_eq!(fs::read(barge.path("x.tar")).unwrap(), before);
    barge.line("receipt -o r.json v1").exits(0);
    barge.line("receipt -o r.json v1").exits(0);
    barge.line("receipt -o nowhere/r.json v1").exits(3);
    barge.line("receipt v1:ghcr.io/org/app:v1").exits(2).says(&["a receipt is of a place"]);
    barge.line("receipt").exits(3);
    barge.line("receipt absent").exits(3);
}

#[test]
fn a_registry_says_what_it_has() {
    let barge = Barge::new();
    let tops = layouts(&barge, &[1, 2]);
    let registry = FakeRegistry::start();
    let host = registry.host();
    barge.line(&format!("push v1 {host}")).exits(0);
    barge.line(&format!("push v2:ghcr.io/org/app:v2 {host}/other/app:v2")).exits(0);
    barge.line(&format!("receipt -o all.json docker://{host}")).exits(0).says(&["2 images"]);
    let all = receipt(&barge, "all.json");
    assert_eq!(
        all["images"],
        json!([image(&format!("{host}/org/app:v1"), &tops[0], 1), image(&format!("{host}/other/app:v2"), &tops[1], 2)])
    );
    let both = [format!("{host}/org/app"), format!("{host}/other/app")];
    let shared = all["contents"].as_array().unwrap().iter().filter(|content| content["repositories"] == json!(both));
    assert_eq!(shared.count(), 4);
    barge.line(&format!("receipt -o one.json docker://{host}/org/app")).exits(0).says(&["1 image, 11 blobs"]);
    barge.line(&format!("receipt -o tag.json docker://{host}/org/app:v1")).exits(0).says(&["1 image, 11 blobs"]);
    assert_eq!(receipt(&barge, "one.json")["contents"], receipt(&barge, "tag.json")["contents"]);
    // a blob that the registry has lost is not promised
    let lost = &version(1).0.blobs.into_iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0;
    registry.remove_blob("org/app", lost);
    barge.line(&format!("receipt -o one.json docker://{host}/org/app")).exits(0).says(&["which is not there", lost]);
    assert!(!fs::read_to_string(barge.path("one.json")).unwrap().contains(lost.as_str()));
    barge.line("receipt --no-network docker://localhost:1").exits(2);
}
