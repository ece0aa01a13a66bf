//! Making the packing list of an archive that is about to be written.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::Error;
use super::super::attached::{Attached, Belongings, attached, paired};
use super::super::compact::Goods;
use super::super::look::look_at;
use super::super::lookup::name_of;
use super::super::sign::signature;
use crate::bundle::{Base, CoveredFile, PackedContent, PackedImage, PackedReferrer, PackingList, Split};
use crate::content::{Content, Descriptor};
use crate::digest::Digest;
use crate::media::MediaType;
use crate::plan::Plan;
use crate::positions::Positions;
use crate::signing::PrivateKey;
use crate::store::{Source, read_document};

/// The version that stands in what is written.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a packing list says beside the images.
#[derive(Clone, Debug, Default)]
pub struct Packing {
    /// What the images need and the archive leaves out, and the repositories (`HOST/PATH`) that have it.
    pub left_out: Vec<(Content, Vec<String>)>,
    /// Where that is.
    pub bases: Vec<Base>,
    /// Which part it is, when it is one that is an archive by itself.
    pub split: Option<Split>,
    /// Who signs the list; nobody when there is none.
    pub sign: Option<Arc<PrivateKey>>,
    /// What stands in the place of layers.
    pub compact: Option<Arc<Goods>>,
}

/// Returns the text of the signature of a packing list, when it is to be signed.
///
/// # Errors
/// When the key cannot sign: that is known of none.
pub(in crate::ops) fn signature_of(list: &[u8], packing: &Packing) -> Result<Option<Vec<u8>>, Error> {
    let Some(key) = &packing.sign else { return Ok(None) };
    Ok(Some(signature(key, list)?.to_text().into_bytes()))
}

/// Returns why a docker-archive is not signed.
#[must_use]
pub fn no_list_to_sign() -> Error {
    Error::Unsupported {
        message: "cannot sign a docker-archive".to_owned(),
        cause: Some("it has no place for a packing list, which is what is signed".to_owned()),
        hint: Some("leave out --format docker: the file loads everywhere".to_owned()),
    }
}

/// Refuses to sign what has no packing list: nobody may take an archive for signed that is not.
///
/// # Errors
/// When somebody is to sign it.
pub(in crate::ops) fn refuse_to_sign(packing: Option<&Packing>) -> Result<(), Error> {
    match packing.and_then(|packing| packing.sign.as_ref()) {
        None => Ok(()),
        Some(_) => Err(no_list_to_sign()),
    }
}

/// What is listed of an image.
struct LookedAt {
    size: u64,
    platforms: Vec<String>,
    /// All that it refers to, when something in the place belongs to something.
    contents: HashSet<Digest>,
}

/// Makes the packing list for some top-level descriptors of a plan.
///
/// # Errors
/// When something that is to be described cannot be read.
pub(in crate::ops) fn packing_list(
    plan: &Plan<'_>,
    roots: &[Descriptor],
    packing: &Packing,
    files: Vec<CoveredFile>,
) -> Result<PackingList, Error> {
    let belongs = attached(plan, roots)?;
    let mut looked_at: HashMap<(Digest, &MediaType), LookedAt> = HashMap::new();
    let mut reached = Reached::default();
    for root in roots {
        if let Entry::Vacant(unknown) = looked_at.entry((*root.digest(), root.media_type())) {
            let (listed, contents, mut findings) = look_at(plan, root);
            // what is planned could be read when the plan was made: a list without it would be a wrong one
            if let Some(at) = findings.iter().position(|finding| plan.contains(&finding.digest)) {
                return Err(findings.swap_remove(at).into());
            }
            contents.iter().for_each(|one| reached.add(*one));
            let contents = contents.into_iter().filter(|_| !belongs.is_empty()).map(|(digest, _)| digest);
            let platforms = listed.platforms.iter().map(ToString::to_string).collect();
            unknown.insert(LookedAt { size: listed.size, platforms, contents: contents.collect() });
        }
    }
    // what belongs to an image that is elsewhere stands for itself
    let stands_below = |one: &Attached| reached.position(&one.subject).is_some();
    let belongings = Belongings::new(&belongs);
    let mut images = Vec::new();
    for (root, _) in paired(&belongs, roots).filter(|(_, belongs)| !belongs.is_some_and(stands_below)) {
        let Some(listed) = looked_at.get(&(*root.digest(), root.media_type())) else { continue };
        let referrers = belongings.of(&listed.contents);
        images.push(PackedImage {
            name: name_of(root).map(str::to_owned),
            digest: *root.digest(),
            media_type: root.media_type().as_str().to_owned(),
            size: listed.size,
            platforms: listed.platforms.clone(),
            referrers: referrers.iter().map(|root| referrer(plan, root)).collect(),
        });
    }
    let left_out: HashMap<Digest, &Vec<String>> =
        packing.left_out.iter().map(|(content, repositories)| (content.digest, repositories)).collect();
    // a sparse image refers to what is neither here nor in a base
    let contents = reached.sorted().into_iter().filter_map(|(digest, size)| {
        if plan.contains(&digest) || packing.compact.as_ref().is_some_and(|goods| goods.layers.contains(&digest)) {
            return Some(PackedContent { digest, size, here: true, repositories: Vec::new() });
        }
        let repositories = (*left_out.get(&digest)?).clone();
        Some(PackedContent { digest, size, here: false, repositories })
    });
    Ok(PackingList {
        barge: VERSION.to_owned(),
        images,
        contents: contents.collect(),
        bases: packing.bases.clone(),
        files,
        split: packing.split,
    })
}

/// Content that images refer to, each once, with its size in bytes.
#[derive(Default)]
struct Reached {
    contents: Vec<(Digest, u64)>,
    positions: Positions,
}

impl Reached {
    fn add(&mut self, one: (Digest, u64)) {
        let Self { contents, positions } = self;
        contents.push(one);
        if let Some(held) = positions.enter(contents.len() - 1, |at| &contents[at].0) {
            contents.pop();
            contents[held] = one;
        }
    }

    fn position(&self, digest: &Digest) -> Option<usize> {
        self.positions.get(digest, |at| &self.contents[at].0)
    }

    fn sorted(mut self) -> Vec<(Digest, u64)> {
        self.contents.sort_unstable();
        self.contents
    }
}

fn referrer(source: &dyn Source, root: &Descriptor) -> PackedReferrer {
    let said = || read_document(source, root).ok()?.artifact_type().map(str::to_owned);
    PackedReferrer { digest: *root.digest(), artifact_type: root.artifact_type().map(str::to_owned).or_else(said) }
}
