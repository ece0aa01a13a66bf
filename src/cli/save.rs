//! `barge save`

use barge::media::Compression;
use barge::ops::Error;
use barge::ops::copy::{CopySource, Naming, copy};
use barge::ops::lookup::{is_attached, name_of};
use barge::ops::open::open;
use barge::ops::target::{ArchiveFormat, Existing, Target};
use barge::text::shell_word;
use clap::{Args, ValueEnum};

use super::Session;
use super::report::Report;
use super::write::{CarryArgs, WriteArgs, carried_as_json, line, say_carried, say_summary, stats};

/// Write images into one archive that docker, podman, containerd and skopeo load.
///
/// Without a reference the whole current layout goes. Every blob is in it once; two runs give the same bytes.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge save -o bundle.tar dist:ghcr.io/org/app:v1 dist:ghcr.io/org/db:v3
  barge -L dist save --platform linux/arm64 -o - | ssh site barge load -o /srv/images")]
pub(crate) struct SaveArgs {
    /// The archive: a file, or - for standard output
    #[arg(short, long, value_name = "FILE")]
    output: String,
    /// What kind of archive
    #[arg(long, value_enum, default_value = "hybrid", value_name = "KIND")]
    format: FormatArg,
    /// How to pack the whole archive; not every loader reads a packed one
    #[arg(long, value_enum, default_value = "none", value_name = "HOW")]
    compress: CompressArg,
    /// Replace a file that is there
    #[arg(short, long)]
    force: bool,
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
    let mut write = args.write.options(session);
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
    let opened = if args.references.is_empty() {
        super::ls::places(&[], session)?
    } else {
        let open = |word: &String| open(word, &context).map(|opened| (opened.store, opened.selector, opened.label));
        args.references.iter().map(open).collect::<Result<Vec<_>, _>>()?
    };
    let mut sources = Vec::new();
    for (store, selector, label) in &opened {
        sources.push(CopySource::select(label.clone(), store, selector.as_ref())?);
    }
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    let target = Target::create(&args.output, existing, &context, write)?;
    let place = target.location().to_string();
    let copying = copy(&sources, &Naming::Spell, &carry, &[])?;
    let mut report = Report::default();
    let roots = copying.plan.inventory().roots.clone();
    if session.global.dry_run {
        session.ui.say(&format!("would write {place}:"));
    } else {
        let summary = target.deliver(copying.plan, &session.cancel, &session.ui)?;
        say_summary(session, &place, &summary);
        report.stats = stats(&summary);
    }
    say_carried(session, &copying.images);
    for image in &copying.images {
        if place != "-" {
            report.text.extend(line(&image.to.digest().to_string(), name_of(&image.to)).into_bytes());
        }
        report.results.push(carried_as_json(&place, image));
    }
    if place != "-" && !session.global.dry_run {
        let names: Vec<&str> = roots.iter().filter(|root| !is_attached(root)).filter_map(name_of).collect();
        session.ui.say(&how_to_load(&args.output, args.format, args.compress, &names));
    }
    Ok(report)
}

/// Returns the commands that load this very file elsewhere.
fn how_to_load(file: &str, format: FormatArg, compress: CompressArg, names: &[&str]) -> String {
    let file =
        shell_word(file.split_once(':').filter(|(scheme, _)| scheme.ends_with("archive")).map_or(file, |(_, f)| f));
    let mut lines = vec!["load it elsewhere with one of:".to_owned(), format!("  barge load -i {file} -o DIR")];
    let packed = compress != CompressArg::None;
    if format != FormatArg::Oci && compress != CompressArg::Zstd {
        lines.push(format!("  docker load -i {file}"));
    }
    lines.push(format!("  podman load -i {file}"));
    if format != FormatArg::Docker && !packed {
        lines.push(format!("  ctr -n k8s.io images import --all-platforms {file}"));
        lines.push(format!("  nerdctl load --all-platforms -i {file}"));
    }
    if format != FormatArg::Docker
        && let Some(name) = names.first()
    {
        // the whole name would not be found: skopeo compares it with the reference name, which is the tag
        let tag = barge::reference::tag_of(name).unwrap_or(name);
        let which = if names.len() == 1 { String::new() } else { format!(":{}", shell_word(tag)) };
        lines.push(format!(
            "  skopeo copy --all --preserve-digests oci-archive:{file}{which} docker://{}",
            shell_word(name)
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_works_is_offered() {
        let all = how_to_load("b.tar", FormatArg::Hybrid, CompressArg::None, &["docker.io/library/app:v1"]);
        for command in [
            "docker load",
            "podman load",
            "ctr ",
            "nerdctl",
            "skopeo copy --all --preserve-digests oci-archive:b.tar docker://",
        ] {
            assert!(all.contains(command), "{all}");
        }
        let oci = how_to_load("b.tar", FormatArg::Oci, CompressArg::None, &[]);
        assert!(!oci.contains("docker load") && !oci.contains("skopeo"));
        let packed = how_to_load("b.tar.zst", FormatArg::Hybrid, CompressArg::Zstd, &["a:1", "b:2"]);
        assert!(!packed.contains("docker load") && !packed.contains("ctr "));
    }
}
