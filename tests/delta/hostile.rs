//! Packing lists and receipts that lie: they may say what they want, and no wrong byte gets a name by it.

use std::fs;

use crate::environment::Barge;
use crate::versions::{bundle_json, layouts, with_bundle_json};

#[test]
fn a_packing_list_that_is_none_is_refused() {
    let barge = Barge::new();
    layouts(&barge, &[1]);
    for (what, list) in [
        ("of another version", r#"{"schema":"barge/bundle/v9"}"#.to_owned()),
        (
            "a size below zero",
            r#"{"schema":"barge/bundle/v1","contents":[{"digest":"sha256:x","size":-1}]}"#.to_owned(),
        ),
        (
            "no digest",
            r#"{"schema":"barge/bundle/v1","images":[{"digest":"x","mediaType":"a/b","size":1}]}"#.to_owned(),
        ),
        ("a key twice", r#"{"schema":"barge/bundle/v1","schema":"barge/bundle/v1"}"#.to_owned()),
    ] {
        barge.line("save -f -o x.tar v1").exits(0);
        with_bundle_json(&barge.path("x.tar"), |_| list.clone().into_bytes());
        barge.line("load -i x.tar -o site").exits(4).says(&["bundle.json"]);
        assert!(!barge.path("site").exists(), "{what}");
        barge.line("verify x.tar").exits(4).prints(&["bundle.json"]);
    }
}

#[test]
fn what_a_list_says_to_be_elsewhere_may_be_here() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    barge.line("save -o x.tar v2").exits(0);
    // everything is called left out, though it is here
    let all = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(r#""size":"#, r#""here":false,"size":"#);
    with_bundle_json(&barge.path("x.tar"), |bytes| all(bytes).into_bytes());
    assert_eq!(bundle_json(&barge.path("x.tar"))["contents"][0]["here"], false);
    // it is not taken for what lies somewhere else, and nothing of it is lost
    barge.line("load -i x.tar -o site").exits(0);
    barge.line("verify --deep site").exits(0);
    barge.line("verify x.tar").exits(0).prints(&["ok"]).never(&["a delta"]);
}

#[test]
fn a_receipt_that_is_none_is_refused() {
    let barge = Barge::new();
    layouts(&barge, &[1]);
    for (name, text) in [
        ("torn.json", "{"),
        ("other.json", r#"{"schema":"barge/part/v1"}"#),
        ("digest.json", r#"{"schema":"barge/receipt/v1","contents":[{"digest":"sha256:..","size":1}]}"#),
    ] {
        fs::write(barge.path(name), text).unwrap();
        barge.line(&format!("save -o x.tar --base {name} v1")).exits(4).says(&[name, "barge receipt"]);
        assert!(!barge.path("x.tar").exists());
    }
    barge.line("save -o x.tar --base absent.json v1").exits(3).says(&["absent.json"]);
    let image = barge.line("ls --json v1").exits(0).json()["results"][0].clone();
    // another size of the same content
    barge.line("receipt -o r.json v1").exits(0);
    let text = fs::read_to_string(barge.path("r.json")).unwrap();
    fs::write(barge.path("r.json"), text.replace(r#","size":"#, r#","size":1"#)).unwrap();
    barge.line("save -o x.tar --base r.json v1").exits(4).says(&["bytes here, and", "make a new receipt"]);
    assert!(image["size"].as_u64().unwrap() > 0 && !barge.path("x.tar").exists());
}
