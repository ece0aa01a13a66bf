//! `save --split-mode archive`: every part is an archive by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use barge::bundle::{Mode, PartNote};
use serde_json::Value;

use super::environment::listing;
use super::prepared::noise;
use super::support::image::{Images, Layer, annotated, digest, named};
use super::*;

/// What all saves here have in common.
const SAVE: &str = "save -q --split 1M --split-mode archive -o x.tar source";

fn layer(seed: u32, length: usize) -> Layer {
    Layer::plain(&noise(seed, length))
}

/// Writes a layout `source` with images of these names and layers, and an archive `whole.tar` of it.
fn source(barge: &Barge, images: &[(&str, &[&Layer])]) -> Images {
    let mut made = Images::new();
    for (name, layers) in images {
        let layers: Vec<Layer> = layers.iter().copied().cloned().collect();
        let image = made.image("linux/amd64", &layers);
        made.root(named(image, name));
    }
    made.layout(&barge.path("source"));
    barge.line("save -q --force -o whole.tar source").exits(0);
    made
}

/// Two pairs of images, each on a base of its own, and two parts for them.
fn two_pairs(barge: &Barge) -> Images {
    let (debian, alpine) = (layer(1, 600_000), layer(2, 500_000));
    let own = [layer(3, 90_000), layer(4, 80_000), layer(5, 70_000), layer(6, 60_000)];
    let images: [(&str, &[&Layer]); 4] = [
        ("a:v1", &[&debian, &own[0]]),
        ("b:v1", &[&alpine, &own[1]]),
        ("c:v1", &[&debian, &own[2]]),
        ("d:v1", &[&alpine, &own[3]]),
    ];
    source(barge, &images)
}

/// One image that fits, one that is larger than a part, and one with a layer that is.
fn three_sizes(barge: &Barge) -> Images {
    let (small, huge) = (layer(1, 300_000), layer(4, 2_600_001));
    let halves = [layer(2, 700_000), layer(3, 650_000)];
    let images: [(&str, &[&Layer]); 3] = [
        ("small:v1", &[&small]),
        ("large:v1", &[&halves[0], &halves[1], &layer(5, 1)]),
        ("huge:v1", &[&layer(6, 100), &huge]),
    ];
    source(barge, &images)
}

fn shell(barge: &Barge, line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).current_dir(barge.path("")).output().unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the notes on all parts of `x.tar`, and checks that parts and notes are of one number.
fn notes(barge: &Barge) -> Vec<PartNote> {
    let note = |number: usize| {
        let bytes = fs::read(barge.path(format!("x.tar.part-{number:03}.json"))).ok()?;
        Some(PartNote::parse(&bytes).unwrap())
    };
    let notes: Vec<PartNote> = (1..).map_while(note).collect();
    let parts = (1..).take_while(|number| barge.path(format!("x.{number:03}.tar")).exists()).count();
    assert!(parts == notes.len() && notes.iter().all(|note| (note.parts, note.mode) == (parts as u64, Mode::Archive)));
    notes
}

fn name(number: u64) -> String {
    format!("x.{number:03}.tar")
}

/// Lays each part with its note into a directory of its own, `m1`, `m2` ...
fn on_media(barge: &Barge, notes: &[PartNote]) {
    for note in notes {
        let medium = barge.path(format!("m{}", note.part));
        fs::create_dir_all(&medium).unwrap();
        for name in [name(note.part), format!("x.tar.part-{:03}.json", note.part)] {
            fs::copy(barge.path(&name), medium.join(&name)).unwrap();
        }
    }
}

/// Returns the names that a place has.
fn names(barge: &Barge, place: &str) -> BTreeSet<String> {
    let listed = barge.line(&format!("ls --json {place}")).exits(0).json();
    let results = listed["results"].as_array().unwrap();
    results
        .iter()
        .flat_map(|image| image["names"].as_array().unwrap())
        .map(|it| it.as_str().unwrap().to_owned())
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Returns the files of a working directory that a save of `x.tar` may have written: sizes, inodes and times.
fn state(barge: &Barge) -> BTreeMap<String, String> {
    let mut state = listing(&barge.path(""));
    state.retain(|name, _| name.starts_with("./x."));
    state
}

/// Checks that a layout has what the whole archive has, and nothing of the parts is left.
#[track_caller]
fn assert_whole(barge: &Barge, layout: &str) {
    barge.line(&format!("verify --deep {layout}")).exits(0);
    barge.line(&format!("diff {layout} whole.tar")).exits(0);
    assert_eq!(names(barge, layout), names(barge, "whole.tar"));
    assert_clean(barge, layout);
}

#[test]
fn images_on_one_base_stand_together_and_each_part_is_loaded_alone() {
    let barge = Barge::new();
    two_pairs(&barge);
    let told = barge.line(&SAVE.replace(" -q", "")).exits(0);
    told.says(&["in 2 parts", "sha256sum -c x.tar.sha256", "barge load -i x.001.tar"]).never(&["cat x.tar"]);
    shell(&barge, "sha256sum -c --strict x.tar.sha256");
    let notes = notes(&barge);
    on_media(&barge, &notes);
    let pairs = [set(&["a:v1", "c:v1"]), set(&["b:v1", "d:v1"])];
    for note in &notes {
        let (number, part) = (note.part, name(note.part));
        let held = names(&barge, &format!("m{number}/{part}"));
        assert!(pairs.contains(&held), "{held:?}");
        barge.line(&format!("verify --deep m{number}/{part}")).exits(0).prints(&["ok: 2 images"]);
        let list: Value = serde_json::from_str(&shell(&barge, &format!("tar -xOf {part} bundle.json"))).unwrap();
        assert_eq!(list["split"], serde_json::json!({"size": MIB, "parts": 2, "part": number}), "{part}");
        assert!(list["contents"].as_array().unwrap().iter().all(|it| it["here"] != false), "{part} leans on another");
        // with its note it is one of two; without it an archive as any other
        barge.line(&format!("load -i m{number}/{part} -o noted-{number}")).exits(3).says(&["is needed"]);
        fs::create_dir(barge.path(format!("alone-{number}"))).unwrap();
        fs::copy(barge.path(&part), barge.path(format!("alone-{number}/{part}"))).unwrap();
        barge.line(&format!("load -i alone-{number}/{part} -o layout-{number}")).exits(0);
        for layout in [format!("noted-{number}"), format!("layout-{number}")] {
            assert_eq!(names(&barge, &layout), held);
            barge.line(&format!("verify --deep {layout}")).exits(0).prints(&["ok: 2 images"]);
        }
    }
    assert_ne!(names(&barge, "m1/x.001.tar"), names(&barge, "m2/x.002.tar"));
    barge.line("load -i x.002.tar -o at-once").exits(0);
    assert_whole_but_begun(&barge, "at-once");
}

/// As [`assert_whole`], where other layouts wait for parts.
#[track_caller]
fn assert_whole_but_begun(barge: &Barge, layout: &str) {
    barge.line(&format!("verify --deep {layout}")).exits(0);
    barge.line(&format!("diff {layout} whole.tar")).exits(0);
    assert!(temporaries(&barge.path(layout)).is_empty(), "{layout}");
}

const MIB: u64 = 1 << 20;

#[test]
fn an_image_that_is_larger_than_a_part_comes_together_in_any_order() {
    let barge = Barge::new();
    three_sizes(&barge);
    barge.line(SAVE).exits(0);
    let notes = notes(&barge);
    on_media(&barge, &notes);
    let count = notes.len() as u64;
    let cut: BTreeSet<_> = notes
        .iter()
        .flat_map(|note| &note.pieces)
        .filter(|piece| !piece.is_whole())
        .map(|piece| piece.digest)
        .collect();
    assert_eq!(cut.len(), 1, "one layer alone is larger than a part");
    assert!(notes.iter().all(|note| note.size <= MIB), "a part is too large");
    for note in &notes {
        shell(&barge, &format!("tar -tf {}", name(note.part)));
    }
    let forwards: Vec<u64> = (1..=count).collect();
    let backwards: Vec<u64> = forwards.iter().rev().copied().collect();
    let mixed: Vec<u64> =
        forwards.iter().filter(|it| **it % 2 == 0).chain(forwards.iter().filter(|it| **it % 2 == 1)).copied().collect();
    for order in [forwards, backwards, mixed] {
        let (last, before) = order.split_last().unwrap();
        let mut held = BTreeSet::new();
        for number in before {
            barge.line(&format!("load -i m{number}/{} -o out", name(*number))).exits(3).says(&["needed"]);
            // what has its name is whole, always
            barge.line("verify --deep out").exits(0);
            let now = names(&barge, "out");
            assert!(now.is_superset(&held), "{order:?}: a name went away");
            held = now;
        }
        assert_ne!(held, names(&barge, "whole.tar"), "{order:?}: the last part was not needed");
        barge.line(&format!("load -i m{last}/{} -o out", name(*last))).exits(0);
        assert_whole(&barge, "out");
        fs::remove_dir_all(barge.path("out")).unwrap();
    }
    // all of them in one directory, and on several media at once
    barge.line("load -i x.001.tar -o out").exits(0);
    assert_whole(&barge, "out");
    let all: Vec<String> = notes.iter().rev().map(|note| format!("m{}/{}", note.part, name(note.part))).collect();
    barge.line(&format!("load -o media -i {}", all.join(" "))).exits(0);
    assert_whole(&barge, "media");
}

#[test]
fn the_pieces_of_a_layer_are_joined_by_hand() {
    let barge = Barge::new();
    three_sizes(&barge);
    barge.line(SAVE).exits(0);
    let notes = notes(&barge);
    let pieces = notes.iter().flat_map(|note| note.pieces.iter().map(move |piece| (note.part, piece)));
    let mut pieces: Vec<_> = pieces.filter(|(_, piece)| !piece.is_whole()).collect();
    pieces.sort_by_key(|(_, piece)| piece.from);
    assert_eq!(pieces.len(), 3);
    for (part, piece) in &pieces {
        let entry = format!("pieces/sha256/{}.{}", piece.digest.hex(), piece.from);
        shell(&barge, &format!("tar -xOf {} {entry} >>blob", name(*part)));
    }
    let sum = shell(&barge, "sha256sum blob");
    assert_eq!(sum.split(' ').next(), Some(pieces[0].1.digest.hex().as_str()));
    // nothing under the name of a blob is wrong, in any part
    for note in &notes {
        for line in shell(&barge, &format!("tar -tf {}", name(note.part))).lines() {
            let Some(hex) = line.strip_prefix("blobs/sha256/") else { continue };
            let sum = shell(&barge, &format!("tar -xOf {} {line} | sha256sum", name(note.part)));
            assert_eq!(sum.split(' ').next(), Some(hex));
        }
    }
}

#[test]
fn a_part_that_is_lost_is_written_again_alone() {
    let barge = Barge::new();
    three_sizes(&barge);
    barge.line(SAVE).exits(0);
    let whole = state(&barge);
    let stats =
        barge.line("save --json --split 1M --split-mode archive -o x.tar source").exits(0).json()["stats"].clone();
    assert_eq!(stats["parts"], stats["partsKept"], "{stats}");
    for lost in notes(&barge) {
        let part = barge.path(name(lost.part));
        let bytes = fs::read(&part).unwrap();
        fs::remove_file(&part).unwrap();
        let needed: BTreeSet<String> = lost.pieces.iter().map(|piece| piece.digest.to_string()).collect();
        // layers are not read to plan a save
        let others: Vec<PathBuf> = blobs(&barge.path("source"))
            .into_iter()
            .take(4)
            .filter(|blob| !needed.contains(&digest_of(blob)))
            .collect();
        let right: Vec<Vec<u8>> = others.iter().map(|blob| fs::read(blob).unwrap()).collect();
        others.iter().zip(&right).for_each(|(blob, right)| spoil(blob, right[0] ^ 1));
        barge.line(SAVE).exits(0);
        others.iter().zip(right).for_each(|(blob, right)| fs::write(blob, right).unwrap());
        assert!(fs::read(&part).unwrap() == bytes, "part {} is another now", lost.part);
        let mut now = state(&barge);
        let mut before = whole.clone();
        for files in [&mut now, &mut before] {
            files.retain(|file, _| file.ends_with(".tar"));
        }
        let changed: Vec<&String> =
            now.iter().filter(|(file, line)| before[*file] != **line).map(|(file, _)| file).collect();
        // earlier rounds wrote those before it
        let earlier: BTreeSet<String> = (1..=lost.part).map(|part| format!("./{}", name(part))).collect();
        assert!(changed.iter().all(|file| earlier.contains(*file)), "{changed:?}");
        assert_clean(&barge, "after a part");
    }
    shell(&barge, "sha256sum -c --quiet x.tar.sha256");
}

#[test]
fn wrong_content_never_stays_in_a_part() {
    let barge = Barge::new();
    three_sizes(&barge);
    let huge = blobs(&barge.path("source"))[0].clone();
    let right = fs::read(&huge).unwrap();
    spoil(&huge, right[0] ^ 1);
    barge.line(SAVE).exits(4).says(&[&digest_of(&huge)]);
    assert!(!barge.path("x.tar.sha256").exists());
    assert_clean(&barge, "after wrong content");
    fs::write(&huge, right).unwrap();
    barge.line(SAVE).exits(0);
    shell(&barge, "sha256sum -c --quiet x.tar.sha256");
    barge.line("load -i x.001.tar -o out").exits(0);
    assert_whole(&barge, "out");
}

#[test]
fn one_mode_replaces_the_other_by_force_alone() {
    let barge = Barge::new();
    three_sizes(&barge);
    let stream = "save -q --split 1M -o x.tar source";
    let (mut last, mut files) = (String::new(), BTreeMap::new());
    for line in [SAVE, stream, SAVE, stream] {
        if !last.is_empty() {
            let before = state(&barge);
            barge.line(line).exits(9).says(&["files of another set", "--force"]);
            assert_eq!(state(&barge), before, "{line} after {last}");
        }
        barge.line(&format!("{line} --force")).exits(0);
        shell(&barge, "sha256sum -c --quiet x.tar.sha256");
        let now: BTreeSet<String> = state(&barge).into_keys().collect();
        let expected: &BTreeSet<String> = files.entry(line).or_insert_with(|| now.clone());
        assert_eq!(now, *expected, "{line} after {last}");
        assert_eq!(now.iter().any(|file| file.starts_with("./x.tar.0")), line == stream, "{now:?}");
        assert_eq!(now.iter().any(|file| file.starts_with("./x.0")), line == SAVE, "{now:?}");
        let first = if line == SAVE { "x.001.tar" } else { "x.tar.001" };
        barge.line(&format!("load -i {first} -o out")).exits(0);
        assert_whole(&barge, "out");
        fs::remove_dir_all(barge.path("out")).unwrap();
        last = line.to_owned();
    }
}

#[test]
fn a_dry_run_says_what_is_written_and_the_same_images_give_the_same_bytes() {
    let barge = Barge::new();
    three_sizes(&barge);
    let plan = barge.line("save --json --dry-run --split 1M --split-mode archive -o x.tar source").exits(0).json();
    assert!(state(&barge).is_empty());
    barge.line(SAVE).exits(0);
    let plan = plan["stats"]["plan"]["parts"].as_array().unwrap().clone();
    let notes = notes(&barge);
    assert_eq!(plan.len(), notes.len());
    for (planned, note) in plan.iter().zip(&notes) {
        assert_eq!(planned["name"], name(note.part));
        assert_eq!(planned["size"].as_u64(), Some(fs::metadata(barge.path(name(note.part))).unwrap().len()));
        let shares = planned["images"].as_array().unwrap().iter().chain([&planned["shared"]]);
        let here: u64 = shares.map(|share| share["bytes"].as_u64().unwrap()).sum();
        assert_eq!(here, note.pieces.iter().map(|piece| piece.section.length).sum::<u64>(), "{planned}");
    }
    fs::create_dir(barge.path("there")).unwrap();
    barge.line(&SAVE.replace("x.tar", "there/x.tar").replace("save", "save --jobs 4")).exits(0);
    shell(&barge, "for f in there/x.*; do cmp $f ${f#there/}; done; test $(ls x.* | wc -l) = $(ls there | wc -l)");
}

#[test]
fn every_part_is_signed_by_itself() {
    let barge = Barge::new();
    three_sizes(&barge);
    for key in ["release", "stranger"] {
        barge.line(&format!("key generate -q --no-password -o {key}")).exits(0);
    }
    barge.line(&format!("{SAVE} --sign-key release.key")).exits(0);
    let notes = notes(&barge);
    on_media(&barge, &notes);
    for note in &notes {
        let part = format!("m{}/{}", note.part, name(note.part));
        barge.line(&format!("load --verify-key stranger.pub -i {part} -o new")).exits(4).says(&["did not sign"]);
        assert!(!barge.path("new").exists(), "{part}: something was taken");
        fs::create_dir(barge.path("alone")).unwrap();
        fs::copy(barge.path(&part), barge.path("alone").join(name(note.part))).unwrap();
        barge.line(&format!("inspect --verify-key release.pub alone/{}", name(note.part))).exits(0);
        fs::remove_dir_all(barge.path("alone")).unwrap();
        let code = if note.part == note.parts { 0 } else { 3 };
        barge.line(&format!("load --verify-key release.pub -i {part} -o out")).exits(code);
    }
    assert_whole(&barge, "out");
    // one that another one signed among those that are right, and comes last
    let keep = fs::read(barge.path("x.002.tar")).unwrap();
    barge.line(&format!("{SAVE} --force --sign-key stranger.key")).exits(0);
    assert!(fs::read(barge.path("x.002.tar")).unwrap() != keep);
    barge.line("load --verify-key release.pub -i x.001.tar -o new").exits(4).says(&["did not sign"]);
    assert!(!barge.path("new").exists());
}

#[test]
fn what_belongs_to_an_image_goes_with_it() {
    let barge = Barge::new();
    let mut images = two_pairs(&barge);
    let tops: Vec<String> = images.roots.iter().map(|root| digest(root).to_owned()).collect();
    for (at, top) in tops.iter().enumerate() {
        let referrer = images.image("linux/amd64", &[Layer::plain(format!("signature {at}").as_bytes())]);
        images.root(annotated(referrer, "io.containerd.manifest.subject", top));
    }
    images.layout(&barge.path("source"));
    barge.line(SAVE).exits(0);
    let notes = notes(&barge);
    assert_eq!(notes.len(), 2);
    let mut seen = BTreeSet::new();
    for note in &notes {
        let list = shell(&barge, &format!("tar -xOf {} bundle.json", name(note.part)));
        let list: Value = serde_json::from_str(&list).unwrap();
        for image in list["images"].as_array().unwrap() {
            seen.insert(image["digest"].as_str().unwrap().to_owned());
            let belongs = image["referrers"].as_array().unwrap();
            assert_eq!(belongs.len(), 1, "{image}");
            let digest = belongs[0]["digest"].as_str().unwrap();
            assert!(note.pieces.iter().any(|piece| piece.digest.to_string() == digest), "{image}");
        }
    }
    assert_eq!(seen, tops.into_iter().collect());
}

#[test]
fn a_delta_in_parts_is_loaded_part_by_part_where_its_base_is() {
    let barge = Barge::new();
    let base = layer(1, 900_000);
    let own: Vec<Layer> = (2..6).map(|seed| layer(seed, 700_000)).collect();
    let old: [(&str, &[&Layer]); 2] = [("a:v1", &[&base]), ("b:v1", &[&base, &layer(9, 10)])];
    source(&barge, &old);
    barge.line("load -q -i whole.tar -o site").exits(0);
    barge.line("receipt -L site -o site.json").exits(0);
    let new: [(&str, &[&Layer]); 4] = [
        ("a:v2", &[&base, &own[0]]),
        ("b:v2", &[&base, &own[1]]),
        ("c:v2", &[&base, &own[2]]),
        ("d:v2", &[&base, &own[3]]),
    ];
    source(&barge, &new);
    barge.line(&format!("{SAVE} --base site.json")).exits(0);
    let notes = notes(&barge);
    assert_eq!(notes.len(), 4);
    on_media(&barge, &notes);
    fs::create_dir_all(barge.path("elsewhere/blobs/sha256")).unwrap();
    let mut other = Images::new();
    let image = other.image("linux/amd64", &[layer(77, 10)]);
    other.root(named(image, "other:v1")).layout(&barge.path("elsewhere"));
    barge.line("load -i x.001.tar -o elsewhere").exits(4).says(&["builds on"]);
    assert_eq!(names(&barge, "elsewhere"), set(&["other:v1"]));
    for note in &notes {
        let code = if note.part == note.parts { 0 } else { 3 };
        barge.line(&format!("load -i m{}/{} -o site", note.part, name(note.part))).exits(code);
    }
    barge.line("verify --deep site").exits(0).prints(&["ok: 6 images"]);
    assert_clean(&barge, "after a delta");
}

#[test]
fn parts_without_manifest_json_are_archives_too() {
    let barge = Barge::new();
    two_pairs(&barge);
    barge.line(&format!("{SAVE} --format oci")).exits(0);
    for note in notes(&barge) {
        let listed = shell(&barge, &format!("tar -tf {}", name(note.part)));
        assert!(listed.starts_with("oci-layout\nindex.json\nbundle.json\n") && !listed.contains("manifest.json"));
    }
    barge.line("load -i x.001.tar -o out").exits(0);
    assert_whole(&barge, "out");
}

#[test]
fn an_image_whose_documents_do_not_fit_is_refused_before_anything_is_written() {
    let barge = Barge::new();
    two_pairs(&barge);
    for (line, code, said) in [
        ("save --split-mode archive -o x.tar source", 2, "cannot split without a size"),
        ("save --split 1000 --split-mode archive -o x.tar source", 9, "a part has at least 1.0 MiB"),
        ("save --split 1M --split-mode archive -o - source", 2, "standard output"),
        ("save --compact --split 1M --split-mode archive -o x.tar source", 9, "into archives by themselves"),
    ] {
        barge.line(line).exits(code).says(&[said]);
        assert!(state(&barge).is_empty(), "{line}");
    }
}

#[test]
fn a_part_without_an_image_is_verified_all_the_same() {
    let barge = Barge::new();
    let mut images = crate::support::image::Images::new();
    let layers = [
        crate::support::image::Layer::plain(&crate::support::image::noise(1, 1_500_000)),
        crate::support::image::Layer::plain(&crate::support::image::noise(2, 900_000)),
        crate::support::image::Layer::plain(&crate::support::image::noise(3, 900_000)),
    ];
    let image = images.image("linux/amd64", &layers);
    images.root(crate::support::image::named(image, "app:v1"));
    images.layout(&barge.path("dist"));
    barge.line("save -o x.tar --split 1M --split-mode archive dist").exits(0);
    let (mut blobs, mut pieces) = (0, 0);
    for number in 1.. {
        let part = format!("x.{number:03}.tar");
        let Ok(bytes) = std::fs::read(barge.path(&part)) else { break };
        let shown = barge.line(&format!("verify {part}")).exits(0);
        pieces += usize::from(shown.stdout().contains("of larger blobs, not checked"));
        let files = crate::support::tar::files(&bytes);
        let Some((_, blob)) = files.iter().find(|(name, blob)| name.starts_with("blobs/") && blob.len() > 800_000)
        else {
            continue;
        };
        // one byte of a blob that no image of this part refers to
        blobs += 1;
        let at = bytes.windows(64).position(|window| *window == blob[..64]).unwrap();
        let mut spoilt = bytes.clone();
        spoilt[at + 1000] ^= 1;
        std::fs::write(barge.path("spoilt.tar"), spoilt).unwrap();
        barge.line("verify spoilt.tar").exits(4).prints(&["digest-mismatch"]);
    }
    assert_eq!((blobs, pieces), (2, 2));
}
