//! `gc`: content that nothing refers to goes, and nothing else.
//!
//! Everything is decided before anything is removed, and the first thing that cannot be read stops it: what that may refer
//! to is not known. `referred.rs` says what counts as referred to.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use super::Error;
use super::attached::{Attached, attached_by, belonging, counted, standing_alone};
use super::referred::{Searched, referred_to};
use crate::blob::Cancel;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::graph;
use crate::store::layout::{FileId, Lying, Sweeper};
use crate::store::{Durability, Location, Source, StoreError, names};

/// How often it is begun again when somebody changes the names meanwhile.
const ATTEMPTS: usize = 5;

/// What is to be collected.
#[derive(Clone, Debug)]
pub struct GcOptions {
    /// Blobs younger than this stay: a program that takes no lock may have written them for a name to come. So do beginnings
    /// of blobs and notes of what arrived: whoever was interrupted may be about to try again.
    pub grace: Duration,
    /// Only these, when it is said, and no beginnings of blobs; else all.
    pub candidates: Option<HashSet<Digest>>,
    /// Names that count as gone, exactly as they stand in `index.json`: to know beforehand whether what they leave behind
    /// can be collected.
    pub gone: Vec<Descriptor>,
    /// How long to wait for a writer.
    pub lock_timeout: Duration,
    /// Whether what was removed stays removed after a loss of power.
    pub durability: Durability,
    /// Whether anything is removed at all.
    pub effect: Effect,
}

/// Whether something is done or only said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is done.
    Real,
    /// It is only said.
    DryRun,
}

/// What was collected.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// Blobs that went, or would go, with their size in bytes; sorted.
    pub removed: Vec<(Digest, u64)>,
    /// Blobs that nothing refers to and that are too young, with their size in bytes; sorted.
    pub young: Vec<(Digest, u64)>,
    /// Beginnings of blobs that interrupted runs left and that went, or would go, with their size in bytes; sorted.
    pub partial: Vec<(Digest, u64)>,
    /// Those that are too young, with their size in bytes; sorted.
    pub young_partial: Vec<(Digest, u64)>,
    /// What loads from several media left that nobody came back for in a week, and that went, or would go: name and size in
    /// bytes.
    pub loads: Vec<(String, u64)>,
    /// Loads that have not come to their end: what came with them stays.
    pub young_loads: Vec<(String, u64)>,
    /// How many blobs stay because something refers to them, or they are no candidates.
    pub kept: usize,
    /// Files under `blobs/` that are no blobs: they were not touched.
    pub foreign: Vec<String>,
    /// What belongs to no image that has a name here, and what it belongs to: it stays.
    pub dangling: Vec<(Descriptor, Digest)>,
    /// How many referrers that is: a list under the fallback tag is what it names.
    pub dangling_referrers: usize,
}

/// Removes from a layout what nothing refers to.
///
/// # Errors
/// When a writer holds the layout, or a document that is referred to cannot be read: nothing was removed then.
pub fn gc(path: &Path, options: &GcOptions, cancel: &Cancel) -> Result<Collected, Error> {
    for _ in 0..ATTEMPTS {
        let mut sweeper = Sweeper::open(path, options.lock_timeout, cancel)?;
        let mut collected = decide(&sweeper, options)?;
        if options.effect == Effect::DryRun {
            return Ok(collected);
        }
        // asked last, so that a program that takes no lock has the least time to rely on what goes
        if !sweeper.is_unchanged()? {
            continue;
        }
        let mut gone = Vec::new();
        for (digest, size) in std::mem::take(&mut collected.removed) {
            if cancel.is_cancelled() {
                return Err(StoreError::Cancelled.into());
            }
            sweeper.remove(&digest)?;
            gone.push((digest, size));
        }
        collected.removed = gone;
        let mut gone = Vec::new();
        for (digest, size) in std::mem::take(&mut collected.partial) {
            if sweeper.remove_partial(&digest)? {
                gone.push((digest, size));
            }
        }
        collected.partial = gone;
        for left in
            sweeper.loads()?.into_iter().filter(|left| collected.loads.iter().any(|(name, _)| *name == left.name))
        {
            sweeper.remove_load(&left)?;
        }
        sweeper.remove_leftovers()?;
        if options.candidates.is_none() {
            sweeper.remove_journals(options.grace);
        }
        sweeper.finish(options.durability)?;
        return Ok(collected);
    }
    Err(StoreError::Busy { place: Location::Layout(path.to_owned()) }.into())
}

fn decide(sweeper: &Sweeper, options: &GcOptions) -> Result<Collected, Error> {
    let layout = sweeper.layout();
    let listing = layout.blobs()?;
    let lying: Vec<Lying> =
        listing.blobs.iter().map(|(digest, _)| sweeper.look_at(digest)).collect::<Result<_, _>>()?;
    let is_young = |lying: &Lying| match lying {
        Lying::File { age, .. } => age.is_none_or(|age| age < options.grace),
        _ => false,
    };
    let recent: Vec<usize> = (0..lying.len()).filter(|at| is_young(&lying[*at])).collect();
    let malformed = |error| StoreError::malformed("index.json", layout.location(), error);
    let without = match options.gone.as_slice() {
        [] => None,
        gone => names::edit(Some(sweeper.index()), &[], gone).map_err(malformed)?,
    };
    let mut roots = layout.roots()?;
    roots.retain(|root| !options.gone.contains(root));
    let in_use = referred_to(&Searched {
        source: layout,
        roots: &roots,
        index: without.as_deref().unwrap_or(sweeper.index()),
        blobs: &listing.blobs,
        recent: &recent,
    })?;
    // barge makes no links; where one is in use, so is the file behind it
    let behind_links: HashSet<FileId> = lying
        .iter()
        .zip(&in_use.blobs)
        .filter_map(|(lying, used)| if let (Lying::Link(file), true) = (lying, used) { Some(*file) } else { None })
        .collect();
    let dangling = match options.candidates {
        None => dangling(layout, attached_by(&roots, &in_use.subjects), &roots),
        Some(_) => Vec::new(),
    };
    let dangling_roots: Vec<Descriptor> = dangling.iter().map(|(root, _)| root.clone()).collect();
    let dangling_referrers = counted(layout, &dangling_roots).len();
    let mut collected = Collected { foreign: listing.foreign, dangling, dangling_referrers, ..Collected::default() };
    let mut coming: HashSet<Digest> = HashSet::new();
    for left in sweeper.loads()? {
        if left.is_old {
            // they go with the rest
            if options.candidates.is_none() {
                collected.loads.push((left.name, left.size));
            }
        } else {
            // its name comes with the next medium
            coming.extend(left.held);
            collected.young_loads.push((left.name, left.size));
        }
    }
    for (((digest, size), lying), used) in listing.blobs.into_iter().zip(&lying).zip(&in_use.blobs) {
        let is_candidate = options.candidates.as_ref().is_none_or(|only| only.contains(&digest));
        match lying {
            Lying::Nothing => {}
            _ if *used || coming.contains(&digest) || !is_candidate => collected.kept += 1,
            Lying::Link(_) => collected.foreign.push(digest.blob_path()),
            Lying::File { file, .. } if behind_links.contains(file) => collected.kept += 1,
            _ if is_young(lying) => collected.young.push((digest, size)),
            _ => collected.removed.push((digest, size)),
        }
    }
    let partials = if options.candidates.is_none() { sweeper.partials()? } else { Vec::new() };
    for partial in partials {
        let is_young = partial.age.is_none_or(|age| age < options.grace);
        let list = if is_young { &mut collected.young_partial } else { &mut collected.partial };
        list.push((partial.digest, partial.size));
    }
    collected.foreign.sort_unstable();
    Ok(collected)
}

/// Finds what belongs to no image that has a name, nor to what belongs to one.
fn dangling(source: &dyn Source, mut belongs: Vec<Attached>, roots: &[Descriptor]) -> Vec<(Descriptor, Digest)> {
    if belongs.is_empty() {
        return Vec::new();
    }
    let nodes = graph::reach(source, &standing_alone(&belongs, roots), &mut |_, _| ()).nodes;
    let mut held: HashSet<Digest> = nodes.into_iter().map(|node| node.content.digest).collect();
    held.extend(belonging(&belongs, &held).iter().map(|root| *root.digest()));
    belongs.retain(|one| !held.contains(one.root.digest()));
    belongs.into_iter().map(|one| (one.root, one.subject)).collect()
}
