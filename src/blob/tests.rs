//! What a reader hands out, what it holds back, and what it proves.

use std::io::{self, Read as _, Write as _};

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
fn a_request_to_stop_is_heard() {
    let cancel = Cancel::default();
    cancel.cancel();
    let reader = reader(b"hello", b"hello");
    assert!(matches!(reader.cancelled_by(&cancel).check(), Err(BlobError::Cancelled)));
}
