//! Blocks that are packed each by itself, with the end of the one before: barge's own layers.

use std::io;

use flate2::{Compress, Compression, FlushCompress, Status};

use super::bits::BitWriter;
use super::checkpoint::{Checkpoint, HISTORY, Watch};

/// Makes of blocks what [`pack`](crate::pack::pack) makes of them.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    level: u8,
    block: usize,
    /// The end of the block before, and behind it the one that is filled.
    bytes: Vec<u8>,
    /// Where the latter begins.
    begin: usize,
    position: u64,
}

impl Blocks {
    pub(super) fn new(level: u8, block: u32) -> Self {
        Self { level, block: block as usize, bytes: Vec::new(), begin: 0, position: 0 }
    }

    /// Goes on at a checkpoint that was checked.
    pub(super) fn resume(mut self, from: &Checkpoint, history: &[u8]) -> Self {
        self.bytes.extend_from_slice(history);
        self.begin = history.len();
        self.position = from.position;
        self
    }

    /// Takes some of the data, which is not empty, and returns how much. Nothing when it was stopped.
    pub(super) fn advance(&mut self, data: &[u8], bits: &mut BitWriter, watch: &mut Watch) -> usize {
        if self.bytes.len() - self.begin == self.block {
            self.write(bits, false);
            watch.begins_anew(self.position, bits);
            if watch.stopped {
                return 0;
            }
        }
        let count = data.len().min(self.block - (self.bytes.len() - self.begin));
        self.bytes.extend_from_slice(&data[..count]);
        count
    }

    /// Deals with all that there is, and ends the stream.
    pub(super) fn finish(&mut self, bits: &mut BitWriter) {
        self.write(bits, true);
    }

    fn write(&mut self, bits: &mut BitWriter, last: bool) {
        let (before, block) = self.bytes.split_at(self.begin);
        // a failure, which nobody has seen yet, leaves a gap: the stream is not the one that is expected
        bits.put_bytes(&deflate_block(self.level.into(), block, before, last).unwrap_or_default());
        self.position += block.len() as u64;
        self.bytes.drain(..self.bytes.len().saturating_sub(HISTORY));
        self.begin = self.bytes.len();
    }
}

/// Deflates a block, of which `dictionary` stands before it. It ends on a byte, with an empty stored block if it is not the
/// last.
///
/// # Errors
/// When deflate fails, which it has no reason to.
pub(crate) fn deflate_block(level: u32, block: &[u8], dictionary: &[u8], last: bool) -> io::Result<Vec<u8>> {
    // a new one each time: one that is reset has been seen to find other matches, depending on what it did before
    let mut compress = Compress::new(Compression::new(level.min(9)), false);
    if !dictionary.is_empty() {
        compress.set_dictionary(dictionary)?;
    }
    let flush = if last { FlushCompress::Finish } else { FlushCompress::Sync };
    let mut out = Vec::with_capacity(block.len() / 2 + 1024);
    loop {
        let taken = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        let before = out.len();
        let status = compress.compress_vec(&block[taken.min(block.len())..], &mut out, flush)?;
        let all_in = compress.total_in() == block.len() as u64;
        match status {
            Status::StreamEnd => return Ok(out),
            // room was left over: the flush is complete
            Status::Ok | Status::BufError if !last && all_in && out.len() < out.capacity() => return Ok(out),
            Status::BufError if out.len() == before && out.len() < out.capacity() => {
                return Err(io::Error::other("deflate makes no progress"));
            }
            _ => out.reserve(block.len() / 2 + 1024),
        }
    }
}
