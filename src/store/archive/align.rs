//! Where content may begin in an archive: anywhere, or at multiples of so many bytes, so that a file system which shares
//! blocks clones it into the archive and out of it.
//!
//! The multiple is a number that somebody says, not what a file system has for its blocks: the same input gives the same
//! archive everywhere, and it is read on another machine than the one it was written on.

use crate::tar::encode::SHORTEST_FILLER;
use crate::tar::header::BLOCK;

/// A number of bytes, at the multiples of which content begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alignment(u64);

impl Alignment {
    /// The smallest one: the smallest blocks that a file system has which shares them (xfs).
    pub const LEAST: u64 = 1 << 10;
    /// The largest one: what is between two pieces of content is one extended header, and some readers take 1 MiB of that.
    pub const MOST: u64 = 512 << 10;
    /// What the blocks of nearly all file systems fit: 4 KiB.
    pub const USUAL: Self = Self(4 << 10);

    /// Takes a power of two from [`Self::LEAST`] to [`Self::MOST`]; none for any other number.
    #[must_use]
    pub const fn new(bytes: u64) -> Option<Self> {
        match bytes {
            Self::LEAST..=Self::MOST if bytes.is_power_of_two() => Some(Self(bytes)),
            _ => None,
        }
    }

    /// Returns it in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Returns how many bytes bring what would stand at `at` to a multiple: none, or as many as a tar can pass over.
    pub(super) const fn filler(self, at: u64) -> u64 {
        let gap = (self.0 - at % self.0) % self.0;
        match gap {
            BLOCK.. if gap < SHORTEST_FILLER => gap + self.0,
            _ => gap,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_of_two_within_bounds_is_taken() {
        for (bytes, is_taken) in [
            (0, false),
            (1, false),
            (512, false),
            (1024, true),
            (4096, true),
            (4097, false),
            (6144, false),
            (512 << 10, true),
            (1 << 20, false),
            (u64::MAX, false),
        ] {
            assert_eq!(Alignment::new(bytes).map(Alignment::bytes), is_taken.then_some(bytes));
        }
    }

    #[test]
    fn every_place_comes_to_a_multiple_by_a_filler_that_can_be_written() {
        for bytes in [1 << 10, 4 << 10, 512 << 10] {
            let alignment = Alignment::new(bytes).unwrap();
            for at in (0..3 * bytes).step_by(512) {
                let filler = alignment.filler(at);
                assert_eq!((at + filler) % bytes, 0, "{at} to {bytes}");
                assert!(filler == 0 || (1024..bytes + 1024).contains(&filler), "{at} to {bytes}: {filler}");
            }
        }
    }
}
