//! What a path of a context leads to, and what its directories hold.
//!
//! Links lead where they would if the context were the root of the system. They are followed here, one by one, so that
//! whoever asks also learns which: an ignore file may leave out a link, or what it leads to.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType};
use rustix::io::{Errno, retry_on_intr};

use super::context::{Context, Opened, refused};
use super::path;
use super::way::MOST_LINKS;
use crate::store::StoreError;

/// How many names a directory may hold.
const MOST_NAMES: usize = 1_000_000;

/// What is at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A device, a FIFO or a socket.
    Other,
    /// A link that leads to nothing.
    Nothing,
}

/// Where a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// What is there.
    pub end: End,
    /// The path without links, relative to the context; empty for the context itself.
    pub path: PathBuf,
    /// The links that were followed, by paths of the same kind.
    pub links: Vec<PathBuf>,
}

impl Context {
    /// Returns where a path leads to; `None` when nothing is there.
    ///
    /// # Errors
    /// When that cannot be told, or links lead in circles.
    pub fn lookup(&self, path: &Path) -> Result<Option<Lookup>, StoreError> {
        let mut todo = parts(path.as_os_str().as_bytes());
        let (mut at, mut links) = (Vec::new(), Vec::new());
        let mut end = End::Directory;
        // whether all that is still to be walked stands in the link at the end of the path
        let mut in_last_link = false;
        while let Some(part) = todo.pop_front() {
            if part == b".." {
                at.truncate(path::parent(&at).map_or(0, <[u8]>::len)); // above the root is the root
                end = End::Directory;
                continue;
            }
            let next = path::join(&at, &part);
            let failed = |error: Errno| self.failed(&next, error);
            let handle = match self.try_find(&next, Opened::Itself) {
                Ok(handle) => handle,
                Err(Errno::NOENT | Errno::NOTDIR) if in_last_link => {
                    return Ok(Some(Lookup { end: End::Nothing, path: owned(next), links }));
                }
                Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => return Ok(None),
                Err(error) => return Err(failed(error)),
            };
            match FileType::from_raw_mode(rustix::fs::fstat(&handle).map_err(failed)?.st_mode) {
                FileType::Symlink => {
                    let target = rustix::fs::readlinkat(&handle, "", Vec::new()).map_err(failed)?;
                    let target = target.as_bytes();
                    if links.len() == MOST_LINKS {
                        return Err(failed(Errno::LOOP));
                    }
                    if target.starts_with(b"/") {
                        at.clear();
                    }
                    in_last_link |= todo.is_empty();
                    parts(target).into_iter().rev().for_each(|part| todo.push_front(part));
                    links.push(owned(next));
                    end = End::Directory;
                }
                FileType::Directory => (at, end) = (next, End::Directory),
                FileType::RegularFile => (at, end) = (next, End::File),
                _ => (at, end) = (next, End::Other),
            }
        }
        Ok(Some(Lookup { end, path: owned(at), links }))
    }

    /// Returns the names in a directory, in the order of their bytes; `None` when no directory is there.
    ///
    /// # Errors
    /// When it cannot be read, or holds too many.
    pub fn names(&self, path: &Path) -> Result<Option<Vec<OsString>>, StoreError> {
        let Some(Lookup { end: End::Directory, path, .. }) = self.lookup(path)? else { return Ok(None) };
        let path = path.as_os_str().as_bytes();
        let failed = |error: Errno| self.failed(path, error);
        let handle = self.try_find(path, Opened::DirectoryItself).map_err(failed)?;
        let mut names = Vec::new();
        for entry in retry_on_intr(|| Dir::read_from(handle.as_fd())).map_err(failed)? {
            match entry.map_err(failed)?.file_name().to_bytes() {
                b"." | b".." => {}
                _ if names.len() == MOST_NAMES => {
                    return Err(refused(&self.path_of(path), format!("it holds more than {MOST_NAMES} files")));
                }
                name => names.push(OsStr::from_bytes(name).to_owned()),
            }
        }
        names.sort_unstable();
        Ok(Some(names))
    }
}

fn parts(path: &[u8]) -> VecDeque<Vec<u8>> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.map(<[u8]>::to_vec).collect()
}

fn owned(path: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_to_places_inside() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir_all(temp.path().join("d/e")).unwrap();
        fs::write(temp.path().join("d/e/file"), "").unwrap();
        for (target, link) in
            [("/d", "abs"), ("../../../d/e", "up"), ("nowhere", "dead"), ("abs/e/file", "d/f"), ("loop", "loop")]
        {
            symlink(target, temp.path().join(link)).unwrap();
        }
        let _socket = std::os::unix::net::UnixListener::bind(temp.path().join("socket")).unwrap();
        let context = Context::open(temp.path()).unwrap();
        for (path, expected) in [
            ("", Some((End::Directory, "", &[][..]))),
            ("/./", Some((End::Directory, "", &[]))),
            ("..", Some((End::Directory, "", &[]))),
            ("/d//e/./file", Some((End::File, "d/e/file", &[]))),
            ("abs/e", Some((End::Directory, "d/e", &["abs"]))),
            ("up/file", Some((End::File, "d/e/file", &["up"]))),
            ("d/f", Some((End::Nothing, "d/abs", &["d/f"]))), // "abs" is looked for below "d"
            ("socket", Some((End::Other, "socket", &[]))),
            ("dead", Some((End::Nothing, "nowhere", &["dead"]))),
            ("dead/x", None),
            ("nothing", None),
            ("d/e/file/x", None),
        ] {
            let found = context.lookup(Path::new(path)).unwrap();
            let expected = expected.map(|(end, path, links)| {
                let links = links.iter().map(PathBuf::from).collect();
                Lookup { end, path: PathBuf::from(path), links }
            });
            assert_eq!(found, expected, "{path}");
        }
        assert!(context.lookup(Path::new("loop")).is_err());
        assert_eq!(context.names(Path::new("abs")).unwrap().unwrap(), ["e", "f"]);
        assert_eq!(context.names(Path::new("d/e/file")).unwrap(), None);
    }
}
