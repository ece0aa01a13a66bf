//! `load` of an archive whose parts are not all at hand: each is taken in when it is there, in any order, and the images get
//! their names when everything they need has come.
//!
//! ```text
//! part      one part, read once from start to end: hashed against its note, its content goes to the layout on the way
//! arrived   the fronts that came and the layout's own blobs, read as if they were the archive
//! ```
//!
//! Nothing here waits or asks: whoever calls looks for parts ([`PartSet::find`]), hands in what was found, and asks what is
//! still needed.

mod arrived;
mod part;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

pub use self::arrived::Arrived;
use self::part::Part;
use super::Error;
use super::bases::find_bases;
use super::bundle::{Packed, lacked_by, refuse_incomplete};
use super::open::Context;
use super::parts::hint_for;
use super::target::WriteOptions;
use crate::blob::Cancel;
use crate::bundle::{Mode, OTHER_PARTS, PackedContent, PartNote};
use crate::compact::CompactLayer;
use crate::content::{Content, Kind, total};
use crate::digest::Digest;
use crate::error::Class;
use crate::plan::Plan;
use crate::store::archive::{Archive, Damage, FoundPart, Identity, PartSet};
use crate::store::layout::{Intake, Layout, LayoutOptions};
use crate::store::{Location, Source as _, StoreError};
use crate::text::escaped;
use crate::transfer::Event;

/// A set that is taken in.
#[derive(Debug)]
pub struct TakeIn<'a> {
    intake: Intake,
    context: Context<'a>,
    /// Which set, as its first files were found.
    known: PartSet,
    set: Digest,
    /// Parts that were there and of no use, as they were then.
    faulty: BTreeMap<u64, (Fault, Identity)>,
    /// Content that was wrong although the parts were right.
    wrong: Vec<StoreError>,
}

/// What was wrong with a part.
#[derive(Debug)]
enum Fault {
    /// It is not what its note says.
    Damaged(Damage),
    /// It has not the length that its note says: it may still be on its way.
    Length(StoreError),
}

impl<'a> TakeIn<'a> {
    /// Begins to take in a set, or goes on where an earlier run ended.
    ///
    /// # Errors
    /// When there is no note that says which set it is, or the layout cannot be written.
    pub fn open(layout: &Path, found: &PartSet, options: &WriteOptions, context: &Context<'a>) -> Result<Self, Error> {
        let Some(set) = found.set() else {
            return Err(Error::Absent {
                message: format!("cannot load {} part by part", escaped(found.archive())),
                cause: Some("there is no note beside the parts that says what is in them".to_owned()),
                hint: Some(format!(
                    "copy the notes as well: they are called {}.part-001.json ...",
                    escaped(found.archive())
                )),
            });
        };
        let options = LayoutOptions {
            jobs: Some(options.jobs),
            durability: options.durability,
            lock_timeout: options.lock_timeout,
            indexes: context.indexes.clone(),
        };
        let intake = Intake::open(layout, &set, options, context.cancel)?;
        let (faulty, wrong) = (BTreeMap::new(), Vec::new());
        Ok(Self { intake, context: *context, known: found.clone(), set, faulty, wrong })
    }

    /// Takes in every part that is there, has its note, and has something that is not here yet. Returns how many were read.
    ///
    /// A part that is damaged stops nothing: what of its content is right is kept, and it is needed again.
    ///
    /// # Errors
    /// When the files are of another set, a note contradicts itself, or something cannot be read or written. What came is kept.
    pub fn take(&mut self, found: &PartSet) -> Result<usize, Error> {
        if found.set() != Some(self.set) {
            return Err(self.foreign(found));
        }
        // the notes are read again one by one: all of them may be large
        let (mut lacking, mut room) = (Vec::new(), 0_u64);
        for file in found.parts() {
            if self.intake.has_taken(file.number) || self.is_known_as_faulty(file) {
                continue;
            }
            if let Err(error) = found.check_size(file.number, file.identity.length) {
                self.faulty.insert(file.number, (Fault::Length(error), file.identity));
                continue;
            }
            // a part without its note is of no use yet
            let Some(note) = found.note(file.number)? else { continue };
            part::check_order(&note, &found.location())?;
            if !self.intake.needs(&note)? {
                self.taken(&note, None)?;
                continue;
            }
            for piece in &note.pieces {
                if !self.intake.holds(piece)? {
                    room = room.saturating_add(piece.section.length);
                }
            }
            lacking.push(file.clone());
        }
        // a note that came without its part may say that nothing of it is needed
        for number in found.missing() {
            if !self.intake.has_taken(number)
                && let Some(note) = found.note(number)?
                && !note.pieces.is_empty()
                && !self.intake.needs(&note)?
            {
                self.taken(&note, None)?;
            }
        }
        self.intake.check_room(room)?;
        let bytes = total(lacking.iter().map(|file| file.identity.length));
        self.context.observer.hear(Event::Begun { pieces: lacking.len() as u64, bytes });
        let result = lacking.iter().try_for_each(|file| match found.note(file.number)? {
            Some(note) => self.take_part(file, &note),
            None => Ok(()),
        });
        self.context.observer.hear(Event::Ended);
        self.intake.write_down()?;
        result.map(|()| lacking.len())
    }

    fn take_part(&mut self, file: &FoundPart, note: &PartNote) -> Result<(), Error> {
        let about = self.known.called(note.part);
        let part = Part { file, note, about: &about, place: &self.known.location(), context: &self.context };
        match part.take_into(&mut self.intake)? {
            part::Came::Right { front, wrong } => {
                self.faulty.remove(&note.part);
                self.wrong.extend(wrong);
                self.taken(note, front)
            }
            part::Came::Damaged(damage) => {
                self.context.observer.hear(Event::Warning(damage.to_string()));
                self.faulty.insert(note.part, (Fault::Damaged(damage), file.identity));
                Ok(())
            }
        }
    }

    fn taken(&mut self, note: &PartNote, front: Option<crate::store::layout::FrontComing>) -> Result<(), Error> {
        for (digest, mismatch) in self.intake.taken(note, front)? {
            self.wrong.push(StoreError::Wrong { digest, place: self.known.location(), mismatch });
        }
        Ok(())
    }

    fn is_known_as_faulty(&self, file: &FoundPart) -> bool {
        self.faulty.get(&file.number).is_some_and(|(_, identity)| *identity == file.identity)
    }

    /// Returns the numbers of the parts that were not taken in.
    #[must_use]
    pub fn needed(&self) -> Vec<u64> {
        (1..=self.known.count()).filter(|number| !self.intake.has_taken(*number)).collect()
    }

    /// Returns whether all that is needed was there, and damaged.
    #[must_use]
    pub fn needs_only_damaged_parts(&self) -> bool {
        let is_damaged = |number: &u64| matches!(self.faulty.get(number), Some((Fault::Damaged(_), _)));
        self.needed().iter().all(is_damaged)
    }

    /// Returns whether a part was there and damaged.
    #[must_use]
    pub fn needs_damaged_parts(&self) -> bool {
        !self.faulty.is_empty()
    }

    /// Returns whether content is wrong in a way that no part can mend: the archive was wrong before it was split.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        !self.wrong.is_empty()
    }

    /// Returns several parts as people call them.
    #[must_use]
    pub fn called(&self, numbers: &[u64]) -> String {
        self.known.called_together(numbers)
    }

    /// Returns what can be read of the archive by now: the fronts that came, and the layout.
    ///
    /// # Errors
    /// When a front is there and cannot be used, and no further part could make it whole.
    pub fn arrived(&self) -> Result<Arrived, Error> {
        let place = self.known.location();
        let fronts = self.intake.fronts();
        let mut archives = Vec::new();
        if self.known.mode() == Mode::Archive {
            for (.., path) in fronts {
                archives.push(Archive::open_front(vec![path], place.clone(), self.context.cancel)?);
            }
        } else {
            let mut paths = Vec::new();
            let mut end = 0;
            let mut sorted = fronts;
            sorted.sort_by_key(|(_, begins, ..)| *begins);
            for (_, begins, length, path) in sorted {
                if begins == end {
                    paths.push(path);
                    end = end.saturating_add(length);
                }
            }
            if !paths.is_empty() {
                match Archive::open_front(paths, place, self.context.cancel) {
                    Ok(archive) => archives.push(archive),
                    // the rest of it may be in a part that has not come
                    Err(StoreError::Malformed { .. }) if !self.needed().is_empty() => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let archives = archives.into_iter().map(|archive| {
            let stock = archive.compact().and_then(|index| self.intake.stock(index));
            let has_stock = stock.is_some();
            if let Some(stock) = stock {
                archive.find_pieces_in(Box::new(stock));
                find_bases(&archive, &self.context);
            }
            (archive, has_stock)
        });
        Ok(Arrived::new(archives.collect(), || self.intake.layout(), &self.known, self.needed().is_empty()))
    }

    /// Returns whether the front of the archive has come.
    #[must_use]
    pub fn has_front(&self) -> bool {
        !self.intake.fronts().is_empty()
    }

    /// Takes note that content of the layout turned out wrong: a later run hashes all of it again.
    pub fn doubt(&mut self) {
        // if that cannot be written either, the failure that led here is the one to tell
        let _ = self.intake.doubt();
    }

    /// Ends the work: everything has its name.
    ///
    /// # Errors
    /// When what was written down cannot be removed.
    pub fn finish(self) -> Result<(), StoreError> {
        self.intake.remove()
    }

    /// Returns why the images have no names yet, and what to do: a part is damaged or of the wrong length (content), content is
    /// wrong, or parts have not come (absent). `again` is the command that goes on, for the name of a part.
    #[must_use]
    pub fn unfinished(&self, again: &dyn Fn(&str) -> String) -> Error {
        let archive = escaped(self.known.archive());
        if let Some(StoreError::Wrong { digest, mismatch, .. }) = self.wrong.first() {
            return Error::Unfinished {
                message: format!("cannot load {archive}"),
                causes: vec![format!("{digest} in it is wrong: {mismatch}")],
                class: Class::Content,
                damaged: Vec::new(),
                hint: hint_for(&[]),
            };
        }
        let needed = self.needed();
        let mut causes = Vec::new();
        let mut damaged = Vec::new();
        for (fault, _) in needed.iter().filter_map(|number| self.faulty.get(number)) {
            match fault {
                Fault::Damaged(damage) => {
                    causes.push(damage.to_string());
                    damaged.push(damage.clone());
                }
                Fault::Length(StoreError::Malformed { what, reason, .. }) => causes.push(format!("{what}: {reason}")),
                Fault::Length(error) => causes.push(error.to_string()),
            }
        }
        let class = if causes.is_empty() { Class::Absent } else { Class::Content };
        causes.push(format!("what has come is kept in {}", self.intake.layout().location()));
        let first = needed.first().map_or_else(String::new, |number| self.known.part_name(*number));
        let only = if class == Class::Content { "get it again and " } else { "" };
        let (only, it) = match needed.len() {
            1 => (only, "this part alone"),
            _ if only.is_empty() => (only, "these parts"),
            _ => ("get them again and ", "these parts"),
        };
        Error::Unfinished {
            message: format!("cannot load {archive} yet: {} needed", self.are(&needed)),
            causes,
            class,
            damaged,
            hint: format!("{only}continue with `{}`, wherever it is then: {it} will do", again(&first)),
        }
    }

    fn are(&self, numbers: &[u64]) -> String {
        format!("{} {}", self.called(numbers), if numbers.len() == 1 { "is" } else { "are" })
    }

    fn foreign(&self, found: &PartSet) -> Error {
        let other = found.set().map_or_else(
            || "there is no note beside the parts that says to which set they belong".to_owned(),
            |set| format!("they are of the set {}, and the other parts are of {}", set.short(), self.set.short()),
        );
        let hint = "give the parts of one set, and the notes beside them".to_owned();
        malformed("the parts", found.location(), other, hint)
    }
}

/// Opens the fronts in the parts that are there, with the number of the part, before anything of them is taken in: for whoever
/// wants to know first who signed them. Of pieces of one archive only the first part is looked at.
///
/// # Errors
/// When one cannot be read, or says not what is in the archive.
pub fn fronts(found: &PartSet, cancel: &Cancel) -> Result<Vec<(u64, Archive)>, Error> {
    let mut fronts = Vec::new();
    for part in found.parts().iter().filter(|part| found.mode() == Mode::Archive || part.number == 1) {
        let Some(note) = found.note(part.number)? else { continue };
        let Some(front) = note.front else { continue };
        let archive = Archive::open_front_in(&part.path, (front.at, front.length), found.location(), cancel)?;
        fronts.push((part.number, archive));
    }
    Ok(fronts)
}

/// Checks that what a set builds on, as far as fronts say, is in the layout: before anything of it is taken in.
///
/// # Errors
/// [`Error::Missing`] when something is not, with all that is missing; or when a note or the layout cannot be read.
pub fn check_base<'f>(
    fronts: impl IntoIterator<Item = &'f Archive>,
    found: &PartSet,
    layout: &Path,
    context: &Context<'_>,
) -> Result<(), Error> {
    for front in fronts {
        find_bases(front, context);
        // a list that cannot be read is in a part that is damaged, which is found when that is taken in
        let Ok(Some(Packed { list, .. })) = Packed::of(front) else { continue };
        let mut left_out: Vec<Content> = list.left_out().map(content_of).collect();
        let made = front.compact().filter(|index| !index.bases.is_empty()).map(|index| index.layers.as_slice());
        let made = made.unwrap_or_default();
        if left_out.is_empty() && made.is_empty() {
            continue;
        }
        if list.part().is_some() {
            let mut elsewhere = HashSet::new();
            for number in 1..=found.count() {
                let Some(note) = found.note(number)? else { continue };
                elsewhere.extend(note.pieces.iter().map(|piece| piece.digest));
            }
            // what is in a part that nobody knows yet cannot be told from what is in the base
            let knows_all = (1..=found.count()).all(|number| found.head(number).is_some());
            if !knows_all && list.bases.iter().any(|base| base.place == OTHER_PARTS) {
                continue;
            }
            left_out.retain(|content| !elsewhere.contains(&content.digest));
        }
        let held = match Layout::open(layout) {
            Ok(layout) => Some(layout),
            // a run that was killed may have begun to make it
            Err(StoreError::Absent { .. } | StoreError::Malformed { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let made = made.iter().map(CompactLayer::content);
        let lacking = |contents: Vec<Content>| match &held {
            Some(layout) => lacked_by(layout, &contents),
            None => Ok(contents),
        };
        let missing = lacking(left_out)?;
        // of which of them a layer is made stands in parts that may not have come
        let bases = if lacking(made.collect())?.is_empty() { Vec::new() } else { front.missing_bases()? };
        let place = Location::Layout(layout.to_owned());
        refuse_incomplete(&found.location(), &place, &missing, &bases, &Plan::new())?;
    }
    Ok(())
}

fn content_of(packed: &PackedContent) -> Content {
    Content { digest: packed.digest, size: packed.size, kind: Kind::Blob }
}

/// Returns whether an earlier run has begun to take in a set.
#[must_use]
pub fn is_begun(layout: &Path, found: &PartSet) -> bool {
    found.set().is_some_and(|set| Intake::is_begun(layout, &set))
}

/// Forgets what was taken in of a set that has come into a layout otherwise.
///
/// # Errors
/// When it cannot be removed.
pub fn forget(layout: &Path, set: &Digest, cancel: &Cancel) -> Result<(), StoreError> {
    if Intake::is_begun(layout, set) {
        Intake::open(layout, set, LayoutOptions::default(), cancel)?.remove()?;
    }
    Ok(())
}

fn malformed(what: &str, place: Location, reason: String, hint: String) -> Error {
    StoreError::Malformed { what: what.to_owned(), place, reason: reason.into(), hint: Some(hint) }.into()
}
