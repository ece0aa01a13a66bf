//! docker's classic store loads what barge merged, and barge reads what docker saves.

use crate::daemons;
use crate::images::{SIX, config_of, seen, seen_as_text, six};
use crate::support::digests;
use crate::work::{Work, work};

const NEEDS: [&str; 5] = ["docker", "dockerd", "containerd", "ctr", "root"];

/// Whether this docker is one that keeps images in its own store and knows no OCI layout.
fn is_classic(work: &Work) -> bool {
    work.run("docker version --format {{.Server.Version}}").starts_with("20.")
}

#[test]
fn every_name_of_an_archive_is_loaded_and_runs() {
    let Some(work) = work(&NEEDS) else { return };
    let _daemons = daemons::docker(&work);
    work.run(&format!("barge merge -o all.tar -t example.com/hello:v1 -t hello:latest {}", six()));
    // the same tag in another repository
    work.run("barge merge -o all.tar -t example.com/other:v1 fixtures/buildx-amd64-arm64.tar");

    let loaded = work.lines("docker load -i all.tar");
    assert_eq!(
        loaded,
        ["example.com/hello:v1", "hello:latest", "example.com/other:v1"].map(|name| format!("Loaded image: {name}"))
    );
    let id = |name: &str| work.run(&format!("docker image inspect --format {{{{.Id}}}} {name}"));
    // classic docker reads manifest.json, which names linux/amd64 on every machine
    assert_eq!(id("example.com/hello:v1"), config_of("linux/amd64"));
    assert_eq!(id("hello:latest"), config_of("linux/amd64"));
    assert!(digests::of("buildx-amd64-arm64.tar", "config").contains(&id("example.com/other:v1")));
    if cfg!(target_arch = "x86_64") {
        for name in ["example.com/hello:v1", "hello:latest", "example.com/other:v1"] {
            assert_eq!(work.run(&format!("docker run --rm --network none {name}")), "hello from linux/amd64", "{name}");
        }
    }
}

#[test]
fn an_image_for_another_machine_is_loaded() {
    let Some(work) = work(&NEEDS) else { return };
    let _daemons = daemons::docker(&work);
    for (platform, fixture) in SIX {
        let tag = platform.replace('/', "-");
        work.run(&format!("barge merge -o {tag}.tar -t example.com/hello:{tag} fixtures/{fixture}"));
        assert_eq!(work.run(&format!("docker load -i {tag}.tar")), format!("Loaded image: example.com/hello:{tag}"));
        let seen = work
            .run(&format!("docker image inspect --format {{{{.Id}}}},{{{{.Architecture}}}} example.com/hello:{tag}"));
        let architecture = platform.split('/').nth(1).unwrap();
        assert_eq!(seen, format!("{},{architecture}", config_of(platform)));
    }
}

#[test]
fn an_archive_of_a_docker_manifest_list_is_loaded() {
    let Some(work) = work(&NEEDS) else { return };
    let _daemons = daemons::docker(&work);
    work.run(&format!("barge merge --media-type docker -o hello.tar -t example.com/hello:v1 {}", six()));
    assert_eq!(work.run("docker load -i hello.tar"), "Loaded image: example.com/hello:v1");
}

#[test]
fn an_archive_without_manifest_json_becomes_loadable_by_a_merge() {
    let Some(work) = work(&NEEDS) else { return };
    let _daemons = daemons::docker(&work);
    // `manifest.json` is all that this store reads; skopeo, buildah and buildx write none into OCI archives
    for fixture in ["skopeo-arm64.tar", "buildah-riscv64.tar", "buildx-amd64-arm64.tar"] {
        if is_classic(&work) {
            work.fails(&format!("docker load -i fixtures/{fixture}"));
        }
        let name = format!("example.com/from:{fixture}");
        work.run(&format!("barge merge -o merged-{fixture} -t {name} fixtures/{fixture}"));
        assert_eq!(work.run(&format!("docker load -i merged-{fixture}")), format!("Loaded image: {name}"));
    }
}

#[test]
fn what_docker_saves_goes_back_into_a_merge() {
    let Some(work) = work(&NEEDS) else { return };
    let _daemons = daemons::docker(&work);
    work.run(&format!("barge merge -o hello.tar -t example.com/hello:v1 -t example.com/hello:latest {}", six()));
    work.run("barge merge -o armv7.tar -t example.com/hello:armv7 fixtures/docker-armv7.tar");
    work.run("docker load -i hello.tar");
    work.run("docker load -i armv7.tar");

    work.run("docker save -o saved.tar example.com/hello:v1 example.com/hello:latest example.com/hello:armv7");
    // docker writes the images of manifest.json in another order on every run
    let mut listed = seen_as_text(&work, "saved.tar");
    listed.sort_unstable();
    assert_eq!(
        listed,
        ["example.com/hello:armv7 linux/arm/v7", "example.com/hello:v1,example.com/hello:latest linux/amd64"]
    );
    work.run(&format!("docker save -o unnamed.tar {}", config_of("linux/amd64")));
    assert_eq!(seen_as_text(&work, "unnamed.tar"), [" linux/amd64"]);

    let sources = "unnamed.tar saved.tar:example.com/hello:armv7 fixtures/containerd-s390x";
    let again = work.run(&format!("barge merge -o again -t example.com/again:v1 {sources}"));
    let images = seen(&work, "again");
    assert_eq!((images.len(), &images[0].digest), (1, &again));
    assert_eq!(images[0].platforms, ["linux/amd64", "linux/arm/v7", "linux/s390x"]);
}

#[test]
fn layers_packed_with_zstd_are_warned_of_and_loaded_by_containerd() {
    let needs: Vec<&str> = NEEDS.into_iter().chain(["skopeo"]).collect();
    let Some(work) = work(&needs) else { return };
    let _daemons = daemons::docker(&work);
    work.run("skopeo copy --dest-compress-format zstd oci:fixtures/umoci-amd64:v1 oci:zstd:v1");
    let merged = work.json("barge merge --json -o zstd.tar -t example.com/zstd:v1 zstd");
    let warning = merged["warnings"][0].as_str().unwrap();
    assert!(warning.contains("docker's classic store does not"), "{warning}");
    if is_classic(&work) {
        work.fails("docker load -i zstd.tar");
    }
    work.run("ctr images import zstd.tar");
    if cfg!(target_arch = "x86_64") {
        assert_eq!(work.run("ctr run --rm example.com/zstd:v1 one"), "hello from linux/amd64");
    }
}
