//! Finding and checking the signatures of images.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::read::{Form, Read};
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::Body;
use crate::graph;
use crate::ops::Error;
use crate::ops::attached::{
    Attached, Referrers, attached, attached_as_far_as_read, belonging, called, claims, has_own_name, paired,
};
use crate::ops::bundle::Untrusted;
use crate::ops::copy::Extent;
use crate::ops::unlisted::unlisted;
use crate::signing::{PublicKey, SignatureError};
use crate::sigstore_bundle::{IMAGE_SIGNATURE, PREDICATE_TYPE};
use crate::store::{Source, StoreError, causes, read_document, read_small};

/// How many signatures of one image are looked at: more are there only to cost time.
const MOST: usize = 1000;

/// A signature that holds.
#[derive(Clone, Debug)]
pub struct Checked<'k> {
    /// Whose it is.
    pub key: &'k PublicKey,
    /// What the image was called by whoever signed it, if anything.
    pub reference: Option<String>,
    /// What else was signed.
    pub annotations: BTreeMap<String, Value>,
    /// The manifest that it is in.
    pub manifest: Digest,
}

/// An image, and every signature of it that holds.
pub type SignedImage<'k> = (Descriptor, Vec<Checked<'k>>);

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
pub(super) struct Found {
    /// The manifest that it is in.
    pub(super) manifest: Digest,
    /// The layer with what is signed.
    pub(super) layer: Descriptor,
    /// What the layer is.
    pub(super) form: Form,
}

/// What may sign some images of one place.
struct Signatures {
    by_image: HashMap<Digest, Vec<Descriptor>>,
}

impl Signatures {
    /// Gathers what claims to belong to some images, by every convention.
    fn gather(source: &dyn Source, images: &[Digest]) -> Result<Self, Error> {
        let mut roots = source.roots()?;
        // a registry is asked: it does not list them
        roots.extend(unlisted(source, images.to_vec(), &Referrers::All, true)?.into_iter().map(|one| one.root));
        let mut by_image: HashMap<Digest, Vec<Descriptor>> = images.iter().map(|image| (*image, Vec::new())).collect();
        for Attached { subject, root, .. } in claims(source, &roots) {
            if let Some(held) = by_image.get_mut(&subject)
                && held.len() < MOST
                && !held.iter().any(|other| other.digest() == root.digest())
            {
                held.push(root);
            }
        }
        Ok(Self { by_image })
    }

    /// Returns what claims to be a signature of an image. A manifest that cannot be read holds none.
    fn of(&self, source: &dyn Source, image: &Digest) -> Vec<Found> {
        let mut found = Vec::new();
        for root in self.by_image.get(image).into_iter().flatten() {
            let Ok(document) = read_document(source, root) else { continue };
            let Body::Manifest(manifest) = document.body() else { continue };
            // an SBOM or another attestation, as it says itself
            let is_other = manifest.annotations.get(PREDICATE_TYPE).is_some_and(|said| said != IMAGE_SIGNATURE);
            for layer in &manifest.layers {
                match Form::of(layer) {
                    Some(Form::Bundle) if is_other => {}
                    Some(form) => found.push(Found { manifest: *root.digest(), layer: layer.clone(), form }),
                    None => {}
                }
            }
            if found.len() > MOST {
                found.truncate(MOST);
                break;
            }
        }
        found
    }

    fn check<'k>(
        &self,
        source: &dyn Source,
        image: &Descriptor,
        keys: &'k [PublicKey],
    ) -> Result<Vec<Checked<'k>>, Error> {
        let (mut right, mut wrong) = (Vec::new(), Vec::new());
        for found in self.of(source, image.digest()) {
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
    Signatures::gather(source, &[*image.digest()])?.check(source, image, keys)
}

/// A signature of an image as it lies there.
#[derive(Clone, Debug)]
pub struct Examined<'k> {
    /// The manifest that it is in.
    pub manifest: Digest,
    /// What the keys say of it; none when there are no keys.
    pub outcome: Option<Result<Checked<'k>, Unsigned>>,
}

/// Finds every signature of some images and checks it with some keys, if there are any. Whether one is enough is for others to say.
///
/// # Errors
/// When the place does not tell what it names, or the machine cannot read a signature.
pub fn examine<'k>(
    source: &dyn Source,
    images: &[Digest],
    keys: &'k [PublicKey],
) -> Result<HashMap<Digest, Vec<Examined<'k>>>, Error> {
    let signatures = Signatures::gather(source, images)?;
    let mut examined = HashMap::new();
    for image in images {
        let mut of_one = Vec::new();
        for found in signatures.of(source, image) {
            let outcome = if keys.is_empty() { None } else { Some(check(source, image, &found, keys)?) };
            of_one.push(Examined { manifest: found.manifest, outcome });
        }
        if !of_one.is_empty() {
            examined.insert(*image, of_one);
        }
    }
    Ok(examined)
}

/// Checks that one of some keys has signed every image that is to be taken: `roots`, and what comes along with them under a name
/// of its own. Of a whole place, what only belongs to an image and has no name by which it could be taken for one need not be
/// signed; what was chosen has to be, whatever it says that it is.
///
/// # Errors
/// As [`check_image`], of the first image that nobody has signed.
pub fn require<'k>(
    source: &dyn Source,
    roots: &[Descriptor],
    extent: Extent,
    keys: &'k [PublicKey],
) -> Result<Vec<SignedImage<'k>>, Error> {
    let mut images = match extent {
        Extent::Whole => alone(source, roots),
        Extent::Chosen => {
            let companions = companions(source, roots)?;
            roots.iter().cloned().chain(companions).collect()
        }
    };
    let mut seen = HashSet::new();
    images.retain(|image| seen.insert(*image.digest()));
    let digests: Vec<Digest> = images.iter().map(|image| *image.digest()).collect();
    let signatures = Signatures::gather(source, &digests)?;
    let check = |image: Descriptor| signatures.check(source, &image, keys).map(|checked| (image, checked));
    images.into_iter().map(check).collect()
}

/// Returns what of a whole place is, or could be taken for, an image.
fn alone(source: &dyn Source, roots: &[Descriptor]) -> Vec<Descriptor> {
    let belongs = attached_as_far_as_read(source, roots);
    let alone = paired(&belongs, roots).filter(|(root, belongs)| belongs.is_none() || has_own_name(root));
    let alone: Vec<Descriptor> = alone.map(|(root, _)| root.clone()).collect();
    // what belongs to nothing that is here may be the only thing here, and be used
    if alone.is_empty() { roots.to_vec() } else { alone }
}

/// Returns what belongs to some images and would arrive with them under a name.
fn companions(source: &dyn Source, images: &[Descriptor]) -> Result<Vec<Descriptor>, Error> {
    let belongs = attached(source, &source.roots()?)?;
    if !belongs.iter().any(|one| has_own_name(&one.root)) {
        return Ok(Vec::new());
    }
    // what cannot be read does not arrive, nor does what belongs to it
    let nodes = graph::reach(source, images, &mut |_, _| ()).nodes;
    let contents: HashSet<Digest> = nodes.iter().map(|node| node.content.digest).collect();
    let mut companions = belonging(&belongs, &contents);
    companions.retain(has_own_name);
    Ok(companions)
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
    let largest = found.form.largest();
    if content.size > largest {
        return malformed(format!("{} has {} bytes, expected at most {largest}", found.form.name(), content.size));
    }
    let bytes = match read_small(source, &content) {
        Ok(bytes) => bytes,
        Err(error @ (StoreError::Missing { .. } | StoreError::Wrong { .. })) => {
            let said = std::iter::once(error.to_string()).chain(causes(&error));
            return malformed(said.collect::<Vec<_>>().join(": "));
        }
        Err(error) => return Err(error),
    };
    let read = match Read::of(found, bytes) {
        Ok(read) => read,
        Err(reason) => return malformed(reason),
    };
    let mut errors = Vec::new();
    let key = keys.iter().find(|key| match key.verify(read.signed_bytes(), read.signature()) {
        Ok(()) => true,
        Err(error) => {
            errors.push(error);
            false
        }
    });
    let Some(key) = key else { return Ok(Err(Unsigned::Signature { manifest, errors })) };
    // only what somebody has signed is taken apart
    let claims = match read.claims() {
        Ok(claims) => claims,
        Err(error) => return malformed(format!("what is signed is no signature of an image: {error}")),
    };
    let images: Vec<Digest> = claims.iter().flat_map(|claim| &claim.images).copied().collect();
    match claims.into_iter().find(|claim| claim.images.contains(image)) {
        Some(claim) => Ok(Ok(Checked { key, reference: claim.reference, annotations: claim.annotations, manifest })),
        None => match images.first() {
            Some(image) => Ok(Err(Unsigned::OtherImage { manifest, image: *image })),
            None => malformed("what is signed names no image".to_owned()),
        },
    }
}
