//! Layouts that barge and other programs write in turn: what each put there stays, and the others read it.

use crate::images::{Seen, seen, sha256};
use crate::support::digests;
use crate::work::{Work, work};

const MERGE: &str =
    "barge merge -o layout -t example.com/hello:merged fixtures/docker-armv7.tar fixtures/buildx-amd64-arm64.tar";

/// The images of the layout: their names and digests.
fn named(work: &Work) -> Vec<(String, String)> {
    seen(work, "layout").into_iter().map(|Seen { names, digest, .. }| (names.join(","), digest)).collect()
}

fn named_as(images: &[(&str, &String)]) -> Vec<(String, String)> {
    images.iter().map(|(names, digest)| ((*names).to_owned(), (*digest).clone())).collect()
}

#[test]
fn a_layout_of_umoci_keeps_its_images_when_barge_adds_one() {
    let Some(work) = work(&["umoci"]) else { return };
    work.run("umoci init --layout layout");
    work.run("umoci new --image layout:theirs");
    let theirs = seen(&work, "layout").remove(0).digest;
    let before = work.json("umoci stat --json --image layout:theirs");

    let ours = work.run(MERGE);
    assert_eq!(named(&work), named_as(&[("theirs", &theirs), ("example.com/hello:merged", &ours)]));
    assert_eq!(work.lines("umoci ls --layout layout"), ["theirs", "merged"]);
    assert_eq!(work.json("umoci stat --json --image layout:theirs"), before);
    work.run("umoci unpack --rootless --image layout:theirs bundle");
}

#[test]
fn a_layout_of_skopeo_keeps_its_images_when_barge_adds_one() {
    let Some(work) = work(&["skopeo"]) else { return };
    work.run("skopeo copy oci-archive:fixtures/skopeo-arm64.tar oci:layout:theirs");
    let theirs = sha256(&work.bytes("skopeo inspect --raw oci:layout:theirs"));

    let ours = work.run(MERGE);
    assert_eq!(named(&work), named_as(&[("theirs", &theirs), ("example.com/hello:merged", &ours)]));
    for (name, digest) in [("theirs", &theirs), ("merged", &ours)] {
        assert_eq!(sha256(&work.bytes(&format!("skopeo inspect --raw oci:layout:{name}"))), *digest);
        work.run(&format!("skopeo copy --all oci:layout:{name} dir:copy-of-{name}"));
    }
}

#[test]
fn a_layout_of_buildah_keeps_its_images_when_barge_adds_one() {
    let Some(work) = work(&["buildah", "root"]) else { return };
    let container = work.run("buildah from scratch");
    work.run(&format!("buildah copy {container} fixtures/src/os-release /etc/os-release"));
    work.run(&format!("buildah commit {container} oci:layout:theirs"));
    let theirs = seen(&work, "layout").remove(0).digest;

    let ours = work.run(MERGE);
    assert_eq!(named(&work), named_as(&[("theirs", &theirs), ("example.com/hello:merged", &ours)]));
    for name in ["theirs", "merged"] {
        // what buildah pulls is a container's base as good as any other
        work.run(&format!("buildah pull oci:layout:{name}"));
    }
}

#[test]
fn a_layout_of_barge_keeps_its_images_when_skopeo_adds_some() {
    let Some(work) = work(&["skopeo"]) else { return };
    let ours = work.run(MERGE);
    work.run("skopeo copy oci-archive:fixtures/skopeo-arm64.tar oci:layout:one");
    work.run("skopeo copy --all oci-archive:fixtures/buildx-amd64-arm64.tar oci:layout:two");
    let (one, two) = (digests::of("skopeo-arm64.tar", "manifest"), digests::of("buildx-amd64-arm64.tar", "index"));
    assert_eq!(named(&work), named_as(&[("example.com/hello:merged", &ours), ("one", &one[0]), ("two", &two[0])]));

    // and barge goes on from there, with nothing to copy
    assert_eq!(work.run(MERGE), ours);
    let second = work.run("barge merge -o layout -t example.com/hello:second oci:layout:one fixtures/containerd-s390x");
    let images = named(&work);
    assert_eq!(images.len(), 4);
    assert_eq!(images[3], ("example.com/hello:second".to_owned(), second));
}

#[test]
fn a_layout_of_barge_keeps_its_images_when_umoci_adds_one() {
    let Some(work) = work(&["umoci"]) else { return };
    let ours = work.run(MERGE);
    work.run("umoci new --image layout:new");
    work.run("umoci insert --rootless --image layout:new fixtures/src/os-release /etc/os-release");
    let images = named(&work);
    assert_eq!(images.len(), 2);
    assert_eq!(images[0], ("example.com/hello:merged".to_owned(), ours.clone()));
    assert_eq!(images[1].0, "new");
    assert_eq!(work.run(MERGE), ours);
    assert_eq!(named(&work), images);
}

#[test]
fn a_tag_that_skopeo_takes_over_is_found_where_it_points_now() {
    let Some(work) = work(&["skopeo"]) else { return };
    let ours = work.run(MERGE);
    // skopeo takes the tag off the old holder, and leaves the name by which containerd knows it
    work.run("skopeo copy oci-archive:fixtures/skopeo-arm64.tar oci:layout:merged");
    let theirs = digests::of("skopeo-arm64.tar", "manifest").remove(0);
    assert_eq!(named(&work), named_as(&[("example.com/hello:merged", &ours), ("merged", &theirs)]));
    for (name, digest) in [("merged", &theirs), ("example.com/hello:merged", &ours)] {
        let raw = work.bytes(&format!("barge inspect --raw layout:{name}"));
        assert_eq!(sha256(&raw), *digest, "{name}");
    }
}
