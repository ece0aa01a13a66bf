//! The bases of compact archives: layers of which an archive takes bytes, and that are in the layout that is written, or the current
//! one.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};

use super::layer::unpacked;
use super::open::Context;
use crate::blob::{CHUNK, Cancel};
use crate::compact::{BaseBytes, BaseLayer, Bases, Cut, Cutter};
use crate::content::{Content, Kind};
use crate::digest::Digest;
use crate::store::archive::Archive;
use crate::store::lacking::unnamed_file;
use crate::store::layout::{KnownIndexes, Layout};
use crate::store::{Source as _, StoreError, TEMPORARY, directory_of};

/// Where temporary files go when nobody said where, and beside the archive nobody may write.
const ELSEWHERE: &str = "/var/tmp";

/// Finds bases in layouts.
struct InLayouts {
    layouts: Vec<PathBuf>,
    indexes: KnownIndexes,
    /// Where they are unpacked to: the first of these in which a file can be made.
    directories: Vec<PathBuf>,
    cancel: Cancel,
}

/// Lets an archive find the bases that it needs. A layout is looked into when one is needed, and not before.
pub(super) fn find_bases(archive: &Archive, context: &Context<'_>) {
    let needs_some = archive.compact().is_some_and(|index| !index.bases.is_empty());
    let layouts: Vec<PathBuf> = context.bases.into_iter().chain(context.layout).map(Path::to_owned).collect();
    if !needs_some || layouts.is_empty() {
        return;
    }
    let directories = match context.tmpdir {
        Some(directory) => vec![directory.to_owned()],
        None => {
            let beside = archive.location().path().map(|path| directory_of(path).to_owned());
            beside.into_iter().chain([ELSEWHERE.into()]).collect()
        }
    };
    let (indexes, cancel) = (context.indexes.clone(), context.cancel.clone());
    archive.find_bases_with(Box::new(InLayouts { layouts, indexes, directories, cancel }));
}

impl Bases for InLayouts {
    fn find(&self, base: &BaseLayer) -> io::Result<Option<BaseBytes>> {
        for layout in &self.layouts {
            if let Some(found) = self.found(layout, base).map_err(io::Error::other)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl InLayouts {
    fn found(&self, layout: &Path, base: &BaseLayer) -> Result<Option<BaseBytes>, StoreError> {
        let layout = match Layout::open_knowing(layout, &self.indexes) {
            Ok(layout) => layout,
            Err(StoreError::Absent { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let content = Content { digest: base.digest, size: base.size, kind: Kind::Blob };
        let reader = match layout.open(&content) {
            Ok(reader) => reader.cancelled_by(&self.cancel),
            Err(StoreError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (plain, heads) = (self.temporary()?, self.temporary()?);
        let read = unpacked(reader, layout.location(), |from| cut(from, &plain, &heads, base));
        let known = read?.map_err(StoreError::io(TEMPORARY, self.directories.first().cloned().unwrap_or_default()))?;
        if known.length != base.plain || known.diff_id != base.diff_id {
            let (got, expected) = (known.diff_id, base.diff_id);
            let reason = format!("it unpacks to {got}, and the compact archive needs {expected}");
            return Err(StoreError::malformed(base.digest.to_string(), layout.location(), reason));
        }
        let heads_length = known.heads;
        Ok(Some(BaseBytes { plain: Box::new(plain), heads: Box::new(heads), heads_length }))
    }

    fn temporary(&self) -> Result<File, StoreError> {
        let mut failed = None;
        for directory in &self.directories {
            match unnamed_file(directory) {
                Ok(file) => return Ok(file),
                Err(error) => failed = failed.or_else(|| Some(StoreError::io(TEMPORARY, directory)(error))),
            }
        }
        Err(failed.unwrap_or_else(|| StoreError::io(TEMPORARY, ELSEWHERE)(io::ErrorKind::NotFound.into())))
    }
}

/// What came out of a base.
struct Known {
    diff_id: Digest,
    length: u64,
    /// How many of its bytes are heads.
    heads: u64,
}

/// Writes the plain bytes of a base, and those of them that are heads; no more than it may have. The inner error is one of writing.
fn cut(from: &mut dyn Read, plain: &File, heads: &File, base: &BaseLayer) -> io::Result<io::Result<Known>> {
    let (mut plain, mut heads) = (BufWriter::with_capacity(CHUNK, plain), BufWriter::with_capacity(CHUNK, heads));
    let (mut cutter, mut hasher) = (Cutter::new(), base.diff_id.algorithm().hasher());
    let (mut length, mut heads_length) = (0, 0);
    let mut take = |cut: Cut<'_>| match cut {
        Cut::Heads(bytes) => {
            heads_length += bytes.len() as u64;
            heads.write_all(bytes)
        }
        Cut::File { .. } | Cut::Rest | Cut::Content(_) => Ok(()),
    };
    let mut buffer = vec![0; CHUNK];
    let mut from = from.take(base.plain.saturating_add(1));
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = &buffer[..count];
        length += count as u64;
        hasher.update(bytes);
        if let Err(error) = plain.write_all(bytes).and_then(|()| cutter.write(bytes, &mut take)) {
            return Ok(Err(error));
        }
    }
    let written = cutter.finish(&mut take).and_then(|()| plain.flush()).and_then(|()| heads.flush());
    Ok(written.map(|()| Known { diff_id: hasher.finish(), length, heads: heads_length }))
}
