//! `barge unpack`

use std::path::PathBuf;

use barge::ops::Error;
use barge::ops::choose::choose_image;
use barge::ops::open::open;
use barge::ops::unpack::{DEFAULT_FILES, Options, Owners, Unpacked, unpack};
use barge::platform::PlatformFilter;
use barge::store::{Durability, Source as _};
use barge::text::{escaped, human_size, quoted};
use clap::Args;
use serde_json::{Value, json};

use super::Session;
use super::report::Report;

/// Unpack the file system of an image into a directory.
///
/// Layers are applied in order, with whiteouts, owners, modes, times, extended attributes, links and devices. Nothing ever
/// leads out of DIR, and DIR is there only when all of it is right. Without root the files belong to you, and devices are
/// left out.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge unpack bundle.tar:app:v1 rootfs --platform linux/arm64
  barge unpack dist rootfs --no-same-owner --json | jq .results")]
pub(crate) struct UnpackArgs {
    /// Which image of an index: os/arch[/variant], or local [default: the only one]
    #[arg(long, value_name = "PLATFORM")]
    platform: Vec<String>,
    /// How much the image may unpack to: a number of bytes, or with K, M, G or T
    #[arg(long, value_name = "SIZE", default_value = "100G", value_parser = size)]
    max_size: u64,
    /// How many files, directories and links its layers may hold
    #[arg(long, value_name = "N", default_value_t = DEFAULT_FILES)]
    max_files: u64,
    /// Let everything belong to the user who unpacks, also when that is root
    #[arg(long)]
    no_same_owner: bool,
    /// Do not wait until the medium holds everything: for scratch work
    #[arg(long)]
    no_sync: bool,
    /// The image
    #[arg(value_name = "REF")]
    reference: String,
    /// The directory to make; it may be there when it is empty
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(args: &UnpackArgs, session: &Session<'_>) -> Result<Report, Error> {
    let platforms = PlatformFilter::parse(args.platform.iter().map(String::as_str))
        .map_err(|error| Error::Usage { hint: error.hint(), message: error.to_string() })?;
    let opened = open(&args.reference, &session.context())?;
    let image = choose_image(&opened.store, opened.selector.as_ref(), &platforms)?;
    let digest = image.descriptor.digest().to_string();
    let place = opened.store.location().to_string();
    let to = escaped(&args.directory.to_string_lossy());
    if session.global.dry_run {
        session.ui.say(&format!("would unpack {} ({digest}) to {to}", image.describe()));
        let platform = image.platform.as_ref().map(ToString::to_string);
        return Ok(Report {
            results: vec![json!({"place": place, "digest": digest, "platform": platform, "dryRun": true})],
            ..Report::default()
        });
    }
    let options = Options {
        owners: if args.no_same_owner { Owners::Mine } else { Owners::IfRoot },
        size: args.max_size,
        files: args.max_files,
        durability: if args.no_sync { Durability::Unsynced } else { Durability::Synced },
    };
    let unpacked = unpack(&opened.store, &image, &args.directory, &options, &session.cancel, &session.ui)?;
    session.ui.finish();
    let (layers, entries, bytes) = (unpacked.layers, unpacked.entries, unpacked.bytes);
    session.ui.say(&format!(
        "unpacked {} to {to}: {layers} layers, {entries} entries, {}",
        image.describe(),
        human_size(bytes)
    ));
    let mut report = Report {
        text: format!("{digest}\n").into_bytes(),
        results: vec![as_json(&place, &unpacked)],
        ..Report::default()
    };
    report.stats.insert("bytes".to_owned(), json!(bytes));
    report.stats.insert("entries".to_owned(), json!(entries));
    Ok(report)
}

fn as_json(place: &str, unpacked: &Unpacked) -> Value {
    let skipped = &unpacked.skipped;
    json!({"place": place, "directory": unpacked.path.to_string_lossy(), "digest": unpacked.digest.to_string(),
        "platform": unpacked.platform.as_ref().map(ToString::to_string), "layers": unpacked.layers,
        "entries": unpacked.entries, "bytes": unpacked.bytes, "dryRun": false,
        "skipped": {"devices": skipped.devices, "owners": skipped.owners, "setIds": skipped.set_ids,
            "xattrs": skipped.xattrs}})
}

/// Reads a size: a whole number, and a letter for a power of 1024.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let power = match unit.trim_end_matches("iB").to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        _ => return Err(format!("{} is no unit: give K, M, G or T, or nothing for bytes", quoted(unit))),
    };
    let number: u64 = number.parse().map_err(|_| "a size is a whole number, such as 512M".to_owned())?;
    number.checked_mul(1 << (10 * power)).ok_or_else(|| "it is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in
            [("0", 0), ("512", 512), ("1K", 1024), ("3m", 3 << 20), ("100G", 100 << 30), ("2TiB", 2 << 40)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "-1", "1.5G", "1X", "1 G", "99999999999T"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(size("100G"), Ok(barge::ops::unpack::DEFAULT_SIZE), "the default is the library's");
    }
}
