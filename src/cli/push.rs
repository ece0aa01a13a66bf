//! `barge push`

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use barge::content::total;
use barge::digest::Digest;
use barge::error::Class;
use barge::ops::Error;
use barge::ops::bundle::deltas;
use barge::ops::copy::CopySource;
use barge::ops::manifest::Lent;
use barge::ops::open::open;
use barge::ops::push::{
    Broken, Destinations, NameMap, PushOptions, PushReport, Pushed, Pushing, RemoteBase, Unlinked, push,
};
use barge::reference::{Destination, ImageName, parse_destination};
use barge::store::registry::{Survey, Taken, Tally};
use barge::text::{escaped, human_size, human_time};
use barge::transfer::{Event, Observer as _};
use clap::Args;
use serde_json::{Map, Value, json};

use super::Session;
use super::network::NetworkArgs;
use super::packed::first;
use super::report::{Failure, Report};
use super::signed::{RequireArgs, VerifyKeyArgs};
use super::terminal::{Column, Ink, Surface, table};
use super::ui::per_second;
use super::write::{CarryArgs, count, line, say_carried};

/// Push images to one or several registries: every byte checked, nothing sent that is there, names last.
///
/// Without a destination every image goes where its full name says. HOST[/PREFIX] takes every image, its own host replaced.
/// One image can have any number of full names. What each registry has under a name is asked for afterwards, and printed.
///
/// The layers of a compact update are made as they are sent. What they are made of is read from the current layout, or from the
/// registry itself.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge push dist                                     # where the names say
  barge push bundle.tar localhost:5000 quay.io/team   # everything, to two registries
  barge push dist:app:v1 quay.io/org/app:v1 quay.io/org/app:latest
  barge push --dry-run dist                           # what would be sent")]
pub(crate) struct PushArgs {
    #[command(flatten)]
    signed: VerifyKeyArgs,
    #[command(flatten)]
    required: RequireArgs,
    #[command(flatten)]
    carry: CarryArgs,
    /// Do the rest when something fails; exit code 7 then
    #[arg(long)]
    keep_going: bool,
    /// Refuse to replace a tag that means something else
    #[arg(long)]
    no_clobber: bool,
    /// Ask for every piece also where the tag means the same image already, and send what the registry has lost
    #[arg(long)]
    recheck: bool,
    /// Change names on the way: FROM=TO, whole parts from the beginning (can be repeated)
    #[arg(long, value_name = "FROM=TO")]
    map: Vec<String>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// The image, or the place of which everything goes
    #[arg(value_name = "SRC")]
    source: String,
    /// Where to: HOST[/PREFIX], or HOST/REPOSITORY:TAG for one image
    #[arg(value_name = "DEST")]
    destinations: Vec<String>,
}

pub(crate) fn run(args: &PushArgs, session: &Session<'_>) -> Result<Report, Error> {
    let context = session.context();
    let options = PushOptions {
        carry: args.carry.options()?,
        taken: if args.no_clobber { Taken::Refuse } else { Taken::Replace },
        keep_going: args.keep_going,
        origins: Vec::new(),
        recheck: args.recheck,
    };
    let map = NameMap::parse(&args.map)?;
    let destinations = destinations(&args.destinations, session)?;
    let trust = args.signed.read()?;
    let required = args.required.read()?;
    let opened = open(&args.source, &context)?;
    trust.check([&opened.store], session)?;
    let mut options = options;
    let mut source = CopySource::select(opened.label.clone(), &opened.store, opened.selector.as_ref())?;
    // of a list that was made from a registry, that one has the rest
    let lent = Lent::new(&opened.store, &source.roots, &session.registries)?;
    if lent.repositories().next().is_some() {
        options.origins = lent.repositories().map(|(host, path)| (host.to_owned(), path.to_owned())).collect();
        source.source = &lent;
    }
    required.check(source.source, &source.roots, source.extent, session)?;
    let delta = deltas(&[&opened.store], None)?.pop().flatten();
    if let Some(delta) = &delta {
        source.source = delta;
    }
    let mut pushing = push(&source, &destinations, &map, &options)?;
    if let Some(delta) = &delta {
        pushing.check_base(delta, &context, options.taken)?;
    }
    carry_out(&pushing, &options, session)
}

/// Reads the destinations: all of them registries, or all of them names.
pub(super) fn destinations(words: &[String], session: &Session<'_>) -> Result<Destinations, Error> {
    let (mut prefixes, mut names) = (Vec::new(), Vec::new());
    for word in words {
        match parse_destination(word)? {
            Destination::Prefix(prefix) => prefixes.push(prefix),
            Destination::Name(name) => {
                say_expansion(session, word, &name);
                names.push(name);
            }
        }
    }
    match (prefixes.is_empty(), names.is_empty()) {
        (true, true) => Ok(Destinations::Own),
        (false, true) => Ok(Destinations::Registries(prefixes)),
        (true, false) => Ok(Destinations::Names(names)),
        (false, false) => Err(Error::Usage {
            message: format!("cannot push to {} and to {} at once", prefixes[0], names[0]),
            hint: Some("give registries for everything, or full names for one image".to_owned()),
        }),
    }
}

/// Says which image a short name means.
pub(super) fn say_expansion(session: &Session<'_>, word: &str, name: &ImageName) {
    let typed = word.strip_prefix("docker://").unwrap_or(word);
    if *typed != name.to_string() {
        session.ui.say(&format!("{} is {name}", barge::text::escaped(typed)));
    }
}

/// Carries out a push, or says what it would do, and reports.
pub(super) fn carry_out(pushing: &Pushing<'_>, options: &PushOptions, session: &Session<'_>) -> Result<Report, Error> {
    let mut report = Report::default();
    say_carried(session, &pushing.images, &pushing.behind);
    warn_of_unlinked(session, &pushing.unlinked);
    let bases: Vec<RemoteBase> = pushing.remote_bases().collect();
    say_bases(session, &bases);
    if session.global.dry_run {
        dry_run(pushing, options, session, &mut report)?;
        tell_bases(&bases, &mut report);
        return Ok(report);
    }
    let began = Instant::now();
    let done = pushing.deliver(&session.registries, options, &session.cancel, &*session.ui)?;
    session.ui.finish();
    let as_before = |pushed: &Pushed| pushed.result.as_ref().is_ok_and(|confirmed| confirmed.unchanged);
    if !pushing.broken.is_empty() || !done.pushed.iter().all(as_before) {
        say_names(session, &done.pushed, &pushing.broken);
    }
    session.ui.say(&summary(&done, began.elapsed()));
    for pushed in &done.pushed {
        let name = pushed.name.to_string();
        match &pushed.result {
            Ok(confirmed) => {
                report.text.extend(line(&confirmed.digest.to_string(), Some(&name)).into_bytes());
                report.results.push(json!({"name": name, "digest": pushed.digest.to_string(),
                    "confirmed": confirmed.digest.to_string(), "unchanged": confirmed.unchanged,
                    "previous": confirmed.previous.map(|digest| digest.to_string()), "dryRun": false}));
            }
            Err(error) => {
                session.ui.complain(error);
                report.results.push(json!({"name": name, "digest": pushed.digest.to_string(), "confirmed": null,
                    "unchanged": null, "previous": null, "dryRun": false, "error": super::report::error_as_json(error)}));
            }
        }
    }
    report.stats = stats(&done.tally);
    tell_bases(&bases, &mut report);
    let failed = done.pushed.iter().filter(|pushed| pushed.result.is_err()).count();
    tell_failures(pushing, session, failed, done.pushed.len(), &mut report);
    Ok(report)
}

/// Says which layers are read from registries, because layers that go there are made of their bytes.
fn say_bases(session: &Session<'_>, bases: &[RemoteBase]) {
    if bases.is_empty() {
        return;
    }
    let verb = if session.global.dry_run { "would read" } else { "reading" };
    let (number, bytes) = (count(bases.len() as u64, "layer"), human_size(total(bases.iter().map(|it| it.base.size))));
    let images: BTreeSet<String> = bases.iter().map(|it| escaped(&it.base.called())).collect();
    let places: BTreeSet<String> = bases.iter().map(|it| it.place.to_string()).collect();
    let (images, places) = (first(images.into_iter()), first(places.into_iter()));
    let them = if bases.len() == 1 { "it" } else { "them" };
    session.ui.say(&format!("{verb} {number} of {images}, {bytes}, from {places}, to make new ones of {them}"));
}

/// The same, for programs.
fn tell_bases(bases: &[RemoteBase], report: &mut Report) {
    report.stats.insert("bases".to_owned(), json!(bases.len()));
    report.stats.insert("baseBytes".to_owned(), json!(total(bases.iter().map(|it| it.base.size))));
}

/// Warns of referrers that a registry cannot link to what they belong to, once for each of these.
fn warn_of_unlinked(session: &Session<'_>, unlinked: &[Unlinked]) {
    let mut by_subject: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for one in unlinked {
        by_subject.entry(&one.subject).or_default().push(one.digest.to_string());
    }
    for (subject, digests) in by_subject {
        session.ui.hear(Event::Warning(format!(
            "no registry knows that {} belongs to {}: an annotation here says so, and it itself does not. It goes along, and is \
             found there by its digest alone; to have it listed, attach its files anew (`barge cat layer`, `barge attach`)",
            digests.join(", "),
            escaped(subject)
        )));
    }
}

/// Says which images could not go, and how many of all names that makes, with those that failed on their way.
fn tell_failures(pushing: &Pushing<'_>, session: &Session<'_>, failed: usize, tried: usize, report: &mut Report) {
    for broken in &pushing.broken {
        session.ui.complain(&broken.error);
        report.results.push(json!({"name": broken.called, "digest": broken.digest.to_string(), "confirmed": null,
            "unchanged": null, "previous": null, "dryRun": session.global.dry_run, "error": super::report::error_as_json(&broken.error)}));
    }
    let (failed, all) = (failed + pushing.broken.len(), tried + pushing.broken.len());
    if failed > 0 {
        report.failure = Some(Failure {
            class: Class::Partial,
            message: format!("{failed} of {} could not be pushed", count(all as u64, "name")),
            hint: Some("run the same command again: what has arrived is not sent again".to_owned()),
        });
    }
}

fn dry_run(
    pushing: &Pushing<'_>,
    options: &PushOptions,
    session: &Session<'_>,
    report: &mut Report,
) -> Result<(), Error> {
    let foreseen = pushing.survey(&session.registries, options.taken)?;
    let mut total = 0;
    for (host, survey) in &foreseen.registries {
        session.ui.say(&would(host, survey));
        total += survey.upload.1;
    }
    report.stats.insert("bytes".to_owned(), json!(total));
    say_names(session, &foreseen.names, &pushing.broken);
    for pushed in &foreseen.names {
        let Ok(would_be) = &pushed.result else { continue };
        let name = pushed.name.to_string();
        report.text.extend(line(&pushed.digest.to_string(), Some(&name)).into_bytes());
        report.results.push(json!({"name": name, "digest": pushed.digest.to_string(), "confirmed": null,
            "unchanged": would_be.unchanged, "previous": would_be.previous.map(|digest| digest.to_string()),
            "dryRun": true}));
    }
    tell_failures(pushing, session, 0, report.results.len(), report);
    Ok(())
}

/// Says what a push would send to one registry.
fn would(host: &str, survey: &Survey) -> String {
    let blobs = |(number, bytes): (u64, u64)| format!("{}, {}", count(number, "blob"), human_size(bytes));
    let is = |number: u64, one: &'static str, many: &'static str| if number == 1 { one } else { many };
    let manifests = count(survey.manifests, "manifest");
    let mut text = match (survey.upload.0, survey.manifests) {
        (0, 0) => format!("would send nothing to {host}"),
        (0, _) => format!("would send {manifests} to {host}"),
        (_, 0) => format!("would send {} to {host}", blobs(survey.upload)),
        _ => format!("would send {}, and {manifests} to {host}", blobs(survey.upload)),
    };
    if survey.referrers > 0 {
        text.push_str(&format!("; {} among them", count(survey.referrers, "referrer")));
    }
    if survey.lists > 0 {
        let lists = count(survey.lists, "list");
        text.push_str(&format!("; {lists} of referrers would be written, which that registry does not keep itself"));
    }
    if survey.mount.0 > 0 {
        let comes = is(survey.mount.0, "comes", "come");
        text.push_str(&format!("; {}, {comes} from another repository there", blobs(survey.mount)));
    }
    if survey.existing.0 > 0 {
        let are = is(survey.existing.0, "is", "are");
        text.push_str(&format!("; {}, {are} there already", blobs(survey.existing)));
    }
    text
}

/// Says of every name what it means from now on, and whether it did before.
fn say_names(session: &Session<'_>, names: &[Pushed], broken: &[Broken]) {
    let short = |digest: &Digest| digest.hex()[..12].to_owned();
    let row = |pushed: &Pushed| {
        let state = match &pushed.result {
            Ok(confirmed) => match &confirmed.previous {
                _ if confirmed.unchanged => "unchanged".to_owned(),
                Some(previous) => format!("moved from {}", short(previous)),
                None => "new".to_owned(),
            },
            Err(_) => "failed".to_owned(),
        };
        vec![pushed.name.to_string(), short(&pushed.digest), state]
    };
    let failed = |broken: &Broken| vec![broken.called.clone(), short(&broken.digest), "failed".to_owned()];
    let rows: Vec<Vec<String>> = names.iter().map(row).chain(broken.iter().map(failed)).collect();
    if !rows.is_empty() {
        const COLUMNS: [Column; 3] = [
            Column::name("NAME", 24),
            Column::digest("DIGEST"),
            Column::whole("STATE").inked(|state| (state == "failed").then_some(Ink::Bad)),
        ];
        session.ui.show(&table(Surface::err(), &COLUMNS, &rows));
    }
}

fn summary(done: &PushReport, took: Duration) -> String {
    let Tally { uploaded, uploaded_bytes, mounted, mounted_bytes, existing, existing_bytes, .. } = done.tally;
    let unchanged =
        done.pushed.iter().filter(|pushed| pushed.result.as_ref().is_ok_and(|confirmed| confirmed.unchanged)).count();
    let Tally { manifests, referrers, lists, .. } = done.tally;
    if uploaded + mounted + manifests + lists == 0 && unchanged == done.pushed.len() {
        return format!("nothing to do: everything is there, {}", human_size(existing_bytes));
    }
    let mut text = match uploaded {
        0 => "sent no blob".to_owned(),
        _ => format!("sent {}, {}", count(uploaded, "blob"), human_size(uploaded_bytes)),
    };
    if let Some(rate) = per_second(uploaded_bytes, took).filter(|_| uploaded_bytes > 0) {
        let took = match took.as_secs() {
            0..10 => format!("{:.1}s", took.as_secs_f64()),
            _ => human_time(took),
        };
        text.push_str(&format!(" in {took}, {}/s", human_size(rate)));
    }
    if done.tally.resumed > 0 {
        text.push_str(&format!(
            "; went on with {}, of which {} had arrived before",
            count(done.tally.resumed, "upload"),
            human_size(done.tally.resumed_bytes)
        ));
    }
    if mounted > 0 {
        text.push_str(&format!("; {mounted} mounted, {}", human_size(mounted_bytes)));
    }
    if existing > 0 {
        let were = if existing == 1 { "was" } else { "were" };
        text.push_str(&format!("; {existing} {were} there, {}", human_size(existing_bytes)));
    }
    if referrers > 0 {
        text.push_str(&format!("; {} written", count(referrers, "referrer")));
    }
    if lists > 0 {
        text.push_str(&format!("; {} of referrers kept under a tag", count(lists, "list")));
    }
    text
}

fn stats(tally: &Tally) -> Map<String, Value> {
    let mut stats = Map::new();
    for (key, value) in [
        ("bytes", tally.uploaded_bytes),
        ("uploaded", tally.uploaded),
        ("mounted", tally.mounted),
        ("mountedBytes", tally.mounted_bytes),
        ("existing", tally.existing),
        ("existingBytes", tally.existing_bytes),
        ("resumed", tally.resumed),
        ("resumedBytes", tally.resumed_bytes),
        ("manifests", tally.manifests),
        ("referrersWritten", tally.referrers),
        ("referrerLists", tally.lists),
    ] {
        stats.insert(key.to_owned(), json!(value));
    }
    stats
}
