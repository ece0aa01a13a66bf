//! A draft: an image for one platform while it is made or changed, until it becomes a config and a manifest.
//!
//! What a build starts from, what an edit changes and what a conversion writes anew is the same thing here. Layers that are
//! not touched keep their bytes and their digests; a config keeps every field that nothing here knows.

pub mod moment;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Error;
use super::choose::Chosen;
use crate::content::{Descriptor, Kind};
use crate::digest::Digest;
use crate::document::{Document, ImageConfig};
use crate::json;
use crate::media::{DOCKER_CONFIG, DOCKER_MANIFEST, MediaType, OCI_CONFIG, OCI_MANIFEST, Role};
use crate::plan::Plan;
use crate::platform::Platform;
use crate::recipe::config::{self, HistoryEntry};
use crate::store::{Location, Source, StoreError, read_small};
use crate::text::human_size;

/// The annotation with the name of the image that an image is based on (image-spec v1.1.1, annotations.md).
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// The annotation with the digest of the manifest of the image that an image is based on (same place).
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// Whose media types a manifest is written with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The OCI image-spec's.
    #[default]
    Oci,
    /// Docker's, schema 2.
    Docker,
}

/// A layer of a draft, and where its bytes are.
#[derive(Clone)]
pub struct DraftLayer<'a> {
    /// What the manifest says of it, in the form that it has where it is.
    pub descriptor: Descriptor,
    /// The digest of its tar.
    pub diff_id: Digest,
    /// Where it is.
    pub source: &'a dyn Source,
}

impl std::fmt::Debug for DraftLayer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DraftLayer").field("descriptor", &self.descriptor).finish_non_exhaustive()
    }
}

/// An image for one platform under way.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// The config, but for the layers.
    pub config: Value,
    /// The layers from the base up.
    pub layers: Vec<DraftLayer<'a>>,
    /// The annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// Whose media types it gets.
    pub form: Form,
}

impl<'a> Draft<'a> {
    /// Starts with nothing.
    #[must_use]
    pub fn scratch(platform: &Platform) -> Self {
        Self { config: config::scratch(platform), layers: Vec::new(), annotations: BTreeMap::new(), form: Form::Oci }
    }

    /// Starts with an image as it is: its form, its annotations, and its config as `read` understands it.
    ///
    /// # Errors
    /// When it is no image, its config cannot be read or used, or does not fit its layers.
    pub fn of_image(source: &'a dyn Source, image: &Chosen) -> Result<Self, Error> {
        let manifest = image.manifest(source)?;
        let malformed = |reason: crate::store::Reason| {
            let what = image.descriptor.digest().to_string();
            StoreError::malformed(what, source.location(), reason)
        };
        let Some(descriptor) = manifest.image_config().filter(|_| manifest.has_file_system()) else {
            return Err(malformed("it is an artifact, not an image with a file system".into()).into());
        };
        let raw = read_small(source, &descriptor.content())?;
        let unusable = |error| StoreError::malformed(descriptor.digest().to_string(), source.location(), error);
        let diff_ids = ImageConfig::parse(&raw).map_err(unusable)?.diff_ids;
        let config = config::of_image(&raw).map_err(unusable)?;
        let (got, expected) = (diff_ids.len(), manifest.layers.len());
        if got != expected {
            let reason = format!("its config has {got} diff_ids, expected {expected}: one for each layer");
            return Err(malformed(reason.into()).into());
        }
        let layers = manifest.layers.iter().zip(diff_ids);
        Ok(Self {
            config,
            layers: layers.map(|(layer, diff_id)| DraftLayer { descriptor: layer.clone(), diff_id, source }).collect(),
            annotations: manifest.annotations.clone(),
            form: if image.document.media_type().as_str() == DOCKER_MANIFEST { Form::Docker } else { Form::Oci },
        })
    }

    /// Returns the platform that the config says.
    #[must_use]
    pub fn platform(&self) -> Platform {
        ImageConfig::parse(&json::encode(&self.config)).map(|config| config.platform).unwrap_or_default()
    }

    /// Adds a layer on top, and its line in the history.
    pub fn add_layer(&mut self, layer: DraftLayer<'a>, line: &HistoryEntry) {
        config::align_history(&mut self.config, self.layers.len());
        config::add_history(&mut self.config, line);
        self.layers.push(layer);
    }

    /// Adds a line to the history to which no layer belongs.
    pub fn add_line(&mut self, line: &HistoryEntry) {
        config::align_history(&mut self.config, self.layers.len());
        config::add_history(&mut self.config, line);
    }

    /// Writes the config and the manifest, adds them and all layers to a plan, and returns the manifest. A layer that need
    /// not be distributed and is not there is left where its `urls` say.
    ///
    /// # Errors
    /// When the form cannot hold it: Docker's has no annotations, and no type for layers that are packed with zstd.
    pub fn finish(&self, plan: &mut Plan<'a>) -> Result<Document, Error> {
        let platform = self.platform();
        let mut config = self.config.clone();
        let diff_ids: Vec<Digest> = self.layers.iter().map(|layer| layer.diff_id).collect();
        config::set_layers(&mut config, &diff_ids);
        let (manifest_type, config_type) = match self.form {
            Form::Oci => (OCI_MANIFEST, OCI_CONFIG),
            Form::Docker => (DOCKER_MANIFEST, DOCKER_CONFIG),
        };
        let mut layers = Vec::new();
        for (at, layer) in self.layers.iter().enumerate() {
            let media_type = in_form(layer.descriptor.media_type(), self.form).ok_or_else(|| no_such_type(layer))?;
            let content = layer.descriptor.content();
            if !layer.descriptor.media_type().is_foreign_layer() || layer.source.holds(&content)? {
                let size = human_size(layer.descriptor.size());
                plan.add(layer.source, &content, format!("layer {} of {platform}, {size}", at + 1));
            }
            layers.push(layer.descriptor.clone().with_media_type(&media_type).to_value());
        }
        let raw = json::encode(&config);
        let config = Descriptor::of(&MediaType::new(config_type), &raw);
        plan.add_bytes(raw, Kind::Config, format!("config of {platform}"));
        let mut value = json!({"schemaVersion": 2, "mediaType": manifest_type, "config": config.to_value(),
            "layers": layers});
        if !self.annotations.is_empty() {
            if self.form == Form::Docker {
                return Err(Error::Unsupported {
                    message: format!("cannot write the manifest of {platform} in Docker's form"),
                    cause: Some("it has annotations, and Docker's manifest has no place for them".to_owned()),
                    hint: Some("leave them out, or write an OCI manifest".to_owned()),
                });
            }
            value["annotations"] = json!(self.annotations);
        }
        let place = Location::Memory("the image".to_owned());
        let manifest = Document::make(&MediaType::new(manifest_type), &value)
            .map_err(|error| StoreError::malformed("its manifest", &place, error))?;
        plan.add_made(&manifest, &format!("manifest of {platform}"));
        Ok(manifest)
    }
}

/// Pairs of layer types that mean the same, Docker's and the image-spec's.
const TWINS: [(&str, &str); 4] = [
    ("application/vnd.docker.image.rootfs.diff.tar", "application/vnd.oci.image.layer.v1.tar"),
    ("application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.oci.image.layer.v1.tar+gzip"),
    ("application/vnd.docker.image.rootfs.diff.tar.zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
    (
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    ),
];

/// Returns the type of a layer in a form; none when the form has no such type. Docker's type for zstd is written by no
/// program but a few, and read by fewer.
#[must_use]
pub fn in_form(media_type: &MediaType, form: Form) -> Option<MediaType> {
    let text = media_type.as_str();
    let twin = TWINS.iter().find(|(docker, oci)| *docker == text || *oci == text);
    match (form, twin) {
        (Form::Oci, Some((_, oci))) => Some(MediaType::new(oci)),
        (Form::Docker, Some((docker, _))) if !docker.ends_with(".zstd") => Some(MediaType::new(docker)),
        (Form::Oci, None) if matches!(media_type.role(), Role::Layer(_)) => Some(media_type.clone()),
        _ => None,
    }
}

fn no_such_type(layer: &DraftLayer<'_>) -> Error {
    Error::Unsupported {
        message: format!("cannot write {} in Docker's form", layer.descriptor.digest()),
        cause: Some(format!("Docker has no type for a layer of {}", layer.descriptor.media_type())),
        hint: Some("pack it anew with --compression gzip".to_owned()),
    }
}
