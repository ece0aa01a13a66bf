//! What has come of an archive: its names from the fronts of parts, and its content from the layout.

use crate::blob::BlobReader;
use crate::bundle::Mode;
use crate::content::{Content, Descriptor};
use crate::error::Class;
use crate::ops::Error;
use crate::ops::carry::CarryOptions;
use crate::ops::copy::{CopySource, Copying, Extent, Naming, copy};
use crate::store::archive::{Archive, PartSet};
use crate::store::layout::Layout;
use crate::store::{Location, Source, StoreError};

/// What can be read of an archive that comes in parts.
#[derive(Debug)]
pub struct Arrived {
    archives: Vec<Joined>,
    label: String,
    mode: Mode,
    /// Whether no part is still to come.
    is_all: bool,
}

/// A front, and the layout in which its content lies.
#[derive(Debug)]
struct Joined {
    front: Archive,
    layout: Layout,
}

impl Source for Joined {
    fn location(&self) -> &Location {
        self.front.location()
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        self.front.roots()
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        self.layout.open(content).map_err(|error| match error {
            // the part that should have brought it is what is meant
            StoreError::Missing { digest, .. } => StoreError::Missing { digest, place: self.front.location().clone() },
            other => other,
        })
    }
}

impl Arrived {
    pub(super) fn new(archives: Vec<Archive>, layout: impl Fn() -> Layout, set: &PartSet, is_all: bool) -> Self {
        let archives = archives.into_iter().map(|front| Joined { front, layout: layout() }).collect();
        Self { archives, label: crate::text::escaped(set.archive()), mode: set.mode(), is_all }
    }

    /// Plans to name all images that have come: `None` when there is none yet. Of a set whose parts are pieces of one archive
    /// that is all of them or none; where each part is an archive by itself, an image is named when all of it is there.
    ///
    /// # Errors
    /// As [`copy`]; what is missing is an error only when no part is still to come.
    pub fn plan(&self, options: &CarryOptions) -> Result<Option<Copying<'_>>, Error> {
        let mut sources = Vec::new();
        for archive in &self.archives {
            let all = archive.roots()?;
            let roots = if self.mode == Mode::Stream || self.is_all {
                all
            } else {
                let is_there = |root: &&Descriptor| {
                    let one = self.source(archive, vec![(*root).clone()]);
                    copy(&[one], &Naming::Keep, options).is_ok()
                };
                all.iter().filter(is_there).cloned().collect()
            };
            if !roots.is_empty() {
                sources.push(self.source(archive, roots));
            }
        }
        if sources.is_empty() && !(self.is_all && self.archives.is_empty()) {
            return Ok(None);
        }
        if sources.is_empty() {
            return Err(Error::Absent {
                message: format!("cannot find an image in {}", self.label),
                cause: Some("none of its parts says what is in it".to_owned()),
                hint: None,
            });
        }
        match copy(&sources, &Naming::Keep, options) {
            Ok(copying) => Ok(Some(copying)),
            Err(error) if error.class() == Class::Content && !self.is_all => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the fronts that have come: what says which images there are.
    pub fn fronts(&self) -> impl Iterator<Item = &Archive> {
        self.archives.iter().map(|archive| &archive.front)
    }

    fn source<'a>(&self, archive: &'a Joined, roots: Vec<Descriptor>) -> CopySource<'a> {
        CopySource { label: self.label.clone(), source: archive, roots, extent: Extent::Whole }
    }
}
