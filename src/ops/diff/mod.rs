//! `diff`: in what two images, or the images of two places, differ.
//!
//! Equal digests are equal content, so only what differs is read: indexes, manifests, configs, and when it is asked for the
//! layers, file by file. What is found is a flat list in the order of the documents, each difference with the path that leads
//! to it.

mod documents;
mod files;

use std::collections::BTreeMap;

use super::Error;
use super::lookup::{is_attached, name_of, select_one};
use crate::blob::Cancel;
use crate::content::Descriptor;
use crate::reference::Selector;
use crate::store::Source;
use crate::text::escaped;
use crate::transfer::Observer;

/// One difference. Where only one side has something, the other is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where: an image's name when places are compared, then `linux/amd64`, `config`, `.config.Env[0]` ...
    pub path: Vec<String>,
    /// What the first side has.
    pub first: Option<String>,
    /// What the second side has.
    pub second: Option<String>,
}

/// How far down to compare.
#[derive(Clone, Copy)]
pub enum Depth<'a> {
    /// Documents: indexes, manifests, configs.
    Documents,
    /// The files of the layers as well: they are read and checked.
    Files {
        /// A request to stop.
        cancel: &'a Cancel,
        /// Who hears of progress.
        observer: &'a dyn Observer,
    },
}

impl std::fmt::Debug for Depth<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Documents => "Documents",
            Self::Files { .. } => "Files",
        })
    }
}

/// One side of a comparison.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Where it is.
    pub source: &'a dyn Source,
    /// Which image; all of the place when it is none.
    pub selector: Option<&'a Selector>,
}

impl std::fmt::Debug for Side<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Side").field("location", self.source.location()).finish_non_exhaustive()
    }
}

/// Compares two images, or two places when neither side chooses an image. A place with one image can be compared with an
/// image.
///
/// # Errors
/// When an image is not there, or a document that differs cannot be read.
pub fn diff(first: Side<'_>, second: Side<'_>, depth: Depth<'_>) -> Result<Vec<Difference>, Error> {
    let mut found = Vec::new();
    if first.selector.is_some() || second.selector.is_some() {
        let (one, other) = (select_one(first.source, first.selector)?, select_one(second.source, second.selector)?);
        documents::compare((first.source, &one), (second.source, &other), &[], depth, &mut found)?;
        return Ok(found);
    }
    let (one, other) = (named(first.source)?, named(second.source)?);
    let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let path = vec![escaped(name)];
        match (one.get(name), other.get(name)) {
            (Some(a), Some(b)) => documents::compare((first.source, a), (second.source, b), &path, depth, &mut found)?,
            (a, b) => {
                let digest = |root: Option<&Descriptor>| root.map(|root| root.digest().to_string());
                found.push(Difference { path, first: digest(a), second: digest(b) });
            }
        }
    }
    Ok(found)
}

/// Returns the images of a place by name; one without a name goes by its digest, and further ones of a name by both.
fn named(source: &dyn Source) -> Result<BTreeMap<String, Descriptor>, Error> {
    let mut named = BTreeMap::new();
    for root in source.roots()? {
        let digest = root.digest().to_string();
        let name = name_of(&root).map_or_else(|| digest.clone(), str::to_owned);
        let name = if named.contains_key(&name) && !is_attached(&root) { format!("{name}@{digest}") } else { name };
        named.entry(name).or_insert(root);
    }
    Ok(named)
}
