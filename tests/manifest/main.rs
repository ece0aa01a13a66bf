//! `manifest` as scripts use it: lists by name, in the current layout.

// helpers of tests stand outside of test functions
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../cli/environment.rs"]
#[allow(dead_code)] // made for all that the command line can do
mod environment;

use environment::{Barge, listing};
use serde_json::Value;

const ARM64: &str = "skopeo-arm64.tar";
const ARMV7: &str = "docker-armv7.tar";
const RISCV: &str = "buildah-riscv64.tar";
const SEVERAL: &str = "buildx-amd64-arm64.tar";

/// Returns a directory with images of several makes, and `lay` as the current layout.
fn bench() -> Barge {
    let barge = Barge::new();
    barge.fixtures(&[ARM64, ARMV7, RISCV, SEVERAL]);
    barge
}

fn entries(barge: &Barge, list: &str) -> Vec<(String, String)> {
    let index = barge.line(&format!("-L lay --json manifest inspect {list}")).exits(0).json();
    let manifests = index["results"][0]["document"]["manifests"].as_array().unwrap().clone();
    let platform = |entry: &Value| {
        let told = &entry["platform"];
        let words = [&told["os"], &told["architecture"], &told["variant"]].into_iter().filter_map(Value::as_str);
        words.collect::<Vec<_>>().join("/")
    };
    manifests.iter().map(|it| (platform(it), it["digest"].as_str().unwrap().to_owned())).collect()
}

fn platforms(barge: &Barge, list: &str) -> Vec<String> {
    entries(barge, list).into_iter().map(|(platform, _)| platform).collect()
}

#[test]
fn a_list_is_what_merge_makes_of_the_same_images() {
    let barge = bench();
    let merged = barge.line(&format!("merge -o other -t quay.io/o/app:v1 {ARMV7} {RISCV} {SEVERAL}")).exits(0);
    let listed = barge.line(&format!("-L lay manifest create quay.io/o/app:v1 {SEVERAL} {RISCV} {ARMV7}")).exits(0);
    assert_eq!(listed.stdout(), merged.stdout());
    let hint = "hint: buildx-amd64-arm64.tar: all platforms of it are taken";
    listed.says(&[hint]);
    // whoever says --all, or which ones, knows
    barge.line(&format!("-L lay manifest create all:v1 --all {SEVERAL}")).exits(0).never(&[hint]);
    barge.line(&format!("-L lay manifest create some:v1 --platform linux/amd64 {SEVERAL}")).exits(0).never(&[hint]);
    barge.line("verify --deep lay").exits(0);
    // from names in the layout itself nothing is brought, and the list is the same
    barge.line(&format!("copy {SEVERAL} lay")).exits(0);
    let before = listing(&barge.path("lay/blobs"));
    let again = barge.line("-L lay manifest create quay.io/o/again:v1 quay.io/o/app:v1").exits(0);
    assert_eq!(again.stdout(), merged.stdout());
    assert_eq!(listing(&barge.path("lay/blobs")), before);
}

#[test]
fn a_name_that_is_taken_is_kept_amended_or_replaced() {
    let barge = bench();
    let first = barge.line(&format!("-L lay manifest create app:v1 {ARM64}")).exits(0).stdout().to_owned();
    barge.line(&format!("-L lay manifest create app:v1 {RISCV}")).exits(9).says(&["--amend adds", "--replace", &first]);
    for _ in 0..2 {
        // as in scripts that run again
        let amended = barge.line(&format!("-L lay manifest create --amend app:v1 {RISCV}")).exits(0);
        amended.silent_but(&["app:v1"]);
        assert_eq!(platforms(&barge, "app:v1"), ["linux/arm64/v8", "linux/riscv64"]);
    }
    barge.line(&format!("-L lay manifest create -a new:v1 {RISCV}")).exits(0);
    barge.line(&format!("-L lay manifest create --replace app:v1 {ARMV7}")).exits(0).silent_but(&["listed 1 platform"]);
    assert_eq!(platforms(&barge, "app:v1"), ["linux/arm/v7"]);
    // an image is no list
    barge.line(&format!("-L lay load -i {ARM64}")).exits(0);
    let names = barge.line("-L lay --json ls").exits(0).json();
    let image = names["results"].as_array().unwrap().iter().find(|it| it["kind"] == "image").unwrap().clone();
    let name = image["names"][0].as_str().unwrap().to_owned();
    barge
        .line(&format!("-L lay manifest create --amend {name} {RISCV}"))
        .exits(9)
        .says(&["it is an image, not a list"]);
    barge.line(&format!("-L lay manifest rm {name}")).exits(9);
    barge.line(&format!("-L lay manifest exists {name}")).exits(1);
}

#[test]
fn an_image_is_found_by_its_repository_and_digest() {
    let barge = bench();
    let line = |form: &str| format!("-L lay manifest create quay.io/o/app:v1{form} {ARMV7} {RISCV} {ARM64}");
    barge.line(&line("")).exits(0);
    let held = entries(&barge, "quay.io/o/app:v1");
    let by = |at: usize| format!("quay.io/o/app@{}", held[at].1);
    barge.line(&format!("-L lay manifest create quay.io/o/app:v2 {} {}", by(2), by(0))).exits(0);
    assert_eq!(entries(&barge, "quay.io/o/app:v2"), [held[0].clone(), held[2].clone()]);
    // the repository of another image is not where it is
    barge.line(&format!("-L lay manifest create x:v1 quay.io/o/other@{}", held[0].1)).exits(3);
    let all: Vec<String> = (0..3).map(by).collect();
    let again = barge.line(&format!("-L lay manifest create --amend again:v1 --amend {}", all.join(" -a "))).exits(0);
    assert_eq!(again.stdout(), barge.line(&line("-same")).exits(0).stdout());
}

#[test]
fn two_images_for_one_platform_are_refused_with_both_digests() {
    let barge = bench();
    barge.line(&format!("-L lay manifest create app:v1 {ARM64}")).exits(0);
    let held = entries(&barge, "app:v1")[0].1.clone();
    let before = listing(&barge.path("lay"));
    let refused = barge.line(&format!("-L lay manifest add app:v1 {SEVERAL}")).exits(4);
    refused.says(&[&held, "linux/arm64 is there twice", "--on-duplicate"]);
    assert_eq!(listing(&barge.path("lay")), before);
    barge.line(&format!("-L lay manifest add --on-duplicate replace app:v1 {SEVERAL}")).exits(0);
    assert!(entries(&barge, "app:v1").iter().all(|(_, digest)| *digest != held));
}

#[test]
fn an_empty_list_is_filled_one_by_one() {
    let barge = bench();
    barge.line("-L lay manifest create app:v1").exits(0);
    assert!(platforms(&barge, "app:v1").is_empty());
    barge.line(&format!("-L lay manifest add app:v1 {ARM64} --annotation a=b")).exits(0).silent_but(&[]);
    let added = barge.line(&format!("-L lay manifest add app:v1 {RISCV} --arch s390x")).exits(0);
    added.says(&["linux/s390x by its index and linux/riscv64 by its config"]);
    assert_eq!(platforms(&barge, "app:v1"), ["linux/arm64/v8", "linux/s390x"]);
    let shown = barge.line("-L lay manifest inspect app:v1").exits(0);
    assert!(shown.stdout().contains("\"a\": \"b\""), "{}", shown.stdout());
    barge.line(&format!("-L lay manifest add app:v1 {SEVERAL} --arch s390x")).exits(2).says(&["it is several images"]);
    barge.line(&format!("-L lay manifest add nothing:v1 {ARM64}")).exits(3);
}

#[test]
fn what_a_list_says_changes_and_no_image_does() {
    let barge = bench();
    barge.line(&format!("-L lay manifest create app:v1 {ARM64} {RISCV} {ARMV7}")).exits(0);
    barge.line("-L lay tag :app:v1 app:same").exits(0);
    let before = entries(&barge, "app:v1");
    for (line, said) in [
        ("annotate app:v1 linux/arm64 --annotation k=v --os-features x,y", "annotated"),
        (&format!("annotate app:v1 {} --variant v6", &before[0].1[..16]), "linux/arm/v7 by its config"),
        ("annotate --index app:v1 --annotation whole=1", "app:v1"),
    ] {
        barge
            .line(&format!("-L lay manifest {line}"))
            .exits(0)
            .says(&[said, "was sha256:", "is  sha256:"])
            .never(&["has lost the name"]);
    }
    let after = entries(&barge, "app:v1");
    assert_eq!(
        after.iter().map(|(_, digest)| digest).collect::<Vec<_>>(),
        before.iter().map(|(_, it)| it).collect::<Vec<_>>()
    );
    assert_eq!(after[0].0, "linux/arm/v6");
    assert_eq!(entries(&barge, "app:same"), before, "another name means what it meant");
    let shown = barge.line("-L lay --json manifest inspect app:v1").exits(0).json()["results"][0]["document"].clone();
    assert_eq!(shown["annotations"]["whole"], "1");
    assert_eq!(shown["manifests"][1]["annotations"]["k"], "v");
    assert_eq!(shown["manifests"][1]["platform"]["os.features"], serde_json::json!(["x", "y"]));
    barge
        .line("-L lay manifest annotate app:v1 linux/riscv64 --arch arm --variant v6")
        .exits(9)
        .says(&["another entry is for it"]);
    barge.line("-L lay manifest annotate app:v1 linux/arm64").exits(2).says(&["nothing is to change"]);
    barge.line("-L lay manifest annotate app:v1 linux/s390x --os x").exits(3).says(&["it has", "linux/riscv64"]);
}

#[test]
fn a_list_says_what_it_belongs_to() {
    let barge = bench();
    barge.line(&format!("-L lay manifest create app:v1 {ARM64} {RISCV}")).exits(0);
    barge.line(&format!("-L lay manifest create about:v1 {ARMV7}")).exits(0);
    let annotate = "-L lay manifest annotate --index about:v1 --subject";
    barge.line(&format!("{annotate} app:v1")).exits(0).silent_but(&["was sha256:"]);
    barge.line(&format!("{annotate} app:v1")).exits(0).silent_but(&["says so already"]);
    let subject = |list: &str| {
        let shown = barge.line(&format!("-L lay --json manifest inspect {list}")).exits(0).json();
        (shown["results"][0]["document"]["subject"].clone(), shown["results"][0]["digest"].clone())
    };
    let (told, _) = subject("about:v1");
    assert_eq!(told["digest"], subject("app:v1").1);
    assert_eq!(told.as_object().unwrap().len(), 3, "{told}");
    // it is listed as before, and goes along with what it belongs to
    barge.line("-L lay manifest ls").exits(0).prints(&["library/about:v1", "library/app:v1"]);
    barge.line("copy lay:app:v1 other").exits(0);
    barge.line("-L other manifest exists about:v1").exits(0);
    barge.line("verify --deep lay").exits(0);
    for (code, words, said) in [
        (9, "--index about:v1 --subject about:v1", "belongs to itself"),
        (3, "--index about:v1 --subject nothing:v1", "nothing:v1"),
        (2, "about:v1 linux/arm/v7 --subject app:v1", "--subject"),
        (2, "about:v1 --subject app:v1", "--index"),
        (2, "--index about:v1 --subject docker://quay.io/x:1", "docker://"),
    ] {
        barge.line(&format!("-L lay manifest annotate {words}")).exits(code).says(&[said]);
    }
    barge.line("-L lay convert --to docker -t docker:v1 :app:v1").exits(0);
    barge.line("-L lay manifest annotate --index docker:v1 --subject app:v1").exits(9).says(&["convert --to oci"]);
}

#[test]
fn entries_go_by_digest_platform_or_name_and_with_their_attestations() {
    let barge = bench();
    barge.line(&format!("-L lay manifest create app:v1 {ARMV7} {RISCV} {SEVERAL}")).exits(0);
    let all = entries(&barge, "app:v1");
    barge.line("-L lay manifest remove app:v1 linux/arm/v7").exits(0).says(&["removed sha256:"]);
    let riscv = &all.iter().find(|(platform, _)| platform == "linux/riscv64").unwrap().1;
    barge.line(&format!("-L lay manifest remove app:v1 {riscv}")).exits(0);
    barge.line("-L lay manifest remove app:v1 linux/arm64").exits(0).says(&["it is an attestation of what is removed"]);
    let left = platforms(&barge, "app:v1");
    assert_eq!(left, ["linux/amd64", "unknown/unknown"]);
    barge.line("verify --deep lay").exits(0);
    barge.line("-L lay manifest remove app:v1 sha256:0000000").exits(3).says(&["linux/amd64"]);
}

#[test]
fn whole_lists_go_by_name_and_a_digest_is_asked_about() {
    let barge = bench();
    for name in ["a:v1", "b:v1", "c:v1"] {
        barge.line(&format!("-L lay manifest create {name} {ARM64}")).exits(0);
    }
    let digest = entries(&barge, "a:v1")[0].1.clone();
    barge.line(&format!("-L lay manifest rm a:v1 {digest}")).exits(2).says(&["barge manifest remove a:v1"]);
    barge.line("-L lay manifest rm a:v1 b:v1").exits(0).says(&["removed 2 lists"]);
    barge.line("-L lay manifest exists a:v1").exits(1).silent();
    barge.line("-L lay manifest exists c:v1").exits(0).silent();
    barge.line("-L nowhere manifest exists c:v1").exits(125);
    barge.line("-L lay manifest rm a:v1").exits(3);
    let lists = barge.line("-L lay manifest ls").exits(0);
    lists.prints(&["docker.io/library/c:v1", "linux/arm64", "whole"]).never(&["library/a:v1"]);
}

#[test]
fn a_bare_name_is_local_whatever_it_looks_like() {
    let barge = bench();
    barge.line(&format!("-L lay manifest create quay.io/fedora/fedora:41 {ARM64}")).exits(0);
    let shown = barge.line("-L lay --no-network manifest inspect quay.io/fedora/fedora:41").exits(0);
    shown.says(&["quay.io/fedora/fedora:41 in oci:lay"]);
    // and with docker:// it is never the local one
    barge
        .line("-L lay --no-network manifest inspect docker://quay.io/fedora/fedora:41")
        .exits(2)
        .says(&["--no-network"]);
    barge.line("-L lay manifest create docker://quay.io/x:1").exits(2).says(&["it is in a registry"]);
    barge
        .line("-L lay --no-network manifest create x:1 quay.io/other/app:1")
        .exits(3)
        .says(&["docker://quay.io/other/app:1"]);
    barge.line("-L lay manifest inspect golang:1.21").exits(3).says(&["docker://golang:1.21"]);
    barge.line("-L lay manifest create x:1 org/app").exits(3).says(&["docker://org/app"]);
    barge.line("-L lay manifest create x:1 ./app.tar").exits(3).never(&["docker://"]);
    barge.line("manifest ls").exits(3).says(&["-L DIR"]);
}

#[test]
fn a_dry_run_says_the_digest_and_writes_nothing() {
    let barge = bench();
    let would = barge.line(&format!("-L lay --dry-run manifest create app:v1 {ARM64}")).exits(0);
    assert!(!barge.path("lay").exists());
    let done = barge.line(&format!("-L lay manifest create app:v1 {ARM64}")).exits(0);
    assert_eq!(would.stdout(), done.stdout());
    let before = listing(&barge.path("lay"));
    barge.line("-L lay --dry-run manifest remove app:v1 linux/arm64").exits(0);
    barge.line("-L lay --dry-run manifest rm app:v1").exits(0).says(&["would remove 1 list"]);
    assert_eq!(listing(&barge.path("lay")), before);
}
