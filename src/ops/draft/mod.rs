//! A draft: an image for one platform while it is made or changed, until it becomes a config and a manifest.
//!
//! What a build starts from, what an edit changes and what a conversion writes anew is the same thing here. Layers that are
//! not touched keep their bytes and their digests; a config keeps every field that nothing here knows.

mod form;
pub mod moment;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use self::form::{Form, in_form, layer_type};

use super::Error;
use super::choose::Chosen;
use crate::content::{Descriptor, Kind};
use crate::digest::Digest;
use crate::document::{Body, Document, ImageConfig};
use crate::json::{self, JsonError};
use crate::media::{Compression, DOCKER_CONFIG, DOCKER_MANIFEST, MediaType, OCI_CONFIG, OCI_MANIFEST};
use crate::plan::Plan;
use crate::platform::Platform;
use crate::recipe::config::{self, HistoryEntry};
use crate::store::{Location, Source, StoreError, read_small};
use crate::text::human_size;

/// The annotation with the name of the image that an image is based on (image-spec v1.1.1, annotations.md).
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// The annotation with the digest of the manifest of the image that an image is based on (same place).
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

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

impl<'a> Before<'a> {
    /// Returns where the config is, when it is still the same: it keeps its digest, of whatever algorithm.
    fn config_if_same(&self, raw: &[u8]) -> Option<(&'a dyn Source, &Descriptor)> {
        match self.manifest.body() {
            Body::Manifest(manifest) if raw == self.config => Some((self.source, manifest.config.as_ref()?)),
            _ => None,
        }
    }
}

impl std::fmt::Debug for Before<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Before").field("manifest", &self.manifest).finish_non_exhaustive()
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
    /// What it was, when that is to be kept but for what changes.
    before: Option<Before<'a>>,
}

/// An image before it is changed.
#[derive(Clone)]
struct Before<'a> {
    source: &'a dyn Source,
    manifest: Document,
    config: Vec<u8>,
    diff_ids: Vec<Digest>,
}

impl<'a> Draft<'a> {
    /// Starts with nothing.
    #[must_use]
    pub fn scratch(platform: &Platform) -> Self {
        Self {
            config: config::scratch(platform),
            layers: Vec::new(),
            annotations: BTreeMap::new(),
            form: Form::Oci,
            before: None,
        }
    }

    /// Starts with an image as it is: its form, its annotations, and its config as `read` understands it.
    ///
    /// # Errors
    /// When it is no image, its config cannot be read or used, or does not fit its layers.
    pub fn of_image(source: &'a dyn Source, image: &Chosen) -> Result<Self, Error> {
        Ok(Self { before: None, ..Self::to_edit(source, image)? })
    }

    /// Starts with an image that is to be changed: what [`Self::finish`] writes then differs from it in what was changed and
    /// in nothing else. Fields that nothing here knows stay, and a config that says the same keeps its bytes.
    ///
    /// # Errors
    /// As [`Self::of_image`].
    pub fn to_edit(source: &'a dyn Source, image: &Chosen) -> Result<Self, Error> {
        let manifest = image.manifest(source)?;
        let malformed = |reason: crate::store::Reason| {
            let what = image.descriptor.digest().to_string();
            StoreError::malformed(what, source.location(), reason)
        };
        let Some(descriptor) = manifest.image_config().filter(|_| manifest.has_file_system()) else {
            return Err(malformed("it is an artifact, not an image with a file system".into()).into());
        };
        let raw = read_small(source, &descriptor.content())?;
        let unusable =
            |error: JsonError| StoreError::malformed(descriptor.digest().to_string(), source.location(), error);
        let diff_ids = ImageConfig::parse(&raw).map_err(unusable)?.diff_ids;
        let config = config::of_image(&raw).map_err(unusable)?;
        let (got, expected) = (diff_ids.len(), manifest.layers.len());
        if got != expected {
            let reason = format!("its config has {got} diff_ids, expected {expected}: one for each layer");
            return Err(malformed(reason.into()).into());
        }
        let before = Before { source, manifest: image.document.clone(), config: raw, diff_ids: diff_ids.clone() };
        let layers = manifest.layers.iter().zip(diff_ids);
        Ok(Self {
            config,
            layers: layers.map(|(layer, diff_id)| DraftLayer { descriptor: layer.clone(), diff_id, source }).collect(),
            annotations: manifest.annotations.clone(),
            form: if image.document.media_type().as_str() == DOCKER_MANIFEST { Form::Docker } else { Form::Oci },
            before: Some(before),
        })
    }

    /// Gives it another form, and returns the names of what that has no place for, which is left out: in Docker's these are
    /// annotations, those of layers too, and what makes a referrer or an artifact of an image.
    pub fn set_form(&mut self, form: Form) -> Vec<String> {
        self.form = form;
        if form == Form::Oci {
            return Vec::new();
        }
        let mut lost: Vec<String> = std::mem::take(&mut self.annotations).into_keys().collect();
        for layer in &mut self.layers {
            let names: Vec<String> = layer.descriptor.annotations().keys().cloned().collect();
            let bare = names.iter().map(String::as_str).collect::<Vec<_>>();
            layer.descriptor = layer.descriptor.clone().without_annotations(&bare);
            lost.extend(names);
        }
        if let Some(Before { manifest, .. }) = &self.before
            && let Body::Manifest(manifest) = manifest.body()
        {
            lost.extend(manifest.config.iter().flat_map(|config| config.annotations().keys().cloned()));
            lost.extend(manifest.subject.is_some().then(|| "subject".to_owned()));
            lost.extend(manifest.artifact_type.is_some().then(|| "artifactType".to_owned()));
        }
        lost.sort();
        lost.dedup();
        lost
    }

    /// Checks that the form has a type for a layer.
    ///
    /// # Errors
    /// When it has none.
    pub fn fits_its_form(&self, layer: &DraftLayer<'_>) -> Result<(), Error> {
        in_form(layer.descriptor.media_type(), self.form).map(drop).ok_or_else(|| no_such_type(layer))
    }

    /// Checks that the form has a type for layers that are packed so.
    ///
    /// # Errors
    /// When it has none.
    pub fn fits_packing(&self, compression: Compression) -> Result<(), Error> {
        match in_form(&layer_type(compression), self.form) {
            Some(_) => Ok(()),
            None => Err(Error::Unsupported {
                message: format!("cannot pack the layers of {} with {compression}", self.platform()),
                cause: Some("Docker's form has no type for them that programs read".to_owned()),
                hint: Some("use --compression gzip, or `barge convert --to oci`".to_owned()),
            }),
        }
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
        if self.before.as_ref().is_none_or(|before| before.diff_ids != diff_ids) {
            config::set_layers(&mut config, &diff_ids);
        }
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
        let raw = match &self.before {
            Some(before) => json::edited(&before.config, &config).map_err(|error| malformed("its config", error))?,
            None => json::encode(&config),
        };
        let mut config = Descriptor::of(&MediaType::new(config_type), &raw);
        let about = format!("config of {platform}");
        match self.before.as_ref().and_then(|before| before.config_if_same(&raw)) {
            Some((source, same)) => {
                plan.add(source, &same.content(), about);
                config = config.with_content(same);
            }
            None => plan.add_bytes(raw, Kind::Config, about),
        }
        // those that somebody wrote into one all the same stay what they are
        let had = self.before.as_ref().map(|before| before.manifest.annotations());
        if self.form == Form::Docker && !self.annotations.is_empty() && had != Some(&self.annotations) {
            return Err(Error::Unsupported {
                message: format!("cannot write the manifest of {platform} in Docker's form"),
                cause: Some("it has annotations, and Docker's manifest has no place for them".to_owned()),
                hint: Some("leave them out, or write an OCI manifest".to_owned()),
            });
        }
        let media_type = MediaType::new(manifest_type);
        let manifest = match &self.before {
            Some(before) => self.edited(&before.manifest, &media_type, &config, layers),
            None => {
                let mut value = json!({"schemaVersion": 2, "mediaType": manifest_type, "config": config.to_value(),
                    "layers": layers});
                if !self.annotations.is_empty() {
                    value["annotations"] = json!(self.annotations);
                }
                Document::make(&media_type, &value)
            }
        };
        let manifest = manifest.map_err(|error| malformed("its manifest", error))?;
        plan.add_made(&manifest, &format!("manifest of {platform}"));
        Ok(manifest)
    }

    /// Changes in the manifest what is another thing now.
    fn edited(
        &self,
        before: &Document,
        media_type: &MediaType,
        config: &Descriptor,
        layers: Vec<Value>,
    ) -> Result<Document, JsonError> {
        let mut value = json::parse(before.raw())?;
        let Body::Manifest(old) = before.body() else { return Ok(before.clone()) };
        if value.get("mediaType").is_some() || before.media_type() != media_type {
            value["mediaType"] = media_type.as_str().into();
        }
        let held = old.config.as_ref().filter(|held| held.digest() != config.digest());
        let held = held.map(|held| held.clone().with_content(config)).or_else(|| old.config.clone());
        let mut config = held.unwrap_or_else(|| config.clone()).with_media_type(config.media_type());
        if self.form == Form::Docker {
            let names: Vec<String> = config.annotations().keys().cloned().collect();
            config = config.without_annotations(&names.iter().map(String::as_str).collect::<Vec<_>>());
            if let Some(fields) = value.as_object_mut() {
                fields.shift_remove("subject");
                fields.shift_remove("artifactType");
            }
        }
        value["config"] = config.to_value();
        if !(layers.is_empty() && old.layers.is_empty()) {
            value["layers"] = layers.into();
        }
        if self.annotations != old.annotations {
            match value.as_object_mut() {
                Some(fields) if self.annotations.is_empty() => drop(fields.shift_remove("annotations")),
                _ => value["annotations"] = json!(self.annotations),
            }
        }
        Document::parse(media_type, json::edited(before.raw(), &value)?)
    }
}

fn malformed(what: &str, error: JsonError) -> StoreError {
    StoreError::malformed(what, &Location::Memory("the image".to_owned()), error)
}

fn no_such_type(layer: &DraftLayer<'_>) -> Error {
    Error::Unsupported {
        message: format!("cannot write {} in Docker's form", layer.descriptor.digest()),
        cause: Some(format!("Docker has no type for a layer of {}", layer.descriptor.media_type())),
        hint: Some(match layer.descriptor.media_type().is_foreign_layer() {
            true => "it need not be distributed, and stays as it is: write an OCI manifest".to_owned(),
            false => "pack it anew with --compression gzip".to_owned(),
        }),
    }
}
