//! What stands around deflate in gzip (RFC 1952), as far as Go's `compress/gzip` writes it.

use super::level::Level;

/// What stands before deflate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// When the content was changed, in seconds since 1970. Zero: not said.
    pub modified: u32,
    /// How hard the packer tried (XFL): 2 at level 9, 4 at level 1, zero at others.
    pub hint: u8,
    /// On which system it was packed: 255 is none that is known, and what Go says.
    pub system: u8,
    /// Whatever else, in a form of its own: at most 65,535 bytes.
    pub extra: Option<Vec<u8>>,
    /// The name of the content, in Latin-1, without a zero.
    pub name: Option<Vec<u8>>,
    /// A comment, in Latin-1, without a zero.
    pub comment: Option<Vec<u8>>,
}

/// Why bytes are no header that Go writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// They do not begin as gzip with deflate does.
    #[error("not gzip")]
    NotGzip,
    /// It has parts that Go does not write: a check sum of its own, a mark as text, or reserved ones.
    #[error("its flags are 0x{0:02x}, which another program sets")]
    Flags(u8),
    /// It goes on after the bytes that are there.
    #[error("it ends beyond the bytes that are there")]
    Short,
}

const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

impl Header {
    /// Returns the header that Go writes at a level when nothing else is said.
    #[must_use]
    pub fn plain(level: Level) -> Self {
        let hint = match level {
            Level::BEST => 2,
            Level::FASTEST => 4,
            _ => 0,
        };
        Self { hint, system: 255, ..Self::default() }
    }

    /// Reads a header, and returns it with its length. Written again it is the same.
    ///
    /// # Errors
    /// When it is none, or none that Go writes, or is not all there: [`HeaderError`].
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), HeaderError> {
        let Some((fixed, mut rest)) = bytes.split_first_chunk::<10>() else {
            return Err(if bytes.starts_with(&[0x1f, 0x8b]) { HeaderError::Short } else { HeaderError::NotGzip });
        };
        let [0x1f, 0x8b, 8, flags, m0, m1, m2, m3, hint, system] = *fixed else { return Err(HeaderError::NotGzip) };
        if flags & !(EXTRA | NAME | COMMENT) != 0 {
            return Err(HeaderError::Flags(flags));
        }
        let mut header = Self { modified: u32::from_le_bytes([m0, m1, m2, m3]), hint, system, ..Self::default() };
        if flags & EXTRA != 0 {
            let (length, after) = rest.split_first_chunk().ok_or(HeaderError::Short)?;
            let length = usize::from(u16::from_le_bytes(*length));
            let (extra, after) = after.split_at_checked(length).ok_or(HeaderError::Short)?;
            header.extra = Some(extra.to_vec());
            rest = after;
        }
        for (flag, text) in [(NAME, &mut header.name), (COMMENT, &mut header.comment)] {
            if flags & flag != 0 {
                let end = rest.iter().position(|byte| *byte == 0).ok_or(HeaderError::Short)?;
                *text = Some(rest[..end].to_vec());
                rest = &rest[end + 1..];
            }
        }
        Ok((header, bytes.len() - rest.len()))
    }

    /// Returns its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let flag = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
        let flags =
            flag(self.extra.is_some(), EXTRA) | flag(self.name.is_some(), NAME) | flag(self.comment.is_some(), COMMENT);
        let mut bytes = vec![0x1f, 0x8b, 8, flags];
        bytes.extend(self.modified.to_le_bytes());
        bytes.extend([self.hint, self.system]);
        if let Some(extra) = &self.extra {
            bytes.extend((extra.len() as u16).to_le_bytes());
            bytes.extend(extra);
        }
        for text in [&self.name, &self.comment].into_iter().flatten() {
            bytes.extend(text);
            bytes.push(0);
        }
        bytes
    }
}

/// What stands after deflate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// The CRC-32 of the content.
    pub crc32: u32,
    /// How many bytes the content has, modulo 2^32.
    pub size: u32,
}

impl Trailer {
    /// Reads a trailer.
    #[must_use]
    pub const fn parse(bytes: [u8; 8]) -> Self {
        let [c0, c1, c2, c3, s0, s1, s2, s3] = bytes;
        Self { crc32: u32::from_le_bytes([c0, c1, c2, c3]), size: u32::from_le_bytes([s0, s1, s2, s3]) }
    }

    /// Returns its bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        let both = u64::from(self.crc32) | u64::from(self.size) << 32;
        both.to_le_bytes()
    }
}
