//! The body of an answer on its way: a blob is read piece by piece, ahead of what is being sent.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use super::pool::Pool;
use super::record::{Pulse, Record};
use crate::ops::serve::answer::logged;
use crate::ops::serve::blob::Blob;
use crate::ops::serve::event::{Event, Observer};

/// How many buffers are read at once where there is room: the way to another thread and back counts less then.
const BATCH: usize = 4;

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
    ready: VecDeque<Bytes>,
    reading: Option<JoinHandle<Result<VecDeque<Bytes>, String>>>,
    pool: Arc<Pool>,
    observer: Arc<dyn Observer>,
}

impl Pieces {
    /// Takes a blob apart, from one position to another.
    pub(super) fn of(
        blob: Arc<Blob>,
        range: std::ops::Range<u64>,
        pool: &Arc<Pool>,
        observer: &Arc<dyn Observer>,
    ) -> Self {
        Self {
            blob,
            next: range.start,
            end: range.end.max(range.start),
            ready: VecDeque::new(),
            reading: None,
            pool: Arc::clone(pool),
            observer: Arc::clone(observer),
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, CutShort>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                // while it is sent, the next ones are read; with little room, only when it has been sent
                if self.ready.is_empty() && self.pool.has_room() {
                    self.read_on();
                }
                return Poll::Ready(Ok(piece));
            }
            if self.reading.is_none() {
                self.read_on();
            }
            let Some(reading) = &mut self.reading else { return Poll::Ready(Err(CutShort)) };
            let result = ready!(Pin::new(reading).poll(context));
            self.reading = None;
            match result {
                Ok(Ok(pieces)) => self.ready = pieces,
                Ok(Err(why)) => {
                    self.observer.hear(Event::Warning(&why));
                    return Poll::Ready(Err(CutShort));
                }
                // the runtime ends
                Err(_) => return Poll::Ready(Err(CutShort)),
            }
        }
    }

    /// Begins to read the next pieces, if there are any.
    fn read_on(&mut self) {
        if self.next == self.end {
            return;
        }
        let (mut next, end) = (self.next, self.end);
        let mut buffers = Vec::new();
        let batch = if self.pool.has_room() { BATCH } else { 1 };
        while buffers.len() < batch && self.next < self.end {
            let mut buffer = self.pool.take();
            self.next += buffer.first(self.end - self.next).len() as u64;
            buffers.push(buffer);
        }
        let blob = Arc::clone(&self.blob);
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let mut pieces = VecDeque::with_capacity(buffers.len());
            for mut buffer in buffers {
                let space = buffer.first(end - next);
                let size = space.len();
                match blob.read_at_unverified(space, next) {
                    Ok(count) if count == size => {}
                    Ok(count) => {
                        return Err(format!(
                            "an answer was cut: {} ends after {} of {} bytes, its place was changed while it was sent",
                            blob.content().digest,
                            next + count as u64,
                            blob.content().size,
                        ));
                    }
                    Err(error) => return Err(format!("an answer was cut: {}", logged(&error))),
                }
                next += size as u64;
                pieces.push_back(Bytes::from_owner(buffer));
            }
            Ok(pieces)
        }));
    }
}
