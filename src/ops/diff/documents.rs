//! Comparing documents: indexes by platform, manifests by their parts, configs and the rest by their fields.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::Error;
use super::super::choose::platform_of;
use super::{Depth, Difference, files};
use crate::content::{Descriptor, Kind};
use crate::document::{Body, Document, Manifest};
use crate::json;
use crate::store::{Source, StoreError, read_document, read_small};

/// What is compared: where it is, and which.
type Held<'a> = (&'a dyn Source, &'a Descriptor);

/// How much of a value is shown.
const LONGEST: usize = 200;

/// Compares two images and everything below them that differs.
///
/// # Errors
/// When a document that differs cannot be read.
pub(super) fn compare(
    first: Held<'_>,
    second: Held<'_>,
    path: &[String],
    depth: Depth<'_>,
    found: &mut Vec<Difference>,
) -> Result<(), Error> {
    // what is to do, so that a deep image costs no stack
    let mut pending = vec![(first.0, first.1.clone(), second.0, second.1.clone(), path.to_vec())];
    while let Some((one_source, one, other_source, other, path)) = pending.pop() {
        if one.digest() == other.digest() {
            continue;
        }
        note(found, &path, &[], Some(one.digest().to_string()), Some(other.digest().to_string()));
        if !one.media_type().is_document() || !other.media_type().is_document() {
            continue;
        }
        let (a, b) = (read_document(one_source, &one)?, read_document(other_source, &other)?);
        match (a.body(), b.body()) {
            (Body::Manifest(a_manifest), Body::Manifest(b_manifest)) => {
                manifests((one_source, a_manifest), (other_source, b_manifest), &path, found)?;
                let layers = |manifest: &Manifest| manifest.layers.iter().map(|l| *l.digest()).collect::<Vec<_>>();
                if let Depth::Files { cancel, observer } = depth
                    && layers(a_manifest) != layers(b_manifest)
                    && [a_manifest, b_manifest].iter().all(|manifest| manifest.has_file_system())
                {
                    let (one, other) = ((one_source, &one, &a), (other_source, &other, &b));
                    files::compare(one, other, &path, cancel, observer, found)?;
                }
            }
            _ => {
                let (mut one_by, mut other_by) = (entries(one_source, &one, &a), entries(other_source, &other, &b));
                let mut keys: Vec<String> = one_by.keys().chain(other_by.keys()).cloned().collect();
                keys.sort_unstable();
                keys.dedup();
                let mut deeper = Vec::new();
                for key in keys {
                    let mut below = path.clone();
                    below.push(key.clone());
                    match (one_by.remove(&key), other_by.remove(&key)) {
                        (Some(a), Some(b)) => deeper.push((one_source, a, other_source, b, below)),
                        (a, b) => {
                            let digest = |entry: Option<Descriptor>| entry.map(|entry| entry.digest().to_string());
                            note(found, &below, &[], digest(a), digest(b));
                        }
                    }
                }
                pending.extend(deeper.into_iter().rev());
            }
        }
        rest(&a, &b, &path, found);
    }
    Ok(())
}

/// Returns the entries of an index by platform. A manifest alone is its own entry, so that an image can be compared with an
/// index of one.
fn entries(source: &dyn Source, descriptor: &Descriptor, document: &Document) -> BTreeMap<String, Descriptor> {
    let mut entries = BTreeMap::new();
    let all: Vec<&Descriptor> = match document.body() {
        Body::Index(index) => index.manifests.iter().collect(),
        Body::Manifest(_) => vec![descriptor],
    };
    let images: BTreeMap<String, String> = all
        .iter()
        .filter(|entry| entry.attestation_of().is_none())
        .map(|entry| (entry.digest().to_string(), platform(source, entry)))
        .collect();
    for entry in all {
        let name = match entry.attestation_of() {
            Some(of) => format!("attestation of {}", images.get(of).map_or("what is not there", String::as_str)),
            None => images[&entry.digest().to_string()].clone(),
        };
        // a second one for the same platform has its number
        let mut key = name.clone();
        let mut number = 2;
        while entries.contains_key(&key) {
            key = format!("{name} #{number}");
            number += 1;
        }
        entries.insert(key, entry.clone());
    }
    entries
}

fn platform(source: &dyn Source, entry: &Descriptor) -> String {
    let stated = entry.stated_platform();
    let read = || match read_document(source, entry).ok()?.body() {
        Body::Manifest(manifest) => platform_of(source, entry, manifest),
        Body::Index(_) => None,
    };
    let platform = stated.cloned().or_else(read).filter(|platform| !platform.architecture.is_empty());
    platform.map_or_else(|| entry.media_type().to_string(), |platform| platform.to_string())
}

fn manifests(
    first: (&dyn Source, &Manifest),
    second: (&dyn Source, &Manifest),
    path: &[String],
    found: &mut Vec<Difference>,
) -> Result<(), Error> {
    let (one, other) = (first.1, second.1);
    if let (Some(a), Some(b)) = (&one.config, &other.config)
        && a.digest() != b.digest()
    {
        note(found, path, &["config"], Some(a.digest().to_string()), Some(b.digest().to_string()));
        if a.content().kind == Kind::Config && b.content().kind == Kind::Config {
            let read = |(source, config): (&dyn Source, &Descriptor)| {
                let raw = read_small(source, &config.content())?;
                json::parse(&raw)
                    .map_err(|error| StoreError::malformed(config.digest().to_string(), source.location(), error))
            };
            let (a, b) = (read((first.0, a))?, read((second.0, b))?);
            let mut below = path.to_vec();
            below.push("config".to_owned());
            values(&a, &b, "", &below, found);
        }
    }
    for at in 0..one.layers.len().max(other.layers.len()) {
        let digest = |manifest: &Manifest| manifest.layers.get(at).map(|layer| layer.digest().to_string());
        if digest(one) != digest(other) {
            note(found, path, &[&format!("layer {}", at + 1)], digest(one), digest(other));
        }
    }
    Ok(())
}

/// Compares what documents say of themselves: all fields but those that refer to content, which are compared as such.
fn rest(one: &Document, other: &Document, path: &[String], found: &mut Vec<Difference>) {
    let fields = |document: &Document| {
        let mut value = json::parse(document.raw()).unwrap_or_default();
        if let Value::Object(fields) = &mut value {
            for content in ["config", "layers", "manifests", "blobs"] {
                fields.remove(content);
            }
        }
        value
    };
    values(&fields(one), &fields(other), "", path, found);
}

/// Compares two values field by field. The depth is that of JSON that was parsed, which is bounded.
fn values(one: &Value, other: &Value, at: &str, path: &[String], found: &mut Vec<Difference>) {
    match (one, other) {
        (one, other) if one == other => {}
        (Value::Object(a), Value::Object(b)) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let (a, b) = (a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null));
                values(a, b, &format!("{at}.{}", crate::text::escaped(name)), path, found);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for index in 0..a.len().max(b.len()) {
                let (a, b) = (a.get(index).unwrap_or(&Value::Null), b.get(index).unwrap_or(&Value::Null));
                values(a, b, &format!("{at}[{index}]"), path, found);
            }
        }
        (one, other) => {
            let shown = |value: &Value| (!value.is_null()).then(|| shorten(&value.to_string()));
            note(found, path, &[at], shown(one), shown(other));
        }
    }
}

fn shorten(text: &str) -> String {
    let safe = crate::text::escaped(text);
    match safe.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &safe[..end]),
        None => safe,
    }
}

pub(super) fn note(
    found: &mut Vec<Difference>,
    path: &[String],
    below: &[&str],
    first: Option<String>,
    second: Option<String>,
) {
    let path = path.iter().cloned().chain(below.iter().map(|name| (*name).to_owned())).collect();
    found.push(Difference { path, first, second });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_compared_field_by_field() {
        let mut found = Vec::new();
        let one = json!({"a": 1, "b": {"c": ["x", "y"]}, "gone": true, "same": null});
        let other = json!({"a": 1, "b": {"c": ["x", "z", "w"]}, "new": "n"});
        values(&one, &other, "", &["config".to_owned()], &mut found);
        let lines: Vec<String> =
            found.iter().map(|d| format!("{} {:?} {:?}", d.path.join(" "), d.first, d.second)).collect();
        assert_eq!(
            lines,
            [
                r#"config .b.c[1] Some("\"y\"") Some("\"z\"")"#,
                r#"config .b.c[2] None Some("\"w\"")"#,
                r#"config .gone Some("true") None"#,
                r#"config .new None Some("\"n\"")"#,
            ]
        );
    }

    #[test]
    fn long_and_hostile_values_are_shown_short_and_escaped() {
        let shown = shorten(&format!("\u{1b}[2J{}", "é".repeat(500)));
        assert!(shown.starts_with("\\u{1b}[2J") && shown.ends_with("...") && shown.chars().count() < 220);
    }
}
