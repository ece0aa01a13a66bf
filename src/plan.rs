//! A plan: what is to arrive, and where each piece comes from. Planners read; nothing is written before a plan is whole.

use std::collections::HashMap;
use std::sync::Arc;

use crate::blob::BlobReader;
use crate::content::{Content, Descriptor, Kind};
use crate::digest::Digest;
use crate::document::Document;
use crate::graph::{Called, Reach};
use crate::positions::Positions;
use crate::store::{Inventory, Location, Source, StoreError};

/// Where a piece of content comes from.
#[derive(Clone)]
enum Origin<'a> {
    Source(&'a dyn Source),
    Made(Arc<[u8]>),
}

/// What a piece of content is.
#[derive(Clone)]
enum About {
    /// Put together when somebody asks: a plan may have a hundred thousand pieces.
    Called(Called),
    Said(Box<str>),
}

/// What a plan knows of a piece beside what the inventory says.
#[derive(Clone)]
struct Piece<'a> {
    origin: Origin<'a>,
    about: About,
}

/// What is to arrive at a sink, each piece once, and where it comes from.
pub struct Plan<'a> {
    location: Location,
    inventory: Inventory,
    /// Of each piece of the inventory, in its order.
    pieces: Vec<Piece<'a>>,
    positions: Positions,
    /// What those were that were planned and then taken out.
    left_out: HashMap<Digest, (About, u64)>,
}

impl<'a> Plan<'a> {
    /// Makes an empty plan.
    #[must_use]
    pub fn new() -> Self {
        Self {
            location: Location::Memory("made by this command".to_owned()),
            inventory: Inventory::default(),
            pieces: Vec::new(),
            positions: Positions::default(),
            left_out: HashMap::new(),
        }
    }

    /// Adds everything that was reached in a source.
    pub fn add_reach(&mut self, source: &'a dyn Source, reach: &Reach) {
        for node in &reach.nodes {
            self.insert(node.content.clone(), About::Called(node.called.clone()), Origin::Source(source));
        }
    }

    /// Adds one piece from a source; `about` says what it is.
    pub fn add(&mut self, source: &'a dyn Source, content: &Content, about: String) {
        self.insert(content.clone(), About::Said(about.into()), Origin::Source(source));
    }

    /// Adds a document that barge made. What it refers to is added before it.
    pub fn add_made(&mut self, document: &Document, about: &str) {
        let kind = Kind::Manifest(document.media_type().clone());
        self.add_bytes(document.raw().to_vec(), kind, about.to_owned());
    }

    /// Adds small content that barge made, such as a config.
    pub fn add_bytes(&mut self, bytes: Vec<u8>, kind: Kind, about: String) {
        self.insert(Content::of(&bytes, kind), About::Said(about.into()), Origin::Made(bytes.into()));
    }

    fn insert(&mut self, content: Content, about: About, origin: Origin<'a>) {
        let contents = &mut self.inventory.contents;
        let at = contents.len();
        contents.push(content);
        let Some(held) = self.positions.enter(at, |at| &contents[at].digest) else {
            self.pieces.push(Piece { origin, about });
            return;
        };
        // what one descriptor gives a type that nobody knows, another may know for a document
        if let Some(content) = contents.pop()
            && matches!(content.kind, Kind::Manifest(_))
            && contents[held].kind == Kind::Blob
        {
            contents[held] = content;
        }
    }

    /// Returns where in the inventory a piece stands that is to arrive.
    pub(crate) fn position(&self, digest: &Digest) -> Option<usize> {
        self.positions.get(digest, |at| &self.inventory.contents[at].digest)
    }

    /// Returns whether a piece is to arrive.
    #[must_use]
    pub fn contains(&self, digest: &Digest) -> bool {
        self.position(digest).is_some()
    }

    /// Keeps only some of the content. What the rest was stays known.
    pub fn retain(&mut self, keep: impl Fn(&Content) -> bool) {
        let kept: Vec<bool> = self.inventory.contents.iter().map(keep).collect();
        if kept.iter().all(|kept| *kept) {
            return;
        }
        for ((content, piece), _) in
            self.inventory.contents.iter().zip(&self.pieces).zip(&kept).filter(|(_, kept)| !**kept)
        {
            self.left_out.insert(content.digest, (piece.about.clone(), content.size));
        }
        let mut each = kept.iter();
        self.inventory.contents.retain(|_| each.next().is_none_or(|kept| *kept));
        let mut each = kept.iter();
        self.pieces.retain(|_| each.next().is_none_or(|kept| *kept));
        self.find_positions();
    }

    fn find_positions(&mut self) {
        let contents = &self.inventory.contents;
        self.positions = Positions::of(contents.len(), |at| &contents[at].digest);
    }

    /// Returns a plan for some of the content of this one, under other names.
    #[must_use]
    pub fn part(&self, keep: impl Fn(&Content) -> bool, roots: Vec<Descriptor>) -> Self {
        let mut part = Self::new();
        part.inventory.roots = roots;
        for (content, piece) in self.inventory.contents.iter().zip(&self.pieces).filter(|(content, _)| keep(content)) {
            part.inventory.contents.push(content.clone());
            part.pieces.push(piece.clone());
        }
        part.find_positions();
        part
    }

    /// Returns what a piece is, such as `layer 3 of linux/arm64, 12.4 MiB`, for messages: also one that was taken out. `None` of what
    /// was never planned.
    #[must_use]
    pub fn about(&self, digest: &Digest) -> Option<String> {
        let (about, size) = match self.position(digest) {
            Some(at) => (&self.pieces[at].about, self.inventory.contents[at].size),
            None => self.left_out.get(digest).map(|(about, size)| (about, *size))?,
        };
        Some(match about {
            About::Called(called) => called.with_size(size),
            About::Said(text) => text.to_string(),
        })
    }

    /// Adds a descriptor to be named.
    pub fn add_root(&mut self, root: Descriptor) {
        self.inventory.roots.push(root);
    }

    /// Puts one descriptor in the place of some that were to be named.
    pub fn rename(&mut self, from: &[Descriptor], to: &Descriptor) {
        let roots = &mut self.inventory.roots;
        let Some(at) = roots.iter().position(|root| from.contains(root)) else { return };
        roots[at] = to.clone();
        let mut number = 0;
        roots.retain(|root| {
            number += 1;
            number == at + 1 || !from.contains(root)
        });
    }

    /// Adds a descriptor that is to be named no longer, exactly as it stands at the target.
    pub fn add_gone(&mut self, root: Descriptor) {
        self.inventory.gone.push(root);
    }

    /// Returns all that is to arrive.
    #[must_use]
    pub const fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    fn origin_of(&self, digest: &Digest) -> Option<&Origin<'a>> {
        self.position(digest).map(|at| &self.pieces[at].origin)
    }

    /// Returns where a piece comes from, for messages.
    #[must_use]
    pub fn origin(&self, content: &Content) -> Location {
        match self.origin_of(&content.digest) {
            Some(Origin::Source(source)) => source.location().clone(),
            _ => self.location.clone(),
        }
    }
}

/// A plan can be read like the store that it will become.
impl Source for Plan<'_> {
    fn location(&self) -> &Location {
        &self.location
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        Ok(self.inventory.roots.clone())
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        match self.origin_of(&content.digest) {
            Some(Origin::Source(source)) => source.open(content),
            Some(Origin::Made(bytes)) => Ok(BlobReader::new(content.clone(), &bytes[..])),
            None => Err(StoreError::Missing { digest: content.digest, place: self.location.clone() }),
        }
    }

    fn holds(&self, content: &Content) -> Result<bool, StoreError> {
        // what was planned has been found
        Ok(self.contains(&content.digest))
    }
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("inventory", &self.inventory).finish_non_exhaustive()
    }
}
