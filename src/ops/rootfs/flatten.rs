//! The whole file system as one tar: what a stack of layers comes to, with nothing left of how it came to it.
//!
//! Directories come first, then what has no content, then files in the order in which the layers hold them, so that each
//! layer is read once more and nothing is kept, then the other names of things. Every path is one of directories alone: no
//! link stands on its way, whatever was in the way when a layer named it.

use std::io::{self, Write};

use super::outline::{Node, NodeKind, Onward, ROOT, Visit};
use super::read::copy;
use super::{Rootfs, names};
use crate::ops::Error;
use crate::store::StoreError;
use crate::tar::encode::{Fields, encode, padding};
use crate::text::quoted;

/// What a tar of a file system holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flat {
    /// How many entries.
    pub entries: u64,
    /// How many bytes of content.
    pub bytes: u64,
}

/// Why a file system was not written.
#[derive(Debug, thiserror::Error)]
pub enum FlattenError {
    /// A layer cannot be read again, something cannot be in a tar, or somebody asked to stop.
    #[error(transparent)]
    From(#[from] Error),
    /// Writing failed: the caller knows what was written to.
    #[error("cannot write the file system")]
    To(#[source] io::Error),
}

/// The name by which a thing is known: a directory, and the name in it.
type Known<'o> = Option<(usize, &'o [u8])>;

impl Rootfs<'_> {
    /// Writes the whole file system as a tar: unpacked, it gives the same tree as the layers. The same layers give the
    /// same bytes. What was written is right when this succeeds, and not before.
    ///
    /// # Errors
    /// When a layer cannot be read again, or a path or an attribute cannot be in a tar; when writing fails.
    pub fn flatten(&self, to: &mut dyn Write) -> Result<Flat, FlattenError> {
        let mut writer = Writer { to, flat: Flat::default(), failed: None };
        let written = self.write(&mut writer);
        let Writer { flat, failed, .. } = writer;
        match (written, failed) {
            // whoever hears of a failure to write can only say that there was one
            (_, Some(failed)) => Err(failed),
            (Err(Halt::Source(error)), None) => Err(error.into()),
            (Err(Halt::Told), None) => Err(Error::from(StoreError::Cancelled).into()),
            (Ok(()), None) => Ok(flat),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Halt> {
        let outline = &self.outline;
        let mut known: Vec<Known<'_>> = vec![None; outline.len()];
        let mut files = Vec::new();
        if outline.root_is_said() {
            writer.entry(b".", outline.node(ROOT))?;
        }
        outline.walk(ROOT, |Visit { path, directory, name, node: number }| {
            let node = outline.node(number);
            if known[number].is_none() {
                known[number] = Some((directory, name));
                match node.kind {
                    NodeKind::Directory(_) => writer.entry(path, node)?,
                    NodeKind::File(..) => files.push(number),
                    NodeKind::Link(_) | NodeKind::Special(_) => {}
                }
            }
            self.go_on()
        })?;
        let is_known_as = |seen: &Visit<'_, '_>| known[seen.node] == Some((seen.directory, seen.name));
        outline.walk(ROOT, |seen| {
            let node = outline.node(seen.node);
            if matches!(node.kind, NodeKind::Link(_) | NodeKind::Special(_)) && is_known_as(&seen) {
                writer.entry(seen.path, node)?;
            }
            self.go_on()
        })?;
        self.contents(&mut files, &mut |number, entry, stream| {
            // what went wrong here is told by the writer itself
            let told = |_: Halt| StoreError::Cancelled;
            writer.entry(&path_of(&known, number), outline.node(number)).map_err(told)?;
            copy(stream, writer, "".as_ref())?;
            writer.flat.bytes += entry.size;
            writer.put(&[0; 512][..padding(entry.size)]).map_err(told)?;
            Ok(())
        })
        .map_err(Halt::Source)?;
        outline.walk(ROOT, |seen| {
            let node = outline.node(seen.node);
            if !node.is_directory() && !is_known_as(&seen) {
                writer.link(seen.path, &path_of(&known, seen.node), node)?;
            }
            self.go_on()
        })?;
        writer.put(&[0; 1024])
    }

    fn go_on(&self) -> Result<Onward, Halt> {
        if self.cancel.is_cancelled() { Err(Halt::Source(StoreError::Cancelled.into())) } else { Ok(Onward::Into) }
    }
}

/// Returns the path by which a thing is known.
fn path_of(known: &[Known<'_>], number: usize) -> Vec<u8> {
    let mut parts = Vec::new();
    let mut at = number;
    while let Some((directory, name)) = known[at] {
        parts.push(name);
        at = directory;
    }
    parts.reverse();
    parts.join(&b'/')
}

/// Why writing stopped.
enum Halt {
    /// The writer knows.
    Told,
    /// A layer, or somebody who asked to stop.
    Source(Error),
}

/// Writes entries, and remembers what failed.
struct Writer<'a> {
    to: &'a mut dyn Write,
    flat: Flat,
    failed: Option<FlattenError>,
}

impl Writer<'_> {
    /// Writes what comes before the content of a thing.
    fn entry(&mut self, path: &[u8], node: &Node) -> Result<(), Halt> {
        let plain = Fields { name: path, flag: b'0', link: b"", size: 0, attributes: &node.attributes };
        match &node.kind {
            NodeKind::Directory(_) => self.header(&Fields { name: &[path, b"/"].concat(), flag: b'5', ..plain }),
            NodeKind::Link(target) => self.header(&Fields { flag: b'2', link: target, ..plain }),
            NodeKind::File(_, size) => self.header(&Fields { size: *size, ..plain }),
            NodeKind::Special(flag) => self.header(&Fields { flag: *flag, ..plain }),
        }
    }

    /// Writes another name of a thing. Whoever unpacks may set its attributes once more: so they are said again.
    fn link(&mut self, path: &[u8], first: &[u8], node: &Node) -> Result<(), Halt> {
        self.header(&Fields { name: path, flag: b'1', link: first, size: 0, attributes: &node.attributes })
    }

    fn header(&mut self, fields: &Fields<'_>) -> Result<(), Halt> {
        let longest = fields.name.len().max(fields.link.len());
        let encoded = match longest {
            length if length > names::LONGEST => {
                Err(format!("a path has {length} bytes, expected at most {}", names::LONGEST))
            }
            _ => encode(fields),
        };
        match encoded {
            Ok(blocks) => {
                self.flat.entries += 1;
                self.put(&blocks)
            }
            Err(reason) => {
                let name = quoted(&String::from_utf8_lossy(fields.name));
                let message = format!("cannot put {name} into one layer");
                self.failed = Some(Error::Unsupported { message, cause: Some(reason), hint: None }.into());
                Err(Halt::Told)
            }
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Halt> {
        self.write_all(bytes).map_err(|_| Halt::Told)
    }

    fn fail(&mut self, error: io::Error) -> io::Result<usize> {
        self.failed = Some(FlattenError::To(error));
        Err(io::Error::other("stopped"))
    }
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.to.write(bytes) {
            Ok(0) if !bytes.is_empty() => self.fail(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => self.fail(error),
            result => result,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // nothing is held back, and a flush in the middle could change what a packer makes of it
    }
}
