//! Where the same four bytes stood before: chains of positions, the latest first.

use super::level::Effort;
use super::token::{FARTHEST, LONGEST, SHORTEST};

/// How many bits a hash has.
const HASH_BITS: u32 = 17;
/// What hashes are multiplied with, a number with well mixed bits.
pub(super) const MIX: u32 = 0x1e35_a7bd;
/// How much the window holds.
pub(super) const WINDOW: usize = 2 * FARTHEST;
/// How much room there is for it: more than is ever used, so that no remainder of a position lies outside.
const ROOM: usize = 2 * WINDOW + 8;
/// What is said of a position whose chain ends with it: farther than any other is before it.
const NOWHERE: u16 = u16::MAX;

/// The window with its chains. Positions count from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chains {
    /// The bytes, up to `end`.
    window: Box<[u8; ROOM]>,
    pub(super) end: usize,
    /// For each hash one more than the latest position; zero if there is none in the window. Small, because they are read all
    /// over the place: a quarter of a MiB stays in a cache.
    heads: Box<[u16; 1 << HASH_BITS]>,
    /// For each position how far before it the previous one with its hash is.
    back: Box<[u16; WINDOW]>,
    /// Behind the last position that is remembered.
    known: usize,
}

/// What is looked for: a repetition of what stands at a position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) at: usize,
    /// No position before this one.
    pub(super) lowest: usize,
    /// How many bytes, four or more, are there to compare.
    pub(super) ahead: usize,
    /// It has to be longer than this: three or more.
    pub(super) least: usize,
}

impl Chains {
    pub(super) fn new() -> Self {
        Self {
            window: Box::new([0; ROOM]),
            end: 0,
            heads: Box::new([0; 1 << HASH_BITS]),
            back: Box::new([NOWHERE; WINDOW]),
            known: 0,
        }
    }

    /// Puts bytes that came before `at` where they stood.
    pub(super) fn restore(&mut self, history: &[u8], at: usize) {
        self.window[at - history.len()..at].copy_from_slice(history);
        self.end = at;
        self.known = at - history.len();
    }

    /// Takes as much as there is room for, and returns how much that was.
    pub(super) fn fill(&mut self, data: &[u8]) -> usize {
        let count = data.len().min(WINDOW - self.end);
        self.window[self.end..self.end + count].copy_from_slice(&data[..count]);
        self.end += count;
        count
    }

    /// Forgets the first half of the window.
    pub(super) fn slide(&mut self) {
        self.window.copy_within(FARTHEST..WINDOW, 0);
        self.back.copy_within(FARTHEST.., 0);
        self.end -= FARTHEST;
        self.known = self.known.saturating_sub(FARTHEST);
        for head in self.heads.iter_mut() {
            *head = head.saturating_sub(FARTHEST as u16);
        }
    }

    #[inline]
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.window[at]
    }

    pub(super) fn bytes(&self, range: std::ops::Range<usize>) -> &[u8] {
        &self.window[range]
    }

    #[inline]
    fn back(&self, at: usize) -> usize {
        usize::from(self.back[at % WINDOW])
    }

    /// Remembers a position, if it has four bytes and neither it nor a later one is remembered yet.
    #[inline]
    pub(super) fn insert(&mut self, at: usize) {
        if at >= self.known && at + SHORTEST <= self.end {
            self.remember(at);
            self.known = at + 1;
        }
    }

    /// Remembers all positions that have four bytes and are not remembered yet; those alone that can be found from `at` on.
    pub(super) fn insert_from(&mut self, at: usize) {
        let end = (self.end + 1).saturating_sub(SHORTEST);
        self.known = self.known.max(at.saturating_sub(FARTHEST));
        for at in self.known..end {
            self.remember(at);
        }
        self.known = self.known.max(end);
    }

    #[inline]
    fn remember(&mut self, at: usize) {
        let head = &mut self.heads[hash(load(&self.window, at))];
        // four bytes that lie in the window begin three before its end: it fits
        let before = usize::from(std::mem::replace(head, at as u16 + 1));
        let distance = at + 1 - before;
        self.back[at % WINDOW] = if distance <= FARTHEST && before > 0 { distance as u16 } else { NOWHERE };
    }

    /// Looks for the longest repetition of what stands at a position that is remembered, from the nearest on backwards: of those
    /// that are as long the nearest counts. Returns length and distance.
    #[inline]
    pub(super) fn longest(&self, wanted: &Wanted, effort: &Effort) -> Option<(usize, usize)> {
        let lowest = wanted.lowest.max(wanted.at.saturating_sub(FARTHEST));
        // most bytes are the first of no repetition
        if wanted.at < lowest + self.back(wanted.at) {
            None
        } else {
            self.search(&Wanted { lowest, ..*wanted }, effort)
        }
    }

    fn search(&self, wanted: &Wanted, effort: &Effort) -> Option<(usize, usize)> {
        let Wanted { at, lowest, ahead, least } = *wanted;
        let most = ahead.min(LONGEST);
        let nice = effort.nice.min(most);
        let (mut length, mut found) = (least, None);
        if effort.is_lazy && length >= SHORTEST && !self.may_stand(at, length, at, lowest, effort.filter) {
            return None;
        }
        let mut tail = load(&self.window, at + length + 1 - SHORTEST);
        let mut candidate = at;
        for _ in 0..effort.tries {
            let back = self.back(candidate);
            if candidate < lowest + back {
                break;
            }
            candidate -= back;
            // what is longer agrees in its last four bytes, too
            if load(&self.window, candidate + length + 1 - SHORTEST) == tail {
                let same = self.common(candidate, at, most);
                let distance = at - candidate;
                if same > length && is_worth_it(same, distance) {
                    (length, found) = (same, Some((same, distance)));
                    if same >= nice || effort.is_lazy && !self.may_stand(at, length, candidate, lowest, effort.filter) {
                        break;
                    }
                    tail = load(&self.window, at + length + 1 - SHORTEST);
                }
            }
        }
        found
    }

    /// Whether something longer than `length` may stand between `lowest` and `before`, where all positions are remembered, also those
    /// that are ahead. Its last bytes are rarer than its first, and in the chain of another position, which mostly ends soon.
    #[inline]
    fn may_stand(&self, at: usize, length: usize, before: usize, lowest: usize, tries: u32) -> bool {
        let offset = length + 1 - SHORTEST;
        let (here, tail) = (load(&self.window, at), load(&self.window, at + offset));
        let (lowest, before) = (lowest + offset, before + offset);
        let mut other = at + offset;
        for _ in 0..tries {
            let back = self.back(other);
            if other < lowest + back {
                return false;
            }
            other -= back;
            if load(&self.window, other) == tail && load(&self.window, other - offset) == here && other < before {
                return true;
            }
        }
        true
    }

    /// Returns how many bytes two positions have in common, at most so many.
    #[inline]
    fn common(&self, one: usize, other: usize, most: usize) -> usize {
        let mut same = 0;
        while same < most {
            let differ = load8(&self.window, one + same) ^ load8(&self.window, other + same);
            if differ != 0 {
                return most.min(same + (differ.trailing_zeros() / 8) as usize);
            }
            same += 8;
        }
        most
    }

    /// Calls `found` with all positions that are in chains and at most [`FARTHEST`] before `at`.
    pub(super) fn each(&self, at: usize, mut found: impl FnMut(usize)) {
        let lowest = at.saturating_sub(FARTHEST);
        for head in self.heads.iter() {
            let Some(mut candidate) = head.checked_sub(1).map(usize::from) else { continue };
            while candidate >= lowest {
                found(candidate);
                let back = self.back(candidate);
                if candidate < back {
                    break;
                }
                candidate -= back;
            }
        }
    }
}

/// Whether a repetition is taken: four bytes alone are not worth a long way.
#[inline]
const fn is_worth_it(length: usize, distance: usize) -> bool {
    const FARTHEST_OF_FOUR: usize = 4096;
    length > SHORTEST || length == SHORTEST && distance <= FARTHEST_OF_FOUR
}

/// Returns the hash of four bytes.
#[inline]
const fn hash(four: u32) -> usize {
    (four.swap_bytes().wrapping_mul(MIX) >> (32 - HASH_BITS)) as usize
}

/// Returns four bytes as a number.
#[inline]
fn load(bytes: &[u8; ROOM], at: usize) -> u32 {
    bytes[at % (2 * WINDOW)..].first_chunk().map_or(0, |four| u32::from_le_bytes(*four))
}

/// Returns eight bytes as a number.
#[inline]
fn load8(bytes: &[u8; ROOM], at: usize) -> u64 {
    bytes[at % (2 * WINDOW)..].first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight))
}

/// Returns how many bytes two texts have in common at their beginnings.
#[inline]
pub(super) fn common(one: &[u8], other: &[u8]) -> usize {
    let most = one.len().min(other.len());
    let (mut one, mut other) = (&one[..most], &other[..most]);
    let mut same = 0;
    while let (Some((a, one_rest)), Some((b, other_rest))) = (one.split_first_chunk(), other.split_first_chunk()) {
        let differ = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differ != 0 {
            return same + (differ.trailing_zeros() / 8) as usize;
        }
        same += 8;
        (one, other) = (one_rest, other_rest);
    }
    same + one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::super::level::Level;
    use super::*;

    /// The same as [`Chains::longest`], without chains: all places are looked at that have the hash.
    fn searched(text: &[u8], wanted: &Wanted, effort: &Effort) -> Option<(usize, usize)> {
        let four = |at: usize| hash(u32::from_le_bytes(*text[at..].first_chunk().unwrap()));
        let most = wanted.ahead.min(LONGEST);
        let lowest = wanted.lowest.max(wanted.at.saturating_sub(FARTHEST));
        let places = (lowest..wanted.at).rev().filter(|at| four(*at) == four(wanted.at)).take(effort.tries);
        let (mut length, mut found) = (SHORTEST - 1, None);
        for place in places {
            let same = (0..most).take_while(|at| text[place + at] == text[wanted.at + at]).count();
            let distance = wanted.at - place;
            if same > length && (same > 4 || distance <= 4096) {
                (length, found) = (same, Some((same, distance)));
                if same >= effort.nice.min(most) {
                    break;
                }
            }
        }
        found.filter(|(length, _)| *length > wanted.least)
    }

    #[test]
    fn what_is_found_is_what_stands_there() {
        let mut state = 1_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for letters in [1, 2, 3, 20, 200] {
            let mut text: Vec<u8> = Vec::new();
            while text.len() < WINDOW {
                match random(3) {
                    // what stood before once more, also what has just begun
                    0 if !text.is_empty() => {
                        let from = text.len() - 1 - random((text.len() as u64).min(40_000)) as usize;
                        (0..random(100) as usize).for_each(|at| text.push(text[from + at]));
                    }
                    _ => (0..random(60)).for_each(|_| text.push(random(letters) as u8)),
                }
            }
            text.truncate(WINDOW);
            let mut chains = Chains::new();
            assert_eq!(chains.fill(&text), WINDOW);
            chains.insert_from(0);
            for level in [4, 5, 6, 9] {
                let effort = Level::new(level).unwrap().effort();
                for _ in 0..200 {
                    let at = random((WINDOW - 300) as u64) as usize;
                    let least = [3, 3, 4, 5, 9, 15][random(6) as usize];
                    let lowest = if random(4) == 0 { random(at as u64 + 1) as usize } else { 0 };
                    let ahead = if random(4) == 0 { 16 + random(300) as usize } else { WINDOW - at };
                    let wanted = Wanted { at, lowest, ahead: ahead.min(WINDOW - at), least };
                    assert_eq!(chains.longest(&wanted, &effort), searched(&text, &wanted, &effort), "{wanted:?}");
                }
            }
        }
    }
}
