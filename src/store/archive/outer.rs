//! From a file or standard input to a tar that can be read by position.
//!
//! A plain tar is read where it lies. One that is compressed as a whole, or that comes through a pipe, is written once
//! to a temporary file without a name, which is gone when the archive is closed, whatever ends the process. What a file
//! is, its first bytes say, never its suffix.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use super::bytes::{Identity, ReadAt as _, Span, Stored};
use super::patient::{self, Patient};
use super::{Parts, ReadOptions, cannot_read, refusal};
use crate::blob::{CHUNK, Cancel};
use crate::media::{Compression, foreign_packing};
use crate::store::lacking::unnamed_file;
use crate::store::{Location, StoreError, TEMPORARY, directory_of};
use crate::tar::header::{Block, starts_tar};
use crate::text::human_size;

/// Where temporary files go when an archive comes from standard input and nobody said where: not `/tmp`, which may be
/// in memory (FHS 3.0, "/var/tmp").
const FOR_STDIN: &str = "/var/tmp";
/// The largest window of a foreign zstd frame, as a power of two: 128 MiB, what `zstd -d` takes unasked.
const LARGEST_WINDOW: u32 = 27;

/// How far compressed data may grow: beyond both, it is taken for a bomb.
struct Bound {
    /// So many bytes are always let through.
    size: u64,
    /// More than that only up to so many times the bytes that were read.
    ratio: u64,
}

const BOUND: Bound = Bound { size: 1 << 30, ratio: 200 };

/// A tar ready to be read, and how it was made so.
#[derive(Debug)]
pub(super) struct Opened {
    /// Its bytes.
    pub(super) bytes: Stored,
    /// Which file they came from; none for a pipe, and for several.
    pub(super) identity: Option<Identity>,
    /// How the whole was packed.
    pub(super) compression: Compression,
    /// What had to be done, as what follows the name of the archive in a sentence.
    pub(super) notice: Option<String>,
}

/// Opens a file.
///
/// # Errors
/// When it is not there, no tar, or cannot be unpacked.
pub(super) fn open(
    path: &Path,
    place: &Location,
    options: &ReadOptions,
    cancel: &Cancel,
) -> Result<Opened, StoreError> {
    let file = patient::open(path).map_err(cannot_read(place))?;
    let directory = options.tmpdir.as_deref().unwrap_or(directory_of(path));
    Opening { place, directory, cancel }.take(file)
}

/// Takes what is open already: standard input.
///
/// # Errors
/// As [`open`].
pub(super) fn take(file: File, place: &Location, options: &ReadOptions, cancel: &Cancel) -> Result<Opened, StoreError> {
    let directory = options.tmpdir.as_deref().unwrap_or(Path::new(FOR_STDIN));
    Opening { place, directory, cancel }.take(file)
}

/// Takes the parts of a split archive.
///
/// # Errors
/// As [`open`].
pub(super) fn join(
    parts: &Parts,
    place: &Location,
    options: &ReadOptions,
    cancel: &Cancel,
) -> Result<Opened, StoreError> {
    let directory = &directory(place, options);
    Opening { place, directory, cancel }.in_place(Stored::of_chain(parts.chain()), None)
}

/// Returns where temporary files go.
pub(super) fn directory(place: &Location, options: &ReadOptions) -> std::path::PathBuf {
    let beside = || place.path().map(directory_of);
    options.tmpdir.as_deref().or_else(beside).unwrap_or(Path::new(FOR_STDIN)).to_owned()
}

struct Opening<'a> {
    place: &'a Location,
    directory: &'a Path,
    cancel: &'a Cancel,
}

impl Opening<'_> {
    fn take(&self, mut file: File) -> Result<Opened, StoreError> {
        let metadata = file.metadata().map_err(cannot_read(self.place))?;
        let kind = metadata.file_type();
        if kind.is_file() {
            // standard input may stand in the middle of a file
            let start = file.stream_position().map_err(cannot_read(self.place))?;
            let stored = Stored::new(file, start, metadata.len().saturating_sub(start));
            return self.in_place(stored, Some(Identity::of(&metadata)));
        }
        if kind.is_fifo() || kind.is_socket() {
            return self.piped(file);
        }
        let (what, hint) = match () {
            () if kind.is_dir() => ("a directory", Some("to read a layout, write `oci:` before its path")),
            () if io::IsTerminal::is_terminal(&file) => ("a terminal", Some("redirect an archive into it: `< FILE`")),
            () => ("a device", None),
        };
        Err(self.refuse(format!("it is {what}, expected a file or a pipe"), hint))
    }

    fn in_place(&self, stored: Stored, identity: Option<Identity>) -> Result<Opened, StoreError> {
        let mut head = [0; 512];
        let count = stored.read_full_at(&mut head, 0).map_err(cannot_read(self.place))?;
        let compression = self.recognised(&head[..count])?;
        if compression == Compression::None {
            return Ok(Opened { bytes: stored, identity, compression, notice: None });
        }
        let bytes = self.spooled(Span::new(&stored, 0, stored.length()), compression, &BOUND)?;
        let notice = format!("is compressed with {compression}: unpacked once into {}", self.temporary());
        Ok(Opened { bytes, identity, compression, notice: Some(notice) })
    }

    fn piped(&self, file: File) -> Result<Opened, StoreError> {
        let mut pipe = Patient { pipe: file, cancel: self.cancel };
        let mut head = Vec::with_capacity(512);
        (&mut pipe).take(512).read_to_end(&mut head).map_err(|error| self.read_error(error))?;
        let compression = self.recognised(&head)?;
        let bytes = self.spooled(head.chain(pipe), compression, &BOUND)?;
        let packed = match compression {
            Compression::None => String::new(),
            packed => format!(" compressed with {packed}"),
        };
        let notice = format!("is a pipe{packed}: copied once into {}", self.temporary());
        Ok(Opened { bytes, identity: None, compression, notice: Some(notice) })
    }

    fn temporary(&self) -> String {
        let directory = crate::text::escaped(&self.directory.to_string_lossy());
        format!("a temporary file in {directory} (unnamed, gone at the end)")
    }

    /// Writes what comes, unpacked, to a temporary file.
    fn spooled(&self, from: impl Read, compression: Compression, bound: &Bound) -> Result<Stored, StoreError> {
        let mut to = unnamed_file(self.directory).map_err(StoreError::io(TEMPORARY, self.directory))?;
        let (taken, failed) = (Cell::new(0), Cell::new(false));
        let metered = BufReader::with_capacity(CHUNK, Metered { inner: from, taken: &taken, failed: &failed });
        let mut decoder: Box<dyn Read + '_> = match compression {
            Compression::None => Box::new(metered),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(metered)),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(metered).map_err(cannot_read(self.place))?;
                decoder.window_log_max(LARGEST_WINDOW).map_err(cannot_read(self.place))?;
                Box::new(decoder)
            }
        };
        let mut buffer = vec![0; CHUNK];
        let mut length = 0;
        loop {
            if self.cancel.is_cancelled() {
                return Err(StoreError::Cancelled);
            }
            let count = match decoder.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if failed.get() => return Err(self.read_error(error)),
                Err(error) => return Err(self.spoilt(compression, &error)),
            };
            length += count as u64;
            if length > bound.size && length / bound.ratio > taken.get() && compression != Compression::None {
                let (from, got) = (human_size(taken.get()), human_size(length));
                let reason = format!("its first {from} of {compression} data unpack to {got}: it looks like a bomb");
                return Err(self.refuse(reason, Some("if this is not an attack, unpack it by hand first")));
            }
            to.write_all(&buffer[..count]).map_err(StoreError::io(TEMPORARY, self.directory))?;
        }
        drop(decoder);
        let stored = Stored::new(to, 0, length);
        let mut head = [0; 512];
        let count = stored.read_full_at(&mut head, 0).map_err(StoreError::io(TEMPORARY, self.directory))?;
        let hint = Some("unpack it by hand and look into it");
        match recognised(&head[..count]) {
            Ok(inner) if compression == Compression::None || inner == Compression::None => Ok(stored),
            Ok(inner) => Err(self.refuse(format!("what its {compression} data unpack to is {inner} again"), hint)),
            Err((reason, _)) => {
                Err(self.refuse(format!("what its {compression} data unpack to is no tar: {reason}"), hint))
            }
        }
    }

    fn read_error(&self, error: io::Error) -> StoreError {
        if self.cancel.is_cancelled() { StoreError::Cancelled } else { cannot_read(self.place)(error) }
    }

    fn spoilt(&self, compression: Compression, error: &io::Error) -> StoreError {
        let error = crate::text::escaped(&error.to_string());
        let reason = match compression {
            Compression::None => error, // not met: plain bytes have no form
            packed => format!("its {packed} data are spoilt or cut off: {error}"),
        };
        self.refuse(reason, Some("copy it again from where it was made"))
    }

    fn recognised(&self, head: &[u8]) -> Result<Compression, StoreError> {
        recognised(head).map_err(|(reason, hint)| self.refuse(reason, hint.as_deref()))
    }

    fn refuse(&self, reason: String, hint: Option<&str>) -> StoreError {
        refusal("the file".to_owned(), self.place, reason, hint)
    }
}

/// Other formats that are met in the place of a tar: first bytes, what they are, what to do.
const OTHERS: [(&[u8], &str, &str); 7] = [
    (b"PK\x03\x04", "a zip file", "unpack it first: the archive may be in it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z file", "unpack it first: the archive may be in it"),
    (b"hsqs", "a squashfs file system", "convert it to a tar of an OCI image layout first"),
    (b"\x7fELF", "a program", "give the archive, not the program"),
    (b"<", "a web page or XML", "look into it: the download may have failed"),
    (b"{", "a JSON document", "give the archive or the directory that it belongs to"),
    (b"070701", "a cpio archive", "convert it to a tar first"),
];

/// Returns how a tar is packed, by its first 512 bytes.
///
/// # Errors
/// What it is instead, and what to do.
fn recognised(head: &[u8]) -> Result<Compression, (String, Option<String>)> {
    if head.is_empty() {
        return Err(("it is empty".to_owned(), None));
    }
    let packed = Compression::sniffed(head);
    if packed != Compression::None || <&Block>::try_from(head).is_ok_and(starts_tar) {
        return Ok(packed);
    }
    if let Some((name, command)) = foreign_packing(head) {
        let reason = format!("it is compressed with {name}, which barge does not unpack");
        return Err((reason, Some(format!("unpack it first: `{command} FILE`"))));
    }
    match OTHERS.iter().find(|(magic, ..)| head.starts_with(magic)) {
        Some((_, what, hint)) => Err((format!("it is {what}"), Some((*hint).to_owned()))),
        None => Err(("it is neither a tar nor gzip or zstd".to_owned(), None)),
    }
}

/// A reader that counts, and remembers whether reading itself failed: a decoder's errors look alike.
struct Metered<'a, R> {
    inner: R,
    taken: &'a Cell<u64>,
    failed: &'a Cell<bool>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buffer);
        match &result {
            Ok(count) => self.taken.set(self.taken.get() + *count as u64),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.failed.set(true),
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_grow_too_far_are_refused_while_they_grow() {
        let zeros = io::repeat(0).take(10 << 20);
        let mut packed = Vec::new();
        flate2::bufread::GzEncoder::new(BufReader::new(zeros), flate2::Compression::best())
            .read_to_end(&mut packed)
            .unwrap();
        let directory = tempfile::tempdir().unwrap();
        let place = Location::Stdio;
        let spool = |bound: &Bound, cancel: &Cancel| {
            let opening = Opening { place: &place, directory: directory.path(), cancel };
            opening.spooled(&packed[..], Compression::Gzip, bound).map(|stored| stored.length())
        };
        let going = Cancel::default();
        assert_eq!(spool(&Bound { size: 10 << 20, ratio: 200 }, &going).unwrap(), 10 << 20);
        assert_eq!(spool(&Bound { size: 0, ratio: 2000 }, &going).unwrap(), 10 << 20);
        let error = spool(&Bound { size: 1 << 20, ratio: 200 }, &going).unwrap_err();
        let told = crate::store::causes(&error).join(": ");
        assert!(told.ends_with("of gzip data unpack to 2.0 MiB: it looks like a bomb"), "{told}");

        going.cancel();
        assert!(matches!(spool(&BOUND, &going), Err(StoreError::Cancelled)));
    }

    #[test]
    fn a_failed_read_is_not_taken_for_spoilt_data() {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the cable was pulled"))
            }
        }
        let (place, cancel) = (Location::Archive("x.tar.gz".into()), Cancel::default());
        let directory = tempfile::tempdir().unwrap();
        let opening = Opening { place: &place, directory: directory.path(), cancel: &cancel };
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let from = [0x1f, 0x8b, 8, 0].chain(Fails);
            let from: Box<dyn Read> = if compression == Compression::Gzip { Box::new(from) } else { Box::new(Fails) };
            let error = opening.spooled(from, compression, &BOUND).unwrap_err();
            assert_eq!(error.to_string(), "cannot read x.tar.gz", "{compression}");
            assert_eq!(error.class(), crate::error::Class::Machine);
        }
    }
}
