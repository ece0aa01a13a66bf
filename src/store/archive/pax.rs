//! PAX extended headers: records of `LENGTH KEY=VALUE`, read strictly.
//!
//! POSIX.1-2017, pax, "pax Extended Header". A reader that skips a record which it cannot parse sees another archive
//! than one that stops, so a malformed record is an error. Keys that say nothing about where content lies are ignored.

use super::header::LARGEST_OCTAL;

/// What an extended header says that matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    /// The name in place of the header's.
    pub(super) path: Option<Vec<u8>>,
    /// The link target in place of the header's.
    pub(super) linkpath: Option<Vec<u8>>,
    /// The size in place of the header's, in bytes.
    pub(super) size: Option<u64>,
}

impl Pax {
    /// Parses the records for one entry.
    ///
    /// # Errors
    /// In words, when a record is malformed, says something twice, or describes a sparse file.
    pub(super) fn parse(mut rest: &[u8]) -> Result<Self, String> {
        let mut pax = Self::default();
        while !rest.is_empty() {
            let Record { key, value, after } = Record::split(rest)?;
            rest = after;
            let fresh = match key {
                b"path" => pax.path.replace(not_empty(key, value)?.to_vec()).is_none(),
                b"linkpath" => pax.linkpath.replace(not_empty(key, value)?.to_vec()).is_none(),
                b"size" => pax.size.replace(decimal(value)?).is_none(),
                _ if key.starts_with(b"GNU.sparse.") => {
                    return Err("it describes a sparse file, whose content is not in one piece".to_owned());
                }
                _ => true,
            };
            if !fresh {
                return Err(format!("it says {} twice", shown(key)));
            }
        }
        Ok(pax)
    }

    /// Checks the records of a global header, which must say nothing that differs from entry to entry.
    ///
    /// # Errors
    /// As [`Self::parse`], and when there is a name, a link target or a size for all entries.
    pub(super) fn check_global(records: &[u8]) -> Result<(), String> {
        match Self::parse(records)? {
            Self { path: None, linkpath: None, size: None } => Ok(()),
            _ => Err("it gives one path, linkpath or size to all entries".to_owned()),
        }
    }

    /// Returns the size of an entry whose own header says `header`: the PAX size holds where the header has none, or
    /// cannot hold it.
    ///
    /// # Errors
    /// In words, when the two contradict each other: some readers go by the one, some by the other.
    pub(super) fn size_beside(&self, header: u64) -> Result<u64, String> {
        match self.size {
            None => Ok(header),
            Some(size) if header == 0 || size == header || (size > header && size > LARGEST_OCTAL) => Ok(size),
            Some(size) => Err(format!("its PAX header says {size} bytes, the header itself {header}")),
        }
    }
}

/// One record, and the bytes after it.
struct Record<'a> {
    key: &'a [u8],
    value: &'a [u8],
    after: &'a [u8],
}

impl<'a> Record<'a> {
    /// Splits the first record off.
    fn split(bytes: &'a [u8]) -> Result<Self, String> {
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
        Ok(Self { key: &text[..equals], value: &text[equals + 1..], after })
    }
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
    use crate::store::archive::made::pax_record;

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
        assert_eq!(Pax::parse(b"").unwrap(), Pax::default());
    }

    #[test]
    fn what_readers_take_differently_is_refused() {
        let twice = pax_record("path", "a") + &pax_record("path", "b");
        let sparse = pax_record("GNU.sparse.major", "1");
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
            ("a sparse file", &sparse, "sparse"),
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
    fn a_global_header_may_say_nothing_about_single_entries() {
        Pax::check_global(pax_record("comment", "a commit").as_bytes()).unwrap();
        for key in ["path", "linkpath"] {
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
