//! Followed in stretches, on whatever thread, a stream yields what it does when it is followed from its beginning.

use barge::regzip::find::{Differs, Followed};
use barge::regzip::stretch::{Divider, Joined, Stretch};
use barge::regzip::{Checkpoint, Follower, Headers, PigzBlocks, Way};
use zlib_rs::{Inflate, InflateFlush, Status};

use super::inputs::Random;
use super::peer::{Kind, Peer};
use super::{deflate_by, level};

/// Between checkpoints, in plain bytes.
const EVERY: u64 = 100_000;
/// What a stretch has at least.
const LEAST: u64 = 150_000;

/// Cuts a stream into stretches, as it is unpacked with so much room.
fn stretches(way: Way, deflate: &[u8], room: usize) -> Result<Vec<Stretch>, Differs> {
    let mut divider = Divider::new(way, LEAST).unwrap();
    let (mut inflate, mut out, mut found) = (Inflate::new(false, 15), vec![0; room], Vec::new());
    let mut at = 0;
    loop {
        let before = inflate.total_out();
        let status = inflate.decompress(&deflate[at..], &mut out, InflateFlush::Block).unwrap();
        let (taken, made) = (inflate.total_in() as usize - at, (inflate.total_out() - before) as usize);
        let block_ends = status == Status::Ok && made < room && at + taken < deflate.len();
        found.extend(divider.take(&deflate[at..at + taken], &out[..made], block_ends)?);
        at += taken;
        if status == Status::StreamEnd {
            found.push(divider.finish());
            return Ok(found);
        }
    }
}

/// What comes of stretches.
fn joined(stretches: &[Stretch]) -> Result<(Vec<u64>, Vec<Checkpoint>), Differs> {
    let mut joined = Joined::new(EVERY);
    stretches.iter().try_for_each(|stretch| joined.join(stretch, stretch.follow()))?;
    Ok(joined.done())
}

fn followed(way: Way, deflate: &[u8], data: &[u8]) -> Followed {
    let mut follower = Follower::new(way).checkpoints_every(EVERY);
    follower.expect(deflate).unwrap();
    follower.write(data).unwrap();
    follower.finish().unwrap()
}

fn content(length: usize) -> Vec<u8> {
    let mut random = Random::new(77);
    let mut data = Vec::new();
    while data.len() < length {
        data.extend(random.text(200_000));
        data.extend(random.mixed(150_000));
        data.extend(random.bytes(40_000));
        data.extend([7; 70_000]);
        let from = data.len() - 30_000;
        data.extend_from_within(from..);
    }
    data.truncate(length);
    data
}

/// Those of which it is known what they are like between blocks.
fn ways() -> Vec<Way> {
    let pigz = |blocks| Way::Pigz { level: 6, block: 128 << 10, blocks };
    let mut ways: Vec<Way> = [0, -2, 4, 6, 9].map(|number| Way::Go(level(number))).into();
    ways.extend([4, 6, 9].map(|level| Way::Zlib { level }));
    ways.extend([Way::Gzip { level: 6 }, Way::Barge { level: 5, block: 128 << 10 }]);
    ways.extend([PigzBlocks::Single, PigzBlocks::Chained, PigzBlocks::Independent].map(pigz));
    ways.push(Way::Klauspost { level: 5, headers: Headers::Exact, block: Some(256 << 10) });
    ways
}

#[test]
fn stretches_yield_what_the_whole_does() {
    let data = content(1_000_000);
    for (way, room) in ways().into_iter().zip([1 << 20, 40_000].into_iter().cycle()) {
        let deflate = deflate_by(way, &data);
        let Followed { early, checkpoints, .. } = followed(way, &deflate, &data);
        assert!(checkpoints.len() > 2, "{way:?}");
        let stretches = stretches(way, &deflate, room).unwrap();
        assert!(stretches.len() > 3, "{way:?}: {}", stretches.len());
        let (mut by_guess, mut by_the_last, mut guessed) = (Joined::new(EVERY), Joined::new(EVERY), 0);
        for stretch in &stretches {
            let followed = stretch.follow();
            guessed += usize::from(followed.is_some());
            by_guess.join(stretch, followed).unwrap();
            by_the_last.join(stretch, None).unwrap();
        }
        assert!(guessed + 1 >= stretches.len(), "{way:?}: {guessed} of {}", stretches.len());
        let whole = (early, checkpoints);
        assert_eq!((by_guess.done(), by_the_last.done()), (whole.clone(), whole), "{way:?} {room}");
    }
}

#[test]
fn a_way_of_which_nothing_is_known_between_blocks_is_not_divided() {
    let one = Way::Klauspost { level: 5, headers: Headers::Exact, block: None };
    for way in [Way::Go(level(1)), Way::Go(level(3)), Way::Zlib { level: 2 }, one] {
        assert!(Divider::new(way, LEAST).is_none(), "{way:?}");
    }
}

#[test]
fn unlucky_writes_are_seen_in_stretches_too() {
    const EDGE: usize = 65536 - 262;
    let windows = [1, 4, 9, 10];
    let mut data = Random::new(9).bytes(800_000);
    for window in windows {
        let at = window * 32768 + EDGE;
        data.copy_within(at - 32600..at - 32592, at);
    }
    let mut ends: Vec<usize> = windows[1..].iter().map(|window| window * 32768 + 65535).collect();
    ends.push(data.len());
    let mut last = 0;
    let writes: Vec<usize> = ends.into_iter().map(|end| end - std::mem::replace(&mut last, end)).collect();
    for number in [6, 9] {
        let way = Way::Go(level(number));
        let deflate = Peer::start().pack(Kind::Deflate, number, &data, &writes);
        let Followed { early, checkpoints, .. } = followed(way, &deflate, &data);
        assert_eq!(early.len(), 3, "{early:?}");
        let stretches = stretches(way, &deflate, 1 << 18).unwrap();
        assert!(stretches.len() > 3);
        assert_eq!(joined(&stretches), Ok((early, checkpoints)));
    }
}

#[test]
fn what_another_made_in_part_is_told_from_it() {
    let data = content(800_000);
    for (way, other) in [
        (Way::Go(level(6)), Way::Go(level(7))),
        (Way::Zlib { level: 6 }, Way::Zlib { level: 7 }),
        (Way::Barge { level: 5, block: 128 << 10 }, Way::Barge { level: 6, block: 128 << 10 }),
    ] {
        let stretches = stretches(way, &deflate_by(other, &data), 1 << 18).unwrap();
        assert!(joined(&stretches).is_err(), "{way:?}");
    }
    // one stored block after the other, which end where no block of this way does
    let stored = deflate_by(Way::Go(level(0)), &data);
    let endless = stretches(Way::Barge { level: 5, block: 64 << 20 }, &stored, 1 << 18).unwrap();
    assert_eq!(endless.len(), 1);
    assert!(joined(&endless).is_err());
}
