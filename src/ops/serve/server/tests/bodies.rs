//! Blobs on their way, to clients that take them, and to those that do not.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use super::{Limits, Running, blob, layout, options, pattern, snapshot, text};
use crate::digest::Digest;

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

fn named(byte: u8) -> Digest {
    Digest::of(&[byte])
}

fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_blob_comes_as_it_is_and_any_part_of_it() {
    let bytes = pattern(1_000_003);
    let place = layout(&[(named(1), &bytes)]);
    let snapshot = snapshot(place.path(), false);
    let size = bytes.len() as u64;
    let running = Running::start(move |request| {
        let (from, to) = request.path[1..].split_once('-').unwrap();
        blob(&snapshot, named(1), size, from.parse().unwrap()..to.parse().unwrap())
    });
    let mut client = running.connect();
    for (from, to) in [(0, bytes.len()), (0, 1), (1, 1), (65_535, 65_537), (262_143, 1_000_003), (1_000_002, 1_000_003)]
    {
        assert!(client.get(&format!("/{from}-{to}")).body == bytes[from..to], "{from}-{to}");
    }
    assert_eq!(running.told(6).iter().map(|told| told.bytes).max(), Some(size));
}

#[test]
fn a_long_answer_takes_no_memory_also_where_positions_need_more_than_32_bits() {
    let range = 4 * GIB - 200 * MIB..4 * GIB + 200 * MIB + 3;
    let place = layout(&[(named(1), b"")]);
    let file = File::options().write(true).open(place.path().join(named(1).blob_path())).unwrap();
    file.set_len(5 * GIB).unwrap();
    for (offset, mark) in [(range.start, b"1st"), (4 * GIB - 1, b"mid"), (range.end - 3, b"end")] {
        file.write_all_at(mark, offset).unwrap();
    }
    let snapshot = snapshot(place.path(), false);
    let asked = range.clone();
    let running = Running::start(move |_| blob(&snapshot, named(1), 5 * GIB, asked.clone()));
    let before = memory();
    let mut client = running.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head_of_reply();
    let nothing = vec![0; 1024 * 1024];
    let mut space = nothing.clone();
    let (mut at, mut most, mut marks) = (range.start, 0, Vec::new());
    while at < range.end {
        let count = client.reader.read(&mut space).unwrap();
        assert!(count > 0, "it ends at {at}");
        // all of it at once first: byte by byte takes long
        if space[..count] != nothing[..count] {
            let found = space[..count].iter().enumerate().filter(|(_, byte)| **byte != 0);
            marks.extend(found.map(|(index, byte)| (at + index as u64, *byte)));
        }
        at += count as u64;
        most = most.max(memory().saturating_sub(before));
    }
    let expected = [(range.start, b"1st"), (4 * GIB - 1, b"mid"), (range.end - 3, b"end")]
        .into_iter()
        .flat_map(|(offset, mark)| mark.iter().enumerate().map(move |(index, byte)| (offset + index as u64, *byte)));
    assert_eq!(marks, expected.collect::<Vec<_>>());
    assert!(most < 16 * MIB, "{most} bytes more");
}

#[test]
fn many_who_take_slowly_take_little_memory() {
    let place = layout(&[(named(1), b"")]);
    let file = File::options().write(true).open(place.path().join(named(1).blob_path())).unwrap();
    file.set_len(GIB).unwrap();
    let snapshot = snapshot(place.path(), false);
    let mut options = options();
    options.connections = 300;
    let running = Running::start_with(options, Limits::default(), move |_| blob(&snapshot, named(1), GIB, 0..GIB));
    let before = memory();
    let mut clients: Vec<_> = (0..200).map(|_| running.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client.head_of_reply();
    }
    std::thread::sleep(Duration::from_millis(300));
    let more = memory().saturating_sub(before);
    assert!(more < 40 * 1024 * 1024, "{more} bytes more");
}

#[test]
fn a_blob_that_is_cut_under_us_ends_the_connection_before_its_end() {
    let size = 64 * 1024 * 1024;
    let place = layout(&[(named(1), b"")]);
    let path = place.path().join(named(1).blob_path());
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(size).unwrap();
    let snapshot = snapshot(place.path(), false);
    let running = Running::start(move |request| match request.path {
        "/" => blob(&snapshot, named(1), size, 0..size),
        _ => text("alive"),
    });
    let mut client = running.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head_of_reply().field("content-length"), Some("67108864"));
    file.set_len(20 * 1024 * 1024).unwrap();
    let (rest, _) = client.rest();
    assert!(rest.len() <= 20 * 1024 * 1024, "{}", rest.len());
    let told = &running.told(1)[0];
    assert!(told.cut && told.status == 200 && told.bytes < size, "{told:?}");
    let warnings = running.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("ends after 20971520 of 67108864 bytes"), "{warnings:?}");
    assert_eq!(running.connect().get("/alive").text(), "alive");
}

#[test]
fn a_client_that_dies_in_the_middle_is_told_of_and_harms_nobody() {
    let place = layout(&[(named(1), b"")]);
    let file = File::options().write(true).open(place.path().join(named(1).blob_path())).unwrap();
    file.set_len(GIB).unwrap();
    let snapshot = snapshot(place.path(), false);
    let running = Running::start(move |request| match request.path {
        "/" => blob(&snapshot, named(1), GIB, 0..GIB),
        _ => text("alive"),
    });
    for _ in 0..10 {
        let mut client = running.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client.head_of_reply();
        let mut some = vec![0; 100_000];
        client.reader.read_exact(&mut some).unwrap();
    }
    let told = running.told(10);
    assert!(told.iter().all(|told| told.cut && told.status == 200 && told.bytes < GIB), "{told:?}");
    assert_eq!(running.connect().get("/alive").text(), "alive");
    assert_eq!(running.warnings(), [] as [&str; 0]);
}

#[test]
fn a_client_that_takes_nothing_is_cut_and_one_that_takes_little_is_not() {
    let place = layout(&[(named(1), b"")]);
    let size = 256 * 1024 * 1024;
    let file = File::options().write(true).open(place.path().join(named(1).blob_path())).unwrap();
    file.set_len(size).unwrap();
    let snapshot = snapshot(place.path(), false);
    let limits = Limits { stall: Duration::from_millis(1000), ..Limits::default() };
    let running = Running::start_with(options(), limits, move |_| blob(&snapshot, named(1), size, 0..size));
    let mut slow = running.connect();
    let mut dead = running.connect();
    for client in [&mut slow, &mut dead] {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client.head_of_reply();
    }
    // reads all the time, and for longer than the other has
    let began = Instant::now();
    let mut taken = 0;
    let mut space = vec![0; 1024 * 1024];
    while taken < size {
        let count = slow.reader.read(&mut space).unwrap();
        assert!(count > 0, "the slow one was cut after {taken}");
        taken += count as u64;
        if began.elapsed() < Duration::from_millis(2000) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    assert!(began.elapsed() > Duration::from_millis(1900), "the test was too fast: {:?}", began.elapsed());
    let told = running.told(2);
    assert_eq!(told.iter().filter(|told| told.cut).count(), 1, "{told:?}");
    assert!((dead.rest().0.len() as u64) < size);
}
