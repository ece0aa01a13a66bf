//! Layers become an outline, and are read again for the content of what is wanted.

use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::chunks::{self, Allowance, Chunks};
use super::fault::Fault;
use super::outline::{Held, Last, NodeKind, Outline, ROOT};
use super::{LayerOf, Limits, Rootfs};
use crate::blob::Cancel;
use crate::layer::Standing;
use crate::ops::Error;
use crate::tar::stream::{Stream, StreamEntry};
use crate::text::{human_size, quoted};
use crate::transfer::{Event, Observer, Outcome, Piece};

/// A layer on its way, entry by entry.
pub(in crate::ops) type Entries<'c, 'l> = Stream<&'c mut Chunks<'l>>;
/// Hears of every entry, with the number of what it stands for now.
pub(in crate::ops) type Each<'e> =
    dyn FnMut(Option<usize>, &StreamEntry, &mut Entries<'_, '_>) -> Result<(), Fault> + 'e;
/// Takes the content of a file, by its number.
pub(in crate::ops) type Take<'t> = dyn FnMut(usize, &StreamEntry, &mut Entries<'_, '_>) -> Result<(), Fault> + 't;

impl<'a> Rootfs<'a> {
    /// Reads all layers once, from the base up, for their names and attributes. Every byte is checked. The observer is
    /// told of the beginning and of the pieces, but not of the end.
    ///
    /// # Errors
    /// When a layer is missing or wrong, holds what no layer may hold, or more than the limits allow.
    pub fn read(
        layers: Vec<LayerOf<'a>>,
        limits: &Limits,
        cancel: &Cancel,
        observer: &dyn Observer,
    ) -> Result<Self, Error> {
        Self::read_with(layers, limits, cancel, observer, &mut |_, _, _| Ok(()))
    }

    /// Reads all layers; `each` may take the content of entries on the way.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(in crate::ops) fn read_with(
        layers: Vec<LayerOf<'a>>,
        limits: &Limits,
        cancel: &Cancel,
        observer: &dyn Observer,
        each: &mut Each<'_>,
    ) -> Result<Self, Error> {
        let bytes = crate::content::total(layers.iter().map(|layer| layer.descriptor.size()));
        observer.hear(Event::Begun { pieces: layers.len() as u64, bytes });
        let mut outline = Outline::new();
        let mut entries = 0;
        let mut allowance = Allowance { limit: limits.size, left: limits.size };
        for (at, layer) in layers.iter().enumerate() {
            let content = layer.descriptor.content();
            let piece = Piece::start(observer, &content, &layer.about, layer.source.location());
            let count = |bytes| piece.count(bytes);
            layer.read(&mut allowance, cancel, &count, |chunks| {
                let mut stream = Stream::new(chunks);
                while let Some(entry) = next(&mut stream)? {
                    entries += 1;
                    limits
                        .check_files(entries)
                        .and_then(|()| stream.source().check(entry.size))
                        .map_err(|fault| fault.at(&entry.what()))?;
                    let node = outline.add(at, &entry).map_err(|reason| Fault::Layer(reason).at(&entry.what()))?;
                    each(node, &entry, &mut stream)?;
                }
                Ok(())
            })?;
            piece.finish(Outcome::Checked);
        }
        Ok(Self { layers, outline, limits: *limits, cancel: cancel.clone() })
    }

    /// Returns all names and attributes.
    pub(in crate::ops) const fn outline(&self) -> &Outline {
        &self.outline
    }

    /// Returns what stands at a path; no link is followed, neither at its end nor on the way.
    #[must_use]
    pub fn standing(&self, path: &Path) -> Option<Standing> {
        let mut at = ROOT;
        for part in path.as_os_str().as_bytes().split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
            at = self.outline.child(at, part)?;
        }
        Some(match &self.outline.node(at).kind {
            NodeKind::Directory(_) => Standing::Directory,
            NodeKind::Link(target) => Standing::Symlink(target.to_vec()),
            NodeKind::File(..) | NodeKind::Special(_) => Standing::Other,
        })
    }

    /// Reads the file that a program in the image would find under a path, links followed; `None` when no regular file
    /// is there. The layer that holds it is read once more.
    ///
    /// # Errors
    /// When it has more than `most` bytes, or its layer cannot be read again.
    pub fn read_file(&self, path: &Path, most: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some(node) = self.outline.find(&cleaned(path), Last::Followed) else { return Ok(None) };
        let NodeKind::File(held, size) = self.outline.node(node).kind else { return Ok(None) };
        if size > most {
            return Err(Error::Unsupported {
                message: format!("cannot read {} in {}", shown(path), self.layers[held.layer].about),
                cause: Some(format!("it has {}, expected at most {}", human_size(size), human_size(most))),
                hint: None,
            });
        }
        let mut content = Vec::new();
        self.contents(&mut [node], &mut |_, _, stream| copy(stream, &mut content, Path::new("")))?;
        Ok(Some(content))
    }

    /// Reads files again: each layer that holds one of them once, from the base up, and in the order in which it holds
    /// them. What was taken is right when all of it came, and not before.
    ///
    /// # Errors
    /// When a layer cannot be read again, or is not what it was; what `take` fails with.
    pub(in crate::ops) fn contents(&self, files: &mut [usize], take: &mut Take<'_>) -> Result<(), Error> {
        let held = |node: usize| match self.outline.node(node).kind {
            NodeKind::File(held, _) => held,
            _ => Held { layer: usize::MAX, at: 0 }, // nobody asks for these
        };
        files.sort_unstable_by_key(|node| held(*node));
        for files in files.chunk_by(|one, other| held(*one).layer == held(*other).layer) {
            let Some(layer) = files.first().and_then(|node| self.layers.get(held(*node).layer)) else { continue };
            let mut allowance = Allowance { limit: self.limits.size, left: self.limits.size };
            layer.read(&mut allowance, &self.cancel, &|_| (), |chunks| {
                let mut stream = Stream::new(chunks);
                let mut wanted = files.iter().copied().peekable();
                while wanted.peek().is_some() {
                    let Some(entry) = next(&mut stream)? else {
                        return Err(Fault::Layer("it changed while it was read".to_owned()));
                    };
                    if let Some(node) = wanted.next_if(|node| held(*node).at == entry.at) {
                        take(node, &entry, &mut stream)?;
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl LayerOf<'_> {
    fn read(
        &self,
        allowance: &mut Allowance,
        cancel: &Cancel,
        count: &(dyn Fn(u64) + Sync),
        work: impl FnOnce(&mut Chunks<'_>) -> Result<(), Fault>,
    ) -> Result<(), Error> {
        let place = self.source.location();
        let reader = self.source.open(&self.descriptor.content()).map_err(|error| self.error(error.into()))?;
        let reader = reader.cancelled_by(cancel).metered_by(&count);
        chunks::read(reader, place, &self.diff_id, allowance, cancel, work).map_err(|fault| self.error(fault))
    }
}

fn next(stream: &mut Entries<'_, '_>) -> Result<Option<StreamEntry>, Fault> {
    stream.next().map_err(|error| Fault::tar(error, Default::default))
}

/// Writes the content of an entry; `path` is what it is written to, for messages.
///
/// # Errors
/// When the layer cannot be read on, or writing fails.
pub(in crate::ops) fn copy(stream: &mut Entries<'_, '_>, to: &mut dyn Write, path: &Path) -> Result<(), Fault> {
    stream.copy_content(to).map_err(|error| Fault::tar(error, || path.to_path_buf()))
}

/// Takes a path from the root apart, `.` and `..` worked off by its letters as docker does: above the root is the root.
pub(super) fn cleaned(path: &Path) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    for part in path.as_os_str().as_bytes().split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts
}

/// How many bytes of paths may still be collected. Names are held once, but a path holds those of all directories above
/// it, and so a few long ones could fill any memory.
pub(in crate::ops) struct Room(usize);

impl Room {
    const LARGEST: usize = 1 << 30;

    pub(in crate::ops) const fn new() -> Self {
        Self(Self::LARGEST)
    }

    /// Takes room for a path.
    ///
    /// # Errors
    /// When there is no more.
    pub(in crate::ops) fn take(&mut self, bytes: usize) -> Result<(), Error> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| Error::Unsupported {
            message: "cannot list the files of the image".to_owned(),
            cause: Some(format!("their paths take more than {}: it may be a bomb", human_size(Self::LARGEST as u64))),
            hint: None,
        })?;
        Ok(())
    }
}

/// Returns a path as it stands in messages.
pub(super) fn shown(path: &Path) -> String {
    quoted(&String::from_utf8_lossy(path.as_os_str().as_bytes()))
}
