//! Where an encoder can go on without what came before, and what it needs for that.

use super::bits::BitWriter;
use super::encoder::LOOKAHEAD;
use super::token::{FARTHEST, LONGEST};
use super::way::{Memory, Way};

/// How many bytes of input before a checkpoint an encoder needs at most to go on there.
pub const HISTORY: usize = FARTHEST;

/// The state of an encoder at the end of a block, beside the [`HISTORY`] bytes of input before it.
///
/// Of those that begin anew with every block it holds both positions and nothing else. Of Go's, zlib's, GNU gzip's and pigz's
/// with one thread:
///
/// | levels | what it holds | size |
/// |---|---|---|
/// | 0, -2 | both positions, up to seven bits | a dozen bytes |
/// | 4 to 9 | also where the window lies, and a repetition that was found and may yet lose against the next | a few bytes more |
/// | 1, 2, 3 | also which of the [`HISTORY`] positions before can be found: inside some repetitions they are not | 4 KiB more |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// How many bytes of input are behind it. Of these one may still wait to be written: see `waiting`.
    pub position: u64,
    /// How many bits of deflate are behind it.
    pub bits: u64,
    /// Those of the bits that fill no byte, the first in the lowest place.
    pub partial: u8,
    /// Go's levels 2 to 9, and all of zlib: the position in the input at which the window begins: a multiple of 32 KiB.
    pub window: u64,
    /// Levels 4 to 9: whether the byte before `position` is not written yet.
    pub waiting: bool,
    /// Levels 4 to 9: the repetition that was found at that byte, by its length and its distance.
    pub found: Option<(u16, u16)>,
    /// Levels 1 to 3: which of the positions before can be found, a bit for each, the one farthest back first and in the
    /// lowest place.
    pub findable: Option<Box<[u8; HISTORY / 8]>>,
}

/// Why an encoder cannot go on at a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// Not as many bytes of input before it as [`Checkpoint::history`] says.
    #[error("{got} bytes before the checkpoint, expected {expected}")]
    History {
        /// How many were given.
        got: usize,
        /// How many are needed.
        expected: usize,
    },
    /// Its fields contradict each other or the way.
    #[error("no such encoder is ever in such a state")]
    State,
}

impl Checkpoint {
    /// Makes the checkpoint at the beginning of all input.
    #[must_use]
    pub const fn start() -> Self {
        Self { position: 0, bits: 0, partial: 0, window: 0, waiting: false, found: None, findable: None }
    }

    /// Returns how many bytes of input before the checkpoint an encoder needs to go on there.
    #[must_use]
    pub fn history(&self, way: impl Into<Way>) -> usize {
        let way = way.into();
        let behind = match way.memory() {
            Some(Memory::Nothing) => 0,
            Some(Memory::Last { .. }) => self.position,
            // what is before the window is not looked at
            Some(Memory::Window { .. }) => self.position.saturating_sub(self.window),
            None => self.position.min(way.known_before() as u64),
        };
        behind.min(HISTORY as u64) as usize
    }

    /// Returns the checkpoint at the end of a block of which nothing is known but where it is, if it can be told: by `position`
    /// bytes of input and `bits` of deflate, the last of which are in `partial`.
    ///
    /// Whether the last token was a literal makes no difference: then an encoder that waits for the next byte is a step ahead, and what it
    /// knows more is found in that step.
    pub(super) fn told(way: Way, position: u64, bits: u64, partial: u8) -> Option<Self> {
        let told = Self { position, bits, partial, ..Self::start() };
        match way.memory() {
            Some(Memory::Window { lazy: true, skips: false, .. }) => {
                // the window slides when this much of it is behind; a token that begins before may end behind, and what is
                // decided there (`Encoder::early`) is best left within one stretch
                const EDGE: u64 = (2 * FARTHEST - LOOKAHEAD) as u64;
                let beyond = position.saturating_sub(EDGE);
                let window = beyond.next_multiple_of(FARTHEST as u64);
                let (behind, ahead) = (FARTHEST as u64 - (window - beyond), window + EDGE - position);
                let is_clear = (beyond == 0 || behind > 2 * LONGEST as u64) && ahead > 2 * LONGEST as u64;
                is_clear.then_some(Self { window, ..told })
            }
            Some(Memory::Nothing) => Some(told),
            None if bits.is_multiple_of(8) => {
                let at_block = |block| position.is_multiple_of(u64::from(block));
                way.block().is_some_and(at_block).then_some(Self { partial: 0, ..told })
            }
            _ => None,
        }
    }

    /// Checks that an encoder can be in this state, as far as can be seen without the input.
    pub(super) fn check(&self, way: Way, history: &[u8]) -> Result<(), ResumeError> {
        let expected = self.history(way);
        if history.len() != expected {
            return Err(ResumeError::History { got: history.len(), expected });
        }
        let holds = match way.memory() {
            Some(memory) => self.is_of(memory, expected),
            // one stream has none but the first
            None => {
                let plain = Self { position: self.position, bits: self.bits, ..Self::start() };
                let at_block = way.block().is_some_and(|block| self.position.is_multiple_of(u64::from(block)));
                *self == plain && self.bits.is_multiple_of(8) && (at_block || self.position == 0)
            }
        };
        if holds && self.position < u64::MAX / 16 { Ok(()) } else { Err(ResumeError::State) }
    }

    /// Checks that an encoder that remembers so much can be in this state.
    fn is_of(&self, memory: Memory, history: usize) -> bool {
        let (chained, lazy, skips, shortest) = match memory {
            Memory::Nothing => (false, false, false, LONGEST),
            Memory::Last { skips } => (false, false, skips, LONGEST),
            Memory::Window { lazy, skips, shortest } => (true, lazy, skips, shortest),
        };
        let found_holds = self.found.is_none_or(|(length, distance)| {
            let (length, distance) = (usize::from(length), usize::from(distance));
            self.waiting
                && (shortest..=LONGEST).contains(&length)
                && (1..=FARTHEST).contains(&distance)
                && (distance as u64) < self.position.saturating_sub(self.window)
        });
        u32::from(self.partial) >> (self.bits % 8) == 0
            && self.waiting <= lazy
            && (!self.waiting || history > 0)
            && found_holds
            && (self.position == 0 || self.findable.is_some() == skips)
            && if chained { self.window.is_multiple_of(FARTHEST as u64) } else { self.window == 0 }
            && self.position.checked_sub(self.window).is_some_and(|at| !chained || at <= 2 * FARTHEST as u64)
    }
}

/// Which positions can be found, while a checkpoint is made.
#[derive(Debug)]
pub(super) struct Findable(Box<[u8; HISTORY / 8]>);

impl Findable {
    pub(super) fn none() -> Self {
        Self(Box::new([0; HISTORY / 8]))
    }

    /// Marks the position that lies `distance` before the checkpoint, 1 to [`HISTORY`].
    pub(super) fn mark(&mut self, distance: usize) {
        let at = HISTORY - distance;
        self.0[at / 8] |= 1 << (at % 8);
    }

    pub(super) fn done(self) -> Box<[u8; HISTORY / 8]> {
        self.0
    }

    /// Returns the distances that are marked, the farthest first.
    pub(super) fn distances(marks: &[u8; HISTORY / 8]) -> impl Iterator<Item = usize> + '_ {
        (0..HISTORY).filter(|at| marks[at / 8] >> (at % 8) & 1 == 1).map(|at| HISTORY - at)
    }
}

/// What somebody wants to know of the ends of blocks, or to stop at.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// How many bytes of input there are between checkpoints at least.
    pub(super) every: Option<u64>,
    /// The position at which to stop.
    pub(super) until: Option<u64>,
    /// Where the last checkpoint was taken.
    pub(super) last: u64,
    pub(super) taken: Vec<Checkpoint>,
    pub(super) stopped: bool,
}

impl Watch {
    /// Hears that a block ended here.
    pub(super) fn block_ended(&mut self, position: u64, checkpoint: impl FnOnce() -> Checkpoint) {
        if self.until == Some(position) {
            self.stopped = true;
        }
        if self.every.is_some_and(|every| position - self.last >= every) {
            self.last = position;
            self.taken.push(checkpoint());
        }
    }

    /// Hears that a block ended here with a whole byte, and that the encoder begins anew.
    pub(super) fn begins_anew(&mut self, position: u64, bits: &BitWriter) {
        self.block_ended(position, || Checkpoint { position, bits: bits.position(), ..Checkpoint::start() });
    }
}
