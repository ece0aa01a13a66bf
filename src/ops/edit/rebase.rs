//! `--rebase OLD=NEW`: the layers that came from one image are those of another one now.

use crate::ops::Error;
use crate::ops::choose::{Chosen, choose_image};
use crate::ops::draft::{BASE_DIGEST, BASE_NAME, Draft, DraftLayer, Form};
use crate::ops::rework::{Image, Rework};
use crate::platform::PlatformFilter;
use crate::recipe::config::{align_history, history, swap_history};
use crate::reference::Selector;
use crate::store::Source;

/// An image that others are based on.
#[derive(Clone)]
pub struct Base<'a> {
    /// Where it is.
    pub source: &'a dyn Source,
    /// Which it is there.
    pub selector: Option<Selector>,
    /// What the user typed.
    pub label: String,
}

impl std::fmt::Debug for Base<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Base").field("label", &self.label).field("selector", &self.selector).finish_non_exhaustive()
    }
}

impl<'a> Base<'a> {
    /// Returns the image for the platform of another one.
    fn for_platform_of(&self, image: &Image<'_>) -> Result<(Chosen, Draft<'a>), Error> {
        let filter = match image.platform.architecture.is_empty() {
            true => PlatformFilter::All,
            false => PlatformFilter::Only(vec![image.platform.normalized()]),
        };
        let chosen = choose_image(self.source, self.selector.as_ref(), &filter)?;
        let draft = Draft::of_image(self.source, &chosen)?;
        Ok((chosen, draft))
    }
}

/// Puts the layers of `new` into the place of those of `old`, in every image that may change, each with the images for its
/// platform. The layers are known by their `diff_ids`: how they are packed does not matter. An image that is based on `new`
/// already stays as it is.
///
/// # Errors
/// When an image is not based on `old`, or one of the two is not there for its platform.
pub fn rebase<'a>(rework: &mut Rework<'a>, old: &Base<'a>, new: &Base<'a>) -> Result<(), Error> {
    for image in rework.images_mut() {
        let (_, before) = old.for_platform_of(image)?;
        let (chosen, after) = new.for_platform_of(image)?;
        swap(image, &before, after, &chosen, &old.label)?;
    }
    Ok(())
}

fn swap<'a>(
    image: &mut Image<'a>,
    before: &Draft<'_>,
    after: Draft<'a>,
    chosen: &Chosen,
    label: &str,
) -> Result<(), Error> {
    let differs = |layers: &[DraftLayer<'_>]| {
        let own = &image.draft.layers;
        (0..layers.len()).find(|at| own.get(*at).is_none_or(|own| own.diff_id != layers[*at].diff_id))
    };
    let from_old = differs(&before.layers);
    let is_done = differs(&after.layers).is_none();
    if is_done && (from_old.is_some() || before.layers.len() < after.layers.len()) {
        return Ok(());
    }
    if let Some(at) = from_old {
        let own = image.draft.layers.get(at).map(|layer| layer.diff_id);
        return Err(Error::Unsupported {
            message: format!("cannot rebase {}: it is not based on {label}", image.platform),
            cause: Some(match own {
                Some(own) => format!("layer {} has the diff_id {own}, expected {}", at + 1, before.layers[at].diff_id),
                None => format!("it has {at} layers, and {label} has {}", before.layers.len()),
            }),
            hint: Some(format!("its annotation {BASE_NAME} may say what it is based on")),
        });
    }
    let draft = &mut image.draft;
    let count = before.layers.len();
    if !history(&draft.config).is_empty() {
        let mut config = after.config;
        align_history(&mut draft.config, draft.layers.len());
        align_history(&mut config, after.layers.len());
        swap_history(&mut draft.config, history(&before.config), count, history(&config));
    }
    draft.layers.splice(..count, after.layers);
    if draft.form == Form::Oci {
        // a name that says nothing of where it is would lead somewhere else
        match chosen.name.as_ref().filter(|name| name.contains('/')) {
            Some(name) => drop(draft.annotations.insert(BASE_NAME.to_owned(), name.clone())),
            None => drop(draft.annotations.remove(BASE_NAME)),
        }
        draft.annotations.insert(BASE_DIGEST.to_owned(), chosen.descriptor.digest().to_string());
    }
    Ok(())
}
