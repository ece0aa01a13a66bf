//! Temporary files: the only way a file of a layout gets its name.
//!
//! A file is written beside where it will stand, flushed, and renamed: nobody ever sees a part of it under its name, and
//! what fails leaves nothing behind. While it is being written it is locked, so that a later run can tell the leftovers of a
//! process that died from the work of one that lives, also across containers, where a process id means nothing.
//! `partial.rs` has those that are worth keeping.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::beneath::Directory;
use super::files::{INDEX, OCI_LAYOUT};
use crate::blob::Proof;
use crate::store::{CREATE_IN, Durability, StoreError, flock};

/// What the names of temporary blobs begin with.
pub(super) const BLOB: &str = ".tmp-";
/// What the names of temporary files at the top begin with: `index.json` and `oci-layout` under way.
pub(super) const TOP: [&str; 2] = [".index.json.tmp-", ".oci-layout.tmp-"];
/// How long nobody may have written to a temporary file before it can be a leftover. Between making the file and locking
/// it a moment passes in which it looks like one.
const STALE: Duration = Duration::from_secs(60);
const ATTEMPTS: usize = 16;

/// A file without a name of its own yet. Dropped before it has one, or is kept for a later run, it is gone.
#[derive(Debug)]
pub(super) struct Temporary {
    directory: Directory,
    name: String,
    file: File,
    settled: bool,
}

impl Temporary {
    /// Makes an empty file that only we can read.
    pub(super) fn create(directory: &Directory, prefix: &str) -> Result<Self, StoreError> {
        // readable, because a clone is checked by reading it back
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut failed = Errno::EXIST;
        for _ in 0..ATTEMPTS {
            let name = format!("{prefix}{}-{:016x}", std::process::id(), random());
            let temporary =
                match retry_on_intr(|| rustix::fs::openat(directory.handle(), &name, flags, Mode::RUSR | Mode::WUSR)) {
                    Ok(file) => Self::of(directory, name, File::from(file)),
                    Err(error) => {
                        failed = error;
                        if matches!(error, Errno::EXIST | Errno::INTR) {
                            continue;
                        }
                        break;
                    }
                };
            // whoever clears leftovers may have been faster, if the clocks disagree
            match flock::try_exclusive(&temporary.file) {
                Ok(true) if directory.stat(&temporary.name)?.is_some() => return Ok(temporary),
                Ok(_) => failed = Errno::BUSY,
                Err(error) => return Err(StoreError::io("lock", directory.path_of(&temporary.name))(error.into())),
            }
        }
        Err(StoreError::io(CREATE_IN, directory.path())(failed.into()))
    }

    /// Takes over a file that is locked, and that goes or gets its name like one that was made here.
    pub(super) fn of(directory: &Directory, name: String, file: File) -> Self {
        Self { directory: directory.clone(), name, file, settled: false }
    }

    /// Leaves the file under the name it has, unless it is empty: for a later run that continues it.
    pub(super) fn keep(mut self) {
        self.settled = self.file.metadata().is_ok_and(|metadata| metadata.len() > 0);
        if self.settled {
            flock::release(&self.file);
        }
    }

    /// Returns the file, to be written.
    pub(super) const fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Makes what was written ready for its name: readable for everybody, and safe from a loss of power. `name` is the one
    /// it is to have, for messages.
    pub(super) fn flush(&self, name: &str, durability: Durability) -> Result<(), StoreError> {
        let path = self.directory.path_of(name);
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
        match retry_on_intr(|| rustix::fs::fchmod(&self.file, mode)) {
            // The file is ours, so only a file system without modes says this, and there everybody can read it.
            Ok(()) | Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(StoreError::io("write", path)(error.into())),
        }
        if durability == Durability::Synced {
            self.file.sync_all().map_err(StoreError::io("write", path))?;
        }
        Ok(())
    }

    /// Gives content its name: no other rename leads into `blobs/` than this and the next, and both take the proof of what was
    /// written. Returns what the file is now, as far as that can be told.
    pub(super) fn name_blob(mut self, proof: &Proof) -> Result<Option<Stat>, StoreError> {
        self.rename(&proof.content().digest.hex())?;
        Ok(rustix::fs::fstat(&self.file).ok())
    }

    /// Gives content its name that was gathered in another directory of the layout; it takes the proof as well.
    pub(super) fn name_blob_in(mut self, directory: &Directory, proof: &Proof) -> Result<Option<Stat>, StoreError> {
        let name = proof.content().digest.hex();
        rustix::fs::renameat(self.directory.handle(), self.name.as_str(), directory.handle(), &name)
            .map_err(|error| StoreError::io("write", directory.path_of(&name))(error.into()))?;
        self.settled = true;
        Ok(rustix::fs::fstat(&self.file).ok())
    }

    /// Gives a file its name that is of use to barge alone: in a directory where neither content nor `index.json` stands.
    pub(super) fn name_within(mut self, name: &str) -> Result<(), StoreError> {
        self.rename(name)
    }

    /// Replaces `index.json`.
    pub(super) fn name_index(mut self) -> Result<(), StoreError> {
        self.rename(INDEX)
    }

    /// Gives `oci-layout` its name.
    pub(super) fn name_oci_layout(mut self) -> Result<(), StoreError> {
        self.rename(OCI_LAYOUT)
    }

    fn rename(&mut self, name: &str) -> Result<(), StoreError> {
        let handle = self.directory.handle();
        rustix::fs::renameat(handle, self.name.as_str(), handle, name)
            .map_err(|error| StoreError::io("write", self.directory.path_of(name))(error.into()))?;
        self.settled = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.settled {
            // What led here is the error to tell; the next run clears the file if this fails too.
            let _ = rustix::fs::unlinkat(self.directory.handle(), self.name.as_str(), AtFlags::empty());
        }
    }
}

/// A number that no other process makes at the same time: the standard library seeds its hash maps from the system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Returns whether a name is one that [`Temporary::create`] gives: `PREFIX PID - 16 HEX`.
pub(super) fn is_ours(prefix: &str, name: &str) -> bool {
    let Some((process, random)) = name.strip_prefix(prefix).and_then(|rest| rest.split_once('-')) else { return false };
    !process.is_empty()
        && process.bytes().all(|byte| byte.is_ascii_digit())
        && random.len() == 16
        && random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Removes the temporary files of processes that died. A convenience: whatever cannot be removed stays, and stops nobody.
pub(super) fn remove_stale(directory: &Directory, prefix: &str) {
    remove_stale_among(directory, prefix, &directory.hidden_names().unwrap_or_default());
}

/// As [`remove_stale`], of a directory that was listed already.
pub(super) fn remove_stale_among(directory: &Directory, prefix: &str, names: &[String]) {
    for name in names {
        if is_ours(prefix, name) && is_stale(directory, name) {
            let _ = rustix::fs::unlinkat(directory.handle(), name.as_str(), AtFlags::empty());
        }
    }
}

fn is_stale(directory: &Directory, name: &str) -> bool {
    let Ok(Some((file, _))) = directory.file_itself(name) else { return false };
    let age = file.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed());
    // a time in the future is no age
    matches!(age, Ok(Ok(age)) if age > STALE) && matches!(flock::try_exclusive(&file), Ok(true))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use super::*;

    fn names(directory: &Directory) -> Vec<String> {
        directory.names().unwrap()
    }

    #[test]
    fn a_file_that_got_no_name_is_gone() {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::open(temp.path()).unwrap().unwrap();
        let temporary = Temporary::create(&directory, BLOB).unwrap();
        assert!(is_ours(BLOB, &names(&directory)[0]), "{:?}", names(&directory));
        drop(temporary);
        assert_eq!(names(&directory), [""; 0]);
        // a rename that fails leaves nothing either
        fs::create_dir_all(temp.path().join("index.json/x")).unwrap();
        let error = Temporary::create(&directory, TOP[0]).unwrap().name_index().unwrap_err();
        assert!(error.to_string().ends_with("/index.json"), "{error}");
        assert_eq!(names(&directory), ["index.json"]);
    }

    #[test]
    fn only_what_a_dead_process_left_is_cleared() {
        let temp = tempfile::tempdir().unwrap();
        let directory = Directory::open(temp.path()).unwrap().unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        let write = |name: &str| fs::write(temp.path().join(name), "part").unwrap();
        let age = |name: &str| {
            let file = fs::File::options().write(true).open(temp.path().join(name)).unwrap();
            file.set_modified(long_ago).unwrap();
        };
        let dead = ".tmp-1-0123456789abcdef";
        let young = ".tmp-2-0123456789abcdef";
        let others = [".tmp-abc", ".tmp-1-0123456789ABCDEF", ".tmp-1-0123", "x.tmp-1-0123456789abcdef"];
        let living = Temporary::create(&directory, BLOB).unwrap();
        age(&living.name);
        for name in others.into_iter().chain([dead]) {
            write(name);
            age(name);
        }
        write(young);
        let mut expected = names(&directory);
        expected.retain(|name| name != dead);
        remove_stale(&directory, BLOB);
        assert_eq!(names(&directory), expected);
    }
}
