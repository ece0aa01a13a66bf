//! Documents of YAML or JSON as trees whose nodes know where they stand: what lists of images and `barge.yaml` are read from.
//!
//! Depth, counts, and what aliases unfold to are limited before a tree grows; a key that is there twice is refused.

mod fault;

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{DuplicateKeyPolicy, Error, NonFiniteFloatPolicy, Options, Spanned};

pub(crate) use self::fault::{Fault, Wrong};
use crate::text::{escaped, nearest, quoted};

/// The largest file, in bytes.
pub(crate) const LARGEST_FILE: usize = 8 << 20;
/// How deep a document may be: the schema in a custom resource's definition needs half of it.
const DEEPEST: usize = 96;
/// The stack for that: several times what 96 levels need in a build without optimisation, which is 5 MiB. It is only reserved.
const STACK: usize = 16 << 20;
/// How many texts, lists and mappings a file may have.
const MOST_NODES: usize = 500_000;
/// How much aliases may add to that.
const MOST_REPLAYED: usize = 100_000;

/// A piece of a document.
#[derive(Debug)]
pub(crate) struct Node {
    line: u32,
    column: u32,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Null,
    /// A whole number that is not negative.
    Number(u64),
    /// True or false.
    Truth(bool),
    /// Another number, or binary: named, not kept.
    Other(&'static str),
    Text(Box<str>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// Returns line and column, from 1.
    pub(crate) fn position(&self) -> (usize, usize) {
        (self.line as usize, self.column as usize)
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns what stands under a key; nothing for a null.
    pub(crate) fn get(&self, wanted: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else { return None };
        let found = entries.iter().find(|(key, _)| key.as_text() == Some(wanted)).map(|(_, value)| value);
        found.filter(|value| !matches!(value.value, Value::Null))
    }

    /// Returns the items of a list.
    ///
    /// # Errors
    /// When it is none; a null is an empty one.
    pub(crate) fn items(&self, name: &str) -> Result<&[Self], Fault> {
        match &self.value {
            Value::List(items) => Ok(items),
            Value::Null => Ok(&[]),
            _ => Err(Fault::new(format!("{name} has to be a list, and is {}", self.what())).at(self.position())),
        }
    }

    /// Returns what it is, for a message.
    pub(crate) fn what(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Number(_) => "a number",
            Value::Truth(_) => "a truth value",
            Value::Other(what) => what,
            Value::Text(text) if text.trim().is_empty() => "an empty text",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Returns this node and all below it.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Self> {
        let mut left = vec![self];
        std::iter::from_fn(move || {
            let node = left.pop()?;
            match &node.value {
                Value::List(items) => left.extend(items.iter().rev()),
                Value::Map(entries) => left.extend(entries.iter().rev().flat_map(|(key, value)| [value, key])),
                _ => {}
            }
            Some(node)
        })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::<Value>::deserialize(deserializer)?;
        let [line, column] = [defined.line(), defined.column()].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        Ok(Self { line, column, value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Truth(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(u64::try_from(number).map_or(Value::Other("a number"), Value::Number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Value, E> {
        Ok(Value::Other("a number"))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other("a number"))
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Value, E> {
        Ok(Value::Other("binary"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Map(entries))
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEEPEST,
            flow_nesting_limit: DEEPEST,
            max_nodes: MOST_NODES,
            max_events: 3 * MOST_NODES,
            max_documents: 10_000,
            max_aliases: 10_000,
            max_anchors: 10_000,
            max_recorded_anchor_events: MOST_REPLAYED,
            max_recorded_anchor_bytes: LARGEST_FILE,
            max_total_scalar_bytes: 2 * LARGEST_FILE,
            max_merge_keys: 10_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MOST_REPLAYED,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        ignore_binary_tag_for_string: true,
        with_snippet: false,
    }
}

/// Reads all documents of a file; those without content are left out.
///
/// # Errors
/// When it is not well formed, beyond the limits, or a template.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, Fault> {
    let parse = || serde_saphyr::from_multiple_with_options::<Node>(text, options());
    // serde descends once a level, with frames of its own size: on a stack that is large enough whoever calls
    let documents = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, parse);
        let thread =
            thread.map_err(|error| Fault::new(format!("no thread can be started to read it: {error}")).machine())?;
        let parsed = thread.join().map_err(|_| Fault::new("it is not well formed"))?;
        parsed.map_err(|error| fault_of(&error, text))
    })?;
    // an unquoted {{ .Values.x }} is well formed: a mapping with a mapping for a key
    for node in documents.iter().flat_map(Node::all) {
        let Value::Map(entries) = &node.value else { continue };
        if let Some((key, _)) = entries.iter().find(|(key, _)| matches!(key.value, Value::Map(_) | Value::List(_))) {
            let position = node.position();
            return Err(match is_template(text, position.0) {
                true => Fault::template(position),
                false => Fault::new(format!("a key has to be a text, and is {}", key.what())).at(key.position()),
            });
        }
    }
    Ok(documents)
}

/// Refuses a text that another program would have filled in.
///
/// # Errors
/// When it has `{{`.
pub(crate) fn refuse_template(node: &Node, text: &str) -> Result<(), Fault> {
    if text.contains("{{") { Err(Fault::template(node.position())) } else { Ok(()) }
}

/// Refuses a key of a mapping that is not known there.
///
/// # Errors
/// With the one that was most likely meant.
pub(crate) fn refuse_other_keys(node: &Node, known: &[&str]) -> Result<(), Fault> {
    let Value::Map(entries) = &node.value else { return Ok(()) };
    for (key, _) in entries {
        let text = key.as_text().unwrap_or_default();
        if !known.contains(&text) {
            let fault = Fault::new(format!("the key {} is not known here", quoted(text))).at(key.position());
            return Err(match nearest(text, known.iter().copied()) {
                Some(near) => fault.hint(format!("did you mean {near} ?")),
                None => fault.hint(format!("what may stand here is `{}:`", known.join(":`, `"))),
            });
        }
    }
    Ok(())
}

fn is_template(text: &str, line: usize) -> bool {
    text.lines().nth(line.saturating_sub(1)).is_some_and(|line| line.contains("{{"))
}

/// Finds the line of a template that a failure comes from: that of the failure, the one before, or else the first that has
/// nothing but what is to be filled in.
fn template_line(text: &str, failed: usize) -> Option<usize> {
    let near = [failed, failed.saturating_sub(1)].into_iter().find(|line| *line > 0 && is_template(text, *line));
    near.or_else(|| text.lines().position(|line| line.trim_start().starts_with("{{")).map(|at| at + 1))
}

fn fault_of(error: &Error, text: &str) -> Fault {
    let position = error.location().map_or((1, 1), |at| (at.line() as usize, at.column() as usize));
    let too_much = |what: &str| Fault::new(format!("it has {what} than barge reads")).at(position);
    match error.without_snippet() {
        Error::Budget { breach, .. } => match breach {
            BudgetBreach::Depth { .. } => too_much("more levels"),
            BudgetBreach::Aliases { .. }
            | BudgetBreach::Anchors { .. }
            | BudgetBreach::AliasAnchorRatio { .. }
            | BudgetBreach::RecordedAnchorEvents { .. } => too_much("more aliases"),
            _ => too_much("more in it"),
        },
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => too_much("more aliases"),
        Error::RecursiveReferencesRequireWeakTypes { .. } => Fault::new("an alias means itself").at(position),
        other => {
            if let Some(line) = template_line(text, position.0) {
                let column = text
                    .lines()
                    .nth(line - 1)
                    .and_then(|line| line.find("{{").map(|at| line[..at].chars().count() + 1));
                return Fault::template((line, column.unwrap_or(1)));
            }
            if let Error::DuplicateMappingKey { key, .. } = other {
                let key = key.as_deref().map(|key| format!(" {}", quoted(key))).unwrap_or_default();
                return Fault::new(format!("the key{key} is there twice")).at(position);
            }
            let message = other.to_string();
            // what goes beyond a limit while an anchor is unfolded comes as a text
            let limits = ["budget breached", "alias replay", "alias expansion"];
            if limits.iter().any(|limit| message.starts_with(limit)) {
                return too_much("more aliases");
            }
            // the position stands before it
            let message = message.split(" at line ").next().unwrap_or_default();
            Fault::new(format!("it is not well formed: {}", escaped(message))).at(position)
        }
    }
}
