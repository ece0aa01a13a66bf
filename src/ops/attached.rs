//! What belongs to an image without being part of it: signatures, attestations and other referrers at the top of a place.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::lookup::name_of;
use crate::content::{CONTAINERD_NAME, CONTAINERD_SUBJECT, Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::document::{Body, Document};
use crate::media::Role;
use crate::store::referrer_list::digest_in;
use crate::store::{Source, StoreError, read_document};

/// The word that stands for what cosign's tags name, whatever its type.
pub const COSIGN: &str = "cosign";

/// What becomes of signatures and other referrers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Referrers {
    /// They go along.
    #[default]
    All,
    /// They stay behind.
    None,
    /// Those of some types of artifact go along, and what cosign's tags name when [`COSIGN`] is among them.
    Only(Vec<String>),
}

/// How something says what it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Convention {
    /// By the `subject` of its document (image-spec v1.1.1, manifest.md).
    Subject,
    /// By containerd's annotation at the top of the place.
    Annotation,
    /// By a tag of cosign: `sha256-HEX.sig`, `.att`, `.sbom`.
    CosignTag,
    /// By the tag `sha256-HEX` (distribution-spec v1.1.1, "Referrers Tag Schema"), which names an index of referrers.
    FallbackTag,
    /// By the index that lists an attestation beside what it describes (BuildKit, attestation-storage.md).
    Index,
}

/// A top-level descriptor, and the content that it belongs to.
#[derive(Clone, Debug)]
pub struct Attached {
    /// What it belongs to.
    pub subject: Digest,
    /// The descriptor, as it stands.
    pub root: Descriptor,
    /// How it says so.
    pub by: Convention,
}

/// A descriptor of a place. Its document is read when somebody wants to know, and once.
struct Entry<'a> {
    source: &'a dyn Source,
    root: &'a Descriptor,
    need: Need,
    read: OnceCell<Option<Document>>,
}

/// What a document that cannot be read just now means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// What could be read another time has to be read: else a signature would stay behind unsaid.
    Certain,
    /// For who only looks: it says nothing.
    AsFarAsRead,
}

impl<'a> Entry<'a> {
    const fn new(source: &'a dyn Source, root: &'a Descriptor, need: Need) -> Self {
        Self { source, root, need, read: OnceCell::new() }
    }

    /// Returns its document; `None` when it is none, is damaged, or is not there.
    fn document(&self) -> Result<Option<&Document>, StoreError> {
        if let Some(read) = self.read.get() {
            return Ok(read.as_ref());
        }
        let is_passing = |error: &StoreError| {
            matches!(error, StoreError::Io { .. } | StoreError::Remote { .. } | StoreError::Cancelled)
        };
        let read = match self.root.media_type().is_document() {
            true => read_document(self.source, self.root).map(Some),
            false => Ok(None),
        };
        let read = match read {
            Err(error) if self.need == Need::Certain && is_passing(&error) => return Err(error),
            read => read.unwrap_or_default(),
        };
        Ok(self.read.get_or_init(|| read).as_ref())
    }

    /// What the document itself says: one that cannot be read is nobody's referrer as far as can be told.
    fn own(&self) -> Result<Option<Claim>, StoreError> {
        let memory = self.source.subjects();
        let subject = match memory.and_then(|memory| memory.known(self.root)) {
            Some(known) => known,
            None => {
                let document = self.document()?;
                let subject = document.and_then(Document::subject).map(|subject| *subject.digest());
                if let (Some(memory), Some(_)) = (memory, document) {
                    memory.note(self.root, subject);
                }
                subject
            }
        };
        Ok(subject.map(|subject| (subject, Convention::Subject)))
    }

    /// Returns what it belongs to by the first convention that says so.
    fn attached(&self) -> Result<Option<Attached>, StoreError> {
        let claim = match annotated(self.root).or_else(|| tagged(self.root)) {
            Some(claim) => Some(claim),
            None => self.own()?,
        };
        Ok(claim.map(|(subject, by)| Attached { subject, root: self.root.clone(), by }))
    }

    /// Returns what a list under the fallback tag names; `None` when it is none.
    fn list(&self) -> Result<Option<(Digest, &[Descriptor])>, StoreError> {
        let Some((subject, Convention::FallbackTag)) = tagged(self.root) else { return Ok(None) };
        Ok(match self.document()?.map(Document::body) {
            Some(Body::Index(index)) => Some((subject, &index.manifests)),
            _ => None,
        })
    }

    fn types(&self) -> Result<Option<Vec<String>>, StoreError> {
        let said = self.root.artifact_type().map(str::to_owned);
        if !self.root.media_type().is_document() {
            return Ok(Some(said.into_iter().chain([self.root.media_type().as_str().to_owned()]).collect()));
        }
        let Some(document) = self.document()? else { return Ok(said.map(|said| vec![said])) };
        let mut types: Vec<String> = document.artifact_type().map(str::to_owned).or(said).into_iter().collect();
        if let Body::Manifest(manifest) = document.body()
            && manifest.artifact_type.as_deref().unwrap_or_default().is_empty()
            && manifest.config.as_ref().is_none_or(|config| {
                config.media_type().role() == Role::Config || config.media_type().as_str() == crate::media::OCI_EMPTY
            })
        {
            for layer in &manifest.layers {
                let text = layer.media_type().as_str();
                if !types.iter().any(|held| held == text) {
                    types.push(text.to_owned());
                }
            }
        }
        Ok(Some(types))
    }
}

/// What something belongs to, and how it says so.
type Claim = (Digest, Convention);

/// Finds what belongs to what at the top of a place, by every convention in use: containerd's annotation, the tags of
/// cosign and of distribution-spec v1.1.1 ("Referrers Tag Schema"), and the `subject` of the document itself.
///
/// # Errors
/// When the machine or a registry fails to give a document. One that is damaged or not there is nobody's referrer, as far as can
/// be told.
pub fn attached(source: &dyn Source, roots: &[Descriptor]) -> Result<Vec<Attached>, StoreError> {
    roots.iter().filter_map(|root| Entry::new(source, root, Need::Certain).attached().transpose()).collect()
}

/// As [`attached`], for who only looks: whatever cannot be read, for whatever reason, is nobody's referrer.
pub fn attached_as_far_as_read(source: &dyn Source, roots: &[Descriptor]) -> Vec<Attached> {
    roots.iter().filter_map(|root| Entry::new(source, root, Need::AsFarAsRead).attached().ok()?).collect()
}

/// As [`attached`], where it is known of every document that says so itself what it belongs to.
pub(super) fn attached_by(roots: &[Descriptor], subjects: &HashMap<Digest, Digest>) -> Vec<Attached> {
    let own = |root: &Descriptor| subjects.get(root.digest()).map(|subject| (*subject, Convention::Subject));
    let claim = |root: &Descriptor| annotated(root).or_else(|| tagged(root)).or_else(|| own(root));
    let attached = |root: &Descriptor| claim(root).map(|(subject, by)| Attached { subject, root: root.clone(), by });
    roots.iter().filter_map(attached).collect()
}

/// Goes through top-level descriptors together with what [`attached`] found among these very ones: at most one for each, in their
/// order.
pub(super) fn paired<'r>(
    attached: &'r [Attached],
    roots: &'r [Descriptor],
) -> impl Iterator<Item = (&'r Descriptor, Option<&'r Attached>)> {
    let mut attached = attached.iter().peekable();
    roots.iter().map(move |root| (root, attached.next_if(|one| one.root == *root)))
}

/// Finds everything by which something at the top of a place says what it belongs to, once for each convention; of an index under
/// the fallback tag this is said of its entries. What cannot be read says nothing.
pub fn claims(source: &dyn Source, roots: &[Descriptor]) -> Vec<Attached> {
    let mut found = Vec::new();
    for root in roots {
        let entry = Entry::new(source, root, Need::AsFarAsRead);
        if let Ok(Some((subject, listed))) = entry.list() {
            let by = Convention::FallbackTag;
            found.extend(listed.iter().map(|entry| Attached { subject, root: entry.clone(), by }));
            continue;
        }
        let said = entry.own().into_iter().flatten().chain(annotated(root)).chain(tagged(root));
        found.extend(said.map(|(subject, by)| Attached { subject, root: root.clone(), by }));
    }
    found
}

/// Finds what belongs to what at the top of a place, as far as it is wanted. Of an index under the fallback tag of which only
/// some entries are wanted, these stand for themselves.
///
/// # Errors
/// When the place does not tell what it names.
pub fn wanted(source: &dyn Source, referrers: &Referrers, digest_tags: bool) -> Result<Vec<Attached>, StoreError> {
    match referrers {
        Referrers::None => Ok(Vec::new()),
        _ => wanted_among(source, &source.roots()?, referrers, digest_tags),
    }
}

/// As [`wanted`], among descriptors that need not stand at the top of the place.
///
/// # Errors
/// As [`attached`].
pub(super) fn wanted_among(
    source: &dyn Source,
    roots: &[Descriptor],
    referrers: &Referrers,
    digest_tags: bool,
) -> Result<Vec<Attached>, StoreError> {
    if *referrers == Referrers::None {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for root in roots {
        let entry = Entry::new(source, root, Need::Certain);
        let Some(one) = entry.attached()?.filter(|one| digest_tags || !one.by.is_tag()) else { continue };
        let Referrers::Only(types) = referrers else {
            found.push(one);
            continue;
        };
        let listed = if one.by == Convention::FallbackTag { entry.list()? } else { None };
        if let Some((subject, listed)) = listed {
            let (mut entries, mut others) = (Vec::new(), Vec::new());
            for one in listed {
                let is_wanted = is_one_of(types, &Entry::new(source, one, Need::Certain).types()?);
                if is_wanted { entries.push(one) } else { others.push(one) }
            }
            if others.is_empty() && !entries.is_empty() {
                found.push(one);
                continue;
            }
            found.extend(entries.into_iter().map(|entry| Attached {
                subject,
                root: entry.clone().with_annotation(CONTAINERD_SUBJECT, &subject.to_string()),
                by: Convention::Annotation,
            }));
            continue;
        }
        let is_cosign = one.by == Convention::CosignTag && types.iter().any(|word| word == COSIGN);
        if is_cosign || is_one_of(types, &entry.types()?) {
            found.push(one);
        }
    }
    Ok(found)
}

/// Returns what some top-level descriptors are as referrers: of a list under the fallback tag what it names, as far as it can be
/// read, else themselves. Each once.
pub fn counted(source: &dyn Source, roots: &[Descriptor]) -> Vec<Digest> {
    let mut found = Vec::new();
    for root in roots {
        let entry = Entry::new(source, root, Need::AsFarAsRead);
        // an empty one is still something that goes along
        match entry.list().ok().flatten().filter(|(_, listed)| !listed.is_empty()) {
            Some((_, listed)) => found.extend(listed.iter().map(|entry| *entry.digest())),
            None => found.push(*root.digest()),
        }
    }
    let mut seen = HashSet::new();
    found.retain(|digest| seen.insert(*digest));
    found
}

impl Convention {
    /// Returns whether a tag made of a digest says it.
    #[must_use]
    pub const fn is_tag(self) -> bool {
        matches!(self, Self::CosignTag | Self::FallbackTag)
    }

    /// Returns the word for tables and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Annotation => "annotation",
            Self::CosignTag => "cosign tag",
            Self::FallbackTag => "fallback tag",
            Self::Index => "attestation",
        }
    }
}

/// Returns the types of artifact by which something is known: the one by which registries list it, else what its descriptor
/// says, and where that is an image's config or nothing, those of its layers too, as of what cosign writes. `None` when it cannot
/// be read and does not say: it may be any.
pub fn types_of(source: &dyn Source, root: &Descriptor) -> Option<Vec<String>> {
    Entry::new(source, root, Need::AsFarAsRead).types().ok().flatten()
}

/// Returns whether something is of one of the types that were asked for; what cannot be read may be.
fn is_one_of(asked: &[String], types: &Option<Vec<String>>) -> bool {
    types.as_ref().is_none_or(|types| types.iter().any(|text| asked.contains(text)))
}

/// Who belongs to what, for who asks of many images one by one.
#[derive(Debug)]
pub struct Belongings<'a> {
    attached: &'a [Attached],
    by_subject: HashMap<&'a Digest, Vec<usize>>,
}

impl<'a> Belongings<'a> {
    /// Sorts what is attached by what it belongs to.
    #[must_use]
    pub fn new(attached: &'a [Attached]) -> Self {
        let mut by_subject: HashMap<&Digest, Vec<usize>> = HashMap::new();
        for (at, one) in attached.iter().enumerate() {
            by_subject.entry(&one.subject).or_default().push(at);
        }
        Self { attached, by_subject }
    }

    /// Returns what belongs to some content, to what belongs to it, and so on, in the order of the place.
    #[must_use]
    pub fn of(&self, contents: &HashSet<Digest>) -> Vec<Descriptor> {
        let mut taken = BTreeSet::new();
        let mut seen = HashSet::new();
        let mut pending: Vec<&Digest> = match contents.len() < self.by_subject.len() {
            true => contents.iter().filter(|content| self.by_subject.contains_key(content)).collect(),
            false => self.by_subject.keys().copied().filter(|subject| contents.contains(*subject)).collect(),
        };
        while let Some(subject) = pending.pop() {
            if !seen.insert(subject) {
                continue;
            }
            for &at in self.by_subject.get(subject).into_iter().flatten() {
                let digest = self.attached[at].root.digest();
                if !contents.contains(digest) {
                    taken.insert(at);
                    pending.push(digest);
                }
            }
        }
        taken.into_iter().map(|at| self.attached[at].root.clone()).collect()
    }
}

/// Returns what belongs to some content, as [`Belongings::of`].
#[must_use]
pub fn belonging(attached: &[Attached], contents: &HashSet<Digest>) -> Vec<Descriptor> {
    Belongings::new(attached).of(contents)
}

/// Returns what of some top-level descriptors stands for itself: images, and of what belongs to others that which has a name of its
/// own besides.
#[must_use]
pub fn standing_alone(attached: &[Attached], roots: &[Descriptor]) -> Vec<Descriptor> {
    let belonging: HashSet<&Digest> = attached.iter().map(|one| one.root.digest()).collect();
    roots.iter().filter(|root| !belonging.contains(root.digest()) || has_own_name(root)).cloned().collect()
}

/// Returns whether something has a name by which it can be taken for an image: one that is no tag made of a digest. Of two names
/// either counts, as some programs go by the one and some by the other.
pub(super) fn has_own_name(root: &Descriptor) -> bool {
    let names = [CONTAINERD_NAME, REF_NAME].into_iter().filter_map(|key| root.annotation(key));
    names.filter(|name| !name.is_empty()).any(|name| subject_of_tag(name).is_none())
}

/// Returns what containerd's annotation says.
fn annotated(root: &Descriptor) -> Option<Claim> {
    let subject = root.annotation(CONTAINERD_SUBJECT).and_then(|text| text.parse().ok())?;
    Some((subject, Convention::Annotation))
}

/// Returns what a tag made of a digest says.
fn tagged(root: &Descriptor) -> Option<Claim> {
    root.annotation(REF_NAME).and_then(subject_of_tag)
}

/// Returns what a name made of a digest says: `sha256-HEX`, `sha256-HEX.sig`.
fn subject_of_tag(name: &str) -> Option<Claim> {
    let (digest, suffix) = digest_in(name)?;
    Some((digest, if suffix.is_some() { Convention::CosignTag } else { Convention::FallbackTag }))
}

/// Returns how a descriptor is called in a message: its name, else its digest.
#[must_use]
pub fn called(root: &Descriptor) -> String {
    name_of(root).map_or_else(|| root.digest().to_string(), crate::text::escaped)
}
