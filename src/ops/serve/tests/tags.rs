//! Lists of tags and of repositories. The names of the cases are those of distribution-spec v1.1.1, conformance, "Content
//! Discovery".

use super::*;

fn many(count: usize) -> (tempfile::TempDir, Maker) {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path().join("dist"));
    let image = maker.image("amd64", b"x");
    for at in 0..count {
        maker.name(&image, &format!("ghcr.io/org/app:test{at}"), &format!("test{at}"));
    }
    maker.write();
    (dir, maker)
}

#[test]
fn content_discovery() {
    let (_dir, maker) = many(4);
    let served = serve(&[&maker.path]);
    let case = "GET request to list tags should yield 200 response and be in sorted order";
    let got = served.get("/v2/org/app/tags/list");
    assert_eq!(got.status, 200, "{case}");
    assert_eq!(got.json(), json!({"name": "org/app", "tags": ["test0", "test1", "test2", "test3"]}), "{case}");
    assert_eq!(got.header("link"), "");
    let case = "GET number of tags should be limitable by `n` query parameter";
    let got = served.get("/v2/org/app/tags/list?n=2");
    assert_eq!(got.json()["tags"], json!(["test0", "test1"]), "{case}");
    assert_eq!(got.header("link"), "</v2/org/app/tags/list?n=2&last=test1>; rel=\"next\"", "{case}");
    let case = "GET start of tag is set by `last` query parameter";
    let got = served.get("/v2/org/app/tags/list?n=2&last=test1");
    assert_eq!(got.json()["tags"], json!(["test2", "test3"]), "{case}");
    assert_eq!(got.header("link"), "", "{case}");
    assert_eq!(served.get("/v2/org/app/tags/list?n=0").json()["tags"], json!([]));
    let got = served.get("/v2/org/app/tags/list?n=x");
    assert_eq!((got.status.as_u16(), got.code().as_str()), (400, "PAGINATION_NUMBER_INVALID"));
    assert_eq!(served.get("/v2/other/tags/list").code(), "NAME_UNKNOWN");
}

#[test]
fn ten_thousand_tags_are_listed_in_pages_and_at_once() {
    let (_dir, maker) = many(10_000);
    let served = serve(&[&maker.path]);
    let all = served.get("/v2/org/app/tags/list").json()["tags"].as_array().unwrap().clone();
    assert_eq!(all.len(), 10_000);
    let (mut target, mut got) = ("/v2/org/app/tags/list?n=999".to_owned(), Vec::new());
    for _ in 0..11 {
        let page = served.get(&target);
        got.extend(page.json()["tags"].as_array().unwrap().clone());
        let link = page.header("link");
        let Some((next, _)) = link.split_once(">; rel") else { break };
        target = next.trim_start_matches('<').to_owned();
    }
    assert_eq!(got, all);
}

#[test]
fn the_catalog_lists_every_repository_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path().join("dist"));
    let image = maker.image("amd64", b"x");
    for name in ["quay.io/b:v1", "app:v1", "quay.io/b:v2", "localhost:5000/local:v1"] {
        maker.name(&image, name, "");
    }
    maker.name(&image, "", "only-a-tag");
    let served = serve(&[maker.write()]);
    let listed = json!(["dist", "docker.io/library/app", "local", "quay.io/b"]);
    assert_eq!(served.get("/v2/_catalog").json(), json!({"repositories": listed}));
    let got = served.get("/v2/_catalog?n=3");
    assert_eq!(got.json()["repositories"].as_array().unwrap().len(), 3);
    assert_eq!(got.header("link"), "</v2/_catalog?n=3&last=local>; rel=\"next\"");
    assert_eq!(served.get("/v2/_catalog?ns=quay.io").json()["repositories"], json!(["b"]));
    // whatever is listed can be asked for
    for name in listed.as_array().unwrap() {
        assert_eq!(served.get(&format!("/v2/{}/tags/list", name.as_str().unwrap())).status, 200, "{name}");
    }
}
