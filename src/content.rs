//! Content and what refers to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::json::{JsonError, View};
use crate::media::{MediaType, Role};
use crate::platform::Platform;

/// The full name of an image, as containerd, docker and podman read it from `index.json`.
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The name or tag of an image in a layout (image-spec v1.1.1, annotations.md).
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// When BuildKit wrote the layout's descriptor.
pub const CREATED: &str = "org.opencontainers.image.created";
/// The image that a top-level descriptor belongs to, as containerd and moby export referrers.
pub const CONTAINERD_SUBJECT: &str = "io.containerd.manifest.subject";
/// What an attestation's descriptor says of itself (BuildKit, attestation-storage.md).
pub const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The manifest that an attestation describes.
pub const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// What kind of content a digest names, as far as stores handle it differently.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Bytes: a layer, anything unknown.
    Blob,
    /// What layers of a compact archive are made of ([`crate::compact`]): no image refers to it.
    Piece,
    /// The config of an image: small, and wanted before the layers by whoever reads an archive from its start.
    Config,
    /// A document that refers to other content; registries keep it apart and want its type.
    Manifest(MediaType),
}

/// A piece of content that some document, name or plan promises.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Content {
    /// Its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// How it is to be handled.
    pub kind: Kind,
}

impl Content {
    /// Returns the name and size of bytes at hand.
    #[must_use]
    pub fn of(bytes: &[u8], kind: Kind) -> Self {
        Self { digest: Digest::of(bytes), size: bytes.len() as u64, kind }
    }
}

/// Returns the sum of sizes, as far as a number goes: descriptors promise what they like.
pub fn total(sizes: impl IntoIterator<Item = u64>) -> u64 {
    sizes.into_iter().fold(0, u64::saturating_add)
}

/// A descriptor (image-spec v1.1.1, descriptor.md) with every field it came with: unknown ones are kept when it is
/// written into another document.
///
/// A clone is as small as a pointer: an `index.json` may hold many names, and those who work on it each keep their own list.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    said: Arc<Said>,
}

#[derive(Clone, Debug, PartialEq)]
struct Said {
    media_type: MediaType,
    digest: Digest,
    size: u64,
    platform: Option<Platform>,
    annotations: BTreeMap<String, String>,
    /// The fields that the others do not say word for word: an `index.json` may hold many names, and says each thing once.
    rest: Map<String, Value>,
}

impl Descriptor {
    /// Makes a descriptor of content.
    #[must_use]
    pub fn new(media_type: &MediaType, digest: Digest, size: u64) -> Self {
        let annotations = BTreeMap::new();
        Said { media_type: media_type.clone(), digest, size, platform: None, annotations, rest: Map::new() }.into()
    }

    /// Makes a descriptor of bytes at hand.
    #[must_use]
    pub fn of(media_type: &MediaType, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// Reads a descriptor.
    ///
    /// # Errors
    /// When a field that barge relies on is absent or of another form, the digest cannot be verified, or the embedded
    /// `data` is not what the digest and the size say.
    pub fn read(view: &View<'_>) -> Result<Self, JsonError> {
        let fields = view.object()?;
        let media_type = MediaType::new(view.need("mediaType", "a media type")?.text()?);
        let digest_field = view.need("digest", "a digest")?;
        let digest: Digest = digest_field.text()?.parse().map_err(|error: crate::digest::DigestError| {
            let expected = match error {
                crate::digest::DigestError::Unverifiable { .. } => "a digest that can be verified (sha256 or sha512)",
                crate::digest::DigestError::Malformed { .. } => "a digest such as sha256:<64 hex digits>",
            };
            digest_field.wrong(expected)
        })?;
        let size = view.need("size", "a size in bytes")?.count()?;
        let platform = view.get("platform")?.map(|platform| read_platform(&platform)).transpose()?;
        let annotations = read_texts(view, "annotations")?;
        for url in view.list_at("urls")? {
            url.text()?;
        }
        view.text_at("artifactType")?;
        if let Some(data) = view.get("data")? {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(data.text()?)
                .map_err(|_| data.wrong("base64 (RFC 4648, section 4)"))?;
            if bytes.len() as u64 != size || !digest.is_of(&bytes) {
                return Err(data.wrong("the very bytes that the digest and the size beside it name"));
            }
        }
        let is_said = |name: &str, value: &Value| match name {
            "mediaType" | "digest" | "size" => true,
            "annotations" => !annotations.is_empty(),
            "platform" => platform.as_ref().is_some_and(|platform| *value == platform_value(platform)),
            _ => false,
        };
        let rest = fields.iter().filter(|(name, value)| !is_said(name, value));
        let rest = rest.map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(Said { media_type, digest, size, platform, annotations, rest }.into())
    }

    /// Returns the media type.
    #[must_use]
    pub fn media_type(&self) -> &MediaType {
        &self.said.media_type
    }

    /// Returns the digest.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.said.digest
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.said.size
    }

    /// Returns the platform, when the descriptor has one. It may be absent or wrong: the image's config decides.
    #[must_use]
    pub fn platform(&self) -> Option<&Platform> {
        self.said.platform.as_ref()
    }

    /// Returns the platform when the descriptor says one: an empty `architecture` says nothing.
    #[must_use]
    pub fn stated_platform(&self) -> Option<&Platform> {
        self.said.platform.as_ref().filter(|platform| !platform.architecture.is_empty())
    }

    /// Returns the annotations.
    #[must_use]
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.said.annotations
    }

    /// Returns one annotation.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.said.annotations.get(name).map(String::as_str)
    }

    /// Returns the type of artifact, when the descriptor says one.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        self.said.rest.get("artifactType").and_then(Value::as_str)
    }

    /// Returns the content that the descriptor promises.
    #[must_use]
    pub fn content(&self) -> Content {
        let kind = match self.said.media_type.role() {
            Role::Index | Role::Manifest | Role::Artifact => Kind::Manifest(self.said.media_type.clone()),
            Role::Config => Kind::Config,
            Role::Layer(_) | Role::Other => Kind::Blob,
        };
        Content { digest: self.said.digest, size: self.said.size, kind }
    }

    /// Returns the manifest that this descriptor is an attestation of (BuildKit): the text as it stands, or an empty one
    /// when the descriptor says that it is an attestation but not of what.
    #[must_use]
    pub fn attestation_of(&self) -> Option<&str> {
        (self.annotation(REFERENCE_TYPE) == Some("attestation-manifest"))
            .then(|| self.annotation(REFERENCE_DIGEST).unwrap_or_default())
    }

    /// Returns the descriptor with this platform; fields of an earlier platform that barge does not know are kept.
    #[must_use]
    pub fn with_platform(mut self, platform: &Platform) -> Self {
        let said = Arc::make_mut(&mut self.said);
        let mut fields = match said.rest.remove("platform") {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        for name in ["os", "architecture", "variant", "os.version", "os.features"] {
            fields.remove(name);
        }
        if !fields.is_empty() {
            if let Value::Object(known) = platform_value(platform) {
                fields.extend(known);
            }
            said.rest.insert("platform".to_owned(), Value::Object(fields));
        }
        said.platform = Some(platform.clone());
        self
    }

    /// Returns the descriptor for other content of its type: all else that it says stays.
    #[must_use]
    pub fn with_content(mut self, other: &Self) -> Self {
        let said = Arc::make_mut(&mut self.said);
        said.digest = other.said.digest;
        said.size = other.said.size;
        said.rest.remove("data"); // it was the old content
        self
    }

    /// Returns the same with another media type.
    #[must_use]
    pub fn with_media_type(mut self, media_type: &MediaType) -> Self {
        Arc::make_mut(&mut self.said).media_type = media_type.clone();
        self
    }

    /// Returns the descriptor with a type of artifact.
    #[must_use]
    pub fn with_artifact_type(mut self, artifact_type: &str) -> Self {
        let said = Arc::make_mut(&mut self.said);
        said.rest.insert("artifactType".to_owned(), artifact_type.into());
        self
    }

    /// Returns the descriptor without a platform.
    #[must_use]
    pub fn without_platform(mut self) -> Self {
        let said = Arc::make_mut(&mut self.said);
        said.rest.remove("platform");
        said.platform = None;
        self
    }

    /// Returns the descriptor with an annotation set.
    #[must_use]
    pub fn with_annotation(mut self, name: &str, value: &str) -> Self {
        let said = Arc::make_mut(&mut self.said);
        said.annotations.insert(name.to_owned(), value.to_owned());
        said.rest.remove("annotations");
        self
    }

    /// Returns the descriptor without some annotations.
    #[must_use]
    pub fn without_annotations(mut self, names: &[&str]) -> Self {
        let said = Arc::make_mut(&mut self.said);
        said.annotations.retain(|name, _| !names.contains(&name.as_str()));
        said.rest.remove("annotations");
        self
    }

    /// Returns the descriptor without the places from which its content may be fetched as well.
    #[must_use]
    pub fn without_urls(mut self) -> Self {
        let said = Arc::make_mut(&mut self.said);
        said.rest.remove("urls");
        self
    }

    /// Returns the descriptor as it is to be written into a document.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let Said { media_type, digest, size, platform, annotations, rest } = &*self.said;
        let mut fields = Map::new();
        fields.insert("mediaType".to_owned(), media_type.as_str().into());
        fields.insert("digest".to_owned(), digest.to_string().into());
        fields.insert("size".to_owned(), (*size).into());
        if let Some(platform) = platform {
            fields.insert("platform".to_owned(), platform_value(platform));
        }
        if !annotations.is_empty() {
            let annotations = annotations.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
            fields.insert("annotations".to_owned(), Value::Object(annotations.collect()));
        }
        fields.extend(rest.iter().map(|(name, value)| (name.clone(), value.clone())));
        Value::Object(fields)
    }
}

impl From<Said> for Descriptor {
    fn from(said: Said) -> Self {
        Self { said: Arc::new(said) }
    }
}

/// Reads a `platform` object (image-spec v1.1.1, image-index.md, "platform").
///
/// # Errors
/// When a field is no text.
pub fn read_platform(view: &View<'_>) -> Result<Platform, JsonError> {
    let text = |name: &str| Ok::<_, JsonError>(view.text_at(name)?.unwrap_or_default().to_owned());
    let optional = |name: &str| Ok::<_, JsonError>(Some(text(name)?).filter(|text| !text.is_empty()));
    let features = view.list_at("os.features")?;
    Ok(Platform {
        os: text("os")?,
        architecture: text("architecture")?,
        variant: optional("variant")?,
        os_version: optional("os.version")?,
        os_features: features.iter().map(|feature| feature.text().map(str::to_owned)).collect::<Result<_, _>>()?,
    })
}

/// Returns a platform as it stands in a descriptor.
fn platform_value(platform: &Platform) -> Value {
    let mut fields = Map::new();
    fields.insert("os".to_owned(), platform.os.as_str().into());
    fields.insert("architecture".to_owned(), platform.architecture.as_str().into());
    for (name, value) in [("variant", &platform.variant), ("os.version", &platform.os_version)] {
        fields.extend(value.as_deref().map(|text| (name.to_owned(), text.into())));
    }
    if !platform.os_features.is_empty() {
        fields.insert("os.features".to_owned(), platform.os_features.clone().into());
    }
    Value::Object(fields)
}

/// Reads a map of texts, such as `annotations`, that may be absent or `null`.
///
/// # Errors
/// When it is no object, or a value no text.
pub fn read_texts(view: &View<'_>, name: &str) -> Result<BTreeMap<String, String>, JsonError> {
    let Some(map) = view.get(name)? else { return Ok(BTreeMap::new()) };
    let entry = |(name, value): (&String, &Value)| match value {
        Value::String(text) => Ok((name.clone(), text.clone())),
        _ => Err(map.wrong("an object whose values are texts")),
    };
    map.object()?.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use serde_json::json;

    fn read(text: &str) -> Result<Descriptor, JsonError> {
        Descriptor::read(&View::top(&json::parse(text.as_bytes()).unwrap(), "descriptor"))
    }

    #[test]
    fn sizes_that_no_disk_holds_add_up() {
        assert_eq!(total([1, 2]), 3);
        assert_eq!(total([i64::MAX as u64; 3]), u64::MAX);
    }

    const HELLO: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    #[test]
    fn unknown_fields_survive_every_change() {
        let text = format!(
            r#"{{"mediaType":"a/b","digest":"{HELLO}","size":5,"urls":["http://x"],"odd":[1],
               "platform":{{"os":"linux","architecture":"arm64","features":["sse4"]}},"annotations":{{"k":"v"}}}}"#
        );
        let mut platform = read(&text).unwrap().platform().unwrap().clone();
        platform.variant = Some("v8".to_owned());
        let changed =
            read(&text).unwrap().with_platform(&platform).with_annotation("a", "b").without_annotations(&["k"]);
        let value = changed.to_value();
        assert_eq!(value["odd"], json!([1]));
        assert_eq!(value["urls"], json!(["http://x"]));
        assert_eq!(value["platform"]["features"], json!(["sse4"]));
        assert_eq!(value["platform"]["variant"], json!("v8"));
        assert_eq!(value["annotations"], json!({"a": "b"}));
        assert!(changed.without_annotations(&["a"]).to_value().get("annotations").is_none());
    }

    #[test]
    fn whatever_a_descriptor_says_it_says_again() {
        for rest in [
            "",
            r#","platform":null,"annotations":null"#,
            r#","platform":{},"annotations":{}"#,
            r#","platform":{"os":"linux"}"#,
            r#","platform":{"os":"linux","architecture":null}"#,
            r#","platform":{"architecture":"arm64","os":"linux","variant":""}"#,
            r#","platform":{"architecture":"arm64","os":"linux","variant":"v8","os.version":"1","os.features":["x"]}"#,
            r#","platform":{"architecture":"arm64","os":"linux","os.features":[],"features":["sse4"]}"#,
            r#","annotations":{"b":"2","a":"1"},"urls":["http://x"],"artifactType":"a/b","odd":{"size":1.5}"#,
        ] {
            let text = format!(r#"{{"mediaType":"a/b","digest":"{HELLO}","size":5{rest}}}"#);
            let descriptor = read(&text).unwrap();
            assert_eq!(descriptor.to_value(), json::parse(text.as_bytes()).unwrap(), "{rest}");
            let again = read(&descriptor.to_value().to_string()).unwrap();
            assert_eq!(again, descriptor, "{rest}");
            // what is changed and changed back is the same, but for what said nothing
            let other = Platform { os: "windows".to_owned(), ..Platform::default() };
            let changed = descriptor.clone().with_platform(&other);
            assert_eq!(changed.to_value()["platform"]["os"], json!("windows"), "{rest}");
            assert!(changed.without_platform().to_value().get("platform").is_none(), "{rest}");
            let annotated = descriptor.with_annotation("k", "v").to_value();
            assert_eq!(annotated["annotations"]["k"], json!("v"), "{rest}");
        }
    }

    #[test]
    fn a_descriptor_that_cannot_be_relied_on_is_refused() {
        for (text, complaint) in [
            ("[]".to_owned(), "expected an object"),
            (format!(r#"{{"digest":"{HELLO}","size":5}}"#), "descriptor.mediaType is absent"),
            (r#"{"mediaType":"a/b","size":5}"#.to_owned(), "descriptor.digest is absent"),
            (r#"{"mediaType":"a/b","digest":"blake3:00","size":5}"#.to_owned(), "that can be verified"),
            (r#"{"mediaType":"a/b","digest":"sha256:../x","size":5}"#.to_owned(), "sha256:<64 hex digits>"),
            (format!(r#"{{"mediaType":"a/b","digest":"{HELLO}","size":5,"data":"aGVsbHA="}}"#), "the very bytes"),
            (format!(r#"{{"mediaType":"a/b","digest":"{HELLO}","size":5,"data":"!"}}"#), "base64"),
            (format!(r#"{{"mediaType":"a/b","digest":"{HELLO}","size":5,"annotations":{{"a":1}}}}"#), "texts"),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(complaint), "{text}: {error}");
        }
        read(&format!(r#"{{"mediaType":"a/b","digest":"{HELLO}","size":5,"data":"aGVsbG8=","annotations":null}}"#))
            .unwrap();
    }
}
