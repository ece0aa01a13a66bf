//! What belongs to an image without being part of it: signatures, attestations and other referrers at the top of a place.

use std::collections::HashSet;

use super::lookup::name_of;
use crate::content::{CONTAINERD_SUBJECT, Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::reference::tag_of;
use crate::store::{Source, read_document};

/// A top-level descriptor, and the content that it belongs to.
#[derive(Clone, Debug)]
pub struct Attached {
    /// What it belongs to.
    pub subject: Digest,
    /// The descriptor, as it stands.
    pub root: Descriptor,
}

/// Finds what belongs to what at the top of a place, by every convention in use: containerd's annotation, the tags of
/// cosign and of distribution-spec v1.1.1 ("Referrers Tag Schema"), and the `subject` of the document itself.
pub fn attached(source: &dyn Source, roots: &[Descriptor]) -> Vec<Attached> {
    let mut found = Vec::new();
    for root in roots {
        let annotated = root.annotation(CONTAINERD_SUBJECT).and_then(|text| text.parse().ok());
        let tagged = || root.annotation(REF_NAME).and_then(subject_of_tag);
        // a document that cannot be read is nobody's referrer as far as can be told
        let own = || match root.media_type().is_document() {
            true => read_document(source, root).ok().and_then(|document| document.subject().map(|s| *s.digest())),
            false => None,
        };
        let subject = annotated.or_else(tagged).or_else(own);
        found.extend(subject.map(|subject| Attached { subject, root: root.clone() }));
    }
    found
}

/// Returns what belongs to some content, to what belongs to it, and so on, in the order of the place.
#[must_use]
pub fn belonging(attached: &[Attached], contents: &HashSet<Digest>) -> Vec<Descriptor> {
    let mut subjects = contents.clone();
    let mut taken: Vec<bool> = attached.iter().map(|one| contents.contains(one.root.digest())).collect();
    loop {
        let next = |(at, one): (usize, &Attached)| (!taken[at] && subjects.contains(&one.subject)).then_some(at);
        let Some(at) = attached.iter().enumerate().find_map(next) else { break };
        taken[at] = true;
        subjects.insert(*attached[at].root.digest());
    }
    let chosen = attached.iter().zip(&taken).filter(|(one, taken)| **taken && !contents.contains(one.root.digest()));
    chosen.map(|(one, _)| one.root.clone()).collect()
}

/// Returns the digest in `sha256-HEX` and `sha256-HEX.sig`.
fn subject_of_tag(name: &str) -> Option<Digest> {
    let tag = tag_of(name).unwrap_or(name);
    let (algorithm, rest) = tag.split_once('-')?;
    let hex = rest.split('.').next()?;
    format!("{algorithm}:{hex}").parse().ok()
}

/// Returns how a descriptor is called in a message: its name, else its digest.
#[must_use]
pub fn called(root: &Descriptor) -> String {
    name_of(root).map_or_else(|| root.digest().to_string(), crate::text::escaped)
}
