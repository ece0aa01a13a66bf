//! What the runs work on: few large blobs, and as many small ones as a test wants.

use std::fs;
use std::path::Path;

use super::environment::Barge;
use super::registry::FakeRegistry;
use super::support::image::{Images, Layer, REF_NAME, annotated, noise};
use super::tally::Tally;
use super::trace::traced;

/// The sizes of the large layers, in bytes: one that is read and written in turns, and one that two threads pass on.
const LARGE: [usize; 2] = [5 << 20, 1 << 20];
/// How many archives are merged.
pub(crate) const ARCHIVES: usize = 5;
const PLATFORMS: [&str; ARCHIVES] = ["linux/amd64", "linux/arm64", "linux/s390x", "linux/ppc64le", "linux/riscv64"];
/// Files and network, and what flushes all there is.
const TRACED: &str = "-etrace=%file,%desc,%network,sync";
/// A file system that can share blocks between files does as others do: what is read would be read from the copy.
const NO_CLONES: &str = "-einject=ioctl:error=EOPNOTSUPP";

/// A working directory with `src`, `src.tar`, and `0.tar` to `4.tar`, which together have as many small blobs.
pub(crate) struct Lab {
    pub(crate) barge: Barge,
    /// It has the whole image, as `held:v1`.
    registry: FakeRegistry,
    pub(crate) whole: Images,
    pub(crate) parts: Vec<Images>,
}

impl Lab {
    pub(crate) fn new(small: usize) -> Self {
        let barge = Barge::new();
        let layers = |seed: usize, large: &[usize], small: usize| -> Vec<Layer> {
            let sizes = large.iter().copied().chain((0..small).map(|nth| 1000 + nth));
            let layer = |(nth, size)| Layer::plain(&noise(u32::try_from(seed * 1000 + nth).unwrap(), size));
            sizes.enumerate().map(layer).collect()
        };
        let image = |platform: &str, layers: &[Layer]| {
            let mut images = Images::new();
            let image = images.image(platform, layers);
            images.root(annotated(image, REF_NAME, "v1"));
            images
        };
        let whole = image(PLATFORMS[0], &layers(9, &LARGE, small));
        whole.write(&barge.path("src"));
        whole.write(&barge.path("src.tar"));
        let part = |nth: usize| image(PLATFORMS[nth], &layers(nth, &[300_000], small / ARCHIVES));
        let parts: Vec<Images> = (0..ARCHIVES).map(part).collect();
        parts.iter().enumerate().for_each(|(nth, part)| part.write(&barge.path(format!("{nth}.tar"))));
        let registry = FakeRegistry::start();
        let lab = Self { barge, registry, whole, parts };
        let _ = lab.barge.line(&lab.line("push -q --plain-http src HOST/held:v1")).exits(0);
        lab
    }

    fn line(&self, line: &str) -> String {
        format!("{} --jobs 2", line.replace("HOST", self.registry.host()))
    }

    /// Runs a command line, `HOST` in which is the registry and `EMPTY` a new one, and returns what it did and how often it
    /// asked them.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> (Tally, usize) {
        self.registry.clear_log();
        let empty = FakeRegistry::start();
        // sockets want that call for something else
        let how: &[&str] = if line.contains("--plain-http") { &[TRACED] } else { &[TRACED, NO_CLONES] };
        let line = self.line(&line.replace("EMPTY", empty.host()));
        let tally = Tally::of(&traced(&self.barge, how, &line));
        (tally, self.registry.log().len() + empty.log().len())
    }

    /// Removes what the last run made.
    pub(crate) fn clear(&self) {
        for name in ["out", "out.tar"] {
            let path = self.barge.path(name);
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

/// Returns how many bytes of content lie in files, whatever their names.
pub(crate) fn size_of(images: &[&Images]) -> u64 {
    images.iter().flat_map(|images| images.blobs.values()).map(|blob| blob.len() as u64).sum()
}

/// Returns the length of a file.
pub(crate) fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}
