//! What belongs to a digest that something else has the place of now: what it is, in words.

use std::collections::HashSet;

use super::super::attached::{Attached, attached_as_far_as_read, belonging, called};
use super::{LeftOut, StayedBehind};
use crate::content::{Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::document::Document;
use crate::reference::tag_of;
use crate::store::{Source, StoreError, read_document};
use crate::text::escaped;

/// The annotation of a statement's layer that says what it states (BuildKit, attestation-storage.md).
const PREDICATE: &str = "in-toto.io/predicate-type";

/// Says what an attestation is that is left out.
pub(super) fn left_out(source: &dyn Source, attestation: &Descriptor, subject: Digest) -> LeftOut {
    // one that cannot be read is left out all the same
    let document = read_document(source, attestation).ok();
    let layers = document.iter().flat_map(Document::children);
    let mut words: Vec<String> = layers.filter_map(|layer| layer.annotation(PREDICATE).map(predicate)).collect();
    words.sort();
    words.dedup();
    let what = if words.is_empty() { "attestation".to_owned() } else { words.join(" and ") };
    LeftOut { digest: *attestation.digest(), what, subject }
}

fn predicate(text: &str) -> String {
    match text {
        text if text.contains("slsa.dev/provenance") => "provenance".to_owned(),
        text if text.contains("spdx.dev") || text.contains("cyclonedx") => "SBOM".to_owned(),
        text => format!("attestation of {}", escaped(text)),
    }
}

/// Finds what belongs to digests at the top of a place: to those that changed it says so, for the others it returns it.
pub(super) fn referrers(
    source: &dyn Source,
    changed: &HashSet<Digest>,
    same: &HashSet<Digest>,
) -> Result<(Vec<StayedBehind>, Vec<Descriptor>), StoreError> {
    let all = attached_as_far_as_read(source, &source.roots()?);
    let mut behind: Vec<StayedBehind> = Vec::new();
    let stays = |one: &&Attached| changed.contains(&one.subject) && !same.contains(&one.subject);
    for one in all.iter().filter(stays) {
        if !changed.contains(one.root.digest()) && !same.contains(one.root.digest()) {
            let what = what_it_is(source, &one.root);
            behind.push(StayedBehind { called: called(&one.root), what, subject: one.subject });
        }
    }
    Ok((behind, belonging(&all, same)))
}

fn what_it_is(source: &dyn Source, root: &Descriptor) -> &'static str {
    let tag = root.annotation(REF_NAME).map(|name| tag_of(name).unwrap_or(name)).unwrap_or_default();
    if let Some((_, what)) =
        [(".sig", "signature"), (".att", "attestation"), (".sbom", "SBOM")].iter().find(|(end, _)| tag.ends_with(end))
    {
        return what;
    }
    let document = read_document(source, root).ok();
    let own = document.as_ref().and_then(|document| match document.body() {
        crate::document::Body::Manifest(manifest) => manifest.artifact_type.clone(),
        crate::document::Body::Index(index) => index.artifact_type.clone(),
    });
    let mut types: Vec<String> = own.into_iter().chain(root.artifact_type().map(str::to_owned)).collect();
    types.extend(document.iter().flat_map(Document::children).map(|child| child.media_type().as_str().to_owned()));
    let says = |words: &[&str]| types.iter().any(|text| words.iter().any(|word| text.contains(word)));
    if says(&["signature", "cosign", "simplesigning", "sigstore"]) {
        "signature"
    } else if says(&["in-toto", "dsse", "attestation"]) {
        "attestation"
    } else if says(&["spdx", "cyclonedx", "sbom"]) {
        "SBOM"
    } else {
        "referrer"
    }
}
