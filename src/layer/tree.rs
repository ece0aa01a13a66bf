//! What a layer holds: a sorted map from path to entry.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::changed::Noted;
use super::context::{Context, refused};
use super::resolve::Last;
use super::xattrs::{self, Xattrs};
use super::{AddOptions, Modes, Owner, Source, path, unpack, walk};
use crate::blob::Cancel;
use crate::store::StoreError;
use crate::tar::header::Attributes;

/// How many entries a layer may have.
const MOST: usize = 1_000_000;
/// The mode of a directory that nobody described.
const USUAL_DIRECTORY: u32 = 0o755;
/// The mode of a file that nobody described.
const USUAL_FILE: u32 = 0o644;

/// What a layer is to hold.
#[derive(Debug, Default)]
pub struct Tree {
    pub(super) entries: BTreeMap<Vec<u8>, Entry>,
    pub(super) origins: Vec<Origin>,
    pub(super) tars: Vec<Tarred>,
    pub(super) cancel: Cancel,
    pub(super) noted: Noted,
}

/// One thing in a layer.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) facts: Facts,
    pub(super) kind: Kind,
}

/// How an entry is kept.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds since 1970.
    pub(super) mtime: i64,
    /// Nearly always none. Those of a file in a context are read with its content.
    pub(super) xattrs: Option<Box<Xattrs>>,
}

/// What an entry is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Directory,
    File(Content),
    Symlink(Box<[u8]>),
    Device { flag: u8, major: u32, minor: u32 },
    Fifo,
}

/// Where the content of a regular file lies until it is written.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// In a context: what is behind the first `skip` bytes of the path in the layer is its path from the origin.
    File { origin: u32, skip: u32, identity: Identity, size: u64, linked: bool },
    /// In a tar, or what was unpacked of it.
    Tarred { tar: u32, at: u64, size: u64, linked: bool },
    /// At hand.
    Bytes(Box<[u8]>),
}

/// Which file it is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// A path in a context that was added.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) context: Context,
    pub(super) base: Vec<u8>,
    pub(super) xattrs: Vec<String>,
}

/// A tar that was added: its bytes, unpacked.
#[derive(Debug)]
pub(super) struct Tarred {
    pub(super) file: File,
    pub(super) path: PathBuf,
    /// Which file it is; none where it was unpacked into a spool.
    pub(super) identity: Option<Identity>,
}

impl Content {
    pub(super) const fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } | Self::Tarred { size, .. } => *size,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }
}

impl Tree {
    /// Makes a layer with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops adding when asked to.
    #[must_use]
    pub fn cancelled_by(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// Adds something. Directories above the destination that are not there are made, for root, with mode 0755. What stood
    /// under a path before is replaced; a directory becomes one with the directory that was there, and takes over its
    /// mode, owner and time, except for the destination itself, which stays as it was.
    ///
    /// In the destination, symbolic links of this layer and of those below it lead where they do in the image, and never out
    /// of it; a link at its very end is followed when a directory or a tar is added, and replaced by anything else. A
    /// directory of a context where the layer has a link is refused, as docker does: it would take the place of the link.
    ///
    /// # Errors
    /// When the source cannot be read or cannot be in a layer, or the destination cannot be in one. The tree is of no use
    /// then.
    pub fn add(&mut self, options: &AddOptions<'_>, source: &Source<'_>) -> Result<(), StoreError> {
        match source {
            Source::Path(context, path) => walk::add(self, options, context, path),
            Source::Tar { context, path, spool } => unpack::add(self, options, context, path, spool),
            Source::Bytes(bytes) => {
                let to = self.destination(options, Last::Itself)?;
                if to.is_empty() {
                    return Err(refused(options.to, "the root of a layer is a directory"));
                }
                let facts = Facts::unsaid(USUAL_FILE, options.epoch).with(options, false);
                self.insert(to, Entry { facts, kind: Kind::File(Content::Bytes((*bytes).into())) })
            }
        }
    }

    /// Makes a directory, and those above it that are not there; one that is there stays as it is.
    ///
    /// # Errors
    /// When the path cannot be in a layer, or something else stands there.
    pub fn add_directory(&mut self, options: &AddOptions<'_>) -> Result<(), StoreError> {
        let to = self.destination(options, Last::Followed)?;
        let facts = Facts::unsaid(USUAL_DIRECTORY, options.epoch).with(options, true);
        self.make_root(options, to, facts)
    }

    /// Returns how many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns how many bytes of content will be read, hard links once each: for progress, not a promise.
    #[must_use]
    pub fn size(&self) -> u64 {
        crate::content::total(self.entries.values().map(|entry| match &entry.kind {
            Kind::File(content) => content.size(),
            _ => 0,
        }))
    }

    /// Returns what stands at a path of this layer, in the order of their bytes: for whoever compares layers.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.entries.keys().map(|path| Path::new(OsStr::from_bytes(path)))
    }

    pub(super) fn check_cancelled(&self) -> Result<(), StoreError> {
        if self.cancel.is_cancelled() { Err(StoreError::Cancelled) } else { Ok(()) }
    }

    /// Puts an entry at a path that was checked and whose directories are there.
    pub(super) fn insert(&mut self, path: Vec<u8>, entry: Entry) -> Result<(), StoreError> {
        let is_directory = matches!(entry.kind, Kind::Directory);
        let shown = || PathBuf::from(OsStr::from_bytes(&path));
        if !self.entries.contains_key(&path) && self.entries.len() >= MOST {
            return Err(refused(&shown(), format!("a layer has at most {MOST} entries")));
        }
        match self.entries.get(&path).map(|old| &old.kind) {
            Some(Kind::Directory) if !is_directory => self.remove_below(&path),
            _ => {}
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    /// Removes what lies in a directory.
    fn remove_below(&mut self, directory: &[u8]) {
        let first = [directory, b"/"].concat();
        let behind = [directory, b"0"].concat(); // the byte after a slash
        let gone: Vec<Vec<u8>> = self.entries.range(first..behind).map(|(path, _)| path.clone()).collect();
        for path in gone {
            self.entries.remove(&path);
        }
    }

    /// Makes the directory that something is put below; one that is there, here or in a lower layer, stays as it is.
    pub(super) fn make_root(&mut self, options: &AddOptions<'_>, to: Vec<u8>, facts: Facts) -> Result<(), StoreError> {
        if to.is_empty() || self.is_directory(options, &to)? {
            return Ok(());
        }
        self.insert(to, Entry { facts, kind: Kind::Directory })
    }
}

impl Facts {
    /// Those of what has none of its own.
    pub(super) fn unsaid(mode: u32, epoch: Option<i64>) -> Self {
        Self { mode, uid: 0, gid: 0, mtime: epoch.unwrap_or(0), xattrs: None }
    }

    /// Those of a directory that is made on the way.
    pub(super) fn of_parent(epoch: Option<i64>) -> Self {
        Self::unsaid(USUAL_DIRECTORY, epoch)
    }

    /// Those that a tar gives, with the extended attributes that are kept.
    pub(super) fn of(attributes: Attributes, options: &AddOptions<'_>) -> Self {
        let Attributes { mode, uid, gid, mtime, xattrs: mut kept, .. } = attributes;
        kept.retain(|name, _| xattrs::is_kept(name, options.xattrs));
        let xattrs = (!kept.is_empty()).then(|| Box::new(kept));
        Self { mode, uid, gid, mtime: mtime.0, xattrs }
    }

    /// Changes them as the options say for what an entry is.
    pub(super) fn for_kind(self, kind: &Kind, options: &AddOptions<'_>) -> Self {
        match kind {
            Kind::Directory => self.with(options, true),
            Kind::Symlink(_) => self.of_link(options),
            _ => self.with(options, false),
        }
    }

    /// Changes them as the options say.
    pub(super) fn with(mut self, options: &AddOptions<'_>, is_directory: bool) -> Self {
        if let Owner::Is { uid, gid } = options.owner {
            (self.uid, self.gid) = (uid, gid);
        }
        self.mode = match options.modes {
            Modes::Keep => self.mode & 0o7777,
            Modes::Plain if is_directory || self.mode & 0o100 != 0 => USUAL_DIRECTORY,
            Modes::Plain => USUAL_FILE,
            Modes::Are(mode) => mode & 0o7777,
        };
        if let Some(epoch) = options.epoch {
            self.mtime = self.mtime.min(epoch);
        }
        self
    }

    /// Changes those of a link, which has no mode.
    pub(super) fn of_link(self, options: &AddOptions<'_>) -> Self {
        Self { mode: 0o777, ..self.with(options, false) }
    }
}

/// Directories that are taken only when something below them is.
#[derive(Debug, Default)]
pub(super) struct Pending(HashMap<Vec<u8>, Entry>);

impl Pending {
    pub(super) fn note(&mut self, path: Vec<u8>, entry: Entry) {
        self.0.insert(path, entry);
    }

    pub(super) fn get_mut(&mut self, path: &[u8]) -> Option<&mut Entry> {
        self.0.get_mut(path)
    }

    /// Returns those above a path that were not taken yet, the highest first.
    pub(super) fn above(&mut self, path: &[u8]) -> Vec<(Vec<u8>, Entry)> {
        let mut taken = Vec::new();
        let mut at = path;
        while let Some(above) = path::parent(at)
            && let Some(entry) = self.0.remove_entry(above)
        {
            taken.push(entry);
            at = above;
        }
        taken.reverse();
        taken
    }
}
