//! Whether a layer can be made again: it is unpacked into a file, and packed again beside that, and compared as it comes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::Why;
use super::trial::{Take, Unpacked, beside};
use crate::blob::{BlobError, BlobReader, CHUNK};
use crate::compact::{Guide, Packer};
use crate::content::Content;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::media::Compression;
use crate::regzip::find::likely_ways;
use crate::regzip::{Header, HeaderError};
use crate::store::lacking::unnamed_file;
use crate::store::{Location, StoreError, TEMPORARY};

/// How many plain bytes there are between the places at which packing can go on.
pub(super) const CHECKPOINTS: u64 = 2 << 20;
/// The longest header that is kept, in bytes.
pub(super) const LONGEST_HEADER: usize = 64 << 10;
/// What may follow deflate: a check sum, a size, and perhaps padding.
const LONGEST_TRAILER: usize = 1 << 10;

/// What was found.
pub(super) enum Survey {
    Again(Box<Again>),
    AsItIs(Why),
}

/// A layer that can be made again.
pub(super) struct Again {
    pub(super) content: Content,
    /// What it unpacks to.
    pub(super) file: File,
    pub(super) plain: u64,
    pub(super) diff_id: Digest,
    pub(super) packer: Packer,
    pub(super) guide: Option<Guide>,
}

/// Looks at a layer, on all of these threads if they are more than one. Of one that goes along as it is not all is read.
///
/// # Errors
/// When it cannot be read or is not what its digest says, or there is no room for what it unpacks to.
pub(super) fn survey(
    reader: BlobReader<'_>,
    place: &Location,
    spool: &Path,
    threads: usize,
) -> Result<Survey, StoreError> {
    let content = reader.content().clone();
    let mut survey = Surveyor { from: reader, bytes: Vec::new(), plain: PlainFile::new(spool)? };
    let outcome = survey.run(threads);
    let Surveyor { from, plain, .. } = survey;
    match outcome {
        Ok(Outcome::AsItIs(why)) => Ok(Survey::AsItIs(why)),
        Ok(Outcome::Again(packer, guide)) => {
            // all was read: the last of it says whether it was right
            from.finish().map_err(|error| StoreError::reading(error, &content, place))?;
            let (file, length, diff_id) = plain.done()?;
            Ok(Survey::Again(Box::new(Again { content, file, plain: length, diff_id, packer, guide })))
        }
        Err(Failed::Read(error)) => Err(StoreError::reading(BlobError::from_io(error), &content, place)),
        Err(Failed::Store(error)) => Err(error),
    }
}

enum Outcome {
    Again(Packer, Option<Guide>),
    AsItIs(Why),
}

enum Failed {
    Read(io::Error),
    Store(StoreError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

struct Surveyor<'a> {
    from: BlobReader<'a>,
    /// What was read and not looked at yet.
    bytes: Vec<u8>,
    plain: PlainFile,
}

impl Surveyor<'_> {
    fn run(&mut self, threads: usize) -> Result<Outcome, Failed> {
        while self.bytes.len() < 512 && self.more()? {}
        match Compression::sniffed(&self.bytes) {
            Compression::Zstd => Ok(Outcome::AsItIs(Why::Zstd)),
            Compression::Gzip => self.gzip(threads),
            Compression::None => loop {
                self.plain.write(&self.bytes)?;
                self.bytes.clear();
                if !self.more()? {
                    return Ok(Outcome::Again(Packer::None, None));
                }
            },
        }
    }

    /// Reads more. False: that was all.
    fn more(&mut self) -> Result<bool, Failed> {
        let before = self.bytes.len();
        self.bytes.resize(before + CHUNK, 0);
        loop {
            match self.from.read(&mut self.bytes[before..]) {
                Ok(count) => {
                    self.bytes.truncate(before + count);
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failed::Read(error)),
            }
        }
    }

    fn gzip(&mut self, threads: usize) -> Result<Outcome, Failed> {
        let (parsed, length) = loop {
            match Header::parse(&self.bytes) {
                Ok(parsed) => break parsed,
                Err(HeaderError::Short) if self.bytes.len() < LONGEST_HEADER && self.more()? => {}
                Err(_) => return Ok(Outcome::AsItIs(Why::Unknown)),
            }
        };
        let header: Vec<u8> = self.bytes.drain(..length).collect();
        let (unpacked, found) = beside(&likely_ways(&parsed), threads, |take| self.unpack(take));
        let outcome = unpacked?;
        let Some((way, guide)) = found else { return Ok(Outcome::AsItIs(Why::Unknown)) };
        if let Some(why) = outcome {
            return Ok(Outcome::AsItIs(why));
        }
        let trailer = std::mem::take(&mut self.bytes);
        Ok(Outcome::Again(Packer::Gzip { way, header, trailer }, Some(guide)))
    }

    /// Unpacks a stream up to its end, and reads what follows it. Returns why it goes along as it is, if that is known by now.
    fn unpack(&mut self, take: &mut Take<'_>) -> Result<Option<Why>, Failed> {
        /// The most that deflate looks back, as a power of two (RFC 1951, section 2).
        const WINDOW_BITS: u8 = 15;
        let mut inflate = Inflate::new(false, WINDOW_BITS);
        let mut out = vec![0; CHUNK];
        loop {
            let mut at = 0;
            let ended = loop {
                let (before, made) = (inflate.total_in(), inflate.total_out());
                let Ok(status) = inflate.decompress(&self.bytes[at..], &mut out, InflateFlush::Block) else {
                    return Ok(Some(Why::Unknown));
                };
                let taken = usize::try_from(inflate.total_in() - before).unwrap_or_default();
                let made = usize::try_from(inflate.total_out() - made).unwrap_or_default();
                let ended = status == Status::StreamEnd;
                // it stops at the end of each block; where input or room ends as well it may be anywhere
                let block_ends = at + taken < self.bytes.len() && made < out.len();
                let it = Unpacked { packed: &self.bytes[at..at + taken], plain: &out[..made], block_ends, ended };
                if !take(it) {
                    return Ok(Some(Why::Unknown));
                }
                self.plain.write(&out[..made])?;
                at += taken;
                if ended || (taken == 0 && made == 0) {
                    break ended;
                }
            };
            self.bytes.drain(..at);
            if ended {
                break;
            }
            if !self.more()? {
                return Ok(Some(Why::Unknown));
            }
        }
        while self.bytes.len() <= LONGEST_TRAILER {
            if !self.more()? {
                return Ok(None);
            }
        }
        Ok(Some(Why::Members))
    }
}

/// A file without a name for what a layer unpacks to.
pub(super) struct PlainFile {
    file: io::BufWriter<File>,
    path: std::path::PathBuf,
    length: u64,
    hasher: Hasher,
}

impl PlainFile {
    pub(super) fn new(directory: &Path) -> Result<Self, StoreError> {
        let file = unnamed_file(directory).map_err(StoreError::io(TEMPORARY, directory))?;
        let file = io::BufWriter::with_capacity(CHUNK, file);
        Ok(Self { file, path: directory.to_owned(), length: 0, hasher: Algorithm::Sha256.hasher() })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        self.file.write_all(bytes).map_err(StoreError::io(TEMPORARY, &self.path))
    }

    pub(super) fn done(self) -> Result<(File, u64, Digest), StoreError> {
        let Self { file, path, length, hasher } = self;
        let file = file.into_inner().map_err(|error| StoreError::io(TEMPORARY, &path)(error.into_error()))?;
        Ok((file, length, hasher.finish()))
    }
}
