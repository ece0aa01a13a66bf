//! The two files of an OCI image layout that are no blobs (image-spec v1.1.1, image-layout.md, "oci-layout file" and
//! "index.json file").

use super::read::{Files, INDEX_JSON, MANIFEST_JSON, OCI_LAYOUT};
use super::refusal;
use crate::document::{Document, LARGEST_INDEX_JSON};
use crate::json::{self, JsonError, View};
use crate::media::{MediaType, OCI_INDEX};
use crate::store::StoreError;

/// The largest `oci-layout` that is read, in bytes: it has 30.
const LARGEST_MARKER: u64 = 64 * 1024;
/// The version of the layout, the only one there is.
const VERSION: &str = "1.0.0";

/// Reads `index.json` of an archive whose `oci-layout` is right.
///
/// # Errors
/// When one of the two is not there, not what it must be, or cannot be read.
pub(super) fn read(files: &Files<'_>) -> Result<Document, StoreError> {
    let raw = read_file(files, OCI_LAYOUT, LARGEST_MARKER)?;
    check_marker(&raw).map_err(|error| StoreError::malformed(OCI_LAYOUT, files.place, error))?;
    let raw = read_file(files, INDEX_JSON, LARGEST_INDEX_JSON)?;
    Document::parse(&MediaType::new(OCI_INDEX), raw)
        .map_err(|error| StoreError::malformed(INDEX_JSON, files.place, error))
}

fn read_file(files: &Files<'_>, name: &str, most: u64) -> Result<Vec<u8>, StoreError> {
    let Some(entry) = files.index.find(name) else {
        let hint = match files.index.find(MANIFEST_JSON) {
            Some(_) => Some("it holds a manifest.json: read that by writing `docker-archive:` before the path"),
            None if !files.index.has_end() => Some("it may be cut off: copy it again from where it was made"),
            None => None,
        };
        return Err(refusal("the archive", files.place, format!("it holds no {name}"), hint));
    };
    files.read_small(entry, most)
}

fn check_marker(raw: &[u8]) -> Result<(), JsonError> {
    let value = json::parse(raw)?;
    let version = View::top(&value, OCI_LAYOUT).need("imageLayoutVersion", VERSION)?;
    if version.text()? == VERSION { Ok(()) } else { Err(version.wrong(VERSION)) }
}
