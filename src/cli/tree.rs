//! `barge tree`

use barge::ops::Error;
use barge::ops::look::{Branch, tree};
use barge::store::Source as _;
use barge::text::{escaped, human_size};
use clap::Args;
use serde_json::{Value, json};

use super::Session;
use super::network::NetworkArgs;
use super::report::Report;

/// Show how the pieces of an image hang together: index, platforms, configs, layers, attestations, referrers.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge tree bundle.tar
  barge tree dist:app:v1")]
pub(crate) struct TreeArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Show whole digests
    #[arg(long)]
    no_trunc: bool,
    /// Places, or images in them [default: the current layout]
    #[arg(value_name = "PLACE|REF")]
    references: Vec<String>,
}

pub(crate) fn run(args: &TreeArgs, session: &Session<'_>) -> Result<Report, Error> {
    let mut report = Report::default();
    for (store, selector, _) in super::ls::places(&args.references, session)? {
        let place = store.location().to_string();
        for branch in tree(&store, selector.as_ref())? {
            let mut text = String::new();
            draw(&branch, "", "", args.no_trunc, &mut text);
            report.text.extend_from_slice(text.as_bytes());
            report.results.push(as_json(&branch, Some(&place)));
        }
    }
    Ok(report)
}

/// Draws a branch: `lead` stands before its own line, `below` before those of its children.
fn draw(branch: &Branch, lead: &str, below: &str, whole: bool, text: &mut String) {
    let mut words = Vec::new();
    if !branch.names.is_empty() {
        words.push(branch.names.iter().map(|name| escaped(name)).collect::<Vec<_>>().join(", "));
    }
    words.push(branch.role.to_owned());
    words.extend(branch.platform.as_ref().map(ToString::to_string));
    words.push(if whole { branch.digest.to_string() } else { branch.digest.short() });
    words.push(human_size(branch.size));
    let artifact_type = branch.artifact_type.as_ref().map(|text| escaped(text));
    let media_type = || matches!(branch.role, "blob" | "artifact" | "referrer").then(|| branch.media_type.to_string());
    words.extend(artifact_type.or_else(media_type));
    words.extend(branch.repeated.then(|| "(see above)".to_owned()));
    words.extend(branch.problem.as_ref().map(|problem| format!("[{}]", escaped(problem))));
    text.push_str(&format!("{lead}{}\n", words.join("  ")));
    for (at, child) in branch.children.iter().enumerate() {
        let (fork, line) = if at + 1 == branch.children.len() { ("`-- ", "    ") } else { ("|-- ", "|   ") };
        draw(child, &format!("{below}{fork}"), &format!("{below}{line}"), whole, text);
    }
}

fn as_json(branch: &Branch, place: Option<&str>) -> Value {
    let mut object = json!({"role": branch.role, "digest": branch.digest.to_string(), "size": branch.size,
        "mediaType": branch.media_type.as_str(), "artifactType": branch.artifact_type, "platform": branch.platform.as_ref().map(ToString::to_string),
        "problem": branch.problem, "repeated": branch.repeated,
        "children": branch.children.iter().map(|child| as_json(child, None)).collect::<Vec<_>>()});
    if let Some(place) = place {
        object["place"] = json!(place);
    }
    if !branch.names.is_empty() {
        object["names"] = json!(branch.names);
    }
    object
}
