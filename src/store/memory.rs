//! A store in memory: the reference for the conformance suite, and the home of documents that barge makes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::{Committed, Inventory, Location, Outcome, PutError, Reason, Sink, Source, StoreError, names};
use crate::blob::BlobReader;
use crate::content::{Content, Descriptor, Kind};
use crate::digest::Digest;
use crate::json;

/// Content and names that live as long as this value.
#[derive(Debug)]
pub struct Memory {
    location: Location,
    blobs: Mutex<BTreeMap<Digest, std::sync::Arc<[u8]>>>,
    roots: Vec<Descriptor>,
}

impl Memory {
    /// Makes an empty store; `name` stands for it in messages.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { location: Location::Memory(name.to_owned()), blobs: Mutex::default(), roots: Vec::new() }
    }

    /// Adds bytes and returns what they are.
    pub fn add(&mut self, bytes: &[u8], kind: Kind) -> Content {
        let content = Content::of(bytes, kind);
        self.blobs.get_mut().unwrap_or_else(PoisonError::into_inner).insert(content.digest, bytes.into());
        content
    }

    /// Adds a top-level descriptor as it stands.
    pub fn add_root(&mut self, root: Descriptor) {
        self.roots.push(root);
    }

    fn find(&self, digest: &Digest) -> Option<std::sync::Arc<[u8]>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }
}

impl Source for Memory {
    fn location(&self) -> &Location {
        &self.location
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        Ok(self.roots.clone())
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        self.held(content)?.ok_or_else(|| StoreError::Missing { digest: content.digest, place: self.location.clone() })
    }
}

impl Sink for Memory {
    fn location(&self) -> &Location {
        &self.location
    }

    fn begin(&mut self, coming: &Inventory) -> Result<Vec<Vec<Content>>, StoreError> {
        Ok(vec![coming.contents.clone()])
    }

    fn held(&self, content: &Content) -> Result<Option<BlobReader<'_>>, StoreError> {
        let bytes = self.find(&content.digest);
        Ok(bytes.map(|bytes| BlobReader::new(content.clone(), std::io::Cursor::new(bytes))))
    }

    fn put(&self, blob: BlobReader<'_>) -> Result<Outcome, PutError> {
        let mut bytes = Vec::new();
        let proof = blob.copy_to(&mut bytes).map_err(PutError::From)?;
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.insert(proof.content().digest, bytes.into());
        Ok(Outcome::Written)
    }

    fn commit(&mut self, coming: &Inventory) -> Result<Committed, StoreError> {
        let malformed = |error| StoreError::malformed("index.json", &self.location, Reason::from(error));
        let held: Vec<_> = self.roots.iter().map(Descriptor::to_value).collect();
        let index = json::encode(&json!({"schemaVersion": 2, "manifests": held}));
        let Some(edited) = names::edit(Some(&index), &coming.roots, &coming.gone).map_err(malformed)? else {
            return Ok(Committed::Unchanged);
        };
        self.roots = names::parse(&edited).map_err(malformed)?;
        Ok(Committed::Changed)
    }

    fn abandon(&mut self) {}

    fn lanes(&self) -> usize {
        2
    }
}
