//! The form of an image: whose media types it is written with, and how its layers are packed.

use crate::media::{Compression, MediaType, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, Role};

/// Whose media types a manifest is written with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The OCI image-spec's.
    #[default]
    Oci,
    /// Docker's, schema 2.
    Docker,
}

/// Pairs of layer types that mean the same, Docker's and the image-spec's.
const TWINS: [(&str, &str); 4] = [
    ("application/vnd.docker.image.rootfs.diff.tar", OCI_LAYER),
    ("application/vnd.docker.image.rootfs.diff.tar.gzip", OCI_LAYER_GZIP),
    ("application/vnd.docker.image.rootfs.diff.tar.zstd", OCI_LAYER_ZSTD),
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

/// Returns the image-spec's type of a layer that is packed so (image-spec v1.1.1, media-types.md).
#[must_use]
pub fn layer_type(compression: Compression) -> MediaType {
    MediaType::new(match compression {
        Compression::None => OCI_LAYER,
        Compression::Gzip => OCI_LAYER_GZIP,
        Compression::Zstd => OCI_LAYER_ZSTD,
    })
}
