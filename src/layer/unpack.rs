//! A tar becomes entries: what docker does with one that is added.
//!
//! The tar is read once. Its content stays where it lies until it is written, in the tar itself when it is plain, else in
//! a temporary file without a name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::context::{Context, Opened, refused, spool_file};
use super::resolve::Last;
use super::tree::{Content, Entry, Facts, Identity, Kind, Tarred, Tree};
use super::{AddOptions, path};
use crate::blob::{CHUNK, Cancel};
use crate::media::Compression;
use crate::store::{Location, StoreError, TEMPORARY};
use crate::tar::entry::EntryKind;
use crate::tar::header::{BLOCK, Block, is_zero, starts_tar};
use crate::tar::stream::{Stream, StreamEntry, TarError};
use crate::text::human_size;

/// The largest window that a zstd frame may ask for, as a power of two: 128 MiB, the limit of the format's own tools.
const LARGEST_WINDOW: u32 = 27;
/// How much a tar may unpack to, in bytes.
const LARGEST: u64 = 100 << 30;

/// What a file looks like to docker's ADD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packed {
    /// A tar, packed like this: it is unpacked.
    Tar(Compression),
    /// Packed in a way that barge does not unpack: there may be a tar in it.
    Foreign(&'static str),
    /// Any other file.
    No,
}

/// Returns what a file is by its first bytes, unpacked if need be.
///
/// # Errors
/// When it is not there, leads out of the context, or cannot be read.
pub fn sniff(context: &Context, path: &Path) -> Result<Packed, StoreError> {
    let name = path.as_os_str().as_bytes();
    let file = File::from(context.find(name, Opened::File)?);
    let failed = |error| StoreError::io("read", context.path_of(name))(error);
    if !file.metadata().map_err(failed)?.is_file() {
        return Ok(Packed::No);
    }
    let mut raw = BufReader::new(file);
    let start = raw.fill_buf().map_err(failed)?;
    for (packed, magic) in [("bzip2", &b"BZh"[..]), ("xz", b"\xfd7zXZ\0")] {
        if start.starts_with(magic) {
            return Ok(Packed::Foreign(packed));
        }
    }
    let compression = Compression::sniffed(start);
    let mut block: Block = [0; 512];
    // what cannot be unpacked is no packed tar
    let read = decoder(compression, raw).and_then(|mut decoder| decoder.read_exact(&mut block));
    let is_tar = read.is_ok() && !is_zero(&block) && starts_tar(&block);
    Ok(if is_tar { Packed::Tar(compression) } else { Packed::No })
}

fn decoder(compression: Compression, raw: BufReader<File>) -> io::Result<Box<dyn Read>> {
    Ok(match compression {
        Compression::None => Box::new(raw),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(raw)?;
            decoder.window_log_max(LARGEST_WINDOW)?;
            Box::new(decoder)
        }
    })
}

/// Adds what a tar holds.
pub(super) fn add(
    tree: &mut Tree,
    options: &AddOptions<'_>,
    context: &Context,
    from: &Path,
    spool: &Path,
) -> Result<(), StoreError> {
    let name = from.as_os_str().as_bytes();
    let shown = context.path_of(name);
    let failed = |error| StoreError::io("read", &shown)(error);
    let file = File::from(context.find(name, Opened::File)?);
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(refused(&shown, "it is no regular file, and so no tar"));
    }
    let to = tree.destination(options, Last::Followed)?;
    tree.make_root(options, to.clone(), Facts::of_parent(options.epoch))?;
    let mut raw = BufReader::with_capacity(CHUNK, file.try_clone().map_err(failed)?);
    let compression = Compression::sniffed(raw.fill_buf().map_err(failed)?);
    let tar = u32::try_from(tree.tars.len()).unwrap_or(u32::MAX);
    let mut taking = Taking { options, to, tar, shown: &shown };
    if compression == Compression::None {
        let mut stream = Stream::new(raw);
        while let Some(entry) = stream.next().map_err(|error| taking.tar_error(error))? {
            tree.check_cancelled()?;
            let end = entry.at.saturating_add(BLOCK).saturating_add(entry.size);
            if end > metadata.len() {
                return Err(taking.malformed(format!("{}: the tar ends within it", entry.what())));
            }
            stream.skip_content().map_err(|error| taking.tar_error(error))?;
            taking.entry(tree, entry)?;
        }
        let identity = Some(Identity { device: metadata.dev(), inode: metadata.ino() });
        tree.tars.push(Tarred { file, path: shown.clone(), identity });
        return Ok(());
    }
    let unpacked = spool_file(spool)?;
    let to_spool = unpacked.try_clone().map_err(StoreError::io(TEMPORARY, spool))?;
    let decoder = decoder(compression, raw).map_err(failed)?;
    let cancel = tree.cancel.clone();
    let mut spooling =
        BufReader::with_capacity(CHUNK, Spooling { from: decoder, to: to_spool, size: 0, spool, cancel });
    let mut stream = Stream::new(&mut spooling);
    while let Some(entry) = stream.next().map_err(|error| taking.tar_error(error))? {
        taking.entry(tree, entry)?;
    }
    // a check sum at the very end says whether all of it was right
    io::copy(&mut spooling, &mut io::sink()).map_err(|error| taking.tar_error(TarError::Read(error)))?;
    tree.tars.push(Tarred { file: unpacked, path: shown.clone(), identity: None });
    Ok(())
}

/// Keeps what is read.
struct Spooling<'a> {
    from: Box<dyn Read>,
    to: File,
    size: u64,
    spool: &'a Path,
    cancel: Cancel,
}

impl Read for Spooling<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other(StoreError::Cancelled));
        }
        let count = self.from.read(buffer)?;
        self.size += count as u64;
        if self.size > LARGEST {
            return Err(io::Error::other(format!("it unpacks to more than {}", human_size(LARGEST))));
        }
        let kept = self.to.write_all(&buffer[..count]);
        kept.map_err(|error| io::Error::other(StoreError::io(TEMPORARY, self.spool)(error)))?;
        Ok(count)
    }
}

/// A tar on its way into a tree.
struct Taking<'a> {
    options: &'a AddOptions<'a>,
    to: Vec<u8>,
    tar: u32,
    shown: &'a PathBuf,
}

impl Taking<'_> {
    fn entry(&mut self, tree: &mut Tree, entry: StreamEntry) -> Result<(), StoreError> {
        let what = entry.what();
        let wrong = |reason: String| self.malformed(format!("{what}: {reason}"));
        let name = path::cleaned(&entry.name).map_err(wrong)?;
        if name.is_empty() {
            return Ok(()); // the directory that it is added to
        }
        let place = path::join(&self.to, &name);
        path::check(&place).map_err(wrong)?;
        let place = tree.reach(self.options, &place, Last::Itself).map_err(|error| match error {
            StoreError::Unsupported { reason, .. } => wrong(reason.0),
            error => error,
        })?;
        let (major, minor) = entry.attributes.device;
        let facts = Facts::of(entry.attributes, self.options);
        let kind = match entry.kind {
            EntryKind::Directory => Kind::Directory,
            EntryKind::Regular => {
                let at = entry.at + BLOCK;
                Kind::File(Content::Tarred { tar: self.tar, at, size: entry.size, linked: false })
            }
            EntryKind::SymLink(target) if target.is_empty() || target.len() > path::LONGEST || target.contains(&0) => {
                return Err(wrong("its target is no path".to_owned()));
            }
            EntryKind::SymLink(target) => Kind::Symlink(target),
            EntryKind::HardLink(target) => {
                let linked = self.link(tree, &target).map_err(wrong)?;
                return tree.insert(place, linked);
            }
            EntryKind::Special(flag @ (b'3' | b'4')) => Kind::Device { flag, major, minor },
            EntryKind::Special(b'6') => Kind::Fifo,
            kind @ EntryKind::Special(_) => return Err(wrong(format!("it is {kind}"))),
        };
        let facts = facts.for_kind(&kind, self.options);
        tree.insert(place, Entry { facts, kind })
    }

    /// Returns the entry that a hard link is another name of.
    fn link(&self, tree: &mut Tree, target: &[u8]) -> Result<Entry, String> {
        let name = path::cleaned(target)?;
        let nothing = || {
            let name = crate::text::quoted(&String::from_utf8_lossy(target));
            format!("it is a hard link to {name}, and no such file comes before it")
        };
        let reached = tree.reach(self.options, &path::join(&self.to, &name), Last::Itself).map_err(|_| nothing())?;
        let found = tree.entries.get_mut(&reached).ok_or_else(nothing)?;
        match &mut found.kind {
            Kind::Directory => return Err(nothing()),
            Kind::File(Content::File { linked, .. } | Content::Tarred { linked, .. }) => *linked = true,
            _ => {}
        }
        Ok(found.clone())
    }

    fn malformed(&self, reason: String) -> StoreError {
        StoreError::malformed("the tar", &Location::File(self.shown.clone()), reason)
    }

    fn tar_error(&self, error: TarError) -> StoreError {
        match error {
            TarError::Malformed(reason) => self.malformed(reason),
            TarError::Unsupported(reason) => refused(self.shown, reason),
            TarError::Read(error) | TarError::Write(error) => match error.downcast::<StoreError>() {
                Ok(known) => known,
                // a decoder's complaint is about what is in the file
                Err(error) if error.raw_os_error().is_none() => {
                    self.malformed(format!("it cannot be unpacked: {}", crate::text::escaped(&error.to_string())))
                }
                Err(error) => StoreError::io("read", self.shown)(error),
            },
        }
    }
}

/// Reads content of a tar; less than asked for only at its end.
pub(super) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
