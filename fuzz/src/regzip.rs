//! gzip made again: whatever is packed unpacks to itself, the pieces between checkpoints are the whole, and a checkpoint that
//! somebody tampered with does no harm.

use std::io::Read as _;
use std::sync::Arc;

use barge::regzip::find::Differs;
use barge::regzip::listen::{Listening, Match, Original, listen};
use barge::regzip::stretch::{Divider, Joined};
use barge::regzip::{Checkpoint, Encoder, Follower, Header, LOOKAHEAD, Packed, Way};

use crate::shown;

/// A way, how often the content is repeated, what is done to a checkpoint, and the content.
pub fn regzip(input: &[u8]) {
    match Header::parse(input) {
        Ok((header, length)) => assert_eq!(header.to_bytes(), input[..length]),
        Err(error) => shown(&error),
    }
    listened(input);
    let Some((&[number, times, field, value], rest)) = input.split_first_chunk() else { return };
    let way = way(number % 40);
    let data = rest.repeat(usize::from(times % 16));

    let mut encoder = Encoder::new(way).checkpoints_every(1);
    let mut whole = Vec::new();
    encoder.write(&data, &mut whole).expect("a vector takes everything");
    let mut all = encoder.take_checkpoints();
    encoder.finish(&mut whole).expect("a vector takes everything");

    let mut unpacked = Vec::new();
    flate2::bufread::DeflateDecoder::new(&whole[..]).read_to_end(&mut unpacked).expect("deflate");
    assert_eq!(unpacked, data);

    let mut follower = Follower::new(way);
    follower.expect(&whole).expect("the same");
    for piece in data.chunks(1 + usize::from(value) * 100) {
        follower.write(piece).expect("the same");
    }
    assert_eq!(follower.finish().expect("the same").length, whole.len() as u64);

    assert_eq!(stretches(way, &whole, &data, &all).as_ref().unwrap_or(&Ok(all.clone())), &Ok(all.clone()));
    if let Some(at) = whole.len().checked_sub(1 + usize::from(field)) {
        let mut wrong = whole.clone();
        wrong[at] ^= value | 1;
        if let Some(Err(error)) = stretches(way, &wrong, &data, &all) {
            shown(&error);
        }
    }

    all.insert(0, Checkpoint::start());
    let mut joined = Vec::new();
    for (at, from) in all.iter().enumerate() {
        joined.extend(piece(way, &data, from, all.get(at + 1)).expect("a checkpoint as it was made"));
    }
    assert_eq!(joined, whole);

    let last = all.pop().expect("one at the start");
    if let Some(bad) = tampered(last, field, value) {
        // wrong bytes are what it deserves
        let _ = piece(way, &data, &bad, None);
    }
}

/// Reads it as deflate, and finds all of it in itself.
fn listened(input: &[u8]) {
    let packed: Arc<dyn Packed> = Arc::new(input.to_vec());
    match Original::read(Arc::clone(&packed), 0, &|| true) {
        Err(error) => shown(&error),
        Ok(original) => {
            let to = Listening {
                originals: &[Some(&original)],
                matches: &[Match { at: 0, original: 0, from: 0, length: u64::MAX }],
                cuts: &[],
                plain: u64::MAX,
            };
            for (_, echo) in listen(packed, 0, to, &|| true).expect("it was read before") {
                assert!(echo.at >= echo.skip);
            }
        }
    }
}

/// All levels of Go, zlib and gzip, and some of pigz with small blocks.
fn way(number: u8) -> Way {
    let number = i8::try_from(number).expect("a small number");
    let block = Some(32 << 10);
    let way = match number {
        0..=11 => Way::of("go1.19", number - 2, None),
        12..=20 => Way::of("zlib", number - 11, None),
        21..=29 => Way::of("gzip", number - 20, None),
        30..=33 => Way::of("pigz-single", 1 + 2 * (number - 30), block),
        34..=37 => Way::of("pigz", 1 + 2 * (number - 34), block),
        _ => Way::of("pigz-independent", number - 35, block),
    };
    way.unwrap_or_else(|| panic!("{number} is none"))
}

/// Follows a stream in as many stretches as there can be, and returns the checkpoints. None if it cannot be divided.
fn stretches(way: Way, deflate: &[u8], data: &[u8], ends: &[Checkpoint]) -> Option<Result<Vec<Checkpoint>, Differs>> {
    let mut divider = Divider::new(way, 1)?;
    let mut joined = Joined::new(1);
    let mut follow = || {
        let (mut packed, mut plain) = (0, 0);
        for end in ends {
            let packed_end = end.bits.div_ceil(8) as usize;
            let plain_end = end.position as usize - usize::from(end.waiting);
            if let Some(stretch) = divider.take(&deflate[packed..packed_end], &data[plain..plain_end], true)? {
                joined.join(&stretch, stretch.follow())?;
            }
            (packed, plain) = (packed_end, plain_end);
        }
        if let Some(stretch) = divider.take(&deflate[packed..], &data[plain..], false)? {
            joined.join(&stretch, stretch.follow())?;
        }
        Ok(())
    };
    let followed = follow().and_then(|()| {
        let last = divider.finish();
        joined.join(&last, last.follow())
    });
    Some(followed.map(|()| joined.done().1))
}

fn piece(way: Way, data: &[u8], from: &Checkpoint, to: Option<&Checkpoint>) -> Option<Vec<u8>> {
    let at = usize::try_from(from.position).ok()?;
    let history = data.get(at.checked_sub(from.history(way))?..at)?;
    let mut encoder = Encoder::resume(way, from, history).map_err(|error| shown(&error)).ok()?;
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
