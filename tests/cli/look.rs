//! `ls`, `inspect` and `tree`: what is in a place, for people and for scripts.

use std::fs;

use serde_json::{Value, json};

use super::merge::{HELLO, SIX, SIX_DIGEST};
use super::support::image::{Images, Layer, MANIFEST, annotated, digest, manifest, named, on, simple};
use super::*;

#[test]
fn images_are_listed_for_people() {
    let barge = Barge::new();
    barge.fixtures(&SIX);
    barge.fixtures(&["buildx-amd64-arm64.tar"]);
    barge.run(["merge", "-q", "-o", "dist", "-t", HELLO].iter().chain(&SIX)).exits(0);
    barge.line("merge -q -o dist -t hello:slim -t hello:latest buildx-amd64-arm64.tar").exits(0);
    barge.line("ls dist").shows(
        "\
exit: 0
--- stdout
NAME                            DIGEST               PLATFORMS                                                                          SIZE      UNIQUE    STATE
example.com/hello:v1            sha256:f2580ceaab7e  linux/amd64, linux/arm/v7, linux/arm64, linux/ppc64le, linux/riscv64, linux/s390x  17.4 KiB  16.6 KiB  whole
docker.io/library/hello:slim    sha256:0eaf95e71d7f  linux/amd64, linux/arm64 +2 attestations                                           7.7 KiB   6.9 KiB   whole
docker.io/library/hello:latest
",
    );
    let whole = barge.line("ls --no-trunc dist:v1").exits(0).silent();
    whole.prints(&[SIX_DIGEST]).never(&["hello:slim"]);
    let two = barge.line("ls dist umoci-amd64").exits(0);
    two.prints(&["PLACE", "umoci-amd64", "linux/amd64"]);
    barge.line("ls nowhere").exits(3).says(&["nowhere"]);
    barge.line("ls dist:nothing").exits(3).says(&[":nothing", HELLO]);
    let empty = Images::new();
    empty.layout(&barge.path("empty"));
    assert_eq!(barge.line("ls empty").exits(0).says(&["no images"]).stdout(), "");
}

#[test]
fn images_are_listed_for_scripts() {
    let barge = Barge::new();
    barge.fixtures(&SIX);
    barge.run(["merge", "-q", "-o", "hello.tar", "-t", HELLO].iter().chain(&SIX)).exits(0);
    let report = barge.line("ls --json hello.tar").exits(0).json();
    let mut image = report["results"][0].clone();
    assert_eq!(image["created"].take(), "2023-11-14T22:13:20Z");
    assert_eq!(image["size"], image["uniqueSize"]);
    let entries = image["entries"].take();
    for (at, platform) in image["platforms"].as_array().unwrap().iter().enumerate() {
        let entry = &entries[at];
        let shown =
            barge.line(&format!("inspect --json hello.tar@{}", entry["digest"].as_str().unwrap())).exits(0).json();
        let manifest = &shown["results"][0]["document"];
        let layers = manifest["layers"].as_array().unwrap().iter();
        let sizes = layers.chain([&manifest["config"]]).map(|piece| piece["size"].as_u64().unwrap());
        let size = sizes.sum::<u64>() + shown["results"][0]["size"].as_u64().unwrap();
        let id = &manifest["config"]["digest"];
        assert_eq!((&entry["platform"], &entry["id"], entry["size"].as_u64()), (platform, id, Some(size)));
        assert!(entry["created"].is_string(), "{entry}");
    }
    assert_eq!(entries.as_array().unwrap().len(), 6);
    assert_eq!(
        image,
        json!({"place": "oci-archive:hello.tar", "names": [HELLO], "digest": SIX_DIGEST, "kind": "index",
            "mediaType": "application/vnd.oci.image.index.v1+json", "attached": false, "attestations": 0,
            "platforms": ["linux/amd64", "linux/arm/v7", "linux/arm64", "linux/ppc64le", "linux/riscv64", "linux/s390x"],
            "size": image["size"], "uniqueSize": image["uniqueSize"], "missing": 0, "broken": 0, "complete": true,
            "inBase": 0, "compact": null, "sparse": false, "created": null, "entries": null})
    );
    for place in SIX {
        let report = barge.line(&format!("ls --json {place}")).exits(0).json();
        assert_eq!(report["results"][0]["platforms"].as_array().unwrap().len(), 1, "{place}");
        assert_eq!(report["results"][0]["complete"], true, "{place}");
    }
}

#[test]
fn incomplete_images_are_shown_as_such() {
    let barge = Barge::new();
    let mut images = simple(&["linux/amd64", "linux/arm64", "linux/386"]);
    let parts: Vec<Value> = ["linux/amd64", "linux/arm64", "linux/386"]
        .iter()
        .zip(images.roots.drain(..).collect::<Vec<_>>())
        .map(|(platform, image)| on(image, platform))
        .collect();
    let index = images.index(&parts);
    images.root(named(index, "v1"));
    images.blobs.remove(digest(&parts[1])).unwrap();
    *images.blobs.get_mut(digest(&parts[2])).unwrap() = b"{".to_vec();
    let layer = barge::digest::Digest::of(&Layer::gzip("app for linux/amd64".repeat(100).as_bytes()).bytes);
    images.blobs.remove(&layer.to_string()).unwrap();
    for place in ["place", "place.tar"] {
        images.write(&barge.path(place));
        barge.line(&format!("ls {place}")).exits(0).prints(&["2 missing, 1 broken"]);
        let report = barge.line(&format!("ls --json {place}")).exits(0).json();
        let image = &report["results"][0];
        assert_eq!((&image["missing"], &image["broken"], &image["complete"]), (&json!(2), &json!(1), &json!(false)));
        let tree = barge.line(&format!("tree {place}")).exits(0);
        assert_eq!(tree.stdout().matches("[missing]").count(), 2, "{}", tree.stdout());
        tree.prints(&["linux/arm64", "[content is 1 bytes, expected"]);
        barge.line(&format!("inspect {place}:v1")).exits(0);
        barge.line(&format!("inspect --platform linux/arm64 {place}:v1")).exits(4).says(&[digest(&parts[1])]);
        barge.line(&format!("inspect --platform linux/386 {place}:v1")).exits(4).says(&[digest(&parts[2])]);
    }
}

#[test]
fn the_very_bytes_are_shown_when_asked_for() {
    let barge = Barge::new();
    barge.fixtures(&["buildx-amd64-arm64.tar", "umoci-amd64", "docker-armv7.tar"]);
    for (words, expected) in [
        ("buildx-amd64-arm64.tar", "8227e9dbe968e656e94590da6892085df7a3cffd3b7b42bd868b5015e8cc1c3e"),
        (
            "--platform linux/arm64 buildx-amd64-arm64.tar",
            "38c4bf1b344a4785e5df705c56c7781c5d2c61734894dbcde4dbe8d8a424b5c2",
        ),
        (
            "--config --platform linux/arm64 buildx-amd64-arm64.tar",
            "a57340c79ff95e550f96e6eab5f3529ba5da0525f34a1970c81475ca4180e0f1",
        ),
        ("umoci-amd64", "f723c27dd93b041be5150d6731811a6e5f6f9a9d1a331998d6a490c845f28332"),
        ("--config umoci-amd64", "ec57893b7612a7ee0f04c6fc8a96afda54885171a2db90b7b35586a92c6d8b9e"),
        ("--config docker-armv7.tar", "e289b4673b32fa805fa164f530e321973cb12a605ead65446fea5a3161c288c2"),
    ] {
        let raw = barge.line(&format!("inspect --raw {words}")).exits(0).silent();
        assert_eq!(barge::digest::Digest::of(raw.bytes()).to_string(), format!("sha256:{expected}"), "{words}");
        let report = barge.line(&format!("inspect --json {words}")).exits(0).json();
        assert_eq!(report["results"][0]["digest"], format!("sha256:{expected}"), "{words}");
        assert_eq!(report["results"][0]["size"], raw.bytes().len());
        let shown: Value = serde_json::from_str(barge.line(&format!("inspect {words}")).exits(0).stdout()).unwrap();
        assert_eq!(
            shown,
            serde_json::from_slice::<Value>(raw.bytes()).unwrap(),
            "{words}: pretty is the same document"
        );
        assert_eq!(shown, report["results"][0]["document"], "{words}");
    }
    barge.line("inspect --raw --json umoci-amd64").exits(2);
}

#[test]
fn one_document_is_chosen_or_none() {
    let barge = Barge::new();
    barge.fixtures(&["buildx-amd64-arm64.tar", "umoci-amd64"]);
    let refused = barge.line("inspect --config buildx-amd64-arm64.tar").exits(3);
    refused.says(&["linux/amd64, linux/arm64", "hint: ", "--platform"]);
    let absent = barge.line("inspect --platform linux/s390x buildx-amd64-arm64.tar").exits(3);
    absent.says(&["linux/s390x", "linux/amd64, linux/arm64"]);
    barge.line("inspect --platform linux/arm64 umoci-amd64").exits(3).says(&["linux/amd64"]);
    barge.line("inspect --platform x/y/z/w umoci-amd64").exits(2);
    let mut images = simple(&["linux/amd64", "linux/arm64"]);
    images.roots = images.roots.iter().zip(["a:v1", "b:v2"]).map(|(root, name)| named(root.clone(), name)).collect();
    images.layout(&barge.path("two"));
    barge.line("inspect two").exits(3).says(&["a:v1", "b:v2", "hint: "]);
    // a layer is content too, but no document
    let layer = barge::digest::Digest::of(&Layer::gzip("app for linux/amd64".repeat(100).as_bytes()).bytes);
    barge.line(&format!("inspect two@{layer}")).exits(3);
    // a manifest by the digest of its config
    let config = images.blobs.iter().find(|(_, bytes)| bytes.starts_with(b"{\"os\"")).unwrap().0;
    barge.line(&format!("inspect --raw two@{config}")).exits(0);
}

#[test]
fn what_refers_to_an_image_is_shown_below_it_by_every_convention() {
    let barge = Barge::new();
    let mut images = simple(&["linux/amd64"]);
    let image = images.roots.remove(0);
    images.root(named(image.clone(), "app:v1"));
    let subject = digest(&image).to_owned();
    let hex = subject.strip_prefix("sha256:").unwrap();
    let empty = images.put("application/vnd.oci.empty.v1+json", b"{}");
    let artifact = |images: &mut Images, text: &str, subject: Option<&Value>| {
        let file = images.put("text/plain", text.as_bytes());
        let mut document = manifest(&empty, &[file]);
        if let Some(subject) = subject {
            document["subject"] = subject.clone();
        }
        images.document(MANIFEST, &document)
    };
    let by_subject = artifact(&mut images, "subject", Some(&image));
    let by_tag = artifact(&mut images, "signature", None);
    let by_annotation = artifact(&mut images, "containerd", None);
    let listed = artifact(&mut images, "fallback", Some(&image));
    let fallback = images.index(&[listed]);
    images.root(by_subject.clone());
    images.root(named(by_tag.clone(), &format!("sha256-{hex}.sig")));
    images.root(annotated(by_annotation.clone(), "io.containerd.manifest.subject", &subject));
    images.root(named(fallback.clone(), &format!("sha256-{hex}")));
    for place in ["place", "place.tar"] {
        images.write(&barge.path(place));
        let report = barge.line(&format!("tree --json {place}")).exits(0).json();
        let branches = report["results"].as_array().unwrap();
        assert_eq!(branches.len(), 1, "{place}: all hang below the image\n{report}");
        let referrers: Vec<_> = branches[0]["children"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|child| child["role"] == "referrer")
            .map(|child| child["digest"].as_str().unwrap())
            .collect();
        let expected = [&by_subject, &by_tag, &by_annotation, &fallback].map(digest);
        assert_eq!(referrers, expected, "{place}");
        let text = barge.line(&format!("tree --no-trunc {place}")).exits(0);
        text.prints(&expected);
        let short = barge.line(&format!("ls {place}")).exits(0).says(&["4 ", "--all"]);
        assert_eq!(short.stdout().lines().count(), 2, "{}", short.stdout());
        assert_eq!(barge.line(&format!("ls --all {place}")).exits(0).stdout().lines().count(), 6);
        // they are not the image when one is asked for
        barge.line(&format!("inspect {place}")).exits(0);
    }
}

#[test]
fn attestations_are_told_from_images() {
    let barge = Barge::new();
    barge.fixtures(&["buildx-amd64-arm64.tar"]);
    barge.line("tree buildx-amd64-arm64.tar").shows(
        "\
exit: 0
--- stdout
example.com/hello:v1  index  sha256:8227e9dbe968  1.6 KiB
|-- manifest  linux/amd64  sha256:86bf17673638  664 B
|   |-- config  sha256:6d30445ef390  772 B
|   |-- layer  sha256:dca7228ac381  178 B
|   `-- layer  sha256:c3389088e9f3  332 B
|-- manifest  linux/arm64  sha256:38c4bf1b344a  664 B
|   |-- config  sha256:a57340c79ff9  772 B
|   |-- layer  sha256:dca7228ac381  178 B
|   `-- layer  sha256:9f927fb77d0e  319 B
|-- attestation  sha256:5b0d95d1a347  565 B  application/vnd.in-toto+json
|   |-- config  sha256:54ada052b4f1  167 B
|   `-- blob  sha256:4059496a3104  743 B  application/vnd.in-toto+json
`-- attestation  sha256:d653a0226f30  565 B  application/vnd.in-toto+json
    |-- config  sha256:4553fed826d0  167 B
    `-- blob  sha256:58f0cc536ec8  743 B  application/vnd.in-toto+json
",
    );
    let listed = barge.line("ls buildx-amd64-arm64.tar").exits(0);
    listed.prints(&["linux/amd64, linux/arm64 +2 attestations"]);
}

#[test]
fn what_stands_twice_in_a_tree_is_shown_once() {
    let barge = Barge::new();
    let mut images = simple(&["linux/amd64"]);
    let image = on(images.roots.remove(0), "linux/amd64");
    let inner = images.index(std::slice::from_ref(&image));
    let outer = images.index(&[inner.clone(), image, inner]);
    images.root(named(outer, "v1")).layout(&barge.path("place"));
    let tree = barge.line("tree place").exits(0);
    assert_eq!(tree.stdout().matches("(see above)").count(), 2, "{}", tree.stdout());
    assert_eq!(tree.stdout().matches("layer").count(), 1);
}

#[test]
fn a_read_only_source_is_as_good_as_any() {
    use std::os::unix::fs::PermissionsExt as _;
    let barge = Barge::new();
    barge.fixtures(&["umoci-amd64", "skopeo-arm64.tar"]);
    for (path, mode) in [("umoci-amd64/index.json", 0o444), ("umoci-amd64", 0o555), ("skopeo-arm64.tar", 0o444)] {
        fs::set_permissions(barge.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(barge.path("umoci-amd64/blobs/sha256"), fs::Permissions::from_mode(0o555)).unwrap();
    fs::create_dir(barge.path("out")).unwrap();
    fs::set_permissions(barge.path("out"), fs::Permissions::from_mode(0o777)).unwrap();
    let before = listing(&barge.path("umoci-amd64"));
    for line in [
        "verify --deep umoci-amd64 skopeo-arm64.tar",
        "ls umoci-amd64 skopeo-arm64.tar",
        "tree umoci-amd64",
        "merge -o out/layout -t app:v1 umoci-amd64 skopeo-arm64.tar",
    ] {
        let mut command = barge.command();
        command.args(line.split_whitespace());
        if rustix::process::geteuid().is_root() {
            super::machine::as_nobody(&barge, &mut command);
        }
        barge.finish(&mut command).exits(0);
    }
    assert_eq!(listing(&barge.path("umoci-amd64")), before);
    // and as a target it is the machine that says no
    if rustix::process::geteuid().is_root() {
        let mut command = barge.command();
        command.args(["merge", "-o", "umoci-amd64", "-t", "app:v1", "skopeo-arm64.tar"]);
        super::machine::as_nobody(&barge, &mut command);
        barge.finish(&mut command).exits(10).says(&["umoci-amd64", "Permission denied", "hint: "]);
        assert_eq!(listing(&barge.path("umoci-amd64")), before);
    }
}
