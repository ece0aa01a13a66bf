//! The one reading of JSON: what parsers are known to disagree on is refused.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::Room;

/// Fields whose keys are data, not names of the specification: two labels may differ only in case.
const MAPS_OF_DATA: [&str; 7] =
    ["annotations", "labels", "volumes", "exposedports", "onbuild", "args", "moby.buildkit.buildinfo.v1"];

#[derive(Clone, Copy)]
pub(super) struct Strict<'c> {
    pub(super) names_are_data: bool,
    pub(super) room: &'c Room,
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

/// The names of the fields of an object so far. Most objects have few: those are compared one by one, and nothing is kept for it.
#[derive(Default)]
pub(super) struct Names {
    /// Without upper case; only of an object that has more than [`FEW`].
    folded: HashSet<String>,
}

/// How many names are compared one by one.
const FEW: usize = 16;

impl Names {
    /// Takes the next name, and returns whether those of the fields below it are data.
    pub(super) fn enter<E: serde::de::Error>(
        &mut self,
        name: &str,
        are_data: bool,
        fields: &Map<String, Value>,
    ) -> Result<bool, E> {
        let is_few = fields.len() < FEW;
        if if is_few { fields.keys().any(|held| held == name) } else { fields.contains_key(name) } {
            return Err(E::custom(format_args!("the key {} stands there twice", crate::text::quoted(name))));
        }
        if are_data {
            return Ok(true);
        }
        let is_again = if is_few {
            fields.keys().any(|held| is_same_folded(held, name))
        } else {
            if self.folded.is_empty() {
                self.folded = fields.keys().map(|held| held.to_lowercase()).collect();
            }
            !self.folded.insert(name.to_lowercase())
        };
        if is_again {
            return Err(E::custom(format_args!(
                "the key {} stands there twice, but for upper and lower case",
                crate::text::quoted(name)
            )));
        }
        Ok(MAPS_OF_DATA.iter().any(|map| is_same_folded(map, name)))
    }
}

/// Returns whether two names differ only in upper and lower case.
fn is_same_folded(one: &str, other: &str) -> bool {
    match one.is_ascii() && other.is_ascii() {
        true => one.eq_ignore_ascii_case(other),
        // some letters have one of ASCII for their lower case
        false => one.to_lowercase() == other.to_lowercase(),
    }
}
