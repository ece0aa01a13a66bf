//! Bits into bytes, the lowest bit first (RFC 1951, section 3.1.1).

/// Bits that are written, and the bytes that they have become.
#[derive(Clone, Debug)]
pub(super) struct BitWriter {
    /// Bits that are no whole byte yet or wait for others, the first in the lowest place.
    held: u64,
    /// How many: below 32 between calls.
    count: u32,
    bytes: Vec<u8>,
    /// How many bytes were taken out of `bytes`.
    taken: u64,
}

impl BitWriter {
    pub(super) const fn new() -> Self {
        Self { held: 0, count: 0, bytes: Vec::new(), taken: 0 }
    }

    /// Begins in the middle of a byte: `position` bits are behind it, and the last of them, those that fill no byte, are the
    /// lowest of `partial`.
    pub(super) fn at(position: u64, partial: u8) -> Self {
        let count = (position % 8) as u32;
        let held = u64::from(partial) & ((1 << count) - 1);
        Self { held, count, bytes: Vec::new(), taken: position / 8 }
    }

    /// Writes the lowest `count` bits of `value`, at most 32. All above them are zero.
    #[inline]
    pub(super) fn put(&mut self, value: u32, count: u32) {
        self.held |= u64::from(value) << self.count;
        self.count += count;
        if self.count >= 32 {
            self.bytes.extend_from_slice(&(self.held as u32).to_le_bytes());
            self.held >>= 32;
            self.count -= 32;
        }
    }

    /// Writes values one after the other, each with its count of bits, at most 56. All above them are zero.
    #[inline]
    pub(super) fn put_each(&mut self, values: impl Iterator<Item = (u64, u32)>) {
        const ROOM: usize = 1 << 10;
        self.settle();
        let (mut held, mut count) = (self.held, self.count);
        let (mut room, mut filled) = ([0; ROOM], 0);
        for (value, bits) in values {
            held |= value << count;
            count += bits;
            if filled > ROOM - 8 {
                self.bytes.extend_from_slice(&room[..filled]);
                filled = 0;
            }
            room[filled..filled + 8].copy_from_slice(&held.to_le_bytes());
            // of the eight those are written that are whole
            filled += (count / 8) as usize;
            held >>= count & !7;
            count %= 8;
        }
        self.bytes.extend_from_slice(&room[..filled]);
        (self.held, self.count) = (held, count);
    }

    /// Fills the byte that is begun with zeros.
    pub(super) fn align(&mut self) {
        self.settle();
        if self.count > 0 {
            self.bytes.push(self.held as u8);
            (self.held, self.count) = (0, 0);
        }
    }

    /// Writes whole bytes where a byte begins.
    pub(super) fn put_bytes(&mut self, bytes: &[u8]) {
        self.settle();
        debug_assert_eq!(self.count, 0, "bytes begin at a byte");
        self.bytes.extend_from_slice(bytes);
    }

    /// Makes bytes of all bits that fill some: fewer than eight are held afterwards.
    pub(super) fn settle(&mut self) {
        while self.count >= 8 {
            self.bytes.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// Returns how many bits were written.
    pub(super) fn position(&self) -> u64 {
        (self.taken + self.bytes.len() as u64) * 8 + u64::from(self.count)
    }

    /// Returns the bits that fill no byte. Only after [`BitWriter::settle`].
    pub(super) fn partial(&self) -> u8 {
        debug_assert!(self.count < 8, "settled");
        self.held as u8
    }

    /// Returns the bytes that are whole.
    pub(super) fn ready(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets the first of the bytes that are whole: somebody has them.
    pub(super) fn clear_first(&mut self, count: usize) {
        self.taken += count as u64;
        self.bytes.drain(..count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_fill_bytes_from_the_lowest() {
        let mut bits = BitWriter::new();
        bits.put(0b1, 1);
        bits.put(0b10, 2);
        bits.put(0xffff, 16);
        assert_eq!(bits.position(), 19);
        bits.align();
        assert_eq!(bits.ready(), [0b1111_1101, 0xff, 0b111]);
        bits.clear_first(3);
        bits.put_bytes(b"raw");
        assert_eq!((bits.ready(), bits.position()), (&b"raw"[..], 48));
    }

    #[test]
    fn many_at_once_are_the_same_as_one_after_the_other() {
        let values = (0..5000_u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15), 1 + (at % 56) as u32));
        let values: Vec<_> = values.map(|(value, bits)| (value & (u64::MAX >> (64 - bits)), bits)).collect();
        let (mut whole, mut single) = (BitWriter::new(), BitWriter::new());
        for bits in [&mut whole, &mut single] {
            bits.put(0x7ff_ffff, 27);
        }
        whole.put_each(values.iter().copied());
        for &(value, bits) in &values {
            single.put(value as u32, bits.min(32));
            single.put((value >> 32) as u32, bits.saturating_sub(32));
        }
        for bits in [&mut whole, &mut single] {
            bits.put(1, 1);
            bits.align();
        }
        assert_eq!((whole.ready(), whole.position()), (single.ready(), single.position()));
    }

    #[test]
    fn a_writer_goes_on_within_a_byte() {
        let mut whole = BitWriter::new();
        whole.put(0x1234_5678, 29);
        whole.settle();
        let (position, partial) = (whole.position(), whole.partial());
        let mut pieces = whole.ready().to_vec();
        let mut rest = BitWriter::at(position, partial);
        for bits in [&mut whole, &mut rest] {
            bits.put(0x7f, 7);
            bits.align();
        }
        pieces.extend_from_slice(rest.ready());
        assert_eq!((whole.ready(), whole.position()), (&pieces[..], rest.position()));
    }
}
