//! The encoder of klauspost/compress (package `flate`), in one stream or as klauspost/pgzip uses it: block by block.
//!
//! podman, buildah, skopeo, umoci and apko pack with pgzip. A block of it knows nothing of the ones before but their last
//! 16 KiB, and ends with a whole byte.
//!
//! | file | what |
//! |---|---|
//! | `search` | the tables, and which search uses them |
//! | `fast` | what the searches share |
//! | `light` | levels 1 to 4 |
//! | `deep` | levels 5 and 6 |
//! | `writer` | blocks |

mod deep;
mod fast;
mod light;
mod search;
mod writer;

use self::search::Search;
use self::writer::Writer;
use super::bits::BitWriter;
use super::block::MOST_STORED;
use super::checkpoint::{Checkpoint, Watch};
use super::tail::Tail;
use super::token::Token;

/// The size of the pieces that are searched, in bytes.
const WINDOW: usize = MOST_STORED;
/// How much of the block before a block of pgzip knows, in bytes.
pub(super) const TAIL: usize = 16384;
/// A rest that is shorter is not searched.
const WORTH_A_SEARCH: usize = 128;
/// And stored if it is no longer than this.
const WORTH_A_CODE: usize = 32;

/// How long the lists of lengths in the headers of blocks are: this tells versions apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Headers {
    /// Of all symbols there are, but for a last block: 1.15.11 (September 2022) to 1.18.0, of whose level 4 all but the last; levels 5 and 6
    /// from 1.15.10 on.
    Full,
    /// Up to the last symbol that occurs: from 1.18.1 (October 2025) on, and in Go 1.27.
    Exact,
}

/// One stream that may be flushed.
#[derive(Clone, Debug)]
struct Stream {
    search: Search,
    writer: Writer,
    window: Vec<u8>,
    tokens: Vec<Token>,
}

impl Stream {
    fn new(level: u8, headers: Headers) -> Self {
        Self {
            search: Search::new(level, headers),
            writer: Writer::new(headers, 7),
            window: Vec::with_capacity(WINDOW),
            tokens: Vec::with_capacity(WINDOW),
        }
    }

    /// Begins anew, with what stood before.
    fn restart(&mut self, before: &[u8]) {
        self.search.reset();
        self.writer.reset();
        self.window.clear();
        self.search.run(before, &mut self.tokens);
        self.tokens.clear();
    }

    fn write(&mut self, bits: &mut BitWriter, mut data: &[u8]) {
        while !data.is_empty() {
            if self.window.len() == WINDOW {
                self.step(bits, false);
            }
            let (now, later) = data.split_at(data.len().min(WINDOW - self.window.len()));
            self.window.extend_from_slice(now);
            data = later;
        }
    }

    /// Deals with the window. `last`: a flush follows.
    fn step(&mut self, bits: &mut BitWriter, last: bool) {
        let count = self.window.len();
        match count {
            0 => return,
            1..=WORTH_A_CODE => self.writer.stored(bits, &self.window),
            _ if count < WORTH_A_SEARCH => self.writer.bytes(bits, &self.window, true),
            _ => {
                self.search.run(&self.window, &mut self.tokens);
                if self.tokens.is_empty() {
                    self.writer.stored(bits, &self.window);
                } else if self.tokens.len() > count - (count >> 4) {
                    self.writer.bytes(bits, &self.window, last);
                } else {
                    self.writer.tokens(bits, &self.tokens, &self.window, last);
                }
            }
        }
        self.tokens.clear();
        self.window.clear();
    }

    /// Writes all, up to a whole byte.
    fn flush(&mut self, bits: &mut BitWriter) {
        self.step(bits, true);
        self.writer.stored(bits, &[]);
    }

    fn end(&mut self, bits: &mut BitWriter) {
        self.step(bits, true);
        self.writer.end(bits);
    }
}

/// One stream, or blocks.
#[derive(Clone, Debug)]
pub(super) struct Klauspost {
    stream: Stream,
    /// The size of the blocks. None: it is one stream.
    block: Option<usize>,
    /// How much of the block was taken.
    taken: usize,
    /// What was taken last.
    tail: Tail,
    position: u64,
}

impl Klauspost {
    pub(super) fn new(level: u8, headers: Headers, block: Option<u32>) -> Self {
        let block = block.map(|block| block as usize);
        Self { stream: Stream::new(level, headers), block, taken: 0, tail: Tail::new(TAIL), position: 0 }
    }

    /// Goes on at a checkpoint that was checked.
    pub(super) fn resume(mut self, from: &Checkpoint, history: &[u8]) -> Self {
        self.position = from.position;
        self.stream.restart(history);
        self
    }

    /// Takes some of the data, which is not empty, and returns how much. Nothing when it was stopped.
    pub(super) fn advance(&mut self, data: &[u8], bits: &mut BitWriter, watch: &mut Watch) -> usize {
        let mut count = data.len().min(WINDOW);
        if let Some(block) = self.block {
            if self.taken == block {
                self.next_block(bits);
                watch.begins_anew(self.position, bits);
                if watch.stopped {
                    return 0;
                }
            }
            count = count.min(block - self.taken);
            self.tail.push(&data[..count]);
        }
        self.stream.write(bits, &data[..count]);
        self.taken += count;
        self.position += count as u64;
        count
    }

    fn next_block(&mut self, bits: &mut BitWriter) {
        self.stream.flush(bits);
        self.stream.restart(self.tail.last());
        self.taken = 0;
    }

    /// Deals with all that there is, and ends the stream.
    pub(super) fn finish(&mut self, bits: &mut BitWriter) {
        if let Some(block) = self.block {
            if self.taken == block {
                self.next_block(bits);
            }
            self.stream.flush(bits);
        }
        self.stream.end(bits);
    }
}
