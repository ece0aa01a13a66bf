//! The archive in its order, cut into parts: what lies in finished parts is passed over, or compared with them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;

use super::super::arrange::{END, Slot};
use super::writer::{BUFFER, Ground, Order, Writer};
use crate::blob::{BlobError, BlobReader};
use crate::content::Content;
use crate::store::{PutError, StoreError};

/// What becomes of bytes that lie in a finished part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finished {
    /// They are there.
    PassOver,
    /// They are there, and were not proved yet.
    Compare,
}

/// Writes the archive from its beginning to its end.
pub(super) struct Stream {
    ground: Ground,
    kept: BTreeSet<u64>,
    pub(super) writer: Writer,
    position: u64,
    /// The slot that comes next.
    next: usize,
    buffer: Vec<u8>,
    /// The finished part that is compared.
    beside: Option<(u64, File)>,
    /// The parts that were closed since the content under way began.
    closed: Vec<u64>,
    /// Whether those wait for the proof of it.
    wait: bool,
    /// Whether content has ended before its end: there is no way back, and no part gets a name any more.
    broken: bool,
}

impl Stream {
    pub(super) fn new(ground: Ground, kept: BTreeSet<u64>, writer: Writer) -> Self {
        let buffer = writer.buffer();
        Self {
            ground,
            kept,
            writer,
            position: 0,
            next: 0,
            buffer,
            beside: None,
            closed: Vec::new(),
            wait: false,
            broken: false,
        }
    }

    /// Returns whether content must be read: some of it lies in a part that is not finished.
    pub(super) fn wants(&self, slot: &Slot) -> bool {
        // content without a byte goes with its header
        let section = if slot.length == 0 { slot.header..slot.body } else { slot.body..slot.body_end() };
        self.ground.set.cut.parts_of(&section).any(|part| !self.kept.contains(&part))
    }

    /// Returns the next slot that is to be written and has this content.
    pub(super) fn next_of(&self, content: &Content) -> Option<usize> {
        let slots = self.ground.set.arrangement.slots();
        let mut next = (self.next..).zip(slots.get(self.next..)?);
        next.find(|(_, slot)| slot.content == *content && self.wants(slot)).map(|(at, _)| at)
    }

    pub(super) fn write_front(&mut self) -> Result<(), StoreError> {
        let set = std::sync::Arc::clone(&self.ground.set);
        self.write(set.arrangement.front(), Finished::PassOver)
    }

    /// Writes the content of a slot, and what stands between it and the content before.
    pub(super) fn put(&mut self, at: usize, blob: BlobReader<'_>) -> Result<(), PutError> {
        if self.broken || at < self.next {
            let reason = if self.broken { "content before it has failed" } else { "it arrived out of order" };
            let error = StoreError::malformed(blob.content().digest.to_string(), blob_place(), reason);
            blob.check().map_err(PutError::From)?;
            return Err(error.into());
        }
        self.pass_to(at)?;
        self.broken = true;
        let set = std::sync::Arc::clone(&self.ground.set);
        let slot = &set.arrangement.slots()[at];
        self.write(&slot.before, Finished::PassOver)?;
        self.write(&slot.header_bytes(), Finished::PassOver)?;
        let last = set.cut.part_at(slot.body_end().max(slot.body + 1) - 1);
        // The part with the last byte is finished only after the content was proved, so it vouches for those before it; and
        // while it is there, a part that is written before the proof must not look finished.
        self.wait = self.kept.contains(&last);
        let finished = if self.wait { Finished::PassOver } else { Finished::Compare };
        self.closed.clear();
        let (skip, left) = (slot.from, slot.length);
        let mut body = Body { stream: self, finished, failure: None, skip, left };
        let copied = blob.copy_to(&mut body);
        let failure = body.failure.take();
        match copied {
            Ok(_) => {}
            Err(BlobError::Write(error)) => {
                return Err(PutError::To(failure.unwrap_or_else(|| StoreError::io("write", "the parts")(error))));
            }
            Err(BlobError::Mismatch(mismatch)) => {
                // those that wait have no names yet
                let wrong = if self.wait { Vec::new() } else { std::mem::take(&mut self.closed) };
                self.writer.order(Order::Wrong(wrong))?;
                return Err(PutError::From(BlobError::Mismatch(mismatch)));
            }
            Err(other) => return Err(PutError::From(other)),
        }
        if std::mem::take(&mut self.wait) {
            self.writer.order(Order::Proved)?;
        }
        self.closed.clear();
        self.write(slot.padding(), Finished::PassOver)?;
        self.next = at + 1;
        self.broken = false;
        Ok(())
    }

    /// Writes what is left behind the last content that was read, and waits until all parts have their names.
    pub(super) fn end(&mut self) -> Result<(), StoreError> {
        self.pass_to(self.ground.set.arrangement.slots().len())?;
        self.write(&END, Finished::PassOver)?;
        self.writer.finish()
    }

    /// Goes on to a slot, over content that lies in finished parts.
    fn pass_to(&mut self, at: usize) -> Result<(), StoreError> {
        let set = std::sync::Arc::clone(&self.ground.set);
        while self.next < at {
            let slot = &set.arrangement.slots()[self.next];
            if self.wants(slot) {
                let place = blob_place();
                return Err(StoreError::malformed(slot.content.digest.to_string(), place, "it has not arrived"));
            }
            self.write(&slot.before, Finished::PassOver)?;
            self.write(&slot.header_bytes(), Finished::PassOver)?;
            self.position += slot.length;
            self.write(slot.padding(), Finished::PassOver)?;
            self.next += 1;
        }
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8], finished: Finished) -> Result<(), StoreError> {
        while !bytes.is_empty() {
            let part = self.ground.set.cut.part_at(self.position);
            let range = self.ground.set.cut.range(part);
            let room = usize::try_from(range.end - self.position).unwrap_or(usize::MAX);
            let (mine, rest) = bytes.split_at(room.min(bytes.len()));
            if !self.kept.contains(&part) {
                if self.position == range.start {
                    self.writer.order(Order::Open(part))?;
                }
                self.hand_over(mine)?;
            } else if finished == Finished::Compare {
                self.compare(part, self.position - range.start, mine)?;
            }
            self.position += mine.len() as u64;
            if self.position == range.end && !self.kept.contains(&part) {
                self.pass_buffer()?;
                self.closed.push(part);
                self.writer.order(Order::Close { wait: self.wait })?;
            }
            bytes = rest;
        }
        Ok(())
    }

    fn hand_over(&mut self, mut bytes: &[u8]) -> Result<(), StoreError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BUFFER - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            if self.buffer.len() == BUFFER {
                self.pass_buffer()?;
            }
            bytes = later;
        }
        Ok(())
    }

    fn pass_buffer(&mut self) -> Result<(), StoreError> {
        let full = std::mem::replace(&mut self.buffer, self.writer.buffer());
        self.writer.order(Order::Bytes(full))
    }

    /// Checks that a finished part has these bytes. One that has not is no part of the set: it is removed, and written by the
    /// next run.
    fn compare(&mut self, part: u64, at: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let name = self.ground.set.names.part(part);
        let path = self.ground.path(&name);
        if self.beside.as_ref().is_none_or(|(open, _)| *open != part) {
            self.beside = Some((part, File::open(&path).map_err(StoreError::io("read", &path))?));
        }
        let Some((_, file)) = &self.beside else { return Ok(()) };
        let mut there = vec![0; bytes.len()];
        file.read_exact_at(&mut there, at).map_err(StoreError::io("read", &path))?;
        if there == bytes {
            return Ok(());
        }
        self.ground.remove(&name)?;
        self.ground.remove(&self.ground.set.names.note(part))?;
        Err(StoreError::Malformed {
            what: name,
            place: crate::store::Location::Archive(self.ground.path(&self.ground.set.names.archive)),
            reason: "it holds other bytes than the content that it is of".into(),
            hint: Some("it was removed: run the same command again to write it".to_owned()),
        })
    }
}

/// Where content is that does not come as it should.
fn blob_place() -> &'static crate::store::Location {
    &crate::store::Location::Stdio
}

/// The bytes of content on their way.
struct Body<'a> {
    stream: &'a mut Stream,
    finished: Finished,
    failure: Option<StoreError>,
    /// How much of the content is still to come before what stands here.
    skip: u64,
    /// How much of what stands here is still to come.
    left: u64,
}

impl Write for Body<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = |bytes: &[u8], most: u64| bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let skipped = count(bytes, self.skip);
        self.skip -= skipped as u64;
        let here = &bytes[skipped..];
        let here = &here[..count(here, self.left)];
        self.left -= here.len() as u64;
        match self.stream.write(here, self.finished) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                self.failure = Some(error);
                Err(io::Error::other("the parts cannot be written"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
