//! Choosing the one image that is meant: a reference leads to an index or a manifest, a platform to one manifest in it.

use super::Error;
use super::attach::TITLE;
use super::lookup::{name_of, select_for_merge};
use crate::content::Descriptor;
use crate::document::{Body, Document, ImageConfig, Manifest};
use crate::platform::{self, Platform, PlatformFilter};
use crate::reference::Selector;
use crate::store::{Source, StoreError, read_config, read_document};
use crate::text::quoted;

/// An image for one platform.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The name by which the place holds it, or the index that it stands in.
    pub name: Option<String>,
    /// Its manifest, as it is referred to.
    pub descriptor: Descriptor,
    /// Its manifest, raw and parsed.
    pub document: Document,
    /// Its platform, when it says one.
    pub platform: Option<Platform>,
}

impl Chosen {
    /// Returns what the manifest refers to.
    ///
    /// # Errors
    /// When the document is no manifest; [`choose_image`] yields nothing else.
    pub fn manifest(&self, source: &dyn Source) -> Result<&Manifest, Error> {
        match self.document.body() {
            Body::Manifest(manifest) => Ok(manifest),
            Body::Index(_) => Err(malformed(source, &self.descriptor, "it is an index, expected a manifest")),
        }
    }

    /// Reads the config.
    ///
    /// # Errors
    /// When it is missing, wrong or malformed, or the manifest is no image's and has none.
    pub fn config(&self, source: &dyn Source) -> Result<ImageConfig, Error> {
        let Some(config) = self.manifest(source)?.image_config() else {
            return Err(malformed(source, &self.descriptor, "it is an artifact, not an image with a file system"));
        };
        Ok(read_config(source, &config.content())?)
    }

    /// Returns what the image is called in messages: its platform, else its digest.
    #[must_use]
    pub fn describe(&self) -> String {
        self.platform.as_ref().map_or_else(|| self.descriptor.digest().short(), ToString::to_string)
    }
}

/// Chooses the image for one platform. Without a platform, the only one there is meant.
///
/// # Errors
/// [`Error::Absent`] when the image or the platform is not there, or several are meant, and when a document on the way is
/// missing, wrong, or refers to no image.
pub fn choose_image(
    source: &dyn Source,
    selector: Option<&Selector>,
    platforms: &PlatformFilter,
) -> Result<Chosen, Error> {
    let root = choose_root(source, selector, platforms)?;
    if !root.media_type().is_document() {
        let reason = format!("its media type is {}, which is no image's", root.media_type());
        return Err(malformed(source, &root, &reason));
    }
    follow(source, root, platforms)
}

/// Chooses a layer of an image, or a file of an artifact: by its number, from 1, or by its title. Without either the only one
/// there is meant.
///
/// # Errors
/// As [`choose_image`]; and when there is no such layer, or several are meant.
pub fn choose_layer(
    source: &dyn Source,
    selector: Option<&Selector>,
    platforms: &PlatformFilter,
    which: Option<&str>,
) -> Result<Descriptor, Error> {
    let chosen = choose_image(source, selector, platforms)?;
    let layers = &chosen.manifest(source)?.layers;
    let titled = |layer: &&Descriptor| layer.annotation(TITLE).is_some_and(|title| Some(title) == which);
    let numbered =
        which.and_then(|text| text.parse::<usize>().ok()).and_then(|number| layers.get(number.checked_sub(1)?));
    let found = match (layers.as_slice(), which) {
        ([only], None) => Some(only),
        (_, None) => None,
        (_, Some(_)) => layers.iter().find(titled).or(numbered),
    };
    found.cloned().ok_or_else(|| {
        const MOST: usize = 20;
        let of = format!("{} in {}", chosen.descriptor.digest().short(), source.location());
        let titles: Vec<String> = (1..)
            .zip(layers.iter().take(MOST))
            .map(|(number, layer)| match layer.annotation(TITLE) {
                Some(title) => format!("{number} {}", quoted(title)),
                None => format!("{number} {}", layer.media_type()),
            })
            .collect();
        Error::Absent {
            message: match which {
                Some(which) => format!("cannot find the layer {} of {of}", quoted(which)),
                None => format!("cannot choose among the {} layers of {of}", layers.len()),
            },
            cause: Some(if titles.is_empty() {
                "it has none".to_owned()
            } else {
                format!("it has {}", titles.join(", "))
            }),
            hint: Some("say which with --layer N or --layer TITLE".to_owned()),
        }
    })
}

/// Chooses a top-level descriptor: the one that a selector means, or the one for a platform among several that stand side
/// by side under one name, as a flat `index.json` holds them.
pub(super) fn choose_root(
    source: &dyn Source,
    selector: Option<&Selector>,
    platforms: &PlatformFilter,
) -> Result<Descriptor, Error> {
    let mut roots = select_for_merge(source, selector)?;
    if roots.len() == 1 {
        return Ok(roots.swap_remove(0));
    }
    let named = name_of(&roots[0]).map_or_else(|| "the images".to_owned(), crate::text::escaped);
    let (chosen, platform) = choose(source, &named, &roots, platforms)?;
    // in an index the first of two is meant; a name has one meaning for each platform, or it is not clear what it means
    for other in roots.iter().filter(|other| other.digest() != chosen.digest() && other.attestation_of().is_none()) {
        let theirs = match other.platform() {
            Some(platform) => Some(platform.clone()),
            None if other.media_type().is_document() => match read_document(source, other)?.body() {
                Body::Manifest(manifest) => platform_of(source, other, manifest),
                Body::Index(_) => None,
            },
            None => None,
        };
        if let (Some(platform), Some(theirs)) = (&platform, &theirs)
            && platform.key() == theirs.key()
        {
            let digests = format!("{} and {}", chosen.digest().short(), other.digest().short());
            return Err(Error::Absent {
                message: format!(
                    "cannot choose among the images for {platform} that {named} means in {}",
                    source.location()
                ),
                cause: Some(format!("it means {digests}")),
                hint: Some("name one of them by `@DIGEST`".to_owned()),
            });
        }
    }
    Ok(chosen)
}

/// Goes from an index to the manifest for a platform.
pub(super) fn follow(
    source: &dyn Source,
    mut descriptor: Descriptor,
    platforms: &PlatformFilter,
) -> Result<Chosen, Error> {
    let name = name_of(&descriptor).map(str::to_owned);
    let mut document = read_document(source, &descriptor)?;
    let mut platform = None;
    while let Body::Index(index) = document.body() {
        let chosen = choose(source, &descriptor.digest().to_string(), &index.manifests, platforms)?;
        platform.clone_from(&chosen.1);
        descriptor = chosen.0;
        document = read_document(source, &descriptor)?;
    }
    if let Body::Manifest(manifest) = document.body() {
        let own = platform_of(source, &descriptor, manifest);
        if let Some(own) = own.as_ref().filter(|own| !platforms.wants(own)) {
            return Err(no_such_platform(source, platforms, std::slice::from_ref(own)));
        }
        platform = platform.or(own);
    }
    Ok(Chosen { name, descriptor, document, platform })
}

/// Chooses the one of some manifests that is meant, as the entries of `of`.
fn choose(
    source: &dyn Source,
    of: &str,
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
            message: format!("cannot choose among the {count} platforms of {of} in {}", source.location()),
            cause: Some(format!("it is for {}", platform::list(&there))),
            hint: Some("say which with --platform".to_owned()),
        }),
    }
}

fn no_such_platform(source: &dyn Source, platforms: &PlatformFilter, there: &[Platform]) -> Error {
    let wanted = match platforms {
        PlatformFilter::All => "an image".to_owned(),
        PlatformFilter::Only(wanted) => platform::list(wanted),
    };
    Error::Absent {
        message: format!("cannot find {wanted} in {}", source.location()),
        cause: Some(if there.is_empty() {
            "it says no platform".to_owned()
        } else {
            format!("it is for {}", platform::list(there))
        }),
        hint: None,
    }
}

/// Returns the platform of an image: what its descriptor says, else its config; none when neither can be read or says it.
pub(super) fn platform_of(source: &dyn Source, descriptor: &Descriptor, manifest: &Manifest) -> Option<Platform> {
    let stated = descriptor.stated_platform();
    stated.cloned().or_else(|| config_of(source, manifest).map(|config| config.platform))
}

/// Returns the config of an image, when it has one and it can be read: looking goes on without it.
pub(super) fn config_of(source: &dyn Source, manifest: &Manifest) -> Option<ImageConfig> {
    read_config(source, &manifest.image_config()?.content()).ok()
}

fn malformed(source: &dyn Source, descriptor: &Descriptor, reason: &str) -> Error {
    StoreError::malformed(descriptor.digest().to_string(), source.location(), reason).into()
}
