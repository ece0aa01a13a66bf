//! What belongs to an image and does not stand at the top of its place: a registry is asked for it, and for what belongs to
//! that.

use std::collections::HashSet;

use super::Error;
use super::attached::{Attached, COSIGN, Referrers, wanted_among};
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::graph;
use crate::store::{Source, StoreError, Wanted};

/// How often what belongs to an image may itself have something that belongs to it.
const DEEPEST: usize = 16;
/// How much may belong to one image.
const MOST: usize = 10_000;

/// Finds what belongs to some documents, to what belongs to these, and so on. A place that lists all that it holds has
/// nothing to add.
///
/// # Errors
/// When the place cannot be asked, gives what is wrong, or there is no end to it.
pub(super) fn unlisted(
    source: &dyn Source,
    subjects: Vec<Digest>,
    referrers: &Referrers,
    digest_tags: bool,
) -> Result<Vec<Attached>, Error> {
    let wanted = match referrers {
        Referrers::None => return Ok(Vec::new()),
        Referrers::All => Wanted { artifact_type: None, digest_tags },
        Referrers::Only(types) => Wanted {
            artifact_type: Some(types.as_slice()).filter(|types| types.len() == 1).map(|types| types[0].as_str()),
            digest_tags,
        },
    };
    // the word for cosign's tags is no type
    let wanted = Wanted { artifact_type: wanted.artifact_type.filter(|it| *it != COSIGN), ..wanted };
    let endless = |reason: String| StoreError::malformed("what belongs to an image", source.location(), reason);
    let mut seen: HashSet<Digest> = subjects.iter().copied().collect();
    let mut found = Vec::new();
    let mut next = subjects;
    for _ in 0..DEEPEST {
        if next.is_empty() {
            return Ok(found);
        }
        let new = wanted_among(source, &source.unlisted(&next, &wanted)?, referrers, digest_tags)?;
        let roots: Vec<Descriptor> = new.iter().map(|one| one.root.clone()).collect();
        if found.len() + roots.len() > MOST {
            return Err(endless(format!("there are more than {MOST} referrers")).into());
        }
        // an index may belong to an image, and something to what it lists
        let reach = graph::reach(source, &roots, &mut |_, _| ()).whole()?;
        let documents = reach.nodes.iter().filter(|node| node.media_type().is_document());
        next = documents.map(|node| node.content.digest).filter(|digest| seen.insert(*digest)).collect();
        found.extend(new);
    }
    match next.is_empty() {
        true => Ok(found),
        false => Err(endless(format!("referrers refer to each other more than {DEEPEST} deep")).into()),
    }
}
