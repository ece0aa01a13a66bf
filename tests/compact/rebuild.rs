//! Layers made again: the same bytes, however they are read, packed and by how many threads.

use std::io::Read as _;

use barge::compact::{Plain, Rebuild, RebuildError, Stock};
use std::sync::Arc;

use crate::inputs::Random;
use crate::packer::{Made, Maker};
use crate::support::tar::Tar;

/// A tar of files of all kinds and sizes.
pub(crate) fn tar(seed: u64, files: usize, largest: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut tar = Tar::new().directory("d/");
    for number in 0..files {
        let size = random.below(largest);
        let content = random.mixed(size);
        tar = tar.file(&format!("d/{number}"), &content[..size]);
    }
    tar.finished()
}

pub(crate) fn read(stock: &Arc<Stock>, layer: usize, step: usize) -> Result<Vec<u8>, RebuildError> {
    let mut reader = Rebuild::open(stock, &stock.index().layers[layer])?;
    let (mut all, mut buffer) = (Vec::new(), vec![0; step]);
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

#[track_caller]
fn comes_back(made: &Made, layer: usize, expected: &[u8], threads: usize, step: usize) {
    let got = read(&made.stock(threads), layer, step).unwrap();
    let at = got.iter().zip(expected).take_while(|(got, expected)| got == expected).count();
    assert!(got == expected, "layer {layer}, {threads} threads: the same for {at} of {} bytes", expected.len());
}

#[test]
fn layers_of_all_levels_come_back() {
    let tar = tar(1, 30, 80_000);
    let mut maker = Maker::default();
    let mut layers = vec![maker.layer(&tar, None, 0)];
    for level in [-2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9] {
        layers.push(maker.layer(&tar, Some(level), 300_000));
    }
    let made = maker.finish();
    // what is equal is there once
    let pools: u64 = made.index.pieces.iter().filter_map(|piece| piece.pool).sum();
    assert!(pools < tar.len() as u64);
    for (number, layer) in layers.iter().enumerate() {
        comes_back(&made, number, layer, 1 + number % 3, [100_000, 4096, 777_777][number % 3]);
    }
}

#[test]
fn checkpoints_only_make_it_faster() {
    let tar = tar(2, 10, 250_000);
    for every in [1, 700_000, u64::MAX] {
        let mut maker = Maker::default();
        let layer = maker.layer(&tar, Some(6), every);
        let made = maker.finish();
        for threads in [1, 4] {
            comes_back(&made, 0, &layer, threads, 1 << 16);
        }
    }
}

#[test]
fn what_is_no_tar_comes_back() {
    for plain in [vec![], b"no tar".to_vec(), Random::new(5).mixed(9 << 20)] {
        for level in [None, Some(0)] {
            let mut maker = Maker::default();
            let layer = maker.layer(&plain, level, 20 << 20);
            comes_back(&maker.finish(), 0, &layer, 2, 1 << 20);
        }
    }
}

#[test]
fn an_update_comes_back_with_its_base_and_not_without() {
    let old = tar(3, 20, 80_000);
    let mut random = Random::new(4);
    let mut tar = Tar::new().directory("d/");
    for part in crate::packer::parts(&old) {
        if let crate::packer::Part::Content(name, mut bytes) = part {
            if random.below(3) == 0 && !bytes.is_empty() {
                let at = random.below(bytes.len());
                bytes[at] ^= 1;
                bytes.extend(random.bytes(10));
            }
            tar = tar.file(std::str::from_utf8(&name).unwrap(), &bytes);
        }
    }
    let new = tar.file("new", &random.mixed(50_000)).finished();
    let mut maker = Maker::default();
    let (base, ..) = crate::packer::packed(&old, 1, u64::MAX);
    maker.base(&base, &old);
    let layer = maker.layer(&new, Some(1), 500_000);
    let made = maker.finish();
    let size: usize = made.pieces.iter().map(Vec::len).sum();
    assert!(size * 10 < layer.len(), "{size} bytes for an update of {}", layer.len());
    comes_back(&made, 0, &layer, 2, 1 << 18);

    let stock = made.stock_without_bases(1);
    let Err(RebuildError::Base(missing)) = Plain::open(&stock, &made.index.layers[0]) else { panic!("read without") };
    assert_eq!(*missing, made.index.bases[0]);
    assert!(!stock.has_base(0) && made.stock(1).has_base(0) && !stock.has_base(1));
}

#[test]
fn readers_that_wait_for_each_other_are_none() {
    let tar = tar(6, 20, 150_000);
    let mut maker = Maker::default();
    let layer = maker.layer(&tar, Some(1), 600_000);
    let made = maker.finish();
    let stock = made.stock(1);
    let mut readers: Vec<_> =
        (0..5).map(|_| (Rebuild::open(&stock, &made.index.layers[0]).unwrap(), Vec::new())).collect();
    let mut buffer = vec![0; 50_000];
    let mut going = true;
    while going {
        going = false;
        for (reader, all) in &mut readers {
            let count = reader.read(&mut buffer).unwrap();
            going |= count > 0;
            all.extend_from_slice(&buffer[..count]);
        }
    }
    assert!(readers.iter().all(|(_, all)| *all == layer));
}
