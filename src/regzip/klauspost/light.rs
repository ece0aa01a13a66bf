//! Levels 1 to 4: tables for five bytes, and at level 4 those of the levels above with one place for each hash.

use super::Headers;
use super::fast::{FAR, Run, hash4, hash5, hash7, repetition};
use super::search::{Pair, Search};
use crate::regzip::token::Token;

/// Of the hashes of level 4, and of the one table of level 1.
const BITS: u32 = 15;
/// Of the larger table of level 2.
const MORE_BITS: u32 = 17;
/// Of level 3, whose table knows two places for each hash.
const PAIR_BITS: u32 = 16;
/// Level 3 looks no farther.
const NEARER: i32 = FAR - 4;

impl Search {
    /// How large the tables of a level are.
    pub(super) const fn table_sizes(level: u8) -> (usize, usize) {
        match level {
            1 => (1 << BITS, 0),
            2 => (1 << MORE_BITS, 0),
            3 => (0, 1 << PAIR_BITS),
            _ => (1 << BITS, 1 << BITS),
        }
    }

    pub(super) fn level1(&mut self, run: Run, tokens: &mut Vec<Token>) {
        self.one_table::<BITS>(run, tokens);
    }

    pub(super) fn level2(&mut self, run: Run, tokens: &mut Vec<Token>) {
        self.one_table::<MORE_BITS>(run, tokens);
    }

    fn one_table<const TABLE: u32>(&mut self, run: Run, tokens: &mut Vec<Token>) {
        let is_larger = TABLE == MORE_BITS;
        let now = self.kept.now;
        let (mut written, mut at) = (run.begin, run.begin);
        let mut eight = self.kept.eight(at);
        loop {
            let (mut next, mut before);
            loop {
                let hash = hash5(eight, TABLE);
                next = at + 2 + ((at - written) >> 5);
                if next > run.last {
                    return self.kept.rest(tokens, written);
                }
                let after = self.kept.eight(next);
                before = std::mem::replace(&mut self.short[hash], now + at) - now;
                let hash = hash5(after, TABLE);
                if self.stands(at, before, eight) {
                    self.short[hash] = now + next;
                    break;
                }
                // the next place at once
                (eight, at, next) = (after, next, next + 1);
                before = std::mem::replace(&mut self.short[hash], now + at) - now;
                if self.stands(at, before, eight) {
                    if !is_larger {
                        self.short[hash] = now + next;
                    }
                    break;
                }
                (eight, at) = (after >> 8, next);
            }
            loop {
                let length = self.write_long(tokens, (at, before), &mut written);
                at = if next >= written { next + 1 } else { written };
                if at >= run.last {
                    if at + length + 8 < self.kept.bytes.len() as i32 {
                        self.short[hash5(self.kept.eight(at), TABLE)] = now + at;
                    }
                    return self.kept.rest(tokens, written);
                }
                if is_larger {
                    for inside in (at - length + 2..at - 5).step_by(7) {
                        let x = self.kept.eight(inside);
                        for more in [0, 2, 4] {
                            self.short[hash5(x >> (8 * more), TABLE)] = now + inside + more;
                        }
                    }
                }
                let x = self.kept.eight(at - 2);
                self.short[hash5(x, TABLE)] = now + at - 2;
                if is_larger {
                    self.short[hash5(x >> 8, TABLE)] = now + at - 1;
                }
                let x = x >> 16;
                before = std::mem::replace(&mut self.short[hash5(x, TABLE)], now + at) - now;
                if at - before > FAR || x as u32 != self.kept.four(before) {
                    eight = x >> 8;
                    at += 1;
                    break;
                }
            }
        }
    }

    pub(super) fn level3(&mut self, run: Run, tokens: &mut Vec<Token>) {
        let now = self.kept.now;
        let (mut written, mut at) = (run.begin, run.begin);
        let mut eight = self.kept.eight(at);
        loop {
            let mut next = at;
            let mut before;
            loop {
                at = next;
                next = at + 1 + ((at - written) >> 7);
                if next > run.last {
                    return self.kept.rest(tokens, written);
                }
                let (pair, after) = (self.remember_five(eight, at), self.kept.eight(next));
                let nearest = now + at - NEARER;
                if pair.last >= nearest {
                    before = pair.last - now;
                    let older = pair.before - now;
                    if eight as u32 == self.kept.four(before) {
                        let both = pair.before >= nearest && eight as u32 == self.kept.four(older);
                        if both && self.kept.same(at + 4, older + 4) > self.kept.same(at + 4, before + 4) {
                            before = older;
                        }
                        break;
                    }
                    if pair.before > nearest && eight as u32 == self.kept.four(older) {
                        before = older;
                        break;
                    }
                }
                eight = after;
            }
            loop {
                let distance = at - before;
                let length = self.write_long(tokens, (at, before), &mut written);
                let behind = written - distance;
                at = if next >= written { next + 1 } else { written };
                if at >= run.last {
                    if behind + 8 < self.kept.bytes.len() as i32 && behind > 0 {
                        self.remember_five(self.kept.eight(behind), behind);
                    }
                    return self.kept.rest(tokens, written);
                }
                for inside in (at - length + 2..at - 5).step_by(6) {
                    self.remember_five(self.kept.eight(inside), inside);
                }
                let x = self.kept.eight(at - 2);
                self.remember_five(x, at - 2);
                self.remember_five(x >> 8, at - 1);
                eight = x >> 16;
                let pair = self.remember_five(eight, at);
                let nearest = now + at - NEARER;
                let is_there = |position: i32| position > nearest && eight as u32 == self.kept.four(position - now);
                before = match pair {
                    Pair { last, .. } if is_there(last) => last - now,
                    Pair { last, before } if last > nearest && is_there(before) => before - now,
                    _ => {
                        eight >>= 8;
                        at += 1;
                        break;
                    }
                };
            }
        }
    }

    pub(super) fn level4(&mut self, run: Run, headers: Headers, tokens: &mut Vec<Token>) {
        let now = self.kept.now;
        let (mut written, mut at) = (run.begin, run.begin);
        let mut eight = self.kept.eight(at);
        loop {
            let mut next = at;
            let mut before;
            loop {
                at = next;
                next = at + 1 + ((at - written) >> 6);
                if next > run.last {
                    return self.kept.rest(tokens, written);
                }
                let (short, long) = (hash4(eight, BITS), hash7(eight, BITS));
                let four = std::mem::replace(&mut self.short[short], now + at) - now;
                before = std::mem::replace(&mut self.long[long].last, now + at) - now;
                let after = self.kept.eight(next);
                if self.stands(at, before, eight) {
                    break;
                }
                before = four;
                if self.stands(at, before, eight) {
                    let other = self.long[hash7(after, BITS)].last - now;
                    if self.stands(next, other, after) {
                        // the later versions take the distance for the place
                        let there = if headers == Headers::Full { other } else { next - other };
                        if self.kept.same(next + 4, there + 4) > self.kept.same(at + 4, before + 4) {
                            (at, before) = (next, other);
                        }
                    }
                    break;
                }
                eight = after;
            }
            self.write_long(tokens, (at, before), &mut written);
            at = if next >= written { next + 1 } else { written };
            if at >= run.last {
                if at + 8 < self.kept.bytes.len() as i32 {
                    self.remember_one(self.kept.eight(at), at);
                }
                return self.kept.rest(tokens, written);
            }
            for inside in (next..at - 1).step_by(3) {
                let x = self.kept.eight(inside);
                self.long[hash7(x, BITS)].last = now + inside;
                self.remember_one(x >> 8, inside + 1);
            }
            let x = self.kept.eight(at - 1);
            self.remember_one(x, at - 1);
            eight = x >> 8;
        }
    }

    /// Writes the literals before a repetition of which four bytes are known, and the repetition, from where to where it goes. Returns its length.
    #[inline]
    fn write_long(&self, tokens: &mut Vec<Token>, (mut at, mut before): (i32, i32), written: &mut i32) -> i32 {
        let mut length = 4 + self.kept.same(at + 4, before + 4);
        self.kept.extend_back(&mut at, &mut before, &mut length, *written);
        self.kept.literals(tokens, *written, at);
        repetition(tokens, length, at - before);
        *written = at + length;
        length
    }

    /// Remembers a place, at which these five bytes stand, and returns the two before it.
    #[inline]
    fn remember_five(&mut self, eight: u64, at: i32) -> Pair {
        let position = self.kept.now + at;
        let pair = &mut self.long[hash5(eight, PAIR_BITS)];
        std::mem::replace(pair, Pair { last: position, before: pair.last })
    }

    /// Remembers a place, at which these bytes stand, in both tables of level 4.
    #[inline]
    fn remember_one(&mut self, eight: u64, at: i32) {
        let position = self.kept.now + at;
        self.short[hash4(eight, BITS)] = position;
        self.long[hash7(eight, BITS)].last = position;
    }
}
