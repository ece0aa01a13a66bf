//! What the other side has, and leaving that out of a copy.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::super::Error;
use super::super::copy::Copying;
use super::super::lookup::select;
use super::super::open::{Context, open};
use super::packed::{LARGEST_SIGNATURE, packed_in};
use super::packing::Packing;
use crate::bundle::{BUNDLE_SIGNATURE, Base, LARGEST_LIST, Receipt, SIGNATURE_SUFFIX};
use crate::content::{CONTAINERD_NAME, Descriptor, Kind};
use crate::digest::Digest;
use crate::graph;
use crate::media::MediaType;
use crate::store::{Location, Reason, Source as _, StoreError, directory_of};
use crate::text::escaped;

/// What a base holds.
#[derive(Clone, Debug)]
pub struct BaseContents {
    /// What it is.
    pub base: Base,
    /// The file or directory that it was read from; none for a registry.
    pub path: Option<PathBuf>,
    /// Its content: sizes in bytes, and the repositories (`HOST/PATH`) that have it, where it is a registry.
    pub contents: HashMap<Digest, (u64, Vec<String>)>,
    /// Its images, as far as it is known what their documents are: descriptors with their names.
    pub images: Vec<Descriptor>,
    /// The bytes and the name of the receipt or packing list that says so, for whoever checks its signature.
    pub list: Option<Vec<u8>>,
    /// The signature that came with it: in the archive, or in the file beside a receipt.
    pub signature: Option<Vec<u8>>,
    /// The file where that is, or would be.
    pub signature_file: String,
}

/// Learns what a base holds: from a receipt, from the packing list of an archive, or from the place itself, of which then the
/// images count and not what else may lie there.
///
/// # Errors
/// When it is not there, or cannot be read.
pub fn read_base(word: &str, context: &Context<'_>) -> Result<BaseContents, Error> {
    if let Some(raw) = read_receipt(Path::new(word))? {
        let place = Location::File(word.into());
        let receipt = Receipt::parse(&raw).map_err(|error| StoreError::Malformed {
            what: "the receipt".to_owned(),
            place,
            reason: Reason::from(error),
            hint: Some("make it again over there: `barge receipt -L DIR > FILE`".to_owned()),
        })?;
        let images = receipt.images.into_iter().filter_map(|image| {
            let (media_type, size) = image.document?;
            Some(described(image.name.as_deref(), &media_type, image.digest, size))
        });
        let images = images.collect();
        let contents = receipt.contents.into_iter();
        let contents = contents.map(|content| (content.digest, (content.size, content.repositories))).collect();
        let place = receipt.places.join(", ");
        let base = Base { place, list: Some(Digest::of(&raw)) };
        let signature_file = format!("{word}{SIGNATURE_SUFFIX}");
        let signature = read_signature(Path::new(&signature_file))?;
        let path = Some(PathBuf::from(word));
        return Ok(BaseContents { base, path, contents, images, list: Some(raw), signature, signature_file });
    }
    let opened = open(word, context)?;
    let place = opened.store.location().to_string();
    let path = opened.store.location().path().map(Path::to_path_buf);
    // whoever takes a delta in has what that one builds on as well
    if let Some(packed) = packed_in(&opened.store)?.filter(|packed| packed.is_current && opened.selector.is_none()) {
        let images = opened.store.roots()?;
        let contents = packed.list.contents.into_iter();
        let contents = contents.map(|content| (content.digest, (content.size, content.repositories))).collect();
        let base = Base { place, list: Some(Digest::of(&packed.raw)) };
        let signature_file = BUNDLE_SIGNATURE.to_owned();
        let (list, signature) = (Some(packed.raw), packed.signature);
        return Ok(BaseContents { base, path, contents, images, list, signature, signature_file });
    }
    let roots = match &opened.selector {
        None => opened.store.roots()?,
        selector => select(&opened.store, selector.as_ref())?,
    };
    let reach = graph::reach(&opened.store, &roots, &mut |_, _| ());
    let reach = graph::without_foreign(&opened.store, reach).0.whole()?.all_there(&opened.store)?;
    let contents = reach.nodes.iter().map(|node| (node.content.digest, (node.content.size, Vec::new()))).collect();
    let base = Base { place, list: None };
    let (list, signature, signature_file) = (None, None, String::new());
    Ok(BaseContents { base, path, contents, images: roots, list, signature, signature_file })
}

fn described(name: Option<&str>, media_type: &str, digest: Digest, size: u64) -> Descriptor {
    let descriptor = Descriptor::new(&MediaType::new(media_type), digest, size);
    match name {
        Some(name) => descriptor.with_annotation(CONTAINERD_NAME, name),
        None => descriptor,
    }
}

/// Refuses to write an archive in the place of what it builds on: whoever has not taken that in yet never could.
///
/// # Errors
/// When one of the bases was read from there.
pub fn refuse_replacing(bases: &[BaseContents], archive: &Path) -> Result<(), Error> {
    let written = real(archive);
    if !bases.iter().any(|base| base.path.as_deref().is_some_and(|path| real(path) == written)) {
        return Ok(());
    }
    let name = escaped(&archive.to_string_lossy());
    Err(Error::Usage {
        message: format!("cannot write {name} in the place of its own base"),
        hint: Some("give the update another name with -o: it is of no use to whoever lacks the base".to_owned()),
    })
}

/// How far into a file it is looked for the brace that a receipt starts with, in bytes.
const LONGEST_START: u64 = 4096;

/// Returns where a file stands, or would stand.
fn real(path: &Path) -> PathBuf {
    let beside = || Some(directory_of(path).canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(beside).unwrap_or_else(|| path.to_path_buf())
}

/// Reads a file that is JSON, as far as its start says; `None` when it is anything else.
fn read_receipt(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    if !std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(None);
    }
    let failed = |error| StoreError::io("read", path)(error);
    let mut file = File::open(path).map_err(failed)?;
    let mut raw = Vec::new();
    (&mut file).take(LONGEST_START).read_to_end(&mut raw).map_err(failed)?;
    // an editor may have put white space before it
    if !raw.trim_ascii_start().starts_with(b"{") {
        return Ok(None);
    }
    (&mut file).take((LARGEST_LIST + 1).saturating_sub(raw.len() as u64)).read_to_end(&mut raw).map_err(failed)?;
    if raw.len() as u64 > LARGEST_LIST {
        let reason = format!("it is larger than {LARGEST_LIST} bytes");
        return Err(StoreError::malformed("the receipt", &Location::File(path.to_owned()), reason).into());
    }
    Ok(Some(raw))
}

/// Reads the signature beside a receipt; `None` when there is no such file.
fn read_signature(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    if !std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(None);
    }
    let failed = |error| StoreError::io("read", path)(error);
    let mut signature = Vec::new();
    // one that is longer is none, and is refused as such
    File::open(path).and_then(|file| file.take(LARGEST_SIGNATURE).read_to_end(&mut signature)).map_err(failed)?;
    Ok(Some(signature))
}

/// Leaves out of a copy the layers and other blobs that bases hold. Documents and configs go along: they are small, and
/// whoever takes the copy in sees from them what is missing.
///
/// # Errors
/// When a base says another size of the same content.
pub fn leave_out(copying: &mut Copying<'_>, bases: &[BaseContents]) -> Result<Packing, Error> {
    let mut packing = Packing::default();
    for content in copying.plan.inventory().contents.iter().filter(|content| content.kind == Kind::Blob) {
        for base in bases {
            let Some((size, repositories)) = base.contents.get(&content.digest) else { continue };
            if *size != content.size {
                let reason = format!("{} is {} bytes here, and {size} bytes by its list", content.digest, content.size);
                let place = Location::File(base.base.place.clone().into());
                return Err(StoreError::Malformed {
                    what: "what is there".to_owned(),
                    place,
                    reason: reason.into(),
                    hint: Some(
                        "one of them is wrong: make a new receipt over there, and `barge verify` what is saved"
                            .to_owned(),
                    ),
                }
                .into());
            }
            packing.left_out.push((content.clone(), repositories.clone()));
            if !packing.bases.contains(&base.base) {
                packing.bases.push(base.base.clone());
            }
            break;
        }
    }
    let gone: HashSet<Digest> = packing.left_out.iter().map(|(content, _)| content.digest).collect();
    copying.plan.retain(|content| !gone.contains(&content.digest));
    Ok(packing)
}
