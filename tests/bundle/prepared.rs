//! Archives to be split.

use std::fs;

use super::environment::Barge;
use super::support::image::{Images, Layer, named};

/// Bytes that no two calls share, and that nothing makes smaller.
pub(crate) fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(step).collect()
}

/// Two images of one layer each, `app:v1` and `db:v3`, in a layout `source` and an archive `whole.tar`.
pub(crate) fn prepare(barge: &Barge, lengths: [usize; 2]) -> Vec<u8> {
    let mut images = Images::new();
    for (at, name) in ["app:v1", "db:v3"].into_iter().enumerate() {
        let layer = Layer::plain(&noise(at as u32 + 1, lengths[at]));
        let image = images.image("linux/amd64", &[layer]);
        images.root(named(image, name));
    }
    images.layout(&barge.path("source"));
    barge.line("save -q -o whole.tar source").exits(0);
    fs::read(barge.path("whole.tar")).unwrap()
}
