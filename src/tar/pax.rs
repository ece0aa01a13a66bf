//! PAX extended headers: records of `LENGTH KEY=VALUE`, read strictly.
//!
//! POSIX.1-2017, pax, "pax Extended Header". A reader that skips a record which it cannot parse sees another archive
//! than one that stops, so a malformed record is an error. Keys that say nothing about where content lies are ignored.

use std::collections::BTreeMap;

use base64::Engine as _;

use super::header::LARGEST_OCTAL;

/// What an extended header says of where content lies, and the records themselves.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    /// The name in place of the header's.
    pub(crate) path: Option<Vec<u8>>,
    /// The link target in place of the header's.
    pub(crate) linkpath: Option<Vec<u8>>,
    /// The size in place of the header's, in bytes.
    pub(crate) size: Option<u64>,
    /// Whether the content is that of a sparse file, which is not in one piece.
    pub(crate) is_sparse: bool,
    records: Vec<u8>,
}

/// What an extended header says of owners, times and extended attributes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PaxAttributes {
    /// The last change in place of the header's: seconds since 1970, rounded down, and nanoseconds.
    pub(crate) mtime: Option<(i64, u32)>,
    /// The owner in place of the header's.
    pub(crate) uid: Option<u32>,
    /// The group in place of the header's.
    pub(crate) gid: Option<u32>,
    /// Extended attributes, sorted by name, each once.
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Pax {
    /// Parses the records for one entry.
    ///
    /// # Errors
    /// In words, when a record is malformed or says something twice.
    pub(crate) fn parse(records: impl Into<Vec<u8>>) -> Result<Self, String> {
        let records = records.into();
        let mut pax = Self::default();
        for record in (Records { rest: &records }) {
            let Record { key, value } = record?;
            let fresh = match key {
                b"path" => pax.path.replace(not_empty(key, value)?.to_vec()).is_none(),
                b"linkpath" => pax.linkpath.replace(not_empty(key, value)?.to_vec()).is_none(),
                b"size" => pax.size.replace(decimal(value)?).is_none(),
                _ if key.starts_with(b"GNU.sparse.") => {
                    pax.is_sparse = true;
                    true
                }
                _ => true,
            };
            if !fresh {
                return Err(twice(key));
            }
        }
        pax.records = records;
        Ok(pax)
    }

    /// Returns what the records say of owners, times and extended attributes: these under the keys of star, which most
    /// programs write, else under those of libarchive.
    ///
    /// # Errors
    /// In words, when one of these is malformed or there twice.
    pub(crate) fn attributes(&self) -> Result<PaxAttributes, String> {
        let mut attributes = PaxAttributes::default();
        let mut encoded = BTreeMap::new();
        for record in (Records { rest: &self.records }) {
            let Record { key, value } = record?;
            let fresh = match key {
                b"mtime" => attributes.mtime.replace(time(value)?).is_none(),
                b"uid" => attributes.uid.replace(id(key, value)?).is_none(),
                b"gid" => attributes.gid.replace(id(key, value)?).is_none(),
                _ => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        attributes.xattrs.insert(xattr_name(name)?, value.to_vec()).is_none()
                    } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
                        encoded.insert(xattr_name(&percent_decoded(name)?)?, base64_decoded(key, value)?).is_none()
                    } else {
                        true
                    }
                }
            };
            if !fresh {
                return Err(twice(key));
            }
        }
        for (name, value) in encoded {
            attributes.xattrs.entry(name).or_insert(value);
        }
        Ok(attributes)
    }

    /// Checks the records of a global header, which must say nothing that differs from entry to entry.
    ///
    /// # Errors
    /// As [`Self::parse`], and when there is a name, a link target or a size for all entries.
    pub(crate) fn check_global(records: impl Into<Vec<u8>>) -> Result<Self, String> {
        match Self::parse(records)? {
            pax @ Self { path: None, linkpath: None, size: None, is_sparse: false, .. } => Ok(pax),
            _ => Err("it gives one path, linkpath, size or sparse map to all entries".to_owned()),
        }
    }

    /// Returns the size of an entry whose own header says `header`: the PAX size holds where the header has none, or
    /// cannot hold it.
    ///
    /// # Errors
    /// In words, when the two contradict each other: some readers go by the one, some by the other.
    pub(crate) fn size_beside(&self, header: u64) -> Result<u64, String> {
        match self.size {
            None => Ok(header),
            Some(size) if header == 0 || size == header || (size > header && size > LARGEST_OCTAL) => Ok(size),
            Some(size) => Err(format!("its PAX header says {size} bytes, the header itself {header}")),
        }
    }
}

/// One record.
struct Record<'a> {
    key: &'a [u8],
    value: &'a [u8],
}

/// The records that are still to come.
struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let split = Record::split(self.rest);
        // nothing can be found behind a record that is none
        self.rest = split.as_ref().map_or(&[], |(_, after)| after);
        Some(split.map(|(record, _)| record))
    }
}

impl<'a> Record<'a> {
    /// Splits the first record off, and returns what comes after it as well.
    fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), String> {
        const LONGEST: usize = 8; // digits: an extension has at most 1 MiB
        let malformed = || format!("the record {} is no LENGTH KEY=VALUE", shown(&bytes[..bytes.len().min(40)]));
        let space = bytes.iter().take(LONGEST).position(|byte| *byte == b' ').ok_or_else(malformed)?;
        let digits = std::str::from_utf8(&bytes[..space]).map_err(|_| malformed())?;
        if digits.starts_with(['+', '0']) {
            return Err(malformed());
        }
        let length: usize = digits.parse().map_err(|_| malformed())?;
        if length <= space + 1 || length > bytes.len() {
            return Err(malformed());
        }
        let (whole, after) = bytes.split_at(length);
        let text = whole[space + 1..].strip_suffix(b"\n").ok_or_else(malformed)?;
        let equals = text.iter().position(|byte| *byte == b'=').ok_or_else(malformed)?;
        if equals == 0 || text[..equals].contains(&0) {
            return Err(malformed());
        }
        Ok((Self { key: &text[..equals], value: &text[equals + 1..] }, after))
    }
}

fn twice(key: &[u8]) -> String {
    format!("it says {} twice", shown(key))
}

/// Reads seconds since 1970 with a fraction, which may be negative as a whole.
fn time(value: &[u8]) -> Result<(i64, u32), String> {
    let malformed = || format!("its mtime is {}, expected seconds since 1970", shown(value));
    let text = std::str::from_utf8(value).map_err(|_| malformed())?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(malformed());
    }
    let seconds: i64 = whole.parse().map_err(|_| malformed())?;
    // digits past the ninth say less than a nanosecond
    let nanoseconds = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanoseconds = nanoseconds.fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    Ok(match (negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    })
}

/// Reads the number of an owner or a group.
fn id(key: &[u8], value: &[u8]) -> Result<u32, String> {
    let number = decimal(value).ok().and_then(|number| u32::try_from(number).ok());
    // the largest number means "nobody said" to the system
    number
        .filter(|id| *id != u32::MAX)
        .ok_or_else(|| format!("its {} is {}, expected a whole number below 2^32 - 1", shown(key), shown(value)))
}

fn xattr_name(name: &[u8]) -> Result<Vec<u8>, String> {
    const LONGEST: usize = 255; // Linux, xattr(7)
    if name.is_empty() || name.len() > LONGEST || name.contains(&0) {
        return Err(format!("{} is no name of an extended attribute", shown(name)));
    }
    Ok(name.to_vec())
}

/// Reads a name in which libarchive wrote some bytes as `%` and two hex digits.
fn percent_decoded(name: &[u8]) -> Result<Vec<u8>, String> {
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            plain.push(*byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(*digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(format!("{} is no name of an extended attribute", shown(name)));
        };
        plain.push(u8::try_from(high << 4 | low).unwrap_or_default());
    }
    Ok(plain)
}

fn base64_decoded(key: &[u8], value: &[u8]) -> Result<Vec<u8>, String> {
    use base64::alphabet::STANDARD;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    // libarchive leaves the padding out
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decoded = GeneralPurpose::new(&STANDARD, config).decode(value);
    decoded.map_err(|_| format!("the value of {} is no base64 (RFC 4648, section 4)", shown(key)))
}

fn not_empty<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], String> {
    if value.is_empty() { Err(format!("its {} is empty", shown(key))) } else { Ok(value) }
}

fn decimal(value: &[u8]) -> Result<u64, String> {
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits
        .and_then(|text| text.parse().ok())
        .filter(|size| i64::try_from(*size).is_ok())
        .ok_or_else(|| format!("its size is {}, expected a whole number from 0 to 2^63 - 1", shown(value)))
}

fn shown(bytes: &[u8]) -> String {
    crate::text::quoted(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::made::pax_record;

    #[test]
    fn records_that_matter_are_read_and_others_ignored() {
        let records = [
            pax_record("mtime", "1700000000.5"),
            pax_record("path", "a=b\nc"),
            pax_record("linkpath", "../x"),
            pax_record("size", "9663676416"),
            pax_record("SCHILY.xattr.user.x", "\u{0}\u{1}"),
            pax_record("comment", ""),
            pax_record("comment", &"long ".repeat(300)),
        ]
        .concat();
        let pax = Pax::parse(records.as_bytes()).unwrap();
        assert_eq!(pax.path.as_deref(), Some(&b"a=b\nc"[..]));
        assert_eq!(pax.linkpath.as_deref(), Some(&b"../x"[..]));
        assert_eq!(pax.size, Some(9 << 30));
        assert!(!pax.is_sparse && Pax::parse(pax_record("GNU.sparse.major", "1")).unwrap().is_sparse);
        assert_eq!(Pax::parse(b"").unwrap(), Pax::default());
    }

    #[test]
    fn what_readers_take_differently_is_refused() {
        let twice = pax_record("path", "a") + &pax_record("path", "b");
        for (reason, records, complaint) in [
            ("no length", "path=x\n", "is no LENGTH"),
            ("no space", "9path=xy\n", "is no LENGTH"),
            ("a sign", "+9 path=x\n", "is no LENGTH"),
            ("a leading zero", "09 path=x\n", "is no LENGTH"),
            ("a length past the end", "11 path=x\n", "is no LENGTH"),
            ("a length before the end", "8 path=x\n", "is no LENGTH"),
            ("a length of nothing", "2 path=x\n", "is no LENGTH"),
            ("a length that overflows", "99999999999999999999 path=x\n", "is no LENGTH"),
            ("no line end", "9 path=xy", "is no LENGTH"),
            ("no equals sign", "7 path\n", "is no LENGTH"),
            ("no key", "5 =x\n", "is no LENGTH"),
            ("a NUL in the key", "10 pa\0th=x\n", "is no LENGTH"),
            ("NULs after the end", "10 path=x\n\0\0", "is no LENGTH"),
            ("an empty path, which may mean the header's", "8 path=\n", "is empty"),
            ("a path twice", &twice, "says \"path\" twice"),
            ("a negative size", "11 size=-1\n", "whole number"),
            ("a size with a sign", "11 size=+1\n", "whole number"),
            ("an empty size", "8 size=\n", "whole number"),
            ("a size past 2^63", "28 size=9223372036854775808\n", "whole number"),
            ("an escape sequence", "\u{1b}[2J", "\\u{1b}[2J"),
        ] {
            let error = Pax::parse(records.as_bytes()).unwrap_err();
            assert!(error.contains(complaint), "{reason}: {error}");
        }
    }

    #[test]
    fn owners_times_and_attributes_are_read() {
        let records = [
            pax_record("uid", "100000"),
            pax_record("gid", "0"),
            pax_record("mtime", "1700000000.000000001"),
            pax_record("LIBARCHIVE.xattr.user.b%20c", "AAE"),
            pax_record("LIBARCHIVE.xattr.user.a", "AA=="),
            pax_record("SCHILY.xattr.user.a", "raw\n\0"),
        ];
        let attributes = Pax::parse(records.concat()).unwrap().attributes().unwrap();
        assert_eq!((attributes.uid, attributes.gid), (Some(100_000), Some(0)));
        assert_eq!(attributes.mtime, Some((1_700_000_000, 1)));
        let xattrs: Vec<_> = attributes.xattrs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        assert_eq!(xattrs, [(&b"user.a"[..], &b"raw\n\0"[..]), (b"user.b c", &[0, 1])]);
        for (text, expected) in [
            ("0", (0, 0)),
            ("1.5", (1, 500_000_000)),
            ("1.", (1, 0)),
            ("-1", (-1, 0)),
            ("-1.25", (-2, 750_000_000)),
            ("7.1234567899", (7, 123_456_789)),
        ] {
            assert_eq!(time(text.as_bytes()), Ok(expected), "{text}");
        }
        for (key, value) in [
            ("mtime", "now"),
            ("mtime", ".5"),
            ("mtime", "1e9"),
            ("mtime", "99999999999999999999"),
            ("uid", "4294967295"),
            ("uid", "-1"),
            ("gid", "root"),
            ("SCHILY.xattr.", "x"),
            ("LIBARCHIVE.xattr.user.a", "not base64!"),
            ("LIBARCHIVE.xattr.user.%2", "AA"),
        ] {
            assert!(Pax::parse(pax_record(key, value)).unwrap().attributes().is_err(), "{key}={value}");
        }
        let both = pax_record("uid", "1") + &pax_record("uid", "2");
        assert!(Pax::parse(both).unwrap().attributes().unwrap_err().contains("twice"));
    }

    #[test]
    fn a_global_header_may_say_nothing_about_single_entries() {
        Pax::check_global(pax_record("comment", "a commit").as_bytes()).unwrap();
        for key in ["path", "linkpath", "GNU.sparse.major"] {
            assert!(Pax::check_global(pax_record(key, "x").as_bytes()).is_err());
        }
        assert!(Pax::check_global(pax_record("size", "1").as_bytes()).is_err());
        assert!(Pax::check_global(b"garbage").is_err());
    }

    #[test]
    fn two_sizes_must_not_contradict_each_other() {
        let beside = |size, header| Pax { size, ..Pax::default() }.size_beside(header);
        assert_eq!(beside(None, 7), Ok(7));
        assert_eq!(beside(Some(9 << 30), 0), Ok(9 << 30), "zero in the header: skopeo and Go write it so");
        assert_eq!(beside(Some(9 << 30), LARGEST_OCTAL), Ok(9 << 30), "the largest in the header: bsdtar");
        assert_eq!(beside(Some(7), 7), Ok(7));
        assert_eq!(beside(Some(5), 7).unwrap_err(), "its PAX header says 5 bytes, the header itself 7");
        assert!(beside(Some(0), 7).is_err());
        assert!(beside(Some(8), 7).is_err());
        assert!(beside(Some(9 << 30), 10 << 30).is_err());
    }
}
