//! Images of one name in several places.

use super::*;

/// Two places that have the same name for images of two architectures.
fn bundles() -> (tempfile::TempDir, PathBuf, PathBuf, Value, Value) {
    let dir = tempfile::tempdir().unwrap();
    let (mut amd64, mut arm64) = (Maker::new(dir.path().join("amd64")), Maker::new(dir.path().join("arm64")));
    let (one, two) = (amd64.image("amd64", b"one"), arm64.image("arm64", b"two"));
    let own = arm64.index(std::slice::from_ref(&two));
    amd64.name(&one, "ghcr.io/org/app:v1", "v1");
    arm64.name(&own, "ghcr.io/org/app:v1", "v1");
    amd64.write();
    let archive = dir.path().join("arm64.tar");
    arm64.archive(&archive);
    (dir, amd64.path.clone(), archive, one, own)
}

#[test]
fn images_for_different_platforms_are_joined_when_it_is_asked_for() {
    let (_dir, amd64, arm64, one, own) = bundles();
    let joined = [serve_joined(&[&amd64, &arm64]), serve_joined(&[&arm64, &amd64])];
    let digests = joined.each_ref().map(|served| served.tag("org/app", "v1"));
    assert!(digests[0].starts_with("sha256:"), "{digests:?}");
    assert_eq!(digests[0], digests[1], "whichever is named first");
    let served = &joined[0];
    let index = served.get("/v2/org/app/manifests/v1").json();
    let platforms: Vec<&Value> =
        index["manifests"].as_array().unwrap().iter().map(|entry| &entry["platform"]["architecture"]).collect();
    assert_eq!(platforms, [&json!("amd64"), &json!("arm64")]);
    // all of it can be pulled: the index by its digest, and what is in it
    assert_eq!(served.tag("org/app", &digests[0]), digests[0]);
    let got = served.ask(&Method::GET, &format!("/v2/org/app/blobs/{}", digests[0]), &[("range", "bytes=0-0")]);
    assert_eq!((got.status.as_u16(), got.body.as_slice()), (206, &b"{"[..]));
    for entry in index["manifests"].as_array().unwrap() {
        let manifest = served.get(&format!("/v2/org/app/manifests/{}", digest(entry))).json();
        assert_eq!(served.get(&format!("/v2/org/app/blobs/{}", digest(&manifest["layers"][0]))).status, 200);
    }
    // what it was made of, too
    for before in [&one, &own] {
        assert_eq!(served.tag("org/app", digest(before)), digest(before));
    }
}

#[test]
fn else_the_first_place_is_meant_and_it_is_said() {
    let (_dir, amd64, arm64, one, own) = bundles();
    for (places, expected) in [([&amd64, &arm64], &one), ([&arm64, &amd64], &own)] {
        let served = serve(&[places[0], places[1]]);
        assert_eq!(served.tag("org/app", "v1"), digest(expected));
        let told = served.told();
        assert!(told.contains("ghcr.io/org/app:v1 is another image in oci"), "{told}");
        assert!(told.contains("--join makes one image"), "{told}");
    }
}

#[test]
fn what_cannot_be_joined_is_not_joined() {
    let dir = tempfile::tempdir().unwrap();
    let (mut old, mut new) = (Maker::new(dir.path().join("old")), Maker::new(dir.path().join("new")));
    let (one, two) = (old.image("amd64", b"one"), new.image("amd64", b"two"));
    old.name(&one, "app:v1", "");
    new.name(&two, "app:v1", "");
    let served = serve_joined(&[old.write(), new.write()]);
    assert_eq!(served.tag("app", "v1"), digest(&one));
    let told = served.told();
    assert!(told.contains("they cannot be joined") && told.contains("linux/amd64"), "{told}");
}

#[test]
fn platforms_side_by_side_in_one_place_are_no_image_until_they_are_joined() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path().join("flat"));
    for architecture in ["amd64", "arm64"] {
        let image = maker.image(architecture, architecture.as_bytes());
        maker.name(&image, "app:v1", "");
    }
    let path = maker.write();
    let served = serve(&[path]);
    let got = served.get("/v2/app/manifests/v1");
    assert_eq!(got.code(), "MANIFEST_UNKNOWN");
    assert!(got.json().to_string().contains("2 images side by side"), "{}", got.json());
    assert!(served.told().contains("is 2 images in oci:"), "{}", served.told());
    let index = serve_joined(&[path]).get("/v2/app/manifests/v1").json();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
}

#[test]
fn one_index_whose_platforms_lie_in_several_places_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (mut amd64, mut arm64) = (Maker::new(dir.path().join("amd64")), Maker::new(dir.path().join("arm64")));
    let (one, two) = (amd64.image("amd64", b"one"), arm64.image("arm64", b"two"));
    for maker in [&mut amd64, &mut arm64] {
        let index = maker.index(&[one.clone(), two.clone()]);
        maker.name(&index, "app:v1", "");
    }
    let served = serve(&[amd64.write(), arm64.write()]);
    for (image, layer) in [(&one, b"one"), (&two, b"two")] {
        assert_eq!(served.tag("app", digest(image)), digest(image));
        assert_eq!(served.get(&format!("/v2/app/blobs/{}", Digest::of(layer))).status, 200);
    }
    assert_eq!(served.told(), "");
    let alone = serve(&[&amd64.path]);
    assert_eq!(alone.tag("app", digest(&one)), digest(&one));
    assert_eq!(alone.tag("app", digest(&two)), "MANIFEST_UNKNOWN", "what is not there is not there");
}
