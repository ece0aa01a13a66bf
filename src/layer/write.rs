//! The tree becomes a tar: entry after entry, in the order of their paths' bytes, so that a directory comes before what is in
//! it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use super::context::{Opened, open, refused};
use super::tree::{Content, Entry, Facts, Identity, Kind, Tree};
use super::xattrs::{self, Xattrs};
use super::{path, unpack, walk};
use crate::blob::{CHUNK, Cancel};
use crate::store::StoreError;
use crate::tar::encode::{Fields, encode, padding};
use crate::tar::header::Attributes;

/// Why a layer was not written.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// What it is made of cannot be read or cannot be in a layer, or somebody asked to stop.
    #[error(transparent)]
    From(#[from] StoreError),
    /// Writing failed: the caller knows what was written to.
    #[error("cannot write the layer")]
    To(#[source] io::Error),
}

/// Writes the layer as a tar. The same tree gives the same bytes.
///
/// # Errors
/// When a file cannot be read, or changes its size while it is read; when writing fails.
pub fn write(tree: &Tree, to: &mut dyn Write) -> Result<(), LayerError> {
    Writer::new(tree, &Cancel::default(), &|_| ()).run(to)
}

/// What several names may share: content by where it comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Shared {
    File(u32, Identity),
    Tarred(u32, u64),
}

pub(super) struct Writer<'a> {
    tree: &'a Tree,
    cancel: &'a Cancel,
    meter: &'a dyn Fn(u64),
    /// The first name of each content that has several, and its extended attributes.
    first: HashMap<Shared, (&'a [u8], Xattrs)>,
    /// The origin that the last file came from: files of one lie beside each other.
    origin: Option<(u32, OwnedFd)>,
    buffer: Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(tree: &'a Tree, cancel: &'a Cancel, meter: &'a dyn Fn(u64)) -> Self {
        Self { tree, cancel, meter, first: HashMap::new(), origin: None, buffer: vec![0; CHUNK] }
    }

    pub(super) fn run(mut self, to: &mut dyn Write) -> Result<(), LayerError> {
        for (path, entry) in &self.tree.entries {
            if self.cancel.is_cancelled() {
                return Err(StoreError::Cancelled.into());
            }
            self.entry(path, entry, to)?;
        }
        to.write_all(&[0; 1024]).map_err(LayerError::To)
    }

    fn entry(&mut self, path: &'a [u8], entry: &'a Entry, to: &mut dyn Write) -> Result<(), LayerError> {
        let attributes = attributes(&entry.facts);
        let plain = Fields { name: path, flag: b'0', link: b"", size: 0, attributes: &attributes };
        match &entry.kind {
            Kind::Directory => header(&Fields { name: &[path, b"/"].concat(), flag: b'5', ..plain }, to),
            Kind::Symlink(target) => header(&Fields { flag: b'2', link: target, ..plain }, to),
            Kind::Fifo => header(&Fields { flag: b'6', ..plain }, to),
            Kind::Device { flag, major, minor } => {
                let attributes = Attributes { device: (*major, *minor), ..attributes.clone() };
                header(&Fields { flag: *flag, attributes: &attributes, ..plain }, to)
            }
            Kind::File(content) => {
                let shared = shared(content);
                if let Some((first, xattrs)) = shared.and_then(|shared| self.first.get(&shared)) {
                    // whoever unpacks sets the owner once more, and with that a capability is gone: so it is said again
                    let attributes = Attributes { xattrs: xattrs.clone(), ..attributes.clone() };
                    return header(&Fields { flag: b'1', link: first, attributes: &attributes, ..plain }, to);
                }
                let xattrs = self.content(path, content, &plain, to)?;
                if let Some(shared) = shared {
                    self.first.insert(shared, (path, xattrs));
                }
                Ok(())
            }
        }
    }

    /// Writes content, and returns the extended attributes that were written with it.
    fn content(
        &mut self,
        path: &[u8],
        content: &Content,
        plain: &Fields<'_>,
        to: &mut dyn Write,
    ) -> Result<Xattrs, LayerError> {
        let fields = Fields { size: content.size(), ..*plain };
        match content {
            Content::Bytes(bytes) => {
                header(&fields, to)?;
                to.write_all(bytes).map_err(LayerError::To)?;
                (self.meter)(bytes.len() as u64);
                pad(bytes.len() as u64, to)?;
                Ok(plain.attributes.xattrs.clone())
            }
            Content::Tarred { tar, at, size, .. } => {
                header(&fields, to)?;
                let tar = &self.tree.tars[*tar as usize];
                let shown = || tar.path.clone();
                self.copy(*size, to, &shown, |buffer, done| unpack::read_at(&tar.file, buffer, at + done))?;
                Ok(plain.attributes.xattrs.clone())
            }
            Content::File { origin, skip, identity, size, .. } => {
                let below = path.get(*skip as usize..).unwrap_or_default();
                let (file, shown) = self.open(*origin, below, *identity, *size)?;
                let asked_for = &self.tree.origins[*origin as usize].xattrs;
                let failed = |error: rustix::io::Errno| StoreError::io("read", shown())(error.into());
                let xattrs = xattrs::of_file(file.as_fd(), asked_for).map_err(failed)?;
                let attributes = Attributes { xattrs, ..plain.attributes.clone() };
                header(&Fields { attributes: &attributes, ..fields }, to)?;
                let read = |buffer: &mut [u8]| {
                    loop {
                        match (&file).read(buffer) {
                            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                            result => return result,
                        }
                    }
                };
                self.copy(*size, to, &shown, |buffer, _| read(buffer))?;
                // a file that grew has other content than its size says
                match read(&mut [0]) {
                    Ok(0) => Ok(attributes.xattrs),
                    Ok(_) => Err(changed(&shown(), format!("it has more than the {size} bytes that it had before"))),
                    Err(error) => Err(StoreError::io("read", shown())(error).into()),
                }
            }
        }
    }

    /// Opens the very file that was added, for reading.
    fn open(
        &mut self,
        number: u32,
        below: &[u8],
        identity: Identity,
        size: u64,
    ) -> Result<(File, impl Fn() -> PathBuf + use<>), LayerError> {
        let origin = &self.tree.origins[number as usize];
        let name = path::join(&origin.base, below);
        let handle = if below.is_empty() {
            origin.context.find(&origin.base, Opened::File)?
        } else {
            let base = match self.origin.take() {
                Some((last, base)) if last == number => base,
                _ => origin.context.find(&origin.base, Opened::File)?,
            };
            let (_, base) = self.origin.insert((number, base));
            open(base.as_fd(), below, Opened::FileItself).map_err(|error| origin.context.failed(&name, error))?
        };
        let stat = rustix::fs::fstat(&handle).map_err(|error| origin.context.failed(&name, error))?;
        let context = origin.context.clone();
        let shown = move || context.path_of(&name);
        if walk::identity(&stat) != identity {
            return Err(changed(&shown(), "another file took its place".to_owned()));
        }
        match u64::try_from(stat.st_size).unwrap_or(0) {
            got if got != size => Err(changed(&shown(), format!("it has {got} bytes, expected {size} as before"))),
            _ => Ok((File::from(handle), shown)),
        }
    }

    fn copy(
        &mut self,
        size: u64,
        to: &mut dyn Write,
        shown: &dyn Fn() -> PathBuf,
        mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
    ) -> Result<(), LayerError> {
        let mut done = 0;
        while done < size {
            if self.cancel.is_cancelled() {
                return Err(StoreError::Cancelled.into());
            }
            let room = self.buffer.len().min(usize::try_from(size - done).unwrap_or(usize::MAX));
            let count = read(&mut self.buffer[..room], done).map_err(StoreError::io("read", shown()))?;
            if count == 0 {
                return Err(changed(&shown(), format!("it ends after {done} bytes, expected {size} as before")));
            }
            to.write_all(&self.buffer[..count]).map_err(LayerError::To)?;
            (self.meter)(count as u64);
            done += count as u64;
        }
        pad(size, to)
    }
}

/// Returns what content may be shared by, when it has several names.
pub(super) const fn shared(content: &Content) -> Option<Shared> {
    match content {
        Content::File { origin, identity, linked: true, .. } => Some(Shared::File(*origin, *identity)),
        Content::Tarred { tar, at, linked: true, .. } => Some(Shared::Tarred(*tar, *at)),
        _ => None,
    }
}

fn attributes(facts: &Facts) -> Attributes {
    let Facts { mode, uid, gid, mtime, xattrs } = facts;
    let xattrs = xattrs.as_deref().cloned().unwrap_or_default();
    Attributes { mode: *mode, uid: *uid, gid: *gid, mtime: (*mtime, 0), device: (0, 0), xattrs }
}

fn header(fields: &Fields<'_>, to: &mut dyn Write) -> Result<(), LayerError> {
    let blocks = encode(fields).map_err(|reason| {
        let name = String::from_utf8_lossy(fields.name).into_owned();
        refused(&PathBuf::from(name), reason)
    })?;
    to.write_all(&blocks).map_err(LayerError::To)
}

fn pad(size: u64, to: &mut dyn Write) -> Result<(), LayerError> {
    to.write_all(&[0; 512][..padding(size)]).map_err(LayerError::To)
}

/// Says that a file is not what it was when it was added.
fn changed(path: &std::path::Path, reason: String) -> LayerError {
    StoreError::Io { action: "read", path: path.to_path_buf(), source: io::Error::other(reason) }.into()
}
