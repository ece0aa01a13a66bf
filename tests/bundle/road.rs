//! The whole road over the air gap, twice: a first delivery in parts on two media, of which one part is lost and one damaged;
//! then an update that carries one layer, or what is new in it. At its end is a registry.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use barge::digest::Digest;

use super::distribution::{Distribution, Mode};
use super::environment::listing;
use super::prepared::{Form, by_go, noise};
use super::support::image::{FULL_NAME, Images, Layer, annotated, digest, named, on};
use super::support::tar::Tar;
use super::*;

const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// Writes a layout with two images for two platforms each, and returns what they are called and their digests. Between two
/// versions one file in one layer of one image is another.
fn build_side(barge: &Barge, version: u32) -> BTreeMap<String, String> {
    let mut images = Images::new();
    let mut tops = BTreeMap::new();
    let file = |tar: Tar, name: &str, seed, length| tar.file(name, &noise(seed, length));
    for (image, name) in ["app", "db"].into_iter().enumerate() {
        let mut entries = Vec::new();
        for (at, platform) in (0..).zip(PLATFORMS) {
            let own = at + 10 * image as u32;
            let top = match (name, at) {
                ("app", 0) => {
                    file(file(Tar::new(), "srv/data", 500, 1_500_000), "srv/program", 1000 * version, 1_100_000)
                }
                _ => file(Tar::new(), "srv/program", 100 + own, 20_000),
            };
            // the base of both images, in which most is the same for both platforms
            let base = file(file(Tar::new(), "usr/share/all", 9, 1_800_000), "usr/bin/own", 10 + at, 1_200_000);
            let layers = [
                Layer::plain(&base.finished()),
                by_go(&file(Tar::new(), "usr/lib/some", 20 + own, 300_000).finished()),
                Layer::plain(&top.finished()),
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
    whole_road(Form::Plain);
}

#[test]
fn what_layers_are_made_of_goes_the_whole_road() {
    whole_road(Form::Compact);
}

fn whole_road(form: Form) {
    if !available("docker-registry", Path::new("/usr/bin/docker-registry").exists()) {
        return;
    }
    let barge = Barge::new();
    let first = build_side(&barge, 1);
    fs::create_dir(barge.path("out")).unwrap();
    barge.line("key generate -q -o release --no-password").exits(0);
    barge.line("key generate -q -o stranger --no-password").exits(0);

    // the first delivery: parts for two media
    let save = format!("{} --split 1M --sign-key release.key -o out/first.tar build-v1", form.save());
    barge.line(&save).exits(0).says(&["signed with key"]);
    let count = (1..).take_while(|part| barge.path(format!("out/first.tar.{part:03}")).exists()).count() as u64;
    assert_eq!(count, if form == Form::Plain { 10 } else { 8 });
    let original = listing(&barge.path("out"));
    // part 4 gets lost on the way, and part 5 damaged
    for number in [2, 5, 6] {
        carry(&barge, "first.tar", number, "medium-b");
    }
    for number in [1, 3].into_iter().chain(7..=count) {
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
    barge.line(&from("medium-a", 7)).exits(3).says(&[&format!("parts 2, 4, 5 and 6 of {count}"), "first.tar.002"]);
    let told = barge.line(&from("medium-b", 6)).exits(4);
    told.says(&[
        "part 5 (medium-b/first.tar.005) is damaged: its SHA-256 is ",
        &format!("parts 4 and 5 of {count}"),
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
        .line(&save)
        .exits(0)
        .says(&[&format!("first.tar.001 to first.tar.003, first.tar.006 to first.tar.{count:03} are there already")]);
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
    for number in 1..=count {
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
    let save = format!("{} --base site.json --split 1M --sign-key release.key -o out/update.tar build-v2", form.save());
    if form == Form::Compact {
        // a receipt has no layers, and the place that is saved from not those of the older version
        barge
            .line(&format!("{save} --dry-run"))
            .exits(0)
            .says(&["not found here, of the base: example.com/org/app:v1 (sha256:"]);
        barge
            .line(&format!("{save} --base-from build-v1"))
            .exits(0)
            .says(&["made against layers of example.com/org/app:v1: they must be where it is loaded"])
            .never(&["not found here"]);
    } else {
        barge.line(&save).exits(0);
    }
    // the layer has 2.6 MB, what is new in it 1.1
    let (parts, most) = if form == Form::Plain { (3, 2_650_000) } else { (2, 1_150_000) };
    let (whole, update) = (size_of(&barge, "first.tar", count), size_of(&barge, "update.tar", parts));
    println!("first delivery: {whole} bytes in {count} parts; update: {update} bytes in {parts} parts");
    assert!(!barge.path(format!("out/update.tar.{:03}", parts + 1)).exists());
    assert!(update < most, "{update} of {whole}");
    (1..=parts).for_each(|number| carry(&barge, "update.tar", number, "stick"));
    let load = "load --verify-key release.pub -i stick/update.tar.001";

    // another site has another base
    let mut other = Images::new();
    let image = other.image("linux/amd64", &[Layer::plain(&noise(99, 1000))]);
    other.root(named(image, "other:v1")).layout(&barge.path("other-site"));
    let before = listing(&barge.path("other-site"));
    barge.line(&format!("{load} -o other-site")).exits(4).says(&["what it builds on is not there", "barge receipt"]);
    assert_eq!(listing(&barge.path("other-site")), before, "a wrong base is changed");
    barge.line(&format!("{load} -o nowhere")).exits(4);
    assert!(!barge.path("nowhere").exists());

    if form == Form::Compact {
        let lacking = ["not checked: layers of example.com/org/app:v1"];
        barge.line("verify stick/update.tar.001").exits(0).prints(&lacking);
        barge.line("verify -L site stick/update.tar.001").exits(0).prints(&["1 layer made again"]).never(&lacking);
    }
    barge.line(&format!("{load} -o site")).exits(0).prints(&["example.com/org/app:v2"]);
    barge.line("verify --deep site").exits(0);
    let both: BTreeMap<String, String> =
        first.iter().chain(&second).map(|(one, two)| (one.clone(), two.clone())).collect();
    assert_eq!((both.len(), images_of(&barge, "site")), (3, both.clone()));

    // straight from the stick: to a registry without the base, and to the one that has it
    barge
        .line(&format!("push --plain-http stick/update.tar.001 {}", empty.host()))
        .exits(4)
        .says(&["what it builds on is not there"]);
    assert_eq!((writes(&empty), empty.catalog()), (0, Vec::new()), "something was written");
    let told = barge
        .line(&format!("push --plain-http --verify-key release.pub stick/update.tar.001 {}", registry.host()))
        .exits(0);
    if form == Form::Compact {
        told.says(&["reading ", "example.com/org/app:v1", &format!("from docker://{}/org/app", registry.host())]);
    }
    assert_in_registry(&registry, &both);
    barge.line(&format!("pull --plain-http -o back docker://{}/org/app:v2", registry.host())).exits(0);
    barge.line("verify --deep back").exits(0);
    barge.line("diff back:v2 build-v2:example.com/org/app:v2").exits(0);
    assert_clean(&barge, "at the end of the road");
}
