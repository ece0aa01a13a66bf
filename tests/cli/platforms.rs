//! `merge`: which platform an image is for, which are wanted, and what happens when one is there twice.

use serde_json::{Value, json};

use super::support::image::{Images, Layer, annotated, config, digest, named, on, simple};
use super::*;

#[test]
fn platforms_narrow_what_is_taken() {
    let barge = Barge::new();
    simple(&["linux/amd64"]).layout(&barge.path("amd64"));
    simple(&["linux/arm64/v8"]).layout(&barge.path("arm64"));
    simple(&["linux/arm/v7"]).layout(&barge.path("armv7"));
    let cases: [(&str, &[&str]); 5] = [
        ("linux/amd64", &["linux/amd64"]),
        ("linux/arm64,linux/amd64", &["linux/amd64", "linux/arm64"]),
        ("linux/x86_64", &["linux/amd64"]),
        ("linux/aarch64", &["linux/arm64"]),
        ("all", &["linux/amd64", "linux/arm/v7", "linux/arm64"]),
    ];
    for (at, (platforms, expected)) in cases.into_iter().enumerate() {
        let words = format!("merge --json -o {at} -t app:v1 --platform {platforms} amd64 arm64 armv7");
        let report = barge.line(&words).exits(0).json();
        let taken: Vec<&Value> =
            report["results"][0]["platforms"].as_array().unwrap().iter().map(|member| &member["platform"]).collect();
        assert_eq!(taken, expected, "{platforms}");
    }
    // twice the option is both
    let twice =
        barge.line("merge -q --json -o twice -t a:v1 --platform linux/amd64 --platform linux/arm64 amd64 arm64");
    assert_eq!(twice.exits(0).json()["results"][0]["platforms"].as_array().unwrap().len(), 2);
}

#[test]
fn a_platform_that_is_nowhere_is_told_with_what_is_there() {
    let barge = Barge::new();
    simple(&["linux/amd64"]).layout(&barge.path("amd64"));
    simple(&["linux/arm64/v8"]).layout(&barge.path("arm64"));
    barge.line("merge -o out -t app:v1 --platform linux/s390x,linux/amd64 amd64 arm64").shows(
        "\
exit: 3
--- stderr
error: cannot find linux/s390x in any source
  caused by: they hold linux/amd64, linux/arm64
",
    );
    for platform in ["linux/", "/", "", "a/b/c/d/e", "all,linux/amd64", "linux/amd64,,"] {
        barge.run(["merge", "-o", "out", "-t", "app:v1", "--platform", platform, "amd64"]).exits(2).says(&["error: "]);
    }
    assert!(!barge.path("out").exists());
}

#[test]
fn an_image_that_is_not_wanted_need_not_be_whole() {
    // `docker save` of a partly pulled image lists platforms that it does not hold
    let barge = Barge::new();
    let mut images = simple(&["linux/amd64", "linux/arm64"]);
    let (amd64, arm64) = (on(images.roots[0].clone(), "linux/amd64"), on(images.roots[1].clone(), "linux/arm64"));
    images.blobs.remove(digest(&arm64));
    let index = images.index(&[amd64, arm64.clone()]);
    images.roots = vec![named(index, "v1")];
    for source in ["part", "part.tar"] {
        images.write(&barge.path(source));
        let refused = barge.line(&format!("merge -o out -t app:v1 {source}")).exits(4);
        refused.says(&[digest(&arm64), "linux/arm64", "\nhint: ", "--platform"]);
        barge.line(&format!("merge -o out-{source} -t app:v1 --platform linux/amd64 {source}")).exits(0);
    }
    assert!(!barge.path("out").exists());
}

#[test]
fn the_same_platform_twice_is_refused_unless_one_is_chosen() {
    let barge = Barge::new();
    let make = |name: &str, on: &str| {
        let mut images = Images::new();
        let image = images.image(on, &[Layer::plain(name.as_bytes())]);
        images.root(image.clone()).layout(&barge.path(name));
        digest(&image).to_owned()
    };
    // the same to every loader: v8 is what arm64 means
    let (one, two) = (make("one", "linux/arm64"), make("two", "linux/arm64/v8"));
    barge.line("merge -o out -t app:v1 one two").shows(&format!(
        "\
exit: 4
--- stderr
error: cannot merge: linux/arm64 is there twice
  caused by: one has {one}
  caused by: two has {two}

hint: leave one out, or say which one is meant with --on-duplicate replace (the later) or keep (the earlier)
"
    ));
    assert!(!barge.path("out").exists());
    for (choice, expected) in [("replace", &two), ("keep", &one)] {
        let words = format!("merge --json -o {choice} -t app:v1 --on-duplicate {choice} one two");
        let report = barge.line(&words).exits(0).json();
        let members = report["results"][0]["platforms"].as_array().unwrap();
        assert_eq!(members.len(), 1, "{choice}");
        assert_eq!(members[0]["digest"], **expected, "{choice}");
        assert!(report["warnings"][0].as_str().unwrap().contains(expected.as_str()), "{choice} is not said");
        // what was not taken is not brought either
        let verified = barge.line(&format!("verify --json {choice}")).exits(0).json();
        assert_eq!(verified["results"][0]["unreferenced"], json!([]), "{choice}");
    }
    barge.line("merge -o out -t app:v1 --on-duplicate whichever one two").exits(2);
}

#[test]
fn the_same_image_twice_is_one() {
    let barge = Barge::new();
    let images = simple(&["linux/amd64"]);
    images.layout(&barge.path("layout"));
    images.archive(&barge.path("same.tar"));
    let report = barge.line("merge --json -o out -t app:v1 layout same.tar layout").exits(0).json();
    assert_eq!(report["results"][0]["platforms"].as_array().unwrap().len(), 1);
    assert_eq!(report["warnings"], json!([]));
}

#[test]
fn a_zstd_twin_is_no_duplicate() {
    let barge = Barge::new();
    let mut images = Images::new();
    let content = b"twins".repeat(50);
    let gzip = on(images.image("linux/amd64", &[Layer::gzip(&content)]), "linux/amd64");
    let zstd = on(images.image("linux/amd64", &[Layer::zstd(&content)]), "linux/amd64");
    let zstd = annotated(zstd, "io.github.containers.compression.zstd", "true");
    let index = images.index(&[zstd.clone(), gzip.clone()]);
    images.root(index).layout(&barge.path("twins"));
    let merged = barge.line("merge -o out -t app:v1 twins").exits(0);
    let shown = barge.line(&format!("inspect --raw out@{}", merged.stdout())).exits(0);
    let index: Value = serde_json::from_slice(shown.bytes()).unwrap();
    assert_eq!(index["manifests"], json!([gzip, zstd]), "the one that everybody reads comes first");
    // the twin from a second place belongs to the first
    let (mut one, mut two) = (images.clone(), images);
    one.roots = vec![one.index(&[gzip])];
    two.roots = vec![two.index(&[zstd])];
    one.layout(&barge.path("one"));
    two.archive(&barge.path("two.tar"));
    assert_eq!(barge.line("merge -o out2 -t app:v1 two.tar one").exits(0).stdout(), merged.stdout());
}

#[test]
fn one_name_for_two_platforms_in_a_flat_index_is_one_image() {
    let barge = Barge::new();
    let mut images = simple(&["linux/amd64", "linux/arm64"]);
    images.roots = images.roots.iter().map(|root| named(root.clone(), "v1")).collect();
    for source in ["flat", "flat.tar"] {
        images.write(&barge.path(source));
        for word in [source.to_owned(), format!("{source}:v1")] {
            let report = barge.line(&format!("merge --json -o out-{source} -t app:v1 {word}")).exits(0).json();
            assert_eq!(report["results"][0]["platforms"].as_array().unwrap().len(), 2, "{word}");
        }
    }
    // two names are two images
    images.roots[1] = named(images.roots[1].clone(), "v2");
    images.layout(&barge.path("two"));
    let refused = barge.line("merge -o out -t app:v1 two").exits(3);
    refused.says(&["v1", "v2", "\nhint: "]);
    barge.line("merge -o out -t app:v1 two:v2 two:v1").exits(0);
}

#[test]
fn a_platform_comes_from_the_descriptor_else_from_the_config() {
    let barge = Barge::new();
    let layers = [Layer::plain(b"x")];
    let mut nothing = Images::new();
    let image = nothing.image_with(&json!({"rootfs": {"type": "layers", "diff_ids": [layers[0].diff_id]}}), &layers);
    nothing.root(image.clone()).layout(&barge.path("nothing"));
    let refused = barge.line("merge -o out -t app:v1 nothing").exits(4);
    refused.says(&[digest(&image), "platform", "\nhint: "]);
    assert!(!barge.path("out").exists());
    nothing.roots = vec![on(image, "linux/arm64")];
    nothing.layout(&barge.path("stated"));
    barge.line("merge -o stated-out -t app:v1 stated").exits(0).says(&["linux/arm64"]);

    let mut told = config("windows/amd64", &layers);
    told["os.version"] = json!("10.0.17763.1");
    told["os.features"] = json!(["win32k"]);
    let mut windows = Images::new();
    let image = windows.image_with(&told, &layers);
    windows.root(image).layout(&barge.path("windows"));
    let merged = barge.line("merge -o windows-out -t app:v1 windows").exits(0);
    let shown = barge.line(&format!("inspect windows-out@{}", merged.stdout())).exits(0);
    shown.prints(&["\"os.version\": \"10.0.17763.1\"", "\"os.features\""]);
}

#[test]
fn a_config_that_disagrees_with_its_descriptor_is_warned_of() {
    let barge = Barge::new();
    let mut images = simple(&["linux/amd64"]);
    images.roots[0] = on(images.roots[0].clone(), "linux/arm64");
    images.layout(&barge.path("odd"));
    let merged = barge.line("merge -o out -t app:v1 odd").exits(0);
    merged.says(&["warning: ", digest(&images.roots[0]), "linux/arm64", "linux/amd64", "taken as linux/arm64"]);
    barge.line("verify out").exits(4).prints(&["platform-mismatch"]);
}
