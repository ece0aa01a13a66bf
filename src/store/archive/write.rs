//! Writing an archive: once, at known offsets, the same bytes on every run.
//!
//! Where everything stands is known before the first byte ([`Arrangement`]). On a file each piece goes to its place in
//! parallel; on a stream they arrive in order. The file is written under a temporary name beside the target and gets its
//! name when it is whole.

use std::collections::HashSet;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::align::Alignment;
use super::arrange::{Arrangement, END};
use super::draft::{Draft, SetAside};
use super::pack::Packer;
use super::place::{Place, Unnamed};
use crate::blob::{BlobError, BlobReader};
use crate::content::Content;
use crate::digest::Digest;
use crate::media::Compression;
use crate::store::{Committed, Durability, Inventory, Location, Outcome, PutError, Sink, StoreError};

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
    /// At which multiples of bytes all content begins; none for wherever it comes to stand.
    pub alignment: Option<Alignment>,
    /// Further files, in the order in which they stand behind `index.json`.
    pub companions: Vec<Companion>,
    /// How many pieces are written at once.
    pub jobs: NonZeroUsize,
    /// Whether what was written has reached the medium before it gets its name.
    pub durability: Durability,
}

enum Output {
    /// A file that is yet to be begun, until it is known what is coming.
    Place(Option<Place>),
    /// A file in which every piece goes to its place.
    File(Option<Draft>),
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
    /// Where everything stands in a stream; none before it is known what is coming.
    arrangement: Option<Arrangement>,
    arrived: AtomicU64,
}

impl ArchiveSink {
    /// Prepares to write an archive to a file. Nothing but the temporary file of a compressed one is created before
    /// [`Sink::begin`].
    ///
    /// # Errors
    /// When no file can be created beside the target.
    pub fn to_file(place: Place, options: ArchiveOptions) -> Result<Self, StoreError> {
        let location = Location::Archive(place.path().to_owned());
        if options.compression == Compression::None {
            return Ok(Self::new(location, options, Output::Place(Some(place))));
        }
        let unnamed = Unnamed::beside(place, None)?;
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
        Self { location, options, output, arrangement: None, arrived: AtomicU64::new(0) }
    }

    fn write_error(&self) -> impl Fn(io::Error) -> StoreError + use<> {
        let path = self.location.path().map_or_else(|| PathBuf::from("standard output"), Path::to_path_buf);
        move |source| StoreError::Io { action: "write", path: path.clone(), source }
    }

    /// Keeps what has arrived of an archive that could not be finished, when the next run that writes the same can continue
    /// there and that is worth it. Else nothing is left when this is dropped.
    pub fn set_aside(&mut self) -> Option<SetAside> {
        match &mut self.output {
            Output::File(draft) => draft.take()?.set_aside(),
            Output::Place(_) | Output::Stream(_) => None,
        }
    }
}

impl Sink for ArchiveSink {
    fn location(&self) -> &Location {
        &self.location
    }

    fn begin(&mut self, coming: &Inventory) -> Result<Vec<Vec<Content>>, StoreError> {
        let mut arrangement = Arrangement::of_taken(&mut self.options, coming)?;
        let mut order: Vec<Content> = arrangement.slots().iter().map(|slot| slot.content.clone()).collect();
        let error = self.write_error();
        match &mut self.output {
            Output::Place(place) => {
                let place = place.take().ok_or_else(|| begun_twice(&self.location))?;
                let draft = Draft::begin(place, arrangement, self.options.alignment, self.options.durability)?;
                let settled: HashSet<Digest> = draft.settled().iter().map(|content| content.digest).collect();
                order.retain(|content| !settled.contains(&content.digest));
                order.sort_by_key(|content| std::cmp::Reverse(content.size));
                self.arrived = AtomicU64::new(settled.len() as u64);
                self.output = Output::File(Some(draft));
            }
            Output::File(_) => return Err(begun_twice(&self.location)),
            Output::Stream(stream) => {
                let stream = stream.get_mut().unwrap_or_else(PoisonError::into_inner);
                stream.position = arrangement.front().len() as u64;
                stream.to.write_all(arrangement.front()).map_err(error)?;
                arrangement.forget_front();
                self.arrangement = Some(arrangement);
            }
        }
        Ok(vec![order])
    }

    fn settled(&self) -> Vec<(Content, Outcome)> {
        match &self.output {
            Output::File(Some(draft)) => {
                draft.settled().iter().map(|content| (content.clone(), Outcome::Present)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn held(&self, _: &Content) -> Result<Option<BlobReader<'_>>, StoreError> {
        Ok(None) // an archive is always written anew
    }

    fn put(&self, blob: BlobReader<'_>) -> Result<Outcome, PutError> {
        let content = blob.content().clone();
        let arrangement = match &self.output {
            Output::File(Some(draft)) => Some(draft.arrangement()),
            _ => self.arrangement.as_ref(),
        };
        let unannounced = || StoreError::Missing { digest: content.digest, place: self.location.clone() };
        let found = arrangement.and_then(|arrangement| Some((arrangement, arrangement.place_of(&content)?)));
        let (arrangement, at) = found.ok_or_else(unannounced)?;
        match &self.output {
            Output::Place(_) | Output::File(None) => return Err(unannounced().into()),
            Output::File(Some(draft)) => draft.put(at, blob)?,
            Output::Stream(stream) => {
                let slot = &arrangement.slots()[at];
                let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
                if stream.position != slot.header {
                    let reason = "it arrived out of order".into();
                    let action = "write".to_owned();
                    return Err(
                        StoreError::Unsupported { action, place: self.location.clone(), reason, hint: None }.into()
                    );
                }
                stream.to.write_all(&slot.header_bytes()).map_err(self.write_error())?;
                let error = self.write_error();
                blob.copy_to(&mut stream.to).map_err(|failure| match failure {
                    BlobError::Write(source) => PutError::To(error(source)),
                    other => PutError::From(other),
                })?;
                stream.to.write_all(slot.padding()).map_err(self.write_error())?;
                stream.position = slot.end();
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
                stream.to.write_all(&END).and_then(|()| stream.to.finish()).map_err(error)?;
                if let Some(unnamed) = &mut stream.file {
                    unnamed.name(durability)?;
                }
            }
            Output::File(Some(draft)) => draft.finish()?,
            Output::Place(_) | Output::File(None) => return Err(begun_twice(&self.location)),
        }
        Ok(Committed::Changed)
    }

    fn abandon(&mut self) {} // the temporary file goes when this is dropped

    fn lanes(&self) -> usize {
        match self.output {
            Output::Place(_) | Output::File(_) => self.options.jobs.get(),
            Output::Stream(_) => 1,
        }
    }
}

/// Returns the complaint about a caller that does not keep to the order of a sink's calls.
fn begun_twice(place: &Location) -> StoreError {
    StoreError::malformed("the archive", place, "it is written once, and begun before that")
}

impl std::fmt::Debug for ArchiveSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArchiveSink").field("location", &self.location).finish_non_exhaustive()
    }
}
