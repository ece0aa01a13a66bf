//! What failed in passing is tried again, and what was decided is not.

use std::time::{Duration, SystemTime};

use crate::bench::{Bench, noise};
use crate::registry::{Answer, FakeRegistry, Rule};

/// One small layer and one that is worth asking first.
fn layers() -> [Vec<u8>; 2] {
    [noise(1, 2000), noise(2, 300_000)]
}

/// The requests of a push, each of which may fail.
const REQUESTS: [(&str, &str); 6] = [
    ("GET", "/v2/"),
    ("HEAD", "/v2/app/blobs/*"),
    ("HEAD", "/v2/app/manifests/*"),
    ("POST", "/v2/app/blobs/uploads/"),
    ("PUT", "/v2/app/blobs/uploads/*"),
    ("PUT", "/v2/app/manifests/v1"),
];

#[test]
fn every_request_is_tried_again_after_a_passing_failure() {
    let now = || httpdate::fmt_http_date(SystemTime::now());
    let too_many = |after: &str| Answer::error(429, "TOOMANYREQUESTS", "slow down").header("Retry-After", after);
    for answer in [
        too_many("0"),
        too_many(&now()),
        Answer::error(503, "UNAVAILABLE", "not now").header("Retry-After", 0),
        Answer::error(500, "UNKNOWN", "oh").header("Retry-After", 0),
        Answer::status(408).header("Retry-After", 0),
        Answer::status(502).header("Retry-After", 0).body("<html>bad gateway</html>"),
        Answer::status(504).header("Retry-After", 0),
    ] {
        for (method, path) in REQUESTS {
            let (bench, registry) = (Bench::new(), FakeRegistry::start());
            let made = bench.image(&layers());
            registry.script([Rule::on(method, path).times(2).answer(answer.clone())]);
            let case = format!("{} to {method} {path}", answer.status);
            let done = bench.run(&format!("push --retry 2 dist {}/app:v1", registry.host())).exits(0);
            let stderr = done.stderr();
            assert!(stderr.contains(&answer.status.to_string()) && stderr.contains("trying again"), "{case}: {stderr}");
            made.is_at(&registry, "app", "v1");
            assert_eq!(registry.unused_rules(), [""; 0], "{case}");
        }
    }
}

#[test]
fn a_wait_that_was_asked_for_is_waited() {
    for in_words in [false, true] {
        let (bench, registry) = (Bench::new(), FakeRegistry::start());
        bench.image(&[noise(1, 10)]);
        // a date has no fractions of a second
        let after = match in_words {
            true => httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3)),
            false => "1".to_owned(),
        };
        let answer = Answer::status(429).header("Retry-After", &after);
        registry.script([Rule::on("POST", "/v2/app/blobs/uploads/").once().answer(answer)]);
        let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
        let posts = registry.requests("POST", "/v2/app/blobs/uploads/");
        let waited = posts[1].at.saturating_duration_since(posts[0].at);
        assert!(waited >= Duration::from_secs(1), "{after}: {waited:?}");
    }
}

#[test]
fn a_wait_that_is_too_long_is_for_a_person_to_decide() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    bench.image(&[noise(1, 10)]);
    let answer = Answer::status(429).header("Retry-After", 7200);
    registry.script([Rule::on("PUT", "/v2/app/manifests/v1").answer(answer)]);
    let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(6).says(&["429", "120 minutes"]);
    assert_eq!(registry.count("PUT", "/v2/app/manifests/v1"), 1);
    assert_eq!(registry.tags("app"), [""; 0]);
}

#[test]
fn who_is_asked_too_often_gives_up_and_gives_no_name() {
    for (method, path) in REQUESTS {
        let (bench, registry) = (Bench::new(), FakeRegistry::start());
        bench.image(&[noise(1, 10)]);
        let answer = Answer::error(503, "UNAVAILABLE", "come back later").header("Retry-After", 0);
        registry.script([Rule::on(method, path).answer(answer)]);
        let line = format!("push --jobs 1 --retry 2 dist {}/app:v1", registry.host());
        let done = bench.run(&line).exits(6).says(&["503", "tried 3 times"]);
        // an answer to HEAD has no body
        assert!(method == "HEAD" || done.stderr().contains("come back later"), "{}", done.stderr());
        assert_eq!(registry.count(method, path), 3, "{method} {path}");
        assert_eq!(registry.tags("app"), [""; 0], "{method} {path}");
    }
}

#[test]
fn what_was_decided_is_not_asked_again() {
    for (status, code, exit) in
        [(400, "DIGEST_INVALID", 4), (401, "UNAUTHORIZED", 5), (403, "DENIED", 5), (404, "NAME_UNKNOWN", 3)]
    {
        for (method, path) in REQUESTS {
            // a registry may have no HEAD, what is not there may be sent, and `/v2/` says nothing but that somebody is there
            let no_decision = method == "GET" || (method == "HEAD" && matches!(status, 400 | 404));
            if (path == "/v2/app/manifests/*" && no_decision) || (path == "/v2/" && status == 400) {
                continue; // then nothing could be confirmed; a server that wants TLS says 400 to any greeting
            }
            let (bench, registry) = (Bench::new(), FakeRegistry::start());
            bench.image(&[noise(1, 10)]);
            let answer = Answer::error(status, code, "no, and that is final");
            registry.script([Rule::on(method, path).answer(answer)]);
            let case = format!("{status} to {method} {path}");
            let done = bench.run(&format!("push --jobs 1 dist {}/app:v1", registry.host()));
            if no_decision && done.code() == 0 {
                continue;
            }
            let done = done.exits(exit).says(&[&status.to_string()]).never(&["trying again"]);
            let said = done.stderr().contains("no, and that is final");
            assert!(method == "HEAD" || said, "{case}: {}", done.stderr());
            assert_eq!(registry.count(method, path), 1, "{case}");
            assert_eq!(registry.tags("app"), [""; 0], "{case}");
        }
    }
}

#[test]
fn a_manifest_whose_answer_was_lost_is_written_again() {
    let (bench, registry) = (Bench::new(), FakeRegistry::start());
    let made = bench.index();
    registry.script([
        Rule::on("PUT", "/v2/app/manifests/sha256:*").once().lose_answer(),
        Rule::on("PUT", "/v2/app/manifests/v1").once().lose_answer(),
    ]);
    let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0).says(&["was cut"]);
    made.is_at(&registry, "app", "v1");
    assert_eq!(registry.unused_rules(), [""; 0]);
    assert_eq!(registry.count("PUT", "/v2/app/manifests/*"), 5);
}
