//! `merge`: what comes out, whatever the sources and the kind of target.

use std::fs;

use serde_json::json;

use super::support::image::{
    FULL_NAME, INDEX, Images, Layer, REF_NAME, annotated, config, digest, manifest, named, on, simple,
};
use super::*;

/// One image for each of six platforms, each of another make.
pub(crate) const SIX: [&str; 6] = [
    "umoci-amd64",
    "skopeo-arm64.tar",
    "docker-armv7.tar",
    "hybrid-ppc64le.tar",
    "containerd-s390x",
    "skopeo-docker-riscv64.tar",
];
/// The index over them. The same on every machine and in every version: who changes it changes what users have signed.
pub(crate) const SIX_DIGEST: &str = "sha256:f2580ceaab7e859f0a6a9f3cdfda55df83a7a41e5ec73ec4fab3ba6daf5de8e0";
pub(crate) const HELLO: &str = "example.com/hello:v1";

/// Merges sources, and returns the words of the index as it was written.
fn index_of(barge: &Barge, line: &str) -> serde_json::Value {
    let digest = barge.line(&format!("merge -o {line}")).exits(0).stdout().to_owned();
    let place = line.split_whitespace().next().unwrap();
    let shown = barge.line(&format!("inspect --raw {place}@{digest}")).exits(0);
    serde_json::from_slice(shown.bytes()).unwrap()
}

fn platforms(index: &serde_json::Value) -> Vec<String> {
    let text = |entry: &serde_json::Value| {
        let platform = &entry["platform"];
        let variant = platform["variant"].as_str().map(|variant| format!("/{variant}")).unwrap_or_default();
        format!("{}/{}{variant}", platform["os"].as_str().unwrap(), platform["architecture"].as_str().unwrap())
    };
    index["manifests"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn six_images_of_different_make_become_one() {
    let barge = Barge::new();
    barge.fixtures(&SIX);
    barge.run(["merge", "-o", "hello.tar", "-t", HELLO].iter().chain(&SIX)).shows(
        "\
exit: 0
--- stdout
sha256:f2580ceaab7e859f0a6a9f3cdfda55df83a7a41e5ec73ec4fab3ba6daf5de8e0
--- stderr
merged 6 platforms into oci-archive:hello.tar as example.com/hello:v1
  PLATFORM       DIGEST               SIZE     FROM
  linux/amd64    sha256:f723c27dd93b  1.4 KiB  umoci-amd64
  linux/arm/v7   sha256:ef1ab49f5ef0  5.8 KiB  docker-armv7.tar
  linux/arm64    sha256:ae1e0b61b780  1.8 KiB  skopeo-arm64.tar
  linux/ppc64le  sha256:d5246da0c1dd  1.8 KiB  hybrid-ppc64le.tar
  linux/riscv64  sha256:33074fed7bb0  6.3 KiB  skopeo-docker-riscv64.tar
  linux/s390x    sha256:0bd7956a5990  1.8 KiB  containerd-s390x
oci-archive:hello.tar: wrote 22 blobs, 17.4 KiB
",
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(barge.path("hello.tar")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o644, "others cannot read it");
}

#[test]
fn layout_archive_and_stream_hold_the_same_index() {
    let barge = Barge::new();
    barge.fixtures(&SIX);
    let merge = |place: &str| barge.run(["merge", "-o", place, "-t", HELLO].iter().chain(&SIX)).exits(0);
    for place in ["layout", "hello.tar"] {
        assert_eq!(merge(place).stdout(), SIX_DIGEST, "{place}");
    }
    let stream = merge("-").says(&[SIX_DIGEST]);
    assert_eq!(stream.bytes(), fs::read(barge.path("hello.tar")).unwrap(), "the stream is the file");
    for place in ["layout", "hello.tar"] {
        let shown = barge.line(&format!("inspect --raw {place}:v1")).exits(0);
        assert_eq!(barge::digest::Digest::of(shown.bytes()).to_string(), SIX_DIGEST, "{place}");
        barge.line(&format!("verify --deep {place}")).exits(0).prints(&["ok: 1 image, 22 blobs"]).silent();
    }
    let listed = |directory: &str| {
        let names = listing(&barge.path(directory)).into_keys().filter(|name| name.matches('/').count() < 3);
        names.collect::<Vec<_>>()
    };
    assert_eq!(listed("layout"), [".", "./blobs", "./blobs/sha256", "./index.json", "./oci-layout"]);
}

#[test]
fn an_archive_depends_on_the_images_alone() {
    let barge = Barge::new();
    barge.fixtures(&SIX);
    let mut turned = SIX;
    turned.reverse();
    let mut mixed = SIX;
    mixed.rotate_left(2);
    let runs: [(&str, [&str; 6], &[&str]); 5] = [
        ("one", SIX, &[]),
        ("two", SIX, &[]),
        ("serial", SIX, &["--jobs", "1"]),
        ("parallel", turned, &["--jobs", "4", "--no-sync"]),
        ("mixed", mixed, &["-v"]),
    ];
    for (name, sources, options) in runs {
        let place = format!("{name}.tar");
        let words = ["merge", "-o", &place, "-t", HELLO];
        let done = barge.run(words.iter().chain(options).chain(&sources)).exits(0);
        assert_eq!(done.stdout(), SIX_DIGEST, "{name}");
        assert!(fs::read(barge.path(&place)).unwrap() == fs::read(barge.path("one.tar")).unwrap(), "{name} differs");
    }
}

#[test]
fn the_order_of_sources_does_not_matter_where_they_share_an_image() {
    // the same image, once bare and once with attestations, platform and annotations on its descriptor
    let barge = Barge::new();
    let attested = |statement: &str| {
        let mut images = Images::new();
        let image = images.image("linux/amd64", &[Layer::plain(b"shared")]);
        let about = digest(&image).to_owned();
        let statement = images.image("unknown/unknown", &[Layer::plain(statement.as_bytes())]);
        let statement = on(statement, "unknown/unknown");
        let statement = annotated(statement, "vnd.docker.reference.type", "attestation-manifest");
        let statement = annotated(statement, "vnd.docker.reference.digest", &about);
        let index = images.index(&[annotated(on(image, "linux/amd64"), "from", &about), statement]);
        images.root(named(index, "v1"));
        images
    };
    attested("one").layout(&barge.path("one"));
    attested("two").layout(&barge.path("two"));
    let mut bare = Images::new();
    let image = bare.image("linux/amd64", &[Layer::plain(b"shared")]);
    bare.root(named(image, "x")).layout(&barge.path("bare"));
    let mut digests = Vec::new();
    for order in ["one two bare", "bare two one", "two bare one", "bare one two"] {
        let place = order.replace(' ', "-");
        let index = index_of(&barge, &format!("{place} -t app:v1 {order}"));
        assert_eq!(index["manifests"].as_array().unwrap().len(), 3, "{order}");
        digests.push(barge::digest::Digest::of(index.to_string().as_bytes()));
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn every_image_keeps_its_digest_and_every_descriptor_its_fields() {
    let barge = Barge::new();
    let mut images = simple(&["linux/amd64"]);
    images.roots[0]["x-odd"] = json!({"kept": [1, 2]});
    images.roots[0]["urls"] = json!(["https://example.com/x"]);
    images.roots[0] = annotated(named(images.roots[0].clone(), "v1"), "com.example.kept", "yes");
    images.roots[0] = annotated(images.roots[0].clone(), FULL_NAME, "example.com/x:v1");
    images.layout(&barge.path("source"));
    let index = index_of(&barge, "target -t app:v2 source");
    let entry = &index["manifests"][0];
    assert_eq!(entry["digest"], images.roots[0]["digest"]);
    assert_eq!(entry["x-odd"], json!({"kept": [1, 2]}));
    assert_eq!(entry["urls"], json!(["https://example.com/x"]));
    assert_eq!(entry["annotations"], json!({"com.example.kept": "yes"}), "only what names it stays behind");
    assert_eq!(entry["platform"], json!({"architecture": "amd64", "os": "linux"}), "read from the config");
}

#[test]
fn an_index_contributes_all_its_platforms_and_attestations_follow() {
    let barge = Barge::new();
    barge.fixtures(&["buildx-amd64-arm64.tar", "buildah-riscv64.tar"]);
    let sources = "buildah-riscv64.tar buildx-amd64-arm64.tar";
    let kept = index_of(&barge, &format!("kept.tar -t app:v1 {sources}"));
    let (images, attestations) =
        (["linux/amd64", "linux/arm64", "linux/riscv64"], ["unknown/unknown", "unknown/unknown"]);
    assert_eq!(platforms(&kept), [&images[..], &attestations].concat(), "attestations go last");
    for (at, entry) in kept["manifests"].as_array().unwrap()[3..].iter().enumerate() {
        let about = &entry["annotations"]["vnd.docker.reference.digest"];
        assert_eq!(*about, kept["manifests"][at]["digest"], "in the order of the images");
    }
    let dropped = index_of(&barge, &format!("dropped.tar -t app:v1 --attestations drop {sources}"));
    assert_eq!(platforms(&dropped), images);
    let narrowed = index_of(&barge, &format!("narrowed.tar -t app:v1 --platform linux/arm64 {sources}"));
    assert_eq!(platforms(&narrowed), ["linux/arm64", "unknown/unknown"], "only its own attestation");
    for place in ["kept.tar", "dropped.tar", "narrowed.tar"] {
        barge.line(&format!("verify --deep {place}")).exits(0);
    }
    let listed = barge.line("ls --json kept.tar").exits(0).json();
    assert_eq!(listed["results"][0]["attestations"], 2);
}

#[test]
fn several_names_are_several_descriptors_of_one_index() {
    let barge = Barge::new();
    barge.fixtures(&["umoci-amd64"]);
    let names = ["-t", "app:v1", "-t", "ghcr.io/org/app:v1", "-t", "app", "-t", "docker.io/library/app:v1"];
    for place in ["layout", "app.tar"] {
        barge.run(["merge", "-o", place].iter().chain(&names).chain(&["umoci-amd64"])).exits(0);
        let listed = barge.line(&format!("ls --json {place}")).exits(0).json();
        let expected = ["docker.io/library/app:v1", "ghcr.io/org/app:v1", "docker.io/library/app:latest"];
        assert_eq!(listed["results"][0]["names"], json!(expected), "{place}: a name given twice is one");
        // each is found by everything that people call it, and `v1` alone is what skopeo would take
        for name in ["app:v1", "ghcr.io/org/app:v1", "app", "app:latest", "latest", "v1", "library/app:v1"] {
            barge.line(&format!("inspect {place}:{name}")).exits(0);
        }
    }
    let index: serde_json::Value = serde_json::from_slice(&fs::read(barge.path("layout/index.json")).unwrap()).unwrap();
    let refs: Vec<_> = index["manifests"].as_array().unwrap().iter().map(|d| &d["annotations"][REF_NAME]).collect();
    assert_eq!(refs, ["v1", "ghcr.io/org/app:v1", "latest"], "a tag belongs to the first repository that has it");
}

#[test]
fn types_and_annotations_of_the_index_are_as_asked() {
    let barge = Barge::new();
    barge.fixtures(&["umoci-amd64", "containerd-s390x"]);
    let index =
        index_of(&barge, "a -t a:v1 --annotation k=v=w --annotation org.example.x= umoci-amd64 containerd-s390x");
    assert_eq!(index["annotations"], json!({"k": "v=w", "org.example.x": ""}));
    assert_eq!(index["mediaType"], INDEX);
    let docker = "application/vnd.docker.distribution.manifest";
    assert_eq!(index["manifests"][1]["mediaType"], format!("{docker}.v2+json"), "Docker's types are kept");
    let list = index_of(&barge, "b -t b:v1 --media-type docker containerd-s390x");
    assert_eq!(list["mediaType"], format!("{docker}.list.v2+json"));
    barge.line("verify --deep a b").exits(0);
    barge
        .line("merge -o c -t c:v1 --media-type docker umoci-amd64 containerd-s390x")
        .exits(0)
        .says(&["warning: ", "Docker manifest list"]);
    let both = barge.line("merge -o d -t d:v1 --media-type docker --annotation k=v containerd-s390x").exits(2);
    both.says(&["annotat", "\nhint: "]);
    for annotation in ["novalue", "=v"] {
        barge.run(["merge", "-o", "d", "-t", "d:v1", "--annotation", annotation, "umoci-amd64"]).exits(2);
    }
    assert!(!barge.path("d").exists());
}

#[test]
fn json_says_what_was_merged() {
    let barge = Barge::new();
    barge.fixtures(&["umoci-amd64", "buildx-amd64-arm64.tar"]);
    let words = "merge --json -o app.tar -t app:v1 --on-duplicate keep umoci-amd64 buildx-amd64-arm64.tar";
    let report = barge.line(words).exits(0).json();
    assert_eq!(report["schema"], "barge/v1");
    assert_eq!((&report["command"], &report["ok"]), (&json!("merge"), &json!(true)));
    let result = &report["results"][0];
    assert_eq!(result["place"], "oci-archive:app.tar");
    assert_eq!(result["names"], json!(["docker.io/library/app:v1"]));
    assert_eq!((&result["changed"], &result["dryRun"]), (&json!(true), &json!(false)));
    let members: Vec<_> = result["platforms"].as_array().unwrap().iter().map(|member| &member["platform"]).collect();
    assert_eq!(members, ["linux/amd64", "linux/arm64"]);
    assert_eq!(result["platforms"][1]["source"], "buildx-amd64-arm64.tar");
    assert_eq!(result["platforms"][1]["attestations"], 1);
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1, "the platform that is there twice");
    assert_eq!(report["stats"]["present"], 0);
    let again = barge.line(words).exits(0).json();
    assert_eq!(again["results"][0]["changed"], false);
    assert_eq!(again["stats"]["written"], 0);
    let failed = barge.line("merge --json -o app.tar -t app:v1 nowhere").exits(3).json();
    assert_eq!(failed["ok"], false);
    assert_eq!((&failed["error"]["class"], &failed["error"]["exit"]), (&json!("absent"), &json!(3)));
}

#[test]
fn an_index_inside_an_index_is_flattened() {
    let barge = Barge::new();
    let mut images = Images::new();
    let layers = |text: &str| [Layer::zstd(text.as_bytes())];
    let (one, two) = (images.image("linux/amd64", &layers("1")), images.image("linux/arm64", &layers("2")));
    let inner = images.index(&[two]);
    let outer = images.index(&[inner, one]);
    images.root(outer).layout(&barge.path("nested"));
    let index = index_of(&barge, "flat -t app:v1 nested");
    assert_eq!(platforms(&index), ["linux/amd64", "linux/arm64"]);
    let warned = barge.line("merge -o flat.tar -t app:v1 nested").exits(0);
    warned.says(&["zstd", "docker's classic store does not"]);
}

#[test]
fn what_is_no_image_stays_in_the_index_and_is_no_image_alone() {
    let barge = Barge::new();
    let mut images = simple(&["linux/amd64"]);
    let image = images.roots.remove(0);
    let empty = images.put("application/vnd.oci.empty.v1+json", b"{}");
    let file = images.put("text/plain", b"read me");
    let artifact = images.document(super::support::image::MANIFEST, &manifest(&empty, &[file]));
    let index = images.index(&[artifact.clone(), image]);
    images.root(index).layout(&barge.path("mixed"));
    let merged = barge.line("merge -o out -t app:v1 mixed").exits(0);
    let merged = merged.says(&["warning: ", digest(&artifact)]);
    let shown = barge.line(&format!("inspect --raw out@{}", merged.stdout())).exits(0);
    let index: serde_json::Value = serde_json::from_slice(shown.bytes()).unwrap();
    assert_eq!(index["manifests"][1], artifact, "behind the images, as it was");
    barge.line("verify out").exits(0);
    images.roots = vec![artifact.clone()];
    images.layout(&barge.path("alone"));
    barge.line("merge -o out2 -t app:v1 alone").exits(4).says(&[digest(&artifact), "artifact"]);
    assert!(!barge.path("out2").exists());
}

#[test]
fn a_layer_from_elsewhere_may_be_missing() {
    let barge = Barge::new();
    let mut images = Images::new();
    let foreign = Layer {
        media_type: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        ..Layer::gzip(b"from elsewhere")
    };
    let layers = [foreign.clone(), Layer::gzip(b"own")];
    let image = images.image_with(&config("windows/amd64", &layers), &layers);
    images.blobs.remove(&barge::digest::Digest::of(&foreign.bytes).to_string());
    images.root(image).layout(&barge.path("windows"));
    barge.fixtures(&["umoci-amd64"]);
    for place in ["layout", "app.tar"] {
        let merge = |name: &str, source: &str| barge.line(&format!("merge -o {place} -t {name} {source}")).exits(0);
        merge("win:v1", "windows").says(&["fetched from elsewhere"]);
        merge("win:v1", "windows").says(&["nothing to do"]);
        merge("hello:v1", "umoci-amd64");
        barge.line(&format!("verify --deep {place}")).exits(0);
        barge.line(&format!("ls {place}")).exits(0).prints(&["windows/amd64", "whole"]);
    }
}
