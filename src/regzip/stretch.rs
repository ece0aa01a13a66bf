//! Following a stream at several places at once: each thread has a stretch between two ends of blocks.
//!
//! Deflate tells where a block ends, and how much is unpacked by then, but not in which state the packer was. Of most ways that
//! is known all the same, or with one step of the search. Where such a guess fails, the stretch is followed once more from the end of the one
//! before, as it turned out to be: what comes out does not depend on how the stream was divided.

use super::checkpoint::{Checkpoint, HISTORY};
use super::encoder::LOOKAHEAD;
use super::find::{Differs, Followed, Follower};
use super::way::Way;

/// Between comparisons.
const STEP: usize = 1 << 16;

/// A part of a stream from the end of a block to that of a later one, or to the end of all.
#[derive(Debug)]
pub struct Stretch {
    way: Way,
    /// What it unpacks to: some bytes before it, its own, and [`LOOKAHEAD`] bytes that follow.
    plain: Vec<u8>,
    /// Where in the input these begin.
    plain_at: u64,
    /// Where in the input it ends, if it is not the last.
    end: Option<u64>,
    /// Its bytes of the stream, with the one before: the end of a block may be in that one.
    deflate: Vec<u8>,
    /// Where in the stream these begin.
    deflate_at: u64,
    /// Where in the input it begins.
    begin: u64,
}

impl Stretch {
    /// Follows it from where it may begin. None if that cannot be told, or none of the guesses was right.
    #[must_use]
    pub fn follow(&self) -> Option<Followed> {
        if self.begin == 0 {
            return self.follow_from(&Checkpoint::start()).ok();
        }
        let last = *self.deflate.first()?;
        // the block may have ended before any of the bits of its last byte
        let places = (0..8).map(|unused| ((self.deflate_at + 1) * 8 - unused, last & (0xff >> unused)));
        let mut guesses: Vec<Checkpoint> = places
            .filter_map(|(bits, byte)| {
                let partial = if bits.is_multiple_of(8) { 0 } else { byte };
                Checkpoint::told(self.way, self.begin, bits, partial)
            })
            .collect();
        // those first where a block of the usual type may begin
        guesses.sort_by_key(|guess| !self.may_begin(guess.bits));
        guesses.iter().find_map(|guess| self.follow_from(guess).ok())
    }

    /// Follows it from a checkpoint at which it begins.
    ///
    /// # Errors
    /// When the way makes something else of it.
    pub fn follow_from(&self, from: &Checkpoint) -> Result<Followed, Differs> {
        let differs = Differs { at: from.bits / 8 };
        let at = from.position.checked_sub(self.plain_at).map(|at| at as usize).ok_or(differs)?;
        let history = at.checked_sub(from.history(self.way)).and_then(|begin| self.plain.get(begin..at));
        let mut follower = Follower::resume(self.way, from, history.ok_or(differs)?).map_err(|_| differs)?;
        follower = follower.checkpoints_every(0);
        let begin = (from.bits / 8).checked_sub(self.deflate_at).map(|at| at as usize);
        let deflate = begin.and_then(|begin| self.deflate.get(begin..)).ok_or(differs)?;
        let (deflate, last) = match self.end {
            None => (deflate, None),
            Some(end) => {
                let (last, before) = deflate.split_last().ok_or(differs)?;
                (before, Some((end, *last)))
            }
        };
        follower.expect(deflate)?;
        for piece in self.plain[at..].chunks(STEP) {
            follower.write(piece)?;
        }
        match last {
            Some((end, last)) => follower.finish_block(end, last),
            None => follower.finish(),
        }
    }

    /// Whether a block with codes of its own may begin at a bit, and not be the last one.
    fn may_begin(&self, bits: u64) -> bool {
        let at = (bits / 8 - self.deflate_at) as usize;
        let byte = |at| u32::from(self.deflate.get(at).copied().unwrap_or_default());
        let header = (byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16) >> (bits % 8);
        // RFC 1951, section 3.2.7: 29 and 30 are the most that are in use
        header & 7 == 0b100 && header >> 3 & 31 < 30 && header >> 8 & 31 < 30
    }
}

/// Whether it can be told in which state an encoder is at the end of a block after so many plain bytes.
fn is_told(way: Way, position: u64) -> bool {
    (0..8).any(|bits| Checkpoint::told(way, position, bits, 0).is_some())
}

/// Cuts a stream into stretches as it comes.
#[derive(Debug)]
pub struct Divider {
    /// What is there of the next one.
    next: Stretch,
    /// How much each has to unpack to.
    least: u64,
    /// An end of a block at which it may be cut, by the bytes of both sides.
    cut: Option<(u64, u64)>,
}

impl Divider {
    /// Makes one at the beginning of a stream, for stretches that unpack to so many bytes at least. None if nothing is known of
    /// the packer between its blocks.
    #[must_use]
    pub fn new(way: Way, least: u64) -> Option<Self> {
        let (plain, deflate) = (Vec::new(), Vec::new());
        let next = Stretch { way, plain, plain_at: 0, end: None, deflate, deflate_at: 0, begin: 0 };
        Checkpoint::told(way, 0, 0, 0).map(|_| Self { next, least, cut: None })
    }

    /// Takes some of the stream and what it unpacks to, and whether a block ends with them. Returns a stretch when one is there.
    ///
    /// # Errors
    /// When no block ends for so long that the way cannot have made it.
    pub fn take(&mut self, deflate: &[u8], plain: &[u8], block_ends: bool) -> Result<Option<Stretch>, Differs> {
        /// A block has at most 32,767 tokens of at most 258 bytes, if its size is not said.
        const LONGEST_BLOCK: u64 = 8 << 20;
        let next = &mut self.next;
        next.deflate.extend_from_slice(deflate);
        next.plain.extend_from_slice(plain);
        let position = next.plain_at + next.plain.len() as u64;
        if block_ends {
            let bytes = next.deflate_at + next.deflate.len() as u64;
            let is_there = match self.cut {
                // an empty block, which makes whole bytes of what was before it
                Some((at, _)) => at == position,
                None => position - next.begin >= self.least && is_told(next.way, position),
            };
            if is_there {
                self.cut = Some((position, bytes));
            }
        }
        let longest = next.way.block().map_or(LONGEST_BLOCK, u64::from).max(LONGEST_BLOCK);
        match self.cut.filter(|(at, _)| position >= at + LOOKAHEAD as u64) {
            Some((at, bytes)) => {
                self.cut = None;
                Ok(Some(self.cut(at, bytes)))
            }
            // where two blocks end cannot always be seen
            None if position - next.begin > self.least + 8 * longest => Err(Differs { at: next.deflate_at }),
            None => Ok(None),
        }
    }

    /// Returns the last stretch.
    #[must_use]
    pub fn finish(self) -> Stretch {
        self.next
    }

    fn cut(&mut self, at: u64, bytes: u64) -> Stretch {
        let next = &mut self.next;
        let plain_at = at - at.min(HISTORY as u64);
        let deflate_at = bytes.saturating_sub(1);
        let plain = next.plain[(plain_at - next.plain_at) as usize..].to_vec();
        let deflate = next.deflate[(deflate_at - next.deflate_at) as usize..].to_vec();
        next.plain.truncate((at - next.plain_at) as usize + LOOKAHEAD);
        next.deflate.truncate((bytes - next.deflate_at) as usize);
        next.end = Some(at);
        let after = Stretch { way: next.way, plain, plain_at, end: None, deflate, deflate_at, begin: at };
        std::mem::replace(next, after)
    }
}

/// Puts together what came of the stretches of a stream, one after the other.
#[derive(Debug)]
pub struct Joined {
    at: Checkpoint,
    every: u64,
    last: u64,
    early: Vec<u64>,
    checkpoints: Vec<Checkpoint>,
}

impl Joined {
    /// Makes one that keeps the checkpoints that [`Follower::checkpoints_every`] takes.
    #[must_use]
    pub const fn new(every: u64) -> Self {
        Self { at: Checkpoint::start(), every, last: 0, early: Vec::new(), checkpoints: Vec::new() }
    }

    /// Takes the next stretch, and what [`Stretch::follow`] said of it.
    ///
    /// # Errors
    /// When the way makes something else of it.
    pub fn join(&mut self, stretch: &Stretch, followed: Option<Followed>) -> Result<(), Differs> {
        let followed = match followed.filter(|followed| followed.begin == self.at.bits) {
            Some(followed) => followed,
            None => stretch.follow_from(&self.at)?,
        };
        if !followed.rest.is_empty() {
            return Err(Differs { at: followed.length });
        }
        let last_edge = self.early.last().copied();
        self.early.extend(followed.early.iter().filter(|edge| last_edge.is_none_or(|last| last < **edge)));
        for checkpoint in followed.checkpoints {
            // as the encoder takes them: see Watch
            if checkpoint.position - self.last >= self.every {
                self.last = checkpoint.position;
                self.checkpoints.push(checkpoint.clone());
            }
            self.at = checkpoint;
        }
        Ok(())
    }

    /// Returns the edges of windows that slide early, and the checkpoints.
    #[must_use]
    pub fn done(self) -> (Vec<u64>, Vec<Checkpoint>) {
        (self.early, self.checkpoints)
    }
}
