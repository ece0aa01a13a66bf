//! Finding a few descriptors among many.

use std::collections::HashMap;

use super::{claims, full_name, is_named, ref_name};
use crate::content::Descriptor;
use crate::digest::Digest;

/// Descriptors among which one is looked for again and again.
pub(super) struct Same<'d>(HashMap<&'d Digest, Vec<&'d Descriptor>>);

impl<'d> Same<'d> {
    pub(super) fn of(descriptors: &'d [Descriptor]) -> Self {
        let mut same: HashMap<_, Vec<_>> = HashMap::new();
        for descriptor in descriptors {
            same.entry(descriptor.digest()).or_default().push(descriptor);
        }
        Self(same)
    }

    pub(super) fn has(&self, descriptor: &Descriptor) -> bool {
        self.0.get(descriptor.digest()).is_some_and(|same| same.contains(&descriptor))
    }
}

/// Where among many entries those stand that can have to do with one of the descriptors that come: of the others nothing is kept.
/// What has changed since is found as well, and has to be looked at again.
pub(super) struct Standing<'r> {
    pub(super) by_text: HashMap<&'r str, Vec<usize>>,
    pub(super) by_digest: HashMap<&'r Digest, Vec<usize>>,
    pub(super) unnamed: HashMap<&'r Digest, Vec<usize>>,
}

impl<'r> Standing<'r> {
    pub(super) fn of(roots: &'r [Descriptor]) -> Self {
        // a tag that is spelled in full is the full name
        let texts = roots.iter().flat_map(|root| full_name(root).into_iter().chain(ref_name(root)));
        let digests = || roots.iter().map(|root| (root.digest(), Vec::new()));
        Self {
            by_text: texts.map(|text| (text, Vec::new())).collect(),
            by_digest: digests().collect(),
            unnamed: digests().collect(),
        }
    }

    pub(super) fn enter(&mut self, at: usize, descriptor: &Descriptor) {
        let (full, reference) = (full_name(descriptor), ref_name(descriptor));
        for text in full.into_iter().chain(reference.filter(|text| full != Some(text))) {
            self.by_text.get_mut(text).into_iter().for_each(|entries| entries.push(at));
        }
        if let Some(same) = self.by_digest.get_mut(descriptor.digest()) {
            same.push(at);
            if !is_named(descriptor) {
                self.unnamed.get_mut(descriptor.digest()).into_iter().for_each(|entries| entries.push(at));
            }
        }
    }

    /// Returns those that hold a text in either annotation.
    pub(super) fn with_text(&self, text: &str) -> &[usize] {
        self.by_text.get(text).map_or(&[], Vec::as_slice)
    }

    /// Returns those whose fate a descriptor that comes may decide, in order.
    pub(super) fn concerned(&self, root: &Descriptor) -> Vec<usize> {
        let same = self.unnamed.get(root.digest()).into_iter().flatten();
        let mut found: Vec<usize> = claims(root).flat_map(|name| self.with_text(name)).chain(same).copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}
