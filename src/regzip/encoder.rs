//! The encoder: input in pieces of any size, deflate out.

use std::io::{self, Write};
use std::sync::Arc;

use super::bits::BitWriter;
use super::block::BlockWriter;
use super::blocks::Blocks;
use super::checkpoint::{Checkpoint, ResumeError, Watch};
use super::echo::{Echo, Echoes};
use super::fast::Fast;
use super::klauspost::Klauspost;
use super::level::Level;
use super::plain::Plain;
use super::read::{Packed, ReadError};
use super::search::{AHEAD, Doubt, Search};
use super::way::Way;
use super::zlib::{Pigz, Program, Stream};

/// How many bytes of input beyond [`Encoder::until`] an encoder wants to see, if there are as many.
pub const LOOKAHEAD: usize = AHEAD;

/// Makes of input the deflate stream that another program makes of it: which one, and how, says a [`Way`].
///
/// What comes out does not depend on how the input is cut into writes. Go's does, at levels 2 to 9, in one point: see
/// [`Encoder::early`].
#[derive(Clone, Debug)]
pub struct Encoder {
    method: Method,
    blocks: BlockWriter,
    watch: Watch,
    doubts: Vec<u64>,
    /// Other encoders, if they are wanted: each made the other choice at a doubt.
    branches: Option<Vec<Encoder>>,
}

#[derive(Clone, Debug)]
enum Method {
    Plain(Plain),
    Fast(Box<Fast>),
    Search(Box<Search>),
    Blocks(Blocks),
    Klauspost(Box<Klauspost>),
    Zlib(Box<Stream>),
    Pigz(Box<Pigz>),
}

impl Method {
    fn new(way: Way) -> Self {
        match way {
            Way::Go(level @ (Level::STORE | Level::HUFFMAN)) => Self::Plain(Plain::new(level, 0)),
            Way::Go(Level::FASTEST) => Self::Fast(Box::new(Fast::new())),
            Way::Go(level) => Self::Search(Box::new(Search::new(level))),
            Way::Barge { level, block } => Self::Blocks(Blocks::new(level, block)),
            Way::Zlib { level } => Self::Zlib(Box::new(Stream::new(Program::Zlib, level))),
            Way::Gzip { level } => Self::Zlib(Box::new(Stream::new(Program::Gzip, level))),
            Way::Pigz { level, block, blocks } => Self::Pigz(Box::new(Pigz::new(level, block, blocks))),
            Way::Klauspost { level, headers, block } => {
                Self::Klauspost(Box::new(Klauspost::new(level, headers, block)))
            }
        }
    }

    /// The same at a checkpoint that was checked.
    fn resume(way: Way, from: &Checkpoint, history: &[u8]) -> Self {
        match (way, Self::new(way)) {
            (Way::Go(level), Self::Plain(_)) => Self::Plain(Plain::new(level, from.position)),
            (Way::Go(_), Self::Fast(_)) => Self::Fast(Box::new(Fast::resume(from, history))),
            (Way::Go(level), _) => Self::Search(Box::new(Search::resume(level, from, history))),
            (_, Self::Blocks(blocks)) => Self::Blocks(blocks.resume(from, history)),
            (_, Self::Klauspost(it)) => Self::Klauspost(Box::new(it.resume(from, history))),
            (_, Self::Zlib(it)) => Self::Zlib(Box::new(it.resume(from, history))),
            (_, Self::Pigz(it)) => Self::Pigz(Box::new(it.resume(from, history))),
            (_, method) => method,
        }
    }
}

impl Encoder {
    /// Makes an encoder at the beginning of a stream.
    #[must_use]
    pub fn new(way: impl Into<Way>) -> Self {
        Self::with(Method::new(way.into()), BitWriter::new(), 0)
    }

    /// Makes an encoder that goes on at a checkpoint, after as many bytes of input as [`Checkpoint::history`] says.
    ///
    /// What it writes begins with the byte in which the checkpoint lies, and follows whole bytes: those that an encoder wrote
    /// that was told to stop [there](Encoder::until).
    ///
    /// # Errors
    /// When the history is shorter or longer, or when no such encoder is ever in such a state. A checkpoint that
    /// was tampered with and passes yields wrong bytes, and nothing worse.
    pub fn resume(way: impl Into<Way>, from: &Checkpoint, history: &[u8]) -> Result<Self, ResumeError> {
        let way = way.into();
        from.check(way, history)?;
        let method = Method::resume(way, from, history);
        Ok(Self::with(method, BitWriter::at(from.bits, from.partial), from.position))
    }

    fn with(method: Method, bits: BitWriter, position: u64) -> Self {
        let watch = Watch { last: position, ..Watch::default() };
        Self { method, blocks: BlockWriter::new(bits), watch, doubts: Vec::new(), branches: None }
    }

    /// Takes a checkpoint at the first end of a block after every so many bytes of input: see [`Encoder::take_checkpoints`].
    #[must_use]
    pub const fn checkpoints_every(mut self, bytes: u64) -> Self {
        self.set_checkpoints_every(bytes);
        self
    }

    pub(super) const fn set_checkpoints_every(&mut self, bytes: u64) {
        self.watch.every = Some(bytes);
    }

    /// Stops at the end of a block at this position in the input, which is that of a checkpoint. The input has to reach
    /// [`LOOKAHEAD`] bytes beyond, or to its end.
    #[must_use]
    pub const fn until(mut self, position: u64) -> Self {
        self.watch.until = Some(position);
        self
    }

    /// Lets windows slide early, those whose edges are at these positions, which ascend.
    ///
    /// Levels 2 to 9 look back in a window of 64 KiB. When it is full and less than 262 bytes of it are ahead, its first half
    /// goes and the next 32 KiB come. Go does that before the last possible byte when a write ended just there: then 262 bytes
    /// less than 32 KiB can be looked at, for this byte alone. Whether it makes a difference is rare, and known to
    /// [`Encoder::doubts`]; what was done cannot be known but from the bytes that came out.
    #[must_use]
    pub fn early(mut self, edges: &[u64]) -> Self {
        if let Method::Search(search) = &mut self.method {
            search.early = edges.to_vec();
        }
        self
    }

    /// Takes the tokens of some stretches from other streams, and looks for nothing there; they ascend and do not overlap. A stretch
    /// counts if the encoder comes to be where it begins, and has just written a repetition: that of a stream of the same way and
    /// the same input. Only ways take them that remember every byte and look ahead before they take a repetition: others search.
    ///
    /// An encoder that takes them takes no checkpoints. Stretches that are wrong yield wrong bytes, and nothing worse.
    #[must_use]
    pub fn echoing(mut self, stretches: Vec<(Echo, Arc<dyn Packed>)>) -> Self {
        if let Method::Search(search) = &mut self.method
            && !stretches.is_empty()
            && search.takes_echoes()
        {
            search.echoes = Some(Box::new(Echoes::new(stretches)));
        }
        self
    }

    /// Returns why tokens of another stream could not be read, if so: then what came out is wrong.
    #[must_use]
    pub fn echo_failure(&self) -> Option<Arc<ReadError>> {
        match &self.method {
            Method::Search(search) => search.echoes.as_ref().and_then(|echoes| echoes.failure().cloned()),
            _ => None,
        }
    }

    /// Returns the edges so far at which the window did not slide early, and it would have made a difference.
    #[must_use]
    pub fn doubts(&self) -> &[u64] {
        &self.doubts
    }

    /// Makes another encoder at every doubt: see [`Encoder::take_branches`].
    pub(super) fn branching(mut self) -> Self {
        self.branches = Some(Vec::new());
        self
    }

    /// Takes those encoders that came to be in [`Encoder::advance`], with the edges at which they slide early. They have
    /// taken as much input as this one.
    pub(super) fn take_branches(&mut self) -> Vec<Self> {
        self.branches.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Whether all that follows is what another one makes of it, which has the same behind it. Not all that are alike are told.
    pub(super) fn goes_on_as(&self, other: &Self) -> bool {
        match (&self.method, &other.method) {
            (Method::Search(one), Method::Search(two)) => {
                self.blocks.bits.position() == other.blocks.bits.position() && one.goes_on_as(two)
            }
            _ => false,
        }
    }

    /// Returns the edges at which the window slides early.
    pub(super) fn edges(&self) -> &[u64] {
        match &self.method {
            Method::Search(search) => &search.early,
            _ => &[],
        }
    }

    /// Takes input, and writes what comes of it. After [`Encoder::until`] it is ignored.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(&mut self, mut data: &[u8], to: &mut (impl Write + ?Sized)) -> io::Result<()> {
        while !data.is_empty() && !self.is_stopped() {
            let count = self.advance(data);
            data = &data[count..];
            to.write_all(self.ready())?;
            self.clear();
        }
        Ok(())
    }

    /// Takes some of the input, which is not empty, and returns how much: with [`Encoder::branching`] perhaps nothing.
    pub(super) fn advance(&mut self, data: &[u8]) -> usize {
        let (blocks, watch) = (&mut self.blocks, &mut self.watch);
        let search = match &mut self.method {
            Method::Plain(plain) => return plain.advance(data, blocks, watch),
            Method::Fast(fast) => return fast.advance(data, blocks, watch),
            Method::Blocks(it) => return it.advance(data, &mut blocks.bits, watch),
            Method::Klauspost(it) => return it.advance(data, &mut blocks.bits, watch),
            Method::Zlib(it) => return it.advance(data, &mut blocks.bits, watch),
            Method::Pigz(it) => return it.advance(data, &mut blocks.bits, watch),
            Method::Search(search) => search,
        };
        let count = search.advance(data, blocks, watch);
        if search.doubt != Doubt::Open {
            return count;
        }
        search.doubt = Doubt::Settled;
        let edge = search.edge();
        self.doubts.push(edge);
        if self.branches.is_some() {
            let mut other = self.clone();
            if let Method::Search(search) = &mut other.method {
                search.early.push(edge);
            }
            self.branches.get_or_insert_default().push(other);
        }
        count
    }

    /// Returns what came out and was not taken yet.
    pub(super) fn ready(&self) -> &[u8] {
        self.blocks.bits.ready()
    }

    fn clear(&mut self) {
        self.blocks.bits.clear_first(self.blocks.bits.ready().len());
    }

    /// Forgets the first bytes of what came out: somebody has them.
    pub(super) fn clear_first(&mut self, count: usize) {
        self.blocks.bits.clear_first(count);
    }

    /// Whether the end of a block was reached that [`Encoder::until`] names.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.watch.stopped
    }

    /// Takes the checkpoints that came to be since this was last called.
    pub fn take_checkpoints(&mut self) -> Vec<Checkpoint> {
        std::mem::take(&mut self.watch.taken)
    }

    /// Ends: with the end of the stream, or where it was told to stop.
    ///
    /// # Errors
    /// Those of writing; [`io::ErrorKind::InvalidInput`] when no block ended at [`Encoder::until`].
    pub fn finish(&mut self, to: &mut (impl Write + ?Sized)) -> io::Result<()> {
        self.end();
        to.write_all(self.ready())?;
        self.clear();
        if self.watch.until.is_some() && !self.is_stopped() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no block ends where to stop"));
        }
        Ok(())
    }

    /// Deals with the input that waits, and ends the stream, if it is not to be stopped before.
    pub(super) fn end(&mut self) {
        if self.is_stopped() {
            return;
        }
        match &mut self.method {
            Method::Plain(plain) => plain.finish(&mut self.blocks),
            Method::Fast(fast) => fast.finish(&mut self.blocks),
            Method::Search(search) => search.finish(&mut self.blocks, &mut self.watch),
            // these end a stream by themselves
            Method::Blocks(it) => return it.finish(&mut self.blocks.bits),
            Method::Klauspost(it) => return it.finish(&mut self.blocks.bits),
            Method::Zlib(it) => return it.finish(&mut self.blocks.bits, &mut self.watch),
            Method::Pigz(it) => return it.finish(&mut self.blocks.bits, &mut self.watch),
        }
        if self.watch.until.is_none() {
            self.blocks.stored(&[], true);
        }
    }
}
