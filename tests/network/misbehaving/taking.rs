//! What is pushed, and what is said of it: a name is given when all of it is there, and confirmed by asking.

use super::wire;
use crate::ordeal::{Row, Scene, Stage, row, tried};
use crate::registry::{Answer, Auth, Options, Rule};

const UPLOADS: &str = "/v2/new/blobs/uploads/*";
/// Who tries what is looked at several times, with pauses.
const PAUSED: &[&str] = &["push"];

fn other() -> String {
    format!("sha256:{}", "2".repeat(64))
}

fn on(
    method: &'static str,
    path: &'static str,
    change: impl Fn(Rule) -> Rule + 'static,
) -> impl Fn(&Scene) -> Vec<Rule> {
    move |_| vec![change(Rule::on(method, path))]
}

fn begun(location: &'static str) -> impl Fn(&Scene) -> Vec<Rule> {
    on("POST", UPLOADS, move |rule| rule.answer(Answer::status(202).header("Location", location)))
}

#[test]
fn how_an_upload_begins() {
    let rows: Vec<Row> = vec![
        row(
            "202 without a place",
            "nowhere to send it",
            &[1],
            "",
            on("POST", UPLOADS, |rule| rule.answer(Answer::status(202))),
        ),
        row("202 and an empty place", "nowhere to send it", &[1], "", begun("")),
        row("a place with a user", "somebody's password", &[1], "", begun("http://me:x@127.0.0.1:1/upload")),
        row("a place with control characters", "a second line", &[1, 6], "", begun("/v2/\u{1}\u{1b}[31m")),
        row(
            "200",
            "it has not begun, it says",
            &[1],
            "200",
            on("POST", UPLOADS, |rule| rule.answer(Answer::status(200))),
        ),
        row(
            "201 to who wants to send",
            "nothing was sent",
            &[1],
            "201",
            on("POST", UPLOADS, |rule| rule.answer(Answer::status(201).header("Location", "/v2/new/blobs/x"))),
        ),
        row(
            "500",
            "a failure in passing that does not pass",
            &[6],
            "500",
            on("POST", UPLOADS, |rule| rule.answer(Answer::status(500))),
        ),
        row(
            "the connection is reset",
            "nothing is said at all",
            &[6],
            "",
            on("POST", UPLOADS, |rule| rule.cut_after(0)),
        ),
        row(
            "the least of a piece is more than there is",
            "a number that wraps",
            &[0],
            "",
            on("POST", UPLOADS, |rule| rule.header("OCI-Chunk-Min-Length", u64::MAX)),
        ),
    ];
    tried(Stage::Upload, &rows);
}

#[test]
fn how_an_upload_ends() {
    let sent = |change: fn(Rule) -> Rule| {
        move |_: &Scene| ["PUT", "PATCH"].map(|method| change(Rule::on(method, UPLOADS))).to_vec()
    };
    let rows: Vec<Row> = vec![
        row(
            "another digest",
            "it has stored something else",
            &[4],
            "sha256:2222",
            on("PUT", UPLOADS, |rule| rule.header("Docker-Content-Digest", other())),
        ),
        row(
            "202 to the last bytes",
            "it is not at its end",
            &[1, 6],
            "202",
            on("PUT", UPLOADS, |rule| rule.answer(Answer::status(202).header("Location", "/v2/new/blobs/uploads/x"))),
        ),
        row("404", "the upload is forgotten each time", &[3, 6], "", sent(|rule| rule.answer(Answer::status(404)))),
        row(
            "416",
            "it is at another place each time",
            &[6],
            "",
            sent(|rule| rule.answer(Answer::status(416).header("Range", "0-5"))),
        ),
        row(
            "less has come than was sent",
            "each time",
            &[6],
            "",
            on("PATCH", UPLOADS, |rule| rule.header("Range", "0-5")),
        )
        .only(&["chunk"]),
        row(
            "more has come than there is",
            "a number that wraps",
            &[0],
            "",
            on("PATCH", UPLOADS, |rule| rule.header("Range", format!("0-{}", u64::MAX))),
        )
        .only(&["chunk"]),
        row("413", "too large, however small", &[4], "413", sent(|rule| rule.answer(Answer::status(413)))),
        row(
            "401 for ever",
            "a storm",
            &[5],
            "",
            sent(|rule| rule.answer(Answer::status(401).header("WWW-Authenticate", "Basic realm=\"x\""))),
        ),
        row("507", "its disk is full", &[1, 6], "507", sent(|rule| rule.answer(Answer::status(507)))),
        row("the connection is reset", "in the middle of the body", &[6], "", sent(|rule| rule.cut_after(1000))),
        row(
            "the answer is lost",
            "and it has the blob",
            &[0],
            "",
            on("PUT", UPLOADS, |rule| rule.once().lose_answer()),
        )
        .again(2),
        row("an answer without an end", "nobody wants to read it", &[0], "", on("PUT", UPLOADS, Rule::endless_body)),
    ];
    tried(Stage::Upload, &rows);
}

fn strict() -> Options {
    let auth = Auth::basic("me", crate::ordeal::SECRET);
    Options { auth, children_must_exist: true, ..Options::default() }
}

#[test]
fn what_it_says_it_has() {
    // of no length
    let there = |_: &Scene| {
        let head = "HTTP/1.1 200 OK\r\nConnection: close";
        vec![Rule::on("HEAD", "/v2/new/blobs/*").answer(wire(head, b""))]
    };
    let rows: Vec<Row> = vec![
        row("all blobs, of which it has none", "the manifest shows it", &[4], "BLOB_UNKNOWN", there),
        row("that it has the blob, of another length", "then it is not that blob", &[0], "", |_| {
            vec![Rule::on("HEAD", "/v2/new/blobs/*").answer(Answer::status(200).header("Content-Length", 5))]
        }),
        row("that it took the blob, and has it not", "the manifest shows it", &[4], "BLOB_UNKNOWN", |_| {
            vec![Rule::on("PUT", UPLOADS).answer(Answer::status(201).after_body())]
        }),
    ];
    tried(Stage::Upload, &rows.into_iter().map(|row| row.on(strict())).collect::<Vec<_>>());
    let mounted = |status: u16| {
        let path = "/v2/new/blobs/uploads/?mount=*";
        move |_: &Scene| vec![Rule::on("POST", path).answer(Answer::status(status))]
    };
    let rows: Vec<Row> = vec![
        row("201 to a mount that it has not made", "the manifest shows it", &[4], "BLOB_UNKNOWN", mounted(201)),
        row("202 to a mount, and no place to send it to", "then it is sent elsewhere", &[0], "", mounted(202)),
        row("500 to a mount", "a failure in passing that does not pass", &[6], "500", mounted(500)),
        row("403 to a mount", "it may still be sent", &[0], "", mounted(403)),
    ];
    tried(Stage::Mount, &rows.into_iter().map(|row| row.on(strict())).collect::<Vec<_>>());
}

#[test]
fn what_it_says_of_a_name() {
    // the name is new:v1 or app:v2
    let names = ["/v2/new/manifests/v1", "/v2/app/manifests/v2"];
    let named = move |method: &'static str, change: fn(Rule) -> Rule| {
        move |_: &Scene| names.iter().map(|path| change(Rule::on(method, path))).collect::<Vec<_>>()
    };
    let rows: Vec<Row> = vec![
        row("201, and it is not there", "lost", &[4], "does not have it", {
            named("PUT", |rule| rule.answer(Answer::status(201).after_body()))
        }),
        row("202", "it will be there", &[0], "", named("PUT", |rule| rule.status(202))),
        row("that it stored another", "what it has is asked for", &[0], "", {
            named("PUT", |rule| rule.header("Docker-Content-Digest", other()))
        }),
        row("that it is another", "it rewrites what it is given", &[4], "sha256:2222", {
            named("HEAD", |rule| rule.skip(1).status(200).header("Docker-Content-Digest", other()))
        })
        .only(PAUSED),
        row("that there is none, whatever was written", "it has forgotten it", &[4], "does not have it", {
            named("HEAD", |rule| rule.answer(Answer::status(404)))
        })
        .only(PAUSED),
        row("no digest, and another content", "HEAD and GET are to agree", &[4], "", |_| {
            let other = Answer::status(200).header("Content-Type", "application/vnd.oci.image.index.v1+json");
            let other = other.body(r#"{"schemaVersion":2,"manifests":[]}"#);
            let without = |path| Rule::on("HEAD", path).skip(1).without_header("Docker-Content-Digest");
            let got = |path| Rule::on("GET", path).answer(other.clone());
            vec![
                without("/v2/new/manifests/v1"),
                without("/v2/app/manifests/v2"),
                got("/v2/new/manifests/v1"),
                got("/v2/app/manifests/v2"),
            ]
        })
        .only(PAUSED),
        row("that a piece of it is missing", "which it took a moment ago", &[4], "MANIFEST_BLOB_UNKNOWN", {
            named("PUT", |rule| rule.answer(Answer::error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown")))
        })
        .only(PAUSED),
        row("413", "too large", &[4], "413", named("PUT", |rule| rule.answer(Answer::status(413)))),
        row("500", "a failure in passing that does not pass", &[6], "500", {
            named("PUT", |rule| rule.answer(Answer::status(500)))
        }),
        row("302", "a name is not written elsewhere so", &[1], "302", {
            named("PUT", |rule| rule.redirect(302, "/v2/elsewhere/manifests/v1"))
        }),
        row("the connection is reset", "before it is written", &[6], "", named("PUT", |rule| rule.cut_after(0))),
        row("the answer is lost", "and it is written", &[0], "", named("PUT", |rule| rule.once().lose_answer()))
            .again(2),
    ];
    tried(Stage::Name, &rows);
}
