//! One image of several that have one name, each for other platforms: what `merge` would make of them, on the fly.

use super::everywhere::Everywhere;
use crate::content::Descriptor;
use crate::document::Document;
use crate::ops::attached::Referrers;
use crate::ops::merge::{MergeOptions, MergeSource, merge};
use crate::store::Source as _;

/// What became of it: the index, or why there is none.
pub(super) type Joined = Result<Document, String>;

/// Makes one index of images, each with the number of the place that it is in. It has the digest that `merge` gives for the
/// same images, in whichever order the places were given.
pub(super) fn join(everywhere: &Everywhere, images: &[(usize, Descriptor)]) -> Joined {
    let mut sources: Vec<MergeSource<'_>> = Vec::new();
    let mut before = None;
    for (place, root) in images {
        if before == Some(place) {
            if let Some(source) = sources.last_mut() {
                source.roots.push(root.clone());
            }
            continue;
        }
        before = Some(place);
        let label = everywhere.snapshots()[*place].store().location().to_string();
        // content that one bundle leaves out may be in another one
        sources.push(MergeSource { label, source: everywhere, roots: vec![root.clone()] });
    }
    match merge(&sources, &MergeOptions { referrers: Referrers::None, ..MergeOptions::default() }) {
        Ok(merged) => Ok(merged.index),
        Err(error) => Err(std::iter::once(error.to_string()).chain(error.causes()).collect::<Vec<_>>().join(": ")),
    }
}
