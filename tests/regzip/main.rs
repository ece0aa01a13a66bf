//! gzip made again, byte for byte: those that made it, as programs beside, pack the same and are compared.

#![allow(clippy::unwrap_used, clippy::panic)] // all of this is tests

mod blocks;
mod content;
mod follow;
mod inputs;
mod klauspost;
mod peer;
mod pieces;
mod same;
mod stretch;
mod tools;
mod zlib;

use barge::regzip::{Checkpoint, Encoder, HISTORY, LOOKAHEAD, Level, Way};

/// All levels that Go has.
const LEVELS: [i8; 11] = [-2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

fn level(number: i8) -> Level {
    Level::new(number).unwrap()
}

fn deflate(number: i8, data: &[u8]) -> Vec<u8> {
    deflate_by(level(number).into(), data)
}

fn deflate_by(way: Way, data: &[u8]) -> Vec<u8> {
    let (mut out, mut encoder) = (Vec::new(), Encoder::new(way));
    encoder.write(data, &mut out).unwrap();
    encoder.finish(&mut out).unwrap();
    out
}

/// Makes a stream by an encoder for each piece between checkpoints: each begins at one, and ends at the next.
fn joined<'a>(way: Way, data: &[u8], checkpoints: impl IntoIterator<Item = &'a Checkpoint>) -> Vec<u8> {
    let mut all = vec![Checkpoint::start()];
    all.extend(checkpoints.into_iter().cloned());
    let mut joined = Vec::new();
    for (at, from) in all.iter().enumerate() {
        assert_eq!(from.bits / 8, joined.len() as u64, "{way:?}");
        joined.extend(piece(way, data, from, all.get(at + 1)));
    }
    joined
}

/// Makes the piece between two checkpoints: the rest, if there is no second one.
fn piece(way: Way, data: &[u8], from: &Checkpoint, to: Option<&Checkpoint>) -> Vec<u8> {
    let at = usize::try_from(from.position).unwrap();
    let history = from.history(way);
    assert!(history <= HISTORY);
    let mut encoder = Encoder::resume(way, from, &data[at - history..at]).unwrap();
    let mut end = data.len();
    if let Some(to) = to {
        encoder = encoder.until(to.position);
        end = end.min(usize::try_from(to.position).unwrap() + LOOKAHEAD);
    }
    let mut out = Vec::new();
    encoder.write(&data[at..end], &mut out).unwrap();
    encoder.finish(&mut out).unwrap();
    assert_eq!(encoder.is_stopped(), to.is_some());
    out
}

fn inflate(deflate: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    std::io::Read::read_to_end(&mut flate2::bufread::DeflateDecoder::new(deflate), &mut data).unwrap();
    data
}

/// Where two streams part, if they do.
#[track_caller]
fn assert_same(got: &[u8], expected: &[u8], what: &str) {
    let at = got.iter().zip(expected).take_while(|(got, expected)| got == expected).count();
    let (lengths, is_same) = ((got.len(), expected.len()), got == expected);
    assert!(is_same, "{what}: the same for {at} bytes of {lengths:?}");
}
