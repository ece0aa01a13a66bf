//! `convert`: another form, another packing, the same image.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use super::bench::Bench;
use super::made::{Made, annotated, digest, on_platform, tagged};
use super::support::image::{self, Images, Layer};
use super::{HELLO, bytes, json, of_fixture, run, verify};

const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

fn configs(bench: &Bench, place: &str) -> Vec<Vec<u8>> {
    PLATFORMS.iter().map(|on| bytes(bench, "config", &format!("{place} --platform {on}"))).collect()
}

fn types(bench: &Bench, place: &str) -> Vec<String> {
    let mut types = vec![bench.roots(place)[0]["mediaType"].as_str().unwrap().to_owned()];
    let index = json(bench, "manifest", place);
    assert_eq!(index["mediaType"], types[0].as_str());
    let manifest = json(bench, "manifest", &format!("{place} --platform linux/amd64"));
    assert_eq!(manifest["mediaType"], index["manifests"][0]["mediaType"]);
    for part in [&manifest["mediaType"], &manifest["config"]["mediaType"], &manifest["layers"][1]["mediaType"]] {
        types.push(part.as_str().unwrap().rsplit('.').next().unwrap().to_owned());
    }
    types
}

#[test]
fn there_and_back_every_config_keeps_its_bytes() {
    let bench = of_fixture(HELLO);
    let before = configs(&bench, "place");
    let oci = types(&bench, "place");
    let mut seen = BTreeMap::new();
    for (step, to) in [
        ("docker", "--to docker"),
        ("zstd", "--to oci --compression zstd"),
        ("none", "--compression none"),
        ("docker again", "--to docker --compression gzip"),
        ("oci", "--to oci"),
        ("gzip", "--compression gzip --recompress-all --compression-level 9"),
    ] {
        bench.ok(&format!("convert place {to}"));
        assert_eq!(configs(&bench, "place"), before, "{step}");
        verify(&bench, "place");
        seen.insert(step, types(&bench, "place"));
        bench.ok(&format!("convert place {to}")).says("nothing to do");
    }
    assert_eq!(seen["docker"][0], barge::media::DOCKER_INDEX);
    assert_eq!(seen["docker"], seen["docker again"]);
    assert_eq!(seen["docker"][1..], ["v2+json", "v1+json", "gzip"]);
    assert_eq!((&seen["oci"], &seen["gzip"]), (&oci, &oci));
    assert_eq!(seen["zstd"][3], "tar+zstd");
    assert_eq!(seen["none"][3], "tar");
}

#[test]
fn layers_are_packed_once_whoever_shares_them_and_left_alone_when_they_are_packed_so() {
    let bench = of_fixture(HELLO);
    let layers = |place: &str| -> Vec<Value> {
        let of = |on: &&str| json(&bench, "manifest", &format!("{place} --platform {on}"))["layers"].clone();
        PLATFORMS.iter().map(of).collect()
    };
    let before = layers("place");
    bench.ok("convert place --compression gzip").says("nothing to do");
    bench.ok("convert place -o other --compression gzip --recompress-all");
    let after = layers("other");
    assert_eq!(after[0][0], after[1][0], "the shared one");
    assert_ne!(before, after);
    let ran = bench.ok("convert other -t x:v1 --compression gzip --recompress-all");
    ran.says("unchanged: docker.io/library/x:v1 is sha256:");
    let level = bench.ok("convert place -o nine --compression gzip --recompress-all --compression-level 0");
    assert_ne!(level.digests(), ran.digests());
    verify(&bench, "other");
    verify(&bench, "nine");
}

#[test]
fn what_dockers_form_has_no_place_for_is_named() {
    let mut made = Made::new();
    let mut layer = made.put(barge::media::OCI_LAYER, b"layer");
    layer["annotations"] = json!({"of.a.layer": "1"});
    let config =
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}});
    let config = made.document(barge::media::OCI_CONFIG, &config);
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer], "artifactType": "a/b",
        "annotations": {"org.opencontainers.image.base.name": "x/y:z"}});
    let image = made.document(barge::media::OCI_MANIFEST, &manifest);
    let entry = annotated(on_platform(image, "linux/amd64"), "of.an.entry", "1");
    let index = json!({"schemaVersion": 2, "manifests": [entry], "annotations": {"of.the.index": "1"}});
    let index = made.document(barge::media::OCI_INDEX, &index);
    made.root(tagged(&index, "v1"));
    let bench = Bench::new();
    made.layout(&bench.path("place"));
    let ran = bench.ok("convert place --to docker");
    ran.says("left out artifactType, of.a.layer, of.an.entry, of.the.index, org.opencontainers.image.base.name");
    for document in ["place", "place --platform linux/amd64"] {
        let text = String::from_utf8(bytes(&bench, "manifest", document)).unwrap();
        assert!(!text.contains("annotations") && !text.contains("artifactType"), "{text}");
    }
    assert_eq!(json(&bench, "manifest", "place")["manifests"][0]["platform"]["architecture"], "amd64");
    verify(&bench, "place");
    bench.exits(9, "edit place --annotation a=b").says("no place for them").says("hint:");
}

#[test]
fn annotations_that_dockers_form_has_all_the_same_are_no_hindrance() {
    let mut made = Made::new();
    let layer = made.put("application/vnd.docker.image.rootfs.diff.tar", b"layer");
    let config = json!({"architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}});
    let config = made.document(barge::media::DOCKER_CONFIG, &config);
    let manifest = json!({"schemaVersion": 2, "mediaType": barge::media::DOCKER_MANIFEST, "config": config,
        "layers": [layer], "annotations": {"a": "1"}});
    let image = made.document(barge::media::DOCKER_MANIFEST, &manifest);
    let index = json!({"schemaVersion": 2, "mediaType": barge::media::DOCKER_INDEX, "annotations": {"b": "1"},
        "manifests": [on_platform(image, "linux/amd64")]});
    let index = made.document(barge::media::DOCKER_INDEX, &index);
    made.root(tagged(&index, "v1"));
    let bench = Bench::new();
    made.layout(&bench.path("place"));
    bench.ok("edit place --env A=b");
    assert_eq!(json(&bench, "manifest", "place")["annotations"], json!({"b": "1"}));
    assert_eq!(json(&bench, "manifest", "place --platform linux/amd64")["annotations"], json!({"a": "1"}));
    bench.exits(9, "edit place --annotation c=d");
    bench.exits(9, "edit place --platform linux/amd64 --annotation c=d");
    verify(&bench, "place");
}

#[test]
fn zstd_and_docker_do_not_go_together() {
    let bench = of_fixture(HELLO);
    bench.ok("convert place --compression zstd");
    let before = bench.listing();
    let ran = bench.exits(9, "convert place -o new --to docker");
    ran.says("Docker has no type for a layer").says("--compression gzip");
    bench
        .exits(9, "convert place -o new --to docker --compression zstd --recompress-all")
        .says("use --compression gzip");
    bench.exits(2, "convert place -o new");
    bench.exits(2, "convert place -o new --to oci --recompress-all");
    bench.exits(2, "convert place -o new --compression zstd --compression-level 23").says("from 1 to 22");
    bench.exits(2, "convert place -o new --compression none --compression-level 1").says("not to be packed");
    assert_eq!(bench.listing(), before);
    bench.ok("convert place -o new --to docker --compression gzip");
    verify(&bench, "new");
}

#[test]
fn layers_that_need_not_be_distributed_stay() {
    const FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let mut made = Made::new();
    let packed = Layer::gzip(b"foreign");
    let mut foreign = made.put(FOREIGN, &packed.bytes);
    made.blobs.remove(digest(&foreign));
    foreign["urls"] = json!(["https://example.com/layer"]);
    let own = made.put(barge::media::OCI_LAYER, b"own");
    let config = json!({"architecture": "amd64", "os": "windows",
        "rootfs": {"type": "layers", "diff_ids": [packed.diff_id, own["digest"]]}});
    let config = made.document(barge::media::OCI_CONFIG, &config);
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [foreign, own]});
    let image = made.document(barge::media::OCI_MANIFEST, &manifest);
    made.root(tagged(&image, "v1"));
    let bench = Bench::new();
    made.layout(&bench.path("place"));
    bench.ok("convert place --compression zstd --recompress-all");
    let after = json(&bench, "manifest", "place");
    assert_eq!(after["layers"][0], foreign);
    assert_eq!(after["layers"][1]["mediaType"], barge::media::OCI_LAYER_ZSTD);
    bench.ok("convert place -o docker.tar --to docker --compression gzip");
    let after = json(&bench, "manifest", "docker.tar");
    assert_eq!(after["layers"][0]["mediaType"], "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    assert_eq!(after["layers"][0]["urls"], foreign["urls"]);
}

#[test]
fn a_layer_that_is_not_what_it_should_be_ends_it_and_leaves_nothing() {
    let layer = Layer::gzip(&b"some text ".repeat(10_000));
    let liar = Layer {
        diff_id: image::digest(&json!({"digest": format!("sha256:{}", "0".repeat(64))})).to_owned(),
        ..layer.clone()
    };
    let mut torn = layer.clone();
    let half = torn.bytes.len() / 2;
    torn.bytes.truncate(half);
    for (what, bad, says) in [("a lie", liar, "and its config says"), ("torn", torn, "cannot be unpacked as gzip")] {
        let bench = Bench::new();
        let mut images = Images::new();
        let image = images.image("linux/amd64", &[Layer::gzip(b"good"), bad]);
        images.root(image);
        images.layout(&bench.path("place"));
        let before = bench.listing();
        for line in [
            "convert place --compression zstd",
            "convert place -o new --compression zstd",
            "convert place -o new.tar --compression none",
        ] {
            let ran = bench.exits(4, line);
            ran.says(says).says("layer 2 of linux/amd64");
            assert_eq!(bench.listing(), before, "{what}: {line}");
        }
    }
    // the bytes themselves
    let bench = of_fixture(HELLO);
    let manifest = json(&bench, "manifest", "place --platform linux/arm64");
    bench.spoil(&bench.blob("place", digest(&manifest["layers"][1])));
    let before = bench.listing();
    bench.exits(4, "convert place --compression zstd").says("cannot read sha256:9f927fb77d0e");
    assert_eq!(bench.listing(), before);
    // what could not be put right is not said to have been
    bench.exits(4, "convert place --to docker").says("cannot read sha256:9f927fb77d0e").says_not("replaced");
}

#[test]
fn a_dry_run_says_the_digests_and_writes_nothing() {
    let bench = of_fixture(HELLO);
    bench.ok("copy -q place place.tar");
    let before = bench.listing();
    for line in [
        "convert place --compression zstd",
        "convert place.tar --compression zstd",
        "edit place --env A=b",
        "convert place -o new --to docker --compression none",
    ] {
        let would = bench.ok(&format!("--dry-run {line}"));
        would.says("would be changed");
        assert_eq!(bench.listing(), before, "{line}");
        let other = Bench::new();
        for name in ["place", "place.tar"] {
            let copied = run(&bench, &format!("copy -q {name}"), &[other.path(name).to_str().unwrap()]);
            assert_eq!(copied.code, 0, "{}", copied.stderr);
        }
        assert_eq!(other.ok(line).digests(), would.digests(), "{line}");
    }
}

#[test]
fn large_layers_have_the_same_bytes_for_any_number_of_jobs() {
    let text: Vec<u8> =
        (0..400_000_u32).flat_map(|number| format!("{:x} ", number.wrapping_mul(2_654_435_761)).into_bytes()).collect();
    let mut images = Images::new();
    let image = images.image("linux/amd64", &[Layer::plain(&text)]);
    images.root(image);
    for compression in ["gzip", "zstd"] {
        let digests: Vec<String> = ["1", "2"]
            .iter()
            .flat_map(|jobs| {
                let bench = Bench::new();
                images.layout(&bench.path("place"));
                let ran = bench.ok(&format!("convert place --compression {compression} --jobs {jobs}"));
                verify(&bench, "place");
                assert!(fs::read_dir(bench.path("place/blobs/sha256")).unwrap().count() == 5);
                ran.digests()
            })
            .collect();
        assert_eq!(digests[0], digests[1], "{compression}");
    }
}
