//! Compact updates and what they build on: found where it is, named where it is not, and told of by whatever describes an archive.

use std::fs;

use serde_json::{Value, json};

use crate::environment::{Barge, assert_clean, listing};
use crate::inputs::Random;
use crate::packer::packed;
use crate::support::image::{FULL_NAME, GZIP, Images, Layer, annotated, named};
use crate::support::tar::Tar;

const NAME: &str = "example.com/org/app";

/// An image of one layer, which Go packed, with one file more in each version.
fn version(number: u32) -> Images {
    let content = |seed: u32| Random::new(u64::from(seed)).bytes(40_000);
    let mut tar = Tar::new();
    for file in 0..8 {
        tar = tar.file(&format!("usr/lib/{file}"), &content(file % 4));
    }
    for file in 1..=number {
        tar = tar.file(&format!("usr/lib/new/{file}"), &content(100 + file));
    }
    let plain = tar.finished();
    let layer = Layer { media_type: GZIP, bytes: packed(&plain, 6, u64::MAX).0, ..Layer::plain(&plain) };
    let mut images = Images::new();
    let image = images.image("linux/amd64", &[layer]);
    let tag = format!("v{number}");
    images.root(annotated(named(image, &tag), FULL_NAME, &format!("{NAME}:{tag}")));
    images
}

/// Writes layouts `v1`, `v2` and so on.
fn layouts(barge: &Barge, numbers: &[u32]) {
    numbers.iter().for_each(|number| version(*number).layout(&barge.path(format!("v{number}"))));
}

fn size(barge: &Barge, file: &str) -> u64 {
    fs::metadata(barge.path(file)).unwrap().len()
}

#[test]
fn a_chain_is_taken_in_in_its_order_or_at_once() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2, 3]);
    barge.line("save --compact -o one.tar v1").exits(0);
    barge.line("save --compact -o two.tar --base one.tar v2").exits(0).says(&[&format!("against layers of {NAME}:v1")]);
    // the layer of v2 is made of bytes of that of v1, which is in one.tar
    barge
        .line("save --compact -o alone.tar --base two.tar v3")
        .exits(0)
        .says(&[&format!("not found here, of the base: layers of {NAME}:v2")]);
    barge
        .line("save --compact -o three.tar --base two.tar --base-from one.tar v3")
        .exits(0)
        .says(&[&format!("against layers of {NAME}:v2")]);
    for update in ["two.tar", "three.tar"] {
        assert!(size(&barge, update) < 70_000, "{update}: {}", size(&barge, update));
    }
    assert!(size(&barge, "alone.tar") > 200_000);

    barge.line("load -i one.tar -o site").exits(0);
    let before = listing(&barge.path("site"));
    let refused = barge.line("load -i three.tar -o site").exits(4);
    refused.says(&["1 blob", &format!("a layer of {NAME}:v2, of whose bytes others are made"), "barge receipt"]);
    assert_eq!(listing(&barge.path("site")), before);
    barge.line("load -i two.tar -o site").exits(0);
    barge.line("load -i three.tar -o site").exits(0);
    // what is there already needs no base
    barge.line("load -i three.tar -o site").exits(0);
    barge.line("verify --deep site").exits(0).prints(&["ok: 3 images"]);
    for order in ["one two three", "three two one", "two three one"] {
        let inputs: Vec<String> = order.split(' ').map(|name| format!("-i {name}.tar")).collect();
        let place = order.replace(' ', "-");
        barge.line(&format!("load {} -o {place}", inputs.join(" "))).exits(0);
        barge.line(&format!("diff {place} site")).exits(0);
    }
    barge.line("load -i three.tar -i two.tar -o nowhere").exits(4).says(&[&format!("a layer of {NAME}:v1")]);
    assert!(!barge.path("nowhere").exists());
    assert_clean(&barge, "all of it");
}

#[test]
fn a_base_that_is_spoilt_is_found_and_a_new_receipt_mends_it() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    barge.line("copy v1 site").exits(0);
    barge.line("save --compact -o update.tar --base v1 v2").exits(0);
    let old = version(1);
    let (base, right) = old.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let file = barge.path("site/blobs").join(base.replace(':', "/"));
    let before = fs::read(barge.path("site/index.json")).unwrap();
    let flipped: Vec<u8> = right.iter().map(|byte| byte ^ 1).collect();
    for wrong in [&right[..right.len() - 1], &flipped] {
        fs::remove_file(&file).unwrap();
        fs::write(&file, wrong).unwrap();
        barge.line("load -i update.tar -o site").exits(4).says(&[base]);
        assert_eq!(fs::read(barge.path("site/index.json")).unwrap(), before);
    }
    // what is not in the receipt is no base
    barge.line("receipt -L site -o now.json").exits(0).says(&["it is not in the receipt"]);
    barge.line("save --compact -o mended.tar --base now.json v1 v2").exits(0).never(&["against layers"]);
    barge.line("load -i mended.tar -o site").exits(0).says(&["replaced"]);
    barge.line("verify --deep site").exits(0).prints(&["ok: 2 images"]);
}

#[test]
fn what_a_receipt_lists_is_found_by_its_digest() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    barge.line("copy v1 site").exits(0);
    barge.line("receipt -L site -o site.json").exits(0);
    let receipt: Value = serde_json::from_slice(&fs::read(barge.path("site.json")).unwrap()).unwrap();
    let image = &receipt["images"][0];
    assert_eq!(image["mediaType"], barge::media::OCI_MANIFEST);
    assert!(image["size"].as_u64().is_some(), "{image}");
    let update =
        |words: &str| barge.line(&format!("save --force --json --compact -o update.tar --base site.json {words}"));
    let nothing = json!([{"name": format!("{NAME}:v1"), "digest": image["digest"]}]);
    let compact = update("v2").exits(0).json()["stats"]["compact"].clone();
    assert_eq!((&compact["bases"], &compact["absentBases"]), (&json!([]), &nothing), "{compact}");
    // in another place, by any command line that names one; in the current layout; and where it has no name any more
    barge.line("copy v1 out").exits(0);
    barge.line(&format!("tag out:{NAME}:v1 {NAME}:latest")).exits(0);
    barge.line(&format!("rm out:{NAME}:v1")).exits(0);
    barge.line(&format!("copy v2:{NAME}:v2 out:{NAME}:latest")).exits(0);
    barge.line("save -o old.tar v1").exits(0);
    for words in ["v2 --base-from v1", "v2 --base-from old.tar", "v2 --base-from oci:v1", "v2 -L v1", "out"] {
        let report = update(words).exits(0).json();
        let compact = &report["stats"]["compact"];
        assert_eq!(compact["bases"], json!([format!("{NAME}:v1")]), "{words}: {compact}");
        assert_eq!(compact["absentBases"], json!([]), "{words}: {compact}");
        barge.line("copy v1 there").exits(0);
        barge.line("load -i update.tar -o there").exits(0);
        barge.line("verify --deep there").exits(0).prints(&["ok: 2 images"]);
        fs::remove_dir_all(barge.path("there")).unwrap();
    }
    barge.line("save -o no.tar --base-from v1 v2").exits(2);
    // a receipt of before says less: what is saved from is looked at all the same
    let mut old = receipt.clone();
    for field in ["mediaType", "size"] {
        old["images"][0].as_object_mut().unwrap().remove(field);
    }
    barge.write("site.json", old.to_string());
    assert_eq!(update("v2 --base-from v1").exits(0).json()["stats"]["compact"]["bases"], json!([format!("{NAME}:v1")]));
}

#[test]
fn whatever_describes_an_archive_says_that_it_is_compact_and_what_it_needs() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    barge.line("save --compact -o one.tar v1").exits(0);
    barge.line("save --compact -o two.tar --base v1 v2").exits(0);
    let needs = format!("needs layers of {NAME}:v1");
    barge.line("ls one.tar").exits(0).prints(&["whole, compact"]).never(&["needs"]);
    barge.line("ls two.tar").exits(0).prints(&[&format!("whole, compact: {needs}")]);
    barge.line("inspect one.tar").exits(0).prints(&["compact    1 layer, ", "only barge reads it"]).never(&["needs "]);
    barge.line("inspect two.tar").exits(0).prints(&[&format!("needs      layers of {NAME}:v1, where it is taken to")]);
    barge.line("verify two.tar").exits(0).prints(&[&format!("layers of {NAME}:v1 are needed to make them")]);
    let plain = "`barge save -o plain.tar one.tar` writes one for others";
    barge.line("check one.tar").exits(1).prints(&["it is compact", plain]);
    barge.line("check two.tar").exits(1).prints(&["of layers that are not in it", "`barge load -i two.tar -o DIR`"]);
    barge.line("save -o plain.tar one.tar").exits(0);
    barge.line("check plain.tar").exits(0);
    for (archive, said) in
        [("one.tar", "to the byte, by barge"), ("two.tar", "That takes layers of example.com/org/app:v1")]
    {
        barge.line(&format!("report {archive} -o {archive}.html")).exits(0);
        let page = fs::read_to_string(barge.path(format!("{archive}.html"))).unwrap();
        assert!(page.contains("It is compact: 1 layer") && page.contains(said), "{page}");
    }
    let base = |missing: bool| {
        let old = version(1);
        let (digest, bytes) = old.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
        json!([{"digest": digest, "size": bytes.len(), "image": format!("{NAME}:v1"), "missing": missing}])
    };
    for (words, missing) in [("two.tar", true), ("-L v1 two.tar", false)] {
        let ls = barge.line(&format!("ls --json {words}")).exits(0).json()["results"][0].clone();
        assert_eq!((&ls["compact"]["bases"], &ls["complete"]), (&base(missing), &json!(!missing)), "{ls}");
        let inspected = barge.line(&format!("inspect --json {words}")).exits(0).json()["results"][0].clone();
        assert_eq!((&inspected["compact"]["bases"], &inspected["compact"]["layers"]), (&base(missing), &json!(1)));
        let verified = barge.line(&format!("verify --json {words}")).exits(0).json()["results"][0].clone();
        assert_eq!(verified["compactArchive"], inspected["compact"]);
        assert_eq!(verified["lackingBase"], json!(i32::from(missing)));
    }
    let ls = barge.line("ls --json v1").exits(0).json()["results"][0].clone();
    assert_eq!((&ls["compact"], &ls["complete"]), (&Value::Null, &json!(true)));
}

#[test]
fn where_nothing_is_left_to_carry_nothing_is_made_and_nothing_asked_for() {
    let barge = Barge::new();
    layouts(&barge, &[1]);
    barge.line("copy v1 site").exits(0);
    barge.line("receipt -L site -o site.json").exits(0);
    let saved = barge.line("save --compact -o none.tar --base site.json v1").exits(0);
    saved.says(&["is left out: in oci:site", "no layers go along: nothing to make compact"]).never(&["not found here"]);
    barge.line("load -i none.tar -o site").exits(0);
    barge.line("verify --deep site").exits(0).prints(&["ok: 1 image"]);
}

#[test]
fn an_image_needs_its_own_bases_and_no_others() {
    let barge = Barge::new();
    let layout = |place: &str, files: [u32; 2]| {
        let mut images = Images::new();
        for (name, files) in ["app", "db"].into_iter().zip(files) {
            let tar = (0..files).fold(Tar::new(), |tar, file| {
                let (seed, length) = (u64::from(file) + name.len() as u64 * 100, 40_000 + 1000 * name.len());
                tar.file(&format!("{name}/{file}"), &Random::new(seed).bytes(length))
            });
            let plain = tar.finished();
            let layer = Layer { media_type: GZIP, bytes: packed(&plain, 6, u64::MAX).0, ..Layer::plain(&plain) };
            let image = images.image("linux/amd64", &[layer]);
            let name = format!("{name}:{place}");
            images.root(annotated(named(image, place), FULL_NAME, &format!("example.com/{name}")));
        }
        images.layout(&barge.path(place));
    };
    layout("v1", [4, 4]);
    layout("v2", [5, 5]);
    barge.line("save --compact -o update.tar --base v1 v2").exits(0);
    barge.line("copy v1:example.com/app:v1 site").exits(0);
    barge.line("copy update.tar:example.com/db:v2 site").exits(4).says(&["1 blob", "a layer of example.com/db:v1"]);
    barge.line("copy update.tar site").exits(4).says(&["1 blob", "a layer of example.com/db:v1"]);
    barge.line("copy update.tar:example.com/app:v2 site").exits(0);
    barge.line("verify --deep site").exits(0).prints(&["ok: 2 images"]);
}

#[test]
fn sync_takes_an_update_into_the_layout_that_has_what_it_builds_on() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    barge.line("save --compact -o two.tar --base v1 v2").exits(0).says(&["against layers of"]);
    fs::write(barge.path("barge.yaml"), "sync:\n- from: [{archive: two.tar}]\n  to: [{layout: site}]\n").unwrap();
    barge.line("sync").exits(4).says(&[&format!("a layer of {NAME}:v1, of whose bytes others are made")]);
    barge.line("copy v1 site").exits(0);
    barge.line("sync").exits(0);
    barge.line("verify --deep site").exits(0).prints(&["ok: 2 images"]);
}
