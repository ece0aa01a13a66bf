//! `barge tag`

use barge::digest::Digest;
use barge::ops::Error;
use barge::ops::copy::tag;
use barge::ops::lookup::name_of;
use barge::ops::open::{Store, open};
use barge::ops::published::{retag, sibling_tag};
use barge::ops::target::Target;
use barge::reference::{ImageName, Place, Reference, Word, parse_word};
use barge::store::registry::Taken;
use barge::store::{Location, Source as _};
use clap::Args;
use serde_json::json;

use super::Session;
use super::network::NetworkArgs;
use super::report::Report;
use super::write::{WriteArgs, line, names};

/// Give an image further names in its layout or archive, or further tags in its repository.
///
/// A name that another image has goes over to this one.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge tag dist:app:v1 app:latest ghcr.io/org/app:v1
  barge -L dist tag :app:v1 app:stable
  barge tag docker://quay.io/org/app:v1 stable latest   # in a registry, nothing is fetched")]
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
    if let Word::Reference(Reference { place: Place::Registry(image), .. }) = parse_word(&args.reference)? {
        return published(args, &image.with_default_tag(), session);
    }
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

/// Gives an image of a registry further tags there.
fn published(args: &TagArgs, image: &ImageName, session: &Session<'_>) -> Result<Report, Error> {
    let tags: Vec<ImageName> = args.new_names.iter().map(|word| sibling_tag(image, word)).collect::<Result<_, _>>()?;
    let mut report = Report::default();
    let mut add = |name: &str, digest: &Digest, unchanged: Option<bool>| {
        report.text.extend(line(&digest.to_string(), Some(name)).into_bytes());
        report.results.push(json!({"place": format!("docker://{image}"), "name": name, "digest": digest.to_string(),
            "unchanged": unchanged, "dryRun": session.global.dry_run}));
    };
    if session.global.dry_run {
        let repository = session.registries.repository(image)?.with_image(image)?;
        for root in repository.roots()? {
            tags.iter().for_each(|name| add(&name.to_string(), root.digest(), None));
        }
        session.ui.say(&format!("would tag docker://{image}:"));
        return Ok(report);
    }
    for confirmed in retag(&session.registries, image, &tags, Taken::Replace, &session.cancel)? {
        let tag = confirmed.tag.as_deref().unwrap_or_default();
        if confirmed.unchanged {
            session.ui.say(&format!("nothing to do: {tag} means this already"));
        }
        add(&format!("{}:{tag}", confirmed.repository), &confirmed.digest, Some(confirmed.unchanged));
    }
    Ok(report)
}
