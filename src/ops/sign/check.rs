//! Finding and checking the signatures of an image.

use std::collections::HashSet;

use serde_json::Value;

use crate::content::{CONTAINERD_NAME, Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::document::Body;
use crate::media::OCI_MANIFEST;
use crate::ops::Error;
use crate::ops::attached::{Attached, Referrers, attached, called};
use crate::ops::bundle::Untrusted;
use crate::ops::lookup::is_attached;
use crate::ops::unlisted::unlisted;
use crate::signing::{PublicKey, Signature, SignatureError};
use crate::simple_signing::{LARGEST_PAYLOAD, PAYLOAD, Payload, SIGNATURE};
use crate::store::{Source, StoreError, read_document, read_small};
use crate::text::quoted;

/// How many signatures of one image are looked at: more are there only to cost time.
const MOST: usize = 1000;

/// A signature that holds.
#[derive(Clone, Debug)]
pub struct Checked<'k> {
    /// Whose it is.
    pub key: &'k PublicKey,
    /// What was signed.
    pub payload: Payload,
    /// The manifest that it is in.
    pub manifest: Digest,
}

impl Checked<'_> {
    /// Returns something else that was signed.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&Value> {
        self.payload.optional.get(name)
    }
}

/// Why one signature does not show that an image is trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// It is by none of the keys, or of other bytes.
    #[error("{manifest}: {}", .errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Signature {
        /// The manifest that it is in.
        manifest: Digest,
        /// What each key says.
        errors: Vec<SignatureError>,
    },
    /// It is of another image.
    #[error("{manifest}: it signs {image}, another image")]
    OtherImage {
        /// The manifest that it is in.
        manifest: Digest,
        /// What it signs.
        image: Digest,
    },
    /// It is not what a signature must be.
    #[error("{manifest}: {reason}")]
    Malformed {
        /// The manifest that it is in.
        manifest: Digest,
        /// What is wrong with it.
        reason: String,
    },
}

/// A signature as it was found, and not checked.
#[derive(Clone, Debug)]
pub struct Found {
    /// The manifest that it is in.
    pub manifest: Digest,
    /// The layer with what is signed, and the signature as its annotation.
    pub layer: Descriptor,
}

/// Finds what claims to be a signature of some content, among the top-level descriptors of a source.
///
/// # Errors
/// When the descriptors cannot be read. A manifest with signatures that cannot be read holds none.
pub fn signatures_of(source: &dyn Source, image: &Digest) -> Result<Vec<Found>, Error> {
    let mut roots = source.roots()?;
    // a registry is asked: it does not list them
    roots.extend(unlisted(source, vec![*image], &Referrers::All, true)?.into_iter().map(|one| one.root));
    let mut found = Vec::new();
    for Attached { root, .. } in attached(source, &roots).into_iter().filter(|one| one.subject == *image) {
        let Ok(document) = read_document(source, &root) else { continue };
        let Body::Manifest(manifest) = document.body() else { continue };
        let layers = manifest.layers.iter().filter(|layer| layer.media_type().as_str() == PAYLOAD);
        found.extend(layers.map(|layer| Found { manifest: *root.digest(), layer: layer.clone() }));
        if found.len() > MOST {
            found.truncate(MOST);
            break;
        }
    }
    Ok(found)
}

/// Checks that one of some keys has signed an image, and returns every signature that holds.
///
/// # Errors
/// [`Error::Untrusted`] when none has, with what is wrong with each signature.
pub fn check_image<'k>(
    source: &dyn Source,
    image: &Descriptor,
    keys: &'k [PublicKey],
) -> Result<Vec<Checked<'k>>, Error> {
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for found in signatures_of(source, image.digest())? {
        match check(source, image.digest(), &found, keys)? {
            Ok(checked) => right.push(checked),
            Err(unsigned) => wrong.push(unsigned),
        }
    }
    if right.is_empty() {
        let what = format!("{} in {}", called(image), source.location());
        return Err(Error::Untrusted { what, reason: Untrusted::Image { image: *image.digest(), wrong } });
    }
    Ok(right)
}

/// Checks that one of some keys has signed every image among some top-level descriptors. What only belongs to an image, and has
/// no name by which it could be taken for one, need not be signed.
///
/// # Errors
/// As [`check_image`], of the first image that nobody has signed.
pub fn require<'k>(
    source: &dyn Source,
    roots: &[Descriptor],
    keys: &'k [PublicKey],
) -> Result<Vec<(Descriptor, Vec<Checked<'k>>)>, Error> {
    let belongs = attached(source, roots);
    let mut seen = HashSet::new();
    let mut checked = Vec::new();
    for root in roots {
        let names = [CONTAINERD_NAME, REF_NAME].into_iter().filter_map(|key| root.annotation(key));
        let is_no_image = names.into_iter().all(|name| is_attached(&bare(name)));
        if (is_no_image && belongs.iter().any(|one| one.root == *root)) || !seen.insert(*root.digest()) {
            continue;
        }
        checked.push((root.clone(), check_image(source, root, keys)?));
    }
    Ok(checked)
}

/// Returns a descriptor of nothing with this name, to ask what such a name alone says.
fn bare(name: &str) -> Descriptor {
    Descriptor::of(&OCI_MANIFEST.into(), b"").with_annotation(REF_NAME, name)
}

fn check<'k>(
    source: &dyn Source,
    image: &Digest,
    found: &Found,
    keys: &'k [PublicKey],
) -> Result<Result<Checked<'k>, Unsigned>, StoreError> {
    let manifest = found.manifest;
    let malformed = |reason: String| Ok(Err(Unsigned::Malformed { manifest, reason }));
    let content = found.layer.content();
    if content.size > LARGEST_PAYLOAD {
        return malformed(format!("what is signed has {} bytes, expected at most {LARGEST_PAYLOAD}", content.size));
    }
    let payload = match read_small(source, &content) {
        Ok(payload) => payload,
        Err(error @ (StoreError::Missing { .. } | StoreError::Wrong { .. })) => return malformed(error.to_string()),
        Err(error) => return Err(error),
    };
    let Some(text) = found.layer.annotation(SIGNATURE) else {
        return malformed("it has no signature".to_owned());
    };
    let signature = match Signature::parse(text.as_bytes()) {
        Ok(signature) => signature,
        Err(error) => return malformed(error.to_string()),
    };
    let mut errors = Vec::new();
    let key = keys.iter().find(|key| match key.verify(&payload, &signature) {
        Ok(()) => true,
        Err(error) => {
            errors.push(error);
            false
        }
    });
    let Some(key) = key else { return Ok(Err(Unsigned::Signature { manifest, errors })) };
    // only what somebody has signed is taken apart
    let payload = match Payload::parse(&payload) {
        Ok(payload) => payload,
        Err(error) => return malformed(format!("what is signed cannot be used: {}", quoted(&error.to_string()))),
    };
    if payload.image != *image {
        return Ok(Err(Unsigned::OtherImage { manifest, image: payload.image }));
    }
    Ok(Ok(Checked { key, payload, manifest }))
}
