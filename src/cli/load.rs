//! `barge load`

use std::path::PathBuf;

use barge::error::Class;
use barge::ops::Error;
use barge::ops::bundle::deltas;
use barge::ops::copy::{CopySource, Naming, copy};
use barge::ops::open::{Context, Store, open, path_meant};
use barge::ops::target::{Target, layout_meant};
use barge::store::Source;
use clap::Args;

use super::Session;
use super::report::Report;
use super::signed::{RequireArgs, Required, Trust, VerifyKeyArgs};
use super::take_in::{self, Parts};
use super::write::{CarryArgs, WriteArgs, carry_out, refuse_mixed_output};

/// Take archives into a layout: names kept, blobs shared, everything checked on the way in.
///
/// OCI archives, docker-archives, and those that are both; compressed ones too. What the layout holds already is checked
/// and not copied again. After an interruption the same command goes on where it was.
///
/// The parts of a split archive are taken in any order, from several media in turn: what is there is kept, and the images get
/// their names when everything has come. On a terminal barge asks for the next medium; with --part-dir it waits for it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge load -i bundle.tar -o /srv/images
  ssh build cat app.tar | barge load -o dist
  barge load --verify-key release.pub -i bundle.tar   # only when this key signed it
  barge load -i /media/usb/app.tar.002 -o dist")]
pub(crate) struct LoadArgs {
    /// The archives; - is standard input [default: -]
    #[arg(short, long, value_name = "FILE", num_args = 1..)]
    pub(crate) input: Vec<String>,
    /// The layout; another archive is possible too [default: the current layout]
    #[arg(short, long, value_name = "PLACE")]
    pub(crate) output: Option<String>,
    /// How long to wait for the next part in the directories of --part-dir [default: until it comes]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) part_timeout: Option<u64>,
    #[command(flatten)]
    pub(crate) signed: VerifyKeyArgs,
    #[command(flatten)]
    pub(crate) required: RequireArgs,
    #[command(flatten)]
    pub(crate) carry: CarryArgs,
    #[command(flatten)]
    pub(crate) write: WriteArgs,
}

impl LoadArgs {
    /// Returns where the layers may be that compact archives take bytes of: the layout that is loaded into.
    pub(super) fn bases(&self) -> Vec<PathBuf> {
        self.output.as_deref().and_then(layout_meant).into_iter().collect()
    }
}

pub(crate) fn run(args: &LoadArgs, session: &Session<'_>) -> Result<Report, Error> {
    let trust = args.signed.read()?;
    let required = args.required.read()?;
    let standard_input = ["-".to_owned()];
    let words = if args.input.is_empty() { &standard_input[..] } else { &args.input };
    let parts = Parts::among(words, session)?;
    match parts.to_take_in(session) {
        Some(only) => take_in::run(args, only, &parts.directories, &trust, &required, session),
        None => match whole(args, &parts, &trust, &required, session) {
            // of what nobody trusts nothing is kept, nor of what cannot be used here
            Err(error @ (Error::Untrusted { .. } | Error::Missing { .. })) => Err(error),
            Err(error) if error.class() == Class::Content => take_in::instead(args, &parts, &trust, error, session),
            other => other,
        },
    }
}

/// Loads archives that are there as a whole.
fn whole(
    args: &LoadArgs,
    parts: &Parts,
    trust: &Trust,
    required: &Required,
    session: &Session<'_>,
) -> Result<Report, Error> {
    // what one of them is made of may be in another
    let words = parts.words.iter().filter_map(|word| path_meant(word));
    let bases: Vec<PathBuf> = args.bases().into_iter().chain(words).collect();
    let context = Context { part_dirs: &parts.directories, bases: &bases, ..session.context() };
    let options = args.carry.options()?;
    let opened = parts.words.iter().map(|word| open(word, &context)).collect::<Result<Vec<_>, _>>()?;
    trust.check(opened.iter().map(|opened| &opened.store), session)?;
    let target = Target::open(args.output.as_deref(), &context, args.write.options(session))?;
    let location = target.location();
    refuse_mixed_output(session, &[&location])?;
    let held = target.held(&context)?;
    // what one of them leaves out may be in another
    let stores: Vec<&Store> = opened.iter().map(|opened| &opened.store).collect();
    let deltas = deltas(&stores, held.as_ref())?;
    let mut sources = Vec::new();
    for (opened, delta) in opened.iter().zip(&deltas) {
        let source = delta.as_ref().map_or(&opened.store as &dyn Source, |delta| delta);
        let source = CopySource::select(opened.label.clone(), source, opened.selector.as_ref())?;
        required.check(source.source, &source.roots, source.extent, session)?;
        sources.push(source);
    }
    let copying = copy(&sources, &Naming::Keep, &options)?;
    for delta in deltas.iter().flatten() {
        delta.check(&copying.plan, &target.location())?;
    }
    let mut report = Report::default();
    carry_out(session, target, copying, "load into", &mut report)?;
    take_in::forget(parts, &location, session)?;
    Ok(report)
}
