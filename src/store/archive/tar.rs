//! The index of a tar: where each entry's content lies. Only headers are read, and nothing is unpacked.
//!
//! A tar is a list of headers with content between them, and readers are known to disagree on most of what is unusual
//! in it. So whatever two readers could take differently is refused, with the byte where it stands: names that leave
//! the archive, two names or sizes for one entry, one name with two contents, sparse files. The only things let pass
//! with a warning are those that change no content: a missing end, bytes after the end, an entry twice with the same
//! bytes.

use std::io::Read as _;

use super::bytes::{ReadAt, Span};
use super::walk::Walk;
use super::{cannot_read, refusal};
use crate::blob::{CHUNK, Cancel};
use crate::store::{Location, StoreError};
use crate::tar::entry::EntryKind;
use crate::text::quoted;

/// An entry: its name and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The normalised name.
    pub(super) name: Box<str>,
    /// What it is.
    pub(super) kind: EntryKind,
    /// Where its header starts, in bytes.
    pub(super) header: u64,
    /// Where its content starts, in bytes.
    pub(super) offset: u64,
    /// How long its content is, in bytes; 0 for all but regular entries.
    pub(super) size: u64,
}

impl Entry {
    /// Returns the entry as it is called in messages.
    pub(super) fn what(&self) -> String {
        format!("the entry {} at byte {}", quoted(&self.name), self.header)
    }

    /// Returns a reader of the content as it stands there.
    pub(super) const fn reader<'a>(&self, from: &'a dyn ReadAt) -> Span<'a> {
        Span::new(from, self.offset, self.size)
    }
}

/// All entries of a tar, by name.
#[derive(Debug)]
pub(super) struct TarIndex {
    entries: Vec<Entry>, // sorted by name, each name once
    has_end: bool,
    behind: u64,
    warnings: Vec<String>,
}

impl TarIndex {
    /// Walks through a tar of `length` bytes from header to header.
    ///
    /// # Errors
    /// When it cannot be read, ends early, or holds anything that readers disagree on.
    pub(super) fn read(file: &dyn ReadAt, length: u64, place: &Location, cancel: &Cancel) -> Result<Self, StoreError> {
        let found = Walk::new(file, length, place).run(cancel)?;
        let (has_end, behind) = (found.has_end, found.behind);
        let mut index = Self { entries: found.entries, has_end, behind, warnings: found.warnings };
        index.entries.sort_by(|one, other| one.name.cmp(&other.name)); // stable: the first of a name stays first
        index.keep_one_of_each(file, place, cancel)?;
        Ok(index)
    }

    /// Returns the entries, sorted by name.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns where among the entries a name stands.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.entries.binary_search_by(|entry| (*entry.name).cmp(name)).ok()
    }

    /// Returns the entry of a name.
    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        self.position(name).map(|at| &self.entries[at])
    }

    /// Returns the entries whose names start with `prefix`.
    pub(super) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Entry> {
        let start = self.entries.partition_point(|entry| *entry.name < *prefix);
        self.entries[start..].iter().take_while(move |entry| entry.name.starts_with(prefix))
    }

    /// Returns whether the tar has the blocks of zeros that end it: without them, it may be cut off.
    pub(super) const fn has_end(&self) -> bool {
        self.has_end
    }

    /// Returns how many bytes of something else are behind its end.
    pub(super) const fn behind(&self) -> u64 {
        self.behind
    }

    /// Returns what is odd about it without being wrong, each as what follows the name of the archive in a sentence.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Drops what stands there again, if it is the same again.
    fn keep_one_of_each(&mut self, file: &dyn ReadAt, place: &Location, cancel: &Cancel) -> Result<(), StoreError> {
        const MOST_TOLD: usize = 5;
        let mut kept: Vec<Entry> = Vec::with_capacity(self.entries.len());
        let mut again = 0;
        for entry in self.entries.drain(..) {
            let Some(first) = kept.last().filter(|last| last.name == entry.name) else {
                kept.push(entry);
                continue;
            };
            let same = first.kind == entry.kind
                && first.size == entry.size
                && are_same(first.reader(file), entry.reader(file), cancel)
                    .map_err(cannot_read(place))?
                    .ok_or(StoreError::Cancelled)?;
            if !same {
                let what = format!("the entry {}", quoted(&entry.name));
                let (one, other) = (first.header, entry.header);
                let reason = format!("it stands there twice and differs: at byte {one} and at byte {other}");
                return Err(refusal(
                    what,
                    place,
                    reason,
                    Some("the archive was added to with `tar -r` or `-u`: make it anew"),
                ));
            }
            if entry.kind != EntryKind::Directory {
                again += 1;
                if again <= MOST_TOLD {
                    let (name, one, other) = (quoted(&entry.name), first.header, entry.header);
                    self.warnings
                        .push(format!("holds {name} twice with the same content, at byte {one} and at byte {other}"));
                }
            }
        }
        if again > MOST_TOLD {
            self.warnings.push(format!("holds {} more entries twice with the same content", again - MOST_TOLD));
        }
        self.entries = kept;
        Ok(())
    }
}

/// Compares what two readers of the same length hold; `None` when somebody asked to stop.
fn are_same(mut one: Span<'_>, mut other: Span<'_>, cancel: &Cancel) -> std::io::Result<Option<bool>> {
    let size = CHUNK.min(usize::try_from(one.remaining()).unwrap_or(CHUNK));
    let (mut left, mut right) = (vec![0; size], vec![0; size]);
    while one.remaining() > 0 {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        let count = size.min(usize::try_from(one.remaining()).unwrap_or(size));
        one.read_exact(&mut left[..count])?;
        other.read_exact(&mut right[..count])?;
        if left[..count] != right[..count] {
            return Ok(Some(false));
        }
    }
    Ok(Some(true))
}
