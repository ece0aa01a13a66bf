//! A piece of content that was reached, and what a message says of it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::content::Content;
use crate::digest::Digest;
use crate::media::{MediaType, Role};
use crate::text::human_size;

/// A piece of content that was reached.
#[derive(Clone, Debug)]
pub struct Node {
    /// What the first descriptor that led here promises.
    pub content: Content,
    /// What that descriptor makes of it.
    pub called: Called,
    /// The documents that refer to it; none for a root.
    pub referenced_by: Parents,
}

impl Node {
    /// Returns its type, as the first descriptor that led here says.
    #[must_use]
    pub const fn media_type(&self) -> &MediaType {
        &self.called.media_type
    }

    /// Returns what it is, for people: `layer 3 of linux/arm64`.
    #[must_use]
    pub fn about(&self) -> String {
        self.called.to_string()
    }

    /// Returns what it is and how large, for a message.
    #[must_use]
    pub fn describe(&self) -> String {
        self.called.with_size(self.content.size)
    }
}

/// What a piece of content is called. There may be a million: it is put together when somebody asks.
#[derive(Clone, Debug)]
pub struct Called {
    media_type: MediaType,
    /// Whose it is: a platform, or a name.
    owner: Arc<str>,
    /// Which of its layers it is, from 1; 0 of all else.
    layer: u32,
}

impl Called {
    pub(super) fn new(media_type: &MediaType, owner: Arc<str>, layer: u32) -> Self {
        Self { media_type: media_type.clone(), owner, layer }
    }

    /// Returns what it is and how large, in bytes: `layer 3 of linux/arm64, 12.4 MiB`.
    #[must_use]
    pub fn with_size(&self, size: u64) -> String {
        format!("{self}, {}", human_size(size))
    }
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { media_type, owner, layer } = self;
        match media_type.role() {
            Role::Index => write!(f, "index of {owner}"),
            Role::Manifest | Role::Artifact => write!(f, "manifest of {owner}"),
            Role::Config => write!(f, "config of {owner}"),
            Role::Layer(_) => write!(f, "layer {layer} of {owner}"),
            Role::Other => write!(f, "{media_type} of {owner}"),
        }
    }
}

/// The documents that refer to a piece, each once. It is most often one, which its other pieces name as well: there may be a million
/// pieces, and each digest is in memory once.
#[derive(Clone, Debug, Default)]
pub struct Parents {
    first: Option<Arc<Digest>>,
    others: Vec<Arc<Digest>>,
}

impl Parents {
    pub(super) const fn of(first: Option<Arc<Digest>>) -> Self {
        Self { first, others: Vec::new() }
    }

    /// Goes through them, in the order in which they were met.
    pub fn iter(&self) -> impl Iterator<Item = &Digest> {
        self.first.iter().chain(&self.others).map(|parent| &**parent)
    }

    /// Returns them as a list.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Digest> {
        self.iter().copied().collect()
    }

    /// Adds one more, if there is one. What many refer to is not looked through each time: [`Self::settle`] does that in the end.
    pub(super) fn extend(&mut self, Self { first, .. }: Self) {
        let last = self.others.last().or(self.first.as_ref());
        let Some(parent) = first.filter(|parent| last != Some(parent)) else { return };
        match &self.first {
            None => self.first = Some(parent),
            Some(_) => self.others.push(parent),
        }
    }

    /// Leaves each once.
    pub(super) fn settle(&mut self) {
        if self.others.len() < 2 {
            return;
        }
        let mut known: HashSet<Digest> = self.first.iter().map(|first| **first).collect();
        self.others.retain(|parent| known.insert(**parent));
    }
}
