//! `edit --add` and `edit --squash`: files come on top of an image, and its layers become one.

use serde_json::Value;

use super::squash::squash;
use crate::ops::Error;
use crate::ops::build::stage::{Shop, Stage};
use crate::ops::build::{Add, LayerOptions};
use crate::ops::draft::moment;
use crate::ops::open::Context;
use crate::ops::rework::Rework;
use crate::ops::target::{Made, Workbench};
use crate::platform::Platform;

/// What is to become of the files of an image.
#[derive(Debug)]
pub struct FileOptions {
    /// How layers are made.
    pub layers: LayerOptions,
    /// Whether all layers become one, after what is added.
    pub squash: bool,
}

/// Adds to every image that may change what `adds` finds for its platform, and makes one layer of all when that is asked for.
/// A single layer is left alone. What is added says that it was made when the image says that it was.
///
/// # Errors
/// When something cannot be added, or a layer is wrong or cannot be kept.
pub fn files<'a>(
    rework: &mut Rework<'a>,
    adds: &dyn Fn(&Platform) -> Result<Vec<Add>, Error>,
    options: &FileOptions,
    bench: &Workbench<'_>,
    made: &'a Made,
    context: &Context<'_>,
) -> Result<(), Error> {
    for image in rework.images() {
        image.draft.fits_packing(options.layers.pack.compression)?;
    }
    let xattrs: Vec<&str> = options.layers.xattrs.iter().map(String::as_str).collect();
    let mut shop = Shop::new(bench, made, &options.layers, &xattrs, String::new(), context);
    for image in rework.images_mut() {
        let said = image.draft.config.get("created").and_then(Value::as_str).map(str::to_owned);
        shop.created = said.map_or_else(|| moment::written(options.layers.epoch), Ok)?;
        // layers that were built serve all platforms, file systems that were read this one alone
        shop.read.borrow_mut().clear();
        let mut stage = Stage::over(image.draft.clone(), &image.platform);
        for add in adds(&image.platform)? {
            shop.add(&mut stage, &add)?;
        }
        let squashed = match options.squash && stage.draft.layers.len() > 1 {
            true => Some(shop.squashed(&stage)?),
            false => None,
        };
        image.draft = stage.draft;
        if let Some(layer) = squashed {
            squash(image, layer);
        }
    }
    Ok(())
}
