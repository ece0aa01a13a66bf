//! How content that barge makes itself comes into `blobs/`: its digest is known only when its last byte was written.

use super::beneath::Directory;
use super::temporary::{BLOB, Temporary};
use crate::blob::Making;
use crate::content::{Content, Kind};
use crate::store::{Durability, StoreError};

/// Gives `write` a temporary file to write content to, and then its name; what fails leaves nothing.
pub(super) fn make<T, E: From<StoreError>>(
    directory: &Directory,
    kind: Kind,
    durability: Durability,
    write: impl FnOnce(&mut Making<'_>) -> Result<T, E>,
) -> Result<(Content, T), E> {
    let mut temporary = Temporary::create(directory, BLOB)?;
    let mut making = Making::new(kind, directory.path(), temporary.file());
    let result = write(&mut making)?;
    let proof = making.finish().map_err(StoreError::io("write", directory.path()))?;
    temporary.flush(&proof.content().digest.hex(), durability)?;
    temporary.name_blob(&proof)?;
    Ok((proof.content().clone(), result))
}
