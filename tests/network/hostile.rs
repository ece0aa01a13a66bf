//! Registries that mean no good: every answer has an end, and nothing of it reaches a terminal as it is.

use std::fs;
use std::time::{Duration, Instant};

use crate::bench::{Bench, image, noise};
use crate::pull::{names_nothing, publish};
use crate::registry::{Answer, FakeRegistry, Options, Rule};
use crate::support::image::sparse;

/// What is said to any request.
fn always(answer: Answer) -> (FakeRegistry, Bench) {
    let registry = FakeRegistry::start();
    registry.script([Rule::on("*", "*").before_auth().answer(answer)]);
    let bench = Bench::new();
    bench.image(&[noise(1, 1000)]);
    (registry, bench)
}

#[test]
fn what_is_no_http_is_refused() {
    let headers = |text: String| format!("HTTP/1.1 200 OK\r\n{text}\r\n").into_bytes();
    for (case, bytes) in [
        ("nothing", Vec::new()),
        ("garbage", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("zeros", vec![0; 10_000]),
        ("a long line", vec![b'A'; 1 << 20]),
        ("no status", b"HTTP/1.1\r\n\r\n".to_vec()),
        ("a status of letters", b"HTTP/1.1 OK\r\n\r\n".to_vec()),
        ("a status too large", b"HTTP/1.1 99999 X\r\n\r\n".to_vec()),
        ("another version", b"HTTP/9.9 200 OK\r\n\r\n".to_vec()),
        ("only early hints", b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000)),
        ("a large header", headers(format!("X: {}\r\n", "x".repeat(1 << 20)))),
        ("many headers", headers("X-Number: 1\r\n".repeat(50_000))),
        ("a header without a name", headers(": x\r\n".to_owned())),
        ("two lengths", headers("Content-Length: 5\r\nContent-Length: 6\r\n".to_owned())),
        ("a length and chunks", headers("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n".to_owned())),
        ("chunks of letters", [headers("Transfer-Encoding: chunked\r\n".to_owned()), b"xyz\r\n".to_vec()].concat()),
        (
            "a chunk too large",
            [headers("Transfer-Encoding: chunked\r\n".to_owned()), b"ffffffffffffffffffff\r\nx".to_vec()].concat(),
        ),
        ("a chunk that is cut", [headers("Transfer-Encoding: chunked\r\n".to_owned()), b"ffff\r\nx".to_vec()].concat()),
        ("an unknown coding", headers("Transfer-Encoding: gzip\r\n".to_owned())),
        ("an escape", headers("X: \u{1b}[31m\r\n".to_owned())),
        ("an escape in the reason", b"HTTP/1.1 400 \x1b[31mred\r\nContent-Length: 0\r\n\r\n".to_vec()),
    ] {
        let (registry, bench) = always(Answer::raw(bytes));
        for line in [
            "pull --retry 0 -o back HOST/app:v1",
            "push --retry 0 dist HOST/app:v1",
            "login --retry 0 --creds me:x HOST",
        ] {
            let began = Instant::now();
            let output = bench.run(&line.replace("HOST", registry.host()));
            let code = output.code();
            // a head that can be read is all that a login needs
            assert!(matches!(code, 1..=6) || line.starts_with("login"), "{case}, {line}: {code}");
            let _ = output.exits(code).never(&["\u{1b}", "panicked"]);
            assert!(began.elapsed() < Duration::from_secs(5), "{case}: {:?}", began.elapsed());
            names_nothing(&bench, "back");
        }
    }
}

#[test]
fn what_is_wrong_with_a_blob_on_the_wire_is_no_end_of_it() {
    let head = "HTTP/1.1 200 OK\r\n";
    for (case, bytes) in [
        ("garbage", b"garbage".to_vec()),
        ("headers only", format!("{head}Content-Length: 400000\r\n\r\n").into_bytes()),
        ("chunks of letters", format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n").into_bytes()),
        ("negative chunks", format!("{head}Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n").into_bytes()),
        ("no last chunk", format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").into_bytes()),
        ("until it is closed", format!("{head}\r\nhello").into_bytes()),
        (
            "a large trailer",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n0\r\n{}", "X: y\r\n".repeat(100_000)).into_bytes(),
        ),
    ] {
        for size in [2000, 400_000] {
            let registry = FakeRegistry::start();
            let (images, made) = image(&[noise(1, size)]);
            publish(&registry, "app", "v1", &images);
            let digest = &made.blobs.iter().find(|(_, bytes)| bytes.len() == size).unwrap().0;
            registry.script([Rule::on("GET", &format!("/v2/app/blobs/{digest}")).answer(Answer::raw(bytes.clone()))]);
            let bench = Bench::new();
            let code = bench.run(&format!("pull --retry 0 -o back {}/app:v1", registry.host())).code();
            assert!(matches!(code, 4 | 6), "{case}: {code}");
            names_nothing(&bench, "back");
            // once is no harm
            registry.clear_script();
            registry.script([Rule::on("GET", &format!("/v2/app/blobs/{digest}"))
                .once()
                .answer(Answer::raw(b"garbage".to_vec()))]);
        }
    }
}

#[test]
fn what_a_registry_says_is_escaped_and_cut() {
    let long = "x".repeat(10_000);
    for (body, said) in [
        (
            "{\"errors\":[{\"code\":\"A\\u001b[31mB\",\"message\":\"red \\u0007\\u202e\\u009b\"}]}".to_owned(),
            "\\u{1b}[31m",
        ),
        ("\u{1b}]0;title\u{7} plain text".to_owned(), "\\u{1b}]0;title\\u{7}"),
        (format!("{{\"errors\":[{{\"code\":\"DENIED\",\"message\":\"{long}\"}}]}}"), "DENIED: xxxx"),
        (format!("{{\"errors\":[{}{{\"code\":\"Z\"}}]}}", "{\"code\":\"DENIED\"},".repeat(1000)), "DENIED"),
        (format!("{{\"errors\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000)), "403"),
        ("{\"errors\":{\"code\":5}}".to_owned(), "403"),
        ("{\"errors\":[5,null,{\"code\":[],\"message\":{},\"detail\":{\"a\":\"\\u001b\"}}]}".to_owned(), "403"),
        ("x".repeat(5 << 20), "403"),
        (String::from_utf8_lossy(&[0xff; 100]).into_owned(), "403"),
        ("<html>\u{1b}</html>".to_owned(), "403"),
    ] {
        let (registry, bench) = always(Answer::status(403).header("Content-Type", "application/json").body(body));
        for line in ["pull -o back HOST/app:v1", "push dist HOST/app:v1"] {
            let more = format!("{} --json", line.replace("HOST", registry.host()));
            let done = bench.run(&more).exits(5);
            assert!(done.stderr().len() < 5000 && done.stdout().len() < 9000, "{} bytes", done.stderr().len());
            assert_eq!(done.json()["error"]["class"], "refused");
            let done = done.never(&["\u{1b}", "\u{7}", "\u{202e}", "\u{9b}"]);
            // an answer to HEAD says nothing
            if line.starts_with("pull") {
                let _ = done.says(&[said]);
            }
        }
    }
}

#[test]
fn an_error_without_an_end_is_read_to_its_bound() {
    let registry = FakeRegistry::start();
    registry.script([Rule::on("*", "/v2/app/*").status(403).endless_body()]);
    let bench = Bench::new();
    bench.image(&[noise(1, 1000)]);
    let began = Instant::now();
    for line in ["pull -o back HOST/app:v1", "push dist HOST/app:v1"] {
        let _ = bench.run(&line.replace("HOST", registry.host())).exits(5);
    }
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_registry_that_hangs_up_at_once_is_told() {
    for bytes in [0, 100, 400_000] {
        let registry = FakeRegistry::start();
        registry.script([Rule::on("PUT", "/v2/app/blobs/uploads/*").cut_after(bytes)]);
        let bench = Bench::new();
        bench.image(&[noise(1, 500_000)]);
        let _ = bench.run(&format!("push --retry 0 dist {}/app:v1", registry.host())).exits(6).says(&["cut"]);
        assert_eq!(registry.tags("app"), [""; 0]);
    }
}

#[test]
fn a_refusal_in_the_middle_of_a_body_is_heard() {
    // as most servers say no: at once, and the connection is reset
    for size in [100_000, 3_000_000] {
        for (status, code, exit) in [(403, "DENIED", 5), (401, "UNAUTHORIZED", 5), (400, "DIGEST_INVALID", 4)] {
            let registry = FakeRegistry::start();
            let answer = Answer::error(status, code, "not here").at_once();
            registry.script([Rule::on("PUT", "/v2/app/blobs/uploads/*").answer(answer)]);
            let bench = Bench::new();
            bench.image(&[noise(1, size)]);
            let line = format!("push --retry 0 --jobs 1 dist {}/app:v1", registry.host());
            let _ = bench.run(&line).exits(exit).says(&["not here"]);
            assert_eq!(registry.tags("app"), [""; 0]);
        }
    }
}

#[test]
fn a_repository_that_another_digest_is_claimed_for_gets_no_tag() {
    let other = format!("sha256:{}", "0".repeat(64));
    let registry = FakeRegistry::start();
    registry.script([Rule::on("PUT", "/v2/app/blobs/uploads/*").header("Docker-Content-Digest", &other)]);
    let bench = Bench::new();
    bench.image(&[noise(1, 1000)]);
    let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(4).says(&[&other]);
    assert_eq!(registry.tags("app"), [""; 0]);
}

#[test]
fn a_registry_that_says_it_has_everything_is_believed_and_compared() {
    // what it says to HEAD is its own affair; a length that is not ours is not ours
    let registry = FakeRegistry::start();
    registry.script([Rule::on("HEAD", "/v2/app/blobs/*").answer(Answer::status(200).header("Content-Length", "5"))]);
    let bench = Bench::new();
    let made = bench.image(&[noise(1, 1000)]);
    let _ = bench.run(&format!("push dist {}/app:v1", registry.host())).exits(0);
    made.is_at(&registry, "app", "v1");
}

/// The promise of DESIGN.md, section 2, in KiB.
const LIMIT: u64 = 64 * 1024;

#[test]
fn memory_does_not_grow_with_a_blob() {
    let registry = FakeRegistry::with(Options::default());
    let bench = Bench::new();
    sparse(&bench.path("large"), "linux/amd64", &[200 << 20]);
    for line in [
        "push large HOST/app:v1",
        "push --chunk-size 50M large HOST/chunks:v1",
        "pull --no-sync -o back HOST/app:v1",
        "pull --no-sync -o back.tar HOST/app:v1",
    ] {
        let mut running = bench.start(&line.replace("HOST", registry.host()));
        let mut most = 0;
        while !running.has_ended() {
            most = most.max(resident(running.id()));
            std::thread::sleep(Duration::from_millis(3));
        }
        let _ = running.output(&bench.0).exits(0);
        assert!(most > 0 && most < LIMIT, "{line}: {} MiB", most / 1024);
        registry.clear_log();
    }
}

/// Returns the most that a process has had in memory so far, in KiB.
fn resident(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

#[test]
fn memory_does_not_grow_with_what_a_registry_sends() {
    let large = "x".repeat(100 << 20);
    for (path, exit) in [("/v2/", 0), ("/v2/app/manifests/v1", 4), ("/v2/app/blobs/*", 4)] {
        let registry = FakeRegistry::start();
        let (images, _) = image(&[noise(1, 1000)]);
        publish(&registry, "app", "v1", &images);
        registry.script([Rule::on("GET", path).answer(Answer::status(200).body(large.clone()))]);
        let bench = Bench::new();
        let mut running = bench.start(&format!("pull -o back {}/app:v1", registry.host()));
        let mut most = 0;
        while !running.has_ended() {
            most = most.max(resident(running.id()));
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = running.output(&bench.0).exits(exit);
        assert!(most > 0 && most < LIMIT, "{path}: {} MiB", most / 1024);
    }
}
