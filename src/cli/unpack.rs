//! `barge unpack`

use std::io::Write as _;
use std::path::{Path, PathBuf};

use barge::ops::Error;
use barge::ops::choose::{Chosen, choose_image};
use barge::ops::open::{Store, open};
use barge::ops::unpack::{DEFAULT_FILES, Options, Owners, Unpacked, check_free, take_file, unpack};
use barge::platform::PlatformFilter;
use barge::store::{Durability, Source as _, StoreError, directory_of};
use barge::text::{escaped, human_size, quoted};
use clap::Args;
use serde_json::{Value, json};

use super::Session;
use super::network::NetworkArgs;
use super::report::Report;
use super::write::count;

/// Unpack the file system of an image into a directory.
///
/// Layers are applied in order, with whiteouts, owners, modes, times, extended attributes, links and devices. Nothing ever
/// leads out of DIR, and DIR is there only when all of it is right. Without root the files belong to you, and devices are
/// left out.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge unpack bundle.tar:app:v1 rootfs --platform linux/arm64
  barge unpack dist - --file /etc/os-release")]
pub(crate) struct UnpackArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Which image of an index: os/arch[/variant], or local [default: the only one]
    #[arg(long, value_name = "PLATFORM")]
    platform: Vec<String>,
    /// Take out this one file alone, and write it to DIR, or to standard output for -
    #[arg(long, value_name = "PATH")]
    file: Option<String>,
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
    /// The directory to make; it may be there when it is empty. With --file, the file to make
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(args: &UnpackArgs, session: &Session<'_>) -> Result<Report, Error> {
    let platforms = PlatformFilter::parse(args.platform.iter().map(String::as_str))
        .map_err(|error| Error::Usage { hint: error.hint(), message: error.to_string() })?;
    if args.directory.as_os_str() == "-" && args.file.is_none() {
        return Err(Error::Usage {
            message: "cannot unpack to standard output: a directory is made".to_owned(),
            hint: Some("write ./- for a directory of that name, or take one file with --file".to_owned()),
        });
    }
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
    if let Some(file) = &args.file {
        return take(args, file, &opened.store, &image, session);
    }
    let unpacked = unpack(&opened.store, &image, &args.directory, &options(args), &session.cancel, &session.ui)?;
    session.ui.finish();
    let (layers, entries, bytes) = (unpacked.layers, unpacked.entries, unpacked.bytes);
    session.ui.say(&format!(
        "unpacked {} to {to}: {}, {}, {}",
        image.describe(),
        count(layers, "layer"),
        if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") },
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

fn options(args: &UnpackArgs) -> Options {
    Options {
        owners: if args.no_same_owner { Owners::Mine } else { Owners::IfRoot },
        size: args.max_size,
        files: args.max_files,
        durability: if args.no_sync { Durability::Unsynced } else { Durability::Synced },
    }
}

/// Takes one file out.
fn take(args: &UnpackArgs, file: &str, source: &Store, image: &Chosen, session: &Session<'_>) -> Result<Report, Error> {
    let to = args.directory.as_path();
    let is_stdout = to.as_os_str() == "-";
    if is_stdout && session.global.json {
        return Err(Error::Usage {
            message: "cannot write the file and JSON to standard output".to_owned(),
            hint: Some("give a file instead of -, or leave --json out".to_owned()),
        });
    }
    if !is_stdout {
        check_free(to)?;
    }
    let beside = match is_stdout {
        // what is in memory on many machines is no place for a file of any size (FHS 3.0, "/var/tmp")
        true => session.global.tmpdir.as_deref().unwrap_or(Path::new("/var/tmp")),
        false => directory_of(to),
    };
    let taken = take_file(source, image, file, beside, &options(args), &session.cancel, &session.ui)?;
    session.ui.finish();
    let (digest, size) = (taken.digest.to_string(), taken.size);
    let platform = taken.platform.as_ref().map(ToString::to_string);
    if is_stdout {
        let mut out = std::io::stdout().lock();
        match taken.copy_to(&mut out).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                return Err(StoreError::io("write", "standard output")(error).into());
            }
            _ => return Ok(Report::default()),
        }
    }
    taken.save_as(to)?;
    let shown = escaped(&to.to_string_lossy());
    session.ui.say(&format!("took {} out of {} to {shown}: {}", quoted(file), image.describe(), human_size(size)));
    let place = source.location().to_string();
    Ok(Report {
        text: format!("{digest}\n").into_bytes(),
        results: vec![json!({"place": place, "file": file, "to": to.to_string_lossy(), "digest": digest,
            "platform": platform, "bytes": size, "dryRun": false})],
        ..Report::default()
    })
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
