//! `barge rm`

use std::collections::HashSet;
use std::time::Duration;

use barge::content::Descriptor;
use barge::content::total;
use barge::digest::Digest;
use barge::ops::Error;
use barge::ops::attached::{Referrers, called, counted};
use barge::ops::gc::{Effect, GcOptions, gc};
use barge::ops::lookup::name_of;
use barge::ops::open::open;
use barge::ops::published::{find_published, unpublish};
use barge::ops::rm::{Removed, remove};
use barge::ops::target::{Target, Unreferenced};
use barge::reference::{ImageName, Place, Reference, Word, parse_word};
use barge::store::{Location, Source as _};
use barge::text::{escaped, human_size};
use barge::transfer::{Event, Observer as _};
use clap::Args;
use serde_json::json;

use super::Session;
use super::network::NetworkArgs;
use super::report::Report;
use super::write::{WriteArgs, count, line, platforms};

/// Take images, or some of their platforms, out of a layout or an archive.
///
/// Signatures, SBOMs and other referrers go with the image that they belong to. Names go, content stays: `--gc` removes what nothing else refers to. Without some platforms an image has a smaller
/// index, and so another digest; both are printed.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge rm dist:app:v1
  barge rm --platform linux/s390x,linux/ppc64le --gc dist:app:v2
  barge rm docker://localhost:5000/org/app:v1   # where the registry allows it")]
pub(crate) struct RmArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Remove only these platforms: os/arch[/variant] (can be repeated, takes commas)
    #[arg(long, value_name = "LIST")]
    platform: Vec<String>,
    /// Remove the content as well, as far as nothing else refers to it
    #[arg(long)]
    gc: bool,
    /// Leave signatures, SBOMs and other referrers of what is removed; else they go with it
    #[arg(long)]
    keep_referrers: bool,
    #[command(flatten)]
    write: WriteArgs,
    /// The images
    #[arg(required = true, value_name = "REF")]
    references: Vec<String>,
}

pub(crate) fn run(args: &RmArgs, session: &Session<'_>) -> Result<Report, Error> {
    let context = session.context();
    let platforms = platforms(&args.platform)?;
    let mut opened = Vec::new();
    let mut published = Vec::new();
    for word in &args.references {
        if let Word::Reference(Reference { place: Place::Registry(name), .. }) = parse_word(word)? {
            refuse_parts(args, &name)?;
            find_published(&session.registries, &name)?;
            published.push(name);
            continue;
        }
        let one = open(word, &context)?;
        let Some(selector) = one.selector.clone() else {
            return Err(Error::Usage {
                message: format!("cannot remove {}: it is a whole place", one.label),
                hint: Some("name an image in it, as in DIR:NAME; a place itself is removed with rm -r".to_owned()),
            });
        };
        match opened
            .iter_mut()
            .find(|(store, _): &&mut (barge::ops::open::Store, Vec<_>)| store.location() == one.store.location())
        {
            Some((_, selectors)) => selectors.push(selector),
            None => opened.push((one.store, vec![selector])),
        }
    }
    // everything is known to be there, and every place to be writable, before anything changes
    let mut plans = Vec::new();
    for (store, selectors) in &opened {
        let referrers = if args.keep_referrers { Referrers::None } else { Referrers::All };
        let removing = remove(store, selectors, &platforms, &referrers)?;
        let unreferenced = match args.gc {
            true => Unreferenced::Drop(removing.candidates.clone()),
            false => Unreferenced::Keep,
        };
        let target = Target::at(super::tag::place_of(store)?, &context, args.write.options(session))?;
        if args.gc {
            // what cannot be collected is known while the names are still there
            let gone = removing.plan.inventory().gone.clone();
            collect(&target.location(), removing.candidates.clone(), gone, Effect::DryRun, args, session)?;
        }
        // a list under the fallback tag is what it names
        let number = counted(store, &removing.referrers).len();
        plans.push((removing, number, target.with_unreferenced(unreferenced)));
    }
    let mut report = Report::default();
    let (mut blobs, mut bytes, mut referrers) = (0, 0, 0);
    for (removing, number, target) in plans {
        for warning in removing.warnings {
            session.ui.hear(Event::Warning(warning));
        }
        let location = target.location();
        if !session.global.dry_run {
            target.deliver(removing.plan, &session.cancel, &session.ui)?;
            session.ui.finish();
        }
        for removed in &removing.removed {
            tell(removed, &location, session, &mut report);
        }
        if !removing.referrers.is_empty() {
            let would = if session.global.dry_run { "would go" } else { "went" };
            let referrers = count(number as u64, "referrer");
            session.ui.say(&format!("{referrers} {would} with it:"));
            removing.referrers.iter().for_each(|referrer| session.ui.say(&format!("  {}", called(referrer))));
        }
        referrers += number;
        if args.gc && !session.global.dry_run {
            let removed = collect(&location, removing.candidates, Vec::new(), Effect::Real, args, session)?;
            session.ui.say(&format!("removed {}, {}", count(removed.0, "blob"), human_size(removed.1)));
            blobs += removed.0;
            bytes += removed.1;
        }
    }
    for name in &published {
        take_down(name, session, &mut report)?;
    }
    report.stats.insert("referrers".to_owned(), json!(referrers));
    if args.gc {
        report.stats.insert("removed".to_owned(), json!(blobs));
        report.stats.insert("bytes".to_owned(), json!(bytes));
    }
    Ok(report)
}

/// A registry removes whole images, and content by itself.
fn refuse_parts(args: &RmArgs, name: &ImageName) -> Result<(), Error> {
    let (option, hint) = match (args.platform.is_empty(), args.gc) {
        (false, _) => ("--platform", "pull it, remove the platforms in the layout, and push it again"),
        (_, true) => ("--gc", "leave it out: a registry collects what nothing refers to by its own rules"),
        _ => return Ok(()),
    };
    Err(Error::Usage { message: format!("cannot use {option} for docker://{name}"), hint: Some(hint.to_owned()) })
}

/// Takes an image out of a registry.
fn take_down(name: &ImageName, session: &Session<'_>, report: &mut Report) -> Result<(), Error> {
    let (digest, manifest) = if session.global.dry_run {
        (find_published(&session.registries, name)?.1, None)
    } else {
        let gone = unpublish(&session.registries, name)?;
        (gone.digest, Some(gone.manifest))
    };
    let would = if session.global.dry_run { "would be " } else { "" };
    session.ui.say(&format!("docker://{name} {would}removed"));
    if manifest == Some(true) && name.digest().is_none() {
        session.ui.say("  with its manifest: this registry removes no tag alone, and no other tag needs it");
    }
    report.text.extend(line(&digest.to_string(), Some(&name.to_string())).into_bytes());
    report.results.push(json!({"place": format!("docker://{name}"), "name": name.to_string(),
        "from": digest.to_string(), "digest": null, "manifest": manifest, "dryRun": session.global.dry_run}));
    Ok(())
}

fn tell(removed: &Removed, location: &Location, session: &Session<'_>, report: &mut Report) {
    let name = name_of(&removed.from);
    let shown = name.map_or_else(|| removed.from.digest().to_string(), escaped);
    let would = if session.global.dry_run { "would be " } else { "" };
    match &removed.to {
        Some(to) => {
            session.ui.say(&format!("{shown} {would}made smaller"));
            session.ui.say(&format!("  was {}", removed.from.digest()));
            session.ui.say(&format!("  is  {}", to.digest()));
            report.text.extend(line(&to.digest().to_string(), name).into_bytes());
        }
        None => {
            session.ui.say(&format!("{shown} {would}removed from {location}"));
            report.text.extend(line(&removed.from.digest().to_string(), name).into_bytes());
        }
    }
    if removed.to.is_none() && !removed.other_names.is_empty() {
        let names: Vec<String> = removed.other_names.iter().map(|name| escaped(name)).collect();
        session.ui.say(&format!("  it is still there as {}", names.join(", ")));
    }
    report.results.push(json!({"place": location.to_string(), "name": name, "from": removed.from.digest().to_string(),
        "digest": removed.to.as_ref().map(|to| to.digest().to_string()), "otherNames": removed.other_names,
        "dryRun": session.global.dry_run}));
}

/// Removes what only the removed images referred to, or looks whether that can be done, and returns how many blobs and
/// bytes those are. An archive is written without it.
fn collect(
    location: &Location,
    candidates: HashSet<Digest>,
    gone: Vec<Descriptor>,
    effect: Effect,
    args: &RmArgs,
    session: &Session<'_>,
) -> Result<(u64, u64), Error> {
    let Location::Layout(path) = location else { return Ok((0, 0)) };
    let options = GcOptions {
        grace: Duration::ZERO,
        candidates: Some(candidates),
        gone,
        lock_timeout: args.write.lock_timeout(),
        durability: args.write.durability(),
        effect,
    };
    let collected = gc(path, &options, &session.cancel)?;
    Ok((collected.removed.len() as u64, total(collected.removed.iter().map(|(_, size)| *size))))
}
