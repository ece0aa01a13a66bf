//! The files of an image without unpacking it: what each is, and the digest of its content.
//!
//! All layers are read once. Names come together in the outline; what stands under them is noted beside.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use super::super::rootfs::outline::{Node, NodeKind, Onward, ROOT};
use super::super::rootfs::read::{Room, copy};
use super::super::rootfs::{Rootfs, layers_of};
use super::Options;
use crate::blob::Cancel;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::ops::Error;
use crate::ops::choose::Chosen;
use crate::store::Source;
use crate::tar::entry::EntryKind;
use crate::tar::header::Attributes;
use crate::text::quoted;
use crate::transfer::{Event, Observer};

/// What stands under a name in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// `file`, `directory`, `link to "..."`, `device 1:3`, `FIFO`.
    pub kind: String,
    /// Permissions, with setuid, setgid and sticky: 12 bits.
    pub mode: u32,
    /// The numbers of owner and group.
    pub owner: (u32, u32),
    /// The last change: seconds since 1970, and nanoseconds.
    pub mtime: (i64, u32),
    /// The size in bytes, and the SHA-256 of the content, of a file.
    pub content: Option<(u64, Digest)>,
    /// Extended attributes by name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl FileFacts {
    fn of(node: &Node, digest: Option<&Digest>) -> Self {
        let (major, minor) = node.attributes.device;
        let mut content = None;
        let kind = match &node.kind {
            NodeKind::File(_, size) => {
                content = digest.map(|digest| (*size, *digest));
                "file".to_owned()
            }
            NodeKind::Directory(_) => "directory".to_owned(),
            NodeKind::Link(target) => format!("link to {}", quoted(&String::from_utf8_lossy(target))),
            NodeKind::Special(b'3' | b'4') => format!("device {major}:{minor}"),
            NodeKind::Special(_) => "FIFO".to_owned(),
        };
        let Attributes { mode, uid, gid, mtime, xattrs, .. } = node.attributes.clone();
        Self { kind, mode, owner: (uid, gid), mtime, content, xattrs }
    }

    /// Returns what of this is otherwise in another: only that, in words.
    #[must_use]
    pub fn unlike(&self, other: &Self) -> String {
        let mut words = Vec::new();
        if self.kind != other.kind {
            words.push(self.kind.clone());
        }
        if self.mode != other.mode {
            words.push(format!("mode {:04o}", self.mode));
        }
        if self.owner != other.owner {
            words.push(format!("owner {}:{}", self.owner.0, self.owner.1));
        }
        if self.content != other.content {
            words.extend(self.content.map(|(size, digest)| format!("{size} bytes {digest}")));
        }
        if self.mtime != other.mtime {
            words.push(format!("time {}.{:09}", self.mtime.0, self.mtime.1));
        }
        if self.xattrs != other.xattrs {
            let name = |name: &Vec<u8>| quoted(&String::from_utf8_lossy(name));
            words.push(format!("xattrs {}", self.xattrs.keys().map(name).collect::<Vec<_>>().join(" ")));
        }
        words.join(", ")
    }
}

/// Prints it for a list: `file 0644 0:0 35 bytes sha256:...`.
impl fmt::Display for FileFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:04o} {}:{}", self.kind, self.mode, self.owner.0, self.owner.1)?;
        self.content.map_or(Ok(()), |(size, digest)| write!(f, " {size} bytes {digest}"))
    }
}

/// Lists the files of an image by their paths from its root. Every byte of its layers is read and checked.
///
/// # Errors
/// As [`super::unpack`].
pub fn list_files(
    source: &dyn Source,
    image: &Chosen,
    options: &Options,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<BTreeMap<Vec<u8>, FileFacts>, Error> {
    let mut digests: HashMap<usize, Digest> = HashMap::new();
    let read = Rootfs::read_with(
        layers_of(source, image)?,
        &options.limits(),
        cancel,
        observer,
        &mut |node, entry, stream| {
            if let (Some(node), EntryKind::Regular) = (node, &entry.kind) {
                let mut hashing = Hashing(Algorithm::Sha256.hasher());
                copy(stream, &mut hashing, Path::new(""))?;
                digests.insert(node, hashing.0.finish());
            }
            Ok(())
        },
    );
    observer.hear(Event::Ended);
    let rootfs = read?;
    let outline = rootfs.outline();
    let facts = |node| FileFacts::of(outline.node(node), digests.get(&node));
    let mut files = BTreeMap::from([(b"/".to_vec(), facts(ROOT))]);
    let mut room = Room::new();
    outline.walk(ROOT, |seen| {
        room.take(seen.path.len())?;
        files.insert([b"/", seen.path].concat(), facts(seen.node));
        Ok::<_, Error>(Onward::Into)
    })?;
    Ok(files)
}

/// Hashes what is written to it.
struct Hashing(Hasher);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
