//! The form of an archive: what stands in it beside blobs.

use super::super::Error;
use super::super::bundle::{Packed, Packing, packing_list, refuse_to_sign, signature_of};
use super::super::loadable::{Loadable, loadable};
use super::add::read_other;
use super::{ArchiveFormat, Split, WriteOptions};
use crate::bundle::{self, BUNDLE_JSON, BUNDLE_SIGNATURE, CoveredFile, PackingList};
use crate::compact::COMPACT_JSON;
use crate::plan::Plan;
use crate::store::archive::{Archive, ArchiveOptions, Arrangement, Companion, Shape};
use crate::store::{Source as _, StoreError, names};
use crate::text::escaped;
use crate::transfer::{Event, Observer};

/// The `index.json` of an archive that names nothing.
const NO_IMAGE: &[u8] = br#"{"manifests":[],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}"#;

/// Decides what stands in an archive beside its blobs, and takes out of the plan what does not belong into one of its
/// form. `held` is the archive that is written anew.
///
/// # Errors
/// When documents cannot be read, or the form cannot hold what is coming.
pub(super) fn archive_options(
    plan: &mut Plan<'_>,
    held: Option<&Archive>,
    packing: Option<&Packing>,
    options: WriteOptions,
    observer: &dyn Observer,
) -> Result<ArchiveOptions, Error> {
    let mut base_index = held.and_then(Archive::index_json).map(|index| index.raw().to_vec());
    if base_index.is_none() && plan.inventory().roots.is_empty() {
        base_index = Some(NO_IMAGE.to_vec()); // a part that brings nothing but content of an image in another one
    }
    let place = held.map_or_else(|| plan.location().clone(), |held| held.location().clone());
    let malformed = |error| StoreError::malformed("index.json", &place, crate::store::Reason::from(error));
    let (roots, gone) = (&plan.inventory().roots, &plan.inventory().gone);
    let edited = names::edit(base_index.as_deref(), roots, gone).map_err(malformed)?;
    let index = edited.or_else(|| base_index.clone()).unwrap_or_default();
    let covered = CoveredFile::of("index.json", &index);
    let roots = names::parse(&index).map_err(malformed)?;
    let loadable = loadable(plan, &roots)?;
    let goods = packing.and_then(|packing| packing.compact.as_ref());
    let manifest_json = match options.format {
        ArchiveFormat::Oci => None,
        // whoever reads it would look for layers that are not there
        _ if goods.is_some() => None,
        ArchiveFormat::Hybrid | ArchiveFormat::Docker => loadable.manifest_json(),
    };
    match options.format {
        ArchiveFormat::Hybrid | ArchiveFormat::Oci => {}
        ArchiveFormat::Docker => {
            refuse_to_sign(packing)?;
            refuse_what_docker_cannot_hold(&loadable)?;
            if !loadable.others.is_empty() {
                let names = loadable.others.join(", ");
                observer.hear(Event::Warning(format!(
                    "{names} cannot stand in a docker-archive: left out, as it is no image"
                )));
            }
            let named = loadable.contents();
            plan.retain(|content| named.contains(&content.digest));
        }
    }
    if !loadable.zstd.is_empty() && manifest_json.is_some() {
        observer.hear(Event::Warning(format!(
            "layers of {} are packed with zstd: podman, containerd and skopeo read them, docker's classic store does not",
            loadable.zstd.join(", ")
        )));
    }
    drop(loadable); // it may name a hundred thousand layers
    let manifest_json = manifest_json.map(|bytes| Companion { name: "manifest.json".to_owned(), bytes });
    let mut companions: Vec<Companion> = manifest_json.into_iter().collect();
    companions.extend(goods.map(|goods| Companion { name: COMPACT_JSON.to_owned(), bytes: goods.index.clone() }));
    // an archive that says what it brings goes on doing so when it is added to
    let mut list = None;
    let packed = held.map(Packed::of).transpose()?.flatten();
    let renewed = packed.as_ref().map(|_| Packing::default());
    if let Some(packing) = packing.or(renewed.as_ref()).filter(|_| options.format != ArchiveFormat::Docker) {
        let covered = companions.iter().map(|file| CoveredFile::of(&file.name, &file.bytes)).chain([covered]);
        list = Some((packing_list(plan, &roots, packing, covered.collect())?, packing));
    }
    let listed_behind = companions.len();
    if let Some(held) = held {
        for (name, size) in held.others() {
            if packed.is_some() && name == BUNDLE_JSON {
                continue;
            }
            if packed.is_some() && name == BUNDLE_SIGNATURE {
                let place = held.location();
                observer.hear(Event::Warning(format!("{place} was signed, and is not any more: it changes")));
                continue;
            }
            companions.push(Companion { name: name.to_owned(), bytes: read_other(held, name, size)? });
        }
    }
    let mut form = ArchiveOptions {
        base_index,
        shape: match options.format {
            ArchiveFormat::Docker => Shape::Bare,
            ArchiveFormat::Hybrid | ArchiveFormat::Oci => Shape::Layout,
        },
        compression: options.compression,
        alignment: options.alignment,
        companions,
        jobs: options.jobs,
        durability: options.durability,
    };
    if let Some((list, packing)) = list {
        add_list(&mut form, list, listed_behind, (packing, options.split), plan)?;
    }
    Ok(form)
}

/// Puts a packing list among the companions. In parts it says how many there are, which follows from the length of the whole,
/// and that from its own.
fn add_list(
    form: &mut ArchiveOptions,
    mut list: PackingList,
    at: usize,
    (packing, split): (&Packing, Option<Split>),
    plan: &Plan<'_>,
) -> Result<(), Error> {
    let companions = |list: &PackingList| -> Result<Vec<Companion>, Error> {
        let list = Companion { name: BUNDLE_JSON.to_owned(), bytes: list.encode() };
        let signature = signature_of(&list.bytes, packing)?;
        let signature = signature.map(|bytes| Companion { name: BUNDLE_SIGNATURE.to_owned(), bytes });
        Ok(std::iter::once(list).chain(signature).collect())
    };
    let own = companions(&list)?;
    let number = own.len();
    form.companions.splice(at..at, own);
    let Some(Split { part_size: size, .. }) = split else { return Ok(()) };
    // more parts never make it shorter: it ends
    loop {
        let parts = Arrangement::of(form, plan.inventory())?.length().div_ceil(size.max(1));
        if list.split.is_some_and(|split| split.parts >= parts) {
            return Ok(());
        }
        list.split = Some(bundle::Split { size, parts, part: None });
        form.companions.splice(at..at + number, companions(&list)?);
    }
}

/// A docker-archive names one platform of an image, and has no place for a manifest.
fn refuse_what_docker_cannot_hold(loadable: &Loadable) -> Result<(), Error> {
    let refuse = |cause: String, hint: &str| {
        let message = "cannot write a docker-archive of it".to_owned();
        Err(Error::Unsupported { message, cause: Some(cause), hint: Some(hint.to_owned()) })
    };
    if let Some(name) = loadable.several.first() {
        let cause = format!("{} has several platforms, and a docker-archive holds one", escaped(name));
        return refuse(cause, "say which with --platform, or leave out --format docker: the file loads everywhere");
    }
    if loadable.is_empty() {
        return refuse("there is no image in it".to_owned(), "leave out --format docker");
    }
    Ok(())
}
