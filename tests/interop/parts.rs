//! Bundles that were signed and split: joined they are taken by everybody, and so is each part that is an archive by itself.

use std::collections::BTreeSet;
use std::process::Command;

use crate::check::listed;
use crate::images::{sha256, six};
use crate::work::{Work, work};

/// The images of a bundle, two of which are larger than 1 MiB.
const NAMES: [&str; 3] = ["example.com/base:v1", "example.com/one:v1", "example.com/two:v1"];

/// Writes a signed bundle in pieces, `joined.tar` of them, and the same images in parts `set.001.tar` ... that are archives by
/// themselves; returns the names in each of these.
pub(crate) fn parts(work: &Work) -> Vec<(String, BTreeSet<String>)> {
    work.run(&format!("barge merge -o lib -t {} {}", NAMES[0], six()));
    let platforms = "--platform linux/amd64,linux/arm64,linux/s390x --compression none";
    for (seed, image) in [(1_u64, "one"), (2, "two")] {
        // bytes that nothing makes smaller are not needed: nothing packs them
        let line =
            |number: u64| format!("{:016x}\n", (number + 1).wrapping_mul(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        work.write(image, &(0..100_000).map(line).collect::<String>());
        work.run(&format!(
            "barge build -L lib -t example.com/{image}:v1 {platforms} --from {} --add {image}:/srv/",
            NAMES[0]
        ));
    }
    work.run("barge key generate -q --no-password -o release");
    work.run("barge save -o pieces.tar --split 1M --sign-key release.key lib");
    let mut command = Command::new("sh");
    command.args(["-ec", "test -e pieces.tar.004; sha256sum -c pieces.tar.sha256; cat pieces.tar.0* >joined.tar"]);
    work.isolate(&mut command);
    assert!(command.output().unwrap().status.success());
    assert!(work.lines("tar -tf joined.tar").contains(&"bundle.json.sig".to_owned()));
    work.run("barge save -o set.tar --split 2M --split-mode archive --sign-key release.key lib");
    let held = |part: &String| {
        let listed = work.json(&format!("barge ls --json {part}"));
        let names =
            listed["results"].as_array().unwrap().iter().map(|image| image["names"][0].as_str().unwrap().to_owned());
        (part.clone(), names.collect::<BTreeSet<String>>())
    };
    let parts: Vec<_> = ["set.001.tar", "set.002.tar"].map(str::to_owned).iter().map(held).collect();
    let all: BTreeSet<String> = parts.iter().flat_map(|(_, names)| names.clone()).collect();
    assert!(all == NAMES.map(str::to_owned).into() && !work.path("set.003.tar").exists(), "{parts:?}");
    parts
}

#[test]
fn podman_takes_the_joined_pieces_and_each_part_that_is_an_archive() {
    let Some(work) = work(&["podman", "root", "tar"]) else { return };
    let parts = parts(&work);
    work.run("podman load -i joined.tar");
    assert_eq!(listed(&work, "podman"), (true, NAMES.map(str::to_owned).into()));
    work.run("podman rmi --all --force");
    for (part, names) in parts {
        work.run(&format!("podman load -i {part}"));
        assert_eq!(listed(&work, "podman"), (true, names), "{part}");
        work.run("podman rmi --all --force");
    }
}

#[test]
fn skopeo_takes_the_joined_pieces_and_each_part_that_is_an_archive() {
    let Some(work) = work(&["skopeo", "tar"]) else { return };
    let parts = parts(&work);
    let (joined, all) = ("joined.tar".to_owned(), NAMES.map(str::to_owned).into());
    for (file, names) in parts.into_iter().chain([(joined, all)]) {
        let listed = work.json(&format!("skopeo list-tags docker-archive:{file}"));
        let tags: BTreeSet<String> = crate::images::strings(&listed["Tags"]).into_iter().collect();
        assert_eq!(tags, names, "{file}");
        let images = work.json(&format!("barge ls --json {file}"));
        for (at, image) in images["results"].as_array().unwrap().iter().enumerate() {
            let index = work.json(&format!("tar -xOf {file} index.json"));
            let own = index["manifests"][at]["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap();
            assert_eq!(index["manifests"][at]["digest"], image["digest"], "{file}");
            let raw = work.bytes(&format!("skopeo inspect --raw oci-archive:{file}:{own}"));
            assert_eq!(image["digest"], sha256(&raw), "{file}: {own}");
            work.run(&format!("skopeo copy --all --preserve-digests oci-archive:{file}:{own} dir:copy-{file}-{at}"));
            assert_eq!(image["digest"], sha256(&work.read(&format!("copy-{file}-{at}/manifest.json"))));
        }
    }
}
