//! Places that change while they are served.

use super::*;

#[test]
fn a_layout_that_gains_and_loses_an_image_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path().join("dist"));
    let one = maker.image("amd64", b"one");
    maker.name(&one, "app:v1", "");
    let served = serve(&[maker.write()]);
    assert_eq!(served.tag("app", "v2"), "MANIFEST_UNKNOWN");
    let two = maker.image("amd64", b"two");
    maker.name(&two, "app:v2", "");
    maker.write();
    assert_eq!(served.tag("app", "v2"), digest(&two));
    assert_eq!(served.get(&format!("/v2/app/blobs/{}", Digest::of(b"two"))).status, 200);
    maker.roots.remove(0);
    maker.write();
    assert_eq!(served.tag("app", "v1"), "MANIFEST_UNKNOWN");
    assert_eq!(served.get("/v2/app/tags/list").json()["tags"], json!(["v2"]));
}

#[test]
fn a_torn_index_json_takes_nothing_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path().join("dist"));
    let one = maker.image("amd64", b"one");
    maker.name(&one, "app:v1", "");
    let served = serve(&[maker.write()]);
    fs::write(maker.path.join("index.json"), "{\"schemaVersion\":2,").unwrap();
    for _ in 0..3 {
        assert_eq!(served.tag("app", "v1"), digest(&one));
    }
    assert_eq!(served.told().matches("serving what was there before").count(), 1, "{}", served.told());
    let two = maker.image("amd64", b"two");
    maker.name(&two, "app:v2", "");
    maker.write();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(served.tag("app", "v2"), digest(&two));
}

/// An archive of one image, and one with another image that has the same name.
fn two_archives(dir: &Path) -> (PathBuf, PathBuf, Value, Value) {
    let make = |layer: &[u8], name: &str| {
        let mut maker = Maker::new(dir.join(format!("of-{name}")));
        let image = maker.image("amd64", layer);
        maker.name(&image, "app:v1", "");
        let path = dir.join(name);
        maker.archive(&path);
        (path, image)
    };
    let ((first, one), (second, two)) = (make(b"one", "first.tar"), make(b"two", "second.tar"));
    (first, second, one, two)
}

#[test]
fn an_archive_that_is_replaced_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second, one, two) = two_archives(dir.path());
    let served = serve(&[&first]);
    assert_eq!(served.tag("app", "v1"), digest(&one));
    fs::rename(second, &first).unwrap();
    assert_eq!(served.tag("app", "v1"), digest(&two));
    assert_eq!(served.tag("app", digest(&one)), "MANIFEST_UNKNOWN");
    assert!(served.told().contains("has changed: serving what is there now"), "{}", served.told());
}

#[test]
fn a_broken_archive_in_its_place_takes_nothing_away() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second, one, _) = two_archives(dir.path());
    let served = serve(&[&first]);
    let half = fs::read(&second).unwrap();
    fs::write(&second, &half[..half.len() / 2]).unwrap();
    fs::rename(&second, &first).unwrap();
    assert_eq!(served.tag("app", "v1"), digest(&one), "what was opened is still whole");
    fs::remove_file(&first).unwrap();
    assert_eq!(served.tag("app", "v1"), digest(&one));
    assert_eq!(served.get(&format!("/v2/app/blobs/{}", Digest::of(b"one"))).body, b"one");
    assert!(served.told().contains("serving what was there before"), "{}", served.told());
}

#[test]
fn an_archive_that_is_cut_where_it_lies_is_served_no_more_until_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _, one, _) = two_archives(dir.path());
    let served = serve(&[&first]);
    assert_eq!(served.tag("app", "v1"), digest(&one));
    let whole = fs::read(&first).unwrap();
    fs::OpenOptions::new().write(true).open(&first).unwrap().set_len(1000).unwrap();
    let got = served.get("/v2/app/manifests/v1");
    assert_eq!((got.status.as_u16(), got.code().as_str()), (503, "UNAVAILABLE"));
    assert!(served.told().contains("none of it is served"), "{}", served.told());
    assert_eq!(served.get("/v2/").status, 200);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    fs::write(&first, whole).unwrap();
    assert_eq!(served.tag("app", "v1"), digest(&one));
}

#[test]
fn blobs_of_archives_are_to_be_proved_and_those_of_layouts_when_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (archive, ..) = two_archives(dir.path());
    let layout = dir.path().join("of-first.tar");
    let path = format!("/v2/app/blobs/{}", Digest::of(b"one"));
    for (place, asked, expected) in
        [(&archive, None, true), (&archive, Some(false), false), (&layout, None, false), (&layout, Some(true), true)]
    {
        let served = try_serve(&[place], &ServeOptions { read_verify: asked, ..options() }).unwrap();
        let headers = HeaderMap::new();
        let request = Request { method: &Method::GET, path: &path, query: None, headers: &headers };
        let Body::Blob(blob, _) = served.api.respond(&request).body else { panic!("it is no blob") };
        assert_eq!(blob.wants_proof(), expected, "{place:?} {asked:?}");
        blob.prove(&Cancel::default()).unwrap();
        let again = served.api.respond(&request).body;
        let Body::Blob(again, _) = again else { panic!("it is no blob") };
        assert_eq!(again.bytes(), blob.bytes(), "the same bytes are known again");
    }
}

#[test]
fn changed_bytes_are_other_bytes_and_are_not_proved() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path().join("dist"));
    let image = maker.image("amd64", b"one");
    maker.name(&image, "app:v1", "");
    let served = serve(&[maker.write()]);
    let digest = Digest::of(b"one");
    let path = format!("/v2/app/blobs/{digest}");
    let blob = || {
        let headers = HeaderMap::new();
        let request = Request { method: &Method::GET, path: &path, query: None, headers: &headers };
        match served.api.respond(&request).body {
            Body::Blob(blob, _) => blob,
            other => panic!("{other:?}"),
        }
    };
    let before = blob();
    before.prove(&Cancel::default()).unwrap();
    fs::write(maker.path.join(digest.blob_path()), b"two").unwrap();
    let after = blob();
    assert_ne!(after.bytes(), before.bytes());
    assert!(after.prove(&Cancel::default()).is_err());
}
