//! Which layer is in which images, and what that saves.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::content::{Content, Descriptor, Kind, total};
use crate::digest::Digest;
use crate::graph::Node;
use crate::media::{MediaType, Role};
use crate::ops::verify::{Problem, Status};
use crate::store::Source;

/// Whether a layer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is, as far as it was checked.
    Here,
    /// It is not, and need not be: whoever takes the archive in has it, or its type lets it be fetched.
    Elsewhere,
    /// It is not, and has to be.
    Missing,
    /// It is there and wrong.
    Wrong,
}

impl State {
    /// Returns the word for JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Elsewhere => "elsewhere",
            Self::Missing => "missing",
            Self::Wrong => "wrong",
        }
    }
}

/// A layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes, as promised.
    pub size: u64,
    /// Its type.
    pub media_type: MediaType,
    /// Whether it is there.
    pub state: State,
    /// What has it: the position of an image and of one of its variants, in order.
    pub users: Vec<(usize, usize)>,
}

impl Layer {
    /// Returns whether several images for one platform each have it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.users.len() > 1
    }

    /// Returns how many bytes it saves that all its users share one.
    #[must_use]
    pub fn saved(&self) -> u64 {
        self.size.saturating_mul(self.users.len().saturating_sub(1) as u64)
    }
}

/// Where the bytes of a place are, each blob counted once; what is not here is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Layers that several images have.
    pub shared: u64,
    /// Layers that one image has.
    pub single: u64,
    /// Indexes, manifests and configs.
    pub documents: u64,
    /// The content of signatures, attestations and whatever else is no layer of an image.
    pub other: u64,
    /// Blobs that nothing refers to.
    pub unreferenced: u64,
    /// What sharing saves: all layers image by image, less each once.
    pub saved: u64,
}

impl Bytes {
    /// Adds up what was reached. `configs` are the digests of configs, of whatever type.
    pub(super) fn of(
        store: &dyn Source,
        layers: &[Layer],
        nodes: &[Node],
        configs: &HashSet<Digest>,
        unreferenced: &[(Digest, u64)],
    ) -> Self {
        let mut bytes = Self { unreferenced: total(unreferenced.iter().map(|(_, size)| *size)), ..Self::default() };
        let mut counted: HashSet<Digest> = HashSet::new();
        for layer in layers {
            counted.insert(layer.digest);
            let content = Content { digest: layer.digest, size: layer.size, kind: Kind::Blob };
            if matches!(store.holds(&content), Ok(true)) {
                let into = if layer.is_shared() { &mut bytes.shared } else { &mut bytes.single };
                *into = into.saturating_add(layer.size);
                bytes.saved = bytes.saved.saturating_add(layer.saved());
            }
        }
        for node in nodes {
            if !counted.insert(node.content.digest) || !matches!(store.holds(&node.content), Ok(true)) {
                continue;
            }
            let is_config = configs.contains(&node.content.digest) || node.media_type().role() == Role::Config;
            let is_document = node.media_type().is_document() || is_config;
            let into = if is_document { &mut bytes.documents } else { &mut bytes.other };
            *into = into.saturating_add(node.content.size);
        }
        bytes
    }

    /// Returns the sum of what is there.
    #[must_use]
    pub fn total(&self) -> u64 {
        total([self.shared, self.single, self.documents, self.other, self.unreferenced])
    }
}

/// The layers as they are met.
#[derive(Default)]
pub(super) struct Sharing {
    layers: Vec<Layer>,
    positions: HashMap<Digest, usize>,
}

/// The layers in their final order, and where each one went.
pub(super) struct Order {
    pub(super) layers: Vec<Layer>,
    positions: Vec<usize>,
}

impl Order {
    /// Returns the final position of what [`Sharing::add`] gave a position.
    pub(super) fn position(&self, at: usize) -> usize {
        self.positions.get(at).copied().unwrap_or_default()
    }
}

impl Sharing {
    /// Notes that a variant of an image has a layer, and returns the position of that so far.
    pub(super) fn add(&mut self, layer: &Descriptor, user: (usize, usize)) -> usize {
        let next = self.layers.len();
        let at = *self.positions.entry(*layer.digest()).or_insert(next);
        if at == next {
            self.layers.push(Layer {
                digest: *layer.digest(),
                size: layer.size(),
                media_type: layer.media_type().clone(),
                state: State::Here,
                users: Vec::new(),
            });
        }
        let users = &mut self.layers[at].users;
        // an image may have a layer twice: users come one after the other
        if users.last() != Some(&user) {
            users.push(user);
        }
        at
    }

    /// Looks which layers are there, and puts those first of which sharing saves most.
    pub(super) fn finish(mut self, store: &dyn Source, problems: &[Problem], left_out: &HashMap<Digest, u64>) -> Order {
        let wrong: HashSet<&str> = problems
            .iter()
            .filter(|problem| !matches!(problem.status, Status::Missing | Status::AmbiguousName))
            .map(|problem| problem.subject.as_str())
            .collect();
        for layer in &mut self.layers {
            let content = Content { digest: layer.digest, size: layer.size, kind: Kind::Blob };
            let is_here = matches!(store.holds(&content), Ok(true));
            let may_be_elsewhere =
                left_out.get(&layer.digest) == Some(&layer.size) || layer.media_type.is_foreign_layer();
            layer.state = match is_here {
                _ if wrong.contains(layer.digest.to_string().as_str()) => State::Wrong,
                true => State::Here,
                false if may_be_elsewhere => State::Elsewhere,
                false => State::Missing,
            };
        }
        let mut order: Vec<usize> = (0..self.layers.len()).collect();
        order.sort_by_key(|&at| {
            let layer = &self.layers[at];
            (Reverse(layer.saved()), Reverse(layer.size), at)
        });
        let mut positions = vec![0; order.len()];
        for (to, &from) in order.iter().enumerate() {
            positions[from] = to;
        }
        let mut layers: Vec<Option<Layer>> = self.layers.into_iter().map(Some).collect();
        let layers = order.iter().filter_map(|&at| layers[at].take()).collect();
        Order { layers, positions }
    }
}
