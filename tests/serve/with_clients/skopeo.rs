//! skopeo copies from places of every kind.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{APP, app, blobs, digests, serve};
use crate::images::{sha256, strings};
use crate::support::digests::lines;
use crate::work::{Work, work};

/// Adds a larger image to the layout `lib`: `ghcr.io/org/app:v2`.
fn and_a_larger_one(work: &Work) {
    let line = |number: u64| format!("{:016x}\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    work.write("large", &(0..100_000).map(line).collect::<String>());
    let platforms = "--platform linux/amd64,linux/arm64 --compression none";
    work.run(&format!("barge build -L lib -t ghcr.io/org/app:v2 {platforms} --from {APP} --add large:/srv/"));
}

#[test]
fn it_copies_everything_from_a_place_of_any_kind() {
    let Some(work) = work(&["skopeo"]) else { return };
    app(&work);
    and_a_larger_one(&work);
    work.run("barge save -q -o app.tar lib");
    work.run("barge save -q -o set.tar --split 1M lib");
    assert!(work.path("set.tar.002").exists());
    work.run(&format!("barge save -q -o base.tar lib:{APP}"));
    work.run("barge save -q -o delta.tar --base base.tar lib");
    let wanted = digests(&work, "lib");
    assert_eq!(wanted.len(), 2);
    for (at, places) in ["lib", "app.tar", "set.tar", "delta.tar base.tar"].into_iter().enumerate() {
        let serving = serve(&work, places);
        let authority = serving.authority();
        for repository in ["org/app", "ghcr.io/org/app"] {
            let listed = work.json(&format!("skopeo list-tags --tls-verify=false docker://{authority}/{repository}"));
            assert_eq!(strings(&listed["Tags"]), ["v1", "v2"], "{places}: {repository}");
        }
        for (name, digest) in &wanted {
            let from = format!("docker://{authority}/{}", name.trim_start_matches("ghcr.io/"));
            let raw = work.bytes(&format!("skopeo inspect --raw --tls-verify=false {from}"));
            assert_eq!(sha256(&raw), *digest, "{places}: {name}");
            // by digest, under its full name
            let exactly = format!("docker://{authority}/ghcr.io/org/app@{digest}");
            assert_eq!(work.bytes(&format!("skopeo inspect --raw --tls-verify=false {exactly}")), raw, "{places}");
            let tag = name.rsplit_once(':').unwrap().1;
            let copy = "skopeo copy -q --all --preserve-digests --src-tls-verify=false";
            work.run(&format!("{copy} {from} oci:back{at}:{tag}"));
            work.run(&format!("{copy} {from} dir:dir{at}-{tag}"));
            assert_eq!(sha256(&work.read(&format!("dir{at}-{tag}/manifest.json"))), *digest, "{places}: {name}");
        }
        assert_eq!(blobs(&work, &format!("back{at}")), blobs(&work, "lib"), "{places}");
        let ended = serving.stop();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.said.contains("warning") && !ended.said.contains(" cut "), "{places}: {}", ended.said);
    }
}

#[test]
fn it_copies_from_a_docker_archive() {
    let Some(work) = work(&["skopeo"]) else { return };
    app(&work);
    work.run(&format!("skopeo copy -q --override-arch arm64 oci:lib:v1 docker-archive:docker.tar:{APP}"));
    let serving = serve(&work, "docker.tar");
    let from = format!("docker://{}/org/app:v1", serving.authority());
    work.run(&format!("skopeo copy -q --all --preserve-digests --src-tls-verify=false {from} oci:back:v1"));
    work.run("barge verify --deep back");
    // its manifest is what barge makes of it whenever it reads it
    work.run("barge load -q -i docker.tar -o loaded");
    assert_eq!(blobs(&work, "back"), blobs(&work, "loaded"));
    let config: Value = work.json(&format!("skopeo inspect --config --tls-verify=false {from}"));
    assert_eq!(config["architecture"], "arm64");
}

#[test]
fn it_copies_what_any_program_wrote_from_one_registry() {
    let Some(work) = work(&["skopeo"]) else { return };
    let lines = lines();
    let fixtures: BTreeSet<String> = lines.iter().map(|line| format!("fixtures/{}", line.fixture)).collect();
    let places: Vec<&str> = fixtures.iter().map(String::as_str).collect();
    let serving = serve(&work, &places.join(" "));
    let list = |path: &str, field: &str| {
        let body: Value = serde_json::from_slice(&serving.get(path).body).unwrap();
        strings(&body[field])
    };
    let mut there = BTreeSet::new();
    for repository in list("/v2/_catalog", "repositories") {
        for tag in list(&format!("/v2/{repository}/tags/list"), "tags") {
            let to = format!("{}-{tag}", repository.replace('/', "-"));
            let from = format!("docker://{}/{repository}:{tag}", serving.authority());
            work.run(&format!("skopeo copy -q --all --preserve-digests --src-tls-verify=false {from} oci:{to}:{tag}"));
            there.extend(blobs(&work, &to).into_keys());
        }
    }
    for line in lines {
        assert!(there.contains(&line.digest), "{line:?}");
    }
    assert!(!serving.stop().said.contains("warning"));
}
