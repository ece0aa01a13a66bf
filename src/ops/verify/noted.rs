//! What is kept while a place is verified: little of each piece, as there may be a million.

use std::collections::HashSet;

use super::Depth;
use crate::content::{Content, Descriptor};
use crate::digest::Digest;
use crate::document::{Body, Document};
use crate::graph::ByDigest;
use crate::platform::Platform;

/// An image whose config has to agree with the rest. There may be many: nothing is kept that can be asked for.
pub(super) struct Image {
    pub(super) manifest: Digest,
    pub(super) config: Content,
    /// How many layers it has.
    pub(super) count: usize,
    /// These, when they are to be unpacked.
    pub(super) layers: Vec<Digest>,
}

/// What a layer is to be when it is unpacked, by where the layer stands among what was reached; sorted, each once.
pub(super) type DiffIds = Vec<(usize, Digest)>;

/// What is known to be read, or not to be.
pub(super) struct Done {
    /// Of what was reached, by where it stands.
    pieces: Vec<bool>,
    others: HashSet<Digest>,
}

impl Done {
    /// Begins with nothing done of so many pieces.
    pub(super) fn of(pieces: usize) -> Self {
        Self { pieces: vec![false; pieces], others: HashSet::new() }
    }

    /// Returns whether this was the first that was heard of something.
    pub(super) fn enter(&mut self, nodes: &ByDigest<'_>, digest: &Digest) -> bool {
        match nodes.position(digest) {
            Some(at) => !std::mem::replace(&mut self.pieces[at], true),
            None => self.others.insert(*digest),
        }
    }
}

/// Returns what the layer that stands there is to be when it is unpacked.
pub(super) fn diff_ids_of(at: usize, diff_ids: &[(usize, Digest)]) -> &[(usize, Digest)] {
    let start = diff_ids.partition_point(|(layer, _)| *layer < at);
    let length = diff_ids[start..].partition_point(|(layer, _)| *layer == at);
    &diff_ids[start..start + length]
}

/// Takes note of what documents say of each other.
pub(super) fn note(
    descriptor: &Descriptor,
    document: &Document,
    depth: Depth,
    images: &mut Vec<Image>,
    stated: &mut Vec<(Digest, Platform)>,
) {
    match document.body() {
        Body::Index(index) => {
            for child in &index.manifests {
                let platform = child.platform().filter(|platform| !platform.is_unknown());
                stated.extend(platform.map(|platform| (*child.digest(), platform.clone())));
            }
        }
        Body::Manifest(manifest) => {
            if let Some(config) = manifest.image_config().filter(|_| manifest.has_file_system()) {
                let layers = manifest.layers.iter().filter(|_| depth == Depth::DiffIds);
                images.push(Image {
                    manifest: *descriptor.digest(),
                    config: config.content(),
                    count: manifest.layers.len(),
                    layers: layers.map(|layer| *layer.digest()).collect(),
                });
            }
        }
    }
}
