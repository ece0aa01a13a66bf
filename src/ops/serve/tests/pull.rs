//! Manifests and blobs. The names of the cases are those of distribution-spec v1.1.1, conformance, "Pull".

use super::*;

fn one_image() -> (tempfile::TempDir, Maker, Value) {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path().join("dist"));
    let image = maker.image("amd64", b"the layer");
    let index = maker.index(std::slice::from_ref(&image));
    maker.name(&index, "ghcr.io/org/app:v1", "v1");
    maker.write();
    (dir, maker, index)
}

fn manifest_of(served: &Served, index: &Value) -> (String, Value) {
    let index = served.get(&format!("/v2/org/app/manifests/{}", digest(index))).json();
    let child = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let manifest = served.get(&format!("/v2/org/app/manifests/{child}")).json();
    (child, manifest)
}

#[test]
fn pull_manifests() {
    let (_dir, maker, index) = one_image();
    let served = serve(&[&maker.path]);
    for (case, target, status) in [
        ("HEAD request to nonexistent manifest should return 404", "nonexistentmanifest", 404),
        ("HEAD request to manifest path (tag) should yield 200 response", "v1", 200),
        ("HEAD request to manifest path (digest) should yield 200 response", digest(&index), 200),
    ] {
        let got = served.ask(&Method::HEAD, &format!("/v2/org/app/manifests/{target}"), &[]);
        assert_eq!(got.status, status, "{case}");
        assert!(got.body.is_empty(), "{case}");
        assert_ne!(got.header("content-length"), "", "{case}");
        if status == 200 {
            assert_eq!(got.header("docker-content-digest"), digest(&index), "{case}");
            assert_eq!(got.header("content-type"), OCI_INDEX, "{case}");
        }
    }
    let stored = fs::read(maker.path.join("blobs").join(digest(&index).replace(':', "/"))).unwrap();
    for (case, target) in [
        ("GET request to manifest path (digest) should yield 200 response", digest(&index)),
        ("GET request to manifest path (tag) should yield 200 response", "v1"),
    ] {
        let got = served.get(&format!("/v2/org/app/manifests/{target}"));
        assert_eq!((got.status, &got.body), (StatusCode::OK, &stored), "{case}");
    }
    let got = served.get("/v2/org/app/manifests/nonexistentmanifest");
    assert_eq!((got.status, got.code().as_str()), (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"));
    let (child, _) = manifest_of(&served, &index);
    let got = served.get(&format!("/v2/org/app/manifests/{child}"));
    assert_eq!(got.header("content-type"), OCI_MANIFEST, "the type by which the index refers to it");
}

#[test]
fn pull_blobs() {
    let (_dir, maker, index) = one_image();
    let served = serve(&[&maker.path]);
    let (_, manifest) = manifest_of(&served, &index);
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let config = manifest["config"]["digest"].as_str().unwrap();
    let nothing = Digest::of(b"nothing").to_string();
    let path = |digest: &str| format!("/v2/org/app/blobs/{digest}");
    let case = "HEAD request to nonexistent blob should result in 404 response";
    assert_eq!(served.ask(&Method::HEAD, &path(&nothing), &[]).status, 404, "{case}");
    let case = "GET nonexistent blob should result in 404 response";
    let got = served.get(&path(&nothing));
    assert_eq!((got.status, got.code().as_str()), (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"), "{case}");
    let case = "HEAD request to existing blob should yield 200";
    let got = served.ask(&Method::HEAD, &path(layer), &[]);
    assert_eq!((got.status.as_u16(), got.header("content-length").as_str()), (200, "9"), "{case}");
    let case = "GET request to existing blob URL should yield 200";
    let got = served.get(&path(layer));
    assert_eq!((got.status.as_u16(), got.body.as_slice()), (200, &b"the layer"[..]), "{case}");
    assert_eq!(got.header("docker-content-digest"), layer);
    assert_eq!(got.header("content-type"), "application/octet-stream");
    assert_eq!(served.get(&path(config)).status, 200);
    // manifests are blobs as well, but blobs are no manifests
    assert_eq!(served.get(&path(digest(&index))).status, 200);
    assert_eq!(served.get(&format!("/v2/org/app/manifests/{config}")).code(), "MANIFEST_UNKNOWN");
}

#[test]
fn parts_of_a_blob_and_what_the_client_has() {
    let (_dir, maker, index) = one_image();
    let served = serve(&[&maker.path]);
    let (_, manifest) = manifest_of(&served, &index);
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let path = format!("/v2/org/app/blobs/{layer}");
    let got = served.ask(&Method::GET, &path, &[("range", "bytes=4-6")]);
    assert_eq!((got.status.as_u16(), got.body.as_slice()), (206, &b"lay"[..]));
    assert_eq!(got.header("content-range"), "bytes 4-6/9");
    let etag = got.header("etag");
    let got = served.ask(&Method::GET, &path, &[("range", "bytes=9-")]);
    assert_eq!((got.status.as_u16(), got.header("content-range").as_str()), (416, "bytes */9"));
    let got = served.ask(&Method::GET, &path, &[("range", "bytes=0-1,3-4")]);
    assert_eq!((got.status.as_u16(), got.body.len()), (200, 9));
    let got = served.ask(&Method::HEAD, &path, &[("range", "bytes=0-1")]);
    assert_eq!((got.status.as_u16(), got.header("content-length").as_str()), (206, "2"));
    for target in [path.clone(), "/v2/org/app/manifests/v1".to_owned()] {
        let etag = if target == path { etag.clone() } else { format!("\"{}\"", digest(&index)) };
        let got = served.ask(&Method::GET, &target, &[("if-none-match", &etag)]);
        assert_eq!((got.status.as_u16(), got.body.len()), (304, 0), "{target}");
        assert_eq!(got.header("etag"), etag);
    }
}

#[test]
fn nothing_is_written() {
    let (_dir, maker, index) = one_image();
    let served = serve(&[&maker.path]);
    for (method, target) in [
        (Method::POST, "/v2/org/app/blobs/uploads/".to_owned()),
        (Method::POST, "/v2/other/blobs/uploads/?mount=sha256:x&from=y".to_owned()),
        (Method::PUT, "/v2/org/app/manifests/v2".to_owned()),
        (Method::PATCH, "/v2/org/app/blobs/uploads/1".to_owned()),
        (Method::DELETE, format!("/v2/org/app/manifests/{}", digest(&index))),
        (Method::DELETE, "/v2/org/app/manifests/v1".to_owned()),
        (Method::OPTIONS, "/v2/".to_owned()),
        (Method::POST, "/nowhere".to_owned()),
    ] {
        let got = served.ask(&method, &target, &[]);
        assert_eq!((got.status.as_u16(), got.code().as_str()), (405, "UNSUPPORTED"), "{method} {target}");
        assert_eq!(got.header("allow"), "GET, HEAD");
        assert!(got.json()["errors"][0]["message"].as_str().unwrap().contains("read-only"));
    }
    assert_eq!(served.get("/v2/org/app/blobs/uploads/1").code(), "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(served.tag("org/app", "v1"), digest(&index));
}

#[test]
fn what_is_not_right_in_a_place_is_told_and_never_given_as_right() {
    let (_dir, maker, index) = one_image();
    let served = serve(&[&maker.path]);
    let (child, manifest) = manifest_of(&served, &index);
    let file = |digest: &str| maker.path.join("blobs").join(digest.replace(':', "/"));
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    // another length
    fs::write(file(layer), "short").unwrap();
    let got = served.get(&format!("/v2/org/app/blobs/{layer}"));
    assert_eq!((got.status.as_u16(), got.code().as_str()), (500, "UNKNOWN"));
    assert!(got.json().to_string().contains("5 bytes, expected 9"), "{}", got.json());
    // gone
    fs::remove_file(file(layer)).unwrap();
    assert_eq!(served.get(&format!("/v2/org/app/blobs/{layer}")).code(), "BLOB_UNKNOWN");
    // a link out of the place
    std::os::unix::fs::symlink("/etc/hostname", file(layer)).unwrap();
    let got = served.get(&format!("/v2/org/app/blobs/{layer}"));
    assert_eq!(got.status, 500);
    assert!(!got.json().to_string().contains(&*maker.path.to_string_lossy()), "where it lies is for the log");
    // a manifest of the right length
    let mut bytes = fs::read(file(&child)).unwrap();
    bytes[20] ^= 1;
    fs::write(file(&child), bytes).unwrap();
    let got = served.get(&format!("/v2/org/app/manifests/{child}"));
    assert_eq!(got.status, 500);
    assert!(got.json().to_string().contains(&format!("expected {child}")), "{}", got.json());
    assert!(served.told().contains("a symbolic link leads out of the layout"), "{}", served.told());
}
