//! Layouts and archives whose `index.json` or `oci-layout` lies.

use crate::ordeal::Scope::Open;
use crate::ordeal::{Case, Made, case, refused};
use crate::support::image::{Images, simple};

fn with(index: impl Into<Vec<u8>>) -> Images {
    let mut images = simple(&["linux/amd64"]);
    images.index_json = Some(index.into());
    images
}

#[test]
fn index_json() {
    let good = String::from_utf8(simple(&["linux/amd64"]).index_json()).unwrap();
    let deep = format!("{{\"schemaVersion\":2,\"manifests\":{}", "[".repeat(1_000_000));
    let change = |from: &str, to: &str| with(good.replacen(from, to, 1));
    let cases: Vec<Case> = vec![
        case("empty", "a torn write: not an empty layout", with(""), (Open, 4), "index.json"),
        case("an open brace", "a torn write", with("{"), (Open, 4), "index.json"),
        case("cut", "a torn write", with(&good[..good.len() - 1]), (Open, 4), "index.json"),
        case("a list", "another type", with("[]"), (Open, 4), "index.json"),
        case("null", "Go's nil", with("null"), (Open, 4), "index.json"),
        case("no fields", "no schema", with("{}"), (Open, 4), "schemaVersion is absent"),
        case("zeros", "after a power cut", with(vec![0; 4096]), (Open, 4), "index.json"),
        case("no UTF-8", "any bytes", with(b"\xff\xfe".to_vec()), (Open, 4), "UTF-8"),
        case("a byte order mark", "skipped by some", with(format!("\u{feff}{good}")), (Open, 4), "byte order mark"),
        case(
            "a list twice",
            "first or last wins",
            change("\"manifests\"", "\"manifests\":[],\"manifests\""),
            (Open, 4),
            "twice",
        ),
        case(
            "a list twice but for case",
            "Go takes either",
            change("\"manifests\"", "\"Manifests\":[],\"manifests\""),
            (Open, 4),
            "twice",
        ),
        case("deep lists", "recursion", with(deep), (Open, 4), "recursion"),
        case("deeper lists", "recursion", with("[".repeat(1_000_000)), (Open, 4), "recursion"),
        case("a digest that climbs", "a path", change("sha256:", "sha256:../../"), (Open, 4), "digest"),
        case("an unknown algorithm", "cannot be verified", change("sha256:", "sha999:"), (Open, 4), "verified"),
        case("schema 3", "unknown", change(":2,", ":3,"), (Open, 4), "schemaVersion"),
        case(
            "a config beside",
            "a manifest at once",
            change("\"manifests\"", "\"config\":{},\"manifests\""),
            (Open, 4),
            "manifest at once",
        ),
        case(
            "another type",
            "a manifest",
            change("\"manifests\"", "\"mediaType\":\"x/y\",\"manifests\""),
            (Open, 4),
            "mediaType is",
        ),
        case("more after the end", "two documents", with(format!("{good}{good}")), (Open, 4), "trailing"),
        case(
            "a size that is a text",
            "another type",
            change("\"size\":", "\"size\":\"1\",\"x\":"),
            (Open, 4),
            "size is",
        ),
        case(
            "control characters in a key",
            "a message quotes it",
            with("{\"a\\u001b[2J\":1,\"a\\u001b[2J\":2}"),
            (Open, 4),
            "\\u{1b}",
        ),
    ];
    refused(cases);
}

#[test]
fn oci_layout() {
    let marked = |text: &str| {
        let text = text.to_owned();
        Made::Spoilt(
            simple(&["linux/amd64"]),
            Box::new(move |path| std::fs::write(path.join("oci-layout"), &text).unwrap()),
        )
    };
    refused(vec![
        case("version 2", "unknown", marked(r#"{"imageLayoutVersion":"2.0.0"}"#), (Open, 4), "oci-layout"),
        case("version 1.0.1", "unknown", marked(r#"{"imageLayoutVersion":"1.0.1"}"#), (Open, 4), "oci-layout"),
        case("version 1.0", "not written so", marked(r#"{"imageLayoutVersion":"1.0"}"#), (Open, 4), "oci-layout"),
        case("a number", "another type", marked(r#"{"imageLayoutVersion":1.0}"#), (Open, 4), "oci-layout"),
        case("no version", "nothing said", marked("{}"), (Open, 4), "oci-layout"),
        case("empty", "a torn write", marked(""), (Open, 4), "oci-layout"),
        case("no JSON", "any text", marked("1.0.0"), (Open, 4), "oci-layout"),
        case("large", "nobody needs 64 KiB", marked(&" ".repeat(70_000)), (Open, 4), "oci-layout"),
        case("in other letters", "Go takes it", marked(r#"{"ImageLayoutVersion":"1.0.0"}"#), (Open, 4), "oci-layout"),
        case(
            "twice",
            "one of the two",
            marked(r#"{"imageLayoutVersion":"1.0.0","imageLayoutVersion":"2.0.0"}"#),
            (Open, 4),
            "oci-layout",
        ),
        case(
            "none",
            "any directory",
            Made::Spoilt(
                simple(&["linux/amd64"]),
                Box::new(|path| std::fs::remove_file(path.join("oci-layout")).unwrap()),
            ),
            (Open, 4),
            "oci-layout",
        ),
    ]);
}
