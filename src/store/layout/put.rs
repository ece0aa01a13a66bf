//! How content comes into `blobs/`: at once through a temporary file, or in several runs through a partial blob.

use std::io;
use std::time::Duration;

use rustix::fs::Stat;

use super::beneath::Directory;
use super::temporary::{BLOB, Temporary};
use crate::blob::{BlobError, BlobReader, Extent};
use crate::store::clone;
use crate::store::placed::Placed;
use crate::store::{Durability, PutError, StoreError};

/// Takes content from its beginning; what fails leaves nothing. Returns what its file is now.
pub(super) fn whole(
    directory: &Directory,
    blob: BlobReader<'_>,
    durability: Durability,
) -> Result<Option<Stat>, PutError> {
    let name = blob.content().digest.hex();
    let path = || directory.path_of(&name);
    let mut temporary = Temporary::create(directory, BLOB)?;
    let part = |extent| clone::part(extent, Extent { file: temporary.file(), at: 0 }, blob.content().size);
    let cloned = match blob.file_unverified() {
        Some(file) => clone::whole(file, temporary.file()),
        None => blob.extent_unverified().is_some_and(part),
    };
    let proved = if cloned {
        let copy = temporary.file().try_clone().map_err(StoreError::io("read", path()))?;
        blob.of_copy(copy).check()
    } else {
        blob.copy_to(&mut Placed::at(temporary.file(), 0, durability))
    };
    let proof = proved.map_err(|error| match error {
        BlobError::Write(error) => PutError::To(StoreError::io("write", path())(error)),
        other => PutError::From(other),
    })?;
    temporary.flush(&name, durability)?;
    Ok(temporary.name_blob(&proof)?)
}

/// Takes content behind the first `length` bytes of a partial blob, which another run left. When it breaks off, what is there
/// by then stays; when it is wrong, nothing does, and a beginning that had a part in it is not used again.
pub(super) fn continued(
    mut partial: Temporary,
    length: u64,
    directory: &Directory,
    mut blob: BlobReader<'_>,
    durability: Durability,
) -> Result<Option<Stat>, PutError> {
    const FROM_THE_BEGINNING: PutError = PutError::Again { after: Duration::ZERO };
    let name = blob.content().digest.hex();
    let failed = |error| PutError::To(StoreError::io("write", directory.path_of(&name))(error));
    if length == 0 {
        partial.file().set_len(0).map_err(failed)?;
    } else {
        blob = match blob.beginning_in(partial.file(), length) {
            Ok(blob) => blob,
            Err(BlobError::Cancelled) => {
                partial.keep();
                return Err(PutError::From(BlobError::Cancelled));
            }
            Err(_) => return Err(FROM_THE_BEGINNING), // it is this beginning that cannot be read
        };
    }
    match blob.copy_to(&mut Placed::at(partial.file(), length, durability)) {
        Ok(proof) => {
            partial.flush(&name, durability)?;
            Ok(partial.name_blob(&proof)?)
        }
        // a disk that is full has no room for what may be of use one day
        Err(BlobError::Write(error)) => Err(failed(error)),
        // whose fault it was, the beginning's or the other side's, shows when the whole comes from there
        Err(BlobError::Mismatch(_)) if length > 0 => Err(FROM_THE_BEGINNING),
        Err(BlobError::Read(error)) if length > 0 && error.kind() == io::ErrorKind::Unsupported => {
            Err(FROM_THE_BEGINNING)
        }
        Err(error @ BlobError::Mismatch(_)) => Err(PutError::From(error)),
        Err(error @ (BlobError::Read(_) | BlobError::Cancelled)) => {
            partial.keep();
            Err(PutError::From(error))
        }
    }
}
