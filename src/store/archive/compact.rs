//! Layers of a compact archive: they are not in the tar, and are made again of pieces that are ([`crate::compact`]).

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::bytes::Stored;
use super::read::Files;
use super::refusal;
use super::tar::TarIndex;
use crate::blob::{BlobReader, Cancel};
use crate::compact::{
    BaseBytes, BaseLayer, Bases, COMPACT_JSON, CompactIndex, CompactLayer, LARGEST_INDEX, Pieces, Plain, Rebuild,
    RebuildError, Stock,
};
use crate::digest::Digest;
use crate::store::lacking::unnamed_file;
use crate::store::{Location, StoreError, TEMPORARY};
use crate::tar::entry::EntryKind;

/// What of an archive is compact.
pub(super) struct Compact {
    place: Location,
    /// Where layers are put that are read out of order.
    directory: PathBuf,
    stock: Arc<Stock>,
    /// The layers that are made again, by their numbers in the index. Those that are in the tar as well are taken from there.
    layers: HashMap<Digest, usize>,
    pieces: HashSet<Digest>,
    /// Where pieces are that are not in the tar.
    elsewhere: Arc<OnceLock<Box<dyn Pieces>>>,
    /// Those that were read out of order, and are there as files.
    made: Mutex<HashMap<Digest, Slot>>,
}

impl std::fmt::Debug for Compact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compact").field("stock", &self.stock).finish_non_exhaustive()
    }
}

type Slot = Arc<Mutex<Option<Arc<File>>>>;

impl Compact {
    /// Reads the index of an archive; `None` when it is none that is compact.
    ///
    /// # Errors
    /// When it cannot be read, is not what it must be, or is of another version.
    pub(super) fn read(
        files: &Files<'_>,
        bytes: &Arc<Stored>,
        directory: PathBuf,
        cancel: &Cancel,
    ) -> Result<Option<Self>, StoreError> {
        let Some(entry) = files.index.find(COMPACT_JSON) else { return Ok(None) };
        let raw = files.read_small(entry, LARGEST_INDEX)?;
        let index = CompactIndex::parse(&raw).map_err(|error| {
            let hint = "a newer barge may have written it: update this one; or it is damaged: copy the archive again";
            refusal(COMPACT_JSON, files.place, error.to_string(), Some(hint))
        })?;
        let layers = index.layers.iter().enumerate().map(|(number, layer)| (layer.digest, number)).collect();
        let pieces = index.pieces.iter().map(|piece| piece.digest).collect();
        let elsewhere = Arc::default();
        let in_tar = InTar { elsewhere: Arc::clone(&elsewhere), ..InTar::of(&index, files.index, bytes, cancel) };
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let stock = Arc::new(Stock::new(index, Box::new(in_tar), threads));
        let place = files.place.clone();
        Ok(Some(Self { place, directory, stock, layers, pieces, elsewhere, made: Mutex::default() }))
    }

    /// Returns what its index says.
    pub(super) fn index(&self) -> &CompactIndex {
        self.stock.index()
    }

    /// Returns whether some content is a piece: of no image, and of use to nobody else.
    pub(super) fn is_piece(&self, digest: &Digest) -> bool {
        self.pieces.contains(digest)
    }

    /// Says where pieces are that are not in the tar. The first place that is named counts.
    pub(super) fn find_pieces_in(&self, pieces: Box<dyn Pieces>) {
        // one is enough
        drop(self.elsewhere.set(pieces));
    }

    /// Says who finds bases.
    pub(super) fn find_bases_with(&self, finder: Box<dyn Bases>) {
        self.stock.find_bases_with(finder);
    }

    /// Returns the bases that are nowhere.
    pub(super) fn missing_bases(&self) -> Result<Vec<BaseLayer>, StoreError> {
        let told = |error: io::Error| match error.downcast() {
            Ok(known) => known,
            Err(error) => super::cannot_read(&self.place)(error),
        };
        self.stock.missing_bases().map_err(told)
    }

    /// Returns the bases of which a layer takes bytes, wherever they are.
    ///
    /// # Errors
    /// When what it is made by cannot be read, or is wrong.
    pub(super) fn bases_of(&self, layer: &CompactLayer) -> Result<Vec<&BaseLayer>, StoreError> {
        let numbers = self.stock.bases_of(layer).map_err(|error| fault(error, layer.digest, &self.place))?;
        Ok(numbers.into_iter().filter_map(|number| self.index().bases.get(number as usize)).collect())
    }

    /// Provides a base.
    pub(super) fn provide_base(&self, digest: &Digest, bytes: BaseBytes) {
        if let Some(number) = self.index().bases.iter().position(|base| base.digest == *digest) {
            self.stock.provide(number, bytes);
        }
    }

    /// Finds a layer.
    pub(super) fn layer(&self, digest: &Digest) -> Option<&CompactLayer> {
        self.layers.get(digest).map(|number| &self.index().layers[*number])
    }

    /// Returns the base that a layer needs and that is not there, if there is one.
    ///
    /// # Errors
    /// When that cannot be told.
    pub(super) fn lacking(&self, layer: &CompactLayer) -> Result<Option<BaseLayer>, StoreError> {
        match self.index().bases.is_empty() {
            true => Ok(None),
            false => match Plain::open(&self.stock, layer) {
                Ok(_) => Ok(None),
                Err(RebuildError::Base(base)) => Ok(Some(*base)),
                Err(error) => Err(fault(error, layer.digest, &self.place)),
            },
        }
    }

    /// Opens a layer: it is begun to be made with the first byte that is read.
    pub(super) fn open(&self, layer: &CompactLayer) -> impl Read + Send + use<> {
        Making {
            stock: Arc::clone(&self.stock),
            number: self.layers.get(&layer.digest).copied().unwrap_or_default(),
            place: self.place.clone(),
            reader: None,
        }
    }

    /// Reads some bytes of a layer. It is made once for that, as a whole, in a temporary file.
    ///
    /// # Errors
    /// When it cannot be made, or is wrong.
    pub(super) fn read_at(&self, layer: &CompactLayer, buffer: &mut [u8], offset: u64) -> Result<usize, StoreError> {
        let slot = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(made.entry(layer.digest).or_default())
        };
        let file = {
            // who else wants it waits
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            match &*slot {
                Some(file) => Arc::clone(file),
                None => Arc::clone(slot.insert(Arc::new(self.spooled(layer)?))),
            }
        };
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(StoreError::io("read a temporary file in", &self.directory)(error)),
            }
        }
        Ok(filled)
    }

    fn spooled(&self, layer: &CompactLayer) -> Result<File, StoreError> {
        let content = layer.content();
        let mut file = unnamed_file(&self.directory).map_err(StoreError::io(TEMPORARY, &self.directory))?;
        let reader = BlobReader::new(content.clone(), self.open(layer));
        match reader.copy_to(&mut file) {
            Ok(_) => {}
            Err(crate::blob::BlobError::Write(error)) => {
                return Err(StoreError::io(TEMPORARY, &self.directory)(error));
            }
            Err(error) => return Err(StoreError::reading(error, &content, &self.place)),
        }
        file.rewind().map_err(StoreError::io(TEMPORARY, &self.directory))?;
        Ok(file)
    }
}

/// A layer that is made as it is read.
struct Making {
    stock: Arc<Stock>,
    number: usize,
    place: Location,
    reader: Option<Box<Rebuild>>,
}

impl Read for Making {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(layer) = self.stock.index().layers.get(self.number) else { return Ok(0) };
        let read = match &mut self.reader {
            Some(reader) => reader.read(buffer).map_err(RebuildError::from),
            None => Rebuild::open(&self.stock, layer).and_then(|reader| {
                let reader = self.reader.insert(Box::new(reader));
                Ok(reader.read(buffer)?)
            }),
        };
        read.map_err(|error| match error {
            RebuildError::Read(error) => error,
            // taken out again by `StoreError::reading`
            error => io::Error::other(fault(error, layer.digest, &self.place)),
        })
    }
}

/// Says why a layer cannot be made again, and what to do.
fn fault(error: RebuildError, layer: Digest, place: &Location) -> StoreError {
    match error {
        RebuildError::Base(base) => {
            let image = base.image.as_deref().map(|image| format!(" of {}", crate::text::escaped(image)));
            let image = image.unwrap_or_default();
            StoreError::Malformed {
                what: layer.to_string(),
                place: place.clone(),
                reason: format!("it is made of bytes of the base layer {}{image}, which is not here", base.digest)
                    .into(),
                hint: Some(format!("name a layout that has the base layer{image} with -L DIR, or load into one")),
            }
        }
        RebuildError::Read(error) => match error.downcast() {
            Ok(known) => known,
            Err(error) => super::cannot_read(place)(error),
        },
        error => {
            let reason = format!("it cannot be made again: {error}");
            let hint = "copy the archive again from where it was made";
            refusal(layer.to_string(), place, reason, Some(hint))
        }
    }
}

/// Pieces, where they lie in a tar.
struct InTar {
    bytes: Arc<Stored>,
    places: Vec<Option<(u64, u64)>>,
    elsewhere: Arc<OnceLock<Box<dyn Pieces>>>,
    /// A recipe may want many pieces for few bytes.
    cancel: Cancel,
}

impl InTar {
    fn of(index: &CompactIndex, tar: &TarIndex, bytes: &Arc<Stored>, cancel: &Cancel) -> Self {
        let place = |digest: &Digest| {
            let entry = tar.find(&digest.blob_path()).filter(|entry| entry.kind == EntryKind::Regular)?;
            Some((entry.offset, entry.size))
        };
        Self {
            bytes: Arc::clone(bytes),
            cancel: cancel.clone(),
            elsewhere: Arc::default(),
            places: index
                .pieces
                .iter()
                .map(|piece| place(&piece.digest).filter(|(_, size)| *size == piece.size))
                .collect(),
        }
    }
}

impl Pieces for InTar {
    fn read(&self, piece: u32) -> io::Result<Vec<u8>> {
        use super::bytes::ReadAt as _;
        if self.cancel.is_cancelled() {
            return Err(io::Error::other(StoreError::Cancelled));
        }
        let Some((offset, size)) = self.places.get(piece as usize).copied().flatten() else {
            if let Some(elsewhere) = self.elsewhere.get() {
                return elsewhere.read(piece);
            }
            let reason = format!("piece {piece} of the index is not there, or has another size");
            return Err(RebuildError::Wrong(reason).into());
        };
        // at most 8 MiB and a little, as the index says
        let mut bytes = vec![0; size as usize];
        let count = self.bytes.read_full_at(&mut bytes, offset)?;
        bytes.truncate(count);
        Ok(bytes)
    }
}
