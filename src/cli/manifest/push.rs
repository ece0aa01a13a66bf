//! `barge manifest push`

use std::path::PathBuf;

use barge::ops::Error;
use barge::ops::attached::Referrers;
use barge::ops::convert::set_form;
use barge::ops::copy::{CopySource, Extent};
use barge::ops::draft::Form;
use barge::ops::manifest::{Lent, find_list};
use barge::ops::push::{NameMap, PushOptions, push as plan_push};
use barge::ops::rework::{Renaming, Rework, Whither};
use barge::ops::rm::remove;
use barge::platform::PlatformFilter;
use barge::reference::Selector;
use barge::store::{Source as _, StoreError};
use clap::{Args, ValueEnum};

use super::super::Session;
use super::super::network::NetworkArgs;
use super::super::push::{carry_out, destinations};
use super::super::report::Report;
use super::super::reworked::warn_of_lost;
use super::super::write::WriteArgs;
use super::{deliver, layout, list_name};

/// Push a list of the current layout and all its images: to where its name says, or to other names.
///
/// What a registry has is not sent; what is in another registry alone is fetched from there on the way.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge -L dist manifest push app:v1 quay.io/org/app:v1
  barge -L dist manifest push --purge ghcr.io/org/app:v1   # where the name says, and remove it here")]
pub(crate) struct PushArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// For scripts: the images of a list go along in any case
    #[arg(long)]
    all: bool,
    /// Remove the list here when it is there
    #[arg(short, long, visible_alias = "rm")]
    purge: bool,
    /// Whose media types to push: those that it has, or OCI's, or Docker's (other digests then)
    #[arg(short, long, value_enum, value_name = "FORM")]
    format: Option<FormArg>,
    /// Write the digest of the list to a file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<PathBuf>,
    #[command(flatten)]
    write: WriteArgs,
    /// The name of the list
    #[arg(value_name = "NAME")]
    name: String,
    /// Where to: HOST/REPOSITORY:TAG, with docker:// or without, or HOST[/PREFIX]
    #[arg(value_name = "DEST")]
    destinations: Vec<String>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum FormArg {
    Oci,
    V2s2,
}

pub(super) fn push(args: &PushArgs, session: &Session<'_>) -> Result<Report, Error> {
    let name = list_name(&args.name)?;
    let store = layout(session)?;
    let list = find_list(&store, &name)?;
    let lent = Lent::new(&store, std::slice::from_ref(&list), &session.registries)?;
    let options = PushOptions {
        origins: lent.repositories().map(|(host, path)| (host.to_owned(), path.to_owned())).collect(),
        ..PushOptions::default()
    };
    let destinations = destinations(&args.destinations, session)?;
    let selector = Selector::Name(name.to_string());
    let label = name.to_string();
    let report = match args.format {
        None => {
            let roots = vec![list.clone()];
            let source = CopySource { label, source: &lent, roots, extent: Extent::Chosen };
            let pushing = plan_push(&source, &destinations, &NameMap::default(), &options)?;
            carry_out(&pushing, &options, session)?
        }
        Some(format) => {
            let form = match format {
                FormArg::Oci => Form::Oci,
                FormArg::V2s2 => Form::Docker,
            };
            let mut rework = Rework::read(&lent, Some(&selector), &Renaming::Same, &PlatformFilter::All)?;
            let mut lost = set_form(&mut rework, form);
            let reworked = rework.finish(Whither::Elsewhere)?;
            lost.extend(reworked.lost.iter().cloned());
            lost.sort();
            lost.dedup();
            warn_of_lost(&lost, session);
            let roots = reworked.plan.roots()?;
            let source = CopySource { label, source: &reworked.plan, roots, extent: Extent::Chosen };
            let pushing = plan_push(&source, &destinations, &NameMap::default(), &options)?;
            carry_out(&pushing, &options, session)?
        }
    };
    if session.global.dry_run || report.failure.is_some() {
        return Ok(report);
    }
    if let Some(file) = &args.digestfile {
        let digest = report.results.first().and_then(|result| result["digest"].as_str()).unwrap_or_default();
        std::fs::write(file, digest).map_err(StoreError::io("write", file))?;
    }
    if args.purge {
        let removing = remove(&store, &[selector], &PlatformFilter::All, &Referrers::None)?;
        deliver(removing.plan, &args.write, session)?;
        session.ui.say(&format!("removed {name} here"));
    }
    Ok(report)
}
