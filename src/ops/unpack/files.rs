//! The files of an image without unpacking it: what each is, and the digest of its content.
//!
//! All layers are read once. Names come together in the outline; what stands under them is noted beside.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, Write};

use super::super::rootfs::chunks::{self, Allowance};
use super::super::rootfs::fault::Fault;
use super::super::rootfs::outline::Outline;
use super::{Options, check_files, layers};
use crate::blob::Cancel;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::ops::Error;
use crate::ops::choose::Chosen;
use crate::store::Source;
use crate::tar::entry::EntryKind;
use crate::tar::header::Attributes;
use crate::tar::stream::Stream;
use crate::text::quoted;
use crate::transfer::{Event, Observer, Outcome, Piece};

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
    fn of(kind: &EntryKind, attributes: &Attributes, content: Option<(u64, Digest)>) -> Self {
        let (major, minor) = attributes.device;
        let kind = match kind {
            EntryKind::Regular => "file".to_owned(),
            EntryKind::Directory => "directory".to_owned(),
            EntryKind::SymLink(target) => format!("link to {}", quoted(&String::from_utf8_lossy(target))),
            EntryKind::Special(b'3' | b'4') => format!("device {major}:{minor}"),
            other => other.to_string(),
        };
        let Attributes { mode, uid, gid, mtime, xattrs, .. } = attributes.clone();
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
    let layers = layers(source, image)?;
    let bytes = crate::content::total(layers.iter().map(|layer| layer.descriptor.size()));
    observer.hear(Event::Begun { pieces: layers.len() as u64, bytes });
    let mut outline = Outline::new();
    let mut facts: HashMap<usize, FileFacts> = HashMap::new();
    let mut entries = 0;
    let mut allowance = Allowance { limit: options.size, left: options.size };
    for (at, layer) in layers.iter().enumerate() {
        let content = layer.descriptor.content();
        let piece = Piece::start(observer, &content, &layer.about, source.location());
        let count = |bytes| piece.count(bytes);
        let reader = source.open(&content)?.cancelled_by(cancel).metered_by(&count);
        let read = chunks::read(reader, source.location(), &layer.diff_id, &mut allowance, cancel, |chunks| {
            let mut stream = Stream::new(chunks);
            while let Some(entry) = stream.next().map_err(|error| Fault::tar(error, Default::default))? {
                entries += 1;
                check_files(entries, options.files)?;
                let node = outline.add(at, &entry).map_err(|reason| Fault::Layer(reason).at(&entry.what()))?;
                let content = match entry.kind {
                    EntryKind::Regular => {
                        let mut hashing = Hashing(Algorithm::Sha256.hasher());
                        stream.copy_content(&mut hashing).map_err(|error| Fault::tar(error, Default::default))?;
                        Some((entry.size, hashing.0.finish()))
                    }
                    _ => None,
                };
                // another name of a file says nothing of its own
                if let (Some(node), false) = (node, matches!(entry.kind, EntryKind::HardLink(_))) {
                    facts.insert(node, FileFacts::of(&entry.kind, &entry.attributes, content));
                }
            }
            Ok(())
        });
        if let Err(fault) = read {
            drop(piece);
            observer.hear(Event::Ended);
            return Err(layer.error(fault, source.location()));
        }
        piece.finish(Outcome::Checked);
    }
    observer.hear(Event::Ended);
    // a directory that no layer has an entry for is as unpack makes it
    let implied = FileFacts::of(&EntryKind::Directory, &Attributes { mode: 0o755, ..Attributes::default() }, None);
    let entries = outline.entries().into_iter();
    Ok(entries.map(|(path, node)| (path, facts.get(&node).unwrap_or(&implied).clone())).collect())
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
