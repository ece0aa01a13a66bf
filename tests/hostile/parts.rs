//! Split archives, notes on parts, packing lists and receipts that lie.

use std::fs;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use crate::bombs::listed;
use crate::dialects::{sample, whole};
use crate::ordeal::{Ordeal, Ran};
use crate::support::image::{Images, Layer, named, noise};

/// Three parts of an archive with two images, in pieces or as archives.
fn split(mode: &str) -> Ordeal {
    let mut ordeal = Ordeal::new();
    let mut images = Images::new();
    let root = images.image("linux/amd64", &[Layer::plain(&noise(1, 1_500_000)), Layer::plain(&noise(2, 700_000))]);
    images.root(named(root, "v1"));
    images.layout(&ordeal.path("source"));
    let line = format!("save -q --no-sync --split 1MiB {mode} -o b.tar source").replace("  ", " ");
    let saved = ordeal.run("split", &line);
    assert_eq!(saved.code, 0, "{}", saved.stderr);
    ordeal
}

/// Checks a run that has to be refused.
fn refused(ordeal: &mut Ordeal, what: &str, ran: &Ran, code: i32, said: &str) {
    if ran.code != code || !ran.says(said) {
        ordeal.fault(format!(
            "{what}: `{}` ends with {}, expected {code} and {said:?}: {}",
            ran.words, ran.code, ran.stderr
        ));
    }
}

#[test]
fn what_is_called_like_a_part_and_is_none_is_told() {
    for name in ["b.tar.002", "b.tar.003"] {
        for kind in ["a FIFO", "a directory"] {
            let mut ordeal = split("");
            fs::remove_file(ordeal.path(name)).unwrap();
            match kind {
                "a FIFO" => mknodat(CWD, ordeal.path(name), FileType::Fifo, Mode::RWXU, 0).unwrap(),
                _ => fs::create_dir(ordeal.path(name)).unwrap(),
            }
            for line in ["verify b.tar.001", "load --no-sync -i b.tar.001 -o out", "copy --no-sync b.tar out"] {
                let ran = ordeal.run(kind, line);
                refused(&mut ordeal, kind, &ran, 4, "no regular file");
            }
            ordeal.judge();
        }
    }
}

#[test]
fn a_part_that_no_set_has_is_a_typing_error() {
    let mut ordeal = split("");
    for noted in [true, false] {
        for line in ["load --no-sync -i b.tar.009 -o out", "verify b.tar.009", "copy --no-sync b.tar.004 out"] {
            let ran = ordeal.run("a part behind the last", line);
            refused(&mut ordeal, "a part behind the last", &ran, 3, "cannot find");
            refused(&mut ordeal, "a part behind the last", &ran, 3, "b.tar.003");
            if ordeal.path("out/index.json").exists() {
                ordeal.fault(format!("{line} loaded other parts, noted: {noted}"));
            }
        }
        for at in 1..=3 {
            let _ = fs::remove_file(ordeal.path(&format!("b.tar.part-{at:03}.json")));
        }
    }
    ordeal.judge();
}

#[test]
fn notes_that_lie() {
    type Spoil = fn(&mut Value);
    let spoils: [(&str, Spoil); 12] = [
        ("a piece of 2^61 bytes", |note| {
            note["pieces"][0]["size"] = json!(1_u64 << 61);
            note["pieces"][0]["from"] = json!((1_u64 << 61) - (2 << 20));
        }),
        ("a piece of 2^63 - 1 bytes", |note| note["pieces"][0]["size"] = json!(i64::MAX)),
        ("a piece outside", |note| note["pieces"][0]["at"] = json!(i64::MAX)),
        ("pieces that overlap", |note| {
            let one = note["pieces"][0].clone();
            note["pieces"].as_array_mut().unwrap().push(one);
        }),
        ("another digest", |note| note["digest"] = json!(format!("sha256:{}", "0".repeat(64)))),
        ("a path for a name", |note| note["archive"] = json!("../b.tar")),
        ("a part of none", |note| note["parts"] = json!(0)),
        ("a part of many", |note| note["parts"] = json!(1_u64 << 40)),
        ("a negative length", |note| note["length"] = json!(-1)),
        ("pieces that are a text", |note| note["pieces"] = json!("x")),
        ("pieces that are no list", |note| note["pieces"] = json!({"digest": "x"})),
        ("another schema", |note| note["schema"] = json!("barge/part/v9")),
    ];
    for mode in ["", "--split-mode archive"] {
        for (what, spoil) in spoils {
            let mut ordeal = split(mode);
            let path = ordeal.path("b.tar.part-001.json");
            let mut note: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            spoil(&mut note);
            fs::write(&path, note.to_string()).unwrap();
            // one part alone is taken in by its note
            for name in ["b.tar.002", "b.tar.003", "b.002.tar", "b.003.tar"] {
                let _ = fs::remove_file(ordeal.path(name));
            }
            let first = if mode.is_empty() { "b.tar.001" } else { "b.001.tar" };
            let ran = ordeal.run(what, &format!("load --no-sync -i {first} -o out"));
            if ![3, 4].contains(&ran.code) || (what.contains("2^6") && ran.code != 4) {
                ordeal.fault(format!("{what} {mode}: {} {}", ran.code, ran.stderr));
            }
            if ordeal.path("out/index.json").exists() {
                ordeal.fault(format!("{what} {mode}: there is a name"));
            }
            ordeal.judge();
        }
    }
}

#[test]
fn receipts() {
    let mut ordeal = Ordeal::new();
    sample().0.layout(&ordeal.path("x"));
    let made = ordeal.run("a receipt", "receipt -L x -o good.json");
    assert_eq!(made.code, 0, "{}", made.stderr);
    let good = fs::read_to_string(ordeal.path("good.json")).unwrap();
    for (what, text, code, said) in [
        ("white space before it", format!("\n\t  {good}"), 0, ""),
        ("a byte order mark", format!("\u{feff}{good}"), 4, ""),
        ("cut", good[..good.len() / 2].to_owned(), 4, "the receipt"),
        ("another schema", good.replace("barge/receipt/v1", "barge/receipt/v2"), 4, "barge/receipt/v1"),
        ("a digest that climbs", good.replace("sha256:", "sha256:../"), 4, "digest"),
        ("a size that is negative", good.replace("\"size\":", "\"size\":-"), 4, "size"),
        ("contents that are a text", "{\"schema\":\"barge/receipt/v1\",\"contents\":\"x\"}".to_owned(), 4, "contents"),
        ("contents twice", "{\"schema\":\"barge/receipt/v1\",\"contents\":[],\"contents\":[]}".to_owned(), 4, "twice"),
        ("deep", format!("{{\"schema\":\"barge/receipt/v1\",\"x\":{}", "[".repeat(100_000)), 4, "recursion"),
        ("an escape", "{\"schema\":\"\u{1b}[2J\"}".replace('\u{1b}', "\\u001b"), 4, "\\u{1b}"),
    ] {
        fs::write(ordeal.path("r.json"), text).unwrap();
        let ran = ordeal.run(what, "save --no-sync -o out.tar --base r.json x");
        refused(&mut ordeal, what, &ran, code, said);
        ordeal.clear("out.tar");
    }
    ordeal.judge();
}

#[test]
fn packing_lists() {
    let mut ordeal = Ordeal::new();
    let entry = format!("{{\"digest\":\"sha256:{}\",\"size\":1}}", "0".repeat(64));
    let list = |contents: &str| {
        format!("{{\"schema\":\"barge/bundle/v1\",\"images\":[],\"contents\":{contents},\"files\":[]}}")
    };
    let many = |item: &str, bytes: usize| format!("[{}]", listed(item, bytes / (item.len() + 1)));
    let keys = |bytes: usize| {
        let keys: Vec<String> = (0..bytes / 14).map(|at| format!("\"{at:08x}\":0")).collect();
        format!("{{{}}}", keys.join(","))
    };
    // (what, why it is tried, the list, whether it is one that is refused)
    for (at, (what, bundle, is_wrong)) in [
        ("55 MB of entries", list(&many(&entry, 55 << 20)), false),
        ("8 MB of entries that are left out", list(&many(&entry.replace("}", ",\"here\":false}"), 8 << 20)), false),
        ("55 MB of zeros", list(&many("0", 55 << 20)), true),
        ("55 MB of objects", list(&many("{}", 55 << 20)), true),
        ("55 MB beside the list", format!("{{\"schema\":\"barge/bundle/v1\",\"x\":{}}}", many("[]", 55 << 20)), true),
        ("55 MB of keys that are nobody's", keys(55 << 20), false),
        ("no JSON: another program's", "hello".to_owned(), false),
        ("an index's", "{\"schema\":[1]}".to_owned(), false),
        ("cut", list("[")[..60].to_owned(), false),
        ("contents that are a text", list("\"x\""), true),
        ("deep", list(&"[".repeat(100_000)), false),
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(ordeal.path("x.tar"), whole().file("bundle.json", bundle.as_bytes()).finished()).unwrap();
        let all =
            ["ls x.tar", "load --no-sync -i x.tar -o out", "inspect x.tar", "verify x.tar", "copy --no-sync x.tar out"];
        // all of them read a list in the same way: each meets a large one
        let is_large = bundle.len() > 16 << 20;
        for line in if is_large { &all[at % all.len()..][..1] } else { &all[..] } {
            let ran = ordeal.run(what, line);
            if is_wrong && ran.code == 0 && !line.starts_with("inspect") && !line.starts_with("verify") {
                ordeal.fault(format!("{what}: {line} takes it"));
            }
            ordeal.clear("out");
        }
        if !is_large {
            ordeal.run(what, "inspect --json x.tar");
        }
    }
    ordeal.judge();
}
