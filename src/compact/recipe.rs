//! Recipes: the steps that yield the plain bytes of a layer, one after the other.

use std::collections::HashMap;
use std::sync::Arc;

use super::varint::{BadNumber, put, put_signed, take, take_signed};

/// A row of bytes from which recipes take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    /// All pools, unpacked, as they follow each other in the index.
    Pool,
    /// The plain bytes of a base, by its number in the index.
    Base(u32),
    /// What of a base, by its number, is not content of its files: headers, padding, the end.
    BaseHeads(u32),
}

impl Space {
    const fn base(self) -> Option<u32> {
        match self {
            Self::Pool => None,
            Self::Base(base) | Self::BaseHeads(base) => Some(base),
        }
    }

    const fn number(self) -> u64 {
        match self {
            Self::Pool => 0,
            Self::Base(base) => 2 * base as u64 + 1,
            Self::BaseHeads(base) => 2 * base as u64 + 2,
        }
    }

    fn of_number(number: u64) -> Option<Self> {
        let Some(base) = number.checked_sub(1) else { return Some(Self::Pool) };
        let which = u32::try_from(base / 2).ok()?;
        Some(if base % 2 == 0 { Self::Base(which) } else { Self::BaseHeads(which) })
    }
}

/// Some bytes of a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Which space.
    pub space: Space,
    /// Where they begin.
    pub from: u64,
    /// How many they are.
    pub length: u64,
}

/// One step of a recipe. None of them yields nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes of the heads, which follow each other.
    Heads(u64),
    /// Bytes as they stand somewhere.
    Copy(Span),
    /// What a zstd frame unpacks to, of at most [`LARGEST_FRAME`](super::LARGEST_FRAME) bytes.
    Patch {
        /// Where the frame lies.
        frame: super::Frame,
        /// What it is made against, of at most [`LARGEST_PREFIX`](super::LARGEST_PREFIX) bytes: zstd's prefix. None: nothing.
        against: Option<Span>,
    },
}

impl Step {
    /// Returns the number of the base of which it takes bytes, if it takes some of one.
    #[must_use]
    pub const fn base(&self) -> Option<u32> {
        match self {
            Self::Copy(span) | Self::Patch { against: Some(span), .. } => span.space.base(),
            Self::Heads(_) | Self::Patch { against: None, .. } => None,
        }
    }

    /// Returns how many bytes it yields.
    #[must_use]
    pub const fn length(&self) -> u64 {
        match self {
            Self::Heads(length) => *length,
            Self::Copy(span) => span.length,
            Self::Patch { frame, .. } => frame.plain,
        }
    }
}

/// How the plain bytes of a layer come to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// The steps that yield the heads: none of them takes heads itself.
    pub heads: Vec<Step>,
    /// The steps that yield the layer.
    pub body: Vec<Step>,
}

/// Why bytes are no recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecipe {
    /// A number cannot be read.
    #[error(transparent)]
    Number(#[from] BadNumber),
    /// There is no such step.
    #[error("there is no step {0}")]
    Step(u64),
    /// It says what no recipe says.
    #[error("{0}")]
    Contradiction(&'static str),
    /// Something stands behind its end.
    #[error("bytes follow its end")]
    Behind,
}

const HEADS_OF_HEADS: &str = "the heads take from the heads";
const OTHER_HEADS: &str = "it takes more heads than there are, or fewer";

const END: u64 = 0;
const HEADS: u64 = 1;
const PATCH: u64 = 2;
const PATCH_AGAINST: u64 = 3;
/// And the number of the space behind it.
const COPY: u64 = 4;

/// Where the last step ended that took from the same place: the next is likely to begin near there.
#[derive(Clone, Debug, Default)]
struct Ends {
    spaces: HashMap<Space, u64>,
    piece: u64,
    offset: u64,
}

impl Recipe {
    /// Returns its bytes: the steps of the heads, an end, the steps of the body, an end. Numbers are those of LEB128; where something
    /// begins is written as the difference, in zigzag, to where the last step ended that took from the same space, or to the end
    /// of the last frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut ends = Ends::default();
        for steps in [&self.heads, &self.body] {
            for step in steps {
                write(&mut bytes, step, &mut ends);
            }
            put(&mut bytes, END);
        }
        bytes
    }

    /// Reads a recipe. That what it names is there is for whoever follows it to see.
    ///
    /// # Errors
    /// When it is none, yields more than 2^62 bytes, or takes other heads than it has.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadRecipe> {
        let all = |mut steps: Steps| std::iter::from_fn(|| steps.next().transpose()).collect::<Result<_, _>>();
        let (heads, body, _) = Steps::check(&Arc::from(bytes), |_| Ok::<_, BadRecipe>(()))?;
        Ok(Self { heads: all(heads)?, body: all(body)? })
    }

    /// Returns how many bytes it yields.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.body.iter().map(Step::length).sum()
    }
}

fn write(to: &mut Vec<u8>, step: &Step, ends: &mut Ends) {
    match step {
        Step::Heads(length) => {
            put(to, HEADS);
            put(to, *length);
        }
        Step::Copy(span) => write_span(to, COPY, span, ends),
        Step::Patch { frame, against } => {
            put(to, if against.is_some() { PATCH_AGAINST } else { PATCH });
            put_signed(to, (u64::from(frame.piece)).wrapping_sub(ends.piece) as i64);
            if u64::from(frame.piece) != ends.piece {
                ends.offset = 0;
            }
            put_signed(to, frame.offset.wrapping_sub(ends.offset) as i64);
            put(to, frame.length);
            put(to, frame.plain);
            (ends.piece, ends.offset) = (u64::from(frame.piece), frame.offset.wrapping_add(frame.length));
            if let Some(span) = against {
                write_span(to, 0, span, ends);
            }
        }
    }
}

fn write_span(to: &mut Vec<u8>, first: u64, span: &Span, ends: &mut Ends) {
    let end = ends.spaces.entry(span.space).or_default();
    put(to, first + span.space.number());
    put_signed(to, span.from.wrapping_sub(*end) as i64);
    put(to, span.length);
    *end = span.from.wrapping_add(span.length);
}

/// The largest number of bytes and position that is spoken of.
pub(super) const MOST: u64 = 1 << 62;

/// Adds what a step yields, which is below 2^62, to a sum that is.
fn add(sum: u64, step: &Step) -> Result<u64, BadRecipe> {
    let sum = sum + step.length();
    if sum < MOST { Ok(sum) } else { Err(BadRecipe::Contradiction("it yields more than 2^62 bytes")) }
}

/// Reads a step. None: an end.
fn read_step(from: &mut &[u8], ends: &mut Ends) -> Result<Option<Step>, BadRecipe> {
    let step = match take(from)? {
        END => return Ok(None),
        HEADS => Step::Heads(take(from)?.min(MOST)),
        kind @ (PATCH | PATCH_AGAINST) => {
            let piece = ends.piece.wrapping_add(take_signed(from)? as u64);
            if piece != ends.piece {
                ends.offset = 0;
            }
            let offset = ends.offset.wrapping_add(take_signed(from)? as u64);
            let (length, plain) = (take(from)?, take(from)?);
            let holds = offset < MOST && length < MOST && plain <= super::LARGEST_FRAME;
            let piece = u32::try_from(piece).ok().filter(|_| holds);
            let piece = piece.ok_or(BadRecipe::Contradiction("a frame lies where none can be, or is too large"))?;
            (ends.piece, ends.offset) = (u64::from(piece), offset + length);
            let against = (kind == PATCH_AGAINST).then(|| {
                let space = take(from)?;
                read_span(from, space, ends)
            });
            let against = against.transpose()?;
            if against.is_some_and(|span| span.length > super::LARGEST_PREFIX || span.length == 0) {
                return Err(BadRecipe::Contradiction("a patch is made against too much, or against nothing"));
            }
            Step::Patch { frame: super::Frame { piece, offset, length, plain }, against }
        }
        kind => Step::Copy(read_span(from, kind - COPY, ends)?),
    };
    if step.length() == 0 {
        return Err(BadRecipe::Contradiction("a step yields nothing"));
    }
    Ok(Some(step))
}

/// The steps of a recipe that are read one by one: a recipe has millions of them, and few bytes for each.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    recipe: Arc<[u8]>,
    at: usize,
    ends: Ends,
}

impl Steps {
    /// Begins with those of the heads; behind their end come those of the body.
    pub(super) fn new(recipe: Arc<[u8]>) -> Self {
        Self { recipe, at: 0, ends: Ends::default() }
    }

    /// Returns the next step. None at the end of the heads, and of the body.
    ///
    /// # Errors
    /// When it is none. What a recipe as a whole must be is for [`Steps::check`] to see.
    pub(super) fn next(&mut self) -> Result<Option<Step>, BadRecipe> {
        let mut rest = self.recipe.get(self.at..).unwrap_or_default();
        let step = read_step(&mut rest, &mut self.ends)?;
        self.at = self.recipe.len() - rest.len();
        Ok(step)
    }

    /// Reads all steps of a recipe, as [`Recipe::parse`] does, and shows each to somebody who may refuse it. Returns those of the
    /// heads and those of the body, and how many bytes they yield.
    ///
    /// # Errors
    /// As [`Recipe::parse`], and what that somebody says.
    pub(super) fn check<E: From<BadRecipe>>(
        recipe: &Arc<[u8]>,
        mut look: impl FnMut(&Step) -> Result<(), E>,
    ) -> Result<(Self, Self, u64), E> {
        let heads = Self::new(Arc::clone(recipe));
        let mut steps = heads.clone();
        let mut there = 0;
        while let Some(step) = steps.next()? {
            if matches!(step, Step::Heads(_)) {
                return Err(BadRecipe::Contradiction(HEADS_OF_HEADS).into());
            }
            look(&step)?;
            there = add(there, &step)?;
        }
        let body = steps.clone();
        let (mut taken, mut length) = (0, 0);
        while let Some(step) = steps.next()? {
            if matches!(step, Step::Heads(_)) {
                taken = add(taken, &step)?;
            }
            look(&step)?;
            length = add(length, &step)?;
        }
        match () {
            () if taken != there => Err(BadRecipe::Contradiction(OTHER_HEADS).into()),
            () if steps.at < recipe.len() => Err(BadRecipe::Behind.into()),
            () => Ok((heads, body, length)),
        }
    }
}

fn read_span(from: &mut &[u8], space: u64, ends: &mut Ends) -> Result<Span, BadRecipe> {
    let space = Space::of_number(space).ok_or(BadRecipe::Step(space))?;
    let end = ends.spaces.entry(space).or_default();
    let at = end.wrapping_add(take_signed(from)? as u64);
    let length = take(from)?;
    if at >= MOST || length >= MOST {
        return Err(BadRecipe::Contradiction("it takes bytes from where none can be"));
    }
    *end = at + length;
    Ok(Span { space, from: at, length })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compact::Frame;

    fn example() -> Recipe {
        let copy = |space, from, length| Step::Copy(Span { space, from, length });
        let frame = Frame { piece: 3, offset: 100, length: 50, plain: 7000 };
        Recipe {
            heads: vec![
                copy(Space::BaseHeads(0), 0, 1024),
                Step::Patch { frame, against: Some(Span { space: Space::BaseHeads(0), from: 512, length: 9000 }) },
            ],
            body: vec![
                Step::Heads(512),
                copy(Space::Pool, 70_000_000_000, 8),
                Step::Heads(7512),
                copy(Space::Base(2), 1024, 99),
                copy(Space::Pool, 0, 1),
                Step::Patch { frame: Frame { piece: 2, ..frame }, against: None },
            ],
        }
    }

    #[test]
    fn a_recipe_comes_back_and_no_part_of_it_is_one() {
        for recipe in [example(), Recipe::default()] {
            let bytes = recipe.encode();
            assert_eq!(Recipe::parse(&bytes), Ok(recipe));
            for end in 0..bytes.len() {
                assert!(Recipe::parse(&bytes[..end]).is_err());
            }
            assert_eq!(Recipe::parse(&[&*bytes, &[0]].concat()), Err(BadRecipe::Behind));
        }
        assert_eq!(example().length(), 512 + 8 + 7512 + 99 + 1 + 7000);
    }

    #[test]
    fn what_contradicts_itself_is_no_recipe() {
        let copy = |from, length| Step::Copy(Span { space: Space::Pool, from, length });
        let patch = |plain, against| {
            let frame = Frame { piece: 0, offset: 0, length: 1, plain };
            Step::Patch { frame, against: Some(Span { space: Space::Pool, from: 0, length: against }) }
        };
        for (heads, body) in [
            (vec![], vec![Step::Heads(1)]),
            (vec![copy(0, 2)], vec![Step::Heads(1)]),
            (vec![Step::Heads(1)], vec![Step::Heads(1)]),
            (vec![], vec![copy(0, 0)]),
            (vec![], vec![copy(0, 1 << 62)]),
            (vec![], vec![copy(1 << 62, 1)]),
            (vec![], vec![copy(0, MOST - 1), copy(0, MOST - 1)]),
            (vec![], vec![patch(super::super::LARGEST_FRAME + 1, 1)]),
            (vec![], vec![patch(1, super::super::LARGEST_PREFIX + 1)]),
            (vec![], vec![patch(1, 0)]),
        ] {
            let recipe = Recipe { heads, body };
            assert!(matches!(Recipe::parse(&recipe.encode()), Err(BadRecipe::Contradiction(_))), "{recipe:?}");
        }
    }
}
