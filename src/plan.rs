//! A plan: what is to arrive, and where each piece comes from. Planners read; nothing is written before a plan is whole.

use std::collections::HashMap;

use crate::blob::BlobReader;
use crate::content::{Content, Descriptor, Kind};
use crate::digest::Digest;
use crate::document::Document;
use crate::graph::Reach;
use crate::store::{Inventory, Location, Source, StoreError};

/// Where a piece of content comes from.
#[derive(Clone)]
enum Origin<'a> {
    Source(&'a dyn Source),
    Made(Vec<u8>),
}

/// What is to arrive at a sink, each piece once, and where it comes from.
pub struct Plan<'a> {
    location: Location,
    inventory: Inventory,
    origins: HashMap<Digest, Origin<'a>>,
    /// What nobody has called a document so far, and where it stands in the inventory.
    blobs: HashMap<Digest, usize>,
}

impl<'a> Plan<'a> {
    /// Makes an empty plan.
    #[must_use]
    pub fn new() -> Self {
        let location = Location::Memory("made by this command".to_owned());
        Self { location, inventory: Inventory::default(), origins: HashMap::new(), blobs: HashMap::new() }
    }

    /// Adds everything that was reached in a source.
    pub fn add_reach(&mut self, source: &'a dyn Source, reach: &Reach) {
        for node in &reach.nodes {
            self.add(source, &node.content, node.describe());
        }
    }

    /// Adds one piece from a source; `about` says what it is.
    pub fn add(&mut self, source: &'a dyn Source, content: &Content, about: String) {
        self.insert(content.clone(), about, Origin::Source(source));
    }

    /// Adds a document that barge made. What it refers to is added before it.
    pub fn add_made(&mut self, document: &Document, about: &str) {
        let kind = Kind::Manifest(document.media_type().clone());
        self.add_bytes(document.raw().to_vec(), kind, about.to_owned());
    }

    /// Adds small content that barge made, such as a config.
    pub fn add_bytes(&mut self, bytes: Vec<u8>, kind: Kind, about: String) {
        self.insert(Content::of(&bytes, kind), about, Origin::Made(bytes));
    }

    fn insert(&mut self, content: Content, about: String, origin: Origin<'a>) {
        if self.origins.contains_key(&content.digest) {
            // what one descriptor gives a type that nobody knows, another may know for a document
            let is_document = matches!(content.kind, Kind::Manifest(_));
            if let Some(at) = self.blobs.get(&content.digest).copied().filter(|_| is_document) {
                self.blobs.remove(&content.digest);
                self.inventory.contents[at] = content;
            }
            return;
        }
        if content.kind == Kind::Blob {
            self.blobs.insert(content.digest, self.inventory.contents.len());
        }
        self.origins.insert(content.digest, origin);
        self.inventory.about.insert(content.digest, about);
        self.inventory.contents.push(content);
    }

    /// Keeps only some of the content. What the rest was stays known.
    pub fn retain(&mut self, keep: impl Fn(&Content) -> bool) {
        let Self { inventory, origins, .. } = self;
        inventory.contents.retain(|content| {
            let keeps = keep(content);
            if !keeps {
                origins.remove(&content.digest);
            }
            keeps
        });
        self.find_blobs();
    }

    fn find_blobs(&mut self) {
        let standing = self.inventory.contents.iter().enumerate();
        self.blobs = standing.filter(|(_, it)| it.kind == Kind::Blob).map(|(at, it)| (it.digest, at)).collect();
    }

    /// Returns a plan for some of the content of this one, under other names.
    #[must_use]
    pub fn part(&self, keep: impl Fn(&Content) -> bool, roots: Vec<Descriptor>) -> Self {
        let mut part = Self::new();
        part.inventory.roots = roots;
        for content in self.inventory.contents.iter().filter(|content| keep(content)) {
            part.inventory.contents.push(content.clone());
            part.origins.extend(self.origins.get(&content.digest).map(|origin| (content.digest, origin.clone())));
            let about = self.inventory.about.get(&content.digest);
            part.inventory.about.extend(about.map(|about| (content.digest, about.clone())));
        }
        part.find_blobs();
        part
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

    /// Returns where a piece comes from, for messages.
    #[must_use]
    pub fn origin(&self, content: &Content) -> Location {
        match self.origins.get(&content.digest) {
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
        match self.origins.get(&content.digest) {
            Some(Origin::Source(source)) => source.open(content),
            Some(Origin::Made(bytes)) => Ok(BlobReader::new(content.clone(), bytes.as_slice())),
            None => Err(StoreError::Missing { digest: content.digest, place: self.location.clone() }),
        }
    }

    fn holds(&self, content: &Content) -> Result<bool, StoreError> {
        // what was planned has been found
        Ok(self.origins.contains_key(&content.digest))
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
