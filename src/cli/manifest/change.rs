//! `barge manifest annotate`, `remove` and `rm`

use std::ffi::OsString;

use barge::ops::Error;
use barge::ops::attached::{Referrers, called, counted};
use barge::ops::lookup::select_one;
use barge::ops::manifest::{Changed, describe_entry, find_entry, find_list};
use barge::ops::open::open;
use barge::ops::rm::remove as remove_names;
use barge::platform::PlatformFilter;
use barge::reference::Selector;
use barge::text::quoted;
use barge::transfer::{Event, Observer as _};
use clap::Args;
use serde_json::json;

use super::super::Session;
use super::super::report::Report;
use super::super::write::{WriteArgs, as_left_behind, count};
use super::create::EntryArgs;
use super::{deliver, layout, list_name, looks_like_digest};

/// Change what a list says of an image, or with --index of itself. The image keeps every byte.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge -L dist manifest annotate app:v1 linux/arm64 --annotation org.example.tested=yes
  barge -L dist manifest annotate app:v1 --index --annotation org.opencontainers.image.version=1.0.1")]
pub(crate) struct AnnotateArgs {
    #[command(flatten)]
    entry: EntryArgs,
    /// An annotation (can be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
    /// Annotate the list itself
    #[arg(long, conflicts_with_all = ["image", "os", "arch", "variant", "os_version", "os_features"])]
    index: bool,
    /// The image that the list belongs to, with --index
    #[arg(long, value_name = "REF", requires = "index", conflicts_with = "image")]
    subject: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
    /// The name of the list
    #[arg(value_name = "NAME")]
    name: String,
    /// The image in it: a digest, a platform, or its name in the layout
    #[arg(value_name = "ENTRY", required_unless_present = "index")]
    image: Option<String>,
}

/// Take images out of a list, and the attestations that are about them.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge -L dist manifest remove app:v1 linux/s390x
  barge -L dist manifest remove app:v1 sha256:4a83...5560")]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    write: WriteArgs,
    /// The name of the list
    #[arg(value_name = "NAME")]
    name: String,
    /// The images in it: digests, platforms, or their names in the layout
    #[arg(value_name = "ENTRY", required = true)]
    entries: Vec<String>,
}

/// Remove lists: their names go, content stays until `barge gc`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge -L dist manifest rm app:v1
  barge -L dist manifest rm --keep-referrers app:v1 app:v2")]
pub(crate) struct RmArgs {
    /// Leave signatures, SBOMs and other referrers of what is removed; else they go with it
    #[arg(long)]
    keep_referrers: bool,
    #[command(flatten)]
    write: WriteArgs,
    /// The names of the lists
    #[arg(value_name = "NAME", required = true)]
    names: Vec<OsString>,
}

pub(super) fn annotate(args: &AnnotateArgs, session: &Session<'_>) -> Result<Report, Error> {
    let name = list_name(&args.name)?;
    let mut changes = args.entry.changes(&args.annotation)?;
    if let Some(word) = &args.subject {
        let opened = open(word, &session.context())?;
        changes.subject = Some(select_one(&opened.store, opened.selector.as_ref())?);
    }
    if changes.is_empty() {
        return Err(Error::Usage {
            message: "cannot annotate: nothing is to change".to_owned(),
            hint: Some("say what, with --annotation, --os, --arch or the like".to_owned()),
        });
    }
    let store = layout(session)?;
    let list = find_list(&store, &name)?;
    let entry = args.image.as_ref().map(|word| find_entry(&store, &list, word)).transpose()?;
    let changed = barge::ops::manifest::annotate(&store, &list, entry.as_ref(), &changes)?;
    tell(changed, "annotated", &args.write, session)
}

pub(super) fn remove(args: &RemoveArgs, session: &Session<'_>) -> Result<Report, Error> {
    let name = list_name(&args.name)?;
    let store = layout(session)?;
    let list = find_list(&store, &name)?;
    let entries = args.entries.iter().map(|word| find_entry(&store, &list, word)).collect::<Result<Vec<_>, _>>()?;
    tell(barge::ops::manifest::remove_entries(&store, &list, &entries)?, "removed", &args.write, session)
}

/// Writes a changed list, and tells of it.
fn tell(changed: Changed<'_>, what: &str, write: &WriteArgs, session: &Session<'_>) -> Result<Report, Error> {
    let Changed { plan, from, to, entries, behind, warnings } = changed;
    for warning in warnings {
        session.ui.hear(Event::Warning(warning));
    }
    let (names, summary) = deliver(plan, write, session)?;
    for entry in entries.iter().filter(|_| from.digest() != to.digest()) {
        session.ui.say(&format!("{what} {}", describe_entry(entry)));
    }
    let named = names.join(", ");
    if from.digest() == to.digest() {
        session.ui.say(&format!("nothing to do: {named} says so already"));
    } else {
        session.ui.say(&format!("{named}{}", if summary.is_none() { " would change" } else { "" }));
        session.ui.say(&format!("  was {}", from.digest()));
        session.ui.say(&format!("  is  {}", to.digest()));
    }
    for one in &behind {
        let referrers = count(one.referrers.len() as u64, "referrer");
        session.ui.say(&format!("left behind: {referrers} of {}, which the name does not mean any more", one.subject));
    }
    let entries: Vec<String> = entries.iter().map(|entry| entry.digest().to_string()).collect();
    Ok(Report {
        text: format!("{}\n", to.digest()).into_bytes(),
        results: vec![json!({"names": names, "digest": to.digest().to_string(), "from": from.digest().to_string(),
            "entries": entries, "referrersLeft": as_left_behind(&behind), "dryRun": summary.is_none()})],
        ..Report::default()
    })
}

pub(super) fn rm(args: &RmArgs, session: &Session<'_>) -> Result<Report, Error> {
    let store = layout(session)?;
    if let [list, rest @ ..] = &args.names[..]
        && let Some(entry) = rest.iter().find(|word| looks_like_digest(word))
    {
        let (list, entry) = (list.to_string_lossy(), entry.to_string_lossy());
        return Err(Error::Usage {
            message: format!("cannot tell what {} is: `manifest rm` removes whole lists", quoted(&entry)),
            hint: Some(format!(
                "to take an image out of a list: barge manifest remove {list} {entry}; to remove lists, give their names"
            )),
        });
    }
    let mut selectors = Vec::new();
    for word in &args.names {
        let name = list_name(&word.to_string_lossy())?;
        find_list(&store, &name)?;
        selectors.push(Selector::Name(name.to_string()));
    }
    let referrers = if args.keep_referrers { Referrers::None } else { Referrers::All };
    let removing = remove_names(&store, &selectors, &PlatformFilter::All, &referrers)?;
    let number = counted(&store, &removing.referrers).len();
    for warning in removing.warnings {
        session.ui.hear(Event::Warning(warning));
    }
    let removed = removing.removed;
    deliver(removing.plan, &args.write, session)?;
    let mut report = Report::default();
    for one in &removed {
        let name = barge::ops::lookup::name_of(&one.from).unwrap_or_default();
        let digest = one.from.digest().to_string();
        report.text.extend(super::super::write::line(&digest, Some(name)).into_bytes());
        report.results.push(json!({"name": name, "digest": digest, "dryRun": session.global.dry_run}));
    }
    session.ui.say(&format!(
        "{} {}",
        if session.global.dry_run { "would remove" } else { "removed" },
        count(removed.len() as u64, "list")
    ));
    if number > 0 {
        let would = if session.global.dry_run { "would go" } else { "went" };
        session.ui.say(&format!("{} {would} with it:", count(number as u64, "referrer")));
        removing.referrers.iter().for_each(|referrer| session.ui.say(&format!("  {}", called(referrer))));
    }
    report.stats.insert("referrers".to_owned(), json!(number));
    Ok(report)
}
