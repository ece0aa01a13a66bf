//! Media types: what a piece of content says it is.
//!
//! image-spec v1.1.1, media-types.md, and the Docker types that it is compatible with. A type that is not known here is
//! kept as it is and treated as a leaf.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// An OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// An uncompressed OCI layer.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// A gzip OCI layer.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// A zstd OCI layer.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// The empty JSON object `{}` as a config or layer (image-spec v1.1.1, manifest.md, "Guidance for an Empty Descriptor").
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// The artifact manifest of image-spec v1.1.0-rc2, withdrawn but still met.
pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
/// A Docker manifest list.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// A Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// A Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// How a layer's tar is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952; several members may follow each other.
    Gzip,
    /// RFC 8878; several frames may follow each other.
    Zstd,
}

impl Compression {
    /// Returns the packing that the first bytes of some content show.
    #[must_use]
    pub fn sniffed(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // a skippable frame may come first (RFC 8878, section 3.1.2)
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// Packings that barge does not unpack: first bytes, name, the command that does.
const FOREIGN: [(&[u8], &str, &str); 5] = [
    (b"\xfd7zXZ\0", "xz", "xz -d"),
    (b"BZh", "bzip2", "bzip2 -d"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -d"),
    (b"LZIP", "lzip", "lzip -d"),
    (b"\x1f\x9d", "compress", "gzip -d"),
];

/// Returns the packing that barge does not unpack and the command that does, if the first bytes of some content show one.
#[must_use]
pub fn foreign_packing(start: &[u8]) -> Option<(&'static str, &'static str)> {
    FOREIGN.iter().find(|(magic, ..)| start.starts_with(magic)).map(|(_, name, command)| (*name, *command))
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// What barge does with content of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A document whose children are manifests.
    Index,
    /// A document whose children are a config and layers.
    Manifest,
    /// The withdrawn artifact manifest: its children are `blobs`.
    Artifact,
    /// An image configuration, with a platform and `diff_ids`.
    Config,
    /// A layer of a root file system.
    Layer(Compression),
    /// Anything else: a leaf.
    Other,
}

/// The types that are known, and what is done with them. Most descriptors have one of these, and none is stored twice.
static KNOWN: [(&str, Role); 18] = [
    (OCI_LAYER_GZIP, Role::Layer(Compression::Gzip)),
    (OCI_MANIFEST, Role::Manifest),
    (OCI_CONFIG, Role::Config),
    (OCI_INDEX, Role::Index),
    (OCI_LAYER_ZSTD, Role::Layer(Compression::Zstd)),
    (OCI_LAYER, Role::Layer(Compression::None)),
    ("application/vnd.docker.image.rootfs.diff.tar.gzip", Role::Layer(Compression::Gzip)),
    (DOCKER_MANIFEST, Role::Manifest),
    (DOCKER_CONFIG, Role::Config),
    (DOCKER_INDEX, Role::Index),
    ("application/vnd.docker.image.rootfs.diff.tar", Role::Layer(Compression::None)),
    ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Role::Layer(Compression::Gzip)),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar", Role::Layer(Compression::None)),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Role::Layer(Compression::Gzip)),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", Role::Layer(Compression::Zstd)),
    (OCI_ARTIFACT, Role::Artifact),
    (OCI_EMPTY, Role::Other),
    ("application/vnd.in-toto+json", Role::Other),
];

/// A media type as it stands in a descriptor, cheap to clone.
#[derive(Clone)]
pub struct MediaType(Text);

#[derive(Clone)]
enum Text {
    Known(&'static (&'static str, Role)),
    Other(Arc<str>),
}

impl MediaType {
    /// Takes any text: an unknown type is not an error (image-spec v1.1.1, media-types.md).
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(match KNOWN.iter().find(|(known, _)| *known == text) {
            Some(known) => Text::Known(known),
            None => Text::Other(Arc::from(text)),
        })
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Known((text, _)) => text,
            Text::Other(text) => text,
        }
    }

    /// Returns what is to be done with content of this type.
    #[must_use]
    pub const fn role(&self) -> Role {
        match &self.0 {
            Text::Known((_, role)) => *role,
            Text::Other(_) => Role::Other,
        }
    }

    /// Returns whether content of this type is a document that refers to other content.
    #[must_use]
    pub const fn is_document(&self) -> bool {
        matches!(self.role(), Role::Index | Role::Manifest | Role::Artifact)
    }

    /// Returns whether this is a layer that need not be distributed: it may be absent where its `urls` say where it is
    /// (image-spec v1.1.1, layer.md, "Non-Distributable Layers").
    #[must_use]
    pub fn is_foreign_layer(&self) -> bool {
        self.as_str().contains(".nondistributable.") || self.as_str().contains(".rootfs.foreign.")
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::text::escaped(self.as_str()))
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for MediaType {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for MediaType {}

impl PartialOrd for MediaType {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MediaType {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for MediaType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_types_play_the_same_roles_as_oci_ones() {
        for (oci, docker) in [
            (OCI_INDEX, DOCKER_INDEX),
            (OCI_MANIFEST, DOCKER_MANIFEST),
            (OCI_CONFIG, DOCKER_CONFIG),
            (OCI_LAYER_GZIP, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        ] {
            assert_eq!(MediaType::new(oci).role(), MediaType::new(docker).role());
        }
        assert_eq!(MediaType::new("application/vnd.in-toto+json").role(), Role::Other);
        assert!(MediaType::new("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip").is_foreign_layer());
    }

    #[test]
    fn packing_is_seen_in_the_first_bytes() {
        assert_eq!(Compression::sniffed(b"\x1f\x8b\x08"), Compression::Gzip);
        assert_eq!(Compression::sniffed(b"\x28\xb5\x2f\xfd"), Compression::Zstd);
        assert_eq!(Compression::sniffed(b"oci-layout\0"), Compression::None);
        assert_eq!(Compression::sniffed(b""), Compression::None);
    }
}
