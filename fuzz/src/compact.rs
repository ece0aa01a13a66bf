//! Compact archives: documents that lie, and layers that are made of them.

use std::io::Read as _;
use std::num::NonZeroUsize;
use std::sync::Arc;

use barge::compact::{
    BaseBytes, BaseLayer, CompactIndex, CompactLayer, Echoes, Frame, Guide, Packer, Piece, Pieces, Rebuild, Recipe,
    Stock,
};
use barge::digest::Digest;
use barge::regzip::{Encoder, Level, Way};

use super::shown;

/// How many plain bytes are read of a layer at most.
const MOST: u64 = 1 << 20;

struct InMemory(Vec<Vec<u8>>);

impl Pieces for InMemory {
    fn read(&self, piece: u32) -> std::io::Result<Vec<u8>> {
        self.0.get(piece as usize).cloned().ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }
}

/// The documents come back as they were read, and a layer by any recipe and any guide is made or refused.
///
/// The first byte says what the rest is: an index, or a packer, and then a recipe and a guide, or a recipe and echoes.
pub fn compact(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else { return };
    if *kind == 0 {
        match CompactIndex::parse(rest) {
            Ok(index) => assert_eq!(CompactIndex::parse(&index.encode()).ok(), Some(index)),
            Err(error) => shown(&error),
        }
        return;
    }
    let Some((length, rest)) = rest.split_first_chunk() else { return };
    let (recipe, guide) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
    let plain = match Recipe::parse(recipe) {
        Ok(read) => {
            assert_eq!(Recipe::parse(&read.encode()).as_ref(), Ok(&read));
            read.length()
        }
        Err(error) => {
            shown(&error);
            1
        }
    };
    match Guide::parse(guide) {
        Ok(read) => assert_eq!(Guide::parse(&read.encode()), Ok(read)),
        Err(error) => shown(&error),
    }
    match Echoes::parse(guide) {
        Ok(read) => assert_eq!(Echoes::parse(&read.encode()), Ok(read)),
        Err(error) => shown(&error),
    }
    let (guide, echoes) = if *kind < 180 { (guide, &[][..]) } else { (&[][..], guide) };
    if plain <= MOST {
        make(i8::try_from(kind % 60).unwrap_or(0) - 2, recipe, guide, echoes, plain);
    }
}

/// Go's levels by their numbers, and some of what the others do.
fn way(number: i8) -> Option<Way> {
    let block = Some(32 << 10);
    match number {
        -2..=9 => Way::of("go1.19", number, None),
        11..=19 => Way::of("zlib", number - 10, None),
        20..=29 => Way::of("barge", number - 20, block),
        30..=34 => Way::of("gzip", 2 * (number - 30) + 1, None),
        37..=39 => Way::of("pigz", number - 33, block),
        41..=43 => Way::of("pigz-single", 2 * (number - 41) + 1, block),
        47 => Way::of("pigz-independent", 6, block),
        35 | 36 => Way::of("klauspost1.15", number - 30, None),
        51..=54 => Way::of("klauspost1.18.1", number - 50, block),
        45 | 46 => Way::of("klauspost1.15", number - 40, block),
        55 | 56 => Way::of("klauspost1.18.1", number - 50, block),
        _ => None,
    }
}

/// Makes a layer; a pool, a base and its heads have 64 KiB each.
fn make(packer: i8, recipe: &[u8], guide: &[u8], echoes: &[u8], plain: u64) {
    let bytes: Vec<u8> = (0..65_536_u32).map(|at| ((at * at) >> 7) as u8).collect();
    let mut pack = Vec::new();
    let mut frame = |content: &[u8]| {
        let packed = zstd::bulk::compress(content, 1).expect("a frame");
        let (offset, length) = (pack.len() as u64, packed.len() as u64);
        pack.extend(packed);
        Frame { piece: 1, offset, length, plain: content.len() as u64 }
    };
    let recipe = vec![frame(recipe)];
    let [guide, echoes] = [guide, echoes].map(|it| if it.is_empty() { Vec::new() } else { vec![frame(it)] });
    let mut echoed = Vec::new();
    let mut encoder = Encoder::new(Level::USUAL);
    let written = encoder.write(&bytes.repeat(4), &mut echoed).and_then(|()| encoder.finish(&mut echoed));
    written.expect("a vector takes everything");
    // frames that a recipe may find: at 0 of the second pack
    let other = zstd::bulk::compress(&bytes[..5000], 1).expect("a frame");
    let pieces = vec![zstd::bulk::compress(&bytes, 1).expect("a pool"), pack, other];
    let pools = [Some(bytes.len() as u64), None, None];
    let digest = Digest::of(b"a layer");
    let packer = way(packer).map_or(Packer::None, |way| Packer::Gzip { way, header: vec![], trailer: vec![] });
    let piece = |(bytes, pool): (&Vec<u8>, _)| Piece { digest: Digest::of(bytes), size: bytes.len() as u64, pool };
    let index = CompactIndex {
        barge: String::new(),
        bases: vec![BaseLayer { digest, size: 1, diff_id: digest, plain: bytes.len() as u64, image: None }],
        pieces: pieces.iter().zip(pools).map(piece).collect(),
        layers: vec![CompactLayer { digest, size: 1, diff_id: digest, plain, packer, recipe, guide, echoes }],
    };
    let stock = Arc::new(Stock::new(index, Box::new(InMemory(pieces)), NonZeroUsize::MIN));
    let heads = Box::new(bytes.clone());
    stock.provide(0, BaseBytes { plain: Box::new(bytes), heads, heads_length: 65_536, packed: Some(Arc::new(echoed)) });
    match Rebuild::open(&stock, &stock.index().layers[0]) {
        Ok(mut layer) => {
            let mut made = Vec::new();
            match layer.read_to_end(&mut made) {
                Ok(_) => assert!(made.len() as u64 <= 2 * plain + 65_536),
                Err(error) => shown(&error),
            }
        }
        Err(error) => shown(&error),
    }
}
