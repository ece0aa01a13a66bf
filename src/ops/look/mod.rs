//! Looking: what is in a place, without reading layers.

mod inspect;
mod list;
mod tree;

pub use inspect::{Inspected, Part, inspect};
pub use list::{Kind, Listed, list};
pub use tree::{Branch, tree};

use crate::content::Descriptor;
use crate::document::{ImageConfig, Manifest};
use crate::platform::Platform;
use crate::store::{Source, read_small};

/// Returns the platform of an image: what its descriptor says, else its config; none when neither can be read or says it.
pub(super) fn platform_of(source: &dyn Source, descriptor: &Descriptor, manifest: &Manifest) -> Option<Platform> {
    let stated = descriptor.platform().filter(|platform| !platform.architecture.is_empty());
    stated.cloned().or_else(|| config_of(source, manifest).map(|config| config.platform))
}

/// Returns the config of an image, when it has one and it can be read: looking goes on without it.
fn config_of(source: &dyn Source, manifest: &Manifest) -> Option<ImageConfig> {
    let config = manifest.config.as_ref().filter(|config| config.content().kind == crate::content::Kind::Config)?;
    ImageConfig::parse(&read_small(source, &config.content()).ok()?).ok()
}
