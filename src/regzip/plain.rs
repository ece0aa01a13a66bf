//! Levels 0 and -2: blocks of one size in which nothing is looked for.

use super::block::{BlockWriter, MOST_STORED};
use super::checkpoint::{Checkpoint, Watch};
use super::level::Level;

#[derive(Clone, Debug)]
pub(super) struct Plain {
    level: Level,
    block: Vec<u8>,
    position: u64,
}

impl Plain {
    pub(super) fn new(level: Level, position: u64) -> Self {
        Self { level, block: Vec::with_capacity(MOST_STORED), position }
    }

    /// Takes some of the data, which is not empty, and returns how much. Nothing when it was stopped.
    pub(super) fn advance(&mut self, data: &[u8], blocks: &mut BlockWriter, watch: &mut Watch) -> usize {
        if self.block.len() == MOST_STORED {
            self.finish(blocks);
            watch.block_ended(self.position, || Checkpoint {
                position: self.position,
                bits: blocks.bits.position(),
                partial: blocks.bits.partial(),
                ..Checkpoint::start()
            });
            if watch.stopped {
                return 0;
            }
        }
        let count = data.len().min(MOST_STORED - self.block.len());
        self.block.extend_from_slice(&data[..count]);
        count
    }

    /// Deals with all that there is.
    pub(super) fn finish(&mut self, blocks: &mut BlockWriter) {
        if self.block.is_empty() {
            return;
        }
        if self.level == Level::STORE {
            blocks.stored(&self.block, false);
        } else {
            blocks.literals_only(&self.block);
        }
        blocks.bits.settle();
        self.position += self.block.len() as u64;
        self.block.clear();
    }
}
