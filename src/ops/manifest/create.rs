//! `manifest create` and `manifest add`: a list from images, or more images for one.

use std::collections::{BTreeMap, HashSet};

use super::elsewhere::{Believed, Repositories, tell, told};
use super::entry::EntryChanges;
use crate::content::{Content, Descriptor, Kind};
use crate::document::Document;
use crate::media::Role;
use crate::ops::Error;
use crate::ops::left_behind::LeftBehind;
use crate::ops::lookup::{name_of, select, select_for_merge};
use crate::ops::merge::{Member, MergeOptions, MergeSource, Merged, merge, named};
use crate::ops::open::{Opened, Store};
use crate::plan::Plan;
use crate::reference::{ImageName, Selector};
use crate::store::{Location, Source, read_document};
use crate::text::escaped;

/// What becomes of a list that has the name already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It is not touched: an error.
    #[default]
    Refuse,
    /// It gets the new entries as well.
    Amend,
    /// Another one takes its name.
    Replace,
}

/// How a list is made.
#[derive(Clone, Debug)]
pub struct CreateOptions {
    /// Its name.
    pub name: ImageName,
    /// What becomes of one that has the name already.
    pub existing: Existing,
    /// How images are chosen and put together; its names do not count.
    pub merge: MergeOptions,
    /// What the entry of a new image says otherwise than the image.
    pub entry: EntryChanges,
}

/// Images for a list: an open place, and how much of it has to be there.
#[derive(Debug)]
pub struct ListSource<'a> {
    label: String,
    view: View<'a>,
    roots: Vec<Descriptor>,
    repositories: Repositories,
}

#[derive(Debug)]
enum View<'a> {
    Whole(&'a Store),
    Believed(Believed<'a>),
}

impl View<'_> {
    fn source(&self) -> &dyn Source {
        match self {
            Self::Whole(store) => *store,
            Self::Believed(believed) => believed,
        }
    }
}

impl<'a> ListSource<'a> {
    /// Takes the images that a word means. Of a registry documents alone are read; what they refer to stays there.
    fn of(store: &'a Store, selector: Option<&Selector>, label: String) -> Result<Self, Error> {
        let roots = select_for_merge(store, selector)?;
        let mut repositories = Repositories::new();
        for root in &roots {
            for (host, paths) in told(root) {
                repositories.entry(host).or_default().extend(paths);
            }
        }
        if let Store::Registry(repository) = store {
            let paths = repositories.entry(repository.host().to_owned()).or_default();
            paths.insert(repository.path().to_owned());
        }
        let view = match repositories.is_empty() {
            true => View::Whole(store),
            false => View::Believed(Believed(store)),
        };
        Ok(Self { label, view, roots, repositories })
    }

    /// Changes what the entries of these images say.
    fn with(mut self, changes: &EntryChanges) -> Result<Self, Error> {
        if changes.is_empty() {
            return Ok(self);
        }
        if let [root] = &self.roots[..]
            && root.media_type().role() == Role::Manifest
        {
            let source = self.view.source();
            self.roots = vec![changes.of_image(source, root)?];
            return Ok(self);
        }
        Err(Error::Usage {
            message: format!("cannot say a platform or annotations for {}: it is several images", self.label),
            hint: Some("add them one by one, or change the entries afterwards: manifest annotate".to_owned()),
        })
    }
}

/// A list that was made, and has not been written yet.
#[derive(Debug)]
pub struct Listing<'a> {
    /// What is to arrive: the list, and what of its images has to be brought.
    pub plan: Plan<'a>,
    /// The list.
    pub index: Document,
    /// What stands in it.
    pub members: Vec<Member>,
    /// How many referrers of the images come along, or are there already.
    pub referrers: usize,
    /// The referrers that stay behind because the list that they belong to is not the one that is made.
    pub behind: Vec<LeftBehind>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// Whether some of its content is in registries alone.
    pub sparse: bool,
}

/// Returns what a list is made of: what its name means in the layout already, when it is to be amended, and the images.
/// `here` is the layout, when there is one yet.
///
/// # Errors
/// When the name is taken, by a list or by an image; when an image is not there; when changes of an entry are meant for
/// several.
pub fn list_sources<'a>(
    here: Option<&'a Store>,
    images: &'a [Opened],
    options: &CreateOptions,
) -> Result<Vec<ListSource<'a>>, Error> {
    let mut sources = Vec::new();
    if let Some(store) = here {
        let held = held(store, &options.name)?;
        match (held.first(), options.existing) {
            (None, _) | (Some(_), Existing::Replace) => {}
            (Some(root), _) if root.media_type().role() != Role::Index => {
                return Err(no_list(&options.name, store.location()));
            }
            (Some(root), Existing::Refuse) => return Err(taken(&options.name, root, store.location())),
            (Some(_), Existing::Amend) => {
                let selector = Selector::Name(options.name.to_string());
                sources.push(ListSource::of(store, Some(&selector), escaped(&options.name.to_string()))?);
            }
        }
    }
    for opened in images {
        let source = ListSource::of(&opened.store, opened.selector.as_ref(), opened.label.clone())?;
        sources.push(source.with(&options.entry)?);
    }
    Ok(sources)
}

/// Makes a list in a layout of what [`list_sources`] found.
///
/// # Errors
/// As [`merge`].
pub fn create<'a>(
    sources: &'a [ListSource<'a>],
    here: Option<&Store>,
    options: &CreateOptions,
) -> Result<Listing<'a>, Error> {
    let held = here.map_or_else(|| Ok(Vec::new()), |store| held(store, &options.name))?;
    let mut annotations = BTreeMap::new();
    if let (Some(store), Some(root), Existing::Amend) = (here, held.first(), options.existing) {
        // what the list says of itself stays
        annotations.extend(read_document(store, root)?.annotations().clone());
    }
    annotations.extend(options.merge.annotations.clone());
    let merging: Vec<MergeSource<'_>> = sources
        .iter()
        .map(|one| MergeSource { label: one.label.clone(), source: one.view.source(), roots: one.roots.clone() })
        .collect();
    let mut merged =
        merge(&merging, &MergeOptions { names: Vec::new(), annotations, may_be_empty: true, ..options.merge.clone() })?;
    let mut plan = std::mem::take(&mut merged.plan);
    let at_home = here.map(|store| store.location().clone());
    let is_held = |content: &Content| here.is_some_and(|store| matches!(store.holds(content), Ok(true)));
    let (mut stays, mut sparse) = (HashSet::new(), false);
    for content in &plan.inventory().contents {
        let origin = plan.origin(content);
        let is_blob = content.kind == Kind::Blob;
        // what is here is here, and layers stay in their registry
        if at_home.as_ref() == Some(&origin) || (is_blob && matches!(origin, Location::Registry(_))) {
            stays.insert(content.digest);
            sparse |= is_blob && !is_held(content);
        }
    }
    plan.retain(|content| !stays.contains(&content.digest));
    let mut repositories = Repositories::new();
    for (host, paths) in sources.iter().flat_map(|one| one.repositories.clone()) {
        repositories.entry(host).or_default().extend(paths);
    }
    plan.add_root(tell(named(&merged.index.descriptor(), &options.name), &repositories));
    // the name goes over, which is what was asked for
    for root in held.into_iter().filter(|root| root.digest() != merged.index.descriptor().digest()) {
        plan.add_gone(root);
    }
    let Merged { index, members, referrers, behind, warnings, .. } = merged;
    Ok(Listing { plan, index, members, referrers, behind, warnings, sparse })
}

/// Returns what a name means in a layout; nothing when it is not there.
fn held(store: &Store, name: &ImageName) -> Result<Vec<Descriptor>, Error> {
    match select(store, Some(&Selector::Name(name.to_string()))) {
        Err(Error::Absent { .. }) => Ok(Vec::new()),
        held => held,
    }
}

fn taken(name: &ImageName, root: &Descriptor, place: &Location) -> Error {
    let shown = name_of(root).map_or_else(|| escaped(&name.to_string()), escaped);
    Error::Unsupported {
        message: format!("cannot make the list {shown}: {place} has it already"),
        cause: Some(format!("it is {}", root.digest())),
        hint: Some("--amend adds to it, --replace makes another one of that name".to_owned()),
    }
}

/// Says that a name means an image and no list.
pub(super) fn no_list(name: &ImageName, place: &Location) -> Error {
    Error::Unsupported {
        message: format!("cannot change {} in {place}: it is an image, not a list", escaped(&name.to_string())),
        cause: None,
        hint: Some("give the list another name, and the image as a source".to_owned()),
    }
}
