//! The images of a source: one for each platform, with the attestations that belong to it.

use std::collections::HashSet;

use super::Error;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::{Body, Document, ImageConfig, Index};
use crate::graph::{self, Finding, Node, Reach};
use crate::media::Role;
use crate::platform::{Platform, PlatformFilter, PlatformKey};
use crate::store::{Source, StoreError, read_config, read_document};

/// The annotation by which containers tools mark the zstd twin of a gzip image (`--add-compression`).
pub const ZSTD_TWIN: &str = "io.github.containers.compression.zstd";

/// An image for one platform.
#[derive(Debug)]
pub struct Image {
    /// Its manifest, as it is to stand in an index: with its platform, and with all the fields it came with.
    pub descriptor: Descriptor,
    /// Its platform, as the index says that it came from, or else its config.
    pub platform: Platform,
    /// All its content.
    pub reach: Reach,
    /// What describes it, in order, with all the content of that.
    pub attestations: Vec<(Descriptor, Reach)>,
}

/// What makes an image another one than its neighbour in an index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageKey {
    /// Its platform, normalised.
    pub platform: PlatformKey,
    /// Whether it is the zstd twin of a gzip image.
    pub zstd_twin: bool,
}

impl Image {
    /// Returns what no two images of an index may share.
    #[must_use]
    pub fn key(&self) -> ImageKey {
        let zstd_twin = self.descriptor.annotation(ZSTD_TWIN) == Some("true");
        ImageKey { platform: self.platform.key(), zstd_twin }
    }
}

/// What becomes of attestations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attestations {
    /// They follow the image that they describe.
    #[default]
    Keep,
    /// They are left out.
    Drop,
}

/// What some top-level descriptors of a source hold.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The images, in the order of the source.
    pub images: Vec<Image>,
    /// What stands in an index and is no image and no attestation of one: kept as it is.
    pub others: Vec<(Descriptor, Reach)>,
    /// The platforms that the filter left out.
    pub left_out: Vec<Platform>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// Gathers the images that some top-level descriptors lead to. What is left out is not read, and may be missing.
///
/// # Errors
/// When something wanted is missing, wrong, malformed, or an image does not say its platform.
pub fn gather(
    source: &dyn Source,
    roots: &[Descriptor],
    filter: &PlatformFilter,
    attestations: Attestations,
) -> Result<Gathered, Error> {
    let mut task =
        Task { source, filter, gathered: Gathered::default(), attestations: Vec::new(), seen: HashSet::new() };
    for root in roots {
        match root.media_type().role() {
            Role::Index => task.index(root)?,
            Role::Manifest => task.manifest(root, Origin::Layout)?,
            _ => {
                let reason = format!("its media type is {}, which is no image's", root.media_type());
                return Err(StoreError::malformed(root.digest().to_string(), source.location(), reason).into());
            }
        }
    }
    match attestations {
        Attestations::Keep => task.place_attestations(),
        Attestations::Drop => Ok(task.gathered),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The descriptor stands in `index.json`: its annotations name it there and nowhere else.
    Layout,
    /// The descriptor stands in an index that somebody published.
    Index,
}

struct Task<'a> {
    source: &'a dyn Source,
    filter: &'a PlatformFilter,
    gathered: Gathered,
    attestations: Vec<Descriptor>,
    seen: HashSet<Digest>,
}

impl Task<'_> {
    /// Goes through an index, and through indexes inside it.
    fn index(&mut self, root: &Descriptor) -> Result<(), Error> {
        let mut pending = vec![(root.clone(), 0)];
        while let Some((descriptor, depth)) = pending.pop() {
            if !self.seen.insert(*descriptor.digest()) {
                continue;
            }
            if depth >= graph::DEEPEST {
                let reason = format!("indexes lie in it more than {} deep", graph::DEEPEST);
                let what = root.digest().to_string();
                return Err(StoreError::malformed(what, self.source.location(), reason).into());
            }
            let document = read_document(self.source, &descriptor)?;
            let Body::Index(Index { manifests, subject, .. }) = document.body() else { continue };
            if let Some(subject) = subject {
                let (digest, subject) = (descriptor.digest(), subject.digest());
                self.gathered.warnings.push(format!("{digest} is a referrer of {subject}: that is not carried over"));
            }
            for child in manifests {
                if child.attestation_of().is_some() {
                    self.attestations.push(child.clone());
                } else if child.media_type().role() == Role::Index {
                    pending.push((child.clone(), depth + 1));
                } else {
                    self.manifest(child, Origin::Index)?;
                }
            }
        }
        Ok(())
    }

    /// Takes one manifest, if it is an image that is wanted.
    fn manifest(&mut self, descriptor: &Descriptor, origin: Origin) -> Result<(), Error> {
        let stated = descriptor.stated_platform();
        if let Some(platform) = stated.filter(|platform| !platform.is_unknown() && !self.filter.wants(platform)) {
            self.gathered.left_out.push(platform.clone());
            return Ok(());
        }
        let mut read: Option<Document> = None;
        let reach = graph::reach(self.source, std::slice::from_ref(descriptor), &mut |at, document| {
            if at.digest() == descriptor.digest() {
                read = Some(document.clone());
            }
        });
        let (reach, absent) = graph::without_foreign(self.source, reach);
        for digest in absent {
            self.gathered.warnings.push(format!("{digest} is a layer to be fetched from elsewhere: left out"));
        }
        let reach = reach.whole()?.all_there(self.source)?;
        let config = match read.as_ref().map(Document::body) {
            Some(Body::Manifest(manifest)) => manifest.image_config(),
            _ => None,
        };
        let (Some(config), false) = (config, stated.is_some_and(Platform::is_unknown)) else {
            return self.other(descriptor, origin, reach);
        };
        let parsed = self.read_config(config, &reach)?;
        let platform = self.platform_of(descriptor, stated, &parsed.platform)?;
        if !self.filter.wants(&platform) {
            self.gathered.left_out.push(platform);
            return Ok(());
        }
        let mut descriptor = descriptor.clone();
        if origin == Origin::Layout {
            descriptor = as_entry(&descriptor);
        }
        if stated.is_none() {
            descriptor = descriptor.with_platform(&platform);
        }
        self.gathered.images.push(Image { descriptor, platform, reach, attestations: Vec::new() });
        Ok(())
    }

    fn other(&mut self, descriptor: &Descriptor, origin: Origin, reach: Reach) -> Result<(), Error> {
        if origin == Origin::Layout {
            let reason = "it is an artifact, not an image with a platform";
            return Err(StoreError::malformed(descriptor.digest().to_string(), self.source.location(), reason).into());
        }
        let (digest, place) = (descriptor.digest(), self.source.location());
        self.gathered.warnings.push(format!("{digest} in {place} is no image for a platform: kept as it is"));
        self.gathered.others.push((descriptor.clone(), reach));
        Ok(())
    }

    fn read_config(&self, config: &Descriptor, reach: &Reach) -> Result<ImageConfig, Error> {
        let node = reach.nodes.iter().find(|node| node.content.digest == *config.digest());
        let about = node.map_or_else(|| "a config".to_owned(), Node::describe);
        read_config(self.source, &config.content()).map_err(|error| Error::Content { about, error, hint: None })
    }

    /// Decides on the platform of an image: what an index states, else what the config says.
    fn platform_of(
        &mut self,
        descriptor: &Descriptor,
        stated: Option<&Platform>,
        config: &Platform,
    ) -> Result<Platform, Error> {
        let unsaid = config.os.is_empty() || config.architecture.is_empty();
        match stated {
            Some(stated) => {
                if !unsaid && disagree(stated, config) {
                    let (digest, place) = (descriptor.digest(), self.source.location());
                    self.gathered.warnings.push(format!(
                        "{digest} in {place} is {stated} by its index and {config} by its config: taken as {stated}"
                    ));
                }
                Ok(stated.clone())
            }
            None if unsaid => Err(StoreError::Malformed {
                what: descriptor.digest().to_string(),
                place: self.source.location().clone(),
                reason: "neither its descriptor nor its config says a platform".into(),
                hint: Some("build it again with a platform (os and architecture in its config)".to_owned()),
            }
            .into()),
            None => Ok(config.clone()),
        }
    }

    /// Gives every attestation to the image that it describes.
    fn place_attestations(mut self) -> Result<Gathered, Error> {
        let filtered = !self.gathered.left_out.is_empty();
        for descriptor in std::mem::take(&mut self.attestations) {
            let of = descriptor.attestation_of().unwrap_or_default();
            let image = self.gathered.images.iter().position(|image| image.descriptor.digest().to_string() == of);
            let Some(image) = image else {
                if !filtered {
                    let (digest, of) = (descriptor.digest(), crate::text::quoted(of));
                    self.gathered
                        .warnings
                        .push(format!("{digest} is an attestation of {of}, which is not there: left out"));
                }
                continue;
            };
            let reach = graph::reach(self.source, std::slice::from_ref(&descriptor), &mut |_, _| ());
            let reach = reach.whole().and_then(|reach| reach.all_there(self.source));
            let reach = reach.map_err(|Finding { about, error, .. }| {
                // as in what `ctr images export --platform` writes: the index lists them, and they are not there
                let absent = matches!(error, StoreError::Missing { .. });
                let hint = absent.then(|| "leave attestations out with --attestations drop".to_owned());
                Error::Content { about, error, hint }
            })?;
            let attestations = &mut self.gathered.images[image].attestations;
            if !attestations.iter().any(|(held, _)| held.digest() == descriptor.digest()) {
                attestations.push((descriptor, reach));
            }
        }
        Ok(self.gathered)
    }
}

/// Returns a descriptor of `index.json` as an entry of an index: what names it in the layout stays behind.
fn as_entry(descriptor: &Descriptor) -> Descriptor {
    use crate::content::{CONTAINERD_NAME, CONTAINERD_SUBJECT, CREATED, REF_NAME};
    descriptor.clone().without_annotations(&[CONTAINERD_NAME, REF_NAME, CREATED, CONTAINERD_SUBJECT])
}

/// Returns whether a descriptor and a config name different platforms; what the config leaves open contradicts nothing.
#[must_use]
pub fn disagree(descriptor: &Platform, config: &Platform) -> bool {
    let mut said = descriptor.clone();
    if config.variant.is_none() {
        said.variant = None;
    }
    if config.os_version.is_none() {
        said.os_version = None;
    }
    let mut config = config.clone();
    if said.os_version.is_none() {
        config.os_version = None;
    }
    said.os_features.clear();
    config.os_features.clear();
    said.key() != config.key()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_config_leaves_open_contradicts_nothing() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        let bare = |os: &str, architecture: &str, variant: Option<&str>| Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
            ..Platform::default()
        };
        for (descriptor, config, contradiction) in [
            (platform("linux/arm/v6"), bare("linux", "arm", None), false),
            (platform("linux/arm64"), bare("linux", "arm64", Some("v8")), false),
            (platform("linux/arm64/v8"), bare("linux", "aarch64", None), false),
            (platform("linux/arm/v6"), bare("linux", "arm", Some("v7")), true),
            (platform("linux/arm64"), bare("linux", "amd64", None), true),
            (platform("windows(10.0.17763.1)/amd64"), bare("windows", "amd64", None), false),
            (platform("linux/amd64"), bare("darwin", "amd64", None), true),
        ] {
            assert_eq!(disagree(&descriptor, &config), contradiction, "{descriptor} and {config:?}");
        }
    }
}
