//! zlib, as python has it.

use barge::regzip::Way;
use barge::regzip::find::{Sample, find, likely_ways};
use barge::regzip::{Follower, Header};

use super::inputs::{Random, edges};
use super::peer::{Kind, Peer};
use super::{assert_same, deflate_by, inflate, joined};

#[test]
fn edges_are_as_zlib_makes_them() {
    let mut zlib = Peer::zlib();
    for (round, (name, data)) in edges().into_iter().enumerate() {
        // small ones at all levels, large ones at some
        let levels = if data.len() < 20_000 { 1..=9 } else { 1 + round as u8 % 4..=4 + round as u8 % 4 };
        for level in levels {
            let packed = deflate_by(Way::Zlib { level }, &data);
            assert_same(&packed, &zlib.deflate(level as i8, &data), &format!("level {level}, {name}"));
        }
        assert_eq!(inflate(&deflate_by(Way::Zlib { level: 6 }, &data)), data, "{name}");
    }
}

#[test]
fn what_is_mixed_at_random_is_as_zlib_makes_it() {
    let mut zlib = Peer::zlib();
    let mut random = Random::new(50);
    for round in 0..180 {
        let size = 1 << random.below(19);
        let size = size + random.below(size);
        let data = random.mixed(size);
        let level = 1 + (round % 9) as u8;
        let writes = random.writes(size);
        let expected = zlib.pack(Kind::Deflate, level as i8, &data, &writes);
        assert_same(&deflate_by(Way::Zlib { level }, &data), &expected, &format!("level {level}, round {round}"));
    }
}

#[test]
fn zlib_is_found_and_followed() {
    let data = Random::new(51).text(700_000);
    let mut zlib = Peer::zlib();
    for (level, system) in [(6, 3), (9, 255), (1, 0)] {
        let mut stream = zlib.deflate(level, &data);
        let header = Header { system, ..Header::default() };
        let sample = Sample { deflate: &stream, data: &data[..500_000], whole: false };
        let way = Way::Zlib { level: level as u8 };
        assert_eq!(find(sample, &likely_ways(&header)), Some(way));
        let length = stream.len() as u64;
        stream.extend(b"trailer!");
        let mut follower = Follower::new(way).checkpoints_every(1);
        follower.expect(&stream).unwrap();
        for data in data.chunks(70_000) {
            follower.write(data).unwrap();
        }
        let followed = follower.finish().unwrap();
        assert_eq!((followed.length, &followed.rest[..]), (length, &b"trailer!"[..]));
        assert!(followed.checkpoints.len() > 1, "others can go on at every block");
        assert_same(&joined(way, &data, &followed.checkpoints), &stream[..stream.len() - 8], "in pieces");
    }
}
