//! Huffman codes whose lengths are limited (RFC 1951, section 3.2.2).

/// What stands for a symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// Its bits, the first in the lowest place.
    pub(super) bits: u16,
    /// How many: zero for a symbol that does not occur.
    pub(super) length: u8,
}

/// A code for `N` symbols.
#[derive(Clone, Debug)]
pub(super) struct Code<const N: usize> {
    pub(super) words: [Word; N],
}

/// The longest word of any code: of literals, lengths and distances.
pub(super) const LONGEST: usize = 15;

impl<const N: usize> Code<N> {
    pub(super) const fn new() -> Self {
        Self { words: [Word { bits: 0, length: 0 }; N] }
    }

    /// Makes the code that is shortest for symbols that occur this often, with no word longer than `limit`.
    ///
    /// Several codes can be shortest. Of them it is the one that Go makes: where a leaf of the tree is as frequent as a pair,
    /// the pair is taken first; of symbols that are as frequent as each other the later one has the shorter word.
    pub(super) fn fit(&mut self, frequencies: &[u32; N], limit: usize) {
        let mut leaves = [(0, 0); N];
        let mut count = 0;
        for (symbol, &frequency) in frequencies.iter().enumerate() {
            self.words[symbol] = Word::default();
            if frequency > 0 {
                leaves[count] = (frequency, symbol as u16);
                count += 1;
            }
        }
        let leaves = &mut leaves[..count];
        if count <= 2 {
            // also a single symbol has a bit
            for (bits, (_, symbol)) in leaves.iter().enumerate() {
                self.words[usize::from(*symbol)] = Word { bits: bits as u16, length: 1 };
            }
            return;
        }
        leaves.sort_unstable();
        let counts = counts_by_length(leaves, limit.min(count - 1));
        let (mut next, mut rest) = (0_u16, &mut leaves[..]);
        for (length, &count) in counts.iter().enumerate().skip(1) {
            next <<= 1;
            let (rarer, these) = rest.split_at_mut(rest.len() - count);
            these.sort_unstable_by_key(|(_, symbol)| *symbol);
            for (_, symbol) in these {
                let bits = next.reverse_bits() >> (16 - length);
                self.words[usize::from(*symbol)] = Word { bits, length: length as u8 };
                next += 1;
            }
            rest = rarer;
        }
    }

    /// Returns how many bits symbols take that occur this often.
    pub(super) fn cost(&self, frequencies: &[u32; N]) -> usize {
        let words = self.words.iter().zip(frequencies);
        words.map(|(word, &frequency)| frequency as usize * usize::from(word.length)).sum()
    }
}

/// Returns how many words there are of every length, by package-merge (Larmore and Hirschberg, "A fast algorithm for optimal
/// length-limited Huffman codes", 1990). The leaves are three or more and ascend, and a tree of the limit's depth holds them.
fn counts_by_length(leaves: &[(u32, u16)], limit: usize) -> [usize; LONGEST + 1] {
    // Of each row only this is kept: how many leaves are among its first 1, 2, 3... items.
    let mut among: [Vec<u16>; LONGEST + 1] = std::array::from_fn(|_| Vec::new());
    let most = 2 * leaves.len() - 2;
    let mut row: Vec<u32> = leaves.iter().map(|(frequency, _)| *frequency).collect();
    let mut merged = Vec::with_capacity(most);
    for among in among.iter_mut().take(limit + 1).skip(2) {
        merged.clear();
        let mut pairs = row.chunks_exact(2).map(|pair| pair[0] + pair[1]).peekable();
        let mut taken = 0;
        while merged.len() < most {
            let leaf = leaves.get(taken).map(|(frequency, _)| *frequency);
            match (leaf, pairs.peek()) {
                (Some(leaf), Some(&pair)) if leaf >= pair => merged.extend(pairs.next()),
                (Some(leaf), _) => {
                    taken += 1;
                    merged.push(leaf);
                }
                (None, Some(_)) => merged.extend(pairs.next()),
                (None, None) => break,
            }
            among.push(taken as u16);
        }
        std::mem::swap(&mut row, &mut merged);
    }
    // From the top: each pair of a row is two items of the row below; a leaf in `n` rows has a word of `n` bits.
    let mut at_least = [0; LONGEST + 2]; // how many leaves have a word of so many bits or more
    let mut items = most;
    for (length, row) in (1..=limit).zip((1..=limit).rev()) {
        let taken = match items {
            0 => 0,
            _ if row == 1 => items,
            _ => usize::from(among[row][items - 1]),
        };
        at_least[length] = taken;
        items = 2 * (items - taken);
    }
    let mut counts = [0; LONGEST + 1];
    for (length, count) in counts.iter_mut().enumerate().skip(1) {
        *count = at_least[length] - at_least[length + 1];
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths<const N: usize>(frequencies: [u32; N], limit: usize) -> [u8; N] {
        let mut code = Code::new();
        code.fit(&frequencies, limit);
        code.words.map(|word| word.length)
    }

    #[test]
    fn rare_symbols_have_long_words() {
        assert_eq!(lengths([1, 1, 2, 4], 15), [3, 3, 2, 1]);
        assert_eq!(lengths([5, 5, 5, 5], 15), [2, 2, 2, 2]);
        assert_eq!(lengths([0, 7, 0], 15), [0, 1, 0]);
        assert_eq!(lengths([3, 0, 7], 15), [1, 0, 1]);
    }

    #[test]
    fn no_word_is_longer_than_the_limit() {
        // the numbers of Fibonacci make the deepest trees
        let mut frequencies = [1_u32; 24];
        for at in 2..24 {
            frequencies[at] = frequencies[at - 1] + frequencies[at - 2];
        }
        for limit in [5, 7, 15] {
            let lengths = lengths(frequencies, limit);
            assert_eq!(usize::from(*lengths.iter().max().unwrap()), limit);
            let kraft: f64 = lengths.iter().map(|length| 0.5_f64.powi(i32::from(*length))).sum();
            assert!((kraft - 1.0).abs() < 1e-12, "every bit is used: {kraft}");
        }
    }

    #[test]
    fn words_of_one_length_ascend() {
        let mut code = Code::new();
        code.fit(&[1, 1, 2, 4], 15);
        let words = code.words.map(|word| (word.bits, word.length));
        assert_eq!(words, [(0b011, 3), (0b111, 3), (0b01, 2), (0, 1)]); // 110, 111, 10, 0, the first bit lowest
    }
}
