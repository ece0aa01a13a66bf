//! Where a destination leads to: symbolic links are followed inside the image, in this layer and in those below it.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::context::refused;
use super::tree::{Entry, Facts, Kind, Tree};
use super::way::Way;
use super::{AddOptions, path};
use crate::store::StoreError;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A directory.
    Directory,
    /// A symbolic link, and its target as it is written.
    Symlink(Vec<u8>),
    /// Anything else.
    Other,
}

/// What becomes of a link at the very end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Followed,
    Itself,
}

impl Tree {
    /// Returns what stands at a path whose directories are no links: in this layer, or else below it.
    pub(super) fn standing(&self, options: &AddOptions<'_>, path: &[u8]) -> Option<Standing> {
        match self.entries.get(path).map(|entry| &entry.kind) {
            None => (options.below)(Path::new(OsStr::from_bytes(path))),
            Some(Kind::Directory) => Some(Standing::Directory),
            Some(Kind::Symlink(target)) => Some(Standing::Symlink(target.to_vec())),
            Some(_) => Some(Standing::Other),
        }
    }

    /// Returns what the destination leads to, links followed: nothing is made yet.
    ///
    /// # Errors
    /// When it cannot be in a layer, or cannot be followed.
    pub fn leads_to(&self, options: &AddOptions<'_>) -> Result<Option<Standing>, StoreError> {
        self.end_of(options, Last::Followed)
    }

    /// Returns what stands at the destination, a link at its very end not followed: nothing is made yet.
    ///
    /// # Errors
    /// As [`Tree::leads_to`].
    pub fn stands_at(&self, options: &AddOptions<'_>) -> Result<Option<Standing>, StoreError> {
        self.end_of(options, Last::Itself)
    }

    fn end_of(&self, options: &AddOptions<'_>, last: Last) -> Result<Option<Standing>, StoreError> {
        let refuse = |reason: String| refused(options.to, reason);
        let to = path::cleaned(options.to.as_os_str().as_bytes()).map_err(refuse)?;
        let to = self.resolve(options, &to, last).map_err(refuse)?;
        Ok(if to.is_empty() { Some(Standing::Directory) } else { self.standing(options, &to) })
    }

    /// Returns whether a directory is there.
    ///
    /// # Errors
    /// When something else is.
    pub(super) fn is_directory(&self, options: &AddOptions<'_>, path: &[u8]) -> Result<bool, StoreError> {
        match self.standing(options, path) {
            None => Ok(false),
            Some(Standing::Directory) => Ok(true),
            Some(_) => {
                Err(refused(Path::new(OsStr::from_bytes(path)), "the image has something else than a directory"))
            }
        }
    }

    /// Returns where the destination leads to, and makes the directories above it.
    pub(super) fn destination(&mut self, options: &AddOptions<'_>, last: Last) -> Result<Vec<u8>, StoreError> {
        let to = path::cleaned(options.to.as_os_str().as_bytes()).map_err(|reason| refused(options.to, reason))?;
        self.reach(options, &to, last)
    }

    /// Returns where a path leads to, and makes the directories above it.
    pub(super) fn reach(&mut self, options: &AddOptions<'_>, path: &[u8], last: Last) -> Result<Vec<u8>, StoreError> {
        let shown = Path::new(OsStr::from_bytes(path));
        let to = self.resolve(options, path, last).map_err(|reason| refused(shown, reason))?;
        path::check(&to).map_err(|reason| refused(shown, reason))?;
        for (slash, _) in to.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let above = &to[..slash];
            if self.standing(options, above).is_none() {
                let facts = Facts::of_parent(options.epoch);
                self.insert(above.to_vec(), Entry { facts, kind: Kind::Directory })?;
            }
        }
        Ok(to)
    }

    fn resolve(&self, options: &AddOptions<'_>, path: &[u8], last: Last) -> Result<Vec<u8>, String> {
        // the common case: the directory was reached before, and what stands there is not asked about
        if last == Last::Itself
            && path::parent(path).is_some_and(|above| {
                above.is_empty() || self.entries.get(above).is_some_and(|entry| matches!(entry.kind, Kind::Directory))
            })
        {
            return Ok(path.to_vec());
        }
        let mut todo: VecDeque<Vec<u8>> = parts(path);
        let mut at = Vec::new();
        let mut way = Way::default();
        while let Some(part) = todo.pop_front() {
            way.step(&part, 1)?;
            if part == b".." {
                let length = path::parent(&at).map_or(0, <[u8]>::len); // above the root is the root
                at.truncate(length);
                continue;
            }
            let next = path::join(&at, &part);
            let is_last = todo.is_empty();
            match self.standing(options, &next) {
                Some(Standing::Symlink(target)) if !is_last || last == Last::Followed => {
                    if way.link().is_err() || target.len() > path::LONGEST {
                        return Err(format!("{} cannot be followed: there are too many symbolic links", shown(&next)));
                    }
                    if target.starts_with(b"/") {
                        at.clear();
                    }
                    for part in parts(&target).into_iter().rev() {
                        todo.push_front(part);
                    }
                }
                Some(Standing::Other) if !is_last => {
                    return Err(format!("{} is no directory in the image", shown(&next)));
                }
                _ => at = next,
            }
        }
        Ok(at)
    }
}

fn parts(path: &[u8]) -> VecDeque<Vec<u8>> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.map(<[u8]>::to_vec).collect()
}

fn shown(path: &[u8]) -> String {
    crate::text::quoted(&String::from_utf8_lossy(path))
}
