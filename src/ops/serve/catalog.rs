//! What is served under which name: made of the names that the places hold, and made again when one of them has changed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::event::{Observer, Offered, OfferedRepository};
use super::everywhere::Everywhere;
use super::gaps::gaps;
use super::names::{Named, RepositoryName, mirrored, named, registry_of};
use super::place::Snapshot;
use super::repository::{Repository, Whole};
use crate::content::{Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::ops::attached::{Attached, attached_as_far_as_read};
use crate::ops::lookup::is_attached;
use crate::reference::is_tag;

/// How many names that mean several images are warned of one by one.
const MOST_WARNINGS: usize = 20;

/// The names of all places.
#[derive(Debug)]
pub(super) struct Catalog {
    everywhere: Everywhere,
    repositories: Vec<Repository>,
    /// By each name that a request may have; what is meant first stands first.
    by_name: HashMap<String, Vec<usize>>,
    attached: Vec<Attached>,
}

impl Catalog {
    /// Reads the names of places as they were at one moment. `join` says whether several images of one name become one.
    pub(super) fn new(snapshots: Vec<Arc<Snapshot>>, join: bool) -> Self {
        let everywhere = Everywhere::new(snapshots);
        let mut task = Making { repositories: Vec::new(), by_full_name: HashMap::new(), join };
        let mut belonging = Vec::new();
        for (at, snapshot) in everywhere.snapshots().iter().enumerate() {
            let unnamed = task.take(at, snapshot);
            belonging.extend(attached_as_far_as_read(&everywhere, &unnamed.candidates));
            let taken: HashSet<Digest> = belonging.iter().map(|one: &Attached| *one.root.digest()).collect();
            let left = unnamed.candidates.into_iter().filter(|root| !taken.contains(root.digest()));
            let images: Vec<Descriptor> = left.collect();
            task.take_unnamed(at, snapshot, &images, unnamed.alone);
        }
        let repositories = task.repositories;
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, repository) in repositories.iter().enumerate() {
            for name in repository.name().names() {
                by_name.entry(name).or_default().push(at);
            }
        }
        for (name, list) in &mut by_name {
            list.sort_by_key(|at| repositories[*at].name().rank(name));
        }
        Self { everywhere, repositories, by_name, attached: belonging }
    }

    /// Returns all content.
    pub(super) const fn everywhere(&self) -> &Everywhere {
        &self.everywhere
    }

    /// Returns whether it was made of these.
    pub(super) fn is_of(&self, snapshots: &[Arc<Snapshot>]) -> bool {
        let own = self.everywhere.snapshots();
        own.len() == snapshots.len() && own.iter().zip(snapshots).all(|(own, other)| own.number() == other.number())
    }

    /// Returns the repositories that a name in a request may mean, what is meant first at the front. A mirror's `namespace`
    /// is the registry that it is asked for: then only a repository of that is meant.
    pub(super) fn find(&self, name: &str, namespace: Option<&str>) -> Vec<&Repository> {
        let Some(namespace) = namespace else {
            let list = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
            return list.iter().map(|at| &self.repositories[*at]).collect();
        };
        let of = |wanted: RepositoryName| {
            let list = self.by_name.get(&wanted.full()).map_or(&[][..], Vec::as_slice);
            let list = list.iter().map(|at| &self.repositories[*at]);
            list.filter(|repository| *repository.name() == wanted).collect::<Vec<_>>()
        };
        let found = of(mirrored(namespace, name));
        // the path of a mirror's address may have the registry in it as well
        let inside = name.strip_prefix(registry_of(namespace)).and_then(|rest| rest.strip_prefix('/'));
        match inside.filter(|_| found.is_empty()) {
            Some(inside) => of(mirrored(namespace, inside)),
            None => found,
        }
    }

    /// Returns all that can be asked for in a repository by its digest.
    pub(super) fn whole<'a>(&'a self, repository: &'a Repository, observer: &dyn Observer) -> &'a Whole {
        repository.whole(&self.everywhere, &self.attached, observer)
    }

    /// Returns whether there are tags that are known only when images are walked: those that belong to one by their name.
    pub(super) fn has_belonging_tags(&self) -> bool {
        self.attached.iter().any(|one| one.root.annotation(REF_NAME).is_some_and(is_tag))
    }

    /// Returns the repositories' names as they are listed, sorted by their bytes; of one registry without its name, when a
    /// mirror of it is asked for.
    pub(super) fn names(&self, namespace: Option<&str>) -> Vec<String> {
        let registry = namespace.map(registry_of);
        let names = self.repositories.iter().map(Repository::name);
        let mut list: Vec<String> = match registry {
            Some(registry) => {
                names.filter(|name| name.registry() == Some(registry)).map(|name| name.path().to_owned()).collect()
            }
            None => names.map(RepositoryName::listed).collect(),
        };
        list.sort_unstable();
        list.dedup();
        list
    }

    /// Returns what is served.
    pub(super) fn offered(&self) -> Offered {
        let offered = |repository: &Repository| {
            let mut tags: Vec<String> = repository.tags().cloned().collect();
            tags.sort_unstable();
            OfferedRepository { name: repository.name().listed(), tags }
        };
        let mut repositories: Vec<OfferedRepository> = self.repositories.iter().map(offered).collect();
        repositories.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Offered { repositories }
    }

    /// Returns what a person should know of it, as sentences, but for what was told of the catalog before it.
    pub(super) fn warnings_after(&self, before: Option<&Self>) -> Vec<String> {
        let known: HashSet<String> = before.map(|before| before.warnings().collect()).unwrap_or_default();
        let mut new = self.warnings().filter(|warning| !known.contains(warning));
        let mut told: Vec<String> = new.by_ref().take(MOST_WARNINGS).collect();
        let more = new.count();
        if more > 0 {
            told.push(format!("{more} more names mean several images, and are treated alike"));
        }
        told
    }

    fn warnings(&self) -> impl Iterator<Item = String> {
        let names = self.repositories.iter().flat_map(|repository| repository.warnings(&self.everywhere));
        gaps(&self.everywhere).into_iter().chain(names)
    }
}

/// What a place holds that has no name in full.
struct Unnamed {
    /// Neither name nor tag: images, and what belongs to one.
    candidates: Vec<Descriptor>,
    /// Whether nothing else is in the place.
    alone: bool,
}

struct Making {
    repositories: Vec<Repository>,
    by_full_name: HashMap<RepositoryName, usize>,
    join: bool,
}

impl Making {
    /// Takes the images of a place that have a name or a tag, and returns the others.
    fn take(&mut self, at: usize, snapshot: &Snapshot) -> Unnamed {
        let mut candidates = Vec::new();
        for root in snapshot.roots() {
            match named(root) {
                Named::Full(name, tag) => self.repository(name).add(at, tag, root),
                Named::Tag(_) | Named::Not if is_attached(root) => candidates.push(root.clone()),
                Named::Tag(tag) => self.of_place(snapshot).add(at, Some(tag), root),
                Named::Not => candidates.push(root.clone()),
            }
        }
        let alone = candidates.len() == snapshot.roots().len();
        Unnamed { candidates, alone }
    }

    /// Takes the images of a place that have no name at all.
    fn take_unnamed(&mut self, at: usize, snapshot: &Snapshot, images: &[Descriptor], alone: bool) {
        for root in images {
            let tag = (alone && images.len() == 1).then(|| "latest".to_owned());
            self.of_place(snapshot).add(at, tag, root);
        }
    }

    fn of_place(&mut self, snapshot: &Snapshot) -> &mut Repository {
        self.repository(snapshot.name().clone())
    }

    fn repository(&mut self, name: RepositoryName) -> &mut Repository {
        let next = self.repositories.len();
        let at = *self.by_full_name.entry(name.clone()).or_insert(next);
        if at == next {
            self.repositories.push(Repository::new(name, self.join));
        }
        &mut self.repositories[at]
    }
}
