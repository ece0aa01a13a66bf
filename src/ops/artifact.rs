//! A manifest that belongs to an image: how barge makes one, and how it stands at the top of a place.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Error;
use crate::content::{CONTAINERD_SUBJECT, Descriptor};
use crate::digest::Digest;
use crate::document::Document;
use crate::media::{MediaType, OCI_EMPTY, OCI_MANIFEST};
use crate::store::{Location, StoreError};

/// The empty object, which stands for a config that says nothing: what [`artifact`] names as such.
pub(super) const EMPTY: &[u8] = b"{}";

/// Makes the manifest of an artifact (image-spec v1.1.1, manifest.md, "Guidelines for Artifact Usage"): the empty config, some
/// layers, and what it belongs to. It says no time unless an annotation does.
///
/// # Errors
/// When all of it together is larger than a manifest may be.
pub(super) fn artifact(
    artifact_type: &str,
    subject: &Descriptor,
    layers: &[Value],
    annotations: &BTreeMap<String, String>,
) -> Result<Document, Error> {
    let mut config = Descriptor::of(&OCI_EMPTY.into(), EMPTY).to_value();
    config["data"] = STANDARD.encode(EMPTY).into();
    let mut value = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": artifact_type,
        "config": config, "layers": layers, "subject": plain(subject)});
    if !annotations.is_empty() {
        value["annotations"] = json!(annotations);
    }
    made(&value)
}

/// Makes a document of a manifest that barge put together.
///
/// # Errors
/// When it is larger than a manifest may be.
pub(super) fn made(value: &Value) -> Result<Document, Error> {
    let place = Location::Memory("the new manifest".to_owned());
    let made = Document::make(&MediaType::from(OCI_MANIFEST), value);
    Ok(made.map_err(|error| StoreError::malformed("the new manifest", &place, error))?)
}

/// Returns a descriptor as a `subject`: what it is, without what is said of it where it stands.
pub(super) fn plain(subject: &Descriptor) -> Value {
    Descriptor::new(subject.media_type(), *subject.digest(), subject.size()).to_value()
}

/// Returns how a manifest that belongs to something stands at the top of a place: without a name, with its type, and with what it
/// belongs to, so that containerd, docker, buildx and oras find it alike.
pub(super) fn as_root(document: &Document, subject: &Digest, artifact_type: &str) -> Descriptor {
    document.descriptor().with_artifact_type(artifact_type).with_annotation(CONTAINERD_SUBJECT, &subject.to_string())
}
