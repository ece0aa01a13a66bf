//! How much room a layout needs for what is coming.

use std::path::Path;

use rustix::fs::FileType;
use rustix::io::retry_on_intr;

use super::beneath::Directory;
use super::partial;
use crate::content::Content;
use crate::store::{StoreError, room};

/// Fails when what is coming, and does not lie there by name and size, is more than the file system has room for. What
/// lies there of a blob that is yet to be continued takes no more room. `above` is asked when nothing is at the path yet.
pub(super) fn check<'c>(
    path: &Path,
    above: &Path,
    coming: impl Iterator<Item = &'c Content>,
) -> Result<(), StoreError> {
    let root = Directory::open(path)?;
    let mut needed: u64 = 0;
    for content in coming {
        if !root.as_ref().map_or(Ok(false), |root| is_there(root, content))? {
            let begun = root.as_ref().map_or(Ok(0), |root| partial::length_of(root, content))?;
            needed = needed.saturating_add(content.size - begun);
        }
    }
    let room = match &root {
        Some(root) => retry_on_intr(|| rustix::fs::fstatvfs(root.handle())),
        None => retry_on_intr(|| rustix::fs::statvfs(above)),
    };
    room::require(needed, room, path)
}

/// Fails when so many bytes are more than the file system has room for.
pub(super) fn check_bytes(root: &Directory, needed: u64) -> Result<(), StoreError> {
    room::require(needed, retry_on_intr(|| rustix::fs::fstatvfs(root.handle())), root.path())
}

fn is_there(root: &Directory, content: &Content) -> Result<bool, StoreError> {
    let stat = root.stat(&content.digest.blob_path())?;
    Ok(stat.is_some_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && u64::try_from(stat.st_size) == Ok(content.size)
    }))
}
