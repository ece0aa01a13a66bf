//! `barge manifest create` and `add`

use std::collections::BTreeMap;

use barge::ops::Error;
use barge::ops::manifest::{CreateOptions, EntryChanges, Existing, create as make, list_sources};
use barge::ops::merge::{Member, MergeOptions, OnDuplicate};
use barge::ops::open::Opened;
use barge::transfer::{Event, Observer as _};
use clap::Args;
use serde_json::{Value, json};

use super::super::Session;
use super::super::changes::pairs;
use super::super::merge::DuplicateArg;
use super::super::network::NetworkArgs;
use super::super::report::Report;
use super::super::write::{ReferrersArgs, WriteArgs, as_left_behind, count, platforms, say_left_behind};
use super::{deliver, here, list_name, open_image};

/// How images are put together.
#[derive(Args, Debug)]
pub(crate) struct PutArgs {
    /// Take only these platforms of images for several: os/arch[/variant], all, local (can be repeated, takes commas)
    #[arg(long, value_name = "LIST")]
    platform: Vec<String>,
    /// What to do when two images are for one platform: refuse, or take the later, or keep the earlier
    #[arg(long, value_enum, value_name = "WHAT")]
    on_duplicate: Option<DuplicateArg>,
    /// For scripts: of an image for several platforms all are taken in any case
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    referrers: ReferrersArgs,
    #[command(flatten)]
    write: WriteArgs,
}

/// Make a list of images, in the current layout.
///
/// Images are names of the current layout, other layouts and archives (their content is copied), NAME@DIGEST, or docker://
/// references: of these, manifests and configs are fetched, and layers stay where they are. The same images give the same list,
/// whatever form they come in.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge -L dist manifest create app:v1 amd64.tar arm64.tar
  barge -L dist manifest create --amend app:v1 docker://quay.io/org/app:v1-riscv64")]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Add to a list of that name, if there is one; scripts have it before every image
    #[arg(short, long, overrides_with = "amend")]
    amend: bool,
    /// Put another list in the place of one of that name
    #[arg(long, conflicts_with = "amend")]
    replace: bool,
    /// An annotation of the list (can be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
    #[command(flatten)]
    put: PutArgs,
    /// The name of the list
    #[arg(value_name = "NAME")]
    name: String,
    /// The images
    #[arg(value_name = "SRC")]
    sources: Vec<String>,
}

/// Add images to a list of the current layout.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge -L dist manifest add app:v1 riscv64.tar
  barge -L dist manifest add app:v1 armv7.tar --os linux --arch arm --variant v7")]
pub(crate) struct AddArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    entry: EntryArgs,
    /// An annotation of the entry (can be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
    #[command(flatten)]
    put: PutArgs,
    /// The name of the list
    #[arg(value_name = "NAME")]
    name: String,
    /// The images
    #[arg(value_name = "SRC", required = true)]
    sources: Vec<String>,
}

/// What an entry says.
#[derive(Args, Debug)]
pub(crate) struct EntryArgs {
    /// The operating system
    #[arg(long, value_name = "OS")]
    os: Option<String>,
    /// The architecture
    #[arg(long, value_name = "ARCH")]
    arch: Option<String>,
    /// The variant of the architecture
    #[arg(long, value_name = "VARIANT")]
    variant: Option<String>,
    /// The version of the operating system
    #[arg(long, value_name = "VERSION")]
    os_version: Option<String>,
    /// Features of the operating system (can be repeated, takes commas)
    #[arg(long, value_name = "LIST")]
    os_features: Vec<String>,
}

impl EntryArgs {
    pub(super) fn changes(&self, annotations: &[String]) -> Result<EntryChanges, Error> {
        let features = self.os_features.iter().flat_map(|list| list.split(','));
        let features: Vec<String> = features.map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect();
        Ok(EntryChanges {
            os: self.os.clone(),
            architecture: self.arch.clone(),
            variant: self.variant.clone(),
            os_version: self.os_version.clone(),
            os_features: (!features.is_empty()).then_some(features),
            annotations: pairs("annotation", annotations)?.into_iter().collect(),
            subject: None,
        })
    }
}

pub(super) fn create(args: &CreateArgs, session: &Session<'_>) -> Result<Report, Error> {
    let existing = match (args.amend, args.replace) {
        (true, _) => Existing::Amend,
        (_, true) => Existing::Replace,
        _ => Existing::Refuse,
    };
    let annotations = pairs("annotation", &args.annotation)?.into_iter().collect();
    put(&args.name, &args.sources, existing, annotations, EntryChanges::default(), &args.put, session)
}

pub(super) fn add(args: &AddArgs, session: &Session<'_>) -> Result<Report, Error> {
    let name = list_name(&args.name)?;
    super::layout(session).and_then(|store| barge::ops::manifest::find_list(&store, &name).map(drop))?;
    let entry = args.entry.changes(&args.annotation)?;
    put(&args.name, &args.sources, Existing::Amend, BTreeMap::new(), entry, &args.put, session)
}

fn put(
    name: &str,
    words: &[String],
    existing: Existing,
    annotations: BTreeMap<String, String>,
    entry: EntryChanges,
    args: &PutArgs,
    session: &Session<'_>,
) -> Result<Report, Error> {
    let on_duplicate = args.on_duplicate.map_or(OnDuplicate::Refuse, OnDuplicate::from);
    let platforms = platforms(&args.platform)?;
    let (referrers, digest_tags) = args.referrers.read()?;
    let merge =
        MergeOptions { platforms, on_duplicate, annotations, referrers, digest_tags, ..MergeOptions::default() };
    let options = CreateOptions { name: list_name(name)?, existing, merge, entry };
    let here = here(session)?;
    let images = words.iter().map(|word| open_image(word, session)).collect::<Result<Vec<Opened>, _>>()?;
    let sources = list_sources(here.as_ref(), &images, &options)?;
    let listing = make(&sources, here.as_ref(), &options)?;
    for warning in &listing.warnings {
        session.ui.hear(Event::Warning(warning.clone()));
    }
    let digest = listing.index.descriptor().digest().to_string();
    let media_type = listing.index.media_type().as_str().to_owned();
    let (members, sparse) = (listing.members, listing.sparse);
    let (referrers, behind) = (listing.referrers, listing.behind);
    if !args.all && args.platform.is_empty() {
        say_all_are_taken(&members, &options.name.to_string(), session);
    }
    let (names, summary) = deliver(listing.plan, &args.write, session)?;
    let would = if summary.is_none() { "would list" } else { "listed" };
    let named = names.join(", ");
    match summary {
        Some(summary) if summary.written == 0 && !summary.renamed => {
            session.ui.say(&format!("nothing to do: {named} is that list already"));
        }
        _ => session.ui.say(&format!("{would} {} as {named}", count(members.len() as u64, "platform"))),
    }
    say_left_behind(session, &behind);
    if referrers > 0 {
        let platforms = count(members.len() as u64, "platform");
        session.ui.say(&format!("{platforms}, {}", count(referrers as u64, "referrer")));
    }
    if sparse {
        session.ui.say("it is sparse: layers that are in registries stay there until something needs them");
    }
    let platforms: Vec<Value> = members
        .iter()
        .map(|it| {
            json!({"platform": it.platform.to_string(), "digest": it.descriptor.digest().to_string(), "source": it.label})
        })
        .collect();
    let changed = summary.is_some_and(|summary| summary.written > 0 || summary.renamed);
    Ok(Report {
        text: format!("{digest}\n").into_bytes(),
        results: vec![json!({"names": names, "digest": digest, "mediaType": media_type, "platforms": platforms,
            "referrers": referrers, "referrersLeft": as_left_behind(&behind), "sparse": sparse, "changed": changed, "dryRun": summary.is_none()})],
        stats: super::super::write::stats(&summary.unwrap_or_default()),
        ..Report::default()
    })
}

/// Says, once, that of an image for several platforms all were taken: buildah and podman take one unless told otherwise.
fn say_all_are_taken(members: &[Member], list: &str, session: &Session<'_>) {
    let several = members
        .iter()
        .find(|one| one.label != list && members.iter().filter(|other| other.label == one.label).count() > 1);
    if let Some(one) = several {
        let text = "all platforms of it are taken, as with --all of buildah and podman; --platform takes some";
        session.ui.say(&format!("hint: {}: {text}", one.label));
    }
}
