//! Receipts: what is really there at the other side.

use serde_json::{Value, json};

use super::{expect_schema, read_count, read_digest};
use crate::digest::Digest;
use crate::json::{self, Items, JsonError, View};

const SCHEMA: &str = "barge/receipt/v1";
const NAME: &str = "the receipt";
/// What may be long.
const LISTS: [&str; 2] = ["images", "contents"];

/// What a place holds: every piece was read and is right, or its registry says that it has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The version of barge that wrote it.
    pub barge: String,
    /// When (RFC 3339).
    pub made: Option<String>,
    /// The places that were looked at, as they were called there.
    pub places: Vec<String>,
    /// Their images.
    pub images: Vec<ReceivedImage>,
    /// Every piece of content, whether an image needs it or not, once, sorted by digest.
    pub contents: Vec<Received>,
}

/// An image that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedImage {
    /// Its name.
    pub name: Option<String>,
    /// The digest of its index or manifest.
    pub digest: Digest,
    /// What that is, and its size in bytes: enough for whoever is to find it elsewhere. Receipts of older versions do not say it.
    pub document: Option<(String, u64)>,
}

/// A piece of content that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The repositories that have it, as `HOST/PATH`, where the place is a registry; sorted.
    pub repositories: Vec<String>,
}

impl Receipt {
    /// Reads a receipt.
    ///
    /// # Errors
    /// When it is no strict JSON, or a field that is known has another form.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let texts = |view: &View<'_>, name: &str| {
            view.list_at(name)?.iter().map(|text| text.text().map(str::to_owned)).collect::<Result<Vec<_>, _>>()
        };
        let image = |view: &View<'_>| {
            let name = view.text_at("name")?.map(str::to_owned);
            let media_type = view.text_at("mediaType")?.map(str::to_owned);
            let size = view.get("size")?.map(|size| size.count()).transpose()?;
            Ok(ReceivedImage { name, digest: read_digest(view)?, document: media_type.zip(size) })
        };
        let content = |view: &View<'_>| {
            let repositories = texts(view, "repositories")?;
            Ok(Received { digest: read_digest(view)?, size: read_count(view, "size")?, repositories })
        };
        let (mut images, mut contents) = (Items::default(), Items::default());
        let value = json::parse_lists(bytes, NAME, &LISTS, &mut |list, item| match list {
            0 => images.take(|| image(item)),
            _ => contents.take(|| content(item)),
        })?;
        let view = View::top(&value, NAME);
        expect_schema(&view, SCHEMA)?;
        LISTS.into_iter().try_for_each(|list| view.list_at(list).map(drop))?;
        Ok(Self {
            barge: view.text_at("barge")?.unwrap_or_default().to_owned(),
            made: view.text_at("made")?.map(str::to_owned),
            places: texts(&view, "places")?,
            images: images.all()?,
            contents: contents.all()?,
        })
    }

    /// Returns its bytes: one line for each image and piece, so that two receipts can be compared by eye.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let image = |one: &ReceivedImage| {
            let mut value = json!({"digest": one.digest.to_string()});
            if let Some((media_type, size)) = &one.document {
                value["mediaType"] = json!(media_type);
                value["size"] = json!(size);
            }
            if let Some(name) = &one.name {
                value["name"] = json!(name);
            }
            value
        };
        let content = |one: &Received| {
            let mut value = json!({"digest": one.digest.to_string(), "size": one.size});
            if !one.repositories.is_empty() {
                value["repositories"] = json!(one.repositories);
            }
            value
        };
        let mut text = b"{".to_vec();
        for (name, value) in [
            ("schema", json!(SCHEMA)),
            ("barge", json!(self.barge)),
            ("made", json!(self.made)),
            ("places", json!(self.places)),
        ] {
            text.extend(format!("\"{name}\": ").bytes());
            text.extend(json::encode(&value));
            text.extend(b",\n ");
        }
        lines(&mut text, "images", self.images.iter().map(image));
        text.extend(b",\n ");
        lines(&mut text, "contents", self.contents.iter().map(content));
        text.extend(b"}\n");
        text
    }
}

fn lines(text: &mut Vec<u8>, name: &str, items: impl Iterator<Item = Value>) {
    text.extend(format!("\"{name}\": [").bytes());
    for (at, item) in items.enumerate() {
        text.extend(if at == 0 { &b"\n  "[..] } else { b",\n  " });
        text.extend(json::encode(&item));
    }
    text.extend(b"]");
}
