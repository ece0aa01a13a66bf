//! Values inside a document, and where they stand.

use serde_json::{Map, Value};

use super::JsonError;

/// A value inside a document, and where it stands: what reading code asks, so that every complaint says where. Its path is
/// looked for when somebody complains: nearly always nobody does.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    value: &'a Value,
    top: &'a Value,
    name: Name<'a>,
}

/// What stands for the top in messages.
#[derive(Clone, Copy, Debug)]
enum Name<'a> {
    Document(&'a str),
    /// An item of a list of the document that is read item by item; without a name the document itself is the list.
    Item(&'a str, &'a str, usize),
}

impl<'a> View<'a> {
    /// Starts at the top of a document; `name` stands for it in messages.
    #[must_use]
    pub const fn top(value: &'a Value, name: &'a str) -> Self {
        Self { value, top: value, name: Name::Document(name) }
    }

    /// Starts at an item of a list of a document.
    pub(super) const fn item(value: &'a Value, document: &'a str, list: &'a str, number: usize) -> Self {
        Self { value, top: value, name: Name::Item(document, list, number) }
    }

    const fn at(&self, value: &'a Value) -> Self {
        Self { value, ..*self }
    }

    fn path(&self) -> String {
        let start = match self.name {
            Name::Document(name) => name.to_owned(),
            Name::Item(document, "", number) => format!("{document}[{number}]"),
            Name::Item(document, list, number) => format!("{document}.{list}[{number}]"),
        };
        start + &way_to(self.value, self.top).unwrap_or_default()
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
        JsonError::Field { path: self.path(), got, expected: expected.to_owned() }
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
        Ok(found.map(|value| self.at(value)))
    }

    /// Returns a field that has to be there.
    ///
    /// # Errors
    /// When this is no object, or the field is absent or `null`.
    pub fn need(&self, name: &str, expected: &str) -> Result<Self, JsonError> {
        self.get(name)?.ok_or_else(|| JsonError::Field {
            path: format!("{}.{name}", self.path()),
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
        Ok(items.iter().map(|item| self.at(item)).collect())
    }

    /// Returns the items of a field that may be absent or `null`.
    ///
    /// # Errors
    /// When this is no object, or the field no list.
    pub fn list_at(&self, name: &str) -> Result<Vec<Self>, JsonError> {
        self.get(name)?.map_or_else(|| Ok(Vec::new()), |list| list.list())
    }

    /// Returns what a field says that may be absent or `null`, and what it says then.
    ///
    /// # Errors
    /// When this is no object, or the field neither true nor false.
    pub fn flag_at(&self, name: &str, usual: bool) -> Result<bool, JsonError> {
        match self.get(name)? {
            None => Ok(usual),
            Some(flag) => flag.value().as_bool().ok_or_else(|| flag.wrong("true or false")),
        }
    }

    /// Returns the text in a field that may be absent or `null`.
    ///
    /// # Errors
    /// When this is no object, or the field no text.
    pub fn text_at(&self, name: &str) -> Result<Option<&'a str>, JsonError> {
        self.get(name)?.map(|text| text.text()).transpose()
    }
}

/// Returns what leads from one value to another inside it, as `.manifests[3].size`.
fn way_to(wanted: &Value, from: &Value) -> Option<String> {
    if std::ptr::eq(wanted, from) {
        return Some(String::new());
    }
    // as deep as what was parsed
    match from {
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(at, item)| Some(format!("[{at}]{}", way_to(wanted, item)?)))
        }
        Value::Object(fields) => {
            fields.iter().find_map(|(name, value)| Some(format!(".{name}{}", way_to(wanted, value)?)))
        }
        _ => None,
    }
}
