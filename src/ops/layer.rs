//! Layers as the tars that they are: unpacked while their digest is checked, in one pass over the bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::blob::{BlobError, BlobReader, CHUNK};
use crate::compact::PackedFile;
use crate::media::{Compression, foreign_packing};
use crate::regzip::Packed;
use crate::store::{Location, Reason, StoreError};
use crate::tar::header::starts_tar;

/// The largest window that a zstd frame may ask for, as a power of two: 128 MiB, the limit of the format's own tools.
const LARGEST_WINDOW: u32 = 27;

/// Hands the unpacked form of a layer to `consume`, however it is packed, and reads the layer to its end.
///
/// # Errors
/// When the layer is not what its digest says, cannot be read or unpacked, or `consume` fails. The first is found even
/// where the others come before it, since it is the reason.
pub(super) fn unpacked<T>(
    reader: BlobReader<'_>,
    place: &Location,
    consume: impl FnOnce(&mut dyn Read) -> io::Result<T>,
) -> Result<T, StoreError> {
    let content = reader.content().clone();
    let failed = |error| StoreError::reading(error, &content, place);
    let mut raw = BufReader::with_capacity(CHUNK, reader);
    let start = raw.fill_buf().map_err(|error| failed(BlobError::from_io(error)))?;
    let compression = Compression::sniffed(start);
    if let Some((packing, _)) = foreign_packing(start).filter(|_| !is_tar(start)) {
        // whether it is what its digest says comes first here too
        io::copy(&mut raw, &mut io::sink()).map_err(|error| failed(BlobError::from_io(error)))?;
        raw.into_inner().finish().map_err(failed)?;
        return Err(StoreError::Unsupported {
            action: format!("unpack {} in", content.digest),
            place: place.clone(),
            reason: Reason(format!("it is packed with {packing}, for which OCI has no media type")),
            hint: Some("pack the layer with gzip or zstd where the image was made".to_owned()),
        });
    }
    let (consumed, mut raw) = decode(compression, raw, consume);
    // what the reader said is the reason; asked again, it knows only that it has failed
    let consumed = match consumed {
        Err(error) if raw.get_ref().has_failed() => return Err(failed(BlobError::from_io(error))),
        consumed => consumed,
    };
    // The decoder may have stopped before the end: the rest decides whether the bytes were right at all.
    io::copy(&mut raw, &mut io::sink()).map_err(|error| failed(BlobError::from_io(error)))?;
    raw.into_inner().finish().map_err(failed)?;
    consumed.map_err(|error| match BlobError::from_io(error) {
        BlobError::Read(error) => {
            let error = crate::text::escaped(&error.to_string());
            let reason = format!("it cannot be unpacked as {compression}: {error}");
            StoreError::malformed(content.digest.to_string(), place, reason)
        }
        other => failed(other),
    })
}

/// The packed bytes of a layer, to be read by position while it is unpacked and afterwards: where it lies by itself in a file, or in one of
/// their own.
pub(super) struct Keeping {
    lies: Option<Arc<dyn Packed>>,
    file: Option<File>,
    size: u64,
    has_failed: AtomicBool,
}

impl Keeping {
    /// Finds them; if they lie nowhere, `file` is for them.
    pub(super) fn of(reader: &BlobReader<'_>, file: impl FnOnce() -> Option<File>) -> Self {
        let size = reader.content().size;
        let lies = reader.extent_unverified().and_then(|extent| PackedFile::of(extent.file, extent.at, size).ok());
        let lies = lies.map(|packed| Arc::new(packed) as Arc<dyn Packed>);
        Self { file: if lies.is_some() { None } else { file() }, lies, size, has_failed: AtomicBool::new(false) }
    }

    /// Takes what was read, in its order.
    pub(super) fn take(&self, bytes: &[u8]) {
        if self.file.as_ref().is_some_and(|mut file| file.write_all(bytes).is_err()) {
            self.has_failed.store(true, Ordering::Relaxed);
        }
    }

    /// Returns them. None: there was no room, and whoever wants them can do without.
    pub(super) fn done(self) -> Option<Arc<dyn Packed>> {
        let kept = self.file.filter(|_| !self.has_failed.load(Ordering::Relaxed));
        let kept = kept.and_then(|file| PackedFile::of(&file, 0, self.size).ok());
        self.lies.or_else(|| kept.map(|packed| Arc::new(packed) as _))
    }
}

/// Returns whether a tar begins here: the name of its first file may look like anything.
fn is_tar(start: &[u8]) -> bool {
    start.first_chunk().is_some_and(starts_tar)
}

type Raw<'a> = BufReader<BlobReader<'a>>;

/// Unpacks as far as it goes, and gives the reader back.
fn decode<T>(
    compression: Compression,
    mut raw: Raw<'_>,
    consume: impl FnOnce(&mut dyn Read) -> io::Result<T>,
) -> (io::Result<T>, Raw<'_>) {
    match compression {
        Compression::None => (consume(&mut raw), raw),
        Compression::Gzip => {
            let mut decoder = flate2::bufread::MultiGzDecoder::new(raw);
            let consumed = consume(&mut decoder);
            (consumed, decoder.into_inner())
        }
        Compression::Zstd => {
            let consumed = zstd::stream::read::Decoder::with_buffer(&mut raw).and_then(|mut decoder| {
                decoder.window_log_max(LARGEST_WINDOW)?;
                consume(&mut decoder)
            });
            (consumed, raw)
        }
    }
}
