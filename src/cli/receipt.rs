//! `barge receipt`

use std::fs::File;
use std::path::{Path, PathBuf};

use barge::bundle::SIGNATURE_SUFFIX;
use barge::ops::Error;
use barge::ops::bundle::{Reading, Receipted};
use barge::ops::draft::moment;
use barge::ops::open::open;
use barge::reference::ImageName;
use barge::signing::Signature;
use barge::store::StoreError;
use barge::store::beside::{SmallFile, sync_name};
use barge::text::{escaped, human_size, quoted};
use barge::transfer::{Event, Observer as _};
use clap::Args;
use serde_json::json;

use super::Session;
use super::key::with_suffix;
use super::keys::{private_key, wrong};
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
  barge receipt docker://registry.site:5000 -o site.json   # every tag of every repository
  barge receipt docker://registry.site:5000/org/app        # every tag of one
  barge receipt -L /srv/images --sign-key site.key -o site.json  and site.json.sig")]
pub(crate) struct ReceiptArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// The file for it [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Sign it with this private key: the signature goes to FILE.sig
    #[arg(long, value_name = "KEY", requires = "output")]
    sign_key: Option<PathBuf>,
    /// Places: layouts, archives, docker://HOST[/REPOSITORY[:TAG]] [default: the current layout]
    #[arg(value_name = "PLACE")]
    places: Vec<String>,
}

pub(crate) fn run(args: &ReceiptArgs, session: &Session<'_>) -> Result<Report, Error> {
    let signer = args.sign_key.as_deref().map(|path| Ok::<_, Error>((path, private_key(path)?))).transpose()?;
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
            let signature = signer.as_ref().map(|(key, signer)| {
                let signature = signer.sign(&raw).map_err(wrong("sign with", key))?;
                Ok::<_, Error>(signature.to_text())
            });
            write(path, &raw, signature.transpose()?.as_deref(), session)?;
            session.ui.say(&format!("{}: {summary}", escaped(&path.to_string_lossy())));
            if let Some((_, signer)) = &signer {
                session.ui.say(&format!("signed with key {}", signer.public_key().fingerprint()));
            }
        }
        None => {
            session.ui.say(&summary);
            report.text.extend_from_slice(&raw);
        }
    }
    let document: serde_json::Value = serde_json::from_slice(&raw).unwrap_or_default();
    let signer = signer.map(|(_, signer)| signer.public_key().fingerprint().to_string());
    report.results.push(json!({"receipt": document, "wrong": receipted.wrong, "signedBy": signer}));
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

/// Writes a receipt, and its signature, beside their names first: a half of one would look like a whole.
fn write(path: &Path, receipt: &[u8], signature: Option<&str>, session: &Session<'_>) -> Result<(), Error> {
    let beside = with_suffix(path, SIGNATURE_SUFFIX);
    must_be(path, "a receipt", is_receipt)?;
    let mut files = vec![(path, receipt)];
    match signature {
        Some(signature) => {
            must_be(&beside, "a signature", is_signature)?;
            // first: beside the receipt of before it does not hold, and nobody is misled
            files.insert(0, (&beside, signature.as_bytes()));
        }
        None if beside.is_file() => {
            let beside = escaped(&beside.to_string_lossy());
            session.ui.hear(Event::Warning(format!("{beside} is of the receipt before: it does not hold any more")));
        }
        None => {}
    }
    let written = files.into_iter().map(|(name, bytes)| SmallFile::write(name, bytes, 0o644));
    for file in written.collect::<Result<Vec<_>, _>>()? {
        file.replace()?;
    }
    Ok(sync_name(path)?)
}

/// Refuses to replace something else than what is written: a mistyped name must not cost an archive.
pub(super) fn must_be(path: &Path, what: &str, is_one: impl Fn(&[u8]) -> bool) -> Result<(), Error> {
    use std::io::Read as _;
    let failed = StoreError::io("read", path);
    let is_file = match std::fs::metadata(path) {
        Ok(metadata) => metadata.is_file(),
        // a link to nothing is something
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && path.symlink_metadata().is_err() => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(failed(error).into()),
    };
    if is_file {
        let mut start = Vec::new();
        // what cannot be read is not told to be something else
        File::open(path).and_then(|file| file.take(8192).read_to_end(&mut start)).map_err(failed)?;
        if is_one(&start) {
            return Ok(());
        }
    }
    Err(Error::Unsupported {
        message: format!("cannot write {}: something else than {what} is there", quoted(&path.to_string_lossy())),
        cause: None,
        hint: Some("give another name with -o".to_owned()),
    })
}

/// Returns whether a file begins as a receipt does.
fn is_receipt(start: &[u8]) -> bool {
    start.starts_with(br#"{"schema": "barge/receipt/"#)
}

/// Returns whether a file is a signature.
fn is_signature(file: &[u8]) -> bool {
    Signature::parse(file).is_ok()
}
