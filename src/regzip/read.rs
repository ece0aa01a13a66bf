//! Deflate, read token by token (RFC 1951): what the packer decided, and not what it yields.
//!
//! Nothing is unpacked, so reading can begin at any block, and hostile bytes cost what they are long.

use std::io;
use std::sync::Arc;

use super::block::LENGTH_ORDER;
use super::decoder::{Decoder, SYMBOLS, fixed_lengths};
use super::token::{DISTANCES, END, LITERALS, Token, extra_bits_of_distance, extra_bits_of_length};

/// Packed bytes at rest, such as those of a layer, that are read by position, from several threads.
pub trait Packed: Send + Sync {
    /// Reads some bytes from `offset` on, and returns how many. None: there are none.
    ///
    /// # Errors
    /// As the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl Packed for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// Why no further token is to be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no deflate.
    #[error("it is no deflate: {0}")]
    Wrong(&'static str),
}

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// A place in a stream of deflate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BlockPlace {
    /// The bit at which its header begins, from the beginning of the bytes.
    pub bits: u64,
    /// How many plain bytes were passed before it since reading began.
    pub plain: u64,
}

/// A reader of tokens.
#[derive(Clone)]
pub(crate) struct TokenReader {
    from: Arc<dyn Packed>,
    buffer: Vec<u8>,
    at: usize,
    /// Where in the packed bytes follows what was not read yet.
    next: u64,
    held: u64,
    count: u32,
    state: State,
    is_last: bool,
    literals: Decoder,
    distances: Decoder,
    block: BlockPlace,
    plain: u64,
}

impl std::fmt::Debug for TokenReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenReader").field("block", &self.block).field("plain", &self.plain).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    /// So many bytes of a stored block are left.
    Stored(u32),
    Coded,
    Over,
}

impl TokenReader {
    /// Makes one that begins with the header of a block, which lies at this bit.
    pub(crate) fn new(from: Arc<dyn Packed>, bits: u64) -> Self {
        let (literals, distances) = (Decoder::new(), Decoder::new());
        let mut this = Self {
            from,
            buffer: Vec::new(),
            at: 0,
            next: 0,
            held: 0,
            count: 0,
            state: State::Header,
            is_last: false,
            literals,
            distances,
            block: BlockPlace::default(),
            plain: 0,
        };
        this.go_to(bits);
        this
    }

    /// Begins anew with the header of another block.
    pub(crate) fn go_to(&mut self, bits: u64) {
        self.buffer.clear();
        (self.at, self.next, self.held, self.count) = (0, bits / 8, 0, 0);
        (self.state, self.is_last, self.plain) = (State::Header, false, 0);
        self.block = BlockPlace { bits, plain: 0 };
        // whether they are there is seen with the first token
        if !bits.is_multiple_of(8) && self.need((bits % 8) as u32).is_ok() {
            self.drop((bits % 8) as u32);
        }
    }

    /// Returns where the block begins from which the last token was.
    pub(crate) const fn block(&self) -> BlockPlace {
        self.block
    }

    /// Whether the last token was a byte of a stored block: which tokens its packer had, nobody can tell.
    pub(crate) const fn is_stored(&self) -> bool {
        matches!(self.state, State::Stored(_))
    }

    /// Returns how many plain bytes all tokens stand for that were read.
    pub(crate) const fn plain(&self) -> u64 {
        self.plain
    }

    /// Returns the next token. None at the end of the stream.
    ///
    /// # Errors
    /// When reading fails, or what is there is no deflate.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Token>, ReadError> {
        if self.state == State::Coded {
            self.fill()?;
            let symbol = self.literals.symbol(self.held).ok_or(ReadError::Wrong("a word that no symbol has"))?;
            let (symbol, length) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            self.take(length)?;
            if symbol < END {
                self.plain += 1;
                return Ok(Some(Token::literal(symbol as u8)));
            }
            if symbol > END {
                return self.repetition(symbol).map(Some);
            }
            self.state = if self.is_last { State::Over } else { State::Header };
        }
        self.other()
    }

    fn repetition(&mut self, symbol: usize) -> Result<Token, ReadError> {
        let wrong = ReadError::Wrong("a length or a distance that is none");
        if symbol >= LITERALS {
            return Err(wrong);
        }
        let length = Token::length_of(symbol, self.bits(extra_bits_of_length(symbol) as u32)?);
        let Some(symbol) = self.distances.symbol(self.held) else { return Err(wrong) };
        let (symbol, bits) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        self.take(bits)?;
        if symbol >= DISTANCES {
            return Err(wrong);
        }
        let distance = Token::distance_of(symbol, self.bits(extra_bits_of_distance(symbol) as u32)?);
        self.plain += length as u64;
        Ok(Token::repetition(length, distance))
    }

    /// Goes on where no coded block is under way.
    fn other(&mut self) -> Result<Option<Token>, ReadError> {
        loop {
            match self.state {
                State::Over => return Ok(None),
                State::Coded => return self.next(),
                State::Header => self.header()?,
                State::Stored(0) => self.state = if self.is_last { State::Over } else { State::Header },
                State::Stored(left) => {
                    self.state = State::Stored(left - 1);
                    self.need(8)?;
                    self.plain += 1;
                    return Ok(Some(Token::literal(self.bits(8)? as u8)));
                }
            }
        }
    }

    /// Reads the header of a block (section 3.2.3).
    fn header(&mut self) -> Result<(), ReadError> {
        let behind = self.next - (self.buffer.len() - self.at) as u64;
        self.block = BlockPlace { bits: behind * 8 - u64::from(self.count), plain: self.plain };
        self.need(3)?;
        self.is_last = self.bits(1)? == 1;
        self.state = match self.bits(2)? {
            0 => {
                self.drop(self.count % 8);
                self.need(32)?;
                let (length, inverse) = (self.bits(16)?, self.bits(16)?);
                if length != !inverse & 0xffff {
                    return Err(ReadError::Wrong("a stored block whose length is not sure"));
                }
                State::Stored(length)
            }
            1 => {
                self.literals.fit(&fixed_lengths())?;
                self.distances.fit(&[5; 32])?;
                State::Coded
            }
            2 => {
                self.codes()?;
                State::Coded
            }
            _ => return Err(ReadError::Wrong("a block of no kind")),
        };
        Ok(())
    }

    /// Reads the codes of a block (section 3.2.7).
    fn codes(&mut self) -> Result<(), ReadError> {
        self.need(14)?;
        let literals = self.bits(5)? as usize + 257;
        let distances = self.bits(5)? as usize + 1;
        let ordered = self.bits(4)? as usize + 4;
        let mut lengths = [0; 19];
        for place in &LENGTH_ORDER[..ordered] {
            self.need(3)?;
            lengths[*place] = self.bits(3)? as u8;
        }
        // it serves for this, too
        self.literals.fit(&lengths)?;
        let mut all = [0; SYMBOLS + 32];
        let (mut at, end) = (0, literals + distances);
        while at < end {
            self.fill()?;
            let symbol = self.literals.symbol(self.held).ok_or(ReadError::Wrong("a length of no word"))?;
            self.take(u32::from(symbol & 15))?;
            let (length, count) = match symbol >> 4 {
                16 if at > 0 => (all[at - 1], 3 + self.bits(2)?),
                17 => (0, 3 + self.bits(3)?),
                18 => (0, 11 + self.bits(7)?),
                16 => return Err(ReadError::Wrong("a repetition of nothing")),
                length => (length as u8, 1),
            };
            let run = all.get_mut(at..at + count as usize).filter(|_| at + count as usize <= end);
            run.ok_or(ReadError::Wrong("more lengths than there are"))?.fill(length);
            at += count as usize;
        }
        if all[END] == 0 {
            return Err(ReadError::Wrong("a block without an end"));
        }
        self.literals.fit(&all[..literals])?;
        self.distances.fit(&all[literals..end])
    }

    /// Has as many bits at hand as any token may have, as far as there are.
    #[inline]
    fn fill(&mut self) -> Result<(), ReadError> {
        /// A length, a distance, and what follows each.
        const MOST: u32 = 15 + 5 + 15 + 13;
        if self.count >= MOST {
            return Ok(());
        }
        if let Some(eight) = self.buffer.get(self.at..).and_then(|rest| rest.first_chunk()) {
            self.held |= u64::from_le_bytes(*eight) << self.count;
            let more = (63 - self.count) / 8;
            self.at += more as usize;
            self.count += 8 * more;
            self.held &= (1 << self.count) - 1;
            return Ok(());
        }
        self.need_if_there(MOST)
    }

    /// Has so many bits at hand.
    fn need(&mut self, count: u32) -> Result<(), ReadError> {
        self.need_if_there(count)?;
        if self.count < count { Err(ReadError::Wrong("it ends too early")) } else { Ok(()) }
    }

    fn need_if_there(&mut self, count: u32) -> Result<(), ReadError> {
        while self.count < count {
            if self.at == self.buffer.len() {
                self.buffer.resize(CHUNK, 0);
                self.at = 0;
                let got = loop {
                    match self.from.read_at(&mut self.buffer, self.next) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        got => break got,
                    }
                };
                self.buffer.truncate(*got.as_ref().unwrap_or(&0));
                self.next += got? as u64;
                if self.buffer.is_empty() {
                    return Ok(());
                }
            }
            self.held |= u64::from(self.buffer[self.at]) << self.count;
            self.at += 1;
            self.count += 8;
        }
        Ok(())
    }

    /// Takes so many bits away, if there are as many.
    #[inline]
    fn take(&mut self, count: u32) -> Result<(), ReadError> {
        if count > self.count {
            return Err(ReadError::Wrong("it ends too early"));
        }
        self.drop(count);
        Ok(())
    }

    #[inline]
    const fn drop(&mut self, count: u32) {
        self.held >>= count;
        self.count -= count;
    }

    /// Takes bits that are at hand, if there are as many.
    #[inline]
    fn bits(&mut self, count: u32) -> Result<u32, ReadError> {
        let bits = self.held & ((1 << count) - 1);
        self.take(count)?;
        Ok(bits as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Encoder, Level};
    use super::*;

    /// What tokens stand for.
    fn unpacked(mut reader: TokenReader) -> Result<Vec<u8>, ReadError> {
        let mut plain: Vec<u8> = Vec::new();
        while let Some(token) = reader.next()? {
            match token.repeated() {
                None => plain.push(token.parts().unwrap()),
                Some((length, distance)) => {
                    let from = plain.len() - distance;
                    (from..from + length).for_each(|at| plain.push(plain[at]));
                }
            }
            assert_eq!(reader.plain(), plain.len() as u64);
        }
        Ok(plain)
    }

    /// Text, noise, and what is longest.
    fn data() -> Vec<u8> {
        let mut state = 1_u64;
        let mut data = Vec::new();
        for line in 0..40_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            data.extend(format!("{:04x} of line {line}\n", state >> 48).bytes());
            if line % 5_000 == 0 {
                data.extend((0..70_000_u64).map(|at| (state >> (at % 50)) as u8 ^ ((at * at) >> 7) as u8));
                data.resize(data.len() + 100_000, 0);
            }
        }
        data
    }

    #[test]
    fn all_kinds_of_blocks_are_read_as_they_were_written() {
        let data = data();
        for level in [-2, 0, 1, 6, 9] {
            let mut packed = vec![0x5a; 3];
            let mut encoder = Encoder::new(Level::new(level).unwrap());
            encoder.write(&data, &mut packed).unwrap();
            encoder.finish(&mut packed).unwrap();
            assert_eq!(unpacked(TokenReader::new(Arc::new(packed), 24)).unwrap(), data, "{level}");
        }
        for (level, text) in [(9, &data[..]), (6, b"a"), (6, b"")] {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
            io::Write::write_all(&mut encoder, text).unwrap();
            let packed = encoder.finish().unwrap();
            assert_eq!(unpacked(TokenReader::new(Arc::new(packed), 0)).unwrap(), text, "{level}");
        }
    }

    #[test]
    fn reading_can_begin_with_any_block() {
        let data = data();
        let mut packed = Vec::new();
        let mut encoder = Encoder::new(Level::USUAL);
        encoder.write(&data, &mut packed).unwrap();
        encoder.finish(&mut packed).unwrap();
        let packed: Arc<dyn Packed> = Arc::new(packed);
        let (mut tokens, mut reader) = (Vec::new(), TokenReader::new(Arc::clone(&packed), 0));
        while let Some(token) = reader.next().unwrap() {
            tokens.push((token, reader.block()));
        }
        let mut blocks: Vec<(usize, BlockPlace)> = Vec::new();
        for (at, (_, block)) in tokens.iter().enumerate() {
            if blocks.last().is_none_or(|(_, last)| last != block) {
                blocks.push((at, *block));
            }
        }
        assert!(blocks.len() > 10);
        let mut other = TokenReader::new(Arc::clone(&packed), 0);
        for (at, block) in blocks {
            other.go_to(block.bits);
            for (token, _) in tokens[at..].iter().take(20_000) {
                assert_eq!(other.next().unwrap(), Some(*token));
            }
            assert!(other.plain() <= data.len() as u64 - block.plain);
        }
    }

    #[test]
    fn what_is_no_deflate_is_said() {
        for (wrong, said) in [
            (&b""[..], "too early"),
            (b"\x07", "no kind"),
            (b"\x01\x05\0\x05\0", "not sure"),
            (b"\x01\x05\0\xfa\xffabc", "too early"),
            (b"\x05\xe0\x93\x24\x49\x92\x24\x49\x92\x24", "more words than there can be"),
            (b"\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "no word"),
            (b"\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "no word"),
            (b"\x1b\x03", "a length or a distance that is none"),
            (b"\x4b", "too early"),
        ] {
            let error = unpacked(TokenReader::new(Arc::new(wrong.to_vec()), 0)).unwrap_err().to_string();
            assert!(error.contains(said), "{wrong:?}: {error}");
        }
        // a repetition has a distance: where it leads is not looked at, nor does anything else fail
        let mut packed = Vec::new();
        let mut encoder = Encoder::new(Level::USUAL);
        encoder.write(&data()[..300_000], &mut packed).unwrap();
        encoder.finish(&mut packed).unwrap();
        for at in (0..packed.len()).step_by(packed.len() / 60) {
            let mut torn = packed.clone();
            torn[at] ^= 0x11;
            let mut reader = TokenReader::new(Arc::new(torn), 0);
            while let Ok(Some(_)) = reader.next() {}
        }
    }
}
