//! What goes to a repository for one image: its content, what belongs to it, and in which turn each document is written.

use std::collections::{HashMap, HashSet};

use super::super::lookup::is_attached;
use super::route::Routed;
use crate::content::{Content, Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::document::{Body, Document};
use crate::graph::{self, Finding};
use crate::media::Role;
use crate::plan::Plan;
use crate::reference::tag_of;
use crate::store::registry::Referrer;

/// The turn of referrers of an image; those of referrers come in later ones.
const REFERRERS: usize = 2;

/// What goes to a repository for one image.
#[derive(Default)]
pub(super) struct Goods {
    /// All content, and whether a document refers to it.
    pub(super) contents: Vec<(Content, bool)>,
    /// Which documents are written after others that they do not contain.
    pub(super) turns: HashMap<Digest, usize>,
    /// What the image itself holds, its root and all documents and blobs below.
    pub(super) image: Vec<Digest>,
    /// What belongs to something and says so.
    pub(super) referrers: Vec<Referrer>,
    /// The tags of what belongs to the image by a tag.
    pub(super) tags: Vec<(Option<String>, Digest)>,
}

/// A document of which a registry wants to know what it belongs to.
struct Known {
    subject: Option<Digest>,
    listed: Descriptor,
    entries: Vec<Digest>,
}

impl Known {
    fn of(descriptor: &Descriptor, document: &Document) -> Self {
        let mut listed = Descriptor::new(descriptor.media_type(), *descriptor.digest(), descriptor.size());
        if let Some(artifact_type) = document.artifact_type() {
            listed = listed.with_artifact_type(artifact_type);
        }
        for (name, value) in document.annotations() {
            listed = listed.with_annotation(name, value);
        }
        let entries = match document.body() {
            Body::Index(index) => index.manifests.iter().map(|entry| *entry.digest()).collect(),
            Body::Manifest(_) => Vec::new(),
        };
        Self { subject: document.subject().map(|subject| *subject.digest()), listed, entries }
    }
}

/// Gathers what goes to a repository for an image, as far as it was planned.
///
/// # Errors
/// When a document of it cannot be read: without what it refers to, it would be written all the same.
pub(super) fn goods(plan: &Plan<'_>, routed: &Routed) -> Result<Goods, Finding> {
    let mut known: HashMap<Digest, Known> = HashMap::new();
    let roots: Vec<Descriptor> = std::iter::once(&routed.root).chain(&routed.referrers).cloned().collect();
    let reach = graph::reach(plan, &roots, &mut |descriptor, document| {
        known.insert(*descriptor.digest(), Known::of(descriptor, document));
    });
    let reach = reach.whole_within(|digest| plan.contains(digest))?;
    let mut goods = Goods::default();
    let mut lists: HashSet<Digest> = HashSet::new();
    let mut candidates: Vec<Digest> = Vec::new();
    for root in &routed.referrers {
        let Some(one) = known.get(root.digest()) else { continue };
        match digest_tag(root) {
            // a registry has a list of its own, or one that others write too
            Some(tag) if !tag.contains('.') && root.media_type().role() == Role::Index && one.subject.is_none() => {
                lists.insert(*root.digest());
                candidates.extend(&one.entries);
            }
            Some(tag) => goods.tags.push((Some(tag), *root.digest())),
            None => {}
        }
        candidates.push(*root.digest());
    }
    let mut taken = HashSet::new();
    for digest in candidates {
        if let Some(Known { subject: Some(subject), listed, .. }) = known.get(&digest)
            && taken.insert(digest)
        {
            goods.referrers.push(Referrer { subject: *subject, listed: listed.clone() });
        }
    }
    lists.remove(&routed.digest);
    goods.image = within(&reach, routed.digest);
    let turns = turns(routed, &goods.referrers, &reach, &known);
    for node in reach.nodes.into_iter().filter(|node| plan.contains(&node.content.digest)) {
        let digest = node.content.digest;
        if lists.contains(&digest) {
            continue;
        }
        let below = node.referenced_by.iter().any(|parent| !lists.contains(parent));
        if let Some(turn) = turns.get(&digest).filter(|turn| **turn > 0) {
            goods.turns.insert(digest, *turn);
        }
        goods.contents.push((node.content, below));
    }
    Ok(goods)
}

/// Returns what a document holds, and itself.
fn within(reach: &graph::Reach, root: Digest) -> Vec<Digest> {
    let mut held = HashSet::from([root]);
    // parents stand after their children
    for node in reach.nodes.iter().rev() {
        if node.referenced_by.iter().any(|parent| held.contains(parent)) {
            held.insert(node.content.digest);
        }
    }
    held.into_iter().collect()
}

/// Returns the turn of every document: those of the image first, and among them what others do not belong to; then referrers,
/// and those of referrers.
fn turns(
    routed: &Routed,
    referrers: &[Referrer],
    reach: &graph::Reach,
    known: &HashMap<Digest, Known>,
) -> HashMap<Digest, usize> {
    let subjects: HashMap<Digest, Digest> = referrers.iter().map(|one| (*one.listed.digest(), one.subject)).collect();
    let mut turns: HashMap<Digest, usize> = HashMap::new();
    for one in referrers {
        // from the last referrer to the first thing whose turn is known; no digest can lead back to itself
        let mut chain = Vec::new();
        let mut at = *one.listed.digest();
        while let Some(subject) = subjects.get(&at).filter(|_| !turns.contains_key(&at)) {
            chain.push(at);
            at = *subject;
        }
        let first = turns.get(&at).map_or(REFERRERS, |turn| turn + 1);
        turns.extend(chain.into_iter().rev().zip(first..));
    }
    for root in &routed.referrers {
        turns.entry(*root.digest()).or_insert(REFERRERS);
    }
    turns.insert(routed.digest, 0);
    // parents stand after their children
    for node in reach.nodes.iter().rev().filter(|node| node.media_type().is_document()) {
        let above = node.referenced_by.iter().filter_map(|parent| turns.get(parent).copied()).min();
        let own = turns.get(&node.content.digest).copied();
        if let Some(turn) = own.into_iter().chain(above).min() {
            turns.insert(node.content.digest, turn);
        }
    }
    for (digest, turn) in turns.iter_mut().filter(|(_, turn)| **turn == 0) {
        let one = known.get(digest);
        let is_index = |one: &Known| one.listed.media_type().role() == Role::Index;
        *turn = usize::from(one.is_some_and(|one| one.subject.is_some() || is_index(one)));
    }
    turns
}

/// Returns the tag of cosign's and of the fallback convention; other referrers have none.
fn digest_tag(root: &Descriptor) -> Option<String> {
    if !is_attached(root) {
        return None;
    }
    let name = root.annotation(REF_NAME)?;
    let tag = tag_of(name).unwrap_or(name);
    tag.starts_with("sha256-").then(|| tag.to_owned())
}
