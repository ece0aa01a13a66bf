//! The search of zlib: chains of places where the same three bytes stood.

use crate::regzip::bits::BitWriter;
use crate::regzip::chain::common;
use crate::regzip::token::{FARTHEST, LONGEST, Token};

/// The shortest repetition.
const SHORTEST: usize = 3;
/// With fewer bytes ahead than this the search waits for more.
const AHEAD: usize = LONGEST + SHORTEST + 1;
/// How far back a repetition may lie.
const FAR: usize = FARTHEST - AHEAD;
/// Three bytes alone are not worth a longer way than this.
const FAR_OF_THREE: usize = 4096;
/// The most tokens of a block.
const MOST_TOKENS: usize = (1 << 14) - 1;
const HASH_BITS: u32 = 15;
/// So much of what was read is kept behind the place where the search is, at least.
const KEPT: usize = 2 * FARTHEST + AHEAD;
/// So much is read before what is behind is let go.
const ROOM: usize = 8 * FARTHEST;

/// How hard is looked.
#[derive(Clone, Copy, Debug)]
struct Effort {
    good: usize,
    lazy: usize,
    nice: usize,
    tries: usize,
}

#[derive(Clone, Debug)]
pub(in crate::regzip) struct Zlib {
    effort: Effort,
    is_lazy: bool,
    bytes: Vec<u8>,
    /// The position in the input of the first of them.
    begin: usize,
    /// The position of the search, in the input.
    at: usize,
    /// Where the block began.
    block: usize,
    /// Where zlib's window begins.
    window: usize,
    /// The latest place of each hash: zero for none. The first place in the input is not found.
    heads: Box<[u32]>,
    /// For each place the one before with its hash.
    back: Box<[u32]>,
    tokens: Vec<Token>,
    /// Whether the byte before is not written yet, and the repetition that begins with it.
    waiting: bool,
    length: usize,
    found: usize,
}

impl Zlib {
    pub(in crate::regzip) fn new(level: u8) -> Self {
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
            effort: Effort { good, lazy, nice, tries },
            is_lazy: level > 3,
            bytes: Vec::new(),
            begin: 0,
            at: 0,
            block: 0,
            window: 0,
            heads: vec![0; 1 << HASH_BITS].into_boxed_slice(),
            back: vec![0; FARTHEST].into_boxed_slice(),
            tokens: Vec::with_capacity(MOST_TOKENS),
            waiting: false,
            length: SHORTEST - 1,
            found: 0,
        }
    }

    /// Takes some of the data, and returns how much.
    pub(in crate::regzip) fn advance(&mut self, data: &[u8], bits: &mut BitWriter) -> usize {
        if self.bytes.len() >= ROOM {
            let gone = (self.at - self.begin).saturating_sub(KEPT);
            self.bytes.drain(..gone);
            self.begin += gone;
        }
        let count = data.len().min(ROOM.saturating_sub(self.bytes.len()).max(FARTHEST));
        self.bytes.extend_from_slice(&data[..count]);
        self.run(bits, false);
        count
    }

    /// Deals with all that there is, and ends the stream.
    pub(in crate::regzip) fn finish(&mut self, bits: &mut BitWriter) {
        self.run(bits, true);
        if self.waiting {
            self.tokens.push(Token::literal(self.byte(self.at - 1)));
        }
        self.write_block(bits, true);
    }

    const fn end(&self) -> usize {
        self.begin + self.bytes.len()
    }

    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.bytes[at - self.begin]
    }

    fn run(&mut self, bits: &mut BitWriter, last: bool) {
        loop {
            let ahead = self.end() - self.at;
            if ahead == 0 || ahead < AHEAD && !last {
                return;
            }
            if self.at - self.window > 2 * FARTHEST - AHEAD {
                self.window += FARTHEST;
            }
            if self.is_lazy {
                self.lazy(ahead, bits);
            } else {
                self.greedy(ahead);
            }
            if self.tokens.len() == MOST_TOKENS {
                self.write_block(bits, false);
            }
        }
    }

    #[inline]
    fn greedy(&mut self, ahead: usize) {
        let before = self.insert(self.at, ahead);
        let length = before.map_or(0, |before| self.longest(before, SHORTEST - 1, ahead));
        if length < SHORTEST {
            self.tokens.push(Token::literal(self.byte(self.at)));
            self.at += 1;
            return;
        }
        self.tokens.push(Token::repetition(length, self.at - self.found));
        let rest = ahead - length;
        if length <= self.effort.lazy && rest >= SHORTEST {
            for at in self.at + 1..self.at + length {
                self.insert(at, SHORTEST);
            }
        }
        self.at += length;
    }

    #[inline]
    fn lazy(&mut self, ahead: usize, bits: &mut BitWriter) {
        let before = self.insert(self.at, ahead);
        let (last_length, last_found) = (self.length, self.found);
        self.length = SHORTEST - 1;
        if let Some(before) = before.filter(|_| last_length < self.effort.lazy) {
            self.length = self.longest(before, last_length, ahead);
            if self.length == SHORTEST && self.at - self.found > FAR_OF_THREE {
                self.length = SHORTEST - 1;
            }
        }
        if last_length >= SHORTEST && self.length <= last_length {
            self.tokens.push(Token::repetition(last_length, self.at - 1 - last_found));
            let next = self.at + last_length - 1;
            for at in self.at + 1..next {
                self.insert(at, SHORTEST);
            }
            self.at = next;
            self.waiting = false;
            self.length = SHORTEST - 1;
        } else if self.waiting {
            self.tokens.push(Token::literal(self.byte(self.at - 1)));
            if self.tokens.len() == MOST_TOKENS {
                self.write_block(bits, false);
            }
            self.at += 1;
        } else {
            self.waiting = true;
            self.at += 1;
        }
    }

    /// Remembers a place with three bytes, and returns the one before with the same hash, if it is near enough.
    #[inline]
    fn insert(&mut self, at: usize, ahead: usize) -> Option<usize> {
        if ahead < SHORTEST {
            return None;
        }
        let three = self.bytes.get(at - self.begin..)?.first_chunk::<SHORTEST>()?.map(usize::from);
        let hash = (three[0] << 10 ^ three[1] << 5 ^ three[2]) & ((1 << HASH_BITS) - 1);
        let head = std::mem::replace(&mut self.heads[hash], at as u32);
        self.back[at % FARTHEST] = head;
        self.near(head, at)
    }

    /// Returns the place that ends with these 32 bits, if it is near enough.
    #[inline]
    fn near(&self, place: u32, at: usize) -> Option<usize> {
        let distance = (at as u32).wrapping_sub(place) as usize;
        (place != 0 && distance <= FAR && distance > 0).then(|| at - distance)
    }

    /// Looks for a repetition that is longer than `least`, from a place on backwards. Returns its length, and sets `found`; if
    /// there is none, returns `least`, or what is ahead if that is less.
    #[inline]
    fn longest(&mut self, first: usize, least: usize, ahead: usize) -> usize {
        let mut tries = self.effort.tries;
        if least >= self.effort.good {
            tries /= 4;
        }
        let most = ahead.min(LONGEST);
        let nice = self.effort.nice.min(ahead);
        let mut best = least;
        if best >= most {
            return best.min(ahead);
        }
        let bytes = &self.bytes[..self.at - self.begin + most];
        let here = &bytes[self.at - self.begin..];
        let mut candidate = first;
        loop {
            let there = &bytes[candidate - self.begin..];
            if there[best] == here[best] && there[best - 1] == here[best - 1] {
                let same = common(there, here);
                if same > best {
                    (best, self.found) = (same, candidate);
                    if same >= nice || same >= most {
                        break;
                    }
                }
            }
            tries -= 1;
            if tries == 0 {
                break;
            }
            let place = self.back[candidate % FARTHEST];
            let distance = (self.at as u32).wrapping_sub(place) as usize;
            // the farthest that is looked at has to be nearer than the limit, but for the first
            if place == 0 || distance >= FAR || self.at - distance >= candidate {
                break;
            }
            candidate = self.at - distance;
        }
        best.min(ahead)
    }

    fn write_block(&mut self, bits: &mut BitWriter, last: bool) {
        let length = self.at - self.block;
        let input = (self.block >= self.window).then(|| &self.bytes[self.block - self.begin..self.at - self.begin]);
        super::write_block(bits, &self.tokens, input, length, last);
        self.block = self.at;
        self.tokens.clear();
    }
}
