//! `barge ls`

use std::path::Path;

use barge::ops::Error;
use barge::ops::bundle::packed_in;
use barge::ops::look::{CompactFacts, Entry, Listed, list};
use barge::ops::lookup::select;
use barge::ops::open::{Store, open, open_path};
use barge::reference::{ImageName, Selector, parse_host};
use barge::store::Source as _;
use barge::text::{escaped, human_size};
use clap::Args;
use serde_json::{Value, json};

use super::network::NetworkArgs;
use super::report::Report;
use super::terminal::{Column, Ink, Surface, table};
use super::{Session, packed};

/// List the images of a place: names, digests, platforms, sizes, attestations, and whether they are whole.
///
/// SIZE is all content of an image, UNIQUE what no other image of the place refers to. Layers are looked for, not read:
/// `barge verify` does that. A narrow terminal gets shorter names and fewer columns, a file and a pipe get everything.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge ls bundle.tar
  barge ls docker://quay.io/org/app   # the tags of a repository
  barge ls docker://localhost:5000    # the repositories of a registry
  barge ls --json dist | jq -r '.results[].digest'")]
pub(crate) struct LsArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Show signatures, attestations and other referrers as well
    #[arg(long)]
    all: bool,
    /// Show whole digests, and cut nothing to the width of the terminal
    #[arg(long)]
    no_trunc: bool,
    /// Places, or images in them [default: the current layout]
    #[arg(value_name = "PLACE|REF")]
    references: Vec<String>,
}

/// The first is for several places alone.
const COLUMNS: [Column; 7] = [
    Column::name("PLACE", 12),
    Column::name("NAME", 24),
    Column::digest("DIGEST"),
    Column::list("PLATFORMS", 18),
    Column::whole("SIZE").goes(2),
    Column::whole("UNIQUE").goes(1),
    Column::text("STATE", 10).inked(state_ink),
];

/// What is missing or broken is bad; what is said to be elsewhere is not.
fn state_ink(state: &str) -> Option<Ink> {
    let is_whole =
        state == "whole" || state.starts_with("whole,") || state.starts_with("delta,") || state.starts_with("sparse,");
    (!is_whole).then_some(Ink::Bad)
}

/// Opens the places that are meant, or the current layout, with what the user called them.
pub(super) fn places(words: &[String], session: &Session<'_>) -> Result<Vec<(Store, Option<Selector>, String)>, Error> {
    let context = session.context();
    if !words.is_empty() {
        let opened = |word: &String| open(word, &context).map(|opened| (opened.store, opened.selector, opened.label));
        return words.iter().map(opened).collect();
    }
    let layout = current_layout(session)?;
    Ok(vec![(open_path(layout, &context)?, None, escaped(&layout.to_string_lossy()))])
}

/// Returns the current layout, for a command that is given no place.
pub(super) fn current_layout<'a>(session: &'a Session<'_>) -> Result<&'a Path, Error> {
    session.layout.as_deref().ok_or_else(|| Error::Absent {
        message: "cannot tell which place is meant: there is no current layout".to_owned(),
        cause: None,
        hint: Some("name a place, or set the current layout with -L DIR or BARGE_LAYOUT".to_owned()),
    })
}

/// What a registry lists.
pub(super) enum Listing {
    /// The repositories of a host.
    Catalog(String),
    /// The tags of a repository.
    Tags(ImageName),
}

/// Returns what a word asks a registry to list; none for an image, and for what is no registry.
pub(super) fn listing(word: &str) -> Result<Option<Listing>, Error> {
    let Some(rest) = word.strip_prefix("docker://") else { return Ok(None) };
    if !rest.trim_end_matches('/').contains('/') && parse_host(rest).is_ok() {
        return Ok(Some(Listing::Catalog(parse_host(rest)?)));
    }
    let name = ImageName::parse(rest)?;
    Ok((name.tag().is_none() && name.digest().is_none()).then_some(Listing::Tags(name)))
}

/// Lists what a registry has: names alone, as many as there are.
fn list_registry(listing: &Listing, session: &Session<'_>, report: &mut Report) -> Result<(), Error> {
    let (place, key, prefix, names) = match listing {
        Listing::Catalog(host) => {
            (format!("docker://{host}"), "repository", format!("{host}/"), session.registries.catalog(host)?)
        }
        Listing::Tags(name) => {
            (format!("docker://{name}"), "tag", format!("{name}:"), session.registries.repository(name)?.tags()?)
        }
    };
    for name in &names {
        report.text.extend(format!("{prefix}{}\n", escaped(name)).into_bytes());
        report.results.push(json!({"place": place, key: name, "name": format!("{prefix}{name}")}));
    }
    Ok(())
}

pub(crate) fn run(args: &LsArgs, session: &Session<'_>) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut local = Vec::new();
    for word in &args.references {
        match listing(word)? {
            Some(listing) => list_registry(&listing, session, &mut report)?,
            None => local.push(word.clone()),
        }
    }
    if local.is_empty() && !args.references.is_empty() {
        if report.results.is_empty() {
            session.ui.say("nothing is there");
        }
        return Ok(report);
    }
    let mut rows = Vec::new();
    let mut hidden = 0;
    let places = places(&local, session)?;
    // of many images in one place each is found in one list: how much of it no other image has needs all of them
    let mut last: Option<(&Store, Vec<Listed>, Option<CompactFacts>)> = None;
    for (store, selector, label) in &places {
        if last.as_ref().is_none_or(|(of, ..)| of.location() != store.location()) {
            let packed = packed_in(store)?.map(|packed| packed.list);
            let all = list(store, packed.as_ref(), session.global.jobs(), &session.cancel)?;
            last = Some((store, all, CompactFacts::of(store)?));
        }
        let Some((_, all, facts)) = &last else { continue };
        let mut images: Vec<&Listed> = all.iter().collect();
        if selector.is_some() {
            let wanted = select(store, selector.as_ref())?;
            images.retain(|image| wanted.iter().any(|root| *root.digest() == image.digest));
        } else if !args.all {
            let before = images.len();
            images.retain(|image| !image.attached);
            hidden += before - images.len();
        }
        for image in images {
            if session.global.json {
                report.results.push(as_json(&store.location().to_string(), image, facts.as_ref()));
                continue;
            }
            let mut row = as_row(image, args.no_trunc, facts.as_ref());
            if places.len() > 1 {
                row.insert(0, label.clone());
            }
            rows.push(row);
        }
    }
    let is_empty = rows.is_empty() && report.results.is_empty();
    if !rows.is_empty() {
        let surface = Surface::out().uncut(args.no_trunc);
        let columns = if places.len() > 1 { &COLUMNS[..] } else { &COLUMNS[1..] };
        report.text.extend(table(surface, columns, &rows).into_bytes());
    }
    if is_empty {
        session.ui.say("no images");
    }
    if hidden > 0 {
        session.ui.say(&format!("{hidden} that belong to other images are not shown: --all shows them"));
    }
    Ok(report)
}

fn as_row(image: &Listed, whole: bool, compact: Option<&CompactFacts>) -> Vec<String> {
    let names = match image.names.as_slice() {
        [] => "<none>".to_owned(),
        names => names.iter().map(|name| escaped(name)).collect::<Vec<_>>().join("\n"),
    };
    let mut platforms = image.platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if image.attestations > 0 {
        platforms.push_str(&format!(" +{} attestations", image.attestations));
    }
    let kind = image.kind.name();
    let platforms = if platforms.is_empty() { format!("({kind})") } else { platforms };
    let state = match (image.missing, image.broken) {
        (0, 0) if image.left_out > 0 => format!("delta, {} in its base", image.left_out),
        (0, 0) => "whole".to_owned(),
        (missing, 0) if image.elsewhere => format!("sparse, {missing} elsewhere"),
        (missing, 0) => format!("{missing} missing"),
        (0, broken) => format!("{broken} broken"),
        (missing, broken) => format!("{missing} missing, {broken} broken"),
    };
    let state = match (compact, compact.and_then(packed::needed)) {
        (Some(_), Some(names)) => format!("{state}, compact: needs layers of {names}"),
        (Some(_), None) => format!("{state}, compact"),
        (None, _) => state,
    };
    let digest = if whole { image.digest.to_string() } else { image.digest.short() };
    vec![names, digest, platforms, human_size(image.size), human_size(image.unique), state]
}

fn as_json(place: &str, image: &Listed, compact: Option<&CompactFacts>) -> Value {
    let is_whole =
        image.missing + image.broken + image.left_out == 0 && compact.is_none_or(|facts| facts.missing.is_empty());
    json!({"place": place, "names": image.names, "digest": image.digest.to_string(), "kind": image.kind.name(),
        "mediaType": image.media_type.as_str(), "attached": image.attached,
        "platforms": image.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "attestations": image.attestations, "size": image.size, "uniqueSize": image.unique,
        "missing": image.missing, "broken": image.broken, "complete": is_whole, "inBase": image.left_out, "compact": packed::as_json(compact),
        "sparse": image.missing > 0 && image.elsewhere,
        "created": image.created, "entries": entries(image)})
}

/// Returns what stands in an image for several platforms, for JSON.
pub(super) fn entries(image: &Listed) -> Vec<Value> {
    let entry = |it: &Entry| {
        json!({"digest": it.digest.to_string(), "id": it.id.map(|id| id.to_string()), "created": it.created,
            "size": it.size, "platform": it.platform.as_ref().map(ToString::to_string)})
    };
    image.entries.iter().map(entry).collect()
}
