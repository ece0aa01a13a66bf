//! Compact archives: what is in layers in the place of the layers.
//!
//! ```text
//! survey    a layer unpacked into a file, and what packs it again
//! trial     which program that is, found while the layer is unpacked
//! sought    layers of the other side, where they are found here
//! echoed    what of layers is packed as it is there
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
mod echoed;
mod older;
mod press;
mod proof;
mod shared;
mod shelf;
mod sought;
mod staged;
mod survey;
mod trial;

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

pub use self::sought::{AbsentImage, BaseLayers};
pub use self::staged::Staged;

use self::assemble::{Assembler, Work, renumber, renumbered};
use self::bases::Base;
use self::echoed::Listener;
use self::shelf::Shelf;
use self::staged::Spool;
use self::survey::{Again, Survey};
use super::Error;
use super::open::Context;
use crate::compact::{BadRecipe, BaseLayer, CompactIndex, CompactLayer, Echoes, Frame, Packer, Recipe};
use crate::content::{Content, Kind, total};
use crate::digest::Digest;
use crate::plan::Plan;
use crate::regzip::Way;
use crate::store::{Location, Source as _, StoreError};
use crate::text::human_size;
use crate::transfer::Making;

/// How many threads compress at most: each needs up to 200 MiB.
const MOST_THREADS: usize = 8;
/// How often all is made at most: layers that cannot be made again are left out of the next time.
const MOST_ROUNDS: usize = 3;

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
    in_rounds(plan, bases, staged, options, context, &|made| made.prove(options, context))
}

/// The same, where it is `prove` that says which layers cannot be made again.
fn in_rounds<'a>(
    plan: &mut Plan<'a>,
    bases: &BaseLayers<'_>,
    staged: &'a Staged,
    options: &CompactOptions<'_>,
    context: &Context<'_>,
    prove: &dyn Fn(&mut Made) -> Result<HashSet<Digest>, Error>,
) -> Result<(Option<Goods>, Report), Error> {
    let (mut unproven, mut round) = (HashSet::new(), 1);
    loop {
        let mut made = Made::of(plan, bases, &unproven, options, context)?;
        let wrong = prove(&mut made)?;
        if wrong.is_empty() || round == MOST_ROUNDS {
            made.leave_out(plan, &wrong);
            return Ok(made.weigh(plan, staged));
        }
        // once more without them: nothing of them is to lie in the archive
        unproven.extend(wrong);
        round += 1;
    }
}

/// What is made of layers, before it takes their place.
struct Made {
    index: CompactIndex,
    spool: Arc<Spool>,
    bases: Vec<Base>,
    report: Report,
}

impl Made {
    /// Makes it of all layers of a plan but some.
    fn of(
        plan: &Plan<'_>,
        bases: &BaseLayers<'_>,
        without: &HashSet<Digest>,
        options: &CompactOptions<'_>,
        context: &Context<'_>,
    ) -> Result<Self, Error> {
        let jobs = options.jobs.get().min(MOST_THREADS);
        let mut report = Report::default();
        let blobs = plan.inventory().contents.iter().filter(|content| content.kind == Kind::Blob && content.size > 0);
        let (known, layers): (Vec<Content>, Vec<Content>) =
            blobs.cloned().partition(|content| without.contains(&content.digest));
        known.iter().for_each(|content| report.store(Why::Unproven, content.size));
        let survey_all = |group: &[Content], threads: usize| {
            press::each(threads, group, |content| survey_one(plan, content, threads / group.len(), options, context))
        };
        let first = &layers[..layers.len().min(jobs)];
        let open = || if layers.is_empty() { Ok(Vec::new()) } else { Base::open(bases, options, context) };
        let (opened, mut surveyed) = press::both(jobs, open, || survey_all(first, jobs));
        let opened = opened?;
        let mut assembler = Assembler::new(Shelf::new(options.spool)?, &opened, jobs, options.spool)?;
        let mut made = Vec::new();
        let mut before = 0;
        for group in layers.chunks(jobs) {
            let surveys = if surveyed.is_empty() { survey_all(group, jobs) } else { std::mem::take(&mut surveyed) };
            for (content, survey) in group.iter().zip(surveys) {
                match survey? {
                    Survey::Again(again) => {
                        let about = about(&again, before, assembler.length());
                        let progress = Making::start(context.observer, &about, options.place, again.plain);
                        let work = Work { cancel: context.cancel, count: &|bytes| progress.count(bytes) };
                        let recipe = assembler.layer(&again, work)?;
                        progress.finish(content);
                        let guide = again.guide.as_ref().map(|guide| assembler.frames(&guide.encode())).transpose()?;
                        let listener = Listener::of(&again, &recipe);
                        made.push((compact_layer(&again, guide.unwrap_or_default()), recipe.encode(), listener));
                        before += content.size;
                    }
                    Survey::AsItIs(why) => report.store(why, content.size),
                }
            }
        }
        // a base that nothing is taken from is nobody's business
        let used = assembler.used().clone();
        let echoes = press::each(jobs, &made, |(layer, _, listener)| match listener {
            None => Ok(Echoes::default()),
            Some(listener) => {
                let about = format!("what of a layer is packed as before, {}", human_size(layer.size));
                let progress = Making::start(context.observer, &about, options.place, layer.size);
                let echoes = listener.listen(plan, &opened, context.cancel)?;
                progress.finish(&layer.content());
                Ok::<_, Error>(echoes)
            }
        });
        let mut index = CompactIndex { barge: env!("CARGO_PKG_VERSION").to_owned(), ..CompactIndex::default() };
        for ((mut layer, recipe, _), echoes) in made.into_iter().zip(echoes) {
            let mut recipe = Recipe::parse(&recipe).map_err(|error| unreadable(error, options))?;
            renumber(&mut recipe, &used);
            layer.recipe = assembler.frames(&recipe.encode())?;
            let mut echoes = echoes?;
            echoes.0.iter_mut().for_each(|(base, _)| *base = renumbered(*base, &used));
            layer.echoes = assembler.frames(&echoes.encode())?;
            index.layers.push(layer);
        }
        let (spool, pieces) = assembler.finish()?;
        index.pieces = pieces;
        let bases: Vec<Base> =
            opened.into_iter().enumerate().filter(|(at, _)| used.contains(at)).map(|(_, base)| base).collect();
        index.bases = bases.iter().map(|base| base.layer.clone()).collect();
        report.bases.extend(index.bases.iter().map(BaseLayer::called));
        report.bases.dedup();
        Ok(Self { index, spool: Arc::new(spool), bases, report })
    }

    /// Makes each layer again, and returns those that do not come out as they were.
    fn prove(&mut self, options: &CompactOptions<'_>, context: &Context<'_>) -> Result<HashSet<Digest>, Error> {
        proof::unproven(&mut self.index, &self.spool, std::mem::take(&mut self.bases), options, context)
    }

    fn leave_out(&mut self, plan: &Plan<'_>, wrong: &HashSet<Digest>) {
        self.index.layers.retain(|layer| !wrong.contains(&layer.digest));
        for content in plan.inventory().contents.iter().filter(|content| wrong.contains(&content.digest)) {
            self.report.store(Why::Unproven, content.size);
        }
    }

    /// Puts it in the place of the layers if it is smaller.
    fn weigh<'a>(self, plan: &mut Plan<'a>, staged: &'a Staged) -> (Option<Goods>, Report) {
        let Self { index, spool, mut report, .. } = self;
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
        staged.fill(spool);
        let layers: HashSet<Digest> = index.layers.iter().map(|layer| layer.digest).collect();
        plan.retain(|content| !layers.contains(&content.digest));
        for piece in &index.pieces {
            let content = Content { digest: piece.digest, size: piece.size, kind: Kind::Piece };
            plan.add(staged, &content, "piece of layers".to_owned());
        }
        (Some(Goods { index: text, layers }), report)
    }
}

/// Says which layer is being taken apart, and what came of those before.
fn about(again: &Again, before: u64, now: u64) -> String {
    let plain = human_size(again.plain);
    match before {
        0 => format!("what is in a layer, {plain}"),
        _ => format!("what is in a layer, {plain}; so far {} instead of {}", human_size(now), human_size(before)),
    }
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
        echoes: Vec::new(),
    }
}

fn survey_one(
    plan: &Plan<'_>,
    content: &Content,
    threads: usize,
    options: &CompactOptions<'_>,
    context: &Context<'_>,
) -> Result<Survey, Error> {
    let about = plan.about(&content.digest).unwrap_or_else(|| content.digest.to_string());
    let told = format!("{about}, {}", human_size(content.size));
    let progress = Making::start(context.observer, &told, options.place, content.size);
    let count = |bytes| progress.count(bytes);
    let reader = plan.open(content)?.cancelled_by(context.cancel).metered_by(&count);
    let survey = survey::survey(reader, &plan.origin(content), options.spool, threads)
        .map_err(|error| Error::Content { about, error, hint: None })?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::workspace::Workspace;
    use crate::store::memory::Memory;

    /// What becomes of layers when so many proofs say that the last of them is wrong: the index, and what was said.
    fn made(layers: &[Vec<u8>], wrong_rounds: usize) -> (CompactIndex, Report) {
        let mut memory = Memory::new("test");
        let contents: Vec<Content> = layers.iter().map(|layer| memory.add(layer, Kind::Blob)).collect();
        let (mut plan, staged) = (Plan::new(), Staged::default());
        for content in &contents {
            plan.add(&memory, content, "layer".to_owned());
        }
        let spool = tempfile::tempdir().unwrap();
        let place = Location::Memory("test".to_owned());
        let options = CompactOptions { spool: spool.path(), place: &place, jobs: NonZeroUsize::new(2).unwrap() };
        let workspace = Workspace::offline();
        let context = workspace.context();
        let rounds = std::cell::Cell::new(0);
        let (goods, report) = in_rounds(&mut plan, &BaseLayers::default(), &staged, &options, &context, &|made| {
            rounds.set(rounds.get() + 1);
            let wrong = made.prove(&options, &context)?;
            assert!(wrong.is_empty());
            let last = made.index.layers.last().filter(|_| rounds.get() <= wrong_rounds);
            Ok(last.map(|layer| layer.digest).into_iter().collect())
        })
        .unwrap();
        (goods.map(|goods| CompactIndex::parse(&goods.index).unwrap()).unwrap_or_default(), report)
    }

    #[test]
    fn nothing_of_a_layer_that_fails_its_proof_stays() {
        let layers: Vec<Vec<u8>> = (1..=4_u8).map(|layer| [layer; 5].repeat(20_000 + usize::from(layer))).collect();
        let sizes = |layers: &[Vec<u8>]| layers.iter().map(|layer| layer.len() as u64).sum::<u64>();
        for (wrong, left) in [(1, 3), (2, 2)] {
            let (index, report) = made(&layers, wrong);
            assert_eq!(index, made(&layers[..left], 0).0, "as if it had not been there");
            assert_eq!(report.stored, [(Why::Unproven, wrong as u64, sizes(&layers[left..]))]);
        }
        // there is an end to it: then pieces stay that nothing is made of
        let (index, report) = made(&layers, usize::MAX);
        assert_eq!((index.layers.len(), &index.pieces), (1, &made(&layers[..2], 0).0.pieces));
        assert_eq!(report.stored, [(Why::Unproven, 3, sizes(&layers[1..]))]);
        assert_eq!(made(&layers[..2], usize::MAX).0.layers, [], "nothing is left");
    }
}
