//! Compact archives: what is in layers in the place of the layers.
//!
//! ```text
//! survey    a layer unpacked into a file, and what packs it again
//! sought    layers of the other side, where they are found here
//! bases     the same unpacked, by what is in them
//! assemble  a layer cut up: which of its bytes are where, or go into the stock
//! shelf     the stock: pools of new content, packs of frames
//! press     frames, made on all cores
//! staged    the pieces in a file without a name, to be read before they have one
//! proof     each layer made again of what is in stock, and compared with its digest
//! ```
//!
//! The same layers and bases give the same pieces, on any number of cores.

mod assemble;
mod bases;
mod press;
mod proof;
mod shelf;
mod sought;
mod staged;
mod survey;

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;

pub use self::sought::{AbsentImage, BaseLayers};
pub use self::staged::Staged;

use self::assemble::{Assembler, Work, renumber};
use self::bases::Base;
use self::shelf::Shelf;
use self::survey::{Again, Survey};
use super::Error;
use super::open::Context;
use crate::compact::{BadRecipe, CompactIndex, CompactLayer, Frame, Packer, Recipe};
use crate::content::{Content, Kind, total};
use crate::digest::Digest;
use crate::plan::Plan;
use crate::regzip::Way;
use crate::store::{Location, Source as _, StoreError};
use crate::text::human_size;
use crate::transfer::Making;

/// How many threads compress at most: each needs up to 200 MiB.
const MOST_THREADS: usize = 8;

/// Why a layer goes along as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// No encoder that is known makes it.
    Unknown,
    /// It is several gzip streams, one behind the other.
    Members,
    /// It is packed with zstd.
    Zstd,
    /// What would be stored does not give the layer again.
    Unproven,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "packed by an unknown program",
            Self::Members => "packed in several pieces",
            Self::Zstd => "packed with zstd",
            Self::Unproven => "not the same when made again",
        })
    }
}

/// What a compact archive holds in the place of layers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Goods {
    /// The text of `compact.json`.
    pub index: Vec<u8>,
    /// The layers that are made again.
    pub layers: HashSet<Digest>,
}

/// What became of layers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many are made again, and how large they are together.
    pub again: (u64, u64),
    /// What packed those, in the order of the layers, and how many of them. None: they are not packed.
    pub packers: Vec<(Option<Way>, u64)>,
    /// Those that go along as they are, by the reason: how many, how large together.
    pub stored: Vec<(Why, u64, u64)>,
    /// How large all is that stands in the place of layers, with the index.
    pub compact: u64,
    /// Whether it would have been larger than the layers: then they go along as they are.
    pub is_larger: bool,
    /// The base layers that something is made of: places or images that have them.
    pub bases: Vec<String>,
}

/// How it is made.
#[derive(Clone, Copy, Debug)]
pub struct CompactOptions<'a> {
    /// The directory for temporary files without a name.
    pub spool: &'a Path,
    /// Where the archive will be, for messages.
    pub place: &'a Location,
    /// On how many threads.
    pub jobs: NonZeroUsize,
}

/// Puts into a plan, in the place of its layers, what they are made of again. `None` when nothing is.
///
/// # Errors
/// When a layer or base cannot be read or is not what its digest says, or there is no room for temporary files.
pub fn compact<'a>(
    plan: &mut Plan<'a>,
    bases: &BaseLayers<'_>,
    staged: &'a Staged,
    options: &CompactOptions<'_>,
    context: &Context<'_>,
) -> Result<(Option<Goods>, Report), Error> {
    let jobs = options.jobs.get().min(MOST_THREADS);
    let blobs = plan.inventory().contents.iter().filter(|content| content.kind == Kind::Blob && content.size > 0);
    let layers: Vec<Content> = blobs.cloned().collect();
    let opened = if layers.is_empty() { Vec::new() } else { Base::open(bases, options, context)? };
    let mut assembler = Assembler::new(Shelf::new(options.spool)?, &opened, jobs, options.spool)?;
    let mut report = Report::default();
    let mut made = Vec::new();
    for group in layers.chunks(jobs) {
        let surveyed = press::each(jobs, group, |content| survey_one(plan, content, options, context));
        for (content, survey) in group.iter().zip(surveyed) {
            match survey? {
                Survey::Again(again) => {
                    let about = format!("what is in a layer, {}", human_size(again.plain));
                    let progress = Making::start(context.observer, &about, options.place, again.plain);
                    let work = Work { cancel: context.cancel, count: &|bytes| progress.count(bytes) };
                    let recipe = assembler.layer(&again, work)?;
                    progress.finish(content);
                    let guide = again.guide.as_ref().map(|guide| assembler.frames(&guide.encode())).transpose()?;
                    made.push((compact_layer(&again, guide.unwrap_or_default()), recipe.encode()));
                }
                Survey::AsItIs(why) => report.store(why, content.size),
            }
        }
    }
    // a base that nothing is taken from is nobody's business
    let used = assembler.used().clone();
    let mut index = CompactIndex { barge: env!("CARGO_PKG_VERSION").to_owned(), ..CompactIndex::default() };
    for (mut layer, recipe) in made {
        let mut recipe = Recipe::parse(&recipe).map_err(|error| unreadable(error, options))?;
        renumber(&mut recipe, &used);
        layer.recipe = assembler.frames(&recipe.encode())?;
        index.layers.push(layer);
    }
    let (spool, pieces) = assembler.finish()?;
    staged.fill(spool);
    index.pieces = pieces;
    let bases: Vec<Base> =
        opened.into_iter().enumerate().filter(|(at, _)| used.contains(at)).map(|(_, base)| base).collect();
    index.bases = bases.iter().map(|base| base.layer.clone()).collect();
    report.bases.extend(index.bases.iter().map(|base| base.image.clone().unwrap_or_else(|| base.digest.to_string())));
    report.bases.dedup();
    let wrong = proof::unproven(&index, staged, bases, options, context)?;
    index.layers.retain(|layer| !wrong.contains(&layer.digest));
    for content in layers.iter().filter(|content| wrong.contains(&content.digest)) {
        report.store(Why::Unproven, content.size);
    }
    Ok(weigh(plan, &index, staged, report))
}

/// A recipe that was just written and cannot be read: a fault of ours.
fn unreadable(error: BadRecipe, options: &CompactOptions<'_>) -> Error {
    StoreError::malformed("a recipe", options.place, error.to_string()).into()
}

fn compact_layer(again: &Again, guide: Vec<Frame>) -> CompactLayer {
    CompactLayer {
        digest: again.content.digest,
        size: again.content.size,
        diff_id: again.diff_id,
        plain: again.plain,
        packer: again.packer.clone(),
        recipe: Vec::new(),
        guide,
    }
}

/// Takes the compact form if it is smaller.
fn weigh<'a>(
    plan: &mut Plan<'a>,
    index: &CompactIndex,
    staged: &'a Staged,
    mut report: Report,
) -> (Option<Goods>, Report) {
    report.again = (index.layers.len() as u64, total(index.layers.iter().map(|layer| layer.size)));
    let text = index.encode();
    // each piece stands behind a header of 512 bytes, and is padded
    let pieces = index.pieces.iter().map(|piece| piece.size.next_multiple_of(512) + 512);
    report.compact = total(pieces) + text.len() as u64;
    for layer in &index.layers {
        report.made_by(&layer.packer);
    }
    report.is_larger = report.compact >= report.again.1;
    if index.layers.is_empty() || report.is_larger {
        return (None, report);
    }
    let layers: HashSet<Digest> = index.layers.iter().map(|layer| layer.digest).collect();
    plan.retain(|content| !layers.contains(&content.digest));
    for piece in &index.pieces {
        let content = Content { digest: piece.digest, size: piece.size, kind: Kind::Piece };
        plan.add(staged, &content, "piece of layers".to_owned());
    }
    (Some(Goods { index: text, layers }), report)
}

fn survey_one(
    plan: &Plan<'_>,
    content: &Content,
    options: &CompactOptions<'_>,
    context: &Context<'_>,
) -> Result<Survey, Error> {
    let about = plan.inventory().about.get(&content.digest).cloned().unwrap_or_else(|| content.digest.to_string());
    let told = format!("{about}, {}", human_size(content.size));
    let progress = Making::start(context.observer, &told, options.place, content.size);
    let count = |bytes| progress.count(bytes);
    let reader = plan.open(content)?.cancelled_by(context.cancel).metered_by(&count);
    let survey = survey::survey(reader, &plan.origin(content), options.spool).map_err(|error| Error::Content {
        about,
        error,
        hint: None,
    })?;
    progress.finish(content);
    Ok(survey)
}

impl Report {
    fn made_by(&mut self, packer: &Packer) {
        let way = match packer {
            Packer::None => None,
            Packer::Gzip { way, .. } => Some(*way),
        };
        match self.packers.iter_mut().find(|(known, _)| *known == way) {
            Some((_, number)) => *number += 1,
            None => self.packers.push((way, 1)),
        }
    }

    fn store(&mut self, why: Why, size: u64) {
        match self.stored.iter_mut().find(|(known, ..)| *known == why) {
            Some((_, number, sum)) => (*number, *sum) = (*number + 1, *sum + size),
            None => self.stored.push((why, 1, size)),
        }
    }
}
