//! Damage met by `merge`: told exactly, and nothing that was there before is touched.

use std::fs;

use serde_json::json;

use super::support::image::{Images, Layer, digest, named, on};
use super::*;

/// A source over two platforms with several layers, and an older image at the target.
struct Sample {
    images: Images,
    index: String,
    manifest: String,
    config: String,
    layer: String,
}

fn sample() -> Sample {
    let mut images = Images::new();
    let layers: Vec<Layer> = (0..4).map(|at| Layer::gzip(format!("layer {at}").repeat(500).as_bytes())).collect();
    let one = images.image("linux/amd64", &layers[..2]);
    let two = images.image("linux/arm64", &layers[1..]);
    let document: serde_json::Value = serde_json::from_slice(&images.blobs[digest(&two)]).unwrap();
    let index = images.index(&[on(one, "linux/amd64"), on(two.clone(), "linux/arm64")]);
    images.root(named(index.clone(), "v1"));
    Sample {
        index: digest(&index).to_owned(),
        manifest: digest(&two).to_owned(),
        config: digest(&document["config"]).to_owned(),
        layer: digest(&document["layers"][2]).to_owned(),
        images,
    }
}

/// Makes the targets: a new layout, a new archive, an old layout, an old archive.
fn targets(barge: &Barge) -> [&'static str; 4] {
    barge.fixtures(&["umoci-amd64"]);
    for old in ["old", "old.tar"] {
        barge.line(&format!("merge -q -o {old} -t old:v1 umoci-amd64")).exits(0);
    }
    ["new", "new.tar", "old", "old.tar"]
}

#[test]
fn damage_in_a_source_is_told_and_leaves_every_target_as_it_was() {
    type Damage = fn(&mut Images, &str);
    let damages: [(&str, Damage); 5] = [
        ("a flipped bit", |images, digest| *images.blobs.get_mut(digest).unwrap().last_mut().unwrap() ^= 1),
        ("a cut tail", |images, digest| {
            images.blobs.get_mut(digest).unwrap().pop();
        }),
        ("one byte more", |images, digest| images.blobs.get_mut(digest).unwrap().push(0)),
        ("nothing in it", |images, digest| images.blobs.get_mut(digest).unwrap().clear()),
        ("no file", |images, digest| drop(images.blobs.remove(digest))),
    ];
    let barge = Barge::new();
    let right = sample();
    let targets = targets(&barge);
    for (what, subject, about) in [
        ("index", &right.index, "index of"),
        ("manifest", &right.manifest, "manifest of linux/arm64"),
        ("config", &right.config, "config of linux/arm64"),
        ("layer", &right.layer, "layer 3 of linux/arm64"),
    ] {
        for (case, damage) in damages {
            let mut spoilt = right.images.clone();
            damage(&mut spoilt, subject);
            for source in ["source", "source.tar"] {
                let source = format!("{what}-{case}-{source}").replace(' ', "-");
                spoilt.write(&barge.path(&source));
                for target in targets {
                    let before = listing(&barge.path(target));
                    let words = format!("merge --no-sync -o {target} -t app:v1 {source}");
                    let refused = barge.line(&words).exits(4);
                    let case = format!("{case}, {what}: {words}");
                    let refused = refused.says(&["error: ", subject, &source, "\nhint: "]);
                    // the index of a source has no better name than its digest
                    let refused = if what == "index" { refused } else { refused.says(&[about]) };
                    assert!(!refused.stderr().contains("sha256:0000"), "{case}");
                    if target == "new" {
                        // what had come whole may stay for the next run, but no name
                        assert!(!barge.path("new/index.json").exists(), "{case}");
                        let _ = fs::remove_dir_all(barge.path("new"));
                    } else {
                        assert_unchanged(&before, &barge.path(target), &case);
                    }
                    assert_clean(&barge, &case);
                }
            }
        }
    }
    // the right one still goes where the wrong ones did not
    right.images.layout(&barge.path("right"));
    for target in targets {
        barge.line(&format!("merge -o {target} -t app:v1 right")).exits(0);
        barge.line(&format!("verify --deep {target}")).exits(0);
    }
}

#[test]
fn an_error_says_what_where_why_and_what_to_do() {
    let barge = Barge::new();
    let mut right = sample();
    *right.images.blobs.get_mut(&right.layer).unwrap().last_mut().unwrap() ^= 1;
    right.images.archive(&barge.path("arm64.tar"));
    let got = barge::digest::Digest::of(&right.images.blobs[&right.layer]);
    let size = right.images.blobs[&right.layer].len();
    let layer = &right.layer;
    barge.line("merge -o out -t app:v1 arm64.tar").shows(&format!(
        "\
exit: 4
--- stderr
error: cannot read {layer} (layer 3 of linux/arm64, {size} B) in oci-archive:arm64.tar
  caused by: content is {got}, expected {layer}

hint: copy it again from where it was made, or run `barge verify arm64.tar` to list everything wrong
"
    ));
    let report = barge.line("merge --json -o out -t app:v1 arm64.tar").exits(4).json();
    let error = &report["error"];
    assert_eq!((&error["class"], &error["exit"]), (&json!("content"), &json!(4)));
    assert_eq!((&error["digest"], &error["expected"]), (&json!(layer), &json!(layer)));
    assert_eq!((&error["got"], &error["place"]), (&json!(got.to_string()), &json!("oci-archive:arm64.tar")));
}

#[test]
fn torn_names_are_never_replaced() {
    let barge = Barge::new();
    let right = sample();
    right.images.layout(&barge.path("right"));
    let whole = right.images.index_json();
    for (at, torn) in [&b""[..], b"{", &whole[..whole.len() - 1], b"[]", b"{}", b"\xff\xfe", b"null"].iter().enumerate()
    {
        let case = String::from_utf8_lossy(torn);
        let mut images = right.images.clone();
        images.index_json = Some(torn.to_vec());
        for place in [format!("{at}"), format!("{at}.tar")] {
            let path = barge.path(&place);
            images.write(&path);
            let before = listing(&path);
            // as a source
            barge.line(&format!("merge -o out -t app:v1 {place}")).exits(4).says(&["index.json", &place]);
            assert!(!barge.path("out").exists(), "{case}");
            // and as the target
            barge.line(&format!("merge -o {place} -t app:v1 right")).exits(4).says(&["index.json", &place]);
            assert_eq!(listing(&path), before, "{case}");
            for command in ["ls", "tree", "inspect", "verify"] {
                barge.line(&format!("{command} {place}")).exits(4).says(&["index.json"]);
            }
        }
    }
    // in a layout, a target that lost its index.json is an empty one; links and other files are refused
    for (name, make) in [
        ("link", (|path| std::os::unix::fs::symlink("../right/index.json", path).unwrap()) as fn(&std::path::Path)),
        ("dangling", |path| std::os::unix::fs::symlink("nothing", path).unwrap()),
        ("directory", |path| fs::create_dir(path).unwrap()),
    ] {
        right.images.layout(&barge.path(name));
        let path = barge.path(name).join("index.json");
        fs::remove_file(&path).unwrap();
        make(&path);
        let before = listing(&barge.path(name));
        barge.line(&format!("merge -o {name} -t app:v1 right")).exits(4).says(&["index.json", name]);
        assert_eq!(listing(&barge.path(name)), before, "{name}");
    }
}

#[test]
fn what_promises_another_size_is_wrong_content_not_a_full_disk() {
    let barge = Barge::new();
    let targets = targets(&barge);
    for lie in [0, 1, u64::from(u32::MAX), 1 << 50, i64::MAX as u64] {
        let mut images = Images::new();
        let mut config =
            images.put("application/vnd.oci.image.config.v1+json", br#"{"os":"linux","architecture":"arm64"}"#);
        let mut layers = Vec::new();
        for content in [&b"one"[..], b"two", b"three"] {
            let mut layer = images.put("application/vnd.oci.image.layer.v1.tar", content);
            layer["size"] = json!(lie);
            layers.push(layer);
        }
        let manifest = super::support::image::manifest(&config, &layers);
        let image = images.document(super::support::image::MANIFEST, &manifest);
        config["size"] = json!(lie);
        images.root(image);
        for source in ["source", "source.tar"] {
            images.write(&barge.path(source));
            for target in targets {
                let before = listing(&barge.path(target));
                let refused = barge.line(&format!("merge -o {target} -t app:v1 {source}")).exits(4);
                refused.says(&[digest(&layers[0]), "layer 1 of ", "content is "]);
                assert_eq!(listing(&barge.path(target)), before, "{lie} bytes into {target}");
            }
            let report = barge.line(&format!("verify --json {source}")).exits(4).json();
            let statuses: Vec<_> =
                report["results"][0]["problems"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
            assert_eq!(statuses, ["malformed", "size-mismatch", "size-mismatch", "size-mismatch"], "{report}");
            barge.line(&format!("ls {source}")).exits(0).prints(&["3 missing"]);
            barge.line(&format!("tree {source}")).exits(0);
        }
    }
}

#[test]
fn a_cut_archive_is_told_from_a_whole_one() {
    let barge = Barge::new();
    let right = sample();
    right.images.archive(&barge.path("right.tar"));
    barge.fixtures(&["umoci-amd64"]);
    let whole = fs::read(barge.path("right.tar")).unwrap();
    let mut told = 0;
    let end = whole.len() - whole.iter().rev().position(|byte| *byte != 0).unwrap();
    for keep in (0..whole.len() - 1024).step_by(701) {
        barge.write("cut.tar", &whole[..keep]);
        let merged = barge.line("merge -o out -t app:v1 cut.tar");
        if keep > end {
            // only padding is gone: all content is there, and a warning says what is not
            merged.exits(0).says(&["warning: ", "cut off"]);
            fs::remove_dir_all(barge.path("out")).unwrap();
            continue;
        }
        told += usize::from(merged.exits(4).stderr().contains("cut"));
        assert!(!barge.path("out").exists());
        let before = listing(&barge.path("cut.tar"));
        barge.line("merge -o cut.tar -t app:v1 umoci-amd64").exits(4).says(&["cut.tar"]);
        assert_eq!(listing(&barge.path("cut.tar")), before, "cut after {keep}");
    }
    assert!(told > 5, "only {told} times it was said that the archive is cut");
    // without the blocks of zeros at its end all is there, and a warning says so
    barge.write("cut.tar", &whole[..whole.len() - 1024]);
    barge.line("merge -o out -t app:v1 cut.tar").exits(0).says(&["warning: ", "cut.tar"]);
}
