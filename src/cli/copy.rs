//! `barge copy`

use barge::ops::Error;
use barge::ops::copy::{CopySource, Naming, copy};
use barge::ops::lookup::name_of;
use barge::ops::open::open;
use barge::ops::target::{Target, destination};
use clap::Args;

use super::Session;
use super::report::Report;
use super::write::{CarryArgs, WriteArgs, carried_as_json, line, names, say_carried, say_summary, stats};

/// Copy images between two places, every byte checked and every digest kept.
///
/// Without a name the whole source goes, signatures and all. What is at the target already is checked instead of copied;
/// other images there stay.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge copy bundle.tar dist
  barge copy dist:app:v1 oci:other:ghcr.io/org/app:v2 backup.tar")]
pub(crate) struct CopyArgs {
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
    let mut report = Report::default();
    // every word is understood before anything is written
    let destinations = args.destinations.iter().map(|word| destination(word)).collect::<Result<Vec<_>, _>>()?;
    for (place, name) in destinations {
        let naming = match name {
            Some(name) => Naming::As(names(&[name])?),
            None => Naming::Keep,
        };
        let target = Target::at(place, &context, args.write.options(session))?;
        let place = target.location().to_string();
        let copying = copy(std::slice::from_ref(&source), &naming, &options, &target.roots()?)?;
        if session.global.dry_run {
            session.ui.say(&format!("would copy to {place}:"));
        } else {
            let summary = target.deliver(copying.plan, &session.cancel, &session.ui)?;
            say_summary(session, &place, &summary);
            report.stats = stats(&summary);
        }
        say_carried(session, &copying.images);
        for image in &copying.images {
            if place != "-" {
                report.text.extend(line(&image.to.digest().to_string(), name_of(&image.to)).into_bytes());
            }
            report.results.push(carried_as_json(&place, image));
        }
    }
    Ok(report)
}
