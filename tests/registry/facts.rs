//! How distribution 2.8.2 answers where others differ: what the tests of pushes and pulls rely on, in short.
//!
//! Uploads
//! - POST, PATCH and GET of a session give an absolute `Location` with a signed `_state` that holds the offset; one
//!   without it is a 404 `BLOB_UPLOAD_INVALID`. The state changes with every PATCH, and old ones become worthless.
//! - An empty session has `Range: 0-0`, as one with a single byte would.
//! - A body that is cut, of PUT or PATCH, ends the session for good: what arrived is kept beyond the state's offset,
//!   so every GET, PATCH and PUT thereafter is a 404 `BLOB_UPLOAD_INVALID`. The log has a 500 for the cut request.
//! - A PUT with a wrong digest is a 400 `DIGEST_INVALID`, and ends the session in the same way.
//! - Parts that were sent whole can be followed by others, and by a PUT with or without the last part, also after a
//!   restart. `Content-Range` is not looked at: a part at the wrong place is a 202, not a 416.
//! - POST with `digest` and a body is a 202: the body is thrown away, a PUT must follow.
//! - DELETE of a session is a 204, and GET thereafter a 404 `BLOB_UPLOAD_UNKNOWN`.
//!
//! Mounts
//! - 201 with `Docker-Content-Digest` when `from` has the blob, else 202 with a session like any other: when `from`
//!   does not have it, does not exist, or is not named. A blob that only another repository has is a 404.
//! - With tokens, `pull,push` of one and `pull` of the other must be in one token, else it is a 401 (`tokens.rs`).
//!
//! Manifests
//! - HEAD and GET have `Docker-Content-Digest`, `Content-Type`, `Content-Length` and an `ETag` of the digest in
//!   quotes; with that in `If-None-Match`, GET is a 304.
//! - OCI media types must be named in `Accept`: without it or with `*/*` they are a 404 `MANIFEST_UNKNOWN`.
//! - PUT wants everything the manifest names in the same repository, children of an index too, else 400
//!   `MANIFEST_BLOB_UNKNOWN`, or with several missing several errors. 4 MiB are taken, a byte more is a 400
//!   `MANIFEST_INVALID`. Another digest in the path than that of the content is a 400 `DIGEST_INVALID`.
//! - There is no `OCI-Subject`, and `/referrers/` is a 404 in plain text.
//!
//! Deletion
//! - By tag: 400 `DIGEST_INVALID`. By digest: 202, then 404 `MANIFEST_UNKNOWN`; its tags go too. Blobs: 202, then 404.
//! - Where it is disabled: 405 `UNSUPPORTED`. A read-only registry answers every write with 405 in plain text.
//!
//! Lists
//! - `/v2/_catalog` has pages: `Link: </v2/_catalog?last=a%2Fb&n=2>; rel="next"`, and no `Link` on the last one.
//! - `/v2/NAME/tags/list` has none: `n` and `last` are ignored. `tags` is null when the last one was deleted; a
//!   repository without manifests is a 404 `NAME_UNKNOWN`.
//!
//! Blobs
//! - GET takes `Range` (206). Past the end it is a 416 whose `Content-Length` is that of the blob, while its body is a
//!   line of text: the connection ends early.
//!
//! Rights
//! - 401 `UNAUTHORIZED` for whatever is missing, wrong, expired or not enough, never 403. Scopes, and the actions in
//!   them, stand in a challenge in any order. Tokens are taken for a minute after `exp` (`tokens.rs`).

use serde_json::json;

use crate::distribution::http::{MANIFESTS, Response};
use crate::distribution::{Distribution, Mode, Options};
use crate::work::work;

const OCI_INDEX: &str = MANIFESTS[0];
const OCI_MANIFEST: &str = MANIFESTS[1];

fn content() -> Vec<u8> {
    (0..100_000_u32).map(|at| (at % 251).to_le_bytes()[0]).collect()
}

fn digest(content: &[u8]) -> String {
    barge::digest::Digest::of(content).to_string()
}

fn none() -> String {
    digest(b"nowhere")
}

/// Begins an upload, and returns where it goes on.
fn session(registry: &Distribution) -> String {
    let begun = registry.request("POST", "/v2/app/blobs/uploads/", &[], b"");
    assert_eq!((begun.status, begun.header("range")), (202, Some("0-0")));
    assert!(
        begun.header("location").unwrap().starts_with(&format!("http://{}/v2/app/blobs/uploads/", registry.host()))
    );
    assert!(begun.header("docker-upload-uuid").is_some());
    begun.location().to_owned()
}

fn said(answer: &Response) -> (u16, String) {
    (answer.status, answer.code())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// A manifest without layers, whose config must be there.
fn manifest(config: &[u8], more: &str) -> Vec<u8> {
    let media_type = "application/vnd.oci.image.config.v1+json";
    let config = json!({"mediaType": media_type, "size": config.len(), "digest": digest(config)});
    let annotations = json!({"more": more});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [], "annotations": annotations,
    });
    manifest.to_string().into_bytes()
}

/// A registry with a config and a manifest under some tags in `app`.
fn filled(options: &Options, tags: &[&str]) -> (Distribution, String) {
    let registry = Distribution::with(Mode::Plain, options);
    registry.put_blob("app", b"{}");
    let manifest = manifest(b"{}", "");
    for tag in tags {
        registry.put_manifest("app", tag, OCI_MANIFEST, &manifest);
    }
    (registry, digest(&manifest))
}

#[test]
fn a_cut_put_ends_its_session() {
    let Some(_work) = work(&["docker-registry"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let content = content();
    let place = session(&registry);
    let whole = format!("{place}&digest={}", digest(&content));
    registry.door().cut("PUT", &whole, &[], content.len(), &content[..50_000]);
    let log = registry.log_with(|log| log.requests.iter().any(|request| request.status == 500));
    assert_eq!((log.of("PUT", "")[0].status, log.received()), (500, 50_000), "{log:?}");
    let gone = is(404, "BLOB_UPLOAD_INVALID");
    assert_eq!(said(&registry.get(&place)), gone);
    assert_eq!(said(&registry.request("PATCH", &place, &[("Content-Range", "50000-99999")], &content[50_000..])), gone);
    assert_eq!(said(&registry.request("PUT", &whole, &[], &content)), gone);
    // a new one takes it
    assert_eq!(registry.put_blob("app", &content), digest(&content));
}

#[test]
fn a_cut_patch_ends_its_session() {
    let Some(_work) = work(&["docker-registry"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let content = content();
    let first = registry.request("PATCH", &session(&registry), &[("Content-Range", "0-49999")], &content[..50_000]);
    assert_eq!((first.status, first.header("range")), (202, Some("0-49999")));
    let place = first.location();
    let asked = registry.get(place);
    assert_eq!((asked.status, asked.header("range"), asked.location()), (204, Some("0-49999"), place));
    registry.door().cut("PATCH", place, &[("Content-Range", "50000-99999")], 50_000, &content[50_000..70_000]);
    let log = registry.log_with(|log| log.requests.iter().any(|request| request.status == 500));
    assert_eq!((log.of("PATCH", "")[0].status, log.received()), (500, 20_000), "{log:?}");
    let gone = is(404, "BLOB_UPLOAD_INVALID");
    assert_eq!(said(&registry.get(place)), gone);
    assert_eq!(said(&registry.request("PATCH", place, &[("Content-Range", "50000-99999")], &content[50_000..])), gone);
}

#[test]
fn whole_parts_are_kept_also_over_a_restart() {
    let Some(_work) = work(&["docker-registry"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let content = content();
    for last_with_put in [false, true] {
        let begun = session(&registry);
        let first = registry.request("PATCH", &begun, &[], &content[..40_000]);
        registry.restart();
        let asked = registry.get(first.location());
        assert_eq!((asked.status, asked.header("range")), (204, Some("0-39999")));
        assert_eq!(said(&registry.get(&begun)), is(404, "BLOB_UPLOAD_INVALID"), "a state of before");
        let (place, rest) = if last_with_put {
            (asked.location().to_owned(), &content[40_000..])
        } else {
            let second = registry.request("PATCH", asked.location(), &[], &content[40_000..]);
            assert_eq!((second.status, second.header("range")), (202, Some("0-99999")));
            (second.location().to_owned(), &b""[..])
        };
        let put = registry.request("PUT", &format!("{place}&digest={}", digest(&content)), &[], rest);
        assert_eq!((put.status, put.header("docker-content-digest")), (201, Some(digest(&content).as_str())));
        assert_eq!(put.location(), format!("/v2/app/blobs/{}", digest(&content)));
        assert_eq!(registry.blob("app", &digest(&content)).as_ref(), Some(&content));
    }
}

#[test]
fn where_a_part_belongs_is_not_looked_at() {
    let Some(_work) = work(&["docker-registry"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let ahead = registry.request("PATCH", &session(&registry), &[("Content-Range", "50-99")], &[b'x'; 50]);
    assert_eq!((ahead.status, ahead.header("range")), (202, Some("0-49")));
}

#[test]
fn other_ends_of_a_session() {
    let Some(_work) = work(&["docker-registry"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let place = session(&registry);
    let wrong = registry.request("PUT", &format!("{place}&digest={}", none()), &[], b"content");
    assert_eq!(said(&wrong), is(400, "DIGEST_INVALID"));
    assert_eq!(said(&registry.get(&place)), is(404, "BLOB_UPLOAD_INVALID"));

    let place = session(&registry);
    assert_eq!(registry.request("DELETE", &place, &[], b"").status, 204);
    assert_eq!(said(&registry.get(&place)), is(404, "BLOB_UPLOAD_UNKNOWN"));

    let place = session(&registry);
    let stateless = place.split('?').next().unwrap();
    assert_eq!(said(&registry.get(stateless)), is(404, "BLOB_UPLOAD_INVALID"));

    let at_once = format!("/v2/app/blobs/uploads/?digest={}", digest(b"content"));
    let posted = registry.request("POST", &at_once, &[], b"content");
    assert_eq!((posted.status, posted.header("range")), (202, Some("0-0")));
    assert_eq!(registry.blob("app", &digest(b"content")), None);
}

#[test]
fn a_mount_or_a_session() {
    let Some(_work) = work(&["docker-registry"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let there = registry.put_blob("from", b"content");
    assert_eq!(registry.blob("to", &there), None, "only where it was put");
    let mount = |query: &str| registry.request("POST", &format!("/v2/to/blobs/uploads/?{query}"), &[], b"");
    for query in [
        format!("mount={}&from=from", none()),
        format!("mount={there}&from=nowhere"),
        format!("mount={there}"),
        "mount=nonsense&from=from".to_owned(),
    ] {
        let answer = mount(&query);
        assert_eq!((answer.status, answer.header("range")), (202, Some("0-0")), "{query}");
        assert!(answer.location().contains("/v2/to/blobs/uploads/"), "{query}");
    }
    assert_eq!(registry.blob("to", &there), None);
    let mounted = mount(&format!("mount={there}&from=from"));
    assert_eq!((mounted.status, mounted.header("docker-content-digest")), (201, Some(there.as_str())));
    assert_eq!(mounted.location(), format!("/v2/to/blobs/{there}"));
    assert_eq!(registry.blob("to", &there).as_deref(), Some(&b"content"[..]));
}

#[test]
fn a_manifest_and_what_its_head_says() {
    let Some(_work) = work(&["docker-registry"]) else { return };
    let (registry, digest) = filled(&Options::default(), &["v1"]);
    let etag = format!("\"{digest}\"");
    let accept = ("Accept", OCI_MANIFEST);
    for reference in ["v1", &digest] {
        let path = format!("/v2/app/manifests/{reference}");
        let (head, get) =
            (registry.request("HEAD", &path, &[accept], b""), registry.request("GET", &path, &[accept], b""));
        assert_eq!((get.body, head.body), (manifest(b"{}", ""), Vec::new()));
        for name in ["content-type", "content-length", "docker-content-digest", "etag"] {
            let header = |headers: &[(String, String)]| headers.iter().find(|(own, _)| own == name).cloned();
            assert_eq!(header(&head.headers), header(&get.headers));
            assert!(header(&head.headers).is_some(), "{name}");
        }
        let header = |name: &str| get.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        assert_eq!(header("content-type"), Some(OCI_MANIFEST));
        assert_eq!((header("docker-content-digest"), header("etag")), (Some(digest.as_str()), Some(etag.as_str())));
        assert_eq!(registry.request("GET", &path, &[accept, ("If-None-Match", &etag)], b"").status, 304);
        for accept in [&[][..], &[("Accept", "*/*")], &[("Accept", MANIFESTS[3])]] {
            assert_eq!(said(&registry.request("GET", &path, accept, b"")), is(404, "MANIFEST_UNKNOWN"), "{accept:?}");
            assert_eq!(registry.request("HEAD", &path, accept, b"").status, 404);
        }
    }
    assert_eq!(said(&registry.get("/v2/app/manifests/v2")), is(404, "MANIFEST_UNKNOWN"));
    assert_eq!(said(&registry.get("/v2/nowhere/manifests/v2")), is(404, "MANIFEST_UNKNOWN"));
}

#[test]
fn a_manifest_and_what_it_needs() {
    let Some(_work) = work(&["docker-registry"]) else { return };
    let (registry, _) = filled(&Options::default(), &[]);
    let put = |reference: &str, media_type: &str, content: &[u8]| {
        let path = format!("/v2/app/manifests/{reference}");
        registry.request("PUT", &path, &[("Content-Type", media_type)], content)
    };
    assert_eq!(said(&put("v1", OCI_MANIFEST, &manifest(b"not there", ""))), is(400, "MANIFEST_BLOB_UNKNOWN"));
    let child = json!({"mediaType": OCI_MANIFEST, "size": 3, "digest": none()});
    let second = json!({"mediaType": OCI_MANIFEST, "size": 3, "digest": digest(b"nowhere either")});
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child, second]}).to_string();
    let refused = put("v1", OCI_INDEX, index.as_bytes());
    assert_eq!(said(&refused), is(400, "MANIFEST_BLOB_UNKNOWN"));
    let errors = refused.json()["errors"].as_array().unwrap().clone();
    assert_eq!((errors.len(), &errors[0]["detail"]), (2, &none().into()), "{errors:?}");
    assert_eq!(said(&put(&none(), OCI_MANIFEST, &manifest(b"{}", ""))), is(400, "DIGEST_INVALID"));
    let filling = (4 << 20) - manifest(b"{}", "").len();
    assert_eq!(put("v1", OCI_MANIFEST, &manifest(b"{}", &"x".repeat(filling))).status, 201);
    let over = put("v1", OCI_MANIFEST, &manifest(b"{}", &"x".repeat(filling + 1)));
    assert_eq!(said(&over), is(400, "MANIFEST_INVALID"));
    // nothing is said of subjects
    let mut with_subject: serde_json::Value = serde_json::from_slice(&manifest(b"{}", "")).unwrap();
    with_subject["subject"] = child.clone();
    let taken = put("v1", OCI_MANIFEST, with_subject.to_string().as_bytes());
    assert_eq!((taken.status, taken.header("oci-subject")), (201, None));
    let referrers = registry.get(&format!("/v2/app/referrers/{}", none()));
    assert_eq!((referrers.status, referrers.text().as_str()), (404, "404 page not found\n"));
}

#[test]
fn deletion_is_by_digest() {
    let Some(_work) = work(&["docker-registry"]) else { return };
    let (registry, manifest) = filled(&Options::default(), &["v1", "v2"]);
    let delete = |registry: &Distribution, path: &str| said(&registry.request("DELETE", path, &[], b""));
    let by_digest = format!("/v2/app/manifests/{manifest}");
    let blob = format!("/v2/app/blobs/{}", digest(b"{}"));
    assert_eq!(delete(&registry, "/v2/app/manifests/v1"), is(400, "DIGEST_INVALID"));
    assert_eq!(registry.tags("app"), ["v1", "v2"]);
    assert_eq!(delete(&registry, &by_digest), is(202, ""));
    assert_eq!(delete(&registry, &by_digest), is(404, "MANIFEST_UNKNOWN"));
    assert_eq!(registry.get("/v2/app/tags/list").text(), "{\"name\":\"app\",\"tags\":null}\n");
    assert_eq!(delete(&registry, &blob), is(202, ""));
    assert_eq!(delete(&registry, &blob), is(404, "BLOB_UNKNOWN"));
    assert_eq!(registry.blob("app", &digest(b"{}")), None);

    let (kept, _) = filled(&Options { no_delete: true, ..Options::default() }, &["v1"]);
    for path in [by_digest, blob] {
        assert_eq!(delete(&kept, &path), is(405, "UNSUPPORTED"));
    }
}

#[test]
fn lists_and_their_pages() {
    let Some(_work) = work(&["docker-registry"]) else { return };
    let (registry, _) = filled(&Options::default(), &["v1", "v2", "v3"]);
    for repository in ["a/b", "a/c", "z"] {
        registry.put_blob(repository, b"{}");
        registry.put_manifest(repository, "v1", OCI_MANIFEST, &manifest(b"{}", ""));
    }
    registry.put_blob("without-manifest", b"{}");
    let page = |path: &str| {
        let answer = registry.get(path);
        let list = answer.json();
        let names = if path.contains("_catalog") { &list["repositories"] } else { &list["tags"] };
        (names.to_string(), answer.header("link").map(str::to_owned))
    };
    let next = |path: &str| Some(format!("<{path}>; rel=\"next\""));
    let second = "/v2/_catalog?last=a%2Fc&n=2";
    assert_eq!(page("/v2/_catalog?n=2"), (r#"["a/b","a/c"]"#.to_owned(), next(second)));
    assert_eq!(
        page(second),
        (r#"["app","without-manifest"]"#.to_owned(), next("/v2/_catalog?last=without-manifest&n=2"))
    );
    assert_eq!(page("/v2/_catalog?last=without-manifest&n=2"), (r#"["z"]"#.to_owned(), None));
    for exactly in ["/v2/_catalog?n=5", "/v2/_catalog?last=a%2Fc&n=3"] {
        assert_eq!(page(exactly).1, None, "{exactly}");
    }
    assert_eq!(page("/v2/app/tags/list?n=1&last=v2"), (r#"["v1","v2","v3"]"#.to_owned(), None));
    for repository in ["nowhere", "without-manifest"] {
        assert_eq!(said(&registry.get(&format!("/v2/{repository}/tags/list"))), is(404, "NAME_UNKNOWN"));
    }
}

#[test]
fn a_range_of_a_blob() {
    let Some(_work) = work(&["docker-registry"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let content = content();
    let path = format!("/v2/app/blobs/{}", registry.put_blob("app", &content));
    let part = registry.request("GET", &path, &[("Range", "bytes=99990-")], b"");
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 99990-99999/100000")));
    assert_eq!(part.body, content[99_990..]);
    let past = registry.request("GET", &path, &[("Range", "bytes=100000-")], b"");
    assert_eq!((past.status, past.header("content-range")), (416, Some("bytes */100000")));
    assert_eq!((past.header("content-length"), past.text().lines().count()), (Some("100000"), 1));
}
