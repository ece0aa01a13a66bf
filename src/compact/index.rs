//! `compact.json`: which layers are made again, and what there is to make them of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{LARGEST_FRAME, LARGEST_PIECE};
use crate::content::{Content, Kind};
use crate::digest::Digest;
use crate::json::{self, Items, JsonError, View};
use crate::regzip::Way;

const SCHEMA: &str = "barge/compact/v1";
const NAME: &str = "compact.json";
const LISTS: [&str; 3] = ["bases", "pieces", "layers"];

/// What `compact.json` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactIndex {
    /// The version of barge that wrote it.
    pub barge: String,
    /// Layers that are elsewhere and are needed.
    pub bases: Vec<BaseLayer>,
    /// What lies in the archive, each piece a blob; those with content of files in the order of the space that they are.
    pub pieces: Vec<Piece>,
    /// The layers that are made again.
    pub layers: Vec<CompactLayer>,
}

/// A layer that is not in the archive, and of which bytes are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseLayer {
    /// Its digest, as it is packed.
    pub digest: Digest,
    /// Its size in bytes, as it is packed.
    pub size: u64,
    /// The digest of what it unpacks to.
    pub diff_id: Digest,
    /// How many bytes it unpacks to.
    pub plain: u64,
    /// An image that has it, for messages.
    pub image: Option<String>,
}

impl BaseLayer {
    /// Returns it as content.
    #[must_use]
    pub const fn content(&self) -> Content {
        Content { digest: self.digest, size: self.size, kind: Kind::Blob }
    }

    /// Returns what it is called for people: the image that has it, or its digest where nobody wrote that down.
    #[must_use]
    pub fn called(&self) -> String {
        self.image.clone().unwrap_or_else(|| self.digest.to_string())
    }
}

/// A blob of the archive that is not an image's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes: at most [`LARGEST_PIECE`].
    pub size: u64,
    /// Of a pool, how many bytes it unpacks to: at most [`LARGEST_FRAME`]. None: it is a pack.
    pub pool: Option<u64>,
}

/// A zstd frame in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The number of the piece.
    pub piece: u32,
    /// Where in the piece it begins.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
    /// How many bytes it unpacks to: at most [`LARGEST_FRAME`].
    pub plain: u64,
}

/// A layer that is made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactLayer {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its plain bytes: what image-spec calls its DiffID.
    pub diff_id: Digest,
    /// How many plain bytes it has.
    pub plain: u64,
    /// What packs it.
    pub packer: Packer,
    /// The frames that together hold its recipe.
    pub recipe: Vec<Frame>,
    /// The frames that together hold what the packer needs. None for one that needs nothing.
    pub guide: Vec<Frame>,
    /// The frames that together hold its [echoes](super::Echoes), which nobody needs.
    pub echoes: Vec<Frame>,
}

impl CompactLayer {
    /// Returns it as content.
    #[must_use]
    pub const fn content(&self) -> Content {
        Content { digest: self.digest, size: self.size, kind: Kind::Blob }
    }
}

/// What made a layer of its plain bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packer {
    /// Nothing: they are the layer.
    None,
    /// A program that writes gzip.
    Gzip {
        /// Which, and how it was told to.
        way: Way,
        /// What stands before deflate.
        header: Vec<u8>,
        /// What stands behind it.
        trailer: Vec<u8>,
    },
}

impl CompactIndex {
    /// Reads an index.
    ///
    /// # Errors
    /// When it is no strict JSON, of another version, or a field that is known has another form; when a number or a sum is larger
    /// than it may be, a layer is there twice, or a frame does not lie in a pack.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let (mut bases, mut pieces, mut layers) = (Items::default(), Items::default(), Items::default());
        let value = json::parse_lists(bytes, NAME, &LISTS, &mut |list, item| match list {
            0 => bases.take(|| base(item)),
            1 => pieces.take(|| piece(item)),
            _ => layers.take(|| layer(item)),
        })?;
        let view = View::top(&value, NAME);
        let said = view.need("schema", SCHEMA)?;
        if said.text()? != SCHEMA {
            return Err(said.wrong(&format!("{SCHEMA}, which is what this version of barge reads")));
        }
        LISTS.into_iter().try_for_each(|list| view.list_at(list).map(drop))?;
        let barge = view.text_at("barge")?.unwrap_or_default().to_owned();
        let index = Self { barge, bases: bases.all()?, pieces: pieces.all()?, layers: layers.all()? };
        index.check().map_err(|(got, expected)| JsonError::Field { path: NAME.to_owned(), got, expected })?;
        Ok(index)
    }

    /// Checks what no single field shows: got, expected.
    fn check(&self) -> Result<(), (String, String)> {
        let fail = |got: String, expected: &str| Err((got, expected.to_owned()));
        // two pools may well be equal, where content is monotonous
        let mut seen: std::collections::HashSet<Digest> = self.pieces.iter().map(|piece| piece.digest).collect();
        for digest in self.layers.iter().map(|layer| layer.digest) {
            if !seen.insert(digest) {
                return fail(format!("{digest} twice"), "each layer once, and no piece");
            }
        }
        for layer in &self.layers {
            for frame in layer.recipe.iter().chain(&layer.guide).chain(&layer.echoes) {
                if !self.holds(frame) {
                    return fail(format!("a frame of {} outside of the packs", layer.digest), "frames in packs");
                }
            }
        }
        Ok(())
    }

    /// Whether a frame lies in a pack.
    #[must_use]
    pub fn holds(&self, frame: &Frame) -> bool {
        let piece = self.pieces.get(frame.piece as usize).filter(|piece| piece.pool.is_none());
        let end = frame.offset.checked_add(frame.length);
        piece.zip(end).is_some_and(|(piece, end)| end <= piece.size && frame.length > 0)
    }

    /// Returns its bytes: one line for each base, piece and layer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = b"{".to_vec();
        for (name, value) in [("schema", json!(SCHEMA)), ("barge", json!(self.barge))] {
            text.extend(format!("\"{name}\": ").bytes());
            text.extend(json::encode(&value));
            text.extend(b",\n ");
        }
        let lists = [
            self.bases.iter().map(base_value).collect::<Vec<_>>(),
            self.pieces.iter().map(piece_value).collect(),
            self.layers.iter().map(layer_value).collect(),
        ];
        for (at, (name, items)) in LISTS.iter().zip(lists).enumerate() {
            text.extend(if at == 0 { &b""[..] } else { b",\n " });
            text.extend(format!("\"{name}\": [").bytes());
            for (at, item) in items.iter().enumerate() {
                text.extend(if at == 0 { &b"\n  "[..] } else { b",\n  " });
                text.extend(json::encode(item));
            }
            text.extend(b"]");
        }
        text.extend(b"}\n");
        text
    }
}

fn base_value(base: &BaseLayer) -> Value {
    let mut value = json!({
        "digest": base.digest.to_string(), "size": base.size, "diffId": base.diff_id.to_string(), "plain": base.plain,
    });
    if let Some(image) = &base.image {
        value["image"] = json!(image);
    }
    value
}

fn piece_value(piece: &Piece) -> Value {
    let mut value = json!({"digest": piece.digest.to_string(), "size": piece.size});
    if let Some(plain) = piece.pool {
        value["pool"] = json!(plain);
    }
    value
}

fn layer_value(layer: &CompactLayer) -> Value {
    let frames = |frames: &[Frame]| {
        let frame = |frame: &Frame| json!([frame.piece, frame.offset, frame.length, frame.plain]);
        Value::Array(frames.iter().map(frame).collect())
    };
    let mut value = json!({
        "digest": layer.digest.to_string(), "size": layer.size, "diffId": layer.diff_id.to_string(), "plain": layer.plain,
        "recipe": frames(&layer.recipe),
    });
    if let Packer::Gzip { way, header, trailer } = &layer.packer {
        value["packer"] = json!({
            "name": way.name(), "level": way.level(), "header": BASE64.encode(header), "trailer": BASE64.encode(trailer),
        });
        if let Some(block) = way.block() {
            value["packer"]["block"] = json!(block);
        }
        value["guide"] = frames(&layer.guide);
    }
    if !layer.echoes.is_empty() {
        value["echoes"] = frames(&layer.echoes);
    }
    value
}

fn base(view: &View<'_>) -> Result<BaseLayer, JsonError> {
    Ok(BaseLayer {
        digest: digest(view, "digest")?,
        size: view.need("size", "a count")?.count()?,
        diff_id: digest(view, "diffId")?,
        plain: view.need("plain", "a count")?.count()?,
        image: view.text_at("image")?.map(str::to_owned),
    })
}

fn piece(view: &View<'_>) -> Result<Piece, JsonError> {
    let pool = view.get("pool")?.map(|said| at_most(&said, LARGEST_FRAME)).transpose()?;
    Ok(Piece { digest: digest(view, "digest")?, size: at_most(&view.need("size", "a count")?, LARGEST_PIECE)?, pool })
}

fn layer(view: &View<'_>) -> Result<CompactLayer, JsonError> {
    let packer = match view.get("packer")? {
        None => Packer::None,
        Some(said) => packer(&said)?,
    };
    let frames = |name: &str| view.list_at(name)?.iter().map(frame).collect::<Result<Vec<_>, _>>();
    Ok(CompactLayer {
        digest: digest(view, "digest")?,
        size: view.need("size", "a count")?.count()?,
        diff_id: digest(view, "diffId")?,
        plain: view.need("plain", "a count")?.count()?,
        packer,
        recipe: frames("recipe")?,
        guide: frames("guide")?,
        echoes: frames("echoes")?,
    })
}

fn packer(view: &View<'_>) -> Result<Packer, JsonError> {
    let known = Way::NAMES.join(", ");
    let name = view.need("name", &known)?;
    if !Way::NAMES.contains(&name.text()?) {
        return Err(name.wrong(&format!("one of {known}, which is what this version of barge can make again")));
    }
    let said = view.need("level", "a level")?;
    let block = view.get("block")?.map(|said| at_most(&said, LARGEST_FRAME)).transpose()?;
    let block = block.and_then(|block| u32::try_from(block).ok());
    let level = said.value().as_i64().and_then(|number| i8::try_from(number).ok());
    let way = level.and_then(|level| Way::of(name.text().ok()?, level, block));
    let way = way.ok_or_else(|| said.wrong("a level of that packer, and blocks as it makes them"))?;
    let bytes = |name: &str| {
        let said = view.need(name, "base64")?;
        BASE64.decode(said.text()?).map_err(|_| said.wrong("base64"))
    };
    Ok(Packer::Gzip { way, header: bytes("header")?, trailer: bytes("trailer")? })
}

fn frame(view: &View<'_>) -> Result<Frame, JsonError> {
    let expected = "[piece, offset, length, plain]";
    let [piece, offset, length, plain] = &*view.list()? else { return Err(view.wrong(expected)) };
    let number = u32::try_from(piece.count()?).map_err(|_| piece.wrong("the number of a piece"))?;
    let plain = at_most(plain, LARGEST_FRAME)?;
    Ok(Frame { piece: number, offset: offset.count()?, length: length.count()?, plain })
}

fn at_most(view: &View<'_>, most: u64) -> Result<u64, JsonError> {
    match view.count()? {
        count if (1..=most).contains(&count) => Ok(count),
        _ => Err(view.wrong(&format!("1 to {most}"))),
    }
}

fn digest(view: &View<'_>, name: &str) -> Result<Digest, JsonError> {
    let said = view.need(name, "a digest")?;
    said.text()?.parse().map_err(|_| said.wrong("sha256:<64 hex digits> or sha512:<128 hex digits>"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regzip::Headers;

    fn example() -> CompactIndex {
        let of = |text: &str| Digest::of(text.as_bytes());
        let frame = Frame { piece: 1, offset: 5, length: 7, plain: 100 };
        let layer = CompactLayer {
            digest: of("layer"),
            size: 5000,
            diff_id: of("plain"),
            plain: 10_240,
            packer: Packer::Gzip {
                way: Way::Klauspost { level: 5, headers: Headers::Full, block: Some(1 << 20) },
                header: b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec(),
                trailer: vec![1; 8],
            },
            recipe: vec![frame],
            guide: vec![Frame { offset: 0, length: 5, plain: 1, ..frame }],
            echoes: vec![Frame { offset: 1, length: 4, plain: 2, ..frame }],
        };
        let tar =
            CompactLayer { digest: of("tar"), packer: Packer::None, guide: vec![], echoes: vec![], ..layer.clone() };
        CompactIndex {
            barge: "0.1.0".to_owned(),
            bases: vec![BaseLayer {
                digest: of("base"),
                size: 4000,
                diff_id: of("base, plain"),
                plain: 9000,
                image: Some("app:v1".to_owned()),
            }],
            pieces: vec![
                Piece { digest: of("pool"), size: 700, pool: Some(LARGEST_FRAME) },
                Piece { digest: of("pack"), size: 12, pool: None },
            ],
            layers: vec![layer, tar],
        }
    }

    #[test]
    fn an_index_comes_back() {
        for index in [example(), CompactIndex::default()] {
            assert_eq!(CompactIndex::parse(&index.encode()).unwrap(), index);
        }
    }

    #[test]
    fn what_is_not_so_is_refused_by_name() {
        let text = String::from_utf8(example().encode()).unwrap();
        let [tar, layer, pool] = ["tar", "layer", "pool"].map(|text| Digest::of(text.as_bytes()).to_string());
        for (from, to, said) in [
            ("compact/v1", "compact/v2", "barge/compact/v1, which is what this version of barge reads"),
            ("\"klauspost1.15\"", "\"go1.99\"", "klauspost1.18.1, which is what this version of barge can make again"),
            ("\"level\":5", "\"level\":10", "a level of that packer"),
            ("\"block\":1048576", "\"block\":10485760", "1 to 8388608"),
            ("\"pool\":8388608", "\"pool\":8388609", "1 to 8388608"),
            ("\"size\":700", "\"size\":9000000", "1 to 8454144"),
            ("[1,5,7,100]", "[1,6,7,100]", "frames in packs"),
            ("[1,5,7,100]", "[0,5,7,100]", "frames in packs"),
            ("[1,5,7,100]", "[2,5,7,100]", "frames in packs"),
            ("[1,1,4,2]", "[1,1,40,2]", "frames in packs"),
            ("[1,5,7,100]", "[1,5,7]", "[piece, offset, length, plain]"),
            (&*tar, &*layer, "each layer once, and no piece"),
            (&*tar, &*pool, "each layer once, and no piece"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let error = CompactIndex::parse(changed.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{from} -> {to}: {error}");
        }
    }
}
