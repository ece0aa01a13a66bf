//! What a name means, and what is said of it: nothing of it is believed that the bytes do not bear out.

use serde_json::json;

use super::{called_manifest, gzipped, manifest, objects, right};
use crate::ordeal::{Stage, row, tried};
use crate::registry::{Answer, Rule};
use crate::support::image::{INDEX, MANIFEST};

const PAGE: &str = "<!DOCTYPE html><title>\u{1b}[31mSign in</title>";

#[test]
fn what_it_gives() {
    let deep = || format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    tried(
        Stage::Manifest,
        &[
            row(
                "a page",
                "a portal that wants a login answers 200",
                &[4],
                "no manifest",
                manifest(|rule| rule.answer(Answer::status(200).header("Content-Type", "text/html").body(PAGE))),
            ),
            row(
                "a page that is called a manifest",
                "the header is not the content",
                &[4],
                "",
                manifest(|rule| rule.answer(called_manifest(PAGE))),
            )
            .shown(),
            row("nothing", "an answer without a body", &[4], "", manifest(|rule| rule.answer(called_manifest(""))))
                .shown(),
            row("one wrong byte", "a bad disk or a bad cache", &[4], "expected sha256:", manifest(Rule::wrong_bytes)),
            row("more and more", "memory is not for the registry to fill", &[4], "bytes", manifest(Rule::endless_body)),
            row(
                "lists in lists",
                "a parser that recurses falls over",
                &[4],
                "",
                manifest(move |rule| rule.answer(called_manifest(deep()))),
            )
            .shown(),
            row(
                "a million objects, of no type",
                "seven bytes each on the wire, and hundreds in memory",
                &[4],
                "",
                manifest(|rule| {
                    rule.answer(Answer::status(200).header("Content-Type", "application/json").body(objects(1_000_000)))
                }),
            )
            .only(&["pull"]),
            row("a manifest in gzip", "the digest is of the bytes inside", &[4], "", |scene| {
                let answer = called_manifest(gzipped(&right(scene))).header("Content-Encoding", "gzip");
                let answer = answer.header("Docker-Content-Digest", &scene.manifest);
                vec![Rule::on("GET", "/v2/app/manifests/*").answer(answer)]
            }),
            row("another one each time", "a tag that moves between two questions", &[0], "", |scene| {
                let other = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).to_string();
                let moved = Answer::status(200).header("Content-Type", INDEX).body(other);
                let _ = scene;
                vec![Rule::on("GET", "/v2/app/manifests/v1").skip(1).answer(moved)]
            })
            .only(&["pull"]),
        ],
    );
}

#[test]
fn what_it_says_of_it() {
    let other = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
    tried(
        Stage::Manifest,
        &[
            row(
                "another digest",
                "what is said and what is sent must agree",
                &[4],
                "expected sha256:2222",
                manifest(move |rule| rule.header("Docker-Content-Digest", other)),
            ),
            row(
                "a digest of another kind, and not its own",
                "sha512 is checked as well",
                &[4],
                "expected sha512:3333",
                manifest(|rule| rule.header("Docker-Content-Digest", format!("sha512:{}", "3".repeat(128)))),
            ),
            row(
                "a digest that cannot be checked",
                "nothing is said that could be believed; the tag alone is",
                &[0],
                "",
                manifest(|rule| rule.header("Docker-Content-Digest", "md5:d41d8cd98f00b204e9800998ecf8427e")),
            ),
            row(
                "no digest",
                "the specification lets it out",
                &[0],
                "",
                manifest(|rule| rule.without_header("Docker-Content-Digest")),
            ),
            row(
                "that it is packed, which it is not",
                "nobody asked for gzip, and the bytes are right",
                &[0],
                "",
                manifest(|rule| rule.header("Content-Encoding", "gzip")),
            ),
            row("no type", "the document says its own", &[0], "", manifest(|rule| rule.without_header("Content-Type"))),
            row(
                "that it is an index",
                "one document, two readings",
                &[4],
                "",
                manifest(|rule| rule.header("Content-Type", INDEX)),
            ),
            row(
                "a type with an escape sequence",
                "it would be shown",
                &[4, 6],
                "",
                manifest(|rule| rule.header("Content-Type", "text/\u{1b}[31mred")),
            ),
            row(
                "that it is a part of it",
                "nobody asked for one",
                &[1, 4],
                "206",
                manifest(|rule| rule.status(206).header("Content-Range", "bytes 0-9/10")),
            ),
            row(
                "that there is nothing to say",
                "a success without a manifest",
                &[1, 4],
                "204",
                manifest(|rule| rule.answer(Answer::status(204))),
            ),
            row(
                "that it is what we have already",
                "nobody has anything yet",
                &[1, 4],
                "304",
                manifest(|rule| rule.answer(Answer::status(304).header("ETag", "\"x\""))),
            ),
        ],
    );
}

#[test]
fn how_long_it_is() {
    tried(
        Stage::Manifest,
        &[
            row(
                "longer than it is",
                "a proxy that was cut off",
                &[6],
                "broke off",
                manifest(|rule| rule.content_length(5000)),
            ),
            row(
                "shorter than it is",
                "what is left out is missed",
                &[4],
                "",
                manifest(|rule| rule.content_length(100)),
            ),
            row("negative", "a number that wraps", &[4, 6], "", manifest(|rule| rule.content_length(-1))),
            row("a word", "no number at all", &[4, 6], "", manifest(|rule| rule.content_length("many"))),
            row(
                "larger than any number",
                "2^64 and more",
                &[4, 6],
                "",
                manifest(|rule| rule.content_length("99999999999999999999999")),
            ),
            row("two lengths", "two readings, one of them smuggled", &[4, 6], "", |scene| {
                let bytes = right(scene);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {MANIFEST}\r\nContent-Length: 10\r\nContent-Length: {}\r\n\r\n",
                    bytes.len()
                );
                let answer = Answer::raw([head.into_bytes(), bytes].concat());
                vec![Rule::on("GET", "/v2/app/manifests/*").answer(answer)]
            }),
        ],
    );
}
