//! `tree`: how the pieces of an image hang together.

use std::collections::{HashMap, HashSet};

use super::super::Error;
use super::super::attached::{Referrers, attached_as_far_as_read, types_of};
use super::super::lookup::{name_of, select};
use super::super::unlisted::unlisted;
use super::platform_of;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::{Body, Document};
use crate::graph::{self, DEEPEST};
use crate::media::{MediaType, Role};
use crate::platform::Platform;
use crate::reference::Selector;
use crate::store::{Location, Source, StoreError, causes, read_document};

/// A piece of content and what lies below it.
#[derive(Clone, Debug)]
pub struct Branch {
    /// What it is: `index`, `manifest`, `config`, `layer`, `attestation`, `referrer`, or another word for its role.
    pub role: &'static str,
    /// Its names, at the top of the tree.
    pub names: Vec<String>,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes, as promised.
    pub size: u64,
    /// Its type.
    pub media_type: MediaType,
    /// Its type of artifact, of what belongs to an image.
    pub artifact_type: Option<String>,
    /// Its platform.
    pub platform: Option<Platform>,
    /// What is wrong with it, as far as that shows without reading layers.
    pub problem: Option<String>,
    /// Whether its children stand further up already.
    pub repeated: bool,
    /// What it refers to, and then what refers to it as its subject.
    pub children: Vec<Self>,
}

/// Returns the tree of one image, or of every image of a place. Layers are looked for, not read.
///
/// # Errors
/// When the image is not there, or the place does not tell its images.
pub fn tree(source: &dyn Source, selector: Option<&Selector>) -> Result<Vec<Branch>, Error> {
    let all = source.roots()?;
    let mut roots: Vec<Descriptor> = match selector {
        Some(_) => select(source, selector)?,
        None => all.clone(),
    };
    let mut known = HashSet::new();
    roots.retain(|root| known.insert(*root.digest()));
    let mut found = attached_as_far_as_read(source, &all);
    if matches!(source.location(), Location::Registry(_)) {
        let reach = graph::reach(source, &roots, &mut |_, _| ());
        let documents = reach.nodes.iter().filter(|node| node.media_type().is_document());
        let documents: Vec<Digest> = documents.map(|node| node.content.digest).collect();
        let mut asked = unlisted(source, documents.clone(), &Referrers::All, true)?;
        // a registry may list what stands in the index as well
        asked.retain(|one| !documents.contains(one.root.digest()));
        found.extend(asked);
    }
    // what is shown below its subject does not stand beside it
    let attached: HashSet<Digest> = found.iter().map(|one| *one.root.digest()).collect();
    let mut referrers: HashMap<Digest, Vec<Descriptor>> = HashMap::new();
    for one in found.into_iter().filter(|one| *one.root.digest() != one.subject) {
        referrers.entry(one.subject).or_default().push(one.root);
    }
    let mut task = Task { source, referrers, seen: HashSet::new() };
    let (images, others): (Vec<_>, Vec<_>) =
        roots.iter().partition(|root| selector.is_some() || !attached.contains(root.digest()));
    let mut names: HashMap<&Digest, Vec<String>> = HashMap::new();
    for root in &all {
        names.entry(root.digest()).or_default().extend(name_of(root).map(str::to_owned));
    }
    let mut branches = Vec::new();
    for (root, is_below) in images.into_iter().map(|it| (it, false)).chain(others.into_iter().map(|it| (it, true))) {
        if is_below && task.seen.contains(root.digest()) {
            continue;
        }
        let mut branch = task.grow(root, None, 0);
        branch.names = names.remove(root.digest()).unwrap_or_default();
        branch.names.dedup();
        branches.push(branch);
    }
    Ok(branches)
}

struct Task<'a> {
    source: &'a dyn Source,
    /// By what they belong to.
    referrers: HashMap<Digest, Vec<Descriptor>>,
    seen: HashSet<Digest>,
}

impl Task<'_> {
    fn grow(&mut self, descriptor: &Descriptor, role: Option<&'static str>, depth: usize) -> Branch {
        let mut branch = Branch {
            role: role.unwrap_or_else(|| role_of(descriptor)),
            names: Vec::new(),
            digest: *descriptor.digest(),
            size: descriptor.size(),
            media_type: descriptor.media_type().clone(),
            artifact_type: None,
            platform: descriptor.platform().filter(|platform| !platform.is_unknown()).cloned(),
            problem: None,
            repeated: false,
            children: Vec::new(),
        };
        if !descriptor.media_type().is_document() {
            let content = descriptor.content();
            branch.problem = match self.source.open(&content) {
                Err(error) => Some(brief(&error)),
                // what is far away is opened without a look
                Ok(_) => match self.source.holds(&content) {
                    Ok(true) => None,
                    Ok(false) => Some("missing".to_owned()),
                    Err(error) => Some(brief(&error)),
                },
            };
            return branch;
        }
        if !self.seen.insert(*descriptor.digest()) || depth >= DEEPEST {
            branch.repeated = true;
            return branch;
        }
        if matches!(branch.role, "attestation" | "referrer" | "artifact") || descriptor.artifact_type().is_some() {
            branch.artifact_type = types_of(self.source, descriptor).and_then(|types| types.last().cloned());
        }
        match read_document(self.source, descriptor) {
            Err(error) => branch.problem = Some(brief(&error)),
            Ok(document) => self.fill(&mut branch, descriptor, &document, depth),
        }
        // it is grown once: whoever comes here again finds it repeated
        for referrer in self.referrers.remove(&branch.digest).unwrap_or_default() {
            let mut child = self.grow(&referrer, Some("referrer"), depth + 1);
            child.names.extend(name_of(&referrer).map(str::to_owned));
            branch.children.push(child);
        }
        branch
    }

    fn fill(&mut self, branch: &mut Branch, descriptor: &Descriptor, document: &Document, depth: usize) {
        let own = match document.body() {
            Body::Index(index) => &index.artifact_type,
            Body::Manifest(manifest) => &manifest.artifact_type,
        };
        branch.artifact_type = branch.artifact_type.take().or_else(|| own.clone());
        if let Body::Manifest(manifest) = document.body()
            && branch.role == "manifest"
        {
            let platform = platform_of(self.source, descriptor, manifest);
            branch.platform = platform.filter(|platform| !platform.is_unknown() && !platform.architecture.is_empty());
        }
        let config = match document.body() {
            Body::Manifest(manifest) => manifest.config.as_ref().map(|config| *config.digest()),
            Body::Index(_) => None,
        };
        for child in document.children() {
            let is_config = config.as_ref() == Some(child.digest()) && !child.media_type().is_document();
            branch.children.push(self.grow(child, is_config.then_some("config"), depth + 1));
        }
    }
}

fn role_of(descriptor: &Descriptor) -> &'static str {
    match descriptor.media_type().role() {
        _ if descriptor.attestation_of().is_some() => "attestation",
        Role::Index => "index",
        Role::Manifest => "manifest",
        Role::Artifact => "artifact",
        Role::Config => "config",
        Role::Layer(_) => "layer",
        Role::Other => "blob",
    }
}

/// Says in a few words what is wrong.
fn brief(error: &StoreError) -> String {
    match error {
        StoreError::Missing { .. } => "missing".to_owned(),
        other => causes(other).into_iter().next().unwrap_or_else(|| other.to_string()),
    }
}
