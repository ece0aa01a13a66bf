//! What the registry holds: repositories with blobs, manifests and tags, and uploads under way.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use barge::digest::Digest;
use serde_json::Value;

/// A manifest as it was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub media_type: String,
    pub bytes: Arc<Vec<u8>>,
}

impl Manifest {
    /// Returns the document; `null` when it is none.
    pub fn document(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    pub fn subject(&self) -> Option<String> {
        self.document()["subject"]["digest"].as_str().map(str::to_owned)
    }
}

#[derive(Debug, Default)]
pub struct Repository {
    /// By digest.
    pub blobs: BTreeMap<String, Arc<Vec<u8>>>,
    /// By digest.
    pub manifests: BTreeMap<String, Manifest>,
    /// Digests by tag.
    pub tags: BTreeMap<String, String>,
}

impl Repository {
    /// Returns the digest that a tag or a digest means here.
    pub fn resolve(&self, reference: &str) -> Option<String> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        self.manifests.contains_key(digest).then(|| digest.to_owned())
    }

    /// Returns the digests that a manifest refers to and that are not here.
    pub fn missing(&self, document: &Value) -> Vec<String> {
        let digests = |list: &Value| -> Vec<String> {
            let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
            // foreign layers are elsewhere by design
            let own = list.iter().filter(|descriptor| descriptor["urls"].is_null());
            own.filter_map(|descriptor| descriptor["digest"].as_str()).map(str::to_owned).collect()
        };
        let mut blobs = digests(&document["layers"]);
        blobs.extend(document["config"]["digest"].as_str().map(str::to_owned));
        blobs.retain(|digest| !self.blobs.contains_key(digest));
        let mut manifests = digests(&document["manifests"]);
        manifests.retain(|digest| !self.manifests.contains_key(digest));
        blobs.into_iter().chain(manifests).collect()
    }
}

/// An upload under way.
#[derive(Debug, Default)]
pub struct Session {
    pub bytes: Vec<u8>,
    /// How many requests have changed it: a `Location` holds for one state only.
    pub state: usize,
    /// Whether the last chunk was shorter than a chunk may be, unless it is the last one.
    pub short_chunk: bool,
}

#[derive(Debug, Default)]
pub struct Store {
    pub repositories: BTreeMap<String, Repository>,
    /// By repository and number.
    pub sessions: HashMap<(String, String), Arc<Mutex<Session>>>,
    serial: usize,
}

impl Store {
    pub fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    pub fn begin_session(&mut self, repository: &str) -> String {
        self.serial += 1;
        let id = format!("00000000-0000-4000-8000-{:012x}", self.serial);
        self.sessions.insert((repository.to_owned(), id.clone()), Arc::default());
        id
    }

    pub fn session(&self, repository: &str, id: &str) -> Option<Arc<Mutex<Session>>> {
        self.sessions.get(&(repository.to_owned(), id.to_owned())).cloned()
    }

    pub fn end_session(&mut self, repository: &str, id: &str) -> bool {
        self.sessions.remove(&(repository.to_owned(), id.to_owned())).is_some()
    }

    pub fn put_manifest(&mut self, repository: &str, reference: &str, media_type: &str, bytes: &[u8]) -> String {
        let mut digest = Digest::of(bytes).to_string();
        if let Ok(given) = reference.parse::<Digest>() {
            digest = digest_like(&given, bytes).to_string();
        }
        let repository = self.repository(repository);
        let manifest = Manifest { media_type: media_type.to_owned(), bytes: Arc::new(bytes.to_vec()) };
        repository.manifests.insert(digest.clone(), manifest);
        if !reference.contains(':') {
            repository.tags.insert(reference.to_owned(), digest.clone());
        }
        digest
    }
}

/// Returns the digest of some bytes by the algorithm of another digest.
pub fn digest_like(digest: &Digest, bytes: &[u8]) -> Digest {
    let mut hasher = digest.algorithm().hasher();
    hasher.update(bytes);
    hasher.finish()
}
