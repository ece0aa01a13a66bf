//! The two files at the top of a layout: `oci-layout`, which says what the directory is, and `index.json`, which names
//! what is in it (image-spec v1.1.1, image-layout.md). Read here, strictly and within bounds.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::beneath::Directory;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::LARGEST_INDEX_JSON;
use crate::json::{self, JsonError, View};
use crate::store::{Location, Reason, StoreError, Subjects, names};
use crate::text::human_size;

/// The file that makes a directory a layout.
pub(super) const OCI_LAYOUT: &str = "oci-layout";
/// All of that file.
pub(super) const OCI_LAYOUT_BYTES: &[u8; 30] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The only version there is.
const LAYOUT_VERSION: &str = "1.0.0";
/// The file that names what is in a layout.
pub(super) const INDEX: &str = "index.json";
/// The largest `oci-layout` that is read, in bytes: it has 30, and some white space.
const LARGEST_OCI_LAYOUT: u64 = 64 * 1024;

/// Checks `oci-layout`, and returns whether there is one.
pub(super) fn has_version(root: &Directory) -> Result<bool, StoreError> {
    let Some(bytes) = read(root, OCI_LAYOUT, LARGEST_OCI_LAYOUT)? else { return Ok(false) };
    let version = json::parse(&bytes).and_then(|value| {
        let top = View::top(&value, OCI_LAYOUT);
        let version = top.need("imageLayoutVersion", LAYOUT_VERSION)?;
        if version.text()? == LAYOUT_VERSION { Ok(()) } else { Err(version.wrong(LAYOUT_VERSION)) }
    });
    version.map_err(|error| unusable(root, OCI_LAYOUT, error))?;
    Ok(true)
}

/// Reads `index.json`; `None` only when nothing stands under that name.
pub(super) fn read_index(root: &Directory) -> Result<Option<Vec<u8>>, StoreError> {
    read(root, INDEX, LARGEST_INDEX_JSON)
}

/// Returns the top-level descriptors; none when there is no `index.json`.
pub(super) fn roots(root: &Directory, known: &KnownIndexes) -> Result<Arc<[Descriptor]>, StoreError> {
    let Some((file, size)) = root.file(INDEX)? else { return Ok(Arc::default()) };
    // before the bytes: a file that changes while it is read has another one afterwards
    let stamp = Stamp::of(&file, SystemTime::now());
    if let Some(roots) = stamp.as_ref().and_then(|stamp| known.of_file(stamp)) {
        return Ok(roots);
    }
    let bytes = read_open(root, INDEX, (file, size), LARGEST_INDEX_JSON)?;
    known.parse_file(&bytes, stamp).map_err(|error| unusable_index(root, error))
}

/// What an `index.json` says, of the few that were read last. Whoever changes a layout reads its names when it is opened, when a
/// plan is made, and again under each lock; while the bytes are the same, they are parsed once, and while the file is, they are not
/// read either: who names a thousand images looks for each.
#[derive(Clone, Debug, Default)]
pub struct KnownIndexes {
    indexes: Arc<Mutex<Vec<Known>>>,
    /// What the documents of each layout belong to.
    subjects: Arc<Mutex<HashMap<Location, Subjects>>>,
}

/// What an `index.json` of this digest says, and in which file it was read last.
#[derive(Debug)]
struct Known {
    digest: Digest,
    stamp: Option<Stamp>,
    roots: Arc<[Descriptor]>,
}

/// How many are kept: of the source, of the target, and of the current layout.
const MOST_KNOWN: usize = 3;

impl KnownIndexes {
    /// Returns what an `index.json` says.
    ///
    /// # Errors
    /// As [`names::parse`].
    pub(super) fn parse(&self, bytes: &[u8]) -> Result<Arc<[Descriptor]>, JsonError> {
        self.parse_file(bytes, None)
    }

    fn parse_file(&self, bytes: &[u8], stamp: Option<Stamp>) -> Result<Arc<[Descriptor]>, JsonError> {
        let digest = Digest::of(bytes);
        if let Some(known) = self.held().iter_mut().find(|known| known.digest == digest) {
            known.stamp = stamp.or_else(|| known.stamp.take());
            return Ok(Arc::clone(&known.roots));
        }
        let roots: Arc<[Descriptor]> = names::parse(bytes)?.into();
        let mut held = self.held();
        held.insert(0, Known { digest, stamp, roots: Arc::clone(&roots) });
        held.truncate(MOST_KNOWN);
        Ok(roots)
    }

    fn of_file(&self, stamp: &Stamp) -> Option<Arc<[Descriptor]>> {
        let known = |known: &&Known| known.stamp.as_ref() == Some(stamp);
        self.held().iter().find(known).map(|known| Arc::clone(&known.roots))
    }

    /// Returns what is remembered of the documents of a layout.
    pub(super) fn subjects_of(&self, place: &Location) -> Subjects {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner).entry(place.clone()).or_default().clone()
    }

    fn held(&self) -> MutexGuard<'_, Vec<Known>> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which file it was, and in which state: device, inode, size, and both times. The system sets the time of change at every write
/// and rename, and nobody sets it back.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// `None` of a file that changed a moment ago, or in the future: it may change again without another time.
    fn of(file: &File, now: SystemTime) -> Option<Self> {
        /// Longer than a tick of any clock that files have their times from; FAT's are two seconds.
        const SETTLED: Duration = Duration::from_secs(4);
        let metadata = file.metadata().ok()?;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        let since = now.duration_since(UNIX_EPOCH + Duration::from_secs(changed.0.try_into().ok()?)).ok()?;
        (since >= SETTLED).then(|| Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed,
        })
    }
}

/// Returns the complaint about an `index.json` that cannot be used.
pub(super) fn unusable_index(root: &Directory, error: JsonError) -> StoreError {
    unusable(root, INDEX, error)
}

fn unusable(root: &Directory, name: &str, error: JsonError) -> StoreError {
    StoreError::Malformed {
        what: name.to_owned(),
        place: root.location().clone(),
        reason: Reason::from(error),
        hint: Some(
            "it was left as it is; copy the layout again from where it was made, or restore this file".to_owned(),
        ),
    }
}

fn read(root: &Directory, name: &str, largest: u64) -> Result<Option<Vec<u8>>, StoreError> {
    root.file(name)?.map(|opened| read_open(root, name, opened, largest)).transpose()
}

fn read_open(root: &Directory, name: &str, (file, size): (File, u64), largest: u64) -> Result<Vec<u8>, StoreError> {
    let too_large = || root.malformed(name, &format!("it is larger than {}", human_size(largest)));
    if size > largest {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // the size may change while it is read
    file.take(largest + 1).read_to_end(&mut bytes).map_err(StoreError::io("read", root.path_of(name)))?;
    if bytes.len() as u64 > largest { Err(too_large()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::REF_NAME;
    use crate::media::OCI_MANIFEST;

    fn index(name: &str) -> Vec<u8> {
        let root = Descriptor::of(&OCI_MANIFEST.into(), b"x").with_annotation(REF_NAME, name);
        names::edit(None, &[root], &[]).unwrap().unwrap()
    }

    #[test]
    fn the_same_bytes_are_parsed_once() {
        let known = KnownIndexes::default();
        let first = known.parse(&index("v1")).unwrap();
        // also by another who knows the same
        assert!(Arc::ptr_eq(&first, &known.clone().parse(&index("v1")).unwrap()));
        let other = known.parse(&index("v2")).unwrap();
        assert_eq!(other[0].annotation(REF_NAME), Some("v2"));
        assert!(Arc::ptr_eq(&first, &known.parse(&index("v1")).unwrap()));
        // what cannot be used is said each time
        for _ in 0..2 {
            known.parse(b"{").unwrap_err();
        }
        for at in 0..MOST_KNOWN {
            known.parse(&index(&format!("other{at}"))).unwrap();
        }
        assert_eq!(known.indexes.lock().unwrap().len(), MOST_KNOWN);
        assert!(!Arc::ptr_eq(&first, &known.parse(&index("v1")).unwrap()));
    }

    #[test]
    fn a_file_that_has_long_been_as_it_is_is_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(INDEX);
        std::fs::write(&path, index("v1")).unwrap();
        let stamp = |later: u64| Stamp::of(&File::open(&path).unwrap(), SystemTime::now() + Duration::from_secs(later));
        assert!(stamp(0).is_none(), "what was written just now may be written again in the same tick");
        let known = KnownIndexes::default();
        let first = known.parse_file(&index("v1"), stamp(60)).unwrap();
        assert!(Arc::ptr_eq(&first, &known.of_file(&stamp(60).unwrap()).unwrap()));
        // who reads the bytes without their file takes nothing away
        known.parse(&index("v1")).unwrap();
        assert!(known.of_file(&stamp(60).unwrap()).is_some());
        // the same bytes, another file
        std::fs::write(directory.path().join("new"), index("v1")).unwrap();
        std::fs::rename(directory.path().join("new"), &path).unwrap();
        assert!(known.of_file(&stamp(60).unwrap()).is_none());
        known.parse_file(&index("v1"), stamp(60)).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        // as long, in place
        std::fs::write(&path, index("v2")).unwrap();
        assert!(known.of_file(&stamp(60).unwrap()).is_none());
        assert_eq!(known.parse_file(&index("v2"), stamp(60)).unwrap()[0].annotation(REF_NAME), Some("v2"));
        assert!(stamp(60).is_some_and(|stamp| known.of_file(&stamp).is_some()));
    }
}
