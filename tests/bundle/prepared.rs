//! Archives to be split.

use std::fs;

use super::environment::Barge;
pub(crate) use super::support::image::noise;
use super::support::image::{Images, Layer, named};

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
