//! A layer as a stream of unpacked bytes: one thread reads, checks and unpacks, another one uses what comes.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use super::fault::{Fault, Stop};
use crate::blob::{BlobReader, CHUNK, Cancel};
use crate::digest::{Digest, Hasher};
use crate::ops::layer::unpacked;
use crate::store::{Location, StoreError};
use crate::text::human_size;

/// How many chunks may wait between the two threads: memory is bounded by it.
const WAITING: usize = 4;

/// How many unpacked bytes may still come, over all layers.
#[derive(Debug)]
pub(in crate::ops) struct Allowance {
    /// The limit, for messages.
    pub(in crate::ops) limit: u64,
    /// What is left of it.
    pub(in crate::ops) left: u64,
}

impl Allowance {
    /// Checks that so many more bytes may come.
    pub(in crate::ops) fn check(&self, bytes: u64) -> Result<(), Fault> {
        if bytes <= self.left {
            return Ok(());
        }
        Err(Fault::Refused {
            reason: format!("the image unpacks to more than {}: it may be a bomb", human_size(self.limit)),
            hint: "if it is not, raise the limit with --max-size".to_owned(),
        })
    }
}

/// Reads a whole layer: `work` gets its unpacked bytes, and need not read them to the end.
///
/// # Errors
/// When the layer is not what its digest says or does not unpack to the `expected` diff_id: these before anything that
/// went wrong in `work`, since they may be the reason.
pub(in crate::ops) fn read<T>(
    reader: BlobReader<'_>,
    place: &Location,
    expected: &Digest,
    allowance: &mut Allowance,
    cancel: &Cancel,
    work: impl FnOnce(&mut Chunks<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    thread::scope(|scope| {
        let (full_to, full) = sync_channel(WAITING);
        let (empty, empty_from) = channel();
        let producer =
            scope.spawn(move || unpacked(reader, place, |from: &mut dyn Read| pump(from, &full_to, &empty_from)));
        let hasher = expected.algorithm().hasher();
        let mut chunks = Chunks { full, empty, chunk: Vec::new(), used: 0, hasher, allowance, cancel };
        let worked = work(&mut chunks).and_then(|result| chunks.drain().map(|()| result));
        let Chunks { full, empty, hasher, .. } = chunks;
        drop((full, empty)); // with its channels closed, the other thread ends
        let read: Result<(), StoreError> = producer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (read, worked) {
            // what follows from a limit or a wish to stop is told as that
            (_, Err(fault @ Fault::Store(StoreError::Cancelled))) => Err(fault),
            (Err(error), _) => Err(error.into()),
            (Ok(()), Err(fault)) => Err(fault),
            (Ok(()), Ok(result)) => match hasher.finish() {
                got if got == *expected => Ok(result),
                got => Err(Fault::Layer(format!("it unpacks to {got}, expected the diff_id {expected}"))),
            },
        }
    })
}

/// Passes chunks on until nothing is left, or nobody wants more.
fn pump(from: &mut dyn Read, to: &SyncSender<Vec<u8>>, empty: &Receiver<Vec<u8>>) -> io::Result<()> {
    loop {
        let mut chunk = empty.try_recv().unwrap_or_default();
        chunk.resize(CHUNK, 0);
        let mut filled = 0;
        while filled < chunk.len() {
            match from.read(&mut chunk[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        chunk.truncate(filled);
        if filled == 0 || to.send(chunk).is_err() {
            return Ok(());
        }
    }
}

/// The unpacked bytes of a layer, hashed as they come.
#[derive(Debug)]
pub(in crate::ops) struct Chunks<'a> {
    full: Receiver<Vec<u8>>,
    empty: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    used: usize,
    hasher: Hasher,
    allowance: &'a mut Allowance,
    cancel: &'a Cancel,
}

impl Chunks<'_> {
    /// Checks that so many more bytes may come.
    pub(in crate::ops) fn check(&self, bytes: u64) -> Result<(), Fault> {
        // what waits in the chunk was counted when it came
        self.allowance.check(bytes.saturating_sub((self.chunk.len() - self.used) as u64))
    }

    /// Reads to the end.
    fn drain(&mut self) -> Result<(), Fault> {
        loop {
            self.used = self.chunk.len();
            if !self.next()? {
                return Ok(());
            }
        }
    }

    /// Goes on to the next chunk; `false` at the end.
    fn next(&mut self) -> Result<bool, Fault> {
        if self.cancel.is_cancelled() {
            return Err(StoreError::Cancelled.into());
        }
        // nobody waits for a chunk that comes back too late
        let _ = self.empty.send(std::mem::take(&mut self.chunk));
        self.used = 0;
        // when the other thread failed this is no end, and its error will be told
        let Ok(chunk) = self.full.recv() else { return Ok(false) };
        self.allowance.check(chunk.len() as u64)?;
        self.allowance.left -= chunk.len() as u64;
        self.hasher.update(&chunk);
        self.chunk = chunk;
        Ok(true)
    }
}

impl BufRead for Chunks<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.chunk.len() {
            self.next().map_err(|fault| io::Error::other(Stop(fault)))?;
        }
        Ok(&self.chunk[self.used..])
    }

    fn consume(&mut self, count: usize) {
        self.used = (self.used + count).min(self.chunk.len());
    }
}

impl Read for Chunks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let count = from.len().min(buffer.len());
        buffer[..count].copy_from_slice(&from[..count]);
        self.consume(count);
        Ok(count)
    }
}
