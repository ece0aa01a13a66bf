//! `barge gc`

use std::time::Duration;

use barge::ops::Error;
use barge::ops::attached::called;
use barge::ops::gc::{Effect, GcOptions, gc};
use barge::store::{Location, Source as _};
use barge::text::{escaped, human_size};
use clap::Args;
use serde_json::json;

use super::Session;
use super::report::Report;
use super::write::{WriteArgs, count};

/// Remove the blobs of a layout that nothing refers to.
///
/// It stops at the first thing it cannot read, before it removes anything, and never touches files that are no blobs.
/// Blobs younger than --grace stay: programs that take no lock write blobs first and the name later. What interrupted
/// runs left of blobs goes as well; until then the same command continues there. A load from several media that waits for
/// the next part keeps what came for a week.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge gc --dry-run dist
  barge gc --grace 0s dist")]
pub(crate) struct GcArgs {
    /// How young a blob may be and go: 30s, 10m, 1h, 2d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    grace: Duration,
    #[command(flatten)]
    write: WriteArgs,
    /// The layout [default: the current layout]
    #[arg(value_name = "DIR")]
    place: Option<String>,
}

/// Reads a time such as `90s`, `10m`, `1h` or `2d`; a number alone is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err("write a number and s, m, h or d, as in 30m".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "write a number and s, m, h or d, as in 30m".to_owned())?;
    number.checked_mul(unit).map(Duration::from_secs).ok_or_else(|| "that is too long".to_owned())
}

pub(crate) fn run(args: &GcArgs, session: &Session<'_>) -> Result<Report, Error> {
    let words: Vec<String> = args.place.iter().cloned().collect();
    let (store, selector, label) = super::ls::places(&words, session)?.swap_remove(0);
    if selector.is_some() {
        return Err(Error::Usage {
            message: format!("cannot collect {label}: it is one image"),
            hint: Some("name the layout alone; `barge rm --gc` removes an image with its content".to_owned()),
        });
    }
    let Location::Layout(layout) = store.location() else {
        return Err(Error::Unsupported {
            message: format!("cannot collect {}", store.location()),
            cause: Some("an archive is written as a whole".to_owned()),
            hint: Some("write what is named to a new one with `barge save -o NEW.tar`".to_owned()),
        });
    };
    let options = GcOptions {
        grace: args.grace,
        candidates: None,
        gone: Vec::new(),
        lock_timeout: args.write.lock_timeout(),
        durability: args.write.durability(),
        effect: if session.global.dry_run { Effect::DryRun } else { Effect::Real },
    };
    let collected = gc(layout, &options, &session.cancel)?;
    let mut report = Report::default();
    let total = |blobs: &[(barge::digest::Digest, u64)]| barge::content::total(blobs.iter().map(|(_, size)| *size));
    for (digest, _) in &collected.removed {
        report.text.extend(format!("{digest}\n").into_bytes());
    }
    let place = escaped(&layout.to_string_lossy());
    let verb = if session.global.dry_run { "would remove" } else { "removed" };
    let blobs = count(collected.removed.len() as u64, "blob");
    let kept = collected.kept;
    session
        .ui
        .say(&format!("{place}: {verb} {blobs}, {}; {kept} are referred to", human_size(total(&collected.removed))));
    if !collected.young.is_empty() {
        let young = count(collected.young.len() as u64, "blob");
        session.ui.say(&format!("{young} younger than --grace stay, {}", human_size(total(&collected.young))));
    }
    let beginnings = |partial: &[_]| {
        let of = count(partial.len() as u64, "blob");
        format!("what interrupted runs left of {of}, {}", human_size(total(partial)))
    };
    if !collected.partial.is_empty() {
        session.ui.say(&format!("{verb} {}", beginnings(&collected.partial)));
    }
    if !collected.young_partial.is_empty() {
        session.ui.say(&format!("{} stays: it is younger than --grace", beginnings(&collected.young_partial)));
    }
    let loads = |loads: &[(String, u64)]| {
        let size = human_size(barge::content::total(loads.iter().map(|(_, size)| *size)));
        format!("what {} from several media left, {size}", count(loads.len() as u64, "load"))
    };
    if !collected.loads.is_empty() {
        session.ui.say(&format!("{verb} {}: nobody came back in a week", loads(&collected.loads)));
    }
    if !collected.young_loads.is_empty() {
        session.ui.say(&format!("{} stays, and so does what came: the rest may come", loads(&collected.young_loads)));
    }
    if !collected.foreign.is_empty() {
        session
            .ui
            .say(&format!("{} under blobs/ are no blobs, and stay", count(collected.foreign.len() as u64, "file")));
    }
    if !collected.dangling.is_empty() {
        const MOST: usize = 10;
        let referrers = count(collected.dangling_referrers as u64, "referrer");
        session.ui.say(&format!("{referrers} of what has no name here stay; `barge rm` removes them:"));
        for (root, subject) in collected.dangling.iter().take(MOST) {
            session.ui.say(&format!("  {} of {subject}", called(root)));
        }
        if collected.dangling.len() > MOST {
            session.ui.say(&format!("  and {} more", collected.dangling.len() - MOST));
        }
    }
    let digests = |blobs: &[(barge::digest::Digest, u64)]| blobs.iter().map(|(d, _)| d.to_string()).collect::<Vec<_>>();
    report.results.push(
        json!({"place": place, "removed": digests(&collected.removed), "bytes": total(&collected.removed),
        "young": digests(&collected.young), "partial": digests(&collected.partial),
        "partialBytes": total(&collected.partial),
        "loads": collected.loads.iter().map(|(name, _)| name).collect::<Vec<_>>(), "kept": kept, "foreign": collected.foreign,
        "dangling": collected.dangling.iter().map(|(root, subject)| json!({"digest": root.digest().to_string(),
            "subject": subject.to_string()})).collect::<Vec<_>>(),
        "dryRun": session.global.dry_run}),
    );
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_a_unit() {
        for (text, seconds) in [("0", 0), ("90s", 90), ("10m", 600), ("1h", 3600), ("2d", 172_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "h", "1 h", "-1h", "1w", "99999999999999999999d", "999999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
