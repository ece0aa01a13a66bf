//! The parts of a split archive: how their files are called, and the note beside each of them.
//!
//! For `x.tar` in pieces the files are `x.tar.001`, `x.tar.002` ...: `cat x.tar.0*` is the archive, so there is always a
//! leading zero, and nothing else is called so. In parts that are archives by themselves they are `x.001.tar` and so on.
//! Beside them stand the notes, `x.tar.part-001.json` ..., and at the end `x.tar.sha256` for `sha256sum -c`.

use serde_json::{Value, json};

use super::{expect_schema, read_count, read_digest};
use crate::digest::Digest;
use crate::json::{self, Items, JsonError, View};

const SCHEMA: &str = "barge/part/v1";

/// How an archive is split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The parts are pieces of one archive, cut wherever a medium is full.
    #[default]
    Stream,
    /// Every part is an archive by itself.
    Archive,
}

/// How the files of a set are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartNames {
    /// The name of the archive that is split, without a directory.
    pub archive: String,
    /// How it is split.
    pub mode: Mode,
    /// How many parts there are.
    pub parts: u64,
}

impl PartNames {
    /// The most parts of a set: it is for people to carry.
    pub const MOST: u64 = 9999;

    /// Returns the name of the file of a part, which counts from 1.
    #[must_use]
    pub fn part(&self, number: u64) -> String {
        let number = self.padded(number);
        match (self.mode, self.archive.strip_suffix(".tar")) {
            (Mode::Archive, Some(stem)) => format!("{stem}.{number}.tar"),
            _ => format!("{}.{number}", self.archive),
        }
    }

    /// Returns the name of the note beside a part.
    #[must_use]
    pub fn note(&self, number: u64) -> String {
        format!("{}.part-{}.json", self.archive, self.padded(number))
    }

    /// Returns the name of the file for `sha256sum -c`.
    #[must_use]
    pub fn sums(&self) -> String {
        format!("{}.sha256", self.archive)
    }

    /// Returns a number with at least one leading zero and at least three digits.
    fn padded(&self, number: u64) -> String {
        let width = (self.parts.to_string().len() + 1).max(3);
        format!("{number:0width$}")
    }

    /// Returns to which archive a file belongs by its name, as a piece or as an archive by itself, and its number; `None`
    /// for any other file.
    #[must_use]
    pub fn recognised(file: &str) -> Option<(String, Mode, u64)> {
        let number = |digits: &str| {
            let plain =
                digits.len() >= 3 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|number| plain && (1..=Self::MOST).contains(number))
        };
        if let Some((stem, digits)) = file.strip_suffix(".tar").and_then(|rest| rest.rsplit_once('.')) {
            return number(digits).map(|number| (format!("{stem}.tar"), Mode::Archive, number));
        }
        let (archive, digits) = file.rsplit_once('.')?;
        number(digits).filter(|_| !archive.is_empty()).map(|number| (archive.to_owned(), Mode::Stream, number))
    }
}

/// The note beside a part: enough to use the part without the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartNote {
    /// Which set it belongs to: equal for two runs that write the same bytes into parts of the same size.
    pub set: Digest,
    /// The name of the archive that is split, without a directory.
    pub archive: String,
    /// How it is split.
    pub mode: Mode,
    /// Which part this is, from 1 on.
    pub part: u64,
    /// How many parts there are.
    pub parts: u64,
    /// The size of the part in bytes.
    pub size: u64,
    /// The SHA-256 of the part.
    pub digest: Digest,
    /// Where in the archive the part begins, in bytes; 0 for a part that is an archive by itself.
    pub offset: u64,
    /// The length of the whole archive in bytes, or of the part that is one by itself.
    pub length: u64,
    /// Where the files stand that say what is in the archive, as far as they are in this part.
    pub front: Option<Section>,
    /// The content that lies in this part, wholly or to a part, in the order of the part.
    pub pieces: Vec<Piece>,
}

/// A section of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Where it begins in the part, in bytes.
    pub at: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// A piece of content, as far as it lies in a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The digest of the whole content.
    pub digest: Digest,
    /// The size of the whole content in bytes.
    pub size: u64,
    /// Where in the content the piece begins, in bytes.
    pub from: u64,
    /// Where in the part it lies.
    pub section: Section,
    /// Whether it is what layers of a compact archive are made of, and nothing that an image refers to.
    pub is_stock: bool,
}

impl Piece {
    /// Returns whether it is the whole content.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.from == 0 && self.section.length == self.size
    }

    /// Returns whether it waits beside the layout that it is loaded into: for the rest of its content, or because it never gets a name.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.is_stock || !self.is_whole()
    }
}

impl PartNote {
    /// Returns how the files of its set are called.
    #[must_use]
    pub fn names(&self) -> PartNames {
        PartNames { archive: self.archive.clone(), mode: self.mode, parts: self.parts }
    }

    /// Reads a note.
    ///
    /// # Errors
    /// When it is no strict JSON, a field has another form, or what it says cannot be: a piece outside its part or its
    /// content, a part outside its archive, a name that is a path.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let mut pieces = Items::default();
        let value =
            json::parse_lists(bytes, "the note", &["pieces"], &mut |_, item| pieces.take(|| Piece::read(item)))?;
        let view = View::top(&value, "the note");
        expect_schema(&view, SCHEMA)?;
        view.list_at("pieces")?;
        let set = view.need("set", "a digest")?;
        let archive = view.need("archive", "a file name")?;
        let is_name = |name: &str| !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
        let mode = view.need("mode", "stream or archive")?;
        let note = Self {
            set: set.text()?.parse().map_err(|_| set.wrong("a digest"))?,
            archive: Some(archive.text()?)
                .filter(|name| is_name(name))
                .ok_or_else(|| archive.wrong("a file name"))?
                .to_owned(),
            mode: match mode.text()? {
                "stream" => Mode::Stream,
                "archive" => Mode::Archive,
                _ => return Err(mode.wrong("stream or archive")),
            },
            part: read_count(&view, "part")?,
            parts: read_count(&view, "parts")?,
            size: read_count(&view, "size")?,
            digest: read_digest(&view)?,
            offset: read_count(&view, "offset")?,
            length: read_count(&view, "length")?,
            front: view.get("front")?.map(|front| Section::read(&front)).transpose()?,
            pieces: pieces.all()?,
        };
        note.check(&view)?;
        Ok(note)
    }

    fn check(&self, view: &View<'_>) -> Result<(), JsonError> {
        let wrong = |name: &str, expected: &str| Err(view.need(name, expected)?.wrong(expected));
        if self.parts == 0 || self.parts > PartNames::MOST {
            return wrong("parts", "a number from 1 to 9999");
        }
        if self.part == 0 || self.part > self.parts {
            return wrong("part", "a number from 1 to that of the parts");
        }
        // counts are below 2^63: no sum of two overflows
        if self.offset + self.size > self.length {
            return wrong("offset", "a part that lies in its archive");
        }
        let sections = self.front.iter().chain(self.pieces.iter().map(|piece| &piece.section));
        if sections.into_iter().any(|section| section.at + section.length > self.size) {
            return wrong("pieces", "pieces that lie in the part");
        }
        if self.pieces.iter().any(|piece| piece.from + piece.section.length > piece.size) {
            return wrong("pieces", "pieces that lie in their content");
        }
        Ok(())
    }

    /// Returns its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let section = |section: &Section| json!({"at": section.at, "length": section.length});
        let piece = |piece: &Piece| {
            let mut value = json!({"digest": piece.digest.to_string(), "size": piece.size, "from": piece.from,
                "at": piece.section.at, "length": piece.section.length});
            if piece.is_stock {
                value["stock"] = json!(true);
            }
            value
        };
        let mode = if self.mode == Mode::Stream { "stream" } else { "archive" };
        let pieces: Vec<Value> = self.pieces.iter().map(piece).collect();
        let mut value = json!({"schema": SCHEMA, "set": self.set.to_string(), "archive": self.archive, "mode": mode,
            "part": self.part, "parts": self.parts, "size": self.size, "digest": self.digest.to_string(),
            "offset": self.offset, "length": self.length, "pieces": pieces});
        if let Some(front) = &self.front {
            value["front"] = section(front);
        }
        let mut bytes = json::encode(&value);
        bytes.push(b'\n');
        bytes
    }
}

impl Section {
    fn read(view: &View<'_>) -> Result<Self, JsonError> {
        Ok(Self { at: read_count(view, "at")?, length: read_count(view, "length")? })
    }
}

impl Piece {
    fn read(view: &View<'_>) -> Result<Self, JsonError> {
        Ok(Self {
            digest: read_digest(view)?,
            size: read_count(view, "size")?,
            from: read_count(view, "from")?,
            section: Section::read(view)?,
            is_stock: view.flag_at("stock", false)?,
        })
    }
}
