//! Names: how a commit changes `index.json`, the same for a layout and for an archive.
//!
//! Pure: bytes in, bytes out. What the edit does not mean to change keeps its bytes and its place: unknown fields of the
//! top level, descriptors of other images, their order.
//!
//! A name stands in an annotation of a top-level descriptor: a full name in `io.containerd.image.name`, and in
//! `org.opencontainers.image.ref.name` a tag, or any text (image-spec v1.1.1, annotations.md). A tag that only repeats the
//! end of the full name beside it is no name of its own: two repositories may both have a `v1`. So a descriptor **claims**
//!
//! - its full name, when it has one;
//! - its `ref.name`, when it has no full name, or when that text is not the end of the full name after a `/` or a `:`.
//!
//! A commit gives each coming descriptor what it claims:
//!
//! | an old descriptor | becomes |
//! |---|---|
//! | equal to a coming one | itself: nothing is written when this is so for all |
//! | holds a claimed name in either annotation, and no other name | the first gives its place to the new one, further ones go |
//! | holds a claimed name in one annotation, and another name in the other | itself without that annotation |
//! | has no name, the same content, and says nothing that the new one does not say | gives its place to the new one |
//! | anything else | itself |
//!
//! Programs that know an image by its tag alone take the first that has it. So a coming descriptor whose `ref.name` is the tag
//! of its full name gets the full name there when a descriptor of another name has the tag already. This is decided here,
//! under the lock, and not by whoever makes the descriptor.
//!
//! Three cases that follow: `docker.io/library/app:v1` with the tag `v1` neither replaces another repository's `v1` nor a
//! descriptor with the bare name `v1`; it does replace one whose `ref.name` is the full name; a new bare `v1` takes that
//! annotation from all others, which keep their full names. Descriptors that come together never displace each other: a
//! flat index, where every platform has the same name, is kept as it is. Content is never removed by a commit.
//!
//! A descriptor that is to go leaves its place to a coming one that says the same in its annotations: an image that became
//! smaller stays where it was. Where several do, the one for the same platform is preferred.

mod among;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::value::RawValue;

use self::among::{Same, Standing};
use crate::content::{CONTAINERD_NAME, Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::document::Body;
use crate::json::{self, JsonError, ListField, Object};
use crate::media::OCI_INDEX;

/// Parses the top-level descriptors of an `index.json` (image-spec v1.1.1, image-layout.md, "index.json file").
///
/// # Errors
/// When it is no strict JSON, no image index, or a descriptor in it is unusable.
pub fn parse(bytes: &[u8]) -> Result<Vec<Descriptor>, JsonError> {
    match Body::parse(&OCI_INDEX.into(), bytes)? {
        Body::Index(index) => Ok(index.manifests),
        Body::Manifest(_) => unreachable!("parsed as an index above"),
    }
}

/// As [`Present::edit`], of an `index.json` about which nothing else is asked.
///
/// # Errors
/// As [`Present::read`].
pub fn edit(current: Option<&[u8]>, roots: &[Descriptor], gone: &[Descriptor]) -> Result<Option<Vec<u8>>, JsonError> {
    Present::read(current)?.edit(roots, gone)
}

/// An `index.json` as it stands, or none: read once, however much is asked of it before it is changed.
#[derive(Debug)]
pub struct Present<'b> {
    bytes: Option<&'b [u8]>,
    held: Cow<'b, [Descriptor]>,
}

impl<'b> Present<'b> {
    /// Reads an `index.json`.
    ///
    /// # Errors
    /// When it is not what it must be: it is then to be left as it is.
    pub fn read(bytes: Option<&'b [u8]>) -> Result<Self, JsonError> {
        Ok(Self { bytes, held: Cow::Owned(bytes.map(parse).transpose()?.unwrap_or_default()) })
    }

    /// Takes an `index.json` with what [`parse`] has made of it, or none.
    #[must_use]
    pub fn of(known: Option<(&'b [u8], &'b [Descriptor])>) -> Self {
        let (bytes, held) = known.unzip();
        Self { bytes, held: Cow::Borrowed(held.unwrap_or_default()) }
    }

    /// Returns its descriptors.
    #[must_use]
    pub fn held(&self) -> &[Descriptor] {
        &self.held
    }

    /// Returns the first descriptor that is to go and is there no longer: another process came before, and what was planned
    /// for what it found is not to undo what it did.
    #[must_use]
    pub fn lost(&self, gone: &[Descriptor]) -> Option<Descriptor> {
        if gone.is_empty() {
            return None;
        }
        let held = Same::of(&self.held);
        gone.iter().find(|gone| !held.has(gone)).cloned()
    }

    /// Gives roots their names, after taking out the descriptors that are to go, and returns what is to stand there then;
    /// `None` when nothing changes. The page above has the rules.
    ///
    /// # Errors
    /// None of an `index.json` that was read.
    pub fn edit(&self, roots: &[Descriptor], gone: &[Descriptor]) -> Result<Option<Vec<u8>>, JsonError> {
        let Some(bytes) = self.bytes else {
            let entries = named(Vec::new(), roots, gone)?;
            let mut manifests = entries.iter().map(|entry| entry.descriptor.to_value());
            let fields = [("schemaVersion".to_owned(), 2.into()), ("mediaType".to_owned(), OCI_INDEX.into())];
            let lists: Vec<ListField<'_>> = vec![("manifests", &mut manifests)];
            return Ok(Some(json::encode_lists(&fields.into_iter().collect(), lists)));
        };
        let mut index = Object::of_parsed(bytes)?; // read strictly before
        let items = index.borrowed_items("manifests");
        let entries = self.held.iter().zip(&items);
        let entries = entries.map(|(held, raw)| Entry { descriptor: held.clone(), raw: Cow::Borrowed(raw) });
        let after: Vec<_> = named(entries.collect(), roots, gone)?.into_iter().map(|entry| entry.raw).collect();
        if after.iter().map(|raw| raw.get()).eq(items.iter().map(|raw| raw.get())) {
            return Ok(None);
        }
        let manifests = json::list_of(&after);
        index.set("manifests", manifests);
        Ok(Some(index.to_bytes()))
    }
}

/// Returns the names that mean other content once some roots have theirs: each with what it meant before.
#[must_use]
pub fn displaced(held: &[Descriptor], roots: &[Descriptor]) -> Vec<(String, Digest)> {
    let (before, coming) = (by_name(held), by_name(roots));
    let mut displaced = Vec::new();
    let mut told = HashSet::new();
    for name in roots.iter().flat_map(claims) {
        let kept = |digest: &&Digest| coming.get(name).is_some_and(|coming| coming.contains(digest));
        let old = before.get(name).and_then(|held| held.iter().find(|digest| !kept(digest)));
        if let Some(digest) = old
            && told.insert(name)
        {
            displaced.push((name.to_owned(), **digest));
        }
    }
    displaced
}

/// Returns what each name means.
fn by_name(descriptors: &[Descriptor]) -> HashMap<&str, Vec<&Digest>> {
    let mut found: HashMap<&str, Vec<&Digest>> = HashMap::new();
    for descriptor in descriptors {
        for name in claims(descriptor) {
            found.entry(name).or_default().push(descriptor.digest());
        }
    }
    found
}

/// A top-level descriptor, parsed and as it stands.
struct Entry<'b> {
    descriptor: Descriptor,
    raw: Cow<'b, RawValue>,
}

impl Entry<'_> {
    fn new(descriptor: &Descriptor) -> Result<Self, JsonError> {
        let raw = Cow::Owned(Object::from_value(&descriptor.to_value())?.to_raw());
        Ok(Self { descriptor: descriptor.clone(), raw })
    }

    /// Returns the entry without some annotations, all else as it stands.
    fn without(&self, annotations: &[&str]) -> Result<Self, JsonError> {
        let mut fields = Object::parse(self.raw.get().as_bytes())?;
        if let Some(mut rest) = fields.object("annotations") {
            for name in annotations {
                rest.remove(name);
            }
            if rest.is_empty() {
                fields.remove("annotations");
            } else {
                fields.set("annotations", rest.to_raw());
            }
        }
        let descriptor = self.descriptor.clone().without_annotations(annotations);
        Ok(Self { descriptor, raw: Cow::Owned(fields.to_raw()) })
    }
}

/// What becomes of an old descriptor.
enum Fate {
    Stays,
    Loses(&'static str),
    Goes,
}

fn named<'b>(entries: Vec<Entry<'b>>, roots: &[Descriptor], gone: &[Descriptor]) -> Result<Vec<Entry<'b>>, JsonError> {
    let gone = Same::of(gone);
    let mut left: Vec<Option<Descriptor>> = Vec::new();
    let mut slots: Vec<Option<Entry<'_>>> = Vec::new();
    for entry in entries {
        let is_gone = gone.has(&entry.descriptor);
        left.push(is_gone.then(|| entry.descriptor.clone()));
        slots.push((!is_gone).then_some(entry));
    }
    let is_any_left = left.iter().any(Option::is_some);
    let mut standing = Standing::of(roots);
    for (at, entry) in slots.iter().enumerate() {
        entry.iter().for_each(|entry| standing.enter(at, &entry.descriptor));
    }
    // a bare tag that comes keeps it, whatever comes before it: full names can do without
    let bare: HashSet<&str> = roots.iter().filter(|root| full_name(root).is_none()).filter_map(ref_name).collect();
    for root in roots {
        let says_the_same =
            |old: &Option<Descriptor>| old.as_ref().is_some_and(|old| old.annotations() == root.annotations());
        let same_platform = |old: &Option<Descriptor>| {
            says_the_same(old) && old.as_ref().is_some_and(|old| old.platform() == root.platform())
        };
        let mut place = match is_any_left {
            true => left.iter().position(same_platform).or_else(|| left.iter().position(says_the_same)),
            false => None,
        };
        let tag = ref_name(root).unwrap_or_default();
        let others = standing.with_text(tag).iter().filter_map(|at| slots[*at].as_ref());
        let root = &spelled(root, bare.contains(tag), others.map(|entry| &entry.descriptor));
        for at in standing.concerned(root) {
            let slot = &mut slots[at];
            let Some(entry) = slot else { continue };
            match fate(&entry.descriptor, root, roots) {
                Fate::Stays => {}
                Fate::Loses(annotation) => {
                    let rest = entry.without(&[annotation])?;
                    standing.enter(at, &rest.descriptor);
                    *slot = Some(rest);
                }
                Fate::Goes => {
                    place.get_or_insert(at);
                    *slot = None;
                }
            }
        }
        let is_here = match is_named(root) {
            true => {
                standing.concerned(root).iter().filter_map(|at| slots[*at].as_ref()).any(|it| it.descriptor == *root)
            }
            false => {
                let same = standing.by_digest.get(root.digest()).into_iter().flatten();
                let mut same = same.filter_map(|at| slots[*at].as_ref());
                same.any(|entry| entry.descriptor.digest() == root.digest())
            }
        };
        if is_here {
            continue;
        }
        let at = place.unwrap_or(slots.len());
        let entry = Some(Entry::new(root)?);
        match slots.get_mut(at) {
            Some(slot) => *slot = entry,
            None => slots.push(entry),
        }
        left.get_mut(at).into_iter().for_each(|left| *left = None);
        standing.enter(at, root);
    }
    Ok(slots.into_iter().flatten().collect())
}

/// Returns a descriptor whose tag finds no other image: see the page above.
fn spelled<'a>(root: &Descriptor, is_bare: bool, mut held: impl Iterator<Item = &'a Descriptor>) -> Descriptor {
    let (Some(full), Some(tag)) = (full_name(root), ref_name(root)) else { return root.clone() };
    let is_tag = full.strip_suffix(tag).is_some_and(|before| before.ends_with(':'));
    let taken = |other: &Descriptor| ref_name(other) == Some(tag) && full_name(other) != Some(full);
    if is_tag && (is_bare || held.any(taken)) { root.clone().with_annotation(REF_NAME, full) } else { root.clone() }
}

fn fate(old: &Descriptor, root: &Descriptor, roots: &[Descriptor]) -> Fate {
    let clashes = |name: Option<&str>| name.is_some_and(|name| claims(root).any(|claimed| claimed == name));
    let (full, reference) = (full_name(old), ref_name(old));
    let fate = match (clashes(full), clashes(reference)) {
        (false, false) if !is_named(old) && is_named(root) && says_no_more(old, root) => Fate::Goes,
        (false, false) => Fate::Stays,
        (true, false) if own_ref_name(old).is_some() => Fate::Loses(CONTAINERD_NAME),
        (false, true) if full.is_some() => Fate::Loses(REF_NAME),
        _ => Fate::Goes,
    };
    match fate {
        Fate::Stays => Fate::Stays,
        // asked last: it is the expensive question
        _ if old == root || roots.contains(old) => Fate::Stays,
        other => other,
    }
}

fn full_name(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotation(CONTAINERD_NAME).filter(|name| !name.is_empty())
}

fn ref_name(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotation(REF_NAME).filter(|name| !name.is_empty())
}

/// Returns the `ref.name` unless it only repeats the end of the full name: `v1`, `app:v1` or the whole.
fn own_ref_name(descriptor: &Descriptor) -> Option<&str> {
    ref_name(descriptor).filter(|reference| {
        let before = full_name(descriptor).and_then(|full| full.strip_suffix(reference));
        !before.is_some_and(|before| before.is_empty() || before.ends_with(['/', ':']))
    })
}

fn is_named(descriptor: &Descriptor) -> bool {
    claims(descriptor).next().is_some()
}

/// Returns the names that a descriptor claims: see the page above.
pub fn claims(descriptor: &Descriptor) -> impl Iterator<Item = &str> {
    full_name(descriptor).into_iter().chain(own_ref_name(descriptor))
}

/// Returns whether all that `old` says stands in `new` too.
fn says_no_more(old: &Descriptor, new: &Descriptor) -> bool {
    if old.digest() != new.digest() {
        return false;
    }
    let (old_fields, new_fields) = (old.to_value(), new.to_value());
    let kept =
        |(name, value): (&String, &serde_json::Value)| name == "annotations" || new_fields.get(name) == Some(value);
    old_fields.as_object().is_some_and(|fields| fields.iter().all(kept))
        && old.annotations().iter().all(|(name, value)| new.annotation(name) == Some(value))
}
