//! The levels, and what each of them tries.

/// A level of Go's `compress/flate`: -2 to 9, where -1 is another name of 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Level(i8);

impl Level {
    /// No compression at all: 0.
    pub const STORE: Self = Self(0);
    /// A search of its own that skips what does not repeat: 1. Most tools that say "fast" mean it.
    pub const FASTEST: Self = Self(1);
    /// What Go does when nothing was said: 6.
    pub const USUAL: Self = Self(6);
    /// The longest search: 9.
    pub const BEST: Self = Self(9);
    /// No search, only a code for the bytes: -2.
    pub const HUFFMAN: Self = Self(-2);

    /// Makes a level of its number. None for a number that is no level.
    #[must_use]
    pub const fn new(number: i8) -> Option<Self> {
        match number {
            -1 => Some(Self::USUAL),
            -2..=9 => Some(Self(number)),
            _ => None,
        }
    }

    /// Returns its number: never -1.
    #[must_use]
    pub const fn number(self) -> i8 {
        self.0
    }

    /// Whether a repetition is only written when the next byte begins no longer one.
    pub(super) const fn is_lazy(self) -> bool {
        self.0 >= 4
    }

    /// Whether some positions inside of repetitions are not remembered.
    pub(super) const fn skips(self) -> bool {
        matches!(self.0, 1..=3)
    }

    /// Returns what is tried at levels 2 to 9.
    pub(super) const fn effort(self) -> Effort {
        let (enough, nice, tries, insert) = match self.0 {
            ..=2 => (0, 16, 8, 5),
            3 => (0, 32, 32, 6),
            4 => (4, 16, 16, usize::MAX),
            5 => (16, 32, 32, usize::MAX),
            6 => (16, 128, 128, usize::MAX),
            7 => (32, 128, 256, usize::MAX),
            8 => (128, 258, 1024, usize::MAX),
            9.. => (258, 258, 4096, usize::MAX),
        };
        let filter = if tries < 128 { 8 } else { tries as u32 / 16 };
        Effort { enough, nice, tries, insert, is_lazy: self.is_lazy(), filter }
    }
}

/// How hard repetitions are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// With a repetition of this length no longer one is looked for at the next byte. Zero: never.
    pub(super) enough: usize,
    /// With a repetition of this length the search ends.
    pub(super) nice: usize,
    /// How many places are tried.
    pub(super) tries: usize,
    /// The longest repetition of which every position is remembered, and not the first alone.
    pub(super) insert: usize,
    /// Whether a repetition is only written when the next byte begins no longer one; then every position is remembered.
    pub(super) is_lazy: bool,
    /// How many places are looked at to find out whether it is worth while to try at all.
    pub(super) filter: u32,
}
