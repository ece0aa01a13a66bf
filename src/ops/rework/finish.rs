//! Putting images together again after their drafts were changed.

use std::collections::HashSet;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::attached::called;
use super::super::lookup::name_of;
use super::super::merge::named;
use super::{Became, Change, Entry, Image, Kept, LeftOut, Node, Renaming, Rework, Root, StayedBehind, Whither, told};
use crate::content::{CONTAINERD_NAME, Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::document::Document;
use crate::graph::{self, Reach};
use crate::json::{self, JsonError, Object};
use crate::media::{DOCKER_INDEX, MediaType};
use crate::ops::Error;
use crate::plan::Plan;
use crate::platform::Platform;
use crate::store::{Reason, StoreError};

/// Images that have changed and have not been written yet.
#[derive(Debug)]
pub struct Reworked<'a> {
    /// What is to arrive, and where it comes from.
    pub plan: Plan<'a>,
    /// What became of the top-level descriptors.
    pub roots: Vec<Root>,
    /// What became of each manifest that might change.
    pub changes: Vec<Change>,
    /// The attestations that were left out.
    pub left_out: Vec<LeftOut>,
    /// What belongs to old digests.
    pub behind: Vec<StayedBehind>,
    /// The names of what indexes had and their new type has no place for.
    pub lost: Vec<String>,
}

impl Reworked<'_> {
    /// Returns whether anything is another thing now.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.roots.iter().any(|root| root.to.iter().any(|to| to.digest() != root.from.digest()))
    }
}

impl<'a> Rework<'a> {
    /// Sets an annotation of the index at the top, or removes it; an image that stands alone has none.
    pub fn annotate_index(&mut self, name: &str, value: Option<&str>) {
        self.annotations.insert(name.to_owned(), value.map(str::to_owned));
    }

    /// Gives indexes another media type. A Docker manifest list loses what it has no place for.
    pub fn set_index_type(&mut self, media_type: &'static str) {
        self.index_type = Some(media_type);
    }

    /// Writes what changed. Whoever is about to make layers, which takes long, tries it before: what is refused is refused then.
    ///
    /// # Errors
    /// When two entries of an index are for one platform now, a form cannot hold what it should, or something that stays is
    /// missing and would have to be brought.
    pub fn finish(&self, whither: Whither) -> Result<Reworked<'a>, Error> {
        self.refuse_twins()?;
        let mut became = Became::new();
        let mut changes = Vec::new();
        for (number, node) in self.nodes.iter().enumerate() {
            let Node::Image(image) = node else { continue };
            let document = image.draft.finish(&mut Plan::new())?;
            let from = *image.descriptor.digest();
            let is_same = document.raw() == image.before.raw();
            let to = if is_same { from } else { *document.descriptor().digest() };
            let platform = image.moved.as_ref().unwrap_or(&image.platform).clone();
            changes.push(Change { platform, from, to });
            if !is_same {
                became.insert(number, document);
            }
        }
        let gone = self.gone(&became);
        let is_left_out = |entry: &Entry| entry.descriptor.attestation_of().is_some_and(|of| gone.contains(of));
        let needed = self.needed(&is_left_out);
        let mut assembly = Assembly { rework: self, plan: Plan::new(), became, same: HashSet::new(), lost: Vec::new() };
        for (number, _) in needed.iter().enumerate().filter(|(_, needed)| **needed) {
            assembly.add(number, whither, &is_left_out)?;
        }
        let Assembly { mut plan, became, same, mut lost, .. } = assembly;
        let mut left_out: Vec<LeftOut> = Vec::new();
        for entry in self.entries().filter(|entry| is_left_out(entry)) {
            let subject = entry.descriptor.attestation_of().and_then(|of| of.parse().ok());
            if let Some(subject) =
                subject.filter(|_| left_out.iter().all(|one| one.digest != *entry.descriptor.digest()))
            {
                left_out.push(told::left_out(self.origin.0, &entry.descriptor, subject));
            }
        }
        let all = self.roots.iter().chain(self.entries());
        let changed = all.filter(|entry| became.contains_key(&entry.node)).map(|entry| *entry.descriptor.digest());
        let (behind, along) = told::referrers(self.origin.0, &changed.collect(), &same)?;
        let roots = self.name(&became, whither, &mut plan)?;
        if whither == Whither::Elsewhere {
            for referrer in along {
                let reach = graph::reach(self.origin.0, std::slice::from_ref(&referrer), &mut |_, _| ());
                plan.add_reach(self.origin.0, &reach.whole()?.all_there(self.origin.0)?);
                plan.add_root(referrer);
            }
        }
        lost.sort();
        lost.dedup();
        Ok(Reworked { plan, roots, changes, left_out, behind, lost })
    }

    /// Returns the entries of all indexes.
    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.nodes.iter().flat_map(|node| match node {
            Node::Index { entries, .. } => entries.as_slice(),
            _ => &[],
        })
    }

    /// Returns the digests of images that changed and stand nowhere unchanged, as text.
    fn gone(&self, became: &Became) -> HashSet<String> {
        let is_image = |entry: &&Entry| matches!(self.nodes[entry.node], Node::Image(_));
        let (mut gone, mut stays) = (HashSet::new(), HashSet::new());
        for entry in self.roots.iter().chain(self.entries()) {
            let digest = entry.descriptor.digest().to_string();
            if is_image(&entry) && became.contains_key(&entry.node) {
                gone.insert(digest)
            } else {
                stays.insert(digest)
            };
        }
        gone.retain(|digest| !stays.contains(digest));
        gone
    }

    /// Returns which nodes the result has.
    fn needed(&self, is_left_out: &dyn Fn(&Entry) -> bool) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        self.roots.iter().for_each(|root| needed[root.node] = true);
        // what refers to something comes after it
        for number in (0..self.nodes.len()).rev() {
            if let Node::Index { entries, .. } = &self.nodes[number]
                && needed[number]
            {
                entries.iter().filter(|entry| !is_left_out(entry)).for_each(|entry| needed[entry.node] = true);
            }
        }
        needed
    }

    /// Refuses an image for a platform that another one in the same index is for already.
    fn refuse_twins(&self) -> Result<(), Error> {
        let platform = |entry: &Entry| -> Option<Platform> {
            match &self.nodes[entry.node] {
                Node::Image(image) => Some(image.moved.as_ref().unwrap_or(&image.platform).clone()),
                _ => entry.descriptor.stated_platform().filter(|platform| !platform.is_unknown()).cloned(),
            }
        };
        let lists = self.nodes.iter().filter_map(|node| match node {
            Node::Index { entries, .. } => Some(entries),
            _ => None,
        });
        for list in lists.chain([&self.roots]) {
            for moved in list {
                let Node::Image(image) = &self.nodes[moved.node] else { continue };
                let Some(to) = &image.moved else { continue };
                let twin = list.iter().find(|other| {
                    other.node != moved.node && platform(other).is_some_and(|other| other.key() == to.key())
                });
                if let Some(twin) = twin {
                    return Err(Error::Usage {
                        message: format!(
                            "cannot make {} an image for {to}: there is one in the same index",
                            image.platform
                        ),
                        hint: Some(format!(
                            "it is {}; take it out first with `barge rm --platform {to}`",
                            twin.descriptor.digest()
                        )),
                    });
                }
            }
        }
        Ok(())
    }

    /// Gives the result its names.
    fn name(&self, became: &Became, whither: Whither, plan: &mut Plan<'a>) -> Result<Vec<Root>, Error> {
        let all = self.origin.0.roots()?;
        let moves = self.renaming == Renaming::Same && whither == Whither::Here;
        let mut roots: Vec<Root> = Vec::new();
        for entry in &self.roots {
            let from = entry.descriptor.clone();
            let mut new = become_of(entry, became);
            if let Node::Image(image) = &self.nodes[entry.node]
                && let (Some(moved), Some(_)) = (&image.moved, from.platform())
            {
                new = new.with_platform(moved);
            }
            let to = match &self.renaming {
                Renaming::Same => vec![new],
                Renaming::New(names) => {
                    let bare = new.without_annotations(&[CONTAINERD_NAME, REF_NAME]);
                    names.iter().map(|name| named(&bare, name)).collect()
                }
            };
            let mut other_names = Vec::new();
            if !moves {
                to.iter().for_each(|to| plan.add_root(to.clone()));
            } else if to[0] != from {
                plan.add_gone(from.clone());
                let stays = |root: &&Descriptor| {
                    root.digest() == from.digest() && !self.roots.iter().any(|moved| moved.descriptor == **root)
                };
                other_names = all.iter().filter(stays).filter_map(name_of).map(str::to_owned).collect();
            }
            roots.push(Root { from, to, other_names });
        }
        if moves && roots.iter().any(|root| root.to[0] != root.from) {
            // images that stand side by side under one name keep it together
            roots.iter().for_each(|root| plan.add_root(root.to[0].clone()));
        }
        Ok(roots)
    }
}

/// Returns a descriptor of what something became; all else that it says stays.
fn become_of(entry: &Entry, became: &Became) -> Descriptor {
    let descriptor = entry.descriptor.clone();
    match became.get(&entry.node) {
        Some(document) => descriptor.with_content(&document.descriptor()).with_media_type(document.media_type()),
        None => descriptor,
    }
}

/// The plan while it grows, children first.
struct Assembly<'r, 'a> {
    rework: &'r Rework<'a>,
    plan: Plan<'a>,
    became: Became,
    /// What is the same as before, and in the result.
    same: HashSet<Digest>,
    lost: Vec<String>,
}

impl Assembly<'_, '_> {
    fn add(&mut self, number: usize, whither: Whither, is_left_out: &dyn Fn(&Entry) -> bool) -> Result<(), Error> {
        match &self.rework.nodes[number] {
            Node::Image(image) if self.became.contains_key(&number) => {
                image.draft.finish(&mut self.plan)?;
            }
            Node::Image(image) => self.keep(&image.reach, whither),
            Node::Kept(Kept::There(reach)) => self.keep(reach, whither),
            // whoever lists it says what is missing
            Node::Kept(Kept::Absent) => {}
            Node::Index { document, entries } => {
                if whither == Whither::Elsewhere {
                    self.refuse_absent(entries)?;
                }
                let root = self.rework.roots.iter().find(|root| root.node == number);
                let about = root.map_or_else(|| "an index".to_owned(), |root| called(&root.descriptor));
                let place = self.rework.origin.0.location();
                let new = self.index(document, entries, root.is_some(), is_left_out);
                let new = new.map_err(|error| StoreError::malformed(&about, place, Reason::from(error)))?;
                if new.media_type().as_str() == DOCKER_INDEX
                    && !new.annotations().is_empty()
                    && new.annotations() != document.annotations()
                {
                    return Err(Error::Unsupported {
                        message: format!(
                            "cannot annotate {about}: it is a Docker manifest list, which has no annotations"
                        ),
                        cause: None,
                        hint: Some("convert it first: `barge convert --to oci`".to_owned()),
                    });
                }
                if new.raw() != document.raw() {
                    self.plan.add_made(&new, &format!("index of {about}"));
                    self.became.insert(number, new);
                } else if let Some(entry) = root.or_else(|| self.rework.entries().find(|entry| entry.node == number)) {
                    self.same.insert(*entry.descriptor.digest());
                    let content = entry.descriptor.content();
                    if whither == Whither::Elsewhere {
                        self.plan.add(self.rework.origin.0, &content, format!("index of {about}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds what stays as it is; where it stays as well there is nothing to bring.
    fn keep(&mut self, reach: &Reach, whither: Whither) {
        self.same.extend(reach.nodes.iter().map(|node| node.content.digest));
        if whither == Whither::Elsewhere {
            self.plan.add_reach(self.rework.origin.0, reach);
        }
    }

    fn refuse_absent(&self, entries: &[Entry]) -> Result<(), Error> {
        let is_absent = |entry: &&Entry| matches!(self.rework.nodes[entry.node], Node::Kept(Kept::Absent));
        let Some(absent) = entries.iter().find(is_absent) else { return Ok(()) };
        let whose = absent.descriptor.platform().map_or_else(|| called(&absent.descriptor), ToString::to_string);
        Err(Error::Content {
            about: format!("manifest of {whose}"),
            error: StoreError::Missing {
                digest: *absent.descriptor.digest(),
                place: self.rework.origin.0.location().clone(),
            },
            hint: Some("the image is sparse: copy the platforms that are there first, with --platform".to_owned()),
        })
    }

    /// Makes the index: entries that stay keep their bytes, and so does everything around them.
    fn index(
        &mut self,
        document: &Document,
        entries: &[Entry],
        is_top: bool,
        is_left_out: &dyn Fn(&Entry) -> bool,
    ) -> Result<Document, JsonError> {
        let media_type = self.rework.index_type.map_or_else(|| document.media_type().clone(), MediaType::new);
        let is_docker = self.rework.index_type == Some(DOCKER_INDEX);
        let mut object = Object::parse(document.raw())?;
        let (mut items, mut differs) = (Vec::new(), false);
        for (entry, raw) in entries.iter().zip(object.items("manifests")) {
            if is_left_out(entry) {
                differs = true;
                continue;
            }
            let item = self.entry(entry, &raw, is_docker)?;
            differs |= item.get() != raw.get();
            items.push(item);
        }
        let mut bytes = document.raw().to_vec();
        if differs {
            object.set_items("manifests", &items);
            bytes = object.to_raw().get().as_bytes().to_vec();
        }
        let mut value = json::parse(&bytes)?;
        if &media_type != document.media_type() {
            value["mediaType"] = media_type.as_str().into();
        }
        self.fields(&mut value, document, is_docker, is_top);
        Document::parse(&media_type, json::edited(&bytes, &value)?)
    }

    /// Changes the fields around the entries.
    fn fields(&mut self, value: &mut Value, document: &Document, is_docker: bool, is_top: bool) {
        let mut annotations = document.annotations().clone();
        if is_docker {
            self.lost.extend(std::mem::take(&mut annotations).into_keys());
            for name in ["subject", "artifactType"] {
                let removed = value.as_object_mut().and_then(|fields| fields.shift_remove(name));
                self.lost.extend(removed.map(|_| name.to_owned()));
            }
        }
        for (name, change) in self.rework.annotations.iter().filter(|_| is_top) {
            match change {
                Some(text) => drop(annotations.insert(name.clone(), text.clone())),
                None => drop(annotations.remove(name)),
            }
        }
        if annotations == *document.annotations() {
            return;
        }
        match value.as_object_mut() {
            Some(fields) if annotations.is_empty() => drop(fields.shift_remove("annotations")),
            _ => value["annotations"] = json!(annotations),
        }
    }

    fn entry(&mut self, entry: &Entry, raw: &RawValue, is_docker: bool) -> Result<Box<RawValue>, JsonError> {
        let mut new = become_of(entry, &self.became);
        if let Node::Image(image) = &self.rework.nodes[entry.node] {
            let Image { moved, without, .. } = &**image;
            if let Some(moved) = moved {
                new = new.with_platform(moved);
            }
            let drops = |name: &&str| is_docker || without.iter().any(|dropped| dropped == name);
            let names: Vec<&str> = entry.descriptor.annotations().keys().map(String::as_str).filter(drops).collect();
            if !names.is_empty() {
                new = new.without_annotations(&names);
                self.lost.extend(names.iter().filter(|_| is_docker).map(|name| (*name).to_owned()));
            }
        }
        if new == entry.descriptor {
            return Ok(raw.to_owned());
        }
        Ok(Object::parse(&json::edited(raw.get().as_bytes(), &new.to_value())?)?.to_raw())
    }
}
