//! Carrying images from one place to another: what goes along, and what an index becomes when platforms stay behind.

use std::collections::{HashMap, HashSet};

use super::Error;
pub use super::attached::Referrers;
use super::attached::{Attached, belonging, called, counted, wanted};
use super::left_behind::{LeftBehind, left_behind};
use super::manifest::elsewhere;
use super::unlisted::unlisted;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::{Body, Document};
use crate::graph::{self, Reach};
use crate::json::Object;
use crate::media::MediaType;
use crate::plan::Plan;
use crate::platform::{Platform, PlatformFilter};
use crate::store::{Source, StoreError, read_config, read_document};

/// What becomes of an index of which some platforms stay behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexPolicy {
    /// It becomes a smaller one that lists what is there, with another digest.
    #[default]
    Shrink,
    /// It stays as it is, with its digest, and lists what is not there.
    Keep,
}

/// What is to be carried of each image.
#[derive(Clone, Debug)]
pub struct CarryOptions {
    /// Which platforms.
    pub platforms: PlatformFilter,
    /// What becomes of an index of which some stay behind.
    pub index: IndexPolicy,
    /// What becomes of signatures and other referrers.
    pub referrers: Referrers,
    /// Whether those go along that a tag made of a digest names: cosign's, and the fallback tag for referrers.
    pub digest_tags: bool,
}

impl Default for CarryOptions {
    fn default() -> Self {
        let (platforms, index, referrers) = Default::default();
        Self { platforms, index, referrers, digest_tags: true }
    }
}

impl CarryOptions {
    /// Returns whether everything that belongs to an image goes along.
    #[must_use]
    pub fn takes_all_referrers(&self) -> bool {
        self.referrers == Referrers::All && self.digest_tags
    }
}

/// An image that is carried.
#[derive(Clone, Debug)]
pub struct Carried {
    /// The top-level descriptor, as it stands in the source.
    pub from: Descriptor,
    /// The one that stands for it now: the same, unless its index became smaller.
    pub to: Descriptor,
    /// The platforms that go along, as far as some were asked for.
    pub taken: Vec<Platform>,
    /// The platforms that stay behind.
    pub left_out: Vec<Platform>,
    /// Whether its index lists platforms that are not there.
    pub sparse: bool,
    /// The referrers that go along, as they stand at the top of the source.
    pub referrers: Vec<Descriptor>,
    /// These, each for itself: of a list under the fallback tag what it names.
    pub counted: Vec<Digest>,
    /// Whether it is a referrer itself.
    pub is_referrer: bool,
    /// It itself, if it is one: a list is what it names.
    pub own: Vec<Digest>,
    /// The referrers that stay behind because the index that they belong to does not arrive.
    pub behind: Vec<LeftBehind>,
}

/// Adds images of a source to a plan, with everything that belongs to them. Their descriptors and those of their referrers
/// are returned, and are for the caller to name.
///
/// # Errors
/// When something that goes along is missing, wrong or malformed, or an image is for none of the platforms asked for.
pub fn carry<'a>(
    plan: &mut Plan<'a>,
    source: &'a dyn Source,
    roots: &[Descriptor],
    options: &CarryOptions,
) -> Result<Vec<Carried>, Error> {
    let mut belongs = wanted(source, &options.referrers, options.digest_tags)?;
    let referring: HashSet<Digest> = belongs.iter().map(|one| *one.root.digest()).collect();
    // what is named by itself is not carried twice
    let named: HashSet<&Digest> = roots.iter().map(Descriptor::digest).collect();
    belongs.retain(|one| !named.contains(one.root.digest()));
    let mut carried: Vec<Carried> = Vec::new();
    let mut walked: HashMap<(Digest, MediaType), usize> = HashMap::new();
    for root in roots {
        // one image under several names is walked once; under a type that is not known it was only listed
        let key = (*root.digest(), root.media_type().clone());
        if let Some(&at) = walked.get(&key) {
            let same: Carried = carried[at].clone();
            let to = root.clone().with_content(&same.to);
            carried.push(Carried { from: root.clone(), to, ..same });
            continue;
        }
        walked.insert(key, carried.len());
        let mut task = Task {
            source,
            options,
            plan,
            root,
            taken: Vec::new(),
            left_out: Vec::new(),
            reached: HashSet::new(),
            documents: Vec::new(),
            shrunk: Vec::new(),
            lacking: false,
        };
        let to = task.take(root)?;
        let Task { taken, left_out, reached: contents, mut documents, shrunk, lacking, .. } = task;
        // also what belongs to an index that does not arrive, to be able to say so
        documents.extend_from_slice(&shrunk);
        let asked = unlisted(source, documents, &options.referrers, options.digest_tags)?;
        let all: Vec<Attached>;
        let belongs = if asked.is_empty() {
            &belongs
        } else {
            all = belongs.iter().cloned().chain(asked).collect();
            &all
        };
        let referrers = belonging(belongs, &contents);
        let behind =
            left_behind(source, belongs, &shrunk, &|digest| referrers.iter().any(|one| one.digest() == digest));
        for referrer in &referrers {
            let reach = graph::reach(source, std::slice::from_ref(referrer), &mut |_, _| ());
            let reach = reach.whole()?.all_there(source)?;
            plan.add_reach(source, &reach);
        }
        let sparse = lacking || (!left_out.is_empty() && options.index == IndexPolicy::Keep);
        let is_referrer = referring.contains(root.digest());
        let own = if is_referrer { counted(source, std::slice::from_ref(root)) } else { Vec::new() };
        let (from, counted) = (root.clone(), counted(source, &referrers));
        carried.push(Carried { from, to, taken, left_out, sparse, referrers, counted, is_referrer, own, behind });
    }
    Ok(carried)
}

struct Task<'t, 'a> {
    source: &'a dyn Source,
    options: &'t CarryOptions,
    plan: &'t mut Plan<'a>,
    /// What is carried.
    root: &'t Descriptor,
    taken: Vec<Platform>,
    left_out: Vec<Platform>,
    reached: HashSet<Digest>,
    /// The documents among it.
    documents: Vec<Digest>,
    /// The indexes that have become smaller, as they were.
    shrunk: Vec<Digest>,
    /// Whether some of it is in registries alone, and stays there.
    lacking: bool,
}

impl Task<'_, '_> {
    /// Adds one image and returns the descriptor that stands for it now.
    fn take(&mut self, root: &Descriptor) -> Result<Descriptor, Error> {
        if self.options.platforms.is_all() || !root.media_type().is_document() {
            self.whole(root)?;
            return Ok(root.clone());
        }
        match self.narrow(root, 0)? {
            Some(narrowed) => Ok(narrowed),
            None => Err(self.for_none(root)),
        }
    }

    fn whole(&mut self, root: &Descriptor) -> Result<(), Error> {
        let reach: Reach = graph::reach(self.source, std::slice::from_ref(root), &mut |_, _| ());
        let mut reach = graph::without_foreign(self.source, reach).0.whole()?;
        if let Some(registries) = elsewhere(self.root) {
            self.take_what_is_here(&mut reach, &registries)?;
        }
        let reach = reach.all_there(self.source)?;
        self.reached.extend(reach.nodes.iter().map(|node| node.content.digest));
        let documents = reach.nodes.iter().filter(|node| node.media_type().is_document());
        self.documents.extend(documents.map(|node| node.content.digest));
        self.plan.add_reach(self.source, &reach);
        Ok(())
    }

    /// Leaves out of a list what is in registries alone, when it may stay sparse.
    fn take_what_is_here(&mut self, reach: &mut Reach, registries: &str) -> Result<(), Error> {
        let mut lacking = None;
        for node in reach.nodes.iter().filter(|node| !node.media_type().is_document()) {
            if !self.source.holds(&node.content)? {
                lacking.get_or_insert_with(|| (node.content.digest, node.describe()));
            }
        }
        let Some((digest, about)) = lacking else { return Ok(()) };
        if self.options.index == IndexPolicy::Shrink {
            let error = StoreError::Missing { digest, place: self.source.location().clone() };
            let hint = format!(
                "{} is sparse, the rest is in {registries}: push it to where it is wanted, pull it from there as a whole, or take what is here with --index keep",
                called(self.root)
            );
            return Err(Error::Content { about, error, hint: Some(hint) });
        }
        let source = self.source;
        reach.nodes.retain(|node| node.media_type().is_document() || matches!(source.holds(&node.content), Ok(true)));
        self.lacking = true;
        Ok(())
    }

    /// Adds what is wanted of a document; `None` when that is nothing.
    fn narrow(&mut self, descriptor: &Descriptor, depth: usize) -> Result<Option<Descriptor>, Error> {
        let document = read_document(self.source, descriptor).map_err(|error| {
            let stated = descriptor.platform().map(ToString::to_string);
            let about = format!("manifest of {}", stated.unwrap_or_else(|| called(descriptor)));
            Error::Content { about, error, hint: None }
        })?;
        if let Body::Manifest(_) = document.body() {
            let platform = platform_of(self.source, descriptor, &document)?;
            match platform {
                Some(platform) if self.options.platforms.wants(&platform) => self.taken.push(platform),
                Some(platform) => {
                    self.left_out.push(platform);
                    return Ok(None);
                }
                None => {}
            }
            self.whole(descriptor)?;
            return Ok(Some(descriptor.clone()));
        }
        if depth >= graph::DEEPEST {
            let reason = format!("indexes lie in it more than {} deep", graph::DEEPEST);
            return Err(StoreError::malformed(descriptor.digest().to_string(), self.source.location(), reason).into());
        }
        let before = self.left_out.len();
        let kept = self.entries(&document, depth)?;
        if !kept.iter().flatten().any(|entry| entry.attestation_of().is_none()) {
            return Ok(None);
        }
        if self.left_out.len() == before || self.options.index == IndexPolicy::Keep {
            self.reached.insert(*descriptor.digest());
            self.documents.push(*descriptor.digest());
            self.plan.add(self.source, &descriptor.content(), format!("index of {}", called(descriptor)));
            return Ok(Some(descriptor.clone()));
        }
        self.shrink(descriptor, &document, &kept).map(Some)
    }

    /// Adds the entries of an index that are wanted; the others become `None`.
    fn entries(&mut self, document: &Document, depth: usize) -> Result<Vec<Option<Descriptor>>, Error> {
        let entries: Vec<&Descriptor> = document.children().collect();
        let mut kept = Vec::new();
        let mut images = HashSet::new();
        for entry in &entries {
            let stated = entry.stated_platform();
            let unwanted = stated.filter(|platform| !platform.is_unknown() && !self.options.platforms.wants(platform));
            let narrowed = match unwanted {
                _ if entry.attestation_of().is_some() => None, // decided below, by its image
                // not read: it may be missing
                Some(platform) => {
                    self.left_out.push(platform.clone());
                    None
                }
                None if entry.media_type().is_document() => self.narrow(entry, depth + 1)?,
                None => {
                    self.whole(entry)?;
                    Some((*entry).clone())
                }
            };
            images.extend(narrowed.as_ref().map(|_| entry.digest().to_string()));
            kept.push(narrowed);
        }
        for (entry, slot) in entries.iter().zip(&mut kept) {
            if entry.attestation_of().is_some_and(|image| images.contains(image)) {
                self.whole(entry)?;
                *slot = Some((*entry).clone());
            }
        }
        Ok(kept)
    }

    /// Makes the smaller index: the entries that stay keep their bytes, and so does everything around them.
    fn shrink(
        &mut self,
        descriptor: &Descriptor,
        document: &Document,
        kept: &[Option<Descriptor>],
    ) -> Result<Descriptor, Error> {
        let place = self.source.location();
        let malformed =
            |error| StoreError::malformed(descriptor.digest().to_string(), place, crate::store::Reason::from(error));
        let mut object = Object::parse(document.raw()).map_err(malformed)?;
        let mut items = Vec::new();
        for ((entry, raw), slot) in document.children().zip(object.items("manifests")).zip(kept) {
            match slot {
                Some(same) if same.digest() == entry.digest() => items.push(raw),
                Some(smaller) => items.push(Object::from_value(&smaller.to_value()).map_err(malformed)?.to_raw()),
                None => {}
            }
        }
        object.set_items("manifests", &items);
        let raw = object.to_raw().get().as_bytes().to_vec();
        let smaller = Document::parse(descriptor.media_type(), raw).map_err(malformed)?;
        self.plan.add_made(&smaller, &format!("smaller index of {}", called(descriptor)));
        let made = smaller.descriptor();
        self.reached.insert(*made.digest());
        self.shrunk.push(*descriptor.digest());
        Ok(descriptor.clone().with_content(&made))
    }

    fn for_none(&self, root: &Descriptor) -> Error {
        let list = |platforms: &[Platform]| {
            let mut names: Vec<String> = platforms.iter().map(ToString::to_string).collect();
            names.dedup();
            names.join(", ")
        };
        let wanted = match &self.options.platforms {
            PlatformFilter::All => "any platform".to_owned(),
            PlatformFilter::Only(wanted) => list(wanted),
        };
        Error::Absent {
            message: format!("cannot find {wanted} in {} of {}", called(root), self.source.location()),
            cause: Some(format!("it is for {}", list(&self.left_out))),
            hint: None,
        }
    }
}

/// Returns the platform of a manifest, as its descriptor states it or else its config; none for what is no image.
fn platform_of(source: &dyn Source, descriptor: &Descriptor, document: &Document) -> Result<Option<Platform>, Error> {
    if let Some(platform) = descriptor.stated_platform() {
        return Ok(Some(platform.clone()).filter(|platform| !platform.is_unknown()));
    }
    let Body::Manifest(manifest) = document.body() else { return Ok(None) };
    let Some(config) = manifest.image_config() else { return Ok(None) };
    Ok(Some(read_config(source, &config.content())?.platform).filter(|platform| !platform.architecture.is_empty()))
}
