//! zlib's window, and its chains of places where the same three bytes stood.

use crate::regzip::checkpoint::{Findable, HISTORY};
use crate::regzip::token::{FARTHEST, LONGEST};

/// The shortest repetition.
pub(in crate::regzip) const SHORTEST: usize = 3;
/// With fewer bytes ahead than this the search waits for more.
pub(super) const AHEAD: usize = LONGEST + SHORTEST + 1;
/// How far back a repetition may lie.
pub(super) const FAR: usize = FARTHEST - AHEAD;
/// How many bytes the window holds.
pub(super) const ROOM: usize = 2 * FARTHEST;
/// From a place beyond this one nothing is looked for: the longest repetition would leave the window.
pub(super) const LAST: usize = ROOM - AHEAD;
/// What lies behind the window, so that every place in it has as many bytes as the longest repetition.
const MARGIN: usize = LONGEST + 6;
const HASHES: usize = 1 << 15;

/// How hard is looked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// After a repetition of this length only a quarter of the tries.
    pub(super) good: usize,
    /// A repetition of this length is taken without a look at the next place; at levels 1 to 3, no place within a longer one is
    /// remembered.
    pub(super) lazy: usize,
    /// Enough.
    pub(super) nice: usize,
    pub(super) tries: usize,
}

/// 64 KiB of input. When little is left ahead, the first half goes, and the second takes its place: a copy of it stays
/// where it was until other input comes.
///
/// The first place is never found: its number says that there is none.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) bytes: Box<[u8; ROOM + MARGIN]>,
    /// The latest place of each hash.
    heads: Box<[u16; HASHES]>,
    /// For each place the one before with its hash.
    back: Box<[u16; FARTHEST]>,
}

impl Window {
    pub(super) fn new() -> Self {
        Self { bytes: Box::new([0; ROOM + MARGIN]), heads: Box::new([0; HASHES]), back: Box::new([0; FARTHEST]) }
    }

    /// Forgets all places.
    pub(super) fn forget(&mut self) {
        self.heads.fill(0);
    }

    /// Lets the first half go.
    pub(super) fn slide(&mut self) {
        self.bytes.copy_within(FARTHEST..ROOM, 0);
        // each by itself: the compiler takes many at once
        for places in [&mut self.heads[..], &mut self.back[..]] {
            places.iter_mut().for_each(|place| *place = place.saturating_sub(FARTHEST as u16));
        }
    }

    #[inline]
    fn four(&self, at: u16) -> u32 {
        let at = usize::from(at);
        let four = [self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3]];
        u32::from_le_bytes(four)
    }

    /// Remembers a place, and returns the one before where the hash of three bytes was the same: zero if there is none.
    #[inline]
    pub(super) fn insert(&mut self, at: usize) -> u16 {
        let at = at as u16;
        let three = self.four(at);
        let hash = (three << 10 ^ three >> 8 << 5 & 0x1fe0 ^ three >> 16 & 0xff) as usize % HASHES;
        let before = std::mem::replace(&mut self.heads[hash], at);
        self.back[usize::from(at) % FARTHEST] = before;
        before
    }

    /// Looks for a repetition of what stands at `at`, at most [`LAST`], that is longer than `least`, from a place on backwards.
    /// Returns its length, which may reach beyond what is ahead, and its place. None: there is none.
    #[inline]
    pub(super) fn longest(&self, at: usize, first: u16, least: usize, effort: Effort) -> Option<(usize, usize)> {
        let here = self.bytes[at..].first_chunk::<LONGEST>()?;
        let lowest = at.saturating_sub(FAR) as u16;
        let mut tries = if least >= effort.good { effort.tries / 4 } else { effort.tries };
        let (mut best, mut found) = (least, None);
        // the last four bytes of a repetition that would be longer, or all three of the shortest
        let (mut skipped, mut end, three) = tail(here, best);
        let mut mask = if three { 0x00ff_ffff } else { u32::MAX };
        let mut candidate = first;
        loop {
            if (self.four(candidate.wrapping_add(skipped)) ^ end) & mask == 0 {
                let same = self.same(candidate, here);
                if same > best {
                    (best, found) = (same, Some(usize::from(candidate)));
                    if same >= effort.nice || same >= LONGEST {
                        break;
                    }
                    (skipped, end, _) = tail(here, best);
                    mask = u32::MAX;
                }
            }
            candidate = self.back[usize::from(candidate) % FARTHEST];
            tries -= 1;
            // the farthest that is looked at has to be nearer than the limit, but for the first
            if candidate <= lowest || tries == 0 {
                break;
            }
        }
        found.map(|place| (best, place))
    }

    /// Returns how many bytes are the same, up to the longest repetition.
    #[inline]
    fn same(&self, place: u16, here: &[u8; LONGEST]) -> usize {
        let Some(there) = self.bytes[usize::from(place)..].first_chunk::<LONGEST>() else { return 0 };
        let (theirs, ours) = (there.as_chunks::<8>(), here.as_chunks::<8>());
        for (at, (a, b)) in theirs.0.iter().zip(ours.0).enumerate() {
            let differ = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
            if differ != 0 {
                return at * 8 + (differ.trailing_zeros() / 8) as usize;
            }
        }
        LONGEST - theirs.1.len() + theirs.1.iter().zip(ours.1).take_while(|(a, b)| a == b).count()
    }

    /// Returns which places before `at` can be found.
    pub(super) fn findable(&self, at: usize) -> Box<[u8; HISTORY / 8]> {
        let lowest = at.saturating_sub(FARTHEST);
        let mut findable = Findable::none();
        for &head in self.heads.iter() {
            let mut place = usize::from(head);
            while place > lowest && place < at {
                findable.mark(at - place);
                let before = usize::from(self.back[place % FARTHEST]);
                if before >= place {
                    break;
                }
                place = before;
            }
        }
        findable.done()
    }
}

/// Returns where in a repetition, which is to be longer than `least`, its last four bytes stand, what they are, and whether they are one too
/// many.
#[inline]
fn tail(here: &[u8; LONGEST], least: usize) -> (u16, u32, bool) {
    let skipped = least.saturating_sub(SHORTEST);
    let four = here[skipped..].first_chunk().map_or(0, |four| u32::from_le_bytes(*four));
    let three = least < SHORTEST;
    (skipped as u16, if three { four & 0x00ff_ffff } else { four }, three)
}
