//! `report`: what the page and the JSON say, where the page goes, and what the exit code means.

use std::fs;

use barge::digest::Digest;
use base64::Engine as _;
use serde_json::{Value, json};

use super::support::image::{GZIP, Images, Layer, annotated, digest, named, on};
use super::*;

/// A layout `dist` with two images for two platforms, which share a base for each platform.
fn two_images(barge: &Barge) -> Images {
    let mut images = Images::new();
    for name in ["web", "api"] {
        let variant = |images: &mut Images, platform: &str| {
            let layers = [format!("base for {platform}").repeat(300), format!("{name} for {platform}").repeat(20)];
            let layers = layers.map(|text| Layer::plain(text.as_bytes()));
            on(images.image(platform, &layers), platform)
        };
        let variants = ["linux/amd64", "linux/arm64"].map(|platform| variant(&mut images, platform));
        let index = images.index(&variants);
        images.root(named(index, &format!("example.com/{name}:v1")));
    }
    images.layout(&barge.path("dist"));
    images
}

fn page(barge: &Barge, name: &str) -> String {
    fs::read_to_string(barge.path(name)).unwrap()
}

#[test]
fn the_page_names_what_is_there_and_is_the_same_again() {
    let barge = Barge::new();
    two_images(&barge);
    barge.line("report dist -o page.html").exits(0).says(&["page.html: 2 images, 6 layers"]);
    let first = page(&barge, "page.html");
    for part in [
        "<bdi>example.com/web:v1</bdi>",
        "linux/arm64",
        ">Verified</b>",
        "each is what its digest says",
        "None found",
        "example.com/api:v1 for linux/amd64: 2 layers, ",
        ", shared A,",
        "2 shared layers",
    ] {
        assert!(first.contains(part), "{part} is not in\n{first}");
    }
    for never in ["<script", "http:", "https:", " src=", "url(", "@import", "<link", "<iframe", " style="] {
        assert!(!first.contains(never), "{never} is in the page");
    }
    barge.line("report --jobs 1 -L dist -o again.html").exits(0);
    assert_eq!(first, page(&barge, "again.html"));
    assert_eq!(barge.line("report dist -o -").exits(0).bytes(), first.as_bytes());
    assert_clean(&barge, "report");
}

#[test]
fn the_policy_allows_the_one_style_and_nothing_else() {
    let barge = Barge::new();
    two_images(&barge);
    barge.line("report dist -o page.html").exits(0);
    let page = page(&barge, "page.html");
    let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let hash = base64::engine::general_purpose::STANDARD.encode(Digest::of(style.as_bytes()).as_bytes());
    let policy = format!(
        "content=\"default-src &#39;none&#39;; style-src &#39;sha256-{hash}&#39;; base-uri &#39;none&#39;; \
         form-action &#39;none&#39;\""
    );
    assert!(page.contains(&policy), "{}", &page[..600]);
    assert!(page.find("Content-Security-Policy") < page.find("<style>"), "the policy comes first");
}

#[test]
fn who_shares_what_adds_up() {
    let barge = Barge::new();
    two_images(&barge);
    let report = barge.line("report --json dist").exits(0).json();
    let result = &report["results"][0];
    let base = "base for linux/amd64".len() as u64 * 300;
    let own = "web for linux/amd64".len() as u64 * 20;
    let bytes = &result["bytes"];
    assert_eq!((&bytes["shared"], &bytes["single"]), (&json!(2 * base), &json!(4 * own)));
    assert_eq!((&bytes["saved"], &bytes["unreferenced"], &bytes["other"]), (&json!(2 * base), &json!(0), &json!(0)));
    let on_disk: u64 =
        fs::read_dir(barge.path("dist/blobs/sha256")).unwrap().map(|it| it.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(bytes["total"], on_disk);
    let layers = result["layers"].as_array().unwrap();
    let first = |at: usize| result["images"][at]["entries"][0].clone();
    // those that save most come first, and of these the one that is met first
    assert_eq!(layers[0]["digest"], first(0)["layers"][0]);
    assert_eq!(layers[0]["images"], json!([first(0)["digest"], first(1)["digest"]]));
    assert_eq!((&layers[0]["saved"], &layers[0]["state"]), (&json!(base), &json!("here")));
    assert_eq!(layers.iter().filter(|layer| layer["saved"] == 0).count(), 4);
    assert_eq!((&result["ok"], &result["checked"]), (&json!(true), &json!("digests")));
}

#[test]
fn what_is_wrong_stands_on_the_page_and_gives_the_exit_code() {
    let barge = Barge::new();
    let mut images = two_images(&barge);
    let blobs = |images: &Images| images.blobs.clone();
    let path = |digest: &str| barge.path("dist/blobs").join(digest.replace(':', "/"));
    let layers: Vec<String> = blobs(&images)
        .iter()
        .filter(|(_, bytes)| bytes.starts_with(b"base"))
        .map(|(digest, _)| digest.clone())
        .collect();
    fs::remove_file(path(&layers[0])).unwrap();
    let mut flipped = images.blobs[&layers[1]].clone();
    flipped[7] ^= 1;
    fs::write(path(&layers[1]), &flipped).unwrap();
    let lost = images.put(GZIP, b"nobody's");
    fs::write(path(digest(&lost)), b"nobody's").unwrap();

    let report = barge.line("report --json dist -o page.html").exits(4).says(&["2 problems found"]).json();
    assert_eq!((&report["ok"], &report["error"]["class"]), (&json!(false), &json!("content")));
    let result = &report["results"][0];
    let mut found: Vec<(&str, &str)> = result["problems"].as_array().unwrap().iter().map(words).collect();
    found.sort_unstable();
    let mut expected = [(layers[0].as_str(), "missing"), (layers[1].as_str(), "digest-mismatch")];
    expected.sort_unstable();
    assert_eq!(found, expected);
    let state = |digest: &str| {
        let mut layers = result["layers"].as_array().unwrap().iter();
        layers.find(|layer| layer["digest"] == digest).unwrap()["state"].clone()
    };
    assert_eq!((state(&layers[0]), state(&layers[1])), (json!("missing"), json!("wrong")));
    assert_eq!(result["unreferenced"], json!([digest(&lost)]));
    let whole = page(&barge, "page.html");
    for part in [">2 problems found</b>", ">missing</b>", ">digest-mismatch</b>", &layers[0], "A!", digest(&lost)] {
        assert!(whole.contains(part), "{part} is not in\n{whole}");
    }
    assert!(!whole.contains(">Verified<"));

    // what is not read is not called right: only what is missing shows
    fs::write(path(&layers[0]), &images.blobs[&layers[0]]).unwrap();
    barge.line("report --no-verify dist -o page.html").exits(0).says(&["not verified"]);
    let looked = page(&barge, "page.html");
    assert!(looked.contains(">Not verified</b>") && !looked.contains(">Verified<"));
    fs::remove_file(path(&layers[0])).unwrap();
    let absent = barge.line("report --json --no-verify dist").exits(4).json();
    assert_eq!(
        absent["results"][0]["problems"].as_array().unwrap().iter().map(words).collect::<Vec<_>>(),
        [expected_of(&expected, &layers[0])]
    );
    assert_eq!((&absent["results"][0]["checked"], &absent["stats"]["problems"]), (&json!("presence"), &json!(1)));
}

fn words(problem: &Value) -> (&str, &str) {
    (problem["digest"].as_str().unwrap(), problem["status"].as_str().unwrap())
}

fn expected_of<'a>(all: &[(&'a str, &'a str)], digest: &str) -> (&'a str, &'a str) {
    *all.iter().find(|(subject, _)| *subject == digest).unwrap()
}

#[test]
fn deep_unpacks_and_says_so() {
    let barge = Barge::new();
    let mut images = Images::new();
    let liar = Layer { diff_id: Digest::of(b"something else").to_string(), ..Layer::gzip(b"content") };
    let image = images.image("linux/amd64", &[liar]);
    images.root(named(image, "v1"));
    images.archive(&barge.path("a.tar"));
    barge.line("report a.tar -o page.html").exits(0);
    let report = barge.line("report --deep --json a.tar -o page.html").exits(4).json();
    assert_eq!(report["results"][0]["problems"][0]["status"], "diffid-mismatch");
    assert!(page(&barge, "page.html").contains(">diffid-mismatch</b>"));
}

#[test]
fn signatures_are_listed_and_checked_when_there_is_a_key() {
    let barge = Barge::new();
    two_images(&barge);
    for key in ["right", "other"] {
        barge.line(&format!("key generate --no-password -o {key}")).exits(0);
    }
    barge.line("sign --key right.key dist:example.com/web:v1").exits(0);
    barge.line("sign --key other.key dist:example.com/api:v1").exits(0);
    barge.write("sbom.json", "{}");
    barge.line("attach dist:example.com/web:v1 sbom.json --type application/spdx+json").exits(0);
    barge.line("-L dist save -o b.tar --sign-key right.key").exits(0);
    let fingerprint = barge.line("key public --json right.key").exits(0).json()["results"][0]["fingerprint"].clone();

    let listed = barge.line("report --json b.tar -o page.html").exits(0).json();
    let result = &listed["results"][0];
    assert_eq!(result["images"].as_array().unwrap().len(), 2, "signatures are no images");
    assert_eq!((&result["images"][0]["signatures"], &result["images"][0]["attachments"]), (&json!(1), &json!(2)));
    assert_eq!(result["bundle"]["signature"]["result"], "unchecked");
    assert!(page(&barge, "page.html").contains("2 signatures, not checked: no key was given"));

    let checked = barge.line("report --json --key right.pub b.tar -o page.html").exits(0).json();
    let result = &checked["results"][0];
    assert_eq!(result["bundle"]["signature"]["signedBy"], fingerprint);
    assert_eq!(result["images"][0]["signedBy"], json!([fingerprint]));
    assert_eq!(result["images"][1]["signedBy"], json!([]));
    let mut results: Vec<&str> = result["attachments"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|one| one["signatures"].as_array().unwrap())
        .map(|signature| signature["result"].as_str().unwrap())
        .collect();
    results.sort_unstable();
    assert_eq!(results, ["fails", "holds"]);
    let whole = page(&barge, "page.html");
    for part in ["2, of which 1 by the keys given", ">holds</b>", ">not by the keys given</b>", "application/spdx+json"]
    {
        assert!(whole.contains(part), "{part} is not in\n{whole}");
    }
}

#[test]
fn one_image_is_told_of_alone() {
    let barge = Barge::new();
    two_images(&barge);
    let report = barge.line("report --json dist:example.com/api:v1 -o page.html").exits(0).json();
    let result = &report["results"][0];
    assert_eq!(result["images"][0]["names"], json!(["example.com/api:v1"]));
    assert_eq!((result["images"].as_array().unwrap().len(), &result["bytes"]["shared"]), (1, &json!(0)));
    assert!(!page(&barge, "page.html").contains("/web:"));
}

#[test]
fn the_page_goes_where_it_is_wanted_or_nowhere() {
    let barge = Barge::new();
    two_images(&barge);
    barge.line("report dist").exits(2).says(&["cannot tell where the page goes", "-o"]);
    barge.line("report --json dist -o -").exits(2).says(&["standard output"]);
    barge.line("report --deep --no-verify dist -o -").exits(2);
    barge.line("report nowhere -o page.html").exits(3);
    barge.line("report dist:nothing -o page.html").exits(3);
    barge.line("report docker://example.com/app:v1 -o page.html").exits(2).says(&["pull it first"]);
    barge.line("report --dry-run dist -o page.html").exits(0);
    barge.line("report --key absent.pub dist -o page.html").exits(3);
    assert!(!barge.path("page.html").exists());
    let before = barge.write("page.html", "of before");
    barge.line("report dist -o no/such/page.html").exits(3);
    assert_eq!(fs::read(&before).unwrap(), b"of before");
    // a mistyped name costs nothing
    barge.line("report dist -o page.html").exits(9).says(&["something else than a report is there"]);
    barge.line("report dist -o dist").exits(9);
    assert_eq!(fs::read(&before).unwrap(), b"of before");
    barge.line("report -q dist -o new.html").exits(0).silent();
    let first = page(&barge, "new.html");
    barge.line("report -q dist:example.com/web:v1 -o new.html").exits(0).silent();
    assert!(page(&barge, "new.html").starts_with("<!doctype html>") && page(&barge, "new.html") != first);
    assert_clean(&barge, "report");
}

#[test]
fn a_place_with_nothing_or_without_its_manifest_has_a_page() {
    let barge = Barge::new();
    Images::new().layout(&barge.path("empty"));
    barge.line("report empty -o page.html").exits(0).says(&["0 images"]);
    assert!(page(&barge, "page.html").contains("None found"));
    barge.write("empty/index.json", "{");
    barge.line("report empty -o page.html").exits(4).says(&["index.json"]);
    let mut images = Images::new();
    let gone = annotated(
        json!({"mediaType": support::image::MANIFEST, "digest": Digest::of(b"gone").to_string(), "size": 4}),
        "a",
        "b",
    );
    images.root(named(gone, "gone:v1"));
    images.layout(&barge.path("gone"));
    barge.line("report gone -o page.html").exits(4);
    assert!(page(&barge, "page.html").contains(">1 missing</b>"));
}
