//! Layers of the other side: what of them can be taken.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::echoed::original;
use super::survey::PlainFile;
use super::{BaseLayers, CompactOptions, MOST_THREADS, press};
use crate::blob::CHUNK;
use crate::compact::{BaseLayer, Cut, Cutter};
use crate::ops::Error;
use crate::ops::layer::{Keeping, unpacked};
use crate::ops::open::Context;
use crate::regzip::Packed;
use crate::regzip::listen::Original;
use crate::store::StoreError;
use crate::store::lacking::unnamed_file;
use crate::text::human_size;
use crate::transfer::Making;

/// What a layer consists of, in order.
#[derive(Debug)]
pub(super) enum Item {
    /// So many bytes of heads.
    Heads(u64),
    /// Content: its name, empty for what cannot be told apart, where it begins, how many bytes it has.
    File { name: Vec<u8>, from: u64, size: u64 },
}

/// A layer cut up.
pub(super) struct Anatomy {
    pub(super) items: Vec<Item>,
    /// All that is heads, and how many bytes that is.
    pub(super) heads: File,
    pub(super) heads_length: u64,
}

/// Cuts a layer up.
///
/// # Errors
/// When it cannot be read, or there is no room for its heads.
pub(super) fn cut_up(plain: &File, length: u64, spool: &Path) -> Result<Anatomy, StoreError> {
    let mut heads = PlainFile::new(spool)?;
    let mut items: Vec<Item> = Vec::new();
    let (mut at, mut failed) = (0_u64, Ok(()));
    let mut cutter = Cutter::new();
    let mut take = |cut: Cut<'_>| {
        match cut {
            Cut::Heads(bytes) => {
                if failed.is_ok() {
                    failed = heads.write(bytes);
                }
                at += bytes.len() as u64;
                match items.last_mut() {
                    Some(Item::Heads(count)) => *count += bytes.len() as u64,
                    _ => items.push(Item::Heads(bytes.len() as u64)),
                }
            }
            Cut::File { name, .. } => items.push(Item::File { name: name.to_vec(), from: at, size: 0 }),
            Cut::Rest => items.push(Item::File { name: Vec::new(), from: at, size: 0 }),
            Cut::Content(bytes) => {
                at += bytes.len() as u64;
                if let Some(Item::File { size, .. }) = items.last_mut() {
                    *size += bytes.len() as u64;
                }
            }
        }
        Ok::<_, Infallible>(())
    };
    let mut buffer = vec![0; CHUNK];
    let mut read = 0;
    while read < length {
        let room = buffer.len().min(usize::try_from(length - read).unwrap_or(usize::MAX));
        plain.read_exact_at(&mut buffer[..room], read).map_err(StoreError::io("read", spool))?;
        let Ok(()) = cutter.write(&buffer[..room], &mut take);
        read += room as u64;
    }
    let Ok(()) = cutter.finish(&mut take);
    failed?;
    // a tar that ends behind a header has a file without content
    items.retain(|item| !matches!(item, Item::File { size: 0, .. }));
    let (heads, heads_length, _) = heads.done()?;
    Ok(Anatomy { items, heads, heads_length })
}

/// A layer of the other side, unpacked.
pub(super) struct Base {
    pub(super) layer: BaseLayer,
    pub(super) plain: File,
    pub(super) anatomy: Anatomy,
    /// Its packed bytes, where they can be read by position.
    pub(super) packed: Option<Arc<dyn Packed>>,
    original: OnceLock<Option<Original>>,
}

impl Base {
    /// Unpacks layers.
    ///
    /// # Errors
    /// When one cannot be read or unpacked, or is not what its digest says.
    pub(super) fn open(
        bases: &BaseLayers<'_>,
        options: &CompactOptions<'_>,
        context: &Context<'_>,
    ) -> Result<Vec<Self>, Error> {
        let threads = options.jobs.get().min(MOST_THREADS);
        let opened = press::each(threads, &bases.layers, |(source, content, image)| {
            let about = format!("base layer, {}", human_size(content.size));
            let progress = Making::start(context.observer, &about, options.place, content.size);
            let count = |bytes| progress.count(bytes);
            let reader = source.open(content)?;
            let keeping = Keeping::of(&reader, || unnamed_file(options.spool).ok());
            let take = |bytes: &[u8]| keeping.take(bytes);
            let reader = reader.shown_to(&take).cancelled_by(context.cancel).metered_by(&count);
            let plain = unpacked(reader, source.location(), |from| {
                let mut plain = PlainFile::new(options.spool).map_err(io::Error::other)?;
                copy(from, &mut plain)?;
                plain.done().map_err(io::Error::other)
            });
            let (plain, length, diff_id) =
                plain.map_err(|error| Error::Content { about: about.clone(), error, hint: None })?;
            let anatomy = cut_up(&plain, length, options.spool)?;
            progress.finish(content);
            let (digest, size) = (content.digest, content.size);
            let layer = BaseLayer { digest, size, diff_id, plain: length, image: image.clone() };
            Ok(Self { layer, plain, anatomy, packed: keeping.done(), original: OnceLock::new() })
        });
        opened.into_iter().collect()
    }

    /// Returns its stream, as far as it is one, to find what of others is packed as it is there.
    pub(super) fn original(&self, may_go_on: &dyn Fn() -> bool) -> Option<&Original> {
        let read = || self.packed.clone().and_then(|packed| original(packed, may_go_on));
        self.original.get_or_init(read).as_ref()
    }
}

fn copy(from: &mut dyn Read, to: &mut PlainFile) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write(&buffer[..count]).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
