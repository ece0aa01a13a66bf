//! Where a run makes content of its own: in the target itself where that is a layout, else in files without a name beside
//! the archive. Nothing of it has a name before the target is delivered, and all of it is gone when it never is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{Error, Target, TargetKind};
use crate::blob::{BlobReader, Making};
use crate::content::{Content, Descriptor, Kind};
use crate::digest::Digest;
use crate::ops::open::Context;
use crate::store::lacking::unnamed_file;
use crate::store::layout::LayoutSink;
use crate::store::{Inventory, Location, Sink as _, Source, StoreError, TEMPORARY, directory_of};

/// Where temporary files go when nothing says another place: larger than memory, unlike `/tmp` on many machines.
const USUAL: &str = "/var/tmp";

/// What a run has made, to be read before it has a name.
#[derive(Debug)]
pub struct Made {
    location: Location,
    files: Mutex<BTreeMap<Digest, File>>,
}

impl Default for Made {
    fn default() -> Self {
        let location = Location::Memory("made by this command".to_owned());
        Self { location, files: Mutex::default() }
    }
}

/// Where content is made.
#[derive(Debug)]
pub struct Workbench<'a> {
    place: Bench<'a>,
    location: Location,
    spool: PathBuf,
    made: &'a Made,
}

#[derive(Debug)]
enum Bench<'a> {
    Layout(&'a LayoutSink),
    Apart,
}

impl Target {
    /// Prepares for content that is made here; with `apart`, for a run that will not deliver it.
    ///
    /// # Errors
    /// When the place cannot be written.
    pub fn workbench<'a>(
        &'a mut self,
        made: &'a Made,
        apart: bool,
        context: &Context<'_>,
    ) -> Result<Workbench<'a>, Error> {
        let location = self.location();
        let spool = self.spool(apart, context);
        let place = match &mut self.kind {
            TargetKind::Layout(sink) if !apart => {
                self.makes = true;
                sink.begin(&Inventory::default())?;
                Bench::Layout(sink)
            }
            _ => Bench::Apart,
        };
        Ok(Workbench { place, location, spool, made })
    }

    /// Returns the directory for temporary files: beside what is written, unless it is not to be.
    #[must_use]
    pub fn spool(&self, apart: bool, context: &Context<'_>) -> PathBuf {
        let beside = match &self.kind {
            _ if apart => Path::new(USUAL).to_owned(),
            TargetKind::Stream(_) => Path::new(USUAL).to_owned(),
            TargetKind::Layout(sink) => sink.location().path().unwrap_or(Path::new(USUAL)).to_owned(),
            TargetKind::NewArchive(place) => directory_of(place.path()).to_owned(),
            TargetKind::Archive { archive, .. } => {
                directory_of(archive.location().path().unwrap_or(Path::new("."))).to_owned()
            }
        };
        context.tmpdir.map_or(beside, Path::to_path_buf)
    }

    /// Takes back what making content has begun, after somebody asked to stop: as if nothing had been asked.
    pub fn abandon(&mut self) {
        if let TargetKind::Layout(sink) = &mut self.kind {
            sink.abandon();
        }
    }
}

impl Workbench<'_> {
    /// Makes content: `write` writes it. Returns what it turned out to be, beside what `write` returns.
    ///
    /// # Errors
    /// What `write` failed with, or when the content cannot be kept; nothing of it is left then.
    pub fn make<T, E: From<StoreError>>(
        &self,
        kind: Kind,
        write: impl FnOnce(&mut Making<'_>) -> Result<T, E>,
    ) -> Result<(Content, T), E> {
        let (content, file, result) = match &self.place {
            Bench::Layout(sink) => sink.make(kind, write)?,
            Bench::Apart => {
                let failed = |error: io::Error| StoreError::io(TEMPORARY, &self.spool)(error);
                let mut file = unnamed_file(&self.spool).map_err(failed)?;
                let mut making = Making::new(kind, &self.spool, &mut file);
                let result = write(&mut making)?;
                let content = making.finish().map_err(failed)?.content().clone();
                (content, file, result)
            }
        };
        self.made.files.lock().unwrap_or_else(PoisonError::into_inner).insert(content.digest, file);
        Ok((content, result))
    }

    /// Returns where it is, for messages and progress.
    #[must_use]
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// Returns the directory for temporary files.
    #[must_use]
    pub fn spool(&self) -> &Path {
        &self.spool
    }
}

impl Source for Made {
    fn location(&self) -> &Location {
        &self.location
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        Ok(Vec::new())
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = files.get(&content.digest) else {
            return Err(StoreError::Missing { digest: content.digest, place: self.location.clone() });
        };
        let file = file.try_clone().map_err(StoreError::io("read", self.location.to_string()))?;
        Ok(BlobReader::new(content.clone(), Positioned { file, at: 0 }))
    }
}

/// Reads a file from its beginning, whoever else reads it at the same time.
struct Positioned {
    file: File,
    at: u64,
}

impl Read for Positioned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
