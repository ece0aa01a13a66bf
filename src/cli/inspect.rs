//! `barge inspect`

use barge::ops::Error;
use barge::ops::bundle::packed_in;
use barge::ops::look::{CompactFacts, Inspected, Part, inspect};
use barge::store::Source as _;
use clap::Args;
use serde_json::{Value, json};

use super::network::NetworkArgs;
use super::report::{Report, safe_json};
use super::signed::VerifyKeyArgs;
use super::terminal::Surface;
use super::write::platforms;
use super::{Session, packing_list};

/// Show the index, the manifest or the config of an image, or the packing list of a bundle.
///
/// A bundle is an archive that `barge save` wrote: without an image it shows what it brings, as a list to print and sign.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge inspect bundle.tar   # its packing list
  barge inspect bundle.tar:app:v1
  barge inspect --config --platform linux/arm64 dist:app:v1
  barge inspect --raw dist:app:v1 | sha256sum")]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    signed: VerifyKeyArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Show the config instead of the manifest
    #[arg(long)]
    config: bool,
    /// Go from the index to the manifest for this platform: os/arch[/variant], or local
    #[arg(long, value_name = "PLATFORM")]
    platform: Vec<String>,
    /// Print the very bytes, as they are stored
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// The image [default: the only one of the current layout]
    #[arg(value_name = "REF")]
    reference: Option<String>,
}

pub(crate) fn run(args: &InspectArgs, session: &Session<'_>) -> Result<Report, Error> {
    let trust = args.signed.read()?;
    let platforms = platforms(&args.platform)?;
    let part = if args.config { Part::Config } else { Part::Manifest };
    let words: Vec<String> = args.reference.iter().cloned().collect();
    let mut places = super::ls::places(&words, session)?;
    let (store, selector, _) = places.swap_remove(0);
    trust.check([&store], session)?;
    let of_the_place = selector.is_none() && !args.raw && !args.config && platforms.is_all();
    if let Some(packed) = packed_in(&store)?.filter(|_| of_the_place) {
        let place = store.location().to_string();
        let mut report = Report::default();
        // a list may be large: it is parsed once more only for those who ask for that
        let facts = CompactFacts::of(&store)?;
        match session.global.json {
            true => report.results.push(packing_list::as_json(&place, &packed, facts.as_ref())?),
            false => {
                report.text = packing_list::as_text(Surface::out(), &place, &packed, facts.as_ref()).into_bytes();
            }
        }
        return Ok(report);
    }
    let inspected = inspect(&store, selector.as_ref(), &platforms, part)?;
    let document: Option<Value> = serde_json::from_slice(&inspected.raw).ok();
    let text = if args.raw { inspected.raw.clone() } else { pretty(&inspected, document.as_ref()).into_bytes() };
    Ok(Report {
        text,
        results: vec![json!({"place": store.location().to_string(), "name": inspected.name,
            "digest": inspected.digest.to_string(), "mediaType": inspected.media_type.as_str(),
            "size": inspected.raw.len(), "platform": inspected.platform.as_ref().map(ToString::to_string),
            "document": document})],
        ..Report::default()
    })
}

/// Returns the document for people: indented JSON in which nothing moves a terminal.
fn pretty(inspected: &Inspected, document: Option<&Value>) -> String {
    let Some(text) = document.and_then(|document| serde_json::to_string_pretty(document).ok()) else {
        return format!("{} is {} bytes of {}\n", inspected.digest, inspected.raw.len(), inspected.media_type);
    };
    format!("{}\n", safe_json(&text))
}
