//! `barge.yaml`: a document with `images:`, a list of references.

use super::fault::WHAT_IS_READ;
use crate::yaml::{Fault, Node, Value, refuse_other_keys, refuse_template};

/// What the document may have: what is to be done with `barge sync` may stand beside the list.
const KEYS: [&str; 2] = ["images", "sync"];
/// What an image in it may have.
const IMAGE_KEYS: [&str; 1] = ["name"];

/// Returns the references of a document, and where they stand.
///
/// # Errors
/// When it has anything else.
pub(super) fn images(document: &Node) -> Result<Vec<(&Node, &str)>, Fault> {
    let Some(images) = document.get("images") else { return Err(no_list(document)) };
    refuse_other_keys(document, &KEYS)?;
    let mut found = Vec::new();
    for image in images.items("images")? {
        let name = match &image.value {
            Value::Text(_) => image,
            Value::Map(_) => {
                refuse_other_keys(image, &IMAGE_KEYS)?;
                let lacks =
                    || Fault::new("this image has no name").at(image.position()).hint("write `name: REFERENCE`");
                image.get("name").ok_or_else(lacks)?
            }
            _ => image,
        };
        let text = name.as_text().map(str::trim).filter(|text| !text.is_empty()).ok_or_else(|| {
            let message = format!("expected a reference, got {}", name.what());
            Fault::new(message)
                .at(name.position())
                .hint("write the reference of an image, in quotes if it looks like a number")
        })?;
        refuse_template(name, text)?;
        found.push((name, text));
    }
    Ok(found)
}

/// Says that a document is none that lists images.
fn no_list(document: &Node) -> Fault {
    let (found, hint) = match &document.value {
        Value::List(_) => {
            ("this is a list without `images:`", "write `images:` above it, or one reference a line without dashes")
        }
        Value::Map(_) if document.get("services").is_some() => (
            "this is no manifest of Kubernetes",
            "of a compose file, list its images with `docker compose config --images` and give that",
        ),
        Value::Map(_) => ("this has neither `apiVersion:` and `kind:`, nor `images:`", WHAT_IS_READ),
        _ => ("this is neither a manifest nor a list", WHAT_IS_READ),
    };
    Fault::new(found).at(document.position()).hint(hint)
}
