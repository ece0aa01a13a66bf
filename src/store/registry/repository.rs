//! A repository of a registry: its name, its paths, and the documents that were read from it.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use super::auth::Scope;
use super::belonging::Known;
use super::client::Registry;
use crate::content::{CONTAINERD_NAME, Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::reference::ImageName;
use crate::store::{Location, StoreError};

/// How much of what was read is kept, in bytes: planning and copying read every document, and a registry counts requests.
const LARGEST_CACHE: usize = 32 * 1024 * 1024;

/// What somebody is about to do with a repository: a token is asked for that allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    /// Some registries say to whoever may only read that a repository which is not there yet is forbidden.
    Write,
}

/// A repository, and as a source the image of it that was asked for.
#[derive(Clone)]
pub struct Repository {
    pub(super) registry: Arc<Registry>,
    pub(super) path: String,
    pub(super) location: Location,
    pub(super) roots: Vec<Descriptor>,
    purpose: Purpose,
    cache: Arc<Mutex<Cache>>,
    pub(super) known: Arc<Known>,
}

#[derive(Default)]
struct Cache {
    bytes: usize,
    documents: HashMap<Digest, Arc<[u8]>>,
}

impl Repository {
    pub(super) fn new(registry: Arc<Registry>, path: &str) -> Self {
        let location = registry.place(Some(path));
        Self {
            registry,
            path: path.to_owned(),
            location,
            roots: Vec::new(),
            purpose: Purpose::Read,
            cache: Arc::default(),
            known: Arc::default(),
        }
    }

    /// Makes it a source of one image: reads the manifest that the name means now.
    ///
    /// # Errors
    /// When the registry cannot be reached, does not have it, or what it gives is wrong.
    pub fn with_image(mut self, name: &ImageName) -> Result<Self, StoreError> {
        let name = name.clone().with_default_tag();
        self.location = Location::Registry(name.to_string());
        let root = self.resolve(&name)?;
        self.roots = vec![match name.tag() {
            // by its tag it is found by every loader; a digest is no name
            Some(tag) => {
                let full = format!("{}:{tag}", name.full_repository());
                root.with_annotation(CONTAINERD_NAME, &full).with_annotation(REF_NAME, tag)
            }
            None => root,
        }];
        Ok(self)
    }

    /// Makes it one that is about to be written.
    pub(super) fn for_writing(mut self) -> Self {
        self.purpose = Purpose::Write;
        self
    }

    /// Returns `host[:port]`, as users write it.
    #[must_use]
    pub fn host(&self) -> &str {
        self.registry.name()
    }

    /// Returns the path of the repository in its registry.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns how many pieces are sent or fetched at once.
    #[must_use]
    pub fn lanes(&self) -> NonZeroUsize {
        self.registry.options().lanes
    }

    pub(super) fn manifest_path(&self, reference: &str) -> String {
        format!("/v2/{}/manifests/{reference}", self.path)
    }

    pub(super) fn blob_path(&self, digest: &Digest) -> String {
        format!("/v2/{}/blobs/{digest}", self.path)
    }

    /// Returns the rights to ask for when reading.
    pub(super) fn reading(&self) -> BTreeSet<Scope> {
        match self.purpose {
            Purpose::Read => BTreeSet::from([Scope::pull(&self.path)]),
            Purpose::Write => self.pushing(),
        }
    }

    pub(super) fn pushing(&self) -> BTreeSet<Scope> {
        BTreeSet::from([Scope::push(&self.path)])
    }

    /// Returns what was read before.
    pub(super) fn cached(&self, digest: &Digest) -> Option<Arc<[u8]>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).documents.get(digest).cloned()
    }

    /// Keeps what was read and is right, as long as there is room.
    pub(super) fn keep(&self, digest: Digest, bytes: Arc<[u8]>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.bytes + bytes.len() <= LARGEST_CACHE {
            cache.bytes += bytes.len();
            cache.documents.insert(digest, bytes);
        }
    }
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository")
            .field("location", &self.location)
            .field("roots", &self.roots)
            .finish_non_exhaustive()
    }
}
