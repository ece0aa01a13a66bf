//! Whether an archive or a receipt is what somebody with a key has signed.
//!
//! The signature covers the bytes of the packing list. The list covers the files at the front of the archive by their digests; one of
//! them is `index.json`, which covers every image by its digest, and so, all the way down, every byte that is ever taken.

use std::collections::HashSet;

use super::super::Error;
use super::super::open::Store;
use super::super::sign::Unsigned;
use super::base::BaseContents;
use super::packed::Packed;
use crate::blob::BlobReader;
use crate::bundle::{BUNDLE_JSON, BUNDLE_SIGNATURE, CoveredFile, PackingList};
use crate::content::{Content, Kind};
use crate::digest::Digest;
use crate::signing::{PublicKey, Signature, SignatureError};
use crate::store::archive::{Archive, Format};
use crate::store::{Location, Source as _, StoreError};
use crate::text::{escaped, quoted};

/// The file that names every image of an archive: a list that does not cover it covers nothing.
const INDEX_JSON: &str = "index.json";
/// The file by which docker and podman find images.
const MANIFEST_JSON: &str = "manifest.json";

/// Why something is not known to come from the owner of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// There is nothing in it that could be signed.
    #[error("it has no packing list, which is what is signed of a bundle")]
    NoList,
    /// There is no signature.
    #[error("it is not signed: there is no {file}")]
    NoSignature {
        /// The file where it would be.
        file: String,
    },
    /// The signature is by none of the keys.
    #[error("its signature does not hold")]
    Signature {
        /// What each key says of it.
        errors: Vec<SignatureError>,
    },
    /// A file is not the one that was signed.
    #[error("its {name} is not the one that its packing list covers")]
    Changed {
        /// The file.
        name: String,
    },
    /// A file that was signed is gone.
    #[error("it has no {name}, which its packing list covers")]
    Gone {
        /// The file.
        name: String,
    },
    /// None of the keys has signed an image.
    #[error("none of the keys has signed {image}")]
    Image {
        /// The image.
        image: Digest,
        /// What is wrong with each of its signatures.
        wrong: Vec<Unsigned>,
    },
    /// Something was not signed.
    #[error("its packing list does not cover {what}")]
    NotCovered {
        /// What is there and was not signed.
        what: String,
    },
}

impl Untrusted {
    /// Returns what is wrong, one by one.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        match self {
            Self::Signature { errors } if !errors.is_empty() => errors.iter().map(ToString::to_string).collect(),
            Self::Image { image, wrong } if wrong.is_empty() => vec![format!("{image} has no signature")],
            Self::Image { wrong, .. } => wrong.iter().map(ToString::to_string).collect(),
            other => vec![other.to_string()],
        }
    }

    /// Returns what the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoList | Self::NoSignature { .. } => {
                "what is signed are bundles, by `barge save --sign-key KEY`, and receipts, by `barge receipt --sign-key KEY -o FILE`"
            }
            Self::Signature { errors } => match errors.last() {
                Some(error) => return error.hint(),
                None => "give the public key of whoever has signed it",
            },
            Self::Image { wrong, .. } if wrong.is_empty() => {
                "whoever has the private key signs it with `barge sign --key KEY REF`, or `cosign sign --key KEY REF` in a registry"
            }
            Self::Image { wrong, .. } if wrong.iter().any(|one| matches!(one, Unsigned::Signature { .. })) => {
                "give the public key of whoever has signed it"
            }
            Self::Image { .. } => {
                "get the image and its signatures again from where they were made, or have it signed with `barge sign --key KEY REF`"
            }
            Self::Changed { .. } | Self::Gone { .. } | Self::NotCovered { .. } => {
                "somebody changed it after it was signed: get it again from where it was made"
            }
        };
        Some(hint.to_owned())
    }
}

/// Checks that an archive is the one that its packing list describes, and that the list was signed by one of some keys, which is
/// returned. Nothing of what is signed is missing at the front of the archive, and nothing else stands there. Blobs are not read:
/// whoever takes them checks their digests, as always.
///
/// # Errors
/// [`Error::Untrusted`] when that is not so; [`Error::Unsupported`] when it is no archive; otherwise when it cannot be read.
pub fn trusted<'k>(store: &Store, keys: &'k [PublicKey]) -> Result<&'k PublicKey, Error> {
    match store {
        Store::Archive(archive) => trusted_archive(archive, keys),
        Store::Layout(layout) => Err(not_signed(layout.location(), "a layout")),
        Store::Registry(repository) => Err(not_signed(repository.location(), "in a registry")),
    }
}

/// Checks an archive, as [`trusted`] does.
///
/// # Errors
/// As [`trusted`].
pub fn trusted_archive<'k>(archive: &Archive, keys: &'k [PublicKey]) -> Result<&'k PublicKey, Error> {
    let place = archive.location();
    let untrusted = |reason| Error::Untrusted { what: place.to_string(), reason };
    // read in that way it has names that no list covers
    let packed = if archive.format() == Format::Oci { Packed::of(archive)? } else { None };
    let packed = packed.ok_or_else(|| untrusted(Untrusted::NoList))?;
    let key = signed(&packed.raw, packed.signature.as_deref(), BUNDLE_SIGNATURE, keys).map_err(untrusted)?;
    covered(&packed.list, archive)?.map_err(untrusted)?;
    Ok(key)
}

/// Checks that what was said about a base was signed by one of some keys, which is returned: a receipt in the file beside it, a
/// packing list in its archive. `word` is what the base was called.
///
/// # Errors
/// [`Error::Untrusted`] when that is not so.
pub fn trusted_base<'k>(word: &str, base: &BaseContents, keys: &'k [PublicKey]) -> Result<&'k PublicKey, Error> {
    let untrusted = |reason| Error::Untrusted { what: escaped(word), reason };
    let list = base.list.as_deref().ok_or_else(|| untrusted(Untrusted::NoList))?;
    signed(list, base.signature.as_deref(), &base.signature_file, keys).map_err(untrusted)
}

/// Returns the key, of those given, that has signed some bytes. `file` is where the signature would be.
fn signed<'k>(
    bytes: &[u8],
    signature: Option<&[u8]>,
    file: &str,
    keys: &'k [PublicKey],
) -> Result<&'k PublicKey, Untrusted> {
    let signature = signature.ok_or_else(|| Untrusted::NoSignature { file: escaped(file) })?;
    let signature = Signature::parse(signature).map_err(|error| Untrusted::Signature { errors: vec![error] })?;
    let mut errors = Vec::new();
    for key in keys {
        match key.verify(bytes, &signature) {
            Ok(()) => return Ok(key),
            Err(error) => errors.push(error),
        }
    }
    Err(Untrusted::Signature { errors })
}

/// Checks that the front of an archive is what a packing list covers, and that the list names all that the archive brings.
fn covered(list: &PackingList, archive: &Archive) -> Result<Result<(), Untrusted>, Error> {
    let not_covered = |what: String| Ok(Err(Untrusted::NotCovered { what }));
    let is_listed = |name: &str| list.files.iter().any(|file| file.name == name);
    if !is_listed(INDEX_JSON) {
        return not_covered(INDEX_JSON.to_owned());
    }
    if !is_listed(MANIFEST_JSON) && archive.read_entry_unverified(MANIFEST_JSON).is_some() {
        return not_covered(MANIFEST_JSON.to_owned());
    }
    for file in &list.files {
        if let Err(wrong) = same(file, archive)? {
            return Ok(Err(wrong));
        }
    }
    // no loader looks for an image there, and what is in them is proved by the digest of the whole
    let is_piece = |name: &str| list.part().is_some() && name.starts_with("pieces/");
    for (name, _) in archive.others() {
        if is_piece(name) {
            continue;
        }
        if name != BUNDLE_JSON && name != BUNDLE_SIGNATURE && !is_listed(name) {
            return not_covered(quoted(name));
        }
    }
    let referrers = list.images.iter().flat_map(|image| &image.referrers).map(|referrer| referrer.digest);
    let parts = list.contents.iter().map(|content| content.digest);
    let named: HashSet<Digest> = list.images.iter().map(|image| image.digest).chain(referrers).chain(parts).collect();
    match archive.roots()?.iter().find(|root| !named.contains(root.digest())) {
        Some(root) => not_covered(root.digest().to_string()),
        None => Ok(Ok(())),
    }
}

/// Checks that a file of an archive has the bytes that were signed.
fn same(file: &CoveredFile, archive: &Archive) -> Result<Result<(), Untrusted>, Error> {
    let name = || escaped(&file.name);
    let content = Content { digest: file.digest, size: file.size, kind: Kind::Blob };
    let checked = if file.name == INDEX_JSON {
        // the bytes that were read when the archive was opened: from these the images are taken
        let Some(index) = archive.index_json() else { return Ok(Err(Untrusted::Gone { name: name() })) };
        BlobReader::new(content.clone(), index.raw()).check()
    } else {
        let Some(entry) = archive.read_entry_unverified(&file.name) else {
            return Ok(Err(Untrusted::Gone { name: name() }));
        };
        BlobReader::new(content.clone(), entry).check()
    };
    match checked.map_err(|error| StoreError::reading(error, &content, archive.location())) {
        Ok(_) => Ok(Ok(())),
        Err(StoreError::Wrong { .. }) => Ok(Err(Untrusted::Changed { name: name() })),
        Err(error) => Err(error.into()),
    }
}

fn not_signed(place: &Location, what: &str) -> Error {
    Error::Unsupported {
        message: format!("cannot tell who signed {place}"),
        cause: Some(format!("it is {what}: what a key signs are bundles")),
        hint: Some("give the archive that `barge save --sign-key KEY` wrote".to_owned()),
    }
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
