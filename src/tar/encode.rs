//! One entry's header as it is written: ustar, with a PAX header before it for what ustar cannot hold.
//!
//! POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header". What is written depends on the fields alone:
//! no names of users, no times but the one that is given, the records of a PAX header in the order of their keys.

use super::entry::LARGEST_EXTENSION;
use super::header::{Attributes, BLOCK, Block, LARGEST_OCTAL};
use crate::text::quoted;

/// The largest number of an owner or a group that a ustar header can hold.
const LARGEST_ID: u32 = 0o777_7777;

/// What a header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    /// The name; that of a directory ends in a slash.
    pub(crate) name: &'a [u8],
    /// The type flag.
    pub(crate) flag: u8,
    /// What a link leads to.
    pub(crate) link: &'a [u8],
    /// How much content follows, in bytes.
    pub(crate) size: u64,
    /// How it is to be kept.
    pub(crate) attributes: &'a Attributes,
}

/// Returns the blocks that come before the content of an entry.
///
/// # Errors
/// In words, when there is no way to write an extended attribute, or there is too much of them.
pub(crate) fn encode(fields: &Fields<'_>) -> Result<Vec<u8>, String> {
    let Fields { name, flag, link, size, attributes } = *fields;
    let mut records = Vec::new();
    let (prefix, short_name) = split(name).unwrap_or_else(|| {
        records.push((b"path".to_vec(), name.to_vec()));
        (&[], &name[..100])
    });
    let short_link = link.get(..100).filter(|_| link.len() > 100).map_or(link, |cut| {
        records.push((b"linkpath".to_vec(), link.to_vec()));
        cut
    });
    let has_raw = records.iter().any(|(_, value)| std::str::from_utf8(value).is_err());
    if has_raw {
        // a PAX value is UTF-8 unless this says that it is not
        records.push((b"hdrcharset".to_vec(), b"BINARY".to_vec()));
    }
    let mut number = |key: &str, value: i64, largest: u64| match u64::try_from(value) {
        Ok(value) if value <= largest => value,
        _ => {
            records.push((key.as_bytes().to_vec(), value.to_string().into_bytes()));
            0
        }
    };
    let size = number("size", i64::try_from(size).unwrap_or(i64::MAX), LARGEST_OCTAL);
    let uid = number("uid", attributes.uid.into(), LARGEST_ID.into());
    let gid = number("gid", attributes.gid.into(), LARGEST_ID.into());
    let mtime = match attributes.mtime {
        (seconds, 0) => number("mtime", seconds, LARGEST_OCTAL),
        (seconds, nanoseconds) => {
            records.push((b"mtime".to_vec(), time(seconds, nanoseconds).into_bytes()));
            u64::try_from(seconds).ok().filter(|seconds| *seconds <= LARGEST_OCTAL).unwrap_or(0)
        }
    };
    for (name, value) in &attributes.xattrs {
        if name.contains(&b'=') {
            let name = quoted(&String::from_utf8_lossy(name));
            return Err(format!("a tar cannot hold the extended attribute {name}: its name has an equals sign"));
        }
        records.push(([b"SCHILY.xattr.", &name[..]].concat(), value.clone()));
    }
    let mut header = Header([0; 512]);
    header.text(0, short_name);
    header.text(157, short_link);
    header.text(345, prefix);
    header.octal(100, 8, attributes.mode.into());
    header.octal(108, 8, uid);
    header.octal(116, 8, gid);
    header.octal(124, 12, size);
    header.octal(136, 12, mtime);
    header.octal(329, 8, attributes.device.0.into());
    header.octal(337, 8, attributes.device.1.into());
    let mut blocks = pax(records)?;
    blocks.extend_from_slice(&header.finished(flag));
    Ok(blocks)
}

/// Returns a time, given as seconds rounded down and what is to be added to them, as decimal text.
fn time(seconds: i64, nanoseconds: u32) -> String {
    let text = if seconds < 0 {
        // before 1970 the fraction counts backwards
        format!("-{}.{:09}", (seconds + 1).unsigned_abs(), 1_000_000_000_u32.saturating_sub(nanoseconds))
    } else {
        format!("{seconds}.{nanoseconds:09}")
    };
    text.trim_end_matches('0').to_owned()
}

/// Returns a name as the prefix and the name of a ustar header; `None` when it does not fit.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    const NAME: usize = 100;
    const PREFIX: usize = 155;
    if name.len() <= NAME {
        return Some((&[], name));
    }
    // the slash between the two is not written; the one at the end of a directory's name belongs to the name
    let last = name.len().checked_sub(1)?;
    let slash = name[..last.min(PREFIX + 1)].iter().rposition(|byte| *byte == b'/')?;
    let (prefix, rest) = (&name[..slash], &name[slash + 1..]);
    (!prefix.is_empty() && rest.len() <= NAME).then_some((prefix, rest))
}

/// The shortest filler: a header and one block.
pub(crate) const SHORTEST_FILLER: u64 = 2 * BLOCK;

/// Returns blocks that say nothing of the entry before which they stand: a PAX header with a comment, which readers "shall"
/// ignore. `length` is a number of whole blocks, at least [`SHORTEST_FILLER`] bytes and at most a block more than
/// [`LARGEST_EXTENSION`].
pub(crate) fn filler(length: u64) -> Vec<u8> {
    const WITHOUT: usize = " comment=\n".len();
    let size = usize::try_from(length.saturating_sub(BLOCK)).unwrap_or(0);
    let spaces = size.saturating_sub(WITHOUT + size.to_string().len());
    pax_header(&record(b"comment", &vec![b' '; spaces]))
}

/// Returns a PAX header with these records and its padding; nothing when there are none.
fn pax(mut records: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Vec<u8>, String> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    records.sort_unstable();
    let body: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
    let size = body.len() as u64;
    if size > LARGEST_EXTENSION {
        return Err(format!("its extended header has {size} bytes, expected at most {LARGEST_EXTENSION}"));
    }
    Ok(pax_header(&body))
}

/// Returns a PAX header with its records, encoded, and its padding.
fn pax_header(records: &[u8]) -> Vec<u8> {
    let mut header = Header([0; 512]);
    header.text(0, b"PaxHeader");
    header.octal(100, 8, 0o644);
    for (at, length) in [(108, 8), (116, 8), (136, 12), (329, 8), (337, 8)] {
        header.octal(at, length, 0);
    }
    header.octal(124, 12, records.len() as u64);
    let mut blocks = header.finished(b'x').to_vec();
    blocks.extend_from_slice(records);
    blocks.resize(blocks.len().next_multiple_of(512), 0);
    blocks
}

/// Returns `LENGTH KEY=VALUE`; the length counts its own digits.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// Returns how many zeros follow so much content.
pub(crate) const fn padding(size: u64) -> usize {
    ((BLOCK - size % BLOCK) % BLOCK) as usize // below 512
}

/// A header block under way.
struct Header(Block);

impl Header {
    fn text(&mut self, at: usize, text: &[u8]) {
        self.0[at..at + text.len()].copy_from_slice(text);
    }

    /// Writes digits and a NUL; what does not fit was moved elsewhere before.
    fn octal(&mut self, at: usize, length: usize, value: u64) {
        let digits = format!("{value:0width$o}\0", width = length - 1);
        let end = digits.len().min(length);
        self.0[at..at + end].copy_from_slice(&digits.as_bytes()[..end]);
    }

    fn finished(mut self, flag: u8) -> Block {
        self.0[156] = flag;
        self.text(257, b"ustar\x0000");
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.text(148, format!("{sum:06o}\0").as_bytes());
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::tar::entry::EntryKind;
    use crate::tar::stream::Stream;

    /// Reads what was written with the strict reader: name, kind, size, attributes; and how many blocks it took.
    fn read(fields: &Fields<'_>) -> (Vec<u8>, EntryKind, u64, Attributes, usize) {
        let blocks = encode(fields).unwrap();
        let entry = Stream::new(&blocks[..]).next().unwrap().unwrap();
        (entry.name, entry.kind, entry.size, entry.attributes, blocks.len() / 512)
    }

    fn file<'a>(name: &'a [u8], attributes: &'a Attributes) -> Fields<'a> {
        Fields { name, flag: b'0', link: b"", size: 0, attributes }
    }

    #[test]
    fn a_pax_header_is_written_only_where_ustar_has_no_room() {
        let plain = Attributes { mode: 0o644, ..Attributes::default() };
        let name = |length: usize| vec![b'n'; length];
        let below = |prefix: usize, length: usize| [&vec![b'p'; prefix][..], b"/", &name(length)].concat();
        for (reason, name, blocks) in [
            ("fills the field", name(100), 1),
            ("is too long for the field", name(101), 3),
            ("fills both fields", below(155, 100), 1),
            ("has a prefix that is too long", below(156, 99), 3),
            ("has a last part that is too long", below(155, 101), 3),
            ("has a slash early on", below(1, 100), 1),
            ("has a slash at its end", [name(100), b"/".to_vec()].concat(), 3),
            ("has a slash at its end, and one to split at", [below(9, 99), b"/".to_vec()].concat(), 1),
            ("is no text", vec![0xff; 99], 1),
            ("is no text and long", vec![0xff; 120], 3),
        ] {
            let got = read(&file(&name, &plain));
            assert_eq!((got.0, got.4), (name, blocks), "a name that {reason}");
        }
        for (length, blocks) in [(100, 1), (101, 3), (4096, 11)] {
            let target = name(length);
            let got = read(&Fields { flag: b'2', link: &target, ..file(b"l", &plain) });
            assert_eq!((got.1, got.4), (EntryKind::SymLink(target.into()), blocks));
        }
        for (size, blocks) in [(LARGEST_OCTAL, 1), (LARGEST_OCTAL + 1, 3), (u64::MAX >> 1, 3)] {
            let got = read(&Fields { size, ..file(b"f", &plain) });
            assert_eq!((got.2, got.4), (size, blocks));
        }
    }

    #[test]
    fn numbers_and_attributes_come_back() {
        let capability = (b"security.capability".to_vec(), vec![1, 0, 0, 2, b'\n', b'=', 0]);
        let plain = Attributes { mode: 0o4755, uid: 1, gid: 2, mtime: (3, 0), ..Attributes::default() };
        for (attributes, blocks) in [
            (plain.clone(), 1),
            (Attributes { uid: LARGEST_ID, gid: LARGEST_ID, ..plain.clone() }, 1),
            (Attributes { uid: LARGEST_ID + 1, ..plain.clone() }, 3),
            (Attributes { gid: u32::MAX - 1, ..plain.clone() }, 3),
            (Attributes { mtime: (-1, 0), ..plain.clone() }, 3),
            (Attributes { mtime: (3, 1), ..plain.clone() }, 3),
            (Attributes { mtime: (0, 500_000_000), ..plain.clone() }, 3),
            (Attributes { mtime: (-1, 750_000_000), ..plain.clone() }, 3),
            (Attributes { mtime: (-7, 999_999_999), ..plain.clone() }, 3),
            (Attributes { mtime: (LARGEST_OCTAL as i64 + 1, 10), ..plain.clone() }, 3),
            (Attributes { mtime: (i64::MIN + 1, 100), ..plain.clone() }, 3),
            (Attributes { mtime: (LARGEST_OCTAL as i64 + 1, 0), ..plain.clone() }, 3),
            (Attributes { xattrs: BTreeMap::from([capability]), ..plain.clone() }, 3),
        ] {
            let got = read(&file(b"f", &attributes));
            assert_eq!((got.3, got.4), (attributes, blocks));
        }
        let device = Attributes { device: (0xfff, 0xf_ffff), ..plain };
        assert_eq!(read(&Fields { flag: b'4', ..file(b"d", &device) }).3, device);
    }

    #[test]
    fn a_filler_is_as_long_as_it_is_asked_to_be_and_changes_nothing() {
        let attributes = Attributes { mode: 0o644, ..Attributes::default() };
        let entry = encode(&file(b"f", &attributes)).unwrap();
        // the digits of the record's own length become more on the way
        for blocks in (2..=24).chain([200, 201, 2047, 2049]) {
            let filler = filler(blocks * BLOCK);
            assert_eq!(filler.len() as u64, blocks * BLOCK);
            assert_eq!(filler.last(), Some(&b'\n'), "the record fills all of it");
            let read = Stream::new(&[filler, entry.clone()].concat()[..]).next().unwrap().unwrap();
            assert_eq!((&read.name[..], read.size, &read.attributes), (&b"f"[..], 0, &attributes));
        }
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        let with = |name: &[u8], size: usize| {
            let xattrs = BTreeMap::from([(name.to_vec(), vec![0; size])]);
            encode(&file(b"f", &Attributes { xattrs, ..Attributes::default() }))
        };
        assert!(with(b"user.a=b", 1).unwrap_err().contains("equals sign"));
        assert!(with(b"user.a", 1 << 20).unwrap_err().contains("expected at most"));
    }

    proptest! {
        #[test]
        fn every_name_and_link_comes_back(
            name in "[a-z]{1,40}(/[a-z]{1,120}){0,8}/?", link in "[a-z./]{1,300}", flag in "[012]",
        ) {
            let attributes = Attributes::default();
            let fields = Fields {
                name: name.as_bytes(), flag: flag.as_bytes()[0], link: link.as_bytes(), size: 0, attributes: &attributes,
            };
            let (got, kind, ..) = read(&fields);
            prop_assert_eq!(got, name.as_bytes());
            match kind {
                EntryKind::HardLink(to) | EntryKind::SymLink(to) => prop_assert_eq!(&to[..], link.as_bytes()),
                _ => prop_assert_eq!(flag, "0"),
            }
        }
    }
}
