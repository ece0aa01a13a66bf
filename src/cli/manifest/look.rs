//! `barge manifest inspect`, `exists` and `ls`

use barge::document::Body;
use barge::ops::Error;
use barge::ops::look::{Kind, Listed, list};
use barge::ops::lookup::{select, select_one};
use barge::ops::manifest::is_elsewhere;
use barge::reference::Selector;
use barge::store::{Location, Source as _, read_document};
use barge::text::escaped;
use clap::Args;
use serde_json::{Value, json};

use super::super::Session;
use super::super::network::NetworkArgs;
use super::super::report::{Report, safe_json};
use super::super::terminal::{Column, Ink, Surface, table};
use super::{layout, list_name, open_image};

const COLUMNS: [Column; 4] = [
    Column::name("NAME", 24),
    Column::digest("DIGEST"),
    Column::list("PLATFORMS", 18),
    Column::whole("STATE").inked(|state| matches!(state, "missing" | "broken").then_some(Ink::Bad)),
];

/// Show a list: one of the current layout by its name, one elsewhere by a reference, one in a registry with docker://; with
/// --verbose every manifest in it, as docker does.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge -L dist manifest inspect app:v1
  barge manifest inspect --verbose docker://quay.io/org/app:v1 | jq '.[].Descriptor.platform'")]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// The list
    #[arg(value_name = "REF")]
    reference: String,
}

/// Say whether a list is there.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge -L dist manifest exists app:v1 && echo yes
  barge -L dist manifest exists app:v1 || barge -L dist manifest create app:v1 amd64.tar")]
pub(crate) struct ExistsArgs {
    /// The name of the list
    #[arg(value_name = "NAME")]
    name: String,
}

pub(super) fn inspect(args: &InspectArgs, session: &Session<'_>) -> Result<Report, Error> {
    let opened = open_image(&args.reference, session)?;
    let root = select_one(&opened.store, opened.selector.as_ref())?;
    let document = read_document(&opened.store, &root)?;
    let parsed = |raw: &[u8]| serde_json::from_slice::<Value>(raw).unwrap_or_default();
    let mut shown = parsed(document.raw());
    if session.global.verbose {
        let verbose = |descriptor: &barge::content::Descriptor| -> Result<Value, Error> {
            let manifest = read_document(&opened.store, descriptor)?;
            let kind =
                if manifest.media_type().as_str().contains(".oci.") { "OCIManifest" } else { "SchemaV2Manifest" };
            let reference = format!("{}@{}", opened.label, descriptor.digest());
            Ok(json!({"Ref": reference, "Descriptor": descriptor.to_value(), kind: parsed(manifest.raw())}))
        };
        shown = match document.body() {
            Body::Index(index) => index.manifests.iter().map(verbose).collect::<Result<Vec<_>, _>>()?.into(),
            Body::Manifest(_) => verbose(&root)?,
        };
    }
    let place = opened.store.location();
    let shown_place = match place {
        // the word says it
        Location::Registry(_) => String::new(),
        place => format!(" in {place}"),
    };
    session.ui.say(&format!("{}{shown_place}: {}", opened.label, root.digest()));
    let text = serde_json::to_string_pretty(&shown).unwrap_or_default();
    Ok(Report {
        text: format!("{}\n", safe_json(&text)).into_bytes(),
        results: vec![json!({"place": place.to_string(), "digest": root.digest().to_string(),
            "mediaType": root.media_type().as_str(), "sparse": is_elsewhere(&root), "document": shown})],
        ..Report::default()
    })
}

pub(super) fn exists(args: &ExistsArgs, session: &Session<'_>) -> Result<Report, Error> {
    let name = list_name(&args.name)?;
    let store = layout(session)?;
    let roots = match select(&store, Some(&Selector::Name(name.to_string()))) {
        Err(Error::Absent { .. }) => Vec::new(),
        roots => roots?,
    };
    let mut is_there = false;
    for root in &roots {
        is_there |= matches!(read_document(&store, root)?.body(), Body::Index(_));
    }
    Ok(Report {
        results: vec![json!({"name": name.to_string(), "exists": is_there})],
        differs: !is_there,
        ..Report::default()
    })
}

pub(super) fn ls(session: &Session<'_>) -> Result<Report, Error> {
    let store = layout(session)?;
    let mut report = Report::default();
    let mut rows = Vec::new();
    // one that was given a subject and has a name is a list as before
    let is_whole = |image: &Listed| !image.attached || (image.subject && !image.names.is_empty());
    for image in list(&store, None, session.global.jobs(), &session.cancel)?
        .into_iter()
        .filter(|image| image.kind == Kind::Index && is_whole(image))
    {
        let platforms: Vec<String> = image.platforms.iter().map(ToString::to_string).collect();
        let state = match (image.broken, image.missing) {
            (0, 0) => "whole",
            (0, _) if image.elsewhere => "sparse",
            (0, _) => "missing",
            _ => "broken",
        };
        for name in &image.names {
            rows.push(vec![escaped(name), image.digest.short(), platforms.join(","), state.to_owned()]);
        }
        report.results.push(json!({"names": image.names, "digest": image.digest.to_string(), "platforms": platforms,
            "created": image.created, "size": image.size, "state": state, "entries": super::super::ls::entries(&image)}));
    }
    if rows.is_empty() {
        session.ui.say(&format!("{} has no list", store.location()));
    } else {
        report.text = table(Surface::out(), &COLUMNS, &rows).into_bytes();
    }
    Ok(report)
}
