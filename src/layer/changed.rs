//! What is lost when files of several owners are given to one: enough to warn, whatever their number.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::fs::{FileType, Stat};

use super::tree::Tree;
use super::{AddOptions, Modes, Owner};

/// The bits that let a program run as its owner or its group.
const SET_ID: u32 = 0o6000;

/// What files of a context lost when they were given to another owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedOwners {
    /// Whether they had several owners or groups, so that something is lost that was meant.
    pub several: bool,
    /// The first program, by its path in the layer, that runs as its owner or group, and has another one now.
    pub set_id: Option<PathBuf>,
}

/// What a tree keeps of it.
#[derive(Debug, Default)]
pub(super) struct Noted {
    first: Option<(u32, u32)>,
    changed: ChangedOwners,
}

impl Noted {
    /// Takes note of what becomes of a file's owner.
    pub(super) fn note(&mut self, options: &AddOptions<'_>, stat: &Stat, to: &[u8]) {
        let Owner::Is { uid, gid } = options.owner else { return };
        let owner = (stat.st_uid, stat.st_gid);
        self.changed.several |= *self.first.get_or_insert(owner) != owner;
        let is_program = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if is_program
            && stat.st_mode & SET_ID != 0
            && options.modes == Modes::Keep
            && owner != (uid, gid)
            && self.changed.set_id.is_none()
        {
            self.changed.set_id = Some(PathBuf::from(OsStr::from_bytes(to)));
        }
    }
}

impl Tree {
    /// Returns what was lost when files of contexts were given to the owner that [`AddOptions`] says; `None` when nothing
    /// was: they all had one owner, or kept theirs. Whether that was asked for, the tree cannot know.
    #[must_use]
    pub fn changed_owners(&self) -> Option<&ChangedOwners> {
        let changed = &self.noted.changed;
        (changed.several || changed.set_id.is_some()).then_some(changed)
    }
}
