//! The one way in which content leaves a store: a reader that checks size and digest.
//!
//! A [`BlobReader`] never reads more than one byte past the size that was promised, hashes the very bytes that it hands
//! out, and hands out the last of them only when the whole is right. Only a reader that came to that end yields a
//! [`Proof`], and only a proof gives content its name in a store.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::content::Content;
use crate::digest::{Digest, Hasher};

/// How many bytes are read at once: large enough that system calls do not count, small enough to stay in the cache
/// between reading, hashing and writing.
pub const CHUNK: usize = 256 * 1024;

/// A request to stop, shared by all that works on one task.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    own: Arc<AtomicBool>,
    above: Option<Arc<AtomicBool>>,
}

impl Cancel {
    /// Shares a flag that somebody else sets, such as a signal handler.
    #[must_use]
    pub const fn from_flag(flag: Arc<AtomicBool>) -> Self {
        Self { own: flag, above: None }
    }

    /// Returns a request for a part of the task: it hears what its origin is asked, and not the other way round.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { own: Arc::default(), above: Some(Arc::clone(&self.own)) }
    }

    /// Asks everybody to stop.
    pub fn cancel(&self) {
        self.own.store(true, Ordering::Relaxed);
    }

    /// Returns whether somebody asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.own.load(Ordering::Relaxed) || self.above.as_ref().is_some_and(|above| above.load(Ordering::Relaxed))
    }

    /// Waits; returns whether nobody asked to stop.
    #[must_use]
    pub fn sleep(&self, time: Duration) -> bool {
        const STEP: Duration = Duration::from_millis(50);
        let began = Instant::now();
        while !self.is_cancelled() {
            let left = time.saturating_sub(began.elapsed());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(STEP));
        }
        false
    }
}

/// How content differs from what was promised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It ends too early.
    #[error("content is {got} bytes, expected {expected}")]
    Short {
        /// Bytes there are.
        got: u64,
        /// Bytes promised.
        expected: u64,
    },
    /// It goes on past its size. How far is not read.
    #[error("content is longer than {expected} bytes")]
    Long {
        /// Bytes promised.
        expected: u64,
    },
    /// It has the size but is something else.
    #[error("content is {got}, expected {expected}")]
    Digest {
        /// What the bytes hash to.
        got: Digest,
        /// What was promised.
        expected: Digest,
    },
}

/// Why a blob could not be read or passed on.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The bytes are not what was promised.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// Reading failed.
    #[error(transparent)]
    Read(io::Error),
    /// Writing failed.
    #[error(transparent)]
    Write(io::Error),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Cancelled,
}

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

impl BlobError {
    /// Returns what went wrong below a decoder that only knows I/O errors.
    #[must_use]
    pub fn from_io(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(error) => Self::Read(error),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Kind;

    fn reader(promised: &[u8], actual: &'static [u8]) -> BlobReader<'static> {
        BlobReader::new(Content::of(promised, Kind::Blob), actual)
    }

    #[test]
    fn right_content_is_handed_out_and_proved() {
        assert_eq!(reader(b"hello", b"hello").into_bytes().unwrap(), b"hello");
        let proof = reader(b"", b"").check().unwrap();
        assert_eq!(proof.content().digest, Digest::of(b""));
    }

    #[test]
    fn the_last_bytes_are_held_back_until_the_whole_is_right() {
        let mut wrong = reader(b"hello", b"hellp");
        let mut buffer = [0; 3];
        assert_eq!(wrong.read(&mut buffer).unwrap(), 3);
        assert!(wrong.read(&mut buffer).is_err());
        assert!(wrong.finish().is_err(), "an error was followed by a proof");
    }

    #[test]
    fn an_empty_wrong_blob_is_found_too() {
        assert!(matches!(reader(b"", b"x").check(), Err(BlobError::Mismatch(Mismatch::Long { expected: 0 }))));
        let mut wrong = Content::of(b"", Kind::Blob);
        wrong.digest = Digest::of(b"x");
        let error = BlobReader::new(wrong, &b""[..]).check().unwrap_err();
        assert!(matches!(error, BlobError::Mismatch(Mismatch::Digest { .. })));
    }

    #[test]
    fn each_way_to_differ_is_told_apart() {
        let check = |actual| reader(b"hello", actual).check().unwrap_err().to_string();
        assert_eq!(check(b"hell"), "content is 4 bytes, expected 5");
        assert_eq!(check(b"hello, world"), "content is longer than 5 bytes");
        assert!(check(b"hellp").starts_with("content is sha256:"));
    }

    #[test]
    fn there_is_no_proof_before_the_end() {
        let mut early = reader(b"hello", b"hello");
        let mut buffer = [0; 4];
        assert_eq!(early.read(&mut buffer).unwrap(), 4);
        assert!(early.finish().is_err());
    }

    #[test]
    fn a_copy_is_proved_by_its_own_bytes() {
        let file = |text: &str| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            io::Seek::rewind(&mut file).unwrap();
            file
        };
        let content = || Content::of(b"hello", Kind::Blob);
        assert_eq!(BlobReader::of_file(content(), file("hello")).into_bytes().unwrap(), b"hello");
        assert!(BlobReader::of_file(content(), file("hello")).file_unverified().is_some());
        assert!(reader(b"hello", b"hello").file_unverified().is_none());
        for (original, copy, right) in [("hello", "hello", true), ("hello", "hellp", false), ("hellp", "hello", true)] {
            let reader = BlobReader::of_file(content(), file(original)).of_copy(file(copy));
            assert!(reader.file_unverified().is_none());
            assert_eq!(reader.check().is_ok(), right, "{original} {copy}");
        }
    }

    #[test]
    fn a_request_to_stop_is_heard() {
        let cancel = Cancel::default();
        cancel.cancel();
        let reader = reader(b"hello", b"hello");
        assert!(matches!(reader.cancelled_by(&cancel).check(), Err(BlobError::Cancelled)));
    }
}
