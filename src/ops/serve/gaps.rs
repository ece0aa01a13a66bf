//! What an archive leaves out because somebody else has it, and nobody here does.

use super::everywhere::Everywhere;
use crate::content::{Content, Kind, total};
use crate::ops::bundle::{has, packed_in};
use crate::ops::open::Store;
use crate::store::Source as _;
use crate::text::human_size;

/// Returns what an archive says that it leaves out; nothing for what has no packing list that can be read: what is missing is
/// then seen when it is asked for.
pub(super) fn left_out(store: &Store) -> Vec<Content> {
    let Ok(Some(packed)) = packed_in(store) else { return Vec::new() };
    let content = |(digest, size)| Content { digest, size, kind: Kind::Blob };
    packed.list.left_out_sizes().into_iter().map(content).collect()
}

/// Returns a sentence for every place that leaves out what no other place has.
pub(super) fn gaps(everywhere: &Everywhere) -> Vec<String> {
    let mut told = Vec::new();
    for snapshot in everywhere.snapshots() {
        let lacking: Vec<u64> = snapshot
            .left_out()
            .iter()
            .filter(|content| !matches!(has(everywhere, content), Ok(true)))
            .map(|content| content.size)
            .collect();
        if lacking.is_empty() {
            continue;
        }
        let blobs = if lacking.len() == 1 { "1 blob".to_owned() } else { format!("{} blobs", lacking.len()) };
        told.push(format!(
            "{} leaves out {blobs}, {}, that no place here has: name what has them as well, its base or its other parts",
            snapshot.store().location(),
            human_size(total(lacking)),
        ));
    }
    told
}
