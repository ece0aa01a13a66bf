//! What an archive is, by its entries, and whether they are of the kinds that they must be.

use super::read::{Format, INDEX_JSON, MANIFEST_JSON, OCI_LAYOUT};
use super::refusal;
use super::tar::{Entry, TarIndex};
use crate::digest::{Algorithm, Digest};
use crate::store::{Location, StoreError};
use crate::tar::entry::EntryKind;
use crate::text::quoted;

/// Returns what an archive is, by its entries.
pub(super) fn recognised(index: &TarIndex, place: &Location) -> Result<Format, StoreError> {
    let has = |name: &str| index.find(name).is_some();
    if has(OCI_LAYOUT) {
        return Ok(Format::Oci);
    }
    if has(MANIFEST_JSON) {
        return Ok(Format::Docker);
    }
    if has(INDEX_JSON) {
        // containerd takes it for Docker's format then, and complains about that
        let hint = "put a file `oci-layout` with {\"imageLayoutVersion\":\"1.0.0\"} beside it";
        return Err(refusal(
            "the archive",
            place,
            "it holds index.json but no oci-layout: no program reads it as a layout",
            Some(hint),
        ));
    }
    let mut reason = "it holds neither index.json nor manifest.json".to_owned();
    let names = || index.entries().iter().map(|entry| &*entry.name);
    let mut hint = "an archive of images is made by `barge save`, `docker save` or `skopeo copy`".to_owned();
    if !index.has_end() {
        reason += ", and it ends without the blocks of zeros that end a tar";
        hint = "it may be cut off: copy it again from where it was made".to_owned();
    } else if let Some(directory) = names().find_map(|name| name.strip_suffix("/oci-layout")) {
        reason += &format!(" at its top, but a layout lies below {} in it", quoted(directory));
        hint = "make it with `tar -C DIRECTORY -cf FILE .`, so that oci-layout stands at the top".to_owned();
    } else if index.entries().is_empty() {
        reason = "it is a tar without entries".to_owned();
    } else if names()
        .any(|name| matches!(name, "etc" | "usr" | "bin") || name.starts_with("etc/") || name.starts_with("usr/"))
    {
        reason += ": it looks like a root file system";
        hint = "`barge build` makes an image of one".to_owned();
    }
    Err(refusal("the archive", place, reason, Some(&hint)))
}

/// Checks that what stands under our names is of the right kind: elsewhere links and devices harm nobody, since nothing
/// is unpacked.
pub(super) fn check_kinds(index: &TarIndex, place: &Location) -> Result<(), StoreError> {
    let named = [OCI_LAYOUT, INDEX_JSON, MANIFEST_JSON, "blobs"].into_iter().filter_map(|name| index.find(name));
    let is_algorithm = |name: &str| Algorithm::ALL.iter().any(|known| known.name() == name);
    for entry in named.chain(index.below("blobs/")) {
        let must_be_directory = || match entry.name.strip_prefix("blobs/") {
            Some(name) => is_algorithm(name),
            None => &*entry.name == "blobs",
        };
        // a directory of another name below `blobs/` is nobody's business
        let may_be_directory = || entry.name.starts_with("blobs/") && names_blob(&entry.name).is_none();
        let right = match &entry.kind {
            EntryKind::Regular => !must_be_directory(),
            EntryKind::Directory => must_be_directory() || may_be_directory(),
            _ => false,
        };
        if !right {
            let hint = matches!(entry.kind, EntryKind::HardLink(_) | EntryKind::SymLink(_))
                .then_some("make the archive with `tar --dereference --hard-dereference`");
            let expected = if must_be_directory() { "a directory" } else { "a regular file" };
            return Err(refusal(entry.what(), place, format!("it is {}, expected {expected}", entry.kind), hint));
        }
    }
    Ok(())
}

/// Returns the digest under which an entry is content; none for any other entry.
pub(super) fn blob_digest(entry: &Entry) -> Option<Digest> {
    if entry.kind == EntryKind::Regular { names_blob(&entry.name) } else { None }
}

/// Returns the digest that a name under `blobs/` means.
fn names_blob(name: &str) -> Option<Digest> {
    let (algorithm, hex) = name.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}
