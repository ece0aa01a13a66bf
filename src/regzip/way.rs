//! Which program packed a stream, and how it was told to.

use super::checkpoint::HISTORY;
use super::klauspost::{Headers, TAIL};
use super::level::Level;
use super::token::SHORTEST;
use super::zlib::{PigzBlocks, SHORTEST as SHORTEST_OF_ZLIB, is_lazy};

/// What makes a stream of its content: everything that an [`Encoder`](super::Encoder) has to know before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// Go's `compress/gzip`, 1.19 to 1.26, in one stream.
    Go(Level),
    /// barge itself: see [`pack`](mod@crate::pack).
    Barge {
        /// The level of zlib-rs: 0 to 9.
        level: u8,
        /// The size of the blocks in bytes: 32 KiB to 64 MiB.
        block: u32,
    },
    /// klauspost/compress, also as pgzip uses it.
    Klauspost {
        /// 1 to 6, where 5 is what it does when nothing was said.
        level: u8,
        /// Which of its versions.
        headers: Headers,
        /// The size of pgzip's blocks in bytes, 32 KiB to 64 MiB. None: it is one stream.
        block: Option<u32>,
    },
    /// zlib, in one stream.
    Zlib {
        /// 1 to 9, where 6 is what it does when nothing was said.
        level: u8,
    },
    /// GNU gzip.
    Gzip {
        /// 1 to 9, where 6 is what it does when nothing was said.
        level: u8,
    },
    /// pigz, with zlib.
    Pigz {
        /// 1 to 9, where 6 is what it does when nothing was said.
        level: u8,
        /// The size of the blocks in bytes: 32 KiB to 64 MiB, where 128 KiB is what it does when nothing was said.
        block: u32,
        /// What blocks know of those before them.
        blocks: PigzBlocks,
    },
}

/// What an encoder remembers of the input before, beside the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Memory {
    Nothing,
    /// Places among the last 32 KiB.
    Last {
        /// Whether not all of them can be found.
        skips: bool,
    },
    /// Places in a window that slides.
    Window {
        /// Whether a repetition waits for the next byte.
        lazy: bool,
        skips: bool,
        shortest: usize,
    },
}

const GO: &str = "go1.19";
const BARGE: &str = "barge";
const ZLIB: &str = "zlib";
const GZIP: &str = "gzip";
const PIGZ: &str = "pigz";
const PIGZ_SINGLE: &str = "pigz-single";
const PIGZ_INDEPENDENT: &str = "pigz-independent";
const KLAUSPOST_FULL: &str = "klauspost1.15";
const KLAUSPOST_EXACT: &str = "klauspost1.18.1";
/// The sizes that blocks may have.
const BLOCKS: std::ops::RangeInclusive<u32> = 32 << 10..=64 << 20;

impl From<Level> for Way {
    fn from(level: Level) -> Self {
        Self::Go(level)
    }
}

impl Way {
    /// All names.
    pub const NAMES: [&'static str; 9] =
        [GO, BARGE, ZLIB, GZIP, PIGZ, PIGZ_SINGLE, PIGZ_INDEPENDENT, KLAUSPOST_FULL, KLAUSPOST_EXACT];

    /// Returns the way of a name, a level and a size of blocks, if it has any. None if there is no such way.
    #[must_use]
    pub fn of(name: &str, level: i8, block: Option<u32>) -> Option<Self> {
        let block_holds = block.is_none_or(|block| BLOCKS.contains(&block));
        let number = u8::try_from(level).ok().filter(|level| *level <= 9 && block_holds);
        match (name, block) {
            (GO, None) if level != -1 => Level::new(level).map(Self::Go),
            (BARGE, Some(block)) => Some(Self::Barge { level: number?, block }),
            (ZLIB, None) => number.filter(|level| *level > 0).map(|level| Self::Zlib { level }),
            (GZIP, None) => number.filter(|level| *level > 0).map(|level| Self::Gzip { level }),
            (PIGZ | PIGZ_SINGLE | PIGZ_INDEPENDENT, Some(block)) => {
                let blocks = match name {
                    PIGZ => PigzBlocks::Chained,
                    PIGZ_SINGLE => PigzBlocks::Single,
                    _ => PigzBlocks::Independent,
                };
                number.filter(|level| *level > 0).map(|level| Self::Pigz { level, block, blocks })
            }
            (KLAUSPOST_FULL | KLAUSPOST_EXACT, _) => {
                let headers = if name == KLAUSPOST_FULL { Headers::Full } else { Headers::Exact };
                let level = number.filter(|level| (1..=6).contains(level))?;
                Some(Self::Klauspost { level, headers, block })
            }
            _ => None,
        }
    }

    /// Returns the name of the program, with the first version that packs so: one of [`Way::NAMES`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Go(_) => GO,
            Self::Barge { .. } => BARGE,
            Self::Zlib { .. } => ZLIB,
            Self::Gzip { .. } => GZIP,
            Self::Pigz { blocks: PigzBlocks::Chained, .. } => PIGZ,
            Self::Pigz { blocks: PigzBlocks::Single, .. } => PIGZ_SINGLE,
            Self::Pigz { blocks: PigzBlocks::Independent, .. } => PIGZ_INDEPENDENT,
            Self::Klauspost { headers: Headers::Full, .. } => KLAUSPOST_FULL,
            Self::Klauspost { headers: Headers::Exact, .. } => KLAUSPOST_EXACT,
        }
    }

    /// Returns its level, as the program counts them.
    #[must_use]
    pub const fn level(self) -> i8 {
        match self {
            Self::Go(level) => level.number(),
            Self::Barge { level, .. }
            | Self::Klauspost { level, .. }
            | Self::Zlib { level }
            | Self::Gzip { level }
            | Self::Pigz { level, .. } => level as i8,
        }
    }

    /// Returns the size of the blocks, in bytes, that each end with a whole byte. None: it is one stream.
    #[must_use]
    pub const fn block(self) -> Option<u32> {
        match self {
            Self::Go(_) | Self::Zlib { .. } | Self::Gzip { .. } => None,
            Self::Barge { block, .. } | Self::Pigz { block, .. } => Some(block),
            Self::Klauspost { block, .. } => block,
        }
    }

    /// Returns how much of the block before a block knows, in bytes.
    pub(super) const fn known_before(self) -> usize {
        match self {
            Self::Klauspost { .. } => TAIL,
            Self::Pigz { blocks: PigzBlocks::Independent, .. } => 0,
            _ => HISTORY,
        }
    }

    /// Whether its encoder takes the tokens of another stream: [`Encoder::echoing`](super::Encoder::echoing).
    #[must_use]
    pub const fn takes_echoes(self) -> bool {
        matches!(self, Self::Go(level) if level.is_lazy())
    }

    /// Returns what an encoder remembers at the end of a block, if it can go on there at all and is not one that begins anew with every
    /// block.
    pub(super) const fn memory(self) -> Option<Memory> {
        match self {
            Self::Go(Level::STORE | Level::HUFFMAN) => Some(Memory::Nothing),
            Self::Go(Level::FASTEST) => Some(Memory::Last { skips: true }),
            Self::Go(level) => Some(Memory::Window { lazy: level.is_lazy(), skips: level.skips(), shortest: SHORTEST }),
            Self::Zlib { level } | Self::Gzip { level } | Self::Pigz { level, blocks: PigzBlocks::Single, .. } => {
                let lazy = is_lazy(level);
                Some(Memory::Window { lazy, skips: !lazy, shortest: SHORTEST_OF_ZLIB })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_comes_back_by_its_name() {
        for (name, level, block) in [
            ("go1.19", 6, None),
            ("go1.19", -2, None),
            ("barge", 5, Some(512 << 10)),
            ("zlib", 9, None),
            ("gzip", 6, None),
            ("pigz", 6, Some(128 << 10)),
            ("pigz-single", 1, Some(32 << 10)),
            ("pigz-independent", 9, Some(1 << 20)),
            ("klauspost1.15", 5, Some(1 << 20)),
            ("klauspost1.15", 6, None),
            ("klauspost1.15", 1, Some(1 << 20)),
            ("klauspost1.18.1", 5, Some(256 << 10)),
        ] {
            let way = Way::of(name, level, block).unwrap();
            assert_eq!((way.name(), way.level(), way.block()), (name, level, block));
            assert!(Way::NAMES.contains(&name));
        }
    }

    #[test]
    fn what_is_no_way_is_none() {
        for (name, level, block) in [
            ("go1.19", -1, None),
            ("go1.19", 10, None),
            ("go1.19", 6, Some(1 << 20)),
            ("barge", 5, None),
            ("barge", 10, Some(1 << 20)),
            ("barge", 5, Some(1)),
            ("klauspost1.15", 5, Some(u32::MAX)),
            ("klauspost1.15", -1, None),
            ("klauspost1.15", 0, None),
            ("klauspost1.18.1", 7, None),
            ("zlib", 0, None),
            ("gzip", 0, None),
            ("gzip", 6, Some(128 << 10)),
            ("pigz", 6, None),
            ("pigz", 11, Some(128 << 10)),
            ("pigz-single", 0, Some(128 << 10)),
            ("zip", 6, None),
        ] {
            assert_eq!(Way::of(name, level, block), None, "{name} {level} {block:?}");
        }
    }
}
