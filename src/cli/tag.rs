//! `barge tag`

use barge::ops::Error;
use barge::ops::copy::tag;
use barge::ops::lookup::name_of;
use barge::ops::open::{Store, open};
use barge::ops::target::Target;
use barge::reference::Place;
use barge::store::{Location, Source as _};
use clap::Args;
use serde_json::json;

use super::Session;
use super::network::NetworkArgs;
use super::report::Report;
use super::write::{WriteArgs, line, names};

/// Give an image further names in its layout or archive.
///
/// A name that another image has goes over to this one.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge tag dist:app:v1 app:latest ghcr.io/org/app:v1
  barge -L dist tag :app:v1 app:stable")]
pub(crate) struct TagArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    write: WriteArgs,
    /// The image
    #[arg(value_name = "REF")]
    reference: String,
    /// The names
    #[arg(required = true, value_name = "NAME")]
    new_names: Vec<String>,
}

/// Returns the place that a store was opened from, to be written.
pub(super) fn place_of(store: &Store) -> Result<Place, Error> {
    match store.location() {
        Location::Layout(path) => Ok(Place::Layout(path.clone())),
        Location::Archive(path) => Ok(Place::Archive(path.clone())),
        other => Err(Error::Unsupported {
            message: format!("cannot change {other}"),
            cause: Some("names can be changed in a layout or in an OCI archive".to_owned()),
            hint: Some("copy it into a layout first: `barge copy SRC DIR`".to_owned()),
        }),
    }
}

pub(crate) fn run(args: &TagArgs, session: &Session<'_>) -> Result<Report, Error> {
    let context = session.context();
    let new_names = names(&args.new_names)?;
    let opened = open(&args.reference, &context)?;
    let (plan, root, roots) = tag(&opened.store, opened.selector.as_ref(), &new_names)?;
    let place = place_of(&opened.store)?;
    let target = Target::at(place, &context, args.write.options(session))?;
    let location = target.location().to_string();
    let mut report = Report::default();
    if session.global.dry_run {
        session.ui.say(&format!("would name {} in {location}:", root.digest()));
    } else if !target.deliver(plan, &session.cancel, &session.ui)?.renamed {
        session.ui.say(&format!("nothing to do: {location} has these names already"));
    }
    for root in &roots {
        report.text.extend(line(&root.digest().to_string(), name_of(root)).into_bytes());
        report.results.push(json!({"place": location, "name": name_of(root), "digest": root.digest().to_string(),
            "dryRun": session.global.dry_run}));
    }
    Ok(report)
}
