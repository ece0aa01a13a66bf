//! The file system that a stack of layers makes, by its names and attributes: from it single files can be taken, whole
//! directories, or all of it as one layer.
//!
//! ```text
//! chunks      a layer -> unpacked bytes, checked by both of its digests (one thread)
//! names       names in a layer: parts of a path, whiteouts
//! outline     all names and attributes, in memory
//! read        layers -> their outline; and again for the content of what is wanted
//! flatten     the whole file system -> one tar
//! pick        a part of it -> a part of a layer: COPY --from
//! fault       what can be wrong, told apart by whose fault it is
//! ```
//!
//! All layers are read once for their names: links, whiteouts and upper layers decide where a path leads. Content is not
//! kept: the layers that hold what is wanted are read again, each once for all that is wanted. Both times every byte is
//! checked.

pub(in crate::ops) mod chunks;
pub(in crate::ops) mod fault;

mod flatten;
pub(in crate::ops) mod names;
pub(in crate::ops) mod outline;
mod pick;

pub(in crate::ops) mod read;
#[cfg(test)]
mod tests;

use crate::blob::Cancel;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::media::Role;
use crate::ops::Error;
use crate::ops::choose::Chosen;
use crate::store::{Source, StoreError};
use crate::text::human_size;

pub use self::flatten::{Flat, FlattenError};
pub use self::pick::Picking;

use self::fault::Fault;
use self::outline::Outline;

/// How many bytes an image may unpack to, unless it is said: tars and all, 100 GiB.
pub const DEFAULT_SIZE: u64 = 100 << 30;
/// How many entries its layers may have, unless it is said.
pub const DEFAULT_FILES: u64 = 3_000_000;

/// How much a stack of layers may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many bytes it may unpack to in all.
    pub size: u64,
    /// How many entries its layers may have in all.
    pub files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { size: DEFAULT_SIZE, files: DEFAULT_FILES }
    }
}

impl Limits {
    /// Checks a count of entries.
    pub(in crate::ops) fn check_files(&self, entries: u64) -> Result<(), Fault> {
        if entries <= self.files {
            return Ok(());
        }
        Err(Fault::Refused {
            reason: format!("the image has more than {} files: it may be a bomb", self.files),
            hint: "if it is not, raise the limit with --max-files".to_owned(),
        })
    }
}

/// A layer to be read, and where it is. Layers of one file system may come from several places.
#[derive(Clone)]
pub struct LayerOf<'a> {
    /// Where it is.
    pub source: &'a dyn Source,
    /// The layer, as it is referred to.
    pub descriptor: Descriptor,
    /// What it has to unpack to.
    pub diff_id: Digest,
    /// What it is, for people: `layer 3 of linux/arm64, 12.4 MiB`.
    pub about: String,
}

impl std::fmt::Debug for LayerOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { source, descriptor, diff_id, about } = self;
        f.debug_struct("LayerOf")
            .field("source", source.location())
            .field("descriptor", descriptor)
            .field("diff_id", diff_id)
            .field("about", about)
            .finish()
    }
}

impl LayerOf<'_> {
    pub(in crate::ops) fn error(&self, fault: Fault) -> Error {
        fault.into_error(&self.descriptor.digest().to_string(), self.about.clone(), self.source.location())
    }
}

/// Returns the layers of an image from the base up, when all of them are there.
///
/// # Errors
/// When the manifest or the config is no image's, a layer is none or is not there.
pub fn layers_of<'a>(source: &'a dyn Source, image: &Chosen) -> Result<Vec<LayerOf<'a>>, Error> {
    let manifest = image.manifest(source)?;
    let config = image.config(source)?;
    let (got, expected) = (config.diff_ids.len(), manifest.layers.len());
    if got != expected {
        let reason = format!("its config has {got} diff_ids, expected {expected}: one for each layer");
        let what = image.descriptor.digest().to_string();
        return Err(StoreError::malformed(what, source.location(), reason).into());
    }
    let mut layers = Vec::new();
    for (at, (descriptor, diff_id)) in manifest.layers.iter().zip(config.diff_ids).enumerate() {
        let size = human_size(descriptor.size());
        let about = format!("layer {} of {}, {size}", at + 1, image.describe());
        if !matches!(descriptor.media_type().role(), Role::Layer(_)) {
            return Err(Error::Unsupported {
                message: format!("cannot unpack {} ({about}) in {}", descriptor.digest(), source.location()),
                cause: Some(format!("its media type is {}, which is no layer's", descriptor.media_type())),
                hint: None,
            });
        }
        source.open(&descriptor.content()).map_err(|error| Error::Content {
            about: about.clone(),
            error,
            hint: None,
        })?;
        layers.push(LayerOf { source, descriptor: descriptor.clone(), diff_id, about });
    }
    Ok(layers)
}

/// The file system that a stack of layers makes.
#[derive(Debug)]
pub struct Rootfs<'a> {
    layers: Vec<LayerOf<'a>>,
    outline: Outline,
    limits: Limits,
    cancel: Cancel,
}
