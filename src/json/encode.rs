//! Writing what barge made, one way: keys sorted, no white space. A long list is written item by item: as values, all of it at once
//! would take many times the memory of its bytes.

use std::borrow::Borrow;

use serde_json::{Map, Value};

/// A list that is written item by item, and the name of its field.
pub type ListField<'a> = (&'a str, &'a mut dyn Iterator<Item = Value>);

/// Encodes a document that barge made: keys sorted, no white space, so that the same content has the same digest on every
/// run and every machine.
#[must_use]
pub fn encode(value: &Value) -> Vec<u8> {
    text_of(value).into_bytes()
}

/// As [`encode`], of an object of which some fields are lists that may be long.
#[must_use]
pub fn encode_lists(fields: &Map<String, Value>, lists: Vec<ListField<'_>>) -> Vec<u8> {
    enum Field<'a> {
        Plain(&'a Value),
        List(&'a mut dyn Iterator<Item = Value>),
    }
    let plain = fields.iter().map(|(name, value)| (name.as_str(), Field::Plain(value)));
    let mut all: Vec<(&str, Field<'_>)> =
        plain.chain(lists.into_iter().map(|(name, items)| (name, Field::List(items)))).collect();
    all.sort_unstable_by_key(|(name, _)| *name);
    let mut text = String::new();
    for (at, (name, field)) in all.into_iter().enumerate() {
        text.push(if at == 0 { '{' } else { ',' });
        write_name(name, &mut text);
        match field {
            Field::Plain(value) => write(value, &mut text),
            Field::List(items) => write_items(items, &mut text),
        }
    }
    text.push_str(if text.is_empty() { "{}" } else { "}" });
    text.into_bytes()
}

/// As [`encode`], of a list alone.
#[must_use]
pub fn encode_items(items: impl Iterator<Item = Value>) -> Vec<u8> {
    let mut text = String::new();
    write_items(items, &mut text);
    text.into_bytes()
}

/// Returns the text of a value with its keys sorted.
pub(super) fn text_of(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (at, (name, value)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_name(name, text);
                write(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => write_items(items.iter(), text),
        plain => text.push_str(&plain.to_string()),
    }
}

fn write_items<V: Borrow<Value>>(items: impl Iterator<Item = V>, text: &mut String) {
    text.push('[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            text.push(',');
        }
        write(item.borrow(), text);
    }
    text.push(']');
}

fn write_name(name: &str, text: &mut String) {
    text.push_str(&Value::from(name).to_string());
    text.push(':');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_that_come_item_by_item_give_the_same_bytes() {
        let value =
            json!({"b": [], "a\"\u{7f}é": [{"z": 1.5, "y": null}, "x\n"], "c": {"e": [true], "d": -1}, "f": [1, [2]]});
        let Value::Object(fields) = value.clone() else { unreachable!() };
        let whole = encode(&value);
        assert_eq!(
            String::from_utf8(whole.clone()).unwrap(),
            "{\"a\\\"\u{7f}é\":[{\"y\":null,\"z\":1.5},\"x\\n\"],\"b\":[],\"c\":{\"d\":-1,\"e\":[true]},\"f\":[1,[2]]}"
        );
        for lists in [vec![], vec!["b"], vec!["f", "b"], vec!["a\"\u{7f}é", "f"]] {
            let mut rest = fields.clone();
            let taken: Vec<(&str, Vec<Value>)> =
                lists.iter().map(|name| (*name, rest.remove(*name).unwrap().as_array().unwrap().clone())).collect();
            let mut items: Vec<_> = taken.into_iter().map(|(name, items)| (name, items.into_iter())).collect();
            let lists = items.iter_mut().map(|(name, items)| (*name, items as &mut dyn Iterator<Item = Value>));
            assert_eq!(encode_lists(&rest, lists.collect()), whole);
        }
        assert_eq!(encode_lists(&Map::new(), Vec::new()), b"{}");
        assert_eq!(encode_items([json!({"b": 1, "a": 2}), json!(3)].into_iter()), br#"[{"a":2,"b":1},3]"#);
        assert_eq!(encode_items(std::iter::empty()), b"[]");
    }
}
