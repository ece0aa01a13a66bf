//! Where the packed bytes of a layer say what those of a base say: nothing need be searched there once more.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::BadGuide;
use super::varint::{BadNumber, put, put_signed, take, take_signed};
use crate::regzip::listen::{LONGEST_SKIP, SHORTEST_ECHO};
use crate::regzip::{Echo, Packed};

/// The echoes of a layer, in order, each with the number of the base in the index. A reader can do without any of them.
///
/// Its bytes, for each: the number of the base, how many bytes lie between it and the one before, its length, the bit at which the
/// block of the base begins as the signed difference to that of the one before, and how many plain bytes of the block come first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Echoes(pub Vec<(u32, Echo)>);

impl Echoes {
    /// Returns its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (mut end, mut bits) = (0_u64, 0_u64);
        for (base, echo) in &self.0 {
            put(&mut bytes, u64::from(*base));
            put(&mut bytes, echo.at.wrapping_sub(end));
            put(&mut bytes, echo.length);
            put_signed(&mut bytes, echo.bits.wrapping_sub(bits).cast_signed());
            put(&mut bytes, echo.skip);
            (end, bits) = (echo.at.wrapping_add(echo.length), echo.bits);
        }
        bytes
    }

    /// Reads its bytes.
    ///
    /// # Errors
    /// When a number cannot be read, or says what is never so: more would be read than it is worth.
    pub fn parse(mut bytes: &[u8]) -> Result<Self, BadGuide> {
        let from = &mut bytes;
        let mut all = Vec::new();
        let (mut end, mut bits) = (0_u64, 0_u64);
        while !from.is_empty() {
            let base = u32::try_from(take(from)?).map_err(|_| BadNumber)?;
            let at = end.checked_add(take(from)?).ok_or(BadNumber)?;
            let length = take(from)?;
            bits = bits.checked_add_signed(take_signed(from)?).ok_or(BadNumber)?;
            let skip = take(from)?;
            if length < SHORTEST_ECHO || skip > LONGEST_SKIP {
                return Err(BadGuide::Contradiction("an echo is not worth what it takes"));
            }
            end = at.checked_add(length).ok_or(BadNumber)?;
            all.push((base, Echo { at, length, bits, skip }));
        }
        Ok(Self(all))
    }
}

/// Packed bytes in a file.
#[derive(Debug)]
pub struct PackedFile {
    file: File,
    at: u64,
    length: u64,
}

impl PackedFile {
    /// Takes so many bytes of a file from some place on.
    ///
    /// # Errors
    /// When the file cannot be opened once more.
    pub fn of(file: &File, at: u64, length: u64) -> io::Result<Self> {
        Ok(Self { file: file.try_clone()?, at, length })
    }
}

impl Packed for PackedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        self.file.read_at(&mut buffer[..room], self.at.saturating_add(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echoes_come_back_and_those_that_cost_more_than_they_are_worth_are_refused() {
        let first = Echo { at: 900, length: 2 << 20, bits: 1 << 40, skip: LONGEST_SKIP };
        let second = Echo { at: first.at + first.length, length: SHORTEST_ECHO, bits: 80, skip: 0 };
        let echoes = Echoes(vec![(0, first), (7, second)]);
        let bytes = echoes.encode();
        assert_eq!(Echoes::parse(&bytes), Ok(echoes));
        assert_eq!(Echoes::parse(b""), Ok(Echoes::default()));
        assert!(Echoes::parse(&bytes[..bytes.len() - 1]).is_err());
        for wrong in [
            Echo { length: SHORTEST_ECHO - 1, ..first },
            Echo { skip: LONGEST_SKIP + 1, ..first },
            Echo { at: u64::MAX - 5, ..first },
        ] {
            assert!(Echoes::parse(&Echoes(vec![(0, wrong)]).encode()).is_err(), "{wrong:?}");
        }
        // it would end before the one before has
        assert!(Echoes::parse(&Echoes(vec![(0, second), (0, first)]).encode()).is_err());
    }
}
