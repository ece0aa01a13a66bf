//! Levels 5 and 6: a table for four bytes, and one for seven that knows two places for each hash.

use super::fast::{FAR, Run, hash4, hash7, repetition};
use super::search::Search;
use crate::regzip::token::{LONGEST, Token};

const BITS: u32 = 15;
/// So many bytes may differ at the beginning where a repetition is looked for by its end.
const SKIPPED: i32 = 2;
/// Level 5 does not look by the end of a repetition of this length.
const ENOUGH: i32 = 30;

/// A repetition: where, where the same stood before, and its length: zero if it was not measured.
#[derive(Clone, Copy, Debug)]
struct Found {
    at: i32,
    before: i32,
    length: i32,
}

impl Search {
    pub(super) fn level5(&mut self, run: Run, tokens: &mut Vec<Token>) {
        let (mut written, mut at) = (run.begin, run.begin);
        let mut eight = self.kept.eight(at);
        while let Some((found, next)) = self.next_repetition::<6>(at, eight, written, run.last, None) {
            let mut found = self.measured(found);
            if found.length < ENOUGH && found.at + found.length < run.last {
                self.take_longer_by_end(&mut found, false);
            }
            self.write(tokens, &mut found, &mut written);
            at = if next >= written { next + 1 } else { written };
            if at >= run.last {
                break;
            }
            self.remember_inside(at - found.length + 1, at - 1);
            let x = self.kept.eight(at - 1);
            self.remember(x, at - 1);
            eight = x >> 8;
        }
        self.kept.rest(tokens, written);
    }

    pub(super) fn level6(&mut self, run: Run, tokens: &mut Vec<Token>) {
        let (mut written, mut at) = (run.begin, run.begin);
        let mut eight = self.kept.eight(at);
        let mut repeated = 1;
        while let Some((found, next)) = self.next_repetition::<7>(at, eight, written, run.last, Some(repeated)) {
            let mut found = self.measured(found);
            if found.at + found.length < run.last {
                self.take_longer_by_end(&mut found, true);
            }
            self.write(tokens, &mut found, &mut written);
            repeated = found.at - found.before;
            at = if next >= written { next + 1 } else { written };
            if at >= run.last {
                for inside in (next + 1..self.kept.bytes.len() as i32 - 8).step_by(2) {
                    self.remember(self.kept.eight(inside), inside);
                }
                break;
            }
            for inside in (next + 1..at - 1).step_by(2) {
                let x = self.kept.eight(inside);
                self.remember(x, inside);
                self.remember_long(hash7(x >> 8, BITS), self.kept.now + inside + 1);
            }
            eight = self.kept.eight(at);
        }
        self.kept.rest(tokens, written);
    }

    /// Looks for the next repetition, and returns it with the position behind the one that was looked at last. `eight` are
    /// the bytes at `at`. The more often nothing repeats, the more is skipped. `repeated` is the last distance, if it counts.
    #[inline]
    fn next_repetition<const PATIENCE: u32>(
        &mut self,
        mut at: i32,
        mut eight: u64,
        written: i32,
        last: i32,
        repeated: Option<i32>,
    ) -> Option<(Found, i32)> {
        let now = self.kept.now;
        loop {
            let next = at + 1 + ((at - written) >> PATIENCE);
            if next > last {
                return None;
            }
            let (short, long) = (hash4(eight, BITS), hash7(eight, BITS));
            let (four, pair) = (self.short[short], self.long[long]);
            self.short[short] = now + at;
            self.remember_long(long, now + at);
            let after = self.kept.eight(next);
            let (short, long) = (hash4(after, BITS), hash7(after, BITS));

            let (before, older) = (pair.last - now, pair.before - now);
            if at - before < FAR {
                if eight as u32 == self.kept.four(before) {
                    self.short[short] = now + next;
                    self.remember_long(long, now + next);
                    if self.stands(at, older, eight) {
                        let length = 4 + self.kept.same_after_four(at + 4, before + 4);
                        let other = 4 + self.kept.same_after_four(at + 4, older + 4);
                        let (before, length) = if other > length { (older, other) } else { (before, length) };
                        return Some((Found { at, before, length }, next));
                    }
                    return Some((Found { at, before, length: 0 }, next));
                }
                if self.stands(at, older, eight) {
                    self.short[short] = now + next;
                    self.remember_long(long, now + next);
                    return Some((Found { at, before: older, length: 0 }, next));
                }
            }
            let before = four - now;
            if self.stands(at, before, eight) {
                let length = 4 + self.kept.same_after_four(at + 4, before + 4);
                let pair = self.long[long];
                self.short[short] = now + next;
                self.remember_long(long, now + next);
                let mut found = Found { at, before, length };
                if let Some(distance) = repeated {
                    let other = at + 1 - distance;
                    if self.kept.four(other) == (eight >> 8) as u32 {
                        let length = 4 + self.kept.same_after_four(at + 5, other + 4);
                        if length > found.length {
                            return Some((Found { at: at + 1, before: other, length }, next));
                        }
                    }
                }
                let recent = pair.last - now;
                if next - recent < FAR {
                    for other in [recent, pair.before - now] {
                        if !self.stands(next, other, after) {
                            continue;
                        }
                        let length = 4 + self.kept.same_after_four(next + 4, other + 4);
                        if length > found.length {
                            found = Found { at: next, before: other, length };
                            // level 6 goes on to the older one
                            if repeated.is_none() {
                                break;
                            }
                        }
                    }
                }
                return Some((found, next));
            }
            (at, eight) = (next, after);
        }
    }

    /// Measures a repetition to its end.
    #[inline]
    fn measured(&self, found: Found) -> Found {
        let Found { at, before, length } = found;
        let length = match length {
            0 => 4 + self.kept.same(at + 4, before + 4),
            _ if length == LONGEST as i32 => length + self.kept.same(at + length, before + length),
            _ => length,
        };
        Found { length, ..found }
    }

    /// Looks at what stands at the end of a repetition, and whether one that ends there is longer.
    #[inline]
    fn take_longer_by_end(&self, found: &mut Found, older_too: bool) {
        let pair = self.long[hash7(self.kept.eight(found.at + found.length), BITS)];
        let at = found.at + SKIPPED;
        let mut look = |position: i32| {
            let before = position - self.kept.now - found.length + SKIPPED;
            let distance = at - before;
            if before >= 0 && (1..FAR).contains(&distance) {
                let length = self.kept.same(at, before);
                if length > found.length {
                    *found = Found { at, before, length };
                }
            }
            distance
        };
        if look(pair.last) < FAR && older_too {
            look(pair.before);
        }
    }

    #[inline]
    fn write(&self, tokens: &mut Vec<Token>, found: &mut Found, written: &mut i32) {
        self.kept.extend_back(&mut found.at, &mut found.before, &mut found.length, *written);
        self.kept.literals(tokens, *written, found.at);
        repetition(tokens, found.length, found.at - found.before);
        *written = found.at + found.length;
    }

    /// Remembers about two of three positions inside of a repetition: level 5.
    #[inline]
    fn remember_inside(&mut self, from: i32, to: i32) {
        if from >= to {
            return;
        }
        let now = self.kept.now;
        let x = self.kept.eight(from);
        self.remember(x, from);
        self.remember_long(hash7(x >> 8, BITS), now + from + 1);
        self.short[hash4(x >> 16, BITS)] = now + from + 2;
        for at in (from + 4..to).step_by(3) {
            let x = self.kept.eight(at);
            self.remember_long(hash7(x, BITS), now + at);
            self.short[hash4(x >> 8, BITS)] = now + at + 1;
        }
    }

    /// Remembers a place, at which these bytes stand, in both tables.
    #[inline]
    fn remember(&mut self, eight: u64, at: i32) {
        let position = self.kept.now + at;
        self.short[hash4(eight, BITS)] = position;
        self.remember_long(hash7(eight, BITS), position);
    }
}
