//! Temporary files beside an archive: how they are called, and how those of dead processes go.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::store::flock;

/// A file younger than this may belong to a process that has not come to lock it yet.
const YOUNG: Duration = Duration::from_secs(60);

/// How many random characters end the name: what ends otherwise is somebody else's.
pub(super) const RANDOM: usize = 16;

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
        if is_ours(&prefix, &entry.file_name().to_string_lossy()) && is_dead(&entry) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn is_ours(prefix: &str, name: &str) -> bool {
    let rest = name.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.len() == RANDOM && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn is_dead(entry: &std::fs::DirEntry) -> bool {
    let Ok(metadata) = entry.metadata() else { return false };
    let age = metadata.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
    if !metadata.is_file() || age.is_none_or(|age| age < YOUNG) {
        return false;
    }
    File::open(entry.path()).is_ok_and(|file| flock::try_exclusive(&file) == Ok(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_leftovers_go_and_only_old_ones() {
        let directory = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let file = File::create(directory.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - 2 * YOUNG).unwrap();
            file
        };
        let kept =
            [".a.tar.barge-backup", ".a.tar.barge-", ".a.tar.barge-0123456789abcde_", ".b.tar.barge-0123456789abcdef"];
        for name in kept {
            make(name);
        }
        make(".a.tar.barge-0123456789abcdef");
        let living = make(".a.tar.barge-living0123456789");
        assert!(flock::try_exclusive(&living).unwrap());
        make(".a.tar.barge-young01234567890").set_modified(SystemTime::now()).unwrap();
        remove(directory.path(), "a.tar");
        let mut left: Vec<_> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut expected = kept.to_vec();
        expected.extend([".a.tar.barge-living0123456789", ".a.tar.barge-young01234567890"]);
        expected.sort_unstable();
        assert_eq!(left, expected);
    }
}
