//! `barge copy`

use barge::ops::Error;
use barge::ops::bundle::{Delta, deltas};
use barge::ops::carry::CarryOptions;
use barge::ops::copy::{CopySource, Copying, Naming, copy};
use barge::ops::open::{Context, Opened, open};
use barge::ops::push::{Destinations, NameMap, PushOptions, push};
use barge::ops::target::{Target, destination};
use barge::reference::Place;
use barge::store::{Location, Source};
use clap::Args;

use super::Session;
use super::align::AlignArgs;
use super::network::NetworkArgs;
use super::report::Report;
use super::signed::VerifyKeyArgs;
use super::write::{CarryArgs, WriteArgs, carry_out, names, refuse_mixed_output};

/// Copy images between two places, every byte checked and every digest kept.
///
/// Without a name the whole source goes, signatures and all. What is at the target already is checked instead of copied;
/// other images there stay.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge copy bundle.tar dist
  barge copy dist:app:v1 oci:other:ghcr.io/org/app:v2 backup.tar
  barge copy docker://quay.io/org/app:v1 docker://localhost:5000/org/app:v1")]
pub(crate) struct CopyArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    signed: VerifyKeyArgs,
    #[command(flatten)]
    carry: CarryArgs,
    #[command(flatten)]
    align: AlignArgs,
    #[command(flatten)]
    write: WriteArgs,
    /// The image or the place to copy
    #[arg(value_name = "SRC")]
    source: String,
    /// Where to: a place, with :NAME to give one image another name (can be repeated)
    #[arg(required = true, value_name = "DEST")]
    destinations: Vec<String>,
}

pub(crate) fn run(args: &CopyArgs, session: &Session<'_>) -> Result<Report, Error> {
    let context = session.context();
    let layout = |word: &String| match destination(word, &context) {
        Ok((Place::Layout(path), _)) => Some(path),
        _ => None,
    };
    let bases: Vec<_> = args.destinations.iter().filter_map(layout).collect();
    let context = Context { bases: &bases, ..context };
    let options = args.carry.options()?;
    let trust = args.signed.read()?;
    let opened = open(&args.source, &context)?;
    trust.check([&opened.store], session)?;
    let mut destinations = Vec::new();
    let mut published = Vec::new();
    for word in &args.destinations {
        let (place, name) = destination(word, &context)?;
        let naming = match name {
            Some(name) => Naming::As(names(&[name])?),
            None => Naming::Keep,
        };
        match place {
            Place::Registry(name) => published.push(name.with_default_tag()),
            place => destinations.push((place, naming)),
        }
    }
    let copying = Copier { args, session, opened: &opened, options: &options };
    let mut report = Report::default();
    if let ([(place, naming)], true) = (destinations.as_slice(), published.is_empty()) {
        // nothing is written before this plan: one is enough
        copying.plan(place, naming, |target, planned| {
            copying.check(&[target.location()])?;
            carry_out(session, target, planned, "copy to", &mut report)
        })?;
        if *place == Place::Stdio {
            report.text.clear();
        }
        return Ok(report);
    }
    // whatever can be known to fail does so before anything is written
    let mut places = Vec::new();
    for (place, naming) in &destinations {
        copying.plan(place, naming, |target, _| {
            places.push(target.location());
            Ok(())
        })?;
    }
    copying.check(&places)?;
    let push_options = PushOptions { carry: options.clone(), ..PushOptions::default() };
    let delta = deltas(&[&opened.store], None)?.pop().flatten();
    let source = copying.source(delta.as_ref())?;
    let mut pushing = match published.is_empty() {
        true => None,
        false => Some(push(&source, &Destinations::Names(published), &NameMap::default(), &push_options)?),
    };
    if let Some(pushing) = &mut pushing {
        if !destinations.is_empty() {
            pushing.survey(&session.registries, push_options.taken)?;
        }
        if let Some(delta) = &delta {
            pushing.check_base(delta, &context, push_options.taken)?;
        }
    }
    for (place, naming) in &destinations {
        // planned anew: two destinations may be in one place
        copying.plan(place, naming, |target, planned| carry_out(session, target, planned, "copy to", &mut report))?;
    }
    if places.contains(&Location::Stdio) {
        report.text.clear();
    }
    // what others see comes last
    if let Some(pushing) = pushing {
        let done = super::push::carry_out(&pushing, &push_options, session)?;
        if !places.contains(&Location::Stdio) {
            report.text.extend(done.text);
        }
        report.results.extend(done.results);
        report.stats.extend(done.stats);
    }
    Ok(report)
}

/// Copies from one place to several.
struct Copier<'a> {
    args: &'a CopyArgs,
    session: &'a Session<'a>,
    opened: &'a Opened,
    options: &'a CarryOptions,
}

impl Copier<'_> {
    /// Checks that what was asked for goes together with where it goes to.
    fn check(&self, places: &[Location]) -> Result<(), Error> {
        self.args.align.check(places)?;
        refuse_mixed_output(self.session, &places.iter().collect::<Vec<_>>())
    }

    /// Returns what is copied, read together with what it builds on.
    fn source<'s>(&'s self, delta: Option<&'s Delta<'s>>) -> Result<CopySource<'s>, Error> {
        let Opened { store, selector, label } = self.opened;
        let source: &dyn Source = match delta {
            Some(delta) => delta,
            None => store,
        };
        CopySource::select(label.clone(), source, selector.as_ref())
    }

    /// Plans a copy to one place; `then` gets it.
    fn plan(
        &self,
        place: &Place,
        naming: &Naming,
        then: impl FnOnce(Target, Copying<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (context, store) = (self.session.context(), &self.opened.store);
        let mut write = self.args.write.options_from([store], self.session);
        write.alignment = self.args.align.alignment();
        let target = Target::at(place.clone(), &context, write)?;
        let held = target.held(&context)?;
        let delta = deltas(&[store], held.as_ref())?.pop().flatten();
        let source = self.source(delta.as_ref())?;
        let copying = copy(std::slice::from_ref(&source), naming, self.options)?;
        if let Some(delta) = &delta {
            delta.check(&copying.plan, &target.location())?;
        }
        then(target, copying)
    }
}
