//! HTTP itself, TLS, and the connection. (`hostile.rs` has what is no HTTP at all.)

use super::{right, wire};
use crate::ordeal::{Row, Scene, Stage, row, tried};
use crate::registry::{Answer, Rule};
use crate::support::image::MANIFEST;

/// Whoever asks what a name means gets these bytes.
fn bytes(answer: impl Fn(&Scene) -> Answer + 'static) -> impl Fn(&Scene) -> Vec<Rule> {
    move |scene| vec![Rule::on("GET", "/v2/app/manifests/v1").answer(answer(scene))]
}

fn ok(more: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {MANIFEST}{more}")
}

fn chunked(body: &str) -> Answer {
    wire(&ok("\r\nTransfer-Encoding: chunked"), body.as_bytes())
}

#[test]
fn heads() {
    let rows: Vec<Row> = vec![
        row("no head", "HTTP/0.9 has none", &[4, 6], "", bytes(|scene| Answer::raw(right(scene)))),
        row("HTTP/1.0 that ends with the connection", "old servers do so", &[0], "", {
            bytes(|scene| wire(&ok("").replace("1.1", "1.0"), &right(scene)))
        }),
        row(
            "a few hints before the answer",
            "RFC 8297",
            &[0],
            "",
            bytes(|scene| {
                let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(3);
                let head = format!("{hints}{}\r\nContent-Length: {}", ok(""), right(scene).len());
                wire(&head, &right(scene))
            }),
        ),
        row("10,000 headers", "each is a piece of memory", &[4, 6], "", {
            bytes(|scene| wire(&ok(&"\r\nX-A: b".repeat(10_000)), &right(scene)))
        }),
        row("a head without an end", "memory is not for it to fill", &[4, 6], "", |_| {
            vec![
                Rule::on("GET", "/v2/app/manifests/v1")
                    .answer(Answer::raw(ok(&"\r\nX-A: b".repeat(1000))))
                    .endless_body(),
            ]
        }),
        row("a header of four megabytes", "memory is not for it to fill", &[4, 6], "", {
            bytes(|_| wire(&ok(&format!("\r\nX-A: {}", "x".repeat(4 << 20))), b""))
        }),
        row("NUL in a header", "where a text ends", &[0, 4, 6], "", {
            bytes(|scene| wire(&ok(&format!("\r\nX-A: \0b\r\nContent-Length: {}", right(scene).len())), &right(scene)))
        }),
        row("a line that goes on", "folded, as nobody may any more", &[0, 4, 6], "", {
            bytes(|scene| wire(&ok(&format!("\r\n folded\r\nContent-Length: {}", right(scene).len())), &right(scene)))
        }),
        row("protocols are switched", "nobody asked for that", &[1, 4, 6], "", {
            bytes(|_| wire("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade", b"PRI"))
        }),
    ];
    tried(Stage::Manifest, &rows);
}

#[test]
fn chunks() {
    let rows: Vec<Row> = vec![
        row("a size that is none", "a parser that guesses", &[4, 6], "", bytes(|_| chunked("zz\r\nxx\r\n0\r\n\r\n"))),
        row("a negative size", "a number that wraps", &[4, 6], "", bytes(|_| chunked("-5\r\nhello\r\n0\r\n\r\n"))),
        row("a size larger than any number", "a number that wraps", &[4, 6], "", {
            bytes(|_| chunked("fffffffffffffffff\r\nhello\r\n0\r\n\r\n"))
        }),
        row("chunks without a last one", "the connection ends instead", &[6], "", bytes(|_| chunked("5\r\nhello\r\n"))),
        row("a chunk without an end of its line", "the next one begins in it", &[4, 6], "", {
            bytes(|_| chunked("5\r\nhelloworld\r\n0\r\n\r\n"))
        }),
        row("an extension of megabytes", "nobody reads it", &[4, 6], "", {
            bytes(|_| chunked(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(4 << 20))))
        }),
        row("trailers without an end", "nobody reads them", &[4, 6], "", {
            bytes(|_| chunked(&format!("5\r\nhello\r\n0\r\n{}", "X-A: b\r\n".repeat(500_000))))
        }),
        row(
            "a length beside chunks",
            "two readings, one of them smuggled",
            &[0, 4, 6],
            "",
            bytes(|scene| {
                let body = right(scene);
                let mut sent = format!("{:x}\r\n", body.len()).into_bytes();
                sent.extend([body.as_slice(), b"\r\n0\r\n\r\n"].concat());
                wire(&ok("\r\nTransfer-Encoding: chunked\r\nContent-Length: 5"), &sent)
            }),
        ),
        row("gzip on the way", "a coding that nobody asked for", &[4, 6], "", {
            bytes(|scene| wire(&ok("\r\nTransfer-Encoding: gzip"), &super::gzipped(&right(scene))))
        })
        .shown(),
    ];
    tried(Stage::Manifest, &rows);
}

#[test]
fn storms_and_cuts() {
    let answer = |status: u16| {
        move |_: &Scene| {
            let page = "<html>\u{1b}[31mbad</html>";
            let answer = Answer::status(status).header("Content-Type", "text/html").body(page);
            vec![Rule::on("*", "/v2/*").before_auth().answer(answer)]
        }
    };
    let rows: Vec<Row> = vec![
        row("500", "to everything, with a page", &[6], "500", answer(500)),
        row("502", "to everything, with a page", &[6], "502", answer(502)),
        row("503", "to everything, with a page", &[6], "503", answer(503)),
        row("504", "to everything, with a page", &[6], "504", answer(504)),
        row("a connection that is reset", "whatever is asked", &[6], "", |_| {
            vec![Rule::on("*", "/v2/*").before_auth().cut_after(0)]
        }),
        row("TLS where there is none", "a port of another service", &[6], "", |_| {
            // handshake_failure, as a server says to who does not speak TLS
            vec![Rule::on("*", "*").before_auth().answer(Answer::raw([21, 3, 1, 0, 2, 2, 40]))]
        }),
    ];
    tried(Stage::Door, &rows);
}
