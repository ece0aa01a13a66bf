//! Documents of which some lists are long: their items are handed out one by one.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::strict::{Names, Strict};
use super::{MOST_ITEMS, MOST_VALUES, Room, View};

/// The top of a document with long lists.
pub(super) struct Top<'a, 'c> {
    pub(super) name: &'a str,
    pub(super) lists: &'a [&'a str],
    pub(super) take: &'a mut dyn FnMut(usize, &View<'_>),
    pub(super) room: &'c Room,
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
                    let list = List { at, document: self.name, name: &name, take: self.take, room: self.room };
                    entries.next_value_seed(list)?
                }
                None => entries.next_value_seed(Strict { names_are_data: below, ..strict })?,
            };
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

/// A long list.
pub(super) struct List<'a, 'c> {
    pub(super) at: usize,
    pub(super) document: &'a str,
    /// The field that it stands in. Empty for one that is the document itself.
    pub(super) name: &'a str,
    pub(super) take: &'a mut dyn FnMut(usize, &View<'_>),
    pub(super) room: &'c Room,
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
            (self.take)(self.at, &View::item(&item, self.document, self.name, number));
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
