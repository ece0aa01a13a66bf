//! One file of an image, without the others.
//!
//! All layers are read once for their names: links, whiteouts and upper layers decide where a path leads. Then the one
//! layer that holds the content is read again. Both times every byte is checked, and what is found gets its name only
//! after that.

use std::io::{self, Seek as _, Write};
use std::path::Path;

use rustix::fs::Mode;
use rustix::io::retry_on_intr;
use tempfile::NamedTempFile;

use super::super::rootfs::outline::{Last, NodeKind};
use super::super::rootfs::read::copy;
use super::super::rootfs::{Rootfs, layers_of, names};
use super::Options;
use super::tree::times;
use crate::blob::Cancel;
use crate::digest::Digest;
use crate::ops::Error;
use crate::ops::choose::Chosen;
use crate::platform::Platform;
use crate::store::{Durability, Source, StoreError, TEMPORARY, UNPACK, beside};
use crate::tar::entry::EntryKind;
use crate::tar::header::Attributes;
use crate::text::quoted;
use crate::transfer::{Event, Observer};

/// A file that was taken out of an image: whole, checked, and still without a name.
#[derive(Debug)]
pub struct Taken {
    /// The manifest of the image.
    pub digest: Digest,
    /// Its platform, if it says one.
    pub platform: Option<Platform>,
    /// The size of the file in bytes.
    pub size: u64,
    attributes: Attributes,
    durability: Durability,
    content: NamedTempFile,
}

/// What the file is called until it has its name, so that one which a dead process left is known.
const UNPACKED: &str = "unpacked";

/// Takes one file out of an image: the one that a program in it would find under this path, links followed. Its content
/// is kept in a temporary file in `directory` until it is saved or copied.
///
/// # Errors
/// [`Error::Absent`] when the path leads to no file; else as [`super::unpack`].
pub fn take_file(
    source: &dyn Source,
    image: &Chosen,
    path: &str,
    directory: &Path,
    options: &Options,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Taken, Error> {
    let parts = names::parts(path.as_bytes()).map_err(|reason| Error::Usage {
        message: format!("cannot look for {}: it {reason}", quoted(path)),
        hint: Some("give the path from the root of the image".to_owned()),
    })?;
    let read = Rootfs::read(layers_of(source, image)?, &options.limits(), cancel, observer);
    observer.hear(Event::Ended);
    let rootfs = read?;
    let found = rootfs.outline().find(&parts, Last::Followed).map(|number| (number, rootfs.outline().node(number)));
    let (number, file, size) = match found.map(|(number, node)| (number, node, &node.kind)) {
        Some((number, node, NodeKind::File(_, size))) => (number, node, *size),
        other => return Err(no_file(source, image, path, other.map(|(_, _, kind)| kind))),
    };
    let mut content = beside::temporary(directory, UNPACKED, 0o600, TEMPORARY)?;
    let spool = content.path().to_path_buf();
    rootfs.contents(&mut [number], &mut |_, _, stream| copy(stream, &mut content, &spool))?;
    let (digest, platform) = (*image.descriptor.digest(), image.platform.clone());
    let attributes = file.attributes.clone();
    Ok(Taken { digest, platform, size, attributes, durability: options.durability, content })
}

fn no_file(source: &dyn Source, image: &Chosen, path: &str, found: Option<&NodeKind>) -> Error {
    let (cause, hint) = match found {
        Some(NodeKind::Directory(_)) => {
            (Some("it is a directory".to_owned()), Some("unpack the image, or name a file in it".to_owned()))
        }
        Some(NodeKind::Special(flag)) => (Some(format!("it is {}", EntryKind::Special(*flag))), None),
        _ => (Some("no layer has it, or an upper one hides it".to_owned()), None),
    };
    let place = source.location();
    Error::Absent {
        message: format!("cannot take {} out of {} in {place}", quoted(path), image.describe()),
        cause,
        hint,
    }
}

impl Taken {
    /// Gives the file its name, with the permissions and the time that it has in the image, and you as its owner.
    ///
    /// # Errors
    /// When something has that name already, or the machine fails.
    pub fn save_as(self, path: &Path) -> Result<(), StoreError> {
        // without its owner, setuid would lend out somebody else's rights
        let mode = Mode::from_raw_mode(self.attributes.mode & 0o777);
        let file = self.content.as_file();
        retry_on_intr(|| rustix::fs::fchmod(file, mode))
            .map_err(|error| StoreError::io("write", path)(error.into()))?;
        rustix::fs::futimens(file, &times(self.attributes.mtime))
            .map_err(|error| StoreError::io("write", path)(error.into()))?;
        if self.durability == Durability::Synced {
            file.sync_all().map_err(StoreError::io("write", path))?;
        }
        match self.content.persist_noclobber(path) {
            Ok(_) if self.durability == Durability::Synced => beside::sync_name(path),
            Ok(_) => Ok(()),
            Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Err(is_there(path)),
            Err(failed) => Err(StoreError::io("write", path)(failed.error)),
        }
    }

    /// Writes the content.
    ///
    /// # Errors
    /// As the system says.
    pub fn copy_to(mut self, to: &mut dyn Write) -> io::Result<()> {
        self.content.rewind()?;
        io::copy(&mut self.content, to).map(|_| ())
    }
}

/// Checks that nothing stands where a file is to be saved.
///
/// # Errors
/// When something does.
pub fn check_free(path: &Path) -> Result<(), StoreError> {
    if std::fs::symlink_metadata(path).is_ok() { Err(is_there(path)) } else { Ok(()) }
}

fn is_there(path: &Path) -> StoreError {
    StoreError::io(UNPACK, path)(io::Error::new(io::ErrorKind::AlreadyExists, "it is there already"))
}
