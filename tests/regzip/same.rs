//! The same input gives the same bytes, at every level.

use barge::regzip::{Encoder, Header, Trailer};

use super::inputs::{Random, edges};
use super::peer::{Kind, Peer};
use super::{LEVELS, assert_same, deflate, inflate, level};

#[test]
fn edges_of_the_format_and_of_the_window_are_as_go_makes_them() {
    let mut go = Peer::start();
    for (round, (name, data)) in edges().into_iter().enumerate() {
        // of those that differ in their patience alone, large content sees one after the other
        let large = [[-2, 0][round % 2], 1, [2, 3][round % 2], 6, [4, 5, 7, 8, 9][round % 5]];
        let levels = if data.len() < 20_000 { &LEVELS[..] } else { &large };
        for &number in levels {
            let packed = deflate(number, &data);
            assert_same(&packed, &go.deflate(number, &data), &format!("level {number}, {name}"));
        }
        assert_eq!(inflate(&deflate(6, &data)), data, "{name}");
    }
}

#[test]
fn what_is_mixed_at_random_is_as_go_makes_it() {
    let mut go = Peer::start();
    let mut random = Random::new(20);
    for round in 0..220 {
        let size = 1 << random.below(19);
        let size = size + random.below(size);
        let data = random.mixed(size);
        let number = LEVELS[round % LEVELS.len()];
        assert_same(&deflate(number, &data), &go.deflate(number, &data), &format!("level {number}, round {round}"));
    }
}

#[test]
fn the_usual_level_has_two_numbers() {
    let data = Random::new(3).mixed(100_000);
    assert_same(&deflate(-1, &data), &Peer::start().deflate(-1, &data), "-1");
    assert_eq!(level(-1), level(6));
    for number in [-3, 10, 127] {
        assert_eq!(barge::regzip::Level::new(number), None);
    }
}

#[test]
fn it_does_not_matter_how_the_input_is_cut() {
    let mut random = Random::new(4);
    let data = random.mixed(300_000);
    for number in LEVELS {
        let whole = deflate(number, &data);
        for round in 0..3 {
            let (mut out, mut encoder, mut rest) = (Vec::new(), Encoder::new(level(number)), &data[..]);
            let writes = if round == 0 { vec![1; data.len()] } else { random.writes(data.len()) };
            for count in writes {
                let (now, later) = rest.split_at(count);
                encoder.write(now, &mut out).unwrap();
                rest = later;
            }
            encoder.finish(&mut out).unwrap();
            assert_same(&out, &whole, &format!("level {number}, round {round}"));
        }
    }
}

#[test]
fn gzip_is_framed_as_go_frames_it() {
    let mut go = Peer::start();
    let data = Random::new(5).text(5000);
    for number in LEVELS {
        for kind in [Kind::Gzip, Kind::FullGzip] {
            let expected = go.pack(kind, number, &data, &[data.len()]);
            let mut header = Header::plain(level(number));
            if matches!(kind, Kind::FullGzip) {
                (header.modified, header.system) = (1_234_567_890, 3);
                header.extra = Some(b"extra".to_vec());
                header.name = Some(b"l\xe4yer.tar".to_vec());
                header.comment = Some(b"a comment".to_vec());
            }
            let mut packed = header.to_bytes();
            assert_eq!(Header::parse(&expected).unwrap(), (header, packed.len()), "level {number}");
            packed.extend(deflate(number, &data));
            let trailer = Trailer { crc32: crc32fast::hash(&data), size: 5000 };
            packed.extend(trailer.to_bytes());
            assert_same(&packed, &expected, &format!("level {number}"));
            assert_eq!(Trailer::parse(*expected.last_chunk().unwrap()), trailer);
        }
    }
}

#[test]
fn a_header_that_go_does_not_write_is_told() {
    let plain = Header::plain(level(6)).to_bytes();
    let with = |at: usize, byte: u8| {
        let mut bytes = plain.clone();
        bytes[at] = byte;
        Header::parse(&bytes).unwrap_err().to_string()
    };
    assert_eq!(with(0, 0), "not gzip");
    assert_eq!(with(2, 7), "not gzip");
    assert_eq!(with(3, 2), "its flags are 0x02, which another program sets");
    for flag in [4, 8, 16] {
        assert_eq!(with(3, flag), "it ends beyond the bytes that are there");
    }
    assert_eq!(Header::parse(&plain[..9]).unwrap_err().to_string(), "it ends beyond the bytes that are there");
    assert_eq!(Header::parse(b"").unwrap_err().to_string(), "not gzip");
}
