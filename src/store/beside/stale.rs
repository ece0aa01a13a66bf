//! Temporary files beside an archive or another file: how they are called, how those of dead processes go, and how one of them is taken over.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use tempfile::{NamedTempFile, TempPath};

use crate::store::flock;
use crate::store::listing::names_in;

/// A file younger than this may belong to a process that has not come to lock it yet.
const YOUNG: Duration = Duration::from_secs(60);

/// How many random characters end the name: what ends otherwise is somebody else's.
pub(in crate::store) const RANDOM: usize = 16;

/// Returns how the temporary files for a target begin.
pub(in crate::store) fn prefix(name: &str) -> String {
    // a name of the greatest length must leave room for what comes behind it
    let name: String = name.chars().take(40).collect();
    format!(".{name}.barge-")
}

/// Returns how the temporary file for a target is called that is to hold what has this identity, in hex.
pub(in crate::store) fn named(name: &str, identity: &str) -> String {
    let identity: String = identity.chars().take(RANDOM).collect();
    format!("{}{identity}", prefix(name))
}

/// Why a temporary file cannot be had.
#[derive(Debug)]
pub(in crate::store) enum NotTaken {
    /// It cannot be made or opened.
    Machine(io::Error),
    /// It cannot be locked, which says nothing of other processes.
    Lock(Errno),
}

impl From<io::Error> for NotTaken {
    fn from(error: io::Error) -> Self {
        Self::Machine(error)
    }
}

/// How often a file is opened that others remove meanwhile.
const ATTEMPTS: usize = 16;

/// Opens a temporary file for this process alone, and makes it if need be. `None` when another process has it, or what
/// stands there is no regular file of our own with this one name: then another name serves as well.
///
/// # Errors
/// When no file can be made or opened there, or it cannot be locked.
pub(in crate::store) fn take(path: &Path) -> Result<Option<NamedTempFile>, NotTaken> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::NONBLOCK;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    for _ in 0..ATTEMPTS {
        let mut made = true;
        let opened = match retry_on_intr(|| rustix::fs::openat(CWD, path, flags | OFlags::CREATE | OFlags::EXCL, mode))
        {
            // looked at first: opening a device may do something
            Err(Errno::EXIST) => match std::fs::symlink_metadata(path) {
                Ok(there) if there.is_file() => {
                    made = false;
                    retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))
                }
                Ok(_) => return Ok(None),
                Err(_) => continue,
            },
            new => new,
        };
        let file = match opened {
            Ok(file) => File::from(file),
            Err(Errno::INTR) => continue,
            // it was removed just now; a new one fails so only when its directory is not there
            Err(Errno::NOENT) if !made => continue,
            Err(error) => return Err(NotTaken::Machine(error.into())),
        };
        let held = match file.metadata() {
            Err(error) if made => {
                let _ = std::fs::remove_file(path); // nobody has it, and nobody would clear it
                return Err(error.into());
            }
            held => held?,
        };
        let ours = held.is_file() && held.uid() == rustix::process::geteuid().as_raw() && held.nlink() <= 1;
        let locked = flock::try_exclusive(&file);
        if made && locked.is_err() {
            // a file system without locks: nobody can take it over, and it would stay
            let _ = std::fs::remove_file(path);
        }
        if !ours || locked == Ok(false) {
            return Ok(None);
        }
        locked.map_err(NotTaken::Lock)?;
        // before it was locked, another process may have finished or removed it
        let named = std::fs::symlink_metadata(path);
        if named.is_ok_and(|named| (named.dev(), named.ino()) == (held.dev(), held.ino())) {
            return Ok(Some(NamedTempFile::from_parts(file, TempPath::try_from_path(path)?)));
        }
    }
    Ok(None)
}

/// Removes what dead processes left for this target, but for the one that is about to be taken over. A living one holds a
/// lock on its file. Failures are no matter: the next run tries again.
pub(in crate::store) fn remove(directory: &Path, name: &str, but: Option<&str>) {
    remove_named(directory, &prefix(name), but);
}

/// The same for files that begin otherwise.
pub(in crate::store) fn remove_named(directory: &Path, prefix: &str, but: Option<&str>) {
    for found in names_in(directory).unwrap_or_default() {
        let path = directory.join(&found);
        let found = found.to_string_lossy();
        if is_ours(prefix, &found) && but != Some(&*found) && is_dead(&path) {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn is_ours(prefix: &str, name: &str) -> bool {
    let rest = name.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.len() == RANDOM && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn is_dead(path: &Path) -> bool {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return false };
    let age = metadata.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
    if !metadata.is_file() || age.is_none_or(|age| age < YOUNG) {
        return false;
    }
    File::open(path).is_ok_and(|file| flock::try_exclusive(&file) == Ok(true))
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
        make(".a.tar.barge-fedcba9876543210");
        remove(directory.path(), "a.tar", Some(&named("a.tar", "fedcba9876543210ffff")));
        let mut left: Vec<_> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut expected = kept.to_vec();
        expected.extend([
            ".a.tar.barge-fedcba9876543210",
            ".a.tar.barge-living0123456789",
            ".a.tar.barge-young01234567890",
        ]);
        expected.sort_unstable();
        assert_eq!(left, expected);
    }

    #[test]
    fn only_a_file_of_our_own_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(named("a.tar", "0123456789abcdef0123"));
        let mut first = take(&path).unwrap().unwrap();
        assert_eq!(first.path(), path);
        assert!(take(&path).unwrap().is_none(), "it is in use");
        first.disable_cleanup(true);
        drop(first);
        let mut second = take(&path).unwrap().unwrap();
        second.disable_cleanup(true);
        drop(second);
        std::fs::hard_link(&path, directory.path().join("other")).unwrap();
        assert!(take(&path).unwrap().is_none(), "it has a second name");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("other", &path).unwrap();
        assert!(take(&path).unwrap().is_none(), "a link");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(take(&path).unwrap().is_none(), "a directory");
    }
}
