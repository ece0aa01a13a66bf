//! A reader of a layer that is made again: its plain bytes are packed as they were, by several threads.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use super::crew::Place;
use super::{CompactLayer, Echoes, Guide, LARGEST_ECHOES, LARGEST_GUIDE, Packer, Plain, RebuildError, Stock};
use crate::regzip::{Checkpoint, Echo, Encoder, HISTORY, LOOKAHEAD, Packed, ReadError, Way};

/// Checkpoints nearer to each other are not all used: an encoder costs as much as some hundred KiB of data.
const SMALLEST: u64 = 512 << 10;
/// What is longer between checkpoints is packed by whoever reads, in pieces, and not held as a whole: 8 MiB.
const LARGEST: u64 = 8 << 20;
/// How much is packed at once by whoever reads.
const STEP: usize = 256 << 10;

/// A layer, as it comes to be. Whether it is right is for a [`BlobReader`](crate::blob::BlobReader) to see.
pub struct Rebuild(Kind);

impl fmt::Debug for Rebuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rebuild").finish_non_exhaustive()
    }
}

enum Kind {
    Plain(Plain),
    Go(Box<Go>),
}

impl Rebuild {
    /// Reads recipe and guide of a layer, and prepares to make it.
    ///
    /// # Errors
    /// As [`Plain::open`], and when the guide is none.
    pub fn open(stock: &Arc<Stock>, layer: &CompactLayer) -> Result<Self, RebuildError> {
        let plain = Plain::open(stock, layer)?;
        let Packer::Gzip { way, header, trailer } = &layer.packer else { return Ok(Self(Kind::Plain(plain))) };
        let guide = match &*layer.guide {
            [] => Guide::default(),
            frames => Guide::parse(&stock.frames(frames, LARGEST_GUIDE, "guide")?)?,
        };
        Ok(Self(Kind::Go(Box::new(Go {
            stock: Arc::clone(stock),
            way: *way,
            early: guide.early,
            starts: starts(guide.checkpoints, layer.plain),
            echoes: if way.takes_echoes() { echoes(stock, layer)? } else { VecDeque::new() },
            supply: Supply { plain, length: layer.plain, begin: 0, bytes: Vec::new() },
            under_way: VecDeque::new(),
            own: None,
            ready: header.clone(),
            taken: 0,
            trailer: Some(trailer.clone()),
        }))))
    }
}

impl Read for Rebuild {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Plain(plain) => plain.read(buffer),
            Kind::Go(packed) => Ok(packed.take(buffer)?),
        }
    }
}

/// Returns where encoders begin: at the start, and at those checkpoints that lie far enough from each other and the end.
fn starts(checkpoints: Vec<Checkpoint>, length: u64) -> VecDeque<Checkpoint> {
    let mut starts = VecDeque::from([Checkpoint::start()]);
    let mut last = 0;
    for one in checkpoints {
        let is_far = one.position - last >= SMALLEST && one.position < length;
        if is_far {
            last = one.position;
            starts.push_back(one);
        }
    }
    starts
}

/// A stretch whose tokens are known, and where.
type Known = (Echo, Arc<dyn Packed>);

/// Returns the echoes of a layer, as far as those bases are at hand as they are packed.
fn echoes(stock: &Stock, layer: &CompactLayer) -> Result<VecDeque<Known>, RebuildError> {
    let echoes = Echoes::parse(&stock.frames(&layer.echoes, LARGEST_ECHOES, "list of echoes")?)?;
    let mut known = VecDeque::with_capacity(echoes.0.len());
    for (base, echo) in echoes.0 {
        match stock.packed(base) {
            Ok(packed) => known.extend(packed.map(|packed| (echo, packed))),
            // whether the layer needs it is for its recipe to say
            Err(RebuildError::Base(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(known)
}

/// What a thread will have packed.
type Packing = Receiver<Result<Vec<u8>, RebuildError>>;

/// A layer that Go packed.
struct Go {
    stock: Arc<Stock>,
    way: Way,
    early: Vec<u64>,
    /// Where the segments begin that nobody has begun.
    starts: VecDeque<Checkpoint>,
    /// What is known of these.
    echoes: VecDeque<Known>,
    supply: Supply,
    /// The segments that threads pack, in order.
    under_way: VecDeque<(Packing, Place)>,
    /// The segment that is packed here, before all that are under way.
    own: Option<Own>,
    /// What is packed, and how much of it was handed out.
    ready: Vec<u8>,
    taken: usize,
    trailer: Option<Vec<u8>>,
}

/// A segment that is packed by whoever reads.
struct Own {
    encoder: Encoder,
    /// How far the encoder has taken plain bytes, and how far it wants them.
    at: u64,
    end: u64,
}

/// A segment: what an encoder needs to pack it.
struct Segment {
    from: Checkpoint,
    /// Where it ends. None: at the end of the layer.
    until: Option<u64>,
    /// How far plain bytes are wanted for it.
    end: u64,
    early: Vec<u64>,
    echoes: Vec<Known>,
}

impl Segment {
    fn encoder(&self, way: Way, history: &[u8]) -> Result<Encoder, RebuildError> {
        let encoder = match self.from.position {
            0 => Encoder::new(way),
            _ => Encoder::resume(way, &self.from, history)?,
        };
        let encoder = encoder.early(&self.early).echoing(self.echoes.clone());
        Ok(match self.until {
            Some(until) => encoder.until(until),
            None => encoder,
        })
    }

    /// Packs it at once, of its history and what follows that.
    fn packed(&self, way: Way, bytes: &[u8], history: usize) -> Result<Vec<u8>, RebuildError> {
        let (history, bytes) = bytes.split_at(history);
        let mut encoder = self.encoder(way, history)?;
        let mut packed = Vec::with_capacity(bytes.len() / 2);
        encoder.write(bytes, &mut packed)?;
        finish(&mut encoder, &mut packed)?;
        Ok(packed)
    }
}

/// Ends an encoder; that it cannot stop where it was told to is the fault of the guide.
fn finish(encoder: &mut Encoder, to: &mut Vec<u8>) -> Result<(), RebuildError> {
    let finished = encoder.finish(to);
    if let Some(failure) = encoder.echo_failure() {
        return Err(match &*failure {
            ReadError::Io(error) => io::Error::new(error.kind(), Arc::clone(&failure)).into(),
            ReadError::Wrong(reason) => RebuildError::Wrong(format!("its echoes are wrong: {reason}")),
        });
    }
    finished.map_err(|error| RebuildError::Wrong(format!("its guide is wrong: at a checkpoint, {error}")))
}

impl Go {
    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, RebuildError> {
        while self.taken == self.ready.len() && !buffer.is_empty() {
            self.taken = 0;
            self.ready.clear();
            if !self.advance()? {
                return Ok(0);
            }
        }
        let rest = &self.ready[self.taken..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }

    /// Makes more ready, perhaps nothing yet. False: all was.
    fn advance(&mut self) -> Result<bool, RebuildError> {
        if let Some(own) = &mut self.own {
            let is_done = own.step(&mut self.supply, &mut self.ready)?;
            if is_done {
                self.own = None;
            }
            return Ok(true);
        }
        while self.under_way.len() <= self.stock.crew.threads() && self.hand_out()? {}
        if let Some((segment, _place)) = self.under_way.pop_front() {
            self.ready = segment.recv().map_err(|_| io::Error::other("a thread that packs has failed"))??;
            return Ok(true);
        }
        if let Some(segment) = self.next_segment() {
            self.own = Some(self.begin(&segment)?);
            return Ok(true);
        }
        match self.trailer.take() {
            Some(trailer) => {
                self.ready = trailer;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Gives the next segment to a thread. False: there is none, it is too long, or there is no place.
    fn hand_out(&mut self) -> Result<bool, RebuildError> {
        let Some(from) = self.starts.front() else { return Ok(false) };
        let end = self.starts.get(1).map_or(self.supply.length, |next| next.position);
        if end - from.position > LARGEST {
            return Ok(false);
        }
        let Some(place) = self.stock.crew.place() else { return Ok(false) };
        let Some(segment) = self.next_segment() else { return Ok(false) };
        let way = self.way;
        let history = segment.from.history(way);
        let bytes = self.supply.range(segment.from.position - history as u64, segment.end)?.to_vec();
        let (send, receive) = channel();
        let job = move || drop(send.send(segment.packed(way, &bytes, history)));
        if let Err(job) = self.stock.crew.send(Box::new(job)) {
            job();
        }
        self.under_way.push_back((receive, place));
        Ok(true)
    }

    /// Begins to pack a segment here.
    fn begin(&mut self, segment: &Segment) -> Result<Own, RebuildError> {
        let at = segment.from.position;
        let history = self.supply.range(at - segment.from.history(self.way) as u64, at)?;
        Ok(Own { encoder: segment.encoder(self.way, history)?, at, end: segment.end })
    }

    fn next_segment(&mut self) -> Option<Segment> {
        /// An edge counts that lies in a window of the segment.
        const AROUND: u64 = 4 * HISTORY as u64;
        let from = self.starts.pop_front()?;
        let until = self.starts.front().map(|next| next.position);
        let end = until.map_or(self.supply.length, |until| self.supply.length.min(until + LOOKAHEAD as u64));
        let first = self.early.partition_point(|edge| *edge < from.position.saturating_sub(AROUND));
        let last = self.early.partition_point(|edge| *edge < end.saturating_add(AROUND));
        let early = self.early[first..last].to_vec();
        // one that goes on behind the end is cut there
        let mine = self.echoes.partition_point(|(echo, _)| until.is_none_or(|until| echo.at < until));
        let echoes = self.echoes.drain(..mine).collect();
        Some(Segment { from, until, end, early, echoes })
    }
}

impl Own {
    /// Packs some more. True: that was all.
    fn step(&mut self, supply: &mut Supply, to: &mut Vec<u8>) -> Result<bool, RebuildError> {
        let next = self.end.min(self.at + STEP as u64);
        self.encoder.write(supply.range(self.at, next)?, to)?;
        self.at = next;
        if next < self.end {
            return Ok(false);
        }
        finish(&mut self.encoder, to)?;
        Ok(true)
    }
}

/// Plain bytes in order, of which the last are held as long as somebody may look back at them.
struct Supply {
    plain: Plain,
    /// How many there are altogether.
    length: u64,
    /// Where those that are held begin.
    begin: u64,
    bytes: Vec<u8>,
}

impl Supply {
    /// Returns the bytes of a range, which is not long and begins at most [`HISTORY`] and [`LOOKAHEAD`] before the end of the one
    /// before.
    fn range(&mut self, from: u64, to: u64) -> Result<&[u8], RebuildError> {
        const BEHIND: u64 = (HISTORY + LOOKAHEAD) as u64;
        let held = self.begin + self.bytes.len() as u64;
        if to > held {
            let oldest = from.min(held.saturating_sub(BEHIND));
            self.bytes.drain(..oldest.saturating_sub(self.begin) as usize);
            self.begin = self.begin.max(oldest);
            let before = self.bytes.len();
            self.bytes.resize(before + (to - held) as usize, 0);
            let count = self.plain.fill(&mut self.bytes[before..])?;
            if before + count < self.bytes.len() {
                return Err(RebuildError::Wrong("its recipe ends too early".to_owned()));
            }
        }
        let range = from.checked_sub(self.begin).zip(to.checked_sub(self.begin));
        let bytes = range.and_then(|(from, to)| self.bytes.get(from as usize..to as usize));
        bytes.ok_or_else(|| RebuildError::Wrong("its checkpoints go back too far".to_owned()))
    }
}
