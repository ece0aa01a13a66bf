//! Temporary files beside an archive: how they are called, and how those of dead processes go.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::store::flock;

/// A file younger than this may belong to a process that has not come to lock it yet.
const YOUNG: Duration = Duration::from_secs(60);

/// Returns how the temporary files for a target begin.
pub(super) fn prefix(name: &str) -> String {
    // a name of the greatest length must leave room for what comes behind it
    let name: String = name.chars().take(40).collect();
    format!(".{name}.barge-")
}

/// Removes what dead processes left for this target. A living one holds a lock on its file. Failures are no matter: the
/// next run tries again.
pub(super) fn remove(directory: &Path, name: &str) {
    let prefix = prefix(name);
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) && is_dead(&entry) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn is_dead(entry: &std::fs::DirEntry) -> bool {
    let Ok(metadata) = entry.metadata() else { return false };
    let age = metadata.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
    if !metadata.is_file() || age.is_none_or(|age| age < YOUNG) {
        return false;
    }
    File::open(entry.path()).is_ok_and(|file| flock::try_exclusive(&file) == Ok(true))
}
