//! The bases of compact archives: layers of which an archive takes bytes, and that are in the layout that is written, in the current
//! one, in an archive that is loaded with it, or in a registry that is pushed to.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::Error;
use super::bundle::has;
use super::layer::{Keeping, unpacked};
use super::open::{Context, Store};
use crate::blob::{CHUNK, Cancel};
use crate::compact::{BaseBytes, BaseLayer, Bases, Cut, Cutter};
use crate::digest::Digest;
use crate::error::Class;
use crate::store::archive::{Archive, ReadOptions};
use crate::store::lacking::unnamed_file;
use crate::store::lanes::in_lanes;
use crate::store::layout::{KnownIndexes, Layout};
use crate::store::registry::Repository;
use crate::store::{Source, StoreError, TEMPORARY, directory_of};
use crate::text::escaped;
use crate::transfer::{Making, Observer};

/// Where temporary files go when nobody said where, and beside the archive nobody may write.
const ELSEWHERE: &str = "/var/tmp";

/// Finds bases in layouts and archives.
struct InPlaces {
    places: Vec<Place>,
    indexes: KnownIndexes,
    unpacking: Unpacking,
}

/// How bases are unpacked.
#[derive(Clone, Debug)]
struct Unpacking {
    /// Where to: the first of these in which a file can be made.
    directories: Vec<PathBuf>,
    /// Whether somebody wants them as they are packed, too.
    echoes: bool,
    cancel: Cancel,
}

/// Where bases may be, and what that is, once it was opened: it is asked for one base after the other.
struct Place {
    path: PathBuf,
    opened: OnceLock<Store>,
}

impl From<PathBuf> for Place {
    fn from(path: PathBuf) -> Self {
        Self { path, opened: OnceLock::new() }
    }
}

/// Lets an archive find the bases that it needs. A place is looked into when one is needed, and not before.
pub(super) fn find_bases(archive: &Archive, context: &Context<'_>) {
    let own = archive.location().path();
    let places = context.bases.iter().map(PathBuf::as_path).chain(context.layout);
    let places: Vec<Place> = places.filter(|it| Some(*it) != own).map(|it| it.to_owned().into()).collect();
    if !needs_some(archive) || places.is_empty() {
        return;
    }
    let (indexes, unpacking) = (context.indexes.clone(), Unpacking::of(archive, context));
    archive.find_bases_with(Box::new(InPlaces { places, indexes, unpacking }));
}

fn needs_some(archive: &Archive) -> bool {
    archive.compact().is_some_and(|index| !index.bases.is_empty())
}

impl Bases for InPlaces {
    fn find(&self, base: &BaseLayer) -> io::Result<Option<BaseBytes>> {
        for place in &self.places {
            let found = self
                .open(place)
                .and_then(|source| source.map_or(Ok(None), |it| self.unpacking.unpacked(it, base, &|_| ())));
            if let Some(found) = found.map_err(io::Error::other)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn has(&self, base: &BaseLayer) -> io::Result<bool> {
        for place in &self.places {
            let held = self.open(place).and_then(|source| source.map_or(Ok(false), |it| has(it, &base.content())));
            if held.map_err(io::Error::other)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl InPlaces {
    /// Opens a place; `None` when nothing is there yet.
    fn open<'a>(&self, place: &'a Place) -> Result<Option<&'a Store>, StoreError> {
        if let Some(store) = place.opened.get() {
            return Ok(Some(store));
        }
        let store = if place.path.is_file() {
            Store::Archive(self.archive(&place.path)?)
        } else {
            match Layout::open_knowing(&place.path, &self.indexes) {
                Ok(layout) => Store::Layout(layout),
                Err(StoreError::Absent { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        };
        Ok(Some(place.opened.get_or_init(|| store)))
    }

    fn archive(&self, path: &Path) -> Result<Archive, StoreError> {
        let options = ReadOptions { tmpdir: self.unpacking.directories.first().cloned(), format: None };
        let archive = Archive::open(path, &options, &self.unpacking.cancel)?;
        if needs_some(&archive) {
            // those that it needs are in the others: every time there is one place less to look into
            let others = self.places.iter().filter(|other| other.path != path);
            let places = others.map(|other| other.path.clone().into()).collect();
            let (indexes, unpacking) = (self.indexes.clone(), self.unpacking.clone());
            archive.find_bases_with(Box::new(Self { places, indexes, unpacking }));
        }
        Ok(archive)
    }
}

impl Unpacking {
    fn of(archive: &Archive, context: &Context<'_>) -> Self {
        let directories = match context.tmpdir {
            Some(directory) => vec![directory.to_owned()],
            None => {
                let beside = archive.location().path().map(|path| directory_of(path).to_owned());
                beside.into_iter().chain([ELSEWHERE.into()]).collect()
            }
        };
        let echoes = archive.compact().is_some_and(|index| index.layers.iter().any(|layer| !layer.echoes.is_empty()));
        Self { directories, echoes, cancel: context.cancel.clone() }
    }

    /// Unpacks a base of a place, and checks it. `None` when it is not there; `meter` hears of the bytes that are read.
    fn unpacked(
        &self,
        source: &dyn Source,
        base: &BaseLayer,
        meter: &(dyn Fn(u64) + Sync),
    ) -> Result<Option<BaseBytes>, StoreError> {
        let reader = match source.open(&base.content()) {
            Ok(reader) => reader.cancelled_by(&self.cancel).metered_by(meter),
            Err(StoreError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (plain, heads) = (self.temporary()?, self.temporary()?);
        let keeping = Keeping::of(&reader, || self.echoes.then(|| self.temporary().ok()).flatten());
        let take = |bytes: &[u8]| keeping.take(bytes);
        let reader = reader.shown_to(&take);
        let read = unpacked(reader, source.location(), |from| cut(from, &plain, &heads, base));
        let known = read?.map_err(StoreError::io(TEMPORARY, self.directories.first().cloned().unwrap_or_default()))?;
        if known.length != base.plain || known.diff_id != base.diff_id {
            let (got, expected) = (known.diff_id, base.diff_id);
            let reason = format!("it unpacks to {got}, and the compact archive needs {expected}");
            return Err(StoreError::malformed(base.digest.to_string(), source.location(), reason));
        }
        let (heads_length, packed) = (known.heads, keeping.done());
        Ok(Some(BaseBytes { plain: Box::new(plain), heads: Box::new(heads), heads_length, packed }))
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

/// A base, and the repository that has it.
pub(super) type Held = (BaseLayer, Repository);

/// Bases that repositories have, for an archive that makes layers of them.
#[derive(Debug)]
pub(super) struct Fetching<'a> {
    archive: &'a Archive,
    pub(super) bases: Vec<Held>,
    unpacking: Unpacking,
}

impl<'a> Fetching<'a> {
    /// Takes note of them; nothing is read yet.
    pub(super) fn new(archive: &'a Archive, bases: Vec<Held>, context: &Context<'_>) -> Self {
        Self { archive, bases, unpacking: Unpacking::of(archive, context) }
    }

    /// Reads them, and checks them.
    ///
    /// # Errors
    /// When one cannot be read, or is not what it must be.
    pub(super) fn fetch(&self, observer: &dyn Observer) -> Result<(), Error> {
        let cancel = &self.unpacking.cancel;
        let lanes = self.bases.first().map_or(1, |(_, repository)| repository.lanes().get());
        let fetched = in_lanes(&self.bases, lanes, cancel, |(base, repository), cancel| {
            let content = base.content();
            let about = format!("base layer {} of {}", base.digest.short(), escaped(&base.called()));
            let progress = Making::start(observer, &about, repository.location(), content.size);
            let unpacking = Unpacking { cancel: cancel.clone(), ..self.unpacking.clone() };
            let found = unpacking.unpacked(repository, base, &|bytes| progress.count(bytes))?;
            let lost = || StoreError::Missing { digest: base.digest, place: repository.location().clone() };
            self.archive.provide_base(&base.digest, found.ok_or_else(lost)?);
            progress.finish(&content);
            Ok(())
        });
        fetched.map_err(|((base, _), error)| match error {
            StoreError::Cancelled => error.into(),
            error => {
                let about = format!("a layer of {}, of whose bytes others are made", escaped(&base.called()));
                let is_wrong = error.class() == Class::Content;
                let hint =
                    || "the copy of the registry is damaged: name a layout that has this layer with -L DIR".to_owned();
                Error::Content { about, error, hint: is_wrong.then(hint) }
            }
        })
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
