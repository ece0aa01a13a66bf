//! `barge convert`

use barge::ops::Error;
use barge::ops::convert::{Repack, Which, is_work, repack, set_form};
use barge::ops::draft::Form;
use barge::ops::rework::Rework;
use barge::ops::target::Made;
use barge::platform::PlatformFilter;
use clap::{ArgGroup, Args, ValueEnum};

use super::Session;
use super::layers::CompressionArg;
use super::network::NetworkArgs;
use super::report::Report;
use super::reworked::{PlaceArgs, carry_out, warn_of_lost};

/// Write an image in the other form, OCI's or Docker's, or pack its layers otherwise.
///
/// What it holds stays the same: each layer is unpacked, checked against its diff_id and packed anew, and configs keep every
/// byte. The digests of layers, manifests and the index change; old and new are printed.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("what").args(["to", "compression"]).required(true).multiple(true))]
#[command(after_help = "\
Examples:
  barge convert dist:app:v1 --to docker
  barge convert old.tar:app:v1 -o new.tar --to oci --compression zstd
  barge convert dist:app:v1 -t app:v1-zstd --compression zstd --compression-level 19")]
pub(crate) struct ConvertArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Whose media types to write
    #[arg(long, value_enum, value_name = "FORM")]
    to: Option<FormArg>,
    /// How layers are packed
    #[arg(long, value_enum, value_name = "WHAT")]
    compression: Option<CompressionArg>,
    /// How hard: gzip 0 to 9 [default: 5], zstd 1 to 22 [default: 3]
    #[arg(long, value_name = "N", requires = "compression")]
    compression_level: Option<u32>,
    /// Pack those layers anew as well that are packed like that already
    #[arg(long, requires = "compression")]
    recompress_all: bool,
    /// The image: DIR:NAME, FILE.tar:NAME, either with @DIGEST, or docker://HOST/REPOSITORY:TAG
    #[arg(value_name = "REF")]
    reference: String,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum FormArg {
    Oci,
    Docker,
}

pub(crate) fn run(args: &ConvertArgs, session: &Session<'_>) -> Result<Report, Error> {
    let how = args.compression.map(|compression| how(args, compression, session));
    how.as_ref().map_or(Ok(()), Repack::check)?;
    let mut job = args.place.open(&args.reference, session)?;
    let made = Made::default();
    let store = &job.opened.store;
    let mut rework = Rework::read(store, job.opened.selector.as_ref(), &job.renaming, &PlatformFilter::All)?;
    let form = args.to.map(|form| match form {
        FormArg::Oci => Form::Oci,
        FormArg::Docker => Form::Docker,
    });
    let mut lost = form.map(|form| set_form(&mut rework, form)).unwrap_or_default();
    // what can be known to fail does so before anything is packed
    let is_work = is_work(&rework, how.as_ref())?;
    if let Some(how) = how.filter(|_| is_work) {
        let context = session.context();
        let packed = job
            .target
            .workbench(&made, session.global.dry_run, &context)
            .and_then(|bench| repack(&mut rework, &how, &bench, &made, &context));
        if packed.is_err() {
            job.target.abandon();
        }
        packed?;
    }
    let reworked = rework.finish(job.whither);
    if reworked.is_err() {
        job.target.abandon();
    }
    let reworked = reworked?;
    lost.extend(reworked.lost.iter().cloned());
    lost.sort();
    lost.dedup();
    warn_of_lost(&lost, session);
    carry_out(job.target, reworked, job.whither, &job.renaming, session)
}

fn how(args: &ConvertArgs, compression: CompressionArg, session: &Session<'_>) -> Repack {
    Repack {
        compression: compression.into(),
        level: args.compression_level,
        which: if args.recompress_all { Which::All } else { Which::Others },
        jobs: session.global.jobs(),
    }
}
