//! Tags, repositories, referrers: lists come to an end, and what stands in them is what it can be, or is shown as text.

use serde_json::{Value, json};

use super::{gzipped, objects};
use crate::ordeal::{Row, Scene, Stage, row, tried};
use crate::registry::{Answer, Rule};
use crate::support::image::INDEX;

const REFERRERS: &str = "/v2/app/referrers/*";

/// More than will be asked for.
const PAGES: usize = 150;

/// Pages of which each leads to the next, and the last to nothing that is there.
fn pages(path: &str, page: impl Fn(usize) -> Answer) -> Vec<Rule> {
    let link = |to: usize| format!("<{}?page={to}>; rel=\"next\"", path.trim_end_matches('*'));
    let mut rules: Vec<Rule> = (1..PAGES)
        .map(|at| Rule::on("GET", &format!("{path}?page={at}")).answer(page(at).header("Link", link(at + 1))))
        .collect();
    rules.push(Rule::on("GET", path).answer(page(0).header("Link", link(1))));
    rules
}

/// What can be wrong with a list of names, whatever they are names of.
fn names(path: &'static str, field: &'static str) -> Vec<Row> {
    let said = move |answer: Answer| move |_: &Scene| vec![Rule::on("GET", path).answer(answer.clone())];
    let page = move |body: String| Answer::status(200).header("Content-Type", "application/json").body(body);
    let list = move |names: Value| page(json!({ field: names }).to_string());
    let linked = move |link: &str| said(list(json!(["a"])).header("Link", link));
    vec![
        row("a page", "a portal that wants a login answers 200", &[4], "", said(page("<html></html>".to_owned()))),
        row("nothing", "an answer without a body", &[4], "", said(page(String::new()))),
        row("a list in gzip", "nobody asked for it", &[4], "", {
            let packed = gzipped(json!({ field: ["a"] }).to_string().as_bytes());
            said(Answer::status(200).header("Content-Encoding", "gzip").body(packed))
        }),
        row("numbers", "names are texts", &[4], "", said(list(json!(["a", 5])))),
        row("an object", "names are a list", &[4], "", said(list(json!({"a": 1})))),
        row("null", "some say so of none", &[0], "", said(list(Value::Null))),
        row("two lists", "two readings", &[4], "", said(page(format!(r#"{{"{field}":["a"],"{field}":["b"]}}"#)))),
        row("a million objects", "small on the wire, large in memory", &[4], "", {
            said(page(format!(r#"{{"{field}":{}}}"#, objects(1_000_000))))
        }),
        row("a page without an end", "memory is not for the registry to fill", &[4], "", move |_| {
            vec![Rule::on("GET", path).endless_body()]
        }),
        row("a page that leads to itself", "for ever", &[0], "", linked(&format!("<{path}>; rel=\"next\""))),
        row("pages without an end", "one name each, and another one each time", &[4], "goes on", move |_| {
            pages(path, |at| list(json!([format!("v{at}")])))
        }),
        row("a next page that is a file", "no registry is there", &[4], "", linked("<file:///etc/passwd>; rel=next")),
        row("a next page without an end of its address", "no address at all", &[0], "", linked("</v2/; rel=\"next\"")),
        row("401, and for what is not said", "a storm", &[5], "401", said(Answer::status(401))),
        row("500", "a failure in passing that does not pass", &[6], "500", said(Answer::status(500))),
    ]
}

#[test]
fn tags() {
    let mut rows = names("/v2/app/tags/list", "tags");
    for name in ["\u{1b}[31mred", "../../etc/passwd", "a\nb", "", "\u{202e}gpj"] {
        rows.push(row("a name that is none", "it would be shown, or be a path", &[4], "is no tag", move |_| {
            let list = json!({"name": "app", "tags": ["v1", name]});
            vec![Rule::on("GET", "/v2/app/tags/list").answer(Answer::json(200, &list))]
        }));
    }
    tried(Stage::Tags, &rows);
}

#[test]
fn repositories() {
    let mut rows = names("/v2/_catalog", "repositories");
    for (name, shown) in [("\u{1b}[31mred", "\\u{1b}[31mred"), ("a\nb", "app"), ("\u{202e}gpj", "\\u{202e}gpj")] {
        rows.push(row("a name that is none", "it is shown, as text", &[0], shown, move |_| {
            vec![Rule::on("GET", "/v2/_catalog").answer(Answer::json(200, &json!({"repositories": ["app", name]})))]
        }));
    }
    tried(Stage::Catalog, &rows);
}

/// A list of referrers with these entries.
fn listed(entries: &[Value]) -> Answer {
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
    Answer::status(200).header("Content-Type", INDEX).body(index.to_string())
}

/// A list in which the one entry that is right stands otherwise.
fn entry(change: impl Fn(&mut Value, &Scene) + 'static) -> impl Fn(&Scene) -> Vec<Rule> {
    move |scene| {
        let mut entry = scene.referrer.clone();
        change(&mut entry, scene);
        vec![Rule::on("GET", REFERRERS).answer(listed(&[entry]))]
    }
}

fn said(answer: Answer) -> impl Fn(&Scene) -> Vec<Rule> {
    move |_| vec![Rule::on("GET", REFERRERS).answer(answer.clone())]
}

#[test]
fn referrers() {
    let another = || {
        json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 100,
        "digest": format!("sha256:{}", "5".repeat(64))})
    };
    let called = |body: &str| Answer::status(200).header("Content-Type", INDEX).body(body.to_owned());
    let rows = vec![
        row("a page", "no list: the registry has none", &[0], "", {
            said(Answer::status(200).header("Content-Type", "text/html").body("<html></html>"))
        }),
        row("a page that is called an index", "the header is not the content", &[4], "", said(called("<html>"))),
        row("nothing", "an answer without a body", &[4], "", said(called(""))),
        row("a list without an end", "memory is not for it to fill", &[4], "", |_| {
            vec![Rule::on("GET", REFERRERS).endless_body()]
        }),
        row("a million objects", "small on the wire, large in memory", &[4], "", {
            said(called(&format!(r#"{{"schemaVersion":2,"manifests":{}}}"#, objects(1_000_000))))
        })
        .only(&["pull"]),
        row("what is not there", "a list that lies", &[0], "left out", said(listed(&[another()]))),
        row("the image itself", "a list that leads in circles", &[0], "left out", |scene| {
            let own = json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": scene.manifest,
                "size": scene.images.blobs[&scene.manifest].len()});
            vec![Rule::on("GET", REFERRERS).answer(listed(&[own]))]
        }),
        row(
            "a layer",
            "it is no manifest",
            &[0],
            "left out",
            entry(|entry, scene| {
                entry["digest"] = json!(scene.layer);
                entry["mediaType"] = json!("application/octet-stream");
            }),
        ),
        row("another size", "the bytes decide", &[4], "", entry(|entry, _| entry["size"] = json!(5))),
        row(
            "a digest that is a path",
            "it would lead out",
            &[4],
            "",
            entry(|entry, _| {
                entry["digest"] = json!("sha256:../../../../etc/passwd");
            }),
        ),
        row(
            "a type with an escape sequence",
            "what is shown stands in the document",
            &[0],
            "",
            entry(|entry, _| {
                entry["artifactType"] = json!("\u{1b}[31mred");
            }),
        ),
        row("a list that leads to itself", "for ever", &[0], "", |scene| {
            let link = format!("</v2/app/referrers/{}>; rel=\"next\"", scene.manifest);
            vec![Rule::on("GET", REFERRERS).header("Link", link)]
        }),
        row("lists without an end", "one entry each, and another one each time", &[4], "goes on", move |_| {
            pages(REFERRERS, |at| {
                let mut entry = another();
                entry["digest"] = json!(format!("sha256:{at:064}"));
                listed(&[entry])
            })
        })
        .only(&["referrers"]),
        row("401", "the registry refuses what it does not know", &[0], "401", said(Answer::status(401))),
        row("500", "a failure in passing that does not pass", &[6], "500", said(Answer::status(500))),
    ];
    tried(Stage::Referrers, &rows);
}
