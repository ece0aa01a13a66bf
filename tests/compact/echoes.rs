//! Echoes: what of an update is packed as it is in its base is not searched once more, and no byte depends on it.

use std::sync::Arc;

use barge::compact::{CompactIndex, Echoes, Space, Step};
use barge::digest::Digest;
use barge::regzip::listen::{Listening, Match, Original, listen};
use barge::regzip::{Echo, Header, Packed};

use crate::environment::Barge;
use crate::inputs::Random;
use crate::packer::{Made, Maker, packed};
use crate::rebuild::read;
use crate::support::image::{GZIP, Images, Layer, named};
use crate::support::tar::{Tar, files};

/// A file system of large files, of which one is another in each version and the headers of all are, if `touched`.
fn system(version: u64, touched: bool) -> Vec<u8> {
    let mut tar = Tar::new();
    for file in 0..6_u64 {
        let content = Random::new(if file == 3 { 100 + version } else { file }).mixed(500_000);
        let name = if touched { format!("usr/{version}/{file}") } else { format!("usr/lib/{file}") };
        tar = tar.file(&name, &content);
    }
    tar.finished()
}

/// An update of a system by hand, and the layer that it yields: with the echoes that are found.
fn update() -> (Made, Vec<u8>, Vec<(u32, Echo)>) {
    let (old, new) = (system(1, true), system(2, true));
    let base = packed(&old, 6, u64::MAX).0;
    let mut maker = Maker::default();
    maker.base(&base, &old);
    let recipe = maker.recipe(&new);
    let layer = maker.layer_by(&recipe, &new, Some(6), 700_000);
    let (mut at, mut matches) = (0, Vec::new());
    for step in &recipe.body {
        if let Step::Copy(span) = step
            && span.space == Space::Base(0)
        {
            matches.push(Match { at, original: 0, from: span.from, length: span.length });
        }
        at += step.length();
    }
    let begun =
        |bytes: &[u8]| (Arc::new(bytes.to_vec()) as Arc<dyn Packed>, 8 * Header::parse(bytes).unwrap().1 as u64);
    let (original, bits) = begun(&base);
    let original = Original::read(original, bits, &|| true).unwrap();
    let (stream, bits) = begun(&layer);
    let to = Listening { originals: &[Some(&original)], matches: &matches, cuts: &[], plain: new.len() as u64 };
    let found = listen(stream, bits, to, &|| true).unwrap();
    let echoes = Echoes(found.into_iter().map(|(base, echo)| (base as u32, echo)).collect());
    let frame = maker.put(&echoes.encode(), &[]);
    let mut made = maker.finish();
    made.index.layers[0].echoes = vec![frame];
    (made, layer, echoes.0)
}

/// The same with other echoes.
fn with(made: &Made, echoes: &[(u32, Echo)]) -> Made {
    let mut maker = Maker::default();
    let frame = maker.put(&Echoes(echoes.to_vec()).encode(), &[]);
    let mut made = made.clone();
    let other = maker.finish();
    made.index.layers[0].echoes = vec![barge::compact::Frame { piece: made.index.pieces.len() as u32, ..frame }];
    made.index.pieces.push(other.index.pieces[0]);
    made.pieces.push(other.pieces[0].clone());
    made
}

#[test]
fn a_layer_is_the_same_with_echoes_and_without() {
    let (made, layer, echoes) = update();
    let length: u64 = echoes.iter().map(|(_, echo)| echo.length).sum();
    // five files of six, but for the beginning and the end of each
    assert!(length > 1_900_000, "{length} in {echoes:?}");
    for threads in [1, 4] {
        assert!(read(&made.stock(threads), 0, 1 << 16).unwrap() == layer);
    }
    assert!(read(&with(&made, &[]).stock(2), 0, 1 << 16).unwrap() == layer);
    assert!(read(&with(&made, &echoes[1..]).stock(2), 0, 1 << 16).unwrap() == layer);
    // a base that cannot be read as it is packed: all is searched
    assert!(read(&Made { is_packed: false, ..made }.stock(2), 0, 1 << 16).unwrap() == layer);
}

#[test]
fn echoes_that_lie_are_seen() {
    let (made, layer, echoes) = update();
    let (base, echo) = echoes[0];
    let outcome = |echo: (u32, Echo)| read(&with(&made, &[echo]).stock(2), 0, 1 << 16);
    let failure = |echo| outcome((base, echo)).map(|_| ()).map_err(|error| error.to_string()).unwrap_err();
    // that they are followed at all is seen by this
    for (wrong, said) in [
        (Echo { bits: echo.bits + 1, ..echo }, "its echoes are wrong"),
        (Echo { bits: 1 << 60, ..echo }, "its echoes are wrong: it ends too early"),
        (Echo { length: echo.length - 1, ..echo }, "its echoes are wrong: no token ends there"),
        (Echo { skip: echo.skip + 1, length: 1 << 20, ..echo }, "its echoes are wrong"),
    ] {
        let got = failure(wrong);
        assert!(got.contains(said), "{wrong:?}: {got}");
    }
    // other bytes come out than the digest says
    let other = echoes.iter().find(|(_, other)| other.bits != echo.bits).unwrap().1;
    for wrong in [Echo { bits: other.bits, skip: other.skip, ..echo }, Echo { length: 1 << 61, ..echo }] {
        let got = outcome((base, wrong));
        assert!(got.is_err() || got.is_ok_and(|bytes| Digest::of(&bytes) != Digest::of(&layer)), "{wrong:?}");
    }
    // nobody comes to be there
    assert!(outcome((base, Echo { at: echo.at + 1, ..echo })).unwrap() == layer);
    let absent = outcome((7, echo)).map(|_| ()).unwrap_err().to_string();
    assert!(absent.contains("base 7, which is not in the index"), "{absent}");
    let small = failure(Echo { length: 5, ..echo });
    assert!(small.contains("not worth what it takes"), "{small}");
}

#[test]
fn updates_have_echoes_and_are_loaded_and_pushed_with_them() {
    let barge = Barge::new();
    for version in [1, 2] {
        let plain = system(version, false);
        let layer = Layer { media_type: GZIP, bytes: packed(&plain, 6, u64::MAX).0, ..Layer::plain(&plain) };
        let mut images = Images::new();
        let image = images.image("linux/amd64", &[layer]);
        images.root(named(image, &format!("v{version}")));
        images.layout(&barge.path(format!("v{version}")));
    }
    barge.line("save --compact -o one.tar v1").exits(0);
    for (base, word) in [("v1", "layout"), ("one.tar", "archive")] {
        barge.line(&format!("save --force --compact --base {base} -o update.tar v2")).exits(0);
        let all = files(&std::fs::read(barge.path("update.tar")).unwrap());
        let (_, text) = all.into_iter().find(|(name, _)| name == "compact.json").unwrap();
        let index = CompactIndex::parse(&text).unwrap();
        // one.tar makes its layer again, and it is kept as it is packed
        assert!(!index.layers[0].echoes.is_empty(), "{base}");
        let site = format!("site-{word}");
        barge.line(&format!("copy v1 {site}")).exits(0);
        barge.line(&format!("load -i update.tar -o {site}")).exits(0);
        barge.line(&format!("verify --deep {site}")).exits(0);
        barge.line(&format!("load -i one.tar -i update.tar -o both-{word}")).exits(0);
        barge.line(&format!("verify --deep both-{word}")).exits(0);
    }
}
