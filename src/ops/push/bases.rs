//! What a push builds on: content that a delta leaves out and the registries have, and layers of whose bytes a compact archive makes
//! others, which are read from the registries where they are nowhere here.

use std::sync::{Mutex, PoisonError};

use super::super::Error;
use super::super::bases::{Fetching, Held};
use super::super::bundle::{Delta, refuse_incomplete};
use super::super::open::Context;
use super::route::would_go;
use super::{Pushing, Routed};
use crate::compact::BaseLayer;
use crate::reference::ImageName;
use crate::store::lanes::in_lanes;
use crate::store::registry::{RegistrySink, Repository, Taken};
use crate::store::{Location, Sink as _, Source as _, StoreError};
use crate::transfer::{Event, Observer};

/// A layer that is read from a registry, because others are made of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteBase {
    /// What it is.
    pub base: BaseLayer,
    /// The repository that has it.
    pub place: Location,
}

impl<'a> Pushing<'a> {
    /// Checks that every registry has what a delta builds on, and finds in them the layers of whose bytes it makes others, as far as they are
    /// nowhere here: [`Self::deliver`] reads them first. Writes nothing.
    ///
    /// # Errors
    /// When something is nowhere, with all that is missing there; or when a registry cannot be reached.
    pub fn check_base(&mut self, delta: &Delta<'a>, context: &Context<'_>, taken: Taken) -> Result<(), Error> {
        let needed = delta.needed(&self.plan);
        let mut made = delta.made(&self.plan);
        if delta.missing_bases(&made)?.is_empty() {
            made.clear();
        }
        if needed.is_empty() && made.is_empty() {
            return Ok(());
        }
        let all: Vec<&Routed> = self.routed.iter().collect();
        let mut sinks = self.sinks(&all, context.registries, taken)?;
        let mut lacking = Vec::new();
        for (_, sink) in &mut sinks {
            sink.survey()?;
            lacking.push(sink.without_origin(&made, delta.repositories())?);
        }
        let missing = delta.missing_bases(&lacking.concat())?;
        let (found, missing) = self.look_for(missing, delta, &sinks, context)?;
        for ((host, sink), lacking) in sinks.iter().zip(lacking) {
            let bases = if lacking.is_empty() { &[] } else { missing.as_slice() };
            let left_out = sink.without_origin(&needed, delta.repositories())?;
            refuse_incomplete(&delta.place(), &Location::Registry(host.clone()), &left_out, bases, &self.plan)?;
        }
        if let Some(archive) = delta.compact().filter(|_| !found.is_empty()) {
            self.fetching.push(Fetching::new(archive, found, context));
        }
        Ok(())
    }

    /// Returns the layers that are read from registries before anything is sent there.
    pub fn remote_bases(&self) -> impl Iterator<Item = RemoteBase> {
        let each = |(base, repository): &Held| RemoteBase { base: base.clone(), place: repository.location().clone() };
        self.fetching.iter().flat_map(move |fetching| fetching.bases.iter().map(each))
    }

    /// Reads them.
    pub(super) fn fetch(&self, observer: &dyn Observer) -> Result<(), Error> {
        let fetched = self.fetching.iter().try_for_each(|fetching| fetching.fetch(observer));
        if !self.fetching.is_empty() {
            observer.hear(Event::Ended);
        }
        fetched
    }

    /// Looks for bases in the registries. Returns those that one has, with the repository, and those that none has.
    fn look_for(
        &self,
        bases: Vec<BaseLayer>,
        delta: &Delta<'_>,
        sinks: &[(String, RegistrySink)],
        context: &Context<'_>,
    ) -> Result<(Vec<Held>, Vec<BaseLayer>), Error> {
        let slots: Vec<(BaseLayer, Mutex<Option<Repository>>)> =
            bases.into_iter().map(|base| (base, Mutex::default())).collect();
        let lanes = sinks.first().map_or(1, |(_, sink)| sink.lanes());
        let asked = in_lanes(&slots, lanes, context.cancel, |(base, slot), _| {
            for (host, sink) in sinks {
                let found = sink.repository_with(&base.content(), &self.likely(base, delta, host))?;
                if found.is_some() {
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = found;
                    break;
                }
            }
            Ok::<_, StoreError>(())
        });
        asked.map_err(|(_, error)| error)?;
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (base, slot) in slots {
            match slot.into_inner().unwrap_or_else(PoisonError::into_inner) {
                Some(repository) => found.push((base, repository)),
                None => missing.push(base),
            }
        }
        Ok((found, missing))
    }

    /// Returns the repositories of a registry, by their paths, that are likely to have a base: those that are said to, that where its image
    /// would go, and that which is called like it, as the registry may be called otherwise where it was saved.
    fn likely(&self, base: &BaseLayer, delta: &Delta<'_>, host: &str) -> Vec<String> {
        let said = delta.repositories().get(&base.digest).into_iter().flatten().cloned();
        let name = base.image.as_deref().and_then(|image| ImageName::parse(image).ok());
        let (destinations, map) = &self.naming;
        let names = name.iter().flat_map(|name| would_go(name, destinations, map));
        let there = names.filter(|name| name.registry() == host).map(|name| name.repository().to_owned());
        said.chain(there).chain(name.iter().map(|name| name.repository().to_owned())).collect()
    }
}
