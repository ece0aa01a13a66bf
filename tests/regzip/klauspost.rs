//! klauspost's compress/flate and pgzip, which podman, buildah, skopeo and umoci pack with.

use barge::regzip::{Header, Headers, Trailer, Way};

use super::inputs::{Random, edges};
use super::peer::{Kind, Peer};
use super::{assert_same, deflate_by, inflate};

/// The version that is in Debian 12, and its tools.
const fn way(level: u8, block: Option<u32>) -> Way {
    Way::Klauspost { level, headers: Headers::Full, block }
}

const LEVELS: [u8; 6] = [1, 2, 3, 4, 5, 6];

fn gzip(way: Way, data: &[u8]) -> Vec<u8> {
    // the year 1, as far as 32 bits hold it
    let hint = if way.level() == 1 { 4 } else { 0 };
    let mut packed = Header { modified: 0x886e_0900, system: 255, hint, ..Header::default() }.to_bytes();
    packed.extend(deflate_by(way, data));
    packed.extend(Trailer { crc32: crc32fast::hash(data), size: data.len() as u32 }.to_bytes());
    packed
}

#[test]
fn edges_are_as_klauspost_makes_them() {
    let mut peer = Peer::klauspost();
    for (round, (name, data)) in edges().into_iter().enumerate() {
        // small ones at all levels, large ones at one
        let levels = if data.len() < 20_000 { &LEVELS[..] } else { &LEVELS[round % 6..=round % 6] };
        for &level in levels {
            let packed = deflate_by(way(level, None), &data);
            let expected = peer.pack(Kind::Deflate, level as i8, &data, &[data.len()]);
            assert_same(&packed, &expected, &format!("level {level}, {name}"));
        }
        assert_eq!(inflate(&deflate_by(way(5, None), &data)), data, "{name}");
    }
}

#[test]
fn what_is_mixed_at_random_is_as_klauspost_and_pgzip_make_it() {
    let mut peer = Peer::klauspost();
    let mut random = Random::new(30);
    for round in 0..240 {
        let size = 1 << random.below(20);
        let size = size + random.below(size);
        let data = random.mixed(size);
        let level = LEVELS[round % LEVELS.len()];
        let what = format!("level {level}, round {round}");
        let expected = peer.pack(Kind::Deflate, level as i8, &data, &[data.len()]);
        assert_same(&deflate_by(way(level, None), &data), &expected, &what);
        let block = (32 << 10) + 4096 * random.below(64) as u32;
        let expected = peer.pgzip(block, level as i8, &data);
        assert_same(&gzip(way(level, Some(block)), &data), &expected, &format!("{what}, blocks of {block}"));
    }
}

#[test]
fn blocks_that_end_with_the_content_are_as_pgzip_makes_them() {
    let mut peer = Peer::klauspost();
    let data = Random::new(31).mixed(400_000);
    let block = 1 << 17;
    for size in [0, 1, 20, 100, 130, 65_535, 131_071, 131_072, 131_073, 131_104, 262_144, 393_216, 400_000] {
        let expected = peer.pgzip(block, -1, &data[..size]);
        assert_same(&gzip(way(5, Some(block)), &data[..size]), &expected, &format!("{size} bytes"));
    }
}
