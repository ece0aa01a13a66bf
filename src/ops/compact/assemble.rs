//! A layer becomes a recipe: of each of its files it is found whether the bytes are there already, resemble an older file, or are
//! new.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::bases::{Base, Item, cut_up};
use super::older::OldFiles;
use super::press::{each, patch, pressed};
use super::shelf::Shelf;
use super::staged::Spool;
use super::survey::Again;
use crate::blob::Cancel;
use crate::compact::{Frame, LARGEST_FRAME, Piece, Recipe, Space, Span, Step};
use crate::digest::Digest;
use crate::ops::Error;
use crate::store::{StoreError, TEMPORARY};

/// How large files are cut: each piece is looked up by itself.
const CHUNK: u64 = LARGEST_FRAME;
/// The same of heads: those of the older layer around it fit into a prefix.
const HEADS_CHUNK: u64 = 4 << 20;
/// How far around a piece the older bytes are looked at, to both sides.
const AROUND: u64 = 4 << 20;
/// How much is in work at once.
const BATCH: u64 = 64 << 20;

/// Bytes to be found a step for: where they are in their file, and what they may resemble.
struct Chunk {
    from: u64,
    length: u64,
    old: Option<Span>,
}

/// Who may ask to stop, and who hears of each piece how many bytes it has.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) cancel: &'a Cancel,
    pub(super) count: &'a (dyn Fn(u64) + Sync),
}

/// What was found.
enum Found {
    Known(Step),
    Patch { digest: Digest, packed: Vec<u8>, against: Span, plain: u64 },
    New { digest: Digest, bytes: Vec<u8> },
}

/// What is known while one layer after the other becomes a recipe.
pub(super) struct Assembler<'a> {
    shelf: Shelf,
    bases: &'a [Base],
    threads: usize,
    spool: PathBuf,
    known: HashMap<Digest, Step>,
    old: OldFiles,
    /// Of each base and layer the heads, as far as they are somewhere.
    heads: Vec<Vec<Span>>,
    used: BTreeSet<usize>,
}

impl<'a> Assembler<'a> {
    /// Begins with what is in bases.
    pub(super) fn new(shelf: Shelf, bases: &'a [Base], threads: usize, spool: &Path) -> Result<Self, Error> {
        let mut known = HashMap::new();
        let mut old = OldFiles::default();
        let mut heads = Vec::new();
        for (owner, base) in bases.iter().enumerate() {
            let number = u32::try_from(owner).unwrap_or(u32::MAX);
            let mut spans = Vec::new();
            for item in &base.anatomy.items {
                let Item::File { name, from, size } = item else { continue };
                let whole = Span { space: Space::Base(number), from: *from, length: *size };
                spans.extend(pieces(*size, CHUNK).map(|(at, length)| Span { from: from + at, length, ..whole }));
                if !name.is_empty() {
                    old.add(name.clone(), owner, vec![whole]);
                }
            }
            let digests = each(threads, &spans, |span| {
                read(&base.plain, span.from, span.length, spool).map(|it| Digest::of(&it))
            });
            for (span, digest) in spans.into_iter().zip(digests) {
                known.entry(digest?).or_insert(Step::Copy(span));
            }
            heads.push(match base.anatomy.heads_length {
                0 => Vec::new(),
                length => vec![Span { space: Space::BaseHeads(number), from: 0, length }],
            });
        }
        let spool = spool.to_owned();
        Ok(Self { shelf, bases, threads, spool, known, old, heads, used: BTreeSet::new() })
    }

    /// Makes the recipe of a layer.
    pub(super) fn layer(&mut self, again: &Again, work: Work<'_>) -> Result<Recipe, Error> {
        let anatomy = cut_up(&again.file, again.plain, &self.spool)?;
        let files = anatomy.items.iter().filter_map(|item| match item {
            Item::File { name, from, size } => Some((name.as_slice(), *from, *size)),
            Item::Heads(_) => None,
        });
        let kinship = self.old.kinship(files.clone().map(|(name, _, size)| (name, size)));
        let mut chunks = Vec::new();
        for (name, from, size) in files {
            let old = self.old.nearest(name, size, &kinship);
            chunks.extend(pieces(size, CHUNK).map(|(at, length)| {
                let old = old.and_then(|old| around(&old.spans, at, length, size));
                Chunk { from: from + at, length, old }
            }));
        }
        let old_heads: Vec<Span> =
            kinship.nearest().and_then(|owner| self.heads.get(owner)).cloned().unwrap_or_default();
        let head_chunks: Vec<Chunk> = pieces(anatomy.heads_length, HEADS_CHUNK)
            .map(|(from, length)| Chunk { from, length, old: around(&old_heads, from, length, anatomy.heads_length) })
            .collect();
        let heads = self.code(&anatomy.heads, &head_chunks, work)?;
        self.heads.push(spans_of(&heads).unwrap_or(old_heads));
        let steps = self.code(&again.file, &chunks, work)?;
        Ok(Recipe { heads: joined(heads), body: self.body(anatomy.items, steps) })
    }

    /// Puts the steps of files between heads, and remembers where the files are.
    fn body(&mut self, items: Vec<Item>, steps: Vec<Step>) -> Vec<Step> {
        let owner = self.heads.len() - 1;
        let mut steps = steps.into_iter();
        let mut body = Vec::new();
        for item in items {
            match item {
                Item::Heads(count) => body.push(Step::Heads(count)),
                Item::File { name, size, .. } => {
                    let own: Vec<Step> = steps.by_ref().take(pieces(size, CHUNK).count()).collect();
                    // what is made by patches is nowhere as it is: the older one stays the one to resemble
                    if let Some(spans) = spans_of(&own).filter(|_| !name.is_empty()) {
                        self.old.add(name, owner, spans);
                    }
                    body.extend(joined(own));
                }
            }
        }
        body
    }

    /// Finds a step for each of some pieces of a file.
    fn code(&mut self, file: &File, mut chunks: &[Chunk], work: Work<'_>) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::with_capacity(chunks.len());
        while !chunks.is_empty() {
            if work.cancel.is_cancelled() {
                return Err(StoreError::Cancelled.into());
            }
            let mut sum = 0;
            let fits = chunks.iter().take_while(|chunk| {
                sum += chunk.length;
                sum <= BATCH
            });
            let (now, later) = chunks.split_at(fits.count().max(1));
            for found in each(self.threads, now, |chunk| self.find(file, chunk).inspect(|_| (work.count)(chunk.length)))
            {
                let step = self.take(found?)?;
                steps.push(step);
            }
            self.shelf.press(self.threads)?;
            chunks = later;
        }
        Ok(steps)
    }

    fn find(&self, file: &File, chunk: &Chunk) -> Result<Found, StoreError> {
        let bytes = read(file, chunk.from, chunk.length, &self.spool)?;
        let digest = Digest::of(&bytes);
        if let Some(step) = self.known.get(&digest) {
            return Ok(Found::Known(*step));
        }
        if let Some(against) = chunk.old {
            let old = self.read_span(&against)?;
            if let Some(packed) = patch(&bytes, &old).map_err(StoreError::io(TEMPORARY, &self.spool))? {
                return Ok(Found::Patch { digest, packed, against, plain: chunk.length });
            }
        }
        Ok(Found::New { digest, bytes })
    }

    fn read_span(&self, span: &Span) -> Result<Vec<u8>, StoreError> {
        let of_base = |base: u32, heads: bool| {
            let base = &self.bases[base as usize];
            read(if heads { &base.anatomy.heads } else { &base.plain }, span.from, span.length, &self.spool)
        };
        match span.space {
            Space::Base(base) => of_base(base, false),
            Space::BaseHeads(base) => of_base(base, true),
            Space::Pool => {
                let mut bytes = vec![0; usize::try_from(span.length).unwrap_or_default()];
                self.shelf.read(&mut bytes, span.from).map_err(StoreError::io(TEMPORARY, &self.spool))?;
                Ok(bytes)
            }
        }
    }

    /// Makes a step of what was found; of two that are equal the first counts, however they came to be looked at.
    fn take(&mut self, found: Found) -> Result<Step, Error> {
        let (digest, step) = match found {
            Found::Known(step) => return Ok(self.noted(step)),
            Found::Patch { digest, .. } | Found::New { digest, .. } if self.known.contains_key(&digest) => {
                let step = self.known[&digest];
                return Ok(self.noted(step));
            }
            Found::Patch { digest, packed, against, plain } => {
                let frame = self.shelf.frame(&packed, plain)?;
                (digest, Step::Patch { frame, against: Some(against) })
            }
            Found::New { digest, bytes } => (digest, Step::Copy(self.shelf.add(&bytes)?)),
        };
        self.known.insert(digest, step);
        Ok(self.noted(step))
    }

    /// Takes note of the base that a step needs.
    fn noted(&mut self, step: Step) -> Step {
        self.used.extend(step.base().map(|base| base as usize));
        step
    }

    /// Puts bytes into packs.
    pub(super) fn frames(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, Error> {
        let mut frames = Vec::new();
        for part in bytes.chunks(LARGEST_FRAME as usize) {
            let packed = pressed(part).map_err(StoreError::io(TEMPORARY, &self.spool))?;
            frames.push(self.shelf.frame(&packed, part.len() as u64)?);
        }
        Ok(frames)
    }

    /// Returns how large all is that layers have become so far, or a little less: not all of it is compressed yet.
    pub(super) fn length(&self) -> u64 {
        self.shelf.length()
    }

    /// Returns the numbers of the bases that something is taken from.
    pub(super) const fn used(&self) -> &BTreeSet<usize> {
        &self.used
    }

    /// Ends, and returns the pieces.
    pub(super) fn finish(self) -> Result<(Spool, Vec<Piece>), Error> {
        self.shelf.finish(self.threads)
    }
}

/// Returns the number that a base has among the ones that are used.
pub(super) fn renumbered(base: u32, used: &BTreeSet<usize>) -> u32 {
    u32::try_from(used.iter().take_while(|one| **one < base as usize).count()).unwrap_or(base)
}

/// Gives the bases of a recipe other numbers: those that they have among the ones that are used.
pub(super) fn renumber(recipe: &mut Recipe, used: &BTreeSet<usize>) {
    let number = |base: u32| renumbered(base, used);
    let change = |span: &mut Span| match &mut span.space {
        Space::Base(base) | Space::BaseHeads(base) => *base = number(*base),
        Space::Pool => {}
    };
    for step in recipe.heads.iter_mut().chain(&mut recipe.body) {
        match step {
            Step::Copy(span) => change(span),
            Step::Patch { against, .. } => against.iter_mut().for_each(change),
            Step::Heads(_) => {}
        }
    }
}

/// Returns where pieces of a size begin and how long they are.
fn pieces(size: u64, chunk: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..size.div_ceil(chunk)).map(move |at| (at * chunk, chunk.min(size - at * chunk)))
}

fn read(file: &File, from: u64, length: u64, path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut bytes, from).map_err(StoreError::io(TEMPORARY, path))?;
    Ok(bytes)
}

/// Returns what of older bytes may resemble a piece: what lies around the same place, in proportion where sizes differ.
fn around(old: &[Span], at: u64, length: u64, size: u64) -> Option<Span> {
    let whole: u64 = old.iter().map(|span| span.length).sum();
    let middle = match size {
        0 => 0,
        _ => u64::try_from(u128::from(at + length / 2) * u128::from(whole) / u128::from(size)).unwrap_or_default(),
    };
    let (from, to) = (middle.saturating_sub(length / 2 + AROUND), middle + length.div_ceil(2) + AROUND);
    let mut begin = 0;
    // of several places the one that has the most
    let parts = old.iter().filter_map(|span| {
        let (start, end) = (from.max(begin), to.min(begin + span.length));
        let part = (end > start).then(|| Span { from: span.from + (start - begin), length: end - start, ..*span });
        begin += span.length;
        part
    });
    parts.max_by_key(|part| part.length)
}

/// Returns where bytes are that all lie somewhere; `None` when some are made by patches.
fn spans_of(steps: &[Step]) -> Option<Vec<Span>> {
    let spans = steps.iter().map(|step| match step {
        Step::Copy(span) => Some(*span),
        _ => None,
    });
    let mut joined: Vec<Span> = Vec::new();
    for span in spans.collect::<Option<Vec<_>>>()? {
        match joined.last_mut() {
            Some(last) if last.space == span.space && last.from + last.length == span.from => {
                last.length += span.length;
            }
            _ => joined.push(span),
        }
    }
    Some(joined)
}

/// Makes one step of copies that follow each other.
fn joined(steps: Vec<Step>) -> Vec<Step> {
    let mut joined: Vec<Step> = Vec::new();
    for step in steps {
        match (joined.last_mut(), step) {
            (Some(Step::Copy(last)), Step::Copy(next))
                if last.space == next.space && last.from + last.length == next.from =>
            {
                last.length += next.length;
            }
            _ => joined.push(step),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn around_a_place_are_the_older_bytes_in_proportion() {
        let span = |from, length| Span { space: Space::Pool, from, length };
        const M: u64 = 1 << 20;
        for (old, (at, length, size), expected) in [
            (vec![], (0, 5, 5), None),
            (vec![span(100, 7)], (0, 5, 5), Some(span(100, 7))),
            (vec![span(0, 40 * M)], (16 * M, 8 * M, 40 * M), Some(span(12 * M, 16 * M))),
            (vec![span(0, 80 * M)], (16 * M, 8 * M, 40 * M), Some(span(32 * M, 16 * M))),
            (vec![span(0, 40 * M)], (0, 8 * M, 40 * M), Some(span(0, 12 * M))),
            (vec![span(0, 8 * M), span(100 * M, 8 * M)], (8 * M, 8 * M, 16 * M), Some(span(100 * M, 8 * M))),
        ] {
            let found = around(&old, at, length, size);
            assert_eq!(found, expected);
            assert!(found.is_none_or(|span| span.length <= crate::compact::LARGEST_PREFIX));
        }
    }

    #[test]
    fn bases_that_are_not_used_have_no_numbers() {
        let copy = |space| Step::Copy(Span { space, from: 0, length: 1 });
        let mut recipe =
            Recipe { heads: vec![copy(Space::BaseHeads(5))], body: vec![copy(Space::Base(2)), copy(Space::Pool)] };
        renumber(&mut recipe, &BTreeSet::from([2, 5]));
        let expected =
            Recipe { heads: vec![copy(Space::BaseHeads(1))], body: vec![copy(Space::Base(0)), copy(Space::Pool)] };
        assert_eq!(recipe, expected);
    }
}
