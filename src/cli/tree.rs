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
use super::terminal::{Ink, Surface, folded, width};

/// Show how the pieces of an image hang together: index, platforms, configs, layers, attestations, referrers.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge tree bundle.tar
  barge tree dist:app:v1")]
pub(crate) struct TreeArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Show whole digests, and cut nothing to the width of the terminal
    #[arg(long)]
    no_trunc: bool,
    /// Places, or images in them [default: the current layout]
    #[arg(value_name = "PLACE|REF")]
    references: Vec<String>,
}

pub(crate) fn run(args: &TreeArgs, session: &Session<'_>) -> Result<Report, Error> {
    let mut report = Report::default();
    let surface = Surface::out().uncut(args.no_trunc);
    let drawing = Drawing { surface, whole: args.no_trunc };
    for (store, selector, _) in super::ls::places(&args.references, session)? {
        let place = store.location().to_string();
        for branch in tree(&store, selector.as_ref())? {
            let mut text = String::new();
            draw(&branch, "", "", &drawing, &mut text);
            report.text.extend_from_slice(text.as_bytes());
            report.results.push(as_json(&branch, Some(&place)));
        }
    }
    Ok(report)
}

/// How a tree is drawn.
struct Drawing {
    surface: Surface,
    /// Whether digests are whole.
    whole: bool,
}

/// Draws a branch: `lead` stands before its own line, `below` before those of its children.
fn draw(branch: &Branch, lead: &str, below: &str, drawing: &Drawing, text: &mut String) {
    let names = branch.names.iter().map(|name| escaped(name)).collect::<Vec<_>>();
    let what = what_it_is(branch, drawing);
    let problem = branch.problem.as_ref().map(|problem| format!("[{}]", escaped(problem)));
    let guide = if branch.children.is_empty() { "    " } else { "|   " };
    push_branch(text, drawing.surface, (lead, below, guide), &names, &what, problem.as_deref());
    for (at, child) in branch.children.iter().enumerate() {
        let (fork, line) = if at + 1 == branch.children.len() { ("`-- ", "    ") } else { ("|-- ", "|   ") };
        draw(child, &format!("{below}{fork}"), &format!("{below}{line}"), drawing, text);
    }
}

/// Returns the words for a branch, apart from its names and what is wrong with it.
fn what_it_is(branch: &Branch, drawing: &Drawing) -> Vec<String> {
    let mut words = vec![branch.role.to_owned()];
    words.extend(branch.platform.as_ref().map(ToString::to_string));
    words.push(if drawing.whole { branch.digest.to_string() } else { branch.digest.short() });
    words.push(human_size(branch.size));
    let artifact_type = branch.artifact_type.as_ref().map(|text| escaped(text));
    let media_type = || matches!(branch.role, "blob" | "artifact" | "referrer").then(|| branch.media_type.to_string());
    words.extend(artifact_type.or_else(media_type));
    words.extend(branch.repeated.then(|| "(see above)".to_owned()));
    words
}

/// Adds what is said of a branch: on one line when it fits, else each name on a line of its own, and what is wrong below.
fn push_branch(
    text: &mut String,
    surface: Surface,
    (lead, below, guide): (&str, &str, &str),
    names: &[String],
    what: &[String],
    problem: Option<&str>,
) {
    let what = what.join("  ");
    let fits = |line: &str| surface.columns().is_none_or(|columns| width(line) <= columns);
    let named = if names.is_empty() { what.clone() } else { format!("{}  {what}", names.join(", ")) };
    let painted = problem.map(|problem| surface.paint(Ink::Bad, problem).into_owned());
    if let Some(problem) = problem.filter(|problem| fits(&format!("{lead}{named}  {problem}"))) {
        text.push_str(&format!("{lead}{named}  {}\n", painted.as_deref().unwrap_or(problem)));
        return;
    }
    if fits(&format!("{lead}{named}")) {
        text.push_str(&format!("{lead}{named}\n"));
    } else {
        let (first, rest) =
            names.split_first().map_or((what.as_str(), &[][..]), |(first, rest)| (first.as_str(), rest));
        text.push_str(&format!("{lead}{}\n", surface.squeeze(first, width(lead))));
        for name in rest {
            text.push_str(&format!("{below}{}\n", surface.squeeze(name, width(below))));
        }
        if !names.is_empty() {
            text.push_str(&format!("{below}{}\n", surface.squeeze(&what, width(below))));
        }
    }
    if let Some(problem) = problem {
        let margin = format!("{below}{guide}");
        let columns = surface.columns().unwrap_or(usize::MAX).saturating_sub(width(&margin));
        for line in folded(problem, 1, columns).lines() {
            text.push_str(&format!("{margin}{}\n", surface.paint(Ink::Bad, line)));
        }
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
