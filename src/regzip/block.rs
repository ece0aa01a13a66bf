//! Blocks: which of the three kinds is chosen, and how it is written (RFC 1951, section 3.2.3).

use super::bits::BitWriter;
use super::code::{Code, LONGEST, Word};
use super::token::{DISTANCES, END, LITERALS, Symbol, Token, extra_bits_of_distance, extra_bits_of_length};

/// The most bytes that a stored block holds.
pub(super) const MOST_STORED: usize = 65535;

/// Symbols of the lengths of words: 0 to 15, a repetition, and two runs of zeros.
const LENGTH_SYMBOLS: usize = 19;
/// The longest word for one of these.
const LONGEST_OF_LENGTHS: usize = 7;
/// The order in which the lengths of their words are written.
pub(super) const LENGTH_ORDER: [usize; LENGTH_SYMBOLS] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const REPEAT: u8 = 16;
const ZEROS: u8 = 17;
const MANY_ZEROS: u8 = 18;

/// Writes blocks, one after the other.
#[derive(Clone, Debug)]
pub(super) struct BlockWriter {
    pub(super) bits: BitWriter,
    literals: Counted<LITERALS>,
    distances: Counted<DISTANCES>,
}

/// Symbols, how often they occur in a block, and the code that fits.
#[derive(Clone, Debug)]
struct Counted<const N: usize> {
    frequencies: [u32; N],
    code: Code<N>,
}

impl<const N: usize> Counted<N> {
    const fn new() -> Self {
        Self { frequencies: [0; N], code: Code::new() }
    }

    fn fit(&mut self) {
        self.code.fit(&self.frequencies, LONGEST);
    }

    /// Returns how many symbols there are up to the last one that occurs.
    fn used(&self) -> usize {
        self.frequencies.iter().rposition(|&frequency| frequency > 0).map_or(0, |last| last + 1)
    }

    fn cost(&self) -> usize {
        self.code.cost(&self.frequencies)
    }
}

/// What stands before a block with codes of its own: the lengths of their words, which have a code, too.
#[derive(Debug)]
pub(super) struct Header {
    literals: usize,
    distances: usize,
    /// Symbols of lengths with the bits that follow each.
    lengths: Vec<(u8, u8)>,
    code: Code<LENGTH_SYMBOLS>,
    /// How many lengths of [`LENGTH_ORDER`] are written.
    ordered: usize,
    /// How many bits it takes.
    pub(super) cost: usize,
}

impl BlockWriter {
    pub(super) const fn new(bits: BitWriter) -> Self {
        Self { bits, literals: Counted::new(), distances: Counted::new() }
    }

    /// Writes a block of these tokens in the shortest way, as levels 2 to 9 do. `input` is what they stand for, if it is still
    /// at hand; without it the block is not stored.
    pub(super) fn shortest(&mut self, tokens: &[Token], input: Option<&[u8]>) {
        self.count(tokens);
        let storable = input.filter(|input| input.len() <= MOST_STORED);
        // The bits that follow words are the same with either code: they count beside stored bytes only.
        let extra = if storable.is_some() { self.extra_bits() } else { 0 };
        let fixed = 3 + FIXED.0.cost(&self.literals.frequencies) + FIXED.1.cost(&self.distances.frequencies) + extra;
        let header = self.header();
        let own = header.cost + self.literals.cost() + self.distances.cost() + extra;
        match storable {
            Some(input) if stored_cost(input) < fixed.min(own) => self.stored(input, false),
            _ if own < fixed => {
                header.write(&mut self.bits, false);
                write_tokens(&mut self.bits, tokens, &self.literals.code, &self.distances.code);
            }
            _ => {
                self.bits.put(0b010, 3);
                write_tokens(&mut self.bits, tokens, &FIXED.0, &FIXED.1);
            }
        }
    }

    /// Writes a block of these tokens with codes of its own, or stored if that is hardly longer: level 1.
    pub(super) fn own_code(&mut self, tokens: &[Token], input: &[u8]) {
        self.count(tokens);
        let header = self.header();
        if is_hardly_shorter(header.cost + self.literals.cost() + self.distances.cost(), input) {
            return self.stored(input, false);
        }
        header.write(&mut self.bits, false);
        write_tokens(&mut self.bits, tokens, &self.literals.code, &self.distances.code);
    }

    /// Writes a block in which every byte stands for itself, or a stored one if that is hardly longer.
    pub(super) fn literals_only(&mut self, input: &[u8]) {
        self.literals.frequencies = [0; LITERALS];
        for byte in input {
            self.literals.frequencies[usize::from(*byte)] += 1;
        }
        self.literals.frequencies[END] = 1;
        self.literals.fit();
        self.no_distance();
        let header = self.header();
        if is_hardly_shorter(header.cost + self.literals.cost() + self.distances.cost(), input) {
            return self.stored(input, false);
        }
        header.write(&mut self.bits, false);
        for byte in input {
            put(&mut self.bits, self.literals.code.words[usize::from(*byte)]);
        }
        put(&mut self.bits, self.literals.code.words[END]);
    }

    /// Writes a stored block of at most [`MOST_STORED`] bytes.
    pub(super) fn stored(&mut self, input: &[u8], last: bool) {
        self.bits.put(u32::from(last), 3);
        self.bits.align();
        let length = input.len() as u16;
        self.bits.put_bytes(&length.to_le_bytes());
        self.bits.put_bytes(&(!length).to_le_bytes());
        self.bits.put_bytes(input);
    }

    fn count(&mut self, tokens: &[Token]) {
        self.literals.frequencies = [0; LITERALS];
        self.distances.frequencies = [0; DISTANCES];
        for token in tokens {
            match token.parts() {
                Ok(byte) => self.literals.frequencies[usize::from(byte)] += 1,
                Err((length, distance)) => {
                    self.literals.frequencies[usize::from(length.symbol)] += 1;
                    self.distances.frequencies[usize::from(distance.symbol)] += 1;
                }
            }
        }
        self.literals.frequencies[END] = 1;
        self.literals.fit();
        if self.distances.used() == 0 {
            self.no_distance();
        } else {
            self.distances.fit();
        }
    }

    /// A code has one symbol at least: without distances the first of them has a word that is never used, and its bit counts.
    fn no_distance(&mut self) {
        self.distances.frequencies = [0; DISTANCES];
        self.distances.frequencies[0] = 1;
        self.distances.fit();
    }

    /// Returns how many bits follow the words of lengths and distances.
    fn extra_bits(&self) -> usize {
        let bits = |frequencies: &[u32], of: fn(usize) -> usize| -> usize {
            frequencies.iter().enumerate().map(|(symbol, &frequency)| frequency as usize * of(symbol)).sum()
        };
        bits(&self.literals.frequencies, extra_bits_of_length)
            + bits(&self.distances.frequencies, extra_bits_of_distance)
    }

    fn header(&self) -> Header {
        let (literals, distances) = (self.literals.used(), self.distances.used());
        Header::of(&self.literals.code.words[..literals], &self.distances.code.words[..distances])
    }
}

impl Header {
    /// Makes the header that announces these words.
    pub(super) fn of(literals: &[Word], distances: &[Word]) -> Self {
        let words = literals.iter().chain(distances);
        let lengths = run_lengths(words.map(|word| word.length));
        Self::with(literals.len(), distances.len(), lengths, |frequencies| {
            let mut code = Code::new();
            code.fit(frequencies, LONGEST_OF_LENGTHS);
            code
        })
    }

    /// The same, where no run goes on from the literals to the distances, and with a code of another kind.
    pub(super) fn in_two_runs(
        literals: &[Word],
        distances: &[Word],
        code: impl FnOnce(&[u32; LENGTH_SYMBOLS]) -> Code<LENGTH_SYMBOLS>,
    ) -> Self {
        let mut lengths = run_lengths(literals.iter().map(|word| word.length));
        lengths.extend(run_lengths(distances.iter().map(|word| word.length)));
        Self::with(literals.len(), distances.len(), lengths, code)
    }

    fn with(
        literals: usize,
        distances: usize,
        lengths: Vec<(u8, u8)>,
        code: impl FnOnce(&[u32; LENGTH_SYMBOLS]) -> Code<LENGTH_SYMBOLS>,
    ) -> Self {
        let mut frequencies = [0; LENGTH_SYMBOLS];
        for (symbol, _) in &lengths {
            frequencies[usize::from(*symbol)] += 1;
        }
        let code = code(&frequencies);
        let ordered = LENGTH_ORDER.iter().rposition(|&symbol| code.words[symbol].length > 0).map_or(0, |last| last + 1);
        let ordered = ordered.max(4);
        let extra: usize = lengths.iter().map(|(symbol, _)| following(*symbol) as usize).sum();
        let cost = 3 + 5 + 5 + 4 + 3 * ordered + code.cost(&frequencies) + extra;
        Self { literals, distances, lengths, code, ordered, cost }
    }

    pub(super) fn write(&self, bits: &mut BitWriter, last: bool) {
        bits.put(0b100 | u32::from(last), 3);
        bits.put(self.literals as u32 - 257, 5);
        bits.put(self.distances as u32 - 1, 5);
        bits.put(self.ordered as u32 - 4, 4);
        for &symbol in &LENGTH_ORDER[..self.ordered] {
            bits.put(u32::from(self.code.words[symbol].length), 3);
        }
        for &(symbol, extra) in &self.lengths {
            put(bits, self.code.words[usize::from(symbol)]);
            bits.put(u32::from(extra), following(symbol));
        }
    }
}

/// Returns how many bits a stored block of this takes, wherever in a byte it begins.
fn stored_cost(input: &[u8]) -> usize {
    (input.len() + 5) * 8
}

/// Whether a block of `cost` bits is not shorter than a stored one by a seventeenth.
fn is_hardly_shorter(cost: usize, input: &[u8]) -> bool {
    input.len() <= MOST_STORED && stored_cost(input) < cost + (cost >> 4)
}

/// Returns how many bits follow a symbol of a length.
const fn following(symbol: u8) -> u32 {
    match symbol {
        REPEAT => 2,
        ZEROS => 3,
        MANY_ZEROS => 7,
        _ => 0,
    }
}

/// Shortens runs of equal lengths (RFC 1951, section 3.2.7): each as long as possible, first come first.
fn run_lengths(lengths: impl Iterator<Item = u8>) -> Vec<(u8, u8)> {
    let mut lengths = lengths.peekable();
    let mut out = Vec::with_capacity(LITERALS + DISTANCES);
    while let Some(length) = lengths.next() {
        let mut count = 1;
        while lengths.next_if_eq(&length).is_some() {
            count += 1;
        }
        let runs: &[(u8, usize, usize)] =
            if length == 0 { &[(MANY_ZEROS, 11, 138), (ZEROS, 3, 10)] } else { &[(REPEAT, 3, 6)] };
        if length > 0 {
            // what is repeated stands there once
            out.push((length, 0));
            count -= 1;
        }
        for &(symbol, least, most) in runs {
            while count >= least {
                let now = count.min(most);
                out.push((symbol, (now - least) as u8));
                count -= now;
            }
        }
        out.extend(std::iter::repeat_n((length, 0), count));
    }
    out
}

/// Writes tokens with a code, and the end of the block.
pub(super) fn write_tokens(
    bits: &mut BitWriter,
    tokens: &[Token],
    literals: &Code<LITERALS>,
    distances: &Code<DISTANCES>,
) {
    write_open_tokens(bits, tokens, literals, distances);
    put(bits, literals.words[END]);
}

/// Writes tokens with a code, and leaves the block open.
pub(super) fn write_open_tokens(
    bits: &mut BitWriter,
    tokens: &[Token],
    literals: &Code<LITERALS>,
    distances: &Code<DISTANCES>,
) {
    let with = |word: Word, symbol: Symbol| {
        (u64::from(word.bits) | u64::from(symbol.extra) << word.length, u32::from(word.length + symbol.extra_bits))
    };
    bits.put_each(tokens.iter().map(|token| match token.parts() {
        Ok(byte) => {
            let word = literals.words[usize::from(byte)];
            (u64::from(word.bits), u32::from(word.length))
        }
        Err((length, distance)) => {
            let (value, count) = with(literals.words[usize::from(length.symbol)], length);
            let (farther, more) = with(distances.words[usize::from(distance.symbol)], distance);
            (value | farther << count, count + more)
        }
    }));
}

#[inline]
fn put(bits: &mut BitWriter, word: Word) {
    bits.put(u32::from(word.bits), u32::from(word.length));
}

/// The codes that need no header (RFC 1951, section 3.2.6).
pub(super) static FIXED: (Code<LITERALS>, Code<DISTANCES>) = {
    let mut literals = Code::new();
    let mut symbol = 0;
    while symbol < LITERALS {
        let (bits, length) = match symbol {
            0..144 => (0b0011_0000 + symbol, 8),
            144..256 => (0b1_1001_0000 + symbol - 144, 9),
            256..280 => (symbol - 256, 7),
            _ => (0b1100_0000 + symbol - 280, 8),
        };
        literals.words[symbol] = Word { bits: (bits as u16).reverse_bits() >> (16 - length), length };
        symbol += 1;
    }
    let mut distances = Code::new();
    let mut symbol = 0;
    while symbol < DISTANCES {
        distances.words[symbol] = Word { bits: (symbol as u16).reverse_bits() >> 11, length: 5 };
        symbol += 1;
    }
    (literals, distances)
};
