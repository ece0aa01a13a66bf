//! The reader that checks, and the proof that it yields.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::resume::{Bytes, Resume};
use super::{BlobError, CHUNK, Cancel, Mismatch, overlap};
use crate::content::Content;
use crate::digest::Hasher;

/// The proof that some content was read to its end and is what its digest says. Nothing but a [`BlobReader`] makes one, and
/// a [`Making`](super::Making) of content that there was no digest of before.
#[derive(Debug)]
pub struct Proof {
    content: Content,
}

impl Proof {
    /// Proves content that was hashed while it was made.
    pub(super) const fn of_made(content: Content) -> Self {
        Self { content }
    }

    /// Returns what was proved.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }
}

enum State {
    Reading(Hasher),
    Proved,
    Failed,
}

/// A place in a file.
#[derive(Clone, Copy, Debug)]
pub struct Extent<'a> {
    /// The file.
    pub file: &'a File,
    /// Where in it, in bytes from its beginning.
    pub at: u64,
}

/// Where content lies by itself, so that it can be cloned.
enum Lies<'a> {
    Nowhere,
    /// It is a file.
    Whole(Arc<File>),
    /// It begins there in a file.
    In(Extent<'a>),
}

/// Who is shown the bytes as they pass.
type Listener<'a> = &'a (dyn Fn(&[u8]) + Sync);

/// Content under way, checked while it is read.
pub struct BlobReader<'a> {
    content: Content,
    bytes: Bytes<'a>,
    lies: Lies<'a>,
    state: State,
    remaining: u64,
    cancel: Option<&'a Cancel>,
    meter: Option<&'a (dyn Fn(u64) + Sync)>,
    listener: Option<Listener<'a>>,
}

impl<'a> BlobReader<'a> {
    /// Puts the check before bytes from anywhere.
    #[must_use]
    pub fn new(content: Content, inner: impl Read + Send + 'a) -> Self {
        Self::of_bytes(content, Bytes::Plain(Box::new(inner)))
    }

    /// Puts the check before bytes that can begin anywhere, so that [`Self::beginning_in`] can be used.
    #[must_use]
    pub fn resumable(content: Content, inner: impl Resume + 'a) -> Self {
        Self::of_bytes(content, Bytes::Resumable { inner: Box::new(inner), from: 0 })
    }

    fn of_bytes(content: Content, bytes: Bytes<'a>) -> Self {
        let state = State::Reading(content.digest.algorithm().hasher());
        let remaining = content.size;
        Self { content, bytes, lies: Lies::Nowhere, state, remaining, cancel: None, meter: None, listener: None }
    }

    /// Puts the check before a file that is the content as a whole.
    #[must_use]
    pub fn of_file(content: Content, file: File) -> Self {
        let file = Arc::new(file);
        Self { lies: Lies::Whole(Arc::clone(&file)), ..Self::new(content, file) }
    }

    /// Says where in a file all the bytes lie that are read, one after the other.
    #[must_use]
    pub fn lying_in(self, extent: Extent<'a>) -> Self {
        Self { lies: Lies::In(extent), ..self }
    }

    /// Returns the file that is the content as a whole, where there is one: for a sink that has a faster way to copy a file
    /// than to read it. Nothing of it was checked: that is for [`Self::of_copy`] to do.
    #[must_use]
    pub fn file_unverified(&self) -> Option<&File> {
        match &self.lies {
            Lies::Whole(file) => Some(file),
            Lies::In(_) | Lies::Nowhere => None,
        }
    }

    /// Returns where in a file the content lies, as long as it should be: as [`Self::file_unverified`], for a sink that clones a
    /// part of a file, or into one.
    #[must_use]
    pub fn extent_unverified(&self) -> Option<Extent<'_>> {
        match &self.lies {
            // a file that is longer is wrong, which would not show in its first bytes
            Lies::Whole(file) if file.metadata().is_ok_and(|metadata| metadata.len() == self.content.size) => {
                Some(Extent { file, at: 0 })
            }
            Lies::In(extent) => Some(*extent),
            Lies::Whole(_) | Lies::Nowhere => None,
        }
    }

    /// Puts this check before a copy of the bytes instead, from their beginning: what is proved then is the copy.
    #[must_use]
    pub fn of_copy<'c>(self, copy: impl Read + Send + 'c) -> BlobReader<'c>
    where
        'a: 'c,
    {
        let Self { content, cancel, meter, .. } = self;
        BlobReader { cancel, meter, ..BlobReader::new(content, copy) }
    }

    /// Returns whether a beginning that somebody has can be handed in: nothing was read yet, and the rest can be had alone.
    #[must_use]
    pub const fn can_resume(&self) -> bool {
        let untouched = self.remaining == self.content.size && matches!(self.state, State::Reading(_));
        untouched && matches!(self.bytes, Bytes::Resumable { from: 0, .. })
    }

    /// Takes the first bytes of the content from a file, where an earlier reader left them, as if they had been handed out
    /// now: they are read and hashed, and what comes from elsewhere begins behind them. Whether they are right shows at the
    /// end, as for all other bytes. The rest is not asked for before the next read; if there is none, never.
    ///
    /// # Errors
    /// [`BlobError::Read`] when the file cannot be read, is shorter than that, or the reader cannot take it;
    /// [`BlobError::Cancelled`].
    pub fn beginning_in(mut self, file: &File, length: u64) -> Result<Self, BlobError> {
        let refused = |reason: &str| BlobError::Read(io::Error::new(io::ErrorKind::InvalidInput, reason));
        if !self.can_resume() || length > self.content.size {
            return Err(refused("the content cannot be continued from there"));
        }
        let State::Reading(hasher) = &mut self.state else { return Err(refused("it was read already")) };
        let mut buffer = vec![0; CHUNK.min(usize::try_from(length).unwrap_or(CHUNK))];
        let mut passed = 0;
        while passed < length {
            if self.cancel.is_some_and(Cancel::is_cancelled) {
                return Err(BlobError::Cancelled);
            }
            let room = buffer.len().min(usize::try_from(length - passed).unwrap_or(usize::MAX));
            let count = match file.read_at(&mut buffer[..room], passed) {
                Ok(0) => return Err(BlobError::Read(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(BlobError::Read(error)),
            };
            hasher.update(&buffer[..count]);
            passed += count as u64;
            if let Some(meter) = self.meter {
                meter(count as u64);
            }
        }
        self.remaining -= length;
        match &mut self.bytes {
            // there is nothing behind the end that could be asked for
            _ if self.remaining == 0 && length > 0 => self.bytes = Bytes::Plain(Box::new(io::empty())),
            Bytes::Resumable { from, .. } => *from = length,
            Bytes::Plain(_) => {}
        }
        Ok(self)
    }

    /// Stops reading when asked to.
    #[must_use]
    pub const fn cancelled_by(mut self, cancel: &'a Cancel) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// Tells somebody of every count of bytes that has passed.
    #[must_use]
    pub const fn metered_by(mut self, meter: &'a (dyn Fn(u64) + Sync)) -> Self {
        self.meter = Some(meter);
        self
    }

    /// Shows somebody all bytes as they pass. Whether they are right shows at the end.
    #[must_use]
    pub const fn shown_to(mut self, listener: Listener<'a>) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Returns what was promised.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// Returns whether a read of it has failed: why, that read has said, and no other will.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed)
    }

    /// Fills the start of the buffer; 0 means that the whole content was handed out and is right.
    pub(super) fn next(&mut self, buffer: &mut [u8]) -> Result<usize, BlobError> {
        if self.cancel.is_some_and(Cancel::is_cancelled) {
            return Err(BlobError::Cancelled);
        }
        if buffer.is_empty() && self.remaining > 0 {
            return Ok(0);
        }
        // Whatever goes wrong below, this reader has failed for good and proves nothing any more.
        let mut hasher = match std::mem::replace(&mut self.state, State::Failed) {
            State::Reading(hasher) => hasher,
            State::Proved => {
                self.state = State::Proved;
                return Ok(0);
            }
            State::Failed => return Err(BlobError::Read(io::Error::other("an earlier read of it failed"))),
        };
        let room = buffer.len().min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        let count = if room == 0 { 0 } else { read_some(&mut self.bytes, &mut buffer[..room])? };
        hasher.update(&buffer[..count]);
        if let Some(listener) = self.listener {
            listener(&buffer[..count]);
        }
        self.remaining -= count as u64;
        if count == 0 && self.remaining > 0 {
            let expected = self.content.size;
            return Err(Mismatch::Short { got: expected - self.remaining, expected }.into());
        }
        if let Some(meter) = self.meter {
            meter(count as u64);
        }
        if self.remaining > 0 {
            self.state = State::Reading(hasher);
            return Ok(count);
        }
        // The last bytes are in the buffer, and stay there unless everything is right.
        if read_some(&mut self.bytes, &mut [0])? != 0 {
            return Err(Mismatch::Long { expected: self.content.size }.into());
        }
        let (got, expected) = (hasher.finish(), self.content.digest);
        if got != expected {
            return Err(Mismatch::Digest { got, expected }.into());
        }
        self.state = State::Proved;
        Ok(count)
    }

    /// Writes the whole content to `to`; what is large is read and hashed while it is written.
    ///
    /// # Errors
    /// When reading or writing fails, or the content is not what was promised; `to` then holds a part that must be thrown
    /// away.
    pub fn copy_to(mut self, to: &mut (dyn Write + Send)) -> Result<Proof, BlobError> {
        if self.remaining >= overlap::LEAST && overlap::pass(&mut self, to)? {
            return self.finish();
        }
        self.copy_in_turns(to)
    }

    fn copy_in_turns(mut self, to: &mut dyn Write) -> Result<Proof, BlobError> {
        let mut buffer = vec![0; CHUNK.min(usize::try_from(self.content.size).unwrap_or(CHUNK)).max(1)];
        loop {
            let count = self.next(&mut buffer)?;
            if count == 0 {
                break;
            }
            to.write_all(&buffer[..count]).map_err(BlobError::Write)?;
        }
        self.finish()
    }

    /// Reads the whole content only to check it.
    ///
    /// # Errors
    /// When reading fails, or the content is not what was promised.
    pub fn check(self) -> Result<Proof, BlobError> {
        self.copy_in_turns(&mut io::sink())
    }

    /// Returns the whole content.
    ///
    /// # Errors
    /// As [`Self::check`]. The caller has bounded the size before.
    pub fn into_bytes(self) -> Result<Vec<u8>, BlobError> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.content.size).unwrap_or(0).min(CHUNK));
        self.copy_in_turns(&mut bytes)?;
        Ok(bytes)
    }

    /// Turns a reader that was read to its end into the proof of that.
    ///
    /// # Errors
    /// When the end was not reached, or was not right.
    pub fn finish(mut self) -> Result<Proof, BlobError> {
        if self.remaining == 0 {
            self.next(&mut [])?; // empty content is proved without a byte handed out
        }
        if !matches!(self.state, State::Proved) {
            let expected = self.content.size;
            return Err(Mismatch::Short { got: expected - self.remaining, expected }.into());
        }
        Ok(Proof { content: self.content })
    }
}

fn read_some(from: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, BlobError> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(BlobError::Read(error)),
            Ok(count) => return Ok(count),
        }
    }
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(|error| match error {
            BlobError::Read(error) | BlobError::Write(error) => error,
            other => io::Error::other(other), // taken out again by `BlobError::from_io`
        })
    }
}

impl fmt::Debug for BlobReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader")
            .field("content", &self.content)
            .field("remaining", &self.remaining)
            .finish_non_exhaustive()
    }
}
