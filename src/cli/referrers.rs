//! `barge referrers`

use barge::ops::Error;
use barge::ops::attached::{COSIGN, Convention};
use barge::ops::look::{Referrer, referrers};
use barge::store::Source as _;
use barge::text::{escaped, human_size};
use clap::Args;
use serde_json::{Value, json};

use super::Session;
use super::network::NetworkArgs;
use super::report::Report;
use super::terminal::{Column, Surface, table};
use super::write::platforms;

/// List what belongs to an image, to its platforms, and to what belongs to those: signatures, attestations, SBOMs.
///
/// All conventions are read: the subject of a manifest, containerd's annotation, the tags of cosign (sha256-HEX.sig), the fallback
/// tag of registries (sha256-HEX), and the attestations that BuildKit puts into the index.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge referrers dist:app:v1
  barge referrers bundle.tar:app:v1 --platform linux/arm64 --type application/spdx+json
  barge cat layer dist@sha256:4a83...5560      # the file of one of them
  barge cat manifest dist@sha256:4a83...5560   # its manifest")]
pub(crate) struct ReferrersArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Only those of these types, and cosign for what its tags name (can be repeated, takes commas)
    #[arg(long = "type", value_delimiter = ',', value_name = "TYPE")]
    types: Vec<String>,
    /// Only what belongs to the image for this platform: os/arch[/variant] (can be repeated, takes commas)
    #[arg(long, value_name = "LIST")]
    platform: Vec<String>,
    /// The images, or whole places [default: the current layout]
    #[arg(value_name = "REF")]
    references: Vec<String>,
}

pub(crate) fn run(args: &ReferrersArgs, session: &Session<'_>) -> Result<Report, Error> {
    let platforms = platforms(&args.platform)?;
    let mut report = Report::default();
    let mut rows = Vec::new();
    for (store, selector, _) in super::ls::places(&args.references, session)? {
        let place = store.location().to_string();
        let mut found = referrers(&store, selector.as_ref(), &platforms)?;
        found.retain(|one| is_asked_for(one, &args.types));
        for one in &found {
            rows.push(row(one));
            report.results.push(as_json(one, &place));
        }
    }
    if rows.is_empty() {
        session.ui.say("nothing belongs to it");
    } else {
        const COLUMNS: [Column; 5] = [
            Column::digest("DIGEST"),
            Column::name("TYPE", 20),
            Column::whole("SIZE"),
            Column::digest("OF"),
            Column::list("BY", 10).goes(1),
        ];
        report.text = table(Surface::out(), &COLUMNS, &rows).into_bytes();
    }
    Ok(report)
}

fn is_asked_for(one: &Referrer, types: &[String]) -> bool {
    let is_cosign = || types.iter().any(|word| word == COSIGN) && one.by.contains(&Convention::CosignTag);
    types.is_empty() || is_cosign() || one.types.iter().any(|text| types.contains(text))
}

/// Returns the type that says most: of what cosign and BuildKit write, that of the layers.
fn shown(one: &Referrer) -> Option<&String> {
    one.types.last()
}

fn row(one: &Referrer) -> Vec<String> {
    let of = match &one.platform {
        Some(platform) if one.depth == 0 => platform.to_string(),
        _ => one.subject.short(),
    };
    let by: Vec<&str> = one.by.iter().map(|by| by.name()).collect();
    let mut kind = shown(one).map_or_else(|| "-".to_owned(), |text| escaped(text));
    if let Some(problem) = &one.problem {
        kind.push_str(&format!(" [{}]", escaped(problem)));
    }
    vec![one.digest.to_string(), kind, human_size(one.size), of, by.join(", ")]
}

fn as_json(one: &Referrer, place: &str) -> Value {
    json!({"place": place, "digest": one.digest.to_string(), "size": one.size, "mediaType": one.media_type.as_str(),
        "artifactType": shown(one), "types": one.types, "subject": one.subject.to_string(),
        "platform": one.platform.as_ref().map(ToString::to_string), "depth": one.depth,
        "by": one.by.iter().map(|by| by.name()).collect::<Vec<_>>(), "name": one.name, "annotations": one.annotations,
        "problem": one.problem})
}
