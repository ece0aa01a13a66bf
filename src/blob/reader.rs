//! The reader that checks, and the proof that it yields.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use super::{BlobError, CHUNK, Cancel, Mismatch};
use crate::content::Content;
use crate::digest::Hasher;

/// The proof that some content was read to its end and is what its digest says. Nothing but a [`BlobReader`] makes one.
#[derive(Debug)]
pub struct Proof {
    content: Content,
}

impl Proof {
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

/// Content under way, checked while it is read.
pub struct BlobReader<'a> {
    content: Content,
    inner: Box<dyn Read + Send + 'a>,
    file: Option<Arc<File>>,
    state: State,
    remaining: u64,
    cancel: Option<&'a Cancel>,
    meter: Option<&'a (dyn Fn(u64) + Sync)>,
}

impl<'a> BlobReader<'a> {
    /// Puts the check before bytes from anywhere.
    #[must_use]
    pub fn new(content: Content, inner: impl Read + Send + 'a) -> Self {
        let state = State::Reading(content.digest.algorithm().hasher());
        let remaining = content.size;
        Self { content, inner: Box::new(inner), file: None, state, remaining, cancel: None, meter: None }
    }

    /// Puts the check before a file that is the content as a whole.
    #[must_use]
    pub fn of_file(content: Content, file: File) -> Self {
        let file = Arc::new(file);
        Self { file: Some(Arc::clone(&file)), ..Self::new(content, file) }
    }

    /// Returns the file that is the content as a whole, where there is one: for a sink that has a faster way to copy a file
    /// than to read it. Nothing of it was checked: that is for [`Self::of_copy`] to do.
    #[must_use]
    pub fn file_unverified(&self) -> Option<&File> {
        self.file.as_deref()
    }

    /// Puts this check before a copy of the file instead, from its beginning: what is proved then are the bytes of the copy.
    #[must_use]
    pub fn of_copy(self, copy: File) -> Self {
        let Self { content, cancel, meter, .. } = self;
        Self { cancel, meter, ..Self::new(content, copy) }
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

    /// Returns what was promised.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// Fills the start of the buffer; 0 means that the whole content was handed out and is right.
    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, BlobError> {
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
        let count = if room == 0 { 0 } else { read_some(&mut *self.inner, &mut buffer[..room])? };
        hasher.update(&buffer[..count]);
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
        if read_some(&mut *self.inner, &mut [0])? != 0 {
            return Err(Mismatch::Long { expected: self.content.size }.into());
        }
        let (got, expected) = (hasher.finish(), self.content.digest);
        if got != expected {
            return Err(Mismatch::Digest { got, expected }.into());
        }
        self.state = State::Proved;
        Ok(count)
    }

    /// Writes the whole content to `to`.
    ///
    /// # Errors
    /// When reading or writing fails, or the content is not what was promised; `to` then holds a part that must be thrown
    /// away.
    pub fn copy_to(mut self, to: &mut dyn Write) -> Result<Proof, BlobError> {
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
        self.copy_to(&mut io::sink())
    }

    /// Returns the whole content.
    ///
    /// # Errors
    /// As [`Self::check`]. The caller has bounded the size before.
    pub fn into_bytes(self) -> Result<Vec<u8>, BlobError> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.content.size).unwrap_or(0).min(CHUNK));
        self.copy_to(&mut bytes)?;
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
