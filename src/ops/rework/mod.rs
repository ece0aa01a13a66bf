//! Images of which some manifests change: read as a whole, changed one by one, and put together again.
//!
//! [`Rework::read`] reads the documents of an image, or of an index and every image in it. Whoever changes something goes over
//! [`Rework::images_mut`] and changes their drafts. [`Rework::finish`] then writes what became another thing: configs,
//! manifests, and the indexes above them. All else keeps its bytes, its place and its order: entries for other platforms, artifacts,
//! fields that nothing here knows.
//!
//! What belongs to a digest does not belong to the new one. An attestation that stands in the index beside an image that
//! changed is left out of the new index; signatures and other referrers stay with the old image. Both are told.

mod finish;
mod read;
mod told;

use std::collections::{BTreeMap, HashMap};

pub use self::finish::Reworked;
use super::draft::Draft;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::Document;
use crate::graph::Reach;
use crate::platform::Platform;
use crate::reference::ImageName;
use crate::store::Source;

/// Images of a place, read to be changed.
#[derive(Debug)]
pub struct Rework<'a> {
    origin: Origin<'a>,
    /// Which of the top-level descriptors are meant, and what they lead to.
    roots: Vec<Entry>,
    /// Everything that they lead to, each thing once, children before what refers to them.
    nodes: Vec<Node<'a>>,
    /// The annotations that the index at the top gets, and those that it loses.
    annotations: BTreeMap<String, Option<String>>,
    /// The media type that indexes get, if another one.
    index_type: Option<&'static str>,
    renaming: Renaming,
    is_whole: bool,
}

/// Where the images are.
#[derive(Clone, Copy)]
struct Origin<'a>(&'a dyn Source);

impl std::fmt::Debug for Origin<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.location().fmt(f)
    }
}

/// A descriptor, and the number of what it refers to.
#[derive(Clone, Debug)]
struct Entry {
    descriptor: Descriptor,
    node: usize,
}

#[derive(Debug)]
enum Node<'a> {
    /// It stays what it is, whatever it is.
    Kept(Kept),
    Image(Box<Image<'a>>),
    Index {
        document: Box<Document>,
        entries: Vec<Entry>,
    },
}

#[derive(Debug)]
enum Kept {
    There(Reach),
    /// An index may list what is not there: it is sparse, and stays so where it is.
    Absent,
}

/// An image for one platform that may change.
#[derive(Debug)]
pub struct Image<'a> {
    /// What refers to it: an entry of an index, or of the place.
    pub descriptor: Descriptor,
    /// Its platform as the index says, else as its config does.
    pub platform: Platform,
    /// What is changed.
    pub draft: Draft<'a>,
    /// The manifest as it was.
    before: Document,
    /// All that it refers to.
    reach: Reach,
    /// The platform that it gets, when that is another one.
    moved: Option<Platform>,
    /// The annotations that its entry loses.
    without: Vec<String>,
}

impl Image<'_> {
    /// Makes it an image for another platform: the config says so, and the entry in its index, where that says a platform.
    pub fn set_platform(&mut self, platform: &Platform) {
        let platform = platform.normalized();
        crate::recipe::config::set_platform(&mut self.draft.config, &platform);
        self.moved = Some(platform);
    }

    /// Takes annotations from the entry that refers to it, which were about what changes.
    pub fn drop_entry_annotations(&mut self, names: impl IntoIterator<Item = String>) {
        self.without.extend(names);
    }
}

/// Where the result goes, as seen from the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whither {
    /// To where they are: what stays need not be brought.
    Here,
    /// To another place.
    Elsewhere,
}

/// Under which names the result arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renaming {
    /// Under its own: where it is, the names move to it.
    Same,
    /// Under these; where it is, the old image keeps its own.
    New(Vec<ImageName>),
}

/// What became of one manifest.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its platform, as it is now.
    pub platform: Platform,
    /// Its digest before.
    pub from: Digest,
    /// Its digest now.
    pub to: Digest,
}

/// What became of one top-level descriptor.
#[derive(Clone, Debug)]
pub struct Root {
    /// As it stands in the source.
    pub from: Descriptor,
    /// As it is to stand, under each of its new names.
    pub to: Vec<Descriptor>,
    /// Other names that still mean the old content.
    pub other_names: Vec<String>,
}

/// An attestation that was left out, because what it is about has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The attestation.
    pub digest: Digest,
    /// What it holds, in words: provenance, SBOM.
    pub what: String,
    /// The manifest that it is about.
    pub subject: Digest,
}

/// What belongs to an old digest and stays with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StayedBehind {
    /// How it is called.
    pub called: String,
    /// What it is, in a word: signature, attestation, SBOM, referrer.
    pub what: &'static str,
    /// The old digest.
    pub subject: Digest,
}

/// What became another thing, by its number.
type Became = HashMap<usize, Document>;
