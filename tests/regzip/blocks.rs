//! Streams that were packed block by block: barge's own, and several encoders on one stream.

use std::num::NonZeroUsize;

use barge::media::Compression;
use barge::pack::{PackOptions, pack};
use barge::regzip::find::{Sample, find, likely_ways};
use barge::regzip::{Checkpoint, Encoder, Follower, Header, Headers, ResumeError, Way};

use super::inputs::Random;
use super::peer::Peer;
use super::{assert_same, deflate_by, joined};

const OWN: Way = Way::Barge { level: 5, block: 512 << 10 };
const PGZIP: Way = Way::Klauspost { level: 5, headers: Headers::Full, block: Some(1 << 20) };

fn packed(level: u32, data: &[u8]) -> Vec<u8> {
    let options = PackOptions { compression: Compression::Gzip, level, jobs: NonZeroUsize::MIN };
    let mut out = Vec::new();
    pack(&options, &mut out, |to| to.write_all(data)).unwrap();
    out
}

#[test]
fn what_barge_packed_is_made_again() {
    let data = Random::new(40).mixed(1_700_000);
    for level in 0..=9 {
        let stream = packed(u32::from(level), &data);
        let way = Way::Barge { level, block: 512 << 10 };
        assert_same(&deflate_by(way, &data), &stream[10..stream.len() - 8], &format!("level {level}"));
    }
    for size in [0, 1, 524_287, 524_288, 524_289, 1_048_576] {
        let stream = packed(5, &data[..size]);
        assert_same(&deflate_by(OWN, &data[..size]), &stream[10..stream.len() - 8], &format!("{size} bytes"));
    }
}

#[test]
fn the_way_is_found_from_the_beginning_of_a_stream() {
    let data = Random::new(41).mixed(3_000_000);
    let mut peer = Peer::klauspost();
    let streams = [
        (OWN, packed(5, &data)),
        (PGZIP, peer.pgzip(1 << 20, -1, &data)),
        (Way::of("klauspost1.15", 6, Some(256 << 10)).unwrap(), peer.pgzip(256 << 10, 6, &data)),
    ];
    for (way, stream) in streams {
        let (header, length) = Header::parse(&stream).unwrap();
        let deflate = &stream[length..];
        let part = Sample { deflate, data: &data[..2 << 20], whole: false };
        assert_eq!(find(part, &likely_ways(&header)), Some(way));
        let mut follower = Follower::new(way).checkpoints_every(1);
        follower.expect(deflate).unwrap();
        for data in data.chunks(100_000) {
            follower.write(data).unwrap();
        }
        let followed = follower.finish().unwrap();
        assert_eq!((followed.length, followed.rest.len()), (deflate.len() as u64 - 8, 8));
        assert!(followed.checkpoints.iter().all(|it| it.bits % 8 == 0 && it.partial == 0));
        assert_same(&joined(way, &data, &followed.checkpoints), &deflate[..deflate.len() - 8], way.name());
        assert_eq!(followed.checkpoints.len(), (data.len() - 1) / way.block().unwrap() as usize);
    }
}

#[test]
fn a_checkpoint_within_a_block_is_refused() {
    for (way, history) in [(OWN, 32768), (PGZIP, 16384)] {
        let block = u64::from(way.block().unwrap());
        let good = Checkpoint { position: block, bits: 800, ..Checkpoint::start() };
        assert_eq!(good.history(way), history);
        let history = vec![0; history];
        Encoder::resume(way, &good, &history).unwrap();
        for bad in [
            Checkpoint { position: block + 65536, ..good.clone() },
            Checkpoint { bits: 801, ..good.clone() },
            Checkpoint { partial: 1, ..good.clone() },
            Checkpoint { waiting: true, ..good.clone() },
        ] {
            assert_eq!(Encoder::resume(way, &bad, &history).unwrap_err(), ResumeError::State);
        }
    }
}
