//! What a person who carries images needs beside them: packing lists, receipts, and notes on the parts of a split archive.
//!
//! | document | where it stands | what it says |
//! |---|---|---|
//! | [`PackingList`] | `bundle.json` in an archive, behind `manifest.json` | which images the archive brings, and what of them it leaves out because the other side has it |
//! | [`Receipt`] | a file that somebody carries back | what is really there at the other side |
//! | [`PartNote`] | `NAME.tar.part-001.json` beside each part | what the part is of, its digest, and which content lies in it |
//!
//! All three are read strictly, and may get further fields: what is not known is ignored. A loader that knows none of them
//! takes the archive all the same.

mod list;
mod media;
mod part;
mod receipt;
#[cfg(test)]
mod tests;

pub use self::list::{Base, CoveredFile, OTHER_PARTS, PackedContent, PackedImage, PackedReferrer, PackingList, Split};
pub use self::media::{Medium, UnknownMedium, parse_part_size};
pub use self::part::{Mode, PartNames, PartNote, Piece, Section};
pub use self::receipt::{Receipt, Received, ReceivedImage};

use crate::digest::Digest;
use crate::json::{JsonError, View};

/// The name of a packing list in an archive.
pub const BUNDLE_JSON: &str = "bundle.json";
/// The name of the signature of a packing list, behind it in the archive.
pub const BUNDLE_SIGNATURE: &str = "bundle.json.sig";
/// What the name of the file with the signature of a receipt has behind that of the receipt.
pub const SIGNATURE_SUFFIX: &str = ".sig";
/// The largest packing list, receipt or note that is read, in bytes: as large as `index.json` may be.
pub const LARGEST_LIST: u64 = crate::document::LARGEST_INDEX_JSON;

/// Checks what a document says it is.
fn expect_schema(view: &View<'_>, schema: &str) -> Result<(), JsonError> {
    let said = view.need("schema", schema)?;
    if said.text()? == schema { Ok(()) } else { Err(said.wrong(schema)) }
}

fn read_digest(view: &View<'_>) -> Result<Digest, JsonError> {
    let said = view.need("digest", "a digest")?;
    said.text()?.parse().map_err(|_| said.wrong("sha256:<64 hex digits> or sha512:<128 hex digits>"))
}

fn read_count(view: &View<'_>, name: &str) -> Result<u64, JsonError> {
    view.need(name, "a count")?.count()
}
