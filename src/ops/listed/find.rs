//! Looking up what lists name: names in the current layout, all other words as they stand on the command line.

use crate::content::{CONTAINERD_NAME, Descriptor};
use crate::digest::Digest;
use crate::error::Class;
use crate::image_list::{ImageList, Listed};
use crate::ops::Error;
use crate::ops::copy::{CopySource, Extent};
use crate::ops::lookup::{select, select_one};
use crate::ops::open::{Context, Opened, Store, open, open_path};
use crate::reference::{ImageName, Selector, same_name};
use crate::store::Source;
use crate::text::{escaped, shell_word};

/// What lists mean.
#[derive(Debug, Default)]
pub struct Found {
    /// The current layout, and the images of it.
    named: Option<(Store, Vec<Descriptor>)>,
    /// What else there is.
    others: Vec<Opened>,
}

impl Found {
    /// Returns the places that hold the images.
    pub fn stores(&self) -> impl Iterator<Item = &Store> {
        self.named.iter().map(|(store, _)| store).chain(self.others.iter().map(|opened| &opened.store))
    }

    /// Returns the images as sources of a copy.
    ///
    /// # Errors
    /// When a word stands for no image, or for several.
    pub fn sources(&self) -> Result<Vec<CopySource<'_>>, Error> {
        let named = self.named.iter().map(|(store, roots)| {
            let (label, roots) = (store.location().to_string(), roots.clone());
            Ok(CopySource { label, source: store, roots, extent: Extent::Chosen })
        });
        let others = self
            .others
            .iter()
            .map(|opened| CopySource::select(opened.label.clone(), &opened.store, opened.selector.as_ref()));
        named.chain(others).collect()
    }
}

/// Looks up what lists name. `lists` is what the user called them, for the hint.
///
/// A name is normalised first (`nginx:1.25` is `docker.io/library/nginx:1.25`): a tag alone, or the start of a digest, is
/// never taken for one. With a digest, that digest is what counts: the image of that name that has it, else any.
///
/// # Errors
/// [`Error::Missing`] with all names that are not there, [`Error::Listed`] when another word cannot be used.
pub fn find(images: &ImageList, lists: &[String], context: &Context<'_>) -> Result<Found, Error> {
    let mut found = Found::default();
    let listed = |image: &Listed, error: Error| Error::Listed { what: image.to_string(), error: Box::new(error) };
    let (named, others): (Vec<_>, Vec<_>) = images.images().iter().partition(|image| image.name.is_some());
    for image in others {
        found.others.push(open(&image.text, context).map_err(|error| listed(image, error))?);
    }
    if named.is_empty() {
        return Ok(found);
    }
    let Some(layout) = context.layout else {
        return Err(Error::Absent {
            message: "cannot look up the images of the list: there is no current layout".to_owned(),
            cause: None,
            hint: Some(
                "give one with -L DIR, set BARGE_LAYOUT, or run barge in a directory that is a layout".to_owned(),
            ),
        });
    };
    let store = open_path(layout, context)?;
    let (mut roots, mut missing): (Vec<Descriptor>, Vec<String>) = (Vec::new(), Vec::new());
    for image in named {
        let Some(name) = &image.name else { continue };
        match look_up(&store, name).map_err(|error| listed(image, error))? {
            Some(root) if roots.contains(&root) => {}
            Some(root) => roots.push(root),
            None => missing.push(format!("{image}{}", what_else(&store, name))),
        }
    }
    if !missing.is_empty() {
        let count = if missing.len() == 1 { "an image".to_owned() } else { format!("{} images", missing.len()) };
        let files: String = lists.iter().map(|list| format!(" -f {}", shell_word(list))).collect();
        let hint = format!("get what is missing with `barge -L {} pull{files}`", shell_word(&layout.to_string_lossy()));
        let message = format!("cannot find {count} of the list in {}", store.location());
        return Err(Error::Missing { class: Class::Absent, message, missing, hint: Some(hint) });
    }
    found.named = Some((store, roots));
    Ok(found)
}

/// Returns the image that a name means; none when there is none.
fn look_up(store: &dyn Source, name: &ImageName) -> Result<Option<Descriptor>, Error> {
    let Some(digest) = name.digest() else {
        let selector = Selector::Name(name.to_string());
        let mut found = answers(store, &selector)?;
        // the tag of another image is spelled like this name: `redis` of `docker.io/org/app:redis`
        let is_it =
            |root: &Descriptor| root.annotation(CONTAINERD_NAME).is_none_or(|full| same_name(full, &name.to_string()));
        found.retain(is_it);
        return match found.as_slice() {
            [] => Ok(None),
            [root] => Ok(Some(root.clone())),
            _ => select_one(store, Some(&selector)).map(Some), // says which there are
        };
    };
    for selector in selectors(name, digest) {
        let of_it = answers(store, &selector)?.into_iter().find(|root| root.digest() == digest);
        if of_it.is_some() {
            return Ok(of_it);
        }
    }
    Ok(None)
}

/// Returns how an image with a digest is looked for: by name and tag, in its repository, anywhere.
fn selectors(name: &ImageName, digest: &Digest) -> Vec<Selector> {
    let repository = name.full_repository();
    let tagged = name.tag().map(|tag| format!(":{repository}:{tag}@{digest}"));
    let texts = tagged.into_iter().chain([format!(":{repository}@{digest}"), format!("@{digest}")]);
    texts.filter_map(|text| Selector::parse(&text).ok()).collect()
}

fn answers(store: &dyn Source, selector: &Selector) -> Result<Vec<Descriptor>, Error> {
    match select(store, Some(selector)) {
        Err(Error::Absent { .. }) => Ok(Vec::new()),
        other => other,
    }
}

/// Says which digest the tag has that was listed with another one.
fn what_else(store: &dyn Source, name: &ImageName) -> String {
    let (Some(tag), Some(_)) = (name.tag(), name.digest()) else { return String::new() };
    let selector = Selector::Name(format!("{}:{tag}", name.full_repository()));
    let there = answers(store, &selector).unwrap_or_default();
    there.first().map_or_else(String::new, |root| format!(": {} there is {}", escaped(tag), root.digest()))
}
