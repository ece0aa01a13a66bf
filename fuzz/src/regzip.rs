//! gzip made again: whatever is packed unpacks to itself, the pieces between checkpoints are the whole, and a checkpoint that
//! somebody tampered with does no harm.

use std::io::Read as _;

use barge::regzip::{Checkpoint, Encoder, Follower, Header, LOOKAHEAD, Level};

use crate::shown;

/// A level, how often the content is repeated, what is done to a checkpoint, and the content.
pub fn regzip(input: &[u8]) {
    match Header::parse(input) {
        Ok((header, length)) => assert_eq!(header.to_bytes(), input[..length]),
        Err(error) => shown(&error),
    }
    let Some((&[number, times, field, value], rest)) = input.split_first_chunk() else { return };
    let level = Level::new((number % 12) as i8 - 2).expect("-2 to 9");
    let data = rest.repeat(usize::from(times % 16));

    let mut encoder = Encoder::new(level).checkpoints_every(1);
    let mut whole = Vec::new();
    encoder.write(&data, &mut whole).expect("a vector takes everything");
    let mut all = encoder.take_checkpoints();
    encoder.finish(&mut whole).expect("a vector takes everything");

    let mut unpacked = Vec::new();
    flate2::bufread::DeflateDecoder::new(&whole[..]).read_to_end(&mut unpacked).expect("deflate");
    assert_eq!(unpacked, data);

    let mut follower = Follower::new(level);
    follower.expect(&whole).expect("the same");
    for piece in data.chunks(1 + usize::from(value) * 100) {
        follower.write(piece).expect("the same");
    }
    assert_eq!(follower.finish().expect("the same").length, whole.len() as u64);

    all.insert(0, Checkpoint::start());
    let mut joined = Vec::new();
    for (at, from) in all.iter().enumerate() {
        joined.extend(piece(level, &data, from, all.get(at + 1)).expect("a checkpoint as it was made"));
    }
    assert_eq!(joined, whole);

    let last = all.pop().expect("one at the start");
    if let Some(bad) = tampered(last, field, value) {
        // wrong bytes are what it deserves
        let _ = piece(level, &data, &bad, None);
    }
}

fn piece(level: Level, data: &[u8], from: &Checkpoint, to: Option<&Checkpoint>) -> Option<Vec<u8>> {
    let at = usize::try_from(from.position).ok()?;
    let history = data.get(at.checked_sub(from.history(level))?..at)?;
    let mut encoder = Encoder::resume(level, from, history).map_err(|error| shown(&error)).ok()?;
    let mut end = data.len();
    if let Some(to) = to {
        encoder = encoder.until(to.position);
        end = end.min(to.position as usize + LOOKAHEAD);
    }
    let mut out = Vec::new();
    encoder.write(&data[at..end], &mut out).ok()?;
    encoder.finish(&mut out).ok()?;
    Some(out)
}

fn tampered(mut checkpoint: Checkpoint, field: u8, value: u8) -> Option<Checkpoint> {
    let wide = u64::from(value);
    match field % 8 {
        0 => checkpoint.position = checkpoint.position.checked_sub(wide)?,
        1 => checkpoint.window = checkpoint.window.checked_sub(wide << 15)?,
        2 => checkpoint.window = wide << 15,
        3 => checkpoint.waiting ^= true,
        4 => checkpoint.found = Some((u16::from(value) + 3, u16::from(value) * 128)),
        5 => checkpoint.found = Some((258, 1)),
        6 => checkpoint.partial = value,
        _ => checkpoint.findable = Some(Box::new([value; barge::regzip::HISTORY / 8])),
    }
    Some(checkpoint)
}
