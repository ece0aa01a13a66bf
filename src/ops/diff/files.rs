//! Comparing the files of two images: what a program in them would find, whatever layers it is spread over.

use super::super::Error;
use super::super::choose::{Chosen, platform_of};
use super::super::unpack::{Options, list_files};
use super::Difference;
use super::documents::note;
use crate::blob::Cancel;
use crate::content::Descriptor;
use crate::document::{Body, Document};
use crate::store::Source;
use crate::text::escaped;
use crate::transfer::Observer;

/// An image: where it is, its manifest as it is referred to, and the manifest.
type Held<'a> = (&'a dyn Source, &'a Descriptor, &'a Document);

/// Compares two images file by file.
///
/// # Errors
/// When a layer cannot be read, or is not what its digest and diff_id say.
pub(super) fn compare(
    first: Held<'_>,
    second: Held<'_>,
    path: &[String],
    cancel: &Cancel,
    observer: &dyn Observer,
    found: &mut Vec<Difference>,
) -> Result<(), Error> {
    let list = |held: Held<'_>| list_files(held.0, &chosen(held), &Options::default(), cancel, observer);
    let (mut one, mut other) = (list(first)?, list(second)?);
    let mut names: Vec<Vec<u8>> = one.keys().chain(other.keys()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (a, b) = (one.remove(&name), other.remove(&name));
        if a == b {
            continue;
        }
        let shown = escaped(&String::from_utf8_lossy(&name));
        let (a, b) = match (a, b) {
            // only what is different about it
            (Some(a), Some(b)) => (Some(a.unlike(&b)), Some(b.unlike(&a))),
            (a, b) => (a.map(|facts| facts.to_string()), b.map(|facts| facts.to_string())),
        };
        note(found, path, &["files", &shown], a, b);
    }
    Ok(())
}

fn chosen((source, descriptor, document): Held<'_>) -> Chosen {
    let platform = match document.body() {
        Body::Manifest(manifest) => platform_of(source, descriptor, manifest),
        Body::Index(_) => None,
    };
    Chosen { name: None, descriptor: descriptor.clone(), document: document.clone(), platform }
}
