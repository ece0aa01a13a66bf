//! One stream: what zlib makes of input, and GNU gzip, whose deflate came before it and does the same but for a few points.

use super::window::{AHEAD, Effort, FAR, LAST, ROOM, SHORTEST, Window};
use crate::regzip::bits::BitWriter;
use crate::regzip::checkpoint::{Checkpoint, Findable, Watch};
use crate::regzip::token::{FARTHEST, Token, extra_bits_of_distance};

/// Three bytes alone are not worth a longer way than this.
const FAR_OF_THREE: usize = 4096;
/// How many of the last places cannot be remembered before what follows is known.
const SHORT_OF: usize = SHORTEST - 1;

/// Where the two programs part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::regzip) enum Program {
    /// A block has at most 16,383 tokens, and nothing is looked at beyond the end of the input.
    Zlib,
    /// A block has at most 32,767 tokens, and ends earlier where that seems to pay. At the end of the input two zeros follow, and
    /// then what stood 32 KiB before: a repetition that goes on there is shortened, but it has won against others.
    Gzip,
}

impl Program {
    const fn most_tokens(self) -> usize {
        match self {
            Self::Zlib => (1 << 14) - 1,
            Self::Gzip => (1 << 15) - 1,
        }
    }
}

/// Whether a repetition waits for a longer one at the next place.
pub(in crate::regzip) const fn is_lazy(level: u8) -> bool {
    level > 3
}

#[derive(Clone, Debug)]
pub(in crate::regzip) struct Stream {
    program: Program,
    level: u8,
    effort: Effort,
    window: Window,
    /// Where in the input the window begins: everything that follows is counted from there.
    base: u64,
    /// The place of the search.
    at: usize,
    /// Where the input ends that is there.
    end: usize,
    /// How far bytes are there to be remembered: usually to `end`.
    known: usize,
    /// Where in the input the block began.
    block: u64,
    tokens: Vec<Token>,
    /// GNU gzip: how many of the tokens were looked at, the repetitions among them, and bits of their distances.
    looked_at: (usize, usize, usize),
    /// Whether the byte before is not written yet, and the repetition that begins with it.
    waiting: bool,
    length: usize,
    distance: usize,
    /// Whether a block has just ended.
    ended: bool,
    /// Which of the last two places before `at` are to be remembered once it is known what follows: the last one in the lowest bit.
    pending: u8,
}

impl Stream {
    pub(in crate::regzip) fn new(program: Program, level: u8) -> Self {
        let (good, lazy, nice, tries) = match level {
            ..=1 => (4, 4, 8, 4),
            2 => (4, 5, 16, 8),
            3 => (4, 6, 32, 32),
            4 => (4, 4, 16, 16),
            5 => (8, 16, 32, 32),
            6 => (8, 16, 128, 128),
            7 => (8, 32, 128, 256),
            8 => (32, 128, 258, 1024),
            9.. => (32, 258, 258, 4096),
        };
        Self {
            program,
            level,
            effort: Effort { good, lazy, nice, tries },
            window: Window::new(),
            base: 0,
            at: 0,
            end: 0,
            known: 0,
            block: 0,
            tokens: Vec::with_capacity(program.most_tokens()),
            looked_at: (0, 0, 0),
            waiting: false,
            length: SHORT_OF,
            distance: 0,
            ended: false,
            pending: 0,
        }
    }

    /// Begins anew, with what stood before.
    pub(super) fn restart(&mut self, before: &[u8]) {
        self.window.forget();
        let from = Checkpoint { position: before.len() as u64, ..Checkpoint::start() };
        self.go_on(&from, before);
    }

    /// Goes on at a checkpoint that was checked.
    pub(in crate::regzip) fn resume(mut self, from: &Checkpoint, history: &[u8]) -> Self {
        self.go_on(from, history);
        self
    }

    fn go_on(&mut self, from: &Checkpoint, history: &[u8]) {
        let at = ((from.position - from.window) as usize).min(ROOM);
        let begin = at - history.len();
        self.window.bytes[begin..at].copy_from_slice(history);
        if from.window > 0 && at >= FARTHEST {
            // what slid is still there, too
            self.window.bytes.copy_within(at - FARTHEST..FARTHEST, at);
        }
        (self.base, self.at, self.end, self.known) = (from.window, at, at, at);
        self.block = from.position - u64::from(from.waiting);
        self.waiting = from.waiting;
        (self.length, self.distance) =
            from.found.map_or((SHORT_OF, 0), |(length, distance)| (length.into(), distance.into()));
        self.pending = 0;
        let mut remember = |distance: usize| match distance {
            1 | 2 => self.pending |= 1 << (distance - 1),
            _ => drop(self.window.insert(at - distance)),
        };
        match &from.findable {
            Some(marks) => Findable::distances(marks).filter(|it| *it <= history.len()).for_each(&mut remember),
            None => (1..=history.len()).rev().for_each(&mut remember),
        }
    }

    /// Takes some of the data, which is not empty, and returns how much.
    pub(in crate::regzip) fn advance(&mut self, data: &[u8], bits: &mut BitWriter, watch: &mut Watch) -> usize {
        if self.at > LAST {
            self.slide();
        }
        let count = data.len().min(ROOM - self.end);
        self.window.bytes[self.end..self.end + count].copy_from_slice(&data[..count]);
        self.end += count;
        self.know(self.end);
        self.run(bits, watch, false);
        count
    }

    /// Deals with all that there is, and ends the stream.
    pub(in crate::regzip) fn finish(&mut self, bits: &mut BitWriter, watch: &mut Watch) {
        if self.program == Program::Gzip {
            self.see_end();
        }
        self.run(bits, watch, true);
        if !watch.stopped {
            self.last_literal();
            self.write_block(bits, true);
        }
    }

    /// Deals with all that there is, and ends the block.
    pub(super) fn flush(&mut self, bits: &mut BitWriter, watch: &mut Watch) {
        self.run(bits, watch, true);
        if watch.stopped {
            return;
        }
        self.last_literal();
        if !self.tokens.is_empty() {
            self.write_block(bits, false);
        }
        self.ended = false;
        self.flushed();
    }

    /// Lets the last two places wait to be remembered, as they do after a flush.
    pub(super) fn flushed(&mut self) {
        self.pending = 0b11 >> SHORT_OF.saturating_sub(self.at);
    }

    fn last_literal(&mut self) {
        if self.waiting {
            self.tokens.push(Token::literal(self.window.bytes[self.at - 1]));
            self.waiting = false;
        }
    }

    /// Puts behind the input what GNU gzip has there.
    fn see_end(&mut self) {
        if self.at >= LAST {
            self.slide();
        }
        if self.base > 0 {
            let from = self.end.max(FARTHEST);
            self.window.bytes.copy_within(from - FARTHEST..FARTHEST, from);
        }
        self.window.bytes[self.end..self.end + SHORT_OF].fill(0);
        self.know(self.end + SHORT_OF);
    }

    /// Remembers what could not be before.
    fn know(&mut self, known: usize) {
        self.known = known;
        for distance in [2, 1] {
            let waits = self.pending >> (distance - 1) & 1 == 1;
            if waits && distance <= self.at && self.at - distance + SHORTEST <= known {
                self.window.insert(self.at - distance);
                self.pending &= !(1 << (distance - 1));
            }
        }
    }

    fn slide(&mut self) {
        self.window.slide();
        self.base += FARTHEST as u64;
        self.at -= FARTHEST;
        self.end -= FARTHEST;
        self.known -= FARTHEST;
    }

    const fn position(&self) -> u64 {
        self.base + self.at as u64
    }

    fn run(&mut self, bits: &mut BitWriter, watch: &mut Watch, all: bool) {
        let lazy = is_lazy(self.level);
        while !watch.stopped {
            let ahead = self.end - self.at;
            if ahead < AHEAD {
                if ahead == 0 || !all {
                    return;
                }
                if self.at >= LAST && self.program == Program::Zlib {
                    self.slide();
                }
            }
            if lazy {
                self.lazy(ahead, bits);
            } else {
                self.greedy(ahead, bits);
            }
            if self.ended {
                self.ended = false;
                // at the end there is nothing to go on with
                if self.end > self.at {
                    watch.block_ended(self.position(), || self.checkpoint(bits));
                }
            }
        }
    }

    pub(super) fn checkpoint(&self, bits: &BitWriter) -> Checkpoint {
        let is_found = self.waiting && self.length >= SHORTEST;
        Checkpoint {
            position: self.position(),
            bits: bits.position(),
            partial: bits.partial(),
            window: self.base,
            waiting: self.waiting,
            found: is_found.then_some((self.length as u16, self.distance as u16)),
            findable: (!is_lazy(self.level)).then(|| self.window.findable(self.at)),
        }
    }

    #[inline]
    fn greedy(&mut self, ahead: usize, bits: &mut BitWriter) {
        let before = self.insert(self.at);
        let length = self.longest(before, SHORT_OF, ahead);
        if length < SHORTEST {
            let literal = Token::literal(self.window.bytes[self.at]);
            let is_full = self.push(literal, self.at);
            self.at += 1;
            if is_full {
                self.write_block(bits, false);
            }
            return;
        }
        let is_full = self.push(Token::repetition(length, self.distance), self.at);
        let next = self.at + length;
        if length <= self.effort.lazy && (self.program == Program::Gzip || next + SHORTEST <= self.end) {
            for at in self.at + 1..next {
                self.insert(at);
            }
        }
        self.at = next;
        if is_full {
            self.write_block(bits, false);
        }
    }

    #[inline]
    fn lazy(&mut self, ahead: usize, bits: &mut BitWriter) {
        let before = self.insert(self.at);
        let (last_length, last_distance) = (self.length, self.distance);
        self.length = SHORT_OF;
        if last_length < self.effort.lazy {
            self.length = self.longest(before, last_length, ahead);
            if self.length == SHORTEST && self.distance > FAR_OF_THREE {
                self.length = SHORT_OF;
            }
        }
        if last_length >= SHORTEST && self.length <= last_length {
            let is_full = self.push(Token::repetition(last_length, last_distance), self.at);
            // one that a checkpoint lies about may be too long
            let next = (self.at + last_length - 1).min(self.end);
            let known = next.min((self.known + 1).saturating_sub(SHORTEST));
            for at in self.at + 1..known {
                self.window.insert(at);
            }
            self.at = next;
            self.waiting = false;
            self.length = SHORT_OF;
            if is_full {
                self.write_block(bits, false);
            }
        } else if self.waiting {
            let literal = Token::literal(self.window.bytes[self.at - 1]);
            if self.push(literal, self.at) {
                self.write_block(bits, false);
            }
            self.at += 1;
        } else {
            self.waiting = true;
            self.at += 1;
        }
    }

    /// Remembers a place, if it is known what stands there, and returns the one before with the same hash: zero if there is none.
    #[inline]
    fn insert(&mut self, at: usize) -> u16 {
        if at + SHORTEST <= self.known { self.window.insert(at) } else { 0 }
    }

    /// Looks for a repetition that is longer than `least`, from a place on backwards, and sets `distance`. Returns its length,
    /// or `least` if there is none; at most what is ahead.
    #[inline]
    fn longest(&mut self, before: u16, least: usize, ahead: usize) -> usize {
        if before == 0 || self.at - usize::from(before) > FAR || self.at > LAST {
            return SHORT_OF;
        }
        let mut effort = self.effort;
        if self.program == Program::Zlib {
            effort.nice = effort.nice.min(ahead);
        }
        match self.window.longest(self.at, before, least, effort) {
            Some((length, found)) => {
                self.distance = self.at - found;
                length.min(ahead)
            }
            None => least.min(ahead),
        }
    }

    /// Adds a token, and returns whether the block is to end behind it. `at` is where the search stands.
    #[inline(always)]
    fn push(&mut self, token: Token, at: usize) -> bool {
        self.tokens.push(token);
        let count = self.tokens.len();
        match self.program {
            Program::Zlib => count == self.program.most_tokens(),
            Program::Gzip => {
                count == self.program.most_tokens() || count.is_multiple_of(1 << 12) && self.level > 2 && self.pays(at)
            }
        }
    }

    /// Whether it seems to pay to end the block: repetitions are few, and yet it becomes half as long. As TRUNCATE_BLOCK has it
    /// in zlib's trees.c, which looks half as often.
    #[inline(never)] // once for thousands of tokens
    fn pays(&mut self, at: usize) -> bool {
        let (from, mut repetitions, mut bits) = self.looked_at;
        for token in &self.tokens[from..] {
            if let Err((_, distance)) = token.parts() {
                repetitions += 1;
                bits += 5 + extra_bits_of_distance(usize::from(distance.symbol));
            }
        }
        let count = self.tokens.len();
        self.looked_at = (count, repetitions, bits);
        let length = (self.base + at as u64).saturating_sub(self.block);
        repetitions < count / 2 && (((count * 8 + bits) / 8) as u64) < length / 2
    }

    fn write_block(&mut self, bits: &mut BitWriter, last: bool) {
        let position = self.position();
        let length = position.saturating_sub(self.block) as usize;
        let begin = self.block.checked_sub(self.base).map(|begin| begin as usize);
        let input = begin.and_then(|begin| self.window.bytes.get(begin..self.at));
        super::write_block(bits, &self.tokens, input, length, last);
        self.block = position;
        self.tokens.clear();
        self.looked_at = (0, 0, 0);
        self.ended = true;
    }
}
