//! One header block of a tar: its fields, as POSIX, GNU and the tars before them write them.
//!
//! POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar 1.35 manual, "Basic Tar Format". Knows nothing of files or
//! images: a block goes in, its fields or what is wrong with it come out.

use std::collections::BTreeMap;

use super::pax::Pax;

/// The size of a header, and what all content is padded to, in bytes.
pub(crate) const BLOCK: u64 = 512;
/// One block.
pub(crate) type Block = [u8; 512];

/// The largest size that a ustar header can hold: 8 GiB less one.
pub(crate) const LARGEST_OCTAL: u64 = 0o777_7777_7777;

/// The fields of a header block that barge uses. Names are as they were written: not yet text, not yet normalised.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// What kind of entry it is: the type flag as it stands.
    pub(crate) flag: u8,
    /// The name, with the prefix of a ustar header.
    pub(crate) name: Vec<u8>,
    /// What a link leads to.
    pub(crate) link: Vec<u8>,
    /// The size of the content in bytes.
    pub(crate) size: u64,
}

/// The fields of a header block that say how an entry is to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// Permissions, with setuid, setgid and sticky: 12 bits.
    pub(crate) mode: u32,
    /// The number of the owner.
    pub(crate) uid: u32,
    /// The number of the group.
    pub(crate) gid: u32,
    /// The last change: seconds since 1970, rounded down, and nanoseconds.
    pub(crate) mtime: (i64, u32),
    /// The major and minor number of a device.
    pub(crate) device: (u32, u32),
    /// Extended attributes by name.
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Attributes {
    /// Reads them from a header block, unless the PAX header before it says something else.
    ///
    /// # Errors
    /// In words, when a number is none or too large.
    pub(crate) fn decode(block: &Block, pax: &Pax) -> Result<Self, String> {
        let said = pax.attributes()?;
        let mode = number(&block[100..108]).map_err(|reason| format!("its mode {reason}"))?;
        let id = |field: &[u8], what: &str| {
            let number = number(field).map_err(|reason| format!("its {what} {reason}"))?;
            let id = u32::try_from(number).ok().filter(|id| *id != u32::MAX);
            id.ok_or_else(|| format!("its {what} is {number}, expected less than 2^32 - 1"))
        };
        // where PAX says it, the field may hold anything (POSIX.1-2017, pax, "pax Extended Header")
        let uid = said.uid.map_or_else(|| id(&block[108..116], "owner"), Ok)?;
        let gid = said.gid.map_or_else(|| id(&block[116..124], "group"), Ok)?;
        let mtime = said.mtime.map_or_else(|| time(&block[136..148]), Ok)?;
        let device = match block[156] {
            b'3' | b'4' => (device(&block[329..337], 12)?, device(&block[337..345], 20)?),
            _ => (0, 0),
        };
        let mode = u32::try_from(mode & 0o7777).unwrap_or_default(); // some write the type into it as well
        Ok(Self { mode, uid, gid, mtime, device, xattrs: said.xattrs })
    }
}

/// Reads one number of a device, which has at most so many bits on Linux.
fn device(field: &[u8], bits: u32) -> Result<u32, String> {
    let number = number(field).map_err(|reason| format!("its device number {reason}"))?;
    let fitting = u32::try_from(number).ok().filter(|number| number >> bits == 0);
    fitting.ok_or_else(|| format!("its device number is {number}, expected less than 2^{bits}"))
}

/// Reads a time, which before 1970 is negative: in base 256 only.
fn time(field: &[u8]) -> Result<(i64, u32), String> {
    if let [0xff, rest @ ..] = field {
        let (high, low) = rest.split_at(rest.len().saturating_sub(8));
        let value = low.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte)).cast_signed();
        if high.iter().all(|byte| *byte == 0xff) && value < 0 {
            return Ok((value, 0));
        }
    }
    let seconds = number(field).map_err(|reason| format!("its time {reason}"))?;
    Ok((i64::try_from(seconds).unwrap_or(i64::MAX), 0))
}

impl Header {
    /// Reads a header block.
    ///
    /// # Errors
    /// In words, when the check sum is wrong or a number is none.
    pub(crate) fn decode(block: &Block) -> Result<Self, String> {
        if !has_right_sum(block) {
            return Err("its check sum is wrong".to_owned());
        }
        // Only POSIX headers have a prefix: GNU's hold times there.
        let prefix = if block[257..263] == *b"ustar\0" { text(&block[345..500]) } else { &[] };
        let last = text(&block[..100]);
        let mut name = Vec::with_capacity(prefix.len() + 1 + last.len());
        if !prefix.is_empty() {
            name.extend_from_slice(prefix);
            name.push(b'/');
        }
        name.extend_from_slice(last);
        let size = number(&block[124..136]).map_err(|reason| format!("its size {reason}"))?;
        Ok(Self { flag: block[156], name, link: text(&block[157..257]).to_vec(), size })
    }
}

/// Returns whether a block could be the first of a tar: a header with the right check sum, or zeros.
pub(crate) fn starts_tar(block: &Block) -> bool {
    is_zero(block) || has_right_sum(block)
}

/// Returns whether bytes are all zero.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn has_right_sum(block: &Block) -> bool {
    // The sum is taken with spaces in its own field. Some old tars took bytes for signed: either is right.
    let around = || block[..148].iter().chain(&block[156..]);
    let spaces = 8 * u32::from(b' ');
    let unsigned: u32 = around().map(|byte| u32::from(*byte)).sum::<u32>() + spaces;
    let Ok(got) = octal(&block[148..156]) else { return false };
    if got == u64::from(unsigned) {
        return true;
    }
    let high = u32::try_from(around().filter(|byte| **byte > 127).count()).unwrap_or(0);
    i64::try_from(got) == Ok(i64::from(unsigned) - 256 * i64::from(high))
}

/// Returns what stands before the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Reads a number: octal digits, or base 256 when the first bit is set.
fn number(field: &[u8]) -> Result<u64, String> {
    match field {
        [0x80, rest @ ..] => {
            let (high, low) = rest.split_at(rest.len().saturating_sub(8));
            let value = low.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
            if !is_zero(high) || i64::try_from(value).is_err() {
                return Err("is larger than 2^63 - 1".to_owned());
            }
            Ok(value)
        }
        [0xc0..=0xff, ..] => Err("is negative".to_owned()),
        [0x81..=0xbf, ..] => Err("is larger than 2^63 - 1".to_owned()),
        _ => octal(field),
    }
}

/// Reads octal digits between spaces and up to a NUL; an empty field is 0.
fn octal(field: &[u8]) -> Result<u64, String> {
    let start = field.iter().position(|byte| !matches!(byte, b' ' | 0)).unwrap_or(field.len());
    let digits = text(&field[start..]).trim_ascii_end();
    let digit = |value: u64, byte: &u8| match byte {
        b'0'..=b'7' => Some(value << 3 | u64::from(byte - b'0')), // at most 12 digits: no overflow
        _ => None,
    };
    digits
        .iter()
        .try_fold(0, digit)
        .ok_or_else(|| format!("is {}, expected octal digits", crate::text::quoted(&String::from_utf8_lossy(digits))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::made::Block as Made;

    fn decode(made: Made) -> Result<Header, String> {
        Header::decode(&made.finished())
    }

    #[test]
    fn every_dialect_gives_its_name() {
        for (reason, made, name) in [
            ("ustar joins prefix and name", Made::ustar("c.txt").prefix("a/b"), "a/b/c.txt"),
            ("GNU has no prefix", Made::gnu("c.txt").prefix("a/b"), "c.txt"),
            ("v7 has no prefix", Made::v7("c.txt").prefix("a/b"), "c.txt"),
            ("a name may fill its field", Made::ustar(&"n".repeat(100)), &"n".repeat(100)[..]),
        ] {
            assert_eq!(decode(made).unwrap().name, name.as_bytes(), "{reason}");
        }
        assert_eq!(decode(Made::ustar("l").flag(b'2').link("../x")).unwrap().link, b"../x");
    }

    #[test]
    fn a_size_is_octal_or_base_256_and_nothing_else() {
        let base_256 = |value: u64| {
            let mut field = [0; 12];
            field[0] = 0x80;
            field[4..].copy_from_slice(&value.to_be_bytes());
            field
        };
        for (field, expected) in [
            (*b"00000000017\0", Ok(0o17)),
            (*b"        017 ", Ok(0o17)),
            (*b"17\0 garbage\0", Ok(0o17)),
            (*b"777777777777", Ok(0o777_777_777_777)),
            ([0; 12], Ok(0)),
            (*b"            ", Ok(0)),
            (base_256(9 << 30), Ok(9 << 30)),
            (base_256(u64::MAX >> 1), Ok(u64::MAX >> 1)),
            (base_256(1 << 63), Err("larger than 2^63 - 1")),
            ([0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Err("larger than 2^63 - 1")),
            ([0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Err("larger than 2^63 - 1")),
            ([0xff; 12], Err("negative")),
            (*b"-0000000017\0", Err("is \"-0000000017\", expected octal")),
            (*b"00000000018\0", Err("expected octal")),
            (*b"1 7\0\0\0\0\0\0\0\0\0", Err("expected octal")),
        ] {
            match (decode(Made::ustar("x").size_field(field)), expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got.size, expected, "{field:?}"),
                (Err(got), Err(expected)) => assert!(got.contains(expected), "{field:?}: {got}"),
                (got, expected) => panic!("{field:?}: {got:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn attributes_are_read_unless_pax_says_otherwise() {
        let decode = |made: Made, pax: &str| Attributes::decode(&made.finished(), &Pax::parse(pax).unwrap());
        let made = || Made::ustar("x").mode(0o104_755).owner(7, 8).mtime(99);
        let plain = Attributes { mode: 0o4755, uid: 7, gid: 8, mtime: (99, 0), ..Attributes::default() };
        assert_eq!(decode(made(), ""), Ok(plain.clone()));
        let pax = crate::tar::made::pax_record("uid", "300000") + &crate::tar::made::pax_record("mtime", "5.5");
        assert_eq!(decode(made(), &pax), Ok(Attributes { uid: 300_000, mtime: (5, 500_000_000), ..plain }));
        let device = decode(made().flag(b'3').device(1, 3), "").unwrap().device;
        assert_eq!(device, (1, 3));
        assert_eq!(decode(made().device(1, 3), "").unwrap().device, (0, 0), "of devices alone");
        assert!(decode(made().flag(b'4').device(0o10_000, 0), "").unwrap_err().contains("less than 2^12"));
        let before_1970 = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe];
        assert_eq!(time(&before_1970), Ok((-2, 0)));
        assert!(time(&[0xc0; 12]).is_err());
    }

    #[test]
    fn a_wrong_check_sum_is_seen_and_a_signed_one_is_right() {
        let mut block = Made::ustar("n\u{e9}").finished();
        assert!(starts_tar(&block));
        block[0] ^= 1;
        assert_eq!(Header::decode(&block).unwrap_err(), "its check sum is wrong");
        assert!(!starts_tar(&block));
        assert_eq!(decode(Made::ustar("n\u{e9}").signed_sum()).unwrap().name, "n\u{e9}".as_bytes());
        assert!(starts_tar(&[0; 512]));
        assert!(!starts_tar(&[b' '; 512]), "an empty check sum is no sum of spaces");
    }
}
