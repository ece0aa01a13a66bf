//! Split archives that a command reads: they are opened where they lie, and when content of one is wrong, the damaged
//! parts are named.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Error;
use super::open::{Context, read_options};
use crate::blob::Cancel;
use crate::content::total;
use crate::digest::Digest;
use crate::error::Class;
use crate::reference::{Place, Reference, Word, parse_word};
use crate::store::archive::{Archive, Damage, Format, PartSet, Parts};
use crate::store::lanes::in_lanes;
use crate::store::{Location, Source as _, StoreError};
use crate::transfer::{Event, Observer, Outcome, Piece};

/// The split archives that were opened, for as long as a command runs.
#[derive(Debug, Default)]
pub struct SplitArchives(Mutex<Vec<Split>>);

#[derive(Debug)]
struct Split {
    parts: Parts,
    ranges: Vec<(Digest, Range<u64>)>,
}

/// Returns the path that a word means when it is one, and parts of an archive are to be found by it.
#[must_use]
pub fn path_of_parts(word: &str, part_dirs: &[PathBuf]) -> Option<PathBuf> {
    let paths = match parse_word(word).ok()? {
        Word::Reference(Reference { place: Place::Archive(path), selector: None }) => vec![path],
        Word::Local { splits, .. } | Word::Bare { splits, .. } => {
            splits.into_iter().filter(|split| split.selector.is_none()).map(|split| split.path).collect()
        }
        _ => Vec::new(),
    };
    paths.into_iter().find(|path| !path.is_dir() && PartSet::is_known(path, part_dirs))
}

/// Opens the set that a path belongs to; `None` when it is an archive like any other, or nothing at all.
pub(super) fn open_set(path: &Path, format: Option<Format>, context: &Context<'_>) -> Result<Option<Archive>, Error> {
    let Some(set) = PartSet::find(path, context.part_dirs)? else { return Ok(None) };
    // a part that is an archive by itself is read like one
    if set.mode() == crate::bundle::Mode::Archive && path.is_file() {
        return Ok(None);
    }
    let parts = set.complete()?;
    context.split.note(parts.clone());
    let location = parts.location();
    context.observer.hear(Event::Note(format!("{location} {}", parts.describe())));
    let archive = Archive::open_parts(parts, &read_options(context, format), context.cancel)?;
    context.split.note_ranges(&archive);
    Ok(Some(archive))
}

impl SplitArchives {
    fn note(&self, parts: Parts) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Split { parts, ranges: Vec::new() });
    }

    fn note_ranges(&self, archive: &Archive) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = archive.location().path();
        if let Some(split) = list.iter_mut().find(|split| split.parts.location().path() == place) {
            split.ranges = archive.ranges();
        }
    }

    /// Looks for the damaged parts when content of a split archive is wrong, and says so in the error. Only those in which
    /// the content lies are read.
    #[must_use]
    pub fn explain(&self, error: Error, cancel: &Cancel, observer: &dyn Observer) -> Error {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((split, digest)) = blamed(&list, &error) else { return error };
        let range = digest.and_then(|digest| split.ranges.iter().find(|(other, _)| *other == digest));
        let range = range.map(|(_, range)| range);
        let are_noted = split.parts.are_noted(range);
        match damaged(&split.parts, range, 1, cancel, observer) {
            Ok(damaged) if damaged.is_empty() && !are_noted => error,
            Ok(damaged) => Error::Parts { error: Box::new(error), damaged },
            Err(StoreError::Cancelled) => StoreError::Cancelled.into(),
            Err(_) => error, // what cannot be read any more explains nothing
        }
    }
}

/// Returns the split archive in which an error says that something is wrong, and which content that is.
fn blamed<'a>(list: &'a [Split], error: &Error) -> Option<(&'a Split, Option<Digest>)> {
    if error.class() != Class::Content || matches!(error, Error::Parts { .. }) {
        return None;
    }
    let (place, digest) = match error.store()? {
        StoreError::Wrong { digest, place, .. } => (place, Some(*digest)),
        StoreError::Malformed { what, place, .. } => (place, what.parse().ok()),
        _ => return None,
    };
    let at = |split: &&Split| !matches!(place, Location::File(_)) && split.parts.location().path() == place.path();
    list.iter().find(at).map(|split| (split, digest))
}

/// Reads the parts that overlap a range, or all, and compares them with their notes. Returns those that are damaged, sorted.
pub(super) fn damaged(
    parts: &Parts,
    range: Option<&Range<u64>>,
    lanes: usize,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Vec<Damage>, StoreError> {
    let list = parts.to_check(range);
    let bytes = total(list.iter().map(|part| part.content.size));
    observer.hear(Event::Begun { pieces: list.len() as u64, bytes });
    let found: Mutex<Vec<Damage>> = Mutex::default();
    let result = in_lanes(&list, lanes, cancel, |part, cancel| {
        let place = part.location();
        let piece = Piece::start(observer, &part.content, &part.about, &place);
        match part.check(cancel, &|bytes| piece.count(bytes))? {
            Some(damage) => found.lock().unwrap_or_else(PoisonError::into_inner).push(damage),
            None => piece.finish(Outcome::Checked),
        }
        Ok(())
    });
    observer.hear(Event::Ended);
    result.map_err(|(_, error): (_, StoreError)| error)?;
    // lanes that stop between two parts have no failure to tell
    if cancel.is_cancelled() {
        return Err(StoreError::Cancelled);
    }
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|damage| damage.number);
    Ok(found)
}

/// Returns what to do about parts that are damaged.
pub(super) fn hint_for(damaged: &[Damage]) -> String {
    let names = || {
        let names = damaged.iter().map(|damage| {
            let name = damage.path.file_name().unwrap_or_default().to_string_lossy();
            format!("part {} ({})", damage.number, crate::text::escaped(&name))
        });
        names.collect::<Vec<_>>().join(" and ")
    };
    match damaged {
        [] => "its parts are what their notes say: the archive was wrong before it was split".to_owned(),
        [_] => format!("get {} again: only this one is needed", names()),
        _ => format!("get {} again: only these are needed", names()),
    }
}
