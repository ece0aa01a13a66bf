//! The packing list of a bundle, for people: to be read, printed, and signed off with a pen.

use barge::bundle::{PackedImage, PackingList};
use barge::content::total;
use barge::digest::Digest;
use barge::json;
use barge::ops::Error;
use barge::ops::bundle::Packed;
use barge::ops::look::CompactFacts;
use barge::text::{escaped, human_size};
use serde_json::{Value, json};

use super::packed::{made_again, needed};
use super::terminal::Surface;
use super::write::count;

/// The length of the line below the heading: a digest and its label fit on paper.
const RULE: usize = 78;

/// Returns the packing list as text: lines of a fixed form, no colours, no control characters.
pub(super) fn as_text(surface: Surface, place: &str, packed: &Packed, facts: Option<&CompactFacts>) -> String {
    let list = &packed.list;
    let mut text = format!("PACKING LIST of {place}\n{}\n", "=".repeat(RULE));
    let mut say = |line: &str| {
        text.push_str(line.trim_end());
        text.push('\n');
    };
    say(&surface.wrap(&format!("list       {}  (bundle.json)", Digest::of(&packed.raw)), 9));
    say(&format!("written by barge {}", escaped(&list.barge)));
    say(match packed.signature {
        Some(_) => "signed     yes; `barge load --verify-key` and docs/signing.md check it",
        None => "signed     no",
    });
    if !packed.is_current {
        say("NOTE       index.json was changed after this list was written: it is no longer true");
    }
    if let Some(split) = &list.split {
        let which = split.part.map(|part| format!(", this is part {part}")).unwrap_or_default();
        say(&format!("parts      {} of at most {}{which}", split.parts, human_size(split.size)));
    }
    if let Some(facts) = facts {
        say(&format!("compact    {}; only barge reads it", made_again(facts)));
        if let Some(names) = needed(facts) {
            say(&surface.wrap(&format!("needs      layers of {names}, where it is taken to"), 9));
        }
    }
    for (at, image) in list.images.iter().enumerate() {
        say("");
        say(&format!("[ ] {:>3}  {}", at + 1, image.name.as_deref().map_or_else(|| "(no name)".to_owned(), escaped)));
        for line in image_lines(image) {
            say(&surface.wrap(&format!("         {line}"), 0));
        }
    }
    say("");
    for line in totals(list) {
        say(&line);
    }
    say("");
    say("packed by    ______________________________   date  ____________________");
    say("received by  ______________________________   date  ____________________");
    text
}

fn image_lines(image: &PackedImage) -> Vec<String> {
    let mut lines = vec![image.digest.to_string()];
    let platforms: Vec<String> = image.platforms.iter().map(|platform| escaped(platform)).collect();
    let what = if platforms.is_empty() { escaped(&image.media_type) } else { platforms.join(", ") };
    lines.push(format!("{}, {what}", human_size(image.size)));
    for referrer in &image.referrers {
        let kind = referrer.artifact_type.as_deref().map_or_else(|| "a referrer".to_owned(), escaped);
        lines.push(format!("with {kind}"));
        lines.push(format!("     {}", referrer.digest));
    }
    lines
}

fn totals(list: &PackingList) -> Vec<String> {
    let here = list.contents.iter().filter(|content| content.here);
    let bytes = human_size(total(here.clone().map(|content| content.size)));
    let images = count(list.images.len() as u64, "name");
    let mut lines = vec![format!("in all     {images}, {}, {bytes}", count(here.count() as u64, "blob"))];
    if list.is_delta() {
        let bytes = human_size(total(list.left_out().map(|content| content.size)));
        let blobs = count(list.left_out().count() as u64, "blob");
        lines.push(format!("left out   {blobs}, {bytes}: to be there already, as said by"));
        for base in &list.bases {
            lines.push(format!("           {}", escaped(&base.place)));
            lines.extend(base.list.map(|list| format!("           list {list}")));
        }
    }
    lines
}

/// Returns the packing list for scripts.
///
/// # Errors
/// When it is longer than a document may be that is shown as a whole: it is read entry by entry for everything else.
pub(super) fn as_json(place: &str, packed: &Packed, facts: Option<&CompactFacts>) -> Result<Value, Error> {
    let document = json::parse(&packed.raw).map_err(|error| Error::Unsupported {
        message: format!("cannot show the packing list of {place} as JSON"),
        cause: Some(error.to_string()),
        hint: Some("read `bundle.json` as it stands in the archive: `tar -xOf FILE bundle.json`".to_owned()),
    })?;
    Ok(json!({"place": place, "bundle": document, "digest": Digest::of(&packed.raw).to_string(),
        "current": packed.is_current, "signed": packed.signature.is_some(), "delta": packed.list.is_delta(),
        "compact": super::packed::as_json(facts)}))
}
