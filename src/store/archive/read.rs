//! An archive as a source of images.

use std::cmp::Ordering;
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::align::Alignment;
use super::bytes::{Identity, Span, Stored};
use super::chain::Chain;
use super::compact::Compact;
use super::docker::Images;
use super::entries::{blob_digest, check_kinds, recognised};
use super::tar::{Entry, TarIndex};
use super::{Parts, cannot_read, oci, outer, refusal};
use crate::blob::{BlobReader, Cancel, Mismatch};
use crate::compact::{BaseBytes, BaseLayer, Bases, CompactIndex, CompactLayer, Pieces};
use crate::content::{Content, Descriptor};
use crate::digest::Digest;
use crate::document::Document;
use crate::media::Compression;
use crate::store::{Location, Source, StoreError};
use crate::tar::entry::EntryKind;

/// The files at the top of an archive that say what is in it.
pub(super) const OCI_LAYOUT: &str = "oci-layout";
/// The names of a layout.
pub(super) const INDEX_JSON: &str = "index.json";
/// The images of a docker-archive.
pub(super) const MANIFEST_JSON: &str = "manifest.json";

/// What to do when parts are taken by their numbers alone, and do not make an archive.
const BEHIND_THE_LAST: &str = "a part behind the last one may be missing, or one may be of another set: without the notes \
                               beside the parts nobody can tell";

/// What to do when files are called like parts, and are none.
const NOT_ITS_PARTS: &str = "take away what does not belong to it; several archives that are called like parts need a \
                             directory, or other names, each";

/// How the images of an archive are described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// An OCI image layout: `oci-layout`, `index.json`, `blobs/`.
    Oci,
    /// What `docker save` writes: `manifest.json`.
    Docker,
}

/// How an archive is to be opened.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Where a compressed archive or one from a pipe is put, without a name, while it is read. Else beside the archive;
    /// for standard input, in `/var/tmp`.
    pub tmpdir: Option<PathBuf>,
    /// How it is to be read. Else its content decides, and of an archive that is both, the OCI layout is read.
    pub format: Option<Format>,
}

/// A tar of images, indexed once and read in place, from several threads.
///
/// What is handed out is checked by its digest: an archive that changes under its reader is found out. What is read at
/// the opening and then relied on are the headers and the small documents that give names.
#[derive(Debug)]
pub struct Archive {
    location: Location,
    bytes: Arc<Stored>,
    index: TarIndex,
    images: Kind,
    compact: Option<Box<Compact>>,
    identity: Option<Identity>,
    parts: Option<Parts>,
    compression: Compression,
    warnings: Vec<String>,
}

#[derive(Debug)]
enum Kind {
    Oci(Box<Document>),
    Docker(Images),
}

impl Archive {
    /// Opens a file. A pipe that has a path, as the shell's `<(...)`, is taken as well.
    ///
    /// # Errors
    /// When it is not there or cannot be read, is no tar of images, or holds something that readers disagree on.
    pub fn open(path: &Path, options: &ReadOptions, cancel: &Cancel) -> Result<Self, StoreError> {
        let place = match options.format {
            Some(Format::Docker) => Location::DockerArchive(path.to_owned()),
            _ => Location::Archive(path.to_owned()),
        };
        let opened = outer::open(path, &place, options, cancel)?;
        Self::index(opened, None, place, options, cancel)
    }

    /// Opens the parts of a split archive, which are read where they lie.
    ///
    /// # Errors
    /// As [`Self::open`]; and when there are no notes, and the archive has no end: a part may be missing then.
    pub fn open_parts(parts: Parts, options: &ReadOptions, cancel: &Cancel) -> Result<Self, StoreError> {
        let place = match (options.format, parts.location()) {
            (Some(Format::Docker), Location::Archive(path)) => Location::DockerArchive(path),
            (_, place) => place,
        };
        let guessed = !parts.are_all_noted();
        let opened = outer::join(&parts, &place, options, cancel)?;
        let archive = Self::index(opened, Some(parts), place, options, cancel);
        match archive {
            Ok(archive) if guessed && !archive.has_end() => {
                let reason = "it ends without the blocks of zeros that end a tar";
                Err(refusal("the archive", &archive.location, reason, Some(BEHIND_THE_LAST)))
            }
            // several archives that are called like parts: the first is not the one that was meant
            Ok(archive) if guessed && archive.index.behind() > 0 => {
                let behind = archive.index.behind();
                let reason = format!("it ends {behind} bytes before the end of what is called like its parts");
                Err(refusal("the archive", &archive.location, reason, Some(NOT_ITS_PARTS)))
            }
            Err(StoreError::Malformed { what, place, reason, .. }) if guessed => {
                Err(StoreError::Malformed { what, place, reason, hint: Some(BEHIND_THE_LAST.to_owned()) })
            }
            other => other,
        }
    }

    /// Opens the front of an archive alone, from files that follow each other: what its names are. Its content is
    /// elsewhere, and not found here.
    ///
    /// # Errors
    /// As [`Self::open`]; and when the front alone does not say what is in the archive.
    pub fn open_front(fronts: Vec<PathBuf>, location: Location, cancel: &Cancel) -> Result<Self, StoreError> {
        let mut files = Vec::new();
        for path in fronts {
            let metadata = std::fs::metadata(&path).map_err(StoreError::io("read", &path))?;
            files.push((path, Identity::of(&metadata)));
        }
        Self::front(Stored::of_chain(Chain::new(files)), location, cancel)
    }

    /// Opens the front of an archive where it stands in a part, of which nothing else is looked at.
    ///
    /// # Errors
    /// As [`Self::open_front`].
    pub fn open_front_in(
        part: &Path,
        (at, length): (u64, u64),
        location: Location,
        cancel: &Cancel,
    ) -> Result<Self, StoreError> {
        let file = File::open(part).map_err(StoreError::io("read", part))?;
        Self::front(Stored::new(file, at, length), location, cancel)
    }

    fn front(bytes: Stored, location: Location, cancel: &Cancel) -> Result<Self, StoreError> {
        let index = TarIndex::read(&bytes, bytes.length(), &location, cancel)?;
        if recognised(&index, &location)? == Format::Docker {
            return Err(StoreError::Unsupported {
                action: "take in parts of".to_owned(),
                place: location,
                reason: "it is a docker-archive, whose names and digests are known only when all of it is there".into(),
                hint: Some("mount the media of all parts and name each directory with --part-dir DIR".to_owned()),
            });
        }
        check_kinds(&index, &location)?;
        let bytes = Arc::new(bytes);
        let files = Files { index: &index, bytes: &bytes, place: &location };
        let images = Kind::Oci(Box::new(oci::read(&files)?));
        let directory = outer::directory(&location, &ReadOptions::default());
        let compact = Compact::read(&files, &bytes, directory, cancel)?.map(Box::new);
        let (compression, warnings) = (Compression::None, Vec::new());
        Ok(Self { location, bytes, index, images, compact, identity: None, parts: None, compression, warnings })
    }

    /// Reads standard input, given as a file: from where it stands if it is one, else it is first copied to a temporary
    /// file.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn from_stdin(stdin: File, options: &ReadOptions, cancel: &Cancel) -> Result<Self, StoreError> {
        let opened = outer::take(stdin, &Location::Stdio, options, cancel)?;
        Self::index(opened, None, Location::Stdio, options, cancel)
    }

    fn index(
        opened: outer::Opened,
        parts: Option<Parts>,
        mut location: Location,
        options: &ReadOptions,
        cancel: &Cancel,
    ) -> Result<Self, StoreError> {
        let outer::Opened { bytes, identity, compression, notice } = opened;
        let bytes = Arc::new(bytes);
        let index = TarIndex::read(&*bytes, bytes.length(), &location, cancel)?;
        let format = match options.format {
            Some(format) => format,
            None => recognised(&index, &location)?,
        };
        if let (Format::Docker, Location::Archive(path)) = (format, &location) {
            location = Location::DockerArchive(path.clone());
        }
        check_kinds(&index, &location)?;
        let mut oddities: Vec<String> = notice.into_iter().chain(index.warnings().iter().cloned()).collect();
        let files = Files { index: &index, bytes: &bytes, place: &location };
        let compact = match format {
            Format::Oci => Compact::read(&files, &bytes, outer::directory(&location, options), cancel)?.map(Box::new),
            Format::Docker => None,
        };
        let images = match format {
            Format::Oci => Kind::Oci(Box::new(oci::read(&files)?)),
            Format::Docker => Kind::Docker(Images::read(&files, cancel, &mut oddities)?),
        };
        let warnings = oddities.into_iter().map(|oddity| format!("{location} {oddity}")).collect();
        Ok(Self { location, bytes, index, images, compact, identity, parts, compression, warnings })
    }

    /// Returns how its images are described.
    #[must_use]
    pub const fn format(&self) -> Format {
        match self.images {
            Kind::Oci(_) => Format::Oci,
            Kind::Docker(_) => Format::Docker,
        }
    }

    /// Returns what a compact archive says of the layers that are made again; none when it is not compact.
    #[must_use]
    pub fn compact(&self) -> Option<&CompactIndex> {
        self.compact.as_deref().map(Compact::index)
    }

    /// Says who finds the layers that a compact archive does not have and of which it takes bytes: its
    /// [bases](CompactIndex::bases). They are looked for when they are first needed.
    pub fn find_bases_with(&self, finder: Box<dyn Bases>) {
        if let Some(compact) = &self.compact {
            compact.find_bases_with(finder);
        }
    }

    /// Says where the pieces of a compact archive are of which only the front is here, by their numbers in its index.
    pub fn find_pieces_in(&self, pieces: Box<dyn Pieces>) {
        if let Some(compact) = &self.compact {
            compact.find_pieces_in(pieces);
        }
    }

    /// Returns the [bases](CompactIndex::bases) that are not to be found; none when it needs none.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn missing_bases(&self) -> Result<Vec<BaseLayer>, StoreError> {
        self.compact.as_ref().map_or_else(|| Ok(Vec::new()), |compact| compact.missing_bases())
    }

    /// Returns the bases of which a layer takes bytes, wherever they are; none for content that is not made again.
    ///
    /// # Errors
    /// When what it is made by cannot be read, or is wrong.
    pub fn bases_of(&self, digest: &Digest) -> Result<Vec<&BaseLayer>, StoreError> {
        self.made(digest).map_or_else(|| Ok(Vec::new()), |(compact, layer)| compact.bases_of(layer))
    }

    /// Provides a base that whoever has it has checked, for as long as this archive is open. The first that is provided counts.
    pub fn provide_base(&self, digest: &Digest, bytes: BaseBytes) {
        if let Some(compact) = &self.compact {
            compact.provide_base(digest, bytes);
        }
    }

    /// Returns the base without which some content cannot be made, if there is one that is not to be found.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn lacking_base(&self, digest: &Digest) -> Result<Option<BaseLayer>, StoreError> {
        match self.made(digest) {
            Some((compact, layer)) => compact.lacking(layer),
            None => Ok(None),
        }
    }

    /// Returns whether some content is a layer that is made again.
    #[must_use]
    pub fn makes(&self, digest: &Digest) -> bool {
        self.made(digest).is_some()
    }

    /// Finds a layer that is not in the tar, and is made again.
    fn made(&self, digest: &Digest) -> Option<(&Compact, &CompactLayer)> {
        let compact = self.compact.as_deref()?;
        let layer = compact.layer(digest).filter(|_| self.find(digest).is_none())?;
        Some((compact, layer))
    }

    /// Returns how the whole archive is compressed; if it is, it is read from a temporary copy.
    #[must_use]
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// Returns whether it has the blocks of zeros that end a tar. Without them it may be cut off.
    #[must_use]
    pub const fn has_end(&self) -> bool {
        self.index.has_end()
    }

    /// Returns the parts that it is read from; none for one file.
    #[must_use]
    pub const fn parts(&self) -> Option<&Parts> {
        self.parts.as_ref()
    }

    /// Returns where in the archive all its content lies, in bytes, by digest; empty when that is not where it is read from.
    #[must_use]
    pub fn ranges(&self) -> Vec<(Digest, Range<u64>)> {
        if self.compression != Compression::None {
            return Vec::new();
        }
        let range = |digest: &Digest| match &self.images {
            Kind::Oci(_) => self.index.find(&digest.blob_path()).map(|entry| entry.header..entry.offset + entry.size),
            Kind::Docker(images) => images.range(digest),
        };
        let pieces = self.compact().into_iter().flat_map(|index| &index.pieces).map(|piece| piece.digest);
        let all = self.blobs().into_iter().map(|(digest, _)| digest).chain(pieces);
        all.filter_map(|digest| Some((digest, range(&digest)?))).collect()
    }

    /// Returns whether all content that it holds under its digest begins at multiples of so many bytes.
    #[must_use]
    pub fn is_aligned(&self, alignment: Alignment) -> bool {
        let is_aligned = |entry: &Entry| entry.offset.is_multiple_of(alignment.bytes());
        self.index.below("blobs/").all(|entry| blob_digest(entry).is_none() || is_aligned(entry))
    }

    /// Returns which file it is and in which state it was when it was opened; none for a pipe, and for several files.
    #[must_use]
    pub const fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Returns what was odd or had to be done, each a sentence that names the archive.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns `index.json` as it stands in an OCI archive; none in a docker-archive.
    #[must_use]
    pub fn index_json(&self) -> Option<&Document> {
        match &self.images {
            Kind::Oci(document) => Some(document),
            Kind::Docker(_) => None,
        }
    }

    /// Returns all content that it holds under a digest, with its size in bytes, needed or not, sorted. Whether it is
    /// what the digest says is not known before it is read. Of a compact archive that are also the layers that are made again,
    /// and not the pieces of which they are.
    #[must_use]
    pub fn blobs(&self) -> Vec<(Digest, u64)> {
        match &self.images {
            Kind::Oci(_) => {
                let entries = self.index.below("blobs/").filter_map(|entry| Some((blob_digest(entry)?, entry.size)));
                let Some(compact) = &self.compact else { return entries.collect() };
                let mut blobs: Vec<_> = entries.filter(|(digest, _)| !compact.is_piece(digest)).collect();
                let layers = compact.index().layers.iter().map(|layer| (layer.digest, layer.size));
                blobs.extend(layers.filter(|(digest, _)| self.find(digest).is_none()));
                blobs.sort_unstable();
                blobs
            }
            Kind::Docker(images) => images.contents(),
        }
    }

    /// Returns the regular entries that are neither content under a digest nor a file of the format itself
    /// (`oci-layout`, `index.json`, `manifest.json`): name and size in bytes, sorted by name.
    #[must_use]
    pub fn others(&self) -> Vec<(&str, u64)> {
        let is_other = |entry: &&Entry| {
            entry.kind == EntryKind::Regular
                && ![OCI_LAYOUT, INDEX_JSON, MANIFEST_JSON].contains(&&*entry.name)
                && match &self.images {
                    Kind::Oci(_) => blob_digest(entry).is_none(),
                    Kind::Docker(images) => !images.uses(entry),
                }
        };
        self.index.entries().iter().filter(is_other).map(|entry| (&*entry.name, entry.size)).collect()
    }

    /// Returns the files that it is read from, each in the state in which it was opened; none for a pipe.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, Identity)> {
        match (&self.parts, self.identity, self.location.path()) {
            (Some(parts), ..) => parts.files(),
            (None, Some(identity), Some(path)) => vec![(path.to_owned(), identity)],
            _ => Vec::new(),
        }
    }

    /// Returns whether what is read is still what was opened, as far as length and times tell. One that lost its name is; one
    /// that was written to is not.
    #[must_use]
    pub fn is_as_opened(&self) -> bool {
        match (&self.parts, self.identity, self.compression) {
            // what is read is a copy that nobody else knows
            (_, _, compression) if compression != Compression::None => true,
            (Some(parts), ..) => parts.files().iter().all(|(path, identity)| {
                std::fs::metadata(path).is_ok_and(|metadata| Identity::of(&metadata) == *identity)
            }),
            (None, Some(identity), _) => self.bytes.identity().is_ok_and(|now| now == identity),
            (None, None, _) => true,
        }
    }

    /// Returns the size of content in bytes, by its name alone: what is in it was not checked. `None` when it is not there.
    #[must_use]
    pub fn size_unverified(&self, digest: &Digest) -> Option<u64> {
        let made = || self.made(digest).map(|(_, layer)| layer.size);
        self.find(digest).map(|(size, _)| size).or_else(made)
    }

    /// Reads some of the content that has this name, from `offset` on, as it stands there: nothing checks it. Returns how
    /// many bytes there were, 0 at its end. Several threads may read at once. A layer that is made again is made and checked as a
    /// whole before the first of its bytes is read so.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when it is not there, and when the archive cannot be read.
    pub fn read_at_unverified(&self, digest: &Digest, buffer: &mut [u8], offset: u64) -> Result<usize, StoreError> {
        if let Some((compact, layer)) = self.made(digest) {
            return compact.read_at(layer, buffer, offset);
        }
        let Some((size, held)) = self.find(digest) else {
            return Err(StoreError::Missing { digest: *digest, place: self.location.clone() });
        };
        let room = buffer.len().min(usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..room];
        match held {
            Held::Entry(span) => span.read_full_at(buffer, offset).map_err(cannot_read(&self.location)),
            Held::Made(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
                let count = rest.len().min(room);
                buffer[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            }
        }
    }

    /// Finds content by its name, with its size in bytes.
    fn find(&self, digest: &Digest) -> Option<(u64, Held<'_>)> {
        match &self.images {
            Kind::Oci(_) => {
                // links and devices of such a name were refused when the archive was opened
                let entry = self.index.find(&digest.blob_path())?;
                (entry.kind == EntryKind::Regular).then(|| (entry.size, Held::Entry(entry.reader(&*self.bytes))))
            }
            Kind::Docker(images) => images.open(digest, &self.bytes),
        }
    }

    /// Reads a regular entry by its name as it stands there: nothing checks it. `None` when there is none of that name.
    #[must_use]
    pub fn read_entry_unverified(&self, name: &str) -> Option<Span<'_>> {
        let entry = self.index.find(name).filter(|entry| entry.kind == EntryKind::Regular)?;
        Some(entry.reader(&*self.bytes))
    }
}

impl Source for Archive {
    fn location(&self) -> &Location {
        &self.location
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        match &self.images {
            Kind::Oci(document) => Ok(document.children().cloned().collect()),
            Kind::Docker(images) => Ok(images.roots().to_vec()),
        }
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        if let Some((compact, layer)) = self.made(&content.digest) {
            return match check_size(layer.size, content.size) {
                Ok(()) => Ok(BlobReader::new(content.clone(), compact.open(layer))),
                Err(mismatch) => {
                    Err(StoreError::Wrong { digest: content.digest, place: self.location.clone(), mismatch })
                }
            };
        }
        let Some((got, held)) = self.find(&content.digest) else {
            return Err(StoreError::Missing { digest: content.digest, place: self.location.clone() });
        };
        if let Err(mismatch) = check_size(got, content.size) {
            return Err(StoreError::Wrong { digest: content.digest, place: self.location.clone(), mismatch });
        }
        Ok(match held {
            Held::Entry(span) => match span.extent() {
                Some(extent) => BlobReader::new(content.clone(), span).lying_in(extent),
                None => BlobReader::new(content.clone(), span),
            },
            Held::Made(bytes) => BlobReader::new(content.clone(), bytes),
        })
    }
}

fn check_size(got: u64, expected: u64) -> Result<(), Mismatch> {
    match got.cmp(&expected) {
        Ordering::Less => Err(Mismatch::Short { got, expected }),
        Ordering::Greater => Err(Mismatch::Long { expected }),
        Ordering::Equal => Ok(()),
    }
}

/// Content that was found: in the archive, or made of what is in it.
pub(super) enum Held<'a> {
    /// The content of an entry.
    Entry(Span<'a>),
    /// A manifest that barge made.
    Made(&'a [u8]),
}

/// The files of an archive, while it is opened.
pub(super) struct Files<'a> {
    /// What there is.
    pub(super) index: &'a TarIndex,
    /// Where it is.
    pub(super) bytes: &'a Stored,
    /// Its name for messages.
    pub(super) place: &'a Location,
}

impl Files<'_> {
    /// Reads the whole of a small entry.
    ///
    /// # Errors
    /// When it is no regular entry, larger than `most` bytes, or cannot be read.
    pub(super) fn read_small(&self, entry: &Entry, most: u64) -> Result<Vec<u8>, StoreError> {
        if entry.kind != EntryKind::Regular {
            return Err(refusal(
                entry.what(),
                self.place,
                format!("it is {}, expected a regular file", entry.kind),
                None,
            ));
        }
        if entry.size > most {
            let reason = format!("it is {} bytes, expected at most {most}", entry.size);
            return Err(refusal(entry.what(), self.place, reason, None));
        }
        let mut content = Vec::new();
        entry.reader(self.bytes).read_to_end(&mut content).map_err(cannot_read(self.place))?;
        if content.len() as u64 != entry.size {
            return Err(refusal(entry.what(), self.place, "the archive became shorter while it was read", None));
        }
        Ok(content)
    }
}
