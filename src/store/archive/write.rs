//! Writing an archive: once, at known offsets, the same bytes on every run.
//!
//! Every size is known before the first byte, so the whole file is laid out at the beginning: what a reader wants first
//! (`oci-layout`, `index.json`, `manifest.json`) comes first, then manifests, configs and layers by digest. On a file each
//! piece goes to its place in parallel; on a stream they arrive in order. The file is written under a temporary name
//! beside the target and gets its name when it is whole.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::pack::Packer;
use super::place::{Place, Unnamed};
use crate::blob::{BlobError, BlobReader};
use crate::content::{Content, Kind};
use crate::digest::Digest;
use crate::media::Compression;
use crate::store::{Committed, Durability, Inventory, Location, Outcome, PutError, Sink, StoreError, names};

const BLOCK: u64 = 512;
/// The largest size that a ustar header holds in its eleven octal digits, in bytes.
const LARGEST_USTAR: u64 = 0o777_7777_7777;
/// The longest name that a header holds in itself, in bytes: up to it nothing is split over two fields.
const LONGEST_NAME: usize = 100;

/// What kind of archive is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// An OCI image layout: `oci-layout` and `index.json` come first.
    #[default]
    Layout,
    /// The companions and the blobs alone: with a `manifest.json` among them it is a docker-archive.
    Bare,
}

/// What stands in the archive beside its blobs and its `index.json`.
#[derive(Clone, Debug)]
pub struct Companion {
    /// Its name, relative.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// How an archive is written.
#[derive(Clone, Debug)]
pub struct ArchiveOptions {
    /// The `index.json` to which the new roots are added, byte for byte kept; none for a new archive.
    pub base_index: Option<Vec<u8>>,
    /// Whether it is a layout.
    pub shape: Shape,
    /// How the whole archive is packed.
    pub compression: Compression,
    /// Further files, in the order in which they stand behind `index.json`.
    pub companions: Vec<Companion>,
    /// How many pieces are written at once.
    pub jobs: NonZeroUsize,
    /// Whether what was written has reached the medium before it gets its name.
    pub durability: Durability,
}

enum Output {
    /// A file in which every piece goes to its place.
    File(Unnamed),
    /// A stream, or a file that is packed: the pieces come in order.
    Stream(Mutex<Stream>),
}

struct Stream {
    to: Packer<Box<dyn Write + Send>>,
    position: u64,
    file: Option<Unnamed>,
}

/// An archive that is being written.
pub struct ArchiveSink {
    location: Location,
    options: ArchiveOptions,
    output: Output,
    slots: HashMap<Digest, Slot>,
    arrived: AtomicU64,
    length: u64,
}

#[derive(Clone, Copy)]
struct Slot {
    header: u64,
    body: u64,
    size: u64,
}

impl ArchiveSink {
    /// Prepares to write an archive to a file. Nothing is created before [`Sink::begin`] but the temporary file.
    ///
    /// # Errors
    /// When no file can be created beside the target.
    pub fn to_file(place: Place, options: ArchiveOptions) -> Result<Self, StoreError> {
        let location = Location::Archive(place.path().to_owned());
        let unnamed = Unnamed::beside(place)?;
        if options.compression == Compression::None {
            return Ok(Self::new(location, options, Output::File(unnamed)));
        }
        let file = unnamed.temporary.as_file().try_clone().map_err(StoreError::io("open", unnamed.temporary.path()))?;
        Self::packed(location, options, Box::new(file), Some(unnamed))
    }

    /// Prepares to write an archive to a stream, in order.
    ///
    /// # Errors
    /// When the packing cannot be set up.
    pub fn to_stream(to: Box<dyn Write + Send>, options: ArchiveOptions) -> Result<Self, StoreError> {
        Self::packed(Location::Stdio, options, to, None)
    }

    fn packed(
        location: Location,
        options: ArchiveOptions,
        to: Box<dyn Write + Send>,
        file: Option<Unnamed>,
    ) -> Result<Self, StoreError> {
        let path = location.path().map_or_else(|| PathBuf::from("standard output"), Path::to_path_buf);
        let to = Packer::new(options.compression, to).map_err(StoreError::io("write", path))?;
        Ok(Self::new(location, options, Output::Stream(Mutex::new(Stream { to, position: 0, file }))))
    }

    fn new(location: Location, options: ArchiveOptions, output: Output) -> Self {
        Self { location, options, output, slots: HashMap::new(), arrived: AtomicU64::new(0), length: 0 }
    }

    fn write_error(&self) -> impl Fn(io::Error) -> StoreError + use<> {
        let path = self.location.path().map_or_else(|| PathBuf::from("standard output"), Path::to_path_buf);
        move |source| StoreError::Io { action: "write", path: path.clone(), source }
    }

    /// Writes the start: everything but the blobs.
    fn write_front(&mut self, coming: &Inventory) -> Result<(), StoreError> {
        let place = &self.location;
        let base = self.options.base_index.as_deref();
        let malformed = |error| StoreError::malformed("index.json", place, crate::store::Reason::from(error));
        let edited = names::edit(base, &coming.roots, &coming.gone).map_err(malformed)?;
        let index = edited.or_else(|| self.options.base_index.clone()).unwrap_or_default();
        let layout = Companion { name: "oci-layout".to_owned(), bytes: crate::store::OCI_LAYOUT.to_vec() };
        let index = Companion { name: "index.json".to_owned(), bytes: index };
        let mut front = Vec::new();
        let first = match self.options.shape {
            Shape::Layout => vec![&layout, &index],
            Shape::Bare => Vec::new(),
        };
        for file in first.into_iter().chain(&self.options.companions) {
            front.extend_from_slice(&header(&file.name, file.bytes.len() as u64));
            front.extend_from_slice(&file.bytes);
            front.resize(padded(front.len() as u64).try_into().unwrap_or(front.len()), 0);
        }
        self.length = front.len() as u64;
        let error = self.write_error();
        match &mut self.output {
            Output::File(unnamed) => unnamed.temporary.as_file().write_all_at(&front, 0).map_err(error),
            Output::Stream(stream) => {
                let stream = stream.get_mut().unwrap_or_else(PoisonError::into_inner);
                stream.position = front.len() as u64;
                stream.to.write_all(&front).map_err(error)
            }
        }
    }

    /// Takes the room for the whole file at once, so that a full disk is known before anything is copied.
    fn reserve(&self, length: u64) -> Result<(), StoreError> {
        let Output::File(unnamed) = &self.output else { return Ok(()) };
        let file = unnamed.temporary.as_file();
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, length) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {
                file.set_len(length).map_err(self.write_error())
            }
            Err(error) => Err(self.write_error()(error.into())),
        }
    }
}

/// Returns a size rounded up to whole blocks.
const fn padded(size: u64) -> u64 {
    size.div_ceil(BLOCK) * BLOCK
}

/// Returns the header of a regular file, a whole number of blocks, with everything that could differ between two runs
/// fixed.
fn header(name: &str, size: u64) -> Vec<u8> {
    if name.len() <= LONGEST_NAME {
        return block(name, size, tar::EntryType::Regular).to_vec();
    }
    // a SHA-512 name: as GNU's long name, which every reader knows
    let mut blocks = block("././@LongLink", name.len() as u64 + 1, tar::EntryType::GNULongName).to_vec();
    blocks.extend_from_slice(name.as_bytes());
    blocks.resize(blocks.len() + usize::try_from(BLOCK).unwrap_or(512) - name.len() % 512, 0);
    blocks.extend_from_slice(&block(&name[..LONGEST_NAME], size, tar::EntryType::Regular));
    blocks
}

fn block(name: &str, size: u64, kind: tar::EntryType) -> [u8; 512] {
    // GNU's base-256 size for what ustar cannot say: one block that every reader knows, where a PAX record with a zero in
    // the header makes some lose their way
    let plain = size <= LARGEST_USTAR && kind == tar::EntryType::Regular;
    let mut header = if plain { tar::Header::new_ustar() } else { tar::Header::new_gnu() };
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(kind);
    header.set_cksum();
    *header.as_bytes()
}

impl Sink for ArchiveSink {
    fn location(&self) -> &Location {
        &self.location
    }

    fn begin(&mut self, coming: &Inventory) -> Result<Vec<Vec<Content>>, StoreError> {
        self.write_front(coming)?;
        let mut order = coming.contents.clone();
        let rank = |content: &Content| match content.kind {
            Kind::Manifest(_) => 0,
            Kind::Config => 1,
            Kind::Blob => 2,
        };
        order.sort_by_key(|content| (rank(content), content.digest));
        for content in &order {
            let header = self.length;
            let body = header + self::header(&content.digest.blob_path(), content.size).len() as u64;
            self.slots.insert(content.digest, Slot { header, body, size: content.size });
            let end = padded(content.size)
                .checked_add(body)
                .filter(|end| i64::try_from(end.saturating_add(2 * BLOCK)).is_ok());
            self.length = end.ok_or_else(|| {
                let reason = "the sizes add up to more than 2^63 bytes";
                StoreError::malformed(content.digest.to_string(), &self.location, reason)
            })?;
        }
        self.length += 2 * BLOCK;
        self.reserve(self.length)?;
        if matches!(self.output, Output::File(_)) {
            order.sort_by_key(|content| std::cmp::Reverse(content.size));
        }
        Ok(vec![order])
    }

    fn held(&self, _: &Content) -> Result<Option<BlobReader<'_>>, StoreError> {
        Ok(None) // an archive is always written anew
    }

    fn put(&self, blob: BlobReader<'_>) -> Result<Outcome, PutError> {
        let content = blob.content().clone();
        let slot = self.slots.get(&content.digest).filter(|slot| slot.size == content.size);
        let unannounced = || StoreError::Missing { digest: content.digest, place: self.location.clone() };
        let slot = *slot.ok_or_else(unannounced)?;
        let header = header(&content.digest.blob_path(), slot.size);
        let error = self.write_error();
        let passing = |failure| match failure {
            BlobError::Write(source) => PutError::To(error(source)),
            other => PutError::From(other),
        };
        match &self.output {
            Output::File(unnamed) => {
                let file = unnamed.temporary.as_file();
                // the header last: a slot without one is not an entry
                blob.copy_to(&mut At { file, position: slot.body }).map_err(passing)?;
                file.write_all_at(&header, slot.header).map_err(self.write_error())?;
            }
            Output::Stream(stream) => {
                let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
                if stream.position != slot.header {
                    let reason = "it arrived out of order".into();
                    let action = "write".to_owned();
                    return Err(
                        StoreError::Unsupported { action, place: self.location.clone(), reason, hint: None }.into()
                    );
                }
                stream.to.write_all(&header).map_err(self.write_error())?;
                blob.copy_to(&mut stream.to).map_err(passing)?;
                let padding = padded(slot.size) - slot.size;
                stream.to.write_all(&[0; 512][..usize::try_from(padding).unwrap_or(0)]).map_err(self.write_error())?;
                stream.position = slot.body + padded(slot.size);
            }
        }
        self.arrived.fetch_add(1, Ordering::Relaxed);
        Ok(Outcome::Written)
    }

    fn commit(&mut self, coming: &Inventory) -> Result<Committed, StoreError> {
        if self.arrived.load(Ordering::Relaxed) < coming.contents.len() as u64 {
            let reason = "not everything has arrived";
            return Err(StoreError::malformed("the archive", &self.location, reason));
        }
        let error = self.write_error();
        let durability = self.options.durability;
        match &mut self.output {
            Output::Stream(stream) => {
                let stream = stream.get_mut().unwrap_or_else(PoisonError::into_inner);
                stream.to.write_all(&[0; 1024]).and_then(|()| stream.to.finish()).map_err(error)?;
                if let Some(unnamed) = &stream.file {
                    unnamed.name(durability)?;
                }
            }
            Output::File(unnamed) => unnamed.name(durability)?,
        }
        Ok(Committed::Changed)
    }

    fn abandon(&mut self) {} // the temporary file goes when this is dropped

    fn lanes(&self) -> usize {
        match self.output {
            Output::File(_) => self.options.jobs.get(),
            Output::Stream(_) => 1,
        }
    }
}

/// Writes to a file from a position on, without moving anybody else's.
struct At<'a> {
    file: &'a File,
    position: u64,
}

impl Write for At<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write_at(bytes, self.position)?;
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for ArchiveSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArchiveSink").field("location", &self.location).finish_non_exhaustive()
    }
}
