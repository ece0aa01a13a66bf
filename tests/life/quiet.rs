//! `--dry-run` writes nothing, and `--json` has the fields that docs/json.md promises.

use std::collections::BTreeSet;
use std::fs;

use super::bench::Bench;
use super::made::{Made, two_images};

fn bench() -> Bench {
    let bench = Bench::new();
    let mut made = two_images();
    made.put("x", b"stray");
    made.layout(&bench.path("layout"));
    made.archive(&bench.path("archive.tar"));
    let mut other = Made::new();
    let image = other.image("linux/riscv64", &["other"]);
    other.root(super::made::tagged(&image, "v9"));
    other.layout(&bench.path("other"));
    bench
}

#[test]
fn a_dry_run_writes_nothing() {
    let bench = bench();
    let before = bench.listing();
    for line in [
        "copy layout new",
        "copy layout new.tar",
        "copy layout other archive.tar",
        "copy --platform linux/arm64 layout:app:v1 oci:other:x:1",
        "save -o new.tar layout",
        "save --force -o archive.tar layout",
        "save --compress gzip -o new.tar.gz layout",
        "save --format docker --platform linux/amd64 -o new.tar layout",
        "load -i archive.tar -o new",
        "load -i archive.tar -o other",
        "load -i archive.tar -o new.tar",
        "tag layout:app:v1 new:v1",
        "tag archive.tar:app:v1 new:v1",
        "rm layout:app:v1",
        "rm archive.tar:app:v1",
        "rm --gc layout:app:v1",
        "rm --gc --platform linux/amd64 layout:app:v1 archive.tar:app:v1",
        "gc --grace 0 layout",
    ] {
        let ran = bench.ok(&format!("--dry-run {line}"));
        assert_eq!(bench.listing(), before, "{line}");
        ran.says("would ");
        let json = bench.ok(&format!("--dry-run --json {line}")).json();
        assert!(!json["results"].as_array().unwrap().is_empty(), "{line}");
        for result in json["results"].as_array().unwrap() {
            assert_eq!(result["dryRun"], true, "{line}: {result}");
        }
        assert_eq!(bench.listing(), before, "{line}");
    }
    assert!(bench.ok("--dry-run save -o - layout").stdout.is_empty(), "a stream is written too");
    assert!(bench.ok("--dry-run copy layout -").stdout.is_empty());
    assert_eq!(bench.listing(), before);
}

#[test]
fn every_field_is_there_and_documented() {
    let documentation = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json.md")).unwrap();
    let carried = "place name digest from sparse referrers referrersLeft leftOut dryRun";
    let written = "bytes written present presentBytes kept keptBytes replaced images referrers referrersLeft seconds";
    let renamed = "place name digest dryRun";
    let removed = "place name from digest otherNames dryRun";
    let collected = "place removed bytes young kept foreign partial partialBytes loads dangling dryRun";
    for (section, line, fields, stats) in [
        ("copy, save, load", "copy layout new", carried, written),
        ("copy, save, load", "save -o new.tar layout", carried, written),
        ("copy, save, load", "load -i archive.tar -o loaded", carried, written),
        ("tag", "tag layout:app:v1 new:v1 new:v2", renamed, "seconds"),
        ("rm", "rm layout:app:v1", removed, "referrers seconds"),
        ("rm", "rm --gc --platform linux/amd64 new:app:v1", removed, "referrers removed bytes seconds"),
        ("gc", "gc --grace 0 layout", collected, "seconds"),
    ] {
        let bench = bench();
        bench.ok("copy layout new");
        let line = if line.starts_with("copy") { "copy layout newer" } else { line };
        let ran = bench.ok(&format!("--json {line}"));
        let json = ran.json();
        let text = documentation.split(&format!("## {section}\n")).nth(1).unwrap_or_else(|| panic!("no {section}"));
        let text = text.split("\n## ").next().unwrap();
        assert_eq!(json["command"], line.split(' ').next().unwrap());
        assert!(json["warnings"].is_array());
        let names = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let expected = |list: &str| list.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
        for result in json["results"].as_array().unwrap() {
            assert_eq!(names(result), expected(fields), "{line}: {result}");
        }
        assert_eq!(names(&json["stats"]), expected(stats), "{line}");
        for field in fields.split(' ').chain(stats.split(' ')).filter(|field| *field != "seconds") {
            assert!(text.contains(&format!("`{field}`")), "docs/json.md, {section}, says nothing of {field}");
        }
        // a failure is one object too
        let failed = bench.run(&format!("--json {} layout:nope x:1", line.split(' ').next().unwrap()));
        assert_ne!(failed.code, 0);
        assert!(failed.stdout.is_empty() || failed.json()["ok"] == false);
    }
}

#[test]
fn quiet_is_silent_and_the_result_is_on_standard_output_alone() {
    let bench = bench();
    for line in [
        "copy layout new",
        "save -o new.tar layout",
        "load -i archive.tar -o loaded",
        "tag layout:app:v1 new:v1",
        "rm layout:new:v1",
        "gc --grace 0 layout",
    ] {
        let ran = bench.ok(&format!("-q {line}"));
        assert_eq!(ran.stderr, "", "{line}");
        for word in ran.text().lines() {
            assert!(word.starts_with("sha256:"), "{line}: {word}");
        }
    }
}
