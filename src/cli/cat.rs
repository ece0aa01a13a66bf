//! `barge cat`

use std::io::Write as _;

use barge::blob::BlobError;
use barge::content::{Content, Kind};
use barge::ops::Error;
use barge::ops::choose::choose_layer;
use barge::ops::look::{Part, inspect};
use barge::reference::{ImageName, Place, Reference, Selector, Word, parse_word};
use barge::store::{Source, StoreError};
use clap::{Args, ValueEnum};

use super::Session;
use super::network::NetworkArgs;
use super::report::Report;
use super::write::platforms;

/// Print the exact bytes of a manifest, a config, a layer or any blob.
///
/// A layer may be a file that is attached to an image. A blob is named by its digest; what is wrong is found before the last bytes are printed, and the exit code is 4 then.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge cat config --platform linux/arm64 dist:app:v1 | jq .config
  barge cat blob dist@sha256:4a83...5560 | tar tz
  barge cat layer dist@sha256:4a83...5560 > sbom.spdx.json   # the file of what `barge referrers` lists
  barge cat blob docker://quay.io/org/app@sha256:4a83...5560 | tar tz")]
pub(crate) struct CatArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Which kind of content
    #[arg(value_enum, value_name = "manifest|config|layer|blob")]
    what: What,
    /// Which layer, from 1, or the title of its file [default: the only one]
    #[arg(long, value_name = "N|TITLE")]
    layer: Option<String>,
    /// Go from the index to the image for this platform: os/arch[/variant], or local
    #[arg(long, value_name = "PLATFORM")]
    platform: Vec<String>,
    /// The image; for a blob a place and its digest
    #[arg(value_name = "REF")]
    reference: String,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum What {
    Manifest,
    Config,
    Layer,
    Blob,
}

pub(crate) fn run(args: &CatArgs, session: &Session<'_>) -> Result<Report, Error> {
    if session.global.json {
        return Err(Error::Usage {
            message: "cannot print exact bytes as JSON".to_owned(),
            hint: Some("leave out --json, or use `barge inspect --json`".to_owned()),
        });
    }
    if let (What::Blob, Word::Reference(Reference { place: Place::Registry(name), .. })) =
        (args.what, parse_word(&args.reference)?)
    {
        return remote_blob(&name, session);
    }
    if args.layer.is_some() && !matches!(args.what, What::Layer) {
        return Err(Error::Usage {
            message: "cannot use --layer: no layer is asked for".to_owned(),
            hint: Some("write `barge cat layer --layer N REF`".to_owned()),
        });
    }
    let words = [args.reference.clone()];
    let (store, selector, label) = super::ls::places(&words, session)?.swap_remove(0);
    let part = match args.what {
        What::Manifest => Part::Manifest,
        What::Config => Part::Config,
        What::Layer => {
            let layer = choose_layer(&store, selector.as_ref(), &platforms(&args.platform)?, args.layer.as_deref())?;
            print(&store, &layer.content(), session)?;
            return Ok(Report::default());
        }
        What::Blob => {
            blob(&store, selector.as_ref(), &label, session)?;
            return Ok(Report::default());
        }
    };
    let inspected = inspect(&store, selector.as_ref(), &platforms(&args.platform)?, part)?;
    Ok(Report { text: inspected.raw, ..Report::default() })
}

/// Prints a blob, however large.
fn blob(
    store: &barge::ops::open::Store,
    selector: Option<&Selector>,
    label: &str,
    session: &Session<'_>,
) -> Result<(), Error> {
    let Some(Selector::Digest(wanted)) = selector else {
        return Err(Error::Usage {
            message: format!("cannot tell which blob of {label} is meant"),
            hint: Some("write PLACE@sha256:..., or the start of the digest".to_owned()),
        });
    };
    let found: Vec<_> = store.blobs()?.into_iter().filter(|(digest, _)| wanted.matches(digest)).collect();
    let [(digest, size)] = found.as_slice() else {
        let cause = (found.len() > 1).then(|| format!("{} blobs begin so", found.len()));
        let message = format!("cannot find the blob {wanted} in {}", store.location());
        return Err(Error::Absent { message, cause, hint: None });
    };
    print(store, &Content { digest: *digest, size: *size, kind: Kind::Blob }, session)
}

/// Prints a blob of a repository, which no manifest there needs to refer to.
fn remote_blob(name: &ImageName, session: &Session<'_>) -> Result<Report, Error> {
    let Some(digest) = name.digest() else {
        return Err(Error::Usage {
            message: format!("cannot tell which blob of docker://{name} is meant"),
            hint: Some("write docker://HOST/REPOSITORY@sha256:...; `barge tree` shows the digests".to_owned()),
        });
    };
    let repository = session.registries.repository(name)?;
    let Some(content) = repository.blob(digest)? else {
        let message = format!("cannot find the blob {digest} in {}", repository.location());
        return Err(Error::Absent { message, cause: None, hint: None });
    };
    print(&repository, &content, session)?;
    Ok(Report::default())
}

fn print(source: &dyn Source, content: &Content, session: &Session<'_>) -> Result<(), Error> {
    let reader = source.open(content)?.cancelled_by(&session.cancel);
    let mut out = std::io::stdout();
    match reader.copy_to(&mut out) {
        Ok(_) => out.flush().map_err(StoreError::io("write", "standard output"))?,
        // a reader that has seen enough closes the pipe
        Err(BlobError::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        Err(BlobError::Write(error)) => return Err(StoreError::io("write", "standard output")(error).into()),
        Err(error) => return Err(StoreError::reading(error, content, source.location()).into()),
    }
    Ok(())
}
