//! The two files at the top of a layout: `oci-layout`, which says what the directory is, and `index.json`, which names
//! what is in it (image-spec v1.1.1, image-layout.md). Read here, strictly and within bounds.

use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};

use super::beneath::Directory;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::LARGEST_INDEX_JSON;
use crate::json::{self, JsonError, View};
use crate::store::{Reason, StoreError, names};
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
    let Some(bytes) = read_index(root)? else { return Ok(Arc::default()) };
    known.parse(&bytes).map_err(|error| unusable_index(root, error))
}

/// What an `index.json` says, of the few that were read last. Whoever changes a layout reads its names when it is opened, when a
/// plan is made, and again under each lock; while the bytes are the same, they are parsed once.
#[derive(Clone, Debug, Default)]
pub struct KnownIndexes(Arc<Mutex<Vec<Known>>>);

/// The digest of an `index.json`, and what it says.
type Known = (Digest, Arc<[Descriptor]>);

/// How many are kept: of the source, of the target, and of the current layout.
const MOST_KNOWN: usize = 3;

impl KnownIndexes {
    /// Returns what an `index.json` says.
    ///
    /// # Errors
    /// As [`names::parse`].
    pub(super) fn parse(&self, bytes: &[u8]) -> Result<Arc<[Descriptor]>, JsonError> {
        let digest = Digest::of(bytes);
        let held = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = held().iter().find(|(known, _)| *known == digest).map(|(_, roots)| Arc::clone(roots));
        if let Some(roots) = found {
            return Ok(roots);
        }
        let roots: Arc<[Descriptor]> = names::parse(bytes)?.into();
        let mut held = held();
        held.insert(0, (digest, Arc::clone(&roots)));
        held.truncate(MOST_KNOWN);
        Ok(roots)
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
    let Some((file, size)) = root.file(name)? else { return Ok(None) };
    let too_large = || root.malformed(name, &format!("it is larger than {}", human_size(largest)));
    if size > largest {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // the size may change while it is read
    file.take(largest + 1).read_to_end(&mut bytes).map_err(StoreError::io("read", root.path_of(name)))?;
    if bytes.len() as u64 > largest { Err(too_large()) } else { Ok(Some(bytes)) }
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
        assert_eq!(known.0.lock().unwrap().len(), MOST_KNOWN);
        assert!(!Arc::ptr_eq(&first, &known.parse(&index("v1")).unwrap()));
    }
}
