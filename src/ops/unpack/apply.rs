//! One layer after another onto a tree (image-spec v1.1.1, layer.md, "Applying Changesets").

use std::fs::File;
use std::io::BufRead;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::super::rootfs::Limits;
use super::super::rootfs::chunks::Chunks;
use super::super::rootfs::fault::Fault;
use super::super::rootfs::names::{self, Name};
use super::attributes::Keeper;
use super::remove;
use super::tree::{DIRECTORY, Directory, IMPLIED, Missing, Tree, WORKING};
use super::{Options, Skipped};
use crate::blob::Cancel;
use crate::store::StoreError;
use crate::tar::entry::EntryKind;
use crate::tar::header::Attributes;
use crate::tar::stream::{Stream, StreamEntry};
use crate::text::quoted;

/// Only the owner, until the attributes are set.
const OWNER_ONLY: Mode = Mode::RUSR.union(Mode::WUSR);

/// A tree and what layers make of it.
#[derive(Debug)]
pub(super) struct Applier<'a> {
    tree: Tree,
    keeper: Keeper,
    cancel: &'a Cancel,
    limits: Limits,
    /// Whether the present entry has removed what names could lead through.
    ways_changed: bool,
    /// What the entry of the root itself says.
    root: Option<Attributes>,
    /// Entries so far, whiteouts among them.
    pub(super) entries: u64,
    /// Bytes of content written so far.
    pub(super) bytes: u64,
}

/// Where an entry goes.
struct Spot<'a> {
    parent: &'a Directory,
    name: &'a [u8],
    path: PathBuf,
}

impl Spot<'_> {
    /// Returns what stands there; a link is not followed.
    fn standing(&self) -> Result<Option<Stat>, Fault> {
        standing(self.parent, self.name).map_err(Fault::io("read", &self.path))
    }
}

fn standing(parent: &Directory, name: &[u8]) -> Result<Option<Stat>, Errno> {
    match rustix::fs::statat(parent.handle(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

impl<'a> Applier<'a> {
    /// Starts with an empty tree.
    pub(super) fn new(tree: Tree, options: &Options, cancel: &'a Cancel) -> Self {
        let keeper = Keeper::new(options.owners);
        Self { tree, keeper, cancel, limits: options.limits(), ways_changed: false, root: None, entries: 0, bytes: 0 }
    }

    /// Applies one layer.
    ///
    /// # Errors
    /// When it cannot be read, holds what no layer may hold, or the machine fails; the tree is then to be thrown away.
    pub(super) fn layer(&mut self, chunks: &mut Chunks<'_>) -> Result<(), Fault> {
        self.tree.begin_layer();
        let mut stream = Stream::new(chunks);
        let nowhere = PathBuf::new;
        while let Some(entry) = stream.next().map_err(|error| Fault::tar(error, nowhere))? {
            if self.cancel.is_cancelled() {
                return Err(StoreError::Cancelled.into());
            }
            self.entries += 1;
            self.limits
                .check_files(self.entries)
                .and_then(|()| stream.source().check(entry.size))
                .and_then(|()| self.entry(&entry, &mut stream))
                .map_err(|fault| fault.at(&entry.what()))?;
        }
        self.tree.leave()
    }

    /// Sets what had to wait until nothing changes any more, and returns what could not be kept.
    ///
    /// # Errors
    /// When the machine fails.
    pub(super) fn finish(mut self) -> Result<Skipped, Fault> {
        self.tree.finish()?;
        let path = self.tree.path_of(&[], b"");
        let implied = Attributes { mode: IMPLIED.as_raw_mode(), ..Attributes::default() };
        let root = self.root.take().unwrap_or(implied);
        let mode = Mode::from_raw_mode(root.mode);
        self.keeper.on_directory(self.tree.root(), &root, mode, &path)?;
        Ok(self.keeper.skipped)
    }

    fn entry<R: BufRead>(&mut self, entry: &StreamEntry, stream: &mut Stream<R>) -> Result<(), Fault> {
        let path = |tree: &Tree, parts: &[&[u8]], name: &[u8]| tree.path_of(parts, name);
        match Name::parse(&entry.name).map_err(Fault::Layer)? {
            Name::Meta => Ok(()),
            Name::Root if entry.kind == EntryKind::Directory => {
                self.root = Some(entry.attributes.clone());
                Ok(())
            }
            Name::Root => Err(Fault::Layer(format!("it is {} in the place of the root", entry.kind))),
            Name::Opaque(parts) => {
                let Some(directory) = self.tree.parent(&parts, Missing::Leave)? else { return Ok(()) };
                let path = path(&self.tree, &parts, b"");
                remove::all_lower(&mut self.tree, &directory).map_err(Fault::io("remove what is below", path))?;
                self.tree.leave()
            }
            Name::Whiteout(parts, name) => {
                let Some(directory) = self.tree.parent(&parts, Missing::Leave)? else { return Ok(()) };
                let path = path(&self.tree, &parts, name);
                remove::lower(&mut self.tree, &directory, name).map_err(Fault::io("remove", path))?;
                self.tree.leave()
            }
            Name::Entry(parts, name) => {
                let Some(directory) = self.tree.parent(&parts, Missing::Make)? else { return Ok(()) };
                let path = path(&self.tree, &parts, name);
                let spot = Spot { parent: &directory, name, path };
                self.make(&spot, entry, stream)?;
                self.tree.mark(directory.inode, name);
                // not before it is made: the directory is to get its time back after that
                if std::mem::take(&mut self.ways_changed) { self.tree.leave() } else { Ok(()) }
            }
        }
    }

    /// Makes what an entry describes, in the place of what stands there.
    fn make<R: BufRead>(&mut self, spot: &Spot<'_>, entry: &StreamEntry, stream: &mut Stream<R>) -> Result<(), Fault> {
        let wanted = &entry.attributes;
        match &entry.kind {
            EntryKind::Directory => self.directory(spot, wanted),
            EntryKind::Regular => {
                self.clear(spot)?;
                self.regular(spot, entry, stream)
            }
            EntryKind::HardLink(target) => self.hard_link(spot, target),
            EntryKind::SymLink(target) => {
                if target.is_empty() || target.contains(&0) || target.len() >= names::LONGEST {
                    return Err(Fault::Layer("its target is empty, holds a NUL, or is too long".to_owned()));
                }
                self.clear(spot)?;
                rustix::fs::symlinkat(&target[..], spot.parent.handle(), spot.name)
                    .map_err(Fault::io("create", &spot.path))?;
                self.keeper.on_node(spot.parent.handle(), spot.name, wanted, None, &spot.path)
            }
            EntryKind::Special(flag @ (b'3' | b'4' | b'6')) => self.node(spot, *flag, wanted),
            kind @ EntryKind::Special(_) => Err(Fault::Layer(format!("it is {kind}"))),
        }
    }

    /// Removes what stands in the way.
    fn clear(&mut self, spot: &Spot<'_>) -> Result<(), Fault> {
        let Some(standing) = spot.standing()? else { return Ok(()) };
        remove::whole(spot.parent.handle(), spot.name).map_err(Fault::io("remove", &spot.path))?;
        // another file says nothing about where names lead
        self.ways_changed |= FileType::from_raw_mode(standing.st_mode) != FileType::RegularFile;
        Ok(())
    }

    fn directory(&mut self, spot: &Spot<'_>, wanted: &Attributes) -> Result<(), Fault> {
        let stands = spot.standing()?.map(|stat| FileType::from_raw_mode(stat.st_mode));
        if stands != Some(FileType::Directory) {
            self.clear(spot)?;
            rustix::fs::mkdirat(spot.parent.handle(), spot.name, WORKING).map_err(Fault::io("create", &spot.path))?;
        }
        let made = retry_on_intr(|| rustix::fs::openat(spot.parent.handle(), spot.name, DIRECTORY, Mode::empty()))
            .map_err(Fault::io("open", &spot.path))?;
        let inode = rustix::fs::fstat(&made).map_err(Fault::io("read", &spot.path))?.st_ino;
        let mode = Mode::from_raw_mode(wanted.mode);
        self.tree.set_mode_later(inode, spot.parent, spot.name, mode)?;
        self.keeper.on_directory(made.as_fd(), wanted, mode | WORKING, &spot.path)
    }

    fn regular<R: BufRead>(
        &mut self,
        spot: &Spot<'_>,
        entry: &StreamEntry,
        stream: &mut Stream<R>,
    ) -> Result<(), Fault> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = retry_on_intr(|| rustix::fs::openat(spot.parent.handle(), spot.name, flags, OWNER_ONLY))
            .map_err(Fault::io("create", &spot.path))?;
        let mut file = File::from(file);
        stream.copy_content(&mut file).map_err(|error| Fault::tar(error, || spot.path.clone()))?;
        self.bytes += entry.size;
        self.keeper.on_file(file.as_fd(), &entry.attributes, &spot.path)
    }

    /// Makes another name of a file that stands there already, in this layer or a lower one.
    fn hard_link(&mut self, spot: &Spot<'_>, target: &[u8]) -> Result<(), Fault> {
        let shown = || quoted(&String::from_utf8_lossy(target));
        let wrong = |reason: &str| Fault::Layer(format!("it is a hard link to {}, which {reason}", shown()));
        let mut parts = names::parts(target).map_err(|reason| wrong(&reason))?;
        let Some(name) = parts.pop() else { return Err(wrong("is the root")) };
        let look = |directory: &Directory| standing(directory, name).map_err(Fault::io("read", &spot.path));
        let Some(directory) = self.tree.resolve(&parts, Missing::Leave)? else { return Err(wrong("is not there")) };
        let Some(first) = look(&directory)? else {
            if !self.tree.is_left_out(directory.inode, name) {
                return Err(wrong("is not there"));
            }
            // a second name of a device that is left out is left out with it
            self.clear(spot)?;
            return self.leave_out(spot);
        };
        if FileType::from_raw_mode(first.st_mode) == FileType::Directory {
            return Err(wrong("is a directory"));
        }
        if let Some(standing) = spot.standing()? {
            if standing.st_ino == first.st_ino {
                return Ok(()); // another name of it already, or the very same
            }
            self.clear(spot)?;
            if look(&directory)?.is_none() {
                return Err(wrong("it takes the place of"));
            }
        }
        rustix::fs::linkat(directory.handle(), name, spot.parent.handle(), spot.name, AtFlags::empty())
            .map_err(Fault::io("create", &spot.path))
    }

    /// Leaves a device out, and notes where it would be.
    fn leave_out(&mut self, spot: &Spot<'_>) -> Result<(), Fault> {
        self.tree.leave_out(spot.parent.inode, spot.name);
        self.keeper.skipped.devices += 1;
        Ok(())
    }

    fn node(&mut self, spot: &Spot<'_>, flag: u8, wanted: &Attributes) -> Result<(), Fault> {
        self.clear(spot)?;
        let (kind, device) = match flag {
            b'3' => (FileType::CharacterDevice, wanted.device),
            b'4' => (FileType::BlockDevice, wanted.device),
            _ => (FileType::Fifo, (0, 0)),
        };
        let number = rustix::fs::makedev(device.0, device.1);
        let mode = Mode::from_raw_mode(wanted.mode);
        match rustix::fs::mknodat(spot.parent.handle(), spot.name, kind, OWNER_ONLY, number) {
            Ok(()) => self.keeper.on_node(spot.parent.handle(), spot.name, wanted, Some(mode), &spot.path),
            Err(Errno::PERM) if kind != FileType::Fifo => self.leave_out(spot),
            Err(error) => Err(Fault::io("create", &spot.path)(error)),
        }
    }
}
