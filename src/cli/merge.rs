//! `barge merge`

use barge::content::{Descriptor, total};
use barge::ops::Error;
use barge::ops::copy::Extent;
use barge::ops::lookup::select_for_merge;
use barge::ops::merge::{Attestations, IndexType, Member, MergeOptions, MergeSource, OnDuplicate, merge};
use barge::ops::open::open;
use barge::ops::target::{Target, names_of};
use barge::text::human_size;
use barge::transfer::{Event, Observer as _, Summary};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::Session;
use super::align::AlignArgs;
use super::changes::pairs;
use super::network::NetworkArgs;
use super::report::Report;
use super::signed::RequireArgs;
use super::terminal::{Column, Surface, table};
use super::write::{
    ReferrersArgs, WriteArgs, as_left_behind, checked, count, names, platforms, refuse_mixed_output, say_left_behind,
    say_summary, stats,
};

/// Merge images, one for each platform, into one multi-arch image.
///
/// Sources are layouts, OCI archives and docker-archives in any mix. Every byte is checked on the way; no image changes:
/// only the index over them is new, and its digest is printed.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge merge -o dist -t ghcr.io/org/app:v1 amd64.tar arm64.tar build/riscv64:v1
  barge merge -o app.tar -t app:v1 -t app:latest oci:linux:amd64 docker-archive:arm.tar")]
pub(crate) struct MergeArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Where the result goes: a layout directory, or an archive (FILE.tar, or - for standard output) [default: the current layout]
    #[arg(short, long, value_name = "PLACE")]
    output: Option<String>,
    /// The name of the result (can be repeated)
    #[arg(short, long, value_name = "NAME", required = true)]
    tag: Vec<String>,
    /// Take only these platforms: os/arch[/variant], all, local (can be repeated, takes commas)
    #[arg(long, value_name = "LIST")]
    platform: Vec<String>,
    /// What to do when two sources are for one platform: refuse, or take the later, or keep the earlier
    #[arg(long, value_enum, value_name = "WHAT")]
    on_duplicate: Option<DuplicateArg>,
    #[command(flatten)]
    required: RequireArgs,
    /// What becomes of attestations
    #[arg(long, value_enum, default_value = "keep", value_name = "WHAT")]
    attestations: AttestationsArg,
    /// An annotation of the index (can be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
    /// The type of the index: an OCI image index or a Docker manifest list
    #[arg(long, value_enum, default_value = "oci", value_name = "TYPE")]
    media_type: TypeArg,
    #[command(flatten)]
    referrers: ReferrersArgs,
    #[command(flatten)]
    align: AlignArgs,
    #[command(flatten)]
    write: WriteArgs,
    /// The images: DIR, FILE.tar, either with :NAME or @DIGEST, or - for an archive on standard input
    #[arg(required = true, value_name = "SRC")]
    sources: Vec<String>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub(super) enum DuplicateArg {
    Replace,
    Keep,
}

impl From<DuplicateArg> for OnDuplicate {
    fn from(said: DuplicateArg) -> Self {
        match said {
            DuplicateArg::Replace => Self::Replace,
            DuplicateArg::Keep => Self::Keep,
        }
    }
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum AttestationsArg {
    Keep,
    Drop,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum TypeArg {
    Oci,
    Docker,
}

pub(crate) fn run(args: &MergeArgs, session: &Session<'_>) -> Result<Report, Error> {
    let options = options(args)?;
    let required = args.required.read()?;
    let context = session.context();
    let opened = args.sources.iter().map(|word| open(word, &context)).collect::<Result<Vec<_>, _>>()?;
    let mut write = args.write.options_from(opened.iter().map(|opened| &opened.store), session);
    write.alignment = args.align.alignment();
    let mut sources = Vec::new();
    for opened in &opened {
        let roots = select_for_merge(&opened.store, opened.selector.as_ref())?;
        required.check(&opened.store, &roots, Extent::Chosen, session)?;
        sources.push(MergeSource { label: opened.label.clone(), source: &opened.store, roots });
    }
    let target = Target::open(args.output.as_deref(), &context, write)?;
    args.align.check(&[target.location()])?;
    refuse_mixed_output(session, &[&target.location()])?;
    let merged = merge(&sources, &options)?;
    for warning in merged.warnings {
        session.ui.hear(Event::Warning(warning));
    }
    let place = target.location().to_string();
    let digest = merged.index.descriptor().digest().to_string();
    // what belongs to it may have names too
    let is_made = |root: &&Descriptor| *root.digest() == *merged.index.descriptor().digest();
    let made: Vec<Descriptor> = merged.plan.inventory().roots.iter().filter(is_made).cloned().collect();
    let names = names_of(&made);
    let contents = &merged.plan.inventory().contents;
    let (pieces, size) = (contents.len(), total(contents.iter().map(|content| content.size)));
    let summary = if session.global.dry_run {
        session.ui.say(&format!(
            "would merge {} into {place} as {}",
            count(merged.members.len() as u64, "platform"),
            names.join(", ")
        ));
        session.ui.show(&members_table(&merged.members));
        session.ui.say(&format!("would bring {pieces} blobs, {}", human_size(size)));
        None
    } else {
        let summary = target.deliver(merged.plan, &session.cancel, &session.ui)?;
        say_what_was_done(session, &merged.members, &names, &place, &summary);
        Some(summary)
    };
    say_left_behind(session, &merged.behind);
    if merged.referrers > 0 {
        let platforms = count(merged.members.len() as u64, "platform");
        session.ui.say(&format!("{platforms}, {}", count(merged.referrers as u64, "referrer")));
    }
    let platforms: Vec<Value> = merged.members.iter().map(member_as_json).collect();
    let changed = summary.is_some_and(|summary| summary.written > 0 || summary.renamed);
    let mut report = Report {
        // an archive on standard output is the result itself: the digest goes to the talk
        text: if place == "-" { Vec::new() } else { format!("{digest}\n").into_bytes() },
        results: vec![json!({"place": place, "names": names, "digest": digest,
            "mediaType": merged.index.media_type().as_str(), "size": size, "platforms": platforms,
            "referrers": merged.referrers, "referrersLeft": as_left_behind(&merged.behind),
            "changed": changed, "dryRun": summary.is_none()})],
        ..Report::default()
    };
    if place == "-" {
        session.ui.say(&digest);
    }
    report.stats = stats(&summary.unwrap_or_default());
    Ok(report)
}

fn options(args: &MergeArgs) -> Result<MergeOptions, Error> {
    let names = names(&args.tag)?;
    let platforms = platforms(&args.platform)?;
    let annotations = pairs("annotation", &args.annotation)?.into_iter().collect();
    let (referrers, digest_tags) = args.referrers.read()?;
    Ok(MergeOptions {
        names,
        platforms,
        on_duplicate: args.on_duplicate.map_or(OnDuplicate::Refuse, OnDuplicate::from),
        attestations: match args.attestations {
            AttestationsArg::Keep => Attestations::Keep,
            AttestationsArg::Drop => Attestations::Drop,
        },
        annotations,
        index_type: match args.media_type {
            TypeArg::Oci => IndexType::Oci,
            TypeArg::Docker => IndexType::Docker,
        },
        may_be_empty: false,
        referrers,
        digest_tags,
    })
}

fn say_what_was_done(session: &Session<'_>, members: &[Member], names: &[String], place: &str, summary: &Summary) {
    session.ui.finish();
    let names = names.join(", ");
    if summary.written == 0 && !summary.renamed {
        session.ui.say(&format!("nothing to do: {place} holds {names} already, {}", checked(summary)));
        return;
    }
    session.ui.say(&format!("merged {} into {place} as {names}", count(members.len() as u64, "platform")));
    session.ui.show(&members_table(members));
    say_summary(session, place, summary);
}

fn members_table(members: &[Member]) -> String {
    let row = |member: &Member| {
        let attestations = match member.attestations {
            0 => String::new(),
            1 => "1 attestation".to_owned(),
            count => format!("{count} attestations"),
        };
        vec![
            format!("  {}", member.platform),
            member.descriptor.digest().short(),
            human_size(member.bytes),
            member.label.clone(),
            attestations,
        ]
    };
    const COLUMNS: [Column; 5] = [
        Column::whole("  PLATFORM"),
        Column::digest("DIGEST"),
        Column::whole("SIZE"),
        Column::name("FROM", 16),
        Column::whole("").goes(1),
    ];
    table(Surface::err(), &COLUMNS, &members.iter().map(row).collect::<Vec<_>>())
}

fn member_as_json(member: &Member) -> Value {
    json!({"platform": member.platform.to_string(), "digest": member.descriptor.digest().to_string(),
        "source": member.label, "size": member.bytes, "attestations": member.attestations})
}
