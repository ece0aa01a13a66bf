//! Where the layers of the other side are found here: by the images that it has, in whatever place has them still.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::content::{Content, Descriptor};
use crate::digest::Digest;
use crate::graph;
use crate::media::Role;
use crate::ops::Error;
use crate::ops::bundle::{BaseContents, has};
use crate::ops::lookup::name_of;
use crate::ops::open::Store;
use crate::store::{Source, StoreError};

/// Layers that the other side has, and where they are found here.
#[derive(Clone, Default)]
pub struct BaseLayers<'a> {
    pub(super) layers: Vec<(&'a dyn Source, Content, Option<String>)>,
    /// The digests of these.
    known: HashSet<Digest>,
    /// Those that the other side has, and that are not found here, with the image that has them.
    absent: BTreeMap<Digest, Option<String>>,
    /// Images of the other side of which not even the manifest is found here, by their digests.
    unknown: BTreeMap<Digest, Option<String>>,
}

/// An image of the other side that is not found here, or not as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AbsentImage {
    /// Its name.
    pub name: Option<String>,
    /// The digest of its index or manifest, when not even that is here.
    pub digest: Option<Digest>,
}

impl std::fmt::Debug for BaseLayers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BaseLayers").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}

impl<'a> BaseLayers<'a> {
    /// Looks for the layers that bases hold in places here, each with the images of it that are meant. An image of a base is found by
    /// its digest, also where it has no name any more.
    ///
    /// # Errors
    /// When it cannot be told whether a layer is there.
    pub fn find(places: &[(&'a Store, Vec<Descriptor>)], bases: &[BaseContents]) -> Result<Self, Error> {
        let mut found = Self::default();
        let is_wanted = |digest: &Digest| bases.iter().any(|base| base.contents.contains_key(digest));
        let images: Vec<&Descriptor> = bases.iter().flat_map(|base| &base.images).collect();
        found.unknown = images.iter().map(|image| (*image.digest(), name_of(image).map(str::to_owned))).collect();
        for (place, roots) in places.iter().map(|(place, roots)| (*place, roots)) {
            // a layer that is made of bytes that nobody has is not there either
            let is_there = |content: &Content| match place {
                Store::Archive(archive) if archive.lacking_base(&content.digest)?.is_some() => Ok(false),
                place => has(place, content),
            };
            for image in &images {
                if has(place, &image.content())? {
                    found.unknown.remove(image.digest());
                    found.look(place, std::slice::from_ref(*image), is_wanted, is_there)?;
                }
            }
            found.look(place, roots, is_wanted, is_there)?;
        }
        Ok(found)
    }

    /// Adds the layers of some images that are wanted and there.
    ///
    /// # Errors
    /// When it cannot be told whether a layer is there.
    pub fn add(
        &mut self,
        source: &'a dyn Source,
        roots: &[Descriptor],
        is_wanted: impl Fn(&Digest) -> bool,
    ) -> Result<(), Error> {
        self.look(source, roots, is_wanted, |content| has(source, content))
    }

    fn look(
        &mut self,
        source: &'a dyn Source,
        roots: &[Descriptor],
        is_wanted: impl Fn(&Digest) -> bool,
        is_there: impl Fn(&Content) -> Result<bool, StoreError>,
    ) -> Result<(), Error> {
        for root in roots {
            let reach = graph::reach(source, std::slice::from_ref(root), &mut |_, _| ());
            for node in reach.nodes.iter().filter(|node| matches!(node.media_type().role(), Role::Layer(_))) {
                let content = &node.content;
                if !is_wanted(&content.digest) || self.known.contains(&content.digest) {
                    continue;
                }
                let name = name_of(root).map(str::to_owned);
                if is_there(content)? {
                    self.known.insert(content.digest);
                    self.absent.remove(&content.digest);
                    self.layers.push((source, content.clone(), name));
                } else {
                    self.absent.entry(content.digest).or_insert(name);
                }
            }
        }
        Ok(())
    }

    /// Returns how many are found here.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.layers.len()
    }

    /// Returns whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Returns the images of the other side that are not found here, or not as a whole, sorted by name.
    #[must_use]
    pub fn absent_images(&self) -> BTreeSet<AbsentImage> {
        let unknown =
            self.unknown.iter().map(|(digest, name)| AbsentImage { name: name.clone(), digest: Some(*digest) });
        let in_part = self.absent.values().map(|name| AbsentImage { name: name.clone(), digest: None });
        unknown.chain(in_part).collect()
    }
}
