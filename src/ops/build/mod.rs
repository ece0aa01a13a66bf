//! `build`: images from files, for any number of platforms, without running anything.
//!
//! ```text
//! prepare   which images are meant, and what is to be done for each platform: all that can be refused early
//! origin    what COPY takes from: a directory on the disk (context), or the file system of an image
//! copy      what one COPY or ADD adds to a layer; sources, parents, owner: what its words and flags mean
//! work_dir  the directory of WORKDIR
//! stage     a stage under way: a draft, and the layers made for it
//! adding    a layer of what is copied
//! squash    all layers of a stage become one
//! run       stages, step by step
//! ```
//!
//! The result is what `merge` would make of the images: an index over them, or the one image itself.

mod adding;
mod context;
mod copy;
pub(crate) mod origin;
mod owner;
mod parents;
mod prepare;
mod run;
mod sources;
mod squash;
pub(crate) mod stage;
#[cfg(test)]
mod tests;
mod work_dir;

use std::collections::BTreeMap;

pub use self::prepare::{Asked, Prepared, prepare};
use super::Error;
use super::attached::Referrers;
use super::draft::Draft;
use super::merge::{MergeOptions, MergeSource, merge, named};
use super::open::Context;
use super::target::{Made, Target};
use crate::content::{Descriptor, total};
use crate::digest::Digest;
use crate::layer::{Modes, Owner};
use crate::pack::PackOptions;
use crate::plan::Plan;
use crate::platform::Platform;
use crate::recipe::ignore::Ignore;
use crate::recipe::plan::Change;
use crate::reference::ImageName;
use crate::transfer::{Event, Summary};

/// What files are taken from, beside images.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The directory that COPY takes from.
    pub context: Option<&'a crate::layer::Context>,
    /// What of it is left out.
    pub ignore: &'a Ignore,
    /// The name of the file that says so, for messages.
    pub ignore_name: &'a str,
    /// What is added after the steps of the recipe, for each platform: in the order of the platforms.
    pub adds: &'a [Vec<Add>],
    /// What changes the config after that, each with its line in the history.
    pub changes: &'a [(String, Change)],
}

/// Something on the disk that is added without a recipe.
#[derive(Clone, Debug)]
pub struct Add {
    /// The directory, or that of the file.
    pub context: crate::layer::Context,
    /// The path in it.
    pub path: String,
    /// Where it goes.
    pub to: String,
    /// What the user typed, for messages.
    pub label: String,
}

/// How layers are made.
#[derive(Clone, Debug)]
pub struct LayerOptions {
    /// How they are packed.
    pub pack: PackOptions,
    /// Whose added files are; else 0:0 for files of the disk, and as they are in tars and images.
    pub owner: Option<Owner>,
    /// What permissions added files get.
    pub modes: Modes,
    /// When they were made, in seconds since 1970: nothing in them gets a later time.
    pub epoch: i64,
    /// Whether files keep later times.
    pub keep_times: bool,
    /// Names of extended attributes to keep beside `security.capability` and `user.*`.
    pub xattrs: Vec<String>,
}

/// How images are made.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// The names of the result, each with a tag.
    pub names: Vec<ImageName>,
    /// Whether an index is made of a single image too.
    pub index: bool,
    /// Annotations of every manifest, and of the index.
    pub annotations: BTreeMap<String, String>,
    /// How layers are made.
    pub layers: LayerOptions,
    /// Whether the target gets anything: else everything is made, so that its digest is known, and dropped.
    pub deliver: bool,
}

/// An image that was made.
#[derive(Clone, Debug)]
pub struct BuiltImage {
    /// Its platform.
    pub platform: Platform,
    /// Its manifest.
    pub descriptor: Descriptor,
    /// How many layers it has.
    pub layers: usize,
    /// How many bytes they, the config and the manifest have.
    pub bytes: u64,
    /// The image that it is based on, as it was asked for.
    pub base: Option<String>,
}

/// What was built.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The index, or the one manifest, as it is named.
    pub descriptor: Descriptor,
    /// The names, as the target has them.
    pub roots: Vec<Descriptor>,
    /// The images, in the order of the index.
    pub images: Vec<BuiltImage>,
    /// How many pieces the whole has.
    pub pieces: usize,
    /// How many bytes.
    pub bytes: u64,
    /// What was done at the target; none when nothing was delivered.
    pub summary: Option<Summary>,
}

/// Carries out what was prepared, and delivers it.
///
/// # Errors
/// When a file cannot be added, an image is wrong, or the target cannot be written. Nothing is left then.
pub fn build(
    prepared: &Prepared,
    inputs: &Inputs<'_>,
    options: &BuildOptions,
    mut target: Target,
    context: &Context<'_>,
) -> Result<Outcome, Error> {
    let made = Made::default();
    let drafts = run::all(prepared, inputs, options, &mut target, &made, context);
    let result = drafts.and_then(|drafts| {
        let mut plan = Plan::new();
        let images = finish(&drafts, &mut plan)?;
        Ok((plan, images))
    });
    let (plan, images) = match result {
        Ok(done) => done,
        Err(error) => {
            context.observer.hear(Event::Ended);
            target.abandon();
            return Err(error);
        }
    };
    match &images[..] {
        [only] if !options.index => {
            let mut plan = plan;
            for name in &options.names {
                plan.add_root(named(&only.descriptor, name));
            }
            let descriptor = only.descriptor.clone();
            deliver(target, plan, descriptor, images, options, context)
        }
        _ => {
            let roots = images.iter().map(|image| image.descriptor.clone()).collect();
            let sources = [MergeSource { label: "this build".to_owned(), source: &plan, roots }];
            let merging = MergeOptions {
                names: options.names.clone(),
                annotations: options.annotations.clone(),
                referrers: Referrers::None,
                ..MergeOptions::default()
            };
            let merged = merge(&sources, &merging).inspect_err(|_| {
                context.observer.hear(Event::Ended);
                target.abandon();
            })?;
            for warning in &merged.warnings {
                context.observer.hear(Event::Warning(warning.clone()));
            }
            let order: Vec<Digest> = merged.members.iter().map(|member| *member.descriptor.digest()).collect();
            let mut images = images.clone();
            images.sort_by_key(|image| order.iter().position(|digest| digest == image.descriptor.digest()));
            deliver(target, merged.plan, merged.index.descriptor(), images, options, context)
        }
    }
}

/// Writes configs and manifests into a plan.
fn finish<'a>(drafts: &[(Platform, Option<String>, Draft<'a>)], plan: &mut Plan<'a>) -> Result<Vec<BuiltImage>, Error> {
    let mut images = Vec::new();
    for (platform, base, draft) in drafts {
        let manifest = draft.finish(plan)?;
        let children = total(manifest.children().map(Descriptor::size));
        images.push(BuiltImage {
            platform: platform.clone(),
            descriptor: manifest.descriptor(),
            layers: draft.layers.len(),
            bytes: children.saturating_add(manifest.raw().len() as u64),
            base: base.clone(),
        });
    }
    Ok(images)
}

fn deliver(
    target: Target,
    plan: Plan<'_>,
    descriptor: Descriptor,
    images: Vec<BuiltImage>,
    options: &BuildOptions,
    context: &Context<'_>,
) -> Result<Outcome, Error> {
    let contents = &plan.inventory().contents;
    let (pieces, bytes) = (contents.len(), total(contents.iter().map(|content| content.size)));
    let roots = plan.inventory().roots.clone();
    let summary = match options.deliver {
        true => Some(target.deliver(plan, context.cancel, context.observer)?),
        false => {
            context.observer.hear(Event::Ended);
            None
        }
    };
    Ok(Outcome { descriptor, roots, images, pieces, bytes, summary })
}
