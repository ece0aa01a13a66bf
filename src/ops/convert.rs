//! `convert`: an image in the other form, or with its layers packed otherwise. What it holds stays the same: `diff_ids`, and
//! every byte of its configs.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;

use super::Error;
use super::draft::{DraftLayer, Form, in_form, layer_type};
use super::gather::ZSTD_TWIN;
use super::layer::unpacked;
use super::open::Context;
use super::rework::{Image, Rework};
use super::target::{Made, Workbench};
use crate::blob::{CHUNK, Making};
use crate::content::{Content, Descriptor, Kind};
use crate::digest::Digest;
use crate::media::{Compression, DOCKER_INDEX, OCI_INDEX, Role};
use crate::pack::{PackOptions, pack};
use crate::store::{StoreError, TEMPORARY};
use crate::text::human_size;
use crate::transfer;

/// Which layers are packed anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// Those that are packed with something else.
    #[default]
    Others,
    /// All: one that another program has packed alike becomes what barge makes of it.
    All,
}

/// How layers are to be packed.
#[derive(Clone, Copy, Debug)]
pub struct Repack {
    /// With what.
    pub compression: Compression,
    /// How hard; else as is usual.
    pub level: Option<u32>,
    /// Which layers.
    pub which: Which,
    /// On how many threads.
    pub jobs: NonZeroUsize,
}

impl Repack {
    fn options(&self) -> PackOptions {
        let level = self.level.unwrap_or(PackOptions::usual_level(self.compression));
        PackOptions { compression: self.compression, level, jobs: self.jobs }
    }

    /// Refuses a level that there is not.
    ///
    /// # Errors
    /// When it is one.
    pub fn check(&self) -> Result<(), Error> {
        let levels = PackOptions::levels(self.compression);
        let (message, hint) = match self.level {
            Some(_) if self.compression == Compression::None => {
                ("cannot use a level: the layers are not to be packed".to_owned(), None)
            }
            Some(level) if !levels.contains(&level) => (
                format!("cannot use the level {level} of {}", self.compression),
                Some(format!("give a number from {} to {}", levels.start(), levels.end())),
            ),
            _ => return Ok(()),
        };
        Err(Error::Usage { message, hint })
    }

    fn wants(&self, layer: &Descriptor) -> bool {
        let is_so = layer.media_type().role() == Role::Layer(self.compression);
        !layer.media_type().is_foreign_layer() && (!is_so || self.which == Which::All)
    }
}

/// Gives images and indexes another form, and returns the names of what that has no place for, which they lose.
pub fn set_form(rework: &mut Rework<'_>, form: Form) -> Vec<String> {
    let mut lost: Vec<String> = rework.images_mut().flat_map(|image| image.draft.set_form(form)).collect();
    lost.sort();
    lost.dedup();
    rework.set_index_type(match form {
        Form::Oci => OCI_INDEX,
        Form::Docker => DOCKER_INDEX,
    });
    lost
}

/// Returns whether a layer is to be packed anew.
///
/// # Errors
/// When the form of an image has no type for a layer as it would be.
pub fn is_work(rework: &Rework<'_>, repack: Option<&Repack>) -> Result<bool, Error> {
    let mut is_work = false;
    for image in rework.images() {
        for layer in &image.draft.layers {
            let repacked = repack.filter(|repack| repack.wants(&layer.descriptor));
            is_work |= repacked.is_some();
            match repacked {
                Some(repack) => image.draft.fits_packing(repack.compression)?,
                None => image.draft.fits_its_form(layer)?,
            }
        }
    }
    Ok(is_work)
}

/// Packs layers anew, each once, whoever shares it. The bytes of a layer depend on its tar, the compression and the level.
///
/// # Errors
/// When a layer cannot be read, is not what its digest or its `diff_id` says, or cannot be written.
pub fn repack<'a>(
    rework: &mut Rework<'a>,
    repack: &Repack,
    bench: &Workbench<'_>,
    made: &'a Made,
    context: &Context<'_>,
) -> Result<(), Error> {
    let mut done: HashMap<Digest, (Content, Digest)> = HashMap::new();
    for image in rework.images_mut() {
        let Image { draft, platform, .. } = image;
        for (at, layer) in draft.layers.iter_mut().enumerate().filter(|(_, layer)| repack.wants(&layer.descriptor)) {
            let about = format!("layer {} of {platform}", at + 1);
            let old = *layer.descriptor.digest();
            let (content, diff_id) = match done.get(&old) {
                Some(same) => same.clone(),
                None => make(layer, repack, &about, bench, context)?,
            };
            if diff_id != layer.diff_id {
                let reason = format!("it unpacks to {diff_id}, and its config says {}", layer.diff_id);
                let error = StoreError::malformed(old.to_string(), layer.source.location(), reason);
                return Err(Error::Content { about, error, hint: None });
            }
            let new = new_descriptor(&layer.descriptor, &content, repack.compression);
            let media_type = in_form(new.media_type(), draft.form);
            layer.descriptor = media_type.map_or(new.clone(), |media_type| new.with_media_type(&media_type));
            if content.digest != old {
                layer.source = made;
            }
            done.insert(old, (content, diff_id));
        }
        if repack.compression != Compression::Zstd {
            image.drop_entry_annotations([ZSTD_TWIN.to_owned()]);
        }
    }
    Ok(())
}

/// What annotations of a layer are about its packed bytes.
const ABOUT_BYTES: [&str; 3] =
    ["containerd.io/snapshot/stargz/", "io.containers.estargz.", "io.github.containers.zstd-chunked."];

fn new_descriptor(old: &Descriptor, content: &Content, compression: Compression) -> Descriptor {
    let media_type = layer_type(compression);
    if content.digest == *old.digest() {
        return old.clone().with_media_type(&media_type);
    }
    let is_about_bytes = |name: &&str| ABOUT_BYTES.iter().any(|start| name.starts_with(start));
    let names: Vec<&str> = old.annotations().keys().map(String::as_str).filter(is_about_bytes).collect();
    let new = old.clone().with_content(&Descriptor::new(&media_type, content.digest, content.size)).without_urls();
    let new = if names.is_empty() { new } else { new.without_annotations(&names) };
    new.with_media_type(&media_type)
}

/// Packs one layer, and returns what came out and the digest of its tar.
fn make(
    layer: &DraftLayer<'_>,
    repack: &Repack,
    about: &str,
    bench: &Workbench<'_>,
    context: &Context<'_>,
) -> Result<(Content, Digest), Error> {
    let (content, place) = (layer.descriptor.content(), layer.source.location());
    let told = format!("{about}, {}", human_size(content.size));
    let progress = transfer::Making::start(context.observer, &told, bench.location(), content.size);
    let count = |bytes| progress.count(bytes);
    let reader = layer.source.open(&content).map(|reader| reader.cancelled_by(context.cancel).metered_by(&count));
    let made = reader.and_then(|reader| {
        bench.make(Kind::Blob, |making: &mut Making<'_>| {
            let mut failed = None;
            let packed = pack(&repack.options(), making, |to| {
                let mut full = None;
                let read = unpacked(reader, place, |from| copy(from, to, layer.diff_id, &mut full));
                match (full, read) {
                    (Some(full), _) => Err(full),
                    (None, Ok(diff_id)) => Ok(diff_id),
                    (None, Err(error)) => {
                        failed = Some(error);
                        Err(io::Error::other("the layer cannot be read"))
                    }
                }
            });
            let packed =
                packed.map_err(|error| failed.unwrap_or_else(|| StoreError::io(TEMPORARY, bench.spool())(error)));
            // the last of it may be packed long after all of it was read
            if context.cancel.is_cancelled() { Err(StoreError::Cancelled) } else { packed }
        })
    });
    match made {
        Ok((content, diff_id)) => {
            progress.finish(&content);
            Ok((content, diff_id))
        }
        Err(error @ (StoreError::Cancelled | StoreError::Io { .. })) => Err(error.into()),
        Err(error) => Err(Error::Content { about: told.clone(), error, hint: None }),
    }
}

/// Copies a tar and returns its digest. What the writer failed with is kept apart: it is not the fault of what is read.
fn copy(from: &mut dyn Read, to: &mut dyn Write, expected: Digest, full: &mut Option<io::Error>) -> io::Result<Digest> {
    let mut hasher = expected.algorithm().hasher();
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                if let Err(error) = to.write_all(&buffer[..count]) {
                    let kind = error.kind();
                    *full = Some(error);
                    return Err(kind.into());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
