//! What belongs to images and does not arrive with them: nothing of it is lost, and somebody may miss it there.

use std::collections::{HashMap, HashSet};

use super::attached::{Attached, Belongings, attached_as_far_as_read, belonging, counted, wanted_among};
use super::carry::{Carried, CarryOptions};
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::graph;
use crate::store::{Source, StoreError};

/// What belongs to an index that is not there any more, or does not arrive.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftBehind {
    /// The index.
    pub subject: Digest,
    /// What belongs to it, and to that again; of a list under the fallback tag what it names.
    pub referrers: Vec<Digest>,
}

/// Why something stays behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It was not asked for.
    Unchosen,
    /// What it belongs to stays behind: a platform, or another referrer.
    Subject,
    /// What it belongs to is not there.
    Stranger,
}

/// What stays behind for one reason.
#[derive(Clone, Debug, PartialEq)]
pub struct StaysBehind {
    /// The reason.
    pub why: Why,
    /// The referrers, each once.
    pub referrers: Vec<Digest>,
}

/// Returns what belongs to indexes of which none arrives, without those referrers that arrive all the same.
#[must_use]
pub fn left_behind(
    source: &dyn Source,
    attached: &[Attached],
    indexes: &[Digest],
    arrives: &dyn Fn(&Digest) -> bool,
) -> Vec<LeftBehind> {
    let (mut behind, belongings) = (Vec::new(), Belongings::new(attached));
    for subject in indexes {
        let mut referrers = belongings.of(&HashSet::from([*subject]));
        referrers.retain(|referrer| !arrives(referrer.digest()));
        if !referrers.is_empty() {
            behind.push(LeftBehind { subject: *subject, referrers: counted(source, &referrers) });
        }
    }
    behind
}

/// Returns what of the referrers in a place does not arrive, beside what has been said of single indexes: of those that belong to
/// `images`, or of all of them without.
///
/// # Errors
/// When the place does not tell what it names.
pub fn stays_behind(
    source: &dyn Source,
    images: Option<&[Descriptor]>,
    carried: &[Carried],
    options: &CarryOptions,
) -> Result<Vec<StaysBehind>, StoreError> {
    let roots = source.roots()?;
    let all = attached_as_far_as_read(source, &roots);
    let reached = |roots: &[Descriptor]| -> HashSet<Digest> {
        graph::reach(source, roots, &mut |_, _| ()).nodes.iter().map(|node| node.content.digest).collect()
    };
    let candidates: Vec<Descriptor> = match images {
        Some(images) => belonging(&all, &reached(images)),
        None => all.iter().map(|one| one.root.clone()).collect(),
    };
    let mut told: HashSet<Digest> =
        carried.iter().flat_map(|image| image.counted.iter().chain(&image.own).copied()).collect();
    told.extend(carried.iter().map(|image| *image.from.digest()));
    told.extend(carried.iter().flat_map(|image| &image.behind).flat_map(|one| one.referrers.iter().copied()));
    let is_new = |root: &Descriptor| counted(source, std::slice::from_ref(root)).iter().any(|it| !told.contains(it));
    let left: Vec<Descriptor> = candidates.into_iter().filter(is_new).collect();
    if left.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = wanted_among(source, &roots, &options.referrers, options.digest_tags)?;
    let wanted: Vec<Descriptor> = wanted.into_iter().map(|one| one.root).collect();
    let wanted: HashSet<Digest> = counted(source, &wanted).into_iter().collect();
    let there = reached(&roots);
    let subjects: HashMap<&Digest, &Digest> = all.iter().map(|one| (one.root.digest(), &one.subject)).collect();
    let mut behind: Vec<StaysBehind> = Vec::new();
    for root in left {
        let subject = subjects.get(root.digest());
        for referrer in counted(source, std::slice::from_ref(&root)) {
            if !told.insert(referrer) {
                continue;
            }
            let why = match subject {
                _ if !wanted.contains(&referrer) => Why::Unchosen,
                Some(subject) if !there.contains(*subject) => Why::Stranger,
                _ => Why::Subject,
            };
            match behind.iter_mut().find(|held| held.why == why) {
                Some(held) => held.referrers.push(referrer),
                None => behind.push(StaysBehind { why, referrers: vec![referrer] }),
            }
        }
    }
    behind.sort_by_key(|one| one.why);
    Ok(behind)
}
