//! What loaders ask about an archive.

use std::collections::HashMap;
use std::io::Read as _;

use serde_json::Value;

use super::super::Error;
use super::super::lookup::is_attached;
use crate::content::{CONTAINERD_NAME, Descriptor, REF_NAME};
use crate::document::{Body, LARGEST_DOCUMENT};
use crate::graph;
use crate::json;
use crate::media::{Compression, Role};
use crate::platform::Platform;
use crate::store::archive::{Archive, Format};
use crate::store::{Source as _, StoreError};

/// One top-level descriptor of a layout.
#[derive(Clone, Debug)]
pub struct Image {
    /// The descriptor.
    pub root: Descriptor,
    /// The full name, in containerd's annotation.
    pub full: Option<String>,
    /// The layout's own reference name.
    pub own: Option<String>,
    /// Whether it belongs to another image.
    pub attached: bool,
    /// The platforms of its images; none for an artifact.
    pub platforms: Vec<Platform>,
    /// How many pieces that it refers to are not there.
    pub missing: usize,
}

/// An element of `manifest.json`.
#[derive(Clone, Debug, Default)]
pub struct Element {
    /// Its names.
    pub tags: Vec<String>,
    /// Whether a layer is packed with zstd.
    pub zstd: bool,
    /// Whether something that it names is not there.
    pub incomplete: bool,
}

/// What loaders ask about an archive.
#[derive(Clone, Debug)]
pub struct Facts {
    /// How the whole file is packed.
    pub compression: Compression,
    /// Whether it is an OCI layout.
    pub layout: bool,
    /// What its `index.json` lists, in order.
    pub images: Vec<Image>,
    /// What its `manifest.json` lists; none when there is none.
    pub elements: Option<Vec<Element>>,
    /// The platform of the machine that loads.
    pub host: Platform,
}

impl Facts {
    /// Reads them.
    ///
    /// # Errors
    /// When a document cannot be read.
    pub fn read(archive: &Archive, host: &Platform) -> Result<Self, Error> {
        let layout = archive.format() == Format::Oci;
        let mut images = Vec::new();
        let mut zstd: HashMap<String, bool> = HashMap::new();
        for root in archive.roots()? {
            images.push(image(archive, &root, &mut zstd));
        }
        let elements = manifest_json(archive)?.map(|value| elements(&value, archive, &zstd));
        Ok(Self { compression: archive.compression(), layout, images, elements, host: host.clone() })
    }

    /// Returns the images of the layout, without what belongs to others.
    pub fn own_images(&self) -> impl Iterator<Item = &Image> {
        self.images.iter().filter(|image| !image.attached)
    }
}

/// Reads one image, and which of its layers are packed with zstd.
fn image(archive: &Archive, root: &Descriptor, zstd: &mut HashMap<String, bool>) -> Image {
    let mut platforms = Vec::new();
    let mut attestations = Vec::new();
    let mut subject = false;
    let reach = graph::reach(archive, std::slice::from_ref(root), &mut |descriptor, document| {
        subject |= document.subject().is_some() && descriptor.digest() == root.digest();
        match document.body() {
            Body::Index(index) => {
                let of = index.manifests.iter().filter(|child| child.attestation_of().is_some());
                attestations.extend(of.map(|child| *child.digest()));
            }
            Body::Manifest(manifest) => {
                for layer in &manifest.layers {
                    let is_zstd = layer.media_type().role() == Role::Layer(Compression::Zstd);
                    zstd.insert(layer.digest().blob_path(), is_zstd);
                }
                if !attestations.contains(descriptor.digest()) {
                    platforms.extend(super::super::look::platform_of(archive, descriptor, manifest));
                }
            }
        }
    });
    platforms.retain(|platform| !platform.is_unknown() && !platform.architecture.is_empty());
    let gone = |error: &StoreError| matches!(error, StoreError::Missing { .. });
    let mut missing = reach.findings.iter().filter(|finding| gone(&finding.error)).count();
    for node in reach.nodes.iter().filter(|node| !node.media_type.is_document()) {
        let absent = archive.open(&node.content).is_err() && !node.media_type.is_foreign_layer();
        missing += usize::from(absent);
    }
    let text = |name: &str| root.annotation(name).filter(|text| !text.is_empty()).map(str::to_owned);
    Image {
        root: root.clone(),
        full: text(CONTAINERD_NAME),
        own: text(REF_NAME),
        attached: is_attached(root) || subject,
        platforms,
        missing,
    }
}

/// Reads `manifest.json`, if there is one.
fn manifest_json(archive: &Archive) -> Result<Option<Value>, Error> {
    let Some(entry) = archive.read_entry_unverified("manifest.json") else { return Ok(None) };
    let mut raw = Vec::new();
    let path = archive.location().to_string();
    entry.take(LARGEST_DOCUMENT).read_to_end(&mut raw).map_err(StoreError::io("read", path))?;
    match json::parse(&raw) {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(StoreError::malformed("manifest.json", archive.location(), error).into()),
    }
}

fn elements(value: &Value, archive: &Archive, zstd: &HashMap<String, bool>) -> Vec<Element> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let element = |value: &Value| {
        let layers = texts(&value["Layers"]);
        let config = value["Config"].as_str().map(str::to_owned);
        let is_there = |name: &String| archive.read_entry_unverified(name).is_some();
        Element {
            tags: texts(&value["RepoTags"]),
            zstd: layers.iter().any(|layer| zstd.get(layer).copied().unwrap_or(false)),
            // links in a docker-archive are followed when it is opened, so there nothing can be missing
            incomplete: archive.format() == Format::Oci && !layers.iter().chain(&config).all(is_there),
        }
    };
    value.as_array().into_iter().flatten().map(element).collect()
}
