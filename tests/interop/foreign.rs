//! barge reads and merges what other programs make, here and now.

use crate::images::{seen, seen_as_text, sha256};
use crate::work::{Work, work};

/// Makes a layout with two names for one image.
fn made_by_umoci(work: &Work, layout: &str, architecture: &str) {
    work.write("greeting", "from umoci\n");
    work.run(&format!("umoci init --layout {layout}"));
    work.run(&format!("umoci new --image {layout}:v1"));
    work.run(&format!("umoci insert --rootless --image {layout}:v1 greeting /greeting"));
    work.run(&format!("umoci config --image {layout}:v1 --os linux --architecture {architecture}"));
    work.run(&format!("umoci tag --image {layout}:v1 latest"));
}

/// Makes an image in buildah's storage.
fn made_by_buildah(work: &Work, name: &str, architecture: &str) {
    work.write("greeting", "from buildah\n");
    let container = work.run(&format!("buildah from --arch {architecture} scratch"));
    work.run(&format!("buildah copy {container} greeting /greeting"));
    work.run(&format!("buildah config --os linux --arch {architecture} {container}"));
    work.run(&format!("buildah commit {container} {name}"));
}

/// Merges two places, and returns the platforms of the result, whole.
fn merged(work: &Work, first: &str, second: &str) -> String {
    let place = tempfile::tempdir_in(work.path("tmp")).unwrap();
    let place = place.path().join("merged.tar");
    let place = place.to_str().unwrap();
    work.run(&format!("barge merge -o {place} -t merged:v1 {first} {second}"));
    seen_as_text(work, place).join(" | ")
}

#[test]
fn a_layout_by_umoci_is_read_and_merged() {
    let Some(work) = work(&["umoci"]) else { return };
    made_by_umoci(&work, "layout", "riscv64");
    assert_eq!(seen_as_text(&work, "layout"), ["v1,latest linux/riscv64"]);
    made_by_umoci(&work, "another", "arm64");
    assert_eq!(merged(&work, "layout:latest", "another:v1"), "docker.io/library/merged:v1 linux/arm64,linux/riscv64");
    // umoci leaves a manifest and a config behind at every step: two names on one image are no ambiguity
    assert_eq!(merged(&work, "layout", "another"), "docker.io/library/merged:v1 linux/arm64,linux/riscv64");
}

#[test]
fn everything_that_skopeo_writes_is_read_and_merged() {
    let Some(work) = work(&["skopeo"]) else { return };
    let from = "oci-archive:fixtures/skopeo-arm64.tar";
    let to_oci = ["--dest-oci-accept-uncompressed-layers", "--format v2s2", "--dest-compress-format zstd"];
    for (at, options) in to_oci.iter().enumerate() {
        work.run(&format!("skopeo copy {options} {from} oci:layout{at}:v1"));
        assert_eq!(seen_as_text(&work, &format!("layout{at}")), ["v1 linux/arm64"], "{options}");
    }
    for (place, to, listed) in [
        ("tagged.tar", "oci-archive:tagged.tar:v1", "v1 linux/arm64"),
        ("named.tar", "oci-archive:named.tar:example.com/app:v1", "example.com/app:v1 linux/arm64"),
        ("unnamed.tar", "oci-archive:unnamed.tar", " linux/arm64"),
        (
            "docker.tar",
            "docker-archive:docker.tar:example.com/app:v1 --additional-tag example.com/app:latest",
            "example.com/app:v1,example.com/app:latest linux/arm64",
        ),
    ] {
        work.run(&format!("skopeo copy {from} {to}"));
        assert_eq!(seen_as_text(&work, place), [listed], "{to}");
    }
    let digest = sha256(&work.bytes("skopeo inspect --raw oci-archive:unnamed.tar"));
    assert_eq!(seen(&work, "unnamed.tar")[0].digest, digest);
    for source in ["layout0", "layout1", "layout2", "tagged.tar", "named.tar", "unnamed.tar", "docker.tar"] {
        let platforms = merged(&work, source, "fixtures/containerd-s390x");
        assert_eq!(platforms, "docker.io/library/merged:v1 linux/arm64,linux/s390x", "{source}");
    }
}

#[test]
fn an_index_that_skopeo_copied_keeps_its_digest() {
    let Some(work) = work(&["skopeo"]) else { return };
    work.run("skopeo copy --all oci-archive:fixtures/buildx-amd64-arm64.tar oci:layout:v1");
    let images = seen(&work, "layout");
    assert_eq!(images.len(), 1);
    assert_eq!([images[0].digest.clone()].as_slice(), crate::support::digests::of("buildx-amd64-arm64.tar", "index"));
    assert_eq!(
        merged(&work, "layout", "fixtures/containerd-s390x"),
        "docker.io/library/merged:v1 linux/amd64,linux/arm64,linux/s390x"
    );
}

#[test]
fn everything_that_buildah_pushes_is_read_and_merged() {
    let Some(work) = work(&["buildah", "root"]) else { return };
    made_by_buildah(&work, "example.com/app:v1-arm64", "arm64");
    made_by_buildah(&work, "example.com/app:v1-s390x", "s390x");
    for (place, to, listed) in [
        ("oci.tar", "oci-archive:oci.tar:v1", "v1 linux/arm64"),
        ("layout", "oci:layout:v1", "v1 linux/arm64"),
        // buildah adds the name under which it holds the image
        (
            "docker.tar",
            "docker-archive:docker.tar:example.com/app:v1",
            "example.com/app:v1,example.com/app:v1-arm64 linux/arm64",
        ),
    ] {
        work.run(&format!("buildah push example.com/app:v1-arm64 {to}"));
        assert_eq!(seen_as_text(&work, place), [listed], "{to}");
    }
    work.run("buildah push example.com/app:v1-s390x oci-archive:s390x.tar:v1");
    for source in ["oci.tar", "layout", "docker.tar"] {
        let platforms = merged(&work, source, "s390x.tar");
        assert_eq!(platforms, "docker.io/library/merged:v1 linux/arm64,linux/s390x", "{source}");
    }
}

#[test]
fn a_list_by_buildah_is_read_and_merged() {
    let Some(work) = work(&["buildah", "root"]) else { return };
    made_by_buildah(&work, "example.com/app:v1-arm64", "arm64");
    made_by_buildah(&work, "example.com/app:v1-s390x", "s390x");
    work.run("buildah manifest create list");
    for architecture in ["arm64", "s390x"] {
        work.run(&format!("buildah manifest add list example.com/app:v1-{architecture}"));
    }
    for (place, to) in [("layout", "oci:layout:v1"), ("list.tar", "oci-archive:list.tar:v1")] {
        work.run(&format!("buildah manifest push --all list {to}"));
        assert_eq!(seen_as_text(&work, place), ["v1 linux/arm64,linux/s390x"]);
        assert_eq!(
            merged(&work, place, "fixtures/docker-armv7.tar"),
            "docker.io/library/merged:v1 linux/arm/v7,linux/arm64,linux/s390x",
            "{place}"
        );
    }
}

#[test]
fn everything_that_podman_saves_is_read_and_merged() {
    let Some(work) = work(&["podman", "root"]) else { return };
    for fixture in ["docker-armv7.tar", "skopeo-docker-riscv64.tar"] {
        work.run(&format!("podman load -i fixtures/{fixture}"));
    }
    let (armv7, riscv64) = ("example.com/hello:v1-armv7", "example.com/hello:v1-riscv64");
    for (place, options) in [("docker.tar", ""), ("oci.tar", "--format oci-archive"), ("layout", "--format oci-dir")] {
        work.run(&format!("podman save {options} -o {place} {armv7}"));
        assert_eq!(seen_as_text(&work, place), [format!("{armv7} linux/arm/v7")], "{place}");
    }
    work.run(&format!("podman save -m -o several.tar {armv7} {riscv64}"));
    let listed = seen_as_text(&work, "several.tar");
    assert_eq!(listed, [format!("{armv7} linux/arm/v7"), format!("{riscv64} linux/riscv64")]);

    for source in ["docker.tar", "oci.tar", "layout"] {
        let platforms = merged(&work, source, &format!("several.tar:{riscv64}"));
        assert_eq!(platforms, "docker.io/library/merged:v1 linux/arm/v7,linux/riscv64", "{source}");
    }
}

#[test]
fn a_directory_that_is_no_layout_is_refused_by_name() {
    let Some(work) = work(&["podman", "root"]) else { return };
    work.run("podman load -i fixtures/docker-armv7.tar");
    work.run("podman save --format docker-dir -o directory example.com/hello:v1-armv7");
    let said = work.fails("barge ls directory");
    assert!(said.contains("it is not an OCI image layout"), "{said}");
}
