//! The OCI image layout: a directory with `oci-layout`, `index.json` and `blobs/ALGORITHM/HEX` (image-spec v1.1.1,
//! image-layout.md).
//!
//! | file | what it does |
//! |---|---|
//! | `arrived.rs` | notes which blobs arrived, so that they are not read again when a run is interrupted |
//! | `beneath.rs` | opens files below the directory's handle, and nothing outside |
//! | `files.rs` | reads `oci-layout` and `index.json`, and knows what it has parsed |
//! | `index.rs` | changes `index.json`: the one visible step |
//! | `intake/` | [`Intake`]: content that arrives in parts, over several runs |
//! | `lock.rs` | keeps writers apart from each other and from `gc` |
//! | `make.rs` | brings content into `blobs/` that has no digest before it is made |
//! | `partial.rs` | keeps the beginning of a blob that was being fetched when something broke, for the next run |
//! | `put.rs` | brings content into `blobs/`, at once or in several runs |
//! | `room.rs` | looks at the free space before anything is written |
//! | `standing.rs` | tells a layout, an empty place and anything else apart |
//! | `sweep.rs` | [`Sweeper`]: removes content while no writer can rely on it |
//! | `temporary.rs` | the only way a file gets its name: complete, flushed, renamed |
//! | `write.rs` | [`LayoutSink`]: begin, put, commit, abandon |
//!
//! A [`Layout`] reads. It takes no lock, so that a layout on a read-only medium can be read: `index.json` is replaced by a
//! rename, and blobs never change once they have their name.

mod arrived;
mod beneath;
mod files;
mod index;
mod intake;
mod lock;
mod make;
mod partial;
mod put;
mod room;
mod standing;
mod sweep;
mod temporary;
mod write;

use std::fs::File;
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{FileType, Stat};

use self::beneath::Directory;
pub use self::files::KnownIndexes;
pub use self::intake::{FrontComing, Intake, IntakeStock, LoadLeft};
pub use self::partial::Partial;
pub use self::sweep::{FileId, Lying, Sweeper};
pub use self::write::{LayoutOptions, LayoutSink};
use super::{Location, Source, StoreError, Subjects};
use crate::blob::{BlobReader, Mismatch};
use crate::content::{Content, Descriptor};
use crate::digest::{Algorithm, Digest};

/// A layout that is read.
#[derive(Debug)]
pub struct Layout {
    root: Directory,
    indexes: KnownIndexes,
    subjects: Subjects,
    /// `blobs/ALGORITHM`, where it was opened.
    blobs: [OnceLock<Directory>; Algorithm::ALL.len()],
}

/// What lies under `blobs/`, whether something refers to it or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobListing {
    /// Regular files with the name of a digest, and their size in bytes; sorted. What is in them was not checked.
    pub blobs: Vec<(Digest, u64)>,
    /// Paths of everything else below the root, such as `blobs/sha256/README`; sorted. Temporary files of barge and partial
    /// blobs are not among them.
    pub foreign: Vec<String>,
}

impl Layout {
    /// Opens a layout. A layout without an `index.json` is an empty one.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when nothing is there, [`StoreError::Malformed`] when it is no layout of version 1.0.0 or its
    /// `index.json` cannot be used, [`StoreError::Io`] when it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_knowing(path, &KnownIndexes::default())
    }

    /// As [`Self::open`], by a command that may have read its names already.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_knowing(path: impl AsRef<Path>, indexes: &KnownIndexes) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let Some(root) = Directory::open(path)? else {
            return Err(StoreError::Absent {
                what: "the layout".to_owned(),
                place: Location::Layout(path.to_path_buf()),
                hint: Some("nothing is there: check the path".to_owned()),
            });
        };
        if !files::has_version(&root)? {
            return Err(StoreError::Malformed {
                what: "the directory".to_owned(),
                place: root.location().clone(),
                reason: "it is not an OCI image layout: it has no oci-layout file".into(),
                hint: Some("give the directory that holds oci-layout, index.json and blobs".to_owned()),
            });
        }
        files::roots(&root, indexes)?;
        Ok(Self::of(root, indexes))
    }

    fn of(root: Directory, indexes: &KnownIndexes) -> Self {
        let subjects = indexes.subjects_of(root.location());
        Self { root, indexes: indexes.clone(), subjects, blobs: Default::default() }
    }

    /// Returns `blobs/ALGORITHM`, to look at what lies there; `None` when it is not there.
    fn blob_directory(&self, algorithm: Algorithm) -> Result<Option<&Directory>, StoreError> {
        let kept = &self.blobs[algorithm as usize];
        if kept.get().is_none() {
            let Some(opened) = self.root.below(&format!("blobs/{}", algorithm.name()))? else { return Ok(None) };
            return Ok(Some(kept.get_or_init(|| opened)));
        }
        Ok(kept.get())
    }

    /// Returns what stands under the name of a blob, a link as such; `None` when nothing does.
    fn stat_blob(&self, digest: &Digest) -> Result<Option<Stat>, StoreError> {
        match self.blob_directory(digest.algorithm())? {
            Some(directory) => directory.stat(&digest.hex()),
            None => Ok(None),
        }
    }

    /// Opens the file that has the name of this content, with its size in bytes: what is in it was not checked. `None` when
    /// nothing is there.
    ///
    /// # Errors
    /// When it is no regular file inside the layout, or cannot be opened.
    pub fn file_unverified(&self, digest: &Digest) -> Result<Option<(File, u64)>, StoreError> {
        self.root.file(&digest.blob_path())
    }

    /// Lists what lies under `blobs/`.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn blobs(&self) -> Result<BlobListing, StoreError> {
        let mut listing = BlobListing::default();
        let Some(blobs) = self.root.below("blobs")? else { return Ok(listing) };
        for name in blobs.names()? {
            match Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name) {
                Some(algorithm) => self.list(algorithm, &mut listing)?,
                None => listing.foreign.push(format!("blobs/{name}")),
            }
        }
        listing.blobs.sort_unstable();
        listing.foreign.sort_unstable();
        Ok(listing)
    }

    fn list(&self, algorithm: Algorithm, listing: &mut BlobListing) -> Result<(), StoreError> {
        let path = format!("blobs/{}", algorithm.name());
        let directory = match self.root.below(&path) {
            Ok(Some(directory)) => directory,
            Ok(None) => return Ok(()),
            Err(StoreError::Malformed { .. }) => {
                listing.foreign.push(path);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for name in directory.names()? {
            if temporary::is_ours(temporary::BLOB, &name) || partial::digest_of(algorithm, &name).is_some() {
                continue;
            }
            let digest = format!("{}:{name}", algorithm.name()).parse::<Digest>().ok();
            let size = if digest.is_some() { self.size_of(&directory, &path, &name)? } else { None };
            match digest.zip(size) {
                Some(blob) => listing.blobs.push(blob),
                None => listing.foreign.push(format!("{path}/{name}")),
            }
        }
        Ok(())
    }

    /// Returns the size of a blob by its name alone; `None` when there is no regular file inside the layout behind it.
    fn size_of(&self, directory: &Directory, path: &str, name: &str) -> Result<Option<u64>, StoreError> {
        let Some(stat) = directory.stat(name)? else { return Ok(None) };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(u64::try_from(stat.st_size).ok()),
            FileType::Symlink => match self.root.file(&format!("{path}/{name}")) {
                Ok(found) => Ok(found.map(|(_, size)| size)),
                Err(StoreError::Malformed { .. }) => Ok(None),
                Err(error) => Err(error),
            },
            _ => Ok(None),
        }
    }
}

impl Source for Layout {
    fn location(&self) -> &Location {
        self.root.location()
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        Ok(files::roots(&self.root, &self.indexes)?.to_vec())
    }

    fn subjects(&self) -> Option<&Subjects> {
        Some(&self.subjects)
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        let place = || self.root.location().clone();
        let Some((file, got)) = self.root.file(&content.digest.blob_path())? else {
            return Err(StoreError::Missing { digest: content.digest, place: place() });
        };
        let expected = content.size;
        let mismatch = match got.cmp(&expected) {
            std::cmp::Ordering::Less => Mismatch::Short { got, expected },
            std::cmp::Ordering::Greater => Mismatch::Long { expected },
            std::cmp::Ordering::Equal => return Ok(BlobReader::of_file(content.clone(), file)),
        };
        Err(StoreError::Wrong { digest: content.digest, place: place(), mismatch })
    }

    fn holds(&self, content: &Content) -> Result<bool, StoreError> {
        let is_it = |stat: Stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
                && u64::try_from(stat.st_size) == Ok(content.size)
        };
        if self.stat_blob(&content.digest).is_ok_and(|stat| stat.is_some_and(is_it)) {
            return Ok(true);
        }
        // a link may lead to it; and what is wrong is for `open` to say
        match self.open(content) {
            Ok(_) => Ok(true),
            Err(StoreError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
