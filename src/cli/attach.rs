//! `barge attach`

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use barge::ops::Error;
use barge::ops::attach::{AttachOptions, Piece, attach, subject_of};
use barge::ops::draft::moment;
use barge::ops::open::{Store, open};
use barge::ops::target::{Made, Target};
use barge::platform::PlatformFilter;
use barge::reference::{Place, Reference, Word, parse_word};
use barge::store::{Location, Source as _, StoreError};
use barge::text::escaped;
use clap::Args;
use serde_json::json;

use super::Session;
use super::changes::pairs;
use super::report::Report;
use super::write::{WriteArgs, platforms, stats};

/// Make files an artifact that belongs to an image, in the layout or archive where the image is.
///
/// The image does not change. What is attached goes where it goes: copy, save, load and push take it along. The same files make
/// the same artifact every time; it says a time only when SOURCE_DATE_EPOCH does. Its digest is printed.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge attach dist:app:v1 sbom.spdx.json --type application/spdx+json
  barge attach dist:app:v1 scan.json --platform linux/arm64 --type application/vnd.example.scan --annotation by=scanner
  syft dir:. -o spdx-json | barge attach dist:app:v1 - --type application/spdx+json
  barge attach dist@sha256:4a83...5560 notes.txt --type application/vnd.example.notes   # to an artifact

What is in a registry is pulled first, and pushed afterwards: its referrers go along both times.")]
pub(crate) struct AttachArgs {
    /// The type of artifact: what it is to those who look for it, such as application/spdx+json
    #[arg(long = "type", value_name = "TYPE")]
    artifact_type: String,
    /// The media type of the files
    #[arg(long, default_value = "application/octet-stream", value_name = "TYPE")]
    media_type: String,
    /// An annotation of the artifact (can be repeated)
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
    /// Attach to the image for this platform, and not to the index: os/arch[/variant]
    #[arg(long, value_name = "PLATFORM")]
    platform: Vec<String>,
    #[command(flatten)]
    write: WriteArgs,
    /// The image, or by its digest an artifact: DIR:NAME, FILE.tar:NAME, either with @DIGEST
    #[arg(value_name = "REF")]
    reference: String,
    /// The files; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
}

pub(crate) fn run(args: &AttachArgs, session: &Session<'_>) -> Result<Report, Error> {
    let context = session.context();
    let options = AttachOptions {
        artifact_type: args.artifact_type.clone(),
        media_type: args.media_type.as_str().into(),
        annotations: pairs("annotation", &args.annotation)?.into_iter().collect(),
        created: created()?,
    };
    options.check()?;
    let platforms = platforms(&args.platform)?;
    if let PlatformFilter::Only(several) = &platforms
        && several.len() > 1
    {
        return Err(Error::Usage {
            message: format!("cannot attach to {} platforms at once", several.len()),
            hint: Some("attach to each, or without --platform to the index".to_owned()),
        });
    }
    if let Word::Reference(Reference { place: Place::Registry(name), .. }) = parse_word(&args.reference)? {
        return Err(Error::Unsupported {
            message: format!("cannot attach to docker://{name}"),
            cause: Some("what belongs to an image is made where the image is, in a layout or an archive".to_owned()),
            hint: Some(format!(
                "`barge pull -o DIR {name}`, attach to it there, and `barge push` it: what belongs to it goes along"
            )),
        });
    }
    let opened = open(&args.reference, &context)?;
    let mut target = Target::at(place_of(&opened.store)?, &context, args.write.options(session))?;
    // an archive is locked from here on: whoever held it before may have changed what was read
    let opened = match opened.store.location() {
        Location::Archive(_) => open(&args.reference, &context)?,
        _ => opened,
    };
    let subject = subject_of(&opened.store, opened.selector.as_ref(), &platforms)?;
    let pieces = args.files.iter().map(|word| piece(word)).collect::<Result<Vec<_>, _>>()?;
    let location = target.location().to_string();
    let made = Made::default();
    let bench = target.workbench(&made, session.global.dry_run, &context);
    let attaching =
        bench.and_then(|bench| attach(&opened.store, &subject, pieces, &options, &bench, &made, &session.cancel));
    if attaching.is_err() {
        target.abandon();
    }
    let attaching = attaching?;
    let descriptor = attaching.document.descriptor();
    let (is_there, size) = (attaching.is_there, attaching.plan.inventory().contents.iter().map(|content| content.size));
    let size = barge::content::total(size);
    let to = args.platform.first().map_or_else(String::new, |platform| format!(" ({})", escaped(platform)));
    let mut report = Report::default();
    if session.global.dry_run {
        session.ui.say(&format!("would attach to {}{to} in {location}:", subject.digest()));
    } else if is_there {
        // nothing of what was made is needed
        target.abandon();
        session.ui.say(&format!("nothing to do: it belongs to {}{to} in {location} already", subject.digest()));
    } else {
        let summary = target.deliver(attaching.plan, &session.cancel, &session.ui)?;
        session.ui.finish();
        report.stats = stats(&summary);
        session.ui.say(&format!("attached to {}{to} in {location}", subject.digest()));
    }
    report.text = format!("{}\n", descriptor.digest()).into_bytes();
    report.results.push(json!({"place": location, "digest": descriptor.digest().to_string(),
        "mediaType": descriptor.media_type().as_str(), "artifactType": args.artifact_type, "size": size,
        "subject": subject.digest().to_string(), "files": args.files.len(), "changed": !is_there && !session.global.dry_run,
        "dryRun": session.global.dry_run}));
    Ok(report)
}

/// Returns the place of an image, to be written.
fn place_of(store: &Store) -> Result<Place, Error> {
    match store.location() {
        Location::Layout(path) => Ok(Place::Layout(path.clone())),
        Location::Archive(path) => Ok(Place::Archive(path.clone())),
        other => Err(Error::Unsupported {
            message: format!("cannot attach to an image in {other}"),
            cause: Some("that can be done in a layout or in an OCI archive".to_owned()),
            hint: Some("copy it into a layout first: `barge copy SRC DIR`".to_owned()),
        }),
    }
}

/// Opens a file.
fn piece(word: &str) -> Result<Piece, Error> {
    if word == "-" {
        let reader: Box<dyn Read> = Box::new(io::stdin());
        return Ok(Piece { title: None, label: "standard input".to_owned(), reader });
    }
    let path = Path::new(word);
    let file = File::open(path).map_err(StoreError::io("read", path))?;
    if file.metadata().map_err(StoreError::io("read", path))?.is_dir() {
        return Err(Error::Usage {
            message: format!("cannot attach {}: it is a directory", escaped(word)),
            hint: Some("give its files, or a tar of it".to_owned()),
        });
    }
    let title = path.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(Piece { title, label: escaped(word), reader: Box::new(file) })
}

/// Returns the time that the environment says.
fn created() -> Result<Option<i64>, Error> {
    let variable = std::env::var("SOURCE_DATE_EPOCH").ok().filter(|text| !text.is_empty());
    let read = variable.map(|text| moment::read(&text)).transpose();
    read.map_err(|error| match error {
        Error::Usage { message, .. } => {
            let hint = "set SOURCE_DATE_EPOCH to seconds since 1970, or unset it".to_owned();
            Error::Usage { message, hint: Some(hint) }
        }
        other => other,
    })
}
