//! Three multi-arch images in one file go to every loader and come back, each as what it is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::check::listed;
use crate::commands::{each_save, layouts};
use crate::daemons;
use crate::images::{config_of, seen_as_text, sha256};
use crate::support::digests;
use crate::work::{Work, work};

const NEEDS: [&str; 8] = ["buildah", "containerd", "ctr", "docker", "dockerd", "podman", "root", "skopeo"];
const NAMES: [&str; 3] = ["example.com/first:v1", "example.com/first:v2", "example.com/second:v1"];

/// The config of each image for linux/amd64, which `manifest.json` names on every machine.
fn ids() -> BTreeMap<&'static str, String> {
    let by_buildx = digests::lines().into_iter().find(|line| {
        (line.fixture.as_str(), line.platform.as_str(), line.kind.as_str())
            == ("buildx-amd64-arm64.tar", "linux/amd64", "config")
    });
    NAMES.into_iter().zip([config_of("linux/amd64"), by_buildx.unwrap().digest, config_of("linux/amd64")]).collect()
}

/// The digest of each image, as barge lists a place.
fn indexes(work: &Work, place: &str) -> BTreeMap<String, String> {
    let listed = work.json(&format!("barge ls --json {place}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    listed["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| (text(&image["names"][0]), text(&image["digest"])))
        .collect()
}

/// The config of an image for one platform, as its manifest has it.
fn config_in(work: &Work, image: &str) -> String {
    let manifest = work.json(&format!("barge inspect --raw {image}"));
    manifest["config"]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn every_name_arrives_with_its_digest_and_runs() {
    let Some(work) = work(&NEEDS) else { return };
    layouts(&work);
    work.run("barge save -o three.tar three");
    let indexes = indexes(&work, "three");
    assert_eq!(indexes.len(), 3);
    let _daemons = daemons::docker(&work);

    work.run("docker load -i three.tar");
    work.run("podman load -i three.tar");
    for (name, id) in ids() {
        for program in ["docker", "podman"] {
            let there = work.run(&format!("{program} image inspect --format {{{{.Id}}}} {name}"));
            assert_eq!(there.trim_start_matches("sha256:"), id.trim_start_matches("sha256:"), "{program} {name}");
        }
        if cfg!(target_arch = "x86_64") {
            assert_eq!(work.run(&format!("docker run --rm --network none {name}")), "hello from linux/amd64", "{name}");
        }
    }
    let names = NAMES.map(str::to_owned).into();
    assert_eq!(listed(&work, "docker"), (true, BTreeSet::clone(&names)));
    assert_eq!(listed(&work, "podman"), (true, names));

    work.run("ctr images import --all-platforms three.tar");
    let there = work.lines("ctr images ls").into_iter().skip(1).map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words[0].to_owned(), words[2].to_owned())
    });
    assert_eq!(there.collect::<BTreeMap<_, _>>(), indexes);

    for (name, digest) in &indexes {
        // the second image with this tag has its full name
        let own = if name == "example.com/second:v1" { name } else { name.rsplit_once(':').unwrap().1 };
        let to = format!("copy-of-{}", name.replace(['/', ':'], "-"));
        work.run(&format!("skopeo copy --all --preserve-digests oci-archive:three.tar:{own} dir:{to}"));
        assert_eq!(sha256(&work.read(&format!("{to}/manifest.json"))), *digest, "{name}");
    }
}

#[test]
fn what_docker_and_buildah_write_comes_back() {
    let Some(work) = work(&NEEDS) else { return };
    layouts(&work);
    work.run("barge save -o three.tar three");
    work.run("barge save -o one.tar one");
    let _daemons = daemons::docker(&work);

    work.run("docker load -i three.tar");
    work.run(&format!("docker save -o by-docker.tar {}", NAMES.join(" ")));
    work.run("barge load -i by-docker.tar -o from-docker");
    // both names of one id are one image here
    work.run("barge verify --deep from-docker");
    for (name, id) in ids() {
        assert_eq!(config_in(&work, &format!("from-docker:{name}")), id, "{name}");
    }

    // an image that podman took by its index has kept its manifest
    work.run("podman load -i one.tar");
    work.run("buildah push example.com/first:v1 oci-archive:by-buildah.tar:example.com/first:v1");
    work.run("barge load -i by-buildah.tar -o from-buildah");
    work.run("barge verify --deep from-buildah");
    assert_eq!(config_in(&work, "from-buildah:example.com/first:v1"), config_of(crate::images::host()));

    for from in ["from-docker:example.com/first:v2", "from-buildah:example.com/first:v1"] {
        let to = from.split(':').next().unwrap();
        work.run(&format!("barge merge -o {to}.tar -t example.com/again:v1 {from} fixtures/containerd-s390x"));
        let host = crate::images::host();
        let both = if from.contains("docker") { "linux/amd64" } else { host };
        assert_eq!(seen_as_text(&work, &format!("{to}.tar")), [format!("example.com/again:v1 {both},linux/s390x")]);
    }
}

#[test]
fn the_commands_that_save_prints_work() {
    let Some(work) = work(&NEEDS) else { return };
    let _daemons = daemons::docker(&work);
    each_save(&work, |file, _, commands| {
        for (at, command) in commands.iter().enumerate() {
            let (before, last) = command.rsplit_once(' ').unwrap();
            let place = format!("tmp/{file}-{at}");
            let command = match command.split(' ').next().unwrap() {
                "barge" => format!("{before} {place}"),
                "ctr" => command.replace("k8s.io", file),
                "skopeo" => {
                    assert!(last.starts_with("docker://example.com/"), "{command}");
                    format!("{before} dir:{place}")
                }
                // Debian has none: the rules stand in src/ops/check
                "nerdctl" => continue,
                _ => command.clone(),
            };
            work.run(&command);
            match command.split(' ').next().unwrap() {
                program @ ("docker" | "podman") => {
                    let (any, names) = listed(&work, program);
                    assert!(any && names.contains("example.com/first:v1"), "{command}: {names:?}");
                    work.run(&format!("{program} rmi --force {}", names.into_iter().collect::<Vec<_>>().join(" ")));
                }
                "ctr" => assert!(!work.lines(&format!("ctr -n {file} images ls -q")).is_empty(), "{command}"),
                _ => {}
            }
        }
    });
}
