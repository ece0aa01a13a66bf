//! Where the same four bytes stood before: chains of positions, the latest first.

use super::token::{FARTHEST, LONGEST, SHORTEST};

/// How many bits a hash has.
const HASH_BITS: u32 = 17;
/// What hashes are multiplied with, a number with well mixed bits.
pub(super) const MIX: u32 = 0x1e35_a7bd;
/// How much the window holds.
pub(super) const WINDOW: usize = 2 * FARTHEST;

/// The window with its chains. Positions count from its beginning.
#[derive(Clone, Debug)]
pub(super) struct Chains {
    /// The bytes, up to `end`.
    window: Box<[u8]>,
    pub(super) end: usize,
    /// For each hash one more than the latest position; zero if there is none in the window. Small, because they are read all
    /// over the place: a quarter of a MiB stays in a cache.
    heads: Box<[u16]>,
    /// For each position, modulo [`FARTHEST`], how far before it the previous one with its hash is: zero if nowhere near.
    back: Box<[u16]>,
}

impl Chains {
    pub(super) fn new() -> Self {
        Self {
            window: vec![0; WINDOW].into_boxed_slice(),
            end: 0,
            heads: vec![0; 1 << HASH_BITS].into_boxed_slice(),
            back: vec![0; FARTHEST].into_boxed_slice(),
        }
    }

    /// Puts bytes that came before `at` where they stood.
    pub(super) fn restore(&mut self, history: &[u8], at: usize) {
        self.window[at - history.len()..at].copy_from_slice(history);
        self.end = at;
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
        self.window.copy_within(FARTHEST.., 0);
        self.end -= FARTHEST;
        for head in &mut self.heads {
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

    /// Returns the hash of the four bytes at a position. None when there are not as many.
    #[inline]
    fn hash(&self, at: usize) -> Option<usize> {
        let four = self.window.get(at..self.end)?.first_chunk()?;
        Some((u32::from_be_bytes(*four).wrapping_mul(MIX) >> (32 - HASH_BITS)) as usize)
    }

    /// Returns the latest position with the same hash that [`Chains::insert`] would return.
    pub(super) fn latest(&self, at: usize) -> Option<usize> {
        self.heads[self.hash(at)?].checked_sub(1).map(usize::from)
    }

    /// Remembers a position with four bytes, and returns the one before with the same hash.
    #[inline]
    pub(super) fn insert(&mut self, at: usize) -> Option<usize> {
        let hash = self.hash(at)?;
        let head = &mut self.heads[hash];
        let before = head.checked_sub(1).map(usize::from);
        // four bytes that lie in the window begin three before its end: it fits
        *head = at as u16 + 1;
        let distance = before.map_or(0, |before| at - before);
        self.back[at % FARTHEST] = if distance <= FARTHEST { distance as u16 } else { 0 };
        before
    }

    /// Looks for a repetition at `at` that is longer than three bytes, from the position `first` on backwards, no further than
    /// to `lowest`. Returns length and distance. `ahead` bytes, four or more, are there to compare.
    #[inline]
    pub(super) fn longest(
        &self,
        at: usize,
        first: usize,
        lowest: usize,
        ahead: usize,
        effort: &super::level::Effort,
    ) -> Option<(usize, usize)> {
        /// Four bytes alone are not worth a longer way than this.
        const FARTHEST_OF_FOUR: usize = 4096;
        let most = ahead.min(LONGEST);
        let nice = effort.nice.min(most);
        let lowest = lowest.max(at.saturating_sub(FARTHEST));
        let window = &self.window[..at + most];
        let here = &window[at..];
        let (mut length, mut found) = (SHORTEST - 1, None);
        let mut tail = load(window, at);
        let mut candidate = first;
        for _ in 0..effort.tries {
            // what is longer agrees in its last four bytes, too
            if load(window, candidate + length + 1 - SHORTEST) == tail {
                let same = common(&window[candidate..], here);
                let distance = at - candidate;
                if same > length && (same > SHORTEST || distance <= FARTHEST_OF_FOUR) {
                    (length, found) = (same, Some((same, distance)));
                    if same >= nice {
                        break;
                    }
                    tail = load(window, at + length + 1 - SHORTEST);
                }
            }
            // at the farthest position the place in `back` is that of `at` by now: its distance leads below `lowest`, too
            let back = usize::from(self.back[candidate % FARTHEST]);
            if back == 0 || candidate < lowest + back {
                break;
            }
            candidate -= back;
        }
        found
    }

    /// Calls `found` with all positions that are in chains and at most [`FARTHEST`] before `at`.
    pub(super) fn each(&self, at: usize, mut found: impl FnMut(usize)) {
        let lowest = at.saturating_sub(FARTHEST);
        for head in &self.heads {
            let Some(mut candidate) = head.checked_sub(1).map(usize::from) else { continue };
            while candidate >= lowest {
                found(candidate);
                let back = usize::from(self.back[candidate % FARTHEST]);
                if back == 0 || candidate < back {
                    break;
                }
                candidate -= back;
            }
        }
    }
}

/// Returns four bytes as a number; their order does not matter. Zero past the end.
#[inline]
fn load(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |four| u32::from_le_bytes(*four))
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
