//! Which images are the newest.

use super::super::Error;
use super::super::open::Context;
use super::super::pull::look_up;
use crate::content::Descriptor;
use crate::document::Body;
use crate::platform::PlatformFilter;
use crate::reference::ImageName;
use crate::store::{Source, read_config, read_document};
use crate::sync_file::{By, Choice, Entry};

/// Of how many images it is asked when they were made.
const MOST: usize = 1000;

/// Takes the newest of some tags in a registry, which stand in the order of their versions.
///
/// # Errors
/// When it has to be asked when images were made, and that cannot be read, or there are too many.
pub(super) fn newest_in_registry(
    choice: &Choice,
    mut tags: Vec<String>,
    names: &[ImageName],
    entry: &Entry,
    context: &Context<'_>,
) -> Result<Vec<String>, Error> {
    let Some(newest) = choice.newest else { return Ok(tags) };
    if choice.by == By::Version {
        tags.truncate(newest);
        return Ok(tags);
    }
    refuse_too_many(tags.len())?;
    let mut made = Vec::new();
    for (tag, repository) in tags.into_iter().zip(look_up(context.registries, names, context.cancel)?) {
        let roots = repository.roots()?;
        let created = roots.first().map(|root| created(&repository, root, &entry.platforms)).transpose()?.flatten();
        made.push((created, tag));
    }
    Ok(newest_of(made, newest))
}

/// Refuses to read the configs of more images than is sensible.
///
/// # Errors
/// When there are more.
pub(super) fn refuse_too_many(count: usize) -> Result<(), Error> {
    if count <= MOST {
        return Ok(());
    }
    Err(Error::Usage {
        message: format!(
            "cannot tell the newest by the time of creation: there are {count} to be asked, and {MOST} are the most"
        ),
        hint: Some("narrow the tags with `regex` or `semver`".to_owned()),
    })
}

/// Takes the newest of what was made at some times; what does not say is the oldest, and of one time the later tag comes first.
pub(super) fn newest_of<T: Ord>(mut made: Vec<(Option<jiff::Timestamp>, T)>, newest: usize) -> Vec<T> {
    made.sort_by(|one, other| other.cmp(one));
    made.truncate(newest);
    made.into_iter().map(|(_, what)| what).collect()
}

/// Returns when an image was made, as its config says; of several platforms the first one that is taken. None when it does not
/// say, or is no image.
///
/// # Errors
/// When it cannot be read.
pub(super) fn created(
    source: &dyn Source,
    root: &Descriptor,
    platforms: &PlatformFilter,
) -> Result<Option<jiff::Timestamp>, Error> {
    let mut at = root.clone();
    // an index in an index is as deep as it goes
    for _ in 0..4 {
        if !at.media_type().is_document() {
            return Ok(None);
        }
        let document = read_document(source, &at)?;
        match document.body() {
            Body::Manifest(manifest) => {
                let Some(config) = manifest.image_config() else { return Ok(None) };
                let created = read_config(source, &config.content())?.created;
                return Ok(created.and_then(|text| text.parse().ok()));
            }
            Body::Index(index) => {
                let images = || index.manifests.iter().filter(|entry| entry.attestation_of().is_none());
                let wanted = |entry: &&Descriptor| entry.stated_platform().is_some_and(|it| platforms.wants(it));
                let Some(next) = images().find(wanted).or_else(|| images().next()) else { return Ok(None) };
                at = next.clone();
            }
        }
    }
    Ok(None)
}
