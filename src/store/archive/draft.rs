//! An archive file under way: pieces go to their places in parallel, and a run that is stopped can be continued.
//!
//! The temporary file is named after the identity of the archive, so the next run that writes the same bytes finds it. In it
//! a header says that its content has arrived: it is written only after the content behind it has reached the medium, so a
//! slot with a header is whole also after a loss of power. Flushing costs time, so headers wait for each other.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rustix::io::retry_on_intr;

use super::align::Alignment;
use super::arrange::Arrangement;
use super::bytes::{Span, Stored};
use super::place::{Place, Unnamed};
use crate::blob::{BlobError, BlobReader, Extent};
use crate::content::{Content, total};
use crate::store::placed::Placed;
use crate::store::{Durability, PutError, StoreError, clone, directory_of, room};

/// How many bytes of content are flushed at once before their headers are written; also the least that is worth being kept
/// for the next run.
const GROUP: u64 = 64 << 20;

/// How many bytes are read at once to see whether an earlier run has written them.
const COMPARED: usize = 64 * 1024;

/// An archive file that has no name yet.
pub(super) struct Draft {
    unnamed: Unnamed,
    /// What it is to be called, as it was given: for messages.
    path: PathBuf,
    durability: Durability,
    arrangement: Arrangement,
    /// What an earlier run has brought.
    settled: Vec<Content>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// The places of content that is written and not flushed: its header is to follow.
    waiting: Vec<usize>,
    waiting_bytes: u64,
    /// How many bytes are behind a header.
    arrived: u64,
    /// Whether something that was written cannot be relied on.
    failed: bool,
}

/// What a run that was stopped leaves for the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The file.
    pub path: PathBuf,
    /// How many bytes of content are in it.
    pub bytes: u64,
}

impl Draft {
    /// Begins an archive, or continues the one that an earlier run began.
    pub(super) fn begin(
        place: Place,
        arrangement: Arrangement,
        alignment: Option<Alignment>,
        durability: Durability,
    ) -> Result<Self, StoreError> {
        let path = place.path().to_owned();
        let identity = arrangement.identity().hex();
        let unnamed = match durability {
            Durability::Synced => Unnamed::beside(place, Some(&identity))?,
            // nothing in it could be relied on
            Durability::Unsynced => Unnamed::beside(place, None)?,
        };
        let progress = Mutex::default();
        let mut draft = Self { unnamed, path, durability, arrangement, settled: Vec::new(), progress };
        let begun = draft.holds(draft.arrangement.front(), 0).map_err(draft.error("read"))?;
        let metadata = draft.file().metadata().map_err(draft.error("look at"))?;
        let held = if begun { metadata.blocks().saturating_mul(512).min(draft.arrangement.length()) } else { 0 };
        if !begun {
            // nothing of another archive may be taken for a header of this one
            draft.file().set_len(0).map_err(draft.error("write"))?;
        }
        if alignment.is_none() || !clone::is_usual_in(draft.file()) {
            draft.reserve(draft.arrangement.length(), held)?;
        }
        draft.file().set_len(draft.arrangement.length()).map_err(draft.error("write"))?;
        if begun {
            draft.settled = draft.arrived()?;
            let bytes = total(draft.settled.iter().map(|content| content.size));
            draft.progress.get_mut().unwrap_or_else(PoisonError::into_inner).arrived = bytes;
        } else {
            draft.file().write_all_at(draft.arrangement.front(), 0).map_err(draft.error("write"))?;
        }
        draft.arrangement.forget_front();
        Ok(draft)
    }

    /// Returns where everything stands in it.
    pub(super) const fn arrangement(&self) -> &Arrangement {
        &self.arrangement
    }

    fn file(&self) -> &File {
        self.unnamed.temporary.as_file()
    }

    /// Gives an error its verb, and the path that the archive is to have.
    fn error(&self, action: &'static str) -> impl Fn(io::Error) -> StoreError + use<> {
        let path = self.path.clone();
        move |source| StoreError::Io { action, path: path.clone(), source }
    }

    /// Returns whether some bytes stand in the file as they must: what an earlier run left.
    fn holds(&self, bytes: &[u8], at: u64) -> io::Result<bool> {
        let mut there = vec![0; bytes.len().min(COMPARED)];
        for (piece, start) in bytes.chunks(COMPARED).zip((at..).step_by(COMPARED)) {
            match self.file().read_exact_at(&mut there[..piece.len()], start) {
                Ok(()) if there[..piece.len()] == *piece => {}
                Ok(()) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn arrived(&self) -> Result<Vec<Content>, StoreError> {
        let mut arrived = Vec::new();
        for slot in self.arrangement.slots() {
            if self.holds(&slot.header_bytes(), slot.header).map_err(self.error("read"))? {
                arrived.push(slot.content.clone());
            }
        }
        Ok(arrived)
    }

    /// Takes the room for the whole file at once, so that a full disk is known before anything is copied. What is cloned takes
    /// none, and btrfs would not give back what was taken for it as long as a header stands beside.
    fn reserve(&self, length: u64, held: u64) -> Result<(), StoreError> {
        let beside = directory_of(&self.unnamed.path);
        room::require(length - held, retry_on_intr(|| rustix::fs::statvfs(beside)), &self.path)?;
        match retry_on_intr(|| rustix::fs::fallocate(self.file(), rustix::fs::FallocateFlags::empty(), 0, length)) {
            Ok(()) => {}
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(self.error("write")(error.into())),
        }
        Ok(())
    }

    /// Returns what an earlier run has brought.
    pub(super) fn settled(&self) -> &[Content] {
        &self.settled
    }

    /// Takes content to the place that it has among the others.
    pub(super) fn put(&self, at: usize, blob: BlobReader<'_>) -> Result<(), PutError> {
        let slot = &self.arrangement.slots()[at];
        let error = self.error("write");
        let to = Extent { file: self.file(), at: slot.body };
        let cloned = slot.length >= clone::LEAST
            && blob.extent_unverified().is_some_and(|extent| clone::part(extent, to, slot.length));
        let proved = if cloned {
            let copy = Stored::new(self.file().try_clone().map_err(self.error("read"))?, slot.body, slot.length);
            blob.of_copy(Span::new(&copy, 0, slot.length)).check()
        } else {
            blob.copy_to(&mut Placed::at(self.file(), slot.body, self.durability))
        };
        proved.map_err(|failure| match failure {
            BlobError::Write(source) => PutError::To(self.failed(error(source))),
            other => PutError::From(other),
        })?;
        // the header last: a slot without one is not an entry
        let mut progress = self.progress();
        progress.waiting.push(at);
        progress.waiting_bytes += slot.content.size;
        let due = self.durability == Durability::Unsynced || progress.waiting_bytes >= GROUP;
        drop(progress);
        if due { Ok(self.write_headers()?) } else { Ok(()) }
    }

    /// Writes the headers of all content that is written, after that has reached the medium.
    fn write_headers(&self) -> Result<(), StoreError> {
        let (slots, bytes) = {
            let mut progress = self.progress();
            (std::mem::take(&mut progress.waiting), std::mem::take(&mut progress.waiting_bytes))
        };
        if slots.is_empty() {
            return Ok(());
        }
        let error = self.error("write");
        if self.durability == Durability::Synced {
            self.file().sync_data().map_err(&error).map_err(|error| self.failed(error))?;
        }
        for slot in slots.into_iter().map(|at| &self.arrangement.slots()[at]) {
            let header = slot.header_bytes();
            self.file().write_all_at(&header, slot.header).map_err(&error).map_err(|error| self.failed(error))?;
        }
        self.progress().arrived += bytes;
        Ok(())
    }

    /// Gives the whole archive its name.
    pub(super) fn finish(&mut self) -> Result<(), StoreError> {
        self.write_headers()?;
        // Where the name was taken meanwhile the same command does something else from now on.
        let named = self.unnamed.name(self.durability);
        named.map_err(|error| self.failed(error))
    }

    /// Keeps what has arrived for the next run, when that is worth it.
    pub(super) fn set_aside(mut self) -> Option<SetAside> {
        if !self.unnamed.continues || self.progress().failed || self.write_headers().is_err() {
            return None;
        }
        let bytes = self.progress().arrived;
        if bytes < GROUP {
            return None;
        }
        self.unnamed.temporary.disable_cleanup(true);
        Some(SetAside { path: self.unnamed.temporary.path().to_owned(), bytes })
    }

    fn failed(&self, error: StoreError) -> StoreError {
        self.progress().failed = true;
        error
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
