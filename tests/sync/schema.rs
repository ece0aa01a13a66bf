//! docs/sync.schema.json has the fields that the program takes, and takes what the program takes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use barge::sync_file::{FIELDS, SyncFile};
use serde_json::Value;

use crate::work::{skip, work};

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

fn schema() -> Value {
    serde_json::from_slice(&fs::read(docs("sync.schema.json")).unwrap()).unwrap()
}

#[test]
fn the_schema_has_all_fields_and_no_others() {
    let schema = schema();
    for (mapping, fields) in FIELDS {
        let mapping = &schema["$defs"][mapping];
        assert_eq!(mapping["additionalProperties"], false);
        let there: BTreeSet<&str> = mapping["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(there, fields.iter().copied().collect::<BTreeSet<_>>(), "{mapping}");
        for (name, field) in mapping["properties"].as_object().unwrap() {
            let said = field
                .get("description")
                .or_else(|| schema.pointer(field["$ref"].as_str()?.trim_start_matches('#'))?.get("description"));
            assert!(said.is_some(), "{name} is not described");
        }
    }
}

/// Returns the examples of the page: what stands in fences, under the names that their first lines say.
fn examples() -> Vec<(String, String)> {
    let page = fs::read_to_string(docs("sync.md")).unwrap();
    let blocks = page.split("```yaml\n# ").skip(1).map(|rest| rest.split("```").next().unwrap());
    let named = blocks.filter_map(|block| block.split_once('\n'));
    named.filter(|(name, _)| name.ends_with(".yaml")).map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

/// Files, and whether they are taken: what nobody can see without knowing expressions, ranges and names is not among them.
fn cases() -> Vec<(String, bool)> {
    let source = |text: &str| format!("sync: [{{from: [{text}], to: [{{layout: a}}]}}]");
    let target = |text: &str| format!("sync: [{{from: [{{layout: b}}], to: [{text}]}}]");
    let entry = |text: &str| format!("sync: [{{from: [{{layout: b}}], to: [{{layout: a}}], {text}}}]");
    let mut cases =
        vec![("sync: []".to_owned(), false), ("{}".to_owned(), false), ("images: [a]\nsync: []".to_owned(), false)];
    cases.push(("images: [a]\nsync: [{from: [{layout: b}], to: [{layout: a}]}]".to_owned(), true));
    cases.push(("more: 1\nsync: [{from: [{layout: b}], to: [{layout: a}]}]".to_owned(), false));
    let sources = [
        ("{registry: quay.io/a, tags: [v1, '1.0']}", true),
        ("{registry: quay.io/a, tags: []}", false),
        ("{registry: quay.io/a, tags: [1.0]}", false),
        ("{registry: quay.io/a, tags: ['a b']}", false),
        (
            "{registry: quay.io/a, tags: {regex: a, exclude: b, semver: '1', newest: 1, by: created, prereleases: true}}",
            true,
        ),
        ("{registry: quay.io/a, tags: {exclude: b}}", false),
        ("{registry: quay.io/a, tags: {newest: 0}}", false),
        ("{registry: quay.io/a, tags: {newest: 1001}}", false),
        ("{registry: quay.io/a, tags: {newest: '1'}}", false),
        ("{registry: quay.io/a, tags: {regex: a, by: created}}", false),
        ("{registry: quay.io/a, tags: {newest: 1, by: age}}", false),
        ("{registry: quay.io/a, tags: {newest: 1, prereleases: 'yes'}}", false),
        ("{registry: quay.io/a, tags: {newest: 1, other: 1}}", false),
        ("{registry: quay.io/a, tags: x}", false),
        ("{registry: quay.io/a, tags: [a], images: [b]}", false),
        ("{registry: quay.io/a, tags: [a], layout: b}", false),
        ("{registry: quay.io/a, tags: [a], verify-key: [k]}", false),
        ("{registry: 'quay.io/*', tags: [a]}", true),
        ("{registry: 'quay.io/a:v1'}", true),
        ("{layout: b, tags: [a], images: ['x/**']}", true),
        ("{layout: b, verify-key: [k]}", false),
        ("{layout: ''}", false),
        ("{layout: '-'}", false),
        ("{layout: 'oci:x'}", false),
        ("{archive: 'b/*.tar', verify-key: [k], tags: [a], images: [c]}", true),
        ("{archive: 'docker://x/y'}", false),
        ("{list: b}", true),
        ("{list: b, tags: [a]}", false),
        ("{list: b, images: [a]}", false),
        ("{tags: [a]}", false),
        ("a", false),
    ];
    let targets = [
        ("{registry: quay.io, rename: '{registry}/{repository}/{name}:{tag}-{digest}'}", true),
        ("{registry: quay.io, rename: '{other}:{tag}'}", false),
        ("{registry: quay.io, rename: 'a/b'}", false),
        ("{registry: quay.io, rename: 'a{:b'}", false),
        ("{layout: a, split: 1G}", false),
        ("{archive: a, base: [b]}", false),
        ("{archive: a, sign-key: b}", false),
        ("{bundle: a, split: 4G, split-mode: archive, base: [b], base-key: [c], sign-key: d, rename: 'a:{tag}'}", true),
        ("{bundle: a, split: 1048576}", true),
        ("{bundle: a, split: 650MiB}", true),
        ("{bundle: a, split: 4.4G}", false),
        ("{bundle: a, split: 4iB}", false),
        ("{bundle: a, media: dvd, split-mode: stream}", true),
        ("{bundle: a, media: tape}", false),
        ("{bundle: a, media: dvd, split: 1G}", false),
        ("{bundle: a, split-mode: archive}", false),
        ("{bundle: a, base-key: [c]}", false),
        ("{bundle: a, layout: b}", false),
        ("{rename: 'a:{tag}'}", false),
    ];
    let entries = [
        (
            "name: a, platforms: [linux/amd64], index: keep, referrers: [cosign, a/b], rename: 'a:b', require-signature: [k]",
            true,
        ),
        ("referrers: all", true),
        ("referrers: none", true),
        ("referrers: some", false),
        ("referrers: [sbom]", false),
        ("index: small", false),
        ("platforms: linux/amd64", false),
        ("require-signature: k", false),
        ("name: 1", false),
        ("other: 1", false),
    ];
    cases.extend(sources.map(|(text, taken)| (source(text), taken)));
    cases.extend(targets.map(|(text, taken)| (target(text), taken)));
    cases.extend(entries.map(|(text, taken)| (entry(text), taken)));
    cases
}

#[test]
fn the_program_takes_the_examples_and_what_the_cases_say() {
    let examples = examples();
    assert!(examples.len() >= 5, "{examples:?}");
    for (name, text) in examples {
        assert_eq!(SyncFile::parse(&name, text.as_bytes()).is_ok(), name != "wrong.yaml", "{name}");
    }
    for (text, taken) in cases() {
        let parsed = SyncFile::parse("case", text.as_bytes());
        assert_eq!(parsed.is_ok(), taken, "{text}\n{:?}", parsed.err());
    }
}

/// Validates what it reads, an object of names and texts of YAML, and prints the names of those that the schema takes.
const VALIDATE: &str = "
import json, sys, yaml, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
taken = [name for name, text in json.load(sys.stdin).items() if validator.is_valid(yaml.safe_load(text))]
json.dump(taken, sys.stdout)
";

#[test]
fn the_schema_takes_the_examples_and_what_the_cases_say() {
    if work(&["python3"]).is_none() {
        return;
    }
    let mut probe = Command::new("python3");
    let probed = probe
        .args(["-W", "ignore", "-c", "import jsonschema, yaml; jsonschema.Draft202012Validator"])
        .output()
        .unwrap();
    if !probed.status.success() {
        assert!(std::env::var_os("CI").is_none(), "CI must have python3-jsonschema and python3-yaml");
        return skip("no python3-jsonschema and python3-yaml");
    }
    let mut texts = serde_json::Map::new();
    let mut expected = BTreeSet::new();
    let examples = examples().into_iter().map(|(name, text)| (text, name != "wrong.yaml"));
    for (text, taken) in cases().into_iter().chain(examples) {
        if taken {
            expected.insert(text.clone());
        }
        texts.insert(text.clone(), Value::String(text));
    }
    let mut child = Command::new("python3")
        .args(["-W", "ignore", "-c", VALIDATE])
        .arg(docs("sync.schema.json"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), &texts).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let taken: BTreeSet<String> = serde_json::from_slice(&output.stdout).unwrap();
    let odd: Vec<&String> = taken.symmetric_difference(&expected).collect();
    assert!(odd.is_empty(), "taken by one alone:\n{odd:#?}");
}
