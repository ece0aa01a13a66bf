//! gzip on several threads (RFC 1951, RFC 1952).

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crc32fast::Hasher;

use super::PackOptions;
use crate::regzip::deflate_block;

/// The size of a block, in bytes. Each one has to look at the 32 KiB before it once more and to begin with empty tables: with
/// 128 KiB that is a fourteenth of the work; larger ones than this take more memory for no gain.
const BLOCK: usize = 512 * 1024;
/// How far deflate looks back, in bytes.
const WINDOW: usize = 32 * 1024;
/// No name, no time, no flags; an operating system that is not said (RFC 1952, section 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A block on its way to a thread.
struct Job {
    block: Vec<u8>,
    /// The end of the block before.
    dictionary: Vec<u8>,
    last: bool,
    done: SyncSender<Deflated>,
}

/// A block that was deflated.
struct Deflated {
    bytes: io::Result<Vec<u8>>,
    check: Hasher,
    last: bool,
}

pub(super) fn pack<T>(
    options: &PackOptions,
    to: &mut (dyn Write + Send),
    from: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> io::Result<T> {
    let jobs = options.threads().get();
    let level = options.level;
    // two blocks for each thread keep it busy, and no more are in memory
    let (work, jobs_to_do) = sync_channel::<Job>(jobs);
    let (order, in_order) = sync_channel::<Receiver<Deflated>>(jobs * 2);
    let jobs_to_do = Mutex::new(jobs_to_do);
    thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..jobs {
            started += usize::from(thread::Builder::new().spawn_scoped(scope, || deflate(&jobs_to_do, level)).is_ok());
        }
        if started == 0 {
            return Err(io::Error::other("no thread can be started"));
        }
        let writer = thread::Builder::new().spawn_scoped(scope, move || write(to, &in_order))?;
        let mut blocks = Blocks { block: Vec::with_capacity(BLOCK), dictionary: Vec::new(), work, order };
        let result = from(&mut blocks).and_then(|result| blocks.finish().map(|()| result));
        // the threads end when nobody can send them anything any more
        drop(blocks);
        match writer.join() {
            Ok(Ok(())) => result,
            // a stream that was not ended because `from` failed
            Ok(Err(WriteError::Unfinished)) => result.and_then(|_| Err(io::ErrorKind::UnexpectedEof.into())),
            Ok(Err(WriteError::Io(error))) => Err(error),
            Err(_) => Err(io::Error::other("a thread ended by a fault of the program")),
        }
    })
}

/// Cuts what is written into blocks.
struct Blocks {
    block: Vec<u8>,
    dictionary: Vec<u8>,
    work: SyncSender<Job>,
    order: SyncSender<Receiver<Deflated>>,
}

impl Blocks {
    fn send(&mut self, last: bool) -> io::Result<()> {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(if last { 0 } else { BLOCK }));
        let tail = block[block.len().saturating_sub(WINDOW)..].to_vec();
        let dictionary = std::mem::replace(&mut self.dictionary, tail);
        let (done, result) = sync_channel(1);
        // whoever takes them is gone only after a failure, which is told elsewhere
        self.order.send(result).map_err(|_| io::ErrorKind::BrokenPipe)?;
        self.work.send(Job { block, dictionary, last, done }).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.send(true)
    }
}

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // a full block waits until it is known not to be the last
        if self.block.len() == BLOCK && !bytes.is_empty() {
            self.send(false)?;
        }
        let count = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // a flush in the middle would change the bytes
    }
}

/// Deflates block after block.
fn deflate(jobs: &Mutex<Receiver<Job>>, level: u32) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { block, dictionary, last, done }) = job else { return };
        let mut check = Hasher::new();
        check.update(&block);
        let bytes = deflate_block(level, &block, &dictionary, last);
        // a writer that has failed waits for nothing
        let _ = done.send(Deflated { bytes, check, last });
    }
}

enum WriteError {
    Io(io::Error),
    Unfinished,
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Writes the blocks in order, between a header and the check of the whole.
fn write(to: &mut (dyn Write + Send), in_order: &Receiver<Receiver<Deflated>>) -> Result<(), WriteError> {
    to.write_all(&HEADER)?;
    let mut check = Hasher::new();
    while let Ok(block) = in_order.recv() {
        let Ok(Deflated { bytes, check: of_block, last }) = block.recv() else { return Err(WriteError::Unfinished) };
        to.write_all(&bytes?)?;
        check.combine(&of_block);
        if last {
            to.write_all(&check.clone().finalize().to_le_bytes())?;
            // the size modulo 2^32 (RFC 1952, section 2.3.1)
            to.write_all(&(check.total_len() as u32).to_le_bytes())?;
            return Ok(to.flush()?);
        }
    }
    Err(WriteError::Unfinished)
}
