//! The images of an entry.

use std::collections::HashSet;
use std::path::PathBuf;

use super::super::Error;
use super::super::listed;
use super::super::lookup::name_of;
use super::super::open::{Context, Store};
use super::super::pull::look_up;
use super::{Found, Image, Known, SyncOptions, choose, local, warn, within};
use crate::reference::{ImageName, parse_remote};
use crate::store::Source as _;
use crate::store::registry::Repository;
use crate::sync_file::{Entry, Kind, Lock, LockedImage, LockedSource, Repositories, Source, Tags, TargetKind};
use crate::text::{escaped, quoted};

/// How many repositories a pattern may mean.
const MOST_REPOSITORIES: usize = 10_000;
/// How many images a source may mean.
const MOST_IMAGES: usize = 10_000;
/// How many names of tags are shown when none is meant.
const SHOWN: usize = 8;

/// What is looked for, and where.
pub(super) struct Search<'a> {
    pub(super) source: &'a Source,
    pub(super) entry: &'a Entry,
    /// What the lock says of this source, where there is a lock.
    pub(super) locked: Option<&'a LockedSource>,
    pub(super) options: &'a SyncOptions,
    pub(super) context: &'a Context<'a>,
}

/// Finds the images of an entry, each once, where its sources say. With a lock, these digests and no others are taken, and no
/// list of tags is asked for.
///
/// # Errors
/// When a source cannot be read, has nothing of what is meant, or no longer gives what the lock says; when an image or an archive
/// has not the signature that it must have.
pub fn find(entry: &Entry, lock: Option<&Lock>, options: &SyncOptions, context: &Context<'_>) -> Result<Found, Error> {
    let mut found = Found::default();
    // a compact update finds the layers that it takes bytes of where it goes
    let layouts = entry.targets.iter().filter_map(|target| match &target.kind {
        TargetKind::Layout(path) => Some(options.path(path)),
        _ => None,
    });
    let bases: Vec<PathBuf> = context.bases.iter().cloned().chain(layouts).collect();
    let context = &Context { bases: &bases, ..*context };
    for source in &entry.sources {
        let text = source.to_string();
        let locked = lock.and_then(|lock| lock.of(&text));
        let search = Search { source, entry, locked, options, context };
        let gave = match &source.kind {
            Kind::Registry(_) | Kind::List(_) => far(&search, &mut found),
            Kind::Layout(_) | Kind::Archive(_) => local::find(&search, &mut found),
        };
        let mut gave = gave.map_err(within(&source.kind.to_string(), &source.at))?;
        gave.sort();
        gave.dedup();
        found.gave.push(gave);
    }
    let mut seen = HashSet::new();
    found.images.retain(|image| {
        let name = name_of(&image.root).map(str::to_owned);
        seen.insert((name, image.known.clone(), *image.root.digest()))
    });
    let keys = options.keys.publics(&entry.require_signature)?;
    if !keys.is_empty() {
        found.require(&keys).map_err(within(&entry.name, &entry.at))?;
    }
    Ok(found)
}

/// Finds images in registries.
fn far(search: &Search<'_>, found: &mut Found) -> Result<Vec<LockedImage>, Error> {
    let Search { source, entry, locked, options, context } = *search;
    let repositories = match locked {
        Some(locked) => look_up(context.registries, &locked_names(source, locked)?, context.cancel).map_err(gone)?,
        None => match &source.kind {
            Kind::List(path) => look_up(context.registries, &listed_names(path, options, context)?, context.cancel)?,
            Kind::Registry(repositories) => chosen(repositories, source, entry, context)?,
            Kind::Layout(_) | Kind::Archive(_) => Vec::new(),
        },
    };
    let mut gave = Vec::new();
    for repository in repositories {
        let tag =
            repository.roots()?.first().and_then(|root| root.annotation(crate::content::REF_NAME).map(str::to_owned));
        let known = Known {
            registry: Some(repository.host().to_owned()),
            repository: Some(repository.path().to_owned()),
            tag: tag.clone(),
        };
        let colon = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        let name = format!("{}/{}{colon}", repository.host(), repository.path());
        let store = found.stores.len();
        for root in repository.roots()? {
            gave.push(LockedImage { place: None, name: Some(name.clone()), digest: *root.digest() });
            found.images.push(Image { store, root, known: known.clone() });
        }
        found.stores.push(Store::Registry(repository));
    }
    Ok(gave)
}

/// Says that a registry does not have any more what it had.
fn gone(error: Error) -> Error {
    if error.class() != crate::error::Class::Absent {
        return error;
    }
    Error::Absent {
        message: "cannot find an image of the lock: the registry does not have that digest any more".to_owned(),
        cause: Some(std::iter::once(error.to_string()).chain(error.causes()).collect::<Vec<_>>().join(": ")),
        hint: Some("run `barge lock` again, and look at what changes".to_owned()),
    }
}

/// Returns the names of a lock, with their digests. A lock leads nowhere but to its source.
fn locked_names(source: &Source, locked: &LockedSource) -> Result<Vec<ImageName>, Error> {
    let name = |image: &LockedImage| {
        let text = image.name.as_deref().unwrap_or_default();
        let name = ImageName::parse(&format!("{text}@{}", image.digest))?;
        let is_of_it = match &source.kind {
            Kind::Registry(Repositories::One(one)) => one.full_repository() == name.full_repository(),
            Kind::Registry(Repositories::Matching { host, pattern, .. }) => {
                name.registry() == host && pattern.matches(name.repository())
            }
            // whose list names registries of any kind
            _ => true,
        };
        if is_of_it { Ok(name) } else { Err(stray(text)) }
    };
    locked.images.iter().map(name).collect()
}

/// Says that a lock names what its source cannot have.
pub(super) fn stray(what: &str) -> Error {
    Error::Absent {
        message: format!("cannot use {} of the lock: it is not of this source", quoted(what)),
        cause: None,
        hint: Some("make the lock again with `barge lock`, and look at who changed it".to_owned()),
    }
}

/// Reads the names of a list.
fn listed_names(path: &str, options: &SyncOptions, context: &Context<'_>) -> Result<Vec<ImageName>, Error> {
    let path = options.path(path).to_string_lossy().into_owned();
    let lists = listed::read(&[path], context.cancel)?;
    for note in lists.images.notes() {
        warn(context, note);
    }
    let mut names = Vec::new();
    for image in lists.images.images() {
        let listed = |error| Error::Listed { what: image.to_string(), error: Box::new(error) };
        let name = parse_remote(&image.text).map_err(|error| listed(error.into()))?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Looks up what is meant in repositories.
fn chosen(
    repositories: &Repositories,
    source: &Source,
    entry: &Entry,
    context: &Context<'_>,
) -> Result<Vec<Repository>, Error> {
    let named = match repositories {
        Repositories::One(name) if name.tag().is_some() || name.digest().is_some() => {
            return look_up(context.registries, std::slice::from_ref(name), context.cancel);
        }
        Repositories::One(name) => vec![name.clone()],
        Repositories::Matching { host, text, pattern } => {
            let mut paths = context.registries.catalog(host)?;
            let all = paths.len();
            paths.retain(|path| pattern.matches(path));
            paths.sort_unstable();
            paths.dedup();
            let message = match paths.len() {
                0 => format!("cannot find a repository of {host} that matches {}: it lists {all}", escaped(text)),
                1..=MOST_REPOSITORIES => String::new(),
                _ => format!("cannot take {} repositories of {host}: {MOST_REPOSITORIES} are the most", paths.len()),
            };
            if !message.is_empty() {
                return Err(Error::Absent { message, cause: None, hint: None });
            }
            let name = |path: &String| ImageName::parse(&format!("{host}/{path}"));
            paths.iter().map(name).collect::<Result<_, _>>()?
        }
    };
    let is_pattern = matches!(repositories, Repositories::Matching { .. });
    let mut names = Vec::new();
    let mut there = Vec::new();
    for repository in &named {
        let tagged = |tag: &String| ImageName::parse(&format!("{}:{tag}", repository.full_repository()));
        match &source.tags {
            None => {}
            // of one repository each has to be there, of many those that are
            Some(Tags::Exact(tags)) if !is_pattern => {
                names.extend(tags.iter().map(tagged).collect::<Result<Vec<_>, _>>()?);
            }
            Some(tags) => {
                let listed = context.registries.repository(repository)?.tags()?;
                let taken = match tags {
                    Tags::Exact(tags) => listed.iter().filter(|tag| tags.contains(tag)).cloned().collect(),
                    Tags::Where(choice) => {
                        let matching = choice.matching(&listed);
                        let candidates = matching.iter().map(tagged).collect::<Result<Vec<_>, _>>()?;
                        choose::newest_in_registry(choice, matching, &candidates, entry, context)?
                    }
                };
                names.extend(taken.iter().map(tagged).collect::<Result<Vec<_>, _>>()?);
                there.extend(listed);
            }
        }
    }
    if names.is_empty() {
        let more = if there.len() > SHOWN { format!(" and {} more", there.len() - SHOWN) } else { String::new() };
        there.sort_unstable();
        there.truncate(SHOWN);
        return Err(Error::Absent {
            message: "cannot find a tag that is meant".to_owned(),
            cause: Some(match there.is_empty() {
                true => "it has no tags".to_owned(),
                false => format!("there are {}{more}", escaped(&there.join(", "))),
            }),
            hint: None,
        });
    }
    if names.len() > MOST_IMAGES {
        return Err(Error::Usage {
            message: format!("cannot take {} images from one source: {MOST_IMAGES} are the most", names.len()),
            hint: Some("narrow the tags, with `newest` for example".to_owned()),
        });
    }
    look_up(context.registries, &names, context.cancel)
}
