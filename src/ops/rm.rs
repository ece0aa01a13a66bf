//! `rm`: names go, or platforms of an image; content goes only when it is asked for.

use std::collections::HashSet;

use super::Error;
use super::attached::{attached_as_far_as_read, belonging, called, standing_alone};
use super::carry::{CarryOptions, IndexPolicy, Referrers, carry};
use super::lookup::{name_of, select_names};
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::{Body, ImageConfig};
use crate::graph::{self, Reach};
use crate::plan::Plan;
use crate::platform::{self, Platform, PlatformFilter};
use crate::reference::Selector;
use crate::store::{Source, StoreError, read_document, read_small};

/// A name that goes, or that means a smaller image now.
#[derive(Clone, Debug)]
pub struct Removed {
    /// The descriptor that goes, as it stands.
    pub from: Descriptor,
    /// What has its place; none when the whole image goes.
    pub to: Option<Descriptor>,
    /// Other names that still mean the same content.
    pub other_names: Vec<String>,
}

/// A removal that has not been carried out yet.
#[derive(Debug)]
pub struct Removing<'a> {
    /// What is made, and what goes.
    pub plan: Plan<'a>,
    /// The names that go or change.
    pub removed: Vec<Removed>,
    /// Content that what goes refers to: what of it nothing else refers to may go too.
    pub candidates: HashSet<Digest>,
    /// What belongs to what goes, and goes with it.
    pub referrers: Vec<Descriptor>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// Plans to take images, or some platforms of them, out of a place. What belongs to them goes with them, unless it belongs to
/// something that stays too or has a name of its own; with [`Referrers::None`] it stays.
///
/// # Errors
/// When an image or a platform is not there; when nothing but attestations would be left, which is no image.
pub fn remove<'a>(
    source: &'a dyn Source,
    selectors: &[Selector],
    platforms: &PlatformFilter,
    referrers: &Referrers,
) -> Result<Removing<'a>, Error> {
    let all = source.roots()?;
    let mut task = Removing {
        plan: Plan::new(),
        removed: Vec::new(),
        candidates: HashSet::new(),
        referrers: Vec::new(),
        warnings: Vec::new(),
    };
    for selector in selectors {
        for root in select_names(source, selector)? {
            if task.removed.iter().any(|removed| removed.from == root) {
                continue;
            }
            task.take(source, &root, platforms)?;
        }
    }
    for removed in &mut task.removed {
        let same = all.iter().filter(|root| root.digest() == removed.from.digest() && **root != removed.from);
        removed.other_names = same.filter_map(name_of).map(str::to_owned).collect();
    }
    task.take_referrers(source, &all, referrers);
    Ok(task)
}

impl<'a> Removing<'a> {
    fn take(&mut self, source: &'a dyn Source, root: &Descriptor, platforms: &PlatformFilter) -> Result<(), Error> {
        // what cannot be read cannot be cleaned up after, but its name can go
        let reach = graph::reach(source, std::slice::from_ref(root), &mut |_, _| ());
        self.candidates.extend(reach.nodes.iter().map(|node| node.content.digest));
        let to = match platforms {
            PlatformFilter::All => None,
            PlatformFilter::Only(wanted) => Some(self.without(source, root, wanted)?),
        };
        self.plan.add_gone(root.clone());
        if let Some(to) = &to {
            self.plan.add_root(to.clone());
        }
        self.removed.push(Removed { from: root.clone(), to, other_names: Vec::new() });
        Ok(())
    }

    /// Finds what belongs to what goes, and to nothing that stays.
    fn take_referrers(&mut self, source: &'a dyn Source, all: &[Descriptor], referrers: &Referrers) {
        let belongs = attached_as_far_as_read(source, all);
        if !belongs.iter().any(|one| self.candidates.contains(&one.subject)) {
            return;
        }
        let goes = |root: &Descriptor| self.removed.iter().any(|removed| removed.from == *root);
        let staying: Vec<Descriptor> = all.iter().filter(|root| !goes(root)).cloned().collect();
        let alone = standing_alone(&belongs, &staying);
        let reached = |source: &dyn Source, roots: &[Descriptor]| {
            let Reach { nodes, findings } = graph::reach(source, roots, &mut |_, _| ());
            // of a damaged document nobody knows what it holds; one that is missing is itself known
            let is_known = findings.iter().all(|finding| matches!(finding.error, StoreError::Missing { .. }));
            (nodes.into_iter().map(|node| node.content.digest).collect::<HashSet<Digest>>(), is_known)
        };
        let smaller: Vec<Descriptor> = self.removed.iter().filter_map(|removed| removed.to.clone()).collect();
        let (mut kept, is_known) = reached(source, &alone);
        let (of_smaller, is_known_of_smaller) = reached(&self.plan, &smaller);
        kept.extend(of_smaller);
        let is_known = is_known && is_known_of_smaller;
        let lost: HashSet<Digest> = self.candidates.difference(&kept).copied().collect();
        let stays: HashSet<Digest> = belonging(&belongs, &kept).iter().map(|root| *root.digest()).collect();
        for referrer in belonging(&belongs, &lost) {
            if !staying.contains(&referrer) || stays.contains(referrer.digest()) {
                continue;
            }
            if !is_known {
                let why = "an image that cannot be read may hold it too";
                self.warnings.push(format!("{} belongs to what is removed, and stays: {why}", called(&referrer)));
            } else if *referrers == Referrers::None {
                self.warnings.push(format!("{} belongs to what is removed, and stays", called(&referrer)));
            } else if alone.contains(&referrer) {
                let why = "it has a name of its own";
                self.warnings.push(format!("{} belongs to what is removed, and stays: {why}", called(&referrer)));
            } else {
                self.candidates.extend(reached(source, std::slice::from_ref(&referrer)).0);
                self.plan.add_gone(referrer.clone());
                self.referrers.push(referrer);
            }
        }
    }

    /// Makes the image without some platforms.
    fn without(
        &mut self,
        source: &'a dyn Source,
        root: &Descriptor,
        unwanted: &[Platform],
    ) -> Result<Descriptor, Error> {
        let there = platforms_of(source, root)?;
        if let Some(absent) = unwanted.iter().find(|platform| !there.iter().any(|there| platform.matches(there))) {
            return Err(Error::Absent {
                message: format!("cannot remove {absent} from {}: it is not for that platform", called(root)),
                cause: Some(format!("it is for {}", platform::list(&there))),
                hint: None,
            });
        }
        let kept: Vec<Platform> =
            there.iter().filter(|there| !unwanted.iter().any(|platform| platform.matches(there))).cloned().collect();
        if kept.is_empty() {
            return Err(Error::Usage {
                message: format!("cannot remove every platform of {}", called(root)),
                hint: Some("leave out --platform to remove the image".to_owned()),
            });
        }
        let options = CarryOptions {
            platforms: PlatformFilter::Only(kept.iter().map(Platform::normalized).collect()),
            index: IndexPolicy::Shrink,
            referrers: Referrers::None,
            digest_tags: true,
        };
        let mut carried = carry(&mut self.plan, source, std::slice::from_ref(root), &options)?;
        Ok(carried.swap_remove(0).to)
    }
}

/// Returns the platforms of an image.
///
/// # Errors
/// When a document of it cannot be read.
fn platforms_of(source: &dyn Source, root: &Descriptor) -> Result<Vec<Platform>, Error> {
    let mut platforms = Vec::new();
    let mut pending = vec![root.clone()];
    let mut seen = HashSet::new();
    while let Some(descriptor) = pending.pop() {
        if descriptor.attestation_of().is_some() || !seen.insert(*descriptor.digest()) {
            continue;
        }
        let stated = descriptor.stated_platform();
        if let Some(platform) = stated {
            platforms.extend((!platform.is_unknown()).then(|| platform.clone()));
            continue;
        }
        if !descriptor.media_type().is_document() {
            continue;
        }
        match read_document(source, &descriptor)?.body() {
            Body::Index(index) => pending.extend(index.manifests.iter().rev().cloned()),
            Body::Manifest(manifest) => {
                if let Some(config) = manifest.image_config() {
                    let parsed = ImageConfig::parse(&read_small(source, &config.content())?);
                    platforms.extend(parsed.ok().map(|config| config.platform));
                }
            }
        }
    }
    Ok(platforms)
}
