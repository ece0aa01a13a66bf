//! The walk through a tar, from header to header.
//!
//! Here the headers, their extensions and the end come together into entries; what an entry means is not known here.

use std::io::Read as _;

use super::bytes::{ReadAt, Span};
use super::name::{self, normalised};
use super::tar::Entry;
use super::{cannot_read, refusal};
use crate::blob::Cancel;
use crate::store::{Location, StoreError};
use crate::tar::entry::{EntryKind, Extensions, LARGEST_EXTENSION, Role};
use crate::tar::header::{BLOCK, Block, Header, is_zero};
use crate::tar::pax::Pax;
use crate::text::quoted;

/// The most entries that are taken.
const MOST_ENTRIES: usize = 1_000_000;
/// The most bytes of names and link targets that are kept: they stay in memory.
const MOST_NAME_BYTES: usize = 128 << 20;
/// How far behind the end is looked for anything but padding, in bytes.
const LONGEST_PADDING: u64 = 1 << 20;
/// How much is read at once: 4 KiB costs no more than a header, and holds several when entries are small.
const WINDOW: usize = 4096;

/// What a walk found.
#[derive(Debug)]
pub(super) struct Found {
    /// Every entry, in the order of the tar.
    pub(super) entries: Vec<Entry>,
    /// Whether the blocks of zeros that end a tar are there.
    pub(super) has_end: bool,
    /// How many bytes of something else are behind its end.
    pub(super) behind: u64,
    /// What is odd without being wrong.
    pub(super) warnings: Vec<String>,
}

/// Some bytes of the file, read ahead.
struct Window {
    bytes: Vec<u8>,
    start: u64,
    filled: usize,
}

impl Window {
    const fn holds(&self, at: u64, length: u64) -> bool {
        at >= self.start && at + length <= self.start + self.filled as u64
    }

    /// Returns what is held from `at`, which lies in the window.
    fn from(&self, at: u64) -> &[u8] {
        let start = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        self.bytes[..self.filled].get(start..).unwrap_or_default()
    }
}

/// A walk under way.
pub(super) struct Walk<'a> {
    file: &'a dyn ReadAt,
    length: u64,
    place: &'a Location,
    window: Window,
    pending: Extensions,
    name_bytes: usize,
    found: Found,
}

impl<'a> Walk<'a> {
    /// Prepares to walk through a tar of `length` bytes.
    pub(super) fn new(file: &'a dyn ReadAt, length: u64, place: &'a Location) -> Self {
        let window = Window { bytes: vec![0; WINDOW], start: 0, filled: 0 };
        let found = Found { entries: Vec::new(), has_end: true, behind: 0, warnings: Vec::new() };
        Self { file, length, place, window, pending: Extensions::default(), name_bytes: 0, found }
    }

    /// Walks to the end.
    ///
    /// # Errors
    /// As [`super::tar::TarIndex::read`].
    pub(super) fn run(mut self, cancel: &Cancel) -> Result<Found, StoreError> {
        let mut offset = 0;
        loop {
            if cancel.is_cancelled() {
                return Err(StoreError::Cancelled);
            }
            if self.length - offset < BLOCK {
                self.end_unmarked(offset)?;
                return Ok(self.found);
            }
            let block = self.block(offset)?;
            if is_zero(&block) {
                self.end(offset)?;
                return Ok(self.found);
            }
            let header = Header::decode(&block).map_err(|reason| self.refuse(offset, reason))?;
            let size = match Role::of(header.flag) {
                Role::Extension => {
                    self.extend(offset, &header)?;
                    header.size
                }
                Role::Sparse(reason) => {
                    let hint = Some("make it again without `--sparse`");
                    return Err(refusal(header_at(offset), self.place, reason, hint));
                }
                Role::Foreign(reason) => return Err(self.refuse(offset, reason)),
                Role::Entry => self.take(offset, header)?,
            };
            // Content was checked to lie within the file. Only the padding of the last may be missing.
            offset = (offset + BLOCK + size.next_multiple_of(BLOCK)).min(self.length);
        }
    }

    /// Reads an extension header, which says something of the entry that follows.
    fn extend(&mut self, at: u64, header: &Header) -> Result<(), StoreError> {
        if header.size > LARGEST_EXTENSION {
            let reason = format!("it is an extension of {} bytes, expected at most {LARGEST_EXTENSION}", header.size);
            return Err(self.refuse(at, reason));
        }
        self.bound(|| "an extension header".to_owned(), at, header.size)?;
        let mut body = vec![0; usize::try_from(header.size).unwrap_or_default()];
        self.fill(&mut body, at + BLOCK)?;
        let taken = match header.flag {
            b'g' => Pax::check_global(body).map(|_| ()),
            flag => self.pending.add(flag, body),
        };
        taken.map_err(|reason| self.refuse(at, reason))
    }

    /// Takes an entry with what its extensions said, and returns its size.
    fn take(&mut self, at: u64, header: Header) -> Result<u64, StoreError> {
        let joined = self.pending.join(header).map_err(|reason| self.refuse(at, reason))?;
        let shown = || quoted(&String::from_utf8_lossy(&joined.name));
        let place = self.place;
        let wrong = |reason: String| refusal(format!("the entry {} at byte {at}", shown()), place, reason, None);
        let name = normalised(&joined.name).map_err(|reason| wrong(format!("its name {reason}")))?;
        let (kind, size) = (joined.kind.clone(), joined.size);
        if let EntryKind::HardLink(link) | EntryKind::SymLink(link) = &kind
            && link.len() > name::LONGEST
        {
            return Err(wrong("its link is longer than 4096 bytes".to_owned()));
        }
        joined.check_size().map_err(wrong)?;
        self.bound(shown, at, size)?;
        if name.is_empty() {
            // the top itself, as `tar -C DIR -c .` writes it
            let is_top = kind == EntryKind::Directory;
            return if is_top { Ok(0) } else { Err(wrong(format!("it is {kind} without a name"))) };
        }
        let more =
            name.len() + if let EntryKind::HardLink(link) | EntryKind::SymLink(link) = &kind { link.len() } else { 0 };
        self.name_bytes += more;
        if self.found.entries.len() >= MOST_ENTRIES || self.name_bytes > MOST_NAME_BYTES {
            return Err(
                self.refuse(at, format!("there are more than {MOST_ENTRIES} entries, or their names are too long"))
            );
        }
        self.found.entries.push(Entry { name: name.into(), kind, header: at, offset: at + BLOCK, size });
        Ok(size)
    }

    /// Comes to a block of zeros, where a tar ends.
    fn end(&mut self, at: u64) -> Result<(), StoreError> {
        self.no_pending(at)?;
        let second = self.padding(at + BLOCK, BLOCK)?;
        if second != Padding::Zeros(BLOCK) {
            let Padding::Zeros(_) = second else {
                return Err(
                    self.refuse(at, "it is zero, but it does not end the tar: some readers stop there, others go on")
                );
            };
            self.found.warnings.push("ends with one block of zeros instead of two".to_owned());
            return Ok(());
        }
        let end = at + 2 * BLOCK;
        let rest = self.length - end;
        if self.padding(end, LONGEST_PADDING)? != Padding::Zeros(rest) {
            if at == 0 {
                return Err(refusal(
                    "the file".to_owned(),
                    self.place,
                    "it starts with zeros and is no tar".to_owned(),
                    None,
                ));
            }
            self.found.behind = rest;
            self.found.warnings.push(format!("goes on after its end: {rest} bytes are ignored"));
        }
        Ok(())
    }

    /// Comes to the end of the file where a header or a block of zeros should stand.
    fn end_unmarked(&mut self, at: u64) -> Result<(), StoreError> {
        if self.padding(at, BLOCK)? == Padding::Other {
            let got = self.length - at;
            let reason =
                format!("it ends in the middle of the header at byte {at}: it has {got} bytes, expected {BLOCK}");
            return Err(self.cut_off(reason));
        }
        self.no_pending(at)?;
        self.found.has_end = false;
        self.found.warnings.push("ends without the blocks of zeros that end a tar: it may be cut off".to_owned());
        Ok(())
    }

    fn no_pending(&self, at: u64) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        Err(self
            .cut_off(format!("it ends at byte {at} after an extension header, without the entry that it belongs to")))
    }

    /// Checks that content lies within the file.
    fn bound(&self, what: impl FnOnce() -> String, at: u64, size: u64) -> Result<(), StoreError> {
        let got = self.length - (at + BLOCK);
        if size <= got {
            return Ok(());
        }
        let what = what();
        Err(self.cut_off(format!(
            "it ends in the middle of {what} at byte {at}: it has {got} bytes of it, expected {size}"
        )))
    }

    /// Looks at what should be padding: at most `most` bytes from `at`.
    fn padding(&self, at: u64, most: u64) -> Result<Padding, StoreError> {
        let length = (self.length - at).min(most);
        let mut rest = Span::new(self.file, at, length);
        let mut buffer = [0; WINDOW];
        while rest.remaining() > 0 {
            let count = rest.read(&mut buffer).map_err(cannot_read(self.place))?;
            if count == 0 {
                return Err(self.became_shorter());
            }
            if !is_zero(&buffer[..count]) {
                return Ok(Padding::Other);
            }
        }
        Ok(Padding::Zeros(length))
    }

    fn block(&mut self, at: u64) -> Result<Block, StoreError> {
        if !self.window.holds(at, BLOCK) {
            let room = WINDOW.min(usize::try_from(self.length - at).unwrap_or(WINDOW));
            self.window.filled = 0; // nothing is there if the read fails
            self.window.start = at;
            let buffer = &mut self.window.bytes[..room];
            self.window.filled = self.file.read_full_at(buffer, at).map_err(cannot_read(self.place))?;
        }
        match self.window.from(at).first_chunk() {
            Some(block) => Ok(*block),
            None => Err(self.became_shorter()),
        }
    }

    fn fill(&self, buffer: &mut [u8], at: u64) -> Result<(), StoreError> {
        if self.window.holds(at, buffer.len() as u64) {
            buffer.copy_from_slice(&self.window.from(at)[..buffer.len()]);
            return Ok(());
        }
        match self.file.read_full_at(buffer, at).map_err(cannot_read(self.place))? {
            count if count == buffer.len() => Ok(()),
            _ => Err(self.became_shorter()),
        }
    }

    fn refuse(&self, at: u64, reason: impl Into<String>) -> StoreError {
        refusal(header_at(at), self.place, reason, None)
    }

    fn cut_off(&self, reason: String) -> StoreError {
        let hint = "it is cut off: copy it again from where it was made";
        refusal("the tar".to_owned(), self.place, reason, Some(hint))
    }

    fn became_shorter(&self) -> StoreError {
        refusal("the file".to_owned(), self.place, "it became shorter while it was read".to_owned(), None)
    }
}

fn header_at(at: u64) -> String {
    format!("the header at byte {at}")
}

/// What stands where padding should.
#[derive(PartialEq, Eq)]
enum Padding {
    /// So many bytes of zero, up to the end of the file or of what was looked at.
    Zeros(u64),
    Other,
}
