//! `barge pull`

use std::io::Read as _;

use barge::ops::Error;
use barge::ops::copy::{CopySource, Naming, copy};
use barge::ops::target::Target;
use barge::reference::{ImageName, parse_remote};
use barge::store::registry::LANES;
use barge::store::{Location, StoreError};
use barge::text::escaped;
use clap::Args;

use super::Session;
use super::network::NetworkArgs;
use super::push::say_expansion;
use super::report::Report;
use super::write::{CarryArgs, WriteArgs, carry_out, refuse_mixed_output};

/// How large a list of references may be, in bytes.
const LARGEST_LIST: u64 = 16 * 1024 * 1024;

/// Pull images from registries into a layout or straight into an archive, every byte checked and every digest kept.
///
/// A blob that is there is not fetched again, and one that was half fetched goes on where it was.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge pull -o dist quay.io/fedora/fedora:41
  barge pull -o bundle.tar --platform linux/amd64,linux/arm64 -f images.txt")]
pub(crate) struct PullArgs {
    /// Where to: a layout or an archive [default: the current layout]
    #[arg(short, long, value_name = "PLACE")]
    output: Option<String>,
    /// Read references from a file, one a line, # begins a comment; - is standard input (can be repeated)
    #[arg(short = 'f', long = "file", value_name = "LIST")]
    lists: Vec<String>,
    #[command(flatten)]
    carry: CarryArgs,
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
    let mut words = args.references.clone();
    for list in &args.lists {
        words.extend(read_list(list)?);
    }
    for word in &words {
        let name = parse_remote(word)?;
        say_expansion(session, word, &name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Err(Error::Usage { message: "cannot pull: the list is empty".to_owned(), hint: None });
    }
    let options = args.carry.options()?;
    let mut write = args.write.options(session);
    write.jobs = session.global.jobs.unwrap_or(write.jobs.max(LANES));
    let target = Target::open(args.output.as_deref(), &context, write)?;
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

/// Reads a list of references.
fn read_list(path: &str) -> Result<Vec<String>, Error> {
    let mut text = String::new();
    let read = match path {
        "-" => std::io::stdin().lock().take(LARGEST_LIST + 1).read_to_string(&mut text),
        path => std::fs::File::open(path).and_then(|file| file.take(LARGEST_LIST + 1).read_to_string(&mut text)),
    };
    read.map_err(StoreError::io("read", path))?;
    if text.len() as u64 > LARGEST_LIST {
        return Err(Error::Usage {
            message: format!("cannot read {}: it is larger than 16 MiB", escaped(path)),
            hint: Some("give a text file with one reference a line".to_owned()),
        });
    }
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
