//! `inspect`: one document of an image.

use super::super::Error;
use super::super::lookup::{name_of, select_one};
use super::platform_of;
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
    let root = select_one(source, selector)?;
    let name = name_of(&root).map(str::to_owned);
    let mut descriptor = root;
    if !descriptor.media_type().is_document() {
        return plain(source, &descriptor, name);
    }
    let mut document = read_document(source, &descriptor)?;
    let mut platform = None;
    let wants_one = !platforms.is_all() || part == Part::Config;
    while let (Body::Index(index), true) = (document.body(), wants_one) {
        let chosen = choose(source, &descriptor, &index.manifests, platforms)?;
        platform.clone_from(&chosen.1);
        descriptor = chosen.0;
        document = read_document(source, &descriptor)?;
    }
    if let (Body::Manifest(manifest), true) = (document.body(), wants_one) {
        let own = platform_of(source, &descriptor, manifest);
        if let Some(own) = own.as_ref().filter(|own| !platforms.wants(own)) {
            return Err(no_such_platform(source, platforms, std::slice::from_ref(own)));
        }
        platform = platform.or(own);
        if part == Part::Config {
            let Some(config) = &manifest.config else {
                let reason = "it has no config";
                return Err(StoreError::malformed(descriptor.digest().to_string(), source.location(), reason).into());
            };
            return Ok(Inspected { platform, ..plain(source, config, name)? });
        }
    }
    Ok(shown(&document, &descriptor, name, platform))
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

/// Chooses the one entry of an index that is meant.
fn choose(
    source: &dyn Source,
    index: &Descriptor,
    manifests: &[Descriptor],
    platforms: &PlatformFilter,
) -> Result<(Descriptor, Option<Platform>), Error> {
    let mut images = Vec::new();
    for child in manifests.iter().filter(|child| child.attestation_of().is_none()) {
        let platform = match child.platform() {
            Some(platform) => Some(platform.clone()),
            None if child.media_type().is_document() => match read_document(source, child)?.body() {
                Body::Manifest(manifest) => platform_of(source, child, manifest),
                Body::Index(_) => None, // an index in an index: its own platforms decide
            },
            None => continue,
        };
        images.push((child.clone(), platform));
    }
    let there: Vec<Platform> = images.iter().filter_map(|(_, platform)| platform.clone()).collect();
    images.retain(|(_, platform)| platform.as_ref().is_none_or(|platform| platforms.wants(platform)));
    match images.len() {
        0 => Err(no_such_platform(source, platforms, &there)),
        1 => Ok(images.swap_remove(0)),
        // where several match a platform that was asked for, the first is meant (image-spec v1.1.1, image-index.md)
        _ if !platforms.is_all() => Ok(images.swap_remove(0)),
        count => Err(Error::Absent {
            message: format!(
                "cannot choose among the {count} platforms of {} in {}",
                index.digest(),
                source.location()
            ),
            cause: Some(format!("it is for {}", list(&there))),
            hint: Some("say which with --platform".to_owned()),
        }),
    }
}

fn no_such_platform(source: &dyn Source, platforms: &PlatformFilter, there: &[Platform]) -> Error {
    let wanted = match platforms {
        PlatformFilter::All => "an image".to_owned(),
        PlatformFilter::Only(wanted) => list(wanted),
    };
    Error::Absent {
        message: format!("cannot find {wanted} in {}", source.location()),
        cause: Some(if there.is_empty() {
            "it says no platform".to_owned()
        } else {
            format!("it is for {}", list(there))
        }),
        hint: None,
    }
}

fn list(platforms: &[Platform]) -> String {
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
