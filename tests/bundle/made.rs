//! Sets of parts, made from archives that barge wrote: cut anywhere, with notes.

use std::collections::HashSet;
use std::fs;
use std::ops::Range;
use std::path::Path;

use barge::bundle::{Mode, PartNames, PartNote, Piece, Section};
use barge::compact::CompactIndex;
use barge::digest::Digest;

/// Where in an archive something stands.
pub(crate) struct Entries {
    /// What says what is in it.
    pub(crate) front: Range<usize>,
    /// Content: its digest, and where its bytes are.
    pub(crate) blobs: Vec<(Digest, Range<usize>)>,
    /// What layers are made of, of a compact archive.
    stock: HashSet<Digest>,
}

pub(crate) fn entries(archive: &[u8]) -> Entries {
    let text = |bytes: &[u8]| String::from_utf8(bytes.iter().copied().take_while(|byte| *byte != 0).collect()).unwrap();
    let mut entries = Entries { front: 0..0, blobs: Vec::new(), stock: HashSet::new() };
    let mut at = 0;
    while archive[at] != 0 {
        let name = text(&archive[at..at + 100]);
        let size = usize::from_str_radix(text(&archive[at + 124..at + 136]).trim(), 8).unwrap();
        let body = at + 512..at + 512 + size;
        at = body.end.next_multiple_of(512);
        match name.strip_prefix("blobs/") {
            Some(blob) => entries.blobs.push((blob.replacen('/', ":", 1).parse().unwrap(), body)),
            None => {
                if name == "compact.json" {
                    let index = CompactIndex::parse(&archive[body]).unwrap();
                    entries.stock = index.pieces.iter().map(|piece| piece.digest).collect();
                }
                entries.front = 0..at;
            }
        }
    }
    entries
}

/// Returns how much of one range lies in another, from the beginning of the other.
fn within(one: &Range<usize>, other: &Range<usize>) -> Option<Section> {
    let (from, to) = (one.start.max(other.start), one.end.min(other.end));
    (from < to).then(|| Section { at: (from - other.start) as u64, length: (to - from) as u64 })
}

/// Cuts an archive into parts, each with its note.
pub(crate) fn cut(archive: &[u8], name: &str, at: &[usize]) -> Vec<(PartNote, Vec<u8>)> {
    let entries = entries(archive);
    let ends = at.iter().copied().chain([archive.len()]);
    let starts = std::iter::once(0).chain(at.iter().copied());
    let ranges: Vec<Range<usize>> = starts.zip(ends).map(|(from, to)| from..to).collect();
    let set = Digest::of(&[archive, format!("{at:?}").as_bytes()].concat());
    let note = |(number, range): (usize, &Range<usize>)| {
        let bytes = archive[range.clone()].to_vec();
        let piece = |(digest, body): &(Digest, Range<usize>)| {
            let section = within(body, range)?;
            let from = (range.start.max(body.start) - body.start) as u64;
            Some(Piece {
                digest: *digest,
                size: body.len() as u64,
                from,
                section,
                is_stock: entries.stock.contains(digest),
            })
        };
        let note = PartNote {
            set,
            archive: name.to_owned(),
            mode: Mode::Stream,
            part: number as u64 + 1,
            parts: ranges.len() as u64,
            size: bytes.len() as u64,
            digest: Digest::of(&bytes),
            offset: range.start as u64,
            length: archive.len() as u64,
            front: within(&entries.front, range),
            pieces: entries.blobs.iter().filter_map(piece).collect(),
        };
        (note, bytes)
    };
    ranges.iter().enumerate().map(note).collect()
}

/// Cuts into so many parts of about the same size.
pub(crate) fn cut_evenly(archive: &[u8], name: &str, parts: usize) -> Vec<(PartNote, Vec<u8>)> {
    let at: Vec<usize> = (1..parts).map(|part| archive.len() * part / parts + 7).collect();
    cut(archive, name, &at)
}

/// Writes a part, and its note beside it.
pub(crate) fn lay(directory: &Path, (note, bytes): &(PartNote, Vec<u8>)) {
    lay_bare(directory, note, bytes);
    fs::write(directory.join(note.names().note(note.part)), note.encode()).unwrap();
}

/// Writes a part alone.
pub(crate) fn lay_bare(directory: &Path, note: &PartNote, bytes: &[u8]) {
    fs::create_dir_all(directory).unwrap();
    fs::write(directory.join(names(note).part(note.part)), bytes).unwrap();
}

fn names(note: &PartNote) -> PartNames {
    note.names()
}
