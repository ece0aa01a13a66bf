//! Blocks as klauspost/compress writes them: a code may serve several pieces of input, as long as a new one is not shorter.

use super::Headers;
use crate::regzip::bits::BitWriter;
use crate::regzip::block::{FIXED, Header, MOST_STORED, write_open_tokens, write_tokens};
use crate::regzip::code::{Code, LONGEST, Word};
use crate::regzip::token::{DISTANCES, END, LITERALS, Token, extra_bits_of_distance, extra_bits_of_length};

/// The code without a header is looked at if there are fewer tokens than this.
const FEW: usize = 250;
/// What the header of a code for bytes alone takes, roughly, in bits.
const HEADER_GUESS: usize = 70 * 8;
/// Bytes alone have the symbols up to the end of the block.
const BYTES: usize = END + 1;
/// The most symbols of literals and lengths, and of distances, that a header speaks of.
const ALL: (usize, usize) = (LITERALS, DISTANCES);

/// Writes blocks, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    headers: Headers,
    /// What is added to the estimate for a new code: it, shifted so far.
    penalty: u32,
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
    literal_code: Code<LITERALS>,
    distance_code: Code<DISTANCES>,
    /// A code that is tried, with what a code before left for lengths.
    other_code: Code<LITERALS>,
    /// Of the block that is open, how many bits its header took. Zero: none is open.
    open: usize,
    /// Whether its code is for bytes alone.
    bytes_only: bool,
}

impl Writer {
    pub(super) const fn new(headers: Headers, penalty: u32) -> Self {
        Self {
            headers,
            penalty,
            literals: [0; LITERALS],
            distances: [0; DISTANCES],
            literal_code: Code::new(),
            distance_code: Code::new(),
            other_code: Code::new(),
            open: 0,
            bytes_only: false,
        }
    }

    /// Begins anew.
    pub(super) const fn reset(&mut self) {
        self.open = 0;
        self.bytes_only = false;
    }

    /// Writes the tokens of a piece of input: with the code of the open block, one of their own, the one without a header, or
    /// stored. `last`: the block is not left open.
    pub(super) fn tokens(&mut self, bits: &mut BitWriter, tokens: &[Token], input: &[u8], last: bool) {
        let (fixed_penalty, stored) = (7, stored_cost(input));
        self.count(tokens);
        // an end within the tokens counts as one of them
        let count = tokens.len() + usize::from(last);
        if self.bytes_only && self.open > 0 {
            self.close(bits);
            self.bytes_only = false;
        }
        if self.open > 0 && !self.serves(last) {
            self.close(bits);
        }
        let ends = last || self.headers == Headers::Exact;
        self.literals[END] = u32::from(ends);
        if ends && self.distances.iter().all(|&frequency| frequency == 0) {
            self.distances[0] = 1;
        }
        let extra = if stored.is_some() || self.open > 0 { self.extra_bits() } else { 0 };
        if self.open > 0 {
            let new = self.open + self.estimate(count);
            let new = new + usize::from(self.literal_code.words[END].length) + (new >> self.penalty);
            let again = self.literal_code.cost(&self.literals) + self.distance_code.cost(&self.distances) + extra;
            if new < again {
                self.close(bits);
            }
            let best = new.min(again);
            let fixed = self.fixed_cost(extra) + fixed_penalty;
            let is_stored = |cost| stored.is_some_and(|stored| stored <= cost);
            if count < FEW && fixed < best {
                if is_stored(best) {
                    return self.stored(bits, input);
                }
                return self.fixed(bits, tokens);
            }
            if is_stored(best) {
                return self.stored(bits, input);
            }
        }
        if self.open == 0 {
            self.literals[END] = 1;
            self.literal_code.fit(&self.literals, LONGEST);
            self.distance_code.fit(&self.distances, LONGEST);
            let (literals, distances) = if ends { (used(&self.literals), used(&self.distances)) } else { ALL };
            let header = Header::of(&self.literal_code.words[..literals], &self.distance_code.words[..distances]);
            let own =
                header.cost + self.literal_code.cost(&self.literals) + self.distance_code.cost(&self.distances) + extra;
            let fixed = self.fixed_cost(extra);
            if count < FEW && fixed <= own {
                if stored.is_some_and(|stored| stored <= fixed) {
                    return self.stored(bits, input);
                }
                return self.fixed(bits, tokens);
            }
            if stored.is_some_and(|stored| stored <= own) {
                return self.stored(bits, input);
            }
            header.write(bits, false);
            self.open = header.cost;
            self.bytes_only = false;
        }
        write_open_tokens(bits, tokens, &self.literal_code, &self.distance_code);
        if last {
            self.close(bits);
        }
    }

    /// Writes a piece of input in which every byte stands for itself, or stored if that is hardly longer.
    pub(super) fn bytes(&mut self, bits: &mut BitWriter, input: &[u8], last: bool) {
        self.literals = [0; LITERALS];
        for byte in input {
            self.literals[usize::from(*byte)] += 1;
        }
        let stored = stored_cost(input);
        if stored.is_some() && input.len() > 1024 && is_noise(&self.literals[..END], input.len()) {
            return self.stored(bits, input);
        }
        self.literals[END] = 1;
        let lengths = self.other_code.words[BYTES..].to_vec();
        self.other_code.fit(&self.literals, LONGEST);
        // the words of lengths stay what they were
        self.other_code.words[BYTES..].copy_from_slice(&lengths);
        let new = self.other_code.cost(&self.literals) + if self.open == 0 { HEADER_GUESS } else { self.open };
        let new = new + (new >> self.penalty);
        if stored.is_some_and(|stored| stored <= new) {
            return self.stored(bits, input);
        }
        if self.open > 0 {
            let words = self.literal_code.words[..END].iter().zip(&self.literals[..END]);
            let again = words.clone().map(|(word, &frequency)| frequency as usize * usize::from(word.length)).sum();
            if words.clone().any(|(word, &frequency)| frequency > 0 && word.length == 0) || new < again {
                self.close(bits);
            }
        }
        if self.open == 0 {
            std::mem::swap(&mut self.literal_code, &mut self.other_code);
            let none = Word { bits: 0, length: 1 };
            let header = Header::of(&self.literal_code.words[..BYTES], &[none]);
            header.write(bits, false);
            self.open = header.cost;
            self.bytes_only = true;
        }
        for byte in input {
            let word = self.literal_code.words[usize::from(*byte)];
            bits.put(u32::from(word.bits), u32::from(word.length));
        }
        if last {
            self.close(bits);
            self.bytes_only = false;
        }
    }

    /// Writes a stored block.
    pub(super) fn stored(&mut self, bits: &mut BitWriter, input: &[u8]) {
        self.close(bits);
        bits.put(0, 3);
        bits.align();
        let length = input.len() as u16;
        bits.put_bytes(&length.to_le_bytes());
        bits.put_bytes(&(!length).to_le_bytes());
        bits.put_bytes(input);
    }

    /// Writes the end of the stream: a block with nothing in it.
    pub(super) fn end(&mut self, bits: &mut BitWriter) {
        self.close(bits);
        bits.put(0b011, 3);
        bits.put(0, 7);
        bits.align();
    }

    /// Writes the end of the block that is open.
    fn close(&mut self, bits: &mut BitWriter) {
        if self.open > 0 {
            let word = self.literal_code.words[END];
            bits.put(u32::from(word.bits), u32::from(word.length));
            self.open = 0;
        }
    }

    fn fixed(&mut self, bits: &mut BitWriter, tokens: &[Token]) {
        self.close(bits);
        bits.put(0b010, 3);
        write_tokens(bits, tokens, &FIXED.0, &FIXED.1);
    }

    fn count(&mut self, tokens: &[Token]) {
        self.literals = [0; LITERALS];
        self.distances = [0; DISTANCES];
        for token in tokens {
            match token.parts() {
                Ok(byte) => self.literals[usize::from(byte)] += 1,
                Err((length, distance)) => {
                    self.literals[usize::from(length.symbol)] += 1;
                    self.distances[usize::from(distance.symbol)] += 1;
                }
            }
        }
    }

    /// Whether the open block's code has a word for everything.
    fn serves(&self, last: bool) -> bool {
        let mut literals = self.literal_code.words.iter().zip(&self.literals);
        let mut distances = self.distance_code.words.iter().zip(&self.distances);
        literals.all(|(word, &frequency)| frequency == 0 || word.length > 0)
            && distances.all(|(word, &frequency)| frequency == 0 || word.length > 0)
            && (!last || self.literal_code.words[END].length > 0)
    }

    /// Returns how many bits follow the words of lengths and distances.
    fn extra_bits(&self) -> usize {
        extra_bits(&self.literals, extra_bits_of_length) + extra_bits(&self.distances, extra_bits_of_distance)
    }

    fn fixed_cost(&self, extra: usize) -> usize {
        3 + FIXED.0.cost(&self.literals) + FIXED.1.cost(&self.distances) + extra
    }

    /// Guesses how many bits the tokens take with the best code, by their entropy. In single precision, as it was done.
    fn estimate(&self, tokens: usize) -> usize {
        // what the code without distances counts is none
        let distances = if self.literals[BYTES..].iter().all(|&frequency| frequency == 0) {
            &[0; DISTANCES]
        } else {
            &self.distances
        };
        let mut entropy = 0.0_f32;
        let share = |frequency: u32, whole: f32| -> f32 {
            let frequency = frequency as f32;
            (-log2(frequency * whole)).clamp(1.0, 15.0) * frequency
        };
        let mut matches = 0;
        if tokens > 0 {
            let whole = 1.0 / tokens as f32;
            for &frequency in self.literals[..END].iter().filter(|&&frequency| frequency > 0) {
                entropy += share(frequency, whole);
            }
            entropy += 15.0;
            for &frequency in self.literals[BYTES..].iter().filter(|&&frequency| frequency > 0) {
                entropy += share(frequency, whole);
                matches += frequency;
            }
        }
        if matches > 0 {
            let whole = 1.0 / matches as f32;
            for &frequency in distances.iter().filter(|&&frequency| frequency > 0) {
                entropy += share(frequency, whole);
            }
        }
        entropy as usize
            + extra_bits(&self.literals, extra_bits_of_length)
            + extra_bits(distances, extra_bits_of_distance)
    }
}

fn extra_bits(frequencies: &[u32], of: fn(usize) -> usize) -> usize {
    frequencies.iter().enumerate().map(|(symbol, &frequency)| frequency as usize * of(symbol)).sum()
}

/// Returns how many symbols there are up to the last one that occurs.
fn used(frequencies: &[u32]) -> usize {
    frequencies.iter().rposition(|&frequency| frequency > 0).map_or(0, |last| last + 1)
}

/// Returns how many bits a stored block of this takes. None if it is too long.
fn stored_cost(input: &[u8]) -> Option<usize> {
    (input.len() <= MOST_STORED).then_some((input.len() + 5) * 8)
}

/// Whether all bytes are about as frequent as each other.
fn is_noise(frequencies: &[u32], length: usize) -> bool {
    let mean = length as f64 / 256.0;
    let most = (length * 2) as f64;
    let mut sum = 0.0;
    for &frequency in frequencies {
        let difference = f64::from(frequency) - mean;
        sum += difference * difference;
        if sum > most {
            return false;
        }
    }
    sum < most
}

/// Approximates a logarithm: the result depends on every rounding on the way.
fn log2(value: f32) -> f32 {
    let bits = value.to_bits() as i32;
    let power = (((bits >> 23) & 255) - 128) as f32;
    let mantissa = f32::from_bits(((bits & 0x807f_ffff_u32 as i32) + (127 << 23)) as u32);
    power + (((-0.344_848_43 * mantissa) + 2.024_665_8) * mantissa - 0.674_877_6)
}
