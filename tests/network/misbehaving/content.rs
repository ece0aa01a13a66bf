//! Configs and layers: what comes is hashed, and what is cut goes on, but with nothing else.

use super::gzipped;
use crate::ordeal::{Row, Scene, Stage, row, tried};
use crate::registry::{Answer, Rule};

/// Who tries what needs a second try, before which there is a pause.
const PAUSED: &[&str] = &["-o out HOST", "unpack"];

/// What is said to whoever asks for the layer.
fn layer(change: impl Fn(Rule) -> Rule + 'static) -> impl Fn(&Scene) -> Vec<Rule> {
    move |scene| vec![change(Rule::on("GET", &format!("/v2/app/blobs/{}", scene.layer)))]
}

/// The layer breaks off once, and then something is said to whoever wants the rest.
fn rest(change: impl Fn(Rule, &Scene) -> Rule + 'static) -> impl Fn(&Scene) -> Vec<Rule> {
    move |scene| {
        let asked = || Rule::on("GET", &format!("/v2/app/blobs/{}", scene.layer));
        vec![asked().once().body_cut_after(1000), change(asked(), scene)]
    }
}

fn whole(scene: &Scene) -> Answer {
    Answer::status(200).body(scene.images.blobs[&scene.layer].clone())
}

#[test]
fn what_it_gives() {
    let other = format!("sha256:{}", "2".repeat(64));
    tried(
        Stage::Content,
        &[
            row("one wrong byte", "a bad disk or a bad cache", &[4], "", layer(Rule::wrong_bytes)),
            row("a few bytes more", "what follows is not its own", &[4], "", layer(|rule| rule.body_longer_by(10))),
            row("more and more", "a disk is not for the registry to fill", &[4], "", layer(Rule::endless_body)),
            row("nothing", "an answer without a body", &[4], "", layer(|rule| rule.answer(Answer::status(200)))),
            row(
                "a page",
                "a portal that wants a login answers 200",
                &[4],
                "",
                layer(|rule| rule.answer(Answer::status(200).body("<html>\u{1b}[31m</html>"))),
            ),
            row("the layer in gzip", "the digest is of the bytes inside", &[4], "", |scene| {
                let bytes = gzipped(&scene.images.blobs[&scene.layer]);
                let answer = Answer::status(200).header("Content-Encoding", "gzip").body(bytes);
                vec![Rule::on("GET", &format!("/v2/app/blobs/{}", scene.layer)).answer(answer)]
            }),
            row(
                "it breaks off, each time at the same place",
                "the way leads nowhere",
                &[6],
                "",
                layer(|rule| rule.body_cut_after(1000)),
            ),
            row("the connection is reset", "nothing is said at all", &[6], "", layer(Rule::lose_answer)),
            row(
                "it is not there",
                "the manifest says that it is",
                &[3, 4],
                "sha256:",
                layer(|rule| rule.answer(Answer::error(404, "BLOB_UNKNOWN", "gone"))),
            ),
            row(
                "what nobody may have",
                "the manifest was for everybody",
                &[5],
                "",
                layer(|rule| rule.answer(Answer::error(403, "DENIED", "no"))),
            ),
            row(
                "another digest is said of it",
                "the bytes decide",
                &[0],
                "",
                layer(move |rule| rule.header("Docker-Content-Digest", &other)),
            ),
        ],
    );
}

#[test]
fn how_long_it_is() {
    tried(
        Stage::Content,
        &[
            row("longer than it is", "it never comes", &[4, 6], "", layer(|rule| rule.content_length(9_999_999))),
            row("shorter than it is", "the rest is no answer", &[4, 6], "", layer(|rule| rule.content_length(10))),
            row("negative", "a number that wraps", &[4, 6], "", layer(|rule| rule.content_length(-1))),
            row("not said", "the end is the end of the chunks", &[0], "", layer(Rule::chunked)),
        ],
    );
}

#[test]
fn what_it_gives_of_it() {
    let rows: Vec<Row> = vec![
        row(
            "a part that nobody asked for",
            "the beginning is not the whole",
            &[4],
            "range",
            layer(|rule| rule.status(206).header("Content-Range", "bytes 5-9/10")),
        ),
        row(
            "the whole as a part",
            "it says so, and it is",
            &[0],
            "",
            layer(|rule| rule.status(206).header("Content-Range", "bytes 0-307199/307200")),
        ),
        row(
            "another part than was asked for",
            "put together, it is something else",
            &[4],
            "range",
            rest(|rule, scene| {
                rule.answer(Answer { status: 206, ..whole(scene) }.header("Content-Range", "bytes 0-9/10"))
            }),
        )
        .again(1)
        .only(PAUSED),
        row(
            "a part that says nothing of where it belongs",
            "it may be any",
            &[4],
            "range",
            rest(|rule, scene| rule.answer(Answer { status: 206, ..whole(scene) })),
        )
        .again(1)
        .only(PAUSED),
        row(
            "the whole, to who asks for the rest",
            "a registry that knows no ranges",
            &[0],
            "",
            rest(|rule, scene| rule.answer(whole(scene))),
        )
        .again(1)
        .only(PAUSED),
        row("another rest", "a layer changes while it is read", &[4], "", rest(|rule, _| rule.wrong_bytes()))
            .again(1)
            .only(PAUSED),
        row(
            "that there is no rest",
            "it was cut, and had not come to its end",
            &[4],
            "",
            rest(|rule, _| rule.answer(Answer::status(416).header("Content-Range", "bytes */1000"))),
        )
        .again(1)
        .only(PAUSED),
        row(
            "nothing any more",
            "a layer goes away while it is read",
            &[3, 4],
            "",
            rest(|rule, _| rule.answer(Answer::error(404, "BLOB_UNKNOWN", "gone"))),
        )
        .again(1)
        .only(PAUSED),
    ];
    tried(Stage::Content, &rows);
}
