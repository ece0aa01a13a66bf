//! `bundle.json`: the packing list of an archive.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{expect_schema, read_count, read_digest};
use crate::digest::Digest;
use crate::json::{self, Items, JsonError, View};

const SCHEMA: &str = "barge/bundle/v1";
const NAME: &str = "the packing list";
/// What may be long.
const LISTS: [&str; 2] = ["images", "contents"];

/// What a part that is an archive by itself calls the others of its set, where it leans on them as on a base.
pub const OTHER_PARTS: &str = "the other parts";

/// What an archive brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackingList {
    /// The version of barge that wrote it.
    pub barge: String,
    /// The images, in the order of `index.json`: one entry for each name.
    pub images: Vec<PackedImage>,
    /// Everything that the images and what belongs to them consist of, once, sorted by digest; also what was left out.
    pub contents: Vec<PackedContent>,
    /// What the archive builds on: the content that is not here is there. Empty for an archive that is whole.
    pub bases: Vec<Base>,
    /// The files at the front of the archive that say what it is, by their digests: whoever trusts this list trusts them.
    pub files: Vec<CoveredFile>,
    /// How it is split over several files.
    pub split: Option<Split>,
}

/// An image of a packing list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedImage {
    /// Its name.
    pub name: Option<String>,
    /// The digest of its index or manifest.
    pub digest: Digest,
    /// The media type of that.
    pub media_type: String,
    /// The bytes of all its content, what was left out among it.
    pub size: u64,
    /// The platforms it is for, as `os/arch[/variant]`.
    pub platforms: Vec<String>,
    /// What belongs to it without being part of it, and comes along.
    pub referrers: Vec<PackedReferrer>,
}

/// A signature, an SBOM or another referrer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedReferrer {
    /// The digest of its manifest.
    pub digest: Digest,
    /// What it is, as its manifest says; none when that says nothing.
    pub artifact_type: Option<String>,
}

/// A piece of content of a packing list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedContent {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it is in the archive; else it is in what the archive builds on.
    pub here: bool,
    /// The repositories that have it, as `HOST/PATH`, as far as what the archive builds on is a registry.
    pub repositories: Vec<String>,
}

/// Something that an archive builds on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// What it was called when the archive was written, as it was typed there.
    pub place: String,
    /// The digest of the receipt or packing list that said what is there; none when the place itself was looked at.
    pub list: Option<Digest>,
}

/// A file at the front of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoveredFile {
    /// Its name, such as `index.json`.
    pub name: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// How an archive is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// The largest size of a part in bytes.
    pub size: u64,
    /// How many parts there are.
    pub parts: u64,
    /// Which of them this is, from 1 on, when every part is an archive by itself; none when the parts are pieces of one.
    pub part: Option<u64>,
}

impl PackingList {
    /// Returns whether something that its images need was left out.
    #[must_use]
    pub fn is_delta(&self) -> bool {
        self.contents.iter().any(|content| !content.here)
    }

    /// Returns what was left out.
    pub fn left_out(&self) -> impl Iterator<Item = &PackedContent> {
        self.contents.iter().filter(|content| !content.here)
    }

    /// Returns what was left out by its digest, with its size in bytes.
    #[must_use]
    pub fn left_out_sizes(&self) -> HashMap<Digest, u64> {
        self.left_out().map(|content| (content.digest, content.size)).collect()
    }

    /// Returns which part of a set it is of, when every part is an archive by itself.
    #[must_use]
    pub fn part(&self) -> Option<u64> {
        self.split.and_then(|split| split.part)
    }

    /// Reads a packing list.
    ///
    /// # Errors
    /// When it is no strict JSON, or a field that is known has another form.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let (mut images, mut contents) = (Items::default(), Items::default());
        let value = json::parse_lists(bytes, NAME, &LISTS, &mut |list, item| match list {
            0 => images.take(|| PackedImage::read(item)),
            _ => contents.take(|| PackedContent::read(item)),
        })?;
        let view = View::top(&value, NAME);
        expect_schema(&view, SCHEMA)?;
        LISTS.into_iter().try_for_each(|list| view.list_at(list).map(drop))?;
        Ok(Self {
            barge: view.text_at("barge")?.unwrap_or_default().to_owned(),
            images: images.all()?,
            contents: contents.all()?,
            bases: view.list_at("bases")?.iter().map(Base::read).collect::<Result<_, _>>()?,
            files: view.list_at("files")?.iter().map(CoveredFile::read).collect::<Result<_, _>>()?,
            split: view.get("split")?.map(|split| Split::read(&split)).transpose()?,
        })
    }

    /// Returns its bytes: the same for the same list, on every machine.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = Map::new();
        fields.insert("schema".to_owned(), json!(SCHEMA));
        fields.insert("barge".to_owned(), json!(self.barge));
        if !self.bases.is_empty() {
            let bases: Vec<Value> = self.bases.iter().map(Base::to_value).collect();
            fields.insert("bases".to_owned(), json!(bases));
        }
        let file =
            |file: &CoveredFile| json!({"name": file.name, "digest": file.digest.to_string(), "size": file.size});
        fields.insert("files".to_owned(), json!(self.files.iter().map(file).collect::<Vec<_>>()));
        if let Some(split) = &self.split {
            let mut value = json!({"size": split.size, "parts": split.parts});
            if let Some(part) = split.part {
                value["part"] = json!(part);
            }
            fields.insert("split".to_owned(), value);
        }
        let mut images = self.images.iter().map(PackedImage::to_value);
        let mut contents = self.contents.iter().map(PackedContent::to_value);
        json::encode_lists(&fields, vec![("images", &mut images), ("contents", &mut contents)])
    }
}

impl PackedImage {
    fn read(view: &View<'_>) -> Result<Self, JsonError> {
        let platforms = view.list_at("platforms")?;
        let platforms = platforms.iter().map(|text| text.text().map(str::to_owned)).collect::<Result<_, _>>()?;
        let referrer = |one: &View<'_>| {
            let artifact_type = one.text_at("artifactType")?.map(str::to_owned);
            Ok(PackedReferrer { digest: read_digest(one)?, artifact_type })
        };
        Ok(Self {
            name: view.text_at("name")?.map(str::to_owned),
            digest: read_digest(view)?,
            media_type: view.need("mediaType", "a media type")?.text()?.to_owned(),
            size: read_count(view, "size")?,
            platforms,
            referrers: view.list_at("referrers")?.iter().map(referrer).collect::<Result<_, _>>()?,
        })
    }

    fn to_value(&self) -> Value {
        let referrer = |one: &PackedReferrer| {
            let mut value = json!({"digest": one.digest.to_string()});
            if let Some(artifact_type) = &one.artifact_type {
                value["artifactType"] = json!(artifact_type);
            }
            value
        };
        let referrers: Vec<Value> = self.referrers.iter().map(referrer).collect();
        let mut value = json!({"digest": self.digest.to_string(), "mediaType": self.media_type, "size": self.size,
            "platforms": self.platforms, "referrers": referrers});
        if let Some(name) = &self.name {
            value["name"] = json!(name);
        }
        value
    }
}

impl PackedContent {
    fn read(view: &View<'_>) -> Result<Self, JsonError> {
        let here = view.flag_at("here", true)?;
        let repositories = view.list_at("repositories")?;
        let repositories = repositories.iter().map(|text| text.text().map(str::to_owned)).collect::<Result<_, _>>()?;
        Ok(Self { digest: read_digest(view)?, size: read_count(view, "size")?, here, repositories })
    }

    fn to_value(&self) -> Value {
        let mut value = json!({"digest": self.digest.to_string(), "size": self.size});
        if !self.here {
            value["here"] = json!(false);
        }
        if !self.repositories.is_empty() {
            value["repositories"] = json!(self.repositories);
        }
        value
    }
}

impl Base {
    fn read(view: &View<'_>) -> Result<Self, JsonError> {
        let place = view.need("place", "a place")?.text()?.to_owned();
        let list = view.get("list")?.map(|list| list.text()?.parse().map_err(|_| list.wrong("a digest")));
        Ok(Self { place, list: list.transpose()? })
    }

    fn to_value(&self) -> Value {
        let mut value = json!({"place": self.place});
        if let Some(list) = &self.list {
            value["list"] = json!(list.to_string());
        }
        value
    }
}

impl CoveredFile {
    /// Describes a file by its bytes.
    #[must_use]
    pub fn of(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), digest: Digest::of(bytes), size: bytes.len() as u64 }
    }

    fn read(view: &View<'_>) -> Result<Self, JsonError> {
        let name = view.need("name", "a file name")?.text()?.to_owned();
        Ok(Self { name, digest: read_digest(view)?, size: read_count(view, "size")? })
    }
}

impl Split {
    fn read(view: &View<'_>) -> Result<Self, JsonError> {
        let part = view.get("part")?.map(|part| part.count()).transpose()?;
        Ok(Self { size: read_count(view, "size")?, parts: read_count(view, "parts")?, part })
    }
}
