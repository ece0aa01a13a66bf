//! Partial blobs: the beginning of content that was being fetched when the network went or the process died.
//!
//! A partial blob lies beside the blobs as `.partial-HEX`, so that there is one for each digest and the next run finds it.
//! Whoever writes to it has it locked, and keeps it when it is not the content that failed. Nothing relies on what is in it:
//! it is hashed like every other byte before the whole gets its name, so a file that a loss of power filled with zeros costs
//! time and nothing else. Readers of a layout do not see it.
//!
//! Only a regular file of our own with no second name is written to: what else may stand under such a name is left alone.
//! They do not pile up: who commits the content removes them, and so do `gc` and, after a week, every writer.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::beneath::Directory;
use super::temporary::Temporary;
use crate::content::Content;
use crate::digest::{Algorithm, Digest};
use crate::store::{StoreError, flock};

const PREFIX: &str = ".partial-";
/// The smallest content, in bytes, of which a beginning is kept: what is smaller is fetched again in the time that it takes
/// to ask for its rest.
pub(super) const LEAST: u64 = 1024 * 1024;
/// After how long a beginning that is not wanted is given up: nobody has come back for it.
const OLD: Duration = Duration::from_secs(7 * 24 * 3600);
const ATTEMPTS: usize = 16;

/// The beginning of content, which nobody is fetching now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Of which content.
    pub digest: Digest,
    /// How many bytes there are of it. They were not checked.
    pub size: u64,
    /// How long ago the last of them came; none when that lies in the future.
    pub age: Option<Duration>,
}

/// Returns of which content a file is the beginning, by its name.
pub(super) fn digest_of(algorithm: Algorithm, name: &str) -> Option<Digest> {
    let hex = name.strip_prefix(PREFIX)?;
    format!("{}:{hex}", algorithm.name()).parse().ok()
}

fn name_of(digest: &Digest) -> String {
    format!("{PREFIX}{}", digest.hex())
}

/// Opens the partial blob of some content for us alone, makes it if need be, and returns how long it is. `None` when another
/// process is fetching the same, or nothing can be kept under that name: an ordinary temporary file serves as well.
pub(super) fn open(directory: &Directory, digest: &Digest) -> Option<(Temporary, u64)> {
    let name = name_of(digest);
    let handle = directory.handle();
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::NONBLOCK;
    for _ in 0..ATTEMPTS {
        let made = retry_on_intr(|| {
            rustix::fs::openat(handle, &name, flags | OFlags::CREATE | OFlags::EXCL, Mode::RUSR | Mode::WUSR)
        });
        let opened = match made {
            Err(Errno::EXIST) => match directory.stat(&name).ok()? {
                // looked at first: opening a device may do something
                Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                    retry_on_intr(|| rustix::fs::openat(handle, &name, flags, Mode::empty()))
                }
                Some(_) => return None,
                None => continue,
            },
            made => made,
        };
        let file = match opened {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::INTR) => continue,
            Err(_) => return None,
        };
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || metadata.uid() != own_user() || metadata.nlink() > 1 {
            return None;
        }
        if !matches!(flock::try_exclusive(&file), Ok(true)) {
            return None;
        }
        // before it was locked, another process may have finished or removed it
        if has_name(directory, &name, &file) {
            let length = file.metadata().ok()?.len();
            return Some((Temporary::of(directory, name, file), length));
        }
    }
    None
}

/// Returns how much of some content need not be written again, as far as can be told without opening anything.
pub(super) fn length_of(root: &Directory, content: &Content) -> Result<u64, StoreError> {
    if content.size < LEAST {
        return Ok(0);
    }
    let path = format!("blobs/{}/{}", content.digest.algorithm().name(), name_of(&content.digest));
    let length = root.stat(&path)?.and_then(|stat| {
        let ours = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_uid == own_user();
        u64::try_from(stat.st_size).ok().filter(|size| ours && *size <= content.size)
    });
    Ok(length.unwrap_or(0))
}

/// Lists the partial blobs in a directory that nobody writes to.
pub(super) fn list(directory: &Directory, algorithm: Algorithm) -> Result<Vec<Partial>, StoreError> {
    list_among(directory, algorithm, &directory.hidden_names()?)
}

fn list_among(directory: &Directory, algorithm: Algorithm, names: &[String]) -> Result<Vec<Partial>, StoreError> {
    let mut found = Vec::new();
    for name in names {
        let Some(digest) = digest_of(algorithm, name) else { continue };
        let Some(Locked(file)) = &lock(directory, name) else { continue };
        let metadata = file.metadata().map_err(StoreError::io("read", directory.path_of(name)))?;
        let written = metadata.modified().ok();
        let age = written.and_then(|written| SystemTime::now().duration_since(written).ok());
        found.push(Partial { digest, size: metadata.len(), age });
    }
    Ok(found)
}

/// Returns whether there are partial blobs in a directory, by their names.
pub(super) fn is_in(directory: &Directory, algorithm: Algorithm) -> bool {
    directory.hidden_names().is_ok_and(|names| names.iter().any(|name| digest_of(algorithm, name).is_some()))
}

/// Removes a partial blob, unless somebody writes to it; returns whether it went.
pub(super) fn remove(directory: &Directory, digest: &Digest) -> Result<bool, StoreError> {
    let name = name_of(digest);
    let Some(_locked) = lock(directory, &name) else { return Ok(false) };
    match rustix::fs::unlinkat(directory.handle(), &name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(error) => Err(StoreError::io("remove", directory.path_of(&name))(error.into())),
    }
}

/// Removes the partial blobs that are old and not wanted. A convenience: whatever cannot be removed stays, and stops nobody.
pub(super) fn remove_old(directory: &Directory, algorithm: Algorithm, names: &[String], wanted: &[Content]) {
    for partial in list_among(directory, algorithm, names).unwrap_or_default() {
        let is_wanted = || wanted.iter().any(|content| content.digest == partial.digest);
        if partial.age.is_some_and(|age| age > OLD) && !is_wanted() {
            let _ = remove(directory, &partial.digest);
        }
    }
}

/// Locks a partial blob that is there already; `None` when somebody writes to it, or it is none.
fn lock(directory: &Directory, name: &str) -> Option<Locked> {
    let (file, _) = directory.file_itself(name).ok()??;
    let locked = matches!(flock::try_exclusive(&file), Ok(true)).then(|| Locked(file))?;
    has_name(directory, name, &locked.0).then_some(locked)
}

/// A file that is locked until this is dropped.
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        flock::release(&self.0);
    }
}

fn has_name(directory: &Directory, name: &str, file: &File) -> bool {
    let (Ok(own), Ok(Some(there))) = (rustix::fs::fstat(file), directory.stat(name)) else { return false };
    (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)
}

fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::thread;

    use super::*;

    #[test]
    fn only_the_names_of_digests_are_those_of_partial_blobs() {
        let hex = "0123456789abcdef".repeat(4);
        let digest = digest_of(Algorithm::Sha256, &format!(".partial-{hex}")).unwrap();
        assert_eq!((digest.hex(), name_of(&digest)), (hex.clone(), format!(".partial-{hex}")));
        let others = [hex.clone(), format!(".tmp-{hex}"), format!(".partial-{hex}0"), ".partial-".to_owned()];
        for name in others.into_iter().chain([format!(".partial-{}", hex.to_uppercase())]) {
            assert!(digest_of(Algorithm::Sha256, &name).is_none(), "{name}");
        }
        assert!(digest_of(Algorithm::Sha512, &format!(".partial-{hex}")).is_none());
    }

    /// Between opening and locking a file, another process may have finished it: then it is a blob, and not written to.
    #[test]
    fn a_file_that_has_lost_its_name_is_not_written_to() {
        let temp = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"content");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let directory = Directory::open(temp.path()).unwrap().unwrap();
                    for _ in 0..4000 {
                        let Some((mut temporary, length)) = open(&directory, &digest) else { continue };
                        assert_eq!(length, 0, "whoever wrote to it has removed it");
                        temporary.file().write_all(b"x").unwrap();
                    }
                });
            }
        });
        assert_eq!(Directory::open(temp.path()).unwrap().unwrap().names().unwrap(), [""; 0]);
    }
}
