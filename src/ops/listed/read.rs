//! Reading lists: a file, standard input, or all manifests below a directory.
//!
//! Below a directory no link is followed, every name is opened in the directory that holds it, and only regular files are
//! read: nothing leads out, whoever moves things about meanwhile.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{Dir, FileType, Mode, OFlags, fstat, openat};
use rustix::io::retry_on_intr;

use crate::blob::Cancel;
use crate::image_list::{Expected, ImageList, LARGEST_FILE};
use crate::ops::Error;
use crate::store::StoreError;
use crate::text::escaped;

/// How many manifests a directory may have.
const MOST_FILES: usize = 10_000;
/// How many names of any kind may be looked at.
const MOST_NAMES: usize = 100_000;
/// How deep directories may lie in each other.
const DEEPEST: usize = 32;
/// How many bytes the manifests of a directory may have together.
const MOST_BYTES: u64 = 64 << 20;
/// The suffixes of what is read below a directory.
const SUFFIXES: [&str; 3] = ["yaml", "yml", "json"];

/// What lists name.
#[derive(Debug, Default)]
pub struct Lists {
    /// The images.
    pub images: ImageList,
    /// How many files below directories are no manifests.
    pub skipped: u64,
    /// How many links below directories were not followed.
    pub links: u64,
}

/// Reads lists: each a file, a directory of manifests, or `-`, standard input.
///
/// # Errors
/// When one is not there, cannot be read, is no list, or is too large, or when none names an image.
pub fn read(paths: &[String], cancel: &Cancel) -> Result<Lists, Error> {
    let mut lists = Lists::default();
    if paths.iter().filter(|path| *path == "-").count() > 1 {
        return Err(Error::Usage {
            message: "cannot read two lists from standard input".to_owned(),
            hint: Some("give `-` once".to_owned()),
        });
    }
    for path in paths {
        check(cancel)?;
        if path == "-" {
            let bytes = read_bounded(std::io::stdin().lock(), LARGEST_FILE)
                .map_err(StoreError::io("read", "standard input"))?;
            lists.images.add("standard input", &bytes, Expected::Anything)?;
            continue;
        }
        // not only regular files: a shell gives the output of a command as a pipe
        let file = File::open(path).map_err(StoreError::io("open", path))?;
        if file.metadata().map_err(StoreError::io("read", path))?.is_dir() {
            read_directory(Path::new(path), file.into(), &mut lists, cancel)?;
        } else {
            let bytes = read_bounded(&file, LARGEST_FILE).map_err(StoreError::io("read", path))?;
            lists.images.add(path, &bytes, Expected::Anything)?;
        }
    }
    if lists.images.images().is_empty() {
        let names: Vec<String> = paths.iter().map(|path| escaped(path)).collect();
        return Err(Error::Usage {
            message: format!("cannot find an image in {}: the list is empty", names.join(", ")),
            hint: None,
        });
    }
    Ok(lists)
}

fn check(cancel: &Cancel) -> Result<(), StoreError> {
    if cancel.is_cancelled() { Err(StoreError::Cancelled) } else { Ok(()) }
}

/// Reads at most one byte more than is allowed: whoever gets it refuses it.
fn read_bounded(from: impl Read, most: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A name that is still to be looked at, in its open directory.
struct Pending {
    above: Rc<OwnedFd>,
    path: PathBuf,
    depth: usize,
}

fn read_directory(path: &Path, directory: OwnedFd, lists: &mut Lists, cancel: &Cancel) -> Result<(), Error> {
    let too_large = |what: &str| Error::Usage {
        message: format!("cannot take images from {}: there are {what} below it", escaped(&path.to_string_lossy())),
        hint: Some("name the directories that hold the manifests".to_owned()),
    };
    let (mut names, mut files, mut bytes) = (0, 0, 0);
    let mut left = entries(&Rc::new(directory), path, 1, &mut names)?;
    while let Some(Pending { above, path, depth }) = left.pop() {
        check(cancel)?;
        if names > MOST_NAMES {
            return Err(too_large(&format!("more than {MOST_NAMES} files")));
        }
        let Some(name) = path.file_name() else { continue };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let stat = rustix::fs::statat(&*above, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| StoreError::io("read", &path)(errno.into()))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if depth >= DEEPEST => {
                return Err(too_large(&format!("more than {DEEPEST} levels of directories")));
            }
            FileType::Directory => {
                let inner = openat(&*above, name, flags | OFlags::DIRECTORY, Mode::empty())
                    .map_err(|errno| StoreError::io("open", &path)(errno.into()))?;
                left.extend(entries(&Rc::new(inner), &path, depth + 1, &mut names)?);
            }
            FileType::RegularFile if is_manifest(&path) => {
                let file = openat(&*above, name, flags, Mode::empty())
                    .map_err(|errno| StoreError::io("open", &path)(errno.into()))?;
                let stat = fstat(file.as_fd()).map_err(|errno| StoreError::io("read", &path)(errno.into()))?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                    let changed = std::io::Error::new(ErrorKind::InvalidData, "it is no regular file any more");
                    return Err(StoreError::io("read", &path)(changed).into());
                }
                let text = read_bounded(File::from(file), LARGEST_FILE).map_err(StoreError::io("read", &path))?;
                files += 1;
                bytes += text.len() as u64;
                if files > MOST_FILES {
                    return Err(too_large(&format!("more than {MOST_FILES} manifests")));
                }
                if bytes > MOST_BYTES {
                    return Err(too_large("more than 64 MiB of manifests"));
                }
                if !lists.images.add(&path.to_string_lossy(), &text, Expected::Manifests)? {
                    lists.skipped += 1;
                }
            }
            FileType::Symlink => lists.links += 1,
            _ => lists.skipped += 1,
        }
    }
    Ok(())
}

fn is_manifest(path: &Path) -> bool {
    let suffix = path.extension().and_then(|suffix| suffix.to_str());
    suffix.is_some_and(|suffix| SUFFIXES.iter().any(|known| suffix.eq_ignore_ascii_case(known)))
}

/// Returns what a directory holds, the last name first.
fn entries(directory: &Rc<OwnedFd>, path: &Path, depth: usize, names: &mut usize) -> Result<Vec<Pending>, Error> {
    let failed = |errno: rustix::io::Errno| StoreError::io("list", path)(errno.into());
    let mut found = Vec::new();
    for entry in retry_on_intr(|| Dir::read_from(&**directory)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        *names += 1;
        if *names > MOST_NAMES {
            break; // refused by the caller
        }
        let path = path.join(std::ffi::OsStr::from_bytes(name));
        found.push(Pending { above: Rc::clone(directory), path, depth });
    }
    found.sort_unstable_by(|a, b| b.path.file_name().cmp(&a.path.file_name()));
    Ok(found)
}
