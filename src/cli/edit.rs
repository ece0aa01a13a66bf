//! `barge edit`

use std::collections::BTreeMap;

use barge::ops::Error;
use barge::ops::draft::moment;
use barge::ops::edit::{Base, EditOptions, FileOptions, edit, files, rebase};
use barge::ops::open::{Opened, open};
use barge::ops::rework::Rework;
use barge::ops::target::Made;
use barge::platform::{Platform, PlatformError};
use barge::text::quoted;
use barge::transfer::{Event, Observer as _};
use clap::Args;

use super::Session;
use super::build::adds;
use super::changes::{ChangeArgs, pairs};
use super::layers::LayerArgs;
use super::network::NetworkArgs;
use super::report::Report;
use super::reworked::{PlaceArgs, carry_out};
use super::write::platforms;

/// Change an image, for every platform or for some: its environment, command, labels, base and the like.
///
/// Layers that are not touched keep their bytes. Each change means what the instruction of a Containerfile means, and leaves
/// its line in the history. The same change of the same image has the same digest everywhere; old and new are printed.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge edit dist:app:v1 --env LOG=debug --label org.opencontainers.image.version=1.0.1
  barge edit bundle.tar:app:v1 -t app:v1-arm --platform linux/arm64 --cmd '[\"/app\",\"--slow\"]'
  barge edit dist:app:v1 -t app:v1-conf --add conf-{arch}/:/etc/app
  barge edit dist:app:v1 -t app:v2 --rebase base.tar:debian:12.5=base.tar:debian:12.6")]
pub(crate) struct EditArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Change only these platforms: os/arch[/variant] (can be repeated, takes commas)
    #[arg(long, value_name = "LIST")]
    platform: Vec<String>,
    /// Remove a variable (can be repeated)
    #[arg(long, value_name = "NAME")]
    remove_env: Vec<String>,
    /// Remove a label (can be repeated)
    #[arg(long, value_name = "NAME")]
    remove_label: Vec<String>,
    /// Set an annotation of each manifest, and of the index unless --platform is given (can be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
    /// Remove an annotation in the same places (can be repeated)
    #[arg(long, value_name = "KEY")]
    remove_annotation: Vec<String>,
    /// Make it an image for this platform: os/arch[/variant]; of several images say which with --platform
    #[arg(long, value_name = "PLATFORM")]
    set_platform: Option<String>,
    /// Set when it was made: seconds since 1970, or as 2024-05-01T12:00:00Z
    #[arg(long, value_name = "MOMENT")]
    created: Option<String>,
    /// Put the layers of the image NEW into the place of those of OLD, on which it is based
    #[arg(long, value_name = "OLD=NEW")]
    rebase: Option<String>,
    /// Add a directory, a file or a tar; {os} {arch} {variant} {platform} in SRC are those of each platform (can be repeated)
    #[arg(long, value_name = "SRC:DST")]
    add: Vec<String>,
    /// Make one layer of all, after what is added
    #[arg(long)]
    squash: bool,
    /// The image: DIR:NAME, FILE.tar:NAME, either with @DIGEST, or docker://HOST/REPOSITORY:TAG
    #[arg(value_name = "REF")]
    reference: String,
    // their headings count for what follows, so these come last
    #[command(flatten)]
    changes: ChangeArgs,
    #[command(flatten)]
    layers: LayerArgs,
}

pub(crate) fn run(args: &EditArgs, session: &Session<'_>) -> Result<Report, Error> {
    let options = options(args)?;
    args.layers.refuse_idle(args.squash || !args.add.is_empty(), !args.add.is_empty())?;
    let platforms = platforms(&args.platform)?;
    let bases = args.rebase.as_ref().map(|pair| open_bases(pair, session)).transpose()?;
    let layers = FileOptions { layers: args.layers.options(session)?, squash: args.squash };
    let mut job = args.place.open(&args.reference, session)?;
    let made = Made::default();
    let mut rework = Rework::read(&job.opened.store, job.opened.selector.as_ref(), &job.renaming, &platforms)?;
    if let Some((old, new)) = &bases {
        rebase(&mut rework, &base(old), &base(new))?;
    }
    for warning in edit(&mut rework, &options)? {
        session.ui.hear(Event::Warning(warning));
    }
    if args.squash || !args.add.is_empty() {
        // what can be known to fail does so before anything is packed
        rework.finish(job.whither)?;
        let context = session.context();
        let adds = |platform: &Platform| adds::read(&args.add, platform);
        let bench = job.target.workbench(&made, session.global.dry_run, &context);
        let done = bench.and_then(|bench| files(&mut rework, &adds, &layers, &bench, &made, &context));
        if done.is_err() {
            job.target.abandon();
        }
        done?;
    }
    let reworked = rework.finish(job.whither);
    if reworked.is_err() {
        job.target.abandon();
    }
    let reworked = reworked?;
    carry_out(job.target, reworked, job.whither, &job.renaming, session)
}

fn base(opened: &Opened) -> Base<'_> {
    Base { source: &opened.store, selector: opened.selector.clone(), label: opened.label.clone() }
}

fn open_bases(pair: &str, session: &Session<'_>) -> Result<(Opened, Opened), Error> {
    let Some((old, new)) = pair.split_once('=').filter(|(old, new)| !old.is_empty() && !new.is_empty()) else {
        return Err(Error::Usage {
            message: format!("cannot use --rebase {}: it is not OLD=NEW", quoted(pair)),
            hint: Some("give the image that it is based on, and the one that it is to be based on".to_owned()),
        });
    };
    let context = session.context();
    Ok((open(old, &context)?, open(new, &context)?))
}

fn options(args: &EditArgs) -> Result<EditOptions, Error> {
    let mut annotations: BTreeMap<String, Option<String>> =
        args.remove_annotation.iter().map(|name| (name.clone(), None)).collect();
    annotations.extend(pairs("annotation", &args.annotation)?.into_iter().map(|(name, value)| (name, Some(value))));
    let platform = args.set_platform.as_ref().map(|text| text.parse::<Platform>()).transpose();
    let platform =
        platform.map_err(|error: PlatformError| Error::Usage { hint: error.hint(), message: error.to_string() })?;
    let options = EditOptions {
        changes: args.changes.changes()?,
        remove_env: args.remove_env.clone(),
        remove_labels: args.remove_label.clone(),
        annotations,
        platform,
        created: args.created.as_ref().map(|text| moment::read(text)).transpose()?,
    };
    if options.is_empty() && args.rebase.is_none() && args.add.is_empty() && !args.squash {
        return Err(Error::Usage {
            message: "cannot edit an image: nothing is to change".to_owned(),
            hint: Some("say what, with --env, --cmd, --label or the like: see `barge edit --help`".to_owned()),
        });
    }
    Ok(options)
}
