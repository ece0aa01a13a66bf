//! `referrers`: what belongs to an image, to its platforms, and to what belongs to those.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::Error;
use super::super::attached::{Attached, Convention, Referrers as Kinds, claims, types_of};
use super::super::lookup::{name_of, select};
use super::super::unlisted::unlisted;
use super::platform_of;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::Body;
use crate::graph;
use crate::media::MediaType;
use crate::platform::{Platform, PlatformFilter};
use crate::reference::Selector;
use crate::store::{Source, causes, read_document};

/// Something that belongs to an image.
#[derive(Clone, Debug)]
pub struct Referrer {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The type of its document.
    pub media_type: MediaType,
    /// Its types of artifact: the first is the one by which registries list it.
    pub types: Vec<String>,
    /// What it belongs to.
    pub subject: Digest,
    /// The platform that it is about, when it belongs to the manifest for one, or to what belongs to that.
    pub platform: Option<Platform>,
    /// How many referrers lie between it and the image.
    pub depth: usize,
    /// By which conventions it says so, in order.
    pub by: Vec<Convention>,
    /// The name by which it stands in the place.
    pub name: Option<String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// What is wrong with it, as far as that shows without reading its files.
    pub problem: Option<String>,
}

/// Lists what belongs to the images that a selector means; with platforms, what belongs to their manifests alone.
///
/// # Errors
/// When an image or a platform is not there, or the place does not tell what it names.
pub fn referrers(
    source: &dyn Source,
    selector: Option<&Selector>,
    platforms: &PlatformFilter,
) -> Result<Vec<Referrer>, Error> {
    let mut all = source.roots()?;
    let images = select(source, selector)?;
    let mut subjects = Subjects::default();
    graph::reach(source, &images, &mut |descriptor, document| match document.body() {
        Body::Index(index) => {
            for child in &index.manifests {
                subjects.enter(child, child.stated_platform().cloned());
            }
        }
        Body::Manifest(manifest) => subjects.enter(descriptor, platform_of(source, descriptor, manifest)),
    });
    // a registry is asked: it does not list them
    let documents = images.iter().map(Descriptor::digest).chain(&subjects.order).chain(&subjects.attesting);
    let documents = documents.copied().collect();
    all.extend(unlisted(source, documents, &Kinds::All, true)?.into_iter().map(|one| one.root));
    let mut pending: Vec<(Digest, Option<Platform>, usize)> = Vec::new();
    if platforms.is_all() {
        pending.extend(images.iter().map(|image| (*image.digest(), subjects.platform_of(image.digest()), 0)));
        let images: HashSet<&Digest> = images.iter().map(Descriptor::digest).collect();
        let others = subjects.order.iter().filter(|digest| !images.contains(digest));
        pending.extend(others.map(|digest| (*digest, subjects.platform_of(digest), 0)));
    } else {
        let wanted = |digest: &&Digest| subjects.platform_of(digest).is_some_and(|it| platforms.wants(&it));
        let found: Vec<&Digest> = subjects.order.iter().filter(wanted).collect();
        let there: Vec<Platform> = subjects.order.iter().filter_map(|digest| subjects.platform_of(digest)).collect();
        if let Some(absent) = platforms.unmatched(&there).first() {
            return Err(Error::Absent {
                message: format!("cannot find {absent} in {}", source.location()),
                cause: Some(format!("it is for {}", crate::platform::list(&there))),
                hint: None,
            });
        }
        pending.extend(found.into_iter().map(|digest| (*digest, subjects.platform_of(digest), 0)));
    }
    let mut by_subject: HashMap<Digest, Vec<Attached>> = HashMap::new();
    for claim in subjects.attestations.into_iter().chain(claims(source, &all)) {
        by_subject.entry(claim.subject).or_default().push(claim);
    }
    let mut found = Vec::new();
    pending.reverse();
    while let Some((subject, platform, depth)) = pending.pop() {
        let mut here: Vec<Referrer> = Vec::new();
        let mut positions: HashMap<Digest, usize> = HashMap::new();
        // removed: a circle has an end
        for claim in by_subject.remove(&subject).unwrap_or_default() {
            match positions.get(claim.root.digest()) {
                Some(&at) => here[at].by.push(claim.by),
                None => {
                    positions.insert(*claim.root.digest(), here.len());
                    here.push(look(source, &claim, platform.clone(), depth));
                }
            }
        }
        for one in &mut here {
            one.by.sort_unstable();
            one.by.dedup();
        }
        // what belongs to one of them comes after it
        pending.extend(here.iter().rev().map(|one| (one.digest, platform.clone(), depth + 1)));
        found.extend(here);
    }
    Ok(found)
}

/// What something may belong to.
#[derive(Default)]
struct Subjects {
    platforms: HashMap<Digest, Option<Platform>>,
    order: Vec<Digest>,
    attestations: Vec<Attached>,
    /// The digests of these.
    attesting: HashSet<Digest>,
}

impl Subjects {
    fn enter(&mut self, descriptor: &Descriptor, platform: Option<Platform>) {
        let digest = *descriptor.digest();
        if let Some(of) = descriptor.attestation_of() {
            self.attesting.insert(digest);
            if let Ok(subject) = of.parse() {
                self.attestations.push(Attached { subject, root: descriptor.clone(), by: Convention::Index });
            }
            return;
        }
        if self.attesting.contains(&digest) {
            return;
        }
        let platform = platform.filter(|platform| !platform.is_unknown() && !platform.architecture.is_empty());
        if !self.platforms.contains_key(&digest) {
            self.order.push(digest);
        }
        let held = self.platforms.entry(digest).or_default();
        *held = held.take().or(platform);
    }

    fn platform_of(&self, digest: &Digest) -> Option<Platform> {
        self.platforms.get(digest).cloned().flatten()
    }
}

fn look(source: &dyn Source, claim: &Attached, platform: Option<Platform>, depth: usize) -> Referrer {
    let root = &claim.root;
    let mut one = Referrer {
        digest: *root.digest(),
        size: root.size(),
        media_type: root.media_type().clone(),
        types: types_of(source, root).unwrap_or_default(),
        subject: claim.subject,
        platform,
        depth,
        by: vec![claim.by],
        name: name_of(root).map(str::to_owned),
        annotations: BTreeMap::new(),
        problem: None,
    };
    if root.media_type().is_document() {
        match read_document(source, root) {
            Ok(document) => one.annotations = document.annotations().clone(),
            Err(error) => {
                let cause = causes(&error).into_iter().next();
                one.problem = Some(cause.unwrap_or_else(|| error.to_string()));
            }
        }
    }
    one
}
