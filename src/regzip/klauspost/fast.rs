//! What the searches share: what was read, where it stood, and tokens.

use crate::regzip::chain::common;
use crate::regzip::token::{FARTHEST, LONGEST, Token};

/// How many bytes are kept at most.
const KEPT: usize = super::WINDOW * 5;
/// So many bytes at the end of what there is are not looked at.
const MARGIN: i32 = 11;
/// The shortest repetition.
const SHORTEST: i32 = 3;
/// The farthest, as the searches compare it.
pub(super) const FAR: i32 = FARTHEST as i32;

/// What was read, of which the last 32 KiB at least are kept, and where it begins as the tables count.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) bytes: Vec<u8>,
    /// What the position of the first byte is in the tables.
    pub(super) now: i32,
}

/// Where the search of a piece begins and ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) begin: i32,
    /// No repetition begins from here on.
    pub(super) last: i32,
}

impl Kept {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::with_capacity(KEPT), now: super::WINDOW as i32 }
    }

    pub(super) fn reset(&mut self) {
        self.bytes.clear();
        self.now = super::WINDOW as i32;
    }

    /// Takes a piece. Returns none if it is too short to be searched, and how much less the positions are to be.
    pub(super) fn add(&mut self, piece: &[u8]) -> Option<Run> {
        if self.bytes.len() + piece.len() > KEPT {
            let gone = self.bytes.len() - FARTHEST;
            self.bytes.drain(..gone);
            self.now += gone as i32;
        }
        let begin = self.bytes.len() as i32;
        self.bytes.extend_from_slice(piece);
        (piece.len() as i32 >= MARGIN + 2).then(|| Run { begin, last: self.bytes.len() as i32 - MARGIN })
    }

    /// Whether the positions have to be counted anew, before they leave 32 bits.
    pub(super) const fn is_far(&self) -> bool {
        self.now > 1 << 30
    }

    /// Counts anew: returns how much less every position is.
    pub(super) const fn renew(&mut self) -> i32 {
        let less = self.now - super::WINDOW as i32;
        self.now -= less;
        less
    }

    #[inline]
    pub(super) fn eight(&self, at: i32) -> u64 {
        self.bytes.get(at as usize..).and_then(|rest| rest.first_chunk()).map_or(0, |eight| u64::from_le_bytes(*eight))
    }

    #[inline]
    pub(super) fn four(&self, at: i32) -> u32 {
        self.bytes.get(at as usize..).and_then(|rest| rest.first_chunk()).map_or(0, |four| u32::from_le_bytes(*four))
    }

    /// Returns how many bytes at two places are the same.
    #[inline]
    pub(super) fn same(&self, at: i32, before: i32) -> i32 {
        common(&self.bytes[at as usize..], &self.bytes[before as usize..]) as i32
    }

    /// The same, up to the longest repetition, four bytes of which are known.
    #[inline]
    pub(super) fn same_after_four(&self, at: i32, before: i32) -> i32 {
        let end = self.bytes.len().min(at as usize + LONGEST - 4);
        common(&self.bytes[at as usize..end], &self.bytes[before as usize..]) as i32
    }

    /// Lets a repetition begin earlier, where that can be.
    #[inline]
    pub(super) fn extend_back(&self, at: &mut i32, before: &mut i32, length: &mut i32, written: i32) {
        while *before > 0 && *at > written && self.bytes[*before as usize - 1] == self.bytes[*at as usize - 1] {
            *at -= 1;
            *before -= 1;
            *length += 1;
        }
    }

    #[inline]
    pub(super) fn literals(&self, tokens: &mut Vec<Token>, from: i32, to: i32) {
        tokens.extend(self.bytes[from as usize..to as usize].iter().map(|byte| Token::literal(*byte)));
    }

    /// Writes the rest of a piece. Nothing, when nothing repeats.
    pub(super) fn rest(&self, tokens: &mut Vec<Token>, from: i32) {
        if !tokens.is_empty() && (from as usize) < self.bytes.len() {
            self.literals(tokens, from, self.bytes.len() as i32);
        }
    }
}

/// Writes a repetition that may be longer than the longest.
#[inline]
pub(super) fn repetition(tokens: &mut Vec<Token>, mut length: i32, distance: i32) {
    const MOST: i32 = LONGEST as i32;
    while length > 0 {
        // what is left has to be a repetition, too
        let now = match length {
            ..=MOST => length,
            _ if length > MOST + SHORTEST => MOST,
            _ => MOST - SHORTEST,
        };
        length -= now;
        tokens.push(Token::repetition(now as usize, distance as usize));
    }
}

const fn shifted(eight: u64, bytes: u32) -> u64 {
    eight << (64 - 8 * bytes)
}

#[inline]
pub(super) const fn hash4(eight: u64, bits: u32) -> usize {
    ((eight as u32).wrapping_mul(2_654_435_761) >> (32 - bits)) as usize
}

#[inline]
pub(super) const fn hash5(eight: u64, bits: u32) -> usize {
    (shifted(eight, 5).wrapping_mul(889_523_592_379) >> (64 - bits)) as usize
}

#[inline]
pub(super) const fn hash7(eight: u64, bits: u32) -> usize {
    (shifted(eight, 7).wrapping_mul(58_295_818_150_454_627) >> (64 - bits)) as usize
}
