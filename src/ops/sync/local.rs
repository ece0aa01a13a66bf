//! The images of layouts and archives.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::Error;
use super::super::attached::{attached, standing_alone};
use super::super::bundle::trusted;
use super::super::copy::Extent;
use super::super::lookup::{is_attached, name_of};
use super::super::open::{Context, Store, open_path};
use super::super::sign::require;
use super::find::Search;
use super::{Found, Image, Known, choose, places};
use crate::content::{CONTAINERD_NAME, Descriptor, REF_NAME};
use crate::reference::{ImageName, is_tag};
use crate::signing::PublicKey;
use crate::store::Source as _;
use crate::store::layout::Layout;
use crate::sync_file::{By, Choice, Entry, Kind, LockedImage, LockedSource, Source, Tags};
use crate::text::escaped;

/// Finds images in layouts or archives.
///
/// # Errors
/// When a place is not there or cannot be read, or nothing in all of them is meant.
pub(super) fn find(search: &Search<'_>, found: &mut Found) -> Result<Vec<LockedImage>, Error> {
    let Search { source, entry, locked, options, context } = *search;
    let (Kind::Layout(pattern) | Kind::Archive(pattern)) = &source.kind else { return Ok(Vec::new()) };
    let keys = options.keys.publics(&source.verify_key)?;
    let places = match locked {
        None => places::expand(&options.directory, pattern)?,
        Some(locked) => {
            let places: BTreeSet<&String> = locked.images.iter().filter_map(|image| image.place.as_ref()).collect();
            if let Some(stray) = places.iter().find(|place| !places::means(pattern, place)) {
                return Err(super::find::stray(stray));
            }
            places.into_iter().cloned().collect()
        }
    };
    if let (true, None) = (places.is_empty(), locked) {
        return Err(Error::Absent {
            message: format!("cannot find a place that matches {}", escaped(pattern)),
            cause: None,
            hint: Some("paths are relative to the directory of the file".to_owned()),
        });
    }
    let mut gave = Vec::new();
    let mut missing: BTreeSet<&String> = match &source.tags {
        Some(Tags::Exact(tags)) => tags.iter().collect(),
        _ => BTreeSet::new(),
    };
    for place in places {
        let store = open(&source.kind, &options.path(&place), context)?;
        if !keys.is_empty() {
            trusted(&store, &keys)?;
        }
        let mut images = images_of(&store)?;
        match locked {
            Some(locked) => images = as_locked(&store, &place, &images, locked)?,
            None => images = meant(&store, images, source, entry)?,
        }
        let at = found.stores.len();
        for (root, known) in images {
            missing.retain(|tag| known.tag.as_ref() != Some(tag));
            let name = name_of(&root).map(str::to_owned);
            gave.push(LockedImage { place: Some(place.clone()), name, digest: *root.digest() });
            found.images.push(Image { store: at, root, known });
        }
        found.stores.push(store);
    }
    if let (Some(tag), None) = (missing.first(), locked) {
        return Err(Error::Absent {
            message: format!("cannot find an image with the tag {tag}"),
            cause: None,
            hint: None,
        });
    }
    if gave.is_empty() && locked.is_none() {
        return Err(Error::Absent {
            message: "cannot find an image that is meant".to_owned(),
            cause: None,
            hint: None,
        });
    }
    Ok(gave)
}

fn open(kind: &Kind, path: &Path, context: &Context<'_>) -> Result<Store, Error> {
    match kind {
        Kind::Layout(_) => Ok(Store::Layout(Layout::open(path)?)),
        _ if path.is_dir() => Err(Error::Usage {
            message: format!("cannot read {} as an archive: it is a directory", escaped(&path.to_string_lossy())),
            hint: Some("write `layout:` instead of `archive:`".to_owned()),
        }),
        _ => open_path(path, context),
    }
}

/// Returns the images of a place under all their names, without what belongs to them.
fn images_of(store: &Store) -> Result<Vec<(Descriptor, Known)>, Error> {
    let roots = store.roots()?;
    let alone = standing_alone(&attached(store, &roots)?, &roots);
    let images = alone.into_iter().filter(|root| !is_attached(root));
    Ok(images.map(|root| (root.clone(), known(&root))).collect())
}

/// Reads the names of a descriptor.
fn known(root: &Descriptor) -> Known {
    let Some(said) = root.annotation(CONTAINERD_NAME).or_else(|| root.annotation(REF_NAME)) else {
        return Known::default();
    };
    if is_tag(said) {
        return Known { tag: Some(said.to_owned()), ..Known::default() };
    }
    match ImageName::parse(said) {
        Ok(name) => Known {
            registry: Some(name.registry().to_owned()),
            repository: Some(name.repository().to_owned()),
            tag: name.tag().map(str::to_owned),
        },
        Err(_) => Known::default(),
    }
}

/// Takes the images that a source means: by their repositories, and among those of one repository by their tags.
fn meant(
    store: &Store,
    mut images: Vec<(Descriptor, Known)>,
    source: &Source,
    entry: &Entry,
) -> Result<Vec<(Descriptor, Known)>, Error> {
    if !source.images.is_empty() {
        images.retain(|(_, known)| {
            let (Some(registry), Some(path)) = (&known.registry, &known.repository) else { return false };
            let name = format!("{registry}/{path}");
            source.images.iter().any(|(_, pattern)| pattern.matches(&name))
        });
    }
    match &source.tags {
        None => {}
        Some(Tags::Exact(tags)) => images.retain(|(_, known)| known.tag.as_ref().is_some_and(|tag| tags.contains(tag))),
        Some(Tags::Where(choice)) => {
            let mut by_repository: BTreeMap<_, Vec<(Descriptor, Known)>> = BTreeMap::new();
            for image in images {
                let key = (image.1.registry.clone(), image.1.repository.clone());
                by_repository.entry(key).or_default().push(image);
            }
            images = Vec::new();
            for of_one in by_repository.into_values() {
                images.extend(chosen(store, of_one, choice, entry)?);
            }
        }
    }
    Ok(images)
}

/// Takes those of one repository that are meant.
fn chosen(
    store: &Store,
    mut images: Vec<(Descriptor, Known)>,
    choice: &Choice,
    entry: &Entry,
) -> Result<Vec<(Descriptor, Known)>, Error> {
    let tags: Vec<String> = images.iter().filter_map(|(_, known)| known.tag.clone()).collect();
    let mut taken = choice.matching(&tags);
    if let Some(newest) = choice.newest {
        if choice.by == By::Created {
            choose::refuse_too_many(taken.len())?;
            let mut made = Vec::new();
            for tag in taken {
                let image = images.iter().find(|(_, known)| known.tag.as_ref() == Some(&tag));
                let created = image.map(|(root, _)| choose::created(store, root, &entry.platforms)).transpose()?;
                made.push((created.flatten(), tag));
            }
            taken = choose::newest_of(made, newest);
        } else {
            taken.truncate(newest);
        }
    }
    images.retain(|(_, known)| known.tag.as_ref().is_some_and(|tag| taken.contains(tag)));
    Ok(images)
}

/// Takes the images that a lock names in a place.
fn as_locked(
    store: &Store,
    place: &str,
    images: &[(Descriptor, Known)],
    locked: &LockedSource,
) -> Result<Vec<(Descriptor, Known)>, Error> {
    let mut taken = Vec::new();
    for wanted in locked.images.iter().filter(|image| image.place.as_deref() == Some(place)) {
        let same_name = |(root, _): &&(Descriptor, Known)| name_of(root) == wanted.name.as_deref();
        let is_it = |image: &&(Descriptor, Known)| *image.0.digest() == wanted.digest && same_name(image);
        let Some(image) = images.iter().find(is_it) else {
            let name = wanted.name.as_deref().map_or_else(|| "an image without a name".to_owned(), escaped);
            let now = images.iter().find(same_name).filter(|_| wanted.name.is_some());
            return Err(Error::Absent {
                message: format!(
                    "cannot find {name} in {}: it has not the digest of the lock any more",
                    store.location()
                ),
                cause: Some(match now {
                    Some((root, _)) => format!("it is {}, expected {}", root.digest(), wanted.digest),
                    None => format!("{} is not there", wanted.digest),
                }),
                hint: Some("run `barge lock` again, and look at what changes".to_owned()),
            });
        };
        taken.push(image.clone());
    }
    Ok(taken)
}

impl Found {
    /// Checks that every image is signed by one of some keys.
    ///
    /// # Errors
    /// With the first that is not.
    pub(super) fn require(&self, keys: &[PublicKey]) -> Result<(), Error> {
        for (at, store) in self.stores.iter().enumerate() {
            let roots: Vec<Descriptor> =
                self.images.iter().filter(|image| image.store == at).map(|image| image.root.clone()).collect();
            if !roots.is_empty() {
                require(store, &roots, Extent::Chosen, keys)?;
            }
        }
        Ok(())
    }
}
