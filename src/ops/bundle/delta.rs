//! An archive that leaves content out, read together with the place that has it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, Read};

use super::super::Error;
use super::super::open::{Context, Store, open_path};
use super::packed::packed_in;
use crate::blob::{BlobError, BlobReader};
use crate::bundle::PackingList;
use crate::compact::BaseLayer;
use crate::content::{Content, Descriptor, total};
use crate::digest::Digest;
use crate::error::Class;
use crate::plan::Plan;
use crate::reference::ImageName;
use crate::store::archive::Archive;
use crate::store::{Location, Source, StoreError, Wanted};
use crate::text::{escaped, human_size, shell_word};
use crate::transfer::Deaf;

/// How many missing pieces are named in a message.
const NAMED: usize = 10;

/// An archive and what it builds on. While something is planned, what the archive left out is believed to be there: whether
/// it is, [`refuse_incomplete`] finds out before anything is written, and says all that is missing at once.
pub struct Delta<'a> {
    own: &'a dyn Source,
    left_out: HashMap<Digest, u64>,
    /// Paths of the repositories that are said to have it.
    repositories: HashMap<Digest, Vec<String>>,
    bases: Vec<&'a dyn Source>,
    /// The target, as far as there is one.
    held: Option<&'a dyn Source>,
    /// The archive, when it makes layers of bytes of others.
    compact: Option<&'a Archive>,
}

/// Puts before each of some places what it may have left out: in what is at the target, or in another of them. `None` for a
/// place that is whole.
///
/// # Errors
/// When a packing list cannot be read.
pub fn deltas<'a>(stores: &[&'a Store], held: Option<&'a Store>) -> Result<Vec<Option<Delta<'a>>>, Error> {
    let bases = || held.into_iter().chain(stores.iter().copied()).map(|store| store as &dyn Source).collect();
    let delta = |store: &&'a Store| {
        let list = packed_in(store)?.map(|packed| packed.list);
        let mut delta = Delta::of(*store, list.as_ref(), bases());
        delta.held = held.map(|store| store as &dyn Source);
        if let Store::Archive(archive) = store
            && archive.compact().is_some_and(|index| !index.bases.is_empty())
        {
            delta.compact = Some(archive);
        }
        Ok((delta.compact.is_some() || !delta.left_out.is_empty()).then_some(delta))
    };
    stores.iter().map(delta).collect()
}

impl<'a> Delta<'a> {
    /// Puts an archive before the places that may have what it left out; without one, whoever takes the content has it.
    fn of(own: &'a dyn Source, list: Option<&PackingList>, bases: Vec<&'a dyn Source>) -> Self {
        // the same registry may be called otherwise here
        let path =
            |name: &String| name.split_once('/').map(|(_, path)| path.to_owned()).filter(|path| is_repository(path));
        let repositories = list.into_iter().flat_map(PackingList::left_out);
        let repositories =
            repositories.map(|it| (it.digest, it.repositories.iter().filter_map(path).collect())).collect();
        let left_out = list.map(PackingList::left_out_sizes).unwrap_or_default();
        Self { own, left_out, repositories, bases, held: None, compact: None }
    }

    /// Returns where it is.
    #[must_use]
    pub fn place(&self) -> Location {
        self.own.location().clone()
    }

    /// Returns the repositories, by their paths, that are said to have what was left out.
    #[must_use]
    pub const fn repositories(&self) -> &HashMap<Digest, Vec<String>> {
        &self.repositories
    }

    /// Returns what of a plan has to be in the base.
    #[must_use]
    pub fn needed(&self, plan: &Plan<'_>) -> Vec<Content> {
        let contents = plan.inventory().contents.iter();
        contents.filter(|content| self.left_out.contains_key(&content.digest)).cloned().collect()
    }

    fn is_in_a_base(&self, content: &Content) -> Result<bool, StoreError> {
        for base in &self.bases {
            if has(*base, content)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Checks that the base has all that a plan needs of it.
    ///
    /// # Errors
    /// When something is not there, or has another size: all of it.
    pub fn check(&self, plan: &Plan<'_>, place: &Location) -> Result<(), Error> {
        let mut missing = Vec::new();
        for content in self.needed(plan) {
            if !self.is_in_a_base(&content)? {
                missing.push(content);
            }
        }
        let mut lacking = self.made(plan);
        if let Some(held) = self.held {
            lacking = lacked_by(held, &lacking)?;
        }
        let bases = self.missing_bases(&lacking)?;
        refuse_incomplete(self.own.location(), place, &missing, &bases, plan)
    }

    /// Returns which layers of a plan are made of bytes of others.
    #[must_use]
    pub fn made(&self, plan: &Plan<'_>) -> Vec<Content> {
        let Some(archive) = self.compact else { return Vec::new() };
        plan.inventory().contents.iter().filter(|content| archive.makes(&content.digest)).cloned().collect()
    }

    /// Returns the layers of whose bytes some others are made, and that are not to be found.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn missing_bases(&self, made: &[Content]) -> Result<Vec<BaseLayer>, StoreError> {
        let Some(archive) = self.compact.filter(|_| !made.is_empty()) else { return Ok(Vec::new()) };
        let mut missing = archive.missing_bases()?;
        if !missing.is_empty() {
            let mut needed = HashSet::new();
            for layer in made {
                needed.extend(archive.bases_of(&layer.digest)?.into_iter().map(|base| base.digest));
            }
            missing.retain(|base| needed.contains(&base.digest));
        }
        Ok(missing)
    }

    /// Returns the archive, when it makes layers of bytes of others.
    pub(in crate::ops) const fn compact(&self) -> Option<&'a Archive> {
        self.compact
    }
}

/// Returns whether a base has content of the right size: wrong content is as good as none.
///
/// # Errors
/// When that cannot be told.
pub(in crate::ops) fn has(base: &dyn Source, content: &Content) -> Result<bool, StoreError> {
    match base.holds(content) {
        Err(StoreError::Wrong { .. }) => Ok(false),
        held => held,
    }
}

/// Returns what of some content is not in a place.
///
/// # Errors
/// When that cannot be told.
pub(in crate::ops) fn lacked_by(place: &dyn Source, contents: &[Content]) -> Result<Vec<Content>, StoreError> {
    let mut lacking = Vec::new();
    for content in contents {
        if !has(place, content)? {
            lacking.push(content.clone());
        }
    }
    Ok(lacking)
}

/// Refuses a delta when something that it builds on is not there: content that it leaves out, or layers of whose bytes it makes others.
/// The plan says what content is, as far as it knows.
///
/// # Errors
/// Unless nothing is missing: what is.
pub fn refuse_incomplete(
    delta: &Location,
    place: &Location,
    missing: &[Content],
    bases: &[BaseLayer],
    plan: &Plan<'_>,
) -> Result<(), Error> {
    // what is left out may be what others are made of too
    let bases: Vec<&BaseLayer> =
        bases.iter().filter(|base| missing.iter().all(|content| content.digest != base.digest)).collect();
    let number = missing.len() + bases.len();
    if number == 0 {
        return Ok(());
    }
    let called = |content: &Content| match plan.about(&content.digest) {
        Some(about) => format!("{} ({about})", content.digest),
        None => content.digest.to_string(),
    };
    let of_base = |base: &&BaseLayer| match &base.image {
        Some(image) => format!("{} (a layer of {}, of whose bytes others are made)", base.digest, escaped(image)),
        None => format!("{} (a layer of whose bytes others are made)", base.digest),
    };
    let named = missing.iter().map(called).chain(bases.iter().map(of_base));
    let mut named: Vec<String> = named.take(NAMED).collect();
    if number > NAMED {
        named.push(format!("and {} more", number - NAMED));
    }
    let sizes = missing.iter().map(|content| content.size).chain(bases.iter().map(|base| base.size));
    let bytes = human_size(total(sizes));
    let pieces = if number == 1 { "1 blob".to_owned() } else { format!("{number} blobs") };
    let look = match place {
        Location::Registry(name) => Some(format!("barge receipt docker://{}", escaped(name))),
        place => place.path().filter(|path| path.exists()).map(|_| format!("barge receipt {place}")),
    };
    let hint = match look {
        // nobody can ask a registry for bytes of what it has and not be sent all of it
        Some(_) if missing.is_empty() && matches!(place, Location::Registry(_)) => {
            "push what has these layers first, or name a layout that has them with -L DIR: what is sent is made of them here; or save \
             again over there without --compact"
                .to_owned()
        }
        Some(look) => format!(
            "load what it builds on first; or make a receipt here with `{look} > FILE`, and save again over there with --base FILE"
        ),
        None => {
            "take it into the layout that has what it builds on, as nothing is there yet; or save again over there \
                 without --base"
                .to_owned()
        }
    };
    Err(Error::Missing {
        class: Class::Content,
        message: format!("cannot take {delta} into {place}: what it builds on is not there: {pieces}, {bytes}"),
        missing: named,
        hint: Some(hint),
    })
}

/// Says of content that is not in an archive that the archive leaves it out, when it does: nothing is wrong with it then, and
/// it can be loaded where its base is.
#[must_use]
pub fn explain(error: Error, context: &Context<'_>) -> Error {
    let Some(StoreError::Missing { digest, place: Location::Archive(path) }) = error.store() else { return error };
    let unheard = Context { observer: &Deaf, ..*context };
    let Ok(Some(packed)) = open_path(path, &unheard).and_then(|store| packed_in(&store)) else { return error };
    if !packed.list.left_out().any(|content| content.digest == *digest) {
        return error;
    }
    let name = shell_word(&path.to_string_lossy());
    let hint = match packed.list.part() {
        Some(part) => format!(
            "{name} is part {part} of several, and this is in another one: bring them together with `barge load -i {name} \
             -o DIR`, and take it from there"
        ),
        None => format!(
            "{name} is a delta, and this is in what it builds on: take it in where that is, with `barge load -i {name} -o \
             DIR`, and take the image from there"
        ),
    };
    with_hint(error, hint)
}

fn with_hint(error: Error, hint: String) -> Error {
    match error {
        Error::Content { about, error, .. } => Error::Content { about, error, hint: Some(hint) },
        Error::Store(error) => {
            Error::Missing { class: error.class(), message: error.to_string(), missing: Vec::new(), hint: Some(hint) }
        }
        Error::Listed { what, error } => Error::Listed { what, error: Box::new(with_hint(*error, hint)) },
        Error::Line { file, line, what, error } => {
            Error::Line { file, line, what, error: Box::new(with_hint(*error, hint)) }
        }
        other => other,
    }
}

/// Returns whether a text is the path of a repository (distribution-spec v1.1.1, "Pulling manifests").
fn is_repository(path: &str) -> bool {
    ImageName::parse(&format!("localhost/{path}")).is_ok_and(|name| name.repository() == path)
}

impl Source for Delta<'_> {
    fn location(&self) -> &Location {
        self.own.location()
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        self.own.roots()
    }

    fn unlisted(&self, subjects: &[Digest], wanted: &Wanted<'_>) -> Result<Vec<Descriptor>, StoreError> {
        self.own.unlisted(subjects, wanted)
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        match self.own.open(content) {
            Err(StoreError::Missing { digest, place }) if self.left_out.get(&digest) == Some(&content.size) => {
                let found =
                    self.bases.iter().find_map(|base| Some((base.open(content).ok()?, base.location().clone())));
                Ok(match found {
                    Some((reader, place)) => {
                        let content = content.clone();
                        BlobReader::new(content.clone(), FromBase { reader, content, place })
                    }
                    None => BlobReader::new(content.clone(), Nothing { digest, place }),
                })
            }
            opened => opened,
        }
    }

    fn holds(&self, content: &Content) -> Result<bool, StoreError> {
        Ok(self.left_out.get(&content.digest) == Some(&content.size) || self.own.holds(content)?)
    }
}

/// Content of a base: what is wrong with it is said of the base, not of the archive.
struct FromBase<'a> {
    reader: BlobReader<'a>,
    content: Content,
    place: Location,
}

impl Read for FromBase<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let said = |error| io::Error::other(StoreError::reading(BlobError::from_io(error), &self.content, &self.place));
        self.reader.read(buffer).map_err(said)
    }
}

/// What is read of content that is not there after all.
struct Nothing {
    digest: Digest,
    place: Location,
}

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other(StoreError::Missing { digest: self.digest, place: self.place.clone() }))
    }
}

impl fmt::Debug for Delta<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delta")
            .field("own", self.own.location())
            .field("left_out", &self.left_out.len())
            .finish_non_exhaustive()
    }
}
