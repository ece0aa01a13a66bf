//! `gc`: content that nothing refers to goes, and nothing else.
//!
//! Everything is decided before anything is removed, and the first thing that cannot be read stops it: what that may refer
//! to is not known. What documents of unknown types, annotations and other fields mention by digest counts as referred to.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::Error;
use crate::blob::Cancel;
use crate::content::{Content, Descriptor, Kind};
use crate::digest::Digest;
use crate::document::LARGEST_DOCUMENT;
use crate::graph;
use crate::json;
use crate::media::Role;
use crate::store::layout::{Layout, Sweeper};
use crate::store::{Durability, Source, StoreError, read_small};

/// How often it is begun again when somebody changes the names meanwhile.
const ATTEMPTS: usize = 5;

/// What is to be collected.
#[derive(Clone, Debug)]
pub struct GcOptions {
    /// Blobs younger than this stay: a program that takes no lock may have written them for a name to come.
    pub grace: Duration,
    /// Only these, when it is said; else all.
    pub candidates: Option<HashSet<Digest>>,
    /// How long to wait for a writer.
    pub lock_timeout: Duration,
    /// Whether what was removed stays removed after a loss of power.
    pub durability: Durability,
    /// Whether anything is removed at all.
    pub effect: Effect,
}

/// Whether something is done or only said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is done.
    Real,
    /// It is only said.
    DryRun,
}

/// What was collected.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// Blobs that went, or would go, with their size in bytes; sorted.
    pub removed: Vec<(Digest, u64)>,
    /// Blobs that nothing refers to and that are too young, with their size in bytes; sorted.
    pub young: Vec<(Digest, u64)>,
    /// How many blobs stay because something refers to them.
    pub kept: usize,
    /// Files under `blobs/` that are no blobs: they were not touched.
    pub foreign: Vec<String>,
}

/// Removes from a layout what nothing refers to.
///
/// # Errors
/// When a writer holds the layout, or a document that is referred to cannot be read: nothing was removed then.
pub fn gc(path: &Path, options: &GcOptions, cancel: &Cancel) -> Result<Collected, Error> {
    for _ in 0..ATTEMPTS {
        let mut sweeper = Sweeper::open(path, options.lock_timeout, cancel)?;
        let mut collected = decide(&sweeper, options)?;
        if options.effect == Effect::DryRun {
            return Ok(collected);
        }
        // asked last, so that a program that takes no lock has the least time to rely on what goes
        if !sweeper.is_unchanged()? {
            continue;
        }
        let mut gone = Vec::new();
        for (digest, size) in std::mem::take(&mut collected.removed) {
            if cancel.is_cancelled() {
                return Err(StoreError::Cancelled.into());
            }
            sweeper.remove(&digest)?;
            gone.push((digest, size));
        }
        collected.removed = gone;
        sweeper.remove_leftovers()?;
        sweeper.finish(options.durability)?;
        return Ok(collected);
    }
    Err(StoreError::Busy { place: crate::store::Location::Layout(path.to_owned()) }.into())
}

fn decide(sweeper: &Sweeper, options: &GcOptions) -> Result<Collected, Error> {
    let layout = sweeper.layout();
    let referred = referred_to(layout)?;
    let listing = layout.blobs()?;
    let mut collected = Collected { foreign: listing.foreign, ..Collected::default() };
    for (digest, size) in listing.blobs {
        if referred.contains(&digest) || options.candidates.as_ref().is_some_and(|only| !only.contains(&digest)) {
            collected.kept += 1;
        } else if sweeper.age(&digest)?.is_none_or(|age| age < options.grace) {
            collected.young.push((digest, size));
        } else {
            collected.removed.push((digest, size));
        }
    }
    Ok(collected)
}

/// Returns the digests of everything that something refers to.
fn referred_to(layout: &Layout) -> Result<HashSet<Digest>, Error> {
    let mut referred = HashSet::new();
    let mut roots = layout.roots()?;
    let listed: Vec<(Digest, u64)> = layout.blobs()?.blobs;
    let size_of = |digest: &Digest| {
        let at = listed.binary_search_by_key(digest, |(digest, _)| *digest).ok()?;
        Some(listed[at].1)
    };
    // names and annotations of the top level mention content too
    for root in &roots {
        mention(&root.to_value(), &mut referred);
    }
    let mut looked_into = HashSet::new();
    let mut first = true; // what is only mentioned need not be whole
    while !roots.is_empty() {
        let mut mentioned = HashSet::new();
        let reach = graph::reach(layout, &roots, &mut |_, document| {
            if let Ok(value) = json::parse(document.raw()) {
                mention(&value, &mut mentioned);
            }
        });
        // a layer to be fetched from elsewhere need not be here
        let (mut reach, _) = graph::without_foreign(layout, reach);
        if first {
            reach = reach.whole()?;
        }
        first = false;
        referred.extend(reach.nodes.iter().map(|node| node.content.digest));
        for node in &reach.nodes {
            let opaque = matches!(node.media_type.role(), Role::Other | Role::Config);
            if opaque && looked_into.insert(node.content.digest) {
                look_into(layout, &node.content, &mut mentioned)?;
            }
        }
        // What is mentioned and is here stays, and so does what it refers to when it is a document.
        roots = mentioned
            .into_iter()
            .filter(|digest| referred.insert(*digest) || looked_into.insert(*digest))
            .filter_map(|digest| document_at(layout, &digest, size_of(&digest)?))
            .collect();
    }
    Ok(referred)
}

/// Returns a descriptor of content that is mentioned somewhere, when it looks like a document.
fn document_at(layout: &Layout, digest: &Digest, size: u64) -> Option<Descriptor> {
    let content = Content { digest: *digest, size, kind: Kind::Blob };
    let raw = read_small(layout, &content).ok()?;
    let value = json::parse(&raw).ok()?;
    let media_type = match value.get("mediaType").and_then(Value::as_str) {
        Some(text) => text,
        None if value.get("manifests").is_some() => crate::media::OCI_INDEX,
        None if value.get("layers").is_some() => crate::media::OCI_MANIFEST,
        None => return None,
    };
    Some(Descriptor::new(&media_type.into(), *digest, size))
}

/// Finds the digests that content of an unknown type mentions, as far as it is JSON.
fn look_into(layout: &Layout, content: &Content, mentioned: &mut HashSet<Digest>) -> Result<(), StoreError> {
    if content.size > LARGEST_DOCUMENT {
        return Ok(());
    }
    let raw = match read_small(layout, content) {
        Ok(raw) => raw,
        Err(StoreError::Missing { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    if let Ok(value) = json::parse(&raw) {
        mention(&value, mentioned);
    }
    Ok(())
}

/// Collects every text that is a digest, or a tag made of one (`sha256-HEX`, `sha256-HEX.sig`).
fn mention(value: &Value, found: &mut HashSet<Digest>) {
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        match value {
            Value::Array(items) => pending.extend(items),
            Value::Object(fields) => pending.extend(fields.values()),
            Value::String(text) => {
                let at = text.rsplit('@').next().unwrap_or(text);
                let dashed = at.replacen('-', ":", 1);
                let tag = dashed.split('.').next().unwrap_or(&dashed);
                found.extend([at, tag].iter().filter_map(|text| text.parse::<Digest>().ok()));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn digests_are_found_wherever_they_are_mentioned() {
        let digest = Digest::of(b"x");
        let hex = digest.hex();
        for text in [digest.to_string(), format!("app@{digest}"), format!("sha256-{hex}"), format!("sha256-{hex}.sig")]
        {
            let mut found = HashSet::new();
            mention(&json!({"a": [{"b": text}]}), &mut found);
            assert!(found.contains(&digest), "{text}");
        }
        let mut found = HashSet::new();
        mention(&json!({"sha256": hex, "n": 1, "short": "sha256:abc"}), &mut found);
        assert!(found.is_empty());
    }
}
