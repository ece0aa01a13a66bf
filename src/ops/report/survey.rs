//! Asking a place what it holds: with the code of `ls`, `verify` and `referrers`, and one more walk for the layers.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;

use super::attachment::{Attachment, Verdict, attachments};
use super::sharing::{Bytes, Layer, Sharing};
use crate::blob::Cancel;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::Body;
use crate::error::Class;
use crate::graph;
use crate::ops::Error;
use crate::ops::bundle::{Packed, packed_in, trusted};
use crate::ops::look::{Listed, list};
use crate::ops::lookup::select;
use crate::ops::open::Store;
use crate::ops::verify::{Depth, Verified, verify};
use crate::platform::Platform;
use crate::reference::Selector;
use crate::signing::PublicKey;
use crate::store::archive::Parts;
use crate::store::{Location, Source as _};
use crate::text::escaped;
use crate::transfer::Observer;

/// How a place is asked.
#[derive(Clone, Copy)]
pub struct SurveyOptions<'a> {
    /// How thoroughly content is checked.
    pub depth: Depth,
    /// With which keys signatures are checked; without any they are only listed.
    pub keys: &'a [PublicKey],
    /// How many pieces are read at once.
    pub jobs: NonZeroUsize,
    /// A request to stop.
    pub cancel: &'a Cancel,
    /// Who hears what happens.
    pub observer: &'a dyn Observer,
}

impl std::fmt::Debug for SurveyOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SurveyOptions").field("depth", &self.depth).field("keys", &self.keys.len()).finish()
    }
}

/// What a place holds.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The place, as messages call it.
    pub place: String,
    /// A short name for it: the last part of its path.
    pub title: String,
    /// Of how many parts it is read; 0 when it is not split.
    pub parts: usize,
    /// How thoroughly it was checked.
    pub depth: Depth,
    /// What that found.
    pub verified: Verified,
    /// With how many keys signatures were checked.
    pub keys: usize,
    /// The packing list, when there is one.
    pub bundle: Option<Bundle>,
    /// The images, in the order of the place, without what belongs to others.
    pub images: Vec<Image>,
    /// The layers of these images, each once: first those that sharing saves most of.
    pub layers: Vec<Layer>,
    /// What belongs to the images.
    pub attachments: Vec<Attachment>,
    /// Where the bytes are.
    pub bytes: Bytes,
}

/// What the packing list of an archive says of it.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The digest of the packing list.
    pub digest: Digest,
    /// Whether `index.json` is still the one that it describes.
    pub is_current: bool,
    /// What it builds on, as it was called when it was written: for a delta.
    pub bases: Vec<String>,
    /// What is known of its signature; none when it has none.
    pub signature: Option<Verdict>,
}

/// An image.
#[derive(Clone, Debug)]
pub struct Image {
    /// What `ls` tells of it.
    pub listed: Listed,
    /// Its images for one platform each.
    pub variants: Vec<Variant>,
    /// How many things belong to it or to one of its platforms.
    pub attachments: usize,
    /// How many signatures of it or of one of its platforms are there.
    pub signatures: usize,
    /// The fingerprints of the keys that have signed the image itself, in order.
    pub signers: Vec<String>,
}

/// An image for one platform.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The digest of its manifest.
    pub digest: Digest,
    /// What it is for.
    pub platform: Option<Platform>,
    /// When it was made (RFC 3339), as its config says.
    pub created: Option<String>,
    /// The bytes of all its content; none when its manifest cannot be read.
    pub size: Option<u64>,
    /// Its layers from the base up, as positions in [`Survey::layers`].
    pub layers: Vec<usize>,
}

/// Finds out what a place holds, or one image of it. Whatever is wrong with content stands in the result.
///
/// # Errors
/// When the image is not there, the machine fails, or somebody asked to stop.
pub fn survey(store: &Store, selector: Option<&Selector>, options: &SurveyOptions<'_>) -> Result<Survey, Error> {
    let SurveyOptions { depth, keys, jobs, cancel, observer } = *options;
    let verified = verify(store, selector, depth, jobs, cancel, observer)?;
    let packed = match packed_in(store) {
        Ok(packed) => packed,
        Err(Error::Store(_)) => None, // among the problems
        Err(error) => return Err(error),
    };
    let roots = match selector {
        Some(_) => select(store, selector)?,
        None => store.roots().unwrap_or_default(), // among the problems
    };
    let listed = match list(store, packed.as_ref().map(|packed| &packed.list), jobs, cancel) {
        Err(error) if error.class() == Class::Interrupted => return Err(error),
        listed => listed.unwrap_or_default(), // among the problems
    };
    let mut images = images(listed, &roots, selector.is_none());
    let (manifests, nodes) = walk(store, &roots);
    let mut sharing = Sharing::default();
    for (at, image) in images.iter_mut().enumerate() {
        for (number, variant) in image.variants.iter_mut().enumerate() {
            let layers = manifests.get(&variant.digest).map(|found| found.layers.as_slice()).unwrap_or_default();
            variant.layers = layers.iter().map(|layer| sharing.add(layer, (at, number))).collect();
        }
    }
    let left_out = packed.as_ref().map(|packed| packed.list.left_out_sizes()).unwrap_or_default();
    let order = sharing.finish(store, &verified.problems, &left_out);
    for variant in images.iter_mut().flat_map(|image| &mut image.variants) {
        variant.layers.iter_mut().for_each(|layer| *layer = order.position(*layer));
    }
    let configs: HashSet<Digest> = manifests.values().filter_map(|found| found.config).collect();
    let bytes = Bytes::of(store, &order.layers, &nodes, &configs, &verified.unreferenced);
    let attachments = attachments(store, selector, keys, &mut images)?;
    let (place, title) = names(store.location());
    Ok(Survey {
        place,
        title,
        parts: match store {
            Store::Archive(archive) => archive.parts().map_or(0, Parts::count),
            Store::Layout(_) | Store::Registry(_) => 0,
        },
        depth,
        verified,
        keys: keys.len(),
        bundle: packed.map(|packed| bundle(store, packed, keys)).transpose()?,
        images,
        layers: order.layers,
        attachments,
        bytes,
    })
}

fn names(location: &Location) -> (String, String) {
    let last = location.path().and_then(|path| path.file_name()).map(|name| escaped(&name.to_string_lossy()));
    (location.to_string(), last.unwrap_or_else(|| location.to_string()))
}

/// Returns the images among some descriptors. `whole` says that these are all of the place: then what belongs to others is no image.
fn images(mut listed: Vec<Listed>, roots: &[Descriptor], whole: bool) -> Vec<Image> {
    let wanted: HashSet<&Digest> = roots.iter().map(Descriptor::digest).collect();
    listed.retain(|image| wanted.contains(&image.digest) && !(whole && image.attached));
    let image = |listed: Listed| {
        let variant = |entry: &crate::ops::look::Entry| Variant {
            digest: entry.digest,
            platform: entry.platform.clone(),
            created: entry.created.clone(),
            size: entry.size,
            layers: Vec::new(),
        };
        let variants = listed.entries.iter().map(variant).collect();
        Image { listed, variants, attachments: 0, signatures: 0, signers: Vec::new() }
    };
    listed.into_iter().map(image).collect()
}

/// What a manifest refers to.
struct Pieces {
    config: Option<Digest>,
    layers: Vec<Descriptor>,
}

/// Walks once over everything, and keeps what manifests refer to.
fn walk(store: &Store, roots: &[Descriptor]) -> (HashMap<Digest, Pieces>, Vec<graph::Node>) {
    let mut manifests = HashMap::new();
    let reach = graph::reach(store, roots, &mut |descriptor, document| {
        if let Body::Manifest(manifest) = document.body() {
            let config = manifest.config.as_ref().map(|config| *config.digest());
            manifests.insert(*descriptor.digest(), Pieces { config, layers: manifest.layers.clone() });
        }
    });
    (manifests, reach.nodes)
}

fn bundle(store: &Store, packed: Packed, keys: &[PublicKey]) -> Result<Bundle, Error> {
    let signature = match packed.signature {
        None => None,
        Some(_) if keys.is_empty() => Some(Verdict::Unchecked),
        Some(_) => Some(match trusted(store, keys) {
            Ok(key) => Verdict::Holds { signer: key.fingerprint().to_string(), identity: None },
            Err(Error::Untrusted { reason, .. }) => Verdict::Fails(reason.causes().join("; ")),
            Err(error) => return Err(error),
        }),
    };
    Ok(Bundle {
        digest: Digest::of(&packed.raw),
        is_current: packed.is_current,
        bases: packed.list.bases.into_iter().map(|base| base.place).collect(),
        signature,
    })
}
