//! What a reader hands out, what it holds back, and what it proves.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::content::{Content, Kind};
use crate::digest::Digest;

fn reader(promised: &[u8], actual: &'static [u8]) -> BlobReader<'static> {
    BlobReader::new(Content::of(promised, Kind::Blob), actual)
}

#[test]
fn right_content_is_handed_out_and_proved() {
    assert_eq!(reader(b"hello", b"hello").into_bytes().unwrap(), b"hello");
    let proof = reader(b"", b"").check().unwrap();
    assert_eq!(proof.content().digest, Digest::of(b""));
}

#[test]
fn the_last_bytes_are_held_back_until_the_whole_is_right() {
    let mut wrong = reader(b"hello", b"hellp");
    let mut buffer = [0; 3];
    assert_eq!(wrong.read(&mut buffer).unwrap(), 3);
    assert!(wrong.read(&mut buffer).is_err());
    assert!(wrong.finish().is_err(), "an error was followed by a proof");
}

#[test]
fn an_empty_wrong_blob_is_found_too() {
    assert!(matches!(reader(b"", b"x").check(), Err(BlobError::Mismatch(Mismatch::Long { expected: 0 }))));
    let mut wrong = Content::of(b"", Kind::Blob);
    wrong.digest = Digest::of(b"x");
    let error = BlobReader::new(wrong, &b""[..]).check().unwrap_err();
    assert!(matches!(error, BlobError::Mismatch(Mismatch::Digest { .. })));
}

#[test]
fn each_way_to_differ_is_told_apart() {
    let check = |actual| reader(b"hello", actual).check().unwrap_err().to_string();
    assert_eq!(check(b"hell"), "content is 4 bytes, expected 5");
    assert_eq!(check(b"hello, world"), "content is longer than 5 bytes");
    assert!(check(b"hellp").starts_with("content is sha256:"));
}

#[test]
fn there_is_no_proof_before_the_end() {
    let mut early = reader(b"hello", b"hello");
    let mut buffer = [0; 4];
    assert_eq!(early.read(&mut buffer).unwrap(), 4);
    assert!(early.finish().is_err());
}

#[test]
fn a_copy_is_proved_by_its_own_bytes() {
    let file = |text: &str| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        file
    };
    let content = || Content::of(b"hello", Kind::Blob);
    assert_eq!(BlobReader::of_file(content(), file("hello")).into_bytes().unwrap(), b"hello");
    assert!(BlobReader::of_file(content(), file("hello")).file_unverified().is_some());
    assert!(reader(b"hello", b"hello").file_unverified().is_none());
    for (original, copy, right) in [("hello", "hello", true), ("hello", "hellp", false), ("hellp", "hello", true)] {
        let reader = BlobReader::of_file(content(), file(original)).of_copy(file(copy));
        assert!(reader.file_unverified().is_none());
        assert_eq!(reader.check().is_ok(), right, "{original} {copy}");
    }
}

#[test]
fn where_content_lies_is_told_as_long_as_it_is_all_that_lies_there() {
    let file = |length: u64| {
        let file = tempfile::tempfile().unwrap();
        file.set_len(length).unwrap();
        file
    };
    let content = || Content::of(b"hello", Kind::Blob);
    for (length, at) in [(4, None), (5, Some(0)), (6, None)] {
        let reader = BlobReader::of_file(content(), file(length));
        assert_eq!(reader.extent_unverified().map(|extent| extent.at), at, "a file of {length} bytes");
    }
    assert!(reader(b"hello", b"hello").extent_unverified().is_none());
    let archive = file(1 << 20);
    let reader = reader(b"hello", b"hello").lying_in(Extent { file: &archive, at: 4096 });
    assert_eq!(reader.extent_unverified().map(|extent| extent.at), Some(4096));
    assert!(reader.file_unverified().is_none(), "it is a part of the file alone");
    let copy = reader.of_copy(&b"hello"[..]);
    assert!(copy.extent_unverified().is_none());
    copy.check().unwrap();
}

#[test]
fn a_request_to_stop_is_heard() {
    let cancel = Cancel::default();
    cancel.cancel();
    let reader = reader(b"hello", b"hello");
    assert!(matches!(reader.cancelled_by(&cancel).check(), Err(BlobError::Cancelled)));
}

/// Bytes that can begin anywhere, and notes of what was asked of them.
struct Ranged<'a> {
    bytes: &'a [u8],
    at: usize,
    step: usize,
    asked: &'a Mutex<Vec<u64>>,
}

impl io::Read for Ranged<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let count = rest.len().min(buffer.len()).min(self.step);
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        Ok(count)
    }
}

impl Resume for Ranged<'_> {
    fn resume_at(&mut self, offset: u64) -> io::Result<()> {
        assert_eq!(self.at, 0, "asked after the first read");
        self.asked.lock().unwrap().push(offset);
        self.at = usize::try_from(offset).unwrap();
        Ok(())
    }
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn a_beginning_that_is_wrong_is_never_proved() {
    let asked = Mutex::default();
    let ranged = |bytes| Ranged { bytes, at: 0, step: 2, asked: &asked };
    let check = |beginning: &[u8], actual| {
        let reader = BlobReader::resumable(Content::of(b"hello", Kind::Blob), ranged(actual));
        let mut rest = Vec::new();
        let proof = reader.beginning_in(&file_of(beginning), beginning.len() as u64)?.copy_to(&mut rest)?;
        assert_eq!(proof.content().size, 5);
        Ok::<_, BlobError>(rest)
    };
    let whole: &[u8] = b"hello";
    assert_eq!(check(b"", whole).unwrap(), whole);
    assert_eq!(check(b"hel", whole).unwrap(), b"lo");
    assert_eq!(check(b"hello", b"never asked for").unwrap(), b"");
    assert_eq!(*asked.lock().unwrap(), [3], "asked only for what there is between the beginning and the end");
    for (beginning, actual, complaint) in [
        (&b"hex"[..], whole, "content is sha256:"),
        (b"hellp", whole, "content is sha256:"),
        (b"hel", b"hell", "content is 4 bytes, expected 5"),
        (b"hel", b"hello, world", "content is longer than 5 bytes"),
        (b"hello, world", whole, "cannot be continued from there"),
    ] {
        let error = check(beginning, actual).unwrap_err().to_string();
        assert!(error.starts_with(complaint) || error.ends_with(complaint), "{error}");
    }
}

#[test]
fn a_beginning_is_taken_only_at_the_start_and_only_where_the_rest_can_be_had() {
    let asked = Mutex::default();
    let resumable = || {
        let ranged = Ranged { bytes: b"hello", at: 0, step: 2, asked: &asked };
        BlobReader::resumable(Content::of(b"hello", Kind::Blob), ranged)
    };
    let refused = |reader: BlobReader<'_>| {
        assert!(!reader.can_resume());
        matches!(reader.beginning_in(&file_of(b"he"), 2), Err(BlobError::Read(_)))
    };
    assert!(resumable().can_resume());
    assert!(refused(reader(b"hello", b"hello")));
    let mut begun = resumable();
    assert_eq!(begun.read(&mut [0; 2]).unwrap(), 2);
    assert!(refused(begun));
    assert!(refused(resumable().beginning_in(&file_of(b"he"), 2).unwrap()));
    // a file that is shorter than was said, and one that cannot be read
    assert!(resumable().beginning_in(&file_of(b"h"), 2).is_err());
    assert!(resumable().beginning_in(&File::open("/").unwrap(), 2).is_err());
}

#[test]
fn a_request_to_stop_is_heard_within_the_beginning_and_the_meter_counts_it() {
    let content = vec![7; 2 * CHUNK + 1];
    let beginning = file_of(&content[..2 * CHUNK]);
    let (asked, counted, cancel) = (Mutex::default(), AtomicU64::new(0), Cancel::default());
    let stop = |count| {
        counted.fetch_add(count, Ordering::Relaxed);
        cancel.cancel();
    };
    let count = |count| {
        counted.fetch_add(count, Ordering::Relaxed);
    };
    let resumable = || {
        let ranged = Ranged { bytes: &content, at: 0, step: 9, asked: &asked };
        BlobReader::resumable(Content::of(&content, Kind::Blob), ranged)
    };
    let stopped = resumable().cancelled_by(&cancel).metered_by(&stop).beginning_in(&beginning, 2 * CHUNK as u64);
    assert!(matches!(stopped, Err(BlobError::Cancelled)));
    assert_eq!(counted.swap(0, Ordering::Relaxed), CHUNK as u64);
    resumable().metered_by(&count).beginning_in(&beginning, 2 * CHUNK as u64).unwrap().check().unwrap();
    assert_eq!(counted.load(Ordering::Relaxed), content.len() as u64);
}

proptest! {
    /// Whatever the beginning, the rest and the steps are: there is a proof exactly when they are the content together, and
    /// what is handed out never holds the end of anything else.
    #[test]
    fn a_proof_is_about_the_beginning_and_the_rest_together(
        content in proptest::collection::vec(any::<u8>(), 0..200),
        length in 0_usize..220,
        spoilt in proptest::option::of((0_usize..220, 1_u8..)),
        tail in proptest::option::of(-3_isize..3),
        step in 1_usize..70,
        room in 1_usize..70,
    ) {
        let mut bytes = content.clone();
        if let Some((at, by)) = spoilt && let Some(byte) = bytes.get_mut(at) {
            *byte ^= by;
        }
        let end = content.len().saturating_add_signed(tail.unwrap_or(0));
        bytes.resize(end, 7);
        let beginning = &bytes[..length.min(end)];
        let asked = Mutex::default();
        let ranged = Ranged { bytes: &bytes, at: 0, step, asked: &asked };
        let reader = BlobReader::resumable(Content::of(&content, Kind::Blob), ranged);
        let right = bytes == content || (beginning == content && !beginning.is_empty());
        match reader.beginning_in(&file_of(beginning), beginning.len() as u64) {
            Err(_) => prop_assert!(beginning.len() > content.len()),
            Ok(mut reader) => {
                let (mut rest, mut buffer) = (Vec::new(), vec![0; room]);
                let ended = loop {
                    match reader.read(&mut buffer) {
                        Ok(0) => break true,
                        Ok(count) => rest.extend_from_slice(&buffer[..count]),
                        Err(_) => break false,
                    }
                };
                prop_assert_eq!(ended, right);
                prop_assert_eq!(reader.finish().is_ok(), right);
                let out = beginning.len() + rest.len();
                let held_back = out < content.len() || rest.is_empty();
                prop_assert!(held_back || right, "the end of something else was handed out");
                prop_assert!(!right || out == content.len());
                prop_assert_eq!(&rest[..], &bytes[beginning.len()..out]);
                let inside = (1..content.len()).contains(&beginning.len());
                let expected = if inside { vec![beginning.len() as u64] } else { Vec::new() };
                prop_assert_eq!(&*asked.lock().unwrap(), &expected);
            }
        }
    }
}

/// Takes so many bytes, and then no more.
struct Filling {
    room: usize,
    taken: Vec<u8>,
}

impl Write for Filling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let count = bytes.len().min(self.room);
        self.room -= count;
        self.taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is large enough for a thread of its own, and does not end with a buffer.
fn large() -> Vec<u8> {
    (0..overlap::LEAST as usize + CHUNK + 77).map(|at| (at / 251) as u8).collect()
}

#[test]
fn what_is_large_is_copied_whole_while_it_is_hashed() {
    let bytes = large();
    let content = Content::of(&bytes, Kind::Blob);
    let metered = AtomicU64::new(0);
    let meter = |count| {
        metered.fetch_add(count, Ordering::Relaxed);
    };
    let mut copy = Vec::new();
    let proof = BlobReader::new(content.clone(), &bytes[..]).metered_by(&meter).copy_to(&mut copy).unwrap();
    assert!(copy == bytes);
    assert_eq!((proof.content(), metered.into_inner()), (&content, content.size));
}

#[test]
fn the_last_bytes_of_what_is_large_are_held_back_too() {
    let bytes = large();
    let other = Content { digest: Digest::of(b"other"), ..Content::of(&bytes, Kind::Blob) };
    let longer = Content { size: other.size + 1, ..other.clone() };
    for promised in [other, longer] {
        let mut copy = Vec::new();
        let error = BlobReader::new(promised, &bytes[..]).copy_to(&mut copy).unwrap_err();
        assert!(matches!(error, BlobError::Mismatch(_)), "{error}");
        assert!(copy.len() <= bytes.len() && bytes.starts_with(&copy));
    }
    let promised = Content::of(&bytes, Kind::Blob);
    let mut wrong = bytes;
    wrong[0] ^= 1;
    let mut copy = Vec::new();
    let error = BlobReader::new(promised, &wrong[..]).copy_to(&mut copy).unwrap_err();
    assert!(matches!(error, BlobError::Mismatch(Mismatch::Digest { .. })), "{error}");
    assert!(copy.len() < wrong.len(), "the last bytes were handed out");
}

#[test]
fn a_writer_that_takes_no_more_ends_the_reading() {
    let bytes = large();
    let content = Content::of(&bytes, Kind::Blob);
    for room in [0, 1, CHUNK, bytes.len() - 1] {
        let mut to = Filling { room, taken: Vec::new() };
        let error = BlobReader::new(content.clone(), &bytes[..]).copy_to(&mut to).unwrap_err();
        let is_full = matches!(&error, BlobError::Write(error) if error.kind() == io::ErrorKind::StorageFull);
        assert!(is_full, "{room}: {error}");
        assert!(to.taken == bytes[..room]);
    }
    // without an end, it would be read for ever
    let endless = Content { size: u64::MAX, ..content };
    let error =
        BlobReader::new(endless, io::repeat(1)).copy_to(&mut Filling { room: 5, taken: Vec::new() }).unwrap_err();
    assert!(matches!(error, BlobError::Write(_)), "{error}");
}

#[test]
fn a_request_to_stop_is_heard_while_something_large_is_copied() {
    let cancel = Cancel::default();
    let stop = |_| cancel.cancel();
    let endless = Content { size: u64::MAX, ..Content::of(b"", Kind::Blob) };
    let reader = BlobReader::new(endless, io::repeat(1)).cancelled_by(&cancel).metered_by(&stop);
    assert!(matches!(reader.copy_to(&mut io::sink()), Err(BlobError::Cancelled)));
}
