//! `barge build`

pub(crate) mod adds;
mod sources;

use std::path::PathBuf;

use barge::ops::Error;
use barge::ops::build::{Asked, BuildOptions, BuiltImage, Inputs, Outcome, build, prepare};
use barge::ops::target::{Target, names_of};
use barge::platform::{Platform, PlatformFilter};
use barge::recipe::Recipe;
use barge::text::{escaped, human_size, quoted};
use clap::Args;
use serde_json::{Value, json};

use self::sources::Sources;
use super::Session;
use super::align::AlignArgs;
use super::changes::{ChangeArgs, pairs};
use super::layers::LayerArgs;
use super::network::NetworkArgs;
use super::report::Report;
use super::terminal::{Column, Surface, table};
use super::write::{WriteArgs, count, names, platforms, refuse_mixed_output, stats};

/// Build an image from files, for any number of platforms in one run.
///
/// The recipe is a Containerfile, a Dockerfile or a Kubefile. Nothing is ever run, so RUN is refused; everything else works
/// without a daemon, root or a network. The same input gives the same digests on every machine: files belong to root and have
/// no later time than SOURCE_DATE_EPOCH, unless other options say so.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge build -o dist -t ghcr.io/org/app:v1 --platform linux/amd64,linux/arm64 .
  barge build -o dist -t app:v1 --platform linux/amd64,linux/arm64 --from scratch --add 'out/{arch}/app:/app' --entrypoint /app
  barge build -o app.tar -t app:v1 -f Kubefile --build-arg VERSION=1.30 cluster/")]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Where the result goes: a layout directory, or an archive (FILE.tar, or - for standard output) [default: the current layout]
    #[arg(short, long, value_name = "PLACE")]
    output: Option<String>,
    /// The name of the result (can be repeated)
    #[arg(short, long, value_name = "NAME", required = true)]
    tag: Vec<String>,
    /// For which platforms: os/arch[/variant], local (can be repeated, takes commas) [default: local]
    #[arg(long, value_name = "LIST")]
    platform: Vec<String>,
    /// The recipe, or - for standard input [default: Containerfile, Dockerfile or Kubefile in CONTEXT]
    #[arg(short, long, value_name = "FILE")]
    file: Option<String>,
    /// What to leave out of CONTEXT [default: FILE.containerignore, FILE.dockerignore, or these names in CONTEXT]
    #[arg(long, value_name = "FILE")]
    ignorefile: Option<PathBuf>,
    /// The stage that is wanted, by name or number [default: the last one]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// A value for an ARG of the recipe; without =VALUE that of the environment (can be repeated)
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// Build without a recipe, on top of this image, or of `scratch`
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["file", "target", "build_arg", "ignorefile", "context"])]
    from: Option<String>,
    /// Add a directory, a file or a tar; {os} {arch} {variant} {platform} in SRC are those of each platform (can be repeated)
    #[arg(long, value_name = "SRC:DST")]
    add: Vec<String>,
    /// An annotation of every manifest and of the index (can be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
    /// Make an index of a single platform too
    #[arg(long)]
    index: bool,
    /// Look in registries for images that no place here has
    #[arg(long)]
    online: bool,
    #[command(flatten)]
    align: AlignArgs,
    #[command(flatten)]
    write: WriteArgs,
    /// The directory that COPY and ADD take files from [default: .]
    #[arg(value_name = "CONTEXT")]
    context: Option<PathBuf>,
    // their headings count for what follows, so these come last
    #[command(flatten)]
    changes: ChangeArgs,
    #[command(flatten)]
    pub(crate) layers: LayerArgs,
}

pub(crate) fn run(args: &BuildArgs, session: &Session<'_>) -> Result<Report, Error> {
    let names = names(&args.tag)?;
    let platforms = match platforms(&args.platform)? {
        PlatformFilter::Only(platforms) => platforms,
        PlatformFilter::All if args.platform.is_empty() => vec![Platform::local()],
        PlatformFilter::All => {
            return Err(Error::Usage {
                message: "cannot build for all platforms: nothing says which they are".to_owned(),
                hint: Some("name them: --platform linux/amd64,linux/arm64".to_owned()),
            });
        }
    };
    let build_args = build_args(&args.build_arg)?;
    let options = BuildOptions {
        names,
        index: args.index,
        annotations: pairs("annotation", &args.annotation)?.into_iter().collect(),
        layers: args.layers.options(session)?,
        deliver: !session.global.dry_run,
    };
    let sources = match &args.from {
        Some(image) => Sources::without(Recipe::only(image)),
        None => Sources::find(args, &session.cancel)?,
    };
    let adds = platforms.iter().map(|platform| adds::read(&args.add, platform)).collect::<Result<Vec<_>, _>>()?;
    let changes = args.changes.changes()?;
    let context = session.context();
    let asked = Asked {
        recipe: &sources.recipe,
        platforms: &platforms,
        target: args.target.as_deref(),
        build_args: &build_args,
        online: args.online,
    };
    let prepared = prepare(&asked, &context)?;
    let mut write = args.write.options_from(prepared.stores(), session);
    write.alignment = args.align.alignment();
    let target = Target::open(args.output.as_deref(), &context, write)?;
    args.align.check(&[target.location()])?;
    refuse_mixed_output(session, &[&target.location()])?;
    let place = target.location().to_string();
    let inputs = Inputs {
        context: sources.context.as_ref(),
        ignore: &sources.ignore,
        ignore_name: &sources.ignore_name,
        adds: &adds,
        changes: &changes,
    };
    let outcome = build(&prepared, &inputs, &options, target, &context)?;
    Ok(report(session, &place, &outcome))
}

fn report(session: &Session<'_>, place: &str, outcome: &Outcome) -> Report {
    session.ui.finish();
    let names = names_of(&outcome.roots);
    let digest = outcome.descriptor.digest().to_string();
    let images = count(outcome.images.len() as u64, "platform");
    let (named, size) = (names.join(", "), human_size(outcome.bytes));
    match &outcome.summary {
        None => {
            session.ui.say(&format!("would build {images} into {place} as {named}"));
            session.ui.show(&images_table(&outcome.images));
            session.ui.say(&format!("would bring {} blobs, {size}", outcome.pieces));
        }
        Some(summary) if summary.written == 0 && !summary.renamed => {
            session.ui.say(&format!("nothing new: {place} holds {named} already, {size}"));
        }
        Some(summary) => {
            session.ui.say(&format!("built {images} into {place} as {named}"));
            session.ui.show(&images_table(&outcome.images));
            super::write::say_summary(session, place, summary);
        }
    }
    let changed = outcome.summary.is_some_and(|summary| summary.written > 0 || summary.renamed);
    let platforms: Vec<Value> = outcome.images.iter().map(image_as_json).collect();
    let mut report = Report {
        // an archive on standard output is the result itself: the digest goes to the talk
        text: if place == "-" { Vec::new() } else { format!("{digest}\n").into_bytes() },
        results: vec![json!({"place": place, "names": names, "digest": digest,
            "mediaType": outcome.descriptor.media_type().as_str(), "size": outcome.bytes, "platforms": platforms,
            "changed": changed, "dryRun": outcome.summary.is_none()})],
        ..Report::default()
    };
    if place == "-" {
        session.ui.say(&digest);
    }
    report.stats = stats(&outcome.summary.unwrap_or_default());
    report
}

fn images_table(images: &[BuiltImage]) -> String {
    let row = |image: &BuiltImage| {
        vec![
            format!("  {}", image.platform),
            image.descriptor.digest().short(),
            human_size(image.bytes),
            count(image.layers as u64, "layer"),
            image.base.as_deref().map_or_else(|| "scratch".to_owned(), escaped),
        ]
    };
    const COLUMNS: [Column; 5] = [
        Column::whole("  PLATFORM"),
        Column::digest("DIGEST"),
        Column::whole("SIZE"),
        Column::whole("LAYERS").goes(1),
        Column::name("FROM", 16),
    ];
    table(Surface::err(), &COLUMNS, &images.iter().map(row).collect::<Vec<_>>())
}

fn image_as_json(image: &BuiltImage) -> Value {
    json!({"platform": image.platform.to_string(), "digest": image.descriptor.digest().to_string(),
        "layers": image.layers, "size": image.bytes, "from": image.base})
}

/// Reads `--build-arg`. One without a value has that of the environment, and none when that has none.
fn build_args(options: &[String]) -> Result<Vec<(String, String)>, Error> {
    let mut pairs = Vec::new();
    for option in options {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (option.as_str(), std::env::var(option).ok()),
        };
        if name.is_empty() {
            return Err(Error::Usage {
                message: format!("cannot use --build-arg {}: it has no name", quoted(option)),
                hint: Some("write NAME=VALUE".to_owned()),
            });
        }
        if let Some(value) = value {
            pairs.push((name.to_owned(), value));
        }
    }
    Ok(pairs)
}
