//! What rules do.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use crate::client::{Client, begin, blob_path};
use crate::registry::{Answer, FakeRegistry, Options, Rule};

#[test]
fn answers_are_spoilt_as_a_rule_says() {
    let content = vec![b'a'; 10_000];
    let second = Duration::from_millis(200);
    let on = || Rule::on("GET", "/v2/app/blobs/sha256:*").once();
    // the rule, the length that is said, how much comes, how it ends, how long it takes at least
    let cases: [(Rule, Option<&str>, usize, bool, Duration); 10] = [
        (on(), Some("10000"), 10_000, true, Duration::ZERO),
        (on().body_cut_after(5000), Some("10000"), 5000, false, Duration::ZERO),
        (on().body_longer_by(10), Some("10010"), 10_010, true, Duration::ZERO),
        (on().content_length(9000), Some("9000"), 9000, true, Duration::ZERO),
        (on().content_length(20_000), Some("20000"), 10_000, false, Duration::ZERO),
        (on().wrong_bytes(), Some("10000"), 10_000, true, Duration::ZERO),
        (on().chunked(), None, 10_000, true, Duration::ZERO),
        (on().chunked().body_cut_after(5000), None, 5000, false, Duration::ZERO),
        (on().stall(second), Some("10000"), 10_000, true, second),
        (on().body_stall_after(5000, second), Some("10000"), 10_000, true, second),
    ];
    for (rule, length, count, whole, time) in cases {
        let registry = FakeRegistry::start();
        registry.put_blob("app", &content);
        let said = format!("{rule:?}");
        registry.script([rule]);
        let mut client = Client::to(&registry);
        let started = Instant::now();
        let got = client.ask("GET", &blob_path(&content), &[]);
        assert_eq!((got.status, got.header("content-length")), (200, length), "{said}");
        assert_eq!((got.body.len(), got.whole), (count, whole), "{said}");
        assert!(started.elapsed() >= time, "{said}");
        let right = got.body.iter().filter(|byte| **byte == b'a').count();
        assert_eq!(right, count.min(10_000) - usize::from(said.contains("wrong_bytes: true")), "{said}");
        // the rule is used up
        assert_eq!(Client::to(&registry).ask("GET", &blob_path(&content), &[]).body, content, "{said}");
    }
}

#[test]
fn a_body_without_end_ends_when_the_other_side_hangs_up() {
    let registry = FakeRegistry::start();
    registry.script([Rule::on("GET", "/v2/").endless_body()]);
    let mut client = Client::to(&registry);
    client.head("GET", "/v2/", &[]);
    let mut bytes = vec![0; 5_000_000];
    client.stream.read_exact(&mut bytes).unwrap();
}

#[test]
fn the_first_rule_that_matches_wins_until_it_is_used_up() {
    let registry = FakeRegistry::start();
    registry.script([
        Rule::on("GET", "/v2/app/tags/list").skip(1).times(2).answer(Answer::status(500)),
        Rule::on("GET", "/v2/*").once().answer(Answer::status(429).header("Retry-After", "1")),
        Rule::on("GET", "/v2/*").status(202).header("X-Told", "so").without_header("content-type"),
        Rule::on("DELETE", "*").once(),
    ]);
    let client = &mut Client::to(&registry);
    let path = "/v2/app/tags/list";
    let statuses: Vec<u16> = (0..5).map(|_| client.ask("GET", path, &[]).status).collect();
    assert_eq!(statuses, [429, 500, 500, 202, 202]);
    let got = client.ask("GET", "/v2/", &[]);
    assert_eq!((got.header("x-told"), got.header("content-type")), (Some("so"), None));
    assert_eq!(registry.unused_rules(), ["DELETE *: 1 left"]);
}

#[test]
fn an_answer_that_comes_at_once_leaves_the_rest_unread() {
    let registry = FakeRegistry::start();
    registry.script([Rule::on("PUT", "*").answer(Answer::status(401).at_once())]);
    let mut client = Client::to(&registry);
    client.head("PUT", "/v2/app/manifests/v1", &["Content-Length: 100000000"]);
    let broken = (0..1000).any(|_| client.stream.write_all(&[0; 100_000]).is_err());
    assert!(broken, "100 MB were taken");
    assert_eq!(client.answer(false).unwrap().status, 401);
    assert_eq!(registry.bytes_received(), 0);
}

#[test]
fn raw_answers_are_sent_as_they_are() {
    let registry = FakeRegistry::start();
    let bomb = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 1 << 20]].concat();
    for raw in
        [b"nonsense".to_vec(), bomb, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_vec()]
    {
        registry.script([Rule::on("GET", "/v2/").once().answer(Answer::raw(raw.clone()))]);
        let mut client = Client::to(&registry);
        client.head("GET", "/v2/", &[]);
        let mut got = Vec::new();
        client.stream.read_to_end(&mut got).unwrap();
        assert_eq!(got, raw);
    }
}

#[test]
fn an_answer_may_wait_for_the_body() {
    let registry = FakeRegistry::start();
    registry.script([Rule::on("PUT", "*").answer(Answer::error(403, "DENIED", "no").after_body())]);
    let mut client = Client::to(&registry);
    client.head("PUT", "/v2/app/manifests/v1", &["Expect: 100-continue", "Content-Length: 2"]);
    assert_eq!(client.answer(false).unwrap().status, 100);
    client.stream.write_all(b"{}").unwrap();
    assert_eq!(client.answer(false).unwrap().code(), "DENIED");
    assert_eq!(client.ask("GET", "/v2/", &[]).status, 200, "the connection is not kept");
    assert_eq!(registry.bytes_received(), 2);
}

#[test]
fn early_refusals_leave_the_body_unread() {
    let registry = FakeRegistry::with(Options { no_chunks: true, early_refusals: true, ..Options::default() });
    let mut client = Client::to(&registry);
    let location = begin(&mut client);
    client.head("PATCH", &location, &["Content-Length: 1000"]);
    assert_eq!(client.answer(false).unwrap().status, 405);
    assert!(client.ended());
}

#[test]
fn bodies_trickle_and_answers_lead_elsewhere() {
    let registry = FakeRegistry::start();
    registry.put_blob("app", &[b'a'; 10]);
    registry.script([
        Rule::on("GET", "/v2/app/blobs/*").trickle(1, Duration::from_millis(20)),
        Rule::on("GET", "/v2/").redirect(307, "http://elsewhere/v2/"),
    ]);
    let mut client = Client::to(&registry);
    let started = Instant::now();
    assert_eq!(client.ask("GET", &blob_path(&[b'a'; 10]), &[]).body, [b'a'; 10]);
    assert!(started.elapsed() >= Duration::from_millis(180));
    let got = client.ask("GET", "/v2/", &[]);
    assert_eq!((got.status, got.header("location")), (307, Some("http://elsewhere/v2/")));
    assert_eq!(registry.bytes_sent(), 10);
    registry.clear_log();
    registry.clear_script();
    assert_eq!(client.ask("GET", "/v2/", &[]).status, 200);
    assert_eq!(registry.log().len(), 1);
}
