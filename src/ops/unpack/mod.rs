//! `unpack`: the file system of an image, as a directory.
//!
//! ```text
//! apply       the entries of the layers, in order, onto the tree
//! tree        the way to every directory, never through a link
//! attributes  owners, modes, extended attributes, times
//! remove      what a whiteout hides or an entry replaces
//! staging     all of this under a temporary name, which becomes the real one at the end
//! pick        one file, found by its outline
//! ```
//!
//! Entries are written before the end of their layer was checked: so nobody sees them before everything is, and nothing
//! is left when something is wrong.

mod apply;
mod attributes;
mod files;
mod pick;
mod remove;
mod staging;
mod tree;

use std::path::{Path, PathBuf};

pub use self::files::{FileFacts, list_files};
pub use self::pick::{Taken, check_free, take_file};
pub use super::rootfs::{DEFAULT_FILES, DEFAULT_SIZE};

use self::apply::Applier;
use self::staging::Staging;
use self::tree::Tree;
use super::Error;
use super::choose::Chosen;
use super::rootfs::chunks::{self, Allowance};
use super::rootfs::{LayerOf, Limits, layers_of};
use crate::blob::Cancel;
use crate::digest::Digest;
use crate::platform::Platform;
use crate::store::{Durability, Source, StoreError};
use crate::transfer::{Event, Observer, Outcome, Piece};

/// Whose the files are to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owners {
    /// As the layers say, by number, when the process is root; else its own.
    #[default]
    IfRoot,
    /// The user's who unpacks.
    Mine,
}

/// How an image is to be unpacked.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose the files are to be.
    pub owners: Owners,
    /// How many bytes it may unpack to in all.
    pub size: u64,
    /// How many entries its layers may have in all.
    pub files: u64,
    /// Whether it has to survive a loss of power.
    pub durability: Durability,
}

impl Options {
    const fn limits(&self) -> Limits {
        Limits { size: self.size, files: self.files }
    }
}

impl Default for Options {
    fn default() -> Self {
        let durability = Durability::Synced;
        Self { owners: Owners::IfRoot, size: DEFAULT_SIZE, files: DEFAULT_FILES, durability }
    }
}

/// What could not be kept as the layers have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Devices that were not made: only root may, and not in every container.
    pub devices: u64,
    /// Entries whose owner is another one than the user.
    pub owners: u64,
    /// Files that lost setuid or setgid with their owner.
    pub set_ids: u64,
    /// Extended attributes that the user or the file system cannot have, or that belong to the building host.
    pub xattrs: u64,
}

/// What was unpacked.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// The directory, as a path without links.
    pub path: PathBuf,
    /// The manifest.
    pub digest: Digest,
    /// The platform, if the image says one.
    pub platform: Option<Platform>,
    /// How many layers it has.
    pub layers: u64,
    /// How many entries they have, whiteouts among them.
    pub entries: u64,
    /// How many bytes of content were written.
    pub bytes: u64,
    /// What could not be kept.
    pub skipped: Skipped,
}

/// Unpacks an image to a directory that is not there yet, or empty. It gets its name when every layer was read to its end
/// and is what its digest and its diff_id say.
///
/// # Errors
/// When something is in the way, the image is incomplete or wrong, a layer holds what no layer may hold or more than the
/// options allow, or the machine fails. Nothing is left then.
pub fn unpack(
    source: &dyn Source,
    image: &Chosen,
    to: &Path,
    options: &Options,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Unpacked, Error> {
    let layers = layers_of(source, image)?;
    let staging = Staging::create(to)?;
    let bytes = layers.iter().map(|layer| layer.descriptor.size()).sum();
    observer.hear(Event::Begun { pieces: layers.len() as u64, bytes });
    let result = fill(source, image, &layers, &staging, options, cancel, observer);
    observer.hear(Event::Ended);
    let unpacked = result?;
    if cancel.is_cancelled() {
        return Err(StoreError::Cancelled.into());
    }
    staging.publish(options.durability)?;
    for warning in warnings(&unpacked.skipped) {
        observer.hear(Event::Warning(warning));
    }
    Ok(unpacked)
}

fn fill(
    source: &dyn Source,
    image: &Chosen,
    layers: &[LayerOf<'_>],
    staging: &Staging,
    options: &Options,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Unpacked, Error> {
    let mut applier = Applier::new(Tree::new(staging.root()?, staging.path()), options, cancel);
    let mut allowance = Allowance { limit: options.size, left: options.size };
    for layer in layers {
        let content = layer.descriptor.content();
        let piece = Piece::start(observer, &content, &layer.about, source.location());
        let count = |bytes| piece.count(bytes);
        let reader = source.open(&content)?.cancelled_by(cancel).metered_by(&count);
        chunks::read(reader, source.location(), &layer.diff_id, &mut allowance, cancel, |chunks| applier.layer(chunks))
            .map_err(|fault| layer.error(fault))?;
        piece.finish(Outcome::Written);
    }
    let (entries, bytes) = (applier.entries, applier.bytes);
    let digest = *image.descriptor.digest();
    let skipped =
        applier.finish().map_err(|fault| fault.into_error(&digest.to_string(), image.describe(), source.location()))?;
    let (path, platform) = (staging.path().to_path_buf(), image.platform.clone());
    Ok(Unpacked { path, digest, platform, layers: layers.len() as u64, entries, bytes, skipped })
}

/// Says what could not be kept: a sentence for each kind.
fn warnings(skipped: &Skipped) -> Vec<String> {
    let Skipped { devices, owners, set_ids, xattrs } = *skipped;
    let mut warnings = Vec::new();
    let mut warn = |count: u64, what: &str, why: &str| {
        if count > 0 {
            warnings.push(format!("{count} {what}: {why}"));
        }
    };
    warn(devices, "devices are left out", "this user may make none");
    warn(owners, "entries belong to you instead of the owner that the image says", "owners are set as root only");
    warn(set_ids, "files lost setuid or setgid", "they do not have the owner that it was meant for");
    warn(
        xattrs,
        "extended attributes are left out",
        "this user or file system has none such, or they belong to a host",
    );
    warnings
}
