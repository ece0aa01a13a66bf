//! What is there already of a set of parts, and what of another one.
//!
//! A part is ours when its note says so: the note is written before the part gets its name, so a part without one is
//! somebody else's. Nothing is read but notes and the sums.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode as Access, OFlags};
use rustix::io::retry_on_intr;

use super::Set;
use crate::bundle::{LARGEST_LIST, Mode, PartNames, PartNote};
use crate::digest::Digest;
use crate::store::StoreError;
use crate::store::listing::names_in;

/// What stands under the names of a set.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The parts of this very set that are finished, and their digests.
    pub(super) kept: BTreeMap<u64, Digest>,
    /// Parts of another set.
    pub(super) parts: Vec<String>,
    /// Notes and sums of another set.
    pub(super) words: Vec<String>,
    /// Whether the sums of this set are there and agree with the notes.
    pub(super) has_sums: bool,
}

impl Found {
    /// Looks for a set in a directory.
    pub(super) fn beside(directory: &Path, set: &Set) -> Result<Self, StoreError> {
        let mut names: Vec<String> = Vec::new();
        let unread = |error| StoreError::io("read", directory)(error);
        names.extend(names_in(directory).map_err(unread)?.into_iter().flat_map(OsString::into_string));
        names.sort();
        let mut found = Self::default();
        let mut notes: BTreeMap<u64, PartNote> = BTreeMap::new();
        for name in names.iter().filter(|name| is_note(&set.names.archive, name)) {
            let note = read(&directory.join(name))?.and_then(|bytes| PartNote::parse(&bytes).ok());
            match note {
                Some(note) if set.owns(&note) && set.names.note(note.part) == *name => {
                    notes.insert(note.part, note);
                }
                other => {
                    found.words.push(name.clone());
                    // parts that are archives by themselves have names of their own
                    let part = other.filter(|note| note.archive == set.names.archive && note.mode == Mode::Archive);
                    found.parts.extend(part.map(|note| note.names().part(note.part)).filter(|it| names.contains(it)));
                }
            }
        }
        for name in &names {
            let Some((archive, mode, number)) = PartNames::recognised(name) else { continue };
            // a file that is called like an archive by itself may be one that nobody wrote as a part
            let is_part = mode == set.names.mode || mode == Mode::Stream;
            if archive != set.names.archive || !is_part {
                continue;
            }
            match notes.get(&number).filter(|_| set.names.part(number) == *name) {
                None => found.parts.push(name.clone()),
                Some(note) => {
                    let path = directory.join(name);
                    let there = std::fs::symlink_metadata(&path).map_err(StoreError::io("look at", &path))?;
                    if there.is_file() && there.len() == note.size {
                        found.kept.insert(number, note.digest);
                    }
                }
            }
        }
        // one may be known by its note and by its name
        found.parts.sort_unstable();
        found.parts.dedup();
        let sums = set.names.sums();
        if names.contains(&sums) {
            let text = read(&directory.join(&sums))?;
            let agrees = text.is_some_and(|text| set.agrees(&text, &notes));
            if agrees { found.has_sums = true } else { found.words.push(sums) }
        }
        Ok(found)
    }

    /// Returns the names of all that belongs to another set.
    pub(super) fn others(&self) -> Vec<&str> {
        let mut others: Vec<&str> = self.parts.iter().chain(&self.words).map(String::as_str).collect();
        others.sort_unstable();
        others
    }
}

impl Set {
    /// Returns whether a note is on a part of this set.
    fn owns(&self, note: &PartNote) -> bool {
        let range = self.cut.range(note.part);
        note.set == self.id
            && note.names() == self.names
            && note.size == range.end - range.start
            && (note.mode == Mode::Archive || note.offset == range.start)
    }

    /// Returns whether these are the sums of this set, as far as there are notes to tell.
    fn agrees(&self, text: &[u8], notes: &BTreeMap<u64, PartNote>) -> bool {
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let line_of = |note: &PartNote| self.sum(note.part, &note.digest);
        let known =
            |(part, line): (u64, &&[u8])| notes.get(&part).is_some_and(|note| line_of(note).as_bytes() == *line);
        let unknown = |part: &u64| !notes.contains_key(part);
        lines.len() as u64 == self.names.parts
            && !notes.is_empty()
            && (1..).zip(&lines).all(|(part, line)| unknown(&part) || known((part, line)))
    }

    /// Returns the line on a part for `sha256sum -c`.
    pub(super) fn sum(&self, part: u64, digest: &Digest) -> String {
        let name = self.names.part(part);
        // as GNU's sha256sum writes names that would break a line
        let escaped = name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
        let mark = if escaped == name { "" } else { "\\" };
        format!("{mark}{}  {escaped}\n", digest.hex())
    }
}

/// Returns whether a file is called as a note on a part of an archive.
fn is_note(archive: &str, name: &str) -> bool {
    let rest = name.strip_prefix(archive).and_then(|rest| rest.strip_prefix(".part-"));
    let digits = rest.and_then(|rest| rest.strip_suffix(".json"));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Reads a small file; `None` when it is no regular file, or too large to be what it should.
fn read(path: &PathBuf) -> Result<Option<Vec<u8>>, StoreError> {
    let failed = |error: io::Error| StoreError::io("read", path)(error);
    let there = std::fs::symlink_metadata(path).map_err(failed)?;
    if !there.is_file() || there.len() > LARGEST_LIST {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Access::empty()))
        .map_err(|error| failed(error.into()))?;
    let mut bytes = Vec::new();
    File::from(file).take(LARGEST_LIST).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_known_by_their_names() {
        for (name, is) in [
            ("x.tar.part-001.json", true),
            ("x.tar.part-0001.json", true),
            ("x.tar.part-.json", false),
            ("x.tar.part-1a.json", false),
            ("y.tar.part-001.json", false),
            ("x.tar.part-001.json.bak", false),
        ] {
            assert_eq!(is_note("x.tar", name), is, "{name}");
        }
    }
}
