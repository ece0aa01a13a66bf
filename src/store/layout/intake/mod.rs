//! Content that arrives in parts: in any order, from several media, over several runs.
//!
//! What is whole goes into `blobs/` at once, as from any source. What is only a piece of larger content goes to its place
//! in a file of its own, which is hashed as a whole and gets its name when the last piece is there. What came so far is
//! written down in a hidden directory of the layout, one for each set, which goes with the last part:
//!
//! | file in `.barge-load-HEX/` | what it holds |
//! |---|---|
//! | `state.json` | which parts were taken in, which ranges of which content, which content was seen to be right |
//! | `note-N.json` | the note on a part that was taken in |
//! | `front-N` | the files that say what is in the archive, as far as they were in a part |
//! | `content-ALGORITHM-HEX` | the ranges of content that is not whole yet, and what layers of a compact archive are made of |
//!
//! Nothing relies on it further than is harmless: a state that is wrong costs that a part is read again, or an error, and
//! never gives content a name. Not a partial blob (`partial.rs`) is used for the ranges: there the length means that all
//! before it is there. Other readers and writers of the layout do not see the directory; `gc` removes it after a week.

mod left;
mod state;
mod stock;

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

pub use self::left::LoadLeft;
pub(super) use self::left::{list, remove_left};
use self::state::{Front, State};
pub use self::stock::IntakeStock;
use super::arrived::Arrived;
use super::beneath::Directory;
use super::temporary::{self, Temporary};
use super::{KnownIndexes, Layout, LayoutOptions, LayoutSink, lock, put, room};
use crate::blob::{BlobError, BlobReader, CHUNK, Cancel, Mismatch};
use crate::bundle::{LARGEST_LIST, PartNote, Piece};
use crate::content::{Content, Kind};
use crate::digest::Digest;
use crate::store::{Durability, Inventory, PutError, Sink as _, StoreError};

/// What the names of such directories begin with.
const PREFIX: &str = ".barge-load-";
const STATE: &str = "state.json";
/// What the names of temporary files in it begin with.
const TEMPORARY: &str = ".tmp-";
const ATTEMPTS: usize = 16;

fn directory_of_set(set: &Digest) -> String {
    format!("{PREFIX}{}", &set.hex()[..16])
}

fn front_name(part: u64) -> String {
    format!("front-{part:04}")
}

fn note_name(part: u64) -> String {
    format!("note-{part:04}.json")
}

fn content_name(digest: &Digest) -> String {
    format!("content-{}-{}", digest.algorithm().name(), digest.hex())
}

/// A layout that takes in the parts of one set. No other process takes in the same, and none removes content.
#[derive(Debug)]
pub struct Intake {
    /// Holds the layout as every writer does.
    _sink: LayoutSink,
    root: Directory,
    indexes: KnownIndexes,
    own: Directory,
    durability: Durability,
    cancel: Cancel,
    state: State,
    /// What arrives here is not read again when it gets its name.
    arrived: Arrived,
}

/// The front of a part on its way: without a name until the part is known to be right.
#[derive(Debug)]
pub struct FrontComing(Temporary, u64);

impl Intake {
    /// Opens a layout to take in a set, makes it if need be, and reads what came before.
    ///
    /// # Errors
    /// As [`LayoutSink::create_or_open`], and [`StoreError::Busy`] when another process takes in the same set.
    pub fn open(path: &Path, set: &Digest, options: LayoutOptions, cancel: &Cancel) -> Result<Self, StoreError> {
        let indexes = options.indexes.clone();
        let (durability, timeout) = (options.durability, options.lock_timeout);
        let mut sink = LayoutSink::create_or_open(path, options)?.cancelled_by(cancel);
        sink.begin(&Inventory::default())?;
        let Some(Layout { root, .. }) = sink.layout() else {
            return Err(StoreError::io("open", path)(io::ErrorKind::NotFound.into()));
        };
        let (root, name) = (root.clone(), directory_of_set(set));
        for _ in 0..ATTEMPTS {
            root.make(&name)?;
            let is_directory = |stat: rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if !root.stat(&name)?.is_some_and(is_directory) {
                return Err(root.malformed(&name, "it is not a directory"));
            }
            let Some(own) = root.below(&name)? else { continue };
            lock::exclude_others(&own, timeout, cancel)?;
            // whoever had it before may have come to the end, and removed it
            if own.is_at_its_path()? {
                let state = State::read(&own, set)?;
                let (cancel, arrived) = (cancel.clone(), Arrived::default());
                let mut intake = Self { _sink: sink, root, indexes, own, durability, cancel, state, arrived };
                // a run that was killed may have written the last range down, and not come further
                for (digest, size) in intake.state.complete() {
                    intake.name(&digest, size)?;
                }
                intake.drop_what_is_gone()?;
                return Ok(intake);
            }
        }
        Err(StoreError::Busy { place: root.location().clone() })
    }

    /// Returns whether a layout has taken in parts of a set that has not come to its end.
    #[must_use]
    pub fn is_begun(path: &Path, set: &Digest) -> bool {
        path.join(directory_of_set(set)).is_dir()
    }

    /// Returns the layout, to be read.
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout::of(self.root.clone(), &self.indexes)
    }

    /// Returns whether a part was taken in.
    #[must_use]
    pub fn has_taken(&self, part: u64) -> bool {
        self.state.taken.contains(&part)
    }

    /// Believes of no part that it was taken in if something of it is not there any more.
    fn drop_what_is_gone(&mut self) -> Result<(), StoreError> {
        for part in self.state.taken.clone() {
            let note = self.kept_note(part)?;
            let is_whole = match note {
                Some(note) => !self.needs(&note)?,
                None => false,
            };
            if !is_whole {
                self.state.taken.remove(&part);
            }
        }
        Ok(())
    }

    fn kept_note(&self, part: u64) -> Result<Option<PartNote>, StoreError> {
        let Some((file, _)) = self.own.file_itself(&note_name(part))? else { return Ok(None) };
        let mut bytes = Vec::new();
        let path = self.own.path_of(&note_name(part));
        file.take(LARGEST_LIST).read_to_end(&mut bytes).map_err(StoreError::io("read", path))?;
        Ok(PartNote::parse(&bytes).ok().filter(|note| note.part == part && note.set == self.state.set))
    }

    /// Returns whether anything that a part holds is not here yet.
    ///
    /// # Errors
    /// When what lies here cannot be read.
    pub fn needs(&mut self, note: &PartNote) -> Result<bool, StoreError> {
        if note.front.is_some() && !self.holds_front(note)? {
            return Ok(true);
        }
        for piece in &note.pieces {
            if !self.holds(piece)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns whether the front of a part is here.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn holds_front(&self, note: &PartNote) -> Result<bool, StoreError> {
        let Some(front) = self.state.fronts.get(&note.part) else { return Ok(false) };
        let length = self.own.file_itself(&front_name(note.part))?.map(|(_, length)| length);
        Ok(length == Some(front.length) && note.front.is_some_and(|section| section.length == front.length))
    }

    /// Returns whether a piece is here: in its range, or with the whole content. What lies under the name of the content is
    /// not trusted by it, but hashed once.
    ///
    /// # Errors
    /// When it cannot be read, or somebody asked to stop.
    pub fn holds(&mut self, piece: &Piece) -> Result<bool, StoreError> {
        // what layers are made of never goes where content has its name
        if !piece.is_stock && self.holds_content(&piece.digest, piece.size)? {
            return Ok(true);
        }
        let to = piece.from.saturating_add(piece.section.length);
        Ok(self.state.has_range(&piece.digest, piece.size, piece.from, to))
    }

    fn holds_content(&mut self, digest: &Digest, size: u64) -> Result<bool, StoreError> {
        let found = match self.root.file_itself(&digest.blob_path()) {
            Ok(found) => found,
            // whatever else stands under that name is for the writer to complain of
            Err(StoreError::Malformed { .. }) => None,
            Err(error) => return Err(error),
        };
        let Some((file, _)) = found.filter(|(_, got)| *got == size) else {
            self.state.held.remove(digest);
            return Ok(false);
        };
        if self.state.held.contains(digest) {
            return Ok(true);
        }
        let content = Content { digest: *digest, size, kind: Kind::Blob };
        match BlobReader::of_file(content.clone(), file).cancelled_by(&self.cancel).check() {
            Ok(_) => {
                self.state.held.insert(*digest);
                Ok(true)
            }
            Err(BlobError::Mismatch(_)) => Ok(false),
            Err(error) => Err(StoreError::reading(error, &content, self.root.location())),
        }
    }

    /// Fails when so many bytes are more than there is room for.
    ///
    /// # Errors
    /// That there is too little room.
    pub fn check_room(&self, needed: u64) -> Result<(), StoreError> {
        room::check_bytes(&self.root, needed)
    }

    /// Takes whole content.
    ///
    /// # Errors
    /// [`PutError::From`] when the reader failed, [`PutError::To`] when it cannot be written.
    pub fn put(&mut self, blob: BlobReader<'_>) -> Result<(), PutError> {
        let content = blob.content().clone();
        let stat = put::whole(&self.blobs(&content.digest)?, blob, self.durability)?;
        self.note(&content, stat);
        self.state.held.insert(content.digest);
        Ok(())
    }

    /// Takes note that content has its name and is flushed, and of what its file is now.
    fn note(&self, content: &Content, stat: Option<Stat>) {
        if let (Durability::Synced, Some(stat)) = (self.durability, stat) {
            self.arrived.note(&self.root, content, &stat);
        }
    }

    fn blobs(&self, digest: &Digest) -> Result<Directory, StoreError> {
        let path = format!("blobs/{}", digest.algorithm().name());
        self.root.make("blobs")?;
        self.root.make(&path)?;
        let gone = || StoreError::io("open", self.root.path_of(&path))(Errno::NOENT.into());
        self.root.below(&path)?.ok_or_else(gone)
    }

    /// Writes a piece of larger content, or of what layers are made of, to its place. It counts when the part was [taken](Self::taken).
    ///
    /// # Errors
    /// [`PutError::From`] when reading failed, [`PutError::To`] when it cannot be written.
    pub fn write_range(&mut self, piece: &Piece, from: &mut dyn Read) -> Result<(), PutError> {
        // what was written down of another size is of no use
        self.state.forget_other_size(&piece.digest, piece.size);
        let file = self.content_file(&piece.digest)?;
        let failed = |error| PutError::To(StoreError::io("write", self.own.path())(error));
        let mut buffer = vec![0; CHUNK.min(usize::try_from(piece.section.length).unwrap_or(CHUNK))];
        let mut done = 0;
        while done < piece.section.length {
            if self.cancel.is_cancelled() {
                return Err(PutError::From(BlobError::Cancelled));
            }
            let room = buffer.len().min(usize::try_from(piece.section.length - done).unwrap_or(usize::MAX));
            let count = match from.read(&mut buffer[..room]) {
                Ok(0) => {
                    let (got, expected) = (done, piece.section.length);
                    return Err(PutError::From(Mismatch::Short { got, expected }.into()));
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(PutError::From(BlobError::Read(error))),
            };
            file.write_all_at(&buffer[..count], piece.from + done).map_err(failed)?;
            done += count as u64;
        }
        Ok(())
    }

    fn content_file(&self, digest: &Digest) -> Result<File, StoreError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let name = content_name(digest);
        let opened = retry_on_intr(|| rustix::fs::openat(self.own.handle(), &name, flags, Mode::RUSR | Mode::WUSR));
        let file = File::from(opened.map_err(|error| StoreError::io("write", self.own.path_of(&name))(error.into()))?);
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        if is_file { Ok(file) } else { Err(self.own.malformed(&name, "it is not a regular file")) }
    }

    /// Takes the front of a part, which gets no name yet.
    ///
    /// # Errors
    /// As [`Self::write_range`].
    pub fn front(&self, from: &mut dyn Read, length: u64) -> Result<FrontComing, PutError> {
        let mut temporary = Temporary::create(&self.own, TEMPORARY)?;
        let mut buffer = vec![0; CHUNK.min(usize::try_from(length).unwrap_or(CHUNK))];
        let mut done = 0;
        while done < length {
            let room = buffer.len().min(usize::try_from(length - done).unwrap_or(usize::MAX));
            let count = from.read(&mut buffer[..room]).map_err(|error| PutError::From(BlobError::Read(error)))?;
            if count == 0 {
                return Err(PutError::From(Mismatch::Short { got: done, expected: length }.into()));
            }
            let failed = |error| PutError::To(StoreError::io("write", self.own.path())(error));
            temporary.file().write_all(&buffer[..count]).map_err(failed)?;
            done += count as u64;
        }
        Ok(FrontComing(temporary, length))
    }

    /// Takes note that a part was read to its end and is what its note says; what of its content is whole now gets its name.
    /// Returns the content that is wrong although all of its pieces came: they are forgotten.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn taken(
        &mut self,
        note: &PartNote,
        front: Option<FrontComing>,
    ) -> Result<Vec<(Digest, Mismatch)>, StoreError> {
        if let Some(FrontComing(temporary, length)) = front {
            let name = front_name(note.part);
            temporary.flush(&name, self.durability)?;
            temporary.name_within(&name)?;
            let begins = note.offset + note.front.map_or(0, |section| section.at);
            self.state.fronts.insert(note.part, Front { begins, length });
        }
        let mut complete = Vec::new();
        for piece in note.pieces.iter().filter(|piece| piece.waits()) {
            if !piece.is_stock && self.state.held.contains(&piece.digest) {
                continue;
            }
            if self.durability == Durability::Synced {
                let failed = StoreError::io("write", self.own.path());
                self.content_file(&piece.digest)?.sync_all().map_err(failed)?;
            }
            let to = piece.from + piece.section.length; // checked by the note
            if self.state.add_range(piece, to) {
                complete.push((piece.digest, piece.size));
            }
        }
        let mut temporary = Temporary::create(&self.own, TEMPORARY)?;
        let failed = StoreError::io("write", self.own.path());
        temporary.file().write_all(&note.encode()).map_err(failed)?;
        temporary.flush(&note_name(note.part), self.durability)?;
        temporary.name_within(&note_name(note.part))?;
        self.state.taken.insert(note.part);
        self.write_down()?;
        let mut wrong = Vec::new();
        for (digest, size) in complete {
            if let Some(mismatch) = self.name(&digest, size)? {
                wrong.push((digest, mismatch));
            }
        }
        if !wrong.is_empty() {
            // nobody knows which of the parts it was
            self.drop_what_is_gone()?;
            self.write_down()?;
        }
        Ok(wrong)
    }

    /// Gives content its name whose last range came, once it was hashed as a whole. What layers are made of gets none.
    fn name(&mut self, digest: &Digest, size: u64) -> Result<Option<Mismatch>, StoreError> {
        let (file, name) = (self.content_file(digest)?, content_name(digest));
        let content = Content { digest: *digest, size, kind: Kind::Blob };
        let path = self.own.path_of(&name);
        let copy = file.try_clone().map_err(StoreError::io("read", &path))?;
        match BlobReader::of_file(content.clone(), copy).cancelled_by(&self.cancel).check() {
            Ok(_) if self.state.is_stock(digest) => {
                self.state.stock.insert(*digest);
                Ok(None)
            }
            Ok(proof) => {
                let temporary = Temporary::of(&self.own, name, file);
                let flushed = temporary.flush(&digest.hex(), self.durability);
                let stat = flushed.and_then(|()| temporary.name_blob_in(&self.blobs(digest)?, &proof))?;
                self.note(&content, stat);
                self.state.ranges.remove(digest);
                self.state.held.insert(*digest);
                Ok(None)
            }
            Err(BlobError::Mismatch(mismatch)) => {
                self.state.ranges.remove(digest);
                self.state.stock.remove(digest);
                self.remove_file(&name)?;
                Ok(Some(mismatch))
            }
            Err(BlobError::Cancelled) => Err(StoreError::Cancelled),
            Err(BlobError::Read(error) | BlobError::Write(error)) => Err(StoreError::io("read", path)(error)),
        }
    }

    /// Takes note of everything that is known by now, so that a later run need not read it again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_down(&self) -> Result<(), StoreError> {
        let mut temporary = Temporary::create(&self.own, TEMPORARY)?;
        let failed = StoreError::io("write", self.own.path());
        temporary.file().write_all(&self.state.encode()).map_err(failed)?;
        temporary.flush(STATE, self.durability)?;
        temporary.name_within(STATE)?;
        if self.durability == Durability::Synced { self.own.sync() } else { Ok(()) }
    }

    /// Believes no longer that any content of the layout is right that it saw before: a later run hashes it again.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn doubt(&mut self) -> Result<(), StoreError> {
        self.state.held.clear();
        self.state.stock.clear();
        self.write_down()
    }

    /// Returns the files of the fronts that came, sorted by part: where each begins in its archive, its length, and where
    /// it is.
    #[must_use]
    pub fn fronts(&self) -> Vec<(u64, u64, u64, PathBuf)> {
        let front =
            |(part, front): (&u64, &Front)| (*part, front.begins, front.length, self.own.path_of(&front_name(*part)));
        self.state.fronts.iter().map(front).collect()
    }

    /// Removes what was written down: everything has come to its end.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(self) -> Result<(), StoreError> {
        self.arrived.forget();
        left::remove_directory(&self.root, &directory_of_set(&self.state.set))
    }

    fn remove_file(&self, name: &str) -> Result<(), StoreError> {
        match rustix::fs::unlinkat(self.own.handle(), name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(StoreError::io("remove", self.own.path_of(name))(error.into())),
        }
    }
}

/// Removes leftovers of dead processes in such a directory.
fn remove_stale(own: &Directory) {
    temporary::remove_stale(own, TEMPORARY);
}
