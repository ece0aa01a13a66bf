//! The media that people carry, and how much a file on them may hold.

use std::fmt;
use std::str::FromStr;

/// A kind of medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A FAT32 file system: a file is smaller than 4 GiB, and there may be several of them on one stick.
    Fat32,
    /// A CD-R of 700 MB.
    Cd,
    /// A DVD with one layer.
    Dvd,
    /// A Blu-ray disc with one layer.
    Bd25,
}

/// What stands beside the part on an optical disc: its note, the sums, and the file system, in bytes.
const BESIDE: u64 = 4 << 20;

impl Medium {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fat32, Self::Cd, Self::Dvd, Self::Bd25];

    /// Returns its name, as it is typed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fat32 => "fat32",
            Self::Cd => "cd",
            Self::Dvd => "dvd",
            Self::Bd25 => "bd25",
        }
    }

    /// Returns the largest part for it, in bytes: a whole number of 2 KiB sectors, with room for what stands beside it.
    #[must_use]
    pub const fn part_size(self) -> u64 {
        match self {
            // the size of a file is a number of 32 bits
            Self::Fat32 => (4 << 30) - 2048,
            // 360,000 sectors of 2048 bytes: 80 minutes
            Self::Cd => 360_000 * 2048 - BESIDE,
            // DVD+R; a DVD-R holds some more
            Self::Dvd => 2_295_104 * 2048 - BESIDE,
            Self::Bd25 => 12_219_392 * 2048 - BESIDE,
        }
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A medium that barge does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected fat32, cd, dvd or bd25")]
pub struct UnknownMedium;

impl FromStr for Medium {
    type Err = UnknownMedium;

    fn from_str(text: &str) -> Result<Self, UnknownMedium> {
        Self::ALL.into_iter().find(|medium| medium.name() == text).ok_or(UnknownMedium)
    }
}

/// Reads the size of a part as split(1) does: K, M, G and T and KiB ... are powers of 1024, KB ... powers of 1000. `None` when it
/// is none.
#[must_use]
pub fn parse_part_size(text: &str) -> Option<u64> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().ok()?;
    let unit = unit.to_ascii_uppercase();
    let (base, letter) = match unit.strip_suffix("IB") {
        Some(letter) => (1024_u64, letter),
        None => unit.strip_suffix('B').map_or((1024, &*unit), |letter| (1000, letter)),
    };
    let power = match letter {
        "" if unit.is_empty() || unit == "B" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return None,
    };
    number.checked_mul(base.pow(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_split_reads_them() {
        for (text, bytes) in [
            ("1048576", Some(1 << 20)),
            ("4400M", Some(4400 << 20)),
            ("4g", Some(4 << 30)),
            ("650MiB", Some(650 << 20)),
            ("4700MB", Some(4_700_000_000)),
            ("1kB", Some(1000)),
            ("2T", Some(2 << 40)),
            ("10B", Some(10)),
            ("", None),
            ("M", None),
            ("4.4G", None),
            ("4X", None),
            ("4iB", None),
            ("-1", None),
            ("99999999999T", None),
        ] {
            assert_eq!(parse_part_size(text), bytes, "{text}");
        }
    }
}
