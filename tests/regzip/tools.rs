//! GNU gzip and pigz, as programs that are given a file.

use std::io::{Seek as _, Write as _};
use std::process::{Command, Stdio};

use barge::regzip::find::{Sample, find, likely_ways};
use barge::regzip::{Checkpoint, Encoder, Follower, Header, PigzBlocks, ResumeError, Way};

use super::inputs::{Random, edges};
use super::{assert_same, deflate_by, inflate, joined};

const BLOCK: u32 = 128 << 10;

/// Returns the deflate stream that a program makes of a file on its standard input.
fn packed(line: &str, data: &[u8]) -> Vec<u8> {
    let stream = gzip(line, data);
    let (_, length) = Header::parse(&stream).unwrap();
    stream[length..stream.len() - 8].to_vec()
}

fn gzip(line: &str, data: &[u8]) -> Vec<u8> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(data).unwrap();
    file.rewind().unwrap();
    let mut words = line.split_whitespace();
    let program = words.next().unwrap();
    let output = Command::new(program).args(words).stdin(Stdio::from(file)).output();
    let output = output.unwrap_or_else(|error| panic!("{program} (package {program}) does not run: {error}"));
    assert!(output.status.success(), "{line}: {output:?}");
    output.stdout
}

fn pigz(level: u8, block: u32, blocks: PigzBlocks) -> (Way, String) {
    let option = match blocks {
        PigzBlocks::Chained => "-p 2",
        PigzBlocks::Single => "-p 1",
        PigzBlocks::Independent => "-p 2 -i",
    };
    (Way::Pigz { level, block, blocks }, format!("pigz -{level} {option} -b {}", block >> 10))
}

const KINDS: [PigzBlocks; 3] = [PigzBlocks::Chained, PigzBlocks::Single, PigzBlocks::Independent];

#[test]
fn edges_are_as_gzip_makes_them() {
    for (round, (name, data)) in edges().into_iter().enumerate() {
        // small ones at a level of each kind, large ones at one
        let levels = if data.len() < 20_000 { vec![1, 3, 6, 9] } else { vec![1 + (round % 9) as u8] };
        for level in levels {
            let made = deflate_by(Way::Gzip { level }, &data);
            assert_same(&made, &packed(&format!("gzip -{level}"), &data), &format!("level {level}, {name}"));
            assert_eq!(inflate(&made), data, "{name}");
        }
    }
}

#[test]
fn what_is_mixed_at_random_is_as_gzip_and_pigz_make_it() {
    let mut random = Random::new(60);
    for round in 0..180 {
        let size = 1 << random.below(20);
        let size = size + random.below(size);
        let data = random.mixed(size);
        let level = 1 + (round % 9) as u8;
        let what = format!("level {level}, round {round}");
        assert_same(&deflate_by(Way::Gzip { level }, &data), &packed(&format!("gzip -{level}"), &data), &what);
        let block = if round % 2 == 0 { BLOCK } else { (32 << 10) + 1024 * random.below(100) as u32 };
        let (way, line) = pigz(level, block, KINDS[round / 9 % 3]);
        assert_same(&deflate_by(way, &data), &packed(&line, &data), &format!("{line}, round {round}"));
    }
}

#[test]
fn what_ends_around_the_edge_of_a_window_is_as_gzip_makes_it() {
    // the end of the input is seen before a window slides, while it does, or behind it
    let mut random = Random::new(61);
    let mut data = random.text(150_000);
    let repeated = data[20_000..80_000].to_vec();
    data[52_768..112_768].copy_from_slice(&repeated);
    for end in [65_274, 65_275, 65_280, 65_400, 65_533, 65_534, 65_535, 65_536, 65_537, 98_303, 98_304, 98_400] {
        for level in [1, 4, 6, 9] {
            let expected = packed(&format!("gzip -{level}"), &data[..end]);
            assert_same(
                &deflate_by(Way::Gzip { level }, &data[..end]),
                &expected,
                &format!("level {level}, {end} bytes"),
            );
        }
    }
}

#[test]
fn blocks_that_end_with_the_content_are_as_pigz_makes_them() {
    let data = Random::new(62).mixed(600_000);
    for size in [0, 1, 2, 131_071, 131_072, 131_073, 131_074, 131_075, 262_144, 393_217, 600_000] {
        for blocks in KINDS {
            let (way, line) = pigz(6, BLOCK, blocks);
            assert_same(
                &deflate_by(way, &data[..size]),
                &packed(&line, &data[..size]),
                &format!("{line}, {size} bytes"),
            );
        }
    }
}

#[test]
fn they_are_found_and_followed_and_made_in_pieces() {
    // longer than a window, so that it slides, and than what is looked at
    let mut data = Random::new(63).text(1_100_000);
    data.extend(Random::new(64).mixed(1_200_000));
    let [chained, single, independent] = KINDS.map(|blocks| pigz(1, BLOCK, blocks));
    let streams = [
        (Way::Gzip { level: 6 }, "gzip -6".to_owned()),
        chained,
        single,
        independent,
        pigz(6, 1 << 20, PigzBlocks::Chained),
    ];
    for (way, line) in streams {
        let stream = gzip(&line, &data);
        let (header, length) = Header::parse(&stream).unwrap();
        let sample = Sample { deflate: &stream[length..], data: &data[..2 << 20], whole: false };
        assert_eq!(find(sample, &likely_ways(&header)), Some(way), "{line}");
        let deflate = &stream[length..stream.len() - 8];
        let mut follower = Follower::new(way).checkpoints_every(100_000);
        follower.expect(&stream[length..]).unwrap();
        for data in data.chunks(70_000) {
            follower.write(data).unwrap();
        }
        let followed = follower.finish().unwrap();
        assert_eq!((followed.length, followed.rest.len()), (deflate.len() as u64, 8));
        assert!(followed.checkpoints.len() > 1, "{line}: others can go on");
        assert_same(&joined(way, &data, &followed.checkpoints), deflate, &line);
    }
}

#[test]
fn a_checkpoint_that_cannot_be_is_refused() {
    let data = Random::new(65).text(900_000);
    for (way, is_lazy) in [(Way::Gzip { level: 6 }, true), (pigz(1, BLOCK, PigzBlocks::Single).0, false)] {
        let mut encoder = Encoder::new(way).checkpoints_every(1);
        encoder.write(&data, &mut std::io::sink()).unwrap();
        let all = encoder.take_checkpoints();
        let good = all.iter().rev().find(|it| it.waiting || !is_lazy).unwrap();
        let at = usize::try_from(good.position).unwrap();
        let history = &data[at - good.history(way)..at];
        Encoder::resume(way, good, history).unwrap();
        for change in [
            |it: &mut Checkpoint| it.found = Some((2, 1)),
            |it: &mut Checkpoint| it.found = Some((258, 0)),
            |it: &mut Checkpoint| it.findable = if it.findable.is_some() { None } else { Some(Box::new([0; 4096])) },
            |it: &mut Checkpoint| it.window += 1,
            |it: &mut Checkpoint| it.partial = 255,
        ] {
            let mut bad = good.clone();
            change(&mut bad);
            assert_eq!(Encoder::resume(way, &bad, history).unwrap_err(), ResumeError::State, "{bad:?}");
        }
    }
}
