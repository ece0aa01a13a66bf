//! The fake registry itself: what the other tests rely on, shown with plain sockets and, where it is installed, skopeo.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests stand outside of test functions

mod auth;
mod client;
mod options;
#[path = "../support/registry/mod.rs"]
mod registry;
mod rules;

use std::io::{ErrorKind, Write as _};

use barge::digest::Digest;

use client::{Client, MANIFEST, begin, blob_path, finish};
use registry::{Answer, FakeRegistry, Options, Rule};

#[test]
fn an_image_goes_in_and_comes_out_over_one_connection() {
    let registry = FakeRegistry::start();
    let client = &mut Client::to(&registry);
    assert_eq!(client.ask("GET", "/v2/", &[]).status, 200);
    assert_eq!(client.ask("HEAD", &blob_path(b"hello"), &[]).status, 404);
    // whole, in chunks of the protocol, in chunks of HTTP, and in one request
    let location = begin(client);
    assert_eq!(finish(client, &location, b"hello", b"hello").status, 201);
    let location = begin(client);
    let got = client.send("PATCH", &location, &["Content-Range: 0-3"], b"good");
    assert_eq!((got.status, got.header("range")), (202, Some("0-3")));
    let next = got.location().to_owned();
    assert_eq!(client.send("PATCH", &location, &[], b"bye").status, 400, "an old Location was taken");
    let got = client.send("PATCH", &next, &["Content-Range: 9-11"], b"bye");
    assert_eq!((got.status, got.header("range")), (416, Some("0-3")));
    assert_eq!(finish(client, &next, b"goodbye", b"bye").status, 201);
    let location = begin(client);
    client.head("PATCH", &location, &["Transfer-Encoding: chunked"]);
    client.stream.write_all(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n").unwrap();
    let got = client.answer(false).unwrap();
    assert_eq!((got.status, got.header("range")), (202, Some("0-4")));
    let location = got.location().to_owned();
    assert_eq!(finish(client, &location, b"abcde", b"").status, 201);
    let path = format!("/v2/app/blobs/uploads/?digest={}", Digest::of(b"alone"));
    assert_eq!(client.send("POST", &path, &[], b"alone").status, 201);
    let wrong = begin(client);
    assert_eq!(finish(client, &wrong, b"other", b"hello").code(), "DIGEST_INVALID");
    assert_eq!(registry.blobs("app").len(), 4);
    assert_eq!(registry.sessions(), 0);
    assert_eq!(client.ask("GET", &blob_path(b"goodbye"), &[]).body, b"goodbye");
    let got = client.ask("GET", &blob_path(b"goodbye"), &["Range: bytes=4-"]);
    assert_eq!((got.status, got.body.as_slice(), got.header("content-range")), (206, &b"bye"[..], Some("bytes 4-6/7")));
    assert_eq!(client.ask("GET", &blob_path(b"goodbye"), &["Range: bytes=7-"]).status, 416);

    let manifest = b"{\"schemaVersion\":2}";
    let digest = Digest::of(manifest).to_string();
    let got = client.send("PUT", "/v2/app/manifests/v1", &[MANIFEST], manifest);
    assert_eq!((got.status, got.header("docker-content-digest")), (201, Some(digest.as_str())));
    let got = client.ask("HEAD", &format!("/v2/app/manifests/{digest}"), &[]);
    assert_eq!((got.status, got.header("content-length")), (200, Some("19")));
    assert_eq!(client.ask("GET", "/v2/app/tags/list", &[]).json()["tags"][0], "v1");
    assert_eq!(registry.manifest("app", "v1").unwrap().bytes.as_slice(), manifest);
    assert_eq!(client.ask("DELETE", &format!("/v2/app/manifests/{digest}"), &[]).status, 202);
    assert_eq!(registry.tags("app"), [""; 0]);
    assert_eq!(registry.connections(), 1);
    assert_eq!(registry.count("POST", "/v2/*/blobs/uploads/"), 5);
    assert_eq!(registry.count("POST", "/v2/*/blobs/uploads/?digest=*"), 1);
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it_or_the_final_answer() {
    let registry = FakeRegistry::start();
    registry.script([Rule::on("PUT", "/v2/no/*").answer(Answer::error(403, "DENIED", "no"))]);
    let client = &mut Client::to(&registry);
    let expect = [MANIFEST, "Expect: 100-continue", "Content-Length: 2"];
    client.head("PUT", "/v2/app/manifests/v1", &expect);
    assert_eq!(client.answer(false).unwrap().status, 100);
    client.stream.write_all(b"{}").unwrap();
    assert_eq!(client.answer(false).unwrap().status, 201);
    client.head("PUT", "/v2/no/manifests/v1", &expect);
    let got = client.answer(false).unwrap();
    assert_eq!((got.status, got.header("connection")), (403, Some("close")));
    assert!(client.ended());
    assert_eq!(registry.log()[1].body_bytes, 0);
}

#[test]
fn a_cut_upload_keeps_what_has_arrived() {
    let whole = vec![7; 300_000];
    for (options, kept) in [
        (Options::default(), 100_000),
        (Options { no_resume: true, ..Options::default() }, 0),
        (Options { sessions_vanish: true, ..Options::default() }, 0),
    ] {
        let registry = FakeRegistry::with(options);
        registry.script([Rule::on("PATCH", "/v2/*/blobs/uploads/*").once().cut_after(100_000)]);
        let location = begin(&mut Client::to(&registry));
        let mut client = Client::to(&registry);
        client.head("PATCH", &location, &["Content-Length: 300000"]);
        let _ = client.stream.write_all(&whole);
        let error = client.answer(false).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
        let mut client = Client::to(&registry);
        let got = client.ask("GET", &location, &[]);
        if kept == 0 {
            assert_eq!(got.code(), "BLOB_UPLOAD_UNKNOWN");
            continue;
        }
        assert_eq!((got.status, got.header("range")), (204, Some("0-99999")));
        let location = got.location().to_owned();
        let got = client.send("PATCH", &location, &["Content-Range: 100000-299999"], &whole[100_000..]);
        assert_eq!(got.header("range"), Some("0-299999"));
        let location = got.location().to_owned();
        assert_eq!(finish(&mut client, &location, &whole, b"").status, 201);
        let log = registry.requests("PATCH", "*");
        assert_eq!((log[0].body_bytes, log[0].status, log[0].scripted), (100_000, 0, true));
        assert_eq!(registry.bytes_received(), 300_000);
        assert_eq!(registry.unused_rules(), [""; 0]);
    }
}

#[test]
fn a_lost_answer_is_not_a_lost_request_and_a_cut_one_is() {
    let registry = FakeRegistry::start();
    registry.script([
        Rule::on("PUT", "/v2/lost/*").lose_answer(),
        Rule::on("PUT", "/v2/cut/*").cut_after(100),
        Rule::on("GET", "/v2/").once().cut_after(0),
    ]);
    for (path, there) in [("/v2/lost/manifests/v1", true), ("/v2/cut/manifests/v1", false)] {
        let mut client = Client::to(&registry);
        client.head("PUT", path, &[MANIFEST, "Content-Length: 2"]);
        client.stream.write_all(b"{}").unwrap();
        assert_eq!(client.answer(false).unwrap_err().kind(), ErrorKind::ConnectionReset, "{path}");
        assert_eq!(registry.manifest(path.split('/').nth(2).unwrap(), "v1").is_some(), there, "{path}");
        assert_eq!(registry.log().last().unwrap().body_bytes, 2);
    }
    let mut client = Client::to(&registry);
    client.head("GET", "/v2/", &[]);
    assert_eq!(client.answer(false).unwrap_err().kind(), ErrorKind::ConnectionReset);
}
