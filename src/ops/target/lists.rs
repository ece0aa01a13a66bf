//! Lists of referrers under the fallback tag that meet others of their name: they become one, so that nothing that stood in either
//! is lost (distribution-spec v1.1.1, spec.md, "Referrers Tag Schema").

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::{Target, TargetKind};
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::{Body, Document};
use crate::json;
use crate::media::Role;
use crate::ops::Error;
use crate::plan::Plan;
use crate::store::referrer_list::{NoList, list_names, united};
use crate::store::{Location, Reason, Source, StoreError, names, read_document};
use crate::text::escaped;

/// How many lists are united in one run: each is looked for among all that there is.
const MOST: usize = 10_000;
/// How many lists of one name are united: each time the list is read and written anew.
const MOST_OF_ONE: usize = 100;

/// A list of referrers that several were made into.
#[derive(Clone, Debug, PartialEq)]
pub struct United {
    /// Its name.
    pub name: String,
    /// The lists that came, by their digests.
    pub came: Vec<Digest>,
    /// What has the name now.
    pub to: Descriptor,
    /// How many referrers it names.
    pub entries: usize,
    /// How many of them stood in the place already.
    pub held: usize,
}

impl United {
    /// Puts the list in the place of one of those that came.
    pub fn replace(&self, root: &mut Descriptor) {
        if self.came.contains(root.digest()) && list_names(root).any(|name| name == self.name) {
            *root = self.to.clone();
        }
    }

    /// Says what became of it in a place; `None` when what came brought nothing new.
    #[must_use]
    pub fn describe(&self, place: &Location) -> Option<String> {
        let Self { name, to, entries, held, .. } = self;
        let name = escaped(name);
        match held {
            0 => Some(format!("{name} lists {entries} referrers in {place}: several lists became {}", to.digest())),
            _ if held == entries => None,
            _ => Some(format!(
                "{name} lists {entries} referrers in {place}, {held} of them as before: it is {} now",
                to.digest()
            )),
        }
    }
}

impl Target {
    /// Makes one list of referrers of those in a plan and those of the same names that the place has already. Done again it
    /// changes nothing.
    ///
    /// # Errors
    /// When one of them cannot be read, or is none.
    pub fn unite_lists(&self, plan: &mut Plan<'_>) -> Result<Vec<United>, Error> {
        Ok(match &self.kind {
            TargetKind::Layout(sink) => match sink.layout() {
                Some(layout) => unite(plan, Some(layout))?,
                None => unite(plan, None)?,
            },
            TargetKind::Archive { archive, .. } => unite(plan, Some(archive))?,
            TargetKind::NewArchive(_) | TargetKind::Stream(_) => unite(plan, None)?,
        })
    }
}

/// Makes one list of those of one name in a plan, and of what has that name in `held`.
///
/// # Errors
/// As [`Target::unite_lists`].
pub(in crate::ops) fn unite(plan: &mut Plan<'_>, held: Option<&dyn Source>) -> Result<Vec<United>, Error> {
    let mut all: Vec<String> = plan.inventory().roots.iter().flat_map(list_names).map(str::to_owned).collect();
    all.sort_unstable();
    all.dedup();
    let mut done = Vec::new();
    if all.is_empty() {
        return Ok(done);
    }
    let there = held.map_or_else(|| Ok(Vec::new()), Source::roots)?;
    let mut differing = differing(plan.inventory().roots.iter().chain(&there));
    for name in all {
        if !differing.contains(&name) {
            continue;
        }
        if done.len() == MOST {
            return Err(too_many(plan.location()));
        }
        let is_called = |root: &&Descriptor| names::claims(root).any(|claimed| claimed == name);
        let came: Vec<Descriptor> = plan.inventory().roots.iter().filter(is_called).cloned().collect();
        let there: Vec<Descriptor> = there.iter().filter(is_called).cloned().collect();
        if came.len() + there.len() > MOST_OF_ONE {
            let reason = format!("{} have that name, at most {MOST_OF_ONE} are taken", came.len() + there.len());
            return Err(refused(&name, plan.location(), reason));
        }
        let united = unite_one(plan, held, &name, &came, &there)?;
        // the new one has all its names, the later ones too
        differing.extend(united.iter().flat_map(|united| names::claims(&united.to)).map(str::to_owned));
        done.extend(united);
    }
    Ok(done)
}

/// Returns the names under which there is more than one thing.
fn differing<'r>(roots: impl Iterator<Item = &'r Descriptor>) -> HashSet<String> {
    let mut first: HashMap<&str, &Digest> = HashMap::new();
    let mut differing = HashSet::new();
    for (name, digest) in roots.flat_map(|root| names::claims(root).map(|name| (name, root.digest()))) {
        if *first.entry(name).or_insert(digest) != digest {
            differing.insert(name.to_owned());
        }
    }
    differing
}

fn too_many(place: &Location) -> Error {
    Error::Unsupported {
        message: format!("cannot unite more than {MOST} lists of referrers in {place}"),
        cause: None,
        hint: Some("take fewer images at once, or leave such lists behind with --digest-tags=false".to_owned()),
    }
}

/// Makes one list of those that come under a name and those that are there.
fn unite_one(
    plan: &mut Plan<'_>,
    held: Option<&dyn Source>,
    name: &str,
    came: &[Descriptor],
    there: &[Descriptor],
) -> Result<Option<United>, Error> {
    // a name that is only given to something is no list that comes; nor do two that are no lists become one
    let is_list = |root: &Descriptor| root.media_type().role() == Role::Index;
    let is_brought = |root: &Descriptor| plan.holds(&root.content()).unwrap_or(false);
    let is_same = |root: &Descriptor| came.iter().chain(there).all(|other| other.digest() == root.digest());
    let has_list = match there.is_empty() {
        true => came.iter().all(is_list),
        false => came.iter().chain(there).any(is_list),
    };
    if !came.iter().all(is_brought) || came.iter().all(is_same) || !has_list {
        return Ok(None);
    }
    let gone: Vec<Descriptor> = there.iter().filter(|root| !came.contains(root)).cloned().collect();
    if gone.iter().all(|root| plan.inventory().gone.contains(root)) && came.len() == 1 && !gone.is_empty() {
        return Ok(None); // it has been done
    }
    let place = held.map_or_else(|| plan.location().clone(), |held| held.location().clone());
    let mut documents: Vec<(Descriptor, Document)> = Vec::new();
    for root in there {
        let read = held.map(|held| read_document(held, root));
        let document = read.transpose().map_err(|error| unreadable(name, root, error))?;
        documents.extend(document.map(|document| (root.clone(), document)));
    }
    for root in came {
        documents.push((root.clone(), read_document(plan, root)?));
    }
    let no_list = |document: &Document| !matches!(document.body(), Body::Index(_));
    if let Some((root, _)) = documents.iter().find(|(_, document)| no_list(document)) {
        let reason = match there.contains(root) {
            true => NoList::Manifest.to_string(),
            false => "what comes under that name is no index, and would take its place".to_owned(),
        };
        return Err(refused(name, &place, reason));
    }
    let entries = |document: &Document| document.children().map(|entry| *entry.digest()).collect::<Vec<_>>();
    let mut known: Vec<Digest> = documents[..there.len()].iter().flat_map(|(_, it)| entries(it)).collect();
    known.sort_unstable();
    known.dedup();
    let mut documents = documents.into_iter();
    let Some((mut to, mut list)) = documents.next() else { return Ok(None) };
    let mut made = false;
    for (root, document) in documents {
        let malformed = |error: NoList| refused(name, &place, error.to_string());
        if united(&list, &document).map_err(malformed)?.is_none() {
            continue;
        }
        // one that has all that the other says is taken as it is
        if says_all(&document, &list) {
            (to, list, made) = (to.with_content(&root), document, false);
            continue;
        }
        let Some(bytes) = united(&list, &document).map_err(malformed)? else { continue };
        list = Document::parse(list.media_type(), bytes).map_err(|error| refused(name, &place, error))?;
        (to, made) = (to.with_content(&list.descriptor()), true);
    }
    let digests: Vec<Digest> = came.iter().map(|root| *root.digest()).collect();
    plan.rename(came, &to);
    if made {
        plan.add_made(&list, &format!("list of referrers {name}"));
    }
    // what was read there has to stand there still when it is written
    for root in gone.iter().filter(|root| **root != to) {
        plan.add_gone(root.clone());
    }
    let rest: Vec<Digest> = plan.inventory().roots.iter().map(|root| *root.digest()).collect();
    let stays_behind = |digest: &Digest| digests.contains(digest) && !rest.contains(digest);
    plan.retain(|content| !stays_behind(&content.digest));
    let united = United { name: name.to_owned(), came: digests, to, entries: entries(&list).len(), held: known.len() };
    Ok(Some(united))
}

/// Returns whether a list says everything that another one says, word for word.
fn says_all(list: &Document, other: &Document) -> bool {
    let entries: Vec<&Descriptor> = list.children().collect();
    let (Ok(new), Ok(old)) = (json::parse(list.raw()), json::parse(other.raw())) else { return false };
    let says = |(name, value): (&String, &Value)| name == "manifests" || new.get(name) == Some(value);
    other.children().all(|entry| entries.contains(&entry))
        && old.as_object().is_some_and(|fields| fields.iter().all(says))
}

fn refused(name: &str, place: &Location, reason: impl Into<Reason>) -> Error {
    StoreError::Malformed {
        what: format!("the list of referrers {}", escaped(name)),
        place: place.clone(),
        reason: reason.into(),
        hint: Some(
            "give what stands there another name, or leave such lists behind with --digest-tags=false".to_owned(),
        ),
    }
    .into()
}

fn unreadable(name: &str, root: &Descriptor, error: StoreError) -> Error {
    let about = format!("the list of referrers {}", escaped(name));
    let hint = format!(
        "it is not replaced; remove it if nobody needs it (`barge rm PLACE@{}`), or leave such lists behind with --digest-tags=false",
        root.digest().short()
    );
    Error::Content { about, error, hint: Some(hint) }
}
