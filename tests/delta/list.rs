//! `bundle.json`, and how people see it.

use barge::digest::Digest;
use serde_json::json;

use crate::environment::Barge;
use crate::support::image::{CONFIG, Images, annotated, digest, manifest};
use crate::support::tar::Tar;
use crate::versions::{PLATFORMS, bundle_json, files_of, layouts, version, with_bundle_json};

#[test]
fn a_packing_list_says_what_the_archive_holds() {
    let barge = Barge::new();
    let tops = layouts(&barge, &[1, 2]);
    barge.line("save -o x.tar v1 v2").exits(0);
    let files = files_of(&barge.path("x.tar"));
    let order: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).take(4).collect();
    assert_eq!(order, ["oci-layout", "index.json", "manifest.json", "bundle.json"]);

    let list = bundle_json(&barge.path("x.tar"));
    assert_eq!((&list["schema"], &list["barge"]), (&json!("barge/bundle/v1"), &json!(env!("CARGO_PKG_VERSION"))));
    let mut blobs: Vec<_> = files.iter().filter(|(name, _)| name.starts_with("blobs/sha256/")).collect();
    blobs.sort();
    let held: Vec<_> = blobs
        .iter()
        .map(|(name, bytes)| json!({"digest": format!("sha256:{}", &name[13..]), "size": bytes.len()}))
        .collect();
    assert_eq!(list["contents"], json!(held));
    for (at, image) in list["images"].as_array().unwrap().iter().enumerate() {
        let (one, _) = version(u32::try_from(at).unwrap() + 1);
        let size: usize = one.blobs.values().map(Vec::len).sum();
        assert_eq!(
            *image,
            json!({"name": format!("ghcr.io/org/app:v{}", at + 1), "digest": tops[at], "platforms": PLATFORMS,
                "mediaType": "application/vnd.oci.image.index.v1+json", "size": size, "referrers": []})
        );
    }
    for file in list["files"].as_array().unwrap() {
        let (_, bytes) = files.iter().find(|(name, _)| *name == file["name"]).unwrap();
        assert_eq!((&file["digest"], &file["size"]), (&json!(Digest::of(bytes).to_string()), &json!(bytes.len())));
    }
    assert_eq!(list["files"].as_array().unwrap().len(), 2);
    assert_eq!((list.get("bases"), list.get("split")), (None, None));

    // the same again, from an archive
    barge.line("save -o y.tar x.tar").exits(0);
    assert_eq!(std::fs::read(barge.path("x.tar")).unwrap(), std::fs::read(barge.path("y.tar")).unwrap());
    barge.line("verify x.tar").exits(0).silent();
}

#[test]
fn referrers_stand_with_their_image() {
    let barge = Barge::new();
    let (mut images, top) = version(1);
    let sbom = images.put("application/spdx+json", b"{\"spdx\":1}");
    let config = images.put("application/vnd.oci.empty.v1+json", b"{}");
    let mut artifact = manifest(&config, &[sbom]);
    artifact["artifactType"] = json!("application/spdx+json");
    artifact["subject"] = json!({"mediaType": "application/vnd.oci.image.index.v1+json", "digest": top,
        "size": images.blobs[&top].len()});
    let artifact = images.document("application/vnd.oci.image.manifest.v1+json", &artifact);
    let expected = digest(&artifact).to_owned();
    images.root(artifact);
    images.layout(&barge.path("src"));
    barge.line("save -o x.tar src").exits(0);
    let list = bundle_json(&barge.path("x.tar"));
    assert_eq!(list["images"].as_array().unwrap().len(), 1);
    let referrers = &list["images"][0]["referrers"];
    assert_eq!(*referrers, json!([{"digest": expected, "artifactType": "application/spdx+json"}]));
    barge.line("inspect x.tar").exits(0).prints(&["with application/spdx+json", &expected]);
    barge.line("save --referrers none -o y.tar src").exits(0);
    assert_eq!(bundle_json(&barge.path("y.tar"))["images"][0]["referrers"], json!([]));
}

#[test]
fn people_read_it_print_it_and_sign_it() {
    let barge = Barge::new();
    let tops = layouts(&barge, &[1, 2]);
    barge.line("save -o x.tar v1").exits(0);
    let files = files_of(&barge.path("x.tar"));
    let raw = &files.iter().find(|(name, _)| name == "bundle.json").unwrap().1;
    let shown = barge.line("inspect x.tar").exits(0).silent();
    assert!(shown.stdout().lines().all(|line| line.chars().count() <= 100 && line == line.trim_end()));
    shown.prints(&[
        "PACKING LIST of oci-archive:x.tar",
        &Digest::of(raw).to_string(),
        "  1  ghcr.io/org/app:v1",
        &tops[0],
        "linux/amd64, linux/arm64",
        "signed     no",
        "received by  ______",
    ]);
    let report = barge.line("inspect --json x.tar").exits(0).json();
    assert_eq!(report["results"][0]["bundle"], bundle_json(&barge.path("x.tar")));
    assert_eq!(report["results"][0]["current"], true);
    // an image of it, and what was asked for by name, is shown as ever
    barge.line("inspect x.tar:ghcr.io/org/app:v1").exits(0).prints(&["\"manifests\""]);
    barge.line("inspect --raw x.tar").exits(0).prints(&["\"manifests\""]);
    barge.line("inspect --config --platform linux/amd64 x.tar").exits(0).prints(&["diff_ids"]);

    barge.line("save -o d.tar --base x.tar v2").exits(0);
    barge.line("inspect d.tar").exits(0).prints(&["left out   4 blobs", "oci-archive:x.tar"]);
}

#[test]
fn an_archive_that_is_added_to_gets_a_new_list() {
    let barge = Barge::new();
    let tops = layouts(&barge, &[1, 2]);
    barge.line("save -o x.tar v1").exits(0);
    barge.line("copy v2 x.tar").exits(0);
    let list = bundle_json(&barge.path("x.tar"));
    let digests: Vec<_> = list["images"].as_array().unwrap().iter().map(|image| image["digest"].clone()).collect();
    assert_eq!(digests, tops);
    assert_eq!(barge.line("inspect --json x.tar").exits(0).json()["results"][0]["current"], true);
    barge.line("rm x.tar:ghcr.io/org/app:v1").exits(0);
    assert_eq!(bundle_json(&barge.path("x.tar"))["images"].as_array().unwrap().len(), 1);
    // one that said nothing of itself does not begin to
    barge.line("copy v1 plain.tar").exits(0);
    barge.line("copy v2 plain.tar").exits(0);
    assert!(files_of(&barge.path("plain.tar")).iter().all(|(name, _)| name != "bundle.json"));
}

#[test]
fn a_list_that_is_no_longer_true_says_so() {
    let barge = Barge::new();
    layouts(&barge, &[1]);
    barge.line("save -o x.tar v1").exits(0);
    let mut tar = Tar::new();
    for (name, bytes) in files_of(&barge.path("x.tar")) {
        let bytes = if name == "index.json" { [bytes, b" ".to_vec()].concat() } else { bytes };
        tar = tar.file(&name, &bytes);
    }
    std::fs::write(barge.path("x.tar"), tar.finished()).unwrap();
    barge.line("inspect x.tar").exits(0).prints(&["it is no longer true"]);
    barge.line("load -i x.tar -o site").exits(0);
}

#[test]
fn a_file_of_that_name_by_another_program_is_nobodys_business() {
    let barge = Barge::new();
    layouts(&barge, &[1]);
    barge.line("save -o x.tar v1").exits(0);
    for other in [&b"{\"version\":3,\"images\":[]}"[..], b"no JSON", b""] {
        with_bundle_json(&barge.path("x.tar"), |_| other.to_vec());
        barge.line("ls x.tar").exits(0).silent();
        barge.line("load -i x.tar -o site").exits(0);
        barge.line("inspect x.tar").exits(0).prints(&["\"manifests\""]);
    }
    let error = barge.line("verify --json x.tar").exits(0).json();
    assert_eq!(error["ok"], true);
}

#[test]
fn what_docker_alone_reads_has_none() {
    let barge = Barge::new();
    layouts(&barge, &[1]);
    barge.line("save --format docker --platform linux/amd64 -o x.tar v1").exits(0);
    assert!(files_of(&barge.path("x.tar")).iter().all(|(name, _)| name != "bundle.json"));
    barge.line("save --format docker --base x.tar -o y.tar v1").exits(2);
    // an image without a name has a line as well
    let mut images = Images::new();
    let config = images.document(CONFIG, &crate::support::image::config("linux/amd64", &[]));
    let image = images.document("application/vnd.oci.image.manifest.v1+json", &manifest(&config, &[]));
    images.root(annotated(image, "a", "b"));
    images.layout(&barge.path("bare"));
    barge.line("save -o z.tar bare").exits(0);
    barge.line("inspect z.tar").exits(0).prints(&["(no name)", "linux/amd64"]);
}
