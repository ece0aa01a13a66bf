//! Archives: tar files that are read in place and written once.
//!
//! An archive is a tar of an OCI image layout (image-spec v1.1.1, image-layout.md), or what `docker save` and skopeo's
//! `docker-archive:` write: `manifest.json`, configs and layers. Which of them, its entries say; where it is both, the
//! layout is meant, for it keeps digests.
//!
//! ```text
//! parts      a word -> the files that are the parts of a split archive; chain: read as one, where they lie
//! outer      a file or standard input -> a tar that can be read by position (the one place that unpacks, once)
//! walk tar   the tar, header by header -> an index of its entries: name, kind, where the content lies
//! name       names and links, inside the archive only
//! entries    what an archive is, and whether its entries are of the right kinds
//! oci docker an index -> roots, and which entry holds which digest
//! compact    layers that are made again of pieces
//! read       `Archive`: a `Source` over these
//!
//! align      at which multiples of bytes content begins
//! arrange    what is to be written -> where everything stands, known before the first byte
//! draft      an archive file under way, which a later run can continue
//! write      `ArchiveSink`: a `Sink` over these, to a file or a stream
//! split      `SplitSink`: the same in parts
//! ```
//!
//! Nothing is unpacked to a directory, and no name from an archive ever becomes a path.

mod align;
mod arrange;
mod bytes;
mod chain;
mod compact;
mod docker;
mod draft;
mod entries;
mod lock;
mod name;
mod oci;
mod outer;
mod pack;
mod parts;
mod patient;
mod place;
mod read;
mod split;
mod tar;
#[cfg(test)]
mod tests;
mod walk;
mod write;

use std::io;
use std::path::{Path, PathBuf};

pub use align::Alignment;
pub use arrange::{Arrangement, Fragment, Slot};
pub use bytes::{Identity, Span};
pub use draft::SetAside;
pub use lock::ArchiveLock;
pub use parts::{Damage, FoundPart, PartSet, Parts};
pub use place::Place;
pub use read::{Archive, Format, ReadOptions};
pub use split::{Cut, PartForm, SplitOptions, SplitSink, arrange_parts};
pub use write::{ArchiveOptions, ArchiveSink, Companion, Shape};

use super::{Location, StoreError};

/// Gives an error of reading an archive its verb and its path.
fn cannot_read(place: &Location) -> impl FnOnce(io::Error) -> StoreError {
    let path = place.path().map_or_else(|| PathBuf::from("standard input"), Path::to_path_buf);
    move |error| match error.downcast::<StoreError>() {
        // one of several files knows which it is
        Ok(known) => known,
        Err(error) => StoreError::io("read", path)(error),
    }
}

/// Returns the complaint that something in an archive cannot be used.
fn refusal(what: impl Into<String>, place: &Location, reason: impl Into<String>, hint: Option<&str>) -> StoreError {
    let hint = hint.map(str::to_owned);
    StoreError::Malformed { what: what.into(), place: place.clone(), reason: reason.into().into(), hint }
}
