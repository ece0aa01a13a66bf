//! Which parts there would be, and which images lie in which.

use std::collections::{HashMap, HashSet};

use crate::bundle::PartNames;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::graph;
use crate::ops::carry::Carried;
use crate::ops::lookup::name_of;
use crate::ops::target::Arranged;
use crate::plan::Plan;
use crate::store::Location;

/// The parts that a save would write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavePlan {
    /// The length of the whole archive in bytes.
    pub length: u64,
    /// The largest size of a part in bytes.
    pub part_size: u64,
    /// The parts, in order.
    pub parts: Vec<PlannedPart>,
}

/// A part that would be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedPart {
    /// The name of its file.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// What lies in it of each image and of no other one.
    pub images: Vec<PlannedImage>,
    /// What lies in it of several images at once.
    pub shared: Share,
}

/// What lies in a part of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedImage {
    /// The name of the image.
    pub name: Option<String>,
    /// Its digest.
    pub digest: Digest,
    /// How much of it.
    pub share: Share,
}

/// Content in a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How many pieces, those that continue in another part among them.
    pub pieces: u64,
    /// How many bytes of them lie in the part.
    pub bytes: u64,
}

impl Share {
    const fn add(&mut self, bytes: u64) {
        self.pieces += 1;
        self.bytes += bytes;
    }
}

/// Says what would lie in which part. `place` is where the whole would be.
#[must_use]
pub fn plan_parts(
    plan: &Plan<'_>,
    images: &[Carried],
    Arranged { arrangement, cut }: &Arranged,
    place: &Location,
) -> SavePlan {
    let archive = place.path().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy().into_owned();
    let names = PartNames { archive, mode: cut.mode(), parts: cut.parts() };
    let owners = owners(plan, images);
    let parts = (1..=cut.parts()).map(|number| {
        let range = cut.range(number);
        let mut shared = Share::default();
        let mut shares = vec![Share::default(); images.len()];
        for piece in cut.pieces(arrangement, number) {
            let share = match owners.get(&piece.digest) {
                Some(Owner::One(image)) => &mut shares[*image],
                Some(Owner::Several) | None => &mut shared,
            };
            share.add(piece.section.length);
        }
        let planned = |(image, share): (&Carried, Share)| PlannedImage {
            name: name_of(&image.to).map(str::to_owned),
            digest: *image.to.digest(),
            share,
        };
        let here = images.iter().zip(shares).filter(|(_, share)| share.pieces > 0);
        PlannedPart {
            name: names.part(number),
            size: range.end - range.start,
            images: here.map(planned).collect(),
            shared,
        }
    });
    SavePlan { length: arrangement.length(), part_size: cut.part_size(), parts: parts.collect() }
}

/// To which image content belongs.
#[derive(Clone, Copy)]
enum Owner {
    One(usize),
    Several,
}

fn owners(plan: &Plan<'_>, images: &[Carried]) -> HashMap<Digest, Owner> {
    let mut owners: HashMap<Digest, Owner> = HashMap::new();
    for (at, image) in images.iter().enumerate() {
        let roots: Vec<Descriptor> = std::iter::once(&image.to).chain(&image.referrers).cloned().collect();
        // one that lists what stays elsewhere reaches less, and that is all that goes
        let nodes = graph::reach(plan, &roots, &mut |_, _| ()).nodes;
        let reached: HashSet<Digest> = nodes.iter().map(|node| node.content.digest).collect();
        for digest in reached {
            let same_image = |owner: usize| images[owner].to.digest() == image.to.digest();
            owners
                .entry(digest)
                .and_modify(|owner| match owner {
                    // another name of the same image
                    Owner::One(first) if same_image(*first) => {}
                    _ => *owner = Owner::Several,
                })
                .or_insert(Owner::One(at));
        }
    }
    owners
}
