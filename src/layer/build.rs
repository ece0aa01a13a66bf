//! The tar becomes a layer in one pass: hashed, packed, hashed again, written.

use std::io::{self, Write};

use super::tree::Tree;
use super::write::{LayerError, Writer};
use crate::blob::{Cancel, Making};
use crate::content::Descriptor;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::media::{Compression, MediaType, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD};
use crate::pack::{PackOptions, pack};
use crate::store::StoreError;

/// What was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// What the layer is called in a manifest.
    pub media_type: MediaType,
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many these are.
    pub size: u64,
    /// The digest of the tar in it, as it stands in a config.
    pub diff_id: Digest,
    /// How many bytes the tar has.
    pub unpacked_size: u64,
}

impl Built {
    /// Returns the descriptor of the layer.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(&self.media_type, self.digest, self.size)
    }
}

/// Builds a layer into content that is being made, and in which there is nothing yet. The same tree and the same packing give
/// the same bytes, for any number of threads. `meter` is told of every count of bytes of content that was read.
///
/// # Errors
/// When a file cannot be read, or changes its size while it is read; when packing or writing fails; [`StoreError::Cancelled`].
pub fn build(
    tree: &Tree,
    options: &PackOptions,
    to: &mut Making<'_>,
    cancel: &Cancel,
    meter: &(dyn Fn(u64) + Sync),
) -> Result<Built, StoreError> {
    let path = to.path().to_owned();
    let built = build_tar(options, to, |tar| {
        Writer::new(tree, cancel, &|count| meter(count)).run(tar).map_err(|error| match error {
            LayerError::From(error) => io::Error::other(error), // taken out again below
            LayerError::To(error) => error,
        })
    });
    built.map_err(|error| match error.downcast::<StoreError>() {
        Ok(known) => known,
        Err(error) => StoreError::io("write", path)(error),
    })
}

/// Builds a layer from a tar that `write` writes.
///
/// # Errors
/// What `write` failed with, or when packing or writing fails.
pub fn build_tar(
    options: &PackOptions,
    to: &mut Making<'_>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<Built> {
    // a plain tar is the layer: its bytes are hashed once
    let hasher = (options.compression != Compression::None).then(|| Algorithm::Sha256.hasher());
    let (diff_id, unpacked_size) = pack(options, to, |tar| {
        let mut hashing = Hashing { to: tar, hasher, size: 0 };
        write(&mut hashing)?;
        Ok((hashing.hasher.map(Hasher::finish), hashing.size))
    })?;
    let media_type = MediaType::new(match options.compression {
        Compression::None => OCI_LAYER,
        Compression::Gzip => OCI_LAYER_GZIP,
        Compression::Zstd => OCI_LAYER_ZSTD,
    });
    let digest = to.digest();
    Ok(Built { media_type, digest, size: to.size(), diff_id: diff_id.unwrap_or(digest), unpacked_size })
}

/// Hashes what passes.
struct Hashing<'a> {
    to: &'a mut dyn Write,
    hasher: Option<Hasher>,
    size: u64,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes[..count]);
        }
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
