//! Parts that are not what their notes say.

use std::fmt;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::PathBuf;

use super::set::Parts;
use super::{FoundPart, called};
use crate::blob::{CHUNK, Cancel};
use crate::content::{Content, Kind};
use crate::digest::Digest;
use crate::store::archive::chain::{changed, open_unchanged};
use crate::store::{Location, StoreError};
use crate::text::escaped;

/// A part that is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its number.
    pub number: u64,
    /// How many parts there are.
    pub of: u64,
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub got: Digest,
    /// What its note says.
    pub expected: Digest,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, path, got, expected, .. } = self;
        let name = escaped(&path.to_string_lossy());
        write!(f, "part {number} ({name}) is damaged: its SHA-256 is {}, expected {}", got.hex(), expected.hex())
    }
}

/// A part that is to be checked against its note.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the note says of it.
    pub content: Content,
    /// How people call it: `part 2 of 3 (x.tar.002)`.
    pub about: String,
    of: u64,
    file: FoundPart,
}

impl Parts {
    /// Returns the parts that have notes and overlap a range of the archive; all of them without one.
    #[must_use]
    pub fn to_check(&self, range: Option<&Range<u64>>) -> Vec<Checked> {
        let overlaps = |begins: u64, length: u64| match range {
            Some(range) => begins < range.end && range.start < begins.saturating_add(length),
            None => true,
        };
        let checked = |part: &super::set::Opened| {
            let head = part.head.as_ref()?;
            Some(Checked {
                content: Content { digest: head.digest, size: head.size, kind: Kind::Blob },
                about: called(&self.names, head.part),
                of: self.names.parts,
                file: FoundPart { number: head.part, path: part.path.clone(), identity: part.identity },
            })
        };
        let list = self.list.iter().filter(|part| overlaps(part.begins, part.identity.length));
        list.filter_map(checked).collect()
    }

    /// Returns whether every part that overlaps a range has a note.
    #[must_use]
    pub fn are_noted(&self, range: Option<&Range<u64>>) -> bool {
        range.map_or_else(
            || self.are_all_noted(),
            |range| {
                let inside =
                    |begins: u64, length: u64| begins < range.end && range.start < begins.saturating_add(length);
                self.list.iter().all(|part| part.head.is_some() || !inside(part.begins, part.identity.length))
            },
        )
    }
}

impl Checked {
    /// Returns where the part is.
    #[must_use]
    pub fn location(&self) -> Location {
        Location::File(self.file.path.clone())
    }

    /// Reads the part and compares it with its note; `None` when it is right.
    ///
    /// # Errors
    /// When it cannot be read, changed meanwhile, or somebody asked to stop.
    pub fn check(&self, cancel: &Cancel, meter: &dyn Fn(u64)) -> Result<Option<Damage>, StoreError> {
        let path = &self.file.path;
        let mut file = open_unchanged(path, self.file.identity)?;
        let mut hasher = self.content.digest.algorithm().hasher();
        let mut buffer = vec![0; CHUNK];
        let mut read: u64 = 0;
        loop {
            if cancel.is_cancelled() {
                return Err(StoreError::Cancelled);
            }
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    read += count as u64;
                    meter(count as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(StoreError::io("read", path)(error)),
            }
        }
        if read != self.file.identity.length {
            return Err(changed(path, "it changed while it was read"));
        }
        let (got, expected) = (hasher.finish(), self.content.digest);
        let damage = || Damage { number: self.file.number, of: self.of, path: path.clone(), got, expected };
        Ok((got != expected).then(damage))
    }
}
