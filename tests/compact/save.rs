//! Making compact archives: what becomes of layers, the same on any number of cores, and what comes out again.

use std::num::NonZeroUsize;
use std::sync::Arc;

use barge::blob::BlobReader;
use barge::compact::{BaseBytes, CompactIndex, Cut, Cutter, Pieces, Rebuild, Stock};
use barge::content::{CONTAINERD_NAME, Content, Descriptor, Kind};
use barge::digest::Digest;
use barge::media::MediaType;
use barge::ops::compact::{BaseLayers, CompactOptions, Goods, Report, Staged, Why, compact};
use barge::ops::workspace::Workspace;
use barge::plan::Plan;
use barge::store::memory::Memory;
use barge::store::{Location, Source};

use crate::inputs::Random;
use crate::packer::packed;
use crate::support::tar::Tar;

/// Many files; `version` changes a few of them, and all times.
fn system(version: u64, files: usize) -> Vec<u8> {
    let mut random = Random::new(1);
    let mut tar = Tar::new();
    for number in 0..files {
        let mut content = random.mixed(20_000);
        if version > 0 && number % 10 == 0 {
            content[7_000] ^= 0xff;
            content.extend_from_slice(b"more");
        }
        tar = tar.file(&format!("usr/lib/{number}/v{}", if number % 2 == 0 { 0 } else { version }), &content);
    }
    tar.finished()
}

fn gzip(plain: &[u8], level: i8) -> Vec<u8> {
    packed(plain, level, u64::MAX).0
}

struct Made {
    goods: Option<Goods>,
    report: Report,
    pieces: Vec<Vec<u8>>,
    /// What is left of the plan that is no piece.
    left: Vec<Digest>,
}

fn make(layers: &[&[u8]], bases: &BaseLayers<'_>, jobs: usize) -> Made {
    let mut memory = Memory::new("test");
    let contents: Vec<Content> = layers.iter().map(|layer| memory.add(layer, Kind::Blob)).collect();
    let staged = Staged::default();
    let mut plan = Plan::new();
    for content in &contents {
        plan.add(&memory, content, "layer".to_owned());
    }
    let temp = tempfile::tempdir().unwrap();
    let place = Location::Memory("test".to_owned());
    let options = CompactOptions { spool: temp.path(), place: &place, jobs: NonZeroUsize::new(jobs).unwrap() };
    let workspace = Workspace::offline();
    let (goods, report) = compact(&mut plan, bases, &staged, &options, &workspace.context()).unwrap();
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0, "nothing has a name");
    let index = goods.as_ref().map(|goods| CompactIndex::parse(&goods.index).unwrap()).unwrap_or_default();
    let piece = |piece: &barge::compact::Piece| {
        let content = Content { digest: piece.digest, size: piece.size, kind: Kind::Blob };
        plan.open(&content).unwrap().into_bytes().unwrap()
    };
    let pieces: Vec<Vec<u8>> = index.pieces.iter().map(piece).collect();
    let is_piece = |content: &&Content| !index.pieces.iter().any(|piece| piece.digest == content.digest);
    let left = plan.inventory().contents.iter().filter(is_piece).map(|content| content.digest).collect();
    Made { goods, report, pieces, left }
}

struct InMemory(Vec<Vec<u8>>);

impl Pieces for InMemory {
    fn read(&self, piece: u32) -> std::io::Result<Vec<u8>> {
        Ok(self.0[piece as usize].clone())
    }
}

/// Makes the layers again, with these bases by what they unpack to.
fn again(made: &Made, bases: &[&[u8]]) -> Vec<Digest> {
    let index = CompactIndex::parse(&made.goods.as_ref().unwrap().index).unwrap();
    let stock = Arc::new(Stock::new(index.clone(), Box::new(InMemory(made.pieces.clone())), NonZeroUsize::MIN));
    for (number, base) in index.bases.iter().enumerate() {
        let plain = bases.iter().find(|plain| Digest::of(plain) == base.diff_id).unwrap();
        let mut heads = Vec::new();
        let mut take = |cut: Cut<'_>| {
            if let Cut::Heads(bytes) = cut {
                heads.extend_from_slice(bytes);
            }
            Ok::<_, std::convert::Infallible>(())
        };
        let mut cutter = Cutter::new();
        cutter.write(plain, &mut take).unwrap();
        cutter.finish(&mut take).unwrap();
        let heads_length = heads.len() as u64;
        stock.provide(
            number,
            BaseBytes { plain: Box::new(plain.to_vec()), heads: Box::new(heads), heads_length, packed: None },
        );
    }
    let check = |layer: &barge::compact::CompactLayer| {
        let content = Content { digest: layer.digest, size: layer.size, kind: Kind::Blob };
        BlobReader::new(content, Rebuild::open(&stock, layer).unwrap()).check().unwrap();
        layer.digest
    };
    index.layers.iter().map(check).collect()
}

#[test]
fn two_versions_share_what_is_equal_and_come_out_again() {
    let (first, second) = (gzip(&system(0, 200), 6), gzip(&system(1, 200), 9));
    let plain = system(2, 30);
    let made = make(&[&first, &second, &plain], &BaseLayers::default(), 1);
    let digests = [&first, &second, &plain].map(|layer| Digest::of(layer));
    assert_eq!(again(&made, &[]), digests);
    assert_eq!(made.report.again, (3, (first.len() + second.len() + plain.len()) as u64));
    assert!(made.report.stored.is_empty() && made.left.is_empty());
    // the second is a tenth of the first, and the third is there already
    assert!(made.report.compact < first.len() as u64 * 105 / 100, "{:?} of {}", made.report, first.len());
    let other = make(&[&first, &second, &plain], &BaseLayers::default(), 3);
    assert!(other.goods == made.goods && other.pieces == made.pieces, "on several threads");
}

#[test]
fn what_nobody_can_make_again_goes_along_as_it_is() {
    let plain = system(0, 20);
    let known = gzip(&plain, 6);
    let foreign = {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(&plain).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = zstd::encode_all(&*plain, 3).unwrap();
    let twice = [gzip(&plain[..100_000], 6), gzip(&plain[100_000..], 6)].concat();
    let mut cut = known.clone();
    cut.truncate(known.len() - 100);
    let layers = [&known, &foreign, &zstd, &twice, &cut].map(Vec::as_slice);
    let made = make(&layers, &BaseLayers::default(), 2);
    assert_eq!(again(&made, &[]), [Digest::of(&known)]);
    assert_eq!(made.left, layers[1..].iter().map(|layer| Digest::of(layer)).collect::<Vec<_>>());
    let mut stored: Vec<(Why, u64)> = made.report.stored.iter().map(|(why, number, _)| (*why, *number)).collect();
    stored.sort_unstable();
    assert_eq!(stored, [(Why::Unknown, 2), (Why::Members, 1), (Why::Zstd, 1)]);
}

#[test]
fn it_is_never_larger_than_the_layers() {
    let noise = Random::new(3).bytes(100_000);
    let layer = gzip(&noise, 6);
    let made = make(&[&layer], &BaseLayers::default(), 1);
    assert!(made.goods.is_none() && made.report.is_larger, "{:?}", made.report);
    assert_eq!(made.left, [Digest::of(&layer)]);
    assert!(make(&[], &BaseLayers::default(), 1).goods.is_none());
}

#[test]
fn pools_that_are_equal_are_one_piece() {
    let file = |tar: Tar, number: usize| tar.file(&format!("var/log/{number}"), &vec![0; 7_000_000 + number]);
    let layer = (0..4).fold(Tar::new(), file).finished();
    let made = make(&[&layer], &BaseLayers::default(), 2);
    let index = CompactIndex::parse(&made.goods.as_ref().unwrap().index).unwrap();
    let pools: Vec<_> = index.pieces.iter().filter(|piece| piece.pool == Some(8 << 20)).collect();
    assert!(pools.windows(2).any(|pair| pair[0] == pair[1]), "{pools:?}");
    assert_eq!(again(&made, &[]), [Digest::of(&layer)]);
    assert!(made.report.compact < 20_000, "{:?}", made.report);
}

#[test]
fn an_update_is_made_against_the_layers_of_the_other_side() {
    let (old, new) = (system(0, 200), system(1, 200));
    let unrelated = Tar::new().file("etc/other", &Random::new(9).bytes(5000)).finished();
    let mut memory = Memory::new("site");
    let gzip_type = MediaType::from("application/vnd.oci.image.layer.v1.tar+gzip");
    let config = memory.add(b"{}", Kind::Config);
    let layers = [gzip(&unrelated, 6), gzip(&old, 6)].map(|layer| memory.add(&layer, Kind::Blob));
    let described = |content: &Content, media_type: &str| {
        format!("{{\"mediaType\":\"{media_type}\",\"digest\":\"{}\",\"size\":{}}}", content.digest, content.size)
    };
    let manifest = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{},\"layers\":[{}]}}",
        described(&config, "application/vnd.oci.image.config.v1+json"),
        layers.iter().map(|layer| described(layer, gzip_type.as_str())).collect::<Vec<_>>().join(","),
    );
    let manifest_type = MediaType::from("application/vnd.oci.image.manifest.v1+json");
    let manifest = memory.add(manifest.as_bytes(), Kind::Manifest(manifest_type.clone()));
    let root = Descriptor::new(&manifest_type, manifest.digest, manifest.size)
        .with_annotation(CONTAINERD_NAME, "example.com/app:v1");
    memory.add_root(root);
    let mut bases = BaseLayers::default();
    bases.add(&memory, &memory.roots().unwrap(), |_| true).unwrap();
    assert_eq!(bases.len(), 2);
    let layer = gzip(&new, 6);
    let made = make(&[&layer], &bases, 2);
    assert_eq!(again(&made, &[&old, &unrelated]), [Digest::of(&layer)]);
    assert_eq!(made.report.bases, ["example.com/app:v1"]);
    let index = CompactIndex::parse(&made.goods.as_ref().unwrap().index).unwrap();
    assert_eq!(
        index.bases.iter().map(|base| base.diff_id).collect::<Vec<_>>(),
        [Digest::of(&old)],
        "the other is not needed"
    );
    assert!(made.report.compact * 10 < layer.len() as u64, "{:?} of {}", made.report, layer.len());
}
