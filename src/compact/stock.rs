//! What layers are made again of: pools, frames and bases, read by position and checked.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::crew::Crew;
use super::recipe::Steps;
use super::{BaseLayer, CompactIndex, CompactLayer, Frame, LARGEST_PREFIX, LARGEST_RECIPE, RebuildError, Space, Span};
use crate::regzip::Packed;

/// How many pieces are kept, unpacked if they are pools: 64 MiB of them.
const KEPT: usize = 8;

/// Where pieces come from.
pub trait Pieces: Send + Sync {
    /// Returns the bytes of a piece, by its number in the index, as they stand there: what checks them is the [`Stock`].
    ///
    /// # Errors
    /// As the system says, and when it is not there.
    fn read(&self, piece: u32) -> io::Result<Vec<u8>>;
}

/// Bytes at rest that are read by position, from several threads.
pub trait Bytes: Send + Sync {
    /// Fills the buffer with the bytes from `offset` on.
    ///
    /// # Errors
    /// As the system says, and when there are not as many.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl Bytes for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }
}

impl Bytes for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..));
        let found = rest.and_then(|rest| rest.get(..buffer.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(found);
        Ok(())
    }
}

/// What there is of a base: whoever provides it has checked it.
pub struct BaseBytes {
    /// Its plain bytes, as many as the index says.
    pub plain: Box<dyn Bytes>,
    /// Those of them that are no content of its files, by [`Cutter`](super::Cutter).
    pub heads: Box<dyn Bytes>,
    /// How many those are.
    pub heads_length: u64,
    /// Its packed bytes, where they can be read by position.
    pub packed: Option<Arc<dyn Packed>>,
}

impl fmt::Debug for BaseBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaseBytes").field("heads_length", &self.heads_length).finish_non_exhaustive()
    }
}

/// Where bases are looked for when they are first needed.
pub trait Bases: Send + Sync {
    /// Finds a base, and checks it. `None` when it is nowhere.
    ///
    /// # Errors
    /// When it is there and cannot be used.
    fn find(&self, base: &BaseLayer) -> io::Result<Option<BaseBytes>>;

    /// Returns whether it is somewhere, without reading it.
    ///
    /// # Errors
    /// When that cannot be told.
    fn has(&self, base: &BaseLayer) -> io::Result<bool> {
        self.find(base).map(|found| found.is_some())
    }
}

/// What a compact archive has in stock, and where it is found. It is shared by all that make layers of it.
///
/// Of pieces only a few are held, whatever the size of the archive and the number of readers.
pub struct Stock {
    index: CompactIndex,
    pieces: Box<dyn Pieces>,
    /// The pools by where they begin in their space, and how long that is.
    pools: Vec<(u64, u32)>,
    pool_length: u64,
    bases: Vec<OnceLock<BaseBytes>>,
    finder: OnceLock<Box<dyn Bases>>,
    finding: Mutex<()>,
    kept: Mutex<Vec<Arc<Slot>>>,
    pub(super) crew: Crew,
}

impl fmt::Debug for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stock").field("index", &self.index).finish_non_exhaustive()
    }
}

/// A place for a piece, which the first that wants it fills while others wait.
struct Slot {
    piece: u32,
    bytes: Mutex<Option<Arc<Vec<u8>>>>,
}

impl Stock {
    /// Takes what an index says there is. So many threads pack what is made of it, started when they are needed.
    #[must_use]
    pub fn new(index: CompactIndex, pieces: Box<dyn Pieces>, threads: NonZeroUsize) -> Self {
        let (mut pools, mut pool_length) = (Vec::new(), 0);
        for (number, piece) in (0..).zip(&index.pieces) {
            if let Some(plain) = piece.pool {
                pools.push((pool_length, number));
                // of each at most 8 MiB, and fewer than 2^32 of them
                pool_length += plain;
            }
        }
        let bases = index.bases.iter().map(|_| OnceLock::new()).collect();
        Self {
            index,
            pieces,
            pools,
            pool_length,
            bases,
            finder: OnceLock::new(),
            finding: Mutex::default(),
            kept: Mutex::default(),
            crew: Crew::new(threads),
        }
    }

    /// Returns the index.
    #[must_use]
    pub const fn index(&self) -> &CompactIndex {
        &self.index
    }

    /// Provides a base, by its number in the index. The first that is provided counts.
    pub fn provide(&self, base: usize, bytes: BaseBytes) {
        if let Some(place) = self.bases.get(base) {
            // what was there is as good
            drop(place.set(bytes));
        }
    }

    /// Says who finds the bases that were not provided. The first that is named counts.
    pub fn find_bases_with(&self, finder: Box<dyn Bases>) {
        // one is enough
        drop(self.finder.set(finder));
    }

    /// Returns whether a base was provided, by its number in the index.
    #[must_use]
    pub fn has_base(&self, base: usize) -> bool {
        self.bases.get(base).is_some_and(|place| place.get().is_some())
    }

    /// Returns the bases that are nowhere, in the order of the index.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn missing_bases(&self) -> io::Result<Vec<BaseLayer>> {
        let mut missing = Vec::new();
        for (number, base) in self.index.bases.iter().enumerate() {
            let found = || self.finder.get().map_or(Ok(false), |finder| finder.has(base));
            if !self.has_base(number) && !found()? {
                missing.push(base.clone());
            }
        }
        Ok(missing)
    }

    /// Returns the bases of which a layer takes bytes, by their numbers in the index, wherever they are.
    ///
    /// # Errors
    /// When its recipe is none, or cannot be read.
    pub fn bases_of(&self, layer: &CompactLayer) -> Result<BTreeSet<u32>, RebuildError> {
        let recipe = Arc::from(self.frames(&layer.recipe, LARGEST_RECIPE, "recipe")?);
        let mut bases = BTreeSet::new();
        Steps::check(&recipe, |step| {
            bases.extend(step.base());
            Ok::<_, RebuildError>(())
        })?;
        Ok(bases)
    }

    /// Checks that some bytes are there, without reading them.
    ///
    /// # Errors
    /// When the space is shorter, there is none, or its base was not provided.
    pub(super) fn check(&self, span: &Span) -> Result<(), RebuildError> {
        let length = match span.space {
            Space::Pool => self.pool_length,
            Space::Base(base) => {
                self.base(base)?;
                self.index.bases[base as usize].plain
            }
            Space::BaseHeads(base) => self.base(base)?.heads_length,
        };
        match span.from.checked_add(span.length) {
            Some(end) if end <= length => Ok(()),
            _ => {
                let Span { from, length: taken, .. } = span;
                Err(RebuildError::Wrong(format!("a step takes {taken} bytes from byte {from} of {length}")))
            }
        }
    }

    /// Checks that a frame can be there, without reading it.
    ///
    /// # Errors
    /// When it lies in no pack.
    pub(super) fn check_frame(&self, frame: &Frame) -> Result<(), RebuildError> {
        if self.index.holds(frame) {
            Ok(())
        } else {
            Err(RebuildError::Wrong("a frame lies outside of the packs".to_owned()))
        }
    }

    fn base(&self, base: u32) -> Result<&BaseBytes, RebuildError> {
        let Some(place) = self.bases.get(base as usize) else {
            return Err(RebuildError::Wrong(format!("a step takes from base {base}, which is not in the index")));
        };
        if let Some(bytes) = place.get() {
            return Ok(bytes);
        }
        let said = &self.index.bases[base as usize];
        // who else wants it waits: it is unpacked once
        let _finding = self.finding.lock().unwrap_or_else(PoisonError::into_inner);
        if place.get().is_none()
            && let Some(finder) = self.finder.get()
            && let Some(found) = finder.find(said)?
        {
            drop(place.set(found));
        }
        place.get().ok_or_else(|| RebuildError::Base(Box::new(said.clone())))
    }

    /// Returns the packed bytes of a base, if they can be read by position.
    ///
    /// # Errors
    /// When it is not there, or cannot be used.
    pub(super) fn packed(&self, base: u32) -> Result<Option<Arc<dyn Packed>>, RebuildError> {
        Ok(self.base(base)?.packed.clone())
    }

    /// Reads some bytes of a space from where `span` begins, at most as many as it has and the buffer takes, and at least one;
    /// `span` is what is left then. `pool` is the pool that was read last: steps that follow each other mostly lie in one.
    ///
    /// # Errors
    /// As [`Self::check`], and when a pool is not what the index says, or reading fails.
    pub(super) fn take(&self, span: &mut Span, buffer: &mut [u8], pool: &mut LastPool) -> Result<usize, RebuildError> {
        let room = buffer.len().min(usize::try_from(span.length).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..room];
        let from = span.from;
        let count = match span.space {
            Space::Pool => {
                let rest = self.pool_from(from, pool)?;
                let count = rest.len().min(room);
                buffer[..count].copy_from_slice(&rest[..count]);
                count
            }
            Space::Base(base) => self.base(base)?.plain.read_exact_at(buffer, from).map(|()| room)?,
            Space::BaseHeads(base) => self.base(base)?.heads.read_exact_at(buffer, from).map(|()| room)?,
        };
        span.from += count as u64;
        span.length -= count as u64;
        Ok(count)
    }

    /// Returns the bytes of a pool from a position in their space on.
    fn pool_from<'a>(&self, from: u64, last: &'a mut LastPool) -> Result<&'a [u8], RebuildError> {
        let is_last = from.checked_sub(last.begin).is_some_and(|at| at < last.bytes.len() as u64);
        if !is_last {
            let found = self.pools.partition_point(|(begin, _)| *begin <= from).checked_sub(1).map(|at| self.pools[at]);
            let Some((begin, number)) = found.filter(|_| from < self.pool_length) else {
                return Err(RebuildError::Wrong(format!("there is no byte {from} in the pools")));
            };
            *last = LastPool { begin, bytes: self.piece(number)? };
        }
        Ok(last.bytes.get((from - last.begin) as usize..).unwrap_or_default())
    }

    /// Reads a span whole, which was checked: of at most [`LARGEST_PREFIX`] bytes.
    fn whole(&self, mut span: Span, pool: &mut LastPool) -> Result<Vec<u8>, RebuildError> {
        self.check(&span)?;
        let mut bytes = vec![0; span.length.min(LARGEST_PREFIX) as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            filled += self.take(&mut span, &mut bytes[filled..], pool)?;
        }
        Ok(bytes)
    }

    /// Returns what a frame unpacks to, made against some bytes or against nothing.
    ///
    /// # Errors
    /// When it lies in no pack, is no single frame of so many bytes, or what it needs cannot be read.
    pub(super) fn frame(
        &self,
        frame: &Frame,
        against: Option<Span>,
        pool: &mut LastPool,
    ) -> Result<Vec<u8>, RebuildError> {
        self.check_frame(frame)?;
        let prefix = against.map(|span| self.whole(span, pool)).transpose()?.unwrap_or_default();
        let pack = self.piece(frame.piece)?;
        let packed = pack.get(frame.offset as usize..).and_then(|rest| rest.get(..frame.length as usize));
        let packed = packed.ok_or_else(|| RebuildError::Wrong("a frame goes on behind its pack".to_owned()))?;
        unpacked(packed, &prefix, frame.plain)
            .map_err(|reason| RebuildError::Wrong(format!("the frame at byte {} of a pack {reason}", frame.offset)))
    }

    /// Returns what frames unpack to that follow each other: at most so many bytes.
    ///
    /// # Errors
    /// As [`Self::frame`], and when it is more.
    pub(super) fn frames(&self, frames: &[Frame], most: u64, what: &str) -> Result<Vec<u8>, RebuildError> {
        let sum = frames.iter().fold(0_u64, |sum, frame| sum.saturating_add(frame.plain));
        if sum > most {
            return Err(RebuildError::Wrong(format!("its {what} has {sum} bytes, and may have {most}")));
        }
        let (mut bytes, mut none) = (Vec::new(), LastPool::default());
        for frame in frames {
            bytes.append(&mut self.frame(frame, None, &mut none)?);
        }
        Ok(bytes)
    }

    /// Returns the bytes of a piece that is what its digest says: of a pool, unpacked.
    fn piece(&self, number: u32) -> Result<Arc<Vec<u8>>, RebuildError> {
        let slot = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = match kept.iter().position(|slot| slot.piece == number) {
                Some(at) => kept.remove(at),
                None => Arc::new(Slot { piece: number, bytes: Mutex::default() }),
            };
            kept.truncate(KEPT - 1);
            kept.insert(0, Arc::clone(&slot));
            slot
        };
        let mut held = slot.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = &*held {
            return Ok(Arc::clone(bytes));
        }
        let bytes = Arc::new(self.fetched(number)?);
        *held = Some(Arc::clone(&bytes));
        Ok(bytes)
    }

    fn fetched(&self, number: u32) -> Result<Vec<u8>, RebuildError> {
        let Some(piece) = self.index.pieces.get(number as usize) else {
            return Err(RebuildError::Wrong(format!("there is no piece {number}")));
        };
        let bytes = self.pieces.read(number)?;
        if bytes.len() as u64 != piece.size || !piece.digest.is_of(&bytes) {
            let got = piece.digest.algorithm().digest_of(&bytes);
            return Err(RebuildError::Piece {
                got,
                got_size: bytes.len() as u64,
                expected: piece.digest,
                size: piece.size,
            });
        }
        match piece.pool {
            None => Ok(bytes),
            Some(plain) => unpacked(&bytes, &[], plain)
                .map_err(|reason| RebuildError::Wrong(format!("the piece {} {reason}", piece.digest))),
        }
    }
}

/// The pool that a reader took from last.
#[derive(Default)]
pub(super) struct LastPool {
    begin: u64,
    bytes: Arc<Vec<u8>>,
}

/// Unpacks a frame into exactly as many bytes as it must have: nothing larger is ever made, whatever it says of itself.
fn unpacked(packed: &[u8], prefix: &[u8], plain: u64) -> Result<Vec<u8>, String> {
    let spoilt = |code| format!("is spoilt: {}", zstd::zstd_safe::get_error_name(code));
    let length = zstd::zstd_safe::find_frame_compressed_size(packed).map_err(spoilt)?;
    if length != packed.len() {
        return Err("is more than a zstd frame".to_owned());
    }
    let mut bytes = vec![0; usize::try_from(plain).map_err(|_| "is too large".to_owned())?];
    let mut context = zstd::zstd_safe::DCtx::try_create().ok_or_else(|| "needs memory that is not there".to_owned())?;
    if !prefix.is_empty() {
        context.ref_prefix(prefix).map_err(spoilt)?;
    }
    let got = context.decompress(&mut bytes[..], packed).map_err(spoilt)?;
    if got == bytes.len() { Ok(bytes) } else { Err(format!("unpacks to {got} bytes, expected {plain}")) }
}
