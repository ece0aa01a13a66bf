//! Signing images where they lie.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use crate::content::{Content, Descriptor, Kind, REF_NAME};
use crate::digest::Digest;
use crate::document::{Body, Document};
use crate::graph;
use crate::json;
use crate::media::{MediaType, OCI_CONFIG, OCI_MANIFEST};
use crate::ops::Error;
use crate::ops::artifact::{EMPTY, artifact, as_root, made, plain};
use crate::ops::lookup::name_of;
use crate::plan::Plan;
use crate::reference::ImageName;
use crate::signing::{PrivateKey, Signature};
use crate::sigstore_bundle::{BUNDLE, CONTENT, ENVELOPE, Envelope, IMAGE_SIGNATURE, PREDICATE_TYPE, Statement};
use crate::simple_signing::{PAYLOAD, Payload, SIGNATURE, SIGNATURES, signature_tag};
use crate::store::{Source, StoreError, read_document};
use crate::text::quoted;

/// What a signature is, and where it lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// In a manifest with the tag `sha256-HEX.sig`, together with other signatures of the same image.
    #[default]
    Tag,
    /// In a manifest of its own that has the image as its subject.
    Referrer,
    /// A sigstore bundle, in a manifest of its own that has the image as its subject: what cosign 3 writes.
    Bundle,
}

/// What is wanted of signatures.
#[derive(Clone, Debug, Default)]
pub struct SignOptions {
    /// What the image is called; else the repository of its name. A bundle says it only when it stands here.
    pub identity: Option<String>,
    /// What else is signed.
    pub annotations: BTreeMap<String, String>,
    /// The form of the signatures.
    pub form: Form,
}

/// An image that is to be signed.
#[derive(Clone, Debug)]
pub struct ToSign {
    /// The image.
    pub image: Descriptor,
    /// What it is called in the signature, which says nothing of that without it.
    pub identity: Option<String>,
}

/// Signatures that have been made and have no place yet.
#[derive(Debug)]
pub struct Signing<'a> {
    /// All content, and where it comes from.
    pub plan: Plan<'a>,
    /// What was signed, one for each image in its order.
    pub signed: Vec<Signed>,
}

/// The signature of one image.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The image.
    pub image: Descriptor,
    /// What it is called in the signature.
    pub identity: Option<String>,
    /// The manifest with the signature, as it is to stand in `index.json`.
    pub root: Descriptor,
    /// Whether it is there already.
    pub is_there: bool,
}

/// A manifest that was made, and what was made for it.
struct New {
    document: Document,
    pieces: Vec<(Vec<u8>, Kind, &'static str)>,
}

impl New {
    fn contents(&self) -> impl Iterator<Item = Content> {
        let document = self.document.descriptor().content();
        let pieces = self.pieces.iter().map(|(bytes, kind, _)| Content::of(bytes, kind.clone()));
        pieces.chain([document])
    }

    fn add_to(self, plan: &mut Plan<'_>) {
        for (bytes, kind, about) in self.pieces {
            plan.add_bytes(bytes, kind, about.to_owned());
        }
        plan.add_made(&self.document, "manifest of the signatures");
    }
}

/// Returns an image and, when it is asked for, all manifests inside of it, with what they are called: the same for all.
///
/// # Errors
/// [`Error::Usage`] when nothing says what the image is called; when something inside of it cannot be read.
pub fn to_sign(
    source: &dyn Source,
    image: Descriptor,
    recursive: bool,
    options: &SignOptions,
) -> Result<Vec<ToSign>, Error> {
    let identity = match options.form {
        Form::Bundle => options.identity.clone(),
        Form::Tag | Form::Referrer => Some(identity(&image, options)?),
    };
    let mut found: Vec<Descriptor> = Vec::new();
    if recursive {
        let keep = &mut |descriptor: &Descriptor, _: &_| found.push(descriptor.clone());
        graph::reach(source, std::slice::from_ref(&image), keep).whole()?;
        let mut seen = HashSet::new();
        found.retain(|descriptor| seen.insert(*descriptor.digest()));
    } else {
        found.push(image);
    }
    Ok(found.into_iter().map(|image| ToSign { image, identity: identity.clone() }).collect())
}

/// Returns what an image is called in its signature: what was said, else the repository of its name.
fn identity(image: &Descriptor, options: &SignOptions) -> Result<String, Error> {
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

/// Signs images of a source, all in one plan.
///
/// # Errors
/// When the key cannot sign; when an image, or the manifest with its other signatures, cannot be read.
pub fn sign<'a>(
    source: &'a dyn Source,
    images: &[ToSign],
    key: &PrivateKey,
    options: &SignOptions,
) -> Result<Signing<'a>, Error> {
    let roots = source.roots()?;
    let mut signing = Signing { plan: Plan::new(), signed: Vec::new() };
    // under one tag lie all signatures of an image
    let mut order: Vec<Digest> = Vec::new();
    let mut by_image: HashMap<Digest, Vec<&ToSign>> = HashMap::new();
    for one in images {
        let same = by_image.entry(*one.image.digest()).or_insert_with(|| {
            order.push(*one.image.digest());
            Vec::new()
        });
        if !same.iter().any(|other| other.identity == one.identity) {
            same.push(one);
        }
    }
    for same in order.iter().filter_map(|image| by_image.get(image)) {
        if let Some(first) = same.first() {
            // what cannot be read is not signed
            read_document(source, &first.image)?;
        }
        match options.form {
            Form::Tag => sign_under_tag(source, &roots, same, key, options, &mut signing)?,
            Form::Referrer | Form::Bundle => {
                for one in same {
                    sign_beside(source, &roots, one, key, options, &mut signing)?;
                }
            }
        }
    }
    Ok(signing)
}

/// Signs an image, under one or more names, and puts that to its other signatures.
fn sign_under_tag<'a>(
    source: &'a dyn Source,
    roots: &[Descriptor],
    same: &[&ToSign],
    key: &PrivateKey,
    options: &SignOptions,
    signing: &mut Signing<'a>,
) -> Result<(), Error> {
    let Some(first) = same.first() else { return Ok(()) };
    let tag = signature_tag(first.image.digest());
    let held = roots.iter().find(|root| root.annotation(REF_NAME) == Some(&tag));
    let mut layers = held.map_or(Ok(Vec::new()), |held| layers_of(source, held))?;
    let others = layers.len();
    let (mut payloads, mut there) = (Vec::new(), Vec::new());
    let mut mended = HashSet::new();
    for one in same {
        let (layer, payload) = payload_layer(one, key, options)?;
        let is_held = layers.iter().any(|other| is_same(other, &layer));
        let is_there = is_held && is_whole(source, &layer.content());
        if !is_there {
            mended.insert(*layer.digest());
            payloads.push(payload);
        }
        if !is_held {
            layers.push(layer);
        }
        there.push(is_there);
    }
    let root = match held {
        Some(held) if payloads.is_empty() => held.clone(),
        _ => {
            let plan = &mut signing.plan;
            for other in layers[..others].iter().filter(|other| !mended.contains(other.digest())) {
                plan.add(source, &other.content(), "another signature".to_owned());
            }
            let new = with_config(&layers, None, payloads)?;
            let root = new.document.descriptor().with_annotation(REF_NAME, &tag);
            new.add_to(plan);
            plan.add_root(root.clone());
            root
        }
    };
    for (one, is_there) in same.iter().zip(there) {
        let ToSign { image, identity } = (*one).clone();
        signing.signed.push(Signed { image, identity, root: root.clone(), is_there });
    }
    Ok(())
}

/// Signs an image in a manifest that has the image as its subject.
fn sign_beside(
    source: &dyn Source,
    roots: &[Descriptor],
    one: &ToSign,
    key: &PrivateKey,
    options: &SignOptions,
    signing: &mut Signing<'_>,
) -> Result<(), Error> {
    let (new, artifact_type) = match options.form {
        Form::Bundle => (bundle(one, key, options)?, BUNDLE),
        Form::Tag | Form::Referrer => {
            let (layer, payload) = payload_layer(one, key, options)?;
            (with_config(&[layer], Some(&one.image), vec![payload])?, SIGNATURES)
        }
    };
    let root = as_root(&new.document, one.image.digest(), artifact_type);
    let is_there = roots.iter().any(|other| other.digest() == root.digest())
        && new.contents().all(|content| is_whole(source, &content));
    if !is_there {
        new.add_to(&mut signing.plan);
        signing.plan.add_root(root.clone());
    }
    let ToSign { image, identity } = one.clone();
    signing.signed.push(Signed { image, identity, root, is_there });
    Ok(())
}

/// Makes the manifest with a bundle (sigstore/cosign v3, `specs/BUNDLE_SPEC.md`). It does not say when: the same signature has
/// the same bytes.
fn bundle(one: &ToSign, key: &PrivateKey, options: &SignOptions) -> Result<New, Error> {
    let annotations = options.annotations.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let statement = Statement::of(*one.image.digest(), one.identity.clone(), annotations);
    let envelope = Envelope::new(&statement, signature(key, &statement.signed_bytes())?);
    let bytes = envelope.encode(&key.public_key());
    let layer = Descriptor::of(&BUNDLE.into(), &bytes);
    let said = [(CONTENT, ENVELOPE), (PREDICATE_TYPE, IMAGE_SIGNATURE)];
    let said = said.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let document = artifact(BUNDLE, &one.image, &[layer.to_value()], &said)?;
    let pieces =
        vec![(EMPTY.to_vec(), Kind::Blob, "an empty config"), (bytes, Kind::Blob, "bundle with the signature")];
    Ok(New { document, pieces })
}

/// Returns the layer of a signature by an annotation, and what it holds: what is signed.
fn payload_layer(one: &ToSign, key: &PrivateKey, options: &SignOptions) -> Result<(Descriptor, Vec<u8>), Error> {
    let optional = options.annotations.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let reference = one.identity.clone().unwrap_or_default();
    let payload = Payload { reference, image: *one.image.digest(), optional }.encode();
    let signature = signature(key, &payload)?;
    let layer = Descriptor::of(&PAYLOAD.into(), &payload).with_annotation(SIGNATURE, &signature.to_text());
    Ok((layer, payload))
}

/// Signs some bytes.
///
/// # Errors
/// When the key cannot sign: that is known of none.
pub(in crate::ops) fn signature(key: &PrivateKey, bytes: &[u8]) -> Result<Signature, Error> {
    key.sign(bytes).map_err(|error| Error::Unsupported {
        message: format!("cannot sign with the key {}", key.public_key().fingerprint()),
        cause: Some(error.to_string()),
        hint: error.hint(),
    })
}

/// Returns whether a place has content as it should be: what is damaged is mended by signing again.
fn is_whole(source: &dyn Source, content: &Content) -> bool {
    source.open(content).is_ok_and(|reader| reader.check().is_ok())
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

/// Makes the manifest over some signatures, with the config that cosign makes: one that says nothing but what the layers are.
/// `payloads` are those of them that are new.
fn with_config(layers: &[Descriptor], subject: Option<&Descriptor>, payloads: Vec<Vec<u8>>) -> Result<New, Error> {
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
        value["subject"] = plain(subject);
    }
    let document = made(&value)?;
    let mut pieces: Vec<_> = payloads.into_iter().map(|payload| (payload, Kind::Blob, "what is signed")).collect();
    pieces.push((config, config_descriptor.content().kind, "config of the signatures"));
    Ok(New { document, pieces })
}
