//! How commands tell that an archive is compact, and what it needs.

use barge::ops::look::CompactFacts;
use barge::text::{escaped, human_size};
use serde_json::{Value, json};

use super::write::count;

/// How many images are named.
const NAMED: usize = 5;

/// Returns how many layers are made again, and from how much.
pub(super) fn made_again(facts: &CompactFacts) -> String {
    let (layers, before, now) = (count(facts.layers, "layer"), human_size(facts.layer_bytes), human_size(facts.bytes));
    format!("{layers}, {before}, made again from {now}")
}

/// Returns the images whose layers it needs; `None` when it needs none.
pub(super) fn needed(facts: &CompactFacts) -> Option<String> {
    let needed = facts.needed();
    (!needed.is_empty()).then(|| first(needed.iter().map(|name| escaped(name))))
}

/// Joins what images are called; the first few of them, and how many more there are.
pub(super) fn first(mut names: impl ExactSizeIterator<Item = String>) -> String {
    let mut named: Vec<String> = names.by_ref().take(NAMED).collect();
    if names.len() > 0 {
        named.push(format!("{} more", names.len()));
    }
    named.join(", ")
}

/// Returns it for scripts; null for what is not compact.
pub(super) fn as_json(facts: Option<&CompactFacts>) -> Value {
    let Some(facts) = facts else { return Value::Null };
    let missing = |digest: &_| facts.missing.iter().any(|base| base.digest == *digest);
    let bases = facts.bases.iter().map(|base| {
        json!({"digest": base.digest.to_string(), "size": base.size, "image": base.image,
            "missing": missing(&base.digest)})
    });
    json!({"layers": facts.layers, "layerBytes": facts.layer_bytes, "bytes": facts.bytes,
        "bases": bases.collect::<Vec<_>>()})
}
