//! Split archives: the files that belong together, found by their names and by the notes beside them.
//!
//! ```text
//! find     a path and further directories -> the parts and notes that are there, all of one set
//! set      what is there -> an archive that can be read in place, or what is missing of it
//! damage   a part that is read against its note
//! ```
//!
//! Notes say which files belong together, how many there are and what their digests are. Without any the files are taken
//! by their numbers, and the archive must have its end.

mod damage;
mod find;
mod set;

use std::path::{Path, PathBuf};

pub use self::damage::Damage;
pub use self::set::Parts;
use super::bytes::Identity;
use crate::bundle::{Mode, PartNames, PartNote};
use crate::digest::Digest;
use crate::store::{Location, Reason, StoreError};
use crate::text::escaped;

/// A part that is there.
#[derive(Clone, Debug)]
pub struct FoundPart {
    /// Its number, from 1 on.
    pub number: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Which file it is, and in which state it was found.
    pub identity: Identity,
}

/// A note that is there; its pieces are read again when they are wanted.
#[derive(Clone, Debug)]
struct FoundNote {
    path: PathBuf,
    head: PartNote,
}

/// What is there of a split archive.
#[derive(Clone, Debug)]
pub struct PartSet {
    /// The path of the archive that was split, where its first directory has it.
    archive: PathBuf,
    names: PartNames,
    set: Option<Digest>,
    /// The bytes of the whole archive, as far as a note says.
    length: Option<u64>,
    /// Sorted by number, each once.
    parts: Vec<FoundPart>,
    /// Sorted by number, each once.
    notes: Vec<FoundNote>,
}

impl PartSet {
    /// Finds the parts that belong to a path: one that is called like a part, or the name of an archive that is not there
    /// itself. They are looked for in its directory and in further ones. `None` when it is an archive like any other, or
    /// nothing is there.
    ///
    /// # Errors
    /// When a directory cannot be read, a note cannot be used, or what is there does not belong together.
    pub fn find(path: &Path, further: &[PathBuf]) -> Result<Option<Self>, StoreError> {
        find::find(path, further)
    }

    /// Returns whether [`Self::find`] has anything to look at for a path at which nothing is.
    #[must_use]
    pub fn is_known(path: &Path, further: &[PathBuf]) -> bool {
        find::is_known(path, further)
    }

    /// Returns where the archive is, as it is called in messages.
    #[must_use]
    pub fn location(&self) -> Location {
        Location::Archive(self.archive.clone())
    }

    /// Returns the name of the archive that was split.
    #[must_use]
    pub fn archive(&self) -> &str {
        &self.names.archive
    }

    /// Returns how it is split.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.names.mode
    }

    /// Returns which set it is; none when no note is there.
    #[must_use]
    pub const fn set(&self) -> Option<Digest> {
        self.set
    }

    /// Returns how many parts there are in all: without a note, as many as are there.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.names.parts
    }

    /// Returns the parts that are there, by their numbers.
    #[must_use]
    pub fn parts(&self) -> &[FoundPart] {
        &self.parts
    }

    /// Returns a part that is there.
    #[must_use]
    pub fn part(&self, number: u64) -> Option<&FoundPart> {
        self.parts.iter().find(|part| part.number == number)
    }

    /// Returns the numbers of the parts that are not there.
    #[must_use]
    pub fn missing(&self) -> Vec<u64> {
        (1..=self.names.parts).filter(|number| self.part(*number).is_none()).collect()
    }

    /// Returns the note on a part without its pieces, when it is there.
    #[must_use]
    pub fn head(&self, number: u64) -> Option<&PartNote> {
        self.notes.iter().map(|note| &note.head).find(|head| head.part == number)
    }

    /// Reads the whole note on a part; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is another one than before.
    pub fn note(&self, number: u64) -> Result<Option<PartNote>, StoreError> {
        let Some(found) = self.notes.iter().find(|note| note.head.part == number) else { return Ok(None) };
        let note = find::read_note(&found.path)?;
        if find::head_of(note.clone()) == found.head {
            return Ok(Some(note));
        }
        Err(super::chain::changed(&found.path, "it changed while it was read"))
    }

    /// Returns a part as people call it: `part 2 of 3 (x.tar.002)`.
    #[must_use]
    pub fn called(&self, number: u64) -> String {
        called(&self.names, number)
    }

    /// Returns the name of the file of a part.
    #[must_use]
    pub fn part_name(&self, number: u64) -> String {
        self.names.part(number)
    }

    fn wrong(&self, what: impl Into<String>, reason: impl Into<Reason>, hint: &str) -> StoreError {
        let hint = Some(hint.to_owned());
        StoreError::Malformed { what: what.into(), place: self.location(), reason: reason.into(), hint }
    }
}

fn called(names: &PartNames, number: u64) -> String {
    format!("part {number} of {} ({})", names.parts, escaped(&names.part(number)))
}
