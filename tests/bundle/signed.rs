//! `load --require-signature` of parts that come one after the other: nothing has a name before it is known who signed it.

use std::fs;

use super::environment::Barge;
use super::prepared::{Form, noise, twice};
use super::support::image::{Images, Layer, named};

/// Writes a layout `source` with a small and a large image, and keys.
fn source(barge: &Barge, form: Form) {
    let mut made = Images::new();
    for (at, (name, length)) in [("a:v1", 100_000), ("b:v1", 2_300_000)].into_iter().enumerate() {
        let content = match form {
            Form::Plain => noise(at as u32, length),
            Form::Compact => twice(at as u32, 2 * length),
        };
        let image = made.image("linux/amd64", &[Layer::plain(&content)]);
        made.root(named(image, name));
    }
    made.layout(&barge.path("source"));
    for key in ["release", "other"] {
        barge.line(&format!("key generate -q --no-password -o {key}")).exits(0);
    }
}

fn sign(barge: &Barge, key: &str, form: &str, image: &str) {
    barge.line(&format!("sign -q --as {form} --key {key}.key source:{image}")).exits(0);
}

/// Splits the layout, each part with its note on a medium of its own, and returns what is to be loaded, in order.
fn split(barge: &Barge, form: Form, mode: &str) -> Vec<String> {
    for number in 1..10 {
        let _ = fs::remove_dir_all(barge.path(format!("m{number}")));
    }
    barge.line(&format!("{} -q --force --split 1M --split-mode {mode} -o x.tar source", form.save())).exits(0);
    let mut media = Vec::new();
    for number in 1.. {
        let name = if mode == "archive" { format!("x.{number:03}.tar") } else { format!("x.tar.{number:03}") };
        if !barge.path(&name).exists() {
            return media;
        }
        fs::create_dir(barge.path(format!("m{number}"))).unwrap();
        for name in [name.clone(), format!("x.tar.part-{number:03}.json")] {
            fs::rename(barge.path(&name), barge.path(format!("m{number}/{name}"))).unwrap();
        }
        media.push(format!("m{number}/{name}"));
    }
    media
}

fn names(barge: &Barge, layout: &str) -> String {
    if !barge.path(layout).join("index.json").exists() {
        return String::new();
    }
    let listed = barge.line(&format!("ls --json {layout}")).exits(0).json();
    let names = |result: &serde_json::Value| result["names"][0].as_str().map(str::to_owned);
    let mut names: Vec<String> = listed["results"].as_array().unwrap().iter().filter_map(names).collect();
    names.sort();
    names.join(" ")
}

#[test]
fn parts_of_a_signed_archive_come_in_any_order() {
    for (form, mode) in [(Form::Plain, "stream"), (Form::Plain, "archive"), (Form::Compact, "stream")] {
        let barge = Barge::new();
        source(&barge, form);
        sign(&barge, "release", "bundle", "a:v1");
        sign(&barge, "release", "tag", "b:v1");
        let media = split(&barge, form, mode);
        assert!(media.len() > 2, "{mode}: {media:?}");
        for (at, reversed) in [false, true].into_iter().enumerate() {
            let site = format!("{mode}{at}");
            let mut order: Vec<&String> = media.iter().collect();
            if reversed {
                order.reverse();
            }
            let load = |part: &str| barge.line(&format!("load -i {part} -o {site} --require-signature release.pub"));
            for part in &order[..order.len() - 1] {
                let told = load(part).exits(3).says(&["load --require-signature release.pub -i "]);
                // where each part is an archive, an image may be whole before the others, with its signature
                let names = names(&barge, &site);
                assert_eq!(names.contains("a:v1"), told.stderr().contains("a:v1 is signed with key"), "{names}");
                assert!(mode == "archive" || names.is_empty(), "{names}");
            }
            load(order[order.len() - 1]).exits(0).says(&["b:v1 is signed with key"]);
            barge.line(&format!("diff {site} source")).exits(0);
            barge.line(&format!("verify --key release.pub {site}")).exits(0);
        }
    }
}

#[test]
fn what_nobody_has_signed_gets_no_name_when_the_last_part_has_come() {
    for (bundle, mode, form, signed_by) in [
        (Form::Plain, "stream", "tag", [Some("release"), None]),
        (Form::Plain, "stream", "bundle", [Some("release"), Some("other")]),
        (Form::Compact, "stream", "bundle", [Some("release"), Some("other")]),
        (Form::Plain, "archive", "tag", [Some("release"), Some("other")]),
        (Form::Plain, "archive", "bundle", [Some("release"), None]),
        (Form::Plain, "archive", "tag", [None, Some("release")]),
    ] {
        let barge = Barge::new();
        source(&barge, bundle);
        for (key, image) in signed_by.into_iter().zip(["a:v1", "b:v1"]) {
            if let Some(key) = key {
                sign(&barge, key, form, image);
            }
        }
        let media = split(&barge, bundle, mode);
        let (last, before) = media.split_last().unwrap();
        let load = |part: &str| barge.line(&format!("load -i {part} -o site --require-signature release.pub"));
        for part in before {
            load(part).exits(3);
        }
        let wrong = if signed_by[0] == Some("release") { "b:v1" } else { "a:v1" };
        load(last).exits(4).says(&[&format!("cannot trust {wrong}"), "is kept in oci:site, and has no name there"]);
        let named = names(&barge, "site");
        assert!(!named.contains(wrong), "{mode} {form}: {named}");
        assert!(mode == "archive" || named.is_empty(), "{mode} {form}: {named}");
        // nor when the same is asked for again
        load(last).exits(4);
        assert!(!names(&barge, "site").contains(wrong));
        // whoever has the other key, or asks for none, goes on with what has come
        fs::remove_file(barge.path(before[0].as_str())).unwrap();
        let keys = match signed_by {
            [Some(_), Some(_)] => " --require-signature release.pub --require-signature other.pub",
            _ => "",
        };
        barge.line(&format!("load -i {last} -o site{keys}")).exits(0);
        assert_eq!(names(&barge, "site"), "a:v1 b:v1", "{mode} {form}");
    }
}
