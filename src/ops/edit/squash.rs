//! One layer in the place of all.

use serde_json::Value;

use super::COMMENT;
use crate::ops::draft::{BASE_DIGEST, BASE_NAME, DraftLayer};
use crate::ops::rework::Image;
use crate::recipe::config::{HistoryEntry, squash_history};

/// Puts one layer into the place of all layers of an image; the caller has made it of everything that they make together.
/// Lines of the history that have no layer stay, one line stands for all others. It shares no layer with what it was based on.
pub(super) fn squash<'a>(image: &mut Image<'a>, layer: DraftLayer<'a>) {
    let draft = &mut image.draft;
    let created = draft.config.get("created").and_then(Value::as_str).map(str::to_owned);
    let comment = Some(format!("{COMMENT}: {} layers made one", draft.layers.len()));
    let created_by = "barge edit --squash".to_owned();
    squash_history(&mut draft.config, &HistoryEntry { created, created_by, comment, empty_layer: false });
    draft.annotations.remove(BASE_NAME);
    draft.annotations.remove(BASE_DIGEST);
    draft.layers = vec![layer];
}
