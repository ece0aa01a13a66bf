//! `ls`: the images of a place.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use super::super::Error;
use super::super::lookup::{is_attached, name_of};
use super::super::manifest::is_elsewhere;
use super::config_of;
use crate::blob::Cancel;
use crate::bundle::PackingList;
use crate::content::{self, Content, Descriptor, total};
use crate::digest::Digest;
use crate::document::{Body, Document, ImageConfig};
use crate::graph::{self, Finding};
use crate::media::{MediaType, Role};
use crate::platform::Platform;
use crate::store::lanes::in_lanes;
use crate::store::{Source, StoreError};

/// What a top-level descriptor leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Images for several platforms, or one in an index.
    Index,
    /// One image.
    Image,
    /// Anything else: a chart, a signature, a file.
    Artifact,
}

impl Kind {
    /// Returns the word for JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Image => "image",
            Self::Artifact => "artifact",
        }
    }
}

/// One image of a list, or the one that there is.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The digest of its manifest.
    pub digest: Digest,
    /// What docker and podman call its id: the digest of its config; none when the manifest is not there.
    pub id: Option<Digest>,
    /// When it was made (RFC 3339), as its config says.
    pub created: Option<String>,
    /// The bytes of all its content; none when the manifest is not there.
    pub size: Option<u64>,
    /// What it is for: what the list says, else its config.
    pub platform: Option<Platform>,
}

impl Entry {
    fn of(descriptor: &Descriptor) -> Self {
        let platform = descriptor.platform().cloned();
        Self { digest: *descriptor.digest(), id: None, created: None, size: None, platform }
    }
}

/// One image of a place.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its names, in the order of the place; none for an image without.
    pub names: Vec<String>,
    /// Its digest.
    pub digest: Digest,
    /// The type of its document.
    pub media_type: MediaType,
    /// What it is.
    pub kind: Kind,
    /// Whether it belongs to another image: a signature, an attestation or another referrer.
    pub attached: bool,
    /// Whether it says so itself, by a `subject`.
    pub subject: bool,
    /// The platforms it is for, in order.
    pub platforms: Vec<Platform>,
    /// How many attestations lie in its index.
    pub attestations: usize,
    /// The bytes of all its content.
    pub size: u64,
    /// The bytes of content that no other image of the place refers to.
    pub unique: u64,
    /// How many pieces are missing or have another size.
    pub missing: usize,
    /// How many of its documents cannot be used.
    pub broken: usize,
    /// Whether what is missing is known to be in a registry.
    pub elsewhere: bool,
    /// How many pieces are not here because whoever takes the archive in has them.
    pub left_out: usize,
    /// When it was made (RFC 3339), as its config says; for an index, its first image's.
    pub created: Option<String>,
    /// Its images, without attestations, in their order: those of an index, else itself.
    pub entries: Vec<Entry>,
}

/// What the images of a place refer to: the content, and which image. There may be a million.
type Used = Vec<(Digest, u64, usize)>;

/// Lists the images of a place, those that belong to others too, looking at so many at once. Layers are looked for, not read; what
/// the packing list of an archive says to be elsewhere is not missing.
///
/// # Errors
/// When the place does not tell its images, or somebody asked to stop.
pub fn list(
    source: &dyn Source,
    packed: Option<&PackingList>,
    jobs: NonZeroUsize,
    cancel: &Cancel,
) -> Result<Vec<Listed>, Error> {
    let left_out = packed.map(PackingList::left_out_sizes).unwrap_or_default();
    let mut images: Vec<(usize, Descriptor, Vec<String>)> = Vec::new();
    let mut positions: HashMap<Digest, usize> = HashMap::new();
    for root in source.roots()? {
        let name = name_of(&root).map(str::to_owned);
        let at = *positions.entry(*root.digest()).or_insert(images.len());
        match images.get_mut(at) {
            Some((_, _, names)) => names.extend(name),
            None => images.push((at, root, name.into_iter().collect())),
        }
    }
    drop(positions);
    let seen: Mutex<(Vec<(usize, Listed)>, Used)> = Mutex::default();
    in_lanes(&images, jobs.get(), cancel, |(at, root, names), _| {
        let (mut image, contents, _) = look_at(source, root);
        let mut known = HashSet::new();
        image.names = names.iter().filter(|name| known.insert(*name)).cloned().collect();
        if image.missing > 0 {
            let is_left_out = |(digest, size): &&(Digest, u64)| {
                let content = Content { digest: *digest, size: *size, kind: content::Kind::Blob };
                left_out.get(digest) == Some(size) && matches!(source.holds(&content), Ok(false))
            };
            image.left_out = contents.iter().filter(is_left_out).count();
            image.missing = image.missing.saturating_sub(image.left_out);
        }
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.0.push((*at, image));
        seen.1.extend(contents.into_iter().map(|(digest, size)| (digest, size, *at)));
        Ok(())
    })
    .map_err(|(_, error): (_, StoreError)| error)?;
    // lanes that stop between two images have no failure to tell
    if cancel.is_cancelled() {
        return Err(StoreError::Cancelled.into());
    }
    let (mut listed, mut used) = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    // lanes end in any order: the list does not
    listed.sort_by_key(|(at, _)| *at);
    let mut listed: Vec<Listed> = listed.into_iter().map(|(_, image)| image).collect();
    used.sort_unstable_by_key(|(digest, _, at)| (*digest, *at));
    for same in used.chunk_by(|(one, ..), (other, ..)| one == other) {
        if let [(_, size, at)] = same {
            listed[*at].unique = listed[*at].unique.saturating_add(*size);
        }
    }
    Ok(listed)
}

/// Looks at one image and returns its content beside, and what is wrong with its documents.
pub(in crate::ops) fn look_at(source: &dyn Source, root: &Descriptor) -> (Listed, Vec<(Digest, u64)>, Vec<Finding>) {
    let mut facts = Facts::default();
    let reach = graph::reach(source, std::slice::from_ref(root), &mut |at, document| facts.hear(source, at, document));
    let unusable: HashSet<Digest> = reach.findings.iter().map(|finding| finding.digest).collect();
    let absent = |error: &StoreError| matches!(error, StoreError::Missing { .. });
    let mut image = Listed {
        names: Vec::new(),
        digest: *root.digest(),
        media_type: root.media_type().clone(),
        kind: Kind::Artifact,
        attached: is_attached(root) || facts.subject,
        subject: facts.subject,
        platforms: Vec::new(),
        attestations: facts.attestations.len(),
        size: 0,
        unique: 0,
        missing: reach.findings.iter().filter(|finding| absent(&finding.error)).count(),
        broken: reach.findings.iter().filter(|finding| !absent(&finding.error)).count(),
        elsewhere: is_elsewhere(root),
        left_out: 0,
        created: facts.entries.iter().find_map(|entry| entry.created.clone()),
        entries: facts.entries,
    };
    let mut contents = HashMap::new();
    for node in &reach.nodes {
        if contents.insert(node.content.digest, node.content.size).is_some() {
            continue;
        }
        let looked_at = unusable.contains(&node.content.digest) || node.media_type().is_document();
        if !looked_at && !matches!(source.holds(&node.content), Ok(true)) && !node.media_type().is_foreign_layer() {
            image.missing += 1;
        }
    }
    image.size = total(contents.values().copied());
    let mut platforms = facts.platforms;
    platforms.retain(|(manifest, _)| !facts.attestations.contains(manifest));
    image.kind = match root.media_type().role() {
        Role::Index => Kind::Index,
        _ if platforms.is_empty() => Kind::Artifact,
        _ => Kind::Image,
    };
    for (_, platform) in platforms {
        if !image.platforms.iter().any(|held| held.key() == platform.key()) {
            image.platforms.push(platform);
        }
    }
    (image, contents.into_iter().collect(), reach.findings)
}

/// What the documents of one image tell.
#[derive(Default)]
struct Facts {
    platforms: Vec<(Digest, Platform)>,
    attestations: HashSet<Digest>,
    entries: Vec<Entry>,
    /// Where in `entries` a manifest stands: an index may have it several times.
    positions: HashMap<Digest, Vec<usize>>,
    subject: bool,
}

impl Facts {
    fn hear(&mut self, source: &dyn Source, descriptor: &Descriptor, document: &Document) {
        self.subject |= document.subject().is_some();
        match document.body() {
            Body::Index(index) => {
                let attestations = index.manifests.iter().filter(|child| child.attestation_of().is_some());
                self.attestations.extend(attestations.map(|child| *child.digest()));
                let images = index.manifests.iter().filter(|child| child.media_type().role() == Role::Manifest);
                images.filter(|child| child.attestation_of().is_none()).for_each(|child| self.add(child));
            }
            Body::Manifest(manifest) => {
                if self.attestations.contains(descriptor.digest()) {
                    return;
                }
                let config: Option<ImageConfig> = config_of(source, manifest);
                let stated = descriptor.stated_platform().cloned();
                let platform = stated.or_else(|| config.as_ref().map(|config| config.platform.clone()));
                if !self.positions.contains_key(descriptor.digest()) {
                    self.add(descriptor);
                }
                let pieces = manifest.config.iter().chain(&manifest.layers).chain([descriptor]);
                let pieces: HashMap<&Digest, u64> = pieces.map(|piece| (piece.digest(), piece.size())).collect();
                for &at in self.positions.get(descriptor.digest()).into_iter().flatten() {
                    let entry = &mut self.entries[at];
                    entry.id = manifest.config.as_ref().map(|config| *config.digest());
                    entry.created = config.as_ref().and_then(|config| config.created.clone());
                    entry.size = Some(total(pieces.values().copied()));
                    entry.platform = entry.platform.take().or_else(|| platform.clone());
                }
                let known = platform.filter(|platform| !platform.architecture.is_empty() && !platform.is_unknown());
                self.platforms.extend(known.map(|platform| (*descriptor.digest(), platform)));
            }
        }
    }

    fn add(&mut self, descriptor: &Descriptor) {
        self.positions.entry(*descriptor.digest()).or_default().push(self.entries.len());
        self.entries.push(Entry::of(descriptor));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::content::REF_NAME;
    use crate::media::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
    use crate::store::memory::Memory;

    fn put(store: &mut Memory, media_type: &str, bytes: &[u8]) -> Descriptor {
        store.add(bytes, content::Kind::Blob);
        Descriptor::of(&media_type.into(), bytes)
    }

    /// A place with images of one shared layer and one of their own each; the first has two names.
    fn place(number: usize) -> Memory {
        let mut store = Memory::new("test");
        let config = put(&mut store, OCI_CONFIG, br#"{"os":"linux","architecture":"arm64"}"#);
        let shared = put(&mut store, OCI_LAYER, b"shared");
        for at in 0..number {
            let own = put(&mut store, OCI_LAYER, format!("layer {at:04}").as_bytes());
            let manifest = json!({"schemaVersion": 2, "config": config.to_value(),
                "layers": [shared.to_value(), own.to_value()]});
            let root = put(&mut store, OCI_MANIFEST, &crate::json::encode(&manifest));
            store.add_root(root.clone().with_annotation(REF_NAME, &format!("app:v{at}")));
            if at == 0 {
                store.add_root(root.with_annotation(REF_NAME, "app:latest"));
            }
        }
        store
    }

    #[test]
    fn the_order_is_that_of_the_place_however_many_are_looked_at_at_once() {
        let store = place(60);
        for jobs in [1, 2, 7] {
            let jobs = NonZeroUsize::new(jobs).unwrap();
            let listed = list(&store, None, jobs, &Cancel::default()).unwrap();
            let names: Vec<_> = listed.iter().map(|image| image.names.join(" ")).collect();
            let mut expected: Vec<_> = (0..60).map(|at| format!("app:v{at}")).collect();
            expected[0].push_str(" app:latest");
            assert_eq!(names, expected);
            for image in listed {
                let manifest = image.size - 37 - 6 - 10;
                assert_eq!((image.unique, image.missing), (10 + manifest, 0), "{:?}", image.names);
                assert_eq!(image.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(), ["linux/arm64"]);
            }
        }
    }

    #[test]
    fn a_list_that_was_stopped_is_no_shorter_list() {
        let cancel = Cancel::default();
        cancel.cancel();
        let result = list(&place(3), None, NonZeroUsize::MIN, &cancel);
        assert!(matches!(result, Err(Error::Store(StoreError::Cancelled))), "{result:?}");
    }
}
