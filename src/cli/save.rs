//! `barge save`

use barge::bundle::Mode;
use barge::content::total;
use barge::media::Compression;
use barge::ops::Error;
use barge::ops::bundle::{Packing, leave_out, no_list_to_sign, read_base, refuse_replacing};
use barge::ops::check::{Facts, Loader, Needs, Prediction, Verdict, predict};
use barge::ops::compact::{CompactOptions, Staged};
use barge::ops::copy::{CopySource, Naming, copy};
use barge::ops::open::{Store, open};
use barge::ops::target::{ArchiveFormat, Existing, Target};
use barge::text::{escaped, human_size, shell_word};
use clap::{Args, ValueEnum};

use super::Session;
use super::align::AlignArgs;
use super::compact::{Bases, make_compact, refuse_compact};
use super::lists::ListArgs;
use super::network::NetworkArgs;
use super::report::Report;
use super::signed::SignArgs;
use super::split::{SplitArgs, how_to_join, say_plan};
use super::write::{CarryArgs, WriteArgs, carry_out, count, refuse_mixed_output};

/// Write images into one archive that docker, podman, containerd and skopeo load.
///
/// Without a reference the whole current layout goes. Every blob is in it once; two runs give the same bytes.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge save -o bundle.tar dist:ghcr.io/org/app:v1 dist:ghcr.io/org/db:v3
  barge -L dist save -o bundle.tar --list manifests/
  barge save -o bundle.tar --media dvd dist   # bundle.tar.001, bundle.tar.002 ... for one disc each
  barge save -o bundle.tar --sign-key release.key dist
  barge save -o update.tar --compact --base site.receipt dist
  barge -L dist save --platform linux/arm64 -o - | ssh site barge load -o /srv/images")]
pub(crate) struct SaveArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// The archive: a file, or - for standard output
    #[arg(short, long, value_name = "FILE")]
    output: String,
    /// What kind of archive
    #[arg(long, value_enum, default_value = "hybrid", value_name = "KIND")]
    format: FormatArg,
    /// How to pack the whole archive; not every loader reads a packed one
    #[arg(long, value_enum, default_value = "none", value_name = "HOW", conflicts_with = "align")]
    compress: CompressArg,
    /// Replace a file that is there
    #[arg(short, long)]
    force: bool,
    /// Leave out what the other side has: a receipt of it, an earlier bundle, or a place (can be repeated)
    #[arg(long, value_name = "RECEIPT|BUNDLE|PLACE", conflicts_with = "format")]
    base: Vec<String>,
    /// Carry what is in the layers instead of the layers: each file once, and with --base against the older files; the same layers come out, and only barge reads it
    #[arg(long, conflicts_with_all = ["compress", "align"])]
    compact: bool,
    /// Another place to read layers of the base from, when neither what is saved nor the base has them any more (can be repeated)
    #[arg(long, value_name = "PLACE", requires_all = ["base", "compact"])]
    base_from: Vec<String>,
    #[command(flatten)]
    lists: ListArgs,
    #[command(flatten)]
    align: AlignArgs,
    #[command(flatten)]
    split: SplitArgs,
    #[command(flatten)]
    signed: SignArgs,
    #[command(flatten)]
    carry: CarryArgs,
    #[command(flatten)]
    write: WriteArgs,
    /// The images, or whole places [default: the current layout]
    #[arg(value_name = "REF")]
    references: Vec<String>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum FormatArg {
    /// An OCI layout alone
    Oci,
    /// What docker save wrote for long: one platform, without manifests
    Docker,
    /// An OCI layout with a manifest.json: it loads everywhere
    Hybrid,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum CompressArg {
    None,
    Gzip,
    Zstd,
}

pub(crate) fn run(args: &SaveArgs, session: &Session<'_>) -> Result<Report, Error> {
    let context = session.context();
    let carry = args.carry.options()?;
    if args.signed.signs() && args.format == FormatArg::Docker {
        return Err(no_list_to_sign());
    }
    if args.compact {
        refuse_compact(args.format == FormatArg::Docker, &args.split)?;
    }
    let signer = args.signed.signer()?;
    let base_keys = args.signed.base_keys()?;
    let listed = args.lists.find(&args.references, session)?;
    let opened = if args.references.is_empty() && args.lists.is_empty() {
        super::ls::places(&[], session)?
    } else {
        let open = |word: &String| open(word, &context).map(|opened| (opened.store, opened.selector, opened.label));
        args.references.iter().map(open).collect::<Result<Vec<_>, _>>()?
    };
    let mut write = args.write.options_from(opened.iter().map(|(store, ..)| store).chain(listed.stores()), session);
    write.format = match args.format {
        FormatArg::Oci => ArchiveFormat::Oci,
        FormatArg::Docker => ArchiveFormat::Docker,
        FormatArg::Hybrid => ArchiveFormat::Hybrid,
    };
    write.compression = match args.compress {
        CompressArg::None => Compression::None,
        CompressArg::Gzip => Compression::Gzip,
        CompressArg::Zstd => Compression::Zstd,
    };
    write.alignment = args.align.alignment();
    let mut sources = Vec::new();
    for (store, selector, label) in &opened {
        sources.push(CopySource::select(label.clone(), store, selector.as_ref())?);
    }
    sources.extend(listed.sources()?);
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    write.split = args.split.options(&args.output, existing)?;
    let target = Target::create(&args.output, existing, &context, write)?;
    let location = target.location();
    refuse_mixed_output(session, &[&location])?;
    let bases = args.base.iter().map(|word| read_base(word, &context)).collect::<Result<Vec<_>, _>>()?;
    if let Some(path) = location.path() {
        refuse_replacing(&bases, path)?;
    }
    base_keys.check_bases(&args.base, &bases, session)?;
    let staged = Staged::default();
    let mut copying = copy(&sources, &Naming::Spell, &carry)?;
    let mut packing = Packing { sign: signer.clone(), ..leave_out(&mut copying, &bases)? };
    say_left_out(session, &packing, args);
    let mut report = Report::default();
    if args.compact {
        let stores: Vec<&Store> = opened.iter().map(|(store, ..)| store).chain(listed.stores()).collect();
        let spool = target.spool(session.global.dry_run, &context);
        let options = CompactOptions { spool: &spool, place: &location, jobs: session.global.jobs() };
        let bases = Bases { words: &args.base, from: &args.base_from, bases: &bases, stores: &stores };
        make_compact((&mut copying.plan, &staged), &mut packing, &bases, &options, session, &mut report)?;
    }
    let is_compact = packing.compact.is_some();
    let needs = (!packing.left_out.is_empty()).then_some(Needs::Base);
    let target = target.with_packing(packing);
    let file = location.path().filter(|_| !session.global.dry_run && !session.global.quiet);
    let facts = match file {
        Some(_) if !is_compact => {
            Some(Facts { needs, ..Facts::planned(&copying.plan, &write, &super::check::host())? })
        }
        _ => None,
    };
    if let (true, Some(split)) = (session.global.dry_run, write.split) {
        say_plan(session, &target, &mut copying, split, &mut report)?;
    }
    carry_out(session, target, copying, "write", &mut report)?;
    if let Some(signer) = signer {
        say_signed(session, &signer.public_key().fingerprint().to_string(), &mut report);
    }
    if let (Some(file), Some(facts)) = (file, facts) {
        match write.split {
            Some(split) if split.mode == Mode::Archive => session.ui.show(&how_to_join(file, split.mode)),
            split => {
                if let Some(split) = split {
                    session.ui.show(&how_to_join(file, split.mode));
                }
                session.ui.show(&how_to_load(&file.to_string_lossy(), &facts));
            }
        }
    }
    if let (Some(file), true) = (file, is_compact) {
        if let Some(split) = write.split {
            session.ui.show(&how_to_join(file, split.mode));
        }
        let file = shell_word(&file.to_string_lossy());
        session.ui.show(&format!("load it elsewhere with:\n  barge load -i {file} -o DIR"));
    }
    Ok(report)
}

/// Says whose signature the bundle has.
fn say_signed(session: &Session<'_>, key: &str, report: &mut Report) {
    let would_be = if session.global.dry_run { "would be " } else { "" };
    session.ui.say(&format!("{would_be}signed with key {key}"));
    for result in &mut report.results {
        result["signedBy"] = key.into();
    }
}

/// Says what stays behind, and with whom.
fn say_left_out(session: &Session<'_>, packing: &Packing, args: &SaveArgs) {
    // what a compact one has of the base it says when that is known
    if args.base.is_empty() || (args.compact && packing.left_out.is_empty()) {
        return;
    }
    if packing.left_out.is_empty() {
        session.ui.say("nothing of it is in the base: everything goes along");
        return;
    }
    let bytes = human_size(total(packing.left_out.iter().map(|(content, _)| content.size)));
    let blobs = count(packing.left_out.len() as u64, "blob");
    let places: Vec<String> = packing.bases.iter().map(|base| escaped(&base.place)).collect();
    let are = if packing.left_out.len() == 1 { "is" } else { "are" };
    session.ui.say(&format!("{blobs}, {bytes}, {are} left out: in {}", places.join(", ")));
}

/// How many commands of one loader are shown: some want one for each name.
const MOST_COMMANDS: usize = 10;

/// Returns the commands that load this very file elsewhere: those of which it is known that they work.
fn how_to_load(file: &str, facts: &Facts) -> String {
    let mut lines =
        vec!["load it elsewhere with one of:".to_owned(), format!("  barge load -i {} -o DIR", shell_word(file))];
    let predictions = predict(facts, file, &Loader::ALL);
    let refuses = |prediction: &Prediction| prediction.verdict == Verdict::Refuses;
    // nobody knows which store the docker over there has
    let is_docker = |loader| matches!(loader, Loader::Docker | Loader::DockerClassic);
    let any_docker = !predictions.iter().any(|prediction| is_docker(prediction.loader) && refuses(prediction));
    for prediction in predictions.iter().filter(|prediction| any_docker || !is_docker(prediction.loader)) {
        for command in prediction.commands.iter().take(MOST_COMMANDS).map(|command| format!("  {command}")) {
            if !lines.contains(&command) {
                lines.push(command);
            }
        }
        if let Some(more @ 1..) = prediction.commands.len().checked_sub(MOST_COMMANDS) {
            lines.push(format!("  and so on, for {more} more"));
        }
    }
    if predictions.iter().any(|prediction| prediction.verdict != Verdict::Takes) {
        lines.push(format!("`barge check {}` says who takes what of it", shell_word(file)));
    }
    lines.join("\n")
}
