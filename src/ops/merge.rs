//! `merge`: images of any make, one for each platform, become one multi-arch image.
//!
//! Not a byte of an image changes: only the index over them is made, from their own descriptors, in an order that depends
//! on the images alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use super::Error;
use super::attached::{Referrers, belonging, counted, wanted};
pub use super::gather::Attestations;
use super::gather::{Gathered, Image, ImageKey, gather};
use super::left_behind::{LeftBehind, left_behind};
use super::target::unite;
use crate::content::{CONTAINERD_NAME, Descriptor, REF_NAME, total};
use crate::digest::Digest;
use crate::document::Document;
use crate::graph::{self, Reach};
use crate::json;
use crate::media::{DOCKER_INDEX, MediaType, OCI_INDEX, Role};
use crate::plan::Plan;
use crate::platform::{Platform, PlatformFilter};
use crate::reference::ImageName;
use crate::store::{Source, StoreError, read_document};

/// What to do when two images are for the same platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// Refuse, and name both.
    #[default]
    Refuse,
    /// Take the later one.
    Replace,
    /// Keep the earlier one.
    Keep,
}

/// The type of the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexType {
    /// An OCI image index.
    #[default]
    Oci,
    /// A Docker manifest list.
    Docker,
}

/// Some images of one source.
#[derive(Clone)]
pub struct MergeSource<'a> {
    /// What the user typed.
    pub label: String,
    /// Where they are.
    pub source: &'a dyn Source,
    /// Which they are, at the top of the source.
    pub roots: Vec<Descriptor>,
}

impl std::fmt::Debug for MergeSource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MergeSource").field("label", &self.label).field("roots", &self.roots).finish_non_exhaustive()
    }
}

/// What is wanted of a merge.
#[derive(Clone, Debug, Default)]
pub struct MergeOptions {
    /// The names of the result, each with a tag.
    pub names: Vec<ImageName>,
    /// Which platforms to take.
    pub platforms: PlatformFilter,
    /// What to do when two images are for the same platform.
    pub on_duplicate: OnDuplicate,
    /// What becomes of attestations.
    pub attestations: Attestations,
    /// Annotations of the index.
    pub annotations: BTreeMap<String, String>,
    /// The type of the index.
    pub index_type: IndexType,
    /// Whether an index without any image is one too.
    pub may_be_empty: bool,
    /// What becomes of signatures and other referrers of what is merged.
    pub referrers: Referrers,
    /// Whether those go along that a tag made of a digest names.
    pub digest_tags: bool,
}

/// An image that went into the index, for reports.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its platform.
    pub platform: Platform,
    /// Its manifest.
    pub descriptor: Descriptor,
    /// Where it came from, as the user typed it.
    pub label: String,
    /// How many attestations describe it.
    pub attestations: usize,
    /// All its bytes but the attestations'.
    pub bytes: u64,
}

/// A merged image that has not been written yet.
#[derive(Debug)]
pub struct Merged<'a> {
    /// All content, and where it comes from.
    pub plan: Plan<'a>,
    /// The index.
    pub index: Document,
    /// What is in it, in order.
    pub members: Vec<Member>,
    /// How many referrers of them come along.
    pub referrers: usize,
    /// The referrers that stay behind because the index that they belong to is not the one that is made.
    pub behind: Vec<LeftBehind>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// Plans a merge.
///
/// # Errors
/// When a source cannot be read or something in it is wrong, two images are for one platform, a platform asked for is
/// nowhere, or nothing is left to merge.
pub fn merge<'a>(sources: &[MergeSource<'a>], options: &MergeOptions) -> Result<Merged<'a>, Error> {
    let mut chosen = Chosen::default();
    let mut left_out = Vec::new();
    for source in sources {
        let gathered = gather(source.source, &source.roots, &options.platforms, options.attestations)
            .map_err(|error| advise(error, source))?;
        left_out.extend(gathered.left_out.iter().cloned());
        chosen.take(gathered, source, options.on_duplicate)?;
    }
    let Chosen { mut images, mut others, mut warnings, .. } = chosen;
    refuse_absent_platforms(&images, &left_out, sources, options)?;
    images.sort_by_key(|member| order(&member.image));
    others.sort_by_key(|(descriptor, ..)| *descriptor.digest());

    let mut plan = Plan::new();
    let mut entries = Vec::new();
    let mut members = Vec::new();
    for taken in &images {
        plan.add_reach(taken.source.source, &taken.image.reach);
        entries.push(&taken.image.descriptor);
        members.push(member(taken));
    }
    let attestations = images.iter().flat_map(|taken| &taken.attestations);
    for (descriptor, reach, source) in others.iter().chain(attestations) {
        if !entries.iter().any(|entry| entry.digest() == descriptor.digest()) {
            plan.add_reach(*source, reach);
            entries.push(descriptor);
        }
    }
    let index = make_index(&entries, options)?;
    plan.add_made(&index, &format!("index of {} platforms", members.len()));
    for name in &options.names {
        plan.add_root(named(&index.descriptor(), name));
    }
    if options.index_type == IndexType::Docker && entries.iter().any(|entry| is_oci(entry)) {
        warnings.push("a Docker manifest list over OCI manifests: some old clients take only one kind".to_owned());
    }
    let (referrers, behind) = add_referrers(&mut plan, sources, options)?;
    Ok(Merged { plan, index, members, referrers, behind, warnings })
}

/// Adds what belongs to what is merged. Returns how much that is, and what belongs to indexes that are not the one that is made.
fn add_referrers<'a>(
    plan: &mut Plan<'a>,
    sources: &[MergeSource<'a>],
    options: &MergeOptions,
) -> Result<(usize, Vec<LeftBehind>), Error> {
    if options.referrers == Referrers::None {
        return Ok((0, Vec::new()));
    }
    let contents: HashSet<Digest> = plan.inventory().contents.iter().map(|content| content.digest).collect();
    let mut along: HashMap<Digest, Vec<Descriptor>> = HashMap::new();
    let mut behind: Vec<LeftBehind> = Vec::new();
    let mut number: HashSet<Digest> = HashSet::new();
    for MergeSource { source, roots, .. } in sources {
        let belongs = wanted(*source, &options.referrers, options.digest_tags)?;
        for referrer in belonging(&belongs, &contents) {
            let same = along.entry(*referrer.digest()).or_default();
            if !same.contains(&referrer) {
                let reach = graph::reach(*source, std::slice::from_ref(&referrer), &mut |_, _| ());
                plan.add_reach(*source, &reach.whole()?.all_there(*source)?);
                same.push(referrer.clone());
                number.extend(counted(*source, std::slice::from_ref(&referrer)));
                plan.add_root(referrer);
            }
        }
        let arrives = |digest: &Digest| contents.contains(digest) || along.contains_key(digest);
        for left in left_behind(*source, &belongs, &indexes(*source, roots)?, &arrives) {
            if !behind.contains(&left) {
                behind.push(left);
            }
        }
    }
    unite(plan, None)?;
    Ok((number.len(), behind))
}

/// Returns the indexes among some descriptors, and those inside them.
fn indexes(source: &dyn Source, roots: &[Descriptor]) -> Result<Vec<Digest>, StoreError> {
    let is_index = |descriptor: &&Descriptor| descriptor.media_type().role() == Role::Index;
    let mut pending: Vec<Descriptor> = roots.iter().filter(is_index).cloned().collect();
    let mut found: Vec<Digest> = Vec::new();
    while let Some(index) = pending.pop() {
        if !found.contains(index.digest()) {
            found.push(*index.digest());
            pending.extend(read_document(source, &index)?.children().filter(is_index).cloned());
        }
    }
    Ok(found)
}

/// An artifact or an attestation, its content, and where that is.
type Other<'a> = (Descriptor, Reach, &'a dyn Source);

/// An image, where it comes from, and what describes it, which may come from several places.
struct Taken<'a> {
    image: Image,
    source: MergeSource<'a>,
    attestations: Vec<Other<'a>>,
}

impl<'a> Taken<'a> {
    fn new(mut image: Image, source: &MergeSource<'a>) -> Self {
        let attestations = std::mem::take(&mut image.attestations);
        let here = |(descriptor, reach)| (descriptor, reach, source.source);
        Self { image, source: source.clone(), attestations: attestations.into_iter().map(here).collect() }
    }

    /// Takes the same image from another place. Nothing may depend on which of the two came first.
    fn join(&mut self, other: Self) {
        keep_the_fuller(&mut self.image.descriptor, other.image.descriptor);
        for attestation in other.attestations {
            add_once(&mut self.attestations, attestation);
        }
        self.attestations.sort_by_key(|(descriptor, ..)| *descriptor.digest());
    }
}

/// Adds something from an index unless it is there already.
fn add_once<'a>(list: &mut Vec<Other<'a>>, new: Other<'a>) {
    match list.iter_mut().find(|(held, ..)| held.digest() == new.0.digest()) {
        Some((held, ..)) => keep_the_fuller(held, new.0),
        None => list.push(new),
    }
}

/// Of two descriptors of the same content, keeps the one that says more.
fn keep_the_fuller(held: &mut Descriptor, other: Descriptor) {
    let said = |descriptor: &Descriptor| json::encode(&descriptor.to_value());
    let (old, new) = (said(held), said(&other));
    if (new.len(), new) > (old.len(), old) {
        *held = other;
    }
}

#[derive(Default)]
struct Chosen<'a> {
    images: Vec<Taken<'a>>,
    by_key: HashMap<ImageKey, usize>,
    others: Vec<Other<'a>>,
    warnings: Vec<String>,
}

impl<'a> Chosen<'a> {
    fn take(&mut self, gathered: Gathered, source: &MergeSource<'a>, on_duplicate: OnDuplicate) -> Result<(), Error> {
        self.warnings.extend(gathered.warnings);
        for (descriptor, reach) in gathered.others {
            add_once(&mut self.others, (descriptor, reach, source.source));
        }
        for image in gathered.images {
            let key = image.key();
            let Some(&at) = self.by_key.get(&key) else {
                self.by_key.insert(key, self.images.len());
                self.images.push(Taken::new(image, source));
                continue;
            };
            let Taken { image: held, source: held_source, .. } = &self.images[at];
            if held.descriptor.digest() == image.descriptor.digest() {
                self.images[at].join(Taken::new(image, source));
                continue;
            }
            let twice = format!("{} is in {} and in {}", image.platform, held_source.label, source.label);
            match on_duplicate {
                OnDuplicate::Refuse => {
                    return Err(Error::Duplicate {
                        platform: Box::new(image.platform),
                        first: held_source.label.clone(),
                        first_digest: Box::new(*held.descriptor.digest()),
                        second: source.label.clone(),
                        second_digest: Box::new(*image.descriptor.digest()),
                    });
                }
                OnDuplicate::Replace => {
                    self.warnings.push(format!("{twice}: took {}", image.descriptor.digest()));
                    self.images[at] = Taken::new(image, source);
                }
                OnDuplicate::Keep => self.warnings.push(format!("{twice}: kept {}", held.descriptor.digest())),
            }
        }
        Ok(())
    }
}

/// Says what to do about a source that lists platforms it does not hold, as `docker save` of a partly pulled image does.
fn advise(error: Error, source: &MergeSource<'_>) -> Error {
    match error {
        Error::Content { about, error: error @ StoreError::Missing { .. }, hint: None } => {
            let hint = format!(
                "{} lists it and does not hold it: leave it out with --platform, or save the image again with all its platforms",
                source.label
            );
            Error::Content { about, error, hint: Some(hint) }
        }
        other => other,
    }
}

/// Returns where an image stands in the index: the lowest demands first, since where several match, the first is taken.
fn order(image: &Image) -> impl Ord + use<> {
    let key = image.key();
    (key.platform, key.zstd_twin, *image.descriptor.digest())
}

fn refuse_absent_platforms(
    images: &[Taken<'_>],
    left_out: &[Platform],
    sources: &[MergeSource<'_>],
    options: &MergeOptions,
) -> Result<(), Error> {
    let there: Vec<Platform> = images.iter().map(|taken| taken.image.platform.clone()).collect();
    let list = |platforms: &[Platform]| {
        let mut keys: Vec<_> = platforms.iter().map(Platform::key).collect();
        keys.sort();
        keys.dedup();
        keys.iter().map(|key| key.platform().to_string()).collect::<Vec<_>>().join(", ")
    };
    if let Some(absent) = options.platforms.unmatched(&there).first() {
        let all: Vec<_> = there.iter().chain(left_out).cloned().collect();
        return Err(Error::Absent {
            message: format!("cannot find {absent} in any source"),
            cause: Some(if all.is_empty() {
                "they hold no image".to_owned()
            } else {
                format!("they hold {}", list(&all))
            }),
            hint: None,
        });
    }
    if images.is_empty() && !options.may_be_empty {
        let labels = sources.iter().map(|source| source.label.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Error::Absent { message: format!("cannot find an image in {labels}"), cause: None, hint: None });
    }
    Ok(())
}

fn member(taken: &Taken<'_>) -> Member {
    let Taken { image, source, attestations } = taken;
    Member {
        platform: image.platform.clone(),
        descriptor: image.descriptor.clone(),
        label: source.label.clone(),
        attestations: attestations.len(),
        bytes: total(image.reach.nodes.iter().map(|node| node.content.size)),
    }
}

fn make_index(entries: &[&Descriptor], options: &MergeOptions) -> Result<Document, Error> {
    let media_type = MediaType::new(match options.index_type {
        IndexType::Oci => OCI_INDEX,
        IndexType::Docker => DOCKER_INDEX,
    });
    let manifests: Vec<Value> = entries.iter().map(|entry| entry.to_value()).collect();
    let mut value = json!({"schemaVersion": 2, "mediaType": media_type.as_str(), "manifests": manifests});
    if !options.annotations.is_empty() {
        if options.index_type == IndexType::Docker {
            return Err(Error::Usage {
                message: "cannot annotate a Docker manifest list: it has no annotations".to_owned(),
                hint: Some("leave out --annotation or --media-type docker".to_owned()),
            });
        }
        value["annotations"] = json!(options.annotations);
    }
    let place = crate::store::Location::Memory("the merged index".to_owned());
    Ok(Document::make(&media_type, &value).map_err(|error| StoreError::malformed("the index", &place, error))?)
}

/// Returns a top-level descriptor under a name: in full for containerd, docker and podman, and the tag for skopeo and
/// others. Where another repository has that tag, the commit spells it in full: [`crate::store::names`].
#[must_use]
pub fn named(descriptor: &Descriptor, name: &ImageName) -> Descriptor {
    let tag = name.tag().unwrap_or("latest");
    descriptor.clone().with_annotation(CONTAINERD_NAME, &name.to_string()).with_annotation(REF_NAME, tag)
}

fn is_oci(entry: &Descriptor) -> bool {
    entry.media_type().as_str().starts_with("application/vnd.oci.")
}
