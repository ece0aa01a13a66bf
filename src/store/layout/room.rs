//! An early look at the free space: better to fail before the first byte than after the last but one.
//!
//! Only a look: others write too, and quotas are not seen. Whoever writes still meets the error that says so.

use std::io;
use std::path::Path;

use rustix::fs::{FileType, StatVfs};

use super::beneath::Directory;
use super::partial;
use crate::content::Content;
use crate::store::StoreError;
use crate::text::human_size;

/// Fails when what is coming, and does not lie there by name and size, is more than the file system has room for. What
/// lies there of a blob that is yet to be continued takes no more room. `above` is asked when nothing is at the path yet.
pub(super) fn check(path: &Path, above: &Path, coming: &[Content]) -> Result<(), StoreError> {
    let root = Directory::open(path)?;
    let mut needed: u64 = 0;
    for content in coming {
        if !root.as_ref().map_or(Ok(false), |root| is_there(root, content))? {
            let begun = root.as_ref().map_or(Ok(0), |root| partial::length_of(root, content))?;
            needed = needed.saturating_add(content.size - begun);
        }
    }
    let room = match &root {
        Some(root) => rustix::fs::fstatvfs(root.handle()),
        None => rustix::fs::statvfs(above),
    };
    // a file system that cannot say how much room it has is no reason to stop
    let Some(free) = room.ok().and_then(|room| free(&room)) else { return Ok(()) };
    if needed <= free {
        return Ok(());
    }
    let message = format!("{} are needed and {} are free", human_size(needed), human_size(free));
    Err(StoreError::io("write", path)(io::Error::new(io::ErrorKind::StorageFull, message)))
}

fn is_there(root: &Directory, content: &Content) -> Result<bool, StoreError> {
    let stat = root.stat(&content.digest.blob_path())?;
    Ok(stat.is_some_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && u64::try_from(stat.st_size) == Ok(content.size)
    }))
}

/// Returns the free bytes that this user may fill; `None` where the file system does not tell.
fn free(room: &StatVfs) -> Option<u64> {
    // a part is kept for root
    let blocks = if rustix::process::geteuid().is_root() { room.f_bfree } else { room.f_bavail };
    (room.f_blocks > 0).then(|| blocks.saturating_mul(room.f_frsize))
}
