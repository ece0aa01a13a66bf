//! What `edit` and `convert` have in common: where an image that changes is and goes, and what is told of it.

use barge::ops::Error;
use barge::ops::lookup::name_of;
use barge::ops::open::{Opened, Store, open};
use barge::ops::rework::{Renaming, Reworked, StayedBehind, Whither};
use barge::ops::target::Target;
use barge::reference::Place;
use barge::store::{Location, Source as _};
use barge::text::escaped;
use barge::transfer::{Event, Observer as _};
use clap::Args;
use serde_json::{Value, json};

use super::Session;
use super::report::Report;
use super::write::{WriteArgs, count, line, names, refuse_mixed_output, say_summary, stats};

/// Where the result goes.
#[derive(Args, Debug)]
pub(crate) struct PlaceArgs {
    /// Where the result goes: a layout directory, or an archive (FILE.tar, or - for standard output) [default: where REF is]
    #[arg(short, long, value_name = "PLACE")]
    output: Option<String>,
    /// A name for the result, and the old one stays; else the name goes over to the result (can be repeated)
    #[arg(short, long, value_name = "NEW")]
    tag: Vec<String>,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

/// An image that is to change, and where it goes.
pub(crate) struct Job {
    pub(crate) opened: Opened,
    pub(crate) renaming: Renaming,
    pub(crate) whither: Whither,
    pub(crate) target: Target,
}

impl PlaceArgs {
    /// Opens the place of a reference, and the one where the result goes.
    pub(crate) fn open(&self, reference: &str, session: &Session<'_>) -> Result<Job, Error> {
        let context = session.context();
        let renaming = match self.tag.is_empty() {
            true => Renaming::Same,
            false => Renaming::New(names(&self.tag)?),
        };
        let opened = open(reference, &context)?;
        let options = self.write.options_from([&opened.store], session);
        let target = match &self.output {
            Some(word) => Target::open(Some(word), &context, options)?,
            None => Target::at(place_of(&opened.store)?, &context, options)?,
        };
        refuse_mixed_output(session, &[&target.location()])?;
        let whither = match is_same_place(opened.store.location(), &target.location()) {
            true => Whither::Here,
            false => Whither::Elsewhere,
        };
        // an archive is locked from here on: whoever held it before may have changed what was read
        let opened = match (whither, opened.store.location()) {
            (Whither::Here, Location::Archive(_)) => open(reference, &context)?,
            _ => opened,
        };
        Ok(Job { opened, renaming, whither, target })
    }
}

/// Returns the place of an image, to be written.
fn place_of(store: &Store) -> Result<Place, Error> {
    match store.location() {
        Location::Layout(path) => Ok(Place::Layout(path.clone())),
        Location::Archive(path) => Ok(Place::Archive(path.clone())),
        other => Err(Error::Unsupported {
            message: format!("cannot change an image in {other} where it is"),
            cause: Some("that can be done in a layout or in an OCI archive".to_owned()),
            hint: Some("say where the result goes, with -o".to_owned()),
        }),
    }
}

fn is_same_place(one: &Location, two: &Location) -> bool {
    let real = |place: &Location| match place {
        Location::Layout(path) | Location::Archive(path) => std::fs::canonicalize(path).ok(),
        _ => None,
    };
    real(one).is_some_and(|one| real(two) == Some(one))
}

/// Carries out what has been planned, and tells of it.
pub(crate) fn carry_out(
    target: Target,
    reworked: Reworked<'_>,
    whither: Whither,
    renaming: &Renaming,
    session: &Session<'_>,
) -> Result<Report, Error> {
    let location = target.location();
    let place = location.to_string();
    warn(&reworked, session);
    let is_changed = reworked.is_changed();
    let Reworked { plan, roots, changes, left_out, behind, .. } = reworked;
    let is_done = !is_changed && whither == Whither::Here && *renaming == Renaming::Same;
    let summary = match is_done || session.global.dry_run {
        true => None,
        false => Some(target.deliver(plan, &session.cancel, &session.ui)?),
    };
    session.ui.finish();
    let would = if session.global.dry_run { "would be " } else { "" };
    for root in &roots {
        for to in &root.to {
            let called = |it| name_of(it).map_or_else(|| "the image without a name".to_owned(), escaped);
            let shown = called(to);
            if to.digest() == root.from.digest() {
                let said = if is_done { "nothing to do: " } else { "unchanged: " };
                session.ui.say(&format!("{said}{shown} is {}", to.digest()));
                continue;
            }
            let what = match renaming {
                Renaming::Same => "changed".to_owned(),
                Renaming::New(_) => format!("made of {}", called(&root.from)),
            };
            session.ui.say(&format!("{shown} {would}{what} in {place}"));
            session.ui.say(&format!("  was {}", root.from.digest()));
            session.ui.say(&format!("  is  {}", to.digest()));
        }
        if !root.other_names.is_empty() {
            let names: Vec<String> = root.other_names.iter().map(|name| escaped(name)).collect();
            session.ui.say(&format!("  the old one is still there as {}", names.join(", ")));
        }
    }
    let is_index = roots.iter().all(|root| changes.iter().all(|change| change.from != *root.from.digest()));
    for change in changes.iter().filter(|change| is_index && change.from != change.to) {
        session.ui.say(&format!("{}", change.platform));
        session.ui.say(&format!("  was {}", change.from));
        session.ui.say(&format!("  is  {}", change.to));
    }
    if let Some(summary) = &summary {
        say_summary(session, &place, summary);
    }
    let platforms: Vec<Value> = changes
        .iter()
        .map(
            |it| json!({"platform": it.platform.to_string(), "from": it.from.to_string(), "digest": it.to.to_string()}),
        )
        .collect();
    let attestations: Vec<Value> = left_out
        .iter()
        .map(|it| json!({"digest": it.digest.to_string(), "what": it.what, "subject": it.subject.to_string()}))
        .collect();
    let referrers: Vec<Value> = behind
        .iter()
        .map(|it| json!({"name": it.called, "what": it.what, "subject": it.subject.to_string()}))
        .collect();
    let mut report = Report { stats: stats(&summary.unwrap_or_default()), ..Report::default() };
    for (root, to) in roots.iter().flat_map(|root| root.to.iter().map(move |to| (root, to))) {
        let text = line(&to.digest().to_string(), name_of(to));
        match location {
            Location::Stdio => session.ui.say(text.trim_end()),
            _ => report.text.extend(text.into_bytes()),
        }
        report.results.push(json!({"place": place, "name": name_of(to), "digest": to.digest().to_string(),
            "from": root.from.digest().to_string(), "unchanged": to.digest() == root.from.digest(),
            "mediaType": to.media_type().as_str(), "platforms": platforms, "attestationsLeftOut": attestations,
            "referrersLeft": referrers, "otherNames": root.other_names, "dryRun": session.global.dry_run}));
    }
    Ok(report)
}

/// Says what does not belong to the result.
fn warn(reworked: &Reworked<'_>, session: &Session<'_>) {
    for one in &reworked.left_out {
        let text = format!("{} ({}) is left out: it is about {}, which has changed", one.digest, one.what, one.subject);
        session.ui.hear(Event::Warning(text));
    }
    let mut told: Vec<&StayedBehind> = Vec::new();
    for one in &reworked.behind {
        let alike = |other: &&StayedBehind| other.subject == one.subject && other.what == one.what;
        if told.iter().any(|other: &&StayedBehind| alike(other)) {
            continue;
        }
        told.push(one);
        let number = reworked.behind.iter().filter(alike).count();
        let (belong, stay) = if number == 1 { ("belongs", "stays") } else { ("belong", "stay") };
        let advice = if one.what == "signature" { ": sign the new one" } else { "" };
        let what = count(number as u64, one.what);
        let text = format!("{what} {belong} to the old digest {}, and {stay} with it{advice}", one.subject);
        session.ui.hear(Event::Warning(text));
    }
}

/// Warns of what Docker's form has no place for.
pub(crate) fn warn_of_lost(lost: &[String], session: &Session<'_>) {
    if !lost.is_empty() {
        let names: Vec<String> = lost.iter().map(|name| escaped(name)).collect();
        let text = format!("Docker's form has no place for annotations and the like: left out {}", names.join(", "));
        session.ui.hear(Event::Warning(text));
    }
}
