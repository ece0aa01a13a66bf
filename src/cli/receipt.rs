//! `barge receipt`

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use barge::ops::Error;
use barge::ops::bundle::{Reading, Receipted};
use barge::ops::draft::moment;
use barge::ops::open::open;
use barge::reference::ImageName;
use barge::store::StoreError;
use barge::text::{human_size, quoted};
use barge::transfer::{Event, Observer as _};
use clap::Args;
use serde_json::json;

use super::Session;
use super::ls::{Listing, listing};
use super::network::NetworkArgs;
use super::report::Report;
use super::write::count;

/// List what is really in a place, for whoever is to send the rest.
///
/// Every blob of a layout or an archive is read and checked; a registry is asked. `barge save --base RECEIPT` over there
/// leaves all of it out.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge receipt -L /srv/images > site.json
  barge receipt docker://registry.site:5000 -o site.json         every tag of every repository
  barge receipt docker://registry.site:5000/org/app              every tag of one")]
pub(crate) struct ReceiptArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// The file for it [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Places: layouts, archives, docker://HOST[/REPOSITORY[:TAG]] [default: the current layout]
    #[arg(value_name = "PLACE")]
    places: Vec<String>,
}

pub(crate) fn run(args: &ReceiptArgs, session: &Session<'_>) -> Result<Report, Error> {
    let reading = Reading { jobs: session.global.jobs(), cancel: &session.cancel, observer: &*session.ui };
    let mut receipted = Receipted::default();
    if args.places.is_empty() {
        for (store, ..) in super::ls::places(&[], session)? {
            receipted.add_place(&store, &reading)?;
        }
    }
    for word in &args.places {
        if word.starts_with("docker://") {
            receipted.add_registry(word);
            receipted.add_images(&images(word, session)?, &session.registries, &reading)?;
            continue;
        }
        let opened = open(word, &session.context())?;
        if opened.selector.is_some() {
            return Err(Error::Usage {
                message: format!(
                    "cannot make a receipt of {}: it is an image, and a receipt is of a place",
                    quoted(word)
                ),
                hint: Some("give the layout or the archive alone".to_owned()),
            });
        }
        receipted.add_place(&opened.store, &reading)?;
    }
    session.ui.finish();
    for wrong in &receipted.wrong {
        session.ui.hear(Event::Warning(format!("{wrong}: it is not in the receipt")));
    }
    let receipt = receipted.finish(Some(made()?));
    let bytes = barge::content::total(receipt.contents.iter().map(|content| content.size));
    let (images, blobs) = (receipt.images.len() as u64, receipt.contents.len() as u64);
    let raw = receipt.encode();
    let mut report = Report::default();
    let summary = format!("{}, {}, {}", count(images, "image"), count(blobs, "blob"), human_size(bytes));
    match &args.output {
        Some(path) => {
            write(path, &raw)?;
            session.ui.say(&format!("{}: {summary}", barge::text::escaped(&path.to_string_lossy())));
        }
        None => {
            session.ui.say(&summary);
            report.text.extend_from_slice(&raw);
        }
    }
    let document: serde_json::Value = serde_json::from_slice(&raw).unwrap_or_default();
    report.results.push(json!({"receipt": document, "wrong": receipted.wrong}));
    for (key, value) in [("images", images), ("blobs", blobs), ("bytes", bytes)] {
        report.stats.insert(key.to_owned(), json!(value));
    }
    Ok(report)
}

/// Returns the images of a registry that a word means: one, those of a repository, or all.
fn images(word: &str, session: &Session<'_>) -> Result<Vec<ImageName>, Error> {
    let tagged = |repository: &str| -> Result<Vec<ImageName>, Error> {
        let name = ImageName::parse(repository)?;
        let tags = session.registries.repository(&name)?.tags()?;
        tags.iter().map(|tag| Ok(ImageName::parse(&format!("{repository}:{tag}"))?)).collect()
    };
    match listing(word)? {
        Some(Listing::Catalog(host)) => {
            let mut images = Vec::new();
            for repository in session.registries.catalog(&host)? {
                match tagged(&format!("{host}/{repository}")) {
                    Ok(found) => images.extend(found),
                    // a registry lists repositories of which all tags were removed
                    Err(error) if error.class() == barge::error::Class::Absent => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(images)
        }
        Some(Listing::Tags(name)) => tagged(&name.full_repository()),
        None => Ok(vec![ImageName::parse(word.trim_start_matches("docker://"))?.with_default_tag()]),
    }
}

/// Returns the time that stands in a receipt.
fn made() -> Result<String, Error> {
    match std::env::var("SOURCE_DATE_EPOCH").ok().filter(|text| !text.is_empty()) {
        Some(text) => moment::written(moment::read(&text)?),
        None => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            moment::written(i64::try_from(now.as_secs()).unwrap_or(0))
        }
    }
}

/// Writes a receipt beside its name first: a half of one would look like a whole.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let directory = barge::store::directory_of(path);
    let failed = |error| Error::from(StoreError::io("write", path)(error));
    // a mistyped name must not cost an archive
    if std::fs::symlink_metadata(path).is_ok() && !is_receipt(path) {
        return Err(Error::Unsupported {
            message: format!(
                "cannot write {}: something else than a receipt is there",
                quoted(&path.to_string_lossy())
            ),
            cause: None,
            hint: Some("give another name with -o".to_owned()),
        });
    }
    let mut temporary = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(directory)
        .map_err(failed)?;
    temporary.write_all(bytes).and_then(|()| temporary.as_file().sync_all()).map_err(failed)?;
    temporary.persist(path).map_err(|error| failed(error.error))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
}

/// Returns whether a file begins as a receipt does.
fn is_receipt(path: &Path) -> bool {
    use std::io::Read as _;
    let mut start = Vec::new();
    let is_file = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_file
        && File::open(path).and_then(|file| file.take(64).read_to_end(&mut start)).is_ok()
        && start.starts_with(br#"{"schema": "barge/receipt/"#)
}
