//! Reading the packing list of an archive that is there.

use std::borrow::Cow;
use std::io::Read as _;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

use super::super::Error;
use super::super::open::Store;
use crate::bundle::{BUNDLE_JSON, BUNDLE_SIGNATURE, LARGEST_LIST, PackingList};
use crate::digest::Digest;
use crate::document::Document;
use crate::store::archive::Archive;
use crate::store::{Reason, Source as _, StoreError};

/// The largest signature that is read, in bytes.
pub(super) const LARGEST_SIGNATURE: u64 = 64 * 1024;

/// The packing list of an archive.
#[derive(Clone, Debug)]
pub struct Packed {
    /// What it says.
    pub list: PackingList,
    /// Its bytes: what is signed.
    pub raw: Vec<u8>,
    /// Its signature, as it stands in the archive.
    pub signature: Option<Vec<u8>>,
    /// Whether the archive is still the one that it describes: another program may have changed `index.json` since.
    pub is_current: bool,
}

impl Packed {
    /// Reads the packing list of an archive; `None` when it has none of ours.
    ///
    /// # Errors
    /// When it cannot be read, or is not what it must be.
    pub fn of(archive: &Archive) -> Result<Option<Self>, StoreError> {
        let Some(raw) = read_entry(archive, BUNDLE_JSON, LARGEST_LIST)? else { return Ok(None) };
        // other programs have files of that name too
        if !schema_of(&raw).is_some_and(|schema| schema.starts_with("barge/bundle/")) {
            return Ok(None);
        }
        let list = PackingList::parse(&raw).map_err(|error| StoreError::Malformed {
            what: BUNDLE_JSON.to_owned(),
            place: archive.location().clone(),
            reason: Reason::from(error),
            hint: Some("it may be of a newer barge, or damaged: copy the archive again".to_owned()),
        })?;
        let index = archive.index_json().map(Document::raw);
        let is_current = index.is_some_and(|index| {
            list.files.iter().any(|file| file.name == "index.json" && file.digest == Digest::of(index))
        });
        let signature = read_entry(archive, BUNDLE_SIGNATURE, LARGEST_SIGNATURE)?;
        Ok(Some(Self { list, raw, signature, is_current }))
    }
}

/// Reads the packing list of a place; `None` when it is no archive, or has none.
///
/// # Errors
/// As [`Packed::of`].
pub fn packed_in(store: &Store) -> Result<Option<Packed>, Error> {
    match store {
        Store::Archive(archive) => Ok(Packed::of(archive)?),
        Store::Layout(_) | Store::Registry(_) => Ok(None),
    }
}

/// Returns what a document says it is; nothing else of it is kept, since another program's file may be anything.
fn schema_of(raw: &[u8]) -> Option<String> {
    struct Schema;
    impl<'de> Visitor<'de> for Schema {
        type Value = Option<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
            let mut schema = None;
            while let Some(name) = fields.next_key::<Cow<'de, str>>()? {
                if name == "schema" {
                    schema = fields.next_value()?;
                } else {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
            Ok(schema)
        }
    }
    serde_json::Deserializer::from_slice(raw).deserialize_map(Schema).ok()?
}

fn read_entry(archive: &Archive, name: &str, most: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(entry) = archive.read_entry_unverified(name) else { return Ok(None) };
    let size = entry.remaining();
    if size > most {
        let reason = format!("it is {size} bytes, expected at most {most}");
        return Err(StoreError::malformed(name, archive.location(), reason));
    }
    let mut bytes = Vec::new();
    entry.take(most).read_to_end(&mut bytes).map_err(StoreError::io("read", archive.location().to_string()))?;
    Ok(Some(bytes))
}
