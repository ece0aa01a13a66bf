//! A set whose parts are all there, and that is read where it lies.

use std::path::PathBuf;

use super::{PartSet, called};
use crate::bundle::{Mode, PartNames, PartNote};
use crate::store::archive::bytes::Identity;
use crate::store::archive::chain::Chain;
use crate::store::{Location, StoreError};
use crate::text::{escaped, human_size};

/// The parts that an open archive is read from.
#[derive(Clone, Debug)]
pub struct Parts {
    pub(super) names: PartNames,
    pub(super) archive: PathBuf,
    pub(super) list: Vec<Opened>,
}

/// A part of an open archive.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    /// Where in the archive it begins, in bytes.
    pub(super) begins: u64,
    /// What its note says; none where there is no note.
    pub(super) head: Option<PartNote>,
}

impl PartSet {
    /// Checks that everything is there and fits.
    ///
    /// # Errors
    /// When a part is missing, or has another length than its note says.
    pub fn complete(&self) -> Result<Parts, StoreError> {
        if self.mode() == Mode::Archive {
            let first = escaped(&self.names.part(1));
            return Err(StoreError::Unsupported {
                action: "read".to_owned(),
                place: self.location(),
                reason: "it is split into archives, and none is there that holds everything".into(),
                hint: Some(format!("read one of them, such as {first}, or bring them together with `barge load`")),
            });
        }
        self.refuse_missing()?;
        let mut begins: u64 = 0;
        let mut list = Vec::new();
        for part in &self.parts {
            let head = self.head(part.number);
            self.check_size(part.number, part.identity.length)?;
            if let Some(head) = head.filter(|head| head.offset != begins) {
                let (got, expected) = (begins, head.offset);
                let reason = format!("the parts before it have {got} bytes, expected {expected}");
                return Err(self.wrong(self.called(part.number), reason, "get the parts before it again"));
            }
            let (path, identity) = (part.path.clone(), part.identity);
            list.push(Opened { path, identity, begins, head: head.cloned() });
            begins = begins.saturating_add(identity.length);
        }
        if let Some(expected) = self.length.filter(|length| *length != begins) {
            let reason = format!("its parts have {begins} bytes together, expected {expected}");
            return Err(self.wrong("the archive", reason, "get the parts that have no note again, with their notes"));
        }
        Ok(Parts { names: self.names.clone(), archive: self.archive.clone(), list })
    }

    /// Checks the length of a part against its note.
    ///
    /// # Errors
    /// When they differ.
    pub fn check_size(&self, number: u64, got: u64) -> Result<(), StoreError> {
        let Some(expected) = self.head(number).map(|head| head.size).filter(|size| *size != got) else { return Ok(()) };
        let (short, hint) = match got < expected {
            true => (": it is cut off", "copy this part again: the medium may have been pulled too early"),
            false => ("", "copy this part again"),
        };
        let reason = format!("it has {got} bytes, expected {expected}{short}");
        Err(self.wrong(self.called(number), reason, hint))
    }

    fn refuse_missing(&self) -> Result<(), StoreError> {
        let missing = self.missing();
        if missing.is_empty() {
            return Ok(());
        }
        let hint = "mount the media that have them and name each directory with --part-dir DIR, or take them in one \
                    after the other with `barge load`";
        Err(StoreError::Absent {
            what: self.called_together(&missing),
            place: self.location(),
            hint: Some(hint.to_owned()),
        })
    }

    /// Returns several parts as people call them: `parts 2 and 4 of 5 (x.tar.002, x.tar.004)`.
    #[must_use]
    pub fn called_together(&self, numbers: &[u64]) -> String {
        called_together(&self.names, numbers)
    }
}

/// Returns several parts as people call them. Of very many the first are named.
pub(super) fn called_together(names: &PartNames, numbers: &[u64]) -> String {
    const MOST: usize = 8;
    if let [number] = numbers {
        return called(names, *number);
    }
    let shown = &numbers[..numbers.len().min(MOST)];
    let mut texts: Vec<String> = shown.iter().map(ToString::to_string).collect();
    let files: Vec<String> = shown.iter().map(|number| escaped(&names.part(*number))).collect();
    let last = match numbers.len() - shown.len() {
        0 => texts.pop().unwrap_or_default(),
        more => format!("{more} more"),
    };
    let dots = if numbers.len() > MOST { ", ..." } else { "" };
    format!("parts {} and {last} of {} ({}{dots})", texts.join(", "), names.parts, files.join(", "))
}

impl Parts {
    /// Returns where the archive is, as it is called in messages.
    #[must_use]
    pub fn location(&self) -> Location {
        Location::Archive(self.archive.clone())
    }

    /// Returns how many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.list.len()
    }

    /// Returns what an archive like this one is read from, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        let size = human_size(self.list.iter().fold(0, |sum: u64, part| sum.saturating_add(part.identity.length)));
        let parts = if self.count() == 1 { "1 part".to_owned() } else { format!("{} parts", self.count()) };
        let without = self.list.iter().filter(|part| part.head.is_none()).count();
        match without {
            0 => format!("is in {parts}, {size}"),
            _ if without == self.count() => format!("is in {parts}, {size}, without notes: by their numbers"),
            _ => format!("is in {parts}, {size}, {without} of them without a note"),
        }
    }

    /// Returns the files, in order, each as it was when it was found.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, Identity)> {
        self.list.iter().map(|part| (part.path.clone(), part.identity)).collect()
    }

    /// Returns the bytes of all, in order.
    pub(in crate::store::archive) fn chain(&self) -> Chain {
        Chain::new(self.files())
    }

    /// Returns whether there are notes on all of them.
    #[must_use]
    pub fn are_all_noted(&self) -> bool {
        self.list.iter().all(|part| part.head.is_some())
    }
}
