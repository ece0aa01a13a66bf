//! What the search for repetitions yields, and the symbols that stand for it (RFC 1951, section 3.2.5).

/// A byte that stands for itself, or a repetition of what was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u32);

/// The shortest repetition that has a symbol. The search looks for none below [`SHORTEST`].
const BASE_LENGTH: u32 = 3;
/// The shortest repetition that is looked for.
pub(super) const SHORTEST: usize = 4;
/// The longest repetition that has a symbol.
pub(super) const LONGEST: usize = 258;
/// How far back a repetition may lie.
pub(super) const FARTHEST: usize = 32768;
/// The symbol at the end of a block.
pub(super) const END: usize = 256;
/// Symbols of bytes, of the end, and of lengths.
pub(super) const LITERALS: usize = 286;
/// Symbols of distances.
pub(super) const DISTANCES: usize = 30;

const MATCH: u32 = 1 << 31;

/// A symbol with the bits that follow its word.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Symbol {
    pub(super) symbol: u16,
    pub(super) extra_bits: u8,
    pub(super) extra: u16,
}

impl Token {
    #[inline]
    pub(super) const fn literal(byte: u8) -> Self {
        Self(byte as u32)
    }

    /// Makes the token of `length` bytes that stand `distance` bytes before, too.
    #[inline]
    pub(super) const fn repetition(length: usize, distance: usize) -> Self {
        Self(MATCH | (length as u32 - BASE_LENGTH) << 15 | (distance as u32 - 1))
    }

    /// Returns how many bytes it stands for.
    #[inline]
    pub(super) const fn length(self) -> usize {
        match self.repeated() {
            Some((length, _)) => length,
            None => 1,
        }
    }

    /// Returns length and distance of a repetition.
    #[inline]
    pub(crate) const fn repeated(self) -> Option<(usize, usize)> {
        if self.0 & MATCH == 0 {
            return None;
        }
        Some((((self.0 >> 15 & 0xff) + BASE_LENGTH) as usize, (self.0 & 0x7fff) as usize + 1))
    }

    /// Returns the length that a symbol above [`END`] and the bits that follow it stand for.
    #[inline]
    pub(super) const fn length_of(symbol: usize, extra: u32) -> usize {
        let at = symbol - END - 1;
        let above = match at {
            0..8 => at as u32,
            28 => 255,
            _ => ((4 + at as u32 % 4) << extra_bits_of_length(symbol)) + extra,
        };
        (above + BASE_LENGTH) as usize
    }

    /// Returns the distance that a symbol and the bits that follow it stand for.
    #[inline]
    pub(super) const fn distance_of(symbol: usize, extra: u32) -> usize {
        let above = match symbol {
            0..4 => symbol as u32,
            _ => ((2 + symbol as u32 % 2) << extra_bits_of_distance(symbol)) + extra,
        };
        above as usize + 1
    }

    /// Returns the byte that stands for itself; of a repetition the symbols of its length and distance.
    #[inline]
    pub(super) fn parts(self) -> Result<u8, (Symbol, Symbol)> {
        if self.0 & MATCH == 0 {
            return Ok(self.0 as u8);
        }
        Err((LENGTHS[(self.0 >> 15 & 0xff) as usize], distance(self.0 & 0x7fff)))
    }
}

/// The symbols of all lengths, from [`BASE_LENGTH`] on.
static LENGTHS: [Symbol; 256] = {
    let mut all = [Symbol { symbol: 0, extra_bits: 0, extra: 0 }; 256];
    let mut at = 0;
    while at < 256 {
        let above = at as u32;
        // four symbols for each power of two; the longest has its own
        let (symbol, extra_bits) = match above {
            0..8 => (above, 0),
            255 => (28, 0),
            _ => {
                let power = above.ilog2();
                (4 * (power - 1) + (above >> (power - 2) & 3), power - 2)
            }
        };
        let extra = above & ((1 << extra_bits) - 1);
        all[at] = Symbol {
            symbol: END as u16 + 1 + symbol as u16,
            extra_bits: extra_bits as u8,
            extra: if above == 255 { 0 } else { extra as u16 },
        };
        at += 1;
    }
    all
};

/// Returns the symbol of a distance of one more: two for each power of two.
#[inline]
const fn distance(above: u32) -> Symbol {
    if above < 4 {
        return Symbol { symbol: above as u16, extra_bits: 0, extra: 0 };
    }
    let power = above.ilog2();
    let extra_bits = power - 1;
    let symbol = 2 * power + (above >> extra_bits & 1);
    Symbol { symbol: symbol as u16, extra_bits: extra_bits as u8, extra: (above & ((1 << extra_bits) - 1)) as u16 }
}

/// Returns how many bits follow the word of a symbol of [`LITERALS`].
pub(super) const fn extra_bits_of_length(symbol: usize) -> usize {
    match symbol {
        265..285 => (symbol - 261) / 4,
        _ => 0,
    }
}

/// Returns how many bits follow the word of a symbol of [`DISTANCES`].
pub(super) const fn extra_bits_of_distance(symbol: usize) -> usize {
    match symbol {
        0..4 => 0,
        _ => symbol / 2 - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_those_of_the_table() {
        let of = |length, distance| {
            let (length, distance) = Token::repetition(length, distance).parts().unwrap_err();
            [length, distance].map(|it| (it.symbol, it.extra_bits, it.extra))
        };
        assert_eq!(of(3, 1), [(257, 0, 0), (0, 0, 0)]);
        assert_eq!(of(10, 4), [(264, 0, 0), (3, 0, 0)]);
        assert_eq!(of(12, 5), [(265, 1, 1), (4, 1, 0)]);
        assert_eq!(of(13, 6), [(266, 1, 0), (4, 1, 1)]);
        assert_eq!(of(114, 193), [(279, 4, 15), (15, 6, 0)]);
        assert_eq!(of(257, 24576), [(284, 5, 30), (28, 13, 8191)]);
        assert_eq!(of(258, 32768), [(285, 0, 0), (29, 13, 8191)]);
        assert_eq!(Token::literal(200).parts().unwrap(), 200);
    }

    #[test]
    fn a_symbol_and_its_extra_bits_are_what_they_stand_for() {
        for length in BASE_LENGTH as usize..=LONGEST {
            let symbol = LENGTHS[length - BASE_LENGTH as usize];
            assert_eq!(Token::length_of(usize::from(symbol.symbol), u32::from(symbol.extra)), length);
            assert_eq!(extra_bits_of_length(usize::from(symbol.symbol)), usize::from(symbol.extra_bits), "{length}");
        }
        for above in 0..FARTHEST as u32 {
            let symbol = distance(above);
            let found = Token::distance_of(usize::from(symbol.symbol), u32::from(symbol.extra));
            assert_eq!(found, above as usize + 1);
            assert_eq!(Token::repetition(9, found).repeated(), Some((9, found)));
            assert_eq!(extra_bits_of_distance(usize::from(symbol.symbol)), usize::from(symbol.extra_bits), "{above}");
        }
    }
}
