//! Documents of which single fields change, and everything else keeps its bytes.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize as _;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::encode::text_of;
use super::{JsonError, View, as_text, encode, parse, syntax};

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

    /// Reads an object that [`parse`] has read before, or [`parse_lists`](super::parse_lists): what those refuse is not looked for.
    ///
    /// # Errors
    /// When it is no object.
    pub fn of_parsed(bytes: &[u8]) -> Result<Self, JsonError> {
        Self::from_raw(as_text(bytes)?)
    }

    pub(super) fn from_raw(text: &str) -> Result<Self, JsonError> {
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
        Self::from_raw(&text_of(value))
    }

    fn find(&self, name: &str) -> Option<&RawValue> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| &**value)
    }

    /// Returns the items of a list field as they stand; none when it is absent, `null` or no list.
    #[must_use]
    pub fn items(&self, name: &str) -> Vec<Box<RawValue>> {
        self.find(name).and_then(|raw| Vec::<Box<RawValue>>::deserialize(raw).ok()).unwrap_or_default()
    }

    /// As [`Self::items`], each where it is: there may be many.
    #[must_use]
    pub fn borrowed_items(&self, name: &str) -> Vec<&RawValue> {
        self.find(name).and_then(|raw| Vec::<&RawValue>::deserialize(raw).ok()).unwrap_or_default()
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
    pub fn set_items(&mut self, name: &str, items: &[impl Borrow<RawValue>]) {
        self.set(name, list_of(items));
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
        raw(self.text())
    }

    /// Returns the bytes of the object as it is to be stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.text().into_bytes()
    }

    fn text(&self) -> String {
        let length: usize = self.fields.iter().map(|(name, value)| name.len() + value.get().len() + 4).sum();
        let mut text = String::with_capacity(length + 2);
        text.push('{');
        for (name, value) in &self.fields {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&Value::from(name.as_str()).to_string());
            text.push(':');
            text.push_str(value.get());
        }
        text.push('}');
        text
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
            Ok(list_of(&new))
        }
        _ => Ok(made(to)),
    }
}

fn made(value: &Value) -> Box<RawValue> {
    raw(text_of(value))
}

/// Returns a list of some items.
#[must_use]
pub fn list_of(items: &[impl Borrow<RawValue>]) -> Box<RawValue> {
    let joined = items.iter().map(|item| item.borrow().get()).collect::<Vec<_>>().join(",");
    raw(format!("[{joined}]"))
}

/// Wraps text that was put together from valid JSON.
#[allow(clippy::expect_used)] // every caller joins whole JSON values with JSON punctuation
fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).expect("joined from valid JSON")
}
