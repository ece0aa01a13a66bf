//! pigz: zlib's streams, block by block, each of which ends with a whole byte.

use super::stream::{Program, Stream};
use crate::regzip::bits::BitWriter;
use crate::regzip::checkpoint::{Checkpoint, HISTORY, Watch};
use crate::regzip::tail::Tail;

/// What a block of pigz knows of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PigzBlocks {
    /// Their last 32 KiB: on several threads, as is usual.
    Chained,
    /// All that zlib knew when it ended the last one: `-p 1`.
    Single,
    /// Nothing: `-i`.
    Independent,
}

#[derive(Clone, Debug)]
pub(in crate::regzip) struct Pigz {
    stream: Stream,
    blocks: PigzBlocks,
    block: usize,
    /// How much of the block was taken.
    taken: usize,
    /// What was taken last, if blocks know of it.
    tail: Tail,
    position: u64,
}

impl Pigz {
    pub(in crate::regzip) fn new(level: u8, block: u32, blocks: PigzBlocks) -> Self {
        let stream = Stream::new(Program::Zlib, level);
        Self { stream, blocks, block: block as usize, taken: 0, tail: Tail::new(HISTORY), position: 0 }
    }

    /// Goes on at a checkpoint that was checked.
    pub(in crate::regzip) fn resume(mut self, from: &Checkpoint, history: &[u8]) -> Self {
        self.position = from.position;
        self.taken = (from.position % self.block as u64) as usize;
        if self.blocks == PigzBlocks::Single {
            self.stream = self.stream.resume(from, history);
            if self.taken == 0 {
                self.stream.flushed();
            }
        } else {
            self.stream.restart(history);
        }
        self
    }

    /// Takes some of the data, which is not empty, and returns how much. Nothing when it was stopped.
    pub(in crate::regzip) fn advance(&mut self, data: &[u8], bits: &mut BitWriter, watch: &mut Watch) -> usize {
        if self.taken == self.block {
            self.next_block(bits, watch);
            if watch.stopped {
                return 0;
            }
        }
        let data = &data[..data.len().min(self.block - self.taken)];
        let count = if self.blocks == PigzBlocks::Single {
            self.stream.advance(data, bits, watch)
        } else {
            // within such a block nobody can go on
            self.stream.advance(data, bits, &mut Watch::default())
        };
        if self.blocks == PigzBlocks::Chained {
            self.tail.push(&data[..count]);
        }
        self.taken += count;
        self.position += count as u64;
        count
    }

    fn next_block(&mut self, bits: &mut BitWriter, watch: &mut Watch) {
        if self.blocks == PigzBlocks::Single {
            self.stream.flush(bits, watch);
            if watch.stopped {
                return;
            }
        } else {
            self.stream.flush(bits, &mut Watch::default());
        }
        self.align(bits);
        self.taken = 0;
        match self.blocks {
            PigzBlocks::Chained => self.stream.restart(self.tail.last()),
            PigzBlocks::Independent => self.stream.restart(&[]),
            PigzBlocks::Single => return watch.block_ended(self.position, || self.stream.checkpoint(bits)),
        }
        watch.begins_anew(self.position, bits);
    }

    /// Fills the byte that is begun: with blocks that need no header and are empty, which have ten bits, or with a stored one. Independent
    /// blocks end with two of the latter, for those who look where they begin.
    fn align(&self, bits: &mut BitWriter) {
        let is_odd = !bits.position().is_multiple_of(2);
        if self.blocks == PigzBlocks::Independent {
            put_empty(bits);
            put_empty(bits);
        } else if is_odd {
            put_empty(bits);
        } else {
            while !bits.position().is_multiple_of(8) {
                bits.put(0b010, 10);
                bits.settle();
            }
        }
    }

    /// Deals with all that there is, and ends the stream.
    pub(in crate::regzip) fn finish(&mut self, bits: &mut BitWriter, watch: &mut Watch) {
        self.stream.finish(bits, watch);
    }
}

/// Writes a stored block with nothing in it.
fn put_empty(bits: &mut BitWriter) {
    bits.put(0, 3);
    bits.align();
    bits.put_bytes(&[0, 0, 0xff, 0xff]);
}
