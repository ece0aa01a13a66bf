//! What stands at a place that a layout is to be written to, and whether it may be.

use super::arrived;
use super::beneath::Directory;
use super::files::{self, INDEX, KnownIndexes, OCI_LAYOUT};
use super::lock::INDEX_LOCK;
use super::temporary::{self, TOP};
use crate::digest::Algorithm;
use crate::store::StoreError;
use crate::text::quoted;

/// What stands at the place.
pub(super) enum Standing {
    /// A layout that can be used.
    Layout,
    /// Nothing, or what an interrupted run left before it was a layout.
    Bare,
}

/// Returns what an open directory is, or why it can be no layout to write to.
pub(super) fn examine(root: &Directory, indexes: &KnownIndexes) -> Result<Standing, StoreError> {
    // Listed before `oci-layout` is looked for: what another run makes is there only after that, so that a layout which is
    // being made at this moment is not taken for a directory with other things in it.
    let names = root.names()?;
    if files::has_version(root)? {
        refuse_linked_index(root)?;
        files::roots(root, indexes)?;
        return Ok(Standing::Layout);
    }
    let Some(other) = foreign(root, names)? else { return Ok(Standing::Bare) };
    Err(StoreError::Malformed {
        what: "the directory".to_owned(),
        place: root.location().clone(),
        reason: match other.as_str() {
            INDEX => "it is not an OCI image layout: it has index.json but no oci-layout file".into(),
            other => format!("it is a directory with other things in it, such as {}", quoted(other)).into(),
        },
        hint: Some("give an empty directory, or one that does not exist yet".to_owned()),
    })
}

/// Fails when `index.json` is a link: a rename would replace the link, and leave what it leads to as it was.
pub(super) fn refuse_linked_index(root: &Directory) -> Result<(), StoreError> {
    root.file_itself(INDEX).map(|_| ())
}

/// Returns the first name that an interrupted run of barge does not leave.
fn foreign(root: &Directory, names: Vec<String>) -> Result<Option<String>, StoreError> {
    for name in names {
        let ours = match name.as_str() {
            // an `oci-layout` that was listed and is not there now was taken back by a run that gave up
            INDEX_LOCK | OCI_LAYOUT => true,
            "blobs" => match root.below("blobs") {
                Ok(Some(blobs)) => {
                    let known = |name: &String| Algorithm::ALL.iter().any(|algorithm| algorithm.name() == name);
                    blobs.names()?.iter().all(known)
                }
                Ok(None) => true, // removed just now
                Err(StoreError::Malformed { .. }) => false,
                Err(error) => return Err(error),
            },
            name => arrived::is_ours(name) || TOP.iter().any(|prefix| temporary::is_ours(prefix, name)),
        };
        if !ours {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
