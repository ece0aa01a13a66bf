//! How a registry may differ.

use std::io::Write as _;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use barge::digest::Digest;

use crate::client::{Client, Got, MANIFEST, begin, blob_path, finish};
use crate::registry::{Auth, FakeRegistry, Options, Rule};

const INDEX: &str = "Content-Type: application/vnd.oci.image.index.v1+json";

type Case<'a> = (&'static str, &'a str, &'a [&'a str], &'a [u8], u16, Options, u16);

/// Asks once of a registry that holds the blob `hello` and the tag `v1` in `app`.
fn asked(options: Options, method: &str, path: &str, headers: &[&str], body: &[u8]) -> (FakeRegistry, Got) {
    let registry = FakeRegistry::with(options);
    registry.put_blob("app", b"hello");
    registry.put_manifest("app", "v1", "text/plain", b"{}");
    let mut client = Client::to(&registry);
    let got = if body.is_empty() && method != "PUT" {
        client.ask(method, path, headers)
    } else {
        client.send(method, path, headers, body)
    };
    (registry, got)
}

#[test]
fn each_option_changes_an_answer() {
    let yes = Options::default;
    let blob = blob_path(b"hello");
    let digest = Digest::of(b"{}").to_string();
    let by_digest = format!("/v2/app/manifests/{digest}");
    let mount = |from: &str| format!("/v2/new/blobs/uploads/?mount={}{from}", Digest::of(b"hello"));
    let alone = format!("/v2/app/blobs/uploads/?digest={}", Digest::of(b"alone"));
    let (tag, new, uploads) = ("/v2/app/manifests/v1", "/v2/new/manifests/v1", "/v2/new/blobs/uploads/");
    let child = br#"{"manifests":[{"digest":"sha256:00"}]}"#;
    let layer = br#"{"config":{"digest":"sha256:00"},"layers":[]}"#;
    // the request, the usual status, the option, and the status with it
    let cases: [Case<'_>; 23] = [
        ("HEAD", &blob, &[], b"", 200, Options { no_head: true, ..yes() }, 405),
        ("HEAD", tag, &[], b"", 200, Options { no_head: true, ..yes() }, 405),
        ("POST", &alone, &[], b"alone", 201, Options { no_monolithic: true, ..yes() }, 202),
        ("POST", &alone, &[], b"alone", 201, Options { max_body: Some(4), ..yes() }, 413),
        ("PUT", tag, &[MANIFEST], b"{ }", 201, Options { max_manifest: Some(2), ..yes() }, 413),
        ("POST", &mount("&from=app"), &[], b"", 201, Options { no_mount: true, ..yes() }, 202),
        ("POST", &mount(""), &[], b"", 202, Options { mount_needs_from: true, ..yes() }, 400),
        ("POST", &mount(""), &[], b"", 202, Options { mount_from_anywhere: true, ..yes() }, 201),
        ("POST", uploads, &[], b"", 202, Options { unknown_repositories_refused: true, ..yes() }, 404),
        ("PUT", new, &[MANIFEST], b"{}", 201, Options { unknown_repositories_refused: true, ..yes() }, 404),
        ("DELETE", &blob, &[], b"", 202, Options { no_delete: true, ..yes() }, 405),
        ("DELETE", tag, &[], b"", 202, Options { no_delete: true, ..yes() }, 405),
        ("DELETE", tag, &[], b"", 202, Options { no_tag_delete: true, ..yes() }, 405),
        ("DELETE", &by_digest, &[], b"", 202, Options { no_tag_delete: true, ..yes() }, 202),
        ("PUT", new, &[INDEX], child, 201, Options { children_must_exist: true, ..yes() }, 400),
        ("PUT", new, &[MANIFEST], layer, 201, Options { children_must_exist: true, ..yes() }, 400),
        ("GET", tag, &["Accept: a/b, c/d"], b"", 200, Options { strict_accept: true, ..yes() }, 404),
        (
            "GET",
            tag,
            &["Accept: a/b", "Accept: c/d,text/plain;q=1"],
            b"",
            200,
            Options { strict_accept: true, ..yes() },
            200,
        ),
        ("GET", &blob, &["Range: bytes=1-2"], b"", 206, Options { no_ranges: true, ..yes() }, 200),
        ("GET", "/v2/", &["Authorization: x"], b"", 200, Options { refuse_authorization: true, ..yes() }, 400),
        (
            "GET",
            &format!("/v2/app/referrers/{digest}"),
            &[],
            b"",
            200,
            Options { no_referrers_api: true, ..yes() },
            404,
        ),
        ("GET", "/v2/", &[], b"", 200, Options { auth: Auth::bearer("me", "secret"), ..yes() }, 401),
        ("GET", &blob, &[], b"", 200, Options { blobs_at: Some("http://there".to_owned()), ..yes() }, 307),
    ];
    for (method, path, headers, body, usual, options, status) in cases {
        let said = format!("{method} {path} {options:?}");
        assert_eq!(asked(yes(), method, path, headers, body).1.status, usual, "without: {said}");
        let (registry, got) = asked(options, method, path, headers, body);
        assert_eq!(got.status, status, "{said}");
        assert_eq!(registry.log()[0].status, status, "{said}");
    }
}

#[test]
fn each_option_changes_what_is_said() {
    let elsewhere = Options { blobs_at: Some("http://there".to_owned()), ..Options::default() };
    let location =
        |options| asked(options, "POST", "/v2/app/blobs/uploads/", &[], b"").1.header("location").map(str::to_owned);
    assert!(location(Options::default()).unwrap().starts_with("http://127.0.0.1:"));
    assert!(location(Options { relative_locations: true, ..Options::default() }).unwrap().starts_with("/v2/app/"));
    let there = Options { uploads_at: Some("http://there".to_owned()), ..Options::default() };
    assert!(location(there).unwrap().starts_with("http://there/v2/app/"));
    let blob = blob_path(b"hello");
    let (_, got) = asked(elsewhere, "GET", &blob, &[], b"");
    assert_eq!(got.header("location"), Some(format!("http://there{blob}?signature=secret").as_str()));
    let plain = Options { no_digest_header: true, warning: Some("soon gone".to_owned()), ..Options::default() };
    let (_, got) = asked(plain, "HEAD", &blob, &[], b"");
    assert_eq!((got.header("docker-content-digest"), got.header("warning")), (None, Some(r#"299 - "soon gone""#)));
    let (_, got) =
        asked(Options { min_chunk: Some(9), ..Options::default() }, "POST", "/v2/app/blobs/uploads/", &[], b"");
    assert_eq!(got.header("oci-chunk-min-length"), Some("9"));
    let started = Instant::now();
    asked(Options { slow: Duration::from_millis(100), ..Options::default() }, "GET", "/v2/", &[], b"");
    assert!(started.elapsed() >= Duration::from_millis(100));
}

#[test]
fn chunks_may_be_refused_required_or_long() {
    let registry = FakeRegistry::with(Options { no_chunks: true, ..Options::default() });
    let client = &mut Client::to(&registry);
    let location = begin(client);
    assert_eq!(client.send("PATCH", &location, &[], b"hello").status, 405);
    assert_eq!(finish(client, &location, b"hello", b"hello").status, 201);

    let registry = FakeRegistry::with(Options { no_monolithic: true, max_body: Some(5), ..Options::default() });
    let client = &mut Client::to(&registry);
    let location = begin(client);
    assert_eq!(finish(client, &location, b"hello", b"hello").status, 400);
    assert_eq!(client.send("PATCH", &location, &[], b"hello!").status, 413);
    let location = client.send("PATCH", &location, &[], b"hello").location().to_owned();
    assert_eq!(finish(client, &location, b"hello!", b"!").status, 201);

    let registry = FakeRegistry::with(Options { min_chunk: Some(3), ..Options::default() });
    let client = &mut Client::to(&registry);
    let location = begin(client);
    let location = client.send("PATCH", &location, &[], b"hel").location().to_owned();
    let location = client.send("PATCH", &location, &[], b"lo").location().to_owned();
    assert_eq!(client.send("PATCH", &location, &[], b"!").status, 400);
    assert_eq!(finish(client, &location, b"hello", b"").status, 201);
}

#[test]
fn lists_come_page_by_page() {
    for absolute_links in [false, true] {
        let registry = FakeRegistry::with(Options { page_size: Some(2), absolute_links, ..Options::default() });
        let subject = registry.put_manifest("app", "1", "a/b", b"{}");
        for tag in ["5", "3", "4", "2"] {
            let referrer = format!(r#"{{"artifactType":"t/{tag}","subject":{{"digest":"{subject}"}}}}"#);
            registry.put_manifest("app", tag, "a/b", referrer.as_bytes());
        }
        let client = &mut Client::to(&registry);
        let mut all = |path: &str, list: &str| {
            let (mut path, mut sizes, mut found) = (path.to_owned(), Vec::new(), Vec::new());
            loop {
                let got = client.ask("GET", &path, &[]);
                let page = got.json()[list].as_array().unwrap().clone();
                sizes.push(page.len());
                found.extend(page);
                let Some(link) = got.header("link") else { return (sizes, found) };
                let link = link.strip_prefix('<').unwrap().strip_suffix(r#">; rel="next""#).unwrap();
                assert_eq!(link.starts_with(&registry.url()), absolute_links);
                path = link.strip_prefix(&registry.url()).unwrap_or(link).to_owned();
            }
        };
        let (sizes, tags) = all("/v2/app/tags/list", "tags");
        assert_eq!((sizes, serde_json::json!(tags).to_string().as_str()), (vec![2, 2, 1], r#"["1","2","3","4","5"]"#));
        assert_eq!(all("/v2/app/tags/list?n=1&last=3", "tags").0, [1, 1]);
        let referrers = format!("/v2/app/referrers/{subject}");
        assert_eq!(all(&referrers, "manifests").0, [2, 2]);
        let (_, one) = all(&format!("{referrers}?artifactType=t/4"), "manifests");
        assert_eq!((one.len(), one[0]["artifactType"].as_str()), (1, Some("t/4")));
        assert_eq!(all("/v2/_catalog", "repositories").1, ["app"]);
        let put = format!(r#"{{"subject":{{"digest":"{subject}"}}}}"#);
        let got = Client::to(&registry).send("PUT", "/v2/app/manifests/6", &[MANIFEST], put.as_bytes());
        assert_eq!(got.header("oci-subject"), Some(subject.as_str()));
    }
}

#[test]
fn another_origin_may_hold_the_same_content() {
    let storage = FakeRegistry::start();
    let at = || Some(storage.url());
    let front = FakeRegistry::sharing(&storage, Options { uploads_at: at(), blobs_at: at(), ..Options::default() });
    let location = begin(&mut Client::to(&front));
    let there = &mut Client::to(&storage);
    assert_eq!(finish(there, &location, b"hello", b"hello").status, 201);
    let got = Client::to(&front).ask("GET", &blob_path(b"hello"), &[]);
    assert_eq!(there.ask("GET", got.location(), &["Authorization: Basic leaked"]).body, b"hello");
    assert_eq!(storage.log().last().unwrap().authorization.as_deref(), Some("Basic leaked"));
    assert_eq!((front.bytes_received(), storage.bytes_received()), (0, 5));
}

#[test]
fn names_and_bodies_are_checked() {
    let registry = FakeRegistry::start();
    for (path, status) in [
        ("/v2/a/b.c/d__e/f---g/manifests/v1", 404),
        ("/v2/App/manifests/v1", 400),
        ("/v2/a//b/manifests/v1", 400),
        ("/v2/a..b/manifests/v1", 400),
        ("/v2/%2e%2e/manifests/v1", 400),
        ("/v2/app/blobs/uploads", 404),
        ("/elsewhere", 404),
    ] {
        assert_eq!(Client::to(&registry).ask("GET", path, &[]).status, status, "{path}");
    }
    for (reference, kind, body, code) in [
        ("v1", MANIFEST, "{", "MANIFEST_INVALID"),
        ("v1", "X: y", "{}", "MANIFEST_INVALID"),
        ("v1", MANIFEST, r#"{"mediaType":"other"}"#, "MANIFEST_INVALID"),
        ("-v1", MANIFEST, "{}", "TAG_INVALID"),
        ("sha256:00", MANIFEST, "{}", "DIGEST_INVALID"),
    ] {
        let path = format!("/v2/app/manifests/{reference}");
        let got = Client::to(&registry).send("PUT", &path, &[kind], body.as_bytes());
        assert_eq!((got.status, got.code().as_str()), (400, code), "{reference} {body}");
    }
    let mut client = Client::to(&registry);
    client.stream.write_all(b"GET /v2/\r\n\r\n").unwrap();
    assert_eq!(client.answer(false).unwrap().status, 400);
    assert_eq!(registry.log().last().unwrap().method, "unreadable");
}

#[test]
fn many_connections_are_served_side_by_side() {
    let registry = FakeRegistry::start();
    registry.script([Rule::on("GET", "/v2/").stall(Duration::from_millis(300))]);
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_eq!(Client::to(&registry).ask("GET", "/v2/", &[]).status, 200));
        }
    });
    assert!(started.elapsed() < Duration::from_secs(3), "they waited for each other");
    assert_eq!((registry.count("GET", "*"), registry.connections()), (20, 20));
}

#[test]
fn it_ends_when_it_is_dropped_whatever_it_is_doing() {
    let registry = FakeRegistry::start();
    let long = Duration::from_secs(60);
    registry.script([Rule::on("GET", "/v2/").stall(long), Rule::on("PUT", "*").stall_reading_after(1, long)]);
    let idle = Client::to(&registry);
    let [mut stalled, mut half, mut unread] = [(); 3].map(|()| Client::to(&registry));
    stalled.head("GET", "/v2/", &[]);
    half.stream.write_all(b"GET /v2/ HT").unwrap();
    unread.head("PUT", "/v2/app/manifests/v1", &[MANIFEST, "Content-Length: 2"]);
    unread.stream.write_all(b"{}").unwrap();
    while registry.log().len() < 2 {
        thread::sleep(Duration::from_millis(5));
    }
    let started = Instant::now();
    drop(registry);
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(stalled.ended() && half.ended() && unread.ended());
    drop(idle);
}

#[test]
fn skopeo_takes_it_for_a_registry() {
    if Command::new("skopeo").arg("--version").output().is_err() {
        return; // not installed here
    }
    for (auth, children_must_exist) in
        [(Auth::None, true), (Auth::bearer("me", "secret"), true), (Auth::basic("me", "secret"), false)]
    {
        let registry = FakeRegistry::with(Options { auth, children_must_exist, ..Options::default() });
        let place = tempfile::tempdir().unwrap();
        let back = place.path().join("back.tar");
        let image = format!("docker://{}/app:v1", registry.host());
        let source = concat!("oci-archive:", env!("CARGO_MANIFEST_DIR"), "/fixtures/buildx-amd64-arm64.tar");
        let common = ["--insecure-policy", "copy", "--all"];
        let archive = format!("oci-archive:{}", back.display());
        for (tls, creds, from, to) in [
            ("--dest-tls-verify=false", "--dest-creds=me:secret", source, image.as_str()),
            ("--src-tls-verify=false", "--src-creds=me:secret", image.as_str(), archive.as_str()),
        ] {
            let output = Command::new("skopeo").args(common).args([tls, creds, from, to]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(registry.tags("app"), ["v1"]);
        assert_eq!(registry.log().last().map(|exchange| exchange.status), Some(200));
        assert_eq!(registry.sessions(), 0);
        assert!(back.exists());
    }
}
