//! Levels 2 to 9: repetitions are looked for in a window of 64 KiB, and a block has so many tokens.

use super::block::BlockWriter;
use super::chain::{Chains, WINDOW, Wanted};
use super::checkpoint::{Checkpoint, Findable, HISTORY, Watch};
use super::echo::Echoes;
use super::level::{Effort, Level};
use super::token::{FARTHEST, LONGEST, SHORTEST, Token};

/// The most tokens of a block.
const MOST_TOKENS: usize = 1 << 14;
/// With fewer bytes ahead than this the search waits for more.
pub(super) const AHEAD: usize = SHORTEST + LONGEST;
/// From this place in the window on it may slide.
const EDGE: usize = WINDOW - AHEAD;

/// What is known of the byte before the current one, if it is not written yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    byte: bool,
    /// The repetition that begins with it; its length is three if there is none.
    length: usize,
    distance: usize,
}

impl Waiting {
    const NOTHING: Self = Self { byte: false, length: SHORTEST - 1, distance: 0 };
}

/// Whether it matters when this window slides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Not as far as is known.
    None,
    /// It does, and the search waits for an answer.
    Open,
    /// It does not, or was answered.
    Settled,
}

#[derive(Clone, Debug)]
pub(super) struct Search {
    level: Level,
    effort: Effort,
    chains: Chains,
    /// The place in the window of the next byte.
    index: usize,
    /// The position in the input at which the window begins.
    base: u64,
    /// Where in the window the block began. None once that has slid out of it.
    block: Option<usize>,
    waiting: Waiting,
    tokens: Vec<Token>,
    missing: Option<Missing>,
    /// The edges of the windows that slide early. See [`super::Encoder::early`].
    pub(super) early: Vec<u64>,
    pub(super) doubt: Doubt,
    /// Stretches whose tokens are known.
    pub(super) echoes: Option<Box<Echoes>>,
}

/// Just after a checkpoint: what has to be put into chains once there are bytes that follow.
#[derive(Clone, Debug)]
struct Missing {
    from: usize,
    findable: Option<Box<[u8; HISTORY / 8]>>,
}

impl Search {
    pub(super) fn new(level: Level) -> Self {
        Self {
            level,
            effort: level.effort(),
            chains: Chains::new(),
            index: 0,
            base: 0,
            block: Some(0),
            waiting: Waiting::NOTHING,
            tokens: Vec::with_capacity(MOST_TOKENS),
            missing: None,
            early: Vec::new(),
            doubt: Doubt::None,
            echoes: None,
        }
    }

    /// Goes on at a checkpoint that was checked.
    pub(super) fn resume(level: Level, from: &Checkpoint, history: &[u8]) -> Self {
        let mut this = Self::new(level);
        let index = (from.position - from.window) as usize;
        this.chains.restore(history, index);
        this.index = index;
        this.base = from.window;
        this.block = Some(index - usize::from(from.waiting));
        let (length, distance) = from.found.map_or((SHORTEST - 1, 0), |(l, d)| (usize::from(l), usize::from(d)));
        this.waiting = Waiting { byte: from.waiting, length, distance };
        this.missing = Some(Missing { from: index - history.len(), findable: from.findable.clone() });
        this
    }

    /// Whether it goes on as another does, whatever came before.
    pub(super) fn goes_on_as(&self, other: &Self) -> bool {
        let state = |it: &Self| (it.index, it.base, it.block, it.waiting, it.doubt, it.missing.is_some());
        state(self) == state(other) && self.tokens == other.tokens && self.chains == other.chains
    }

    /// Whether nothing but the input before matters where a repetition has just ended.
    pub(super) const fn takes_echoes(&self) -> bool {
        self.level.is_lazy()
    }

    /// Returns the position at which this window may slide early.
    pub(super) const fn edge(&self) -> u64 {
        self.base + EDGE as u64
    }

    /// Takes some of the data, which is not empty, and returns how much. Nothing when the search was stopped or is in doubt.
    pub(super) fn advance(&mut self, data: &[u8], blocks: &mut BlockWriter, watch: &mut Watch) -> usize {
        if self.chains.end == WINDOW {
            self.run(blocks, watch, false);
            if watch.stopped || self.doubt == Doubt::Open {
                return 0;
            }
            self.chains.slide();
            self.index -= FARTHEST;
            self.base += FARTHEST as u64;
            self.block = self.block.and_then(|block| block.checked_sub(FARTHEST));
            self.doubt = Doubt::None;
        }
        self.chains.fill(data)
    }

    /// Deals with all that there is.
    pub(super) fn finish(&mut self, blocks: &mut BlockWriter, watch: &mut Watch) {
        self.run(blocks, watch, true);
        if watch.stopped {
            return;
        }
        if self.waiting.byte {
            self.waiting.byte = false;
            self.tokens.push(Token::literal(self.chains.byte(self.index - 1)));
        }
        if !self.tokens.is_empty() {
            self.write_block(blocks);
        }
    }

    fn run(&mut self, blocks: &mut BlockWriter, watch: &mut Watch, last: bool) {
        self.catch_up();
        let end = if last {
            self.chains.end
        } else if self.early.binary_search(&self.edge()).is_ok() {
            EDGE
        } else {
            EDGE + 1
        };
        let Some(mut echoes) = self.echoes.take() else { return self.search(end, last, blocks, watch) };
        loop {
            if echoes.is_under_way() {
                self.echo(&mut echoes, end, blocks, watch);
            }
            if echoes.is_under_way() || self.index >= end || watch.stopped {
                break;
            }
            let position = self.base + self.index as u64;
            let next = echoes.next_from(position);
            if next == position && self.waiting == Waiting::NOTHING {
                echoes.begin();
                continue;
            }
            // what stands where the next one begins but is in another state than it needs passes it with the next step
            let next = usize::try_from(next.max(position + 1) - self.base).unwrap_or(usize::MAX);
            self.search(end.min(next), last, blocks, watch);
            if self.doubt == Doubt::Open {
                break;
            }
        }
        self.echoes = Some(echoes);
    }

    /// Goes on to `end`, or a little further, by looking for repetitions.
    fn search(&mut self, end: usize, last: bool, blocks: &mut BlockWriter, watch: &mut Watch) {
        if self.level.is_lazy() {
            self.chains.insert_from(self.index);
        }
        while self.index < end && !watch.stopped {
            if self.index == EDGE && !last && self.doubt == Doubt::None {
                self.doubt = if self.is_doubtful() { Doubt::Open } else { Doubt::Settled };
                if self.doubt == Doubt::Open {
                    return;
                }
            }
            if self.level.is_lazy() {
                self.lazy();
            } else {
                self.greedy();
            }
            if self.tokens.len() == MOST_TOKENS {
                self.write_block(blocks);
                watch.block_ended(self.base + self.index as u64, || self.checkpoint(blocks));
            }
        }
    }

    /// Goes on to `end`, or a little further, with tokens that are known: of a level that is lazy.
    ///
    /// The search is a step further when it writes a token, at the byte behind its first. Here that byte alone is minded.
    fn echo(&mut self, echoes: &mut Echoes, end: usize, blocks: &mut BlockWriter, watch: &mut Watch) {
        while self.index + 1 < end && !watch.stopped {
            let Some(token) = echoes.next() else { return };
            self.tokens.push(token);
            self.index += token.length();
            if self.tokens.len() == MOST_TOKENS {
                self.write_block(blocks);
                let ahead = u64::from(token.repeated().is_none());
                watch.block_ended(self.base + self.index as u64 + ahead, || self.checkpoint(blocks));
            }
        }
    }

    /// Writes a repetition as soon as there is one.
    #[inline]
    fn greedy(&mut self) {
        self.chains.insert(self.index);
        let Some((length, distance)) = self.longest(0, SHORTEST - 1) else {
            self.tokens.push(Token::literal(self.chains.byte(self.index)));
            self.index += 1;
            return;
        };
        self.tokens.push(Token::repetition(length, distance));
        if length <= self.effort.insert {
            for at in self.index + 1..self.index + length {
                self.chains.insert(at);
            }
        }
        self.index += length;
    }

    /// Writes a repetition when the one that begins a byte later is no longer.
    #[inline]
    fn lazy(&mut self) {
        let waiting = self.waiting;
        let found = if waiting.length < self.effort.enough { self.longest(0, waiting.length) } else { None };
        let (length, distance) = found.unwrap_or((SHORTEST - 1, 0));
        if waiting.length >= SHORTEST && length <= waiting.length {
            self.tokens.push(Token::repetition(waiting.length, waiting.distance));
            self.index += waiting.length - 1;
            self.waiting = Waiting::NOTHING;
        } else {
            if waiting.byte {
                self.tokens.push(Token::literal(self.chains.byte(self.index - 1)));
            }
            self.index += 1;
            self.waiting = Waiting { byte: true, length, distance };
        }
    }

    /// Looks for a repetition of the next bytes, down to `lowest`, that is longer than `least`.
    #[inline]
    fn longest(&self, lowest: usize, least: usize) -> Option<(usize, usize)> {
        let ahead = self.chains.end - self.index;
        // near the end of all input: nothing that can be found is longer than what is waiting
        if ahead <= self.waiting.length {
            return None;
        }
        let wanted = Wanted { at: self.index, lowest, ahead, least };
        self.chains.longest(&wanted, &self.effort)
    }

    /// Whether it matters at [`EDGE`] that the window slides before: then a little less of it can be looked at, and a block
    /// that began in what slides away cannot be stored any more.
    fn is_doubtful(&mut self) -> bool {
        let lost = self.tokens.len() + 1 == MOST_TOKENS && self.block.is_some_and(|block| block < FARTHEST);
        let searched = !self.level.is_lazy() || self.waiting.length < self.effort.enough;
        if !self.level.is_lazy() {
            self.chains.insert(self.index);
        }
        lost || searched && self.longest(0, SHORTEST - 1) != self.longest(FARTHEST, SHORTEST - 1)
    }

    fn write_block(&mut self, blocks: &mut BlockWriter) {
        let end = self.index - usize::from(self.waiting.byte);
        let input = self.block.map(|begin| self.chains.bytes(begin..end));
        blocks.shortest(&self.tokens, input);
        blocks.bits.settle();
        self.block = Some(end);
        self.tokens.clear();
    }

    fn checkpoint(&self, blocks: &BlockWriter) -> Checkpoint {
        let found = (self.waiting.length >= SHORTEST).then_some((self.waiting.length, self.waiting.distance));
        let findable = self.level.skips().then(|| {
            let mut findable = Findable::none();
            self.chains.each(self.index, |at| findable.mark(self.index - at));
            findable.done()
        });
        Checkpoint {
            position: self.base + self.index as u64,
            bits: blocks.bits.position(),
            partial: blocks.bits.partial(),
            window: self.base,
            waiting: self.waiting.byte,
            found: found.map(|(length, distance)| (length as u16, distance as u16)),
            findable,
        }
    }

    /// Puts into chains what they held at the checkpoint.
    fn catch_up(&mut self) {
        let Some(missing) = self.missing.take() else { return };
        if let Some(marks) = &missing.findable {
            for distance in Findable::distances(marks).filter(|distance| *distance <= self.index - missing.from) {
                self.chains.insert(self.index - distance);
            }
        }
        // a checkpoint that was tampered with may promise more bytes than there are: what it yields is wrong in any case
        if self.waiting.length > self.chains.end - self.index + 1 {
            self.waiting = Waiting { byte: self.waiting.byte, ..Waiting::NOTHING };
        }
    }
}
