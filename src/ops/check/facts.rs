//! What loaders ask about an archive.

use std::collections::HashMap;
use std::io::Read as _;

use serde_json::Value;

use super::super::Error;
use super::super::bundle::Packed;
use super::super::loadable::{self, Loadable, loadable};
use super::super::lookup::is_attached;
use super::super::target::{ArchiveFormat, WriteOptions};
use crate::bundle::PackingList;
use crate::content::{CONTAINERD_NAME, Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::document::{Body, LARGEST_MANIFEST_JSON};
use crate::graph;
use crate::json::{self, View};
use crate::media::{Compression, Role};
use crate::plan::Plan;
use crate::platform::Platform;
use crate::store::archive::{Archive, Format};
use crate::store::{Source, StoreError, names};

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
    /// The platforms of its images that are there; none for an artifact.
    pub platforms: Vec<Platform>,
    /// What its index lists; none when it is no index.
    pub listed: Option<Vec<Listed>>,
    /// How many pieces that it refers to are not there.
    pub missing: usize,
}

/// An image that an index lists.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its platform.
    pub platform: Platform,
    /// Whether all of it is there.
    pub whole: bool,
}

impl Image {
    /// Returns what a loader on a machine takes out of the index; none when the index has nothing for it, or is none.
    #[must_use]
    pub fn listed_for(&self, host: &Platform) -> Option<&Listed> {
        let suits = |listed: &&Listed| host.rank(&listed.platform).is_some();
        self.listed.iter().flatten().filter(suits).min_by_key(|listed| host.rank(&listed.platform))
    }
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
    /// Why no loader but barge has a use for it; none when the archive is whole.
    pub needs: Option<Needs>,
    /// The platform of the machine that loads.
    pub host: Platform,
}

/// What an archive needs beside itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// It is a delta, and needs its base.
    Base,
    /// It is a part of several, and needs the others.
    Parts,
    /// It is compact, and its layers have to be made again.
    Compact,
    /// It is compact, and its layers have to be made again of bytes of layers that are not in it.
    CompactAndBase,
}

impl Facts {
    /// Reads them from an archive.
    ///
    /// # Errors
    /// When a document cannot be read.
    pub fn read(archive: &Archive, host: &Platform) -> Result<Self, Error> {
        let layout = archive.format() == Format::Oci;
        let mut zstd = HashMap::new();
        let images = images(archive, &archive.roots()?, &mut zstd);
        // links in a docker-archive are followed when it is opened, so there nothing can be missing
        let is_there = |name: &str| !layout || archive.read_entry_unverified(name).is_some();
        let elements = manifest_json(archive, &is_there, &zstd)?;
        let compact = archive.compact().map(|index| match index.bases.is_empty() {
            true => Needs::Compact,
            false => Needs::CompactAndBase,
        });
        let needs = Packed::of(archive)?.and_then(|packed| needs(&packed.list)).or(compact);
        Ok(Self { compression: archive.compression(), layout, images, elements, needs, host: host.clone() })
    }

    /// Foresees them, for an archive that is about to be written.
    ///
    /// # Errors
    /// When a document cannot be read.
    pub fn planned(plan: &Plan<'_>, options: &WriteOptions, host: &Platform) -> Result<Self, Error> {
        let place = plan.location();
        let malformed = |error| StoreError::malformed("index.json", place, error);
        let index = names::edit(None, &plan.inventory().roots, &[]).map_err(malformed)?.unwrap_or_default();
        let roots = names::parse(&index).map_err(malformed)?;
        let loadable = match options.format {
            ArchiveFormat::Oci => Loadable::default(),
            ArchiveFormat::Hybrid | ArchiveFormat::Docker => loadable(plan, &roots)?,
        };
        let mut zstd = HashMap::new();
        let images = images(plan, &roots, &mut zstd);
        Ok(Self {
            compression: options.compression,
            layout: options.format != ArchiveFormat::Docker,
            images,
            elements: (!loadable.is_empty())
                .then(|| loadable.elements().map(|element| planned(element, &zstd)).collect()),
            needs: None,
            host: host.clone(),
        })
    }

    /// Returns the images of the layout, without what belongs to others.
    pub fn own_images(&self) -> impl Iterator<Item = &Image> {
        self.images.iter().filter(|image| !image.attached)
    }
}

/// Returns what an archive needs, as its packing list says.
fn needs(list: &PackingList) -> Option<Needs> {
    let is_part = list.part().is_some();
    let lacks_something = list.is_delta() || (is_part && list.images.is_empty());
    lacks_something.then_some(if is_part { Needs::Parts } else { Needs::Base })
}

/// Reads images, and which of their layers are packed with zstd.
fn images(source: &dyn Source, roots: &[Descriptor], zstd: &mut HashMap<String, bool>) -> Vec<Image> {
    roots.iter().map(|root| image(source, root, zstd)).collect()
}

fn image(source: &dyn Source, root: &Descriptor, zstd: &mut HashMap<String, bool>) -> Image {
    let mut platforms = Vec::new();
    let mut attestations = Vec::new();
    let mut listed = None;
    let mut subject = false;
    let reach = graph::reach(source, std::slice::from_ref(root), &mut |descriptor, document| {
        let is_root = descriptor.digest() == root.digest();
        subject |= document.subject().is_some() && is_root;
        match document.body() {
            Body::Index(index) => {
                let of = index.manifests.iter().filter(|child| child.attestation_of().is_some());
                attestations.extend(of.map(|child| *child.digest()));
                if is_root {
                    listed = Some(index.manifests.iter().filter_map(|child| entry(source, child)).collect());
                }
            }
            Body::Manifest(manifest) => {
                for layer in &manifest.layers {
                    let is_zstd = layer.media_type().role() == Role::Layer(Compression::Zstd);
                    zstd.insert(layer.digest().blob_path(), is_zstd);
                }
                if !attestations.contains(descriptor.digest()) {
                    platforms.extend(super::super::choose::platform_of(source, descriptor, manifest));
                }
            }
        }
    });
    platforms.retain(|platform| !platform.is_unknown() && !platform.architecture.is_empty());
    let missing = missing(source, &reach);
    let text = |name: &str| root.annotation(name).filter(|text| !text.is_empty()).map(str::to_owned);
    Image {
        root: root.clone(),
        full: text(CONTAINERD_NAME),
        own: text(REF_NAME),
        attached: is_attached(root) || subject,
        platforms,
        listed,
        missing,
    }
}

/// Returns what an index lists; none for an attestation or another artifact.
fn entry(source: &dyn Source, child: &Descriptor) -> Option<Listed> {
    if child.attestation_of().is_some() {
        return None;
    }
    let mut platform = child.platform().cloned();
    let reach = graph::reach(source, std::slice::from_ref(child), &mut |descriptor, document| {
        if let (None, Body::Manifest(manifest)) = (&platform, document.body()) {
            platform = super::super::choose::platform_of(source, descriptor, manifest);
        }
    });
    let platform = platform.filter(|platform| !platform.is_unknown() && !platform.architecture.is_empty())?;
    Some(Listed { platform, whole: missing(source, &reach) == 0 })
}

/// Returns how many of the pieces that were reached are not there.
fn missing(source: &dyn Source, reach: &graph::Reach) -> usize {
    let gone = |error: &StoreError| matches!(error, StoreError::Missing { .. });
    let documents = reach.findings.iter().filter(|finding| gone(&finding.error)).count();
    let absent = |node: &&graph::Node| {
        let needed = !node.media_type().is_document() && !node.media_type().is_foreign_layer();
        needed && source.open(&node.content).is_err()
    };
    documents + reach.nodes.iter().filter(absent).count()
}

/// Reads `manifest.json`, if there is one.
fn manifest_json(
    archive: &Archive,
    is_there: &dyn Fn(&str) -> bool,
    zstd: &HashMap<String, bool>,
) -> Result<Option<Vec<Element>>, Error> {
    let Some(entry) = archive.read_entry_unverified("manifest.json") else { return Ok(None) };
    let mut raw = Vec::new();
    let path = archive.location().to_string();
    entry.take(LARGEST_MANIFEST_JSON).read_to_end(&mut raw).map_err(StoreError::io("read", path))?;
    let mut elements = Vec::new();
    match json::parse_items(&raw, "manifest.json", &mut |item| elements.push(element(item, is_there, zstd))) {
        Ok(_) => Ok(Some(elements)),
        Err(error) => Err(StoreError::malformed("manifest.json", archive.location(), error).into()),
    }
}

fn element(item: &View<'_>, is_there: &dyn Fn(&str) -> bool, zstd: &HashMap<String, bool>) -> Element {
    let value = item.value();
    let texts = |name: &str| value[name].as_array().into_iter().flatten().filter_map(Value::as_str);
    Element {
        tags: texts("RepoTags").map(str::to_owned).collect(),
        zstd: texts("Layers").any(|layer| zstd.get(layer).copied().unwrap_or(false)),
        incomplete: !texts("Layers").chain(value["Config"].as_str()).all(is_there),
    }
}

/// The same of what is about to be written: all that it names goes along.
fn planned(element: &loadable::Element, zstd: &HashMap<String, bool>) -> Element {
    let is_zstd = |layer: &Digest| zstd.get(&layer.blob_path()).copied().unwrap_or(false);
    Element { tags: element.tags.clone(), zstd: element.layers.iter().any(is_zstd), incomplete: false }
}
