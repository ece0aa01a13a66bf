//! Archives. The check sums of headers are set right first: a fuzzer would find nothing behind them.

use std::fs;
use std::path::Path;

use barge::blob::Cancel;
use barge::store::archive::{Archive, Format, ReadOptions};

use crate::places::look_at;
use crate::{directory, shown};

const BLOCK: usize = 512;

/// Writes the right check sum into every block that may be the header of an entry.
pub(crate) fn with_check_sums(input: &[u8]) -> Vec<u8> {
    let mut tar = input.to_vec();
    let mut at = 0;
    while let Some(header) = tar.get_mut(at..at + BLOCK) {
        let mut size = 0_usize;
        if header.iter().any(|byte| *byte != 0) {
            for digit in header[124..136].iter().filter(|byte| (b'0'..=b'7').contains(byte)) {
                size = size.saturating_mul(8).saturating_add(usize::from(digit - b'0'));
            }
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        // a size that leads nowhere is one that is wrong: the next block is tried
        let content = size.div_ceil(BLOCK).saturating_mul(BLOCK);
        at += BLOCK + if content <= tar.len() { content } else { 0 };
    }
    tar
}

/// An archive as it stands, or as its check sums ought to be.
pub fn archive(input: &[u8]) {
    let Some((first, tar)) = input.split_first() else { return };
    let place = directory();
    let path = place.path().join("in.tar");
    let tar = if first & 1 == 0 { with_check_sums(tar) } else { tar.to_vec() };
    fs::write(&path, tar).expect("a file");
    look_at(&path, place.path());
}

/// An archive of `docker save`, also when it has a layout in it.
pub fn docker_archive(input: &[u8]) {
    let place = directory();
    let path = place.path().join("in.tar");
    fs::write(&path, with_check_sums(input)).expect("a file");
    opened(&path, Some(Format::Docker));
    look_at(&path, place.path());
}

/// The records before an entry: the input is cut into what stands in a PAX header, and in one of GNU's.
pub fn pax(input: &[u8]) {
    let mut tar = Vec::new();
    for (at, piece) in input.split(|byte| *byte == 0xff).take(4).enumerate() {
        let kind = [b'x', b'L', b'g', b'K'][at];
        entry(&mut tar, kind, "./PaxHeaders/0", piece);
    }
    entry(&mut tar, b'0', "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    entry(&mut tar, b'0', "index.json", br#"{"schemaVersion":2,"manifests":[]}"#);
    tar.resize(tar.len() + 2 * BLOCK, 0);
    let place = directory();
    let path = place.path().join("in.tar");
    fs::write(&path, tar).expect("a file");
    opened(&path, None);
}

fn opened(path: &Path, format: Option<Format>) {
    match Archive::open(path, &ReadOptions { tmpdir: None, format }, &Cancel::default()) {
        Ok(archive) => archive.warnings().iter().for_each(|warning| crate::is_plain(warning)),
        Err(error) => shown(&error),
    }
}

fn entry(tar: &mut Vec<u8>, kind: u8, name: &str, content: &[u8]) {
    let mut header = [0; BLOCK];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    let mut whole = header.to_vec();
    whole.extend(content);
    whole.resize(whole.len().div_ceil(BLOCK) * BLOCK, 0);
    let end = whole.len();
    // the content is no header, whatever it looks like
    let checked = with_check_sums(&whole[..BLOCK]);
    tar.extend(checked);
    tar.extend(&whole[BLOCK..end]);
}
