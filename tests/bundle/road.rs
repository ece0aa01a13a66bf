//! The whole road over the air gap, twice: a first delivery in parts on two media, of which one part is lost and one damaged;
//! then an update that carries one layer. At its end is a registry.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use barge::digest::Digest;

use super::distribution::{Distribution, Mode};
use super::environment::listing;
use super::prepared::noise;
use super::support::image::{FULL_NAME, Images, Layer, annotated, digest, named, on};
use super::*;

const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// Writes a layout with two images for two platforms each, and returns what they are called and their digests. Between two
/// versions one layer of one image is another.
fn build_side(barge: &Barge, version: u32) -> BTreeMap<String, String> {
    let mut images = Images::new();
    let mut tops = BTreeMap::new();
    for (image, name) in ["app", "db"].into_iter().enumerate() {
        let mut entries = Vec::new();
        for (at, platform) in (0..).zip(PLATFORMS) {
            let (own, length) = if name == "app" && at == 0 { (1000 * version, 1_100_000) } else { (100, 20_000) };
            let layers = [
                Layer::plain(&noise(10 + at, 8_000_000)), // the base of both images
                Layer::gzip(&noise(20 + at + 10 * image as u32, 700_000)),
                Layer::plain(&noise(own + at + 10 * image as u32, length)),
            ];
            entries.push(on(images.image(platform, &layers), platform));
        }
        let index = images.index(&entries);
        let tag = if name == "app" { format!("v{version}") } else { "v3".to_owned() };
        let full = format!("example.com/org/{name}:{tag}");
        tops.insert(format!("org/{name}:{tag}"), digest(&index).to_owned());
        images.root(annotated(named(index, &tag), FULL_NAME, &full));
    }
    images.layout(&barge.path(format!("build-v{version}")));
    tops
}

/// Copies a part with its note, as a person does.
fn carry(barge: &Barge, archive: &str, number: u64, medium: &str) {
    fs::create_dir_all(barge.path(medium)).unwrap();
    for name in [format!("{archive}.{number:03}"), format!("{archive}.part-{number:03}.json")] {
        fs::copy(barge.path("out").join(&name), barge.path(medium).join(&name)).unwrap();
    }
}

fn size_of(barge: &Barge, archive: &str, parts: u64) -> u64 {
    (1..=parts).map(|part| fs::metadata(barge.path(format!("out/{archive}.{part:03}"))).unwrap().len()).sum()
}

/// Checks what the registry has, asked over HTTP, and what skopeo finds there.
#[track_caller]
fn assert_in_registry(registry: &Distribution, tops: &BTreeMap<String, String>) {
    for (name, top) in tops {
        let (repository, tag) = name.split_once(':').unwrap();
        let manifest = registry.manifest(repository, tag).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!((&manifest.digest, &Digest::of(&manifest.bytes).to_string()), (top, top), "{name}");
        if available("skopeo", Command::new("skopeo").arg("--version").output().is_ok()) {
            let image = format!("docker://{}/{name}", registry.host());
            let line = format!("skopeo inspect --raw --tls-verify=false {image} | sha256sum");
            let output = Command::new("sh").args(["-ec", &line]).output().unwrap();
            let hex = String::from_utf8(output.stdout).unwrap();
            assert_eq!(format!("sha256:{}", hex.split_whitespace().next().unwrap()), *top, "{line}");
        }
    }
}

/// Returns the images of a layout by their names, without the host.
fn images_of(barge: &Barge, place: &str) -> BTreeMap<String, String> {
    let listed = barge.line(&format!("ls --json {place}")).exits(0).json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let image = |image: &serde_json::Value| {
        let name = text(&image["names"][0]);
        (name.strip_prefix("example.com/").unwrap().to_owned(), text(&image["digest"]))
    };
    listed["results"].as_array().unwrap().iter().map(image).collect()
}

/// Returns how many uploads a registry was asked for.
fn writes(registry: &Distribution) -> usize {
    let log = registry.log();
    log.requests.iter().filter(|request| ["POST", "PUT", "PATCH", "DELETE"].contains(&request.method.as_str())).count()
}

#[test]
fn a_first_delivery_and_an_update_go_the_whole_road() {
    if !available("docker-registry", Path::new("/usr/bin/docker-registry").exists()) {
        return;
    }
    let barge = Barge::new();
    let first = build_side(&barge, 1);
    fs::create_dir(barge.path("out")).unwrap();
    barge.line("key generate -q -o release --no-password").exits(0);
    barge.line("key generate -q -o stranger --no-password").exits(0);

    // the first delivery: parts for two media
    let save = "save --split 3M --sign-key release.key -o out/first.tar build-v1";
    barge.line(save).exits(0).says(&["in 7 parts", "signed with key"]);
    let original = listing(&barge.path("out"));
    // part 4 gets lost on the way, and part 5 damaged
    for number in [2, 5, 6] {
        carry(&barge, "first.tar", number, "medium-b");
    }
    for number in [1, 3, 7] {
        carry(&barge, "first.tar", number, "medium-a");
    }
    let damaged = barge.path("medium-b/first.tar.005");
    let byte = fs::read(&damaged).unwrap()[0];
    spoil(&damaged, byte ^ 1);

    // at the site: who signed it stands on medium a, and nothing is taken before that is known
    let from =
        |medium: &str, part: u64| format!("load --verify-key release.pub -i {medium}/first.tar.{part:03} -o site");
    barge
        .line(&from("medium-b", 6))
        .exits(3)
        .says(&["cannot tell who signed", "begin with the medium that has part 1"]);
    assert!(!barge.path("site").exists(), "something was taken that nobody answers for");
    barge.line("load --verify-key stranger.pub -i medium-a/first.tar.001 -o site").exits(4).says(&["did not sign"]);
    assert!(!barge.path("site").exists(), "something was taken that another one signed");
    barge.line(&from("medium-a", 7)).exits(3).says(&["parts 2, 4, 5 and 6 of 7", "first.tar.002"]);
    let told = barge.line(&from("medium-b", 6)).exits(4);
    told.says(&[
        "part 5 (medium-b/first.tar.005) is damaged: its SHA-256 is ",
        "parts 4 and 5 of 7",
        "load --verify-key release.pub -i first.tar.004",
    ]);
    assert_eq!(images_of(&barge, "site"), BTreeMap::new());
    fs::remove_dir_all(barge.path("medium-a")).unwrap();
    fs::remove_dir_all(barge.path("medium-b")).unwrap();

    // the sender writes these two again, and nothing else
    for lost in ["first.tar.004", "first.tar.005"] {
        fs::remove_file(barge.path("out").join(lost)).unwrap();
    }
    barge
        .line(save)
        .exits(0)
        .says(&["first.tar.001 to first.tar.003, first.tar.006 to first.tar.007 are there already"]);
    for (name, line) in listing(&barge.path("out")) {
        let again = ["004", "005", "sha256"].iter().any(|written| name.contains(written));
        // inode and time apart, all is as it was
        let content = |line: &str| line.split(' ').nth(3).map(str::to_owned);
        assert_eq!(content(&line), content(&original[&name]), "{name}");
        assert!(again || line == original[&name], "{name} was written again");
    }
    carry(&barge, "first.tar", 4, "medium-c");
    carry(&barge, "first.tar", 5, "medium-c");
    barge.line(&from("medium-c", 5)).exits(0).prints(&["example.com/org/app:v1", "example.com/org/db:v3"]);
    barge.line("verify --deep site").exits(0).prints(&["ok: 2 images"]);
    assert_eq!(images_of(&barge, "site"), first);
    assert_clean(&barge, "after the first delivery");

    // the complete parts go straight to the registry of the site
    let (registry, empty) = (Distribution::start(Mode::Plain), Distribution::start(Mode::Plain));
    for number in 1..=7 {
        carry(&barge, "first.tar", number, if number % 2 == 1 { "odd" } else { "even" });
    }
    barge
        .line(&format!(
            "--part-dir odd push --plain-http --verify-key release.pub even/first.tar.004 {}",
            registry.host()
        ))
        .exits(0);
    assert_in_registry(&registry, &first);

    // the update: what is there goes back as a receipt
    let second = build_side(&barge, 2);
    barge.line("receipt -L site -o site.json").exits(0);
    barge.line("save --base site.json --split 1M --sign-key release.key -o out/update.tar build-v2").exits(0);
    let (whole, update) = (size_of(&barge, "first.tar", 7), size_of(&barge, "update.tar", 2));
    println!("first delivery: {whole} bytes in 7 parts; update with one layer changed: {update} bytes in 2 parts");
    assert!(!barge.path("out/update.tar.003").exists());
    // the layer itself has 1.1 MB
    assert!(update < 1_150_000 && update * 15 < whole, "{update} of {whole}");
    carry(&barge, "update.tar", 1, "stick");
    carry(&barge, "update.tar", 2, "stick");
    let load = "load --verify-key release.pub -i stick/update.tar.001";

    // another site has another base
    let mut other = Images::new();
    let image = other.image("linux/amd64", &[Layer::plain(&noise(99, 1000))]);
    other.root(named(image, "other:v1")).layout(&barge.path("other-site"));
    let before = listing(&barge.path("other-site"));
    barge.line(&format!("{load} -o other-site")).exits(4).says(&["that it builds on", "barge receipt"]);
    assert_eq!(listing(&barge.path("other-site")), before, "a wrong base is changed");
    barge.line(&format!("{load} -o nowhere")).exits(4);
    assert!(!barge.path("nowhere").exists());

    barge.line(&format!("{load} -o site")).exits(0).prints(&["example.com/org/app:v2"]);
    barge.line("verify --deep site").exits(0);
    let both: BTreeMap<String, String> =
        first.iter().chain(&second).map(|(one, two)| (one.clone(), two.clone())).collect();
    assert_eq!((both.len(), images_of(&barge, "site")), (3, both.clone()));

    // straight from the stick: to a registry without the base, and to the one that has it
    barge
        .line(&format!("push --plain-http stick/update.tar.001 {}", empty.host()))
        .exits(4)
        .says(&["that it builds on"]);
    assert_eq!((writes(&empty), empty.catalog()), (0, Vec::new()), "something was written");
    barge
        .line(&format!("push --plain-http --verify-key release.pub stick/update.tar.001 {}", registry.host()))
        .exits(0);
    assert_in_registry(&registry, &both);
    barge.line(&format!("pull --plain-http -o back docker://{}/org/app:v2", registry.host())).exits(0);
    barge.line("verify --deep back").exits(0);
    barge.line("diff back:v2 build-v2:example.com/org/app:v2").exits(0);
    assert_clean(&barge, "at the end of the road");
}
