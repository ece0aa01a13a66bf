//! `rm`: names and platforms go, and content only when it is asked for.

use std::fs;

use serde_json::Value;

use super::bench::{Bench, listing};
use super::made::{Made, annotated, bare, digest, full, tagged, two_images};

fn names(bench: &Bench, place: &str) -> Vec<String> {
    let roots = bench.roots(place);
    let name = |root: &Value| root["annotations"]["io.containerd.image.name"].as_str().unwrap_or("-").to_owned();
    roots.iter().map(name).collect()
}

/// Two images, the first under three names.
fn several_names() -> Made {
    let mut made = two_images();
    let app = bare(&made.roots[0]);
    made.root(full(&app, "docker.io/library/app:latest")).root(full(&app, "quay.io/x/app:stable"));
    made
}

/// Runs a test on a layout and on an archive.
fn everywhere(made: &Made, test: impl Fn(&Bench, &str)) {
    for place in ["layout", "archive.tar"] {
        let bench = Bench::new();
        made.layout(&bench.path("layout"));
        made.archive(&bench.path("archive.tar"));
        test(&bench, place);
    }
}

#[test]
fn a_name_goes_and_content_stays() {
    everywhere(&several_names(), |bench, place| {
        let blobs = bench.blobs(place);
        let ran = bench.ok(&format!("rm {place}:app:v1"));
        ran.says("docker.io/library/app:v1 removed").says("still there as docker.io/library/app:latest, quay.io");
        assert_eq!(
            names(bench, place),
            ["docker.io/library/db:v3", "docker.io/library/app:latest", "quay.io/x/app:stable"]
        );
        assert_eq!(bench.blobs(place), blobs);
        bench.exits(3, &format!("rm {place}:app:v1"));
        bench.ok(&format!("rmi {place}:app:latest"));
        bench.ok(&format!("delete {place}:quay.io/x/app:stable")).says_not("still there");
        bench.ok(&format!("rm {place}:db:v3"));
        assert!(names(bench, place).is_empty(), "the last one");
        assert_eq!(bench.blobs(place), blobs);
        bench.verify(place);
    });
}

#[test]
fn a_digest_means_all_names_of_it() {
    let made = several_names();
    let app = digest(&made.roots[0]).to_owned();
    everywhere(&made, |bench, place| {
        bench.ok(&format!("rm {place}@{}", &app[7..20]));
        assert_eq!(names(bench, place), ["docker.io/library/db:v3"]);
    });
    everywhere(&made, |bench, place| {
        bench.ok(&format!("rm {place}@0"));
        assert_eq!(names(bench, place).len(), 3, "a position is one");
    });
}

#[test]
fn a_name_that_means_several_removes_none_of_them() {
    let mut made = several_names();
    let other = made.image("linux/amd64", &["other"]);
    made.root(full(&other, "ghcr.io/y/app:v1"));
    let app = bare(&made.roots[0]);
    made.root(full(&app, "docker.io/other/app:v7")).root(full(&app, "docker.io/more/app:v7"));
    everywhere(&made, |bench, place| {
        let before = bench.listing();
        bench.exits(3, &format!("rm {place}:v1")).says("docker.io/library/app:v1").says("ghcr.io/y/app:v1");
        assert_eq!(bench.listing(), before);
        // one image, two names with that tag
        bench.exits(3, &format!("rm {place}:v7")).says("other/app:v7").says("more/app:v7");
        assert_eq!(names(bench, place).len(), 7);
    });
    // the platforms of one image side by side are one image
    let mut flat = two_images();
    let (a, b) = (flat.image("linux/amd64", &["a"]), flat.image("linux/arm64", &["b"]));
    flat.root(tagged(&a, "flat")).root(tagged(&b, "flat"));
    everywhere(&flat, |bench, place| {
        bench.ok(&format!("rm {place}:flat"));
        assert_eq!(bench.roots(place), flat.roots[..2]);
    });
}

#[test]
fn one_wrong_reference_of_several_changes_nothing() {
    let made = several_names();
    let index: Value = serde_json::from_slice(&made.blobs[digest(&made.roots[0])]).unwrap();
    let (child, config) = (digest(&index["manifests"][0]), {
        let manifest: Value = serde_json::from_slice(&made.blobs[digest(&index["manifests"][0])]).unwrap();
        digest(&manifest["config"]).to_owned()
    });
    everywhere(&made, |bench, place| {
        made.layout(&bench.path("second"));
        let before = bench.listing();
        for wrong in [
            format!("{place}:nope"),
            format!("{place}@9"),
            format!("{place}@sha256:{}", "0".repeat(64)),
            "second:nope".to_owned(),
            "nothing:v1".to_owned(),
            // inside an image: no name of its own goes
            format!("{place}@{child}"),
            format!("{place}:{}", &child[7..]),
            format!("{place}@{config}"),
        ] {
            bench.exits(3, &format!("rm {place}:app:v1 second:db:v3 {wrong}"));
            bench.exits(3, &format!("rm {wrong} second:app:v1 {place}:app:v1"));
            bench.exits(3, &format!("rm --gc {place}:app:v1 {wrong}"));
        }
        bench.exits(2, &format!("rm {place}:app:v1 second")).says("it is a whole place");
        bench.exits(3, &format!("rm --platform linux/riscv64 {place}:app:v1 second:app:v1"));
        bench.exits(3, &format!("rm --platform linux/s390x {place}:app:v1 second:db:v3"));
        assert_eq!(bench.listing(), before, "{place}");
        bench.ok(&format!("rm {place}:app:v1 second:db:v3 {place}:db:v3 {place}:app:v1"));
        assert_eq!((names(bench, place).len(), names(bench, "second").len()), (2, 3));
    });
}

#[test]
fn a_platform_goes_with_its_attestations_and_all_else_keeps_its_place() {
    let made = several_names();
    let app = digest(&made.roots[0]).to_owned();
    everywhere(&made, |bench, place| {
        let ran = bench.ok(&format!("rm --platform linux/s390x {place}:app:v1"));
        let roots = bench.roots(place);
        ran.says("docker.io/library/app:v1 made smaller").says(&format!("was {app}"));
        ran.says(&format!("is  {}", digest(&roots[0])));
        assert_eq!(ran.digests(), [digest(&roots[0])]);
        assert_eq!(roots[0]["annotations"], made.roots[0]["annotations"], "its place and its name");
        assert_eq!(roots[1..], made.roots[1..], "{place}: the other names mean what they meant");
        let shown = bench.ok(&format!("inspect --json {place}:app:v1")).json();
        assert_eq!(shown["results"][0]["document"]["manifests"].as_array().unwrap().len(), 4);
        bench.verify(place);
        ran.says_not("warning");
        // by digest, all names of it
        let ran = bench.ok(&format!("rm --platform linux/arm64,linux/amd64 {place}@{app}"));
        assert_eq!(ran.digests().len(), 2);
        let roots = bench.roots(place);
        assert_eq!(roots[2]["digest"], roots[3]["digest"]);
        assert_eq!(names(bench, place)[2..], ["docker.io/library/app:latest", "quay.io/x/app:stable"]);
        bench.verify(place);
    });
}

#[test]
fn an_unnamed_image_keeps_its_place_too() {
    let mut made = two_images();
    let unnamed = made.app("unnamed", &["linux/amd64", "linux/arm64"]);
    made.roots.insert(1, annotated(unnamed, "x", "y"));
    everywhere(&made, |bench, place| {
        bench.ok(&format!("rm --platform linux/arm64 {place}@1"));
        let roots = bench.roots(place);
        assert_eq!((&roots[0], &roots[2]), (&made.roots[0], &made.roots[2]));
        assert_eq!(roots[1]["annotations"], made.roots[1]["annotations"]);
        bench.verify(place);
    });
}

#[test]
fn an_image_without_platforms_is_none() {
    everywhere(&two_images(), |bench, place| {
        let before = bench.listing();
        for list in ["linux/amd64,linux/arm64,linux/s390x", "linux/s390x,linux/arm64/v8 --platform linux/amd64"] {
            bench.exits(2, &format!("rm --platform {list} {place}:app:v1")).says("cannot remove every platform");
        }
        bench.exits(2, &format!("rm --platform linux/amd64 {place}:db:v3"));
        bench.exits(3, &format!("rm --platform linux/amd64,linux/riscv64 {place}:app:v1"));
        assert_eq!(bench.listing(), before);
    });
}

#[test]
fn content_goes_only_as_far_as_nobody_else_needs_it() {
    let mut made = several_names();
    let shared = digest(&made.put("x", b"the shared layer")).to_owned();
    // an index of somebody else over one of its images
    let index: Value = serde_json::from_slice(&made.blobs[digest(&made.roots[0])]).unwrap();
    let arm64 = index["manifests"][1].clone();
    let other = made.index(std::slice::from_ref(&arm64));
    made.root(full(&other, "example.com/arm:v1"));
    // what nothing refers to, and was there before, is none of its business
    let stray = digest(&made.put("x", b"stray")).to_owned();
    everywhere(&made, |bench, place| {
        bench.ok(&format!("rm --gc {place}:app:v1"));
        assert_eq!(bench.blobs(place).len(), made.blobs.len(), "it has other names");
        bench.ok(&format!("rm --gc {place}:app:latest {place}:quay.io/x/app:stable"));
        let blobs = bench.blobs(place);
        for kept in [&shared, digest(&arm64), digest(&other), &stray] {
            assert!(blobs.iter().any(|blob| blob == kept), "{place}: {kept} went");
        }
        // the index; manifest, config and layer of two platforms; three attestations of three blobs each
        assert_eq!(blobs.len(), made.blobs.len() - 1 - 2 * 3 - 3 * 3, "{place}");
        bench.verify(place);
        let ran = bench.ok(&format!("rm --gc {place}:example.com/arm:v1 {place}:db:v3"));
        ran.says_not("warning");
        assert_eq!(bench.blobs(place), std::slice::from_ref(&stray));
    });
    everywhere(&made, |bench, place| {
        bench.ok(&format!("rm --gc --platform linux/s390x,linux/amd64 {place}@{}", digest(&made.roots[0])));
        assert_eq!(bench.blobs(place).len(), made.blobs.len() - 2 * 3 - 2 * 3, "{place}");
        bench.verify(place);
    });
}

#[test]
fn a_signature_keeps_what_it_signs_until_it_goes_too() {
    let mut made = two_images();
    let app = bare(&made.roots[0]);
    let signature = made.artifact("signature", Some(&app));
    let chained = made.artifact("of the signature", Some(&signature));
    made.root(tagged(&signature, "signature")).root(tagged(&chained, "chained"));
    everywhere(&made, |bench, place| {
        let before = bench.blobs(place);
        bench.ok(&format!("rm --gc {place}:app:v1")).says("signature belongs to what is removed");
        assert_eq!(bench.blobs(place), before);
        bench.verify(place);
    });
    everywhere(&made, |bench, place| {
        bench.ok(&format!("rm --gc {place}:app:v1 {place}:signature {place}:chained")).says_not("belongs");
        assert_eq!(bench.blobs(place).len(), 8, "{place}: what db:v3 has");
    });
}

#[test]
fn what_is_broken_can_be_removed() {
    let made = two_images();
    let index: Value = serde_json::from_slice(&made.blobs[digest(&made.roots[0])]).unwrap();
    let bench = Bench::new();
    made.layout(&bench.path("layout"));
    fs::remove_file(bench.blob("layout", digest(&index["manifests"][1]))).unwrap();
    bench.exits(4, "gc --grace 0 layout");
    bench.exits(4, "rm --platform linux/amd64 layout:app:v1");
    bench.ok("rm --gc layout:app:v1");
    assert_eq!(bench.roots("layout"), made.roots[1..]);
    bench.verify("layout");
    // what the missing manifest referred to was not known to be its own: gc finds it
    bench.ok("gc --grace 0 layout");
    assert_eq!(bench.blobs("layout").len(), 8);
}

#[test]
fn nothing_can_be_removed_from_what_cannot_be_written() {
    let bench = Bench::new();
    two_images().layout(&bench.path("layout"));
    bench.ok("save --format docker --platform linux/amd64 -o docker.tar layout:app:v1");
    let before = listing(bench.root());
    bench.exits(9, "rm docker.tar:app:v1");
    bench.exits(9, "rm layout:app:v1 docker.tar:app:v1");
    assert_eq!(listing(bench.root()), before);
}

#[test]
fn names_stay_when_their_content_cannot_be_collected() {
    let made = two_images();
    let index: Value = serde_json::from_slice(&made.blobs[digest(&made.roots[0])]).unwrap();
    let bench = Bench::new();
    made.layout(&bench.path("layout"));
    fs::remove_file(bench.blob("layout", digest(&index["manifests"][1]))).unwrap();
    let before = listing(bench.root());
    // the other image is not whole: what it is in need of is not known
    bench.exits(4, "rm --gc layout:db:v3");
    assert_eq!(listing(bench.root()), before);
    bench.ok("rm layout:db:v3");
}
