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
//! A document that came from outside is never written again from its parsed form: [`encode`] is for what barge made, and
//! [`Object`] changes single fields of a document while every other byte stays as it was.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

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
const MOST_ITEMS: usize = 1_000_000;

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

/// Encodes a document that barge made: keys sorted, no white space, so that the same content has the same digest on every
/// run and every machine.
#[must_use]
pub fn encode(value: &Value) -> Vec<u8> {
    sorted(value).to_string().into_bytes()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_unstable();
            Value::Object(names.into_iter().map(|name| (name.clone(), sorted(&fields[name]))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        plain => plain.clone(),
    }
}

/// Fields whose keys are data, not names of the specification: two labels may differ only in case.
const MAPS_OF_DATA: [&str; 7] =
    ["annotations", "labels", "volumes", "exposedports", "onbuild", "args", "moby.buildkit.buildinfo.v1"];

#[derive(Clone, Copy)]
struct Strict<'c> {
    names_are_data: bool,
    room: &'c Room,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<Value, D::Error> {
        self.room.take_one()?;
        decoder.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        let mut names = Names::default();
        while let Some(name) = entries.next_key::<String>()? {
            let below = names.enter(&name, self.names_are_data, &fields)?;
            let value = entries.next_value_seed(Self { names_are_data: below, ..self })?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

/// The names of the fields of an object so far, without upper case.
#[derive(Default)]
struct Names {
    folded: HashSet<String>,
}

impl Names {
    /// Takes the next name, and returns whether those of the fields below it are data.
    fn enter<E: serde::de::Error>(
        &mut self,
        name: &str,
        are_data: bool,
        fields: &Map<String, Value>,
    ) -> Result<bool, E> {
        if fields.contains_key(name) {
            return Err(E::custom(format_args!("the key {} stands there twice", crate::text::quoted(name))));
        }
        let lower = name.to_lowercase();
        let below = are_data || MAPS_OF_DATA.contains(&lower.as_str());
        if !are_data && !self.folded.insert(lower) {
            return Err(E::custom(format_args!(
                "the key {} stands there twice, but for upper and lower case",
                crate::text::quoted(name)
            )));
        }
        Ok(below)
    }
}

/// The top of a document with long lists.
struct Top<'a, 'c> {
    name: &'a str,
    lists: &'a [&'a str],
    take: &'a mut dyn FnMut(usize, &View<'_>),
    room: &'c Room,
}

impl<'de> DeserializeSeed<'de> for Top<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<Value, D::Error> {
        decoder.deserialize_any(self)
    }
}

/// All that is no list is what it would be in any document.
macro_rules! visited_strictly {
    () => {
        type Value = Value;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("JSON")
        }

        fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
            self.strict().visit_unit()
        }

        fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
            self.strict().visit_bool(value)
        }

        fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
            self.strict().visit_u64(value)
        }

        fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
            self.strict().visit_i64(value)
        }

        fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
            self.strict().visit_f64(value)
        }

        fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
            self.strict().visit_str(value)
        }
    };
}

impl<'c> Top<'_, 'c> {
    const fn strict(&self) -> Strict<'c> {
        Strict { names_are_data: false, room: self.room }
    }
}

impl<'de> Visitor<'de> for Top<'_, '_> {
    visited_strictly!();

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Value, A::Error> {
        self.strict().visit_seq(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let strict = self.strict();
        let mut fields = Map::new();
        let mut names = Names::default();
        while let Some(name) = entries.next_key::<String>()? {
            let below = names.enter(&name, false, &fields)?;
            let value = match self.lists.iter().position(|list| *list == name) {
                Some(at) => {
                    let path = format!("{}.{name}", self.name);
                    entries.next_value_seed(List { at, path, take: self.take, room: self.room })?
                }
                None => entries.next_value_seed(Strict { names_are_data: below, ..strict })?,
            };
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

/// A long list.
struct List<'a, 'c> {
    at: usize,
    path: String,
    take: &'a mut dyn FnMut(usize, &View<'_>),
    room: &'c Room,
}

impl<'c> List<'_, 'c> {
    const fn strict(&self) -> Strict<'c> {
        Strict { names_are_data: false, room: self.room }
    }
}

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<Value, D::Error> {
        self.room.take_one()?;
        decoder.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    visited_strictly!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut number = 0;
        loop {
            let left = self.room.0.replace(Some(MOST_VALUES));
            let next = items.next_element_seed(self.strict())?;
            self.room.0.set(left);
            let Some(item) = next else { return Ok(Value::Array(Vec::new())) };
            (self.take)(self.at, &View { value: &item, path: format!("{}[{number}]", self.path) });
            number += 1;
            if number > MOST_ITEMS {
                self.room.0.set(None);
                self.room.take_one()?;
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Value, A::Error> {
        self.strict().visit_map(entries)
    }
}

/// A value inside a document, with the path that leads there: what reading code asks, so that every complaint says
/// where.
#[derive(Clone, Debug)]
pub struct View<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> View<'a> {
    /// Starts at the top of a document; `name` stands for it in messages.
    #[must_use]
    pub fn top(value: &'a Value, name: &str) -> Self {
        Self { value, path: name.to_owned() }
    }

    /// Returns the value itself.
    #[must_use]
    pub const fn value(&self) -> &'a Value {
        self.value
    }

    /// Returns the complaint that this is not what was expected.
    #[must_use]
    pub fn wrong(&self, expected: &str) -> JsonError {
        let got = match self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            Value::String(value) => crate::text::quoted(value),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        };
        JsonError::Field { path: self.path.clone(), got, expected: expected.to_owned() }
    }

    /// Returns the fields.
    ///
    /// # Errors
    /// When this is no object.
    pub fn object(&self) -> Result<&'a Map<String, Value>, JsonError> {
        self.value.as_object().ok_or_else(|| self.wrong("an object"))
    }

    /// Returns a field; one that is absent or `null` (which Go programs write for an empty list) is `None`.
    ///
    /// # Errors
    /// When this is no object.
    pub fn get(&self, name: &str) -> Result<Option<Self>, JsonError> {
        let found = self.object()?.get(name).filter(|value| !value.is_null());
        Ok(found.map(|value| Self { value, path: format!("{}.{name}", self.path) }))
    }

    /// Returns a field that has to be there.
    ///
    /// # Errors
    /// When this is no object, or the field is absent or `null`.
    pub fn need(&self, name: &str, expected: &str) -> Result<Self, JsonError> {
        self.get(name)?.ok_or_else(|| JsonError::Field {
            path: format!("{}.{name}", self.path),
            got: "absent".to_owned(),
            expected: expected.to_owned(),
        })
    }

    /// Returns a text.
    ///
    /// # Errors
    /// When it is none.
    pub fn text(&self) -> Result<&'a str, JsonError> {
        self.value.as_str().ok_or_else(|| self.wrong("a text"))
    }

    /// Returns a count: a whole number from 0 to 2^63 - 1, as sizes are signed elsewhere.
    ///
    /// # Errors
    /// When it is none.
    pub fn count(&self) -> Result<u64, JsonError> {
        self.value
            .as_u64()
            .filter(|count| i64::try_from(*count).is_ok())
            .ok_or_else(|| self.wrong("a whole number from 0 to 2^63 - 1"))
    }

    /// Returns the items of a list.
    ///
    /// # Errors
    /// When it is none.
    pub fn list(&self) -> Result<Vec<Self>, JsonError> {
        let items = self.value.as_array().ok_or_else(|| self.wrong("a list"))?;
        let item = |(at, value)| Self { value, path: format!("{}[{at}]", self.path) };
        Ok(items.iter().enumerate().map(item).collect())
    }

    /// Returns the items of a field that may be absent or `null`.
    ///
    /// # Errors
    /// When this is no object, or the field no list.
    pub fn list_at(&self, name: &str) -> Result<Vec<Self>, JsonError> {
        self.get(name)?.map_or_else(|| Ok(Vec::new()), |list| list.list())
    }

    /// Returns the text in a field that may be absent or `null`.
    ///
    /// # Errors
    /// When this is no object, or the field no text.
    pub fn text_at(&self, name: &str) -> Result<Option<&'a str>, JsonError> {
        self.get(name)?.map(|text| text.text()).transpose()
    }
}

/// An object of which single fields change while all else stays as it was: order, unknown fields, numbers of any length,
/// white space inside values.
#[derive(Clone, Debug)]
pub struct Object {
    fields: Vec<(String, Box<RawValue>)>,
}

impl Object {
    /// Reads an object.
    ///
    /// # Errors
    /// As [`parse`], or when it is no object.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let value = parse(bytes)?;
        View::top(&value, "the document").object()?;
        Self::from_raw(as_text(bytes)?)
    }

    fn from_raw(text: &str) -> Result<Self, JsonError> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Vec<(String, Box<RawValue>)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = entries.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        let mut decoder = serde_json::Deserializer::from_str(text);
        let fields = decoder.deserialize_map(Fields).map_err(|error| syntax(&error))?;
        Ok(Self { fields })
    }

    /// Returns an object with the fields of a value that barge made.
    ///
    /// # Errors
    /// When the value is no object.
    pub fn from_value(value: &Value) -> Result<Self, JsonError> {
        Self::from_raw(&sorted(value).to_string())
    }

    fn find(&self, name: &str) -> Option<&RawValue> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| &**value)
    }

    /// Returns the items of a list field as they stand; none when it is absent, `null` or no list.
    #[must_use]
    pub fn items(&self, name: &str) -> Vec<Box<RawValue>> {
        self.find(name).and_then(|raw| Vec::<Box<RawValue>>::deserialize(raw).ok()).unwrap_or_default()
    }

    /// Returns a field that is an object; `None` when it is absent or anything else.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<Self> {
        self.find(name).and_then(|raw| Self::from_raw(raw.get()).ok())
    }

    /// Sets a field where it stands, or adds it at the end.
    pub fn set(&mut self, name: &str, value: Box<RawValue>) {
        match self.fields.iter_mut().find(|(field, _)| field == name) {
            Some((_, old)) => *old = value,
            None => self.fields.push((name.to_owned(), value)),
        }
    }

    /// Sets a list field.
    pub fn set_items(&mut self, name: &str, items: &[Box<RawValue>]) {
        self.set(name, list(items));
    }

    /// Takes over the fields of another object that this one does not have, at the end. Returns whether there were any.
    pub fn add_absent(&mut self, other: &Self) -> bool {
        let before = self.fields.len();
        for (name, value) in &other.fields {
            if self.find(name).is_none() {
                self.fields.push((name.clone(), value.clone()));
            }
        }
        self.fields.len() > before
    }

    /// Removes a field.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|(field, _)| field != name);
    }

    /// Returns whether no field is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Returns the object as it is to be stored.
    #[must_use]
    pub fn to_raw(&self) -> Box<RawValue> {
        let field = |(name, value): &(String, Box<RawValue>)| format!("{}:{}", Value::from(name.as_str()), value.get());
        raw(format!("{{{}}}", self.fields.iter().map(field).collect::<Vec<_>>().join(",")))
    }
}

/// Returns a document that says what a value says, where everything that it said before keeps its bytes: fields and their
/// order, numbers of any length, items of lists. One that says the same is the very same.
///
/// # Errors
/// As [`parse`].
pub fn edited(before: &[u8], to: &Value) -> Result<Vec<u8>, JsonError> {
    let from = parse(before)?;
    if from == *to {
        return Ok(before.to_vec());
    }
    let mut decoder = serde_json::Deserializer::from_str(as_text(before)?);
    let raw = Box::<RawValue>::deserialize(&mut decoder).map_err(|error| syntax(&error))?;
    Ok(changed(raw, &from, to)?.get().as_bytes().to_vec())
}

/// As deep as the document is, which [`parse`] has limited.
fn changed(before: Box<RawValue>, from: &Value, to: &Value) -> Result<Box<RawValue>, JsonError> {
    match (from, to) {
        _ if from == to => Ok(before),
        (Value::Object(from), Value::Object(to)) => {
            let mut object = Object::from_raw(before.get())?;
            for name in from.keys().filter(|name| !to.contains_key(*name)) {
                object.remove(name);
            }
            for (name, value) in to {
                let new = match (from.get(name), object.find(name)) {
                    (Some(old), Some(raw)) => changed(raw.to_owned(), old, value)?,
                    _ => made(value),
                };
                object.set(name, new);
            }
            Ok(object.to_raw())
        }
        (Value::Array(from), Value::Array(to)) => {
            let items = Vec::<Box<RawValue>>::deserialize(&*before).map_err(|error| syntax(&error))?;
            let same_length = from.len() == to.len();
            let held: HashMap<Vec<u8>, &RawValue> =
                from.iter().map(encode).zip(items.iter().map(|raw| &**raw)).collect();
            let mut new = Vec::new();
            for (at, item) in to.iter().enumerate() {
                new.push(match held.get(&encode(item)) {
                    Some(same) => (*same).to_owned(),
                    None if same_length => changed(items[at].clone(), &from[at], item)?,
                    None => made(item),
                });
            }
            Ok(list(&new))
        }
        _ => Ok(made(to)),
    }
}

fn made(value: &Value) -> Box<RawValue> {
    raw(sorted(value).to_string())
}

fn list(items: &[Box<RawValue>]) -> Box<RawValue> {
    let joined = items.iter().map(|item| item.get()).collect::<Vec<_>>().join(",");
    raw(format!("[{joined}]"))
}

/// Wraps text that was put together from valid JSON.
#[allow(clippy::expect_used)] // every caller joins whole JSON values with JSON punctuation
fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).expect("joined from valid JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_the_one_that_was_read() {
        for text in ["9.925474099399257e+21", "0.1", "123456789.12345679", "1e-7", "18446744073709551615", "-0.0"] {
            let value = parse(text.as_bytes()).unwrap();
            assert_eq!(parse(&encode(&value)).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn what_would_fill_the_memory_is_refused() {
        let list = |count: usize| format!("[{}0]", "0,".repeat(count - 1)).into_bytes();
        assert!(parse(&list(MOST_VALUES - 1)).is_ok());
        assert_eq!(parse(&list(MOST_VALUES)), Err(JsonError::Long));
        let nested = format!("{{\"a\":{0},\"b\":{0}}}", String::from_utf8(list(MOST_VALUES / 2)).unwrap());
        assert_eq!(parse(nested.as_bytes()), Err(JsonError::Long));
    }

    #[test]
    fn long_lists_are_handed_out_item_by_item() {
        let read = |text: &str| {
            let mut heard = Vec::new();
            let mut hear = |list: usize, item: &View<'_>| heard.push(format!("{list} {}", item.wrong("x")));
            let rest = parse_lists(text.as_bytes(), "top", &["long", "other"], &mut hear)?;
            Ok::<_, JsonError>((heard.join("; "), rest.to_string()))
        };
        let (heard, rest) = read(r#"{"a":1,"long":[true,[2]],"b":{"long":[3]},"other":[null]}"#).unwrap();
        let expected = "0 top.long[0] is true, expected x; 0 top.long[1] is a list, expected x; 1 top.other[0] is null, expected x";
        assert_eq!(heard, expected);
        assert_eq!(rest, r#"{"a":1,"long":[],"b":{"long":[3]},"other":[]}"#);
        for other in [r#"{"long":null}"#, r#"{"long":{"x":[1]}}"#, "[1]", "1", r#""x""#] {
            assert_eq!(read(other).unwrap(), (String::new(), other.to_owned()), "{other}");
        }
        for (wrong, complaint) in [
            (r#"{"long":[1],"long":[2]}"#, "twice"),
            (r#"{"long":[1],"Long":[2]}"#, "but for upper and lower case"),
            (r#"{"long":[{"a":1,"A":2}]}"#, "but for upper and lower case"),
            (r#"{"long":[1]} 2"#, "trailing"),
            (r#"{"long":[1"#, "EOF"),
        ] {
            assert!(read(wrong).unwrap_err().to_string().contains(complaint), "{wrong}");
        }
        // the items do not add up, the rest does
        let many = format!("[{}0]", "0,".repeat(MOST_VALUES));
        assert!(parse_lists(format!(r#"{{"long":{many}}}"#).as_bytes(), "top", &["long"], &mut |_, _| ()).is_ok());
        for wrong in [format!(r#"{{"long":[],"x":{many}}}"#), format!(r#"{{"long":[{many}]}}"#)] {
            assert_eq!(parse_lists(wrong.as_bytes(), "top", &["long"], &mut |_, _| ()), Err(JsonError::Long));
        }
        let endless = format!(r#"{{"long":[{}0]}}"#, "0,".repeat(MOST_ITEMS));
        assert_eq!(parse_lists(endless.as_bytes(), "top", &["long"], &mut |_, _| ()), Err(JsonError::Long));
    }

    #[test]
    fn what_parsers_disagree_on_is_refused() {
        for (text, complaint) in [
            (&b""[..], "empty"),
            (b"\xef\xbb\xbf{}", "byte order mark"),
            (b"{\"a\":\"\xff\"}", "byte 7 is not UTF-8"),
            (b"{\"a\":1,\"a\":2}", "the key \"a\" stands there twice"),
            (b"{\"digest\":1,\"Digest\":2}", "but for upper and lower case"),
            (b"{\"x\":[{\"a\":{},\"A\":{}}]}", "but for upper and lower case"),
            (b"{\"annotations\":{\"a\":\"1\",\"a\":\"2\"}}", "twice"),
            (b"{} {}", "trailing"),
            (b"{}\0", "trailing"),
            (b"{\"a\":\"\\ud800\"}", "hex escape"),
            (b"{\"a\":01}", "invalid number"),
            (b"{'a':1}", "key must be a string"),
            (b"{\"a\":NaN}", "expected value"),
            (b"\x1b[2J", "expected value"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(complaint), "{:?}: {error}", String::from_utf8_lossy(text));
        }
        let deep = "[".repeat(5000);
        assert!(parse(deep.as_bytes()).unwrap_err().to_string().contains("recursion limit"));
    }

    #[test]
    fn labels_may_differ_only_in_case() {
        parse(br#"{"config":{"Labels":{"a":"1","A":"2"}},"annotations":{"x":"","X":""}}"#).unwrap();
    }

    #[test]
    fn the_same_content_has_the_same_bytes() {
        let one = parse(br#"{"b":[{"z":1,"y":2}], "a":"x"}"#).unwrap();
        let two = parse(br#"{"a":"x","b":[{"y":2,"z":1}]}"#).unwrap();
        assert_eq!(encode(&one), encode(&two));
        assert_eq!(encode(&one), br#"{"a":"x","b":[{"y":2,"z":1}]}"#);
    }

    #[test]
    fn an_edit_leaves_every_other_byte() {
        let text = br#"{"z":1e400000000000, "manifests":[{"a":  1.0},{"b":2}],"odd":"\u0041","annotations":{"k":"v"}}"#;
        // a number that no parser holds is not strict JSON, so the strict reader complains; the raw one keeps it
        assert!(Object::parse(text).is_err());
        let mut object = Object::from_raw(std::str::from_utf8(text).unwrap()).unwrap();
        let mut items = object.items("manifests");
        items.remove(1);
        object.set_items("manifests", &items);
        object.set("new", raw("null".to_owned()));
        object.remove("annotations");
        assert_eq!(
            object.to_raw().get(),
            r#"{"z":1e400000000000,"manifests":[{"a":  1.0}],"odd":"\u0041","new":null}"#
        );
    }

    #[test]
    fn what_is_said_as_before_keeps_its_bytes() {
        let before =
            r#"{ "z": {"b": 1.50, "a": [ 1,2 ]}, "list":[{"x":"\u0041"}, {"y":2 }],"n":18446744073709551616 }"#;
        let value = parse(before.as_bytes()).unwrap();
        assert_eq!(edited(before.as_bytes(), &value).unwrap(), before.as_bytes(), "white space and all");
        for (path, new, expected) in [
            ("/z/a/1", "3", before.replace("[ 1,2 ]", "[1,3]")),
            ("/z/a", "[2]", before.replace("[ 1,2 ]", "[2]")),
            ("/list/1/y", "{\"q\":1,\"p\":2}", before.replace("{\"y\":2 }", "{\"y\":{\"p\":2,\"q\":1}}")),
            ("/list", "[{\"w\":0},{\"x\":\"A\"},{\"y\":2}]", before.replace("\"list\":[", "\"list\":[{\"w\":0},")),
            ("/z", "null", before.replace("{\"b\": 1.50, \"a\": [ 1,2 ]}", "null")),
        ] {
            let mut to = value.clone();
            *to.pointer_mut(path).unwrap() = parse(new.as_bytes()).unwrap();
            let after = String::from_utf8(edited(before.as_bytes(), &to).unwrap()).unwrap();
            assert_eq!(parse(after.as_bytes()).unwrap(), to, "{path}");
            let plain = |text: &str| text.replace(' ', "");
            assert_eq!(plain(&after), plain(&expected), "{path}");
        }
        let mut to = value.clone();
        to.as_object_mut().unwrap().shift_remove("z");
        to["new"] = Value::Null;
        let after = String::from_utf8(edited(before.as_bytes(), &to).unwrap()).unwrap();
        assert!(after.starts_with("{\"list\":[{\"x\":\"\\u0041\"}, {"), "{after}");
        assert!(after.ends_with("\"n\":18446744073709551616,\"new\":null}"), "{after}");
    }

    #[test]
    fn a_complaint_says_where() {
        let value =
            parse(br#"{"manifests":[{"size":-1},{"size":"5"},{"size":1.5},{"size":9223372036854775808}]}"#).unwrap();
        let list = View::top(&value, "index").list_at("manifests").unwrap();
        let complaint = |at: usize| list[at].need("size", "").unwrap().count().unwrap_err().to_string();
        assert_eq!(complaint(0), "index.manifests[0].size is -1, expected a whole number from 0 to 2^63 - 1");
        assert!(complaint(1).contains("is \"5\""));
        assert!(complaint(2).contains("is 1.5"));
        assert!(complaint(3).contains("is 9223372036854775808"));
    }
}
