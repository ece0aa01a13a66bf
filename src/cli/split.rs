//! `save --split` and `save --media`: the options, and what is said about parts.

use std::path::Path;

use barge::bundle::{Medium, Mode, PartNames, parse_part_size};
use barge::ops::Error;
use barge::ops::copy::Copying;
use barge::ops::save::{Estimate, PlannedPart, SavePlan, Share, estimate, plan_parts};
use barge::ops::target::{Existing, Split, Target};
use barge::text::{escaped, human_size, human_time, shell_word};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::Session;
use super::report::Report;
use super::write::count;

/// How an archive is split.
#[derive(Args, Debug)]
pub(crate) struct SplitArgs {
    /// Write parts of at most this size instead of one file: 4400M, 4G, 650MiB, or bytes; as with split(1), M is 1024*1024
    /// and MB is 1000*1000
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with_all = ["media", "compress", "align"])]
    split: Option<u64>,
    /// Write parts that fit on a medium: fat32, cd, dvd, bd25
    #[arg(long, value_name = "KIND", value_parser = parse_medium, conflicts_with_all = ["compress", "align"])]
    media: Option<Medium>,
    /// What the parts are
    #[arg(long, value_enum, default_value = "stream", value_name = "HOW")]
    split_mode: SplitModeArg,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum SplitModeArg {
    /// Pieces of one archive: `cat` joins them
    Stream,
    /// Archives by themselves, each with whole images
    Archive,
}

impl SplitArgs {
    /// Returns whether the parts are to be archives by themselves.
    pub(crate) fn is_archives(&self) -> bool {
        self.split_mode == SplitModeArg::Archive
    }

    pub(crate) fn options(&self, output: &str, existing: Existing) -> Result<Option<Split>, Error> {
        let mode = match self.split_mode {
            SplitModeArg::Stream => Mode::Stream,
            SplitModeArg::Archive => Mode::Archive,
        };
        let Some(part_size) = self.split.or_else(|| self.media.map(Medium::part_size)) else {
            if mode == Mode::Archive {
                return Err(Error::Usage {
                    message: "cannot split without a size".to_owned(),
                    hint: Some("give --split SIZE or --media KIND as well".to_owned()),
                });
            }
            return Ok(None);
        };
        if output == "-" {
            return Err(Error::Usage {
                message: "cannot write parts to standard output".to_owned(),
                hint: Some("give a file with -o, or split the stream yourself".to_owned()),
            });
        }
        Ok(Some(Split { part_size, existing, mode }))
    }
}

fn parse_medium(text: &str) -> Result<Medium, String> {
    text.parse().map_err(|error: barge::bundle::UnknownMedium| error.to_string())
}

fn parse_size(text: &str) -> Result<u64, String> {
    parse_part_size(text).ok_or_else(|| "expected a size such as 4400M, 4G, 650MiB or 4700MB".to_owned())
}

/// Says which parts there would be, what lies in them, and how long reading takes.
pub(crate) fn say_plan(
    session: &Session<'_>,
    target: &Target,
    copying: &mut Copying<'_>,
    split: Split,
    report: &mut Report,
) -> Result<(), Error> {
    let location = target.location();
    let arranged = target.arrange(&mut copying.plan, split, &*session.ui)?;
    let plan = plan_parts(&copying.plan, &copying.images, &arranged, &location);
    let estimate = estimate(&copying.plan, &session.cancel)?;
    let text = format!("{location} would be {}", as_text(&plan, estimate.as_ref()));
    session.ui.finish();
    session.ui.say(&text);
    report.stats.insert("plan".to_owned(), as_json(&plan, estimate.as_ref()));
    Ok(())
}

fn as_text(plan: &SavePlan, estimate: Option<&Estimate>) -> String {
    let mut lines = vec![format!(
        "{} of at most {}, {} in all:",
        count(plan.parts.len() as u64, "part"),
        human_size(plan.part_size),
        human_size(plan.length)
    )];
    for part in &plan.parts {
        lines.push(format!("  {}  {}", escaped(&part.name), human_size(part.size)));
        lines.extend(shares(part).map(|line| format!("    {line}")));
    }
    if let Some(estimate) = estimate {
        let Estimate { bytes, sample, time } = estimate;
        lines.push(format!(
            "reading and hashing {} takes about {}: an estimate, from {} that were read",
            human_size(*bytes),
            human_time(*time),
            human_size(*sample)
        ));
    }
    lines.join("\n")
}

fn shares(part: &PlannedPart) -> impl Iterator<Item = String> {
    let of =
        |what: &str, share: &Share| format!("{what}: {}, {}", count(share.pieces, "piece"), human_size(share.bytes));
    let images = part.images.iter().map(move |image| {
        let name = image.name.as_deref().map_or_else(|| image.digest.to_string(), escaped);
        of(&name, &image.share)
    });
    let shared = (part.shared.pieces > 0).then(|| of("shared by several images", &part.shared));
    images.chain(shared)
}

fn as_json(plan: &SavePlan, estimate: Option<&Estimate>) -> Value {
    let share = |share: &Share| json!({"pieces": share.pieces, "bytes": share.bytes});
    let part = |part: &PlannedPart| {
        let images = part.images.iter().map(|image| {
            let mut value = share(&image.share);
            value["name"] = json!(image.name);
            value["digest"] = json!(image.digest.to_string());
            value
        });
        json!({"name": part.name, "size": part.size, "images": images.collect::<Vec<_>>(), "shared": share(&part.shared)})
    };
    let estimate = estimate.map(
        |estimate| json!({"bytes": estimate.bytes, "sample": estimate.sample, "seconds": estimate.time.as_secs_f64()}),
    );
    json!({"length": plan.length, "partSize": plan.part_size, "estimate": estimate,
        "parts": plan.parts.iter().map(part).collect::<Vec<_>>()})
}

/// Returns how to check the parts and to join them, without barge.
pub(crate) fn how_to_join(file: &Path, mode: Mode) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names = PartNames { archive: name.clone(), mode, parts: 1 };
    let (name, sums) = (shell_word(&name), shell_word(&names.sums()));
    if mode == Mode::Archive {
        let part = shell_word(&names.part(1));
        return format!(
            "where the parts are, check them with:\n  sha256sum -c {sums}\nload them all, or one by one, with:\n  barge load -i {part} -o DIR"
        );
    }
    format!("where the parts are, check them and join them with:\n  sha256sum -c {sums}\n  cat {name}.0* > {name}")
}
