//! Archives to be split, in the two forms that a bundle has.

use std::fs;

use super::environment::Barge;
use super::packer::packed;
pub(crate) use super::support::image::noise;
use super::support::image::{GZIP, Images, Layer, named};
use super::support::tar::Tar;

/// What stands in a bundle: layers, or what they are made of. Whatever bundles can do they can in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Compact,
}

impl Form {
    pub(crate) const ALL: [Self; 2] = [Self::Plain, Self::Compact];

    /// Returns the archive that [`prepare_in`] writes.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Plain => "whole.tar",
            Self::Compact => "compact.tar",
        }
    }

    /// Returns how such a bundle is saved.
    pub(crate) fn save(self) -> &'static str {
        match self {
            Self::Plain => "save",
            Self::Compact => "save --compact",
        }
    }
}

/// A layer that says most things twice, as file systems do.
pub(crate) fn twice(seed: u32, length: usize) -> Vec<u8> {
    let half = noise(seed, length / 2);
    Tar::new().file("srv/one", &half).file("srv/other", &half).finished()
}

/// The content of a layer that brings so many new bytes in this form.
pub(crate) fn bringing(form: Form, seed: u32, length: usize) -> Vec<u8> {
    match form {
        Form::Plain => noise(seed, length),
        Form::Compact => twice(seed, 2 * length),
    }
}

/// Packs as Go does, which is what most public layers are packed by.
pub(crate) fn by_go(plain: &[u8]) -> Layer {
    Layer { media_type: GZIP, bytes: packed(plain, 6, u64::MAX).0, ..Layer::plain(plain) }
}

/// Two images of one layer each, `app:v1` and `db:v3`, in a layout `source` and an archive `whole.tar`.
pub(crate) fn prepare(barge: &Barge, lengths: [usize; 2]) -> Vec<u8> {
    prepare_in(barge, lengths, Form::Plain)
}

/// The same, and returns it in this form.
pub(crate) fn prepare_in(barge: &Barge, lengths: [usize; 2], form: Form) -> Vec<u8> {
    let mut images = Images::new();
    for (at, name) in ["app:v1", "db:v3"].into_iter().enumerate() {
        let layer = Layer::plain(&bringing(form, at as u32 + 1, lengths[at]));
        let image = images.image("linux/amd64", &[layer]);
        images.root(named(image, name));
    }
    images.layout(&barge.path("source"));
    barge.line("save -q -o whole.tar source").exits(0);
    if form == Form::Plain {
        return fs::read(barge.path("whole.tar")).unwrap();
    }
    barge.line("save --compact -o compact.tar source").exits(0).says(&["compact: 2 layers made again"]);
    fs::read(barge.path("compact.tar")).unwrap()
}
