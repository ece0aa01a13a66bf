//! What loads that did not come to their end left in a layout.

use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::PREFIX;
use super::state::State;
use crate::digest::Digest;
use crate::store::StoreError;
use crate::store::layout::beneath::Directory;

/// How long it stays: the next medium may come by mail.
const OLD: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a load that has not come to its end left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadLeft {
    /// The hidden directory in the layout.
    pub name: String,
    /// The bytes of its files.
    pub size: u64,
    /// Whether nobody has come back for it in a week.
    pub is_old: bool,
    /// The content in `blobs/` that came with it.
    pub held: Vec<Digest>,
}

fn is_ours(name: &str) -> bool {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.strip_prefix(PREFIX).is_some_and(|hex| hex.len() == 16 && hex.bytes().all(is_hex))
}

/// Lists what loads left in a layout.
pub(in crate::store::layout) fn list(root: &Directory) -> Result<Vec<LoadLeft>, StoreError> {
    let mut found = Vec::new();
    for name in root.names()?.into_iter().filter(|name| is_ours(name)) {
        let Some(stat) = root.stat(&name)? else { continue };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            continue;
        }
        let Some(own) = root.below(&name)? else { continue };
        let (mut size, mut last) = (0, stat.st_mtime);
        for file in own.names()? {
            if let Some(stat) = own.stat(&file)? {
                // a file of ranges has holes
                size += u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
                last = last.max(stat.st_mtime);
            }
        }
        let written = u64::try_from(last).ok().map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let age = written.and_then(|written| SystemTime::now().duration_since(written).ok());
        let held = State::written_down(&own).ok().flatten().map(|state| state.held.into_iter().collect());
        let is_old = age.is_some_and(|age| age > OLD);
        found.push(LoadLeft { name, size, is_old, held: held.unwrap_or_default() });
    }
    Ok(found)
}

/// Removes what a load left.
pub(in crate::store::layout) fn remove_left(root: &Directory, left: &LoadLeft) -> Result<(), StoreError> {
    if is_ours(&left.name) { remove_directory(root, &left.name) } else { Ok(()) }
}

/// Removes such a directory with its files. One that holds a directory stays.
pub(super) fn remove_directory(root: &Directory, name: &str) -> Result<(), StoreError> {
    let Some(own) = root.below(name)? else { return Ok(()) };
    for file in own.names()? {
        match rustix::fs::unlinkat(own.handle(), &file, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT | Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(StoreError::io("remove", own.path_of(&file))(error.into())),
        }
    }
    match rustix::fs::unlinkat(root.handle(), name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
        Err(error) => Err(StoreError::io("remove", root.path_of(name))(error.into())),
    }
}
