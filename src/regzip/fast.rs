//! Level 1: one place is remembered for each hash, and what does not repeat is skipped faster and faster.
//!
//! Go took it over from Snappy. It works on whole blocks of input, and looks from each into the one before.

use super::block::{BlockWriter, MOST_STORED};
use super::chain::{MIX, common};
use super::checkpoint::{Checkpoint, Findable, HISTORY, Watch};
use super::token::{FARTHEST, LONGEST, SHORTEST, Token};

/// How many bits a hash has.
const HASH_BITS: u32 = 14;
/// So many bytes at the end of a block are not looked at.
const MARGIN: usize = 15;
/// The last block is not searched if it is shorter.
const WORTH_A_SEARCH: usize = 128;
/// And stored if it is no longer than this.
const WORTH_A_CODE: usize = 16;
/// From here on the positions are counted anew, before they leave 32 bits.
const RENEW: u32 = 1 << 30;
/// The position of the first byte: nothing is remembered so far before it.
const FIRST: u32 = FARTHEST as u32 + 1;

/// Four bytes and where they stood.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    four: u32,
    position: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Fast {
    table: Box<[Entry; 1 << HASH_BITS]>,
    /// The block before, and the one that is filled.
    bytes: Vec<u8>,
    /// Where the latter begins.
    begin: usize,
    /// The position at that place, as the table counts.
    now: u32,
    /// The same in the input.
    position: u64,
    tokens: Vec<Token>,
}

impl Fast {
    pub(super) fn new() -> Self {
        Self {
            table: Box::new([Entry::default(); 1 << HASH_BITS]),
            bytes: Vec::with_capacity(2 * MOST_STORED),
            begin: 0,
            now: FIRST,
            position: 0,
            tokens: Vec::with_capacity(MOST_STORED),
        }
    }

    /// Goes on at a checkpoint that was checked.
    pub(super) fn resume(from: &Checkpoint, history: &[u8]) -> Self {
        let mut this = Self::new();
        this.bytes.extend_from_slice(history);
        this.begin = history.len();
        this.position = from.position;
        if let Some(marks) = &from.findable {
            for distance in Findable::distances(marks).filter(|distance| (SHORTEST..=this.begin).contains(distance)) {
                let four = load(&this.bytes, this.begin - distance);
                this.table[hash(four)] = Entry { four, position: FIRST - distance as u32 };
            }
        }
        this
    }

    /// Takes some of the data, which is not empty, and returns how much. Nothing when it was stopped.
    pub(super) fn advance(&mut self, data: &[u8], blocks: &mut BlockWriter, watch: &mut Watch) -> usize {
        if self.bytes.len() - self.begin == MOST_STORED {
            self.write_block(blocks);
            watch.block_ended(self.position, || self.checkpoint(blocks));
            if watch.stopped {
                return 0;
            }
        }
        let count = data.len().min(MOST_STORED - (self.bytes.len() - self.begin));
        self.bytes.extend_from_slice(&data[..count]);
        count
    }

    /// Deals with all that there is.
    pub(super) fn finish(&mut self, blocks: &mut BlockWriter) {
        let block = &self.bytes[self.begin..];
        let count = block.len();
        if count == 0 {
            return;
        }
        if count <= WORTH_A_CODE {
            blocks.stored(block, false);
        } else if count < WORTH_A_SEARCH {
            blocks.literals_only(block);
        } else {
            self.write_block(blocks);
        }
    }

    fn write_block(&mut self, blocks: &mut BlockWriter) {
        self.search();
        let block = &self.bytes[self.begin..];
        let count = block.len();
        // hardly anything repeats
        if self.tokens.len() > count - (count >> 4) {
            blocks.literals_only(block);
        } else {
            blocks.own_code(&self.tokens, block);
        }
        blocks.bits.settle();
        self.tokens.clear();
        self.position += count as u64;
        self.now += count as u32;
        self.bytes.drain(..self.begin);
        self.begin = count;
        if self.now > RENEW {
            let less = self.now - FIRST;
            for entry in self.table.iter_mut() {
                // what is farther away than a distance may be stays so
                entry.position = entry.position.saturating_sub(less);
            }
            self.now = FIRST;
        }
    }

    /// Makes the tokens of a block.
    fn search(&mut self) {
        let (begin, end) = (self.begin, self.bytes.len());
        let mut written = begin;
        if end - begin > MARGIN + 1 {
            let last = end - MARGIN;
            let mut at = begin;
            while let Some((found, distance)) = self.next_repetition(at, last) {
                self.literals(written, found);
                let (mut found, mut distance) = (found, distance);
                // one repetition after the other, as long as each begins where the one before ends
                loop {
                    let from = found + SHORTEST;
                    let until = end.min(found + LONGEST);
                    let length = SHORTEST + common(&self.bytes[from - distance..], &self.bytes[from..until]);
                    self.tokens.push(Token::repetition(length, distance));
                    found += length;
                    written = found;
                    if found >= last {
                        break;
                    }
                    self.remember(found - 1, load(&self.bytes, found - 1));
                    match self.look_up(found, load(&self.bytes, found)) {
                        Some(near) => distance = near,
                        None => break,
                    }
                }
                if found >= last {
                    break;
                }
                at = found + 1;
            }
        }
        self.literals(written, end);
    }

    /// Looks for the next place from `at` on where four bytes repeat, and returns it with their distance. None when nothing is
    /// found before `last`.
    #[inline]
    fn next_repetition(&mut self, mut at: usize, last: usize) -> Option<(usize, usize)> {
        // after 32 bytes without a repetition every other byte is looked at, after 32 more every third
        let mut skip = 32;
        let mut four = load(&self.bytes, at);
        loop {
            let step = skip >> 5;
            let next = at + step;
            skip += step;
            if next > last {
                return None;
            }
            let found = self.look_up(at, four);
            if let Some(distance) = found {
                return Some((at, distance));
            }
            at = next;
            four = load(&self.bytes, at);
        }
    }

    /// Returns how far back the same four bytes stood, and remembers that they stand here now.
    #[inline]
    fn look_up(&mut self, at: usize, four: u32) -> Option<usize> {
        let position = self.now + (at - self.begin) as u32;
        let entry = std::mem::replace(&mut self.table[hash(four)], Entry { four, position });
        let distance = (position - entry.position) as usize;
        (entry.four == four && distance <= FARTHEST).then_some(distance)
    }

    #[inline]
    fn remember(&mut self, at: usize, four: u32) {
        // also the last byte of the block before, when a repetition began with the first of this one
        let position = self.now + at as u32 - self.begin as u32;
        self.table[hash(four)] = Entry { four, position };
    }

    fn literals(&mut self, from: usize, to: usize) {
        self.tokens.extend(self.bytes[from..to].iter().map(|byte| Token::literal(*byte)));
    }

    fn checkpoint(&self, blocks: &BlockWriter) -> Checkpoint {
        let mut findable = Findable::none();
        for entry in self.table.iter() {
            let distance = (self.now - entry.position) as usize;
            if (1..=HISTORY).contains(&distance) {
                findable.mark(distance);
            }
        }
        Checkpoint {
            position: self.position,
            bits: blocks.bits.position(),
            partial: blocks.bits.partial(),
            findable: Some(findable.done()),
            ..Checkpoint::start()
        }
    }
}

#[inline]
fn hash(four: u32) -> usize {
    (four.wrapping_mul(MIX) >> (32 - HASH_BITS)) as usize
}

/// Returns the four bytes at a place, of which there are as many.
#[inline]
fn load(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |four| u32::from_le_bytes(*four))
}
