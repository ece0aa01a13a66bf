//! What has come of an archive: its names from the fronts of parts, and its content from the layout.

use crate::blob::BlobReader;
use crate::bundle::Mode;
use crate::content::{Content, Descriptor};
use crate::error::Class;
use crate::graph;
use crate::ops::Error;
use crate::ops::attached::{attached, belonging, has_own_name, standing_alone};
use crate::ops::carry::CarryOptions;
use crate::ops::copy::{CopySource, Copying, Extent, Naming, copy};
use crate::ops::sign::{SignedImage, check_image, require};
use crate::signing::PublicKey;
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
    /// Whether layers that are made again can be: all has come of which they are.
    has_stock: bool,
}

impl Source for Joined {
    fn location(&self) -> &Location {
        self.front.location()
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        self.front.roots()
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        if self.has_stock && self.front.makes(&content.digest) {
            return self.front.open(content);
        }
        self.layout.open(content).map_err(|error| match error {
            // the part that should have brought it is what is meant
            StoreError::Missing { digest, .. } => StoreError::Missing { digest, place: self.front.location().clone() },
            other => other,
        })
    }
}

/// All fronts that have come, as one: what signs an image may be named by another one than the image.
struct Together<'a>(&'a [Joined]);

impl Source for Together<'_> {
    fn location(&self) -> &Location {
        const NOWHERE: &Location = &Location::Memory(String::new());
        self.0.first().map_or(NOWHERE, Source::location)
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        let mut roots = Vec::new();
        for archive in self.0 {
            roots.extend(archive.roots()?);
        }
        Ok(roots)
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        match self.0.first() {
            // the content of all of them is in one layout
            Some(archive) => archive.open(content),
            None => Err(StoreError::Missing { digest: content.digest, place: self.location().clone() }),
        }
    }
}

impl Arrived {
    /// Joins fronts to a layout; beside each whether what its layers are made of has come.
    pub(super) fn new(
        archives: Vec<(Archive, bool)>,
        layout: impl Fn() -> Layout,
        set: &PartSet,
        is_all: bool,
    ) -> Self {
        let join = |(front, has_stock)| Joined { front, layout: layout(), has_stock };
        let archives = archives.into_iter().map(join).collect();
        Self { archives, label: crate::text::escaped(set.archive()), mode: set.mode(), is_all }
    }

    /// Plans to name all images that have come: `None` when there is none yet. Of a set whose parts are pieces of one archive
    /// that is all of them or none; where each part is an archive by itself, an image is named when all of it is there.
    ///
    /// With keys nothing gets a name before it is known that one of them has signed it. What signs an image may come after it:
    /// until everything has come an image without a signature only waits.
    ///
    /// # Errors
    /// As [`copy`]; what is missing is an error only when no part is still to come. [`Error::Untrusted`] when none of the keys
    /// has signed an image, and nothing that could sign it is still to come.
    pub fn plan<'k>(
        &self,
        options: &CarryOptions,
        keys: &'k [PublicKey],
    ) -> Result<Option<(Copying<'_>, Vec<SignedImage<'k>>)>, Error> {
        let comes_at_once = self.mode == Mode::Stream || self.is_all;
        let mut sources = Vec::new();
        for archive in &self.archives {
            let mut roots = archive.roots()?;
            if !comes_at_once {
                let is_there = |root: &Descriptor| {
                    let one = self.source(archive, vec![root.clone()]);
                    copy(&[one], &Naming::Keep, options).is_ok()
                };
                roots.retain(is_there);
                if !keys.is_empty() {
                    roots = self.trusted(&roots, keys)?;
                }
            }
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
        let copying = match copy(&sources, &Naming::Keep, options) {
            Ok(copying) => copying,
            Err(error) if error.class() == Class::Content && !self.is_all => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut signed = Vec::new();
        if !keys.is_empty() {
            let roots: Vec<Descriptor> = sources.iter().flat_map(|source| source.roots.iter().cloned()).collect();
            signed = match require(&Together(&self.archives), &roots, Extent::Whole, keys) {
                Err(Error::Untrusted { .. }) if !self.is_all => return Ok(None),
                other => other?,
            };
        }
        Ok(Some((copying, signed)))
    }

    /// Returns which of the images that are there one of some keys has signed, and what belongs to them.
    fn trusted(&self, roots: &[Descriptor], keys: &[PublicKey]) -> Result<Vec<Descriptor>, Error> {
        let together = Together(&self.archives);
        let belongs = attached(&together, roots)?;
        let mut images = Vec::new();
        for image in standing_alone(&belongs, roots) {
            match check_image(&together, &image, keys) {
                Ok(_) => images.push(image),
                // what signs it may be in a part that has not come
                Err(Error::Untrusted { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let nodes = graph::reach(&together, &images, &mut |_, _| ()).nodes;
        let contents = nodes.iter().map(|node| node.content.digest).collect();
        let mut referrers = belonging(&belongs, &contents);
        referrers.retain(|referrer| !has_own_name(referrer));
        let is_taken = |root: &&Descriptor| images.contains(root) || referrers.contains(root);
        Ok(roots.iter().filter(is_taken).cloned().collect())
    }

    /// Returns the fronts that have come: what says which images there are.
    pub fn fronts(&self) -> impl Iterator<Item = &Archive> {
        self.archives.iter().map(|archive| &archive.front)
    }

    fn source<'a>(&self, archive: &'a Joined, roots: Vec<Descriptor>) -> CopySource<'a> {
        CopySource { label: self.label.clone(), source: archive, roots, extent: Extent::Whole }
    }
}
