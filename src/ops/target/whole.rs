//! Parts that are archives by themselves: which images each of them brings, and what it says of itself.

use std::collections::{HashMap, HashSet};

use super::WriteOptions;
use super::form::archive_options;
use super::spread::{SpreadPart, spread};
use crate::bundle::{Base, OTHER_PARTS, Split};
use crate::content::{Content, Descriptor};
use crate::digest::Digest;
use crate::graph::{self, Finding};
use crate::ops::Error;
use crate::ops::attached::{Belongings, attached, paired};
use crate::ops::bundle::Packing;
use crate::plan::Plan;
use crate::store::Location;
use crate::store::archive::{Arrangement, Cut, Fragment, PartForm};
use crate::text::human_size;
use crate::transfer::Observer;

/// How often the parts are planned anew when what stands beside the content turns out larger than was counted for.
const ATTEMPTS: usize = 16;

/// An image with what belongs to it.
struct Group {
    roots: Vec<Descriptor>,
    contents: Vec<Content>,
}

/// Returns what is in each part, none of them larger than `part_size` bytes; `place` is where the archive would be as a whole.
///
/// # Errors
/// When a part would be too small, documents cannot be read, or not even they fit into a part.
pub(super) fn forms(
    plan: &Plan<'_>,
    place: &Location,
    packing: Option<&Packing>,
    (part_size, options): (u64, WriteOptions),
    observer: &dyn Observer,
) -> Result<Vec<PartForm>, Error> {
    // before it is looked into what fits
    Cut::check_size(part_size, place)?;
    let groups = groups(plan)?;
    let contents: Vec<Vec<Content>> = groups.iter().map(|group| group.contents.clone()).collect();
    let mut capacity = part_size;
    for _ in 0..ATTEMPTS {
        let Some(parts) = spread(&contents, capacity) else { break };
        let number = parts.len();
        let form = |(at, part): (usize, &SpreadPart)| {
            let split = Split { size: part_size, parts: number as u64, part: Some(at as u64 + 1) };
            form(plan, &groups, part, (packing, split), options, observer)
        };
        let forms = parts.iter().enumerate().map(form).collect::<Result<Vec<_>, Error>>()?;
        let mut excess = 0;
        for form in &forms {
            let length = Arrangement::with_fragments(&form.options, &form.coming, &form.fragments)?.length();
            excess = excess.max(length.saturating_sub(part_size));
        }
        match capacity.checked_sub(excess) {
            _ if excess == 0 => return Ok(forms),
            Some(less) => capacity = less,
            None => break,
        }
    }
    Err(Error::Unsupported {
        message: format!("cannot split it into archives of {}", human_size(part_size)),
        cause: Some("what says which images there are does not fit into one".to_owned()),
        hint: Some("give a larger size, or leave out --split-mode archive".to_owned()),
    })
}

/// Returns the images of a plan, each with what belongs to it.
fn groups(plan: &Plan<'_>) -> Result<Vec<Group>, Error> {
    let inventory = plan.inventory();
    let belongs = attached(plan, &inventory.roots)?;
    let belongings = Belongings::new(&belongs);
    let mut groups: Vec<Group> = Vec::new();
    for (root, _) in paired(&belongs, &inventory.roots).filter(|(_, belongs)| belongs.is_none()) {
        let own: HashSet<Digest> = reached(plan, std::slice::from_ref(root))?;
        let mut roots = vec![root.clone()];
        roots.extend(belongings.of(&own));
        groups.push(group(plan, roots)?);
    }
    // what belongs to images that are not among them goes for itself
    let grouped = Roots::of(&groups);
    let alone = inventory.roots.iter().filter(|root| !grouped.contain(root));
    let alone = alone.map(|root| group(plan, vec![root.clone()])).collect::<Result<Vec<_>, _>>()?;
    groups.extend(alone);
    Ok(groups)
}

/// The top-level descriptors of some groups, by their digests.
struct Roots<'a>(HashMap<&'a Digest, Vec<&'a Descriptor>>);

impl<'a> Roots<'a> {
    fn of(groups: impl IntoIterator<Item = &'a Group>) -> Self {
        let mut by_digest: HashMap<_, Vec<_>> = HashMap::new();
        for root in groups.into_iter().flat_map(|group| &group.roots) {
            by_digest.entry(root.digest()).or_default().push(root);
        }
        Self(by_digest)
    }

    fn contain(&self, root: &Descriptor) -> bool {
        self.0.get(root.digest()).is_some_and(|same| same.contains(&root))
    }
}

fn group(plan: &Plan<'_>, roots: Vec<Descriptor>) -> Result<Group, Finding> {
    let mut planned: Vec<usize> = reached(plan, &roots)?.iter().filter_map(|digest| plan.position(digest)).collect();
    planned.sort_unstable();
    let contents = planned.into_iter().map(|at| plan.inventory().contents[at].clone());
    Ok(Group { roots, contents: contents.collect() })
}

/// Finds all that lies below some images.
fn reached(plan: &Plan<'_>, roots: &[Descriptor]) -> Result<HashSet<Digest>, Finding> {
    let reach = graph::reach(plan, roots, &mut |_, _| ()).whole_within(|digest| plan.contains(digest))?;
    Ok(reach.nodes.iter().map(|node| node.content.digest).collect())
}

/// Returns what one part is.
fn form(
    plan: &Plan<'_>,
    groups: &[Group],
    part: &SpreadPart,
    (packing, split): (Option<&Packing>, Split),
    options: WriteOptions,
    observer: &dyn Observer,
) -> Result<PartForm, Error> {
    let here: HashSet<Digest> =
        part.pieces.iter().filter(|piece| piece.is_whole()).map(|piece| piece.content.digest).collect();
    let named: Vec<&Group> = part.images.iter().map(|image| &groups[*image]).collect();
    let named_here = Roots::of(named.iter().copied());
    let roots = plan.inventory().roots.iter().filter(|root| named_here.contain(root)).cloned().collect();
    let mut own = plan.part(|content| here.contains(&content.digest), roots);
    let packing = packing.map(|packing| {
        let mut packing = Packing { split: Some(split), ..packing.clone() };
        let contents = named.iter().flat_map(|group| &group.contents);
        let elsewhere: Vec<Content> = contents.filter(|content| !here.contains(&content.digest)).cloned().collect();
        if !elsewhere.is_empty() {
            packing.bases.push(Base { place: OTHER_PARTS.to_owned(), list: None });
            packing.left_out.extend(elsewhere.into_iter().map(|content| (content, Vec::new())));
        }
        packing
    });
    let options = archive_options(&mut own, None, packing.as_ref(), WriteOptions { split: None, ..options }, observer)?;
    let cut = part.pieces.iter().filter(|piece| !piece.is_whole());
    let fragments =
        cut.map(|piece| Fragment { content: piece.content.clone(), from: piece.from, length: piece.length });
    Ok(PartForm { options, coming: own.inventory().clone(), fragments: fragments.collect() })
}
