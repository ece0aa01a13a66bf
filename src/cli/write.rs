//! What every command that writes a place has in common.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use barge::digest::Digest;
use barge::ops::Error;
use barge::ops::attached::COSIGN;
use barge::ops::carry::{Carried, CarryOptions, IndexPolicy, Referrers};
use barge::ops::copy::Copying;
use barge::ops::left_behind::{LeftBehind, StaysBehind, Why};
use barge::ops::lookup::name_of;
use barge::ops::open::Store;
use barge::ops::target::{Target, WriteOptions};
use barge::platform::PlatformFilter;
use barge::reference::ImageName;
use barge::store::registry::LANES;
use barge::store::{Durability, Location};
use barge::text::{escaped, human_size, quoted};
use barge::transfer::Summary;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::Session;
use super::report::Report;
use super::terminal::Surface;

/// How a place is written.
#[derive(Args, Debug)]
pub(crate) struct WriteArgs {
    /// Do not wait until the medium holds everything: for scratch work
    #[arg(long)]
    pub(crate) no_sync: bool,
    /// How long to wait for another process that holds the target
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) lock_timeout: u64,
}

impl WriteArgs {
    pub(crate) fn durability(&self) -> Durability {
        if self.no_sync { Durability::Unsynced } else { Durability::Synced }
    }

    pub(crate) const fn lock_timeout(&self) -> Duration {
        Duration::from_secs(self.lock_timeout)
    }

    pub(crate) fn options(&self, session: &Session<'_>) -> WriteOptions {
        WriteOptions {
            jobs: session.global.lanes(),
            durability: self.durability(),
            lock_timeout: self.lock_timeout(),
            ..WriteOptions::default()
        }
    }

    /// As [`Self::options`], for content that comes from there: from a registry it is the way that takes the time, and more
    /// pieces come at once.
    pub(crate) fn options_from<'a>(
        &self,
        stores: impl IntoIterator<Item = &'a Store>,
        session: &Session<'_>,
    ) -> WriteOptions {
        let mut options = self.options(session);
        let far = stores.into_iter().any(|store| matches!(store, Store::Registry(_)));
        if far && session.global.jobs.is_none() {
            options.jobs = options.jobs.max(LANES);
        }
        options
    }
}

/// What of an image goes along.
#[derive(Args, Debug)]
pub(crate) struct CarryArgs {
    /// Take only these platforms: os/arch[/variant], all, local (can be repeated, takes commas)
    #[arg(long, value_name = "LIST")]
    pub(crate) platform: Vec<String>,
    /// What becomes of an index of which platforms stay behind: a smaller one, or itself (sparse)
    #[arg(long, value_enum, default_value = "shrink", value_name = "WHAT")]
    index: IndexArg,
    #[command(flatten)]
    referrers: ReferrersArgs,
}

/// What of that which belongs to an image goes along.
#[derive(Args, Debug)]
pub(crate) struct ReferrersArgs {
    /// Which signatures, SBOMs and other referrers go along: all, none, or types of artifact, and cosign for what its tags name (can be repeated, takes commas)
    #[arg(long, default_value = "all", value_delimiter = ',', value_name = "all|none|TYPE,...")]
    referrers: Vec<String>,
    /// Whether those go along that a tag made of a digest names: sha256-HEX.sig, .att, .sbom, and sha256-HEX
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = clap::ArgAction::Set)]
    digest_tags: bool,
}

impl ReferrersArgs {
    /// Returns which, and whether those under tags are among them.
    pub(crate) fn read(&self) -> Result<(Referrers, bool), Error> {
        let referrers = match self.referrers.as_slice() {
            [word] if word == "all" => Referrers::All,
            [word] if word == "none" => Referrers::None,
            words => {
                if let Some(wrong) = words.iter().find(|word| *word != COSIGN && !word.contains('/')) {
                    let message = format!("cannot use --referrers {}: it is no type of artifact", quoted(wrong));
                    let hint = "give all or none alone, or types such as application/spdx+json, or cosign".to_owned();
                    return Err(Error::Usage { message, hint: Some(hint) });
                }
                Referrers::Only(words.to_vec())
            }
        };
        Ok((referrers, self.digest_tags))
    }
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum IndexArg {
    /// A smaller index, with another digest, that lists what is there
    Shrink,
    /// The same index, with its digest, that lists what is not there
    Keep,
}

impl CarryArgs {
    pub(crate) fn options(&self) -> Result<CarryOptions, Error> {
        let (referrers, digest_tags) = self.referrers.read()?;
        Ok(CarryOptions {
            platforms: platforms(&self.platform)?,
            index: match self.index {
                IndexArg::Shrink => IndexPolicy::Shrink,
                IndexArg::Keep => IndexPolicy::Keep,
            },
            referrers,
            digest_tags,
        })
    }
}

/// Reads the values of `--platform`.
pub(crate) fn platforms(values: &[String]) -> Result<PlatformFilter, Error> {
    PlatformFilter::parse(values.iter().map(String::as_str))
        .map_err(|error| Error::Usage { hint: error.hint(), message: error.to_string() })
}

/// Reads new names for an image: each with a tag, once.
pub(crate) fn names(values: &[String]) -> Result<Vec<ImageName>, Error> {
    let mut names = Vec::new();
    for value in values {
        let name = ImageName::parse(value)?;
        if name.digest().is_some() {
            return Err(Error::Usage {
                message: format!("cannot give the name {name}: a digest is not given, it follows from the content"),
                hint: Some("give a name and a tag".to_owned()),
            });
        }
        let name = name.with_default_tag();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Returns a line for standard output: the digest, and the name or `-`; on a terminal that is too narrow for both, one below the
/// other.
pub(crate) fn line(digest: &str, name: Option<&str>) -> String {
    let line = format!("{digest} {}", name.map_or_else(|| "-".to_owned(), escaped));
    format!("{}\n", Surface::out().wrap(&line, 2))
}

/// Says what a run did.
pub(crate) fn say_summary(session: &Session<'_>, place: &str, summary: &Summary) {
    session.ui.finish();
    if summary.parts > 0 && !summary.renamed {
        session.ui.say(&format!("nothing to do: {place} is there in {}", count(summary.parts, "part")));
        return;
    }
    if summary.written == 0 && !summary.renamed {
        session.ui.say(&format!("nothing to do: {place} holds it all, {}", checked(summary)));
        return;
    }
    let mut text = match summary.written {
        0 => format!("{place}: wrote names alone"),
        written => format!("{place}: wrote {}, {}", count(written, "blob"), human_size(summary.written_bytes)),
    };
    if summary.present > 0 {
        let were = if summary.present == 1 { "was" } else { "were" };
        text.push_str(&format!("; {} {were} there, {}", summary.present, human_size(summary.present_bytes)));
    }
    if summary.kept > 0 {
        let kept = human_size(summary.kept_bytes);
        text.push_str(&format!("; {} of them, {kept}, had arrived before and were not read again", summary.kept));
    }
    if summary.parts > 0 {
        text.push_str(&format!("; in {}", count(summary.parts, "part")));
    }
    session.ui.say(&text);
}

/// Returns how much of what was there has been read, for a run that wrote nothing.
pub(crate) fn checked(summary: &Summary) -> String {
    let mut text = format!("{} checked", human_size(summary.present_bytes - summary.kept_bytes));
    if summary.kept > 0 {
        text.push_str(&format!(", {} known from an interrupted run", human_size(summary.kept_bytes)));
    }
    text
}

/// Returns the counts of a run for scripts.
pub(crate) fn stats(summary: &Summary) -> Map<String, Value> {
    let mut stats = Map::new();
    for (key, value) in [
        ("bytes", summary.written_bytes),
        ("written", summary.written),
        ("present", summary.present),
        ("presentBytes", summary.present_bytes),
        ("kept", summary.kept),
        ("keptBytes", summary.kept_bytes),
        ("replaced", summary.replaced),
    ] {
        stats.insert(key.to_owned(), json!(value));
    }
    if summary.parts > 0 {
        stats.insert("parts".to_owned(), json!(summary.parts));
        stats.insert("partsKept".to_owned(), json!(summary.parts_kept));
    }
    stats
}

/// Returns a number and what it counts.
pub(crate) fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Refuses to mix an archive with the result on standard output.
pub(crate) fn refuse_mixed_output(session: &Session<'_>, places: &[&Location]) -> Result<(), Error> {
    let streams = places.iter().filter(|place| ***place == Location::Stdio).count();
    if streams > 1 || (streams == 1 && session.global.json) {
        return Err(Error::Usage {
            message: "cannot write anything else to standard output: the archive goes there".to_owned(),
            hint: Some(match session.global.json {
                true => "leave out --json, or write the archive to a file".to_owned(),
                false => "give `-` once".to_owned(),
            }),
        });
    }
    Ok(())
}

/// Carries out a copy, and tells of it; `would` is what a dry run says instead of doing it.
pub(crate) fn carry_out(
    session: &Session<'_>,
    target: Target,
    mut copying: Copying<'_>,
    would: &str,
    report: &mut Report,
) -> Result<(), Error> {
    let location = target.location();
    let place = location.to_string();
    copying.unite_lists(&target)?;
    if session.global.dry_run {
        session.ui.say(&format!("would {would} {place}:"));
    } else {
        let summary = target.deliver(copying.plan, &session.cancel, &session.ui)?;
        say_summary(session, &place, &summary);
        add_stats(&mut report.stats, &summary);
    }
    for list in &copying.united {
        list.describe(&location).into_iter().for_each(|text| session.ui.say(&text));
    }
    say_carried(session, &copying.images, &copying.behind);
    let (images, referrers) = numbers(&copying.images);
    let left = copying.images.iter().flat_map(|image| &image.behind).flat_map(|one| &one.referrers);
    let left: HashSet<&Digest> = left.chain(copying.behind.iter().flat_map(|one| &one.referrers)).collect();
    let left = left.len() as u64;
    for (key, number) in [("images", images), ("referrers", referrers), ("referrersLeft", left)] {
        let before = report.stats.get(key).and_then(Value::as_u64).unwrap_or(0);
        report.stats.insert(key.to_owned(), json!(before + number));
    }
    for image in &copying.images {
        if location != Location::Stdio {
            report.text.extend(line(&image.to.digest().to_string(), name_of(&image.to)).into_bytes());
        }
        report.results.push(as_json(&place, image, session.global.dry_run));
    }
    Ok(())
}

/// Adds the counts of a run to those of the runs before.
fn add_stats(total: &mut Map<String, Value>, summary: &Summary) {
    for (key, value) in stats(summary) {
        let before = total.get(&key).and_then(Value::as_u64).unwrap_or(0);
        total.insert(key, json!(before + value.as_u64().unwrap_or(0)));
    }
}

/// How many images of one change are told one by one; the digests of all are in the result.
const FEW: usize = 4;

fn called(image: &Carried) -> String {
    name_of(&image.to).map_or_else(|| "an image without a name".to_owned(), escaped)
}

/// Says what became of indexes: of those with the same change together, when they are many.
fn say_changed(session: &Session<'_>, images: &[Carried]) {
    let mut changes: BTreeMap<(&str, &str, String), Vec<&Carried>> = BTreeMap::new();
    for image in images {
        let left: Vec<String> = image.left_out.iter().map(ToString::to_string).collect();
        let without = format!("without {}", left.join(", "));
        let (one, many, what) = match (image.sparse, left.is_empty()) {
            (true, true) => ("stays sparse", "stay sparse", ": what is in registries alone stays there".to_owned()),
            (true, false) => {
                ("keeps its index and is sparse", "keep their indexes and are sparse", format!(": {without}"))
            }
            (false, false) if image.from.digest() != image.to.digest() => {
                ("is a smaller index now", "are smaller indexes now", format!(", {without}"))
            }
            (false, _) => continue,
        };
        changes.entry((one, many, what)).or_default().push(image);
    }
    for ((one, many, what), images) in changes {
        if let [first, ..] = images[..]
            && images.len() > FEW
        {
            session.ui.say(&format!("{} and {} more {many}{what}", called(first), images.len() - 1));
            continue;
        }
        for image in images {
            session.ui.say(&format!("{} {one}{what}", called(image)));
            if !image.sparse {
                session.ui.say(&format!("  was {}", image.from.digest()));
                session.ui.say(&format!("  is  {}", image.to.digest()));
            }
        }
    }
}

/// Says what changed about the images that were carried: a new digest, platforms left out, signatures that came along or stay.
pub(crate) fn say_carried(session: &Session<'_>, images: &[Carried], left: &[StaysBehind]) {
    say_changed(session, images);
    for image in images {
        let name = called(image);
        if !image.referrers.is_empty() {
            session.ui.say(&format!("{name} brings {}", count(image.counted.len() as u64, "referrer")));
        }
    }
    let behind: Vec<LeftBehind> = images.iter().flat_map(|image| image.behind.iter().cloned()).collect();
    say_left_behind(session, &behind);
    for why in [Why::Unchosen, Why::Subject, Why::Stranger] {
        let number = left.iter().filter(|one| one.why == why).map(|one| one.referrers.len() as u64).sum();
        if number == 0 {
            continue;
        }
        let reason = match (why, number) {
            (Why::Unchosen, 1) => "that was not asked for",
            (Why::Unchosen, _) => "that were not asked for",
            (Why::Subject, _) => "of platforms or referrers that stay behind",
            (Why::Stranger, _) => "of what is not there itself",
        };
        session.ui.say(&format!("left behind: {} {reason}", count(number, "referrer")));
    }
    if let (number, referrers @ 1..) = numbers(images) {
        session.ui.say(&format!("{}, {}", count(number, "image"), count(referrers, "referrer")));
    }
}

/// Says what stays behind because the index that it belongs to does not arrive, once for each index.
pub(crate) fn say_left_behind(session: &Session<'_>, behind: &[LeftBehind]) {
    for (_, one) in behind.iter().enumerate().filter(|(at, one)| !behind[..*at].contains(one)) {
        let number = count(one.referrers.len() as u64, "referrer");
        session.ui.say(&format!("left behind: {number} of {}, which is not the index that arrives", one.subject));
    }
}

/// Returns what stays behind, for scripts.
pub(crate) fn as_left_behind(behind: &[LeftBehind]) -> Vec<Value> {
    let digests = |one: &LeftBehind| one.referrers.iter().map(ToString::to_string).collect::<Vec<_>>();
    behind.iter().map(|one| json!({"subject": one.subject.to_string(), "referrers": digests(one)})).collect()
}

/// Returns how many images there are, and how many referrers of them, each counted once.
fn numbers(images: &[Carried]) -> (u64, u64) {
    let alone = images.iter().filter(|image| !image.is_referrer);
    let distinct = |digests: HashSet<&Digest>| digests.len() as u64;
    (
        distinct(alone.map(|image| image.to.digest()).collect()),
        distinct(images.iter().flat_map(|image| image.counted.iter().chain(&image.own)).collect()),
    )
}

/// Returns an image that was carried, for scripts.
fn as_json(place: &str, image: &Carried, dry_run: bool) -> Value {
    json!({"place": place, "name": name_of(&image.to), "digest": image.to.digest().to_string(),
        "from": image.from.digest().to_string(), "sparse": image.sparse, "referrers": image.counted.len(),
        "referrersLeft": as_left_behind(&image.behind),
        "leftOut": image.left_out.iter().map(ToString::to_string).collect::<Vec<_>>(), "dryRun": dry_run})
}
