//! Compact archives made by hand: what a writer does, in its simplest form.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use barge::compact::{
    BaseBytes, BaseLayer, CompactIndex, CompactLayer, Cut, Cutter, Frame, Guide, LARGEST_FRAME, LARGEST_PREFIX, Packer,
    Piece, Pieces, Recipe, Space, Span, Step, Stock,
};
use barge::digest::Digest;
use barge::regzip::{Encoder, Header, Level, Packed, Trailer, Way};

/// What of a tar is content, with its name, and what is heads.
pub(crate) enum Part {
    Heads(Vec<u8>),
    Content(Vec<u8>, Vec<u8>),
}

/// Cuts a tar.
pub(crate) fn parts(plain: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut take = |cut: Cut<'_>| {
        match (cut, parts.last_mut()) {
            (Cut::Heads(bytes), Some(Part::Heads(before))) => before.extend_from_slice(bytes),
            (Cut::Heads(bytes), _) => parts.push(Part::Heads(bytes.to_vec())),
            (Cut::File { name, .. }, _) => parts.push(Part::Content(name.to_vec(), Vec::new())),
            (Cut::Rest, _) => parts.push(Part::Content(Vec::new(), Vec::new())),
            (Cut::Content(bytes), Some(Part::Content(_, before))) => before.extend_from_slice(bytes),
            (Cut::Content(_), _) => panic!("content of nothing"),
        }
        Ok::<_, Infallible>(())
    };
    let mut cutter = Cutter::new();
    cutter.write(plain, &mut take).unwrap();
    cutter.finish(&mut take).unwrap();
    parts
}

/// Packs as Go does, and says what is needed to do it again.
pub(crate) fn packed(plain: &[u8], level: i8, every: u64) -> (Vec<u8>, Packer, Guide) {
    let level = Level::new(level).unwrap();
    let header = Header::plain(level).to_bytes();
    let mut encoder = Encoder::new(level).checkpoints_every(every);
    let mut bytes = header.clone();
    encoder.write(plain, &mut bytes).unwrap();
    encoder.finish(&mut bytes).unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(plain);
    let trailer = Trailer { crc32: crc.sum(), size: plain.len() as u32 }.to_bytes().to_vec();
    bytes.extend(&trailer);
    let guide = Guide { early: Vec::new(), checkpoints: encoder.take_checkpoints() };
    (bytes, Packer::Gzip { way: Way::Go(level), header, trailer }, guide)
}

/// One zstd frame, made against a prefix.
pub(crate) fn frame(bytes: &[u8], prefix: &[u8]) -> Vec<u8> {
    use zstd::zstd_safe::{CCtx, CParameter};
    let mut context = CCtx::create();
    context.set_parameter(CParameter::CompressionLevel(3)).unwrap();
    context.set_parameter(CParameter::WindowLog(25)).unwrap();
    context.ref_prefix(prefix).unwrap();
    let mut out = Vec::with_capacity(zstd::zstd_safe::compress_bound(bytes.len()));
    context.compress2(&mut out, bytes).unwrap();
    out
}

/// A compact archive under way. Piece 0 is its one pack.
#[derive(Default)]
pub(crate) struct Maker {
    pool: Vec<u8>,
    known: HashMap<Digest, Span>,
    /// By base and name.
    old: HashMap<Vec<u8>, (Span, Vec<u8>)>,
    old_heads: Option<(Span, Vec<u8>)>,
    pack: Vec<u8>,
    index: CompactIndex,
    bases: Vec<InBase>,
}

/// A base: its plain bytes, its heads, and itself.
type InBase = (Vec<u8>, Vec<u8>, Vec<u8>);

/// A compact archive without the archive.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) index: CompactIndex,
    pub(crate) pieces: Vec<Vec<u8>>,
    pub(crate) bases: Vec<InBase>,
    /// Whether the bases can be read as they are packed.
    pub(crate) is_packed: bool,
}

impl Maker {
    pub(crate) fn base(&mut self, layer: &[u8], plain: &[u8]) {
        let number = self.index.bases.len() as u32;
        self.index.bases.push(BaseLayer {
            digest: Digest::of(layer),
            size: layer.len() as u64,
            diff_id: Digest::of(plain),
            plain: plain.len() as u64,
            image: Some("example.com/app:v1".to_owned()),
        });
        let (mut at, mut heads) = (0, Vec::new());
        for part in parts(plain) {
            match part {
                Part::Heads(bytes) => {
                    at += bytes.len();
                    heads.extend(bytes);
                }
                Part::Content(name, bytes) => {
                    let span = Span { space: Space::Base(number), from: at as u64, length: bytes.len() as u64 };
                    at += bytes.len();
                    self.known.insert(Digest::of(&bytes), span);
                    self.old.insert(name, (span, bytes));
                }
            }
        }
        let span = Span { space: Space::BaseHeads(number), from: 0, length: heads.len() as u64 };
        self.old_heads = Some((span, heads.clone()));
        self.bases.push((plain.to_vec(), heads, layer.to_vec()));
    }

    pub(crate) fn put(&mut self, bytes: &[u8], prefix: &[u8]) -> Frame {
        let frame = frame(bytes, prefix);
        let (offset, length) = (self.pack.len() as u64, frame.len() as u64);
        self.pack.extend(frame);
        Frame { piece: 0, offset, length, plain: bytes.len() as u64 }
    }

    fn content(&mut self, name: &[u8], bytes: &[u8]) -> Step {
        let digest = Digest::of(bytes);
        if let Some(span) = self.known.get(&digest) {
            return Step::Copy(*span);
        }
        if let Some((span, old)) = self.old.get(name).cloned()
            && span.length <= LARGEST_PREFIX
        {
            return Step::Patch { frame: self.put(bytes, &old), against: Some(span) };
        }
        let span = Span { space: Space::Pool, from: self.pool.len() as u64, length: bytes.len() as u64 };
        self.pool.extend_from_slice(bytes);
        self.known.insert(digest, span);
        Step::Copy(span)
    }

    /// Returns how its plain bytes come to be.
    pub(crate) fn recipe(&mut self, plain: &[u8]) -> Recipe {
        let (mut recipe, mut heads) = (Recipe::default(), Vec::new());
        for part in parts(plain) {
            match part {
                Part::Heads(bytes) => {
                    recipe.body.push(Step::Heads(bytes.len() as u64));
                    heads.extend(bytes);
                }
                Part::Content(name, bytes) => {
                    for piece in bytes.chunks(LARGEST_FRAME as usize) {
                        let step = self.content(&name, piece);
                        recipe.body.push(step);
                    }
                }
            }
        }
        let old = self.old_heads.clone();
        for piece in heads.chunks(LARGEST_FRAME as usize) {
            let prefix = old.as_ref().map_or(&[][..], |(_, heads)| heads);
            let frame = self.put(piece, prefix);
            recipe.heads.push(Step::Patch { frame, against: old.as_ref().map(|(span, _)| *span) });
        }
        recipe
    }

    /// Adds a layer, and returns its bytes. Level `None`: not packed.
    pub(crate) fn layer(&mut self, plain: &[u8], level: Option<i8>, every: u64) -> Vec<u8> {
        let recipe = self.recipe(plain);
        self.layer_by(&recipe, plain, level, every)
    }

    pub(crate) fn layer_by(&mut self, recipe: &Recipe, plain: &[u8], level: Option<i8>, every: u64) -> Vec<u8> {
        let (bytes, packer, guide) = match level {
            Some(level) => packed(plain, level, every),
            None => (plain.to_vec(), Packer::None, Guide::default()),
        };
        let recipe = recipe.encode();
        let recipe = vec![self.put(&recipe, &[])];
        let guide = if level.is_some() { vec![self.put(&guide.encode(), &[])] } else { Vec::new() };
        self.index.layers.push(CompactLayer {
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
            diff_id: Digest::of(plain),
            plain: plain.len() as u64,
            packer,
            recipe,
            guide,
            echoes: Vec::new(),
        });
        bytes
    }

    pub(crate) fn finish(mut self) -> Made {
        let mut pieces = vec![self.pack];
        let mut pools = Vec::new();
        for pool in self.pool.chunks(LARGEST_FRAME as usize) {
            pieces.push(frame(pool, &[]));
            pools.push(pool.len() as u64);
        }
        let pools = std::iter::once(None).chain(pools.into_iter().map(Some));
        let piece = |(bytes, pool): (&Vec<u8>, _)| Piece { digest: Digest::of(bytes), size: bytes.len() as u64, pool };
        self.index.pieces = pieces.iter().zip(pools).map(piece).collect();
        self.index.barge = "test".to_owned();
        Made { index: self.index, pieces, bases: self.bases, is_packed: true }
    }
}

struct InMemory(Vec<Vec<u8>>);

impl Pieces for InMemory {
    fn read(&self, piece: u32) -> io::Result<Vec<u8>> {
        self.0.get(piece as usize).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Made {
    pub(crate) fn stock(&self, threads: usize) -> Arc<Stock> {
        let stock = self.stock_without_bases(threads);
        for (number, (plain, heads, layer)) in self.bases.iter().enumerate() {
            let (plain, heads_length) = (Box::new(plain.clone()), heads.len() as u64);
            let packed: Option<Arc<dyn Packed>> = self.is_packed.then(|| Arc::new(layer.clone()) as _);
            stock.provide(number, BaseBytes { plain, heads: Box::new(heads.clone()), heads_length, packed });
        }
        stock
    }

    pub(crate) fn stock_without_bases(&self, threads: usize) -> Arc<Stock> {
        let pieces = Box::new(InMemory(self.pieces.clone()));
        Arc::new(Stock::new(self.index.clone(), pieces, NonZeroUsize::new(threads).unwrap()))
    }
}
