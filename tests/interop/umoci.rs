//! umoci reads what barge merged, as far as it can: one platform of OCI types under one name.

use std::fs;
use std::process::Command;

use crate::images::{host, six};
use crate::support::digests;
use crate::work::work;

#[test]
fn the_names_of_a_layout_are_listed() {
    let Some(work) = work(&["umoci"]) else { return };
    work.run("barge merge -o layout -t example.com/hello:v1 -t example.com/hello:latest fixtures/umoci-amd64");
    work.run("barge merge -o layout -t example.com/other:v1 fixtures/skopeo-arm64.tar");
    assert_eq!(work.lines("umoci ls --layout layout"), ["v1", "latest", "example.com/other:v1"]);
}

#[test]
fn an_image_for_one_platform_is_described_and_unpacked() {
    let Some(work) = work(&["umoci"]) else { return };
    for (platform, tag, fixture) in [
        ("linux/amd64", "amd64", "umoci-amd64"),
        ("linux/arm64", "arm64", "skopeo-arm64.tar"),
        ("linux/ppc64le", "ppc64le", "hybrid-ppc64le.tar"),
        ("linux/arm/v7", "armv7", "docker-armv7.tar"),
        ("linux/riscv64", "riscv64", "buildah-riscv64.tar"),
    ] {
        work.run(&format!("barge merge -o layout -t example.com/hello:{tag} fixtures/{fixture}"));
        let stat = work.json(&format!("umoci stat --json --image layout:{tag}"));
        let layers = stat["history"].as_array().unwrap().iter().filter_map(|step| step["layer"]["digest"].as_str());
        let mut layers: Vec<String> = layers.map(str::to_owned).collect();
        layers.sort();
        assert_eq!(layers, digests::of(fixture, "layer"), "{fixture}");

        work.run(&format!("umoci unpack --rootless --image layout:{tag} bundle-{tag}"));
        let release = work.read(&format!("bundle-{tag}/rootfs/etc/os-release"));
        assert_eq!(release, fs::read(digests::fixtures().join("src/os-release")).unwrap(), "{fixture}");
        let hello = work.path(&format!("bundle-{tag}/rootfs/hello"));
        if platform == host() {
            let said = Command::new(hello).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), format!("hello from {platform}\n"));
        } else {
            assert!(hello.exists(), "{fixture}");
        }
    }
}

#[test]
fn several_platforms_under_one_name_are_refused_and_harm_no_other_name() {
    let Some(work) = work(&["umoci"]) else { return };
    work.run("barge merge -o layout -t example.com/hello:one fixtures/umoci-amd64");
    let digest = work.run(&format!("barge merge -o layout -t example.com/hello:all {}", six()));
    let said = work.fails("umoci stat --image layout:all");
    assert!(said.contains("tag is ambiguous: all"), "{said}");
    work.run("umoci stat --image layout:one");
    let verified = work.run("barge verify --deep layout");
    assert!(verified.contains("ok"), "{verified}");
    assert!(work.run("barge ls --no-trunc layout:all").contains(&digest));
}

#[test]
fn its_garbage_collection_keeps_what_oci_types_refer_to() {
    let Some(work) = work(&["umoci"]) else { return };
    // it does not look into manifests of Docker types: their blobs are garbage to it (docs/merge.md)
    let sources =
        "fixtures/umoci-amd64 fixtures/skopeo-arm64.tar fixtures/docker-armv7.tar fixtures/buildah-riscv64.tar";
    work.run(&format!("barge merge -o layout -t example.com/hello:v1 -t example.com/hello:latest {sources}"));
    work.run("barge merge -o layout -t example.com/attested:v2 fixtures/buildx-amd64-arm64.tar");
    work.run("umoci gc --layout layout");
    work.run("barge verify --deep layout");
}
