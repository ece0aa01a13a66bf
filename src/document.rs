//! Documents: manifests, indexes and configs, raw and parsed side by side.
//!
//! The raw bytes are what is copied, hashed and shown; the parsed form is only for deciding. image-spec v1.1.1,
//! manifest.md, image-index.md, config.md.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::content::{Descriptor, read_platform, read_texts};
use crate::digest::Digest;
use crate::json::{self, Items, JsonError, MOST_VALUES, View};
use crate::media::{MediaType, Role};
use crate::platform::Platform;

/// The largest document that is read, in bytes: twice what registries must take (distribution-spec v1.1.1, "Pushing
/// Manifests").
pub const LARGEST_DOCUMENT: u64 = 8 * 1024 * 1024;
/// The largest `index.json` that is read, in bytes: it may hold many names.
pub const LARGEST_INDEX_JSON: u64 = 64 * 1024 * 1024;
/// The largest `manifest.json` of an archive that is read, in bytes: it names all images of an `index.json`, with their layers.
pub const LARGEST_MANIFEST_JSON: u64 = LARGEST_INDEX_JSON;

/// A document that refers to other content.
#[derive(Clone, Debug)]
pub struct Document {
    raw: Vec<u8>,
    media_type: MediaType,
    body: Body,
}

/// What a document holds.
#[derive(Clone, Debug)]
pub enum Body {
    /// Manifests, most often one a platform.
    Index(Index),
    /// A config and layers.
    Manifest(Manifest),
}

/// An image index or a manifest list.
#[derive(Clone, Debug)]
pub struct Index {
    /// Its entries, in order: where several match, the first is meant.
    pub manifests: Vec<Descriptor>,
    /// What the index itself is a referrer of.
    pub subject: Option<Descriptor>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The type of artifact, if it is one.
    pub artifact_type: Option<String>,
}

/// An image manifest, or an artifact's.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The config; only the withdrawn artifact manifest has none.
    pub config: Option<Descriptor>,
    /// The layers from the base up, or an artifact's blobs.
    pub layers: Vec<Descriptor>,
    /// What this is a referrer of.
    pub subject: Option<Descriptor>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The type of artifact, if it is one.
    pub artifact_type: Option<String>,
}

impl Manifest {
    /// Returns the config when this is an image's: one that says a platform and `diff_ids`.
    #[must_use]
    pub fn image_config(&self) -> Option<&Descriptor> {
        self.config.as_ref().filter(|config| config.media_type().role() == Role::Config)
    }

    /// Returns whether this is an image with a root file system: an image's config, and nothing but layers.
    #[must_use]
    pub fn has_file_system(&self) -> bool {
        let is_layer = |layer: &Descriptor| matches!(layer.media_type().role(), Role::Layer(_));
        self.image_config().is_some() && self.layers.iter().all(is_layer)
    }
}

impl Body {
    /// Parses what a descriptor of the given type promised to be a document.
    ///
    /// # Errors
    /// When it is no strict JSON, its own `mediaType` is another one, it could be taken for an index as well as for a
    /// manifest, or a descriptor in it is unusable.
    pub fn parse(media_type: &MediaType, raw: &[u8]) -> Result<Self, JsonError> {
        let (name, list) = match media_type.role() {
            Role::Index => ("index", "manifests"),
            Role::Artifact => ("manifest", "blobs"),
            _ => ("manifest", "layers"),
        };
        // one after the other: the whole document as values beside the descriptors would take twice the memory
        let (mut listed, mut held) = (Items::default(), 0);
        let value = json::parse_lists(raw, name, &[list], &mut |_, item| {
            held += json::count(item.value());
            listed.take(|| if held > MOST_VALUES { Err(JsonError::Long) } else { Descriptor::read(item) });
        })?;
        let top = View::top(&value, name);
        if media_type.role() != Role::Artifact {
            let version = top.need("schemaVersion", "2")?;
            if version.count() != Ok(2) {
                return Err(version.wrong("2"));
            }
        }
        if let Some(own) = top.get("mediaType")?
            && own.text()? != media_type.as_str()
        {
            return Err(own.wrong(&format!("{media_type}, the type that refers to it")));
        }
        // The confusion of CVE-2021-41190: one reader takes it for an index, another for a manifest.
        let foreign = match media_type.role() {
            Role::Index => ["layers", "config", "fsLayers"],
            _ => ["manifests", "fsLayers", "history"],
        };
        for field in foreign {
            if let Some(both) = top.get(field)? {
                return Err(both.wrong("absent: with it the document is an index and a manifest at once"));
            }
        }
        top.list_at(list)?; // nothing is left in it, but it may be something else
        let subject = top.get("subject")?.map(|subject| Descriptor::read(&subject)).transpose()?;
        let annotations = read_texts(&top, "annotations")?;
        let artifact_type = top.text_at("artifactType")?.map(str::to_owned);
        Ok(match media_type.role() {
            Role::Index => Self::Index(Index { manifests: listed.all()?, subject, annotations, artifact_type }),
            Role::Artifact => {
                Self::Manifest(Manifest { config: None, layers: listed.all()?, subject, annotations, artifact_type })
            }
            _ => {
                let config = Some(Descriptor::read(&top.need("config", "a descriptor")?)?);
                Self::Manifest(Manifest { config, layers: listed.all()?, subject, annotations, artifact_type })
            }
        })
    }
}

impl Document {
    /// Parses a document that a descriptor of the given type promised.
    ///
    /// # Errors
    /// As [`Body::parse`].
    pub fn parse(media_type: &MediaType, raw: Vec<u8>) -> Result<Self, JsonError> {
        let body = Body::parse(media_type, &raw)?;
        Ok(Self { raw, media_type: media_type.clone(), body })
    }

    /// Encodes and parses a document that barge makes.
    ///
    /// # Errors
    /// As [`Self::parse`]; what barge makes from descriptors that were read has none of these.
    pub fn make(media_type: &MediaType, value: &Value) -> Result<Self, JsonError> {
        Self::parse(media_type, json::encode(value))
    }

    /// Returns the bytes, as they were read.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Returns the type by which it was referred to.
    #[must_use]
    pub const fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// Returns what it holds.
    #[must_use]
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// Returns a bare descriptor of this document.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(&self.media_type, &self.raw)
    }

    /// Returns what has to be there for this document to be whole, in the order of the document. A `subject` is not among
    /// it: a signature is whole without the image.
    pub fn children(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, list) = match &self.body {
            Body::Index(index) => (None, &index.manifests),
            Body::Manifest(manifest) => (manifest.config.as_ref(), &manifest.layers),
        };
        config.into_iter().chain(list)
    }

    /// Returns the subject, if this is a referrer (image-spec v1.1.1, manifest.md, "subject").
    #[must_use]
    pub const fn subject(&self) -> Option<&Descriptor> {
        match &self.body {
            Body::Index(index) => index.subject.as_ref(),
            Body::Manifest(manifest) => manifest.subject.as_ref(),
        }
    }

    /// Returns the type of artifact: its own, else for a manifest that of its config (distribution-spec v1.1.1, "Listing
    /// Referrers").
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        let own = match &self.body {
            Body::Index(index) => &index.artifact_type,
            Body::Manifest(manifest) => &manifest.artifact_type,
        };
        let config = || match &self.body {
            Body::Index(_) => None,
            Body::Manifest(manifest) => manifest.config.as_ref().map(|config| config.media_type().as_str()),
        };
        own.as_deref().filter(|own| !own.is_empty()).or_else(config)
    }

    /// Returns the annotations of the document itself.
    #[must_use]
    pub const fn annotations(&self) -> &BTreeMap<String, String> {
        match &self.body {
            Body::Index(index) => &index.annotations,
            Body::Manifest(manifest) => &manifest.annotations,
        }
    }
}

/// What barge reads from an image's config.
#[derive(Clone, Debug, Default)]
pub struct ImageConfig {
    /// The platform as it is written; empty where the config says nothing.
    pub platform: Platform,
    /// The digests of the uncompressed layers, from the base up.
    pub diff_ids: Vec<Digest>,
    /// When the image was made (RFC 3339), as it is written.
    pub created: Option<String>,
}

impl ImageConfig {
    /// Parses a config.
    ///
    /// # Errors
    /// When it is no strict JSON, or a field that barge relies on has another form.
    pub fn parse(raw: &[u8]) -> Result<Self, JsonError> {
        let value = json::parse(raw)?;
        let top = View::top(&value, "config");
        let platform = read_platform(&top)?;
        let mut diff_ids = Vec::new();
        if let Some(rootfs) = top.get("rootfs")? {
            for id in rootfs.list_at("diff_ids")? {
                diff_ids.push(id.text()?.parse().map_err(|_| id.wrong("a digest such as sha256:<64 hex digits>"))?);
            }
        }
        Ok(Self { platform, diff_ids, created: top.text_at("created")?.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

    const CONFIG: &str = r#"{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,
        "digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}"#;

    fn parse(media_type: &str, text: &str) -> Result<Document, JsonError> {
        Document::parse(&media_type.into(), text.as_bytes().to_vec())
    }

    #[test]
    fn a_document_that_two_readers_take_differently_is_refused() {
        let manifest = format!(r#"{{"schemaVersion":2,"config":{CONFIG},"layers":[]}}"#);
        parse(OCI_MANIFEST, &manifest).unwrap();
        for (media_type, text, complaint) in [
            (OCI_INDEX, manifest.clone(), "an index and a manifest at once"),
            (OCI_MANIFEST, manifest.replace("\"layers\"", "\"manifests\":[],\"layers\""), "at once"),
            (DOCKER_MANIFEST, manifest.replace("\"config\"", "\"mediaType\":\"x/y\",\"config\""), "refers to it"),
            (OCI_MANIFEST, manifest.replace(":2,\"config\"", ":1,\"config\""), "schemaVersion is 1, expected 2"),
            (OCI_MANIFEST, r#"{"schemaVersion":2,"layers":[]}"#.to_owned(), "manifest.config is absent"),
            (OCI_INDEX, r#"{"schemaVersion":2,"manifests":{}}"#.to_owned(), "manifests is an object, expected a list"),
        ] {
            let error = parse(media_type, &text).unwrap_err().to_string();
            assert!(error.contains(complaint), "{text}: {error}");
        }
    }

    #[test]
    fn null_is_an_empty_list_as_go_writes_it() {
        let document =
            parse(OCI_MANIFEST, &format!(r#"{{"schemaVersion":2,"config":{CONFIG},"layers":null}}"#)).unwrap();
        assert_eq!(document.children().count(), 1);
        assert!(
            parse(OCI_INDEX, r#"{"schemaVersion":2,"manifests":null,"annotations":null}"#).unwrap().subject().is_none()
        );
    }

    #[test]
    fn a_config_gives_its_platform_and_layers() {
        let config = ImageConfig::parse(
            br#"{"architecture":"arm","os":"linux","variant":"v7","os.version":"","rootfs":{"type":"layers","diff_ids":null}}"#,
        )
        .unwrap();
        assert_eq!(config.platform.variant.as_deref(), Some("v7"));
        assert_eq!(config.platform.os_version, None);
        assert!(ImageConfig::parse(br#"{"rootfs":{"diff_ids":["x"]}}"#).is_err());
        assert!(ImageConfig::parse(br#"{"os":1}"#).is_err());
    }
}
