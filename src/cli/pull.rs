//! `barge pull`

use barge::ops::Error;
use barge::ops::copy::{CopySource, Naming, copy};
use barge::ops::target::Target;
use barge::reference::{ImageName, parse_remote};
use barge::store::Location;
use barge::store::registry::LANES;
use clap::Args;

use super::Session;
use super::align::AlignArgs;
use super::lists::read_lists;
use super::network::NetworkArgs;
use super::push::say_expansion;
use super::report::Report;
use super::write::{CarryArgs, WriteArgs, carry_out, refuse_mixed_output};

/// Pull images from registries into a layout or straight into an archive, every byte checked and every digest kept.
///
/// A blob that is there is not fetched again, and one that was half fetched goes on where it was.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge pull -o dist quay.io/fedora/fedora:41
  barge pull -o bundle.tar --platform linux/amd64,linux/arm64 -f images.txt
  helm template app ./chart | barge pull -o dist -f -")]
pub(crate) struct PullArgs {
    /// Where to: a layout or an archive [default: the current layout]
    #[arg(short, long, value_name = "PLACE")]
    output: Option<String>,
    /// Take images from a list: a text file, Kubernetes manifests, a directory of them, a barge.yaml, or - (can be repeated)
    #[arg(short = 'f', long = "file", value_name = "LIST")]
    lists: Vec<String>,
    #[command(flatten)]
    carry: CarryArgs,
    #[command(flatten)]
    align: AlignArgs,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// The images: [HOST/]REPOSITORY[:TAG|@DIGEST]
    #[arg(value_name = "REF", required_unless_present = "lists")]
    references: Vec<String>,
}

pub(crate) fn run(args: &PullArgs, session: &Session<'_>) -> Result<Report, Error> {
    let context = session.context();
    let mut names: Vec<ImageName> = Vec::new();
    let mut add = |word: &str| -> Result<(), Error> {
        let name = parse_remote(word)?;
        say_expansion(session, word, &name);
        if !names.contains(&name) {
            names.push(name);
        }
        Ok(())
    };
    args.references.iter().try_for_each(|word| add(word))?;
    if !args.lists.is_empty() {
        for image in read_lists(&args.lists, session)?.images() {
            let listed = |error| Error::Listed { what: image.to_string(), error: Box::new(error) };
            add(&image.text).map_err(listed)?;
        }
    }
    let options = args.carry.options()?;
    let mut write = args.write.options(session);
    write.jobs = session.global.jobs.unwrap_or(write.jobs.max(LANES));
    write.alignment = args.align.alignment();
    let target = Target::open(args.output.as_deref(), &context, write)?;
    args.align.check(&[target.location()])?;
    refuse_mixed_output(session, &[&target.location()])?;
    let repositories = barge::ops::pull::resolve(&session.registries, &names, &options, &session.cancel)?;
    let sources: Vec<CopySource<'_>> = repositories
        .iter()
        .zip(&names)
        .map(|(repository, name)| CopySource::select(name.to_string(), repository, None))
        .collect::<Result<_, _>>()?;
    let copying = copy(&sources, &Naming::Keep, &options)?;
    let mut report = Report::default();
    let stream = target.location() == Location::Stdio;
    carry_out(session, target, copying, "pull into", &mut report)?;
    if stream {
        report.text.clear();
    }
    Ok(report)
}
