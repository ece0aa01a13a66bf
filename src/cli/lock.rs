//! `barge lock`

use std::collections::BTreeMap;

use barge::ops::Error;
use barge::ops::sync::{find, locked};
use barge::store::beside::{SmallFile, sync_name};
use barge::sync_file::{Lock, LockedImage};
use barge::text::escaped;
use clap::Args;
use serde_json::json;

use super::Session;
use super::network::NetworkArgs;
use super::report::Report;
use super::sync::FileArgs;
use super::write::{WriteArgs, count, line};

/// Write the digests that the sources of a file have now, for `barge sync --locked`.
///
/// Registries are asked for manifests alone. What changes is told; the same digests give the same bytes.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge lock                            # barge.lock, beside barge.yaml
  barge lock -f mirror.yaml --dry-run   # what would change")]
pub(crate) struct LockArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    write: WriteArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

pub(crate) fn run(args: &LockArgs, session: &Session<'_>) -> Result<Report, Error> {
    let file = args.file.parse(&args.file.read()?)?;
    let options = args.file.options(&file, &args.write, false, session)?;
    let path = args.file.lock_path();
    let place = escaped(&path.to_string_lossy());
    // what is there and is no lock is not replaced
    let before = args.file.lock()?;
    let mut found = Vec::new();
    for entry in &file.entries {
        found.push(find(entry, None, &options, &session.context())?);
    }
    let lock = locked(&file, &found);
    let text = lock.to_text();
    let (old, old_lock) = before.unwrap_or_default();
    let mut report = Report::default();
    let images = images(&lock);
    let listed = lock.sources.iter().flat_map(|source| source.images.iter().map(move |image| (source, image)));
    for (source, image) in listed {
        let digest = image.digest.to_string();
        report.text.extend(line(&digest, image.name.as_deref()).into_bytes());
        report.results.push(json!({"lock": path.to_string_lossy(), "source": source.source, "place": image.place,
            "name": image.name, "digest": digest, "dryRun": session.global.dry_run}));
    }
    say_changes(&self::images(&old_lock), &images, session);
    if old == text.as_bytes() {
        session.ui.say(&format!("nothing to do: {place} has these digests, {}", count(images.len() as u64, "image")));
    } else if session.global.dry_run {
        session.ui.say(&format!("would write {place}: {}", count(images.len() as u64, "image")));
    } else {
        SmallFile::write(&path, text.as_bytes(), 0o644)?.replace()?;
        if args.write.durability() == barge::store::Durability::Synced {
            sync_name(&path)?;
        }
        session.ui.say(&format!("wrote {place}: {}", count(images.len() as u64, "image")));
    }
    Ok(report)
}

/// Every image of a lock: its source, its name and place, and its digest. An image without a name is known by its digest.
type Images<'a> = BTreeMap<(&'a str, (Option<String>, Option<String>)), barge::digest::Digest>;

fn images(lock: &Lock) -> Images<'_> {
    let key = |image: &LockedImage| {
        let name = image.name.clone().or_else(|| Some(format!("@{}", image.digest)));
        (name, image.place.clone())
    };
    let of = |source: &'_ barge::sync_file::LockedSource| source.images.clone();
    let all = lock.sources.iter().flat_map(|source| of(source).into_iter().map(move |image| (source, image)));
    all.map(|(source, image)| ((source.source.as_str(), key(&image)), image.digest)).collect()
}

/// Says which images have another digest than before, which are new, and which are gone.
fn say_changes(old: &Images<'_>, new: &Images<'_>, session: &Session<'_>) {
    if old.is_empty() {
        return;
    }
    let called = |key: &(&str, (Option<String>, Option<String>))| escaped(key.1.0.as_deref().unwrap_or_default());
    for (key, digest) in new {
        match old.get(key) {
            None => session.ui.say(&format!("{} is new: {}", called(key), digest.short())),
            Some(before) if before != digest => {
                session.ui.say(&format!("{} was {}, is {}", called(key), before.short(), digest.short()));
            }
            Some(_) => {}
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        session.ui.say(&format!("{} is gone", called(key)));
    }
}
