//! What an encoder needs beside the plain bytes and its level to make a layer again.

use super::varint::{BadNumber, put, take};
use crate::regzip::{Checkpoint, HISTORY};

/// The guide of Go's encoder.
///
/// Its bytes: how many [edges](crate::regzip::Encoder::early), and each as the difference to the one before; then for each checkpoint a byte that says what
/// follows, its position and its bits as differences to the one before, the bits that fill no byte, the distance to its window, and what
/// the first byte announced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guide {
    /// The edges at which the window slides early: [`Encoder::early`](crate::regzip::Encoder::early).
    pub early: Vec<u64>,
    /// Where the encoder can go on, so that several threads work on one layer. None of them is needed.
    pub checkpoints: Vec<Checkpoint>,
}

/// Why bytes are no guide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadGuide {
    /// A number cannot be read.
    #[error(transparent)]
    Number(#[from] BadNumber),
    /// It says what no guide says.
    #[error("{0}")]
    Contradiction(&'static str),
}

const WAITING: u8 = 1;
const FOUND: u8 = 2;
const FINDABLE: u8 = 4;

impl Guide {
    /// Returns its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, self.early.len() as u64);
        let mut last = 0;
        for edge in &self.early {
            put(&mut bytes, edge.wrapping_sub(last));
            last = *edge;
        }
        let mut last = &Checkpoint::start();
        for one in &self.checkpoints {
            let flag = |is: bool, flag| if is { flag } else { 0 };
            bytes.push(
                flag(one.waiting, WAITING) | flag(one.found.is_some(), FOUND) | flag(one.findable.is_some(), FINDABLE),
            );
            put(&mut bytes, one.position.wrapping_sub(last.position));
            put(&mut bytes, one.bits.wrapping_sub(last.bits));
            bytes.push(one.partial);
            put(&mut bytes, one.position.wrapping_sub(one.window));
            if let Some((length, distance)) = one.found {
                put(&mut bytes, u64::from(length));
                put(&mut bytes, u64::from(distance));
            }
            bytes.extend(one.findable.iter().flat_map(|marks| marks.iter()));
            last = one;
        }
        bytes
    }

    /// Reads a guide. Whether an encoder can go on at its checkpoints is seen when it is to.
    ///
    /// # Errors
    /// When it is none, or its edges or checkpoints do not ascend.
    pub fn parse(mut bytes: &[u8]) -> Result<Self, BadGuide> {
        let from = &mut bytes;
        let count = take(from)?;
        let mut early = Vec::new();
        let mut last: u64 = 0;
        for _ in 0..count {
            let step = take(from)?;
            last = last
                .checked_add(step)
                .filter(|_| step > 0)
                .ok_or(BadGuide::Contradiction("its edges do not ascend"))?;
            early.push(last);
        }
        let mut checkpoints: Vec<Checkpoint> = Vec::new();
        let start = Checkpoint::start();
        while !from.is_empty() {
            let last = checkpoints.last().unwrap_or(&start);
            let one = checkpoint(from, last)?;
            checkpoints.push(one);
        }
        Ok(Self { early, checkpoints })
    }
}

fn checkpoint(from: &mut &[u8], last: &Checkpoint) -> Result<Checkpoint, BadGuide> {
    let flags = byte(from)?;
    if flags & !(WAITING | FOUND | FINDABLE) != 0 {
        return Err(BadGuide::Contradiction("a checkpoint has what no checkpoint has"));
    }
    let (step, bits) = (take(from)?, take(from)?);
    let position = last.position.checked_add(step).filter(|_| step > 0);
    let position = position.ok_or(BadGuide::Contradiction("its checkpoints do not ascend"))?;
    let bits = last.bits.checked_add(bits).ok_or(BadNumber)?;
    let partial = byte(from)?;
    let window = position.checked_sub(take(from)?).ok_or(BadNumber)?;
    let number = |from: &mut &[u8]| u16::try_from(take(from)?).map_err(|_| BadNumber);
    let found = if flags & FOUND != 0 { Some((number(from)?, number(from)?)) } else { None };
    let findable = match flags & FINDABLE {
        0 => None,
        _ => {
            let (marks, rest) = from.split_first_chunk::<{ HISTORY / 8 }>().ok_or(BadNumber)?;
            *from = rest;
            Some(Box::new(*marks))
        }
    };
    Ok(Checkpoint { position, bits, partial, window, waiting: flags & WAITING != 0, found, findable })
}

fn byte(from: &mut &[u8]) -> Result<u8, BadNumber> {
    let (byte, rest) = from.split_first().ok_or(BadNumber)?;
    *from = rest;
    Ok(*byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guide_comes_back_and_no_part_of_a_checkpoint_is_one() {
        let first = Checkpoint { position: 70_000, bits: 123_456, window: 65_536, ..Checkpoint::start() };
        let second = Checkpoint {
            position: 2_000_000,
            bits: 5_000_001,
            partial: 1,
            waiting: true,
            found: Some((258, 32_768)),
            findable: Some(Box::new([0x5a; HISTORY / 8])),
            ..first.clone()
        };
        let guide = Guide { early: vec![65_536, 1 << 40], checkpoints: vec![first.clone(), second] };
        let bytes = guide.encode();
        assert_eq!(Guide::parse(&bytes), Ok(guide));
        assert!(Guide::parse(&bytes[..bytes.len() - 1]).is_err());
        assert_eq!(Guide::parse(&[0]), Ok(Guide::default()));
        for wrong in [
            Guide { early: vec![5, 5], checkpoints: vec![] },
            Guide { early: vec![], checkpoints: vec![first.clone(), first] },
        ] {
            assert!(matches!(Guide::parse(&wrong.encode()), Err(BadGuide::Contradiction(_))));
        }
    }
}
