//! `tag`: further names.

use serde_json::Value;

use super::bench::{Bench, listing};
use super::made::{Made, bare, digest, full, tagged, two_images};

#[test]
fn an_image_gets_names_and_nothing_else_changes() {
    for place in ["layout", "archive.tar"] {
        let bench = Bench::new();
        let made = two_images();
        made.layout(&bench.path("layout"));
        made.archive(&bench.path("archive.tar"));
        let before = listing(&bench.path("layout/blobs"));
        let ran = bench.ok(&format!("tag {place}:app:v1 app ghcr.io/org/app:v1 app:v2"));
        let app = bare(&made.roots[0]);
        let names = ["docker.io/library/app:latest", "ghcr.io/org/app:v1", "docker.io/library/app:v2"];
        let lines: String = names.iter().map(|name| format!("{} {name}\n", digest(&app))).collect();
        assert_eq!(ran.text(), lines);
        let roots = bench.roots(place);
        assert_eq!(roots[..2], made.roots[..], "{place}");
        let full_names: Vec<_> =
            roots[2..].iter().map(|root| root["annotations"]["io.containerd.image.name"].as_str().unwrap()).collect();
        assert_eq!(full_names, names);
        // the second repository with a `v1` is spelled out
        assert_eq!(roots[3]["annotations"]["org.opencontainers.image.ref.name"], "ghcr.io/org/app:v1");
        assert_eq!(listing(&bench.path("layout/blobs")), before);
        bench.verify(place);
        let now = bench.listing();
        bench.ok(&format!("tag {place}:app:v1 app ghcr.io/org/app:v1 app:v2")).says("nothing to do");
        assert_eq!(bench.listing(), now);
    }
}

#[test]
fn a_name_moves_with_a_warning_and_the_image_that_lost_it_stays() {
    for place in ["layout", "archive.tar"] {
        let bench = Bench::new();
        let made = two_images();
        made.layout(&bench.path("layout"));
        made.archive(&bench.path("archive.tar"));
        let ran = bench.ok(&format!("tag {place}:db:v3 app:v1"));
        ran.says("warning: docker.io/library/app:v1 meant").says(digest(&made.roots[0])).says("lost the name");
        assert_eq!(bench.roots(place)[0], full(&bare(&made.roots[1]), "docker.io/library/app:v1"));
        assert_eq!(bench.roots(place).len(), 2);
        assert!(bench.blobs(place).len() == made.blobs.len(), "content went with the name");
        // by its digest it is still found in a layout, and only there it can be named again: nothing lists it
        bench.exits(3, &format!("tag {place}@{} app:v0", digest(&made.roots[0])));
    }
}

#[test]
fn what_is_no_name_or_no_image_is_refused() {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("layout"));
    bench.ok("save --format docker --platform linux/amd64 -o docker.tar layout:app:v1");
    bench.ok("save --compress zstd -o packed.tar.zst layout:app:v1");
    let before = bench.listing();
    for (code, line) in [
        (3, "tag layout:nope app:v2"),
        (3, "tag layout app:v2"),
        (3, "tag nothing:app:v1 app:v2"),
        (2, "tag layout:app:v1 UPPER"),
        (2, "tag layout:app:v1 good:v1 bad@sha256:x"),
        (2, &format!("tag layout:app:v1 app@{}", digest(&made.roots[0]))),
        (9, "tag docker.tar:app:v1 app:v2"),
        (9, "tag packed.tar.zst:app:v1 app:v2"),
        (2, "tag layout:app:v1"),
    ] {
        bench.exits(code, line);
    }
    let stream = bench.ok("save -o - layout").stdout;
    assert_eq!(bench.run_with("tag - app:v2", &stream).code, 3);
    assert_eq!(bench.run_with("tag -:app:v1 app:v2", &stream).code, 2);
    assert_eq!(bench.listing(), before);
}

#[test]
fn an_image_without_a_name_gets_its_first_and_a_platform_one_of_its_own() {
    let bench = Bench::new();
    let mut made = two_images();
    let unnamed = made.image("linux/amd64", &["unnamed"]);
    made.root(unnamed.clone());
    made.layout(&bench.path("layout"));
    bench.ok("tag layout@2 new:v1");
    assert_eq!(bench.roots("layout")[2]["digest"], unnamed["digest"]);
    assert_eq!(bench.roots("layout").len(), 3, "the name is on the very descriptor");
    let index: Value = serde_json::from_slice(&made.blobs[digest(&made.roots[0])]).unwrap();
    let child = digest(&index["manifests"][1]);
    bench.ok(&format!("tag layout@{child} app:v1-arm64"));
    assert_eq!(bench.roots("layout")[3]["digest"], child);
    bench.verify("layout");
}

#[test]
fn what_stands_in_index_json_and_is_not_known_stays() {
    let bench = Bench::new();
    let mut made = Made::new();
    let image = made.image("linux/amd64", &["a"]);
    let mut odd = tagged(&image, "v1");
    odd["x-odd"] = serde_json::json!({"z": 1, "a": [2]});
    made.root(odd.clone());
    made.layout(&bench.path("layout"));
    let text = std::fs::read_to_string(bench.path("layout/index.json")).unwrap();
    let text = text.replacen('{', "{\"x-top\" : 1.0 , ", 1);
    std::fs::write(bench.path("layout/index.json"), text).unwrap();
    std::fs::write(bench.path("layout/notes.txt"), "mine").unwrap();
    bench.ok("tag layout:v1 app:v1");
    assert_eq!(bench.roots("layout")[0], odd);
    assert_eq!(bench.index("layout")["x-top"], 1.0);
    bench.ok("copy layout:v1 other.tar");
    assert_eq!(bench.roots("other.tar")[0], odd);
}
