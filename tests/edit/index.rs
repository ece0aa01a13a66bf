//! An index of which some images change.

use serde_json::{Value, json};

use super::bench::Bench;
use super::made::{Made, annotated, bare, belonging, dashed, digest, full, on_platform, tagged, two_images};
use super::{HELLO, bytes, json, of_fixture, verify};

#[test]
fn every_image_changes_and_what_is_about_the_old_ones_is_left_out() {
    let bench = of_fixture(HELLO);
    let before = json(&bench, "manifest", "place");
    let ran = bench.ok("edit place --env A=b");
    for entry in before["manifests"].as_array().unwrap() {
        ran.says(entry["digest"].as_str().unwrap());
    }
    ran.says("(provenance) is left out: it is about sha256:86bf17673638");
    ran.says("(provenance) is left out: it is about sha256:38c4bf1b344a");
    let after = json(&bench, "manifest", "place");
    let platforms: Vec<&Value> =
        after["manifests"].as_array().unwrap().iter().map(|entry| &entry["platform"]).collect();
    assert_eq!(platforms, [&before["manifests"][0]["platform"], &before["manifests"][1]["platform"]]);
    for platform in ["linux/amd64", "linux/arm64"] {
        let config = json(&bench, "config", &format!("place --platform {platform}"));
        assert_eq!(config["config"]["Env"][1], "A=b", "{platform}");
    }
    verify(&bench, "place");
}

#[test]
fn one_platform_changes_and_the_others_keep_every_byte() {
    for place in ["place", "place.tar"] {
        let bench = of_fixture(HELLO);
        bench.ok("copy -q place place.tar");
        let before = String::from_utf8(bytes(&bench, "manifest", place)).unwrap();
        let ran = bench.ok(&format!("edit {place} --platform linux/arm64 --env A=b --annotation k=v"));
        ran.says("about sha256:38c4bf1b344a").says_not("about sha256:86bf17673638");
        let after = String::from_utf8(bytes(&bench, "manifest", place)).unwrap();
        let plain: Value = serde_json::from_str(&after).unwrap();
        assert_eq!(plain["manifests"].as_array().unwrap().len(), 3, "the attestation of amd64 stays");
        assert_eq!(plain.get("annotations"), None, "the index is not of one platform");
        let entry = before.find("    {").unwrap() + 4;
        let length = before[entry..].find("\n    }").unwrap() + 6;
        assert!(after.contains(&before[entry..entry + length]), "{after}");
        verify(&bench, place);
    }
}

#[test]
fn the_index_keeps_unknown_fields_order_and_other_entries() {
    let mut made = Made::new();
    let (a, b) = (made.image("linux/amd64", &["a"]), made.image("linux/arm64", &["b"]));
    let artifact = made.artifact("sbom", None);
    let leaf = made.put("text/plain", b"leaf");
    let inner = made.image("linux/s390x", &["c"]);
    let inner = made.index(&[on_platform(inner, "linux/s390x")]);
    let mut odd = annotated(on_platform(a.clone(), "linux/amd64"), "k", "v");
    odd["x-odd"] = json!([1.0]);
    odd["data"] = json!("e30=");
    let raw = |value: &Value| value.to_string();
    odd.as_object_mut().unwrap().shift_remove("data");
    let text = format!(
        r#"{{"z":{{ "b":1e3}},"manifests":[{},{},{},{},{}],"annotations":{{"keep":"1"}},"schemaVersion":2}}"#,
        raw(&artifact),
        raw(&odd),
        raw(&leaf),
        raw(&on_platform(b.clone(), "linux/arm64")),
        raw(&inner)
    );
    let index = made.put(barge::media::OCI_INDEX, text.as_bytes());
    made.root(full(&index, "docker.io/library/app:v1"));
    let bench = Bench::new();
    made.layout(&bench.path("place"));
    bench.ok("edit place --env A=b --annotation new=1");
    let after = String::from_utf8(bytes(&bench, "manifest", "place")).unwrap();
    let mut expected = text.replace(r#"{"keep":"1"}"#, r#"{"keep":"1","new":"1"}"#);
    let value: Value = serde_json::from_str(&after).unwrap();
    for (at, old) in [(1, &a), (3, &b), (4, &inner)] {
        let new = &value["manifests"][at];
        assert_ne!(digest(new), digest(old));
        expected = expected.replace(digest(old), digest(new));
        expected = expected.replace(
            &format!("{}\",\"size\":{}", digest(new), old["size"]),
            &format!("{}\",\"size\":{}", digest(new), new["size"]),
        );
    }
    assert_eq!(after, expected);
    verify(&bench, "place");
}

#[test]
fn a_platform_is_set_in_the_config_and_in_the_index() {
    let bench = of_fixture(HELLO);
    bench.ok("edit place --platform linux/arm64 --set-platform linux/arm/v7");
    let index = json(&bench, "manifest", "place");
    assert_eq!(index["manifests"][1]["platform"], json!({"architecture": "arm", "os": "linux", "variant": "v7"}));
    assert_eq!(json(&bench, "config", "place --platform linux/arm/v7")["variant"], "v7");
    verify(&bench, "place");
    // a config that says another platform than the index is put right
    let mut made = Made::new();
    let liar = made.image("linux/amd64", &["a"]);
    let index = made.index(&[on_platform(liar, "linux/arm64")]);
    made.root(tagged(&index, "v1"));
    made.layout(&bench.path("liar"));
    bench.exits(4, "verify liar");
    bench.ok("edit liar --set-platform linux/arm64");
    verify(&bench, "liar");
    bench.ok("edit liar --set-platform linux/arm64").says("nothing to do");
    // side by side in index.json
    let mut made = Made::new();
    let (a, b) = (made.image("linux/amd64", &["a"]), made.image("linux/arm64", &["b"]));
    made.root(tagged(&on_platform(a, "linux/amd64"), "v1")).root(tagged(&on_platform(b, "linux/arm64"), "v1"));
    made.layout(&bench.path("flat"));
    bench.exits(2, "edit flat:v1 --platform linux/amd64 --set-platform linux/arm64");
    bench.ok("edit flat:v1 --platform linux/amd64 --set-platform linux/riscv64");
    let roots = bench.roots("flat");
    assert_eq!((&roots[0]["platform"]["architecture"], &roots[1]), (&json!("riscv64"), &made.roots[1]));
}

#[test]
fn an_index_that_lists_what_is_not_there_stays_so_where_it_is() {
    let bench = of_fixture(HELLO);
    bench.ok("copy -q place sparse --platform linux/amd64 --index keep");
    bench.exits(4, "edit sparse --env A=b").says("cannot find sha256:38c4bf1b344a");
    bench.ok("edit sparse --env A=b --platform linux/amd64");
    assert_eq!(json(&bench, "manifest", "sparse")["manifests"].as_array().unwrap().len(), 3);
    bench.exits(4, "edit sparse --env C=d --platform linux/amd64 -o other").says("the image is sparse");
    assert!(!bench.path("other").exists());
}

#[test]
fn signatures_stay_with_what_they_sign() {
    let mut made = two_images();
    let index: Value = serde_json::from_slice(&made.blobs[digest(&made.roots[0])]).unwrap();
    let (app, amd64, arm64) = (bare(&made.roots[0]), bare(&index["manifests"][0]), bare(&index["manifests"][1]));
    let (one, two) = (made.artifact("one", Some(&app)), made.artifact("two", Some(&app)));
    let cosign = made.artifact("cosign", None);
    let of_arm64 = made.artifact("of arm64", Some(&arm64));
    let sbom = made.artifact("sbom", None);
    made.root(one).root(two).root(tagged(&cosign, &format!("{}.sig", dashed(&amd64))));
    made.root(of_arm64.clone()).root(belonging(sbom, &app));
    let bench = Bench::new();
    made.layout(&bench.path("place"));
    let ran = bench.ok("edit place:app:v1 --platform linux/amd64 --env A=b -o other");
    ran.says(&format!("3 signatures belong to the old digest {}, and stay with it: sign the new one", digest(&app)));
    ran.says(&format!("1 signature belongs to the old digest {}, and stays with it", digest(&amd64)));
    // what signs an image that is still the same goes along
    assert!(bench.roots("other").contains(&of_arm64));
    assert_eq!(bench.roots("other").len(), 2);
    verify(&bench, "other");
    bench.ok("edit place:app:v1 --platform linux/amd64 --env A=b");
    let roots = bench.roots("place");
    assert_eq!(roots[1..], made.roots[1..], "in place they stay where they were");
    assert_eq!(roots[0]["digest"], bench.roots("other")[0]["digest"]);
    verify(&bench, "place");
}

#[test]
fn what_is_no_image_is_not_changed() {
    let mut made = Made::new();
    let artifact = made.artifact("x", None);
    let layer = made.put(barge::media::OCI_LAYER, b"layer");
    let torn = made.put(barge::media::OCI_CONFIG, br#"{"rootfs":{"diff_ids":[]}}"#);
    let torn =
        made.document(barge::media::OCI_MANIFEST, &json!({"schemaVersion": 2, "config": torn, "layers": [layer]}));
    made.root(tagged(&artifact, "artifact")).root(tagged(&torn, "torn"));
    let bench = Bench::new();
    made.layout(&bench.path("place"));
    bench.exits(4, "edit place:artifact --env A=b").says("not an image with a file system");
    bench.exits(4, "edit place:torn --env A=b").says("its config has 0 diff_ids, expected 1");
}
