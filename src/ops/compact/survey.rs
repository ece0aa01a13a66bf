//! Whether a layer can be made again: it is unpacked into a file, and packed again beside that, and compared as it comes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::{Decompress, FlushDecompress, Status};

use super::Why;
use crate::blob::{BlobError, BlobReader, CHUNK};
use crate::compact::{Guide, Packer};
use crate::content::Content;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::media::Compression;
use crate::regzip::find::{Sample, find, likely_ways};
use crate::regzip::{Follower, Header, HeaderError, Way};
use crate::store::lacking::unnamed_file;
use crate::store::{Location, StoreError, TEMPORARY};

/// How many plain bytes there are between the places at which packing can go on.
const CHECKPOINTS: u64 = 2 << 20;
/// How much is looked at to find the packer: plain bytes, and packed ones; and how many plain bytes at most.
const SAMPLE: (usize, usize, usize) = (2 << 20, 128 << 10, 16 << 20);
/// The longest header that is kept, in bytes.
const LONGEST_HEADER: usize = 64 << 10;
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

/// Looks at a layer. Of one that goes along as it is not all is read.
///
/// # Errors
/// When it cannot be read or is not what its digest says, or there is no room for what it unpacks to.
pub(super) fn survey(reader: BlobReader<'_>, place: &Location, spool: &Path) -> Result<Survey, StoreError> {
    let content = reader.content().clone();
    let mut survey = Surveyor { from: reader, bytes: Vec::new(), plain: PlainFile::new(spool)? };
    let outcome = survey.run();
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
    fn run(&mut self) -> Result<Outcome, Failed> {
        while self.bytes.len() < 512 && self.more()? {}
        match Compression::sniffed(&self.bytes) {
            Compression::Zstd => Ok(Outcome::AsItIs(Why::Zstd)),
            Compression::Gzip => self.gzip(),
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

    fn gzip(&mut self) -> Result<Outcome, Failed> {
        let (header, length) = loop {
            match Header::parse(&self.bytes) {
                Ok(parsed) => break parsed,
                Err(HeaderError::Short) if self.bytes.len() < LONGEST_HEADER && self.more()? => {}
                Err(_) => return Ok(Outcome::AsItIs(Why::Unknown)),
            }
        };
        let bytes: Vec<u8> = self.bytes.drain(..length).collect();
        let mut trial = Trial::Sample { deflate: Vec::new(), plain: Vec::new(), ways: likely_ways(&header) };
        let mut inflate = Decompress::new(false);
        let mut out = Vec::with_capacity(CHUNK);
        loop {
            let ended = loop {
                out.clear();
                let before = inflate.total_in();
                let Ok(status) = inflate.decompress_vec(&self.bytes, &mut out, FlushDecompress::None) else {
                    return Ok(Outcome::AsItIs(Why::Unknown));
                };
                let taken = usize::try_from(inflate.total_in() - before).unwrap_or_default();
                self.plain.write(&out)?;
                let ended = status == Status::StreamEnd;
                if !trial.take(&self.bytes[..taken], &out, ended) {
                    return Ok(Outcome::AsItIs(Why::Unknown));
                }
                self.bytes.drain(..taken);
                if ended || (taken == 0 && out.is_empty()) {
                    break ended;
                }
            };
            if ended {
                break;
            }
            if !self.more()? {
                return Ok(Outcome::AsItIs(Why::Unknown));
            }
        }
        while self.bytes.len() <= LONGEST_TRAILER {
            if !self.more()? {
                let Some((way, guide)) = trial.done() else { return Ok(Outcome::AsItIs(Why::Unknown)) };
                let trailer = std::mem::take(&mut self.bytes);
                return Ok(Outcome::Again(Packer::Gzip { way, header: bytes, trailer }, Some(guide)));
            }
        }
        Ok(Outcome::AsItIs(Why::Members))
    }
}

/// Looking for the packer, then following it.
enum Trial {
    Sample { deflate: Vec<u8>, plain: Vec<u8>, ways: Vec<Way> },
    Following(Way, Box<Follower>),
    Failed,
}

impl Trial {
    /// Takes some of both sides; false when no packer makes it.
    fn take(&mut self, packed: &[u8], unpacked: &[u8], ended: bool) -> bool {
        if let Self::Sample { deflate, plain, ways } = self {
            deflate.extend_from_slice(packed);
            plain.extend_from_slice(unpacked);
            let is_enough = plain.len() >= SAMPLE.2 || plain.len() >= SAMPLE.0 && deflate.len() >= SAMPLE.1;
            if is_enough || ended {
                let found = find(Sample { deflate, data: plain, whole: ended }, ways);
                let next = found.map(|way| {
                    let mut follower = Box::new(Follower::new(way).checkpoints_every(CHECKPOINTS));
                    let same = follower.expect(deflate).and_then(|()| follower.write(plain));
                    same.map_or(Self::Failed, |()| Self::Following(way, follower))
                });
                *self = next.unwrap_or(Self::Failed);
            }
        } else if let Self::Following(_, follower) = self
            && follower.expect(packed).and_then(|()| follower.write(unpacked)).is_err()
        {
            *self = Self::Failed;
        }
        !matches!(self, Self::Failed)
    }

    fn done(self) -> Option<(Way, Guide)> {
        let Self::Following(way, follower) = self else { return None };
        let followed = follower.finish().ok().filter(|followed| followed.rest.is_empty())?;
        Some((way, Guide { early: followed.early, checkpoints: followed.checkpoints }))
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
