//! `push`: images go to registries, each piece once, and names come last.
//!
//! Where every image goes is decided first; then each registry has one sink, and all registries have everything before the
//! first of them gets a name.

mod bases;
mod goods;
mod route;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

pub use self::bases::RemoteBase;
use self::goods::{Goods, goods};
pub use self::route::{Destinations, NameMap, Routed, route};
use super::Error;
use super::attached::{attached, called, paired};
use super::bases::Fetching;
use super::carry::{Carried, CarryOptions, carry};
use super::copy::{CopySource, Copying, Extent, Naming, copy};
use super::left_behind::{StaysBehind, stays_behind};
use super::lookup::is_attached;
use crate::blob::Cancel;
use crate::content::{CONTAINERD_SUBJECT, REF_NAME};
use crate::digest::Digest;
use crate::error::Class;
use crate::plan::Plan;
use crate::reference::ImageName;
use crate::store::lanes::in_lanes;
use crate::store::referrer_list::digest_in;
use crate::store::registry::{Confirmed, Delivery, Registries, RegistrySink, Survey, Taken, Tally};
use crate::store::{Location, Sink as _, StoreError, read_document};
use crate::transfer::{self, Observer};

/// What a push does.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// What of each image goes along.
    pub carry: CarryOptions,
    /// What to do about a tag that means something else.
    pub taken: Taken,
    /// Whether one failure leaves the rest undone.
    pub keep_going: bool,
    /// Hosts and repositories that hold what is pushed: in the same registry it is taken from there.
    pub origins: Vec<(String, String)>,
    /// Whether a registry is asked for every piece also where the tag means the same image already.
    pub recheck: bool,
}

/// A push that has been planned and not carried out.
#[derive(Debug)]
pub struct Pushing<'a> {
    /// All content, and where it comes from.
    pub plan: Plan<'a>,
    /// The images, in order.
    pub images: Vec<Carried>,
    /// What belongs to images of the source, and stays behind.
    pub behind: Vec<StaysBehind>,
    /// Referrers that a registry cannot link to what they belong to: an annotation in the place alone says so.
    pub unlinked: Vec<Unlinked>,
    /// Every image, and where it goes.
    pub routed: Vec<Routed>,
    /// The images that cannot go, when the others are to go all the same.
    pub broken: Vec<Broken>,
    /// The repositories that the content comes from, as far as it comes from some.
    origins: Vec<(String, String)>,
    recheck: bool,
    /// How names become those that they have there.
    naming: (Destinations, NameMap),
    /// What is read from the registries before anything goes there.
    fetching: Vec<Fetching<'a>>,
}

/// A referrer that does not say itself what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlinked {
    /// Its digest.
    pub digest: Digest,
    /// What it belongs to.
    pub subject: String,
}

/// An image that is wrong where it lies.
#[derive(Debug)]
pub struct Broken {
    /// How it is called there.
    pub called: String,
    /// What it is.
    pub digest: Digest,
    /// Why it cannot go.
    pub error: Error,
}

/// What a push would do.
#[derive(Debug)]
pub struct Foreseen {
    /// Every registry, and what would be sent there.
    pub registries: Vec<(String, Survey)>,
    /// Every name, in order, as it would be confirmed.
    pub names: Vec<Pushed>,
}

/// What became of one name.
#[derive(Debug)]
pub struct Pushed {
    /// The name.
    pub name: ImageName,
    /// What it is here.
    pub digest: Digest,
    /// What the registry says that it is, and whether it was so before; or why it is not there.
    pub result: Result<Confirmed, Error>,
}

/// What became of everything.
#[derive(Debug, Default)]
pub struct PushReport {
    /// Every name, in order.
    pub pushed: Vec<Pushed>,
    /// What was done, over all registries.
    pub tally: Tally,
}

/// Plans a push of some images of a source.
///
/// # Errors
/// When something cannot be read, or an image has no name that says where it goes.
pub fn push<'a>(
    source: &CopySource<'a>,
    destinations: &Destinations,
    map: &NameMap,
    options: &PushOptions,
) -> Result<Pushing<'a>, Error> {
    push_all(std::slice::from_ref(source), source.source.location(), destinations, map, options)
}

/// Plans a push of some images of several sources at once: what they share goes once. `place` is what messages call them.
///
/// # Errors
/// As [`push`].
pub fn push_all<'a>(
    sources: &[CopySource<'a>],
    place: &Location,
    destinations: &Destinations,
    map: &NameMap,
    options: &PushOptions,
) -> Result<Pushing<'a>, Error> {
    let images = sources.iter().map(|source| match source.extent {
        Extent::Chosen => Ok(source.clone()),
        Extent::Whole => images_of(source),
    });
    let mut chosen = images.collect::<Result<Vec<_>, _>>()?;
    let broken = if options.keep_going { put_aside(&mut chosen, options)? } else { Vec::new() };
    let Copying { plan, images, mut behind, .. } = copy(&chosen, &Naming::Keep, &options.carry)?;
    for whole in sources.iter().filter(|source| source.extent == Extent::Whole) {
        // also what belongs to nothing that goes
        behind = stays_behind(whole.source, None, &images, &options.carry)?;
    }
    let unlinked = unlinked(&plan, &images)?;
    let routed = route(&images, destinations, map, place)?;
    let mut origins = options.origins.clone();
    for source in sources {
        if let Location::Registry(name) = source.source.location() {
            origins.extend(repository_of(name));
        }
    }
    let naming = (destinations.clone(), map.clone());
    let recheck = options.recheck;
    Ok(Pushing { plan, images, behind, unlinked, routed, broken, origins, recheck, naming, fetching: Vec::new() })
}

/// Finds the referrers that say by containerd's annotation alone what they belong to, as they stand at the top of the source.
fn unlinked(plan: &Plan<'_>, images: &[Carried]) -> Result<Vec<Unlinked>, Error> {
    let mut found: Vec<Unlinked> = Vec::new();
    for root in images.iter().flat_map(|image| &image.referrers) {
        let Some(subject) = root.annotation(CONTAINERD_SUBJECT) else { continue };
        let has_tag = root.annotation(REF_NAME).and_then(digest_in).is_some();
        let has_subject = root.media_type().is_document() && read_document(plan, root)?.subject().is_some();
        let one = Unlinked { digest: *root.digest(), subject: subject.to_owned() };
        if !has_tag && !has_subject && !found.contains(&one) {
            found.push(one);
        }
    }
    Ok(found)
}

/// Takes out the images that cannot be planned for.
///
/// # Errors
/// When that is all of them: the first reason.
fn put_aside(sources: &mut Vec<CopySource<'_>>, options: &PushOptions) -> Result<Vec<Broken>, Error> {
    let mut broken = Vec::new();
    for images in sources.iter_mut() {
        let source = images.source;
        images.roots.retain(|root| match carry(&mut Plan::new(), source, std::slice::from_ref(root), &options.carry) {
            Ok(_) => true,
            Err(error) => {
                broken.push(Broken { called: called(root), digest: *root.digest(), error });
                false
            }
        });
    }
    sources.retain(|images| !images.roots.is_empty());
    match broken.len() {
        all if sources.is_empty() && all > 0 => Err(broken.swap_remove(0).error),
        _ => Ok(broken),
    }
}

/// Returns the images of a whole place: what belongs to them comes along with them, and to where they go.
fn images_of<'a>(source: &CopySource<'a>) -> Result<CopySource<'a>, Error> {
    let belongs = attached(source.source, &source.roots)?;
    let mut images = source.clone();
    images.extent = Extent::Chosen;
    let alone = paired(&belongs, &source.roots).filter(|(root, belongs)| belongs.is_none() && !is_attached(root));
    images.roots = alone.map(|(root, _)| root.clone()).collect();
    if images.roots.is_empty() {
        return Err(Error::Absent {
            message: format!("cannot find an image to push in {}", source.source.location()),
            cause: Some("it holds nothing but what belongs to images elsewhere".to_owned()),
            hint: None,
        });
    }
    Ok(images)
}

/// Returns host and repository of an image in a registry: what is pushed to the same registry is mounted from there.
fn repository_of(name: &str) -> Option<(String, String)> {
    let name = ImageName::parse(name).ok()?;
    Some((name.registry().to_owned(), name.repository().to_owned()))
}

impl Pushing<'_> {
    /// Asks all registries what they have, and what the names mean there. Writes nothing.
    ///
    /// # Errors
    /// When one cannot be reached, does not let us, or has a tag that must not be replaced.
    pub fn survey(&self, registries: &Registries, taken: Taken) -> Result<Foreseen, Error> {
        let all: Vec<&Routed> = self.routed.iter().collect();
        let (mut surveys, mut foreseen) = (Vec::new(), Vec::new());
        for (host, mut sink) in self.sinks(&all, registries, taken)? {
            let survey = sink.survey()?;
            surveys.push((host, Survey { lists: sink.foresee_lists()?, ..survey }));
            foreseen.extend(sink.foresee()?);
        }
        Ok(Foreseen { registries: surveys, names: named(&all, &foreseen) })
    }

    /// Carries it out.
    ///
    /// # Errors
    /// The first failure, unless it is to keep going: then only that nothing could be begun, or somebody asked to stop.
    pub fn deliver(
        &self,
        registries: &Registries,
        options: &PushOptions,
        cancel: &Cancel,
        observer: &dyn Observer,
    ) -> Result<PushReport, Error> {
        let mut report = PushReport::default();
        self.fetch(observer)?;
        if !options.keep_going {
            let all: Vec<&Routed> = self.routed.iter().collect();
            self.together(&all, registries, options.taken, cancel, observer, &mut report)?;
            return Ok(report);
        }
        for routed in &self.routed {
            // a registry has been told of what it has, and is not asked for it twice
            for name in &routed.names {
                let one = Routed { names: vec![name.clone()], ..routed.clone() };
                let failed = self.together(&[&one], registries, options.taken, cancel, observer, &mut report).err();
                match failed {
                    Some(error) if error.class() == Class::Interrupted => return Err(error),
                    Some(error) => {
                        report.pushed.push(Pushed { name: name.clone(), digest: one.digest, result: Err(error) });
                    }
                    None => {}
                }
            }
        }
        Ok(report)
    }

    /// Brings some images to all their registries at once, and gives names when all of them have everything.
    fn together(
        &self,
        routed: &[&Routed],
        registries: &Registries,
        taken: Taken,
        cancel: &Cancel,
        observer: &dyn Observer,
        report: &mut PushReport,
    ) -> Result<(), Error> {
        let mut sinks = self.sinks(routed, registries, taken)?;
        let slots: Vec<Mutex<&mut RegistrySink>> = sinks.iter_mut().map(|(_, sink)| Mutex::new(sink)).collect();
        let brought = in_lanes(&slots, slots.len(), cancel, |slot, cancel| {
            let mut sink = slot.lock().unwrap_or_else(PoisonError::into_inner);
            transfer::bring(&self.plan, &mut **sink, cancel, observer).map(drop)
        });
        let failed = match brought {
            Err((_, error)) => Some(Error::from(error)),
            // lanes that are asked to stop between two registries have not failed
            Ok(()) => cancel.is_cancelled().then(|| StoreError::Cancelled.into()),
        };
        drop(slots);
        observer.hear(transfer::Event::Ended);
        if let Some(error) = failed {
            for (_, sink) in &sinks {
                report.tally.add(&sink.tally());
            }
            return Err(error);
        }
        let mut confirmed: Vec<Confirmed> = Vec::new();
        let committed = sinks.iter_mut().try_for_each(|(_, sink)| sink.commit(self.plan.inventory()).map(drop));
        for (_, sink) in &sinks {
            report.tally.add(&sink.tally());
            confirmed.extend_from_slice(sink.confirmed());
        }
        committed?;
        report.pushed.extend(named(routed, &confirmed));
        Ok(())
    }

    /// Makes a sink for every registry that something goes to.
    fn sinks(
        &self,
        routed: &[&Routed],
        registries: &Registries,
        taken: Taken,
    ) -> Result<Vec<(String, RegistrySink)>, Error> {
        let mut hosts: Vec<String> = Vec::new();
        let mut deliveries: BTreeMap<(String, String), Delivery> = BTreeMap::new();
        for one in routed {
            let goods = goods(&self.plan, one)?;
            for name in &one.names {
                if !hosts.iter().any(|host| host == name.registry()) {
                    hosts.push(name.registry().to_owned());
                }
                let key = (name.registry().to_owned(), name.repository().to_owned());
                let delivery = match deliveries.entry(key) {
                    Entry::Occupied(held) => held.into_mut(),
                    Entry::Vacant(slot) => slot.insert(Delivery {
                        repository: registries.repository(name)?,
                        contents: Vec::new(),
                        turns: HashMap::new(),
                        referrers: Vec::new(),
                        whole: HashMap::new(),
                        names: Vec::new(),
                        sibling: None,
                        taken,
                    }),
                };
                add(delivery, &goods);
                if !self.recheck {
                    delivery.whole.entry(one.digest).or_insert_with(|| goods.image.clone());
                }
                // what belongs to an image has its tag before the image has one
                let tag = name.tag().filter(|_| name.digest().is_none()).map(str::to_owned);
                for named in goods.tags.iter().cloned().chain([(tag, one.digest)]) {
                    if !delivery.names.contains(&named) {
                        delivery.names.push(named);
                    }
                }
                let is_sibling =
                    |(host, path): &&(String, String)| host == name.registry() && path != name.repository();
                let origin = self.origins.iter().find(is_sibling);
                delivery.sibling = origin.map(|(_, path)| path.clone());
            }
        }
        let mut sinks = Vec::new();
        for host in hosts {
            let own = deliveries.iter().filter(|((at, _), _)| *at == host).map(|(_, delivery)| delivery.clone());
            sinks.extend(RegistrySink::new(own.collect()).map(|sink| (host, sink)));
        }
        Ok(sinks)
    }
}

/// Adds what goes for one image to what goes to its repository.
fn add(delivery: &mut Delivery, goods: &Goods) {
    for (content, _) in &goods.contents {
        // what belongs to one image may be another one, and is written in the first turn that somebody wants it in
        let turn = goods.turns.get(&content.digest).copied().unwrap_or(0);
        let slot = delivery.turns.entry(content.digest).or_insert(turn);
        *slot = turn.min(*slot);
    }
    delivery.contents.extend(goods.contents.iter().cloned());
    let known: HashSet<Digest> = delivery.referrers.iter().map(|one| *one.listed.digest()).collect();
    let new = goods.referrers.iter().filter(|one| !known.contains(one.listed.digest()));
    delivery.referrers.extend(new.cloned());
}

/// Returns for every name, in order, what its registry says of it.
fn named(routed: &[&Routed], confirmed: &[Confirmed]) -> Vec<Pushed> {
    // a digest is the whole name, whatever tag stands before it
    let said: HashMap<(&str, Option<&str>, Digest), &Confirmed> =
        confirmed.iter().map(|one| ((one.repository.as_str(), one.tag.as_deref(), one.digest), one)).collect();
    let mut pushed = Vec::new();
    for one in routed {
        for name in &one.names {
            let repository = name.full_repository();
            let tag = name.tag().filter(|_| name.digest().is_none());
            if let Some(result) = said.get(&(repository.as_str(), tag, one.digest)) {
                pushed.push(Pushed { name: name.clone(), digest: one.digest, result: Ok((*result).clone()) });
            }
        }
    }
    pushed
}
