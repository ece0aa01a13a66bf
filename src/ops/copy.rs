//! `copy`, `save`, `load`, `tag`: images go from place to place, or get another name, and stay what they are.

use std::collections::{BTreeMap, HashMap};

use super::Error;
use super::attached::{attached, paired};
use super::carry::{Carried, CarryOptions, carry};
use super::left_behind::{StaysBehind, stays_behind};
use super::merge::named;
use super::target::{Target, United, unite};
use crate::content::{CONTAINERD_NAME, Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::media::Role;
use crate::plan::Plan;
use crate::platform::Platform;
use crate::reference::{ImageName, Selector};
use crate::store::referrer_list::is_list_name;
use crate::store::{Location, Source, names};
use crate::text::escaped;

/// Some images of one source.
#[derive(Clone)]
pub struct CopySource<'a> {
    /// What the user typed.
    pub label: String,
    /// Where they are.
    pub source: &'a dyn Source,
    /// Which they are, at the top of the source.
    pub roots: Vec<Descriptor>,
    /// Whether these were chosen.
    pub extent: Extent,
}

/// How much of a source is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All that it names: images, and what belongs to them.
    Whole,
    /// Some images, by their names.
    Chosen,
}

impl<'a> CopySource<'a> {
    /// Takes the images that a selector means: without one everything that the place names.
    ///
    /// # Errors
    /// When nothing answers, or one name stands for two images.
    pub fn select(label: String, source: &'a dyn Source, selector: Option<&Selector>) -> Result<Self, Error> {
        let (roots, extent) = match selector {
            // a word for a registry names one image, also one that belongs to another
            None if matches!(source.location(), Location::Registry(_)) => (source.roots()?, Extent::Chosen),
            None => (source.roots()?, Extent::Whole),
            Some(_) => (vec![super::lookup::select_one(source, selector)?], Extent::Chosen),
        };
        if roots.is_empty() {
            return Err(Error::Absent {
                message: format!("cannot find an image in {}: it holds none", source.location()),
                cause: None,
                hint: None,
            });
        }
        Ok(Self { label, source, roots, extent })
    }

    /// Returns what is to be carried for itself. Of a whole place what belongs to images stays behind, or comes along with
    /// what of them is taken; when all is taken, everything goes as it stands.
    fn wanted(&self, options: &CarryOptions) -> Result<Vec<Descriptor>, Error> {
        let everything = options.takes_all_referrers() && options.platforms.is_all();
        if self.extent == Extent::Chosen || everything {
            return Ok(self.roots.clone());
        }
        let attached = attached(self.source, &self.roots)?;
        let alone = paired(&attached, &self.roots).filter(|(_, belongs)| belongs.is_none());
        let images: Vec<Descriptor> = alone.map(|(root, _)| root.clone()).collect();
        if images.is_empty() {
            return Err(Error::Absent {
                message: format!("cannot find an image in {}", self.source.location()),
                cause: Some("it holds nothing but what belongs to images elsewhere".to_owned()),
                hint: None,
            });
        }
        Ok(images)
    }
}

impl std::fmt::Debug for CopySource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopySource").field("label", &self.label).field("roots", &self.roots).finish_non_exhaustive()
    }
}

/// Under which names the images arrive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// Their own, as they stand.
    #[default]
    Keep,
    /// Their own; where one is a full name that only some programs would find, it is spelled for all of them.
    Spell,
    /// These, for the one image that there is.
    As(Vec<ImageName>),
}

/// Images that have not been copied yet.
#[derive(Debug)]
pub struct Copying<'a> {
    /// All content, and where it comes from.
    pub plan: Plan<'a>,
    /// The images, in order.
    pub images: Vec<Carried>,
    /// What belongs to images of the sources and stays behind, beside what belongs to indexes that do not arrive.
    pub behind: Vec<StaysBehind>,
    /// Lists of referrers that became one with others of their name.
    pub united: Vec<United>,
}

impl Copying<'_> {
    /// Makes one list of referrers of those that come and those of the same names that the target has already: to be asked before
    /// it is told what was done.
    ///
    /// # Errors
    /// When one of them cannot be read, or is none.
    pub fn unite_lists(&mut self, target: &Target) -> Result<(), Error> {
        let united = target.unite_lists(&mut self.plan)?;
        self.replace(united);
        Ok(())
    }

    fn replace(&mut self, united: Vec<United>) {
        for list in united {
            self.images.iter_mut().for_each(|image| list.replace(&mut image.to));
            self.united.retain(|held| held.name != list.name);
            self.united.push(list);
        }
    }
}

/// Plans a copy.
///
/// # Errors
/// When something cannot be read or is wrong, one name would stand for two images, or one new name is meant for several
/// images.
pub fn copy<'a>(sources: &[CopySource<'a>], naming: &Naming, options: &CarryOptions) -> Result<Copying<'a>, Error> {
    let mut plan = Plan::new();
    let mut images = Vec::new();
    let mut labels: BTreeMap<String, (Digest, String)> = BTreeMap::new();
    let mut behind = Vec::new();
    for source in sources {
        let first = images.len();
        for image in carry(&mut plan, source.source, &source.wanted(options)?, options)? {
            if *naming == Naming::Keep || *naming == Naming::Spell {
                refuse_a_name_twice(&mut labels, &image.to, &source.label)?;
            }
            images.push(image);
        }
        let chosen = (source.extent == Extent::Chosen).then_some(&source.roots[..]);
        // a registry is not asked for what nobody wants
        let tells_all = !matches!(source.source.location(), Location::Registry(_));
        if tells_all && !(options.takes_all_referrers() && options.platforms.is_all()) {
            behind.extend(stays_behind(source.source, chosen, &images[first..], options)?);
        }
    }
    refuse_absent_platforms(&images, options)?;
    match naming {
        Naming::Keep | Naming::Spell => {
            for image in &mut images {
                if let Some(name) = full_name(&image.to, naming) {
                    let spelled = named(&image.to, &name);
                    // most are spelled so already, and share what the source has read
                    if spelled != image.to {
                        image.to = spelled;
                    }
                }
                plan.add_root(image.to.clone());
            }
        }
        Naming::As(names) => {
            let [image] = images.as_mut_slice() else { return Err(several(&images, names)) };
            let bare = image.to.clone().without_annotations(&[CONTAINERD_NAME, REF_NAME]);
            for name in names {
                image.to = named(&bare, name);
                plan.add_root(image.to.clone());
            }
        }
    }
    let mut named: HashMap<Digest, Vec<Descriptor>> = HashMap::new();
    for root in &plan.inventory().roots {
        named.entry(*root.digest()).or_default().push(root.clone());
    }
    for referrer in images.iter().flat_map(|image| &image.referrers) {
        let same = named.entry(*referrer.digest()).or_default();
        if !same.contains(referrer) {
            same.push(referrer.clone());
            plan.add_root(referrer.clone());
        }
    }
    let mut copying = Copying { plan, images, behind, united: Vec::new() };
    let united = unite(&mut copying.plan, None)?;
    copying.replace(united);
    Ok(copying)
}

/// Refuses a platform that none of the images is for: what is asked for is either there or said not to be.
fn refuse_absent_platforms(images: &[Carried], options: &CarryOptions) -> Result<(), Error> {
    let taken: Vec<Platform> = images.iter().flat_map(|image| image.taken.iter().cloned()).collect();
    let Some(absent) = options.platforms.unmatched(&taken).first().copied().cloned() else { return Ok(()) };
    let mut there: Vec<String> =
        images.iter().flat_map(|image| image.taken.iter().chain(&image.left_out)).map(ToString::to_string).collect();
    there.sort_unstable();
    there.dedup();
    Err(Error::Absent {
        message: format!("cannot find {absent} in any of the images"),
        cause: Some(format!("they are for {}", there.join(", "))),
        hint: None,
    })
}

/// Returns the full name of a descriptor whose reference name may be spelled anew, so that nobody finds another image by it.
fn full_name(root: &Descriptor, naming: &Naming) -> Option<ImageName> {
    let own = root.annotation(REF_NAME);
    let full = match (root.annotation(CONTAINERD_NAME), own) {
        (Some(full), Some(own)) if crate::reference::tag_of(full) == Some(own) => full,
        (Some(full), None) if *naming == Naming::Spell => full,
        (None, Some(own)) if *naming == Naming::Spell && is_qualified(own) => own,
        _ => return None,
    };
    let name = ImageName::parse(full).ok()?;
    (name.tag().is_some() && name.digest().is_none() && name.to_string() == full).then_some(name)
}

/// Returns whether a name says its registry itself.
fn is_qualified(name: &str) -> bool {
    ImageName::parse(name).is_ok_and(|parsed| parsed.tag().is_some() && parsed.to_string() == name)
}

/// Refuses images of one name that come from two places: one of them would be lost.
fn refuse_a_name_twice(
    labels: &mut BTreeMap<String, (Digest, String)>,
    root: &Descriptor,
    label: &str,
) -> Result<(), Error> {
    let is_list = |name: &str| root.media_type().role() == Role::Index && is_list_name(name);
    // two lists of referrers become one
    for name in names::claims(root).filter(|name| !is_list(name)) {
        let (digest, first) = labels.entry(name.to_owned()).or_insert_with(|| (*root.digest(), label.to_owned()));
        // inside one place several may share a name, as in a flat index
        if digest != root.digest() && first != label {
            return Err(Error::Absent {
                message: format!("cannot tell which {} is meant: two sources have one", escaped(name)),
                cause: Some(format!("{first} has {digest}, {label} has {}", root.digest())),
                hint: Some(
                    "copy them one after the other (the later one then has the name), or rename one first".to_owned(),
                ),
            });
        }
    }
    Ok(())
}

fn several(images: &[Carried], names: &[ImageName]) -> Error {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    Error::Usage {
        message: format!("cannot name {} images {}", images.len(), names.join(", ")),
        hint: Some("choose one image of the source, as in DIR:NAME".to_owned()),
    }
}

/// Plans new names for images of a place: only names change.
///
/// # Errors
/// When the image is not there, or several answer.
pub fn tag(
    source: &dyn Source,
    selector: Option<&Selector>,
    new_names: &[ImageName],
) -> Result<(Plan<'static>, Descriptor, Vec<Descriptor>), Error> {
    let root = super::lookup::select_one(source, selector)?;
    let bare = root.clone().without_annotations(&[CONTAINERD_NAME, REF_NAME]);
    let mut plan = Plan::new();
    let mut roots = Vec::new();
    for name in new_names {
        let new = named(&bare, name);
        plan.add_root(new.clone());
        roots.push(new);
    }
    Ok((plan, root, roots))
}
