//! Requests: how they come, one after the other or badly.

use std::time::{Duration, Instant};

use hyper::StatusCode;

use super::{Client, Limits, Running, options, text};
use crate::ops::serve::answer::{Answer, Code};

fn echo() -> Running {
    Running::start(|request| match request.path {
        "/" => text("root"),
        path => Answer::of(StatusCode::OK, "text/plain", format!("{}{}", path, request.query.unwrap_or(""))),
    })
}

#[test]
fn one_connection_carries_many_requests_also_before_the_first_is_answered() {
    let running = echo();
    let mut client = running.connect();
    for round in 0..3 {
        assert_eq!(client.get(&format!("/{round}")).text(), format!("/{round}"));
    }
    let mut many = String::new();
    for number in 0..20 {
        many.push_str(&format!("GET /n{number}?q HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    client.send(many);
    for number in 0..20 {
        assert_eq!(client.reply().text(), format!("/n{number}q"));
    }
    assert_eq!(running.told(23).len(), 23);
    assert!(running.told(23).iter().all(|told| !told.cut && told.status == 200 && told.bytes > 0));
}

#[test]
fn every_answer_says_which_protocol_it_is_and_that_its_type_is_not_to_be_guessed() {
    let running = echo();
    let reply = running.connect().get("/");
    assert_eq!(reply.field("Docker-Distribution-Api-Version"), Some("registry/2.0"));
    assert_eq!(reply.field("X-Content-Type-Options"), Some("nosniff"));
}

#[test]
fn head_has_the_length_and_nothing_else() {
    let running = echo();
    let mut client = running.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head_of_reply().field("content-length"), Some("4"));
    // what comes next is the next answer
    assert_eq!(client.get("/next").text(), "/next");
    assert_eq!(running.told(1)[0].bytes, 0);
}

#[test]
fn what_is_too_large_or_no_http_gets_a_status_and_serving_goes_on() {
    let running = echo();
    let long = |length| "x".repeat(length);
    for (case, request, status) in [
        ("a long target", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(10_000)), 414),
        ("a very long target", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", long(200_000)), 431),
        ("a large field", format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", long(40_000)), 431),
        ("a huge field", format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", long(1_000_000)), 431),
        ("many fields", format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1000)), 431),
        ("garbage", "\u{1}\u{2}\u{3} garbage\r\n\r\n".to_owned(), 400),
        ("a head without a colon", "GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), 400),
        ("two lengths", "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(), 400),
        ("a length that is none", "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_owned(), 400),
    ] {
        let mut client = running.connect();
        client.send(request);
        assert_eq!(client.head_of_reply().status, status, "{case}");
    }
    assert_eq!(running.connect().get("/").text(), "root");
}

#[test]
fn a_large_head_that_is_understood_gets_a_body_that_says_what_is_wrong() {
    let running = echo();
    let reply = running.connect().get(&format!("/{}", "x".repeat(9000)));
    assert_eq!(reply.status, 414);
    assert!(reply.text().contains("\"code\":\"UNKNOWN\""), "{}", reply.text());
}

#[test]
fn who_sends_a_body_gets_the_answer_and_no_reset() {
    let running = Running::start(|_| Answer::error(Code::Unsupported, "read-only"));
    let body = vec![b'x'; 4 * 1024 * 1024];
    for (case, head, body, stays) in [
        ("small", format!("Content-Length: {}", 10), &body[..10], true),
        ("as large as is taken", format!("Content-Length: {}", 256 * 1024), &body[..256 * 1024], true),
        ("large", format!("Content-Length: {}", body.len()), &body[..], false),
        ("not all of it comes", "Content-Length: 1000000000000".to_owned(), &body[..100_000], false),
        ("expects to be told", "Content-Length: 100\r\nExpect: 100-continue".to_owned(), &body[..0], false),
        ("chunked", "Transfer-Encoding: chunked".to_owned(), b"5\r\nhello\r\n0\r\n\r\n", true),
        ("no chunks", "Transfer-Encoding: chunked".to_owned(), b"hello\r\n", false),
    ] {
        let mut client = running.connect();
        client.send(format!("PUT /v2/a/manifests/b HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n"));
        client.send(body);
        let began = Instant::now();
        let reply = client.reply();
        assert_eq!(reply.status, 405, "{case}");
        assert_eq!(reply.field("connection"), (!stays).then_some("close"), "{case}");
        assert!(began.elapsed() < Duration::from_secs(1), "{case}: {:?}", began.elapsed());
        if stays {
            assert_eq!(client.get("/").status, 405, "{case}");
            continue;
        }
        let (rest, orderly) = client.rest();
        assert!(rest.is_empty() && orderly, "{case}");
    }
}

#[test]
fn a_small_body_is_waited_for_before_the_answer_but_not_long() {
    let running = Running::start(|_| Answer::error(Code::Unsupported, "read-only"));
    for (comes, at_least, at_most) in [(true, 300, 1500), (false, 1500, 5000)] {
        let mut client = running.connect();
        client.send("PUT /v2/a/manifests/b HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nhel");
        let began = Instant::now();
        if comes {
            std::thread::sleep(Duration::from_millis(300));
            client.send("lo!");
        }
        let reply = client.reply();
        assert_eq!((reply.status, reply.field("connection")), (405, (!comes).then_some("close")));
        let range = Duration::from_millis(at_least)..Duration::from_millis(at_most);
        assert!(range.contains(&began.elapsed()), "comes: {comes}; {:?}", began.elapsed());
    }
}

#[test]
fn a_request_that_comes_too_slowly_is_cut_and_so_is_a_connection_without_any() {
    let limits = Limits { head: Duration::from_millis(300), idle: Duration::from_millis(1200), ..Limits::default() };
    let running = Running::start_with(options(), limits, |_| text("x"));
    let ends_after = |client: &mut Client| {
        let began = Instant::now();
        assert!(client.rest().0.is_empty());
        began.elapsed()
    };
    // drop by drop, also on a connection that was used before
    for used in [false, true] {
        let mut client = running.connect();
        if used {
            client.get("/");
            // the time for a head begins with it, not before
            std::thread::sleep(Duration::from_millis(500));
            client.get("/");
        }
        let mut writer = client.reader.get_ref().try_clone().unwrap();
        let dripping = std::thread::spawn(move || {
            use std::io::Write as _;
            for byte in std::iter::repeat_n(b"GET / HTTP/1.1\r\nX: ", 9).flatten() {
                if writer.write_all(&[*byte]).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let took = ends_after(&mut client);
        assert!(took < Duration::from_millis(900), "used before: {used}; {took:?}");
        drop(client);
        dripping.join().unwrap();
    }
    for used in [false, true] {
        let mut client = running.connect();
        if used {
            client.get("/");
        }
        let took = ends_after(&mut client);
        assert!((Duration::from_millis(1000)..Duration::from_secs(3)).contains(&took), "used: {used}; {took:?}");
    }
}

#[test]
fn a_request_that_cannot_be_answered_gets_an_error() {
    let running = Running::start(|request| match request.path {
        "/bug" => panic!("a bug"),
        _ => text("fine"),
    });
    let mut client = running.connect();
    assert_eq!(client.get("/bug").status, 500);
    assert_eq!(client.get("/").text(), "fine");
    assert_eq!(running.warnings().len(), 1);
}
