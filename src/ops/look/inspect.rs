//! `inspect`: one document of an image.

use super::super::Error;
use super::super::choose::{choose_root, follow};
use super::super::lookup::{name_of, select_one};
use crate::content::{Content, Descriptor};
use crate::digest::Digest;
use crate::document::{Body, Document};
use crate::media::MediaType;
use crate::platform::{Platform, PlatformFilter};
use crate::reference::Selector;
use crate::store::{Source, StoreError, read_document, read_small};

/// A document, with its exact bytes.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// The name by which the place holds the image.
    pub name: Option<String>,
    /// The digest of the document.
    pub digest: Digest,
    /// Its type.
    pub media_type: MediaType,
    /// The platform, where one was chosen.
    pub platform: Option<Platform>,
    /// Its bytes, checked.
    pub raw: Vec<u8>,
}

/// Which document of an image is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The index or the manifest.
    Manifest,
    /// The config.
    Config,
}

/// Reads one document of an image. With a platform, an index is followed to its manifest.
///
/// # Errors
/// When the image or the platform is not there, when a config is asked for and several platforms have one, or when the
/// document is missing or wrong.
pub fn inspect(
    source: &dyn Source,
    selector: Option<&Selector>,
    platforms: &PlatformFilter,
    part: Part,
) -> Result<Inspected, Error> {
    let wants_one = !platforms.is_all() || part == Part::Config;
    let root = if wants_one { choose_root(source, selector, platforms)? } else { select_one(source, selector)? };
    let name = name_of(&root).map(str::to_owned);
    if !root.media_type().is_document() {
        return plain(source, &root, name);
    }
    if !wants_one {
        let document = read_document(source, &root)?;
        return Ok(shown(&document, &root, name, None));
    }
    let chosen = follow(source, root, platforms)?;
    if let (Body::Manifest(manifest), Part::Config) = (chosen.document.body(), part) {
        let Some(config) = &manifest.config else {
            let reason = "it has no config";
            return Err(StoreError::malformed(chosen.descriptor.digest().to_string(), source.location(), reason).into());
        };
        return Ok(Inspected { platform: chosen.platform, ..plain(source, config, name)? });
    }
    Ok(shown(&chosen.document, &chosen.descriptor, name, chosen.platform))
}

fn shown(document: &Document, descriptor: &Descriptor, name: Option<String>, platform: Option<Platform>) -> Inspected {
    let (digest, media_type) = (*descriptor.digest(), descriptor.media_type().clone());
    Inspected { name, digest, media_type, platform, raw: document.raw().to_vec() }
}

fn plain(source: &dyn Source, descriptor: &Descriptor, name: Option<String>) -> Result<Inspected, Error> {
    let content: Content = descriptor.content();
    let raw = read_small(source, &content)?;
    Ok(Inspected { name, digest: content.digest, media_type: descriptor.media_type().clone(), platform: None, raw })
}
