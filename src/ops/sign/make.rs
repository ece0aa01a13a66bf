//! Signing an image where it lies.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use crate::content::{CONTAINERD_SUBJECT, Content, Descriptor, Kind, REF_NAME};
use crate::digest::Digest;
use crate::document::{Body, Document};
use crate::graph;
use crate::json;
use crate::media::{MediaType, OCI_CONFIG, OCI_MANIFEST};
use crate::ops::Error;
use crate::ops::lookup::name_of;
use crate::plan::Plan;
use crate::reference::ImageName;
use crate::signing::PrivateKey;
use crate::simple_signing::{PAYLOAD, Payload, SIGNATURE, SIGNATURES, signature_tag};
use crate::store::{Source, StoreError, read_document};
use crate::text::quoted;

/// Where a signature lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// In a manifest with the tag `sha256-HEX.sig`, together with other signatures of the same image.
    #[default]
    Tag,
    /// In a manifest of its own that has the image as its subject.
    Referrer,
}

/// What is wanted of a signature.
#[derive(Clone, Debug, Default)]
pub struct SignOptions {
    /// What the image is called; else the repository of its name.
    pub identity: Option<String>,
    /// What else is signed.
    pub annotations: BTreeMap<String, String>,
    /// Where the signature lies.
    pub form: Form,
}

/// A signature that has been made and has no name yet.
#[derive(Debug)]
pub struct Signing<'a> {
    /// All content, and where it comes from.
    pub plan: Plan<'a>,
    /// The image.
    pub image: Digest,
    /// What it is called in the signature.
    pub identity: String,
    /// The manifest with the signature, as it is to stand in `index.json`.
    pub root: Descriptor,
    /// Whether it is there already.
    pub is_there: bool,
}

/// Signs an image of a source.
///
/// # Errors
/// [`Error::Usage`] when nothing says what the image is called; [`Error::Key`] when the key cannot sign; when the image, or the
/// manifest with its other signatures, cannot be read.
pub fn sign<'a>(
    source: &'a dyn Source,
    image: &Descriptor,
    key: &PrivateKey,
    options: &SignOptions,
) -> Result<Signing<'a>, Error> {
    // what cannot be read is not signed
    read_document(source, image)?;
    let identity = identity(image, options)?;
    let optional = options.annotations.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let payload = Payload { reference: identity.clone(), image: *image.digest(), optional }.encode();
    let signature = key.sign(&payload).map_err(|error| Error::Key {
        action: "sign with the private key",
        path: std::path::PathBuf::new(),
        error,
    })?;
    let layer = Descriptor::of(&PAYLOAD.into(), &payload).with_annotation(SIGNATURE, &signature.to_text());
    let roots = source.roots()?;
    let mut plan = Plan::new();
    let (root, is_there) = match options.form {
        Form::Tag => {
            let tag = signature_tag(image.digest());
            let held = roots.iter().find(|root| root.annotation(REF_NAME) == Some(&tag));
            let mut layers = held.map_or(Ok(Vec::new()), |held| layers_of(source, held))?;
            if let Some(held) = held.filter(|_| layers.iter().any(|other| is_same(other, &layer))) {
                (held.clone(), true)
            } else {
                layers.push(layer);
                for content in layers[..layers.len() - 1].iter().map(Descriptor::content) {
                    plan.add(source, &content, "another signature".to_owned());
                }
                let manifest = manifest_of(&layers, None, &mut plan, payload)?;
                (manifest.descriptor().with_annotation(REF_NAME, &tag), false)
            }
        }
        Form::Referrer => {
            let manifest = manifest_of(&[layer], Some(image), &mut plan, payload)?;
            let root = manifest
                .descriptor()
                .with_artifact_type(SIGNATURES)
                .with_annotation(CONTAINERD_SUBJECT, &image.digest().to_string());
            let is_there = roots.iter().any(|other| other.digest() == root.digest());
            (root, is_there)
        }
    };
    if is_there {
        plan = Plan::new();
    } else {
        plan.add_root(root.clone());
    }
    Ok(Signing { plan, image: *image.digest(), identity, root, is_there })
}

/// Returns an image and, when it is asked for, all manifests inside of it.
///
/// # Errors
/// When one of them cannot be read.
pub fn images(source: &dyn Source, image: Descriptor, recursive: bool) -> Result<Vec<Descriptor>, Error> {
    if !recursive {
        return Ok(vec![image]);
    }
    let mut found: Vec<Descriptor> = Vec::new();
    let reach = graph::reach(source, std::slice::from_ref(&image), &mut |descriptor, _| found.push(descriptor.clone()));
    reach.whole()?;
    let mut seen = HashSet::new();
    found.retain(|descriptor| seen.insert(*descriptor.digest()));
    Ok(found)
}

/// Returns what an image is called in its signature: what was said, else the repository of its name.
///
/// # Errors
/// [`Error::Usage`] when nothing says it.
pub fn identity(image: &Descriptor, options: &SignOptions) -> Result<String, Error> {
    if let Some(identity) = &options.identity {
        return Ok(identity.clone());
    }
    let name = name_of(image).and_then(|name| ImageName::parse(name).ok().filter(|_| name.contains(['/', ':'])));
    name.map(|name| name.full_repository()).ok_or_else(|| Error::Usage {
        message: match name_of(image) {
            Some(tag) => format!("cannot sign {}: that is a tag, and says no repository", quoted(tag)),
            None => format!("cannot sign {}: it has no name", image.digest()),
        },
        hint: Some("say what it is called where it goes: --identity REGISTRY/REPOSITORY".to_owned()),
    })
}

fn is_same(one: &Descriptor, other: &Descriptor) -> bool {
    one.digest() == other.digest() && one.annotation(SIGNATURE) == other.annotation(SIGNATURE)
}

/// Returns the signatures that a manifest holds already.
fn layers_of(source: &dyn Source, held: &Descriptor) -> Result<Vec<Descriptor>, Error> {
    let document = read_document(source, held)?;
    match document.body() {
        Body::Manifest(manifest) => Ok(manifest.layers.clone()),
        Body::Index(_) => {
            let reason = "it has the name of a manifest with signatures, and is an index";
            Err(StoreError::malformed(held.digest().to_string(), source.location(), reason).into())
        }
    }
}

/// Makes the manifest over some signatures, the last of which is new, with the config that cosign makes: one that says nothing
/// but what the layers are.
fn manifest_of(
    layers: &[Descriptor],
    subject: Option<&Descriptor>,
    plan: &mut Plan<'_>,
    payload: Vec<u8>,
) -> Result<Document, Error> {
    /// The time that says none, as Go writes it.
    const NEVER: &str = "0001-01-01T00:00:00Z";
    let digests: Vec<String> = layers.iter().map(|layer| layer.digest().to_string()).collect();
    let history: Vec<Value> = layers.iter().map(|_| json!({"created": NEVER})).collect();
    let config =
        json::encode(&json!({"architecture": "", "config": {}, "created": NEVER, "history": history, "os": "",
        "rootfs": {"type": "layers", "diff_ids": digests}}));
    // with a subject, what the manifest is stands here: registries list it by this
    let config_type: MediaType = if subject.is_some() { SIGNATURES } else { OCI_CONFIG }.into();
    let config_descriptor = Descriptor::of(&config_type, &config);
    let entries: Vec<Value> = layers.iter().map(Descriptor::to_value).collect();
    let mut value = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config_descriptor.to_value(),
        "layers": entries});
    if let Some(subject) = subject {
        value["subject"] = json!({"mediaType": subject.media_type().as_str(), "digest": subject.digest().to_string(), "size": subject.size()});
    }
    let place = crate::store::Location::Memory("the signature".to_owned());
    let document = Document::make(&OCI_MANIFEST.into(), &value)
        .map_err(|error| StoreError::malformed("the manifest", &place, error))?;
    plan.add_bytes(payload, Kind::Blob, "what is signed".to_owned());
    let Content { kind, .. } = config_descriptor.content();
    plan.add_bytes(config, kind, "config of the signatures".to_owned());
    plan.add_made(&document, "manifest of the signatures");
    Ok(document)
}
