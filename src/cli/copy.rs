//! `barge copy`

use barge::ops::Error;
use barge::ops::copy::{CopySource, Naming, copy};
use barge::ops::open::open;
use barge::ops::push::{Destinations, NameMap, PushOptions, push};
use barge::ops::target::{Target, destination};
use barge::reference::Place;
use barge::store::Location;
use clap::Args;

use super::Session;
use super::network::NetworkArgs;
use super::report::Report;
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
    carry: CarryArgs,
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
    let options = args.carry.options()?;
    let opened = open(&args.source, &context)?;
    let source = CopySource::select(opened.label.clone(), &opened.store, opened.selector.as_ref())?;
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
    let plan = |place: &Place, naming: &Naming| -> Result<_, Error> {
        let target = Target::at(place.clone(), &context, args.write.options_from([&opened.store], session))?;
        let copying = copy(std::slice::from_ref(&source), naming, &options)?;
        Ok((target, copying))
    };
    // whatever can be known to fail does so before anything is written
    let mut places = Vec::new();
    for (place, naming) in &destinations {
        places.push(plan(place, naming)?.0.location());
    }
    refuse_mixed_output(session, &places.iter().collect::<Vec<_>>())?;
    let push_options = PushOptions { carry: options.clone(), ..PushOptions::default() };
    let pushing = match published.is_empty() {
        true => None,
        false => Some(push(&source, &Destinations::Names(published), &NameMap::default(), &push_options)?),
    };
    if let Some(pushing) = pushing.as_ref().filter(|_| !destinations.is_empty()) {
        pushing.survey(&session.registries, push_options.taken)?;
    }
    let mut report = Report::default();
    for (place, naming) in &destinations {
        // planned anew: two destinations may be in one place
        let (target, copying) = plan(place, naming)?;
        carry_out(session, target, copying, "copy to", &mut report)?;
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
