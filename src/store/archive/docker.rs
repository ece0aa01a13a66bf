//! docker-archives: `manifest.json`, configs and layers, as `docker save`, skopeo, podman and others write them.
//!
//! `manifest.json` is a list of images: the entry of the config, the entries of the layers from the base up, and names
//! (moby, `image/spec/v1.2.md`, "Combined Image JSON + Filesystem Changeset Format"). It holds no digests, so there is
//! no manifest to copy: barge makes one for each image, the same on every run. Configs and layers stay as they are,
//! byte for byte. A plain layer is named by its diff_id in the config, which reading it then proves; a compressed one
//! is hashed when the archive is opened.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read as _;
use std::ops::Range;
use std::rc::Rc;

use serde_json::json;

use super::bytes::{ReadAt as _, Span, Stored};
use super::name::{normalised, resolved};
use super::read::{Files, Held, MANIFEST_JSON, OCI_LAYOUT};
use super::tar::Entry;
use super::{cannot_read, refusal};
use crate::blob::{CHUNK, Cancel, Mismatch};
use crate::content::{CONTAINERD_NAME, Descriptor, REF_NAME};
use crate::digest::{Algorithm, Digest};
use crate::document::{ImageConfig, LARGEST_DOCUMENT, LARGEST_MANIFEST_JSON};
use crate::json::{self, Items, JsonError, MOST_ITEMS, View};
use crate::media::{
    Compression, MediaType, OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST, foreign_packing,
};
use crate::platform::Platform;
use crate::store::StoreError;
use crate::text::quoted;

/// The most bytes of manifests and descriptors that are made for one archive: they stay in memory.
const MOST_MADE: u64 = 64 << 20;
/// How many bytes a descriptor counts: what a short name in `manifest.json` becomes.
const DESCRIPTOR: u64 = 512;

/// The images of a docker-archive, as OCI would describe them.
#[derive(Debug, Default)]
pub(super) struct Images {
    roots: Vec<Descriptor>,
    contents: BTreeMap<Digest, Place>,
    used: HashSet<u64>, // the headers of the entries that are configs and layers
}

/// Where content is.
#[derive(Debug)]
enum Place {
    Entry { offset: u64, size: u64 },
    Made(Vec<u8>),
}

impl Place {
    const fn size(&self) -> u64 {
        match self {
            Self::Entry { size, .. } => *size,
            Self::Made(bytes) => bytes.len() as u64,
        }
    }
}

impl Images {
    /// Reads `manifest.json` and all configs. Adds what is odd without being wrong to `oddities`.
    ///
    /// # Errors
    /// When one of them is not what it must be, something that it names is not there, or what it names contradicts the
    /// configs.
    pub(super) fn read(files: &Files<'_>, cancel: &Cancel, oddities: &mut Vec<String>) -> Result<Self, StoreError> {
        let Some(entry) = files.index.find(MANIFEST_JSON) else {
            let hint =
                files.index.find(OCI_LAYOUT).map(|_| "it holds an OCI layout: write `oci-archive:` before the path");
            return Err(refusal("the archive", files.place, "it holds no manifest.json", hint));
        };
        let raw = files.read_small(entry, LARGEST_MANIFEST_JSON)?;
        let listed = listed(&raw).map_err(|error| StoreError::malformed(MANIFEST_JSON, files.place, error))?;
        let mut reading = Reading {
            files,
            cancel,
            images: Self::default(),
            configs: HashMap::new(),
            layers: HashMap::new(),
            made: 0,
            named: HashMap::new(),
            unnamed: HashSet::new(),
        };
        for image in &listed {
            reading.take(image, oddities)?;
        }
        Ok(reading.images)
    }

    /// Returns one descriptor for each name, and one for each image without a name.
    pub(super) fn roots(&self) -> &[Descriptor] {
        &self.roots
    }

    /// Returns all content: configs, layers, and the manifests that were made.
    pub(super) fn contents(&self) -> Vec<(Digest, u64)> {
        self.contents.iter().map(|(digest, place)| (*digest, place.size())).collect()
    }

    /// Returns whether an entry is a config or a layer.
    pub(super) fn uses(&self, entry: &Entry) -> bool {
        self.used.contains(&entry.header)
    }

    /// Returns where in the tar content lies.
    pub(super) fn range(&self, digest: &Digest) -> Option<Range<u64>> {
        match self.contents.get(digest)? {
            Place::Entry { offset, size } => Some(*offset..offset.saturating_add(*size)),
            Place::Made(_) => None,
        }
    }

    /// Returns content with its size in bytes.
    pub(super) fn open<'a>(&'a self, digest: &Digest, bytes: &'a Stored) -> Option<(u64, Held<'a>)> {
        let place = self.contents.get(digest)?;
        let held = match place {
            Place::Entry { offset, size } => Held::Entry(Span::new(bytes, *offset, *size)),
            Place::Made(bytes) => Held::Made(bytes),
        };
        Some((place.size(), held))
    }
}

/// An image as `manifest.json` lists it.
struct Listed {
    config: String,
    names: Vec<Name>,
    layers: Vec<String>,
}

/// A name with its tag apart.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    full: String,
    tag: String,
}

fn listed(raw: &[u8]) -> Result<Vec<Listed>, JsonError> {
    let image = |image: &View<'_>| {
        let name = |name: &View<'_>| Name::parse(name.text()?).ok_or_else(|| name.wrong("a name with a tag"));
        Ok(Listed {
            config: image.need("Config", "the name of an entry")?.text()?.to_owned(),
            names: image.list_at("RepoTags")?.iter().map(name).collect::<Result<_, _>>()?,
            layers: image
                .list_at("Layers")?
                .iter()
                .map(|layer| layer.text().map(str::to_owned))
                .collect::<Result<_, _>>()?,
        })
    };
    let (mut images, mut held) = (Items::default(), 0);
    let rest = json::parse_items(raw, MANIFEST_JSON, &mut |item| {
        held += json::count(item.value());
        images.take(|| if held > MOST_ITEMS { Err(JsonError::Long) } else { image(item) });
    })?;
    View::top(&rest, MANIFEST_JSON).list()?; // nothing is left in it, but it may be something else
    let images = images.all()?;
    if images.is_empty() {
        let expected = "a list of at least one image".to_owned();
        return Err(JsonError::Field { path: MANIFEST_JSON.to_owned(), got: "an empty list".to_owned(), expected });
    }
    Ok(images)
}

impl Name {
    /// Completes a name as docker does (distribution/reference v0.6.0, `normalize.go`): without a host it is one of
    /// `docker.io`, without a slash one of `library/`. `None` when it is no name with a tag.
    fn parse(text: &str) -> Option<Self> {
        let (name, tag) = text.rsplit_once(':')?;
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_tag = tag.len() <= 128
            && tag.bytes().next().is_some_and(is_word)
            && tag.bytes().all(|byte| is_word(byte) || b".-".contains(&byte));
        let is_name = name.split('/').all(|part| !part.is_empty())
            && name.bytes().all(|byte| is_word(byte) || b".-/:[]".contains(&byte));
        if !is_tag || !is_name {
            return None;
        }
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" || host.to_lowercase() != host => {
                (if host == "index.docker.io" { "docker.io" } else { host }, path)
            }
            _ => ("docker.io", name),
        };
        if path.contains([':', '[', ']']) {
            return None; // only a host has a port
        }
        let library = if host == "docker.io" && !path.contains('/') { "library/" } else { "" };
        Some(Self { full: format!("{host}/{library}{path}:{tag}"), tag: tag.to_owned() })
    }
}

/// A config that was read.
struct Config {
    digest: Digest,
    size: u64,
    parsed: ImageConfig,
}

/// A layer that was looked at.
#[derive(Clone, Copy)]
struct Layer {
    diff_id: Digest,
    digest: Digest,
    size: u64,
    compression: Compression,
}

struct Reading<'a> {
    files: &'a Files<'a>,
    cancel: &'a Cancel,
    images: Images,
    // by where the entry stands: nothing is read twice, however often it is named
    configs: HashMap<usize, Rc<Config>>,
    layers: HashMap<usize, Layer>,
    made: u64,
    // the first image of each name, and those without one
    named: HashMap<String, Digest>,
    unnamed: HashSet<Digest>,
}

impl<'a> Reading<'a> {
    fn take(&mut self, image: &Listed, oddities: &mut Vec<String>) -> Result<(), StoreError> {
        let config = self.config(&image.config)?;
        let (got, expected) = (image.layers.len(), config.parsed.diff_ids.len());
        if got != expected {
            let reason = format!(
                "the image with the config {} has {got} layers, its config {expected} diff_ids",
                quoted(&image.config)
            );
            return Err(self.refuse(reason));
        }
        let mut layers = Vec::with_capacity(got);
        for (name, diff_id) in image.layers.iter().zip(&config.parsed.diff_ids) {
            let layer = self.layer(name, *diff_id)?;
            let media_type = match layer.compression {
                Compression::None => OCI_LAYER,
                Compression::Gzip => OCI_LAYER_GZIP,
                Compression::Zstd => OCI_LAYER_ZSTD,
            };
            layers.push(Descriptor::new(&MediaType::new(media_type), layer.digest, layer.size).to_value());
        }
        let manifest = json::encode(&json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": Descriptor::new(&MediaType::new(OCI_CONFIG), config.digest, config.size).to_value(),
            "layers": layers,
        }));
        self.made += manifest.len() as u64 + DESCRIPTOR * image.names.len().max(1) as u64;
        if manifest.len() as u64 > LARGEST_DOCUMENT || self.made > MOST_MADE {
            return Err(self.refuse("it lists more layers than a manifest can hold, or more names than are read"));
        }
        let mut root = Descriptor::of(&MediaType::new(OCI_MANIFEST), &manifest);
        self.images.contents.insert(*root.digest(), Place::Made(manifest));
        if config.parsed.platform != Platform::default() {
            root = root.with_platform(&config.parsed.platform);
        }
        self.name(&root, &image.names, oddities);
        Ok(())
    }

    fn name(&mut self, root: &Descriptor, names: &[Name], oddities: &mut Vec<String>) {
        let roots = &mut self.images.roots;
        if names.is_empty() && self.unnamed.insert(*root.digest()) {
            roots.push(root.clone());
        }
        for Name { full, tag } in names {
            match self.named.get(full) {
                Some(same) if same == root.digest() => continue,
                Some(_) => oddities.push(format!("gives the name {} to two images", quoted(full))),
                None => drop(self.named.insert(full.clone(), *root.digest())),
            }
            roots.push(root.clone().with_annotation(CONTAINERD_NAME, full).with_annotation(REF_NAME, tag));
        }
    }

    fn config(&mut self, name: &str) -> Result<Rc<Config>, StoreError> {
        let (at, entry) = self.find(name)?;
        if let Some(known) = self.configs.get(&at) {
            return Ok(Rc::clone(known));
        }
        let raw = self.files.read_small(entry, LARGEST_DOCUMENT)?;
        let got = Digest::of(&raw);
        // Everybody names a config by its digest: that is the only proof of it that such an archive has.
        if let Some(expected) = digest_in(name)
            && got != expected
        {
            let (place, mismatch) = (self.files.place.clone(), Mismatch::Digest { got, expected });
            return Err(StoreError::Wrong { digest: expected, place, mismatch });
        }
        let parsed = ImageConfig::parse(&raw)
            .map_err(|error| StoreError::malformed(format!("the config {}", quoted(name)), self.files.place, error))?;
        self.hold(got, entry)?;
        let config = Rc::new(Config { digest: got, size: entry.size, parsed });
        self.configs.insert(at, Rc::clone(&config));
        Ok(config)
    }

    fn layer(&mut self, name: &str, diff_id: Digest) -> Result<Layer, StoreError> {
        let (at, entry) = self.find(name)?;
        if let Some(known) = self.layers.get(&at) {
            if known.diff_id == diff_id {
                return Ok(*known);
            }
            let reason = format!("the layer {} stands for two diff_ids, {} and {diff_id}", quoted(name), known.diff_id);
            return Err(self.refuse(reason));
        }
        let compression = self.compression(name, entry)?;
        let digest = match compression {
            Compression::None => diff_id,
            _ => self.hashed(entry)?,
        };
        self.hold(digest, entry)?;
        let layer = Layer { diff_id, digest, size: entry.size, compression };
        self.layers.insert(at, layer);
        Ok(layer)
    }

    /// Returns how a layer is packed: docker too looks at its first bytes.
    fn compression(&self, name: &str, entry: &Entry) -> Result<Compression, StoreError> {
        let mut head = [0; 8];
        let room = head.len().min(usize::try_from(entry.size).unwrap_or(head.len()));
        let count =
            self.files.bytes.read_full_at(&mut head[..room], entry.offset).map_err(cannot_read(self.files.place))?;
        // What is no tar at all is not told here: it cannot be what its diff_id says, and reading it says so.
        match foreign_packing(&head[..count]) {
            None => Ok(Compression::sniffed(&head[..count])),
            Some((packing, _)) => {
                let reason = format!("it is compressed with {packing}, for which OCI has no media type");
                Err(refusal(format!("the layer {}", quoted(name)), self.files.place, reason, None))
            }
        }
    }

    fn hashed(&self, entry: &Entry) -> Result<Digest, StoreError> {
        let mut reader = entry.reader(self.files.bytes);
        let mut hasher = Algorithm::Sha256.hasher();
        let mut buffer = vec![0; CHUNK];
        loop {
            if self.cancel.is_cancelled() {
                return Err(StoreError::Cancelled);
            }
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cannot_read(self.files.place)(error)),
            }
        }
    }

    fn hold(&mut self, digest: Digest, entry: &Entry) -> Result<(), StoreError> {
        self.images.used.insert(entry.header);
        let place = Place::Entry { offset: entry.offset, size: entry.size };
        let held = self.images.contents.entry(digest).or_insert(place);
        if held.size() == entry.size {
            return Ok(()); // which of two is right, if only one is, shows when it is read
        }
        let reason =
            format!("{digest} stands for {} bytes and for the {} bytes of {}", held.size(), entry.size, entry.what());
        Err(self.refuse(reason))
    }

    /// Finds the regular entry that a name in `manifest.json` means.
    fn find(&self, name: &str) -> Result<(usize, &'a Entry), StoreError> {
        let what = format!("the entry {}", quoted(name));
        let wrong = |reason: String| refusal(what.clone(), self.files.place, reason, None);
        let plain = normalised(name.as_bytes()).map_err(|reason| wrong(format!("its name {reason}")))?;
        match resolved(self.files.index, &plain).map_err(wrong)? {
            Some(at) => Ok((at, &self.files.index.entries()[at])),
            None => {
                let hint = if self.files.index.has_end() {
                    "it was not written whole: save the image again"
                } else {
                    "it may be cut off: copy it again from where it was made"
                };
                let reason = "manifest.json names it, and it is not there";
                Err(refusal(what.clone(), self.files.place, reason, Some(hint)))
            }
        }
    }

    fn refuse(&self, reason: impl Into<String>) -> StoreError {
        refusal(MANIFEST_JSON, self.files.place, reason, None)
    }
}

/// Returns the digest that a config's name promises: `HEX.json`, `blobs/sha256/HEX`, or `sha256:HEX` as
/// go-containerregistry writes it.
fn digest_in(name: &str) -> Option<Digest> {
    let last = name.rsplit('/').next().unwrap_or(name);
    let hex = last.strip_suffix(".json").unwrap_or(last);
    let hex = hex.strip_prefix("sha256:").unwrap_or(hex);
    format!("sha256:{hex}").parse().ok()
}
