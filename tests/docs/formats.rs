//! `docs/formats.md`: the fields that the page has are those that the files have which barge writes.

use std::collections::BTreeSet;
use std::fs;

use regex_lite::Regex;
use serde_json::Value;

use super::setting::Setting;

/// Writes one of each, with every field in at least one of them.
const WRITTEN: &str = "
set -e
barge merge -q -L dist -o dist -t registry.example/org/app:v1 fixtures/umoci-amd64 fixtures/skopeo-arm64.tar
barge key generate -q --no-password -o release
barge sign -q --key release.key dist:registry.example/org/app:v1
seq 400000 >data
barge build -q -L dist -t registry.example/org/big:v1 --platform linux/amd64 --compression none --from scratch --add data:/
barge save -q -o bundle.tar --sign-key release.key dist
tar -xOf bundle.tar bundle.json >bundle.json
barge receipt -q -L dist -o site.json
barge push -q dist
barge receipt -q docker://registry.example -o registry.json
barge save -q -o update.tar --base registry.json dist
tar -xOf update.tar bundle.json >update.json
barge save -q -o set.tar --split 1M --split-mode archive dist
tar -xOf set.001.tar bundle.json >set.json
barge save -q -o parts.tar --split 1M dist
barge save -q -o compact.tar --compact --split 1M dist
printf 'sync:\\n- from: [{archive: bundle.tar}, {registry: \"registry.example/org/app:v1\"}]\\n  to: [{layout: x}]\\n' >barge.yaml
barge lock -q
";

/// Adds the paths of the fields of a value: `images[].name`.
fn fields(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                found.insert(path.clone());
                fields(value, &path, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| fields(value, &format!("{path}[]"), found)),
        _ => {}
    }
}

/// Returns the fields that a section of the page has.
fn said(page: &str, section: &str) -> BTreeSet<String> {
    let section = page.split(&format!("\n## {section}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
    let code = Regex::new("`([^`]+)`").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.split('|').nth(1).unwrap().to_owned());
    cells.flat_map(|cell| code.captures_iter(&cell).map(|found| found[1].to_owned()).collect::<Vec<_>>()).collect()
}

#[test]
fn the_page_has_the_fields_that_are_written() {
    let page = fs::read_to_string(super::docs().join("formats.md")).unwrap();
    let Some(setting) = Setting::fresh(&[]) else { return };
    let (code, printed) = setting.run(WRITTEN);
    assert_eq!(code, Some(0), "{printed}");
    for (section, files, schema) in [
        ("Packing list", &["bundle.json", "update.json", "set.json"][..], "barge/bundle/v1"),
        ("Receipt", &["site.json", "registry.json"], "barge/receipt/v1"),
        (
            "Note on a part",
            &["parts.tar.part-001.json", "parts.tar.part-002.json", "compact.tar.part-001.json"],
            "barge/part/v1",
        ),
        ("Lock", &["barge.lock"], "barge/lock/v1"),
    ] {
        let mut written = BTreeSet::new();
        for file in files {
            let text = fs::read_to_string(setting.path(file)).unwrap();
            // JSON is YAML
            let value: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(value["schema"], schema, "{file}");
            fields(&value, "", &mut written);
        }
        assert_eq!(said(&page, section), written, "{section}");
        assert!(page.contains(&format!("`{schema}`")));
    }
}
