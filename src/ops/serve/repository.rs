//! A repository: the images of one name, and what belongs to them.
//!
//! Its tags are known from the names alone. What else can be asked for there, by its digest, is found by walking its images
//! when it is asked for the first time: manifests inside of indexes, configs, layers, and everything that refers to one of
//! these as its subject, in whichever place it is.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Value, json};

use super::event::{Event, Observer};
use super::everywhere::Everywhere;
use super::join::{Joined, join};
use super::names::RepositoryName;
use crate::content::{Content, Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::document::Document;
use crate::graph::{self, MOST_DESCRIPTORS};
use crate::media::MediaType;
use crate::ops::attached::Attached;
use crate::reference::is_tag;
use crate::store::Source as _;
use crate::text::escaped;

/// What a tag means.
#[derive(Debug)]
pub(super) struct Tagged {
    /// The image; of several, the one of the place that was given first.
    first: Descriptor,
    /// All images of this name that differ, with the place that each is in; empty when there is one.
    several: Vec<(usize, Descriptor)>,
    /// The image that is made of them.
    joined: OnceLock<Joined>,
}

/// What is found for a tag.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// An image.
    Image(&'a Descriptor),
    /// An image that was made of several.
    Made(&'a Document),
    /// Several images stand side by side under this name, in one place: nobody can tell which is meant.
    Unclear(usize),
}

impl Found<'_> {
    /// Returns which image it is; none when that is not clear.
    pub(super) fn digest(&self) -> Option<Digest> {
        match self {
            Self::Image(root) => Some(*root.digest()),
            Self::Made(document) => Some(*document.descriptor().digest()),
            Self::Unclear(_) => None,
        }
    }
}

/// A repository.
#[derive(Debug)]
pub(super) struct Repository {
    name: RepositoryName,
    tags: BTreeMap<String, Tagged>,
    /// Images that have no tag, to be had by their digest.
    untagged: Vec<Descriptor>,
    join: bool,
    whole: OnceLock<Whole>,
}

/// Something in a repository.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// What it is.
    pub(super) content: Content,
    /// The type by which it is referred to.
    pub(super) media_type: MediaType,
    /// Its bytes, when barge made it.
    pub(super) made: Option<Bytes>,
}

/// All that can be asked for in a repository by its digest.
#[derive(Debug, Default)]
pub(super) struct Whole {
    members: HashMap<Digest, Member>,
    /// Descriptors of what has a subject, by that, with their types of artifact.
    referrers: HashMap<Digest, Vec<(Option<String>, Value)>>,
    /// Tags that belong to an image by their name, such as cosign's.
    tags: BTreeMap<String, Descriptor>,
    /// What could not be walked, in words.
    problems: Vec<String>,
}

impl Repository {
    /// Makes an empty one. `join` says whether several images of one name become one.
    pub(super) const fn new(name: RepositoryName, join: bool) -> Self {
        Self { name, tags: BTreeMap::new(), untagged: Vec::new(), join, whole: OnceLock::new() }
    }

    /// Adds an image of a place. Places come in their order.
    pub(super) fn add(&mut self, place: usize, tag: Option<String>, root: &Descriptor) {
        let Some(tag) = tag else {
            self.untagged.push(root.clone());
            return;
        };
        let Some(held) = self.tags.get_mut(&tag) else {
            let tagged = Tagged { first: root.clone(), several: vec![(place, root.clone())], joined: OnceLock::new() };
            self.tags.insert(tag, tagged);
            return;
        };
        if !held.several.iter().any(|(_, other)| other.digest() == root.digest()) {
            held.several.push((place, root.clone()));
        }
    }

    /// Returns its name.
    pub(super) const fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// Returns the tags of its images.
    pub(super) fn tags(&self) -> impl Iterator<Item = &String> {
        self.tags.keys()
    }

    /// Returns what an image's own tag means.
    pub(super) fn tag(&self, tag: &str, everywhere: &Everywhere) -> Option<Found<'_>> {
        let tagged = self.tags.get(tag)?;
        let joined = self.joined(tagged, everywhere);
        Some(match (tagged.in_first_place(), joined) {
            (_, Some(Ok(made))) => Found::Made(made),
            (1, _) => Found::Image(&tagged.first),
            (several, _) => Found::Unclear(several),
        })
    }

    /// Returns what a person should know of tags that mean several images, as sentences.
    pub(super) fn warnings(&self, everywhere: &Everywhere) -> Vec<String> {
        let place = |at: usize| everywhere.snapshots()[at].store().location();
        let mut warnings = Vec::new();
        for (tag, tagged) in self.tags.iter().filter(|(_, tagged)| tagged.several.len() > 1) {
            let name = escaped(&format!("{}:{tag}", self.name.full()));
            let first = tagged.several[0].0;
            let why = match self.joined(tagged, everywhere) {
                Some(Ok(_)) => continue,
                Some(Err(reason)) => format!(" (they cannot be joined: {reason})"),
                None => "; --join makes one image of those for different platforms".to_owned(),
            };
            warnings.push(match tagged.in_first_place() {
                1 => {
                    let other = tagged.several.iter().map(|(at, _)| *at).find(|at| *at != first).unwrap_or(first);
                    format!(
                        "{name} is another image in {} than in {}: the one of {} is served{why}",
                        place(other),
                        place(first),
                        place(first)
                    )
                }
                count => {
                    format!("{name} is {count} images in {}: none of them is served under that name{why}", place(first))
                }
            });
        }
        warnings
    }

    fn joined<'a>(&self, tagged: &'a Tagged, everywhere: &Everywhere) -> Option<&'a Joined> {
        (self.join && tagged.several.len() > 1).then(|| tagged.joined.get_or_init(|| join(everywhere, &tagged.several)))
    }

    /// Returns all that can be asked for by its digest: walked when it is first asked for.
    pub(super) fn whole(&self, everywhere: &Everywhere, attached: &[Attached], observer: &dyn Observer) -> &Whole {
        self.whole.get_or_init(|| {
            let mut whole = Whole::default();
            for tagged in self.tags.values() {
                if let Some(Ok(made)) = self.joined(tagged, everywhere) {
                    whole.make(made);
                }
            }
            let tagged = self.tags.values().flat_map(|tagged| tagged.several.iter().map(|(_, root)| root));
            let roots: Vec<Descriptor> = tagged.chain(&self.untagged).cloned().collect();
            whole.walk(everywhere, &roots);
            whole.attach(everywhere, attached);
            for problem in &whole.problems {
                observer.hear(Event::Warning(problem));
            }
            whole
        })
    }
}

impl Tagged {
    /// Returns how many different images have this name in the first place that has any.
    fn in_first_place(&self) -> usize {
        let first = self.several[0].0;
        self.several.iter().filter(|(place, _)| *place == first).count()
    }
}

impl Whole {
    /// Returns what has this digest.
    pub(super) fn member(&self, digest: &Digest) -> Option<&Member> {
        self.members.get(digest)
    }

    /// Returns the descriptors of what has this content as its subject, with their types of artifact.
    pub(super) fn referrers(&self, subject: &Digest) -> &[(Option<String>, Value)] {
        self.referrers.get(subject).map_or(&[], Vec::as_slice)
    }

    /// Returns the tags that belong to an image.
    pub(super) fn tags(&self) -> impl Iterator<Item = &String> {
        self.tags.keys()
    }

    /// Returns what a tag means that belongs to an image.
    pub(super) fn tag(&self, tag: &str) -> Option<&Descriptor> {
        self.tags.get(tag)
    }

    fn make(&mut self, document: &Document) {
        let descriptor = document.descriptor();
        let made = Some(Bytes::copy_from_slice(document.raw()));
        let member = Member { content: descriptor.content(), media_type: descriptor.media_type().clone(), made };
        self.members.insert(*descriptor.digest(), member);
    }

    /// Adds what can be reached from some descriptors, and returns what is new.
    fn walk(&mut self, everywhere: &Everywhere, roots: &[Descriptor]) -> Vec<Digest> {
        let referrers = &mut self.referrers;
        let reach = graph::reach(everywhere, roots, &mut |descriptor, document| {
            if let Some(subject) = document.subject() {
                let list = referrers.entry(*subject.digest()).or_default();
                let (kind, value) = as_referrer(descriptor, document);
                if !list.iter().any(|(_, other)| other["digest"] == value["digest"]) {
                    list.push((kind, value));
                }
            }
        });
        // what a place does not hold is found to be missing when it is asked for
        let told = reach.findings.iter().filter(|finding| !is_missing(&finding.error));
        self.problems.extend(told.map(|finding| format!("{}: {}", finding.about, finding.error)));
        let mut new = Vec::new();
        for node in reach.nodes {
            if self.members.len() >= MOST_DESCRIPTORS {
                self.problems.push(format!("it holds more than {MOST_DESCRIPTORS} pieces: the rest is not served"));
                break;
            }
            let digest = node.content.digest;
            // of several types, the one that says that it is a document
            let is_document = node.media_type().is_document();
            if self.members.get(&digest).is_none_or(|held| is_document && !held.media_type.is_document()) {
                self.members.insert(
                    digest,
                    Member { media_type: node.media_type().clone(), content: node.content, made: None },
                );
                new.push(digest);
            }
        }
        new
    }

    /// Adds what belongs to something that is here, to that again, and so on.
    fn attach(&mut self, everywhere: &Everywhere, attached: &[Attached]) {
        let mut by_subject: HashMap<Digest, Vec<&Descriptor>> = HashMap::new();
        for Attached { subject, root, .. } in attached {
            by_subject.entry(*subject).or_default().push(root);
        }
        let mut pending: Vec<Digest> = self.members.keys().copied().collect();
        while let Some(subject) = pending.pop() {
            for root in by_subject.remove(&subject).unwrap_or_default() {
                if let Some(tag) = root.annotation(REF_NAME).filter(|tag| is_tag(tag)) {
                    self.tags.entry(tag.to_owned()).or_insert_with(|| root.clone());
                }
                pending.extend(self.walk(everywhere, std::slice::from_ref(root)));
            }
        }
    }
}

fn is_missing(error: &crate::store::StoreError) -> bool {
    matches!(error, crate::store::StoreError::Missing { .. })
}

/// Returns the descriptor of a referrer as it is listed (distribution-spec v1.1.1, "Listing Referrers"): with its type of
/// artifact, which for a manifest without one is that of its config, and its annotations.
fn as_referrer(descriptor: &Descriptor, document: &Document) -> (Option<String>, Value) {
    let kind = document.artifact_type().map(str::to_owned);
    let mut value = json!({"mediaType": document.media_type().as_str(), "digest": descriptor.digest().to_string(),
        "size": descriptor.size()});
    if let Some(kind) = &kind {
        value["artifactType"] = json!(kind);
    }
    if !document.annotations().is_empty() {
        value["annotations"] = json!(document.annotations());
    }
    (kind, value)
}
