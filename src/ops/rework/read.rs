//! Reading images that are to be changed. Nothing that stays as it is becomes more than a list of what it refers to.

use std::collections::HashMap;

use super::super::choose::Chosen;
use super::super::draft::Draft;
use super::super::lookup::{name_of, select_for_merge, select_names};
use super::{Entry, Image, Kept, Node, Origin, Renaming, Rework};
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::{Body, Document, Manifest};
use crate::graph;
use crate::ops::Error;
use crate::platform::{self, Platform, PlatformFilter};
use crate::reference::Selector;
use crate::store::{Source, StoreError, read_config, read_document};

/// How many bytes of manifests, configs and indexes are held at once.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

impl<'a> Rework<'a> {
    /// Reads the images that a selector means: all names of a digest when they are to move, else one image. Of an index only
    /// the platforms that are wanted can change.
    ///
    /// # Errors
    /// When nothing answers or names are ambiguous, something is missing, wrong or malformed, or a platform that is asked for
    /// is not there.
    pub fn read(
        source: &'a dyn Source,
        selector: Option<&Selector>,
        renaming: &Renaming,
        platforms: &PlatformFilter,
    ) -> Result<Self, Error> {
        let roots = roots(source, selector, renaming)?;
        let mut task = Task { source, platforms, nodes: Vec::new(), known: HashMap::new(), bytes: 0 };
        let mut entries = Vec::new();
        for descriptor in roots {
            let node = task.take(&descriptor, 0)?;
            entries.push(Entry { descriptor, node });
        }
        let rework = Self {
            origin: Origin(source),
            roots: entries,
            nodes: task.nodes,
            annotations: std::collections::BTreeMap::new(),
            index_type: None,
            renaming: renaming.clone(),
            is_whole: platforms.is_all(),
        };
        rework.refuse_absent(platforms)?;
        Ok(rework)
    }

    fn refuse_absent(&self, platforms: &PlatformFilter) -> Result<(), Error> {
        let there: Vec<Platform> = self.images().map(|image| image.platform.clone()).collect();
        let place = self.origin.0.location();
        if let Some(absent) = platforms.unmatched(&there).first() {
            let all = self.platforms();
            return Err(Error::Absent {
                message: format!("cannot find {absent} in the image in {place}"),
                cause: Some(if all.is_empty() {
                    "it says no platform".to_owned()
                } else {
                    format!("it is for {}", platform::list(&all))
                }),
                hint: None,
            });
        }
        match (there.is_empty(), self.roots.first()) {
            (true, Some(root)) => {
                let reason = "it is an artifact, or an index of such, not an image with a file system";
                Err(StoreError::malformed(root.descriptor.digest().to_string(), place, reason).into())
            }
            _ => Ok(()),
        }
    }

    /// Returns whether every image in it may change.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Returns the platforms of all images, also of those that stay as they are.
    #[must_use]
    pub fn platforms(&self) -> Vec<Platform> {
        let entries = self.nodes.iter().filter_map(|node| match node {
            Node::Index { entries, .. } => Some(entries),
            _ => None,
        });
        let of = |entry: &Entry| match &self.nodes[entry.node] {
            Node::Image(image) => Some(image.platform.clone()),
            _ => entry.descriptor.stated_platform().filter(|platform| !platform.is_unknown()).cloned(),
        };
        self.roots.iter().chain(entries.flatten()).filter_map(of).collect()
    }

    /// Returns the images that may change, in order.
    pub fn images(&self) -> impl Iterator<Item = &Image<'a>> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Image(image) => Some(&**image),
            _ => None,
        })
    }

    /// Returns the images that may change, to change them.
    pub fn images_mut(&mut self) -> impl Iterator<Item = &mut Image<'a>> {
        self.nodes.iter_mut().filter_map(|node| match node {
            Node::Image(image) => Some(&mut **image),
            _ => None,
        })
    }
}

/// Returns the top-level descriptors that are meant.
fn roots(source: &dyn Source, selector: Option<&Selector>, renaming: &Renaming) -> Result<Vec<Descriptor>, Error> {
    match (selector, renaming) {
        (Some(selector), Renaming::Same) => select_names(source, selector),
        (selector, Renaming::New(_)) => select_for_merge(source, selector),
        (None, Renaming::Same) => {
            let found = select_for_merge(source, None)?;
            let is_meant = |root: &Descriptor| found.iter().any(|found| found.digest() == root.digest());
            Ok(source.roots()?.into_iter().filter(is_meant).collect())
        }
    }
}

struct Task<'t, 'a> {
    source: &'a dyn Source,
    platforms: &'t PlatformFilter,
    nodes: Vec<Node<'a>>,
    /// The same content under the same descriptor is read once.
    known: HashMap<(Digest, Option<Platform>), usize>,
    bytes: u64,
}

impl<'a> Task<'_, 'a> {
    /// Takes what a descriptor refers to, and returns its number.
    fn take(&mut self, descriptor: &Descriptor, depth: usize) -> Result<usize, Error> {
        let key = (*descriptor.digest(), descriptor.platform().cloned());
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let node = self.node(descriptor, depth)?;
        self.nodes.push(node);
        self.known.insert(key, self.nodes.len() - 1);
        Ok(self.nodes.len() - 1)
    }

    fn node(&mut self, descriptor: &Descriptor, depth: usize) -> Result<Node<'a>, Error> {
        let stated = descriptor.stated_platform();
        let unwanted = stated.is_some_and(|stated| stated.is_unknown() || !self.platforms.wants(stated));
        if unwanted || descriptor.attestation_of().is_some() || !descriptor.media_type().is_document() {
            return self.kept(descriptor, depth);
        }
        let document = read_document(self.source, descriptor).map_err(|error| at(descriptor, error))?;
        self.hold(descriptor.size())?;
        if let Body::Manifest(manifest) = document.body() {
            if !manifest.has_file_system() {
                return self.kept(descriptor, depth);
            }
            let platform = self.platform_of(descriptor, manifest)?;
            if !self.platforms.wants(&platform) {
                return self.kept(descriptor, depth);
            }
            return self.image(descriptor, document, platform);
        }
        if depth >= graph::DEEPEST {
            let reason = format!("indexes lie in it more than {} deep", graph::DEEPEST);
            return Err(StoreError::malformed(descriptor.digest().to_string(), self.source.location(), reason).into());
        }
        let mut entries = Vec::new();
        for child in document.children() {
            entries.push(Entry { descriptor: child.clone(), node: self.take(child, depth + 1)? });
        }
        Ok(Node::Index { document: Box::new(document), entries })
    }

    fn image(&mut self, descriptor: &Descriptor, document: Document, platform: Platform) -> Result<Node<'a>, Error> {
        let reach = graph::reach(self.source, std::slice::from_ref(descriptor), &mut |_, _| ());
        let reach = graph::without_foreign(self.source, reach).0.whole()?.all_there(self.source)?;
        let config = |node: &&graph::Node| node.content.kind == crate::content::Kind::Config;
        self.hold(reach.nodes.iter().filter(config).map(|node| node.content.size).sum())?;
        let name = name_of(descriptor).map(str::to_owned);
        let chosen = Chosen { name, descriptor: descriptor.clone(), document, platform: Some(platform.clone()) };
        let draft = Draft::to_edit(self.source, &chosen)?;
        Ok(Node::Image(Box::new(Image {
            descriptor: descriptor.clone(),
            platform,
            draft,
            before: chosen.document,
            reach,
            moved: None,
            without: Vec::new(),
        })))
    }

    fn kept(&self, descriptor: &Descriptor, depth: usize) -> Result<Node<'a>, Error> {
        if depth > 0 && !self.source.holds(&descriptor.content())? {
            return Ok(Node::Kept(Kept::Absent));
        }
        let reach = graph::reach(self.source, std::slice::from_ref(descriptor), &mut |_, _| ());
        let reach = graph::without_foreign(self.source, reach).0.whole()?.all_there(self.source)?;
        Ok(Node::Kept(Kept::There(reach)))
    }

    fn platform_of(&self, descriptor: &Descriptor, manifest: &Manifest) -> Result<Platform, Error> {
        match (descriptor.stated_platform(), manifest.image_config()) {
            (Some(stated), _) => Ok(stated.clone()),
            (None, Some(config)) => {
                Ok(read_config(self.source, &config.content()).map_err(|error| at(descriptor, error))?.platform)
            }
            (None, None) => Ok(Platform::default()),
        }
    }

    fn hold(&mut self, bytes: u64) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MOST_BYTES {
            let reason = format!("its manifests and configs are more than {MOST_BYTES} bytes");
            return Err(StoreError::malformed("the image", self.source.location(), reason).into());
        }
        Ok(())
    }
}

fn at(descriptor: &Descriptor, error: StoreError) -> Error {
    let whose = descriptor.platform().map(ToString::to_string);
    let whose = whose.unwrap_or_else(|| super::super::attached::called(descriptor));
    Error::Content { about: format!("manifest of {whose}"), error, hint: None }
}
