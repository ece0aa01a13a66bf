//! Files below a directory handle.
//!
//! A layout may come from anywhere: `index.json` may be a link to `/etc/shadow`, a FIFO that never answers, or a device.
//! So nothing is opened by its path: the kernel resolves every name below the handle of the layout's directory and refuses
//! what leads out of it (`openat2`), opening never waits, and what was opened has to be a regular file. Where the kernel
//! has no `openat2`, no link is followed at all.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use crate::store::lacking::sync_open_directory;
use crate::store::{Location, StoreError};

/// Reading never waits for a writer of a FIFO, and never makes a terminal ours.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NOCTTY).union(OFlags::NONBLOCK);
/// How often a name is asked for again that others are moving about.
const ATTEMPTS: usize = 16;

/// An open directory of a layout: its root, or one below; cheap to clone, and open until the last clone is gone.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    handle: Arc<OwnedFd>,
    path: PathBuf,
    location: Location,
}

impl Directory {
    /// Opens the root of a layout; `None` when nothing is there. Links on the way to it are the user's own, and followed.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, StoreError> {
        let location = Location::Layout(path.to_path_buf());
        match retry_on_intr(|| rustix::fs::open(path, READ | OFlags::DIRECTORY, Mode::empty())) {
            Ok(handle) => Ok(Some(Self { handle: Arc::new(handle), path: path.to_path_buf(), location })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR) => Err(StoreError::Malformed {
                what: "the layout".to_owned(),
                place: location,
                reason: "it is not a directory".into(),
                hint: Some("an archive is a file: write oci-archive:FILE for it".to_owned()),
            }),
            Err(error) => Err(StoreError::io("open", path)(error.into())),
        }
    }

    pub(super) fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    pub(super) const fn location(&self) -> &Location {
        &self.location
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of a file below, for messages only.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens a regular file for reading and returns its size in bytes; `None` when nothing is there. Links are followed as
    /// long as they stay inside.
    pub(super) fn file(&self, name: &str) -> Result<Option<(File, u64)>, StoreError> {
        self.regular(name, READ)
    }

    /// Opens a regular file as [`Self::file`], but not when the name itself is a link: what is to be replaced by a rename
    /// must be what it seems.
    pub(super) fn file_itself(&self, name: &str) -> Result<Option<(File, u64)>, StoreError> {
        self.regular(name, READ | OFlags::NOFOLLOW)
    }

    fn regular(&self, name: &str, flags: OFlags) -> Result<Option<(File, u64)>, StoreError> {
        let Some(handle) = self.find(name, flags)? else { return Ok(None) };
        let file = File::from(handle);
        let metadata = file.metadata().map_err(StoreError::io("read", self.path_of(name)))?;
        if !metadata.is_file() {
            return Err(self.malformed(name, "it is not a regular file"));
        }
        Ok(Some((file, metadata.len())))
    }

    /// Opens a directory below; `None` when nothing is there.
    pub(super) fn below(&self, name: &str) -> Result<Option<Self>, StoreError> {
        let found = self.find(name, READ | OFlags::DIRECTORY)?;
        Ok(found.map(|handle| Self {
            handle: Arc::new(handle),
            path: self.path_of(name),
            location: self.location.clone(),
        }))
    }

    fn find(&self, name: &str, flags: OFlags) -> Result<Option<OwnedFd>, StoreError> {
        let mut error = Errno::AGAIN;
        for _ in 0..ATTEMPTS {
            error = match open_beneath(self.handle(), name, flags) {
                Ok(handle) => return Ok(Some(handle)),
                Err(error) => error,
            };
            match error {
                // The kernel saw a rename while it resolved the name, or a lease is being given back.
                Errno::AGAIN | Errno::INTR => {}
                // Nothing is there, unless a link stands there that leads to nothing: "not found" must not turn a broken
                // `index.json` into an empty one.
                Errno::NOENT => match self.stat(name)? {
                    None => return Ok(None),
                    Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                        return Err(self.malformed(name, "it is a symbolic link to nothing"));
                    }
                    Some(_) => {} // it came just now
                },
                Errno::XDEV => return Err(self.malformed(name, "a symbolic link leads out of the layout")),
                Errno::LOOP if flags.contains(OFlags::NOFOLLOW) => {
                    return Err(self.malformed(name, "it is a symbolic link, and only a regular file can be replaced"));
                }
                Errno::LOOP => return Err(self.malformed(name, "its symbolic links cannot be followed")),
                Errno::NXIO | Errno::NODEV | Errno::OPNOTSUPP => {
                    return Err(self.malformed(name, "it is not a regular file"));
                }
                Errno::NOTDIR => return Err(self.malformed(name, "a part of its path is not a directory")),
                _ => break,
            }
        }
        Err(StoreError::io("open", self.path_of(name))(error.into()))
    }

    /// Returns what stands under a name, without following it if it is a link; `None` when nothing does.
    pub(super) fn stat(&self, name: &str) -> Result<Option<Stat>, StoreError> {
        match rustix::fs::statat(self.handle(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(StoreError::io("read", self.path_of(name))(error.into())),
        }
    }

    /// Returns whether this very directory still stands at its path.
    pub(super) fn is_at_its_path(&self) -> Result<bool, StoreError> {
        let own = rustix::fs::fstat(&self.handle).map_err(|error| StoreError::io("read", &self.path)(error.into()))?;
        match rustix::fs::stat(&self.path) {
            Ok(there) => Ok((own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(error) => Err(StoreError::io("read", &self.path)(error.into())),
        }
    }

    /// Returns the names in this directory, sorted, as far as they are UTF-8; what is not is shown as such.
    pub(super) fn names(&self) -> Result<Vec<String>, StoreError> {
        self.names_beginning_with(b"")
    }

    /// Returns those of them that begin with a dot: temporary files, and not the blobs that may lie beside them.
    pub(super) fn hidden_names(&self) -> Result<Vec<String>, StoreError> {
        self.names_beginning_with(b".")
    }

    fn names_beginning_with(&self, start: &[u8]) -> Result<Vec<String>, StoreError> {
        let failed = |error: Errno| StoreError::io("list", &self.path)(error.into());
        let mut names = Vec::new();
        for entry in retry_on_intr(|| Dir::read_from(&self.handle)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            match entry.file_name().to_bytes() {
                b"." | b".." => {}
                name if !name.starts_with(start) => {}
                name => names.push(String::from_utf8_lossy(name).into_owned()),
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Makes a directory below unless it is there, and returns whether it was made.
    pub(super) fn make(&self, name: &str) -> Result<bool, StoreError> {
        match rustix::fs::mkdirat(self.handle(), name, Mode::from_raw_mode(0o777)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(StoreError::io("create", self.path_of(name))(error.into())),
        }
    }

    /// Makes the names in this directory survive a loss of power.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        sync_open_directory(&self.handle).map_err(|error| StoreError::io("write", &self.path)(error.into()))
    }

    pub(super) fn malformed(&self, name: &str, reason: &str) -> StoreError {
        let within = self.location.path().and_then(|root| self.path.strip_prefix(root).ok());
        let what = within.unwrap_or(Path::new("")).join(name);
        StoreError::malformed(what.to_string_lossy(), &self.location, reason)
    }
}

#[cfg(target_os = "linux")]
fn open_beneath(directory: BorrowedFd<'_>, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match retry_on_intr(|| rustix::fs::openat2(directory, name, flags, Mode::empty(), resolve)) {
        // Linux before 5.6, and sandboxes that do not know the call (they say "not permitted")
        Err(Errno::NOSYS | Errno::PERM) => walk(directory, name, flags),
        result => result,
    }
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(directory: BorrowedFd<'_>, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    walk(directory, name, flags)
}

/// Opens a name component by component and follows no link: all that can be done safely without `openat2`.
fn walk(directory: BorrowedFd<'_>, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut passed: Option<OwnedFd> = None;
    let mut components = name.split('/').peekable();
    while let Some(component) = components.next() {
        if matches!(component, "" | "." | "..") {
            return Err(Errno::XDEV);
        }
        let last = components.peek().is_none();
        let flags = if last { flags } else { READ | OFlags::DIRECTORY };
        let from = passed.as_ref().map_or(directory, AsFd::as_fd);
        let next = retry_on_intr(|| rustix::fs::openat(from, component, flags | OFlags::NOFOLLOW, Mode::empty()))?;
        if last {
            return Ok(next);
        }
        passed = Some(next);
    }
    Err(Errno::NOENT)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A directory with one of each thing that may stand in a layout.
    fn zoo() -> (tempfile::TempDir, Directory) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("layout");
        fs::create_dir_all(root.join("blobs/sha256")).unwrap();
        fs::write(temp.path().join("secret"), "secret").unwrap();
        fs::write(root.join("blobs/sha256/a"), "inside").unwrap();
        symlink("blobs/sha256/a", root.join("inside")).unwrap();
        symlink("../secret", root.join("outside")).unwrap();
        symlink("/etc/hostname", root.join("absolute")).unwrap();
        symlink("nothing", root.join("dangling")).unwrap();
        symlink("circle", root.join("circle")).unwrap();
        symlink("/proc/self/fd/0", root.join("magic")).unwrap();
        symlink("..", root.join("up")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let directory = Directory::open(&root).unwrap().unwrap();
        (temp, directory)
    }

    fn complaint(result: Result<Option<(File, u64)>, StoreError>) -> String {
        let error = result.unwrap_err();
        format!("{error}: {}", crate::store::causes(&error).join(": "))
    }

    #[test]
    fn only_regular_files_inside_are_opened() {
        let (_temp, root) = zoo();
        for name in ["blobs/sha256/a", "inside"] {
            let (mut file, size) = root.file(name).unwrap().unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!((text.as_str(), size), ("inside", 6));
        }
        assert!(root.file("nothing").unwrap().is_none());
        assert!(root.file("nothing/below").unwrap().is_none());
        for (name, reason) in [
            ("outside", "a symbolic link leads out of the layout"),
            ("absolute", "a symbolic link leads out of the layout"),
            ("up/secret", "a symbolic link leads out of the layout"),
            ("magic", "a symbolic link leads out of the layout"),
            ("dangling", "it is a symbolic link to nothing"),
            ("circle", "its symbolic links cannot be followed"),
            ("fifo", "it is not a regular file"),
            ("socket", "it is not a regular file"),
            ("blobs", "it is not a regular file"),
            ("blobs/sha256/a/b", "a part of its path is not a directory"),
        ] {
            let complaint = complaint(root.file(name));
            assert!(complaint.contains(reason), "{name}: {complaint}");
            assert!(complaint.contains(&format!("cannot use {name} in oci:")), "{complaint}");
        }
        assert!(complaint(root.file_itself("inside")).contains("it is a symbolic link"));
        assert!(root.file_itself("blobs/sha256/a").unwrap().is_some());
    }

    #[test]
    fn without_openat2_no_link_is_followed() {
        let (_temp, root) = zoo();
        let open = |name: &str| walk(root.handle(), name, READ).map(File::from);
        assert!(open("blobs/sha256/a").unwrap().metadata().unwrap().is_file());
        for name in ["inside", "outside", "absolute", "magic", "circle"] {
            assert_eq!(open(name).unwrap_err(), Errno::LOOP, "{name}");
        }
        assert_eq!(open("up/secret").unwrap_err(), Errno::NOTDIR);
        assert_eq!(open("../secret").unwrap_err(), Errno::XDEV);
        assert_eq!(open("/etc/hostname").unwrap_err(), Errno::XDEV);
        assert_eq!(open("nothing").unwrap_err(), Errno::NOENT);
        assert!(!open("fifo").unwrap().metadata().unwrap().is_file());
    }

    #[test]
    fn a_directory_is_known_again_at_its_path() {
        let (temp, root) = zoo();
        assert!(root.is_at_its_path().unwrap());
        fs::rename(temp.path().join("layout"), temp.path().join("moved")).unwrap();
        assert!(!root.is_at_its_path().unwrap());
        fs::create_dir(temp.path().join("layout")).unwrap();
        assert!(!root.is_at_its_path().unwrap());
        assert!(root.file("inside").unwrap().is_some(), "a handle outlives a rename");
    }
}
