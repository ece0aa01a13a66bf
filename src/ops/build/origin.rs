//! Where COPY takes from: a directory on the disk, or the file system of an image or of an earlier stage.

use std::path::{Path, PathBuf};

use crate::layer::{AddOptions, Tree};
use crate::ops::Error;

/// What a path leads to, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// Anything else: a device, a FIFO, a link to nothing.
    Other,
}

/// A file system that COPY can take from. Paths are relative to its root, whether they start with a slash or not; links in
/// them lead where they would if that were the root of the system, and never out of it.
pub(crate) trait Origin {
    /// Returns what a path leads to; `None` when nothing is there.
    ///
    /// # Errors
    /// When that cannot be told.
    fn look(&self, path: &Path) -> Result<Option<Found>, Error>;

    /// Returns the paths that a pattern of COPY means (Go's `filepath.Match`, part by part), in the order of their bytes.
    /// A pattern without a wildcard means what stands under it, if anything does. Links are followed up to the first wildcard.
    ///
    /// # Errors
    /// When it is no pattern, or a directory on the way cannot be read.
    fn matches(&self, pattern: &str) -> Result<Vec<PathBuf>, Error>;

    /// Adds what a path leads to to a layer, as [`Tree::add`] does with [`crate::layer::Source::Path`]: what is in a
    /// directory goes below the destination, anything else becomes what stands there. `options.choose` is asked about paths
    /// below the one that is given here, whatever links it leads through.
    ///
    /// # Errors
    /// When it is not there, cannot be read, or cannot be in a layer.
    fn add(&self, tree: &mut Tree, options: &AddOptions<'_>, path: &Path) -> Result<(), Error>;

    /// Returns what it is called in messages, such as a path.
    fn describe(&self) -> String;
}
