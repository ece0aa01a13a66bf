//! `manifest.json`: what makes one archive load everywhere.
//!
//! Classic docker reads nothing else, and podman loads an archive with several images only through it. It can name one
//! platform of an image: linux/amd64 where there is one, else the first that is there. The choice depends on the image
//! alone, so that the same image gives the same bytes on every machine.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::lookup::{is_attached, name_of};
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::{Body, Manifest};
use crate::json;
use crate::media::{Compression, Role};
use crate::platform::Platform;
use crate::reference::ImageName;
use crate::store::{Source, StoreError, read_document};

/// What classic loaders are told about an archive.
#[derive(Clone, Debug, Default)]
pub struct Loadable {
    /// What it names.
    elements: Vec<Element>,
    /// Names of images with several platforms, of which it can name but one.
    pub several: Vec<String>,
    /// Names of what is no image, and cannot stand in it.
    pub others: Vec<String>,
    /// Names whose layers the classic docker store cannot read, because they are packed with zstd.
    pub zstd: Vec<String>,
}

/// An image in it.
#[derive(Clone, Debug)]
pub struct Element {
    config: Digest,
    /// Its layers, the lowest first.
    pub layers: Vec<Digest>,
    /// Its names, in full.
    pub tags: Vec<String>,
}

impl Loadable {
    /// Returns the bytes of `manifest.json`; none when no image can be named in it.
    #[must_use]
    pub fn manifest_json(&self) -> Option<Vec<u8>> {
        (!self.elements.is_empty()).then(|| json::encode_items(self.elements.iter().map(Element::to_value)))
    }

    /// Returns whether no image can be named in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Returns what it says of each image.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.elements.iter()
    }

    /// Returns the content that it names.
    #[must_use]
    pub fn contents(&self) -> HashSet<Digest> {
        self.elements.iter().flat_map(|element| element.layers.iter().chain([&element.config])).copied().collect()
    }
}

/// Finds what `manifest.json` says of some top-level descriptors.
///
/// # Errors
/// When a document cannot be read.
pub fn loadable(source: &dyn Source, roots: &[Descriptor]) -> Result<Loadable, StoreError> {
    // by all that they name
    let mut known: HashMap<Digest, usize> = HashMap::new();
    let mut tagged = HashSet::new();
    let mut loadable = Loadable::default();
    for root in roots.iter().filter(|root| !is_attached(root)) {
        let Some((manifest, images)) = manifest_for_classic(source, root)? else { continue };
        let tag = name_of(root).and_then(full_name);
        let Some((config, layers)) = image_of(&manifest) else {
            loadable.others.push(tag.unwrap_or_else(|| root.digest().short()));
            continue;
        };
        if images > 1 {
            loadable.several.push(tag.clone().unwrap_or_else(|| root.digest().short()));
        }
        if manifest.layers.iter().any(|layer| layer.media_type().role() == Role::Layer(Compression::Zstd)) {
            loadable.zstd.push(tag.clone().unwrap_or_else(|| root.digest().short()));
        }
        let elements = &mut loadable.elements;
        let named = std::iter::once(&config).chain(&layers).map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let at = *known.entry(Digest::of(named.as_bytes())).or_insert(elements.len());
        if at == elements.len() {
            elements.push(Element { config, layers, tags: Vec::new() });
        }
        // one name twice would make docker take the last
        elements[at].tags.extend(tag.filter(|tag| tagged.insert(tag.clone())));
    }
    Ok(loadable)
}

impl Element {
    fn to_value(&self) -> Value {
        let layers: Vec<String> = self.layers.iter().map(Digest::blob_path).collect();
        let tags = if self.tags.is_empty() { Value::Null } else { json!(self.tags) };
        json!({"Config": self.config.blob_path(), "Layers": layers, "RepoTags": tags})
    }
}

/// Returns a name as docker and podman want it here: in full, with a tag.
fn full_name(name: &str) -> Option<String> {
    let name = ImageName::parse(name).ok()?;
    (name.tag().is_some() && name.digest().is_none()).then(|| name.to_string())
}

/// Returns the manifest of the one platform, and how many there are to choose from.
fn manifest_for_classic(source: &dyn Source, root: &Descriptor) -> Result<Option<(Manifest, usize)>, StoreError> {
    let mut descriptor = root.clone();
    let mut images = 1;
    // an index in an index is followed to its first image, as far as a walk goes
    for _ in 0..crate::graph::DEEPEST {
        if !descriptor.media_type().is_document() {
            return Ok(None);
        }
        let document = match read_document(source, &descriptor) {
            // a sparse image need not even have its index
            Err(StoreError::Missing { .. }) => return Ok(None),
            document => document?,
        };
        match document.body() {
            // of a delta, what is whole can be named
            Body::Manifest(manifest) if lacks(source, manifest)? => return Ok(None),
            Body::Manifest(manifest) => return Ok(Some((manifest.clone(), images))),
            Body::Index(index) => {
                // of a sparse index only what is there as a whole can be named
                let mut runnable = Vec::new();
                for child in &index.manifests {
                    let may_run = child.attestation_of().is_none() && child.media_type().is_document();
                    if may_run && is_there(source, child)? {
                        runnable.push(child);
                    }
                }
                let classic =
                    Platform { os: "linux".to_owned(), architecture: "amd64".to_owned(), ..Platform::default() };
                let is_classic =
                    |child: &&&Descriptor| child.platform().is_some_and(|platform| classic.matches(platform));
                images = images.max(runnable.len());
                match runnable.iter().find(is_classic).or_else(|| runnable.first()) {
                    Some(child) => descriptor = (*child).clone(),
                    None => return Ok(None),
                }
            }
        }
    }
    Ok(None)
}

/// Returns whether an image is there with its layers, which may stay in a registry. That it cannot be looked at is no answer:
/// another platform would stand in its place.
fn is_there(source: &dyn Source, image: &Descriptor) -> Result<bool, StoreError> {
    match read_document(source, image) {
        Ok(document) => match document.body() {
            Body::Manifest(manifest) => Ok(!lacks(source, manifest)?),
            Body::Index(_) => Ok(true),
        },
        Err(error @ (StoreError::Io { .. } | StoreError::Remote { .. } | StoreError::Cancelled)) => Err(error),
        Err(StoreError::Missing { .. }) => Ok(false),
        // one that is damaged is found to be so when it is read
        Err(_) => Ok(source.open(&image.content()).is_ok()),
    }
}

fn lacks(source: &dyn Source, manifest: &Manifest) -> Result<bool, StoreError> {
    for layer in manifest.layers.iter().filter(|layer| !layer.media_type().is_foreign_layer()) {
        if !source.holds(&layer.content())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the config and the layers of what docker can run; none for an artifact.
fn image_of(manifest: &Manifest) -> Option<(Digest, Vec<Digest>)> {
    let config = manifest.image_config().filter(|_| manifest.has_file_system())?;
    Some((*config.digest(), manifest.layers.iter().map(|layer| *layer.digest()).collect()))
}
