//! JSON, read strictly and written one way.
//!
//! Two programs that read one document differently can be made to run different images from one digest. So what
//! parsers are known to disagree on is refused: a byte order mark, anything but UTF-8, a key twice, two keys that differ
//! only in case (Go's decoder takes either), text after the end.
//!
//! A parsed document takes many times the memory of its bytes (`0,` is two bytes, and a value forty times as much), so the
//! values are counted while it is read: [`MOST_VALUES`]. Of what is a long list by its nature, [`parse_lists`] hands out
//! item by item.
//!
//! A document that came from outside is never written again from its parsed form: [`encode()`] is for what barge made, and
//! [`Object`] changes single fields of a document while every other byte stays as it was.

mod encode;
mod lists;
mod object;
mod strict;
#[cfg(test)]
mod tests;
mod view;

use std::cell::Cell;

use serde::de::DeserializeSeed;
use serde_json::Value;

pub use self::encode::{ListField, encode, encode_items, encode_lists};
use self::lists::{List, Top};
pub use self::object::{Object, edited, list_of};
use self::strict::Strict;
pub use self::view::View;

/// What is wrong with a JSON document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is not the JSON that everybody reads alike.
    #[error("it is not strict JSON: {0}")]
    Syntax(String),
    /// It holds more than is kept in memory.
    #[error("it holds more values than are read: {MOST_VALUES}, and {MOST_ITEMS} items of a list")]
    Long,
    /// A field has another form than the specification gives it.
    #[error("{path} is {got}, expected {expected}")]
    Field {
        /// Where, as `manifests[3].size`.
        path: String,
        /// What stands there.
        got: String,
        /// What should.
        expected: String,
    },
}

/// The most values that a document may hold: objects, lists, texts and all others. An `index.json` of 30,000 images, each
/// with a platform and two annotations, has as many.
pub const MOST_VALUES: usize = 300_000;
/// The most items of a list that is read item by item.
pub const MOST_ITEMS: usize = 1_000_000;

/// Parses a document strictly.
///
/// # Errors
/// [`JsonError::Syntax`] for all that the page above refuses, and for nesting deeper than 128; [`JsonError::Long`] for more
/// values than [`MOST_VALUES`].
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let room = Room::default();
    read(bytes, &room, Strict { names_are_data: false, room: &room })
}

/// Parses an object strictly of which some fields are lists that may be long: `take` gets their items one by one, with the
/// place of the list among `lists`, and the result has an empty list there. [`MOST_VALUES`] is for each item, and for all the
/// rest; of items there may be a million. `name` stands for the document in messages.
///
/// # Errors
/// As [`parse`]. What an item is, `take` alone knows.
pub fn parse_lists(
    bytes: &[u8],
    name: &str,
    lists: &[&str],
    take: &mut dyn FnMut(usize, &View<'_>),
) -> Result<Value, JsonError> {
    let room = Room::default();
    read(bytes, &room, Top { name, lists, take, room: &room })
}

/// Parses a list strictly that may be long: `take` gets its items one by one, and the result is an empty list. Anything else is
/// parsed as [`parse`] does. The bounds are those of [`parse_lists`]; `name` stands for the document in messages.
///
/// # Errors
/// As [`parse`]. What an item is, `take` alone knows.
pub fn parse_items(bytes: &[u8], name: &str, take: &mut dyn FnMut(&View<'_>)) -> Result<Value, JsonError> {
    let room = Room::default();
    let take = &mut |_: usize, item: &View<'_>| take(item);
    read(bytes, &room, List { at: 0, document: name, name: "", take, room: &room })
}

fn read<'de, S: DeserializeSeed<'de, Value = Value>>(
    bytes: &'de [u8],
    room: &Room,
    seed: S,
) -> Result<Value, JsonError> {
    let told = |error: serde_json::Error| if room.is_over() { JsonError::Long } else { syntax(&error) };
    let mut decoder = serde_json::Deserializer::from_str(as_text(bytes)?);
    let value = seed.deserialize(&mut decoder).map_err(told)?;
    decoder.end().map_err(told)?;
    Ok(value)
}

/// How many values may still come.
struct Room(Cell<Option<usize>>);

impl Default for Room {
    fn default() -> Self {
        Self(Cell::new(Some(MOST_VALUES)))
    }
}

impl Room {
    fn take_one<E: serde::de::Error>(&self) -> Result<(), E> {
        self.0.set(self.0.get().and_then(|left| left.checked_sub(1)));
        if self.is_over() { Err(E::custom("too many values")) } else { Ok(()) }
    }

    fn is_over(&self) -> bool {
        self.0.get().is_none()
    }
}

/// The items that were read of a list, or what is wrong with the first that is wrong: the document as a whole is to be looked
/// at before.
#[derive(Debug)]
pub struct Items<T>(Result<Vec<T>, JsonError>);

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self(Ok(Vec::new()))
    }
}

impl<T> Items<T> {
    /// Takes the next item, unless one before it was wrong.
    pub fn take(&mut self, read: impl FnOnce() -> Result<T, JsonError>) {
        if let Ok(items) = &mut self.0 {
            match read() {
                Ok(item) => items.push(item),
                Err(error) => self.0 = Err(error),
            }
        }
    }

    /// Returns all items.
    ///
    /// # Errors
    /// What is wrong with the first that is wrong.
    pub fn all(self) -> Result<Vec<T>, JsonError> {
        self.0
    }
}

/// Returns how many values there are in a value, itself among them.
#[must_use]
pub fn count(value: &Value) -> usize {
    // as deep as what was parsed
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

fn as_text(bytes: &[u8]) -> Result<&str, JsonError> {
    if bytes.is_empty() {
        return Err(JsonError::Syntax("it is empty".to_owned()));
    }
    if bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
        return Err(JsonError::Syntax("it starts with a byte order mark".to_owned()));
    }
    std::str::from_utf8(bytes)
        .map_err(|error| JsonError::Syntax(format!("byte {} is not UTF-8", error.valid_up_to() + 1)))
}

fn syntax(error: &serde_json::Error) -> JsonError {
    // serde_json quotes the document in some messages
    JsonError::Syntax(crate::text::escaped(&error.to_string()))
}
