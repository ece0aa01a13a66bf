//! The level is found, and what Go did where its output depends on its writes.

use barge::regzip::find::{Sample, find, likely};
use barge::regzip::{Encoder, Follower, Header};

use super::inputs::Random;
use super::peer::{Kind, Peer};
use super::{LEVELS, assert_same, deflate, level};

/// The place in a window of 64 KiB before which Go may let it slide, or not.
const EDGE: usize = 65536 - 262;

#[test]
fn the_level_is_found_from_the_beginning_of_a_stream() {
    let mut random = Random::new(8);
    // levels 6 to 9 part where there are many places to look at
    let mut data = random.text(600_000);
    data.extend(random.mixed(600_000));
    let mut go = Peer::start();
    for number in LEVELS {
        let stream = go.pack(Kind::Gzip, number, &data, &[data.len()]);
        let (header, length) = Header::parse(&stream).unwrap();
        let deflate = &stream[length..];
        let part = Sample { deflate: &deflate[..deflate.len() / 2], data: &data[..500_000], whole: false };
        let whole = Sample { deflate, data: &data, whole: true };
        for sample in [part, whole] {
            // of some content several levels make the same
            let found = find(sample, &likely(&header)).unwrap_or_else(|| panic!("level {number} is not found"));
            let again = super::deflate(found.number(), sample.data);
            let certain = if sample.whole { again.len() } else { again.len() / 2 };
            assert_same(&again[..certain], &deflate[..certain], &format!("{found:?} for level {number}"));
        }
    }
    let other = flate2::Compression::new(6);
    let mut zlib = flate2::write::DeflateEncoder::new(Vec::new(), other);
    std::io::Write::write_all(&mut zlib, &data).unwrap();
    let zlib = zlib.finish().unwrap();
    let sample = Sample { deflate: &zlib, data: &data[..500_000], whole: false };
    assert_eq!(find(sample, &likely(&Header::plain(level(6)))), None, "this was not Go");
}

/// What is nowhere twice, but for eight bytes just at the edge of a window, that stood almost 32 KiB before.
fn doubtful(windows: &[usize]) -> Vec<u8> {
    let mut data = Random::new(9).bytes(400_000);
    for window in windows {
        let at = window * 32768 + EDGE;
        data.copy_within(at - 32600..at - 32592, at);
    }
    data
}

/// Writes that end one byte before the windows do.
fn short_by_one(windows: &[usize], total: usize) -> Vec<usize> {
    let ends = windows.iter().map(|window| window * 32768 + 65535).chain([total]);
    let mut last = 0;
    ends.map(|end| end - std::mem::replace(&mut last, end)).collect()
}

#[test]
fn what_go_makes_of_unlucky_writes_is_made_again_too() {
    let mut go = Peer::start();
    for number in 2..=9 {
        let data = doubtful(&[0, 2, 3]);
        let usual = go.deflate(number, &data);
        let mut encoder = Encoder::new(level(number));
        encoder.write(&data, &mut std::io::sink()).unwrap();
        assert_eq!(encoder.doubts(), [0, 2, 3].map(|window| (window * 32768 + EDGE) as u64));
        assert_same(&deflate(number, &data), &usual, "in one write");
        let edges: Vec<u64> = [2, 3].map(|window| (window * 32768 + EDGE) as u64).to_vec();
        let unlucky = go.pack(Kind::Deflate, number, &data, &short_by_one(&[2, 3], data.len()));
        assert_ne!(unlucky, usual, "the writes matter");
        let (mut out, mut encoder) = (Vec::new(), Encoder::new(level(number)).early(&edges));
        encoder.write(&data, &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        assert_same(&out, &unlucky, &format!("level {number}"));

        // and it is found out from the bytes alone
        for (expected, early) in [(&unlucky, &edges[..]), (&usual, &[])] {
            let mut follower = Follower::new(level(number)).checkpoints_every(100_000);
            follower.expect(expected).unwrap();
            for data in data.chunks(10_000) {
                follower.write(data).unwrap();
            }
            let followed = follower.finish().unwrap();
            assert_eq!((followed.length, &followed.early[..]), (expected.len() as u64, early), "level {number}");
            assert!(followed.rest.is_empty() && followed.checkpoints.len() >= 2);
        }
    }
}

#[test]
fn what_makes_no_difference_is_not_told() {
    let at = 2 * 32768 + EDGE;
    let mut data = Random::new(9).bytes(400_000);
    // what begins a byte before the edge is as long as what begins there far back, and wins
    data.copy_within(at - 1001..at - 991, at - 1);
    data.copy_within(at..at + 10, at - 32600);
    let stream = deflate(6, &data);
    let mut encoder = Encoder::new(level(6));
    encoder.write(&data, &mut std::io::sink()).unwrap();
    assert_eq!(encoder.doubts(), [at as u64]);
    for size in [10_000, 50_000, 65_536, 400_000] {
        let mut follower = Follower::new(level(6));
        follower.expect(&stream).unwrap();
        data.chunks(size).for_each(|data| follower.write(data).unwrap());
        assert_eq!(follower.finish().unwrap().early, Vec::<u64>::new(), "{size}");
    }
}

#[test]
fn writes_of_any_size_are_followed() {
    let mut go = Peer::start();
    let mut random = Random::new(10);
    for round in 0..60 {
        let data = random.mixed(500_000);
        let number = LEVELS[round % LEVELS.len()];
        let writes = random.writes(data.len());
        let mut stream = go.pack(Kind::Deflate, number, &data, &writes);
        let length = stream.len() as u64;
        stream.extend(b"trailer!");
        let mut follower = Follower::new(level(number));
        // as if both came from a reader that is a little ahead
        let mut pieces = stream.chunks(4096);
        for data in data.chunks(30_000) {
            pieces.by_ref().take(4).for_each(|piece| follower.expect(piece).unwrap());
            follower.write(data).unwrap();
        }
        pieces.for_each(|piece| follower.expect(piece).unwrap());
        let followed = follower.finish().unwrap_or_else(|error| panic!("level {number}, round {round}: {error}"));
        assert_eq!((followed.length, &followed.rest[..]), (length, &b"trailer!"[..]));
    }
}

#[test]
fn a_stream_that_differs_is_told_with_its_place() {
    let data = Random::new(11).text(800_000);
    let mut stream = deflate(6, &data);
    let at = stream.len() / 2;
    stream[at] ^= 1;
    let mut follower = Follower::new(level(6));
    follower.expect(&stream).unwrap();
    let error = follower.write(&data).unwrap_err();
    assert_eq!(error.to_string(), format!("the stream differs from what this makes, at byte {at}"));
    // and one that ends too soon
    let stream = deflate(6, &data);
    let mut follower = Follower::new(level(6));
    follower.expect(&stream[..stream.len() - 1]).unwrap();
    follower.write(&data).unwrap();
    assert_eq!(follower.finish().unwrap_err().at, stream.len() as u64 - 1);
}
