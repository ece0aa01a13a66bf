//! Codes from the other side: symbols, found by their words (RFC 1951, section 3.2.2).

use super::code::LONGEST;
use super::read::ReadError;

/// So many bits of a word are looked up at once; few words are longer.
const FAST_BITS: u32 = 10;
/// The most symbols of any code that may stand in a header, also those that mean nothing.
pub(super) const SYMBOLS: usize = 288;

/// The lengths of the words of the fixed code (section 3.2.6).
pub(super) fn fixed_lengths() -> [u8; SYMBOLS] {
    let mut lengths = [8; SYMBOLS];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    lengths
}

/// A code, to find symbols by their words (section 3.2.2).
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    /// By the next bits a symbol and the length of its word in the lowest four; 0 where the word is longer or there is none.
    fast: Box<[u16; 1 << FAST_BITS]>,
    /// How many words there are of each length.
    counts: [u16; LONGEST + 1],
    /// Symbols in the order of their words.
    symbols: [u16; SYMBOLS],
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { fast: Box::new([0; 1 << FAST_BITS]), counts: [0; LONGEST + 1], symbols: [0; SYMBOLS] }
    }

    /// Takes the lengths of the words of all symbols, zero for those that have none.
    pub(super) fn fit(&mut self, lengths: &[u8]) -> Result<(), ReadError> {
        self.counts = [0; LONGEST + 1];
        for length in lengths {
            self.counts[usize::from(*length)] += 1;
        }
        self.counts[0] = 0;
        let (mut words, mut places) = ([0_u32; LONGEST + 2], [0_usize; LONGEST + 2]);
        for length in 1..=LONGEST {
            let count = self.counts[length];
            words[length + 1] = (words[length] + u32::from(count)) << 1;
            places[length + 1] = places[length] + usize::from(count);
            if words[length] + u32::from(count) > 1 << length {
                return Err(ReadError::Wrong("a code with more words than there can be"));
            }
        }
        self.fast.fill(0);
        for (symbol, length) in (0_u16..).zip(lengths) {
            let (bits, length) = (u32::from(*length), usize::from(*length));
            if length == 0 {
                continue;
            }
            self.symbols[places[length]] = symbol;
            places[length] += 1;
            let word = words[length];
            words[length] += 1;
            if bits <= FAST_BITS {
                let first = word.reverse_bits() >> (32 - bits);
                for place in (first as usize..1 << FAST_BITS).step_by(1 << bits) {
                    self.fast[place] = symbol << 4 | length as u16;
                }
            }
        }
        Ok(())
    }

    /// Returns the symbol whose word comes next, and in the lowest four bits how long that is.
    #[inline]
    pub(super) fn symbol(&self, held: u64) -> Option<u16> {
        match self.fast[(held & ((1 << FAST_BITS) - 1)) as usize] {
            0 => self.long(held),
            found => Some(found),
        }
    }

    fn long(&self, held: u64) -> Option<u16> {
        let (mut word, mut first, mut place) = (0, 0, 0);
        for length in 1..=LONGEST {
            word |= (held >> (length - 1) & 1) as u32;
            let count = u32::from(self.counts[length]);
            if word < first + count {
                let symbol = self.symbols[(place + word - first) as usize];
                return Some(symbol << 4 | length as u16);
            }
            place += count;
            first = (first + count) << 1;
            word <<= 1;
        }
        None
    }
}
