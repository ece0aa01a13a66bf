//! `barge diff`

use barge::ops::Error;
use barge::ops::diff::{Depth, Difference, Side, diff};
use barge::store::Source as _;
use clap::Args;
use serde_json::{Value, json};

use super::Session;
use super::network::NetworkArgs;
use super::report::Report;
use super::terminal::Surface;

/// Show in what two images, or the images of two places, differ.
///
/// Indexes by platform, manifests by their parts, configs by their fields. Exit code 0 when they are the same, 1 when not.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge diff --files dist:app:v1 dist:app:v2
  barge diff bundle.tar /srv/images && echo nothing to do")]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Compare the files of the layers as well: paths, kinds, modes, owners, times, content
    #[arg(long)]
    files: bool,
    /// An image, or a place
    #[arg(value_name = "A")]
    first: String,
    /// What it is compared with
    #[arg(value_name = "B")]
    second: String,
}

pub(crate) fn run(args: &DiffArgs, session: &Session<'_>) -> Result<Report, Error> {
    let words = [args.first.clone(), args.second.clone()];
    let places = super::ls::places(&words, session)?;
    let [(one, one_selector, _), (other, other_selector, _)] = places.as_slice() else {
        return Ok(Report::default()); // two words are two places
    };
    let first = Side { source: one, selector: one_selector.as_ref() };
    let second = Side { source: other, selector: other_selector.as_ref() };
    let depth = match args.files {
        true => Depth::Files { cancel: &session.cancel, observer: &session.ui },
        false => Depth::Documents,
    };
    let differences = diff(first, second, depth)?;
    session.ui.finish();
    let mut report = Report { differs: !differences.is_empty(), ..Report::default() };
    for difference in &differences {
        report.text.extend(Surface::out().fold(&as_text(difference), 2).bytes());
    }
    report.results.push(json!({"first": one.location().to_string(), "second": other.location().to_string(),
        "same": differences.is_empty(), "differences": differences.iter().map(as_json).collect::<Vec<_>>()}));
    Ok(report)
}

fn as_text(difference: &Difference) -> String {
    let path = match difference.path.as_slice() {
        [] => "image".to_owned(),
        path => path.join(" "),
    };
    match (&difference.first, &difference.second) {
        (Some(first), Some(second)) => format!("~ {path}: {first} -> {second}\n"),
        (Some(first), None) => format!("- {path}: {first}\n"),
        (None, Some(second)) => format!("+ {path}: {second}\n"),
        (None, None) => String::new(),
    }
}

fn as_json(difference: &Difference) -> Value {
    json!({"path": difference.path, "first": difference.first, "second": difference.second})
}
