//! Whole numbers in one to ten bytes: seven bits in each, the lowest first, and a mark in all but the last.

/// The bytes ended within a number, or the number is larger than 64 bits, or longer than it needs to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a number is cut off, too large or not written in the shortest way")]
pub struct BadNumber;

pub(super) fn put(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Writes a difference, small ones of both signs in few bytes.
pub(super) fn put_signed(to: &mut Vec<u8>, number: i64) {
    put(to, ((number << 1) ^ (number >> 63)) as u64);
}

pub(super) fn take(from: &mut &[u8]) -> Result<u64, BadNumber> {
    let mut number = 0;
    for at in 0..10 {
        let (byte, rest) = from.split_first().ok_or(BadNumber)?;
        *from = rest;
        let bits = u64::from(byte & 0x7f);
        if at == 9 && bits > 1 || at > 0 && *byte == 0 {
            return Err(BadNumber);
        }
        number |= bits << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(BadNumber)
}

pub(super) fn take_signed(from: &mut &[u8]) -> Result<i64, BadNumber> {
    let number = take(from)?;
    Ok((number >> 1) as i64 ^ -((number & 1) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            assert_eq!(take(&mut &*bytes), Ok(number));
            for end in 0..bytes.len() {
                assert_eq!(take(&mut &bytes[..end]), Err(BadNumber));
            }
        }
        for number in [0, 1, -1, 63, -64, 64, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, number);
            assert_eq!(take_signed(&mut &*bytes), Ok(number));
        }
    }

    #[test]
    fn numbers_have_one_way_to_be_written() {
        for bytes in
            [&[0x80, 0][..], &[0xff, 0x80, 0], &[0xff; 10], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]]
        {
            assert_eq!(take(&mut &*bytes), Err(BadNumber), "{bytes:?}");
        }
    }
}
