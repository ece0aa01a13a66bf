//! What documents of a place belong to, as they say themselves, remembered while a command runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::content::Descriptor;
use crate::digest::Digest;
use crate::media::MediaType;

/// The subjects of documents that were read (image-spec v1.1.1, manifest.md, `subject`). Who asks what belongs to an image looks
/// into every document at the top of its place: for a thousand images they are read once, not a thousand times. A digest says
/// what a document is, so what is remembered stays true.
#[derive(Clone, Debug, Default)]
pub struct Subjects(Arc<Mutex<HashMap<Digest, Said>>>);

/// As what a document was read, and what it says.
#[derive(Debug)]
struct Said {
    media_type: MediaType,
    size: u64,
    subject: Option<Digest>,
}

/// How many are remembered: some 30 MiB.
const MOST: usize = 200_000;

impl Subjects {
    /// Returns what a document says, if it was read before: `Some(None)` of one that belongs to nothing.
    #[must_use]
    pub fn known(&self, of: &Descriptor) -> Option<Option<Digest>> {
        let held = self.held();
        let said = held.get(of.digest())?;
        (said.media_type == *of.media_type() && said.size == of.content().size).then_some(said.subject)
    }

    /// Remembers what a document says that was read.
    pub fn note(&self, of: &Descriptor, subject: Option<Digest>) {
        let mut held = self.held();
        if held.len() < MOST {
            held.insert(*of.digest(), Said { media_type: of.media_type().clone(), size: of.content().size, subject });
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Digest, Said>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{OCI_INDEX, OCI_MANIFEST};

    #[test]
    fn what_was_read_as_something_else_is_not_known() {
        let subjects = Subjects::default();
        let root = Descriptor::of(&OCI_MANIFEST.into(), b"x");
        assert_eq!(subjects.known(&root), None);
        subjects.note(&root, Some(Digest::of(b"image")));
        assert_eq!(subjects.known(&root), Some(Some(Digest::of(b"image"))));
        assert_eq!(subjects.clone().known(&root.clone().with_annotation("a", "b")), Some(Some(Digest::of(b"image"))));
        assert_eq!(subjects.known(&Descriptor::of(&OCI_INDEX.into(), b"x")), None);
        assert_eq!(subjects.known(&Descriptor::new(&OCI_MANIFEST.into(), *root.digest(), 2)), None);
    }
}
