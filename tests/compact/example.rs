//! The worked example of docs/compact-format.md: its bytes are those that come out, and the layer is made of them.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use barge::compact::{
    CompactIndex, CompactLayer, Echoes, Frame, Guide, Packer, Piece, Rebuild, Recipe, Space, Span, Step,
};
use barge::digest::Digest;
use barge::regzip::{Checkpoint, Echo};

use crate::packer::Made;
use crate::support::tar::Tar;

/// A zstd frame of one block, as it is (RFC 8878): of at most 2,047 bytes.
fn raw_frame(bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd];
    match u8::try_from(bytes.len()) {
        Ok(length) => frame.extend([0x20, length]),
        Err(_) => {
            frame.push(0x60);
            frame.extend((bytes.len() as u16 - 256).to_le_bytes());
        }
    }
    frame.extend(&(bytes.len() as u32 * 8 + 1).to_le_bytes()[..3]);
    frame.extend(bytes);
    frame
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_says_what_comes_out() {
    let layer = Tar::new().file("a", b"hello\n").finished();
    let heads: Vec<u8> = [&layer[..512], &layer[518..]].concat();
    let pool = raw_frame(b"hello\n");
    let heads_frame = raw_frame(&heads);
    let at = |offset: usize, frame: &[u8], plain: usize| Frame {
        piece: 0,
        offset: offset as u64,
        length: frame.len() as u64,
        plain: plain as u64,
    };
    let recipe = Recipe {
        heads: vec![Step::Patch { frame: at(0, &heads_frame, heads.len()), against: None }],
        body: vec![
            Step::Heads(512),
            Step::Copy(Span { space: Space::Pool, from: 0, length: 6 }),
            Step::Heads(heads.len() as u64 - 512),
        ],
    }
    .encode();
    let recipe_frame = raw_frame(&recipe);
    let pack = [&heads_frame[..], &recipe_frame].concat();
    let piece = |bytes: &[u8], pool| Piece { digest: Digest::of(bytes), size: bytes.len() as u64, pool };
    let index = CompactIndex {
        barge: "0.1.0".to_owned(),
        bases: vec![],
        pieces: vec![piece(&pack, None), piece(&pool, Some(6))],
        layers: vec![CompactLayer {
            digest: Digest::of(&layer),
            size: layer.len() as u64,
            diff_id: Digest::of(&layer),
            plain: layer.len() as u64,
            packer: Packer::None,
            recipe: vec![at(heads_frame.len(), &recipe_frame, recipe.len())],
            guide: vec![],
            echoes: vec![],
        }],
    };
    let guide = Guide {
        early: vec![65_536],
        checkpoints: vec![Checkpoint {
            position: 2_097_200,
            bits: 5_000_001,
            partial: 1,
            window: 2_064_384,
            waiting: true,
            found: Some((6, 900)),
            findable: None,
        }],
    };
    let text = String::from_utf8(index.encode()).unwrap();
    let first = Echo { at: 638, length: 525_000, bits: 15_944, skip: 1_290 };
    let second = Echo { at: 525_638, length: 131_072, bits: 15_944 + (5 << 27), skip: 0 };
    let echoes = Echoes(vec![(0, first), (1, second)]);
    let made = Made { index, pieces: vec![pack, pool.clone()], bases: vec![], is_packed: false };
    let mut got = Vec::new();
    let stock = made.stock(1);
    Rebuild::open(&stock, &made.index.layers[0]).unwrap().read_to_end(&mut got).unwrap();
    assert!(got == layer);

    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compact-format.md")).unwrap_or_default();
    let blocks = [
        hex(&pool),
        hex(&recipe),
        hex(&guide.encode()),
        hex(&echoes.encode()),
        text.trim_end().replace('\n', "\n    "),
    ];
    let missing: Vec<&String> = blocks.iter().filter(|block| !page.contains(&**block)).collect();
    assert!(
        missing.is_empty(),
        "the page lacks:\n\n    {}",
        missing.iter().map(|it| it.as_str()).collect::<Vec<_>>().join("\n\n    ")
    );
}
