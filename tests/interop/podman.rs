//! podman loads what barge merged.

use serde_json::Value;

use crate::images::{config_of, host, six, strings};
use crate::support::digests;
use crate::work::{Work, work};

/// Every image of podman's store: names and id, sorted.
fn loaded(work: &Work) -> Vec<(Vec<String>, String)> {
    let listed = work.json("podman images --format json --no-trunc");
    let image = |image: &Value| {
        let mut names = strings(&image["Names"]);
        names.sort();
        (names, format!("sha256:{}", image["Id"].as_str().unwrap().trim_start_matches("sha256:")))
    };
    let mut images: Vec<_> = listed.as_array().unwrap().iter().map(image).collect();
    // an image stands there once for each of its names
    images.sort();
    images.dedup();
    images
}

#[test]
fn the_platform_of_this_machine_is_loaded_under_its_name() {
    let Some(work) = work(&["podman", "root"]) else { return };
    let digest = work.run(&format!("barge merge -o hello.tar -t example.com/hello:v1 {}", six()));
    work.run("podman load -i hello.tar");
    assert_eq!(loaded(&work), [(vec!["example.com/hello:v1".to_owned()], config_of(host()))]);
    // it knows which index the image came from
    let inspected = work.json("podman image inspect example.com/hello:v1");
    let digests = strings(&inspected[0]["RepoDigests"]);
    assert!(digests.contains(&format!("example.com/hello@{digest}")), "{digests:?}");
}

#[test]
fn a_layout_is_loaded_and_pulled() {
    let Some(work) = work(&["podman", "root"]) else { return };
    work.run(&format!("barge merge -o layout -t example.com/hello:v1 {}", six()));
    // a directory gives the image its own name, whatever is written inside
    for command in ["load -i layout", "pull oci:layout:v1"] {
        work.run(&format!("podman {command}"));
        let images = loaded(&work);
        assert_eq!((images.len(), &images[0].1), (1, &config_of(host())), "{command}");
        work.run("podman rmi --all --force");
    }
}

#[test]
fn all_names_and_images_of_one_archive_are_loaded() {
    let Some(work) = work(&["podman", "root"]) else { return };
    // several images are loaded through manifest.json, which names linux/amd64
    work.run(&format!("barge merge -o all.tar -t example.com/hello:v1 -t hello:latest {}", six()));
    work.run("barge merge -o all.tar -t example.com/other:v1 fixtures/buildx-amd64-arm64.tar");
    work.run("podman load -i all.tar");
    let other = digests::lines()
        .into_iter()
        .find(|line| {
            line.fixture == "buildx-amd64-arm64.tar" && line.platform == "linux/amd64" && line.kind == "config"
        })
        .unwrap();
    let hello = ["docker.io/library/hello:latest", "example.com/hello:v1"].map(str::to_owned).to_vec();
    assert_eq!(
        loaded(&work),
        [(hello, config_of("linux/amd64")), (vec!["example.com/other:v1".to_owned()], other.digest)]
    );
}

#[test]
fn an_image_for_another_machine_is_loaded() {
    let Some(work) = work(&["podman", "root"]) else { return };
    for (fixture, architecture) in [
        ("docker-armv7.tar", "arm"),
        ("containerd-s390x", "s390x"), // Docker types in an OCI index
        ("skopeo-docker-riscv64.tar", "riscv64"),
        ("hybrid-ppc64le.tar", "ppc64le"),
    ] {
        work.run(&format!(
            "barge merge -o {architecture}.tar -t example.com/foreign:{architecture} fixtures/{fixture}"
        ));
        work.run(&format!("podman load -i {architecture}.tar"));
        let inspected = work.json(&format!("podman image inspect example.com/foreign:{architecture}"));
        assert_eq!(inspected[0]["Architecture"], architecture);
        let id = format!("sha256:{}", inspected[0]["Id"].as_str().unwrap());
        assert_eq!([id].as_slice(), digests::of(fixture, "config"), "{fixture}");
    }
}

#[test]
fn a_docker_manifest_list_is_loaded() {
    let Some(work) = work(&["podman", "root"]) else { return };
    work.run(&format!("barge merge --media-type docker -o hello.tar -t example.com/hello:v1 {}", six()));
    work.run("podman load -i hello.tar");
    assert_eq!(loaded(&work), [(vec!["example.com/hello:v1".to_owned()], config_of(host()))]);
}

#[test]
fn what_was_built_for_several_platforms_is_loaded() {
    let Some(work) = work(&["podman", "root"]) else { return };
    work.run(&format!("barge merge -o lib -t example.com/base:v1 {}", six()));
    work.write("added", "added");
    for packing in ["gzip", "zstd", "none"] {
        let index = work.run(&format!(
            "barge build -L lib -o {packing}.tar -t example.com/built:{packing} --platform linux/amd64,linux/arm64,linux/s390x \
             --from example.com/base:v1 --add added:/srv/ --label packed={packing} --compression {packing}"
        ));
        work.run(&format!("podman load -i {packing}.tar"));
        let inspected = work.json(&format!("podman image inspect example.com/built:{packing}"));
        assert_eq!(inspected[0]["Labels"]["packed"], packing);
        assert_eq!(format!("linux/{}", inspected[0]["Architecture"].as_str().unwrap()), host());
        let digests = strings(&inspected[0]["RepoDigests"]);
        assert!(digests.contains(&format!("example.com/built@{index}")), "{digests:?}");
        let root = std::path::PathBuf::from(work.run(&format!("podman image mount example.com/built:{packing}")));
        assert_eq!(std::fs::read(root.join("srv/added")).unwrap(), b"added");
        assert!(root.join("etc/os-release").exists());
        work.run(&format!("podman image unmount example.com/built:{packing}"));
    }
}
