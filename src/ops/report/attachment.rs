//! What belongs to the images of a place, and what keys say of the signatures among it.

use std::collections::HashMap;

use super::survey::Image;
use crate::digest::Digest;
use crate::ops::Error;
use crate::ops::look::{Referrer, referrers};
use crate::ops::open::Store;
use crate::ops::sign::{Examined, examine};
use crate::platform::PlatformFilter;
use crate::reference::Selector;
use crate::signing::PublicKey;

/// What is known of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There was no key to check it with.
    Unchecked,
    /// One of the keys has made it.
    Holds {
        /// The fingerprint of that key.
        signer: String,
        /// What was signed calls the image so.
        identity: Option<String>,
    },
    /// None of the keys has made it, or it is of something else: why.
    Fails(String),
}

impl Verdict {
    /// Returns the word for JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Holds { .. } => "holds",
            Self::Fails(_) => "fails",
        }
    }
}

impl From<&Examined<'_>> for Verdict {
    fn from(examined: &Examined<'_>) -> Self {
        match &examined.outcome {
            None => Self::Unchecked,
            Some(Ok(checked)) => {
                Self::Holds { signer: checked.key.fingerprint().to_string(), identity: checked.reference.clone() }
            }
            Some(Err(unsigned)) => Self::Fails(unsigned.to_string()),
        }
    }
}

/// Something that belongs to an image.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// What `referrers` tells of it.
    pub referrer: Referrer,
    /// The position of the image that it belongs to, or to a platform of which: the first, when there are several.
    pub image: Option<usize>,
    /// What is known of each signature in it; empty when it holds none.
    pub signatures: Vec<Verdict>,
}

/// Lists what belongs to images, and tells these how much it is.
pub(super) fn attachments(
    store: &Store,
    selector: Option<&Selector>,
    keys: &[PublicKey],
    images: &mut [Image],
) -> Result<Vec<Attachment>, Error> {
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let mut owners: HashMap<Digest, usize> = HashMap::new();
    let mut subjects = Vec::new();
    for (at, image) in images.iter().enumerate() {
        let own = std::iter::once(image.listed.digest).chain(image.variants.iter().map(|variant| variant.digest));
        for digest in own {
            owners.entry(digest).or_insert_with(|| {
                subjects.push(digest);
                at
            });
        }
    }
    let examined = examine(store, &subjects, keys)?;
    let mut attachments = Vec::new();
    for referrer in referrers(store, selector, &PlatformFilter::All)? {
        let image = owners.get(&referrer.subject).copied();
        // what belongs to it comes after it
        if let Some(at) = image {
            owners.entry(referrer.digest).or_insert(at);
        }
        let of_subject = examined.get(&referrer.subject).into_iter().flatten();
        let signatures: Vec<Verdict> =
            of_subject.filter(|one| one.manifest == referrer.digest).map(Verdict::from).collect();
        if let Some(image) = image.and_then(|at| images.get_mut(at)) {
            image.attachments += 1;
            image.signatures += signatures.len();
            if referrer.subject == image.listed.digest {
                for verdict in &signatures {
                    if let Verdict::Holds { signer, .. } = verdict
                        && !image.signers.contains(signer)
                    {
                        image.signers.push(signer.clone());
                    }
                }
            }
        }
        attachments.push(Attachment { referrer, image, signatures });
    }
    images.iter_mut().for_each(|image| image.signers.sort_unstable());
    Ok(attachments)
}
