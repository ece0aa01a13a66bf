//! The body of an answer on its way: a blob is read piece by piece, one ahead of what is being sent.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use super::record::{Pulse, Record};
use crate::ops::serve::answer::logged;
use crate::ops::serve::blob::Blob;
use crate::ops::serve::event::{Event, Observer};

/// How many bytes of blobs are in memory, however many are sent: they share it. Beyond it, each that is sent has [`LEAST`].
const TOGETHER: usize = 32 * 1024 * 1024;

/// Which part of what is free of that one piece may take.
const PART: usize = 64;

/// How much of a blob is read at once at least: with less, the calls would cost more than the bytes.
const LEAST: usize = 16 * 1024;

/// How much of a blob is read at once at most: more makes nothing faster.
const MOST: usize = 256 * 1024;

/// The body of an answer, with the note of it: it is told when the last byte has left, or when it is dropped before.
pub(super) struct Sending {
    content: Sent,
    left: u64,
    record: Option<Record>,
    pulse: Arc<Pulse>,
}

/// What is sent.
pub(super) enum Sent {
    /// Nothing.
    Nothing,
    /// Bytes that are at hand.
    Bytes(Bytes),
    /// Bytes of a blob.
    Blob(Pieces),
}

/// Why a body ends before its end: the place cannot give it. What happened was told to the observer.
#[derive(Debug, thiserror::Error)]
#[error("the content cannot be read to its end")]
pub(super) struct CutShort;

impl Sending {
    /// Makes a body.
    pub(super) fn new(content: Sent, record: Record, pulse: &Arc<Pulse>) -> Self {
        let left = match &content {
            Sent::Nothing => 0,
            Sent::Bytes(bytes) => bytes.len() as u64,
            Sent::Blob(pieces) => pieces.end - pieces.next,
        };
        Self { content, left, record: Some(record), pulse: Arc::clone(pulse) }
    }

    /// Returns how many bytes are to be sent.
    pub(super) const fn left(&self) -> u64 {
        self.left
    }
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = match &mut self.content {
            Sent::Nothing => return Poll::Ready(None),
            Sent::Bytes(bytes) => std::mem::take(bytes),
            Sent::Blob(pieces) => match ready!(pieces.poll_next(context)) {
                Ok(piece) => piece,
                Err(cut_short) => return Poll::Ready(Some(Err(cut_short))),
            },
        };
        self.left -= piece.len() as u64;
        if let Some(record) = &mut self.record {
            record.passed(piece.len());
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(record) = self.record.take()
            && self.left == 0
        {
            self.pulse.handed_over(record);
        }
    }
}

/// A blob, piece by piece.
pub(super) struct Pieces {
    blob: Arc<Blob>,
    /// What is read next, and where it ends.
    next: u64,
    end: u64,
    reading: Option<JoinHandle<Result<BytesMut, String>>>,
    /// The last pieces that were handed out: the memory of one that has been sent is used again.
    spent: [Option<Bytes>; 2],
    share: Share,
    observer: Arc<dyn Observer>,
}

/// What one that is sent has in memory, counted together with what the others have.
struct Share {
    together: Arc<AtomicUsize>,
    own: usize,
}

impl Share {
    fn is(&mut self, bytes: usize) {
        self.together.fetch_add(bytes, Ordering::Relaxed);
        self.together.fetch_sub(self.own, Ordering::Relaxed);
        self.own = bytes;
    }

    fn free(&self) -> usize {
        TOGETHER.saturating_sub(self.together.load(Ordering::Relaxed))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.is(0);
    }
}

impl Pieces {
    /// Takes a blob apart, from one position to another. `in_memory` counts what of all blobs
    /// that are sent is in memory.
    pub(super) fn of(
        blob: Arc<Blob>,
        range: std::ops::Range<u64>,
        in_memory: &Arc<AtomicUsize>,
        observer: &Arc<dyn Observer>,
    ) -> Self {
        Self {
            blob,
            next: range.start,
            end: range.end.max(range.start),
            reading: None,
            spent: [None, None],
            share: Share { together: Arc::clone(in_memory), own: 0 },
            observer: Arc::clone(observer),
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, CutShort>> {
        if self.reading.is_none() {
            self.read_on();
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(Err(CutShort)) };
        let result = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let piece = match result {
            Ok(Ok(piece)) => piece.freeze(),
            Ok(Err(why)) => {
                self.observer.hear(Event::Warning(&why));
                return Poll::Ready(Err(CutShort));
            }
            // the runtime ends
            Err(_) => return Poll::Ready(Err(CutShort)),
        };
        self.spent.rotate_left(1);
        self.spent[1] = Some(piece.clone());
        // with little room, the next is read when this one has been sent
        if self.share.free() > TOGETHER / 2 {
            self.read_on();
        } else {
            self.spent[0] = None;
            self.share.is(piece.len());
        }
        Poll::Ready(Ok(piece))
    }

    /// Begins to read the next piece, if there is one.
    fn read_on(&mut self) {
        let piece = (self.share.free() / PART).clamp(LEAST, MOST);
        let size = usize::try_from(self.end - self.next).map_or(piece, |left| left.min(piece));
        if size == 0 {
            return;
        }
        let mut buffer = self.unused(piece);
        self.share.is(size + self.spent.iter().flatten().map(Bytes::len).sum::<usize>());
        let (blob, offset) = (Arc::clone(&self.blob), self.next);
        self.next += size as u64;
        self.reading = Some(tokio::task::spawn_blocking(move || {
            buffer.resize(size, 0);
            match blob.read_at_unverified(&mut buffer, offset) {
                Ok(count) if count == size => Ok(buffer),
                Ok(count) => Err(format!(
                    "an answer was cut: {} ends after {} of {} bytes, its place was changed while it was sent",
                    blob.content().digest,
                    offset + count as u64,
                    blob.content().size,
                )),
                Err(error) => Err(format!("an answer was cut: {}", logged(&error))),
            }
        }));
    }

    /// Returns the memory of a piece that has been sent, if it is no larger than a piece is now, and gives others back.
    fn unused(&mut self, piece: usize) -> BytesMut {
        let mut unused = BytesMut::new();
        for slot in &mut self.spent {
            match slot.take().map(Bytes::try_into_mut) {
                Some(Ok(sent)) if sent.capacity() <= piece => unused = sent,
                Some(Err(still_sent)) => *slot = Some(still_sent),
                _ => {}
            }
        }
        unused
    }
}
