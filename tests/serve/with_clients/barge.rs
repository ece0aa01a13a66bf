//! barge itself, and what belongs to an image: signatures by their tags, and referrers.

use serde_json::{Value, json};

use super::{APP, app, blobs, digests, serve};
use crate::images::{sha256, strings};
use crate::support::image::{FULL_NAME, Images, annotated, digest, named, simple};
use crate::work::work;

#[test]
fn barge_pulls_copies_compares_and_verifies() {
    let Some(work) = work(&[]) else { return };
    let wanted = app(&work);
    work.run("barge save -q -o bundle.tar lib");
    let serving = serve(&work, "bundle.tar");
    let there = format!("docker://{}/ghcr.io/org/app:v1", serving.authority());
    work.run(&format!("barge pull -q --plain-http -o pulled {}/ghcr.io/org/app:v1", serving.authority()));
    work.run(&format!("barge copy -q --plain-http {there} copied:{APP}"));
    for place in ["pulled", "copied"] {
        assert_eq!(blobs(&work, place), blobs(&work, "lib"), "{place}");
        assert!(digests(&work, place).values().eq([&wanted]), "{place}");
    }
    work.run(&format!("barge verify --deep --plain-http {there}"));
    work.run(&format!("barge diff --plain-http lib:{APP} {there}"));
    let listed = work.lines(&format!("barge ls -q --plain-http docker://{}", serving.authority()));
    assert_eq!(listed, [format!("{}/ghcr.io/org/app", serving.authority())]);
    // the receipt of it says that nothing is to be carried there
    work.run(&format!("barge receipt --plain-http -o receipt.json docker://{}", serving.authority()));
    work.run("barge save -q -o update.tar --base receipt.json lib");
    work.run("barge save -q -o by-bundle.tar --base bundle.tar lib");
    let brings = |file: &str| work.json(&format!("barge inspect --json {file}"))["results"][0]["bytes"].clone();
    assert_eq!(brings("update.tar"), brings("by-bundle.tar"));
    // and a push is refused in words
    let output = work.output(&format!("barge push --plain-http lib:{APP} {}/org/app:v2", serving.authority()));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("this registry is read-only"), "{:?} {said}", output.status);
}

/// An image `ghcr.io/org/app:v1` with a signature by its tag, and an artifact that names it as its subject.
fn signed() -> (Images, String, String) {
    let mut images = simple(&["linux/amd64"]);
    let app = images.roots.remove(0);
    let of = digest(&app).to_owned();
    images.root(annotated(named(app.clone(), "v1"), FULL_NAME, APP));
    let config = images.put("application/vnd.oci.empty.v1+json", b"{}");
    let mut made = |text: &str, subject: Option<&Value>| {
        let layer = images.put("text/plain", text.as_bytes());
        let mut manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "text/plain", "config": config, "layers": [layer]});
        if let Some(subject) = subject {
            manifest["subject"] = subject.clone();
        }
        images.document("application/vnd.oci.image.manifest.v1+json", &manifest)
    };
    let signature = made("signature", None);
    let artifact = made("artifact", Some(&app));
    let tag = format!("{}.sig", of.replace(':', "-"));
    images.root(named(signature, &tag)).root(artifact);
    (images, of, tag)
}

#[test]
fn signatures_and_referrers_are_there_for_who_asks() {
    let Some(work) = work(&["skopeo"]) else { return };
    let (images, of, tag) = signed();
    images.archive(&work.path("signed.tar"));
    let serving = serve(&work, "signed.tar");
    let repository = format!("{}/org/app", serving.authority());
    let listed = work.json(&format!("skopeo list-tags --tls-verify=false docker://{repository}"));
    assert_eq!(strings(&listed["Tags"]), [tag.as_str(), "v1"]);
    let copy = "skopeo copy -q --preserve-digests --src-tls-verify=false";
    work.run(&format!("{copy} docker://{repository}:{tag} oci:signature:{tag}"));
    assert_eq!(blobs(&work, "signature").len(), 3);
    let listed: Value = serde_json::from_slice(&serving.get(&format!("/v2/org/app/referrers/{of}")).body).unwrap();
    let kinds: Vec<&Value> = listed["manifests"].as_array().unwrap().iter().map(|one| &one["artifactType"]).collect();
    assert_eq!(kinds, ["text/plain"], "{listed}");
    // what refers to it is fetched by its digest, and pulled by its tag
    let artifact = listed["manifests"][0]["digest"].as_str().unwrap();
    work.run(&format!("{copy} docker://{repository}@{artifact} dir:artifact"));
    assert_eq!(sha256(&work.read("artifact/manifest.json")), artifact);
    work.run(&format!("barge pull -q --plain-http -o with {repository}:{tag} {repository}:v1"));
    let with = blobs(&work, "with");
    assert!(
        with.contains_key(&of) && blobs(&work, "signature").keys().all(|digest| with.contains_key(digest)),
        "{with:?}"
    );
}
