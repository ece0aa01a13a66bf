//! What is packed: the edges of the format and of the window, and much that is like real content, always the same.

/// Numbers that look random: SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..count / 8 + 1).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(count);
        bytes
    }

    /// Words of a small language, in lines.
    pub(crate) fn text(&mut self, count: usize) -> Vec<u8> {
        let words: Vec<Vec<u8>> = (0..200)
            .map(|_| {
                let length = 1 + self.below(9);
                (0..length).map(|_| b"etaoinshrdlucmfwypvbgkqjxz"[self.below(26).min(self.below(26))]).collect()
            })
            .collect();
        let mut text = Vec::with_capacity(count + 16);
        while text.len() < count {
            let rank = self.below(200).min(self.below(200));
            text.extend_from_slice(&words[rank]);
            text.push(if self.below(12) == 0 { b'\n' } else { b' ' });
        }
        text.truncate(count);
        text
    }

    /// Pieces of all kinds, among them repetitions from any distance.
    pub(crate) fn mixed(&mut self, count: usize) -> Vec<u8> {
        let mut out: Vec<u8> = Vec::with_capacity(count + 70_000);
        while out.len() < count {
            let length = 1 << self.below(16);
            let length = length + self.below(length);
            match self.below(8) {
                0 => out.extend(self.bytes(length)),
                1 | 2 => out.extend(self.text(length)),
                3 => out.extend(std::iter::repeat_n(self.next() as u8, length)),
                4 => {
                    let letters = 2 + self.below(30);
                    out.extend((0..length).map(|_| self.below(letters) as u8));
                }
                5 => {
                    // numbers that ascend, as in tables
                    let step = self.below(5000) as u32;
                    out.extend((0..length as u32 / 4).flat_map(|at| (at * step).to_le_bytes()));
                }
                _ if out.is_empty() => {}
                _ => {
                    let distance = match self.below(3) {
                        0 => 32_000 + self.below(1600),
                        1 => 1 + self.below(40_000),
                        _ => 1 + self.below(64),
                    };
                    let length = if self.below(3) == 0 { 3 + self.below(300) } else { 3 + self.below(20) };
                    let from = out.len().saturating_sub(distance);
                    for at in from..from + length {
                        out.push(out[at]);
                    }
                }
            }
        }
        out.truncate(count);
        out
    }

    /// Cuts a length into writes of sizes like those of programs.
    pub(crate) fn writes(&mut self, total: usize) -> Vec<usize> {
        let mut writes = Vec::new();
        let mut rest = total;
        while rest > 0 {
            let size = match self.below(5) {
                0 => 512,
                1 => 1 + self.below(600),
                2 => 32768,
                3 => 1 + self.below(40_000),
                _ => 65536 - self.below(300),
            };
            let size = size.min(rest);
            writes.push(size);
            rest -= size;
        }
        writes
    }
}

/// Symbols whose numbers are those of Fibonacci: the tree of their code is as deep as any.
fn fibonacci(symbols: usize, random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut one, mut other) = (1_usize, 1_usize);
    for symbol in 0..symbols {
        out.extend(std::iter::repeat_n((symbol * 7) as u8, one));
        (one, other) = (other, one + other);
    }
    for at in (1..out.len()).rev() {
        out.swap(at, random.below(at + 1));
    }
    out
}

/// Edges, by name.
pub(crate) fn edges() -> Vec<(String, Vec<u8>)> {
    let mut random = Random::new(1);
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, data: Vec<u8>| all.push((format!("{name} ({} bytes)", data.len()), data));
    for length in [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 100, 127, 128, 129, 257, 258, 259, 260, 262, 263, 516, 1000]
    {
        add("zeros", vec![0; length]);
        add("random", random.bytes(length));
        add("text", random.text(length));
        add("two letters", (0..length).map(|_| b"ab"[random.below(2)]).collect());
    }
    let around = |at: usize| at - 2..=at + 2;
    for middle in [16384, 32768, 65274, 65279, 65535, 65537, 98304, 131_070, 131_072, 196_605] {
        for length in around(middle) {
            add("text around an edge", random.text(length));
        }
        add("random at an edge", random.bytes(middle));
        add("zeros at an edge", vec![0; middle]);
        add("mixed at an edge", random.mixed(middle));
    }
    // repetitions with a period around what the window holds, and around where four bytes are too far
    for period in [1, 2, 3, 4, 5, 257, 258, 259, 4095, 4096, 4097, 32505, 32506, 32507, 32767, 32768, 32769, 65535] {
        let piece = random.bytes(period);
        let data: Vec<u8> = piece.iter().copied().cycle().take(200_000.min(period * 40)).collect();
        add(&format!("period {period}"), data);
    }
    // four bytes that repeat within and beyond the distance at which they are taken, and lengths around the longest
    for distance in [4090, 4094, 4096, 4097, 4100, 32760, 32768, 32772] {
        for length in [3, 4, 5, 257, 258, 259, 300] {
            let mut data = random.bytes(distance + 40_000);
            data.copy_within(100..100 + length, 100 + distance);
            add(&format!("{length} bytes after {distance}"), data);
        }
    }
    // a longer repetition begins one byte later, at all ends
    for cut in 0..12 {
        let mut data = b"abcde....bcdefghijklmnop....cdefghijklmnopqrstuvw....".to_vec();
        data.extend(b"abcdefghijklmnopqrstuvwxyz");
        data.truncate(data.len() - cut);
        add("lazy at the end", data);
    }
    for symbols in [5, 10, 16, 18, 20, 22, 23] {
        add(&format!("{symbols} numbers of Fibonacci"), fibonacci(symbols, &mut random));
    }
    add("all bytes", (0..=255).collect());
    add("all bytes, often", (0..=255).cycle().take(70_000).collect());
    add("all bytes, shuffled", (0..200_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect());
    add("one high byte", std::iter::repeat_n(255, 3).collect());
    let mut turns = random.bytes(150_000);
    turns.extend(random.text(150_000));
    turns.extend(random.bytes(100_000));
    turns.extend(vec![0; 100_000]);
    add("incompressible, compressible and back", turns);
    // base64 and hexadecimal digits: every block nearly as good stored or not
    for letters in [16, 64, 128, 200, 240, 250, 254] {
        add(&format!("{letters} letters"), (0..150_000).map(|_| random.below(letters) as u8).collect());
    }
    all
}
