//! `barge.lock`: the digests that the sources of a file had, one image after the other.
//!
//! It is YAML, written so that two of them can be compared line by line: the sources in the order of the file, their images by
//! place, name and digest, every text in quotes. The same digests give the same bytes.

use std::fmt::Write as _;
use std::sync::Arc;

use super::read::{document, items, text};
use super::{At, FileError};
use crate::digest::Digest;
use crate::error::Class;
use crate::text::{escaped, quoted};
use crate::yaml::{Fault, Node, refuse_other_keys};

/// The version of the form.
const VERSION: &str = "barge/lock/v1";
/// What stands at the beginning.
const HEAD: &str =
    "# Written by `barge lock`: what the sources gave then. `barge sync --locked` takes this and nothing else.\n";
/// What to do about a lock that was made for another file.
const DRIFTED: &str = "the file has changed since: run `barge lock` again, and look at what changes";
/// How many images of a source are read.
const MOST_IMAGES: usize = 100_000;

/// Digests of the sources of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// The sources.
    pub sources: Vec<LockedSource>,
}

/// What a source gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedSource {
    /// The source, as [`super::Source`] prints it.
    pub source: String,
    /// The images.
    pub images: Vec<LockedImage>,
}

/// An image of a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedImage {
    /// The layout or archive that it is in, as the pattern found it; none in a registry.
    pub place: Option<String>,
    /// Its name; none when it has none.
    pub name: Option<String>,
    /// Its digest.
    pub digest: Digest,
}

impl Lock {
    /// Returns the text of the file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = format!("{HEAD}schema: {VERSION}\nsources:\n");
        for source in &self.sources {
            let mut images = source.images.clone();
            images.sort();
            images.dedup();
            let _ = writeln!(out, "- source: {}\n  images:", in_quotes(&source.source));
            for image in images {
                let fields = [("in", image.place), ("name", image.name), ("digest", Some(image.digest.to_string()))];
                let fields = fields.into_iter().filter_map(|(key, value)| Some((key, value?)));
                for (number, (key, value)) in fields.enumerate() {
                    let lead = if number == 0 { "- " } else { "  " };
                    let _ = writeln!(out, "  {lead}{key}: {}", in_quotes(&value));
                }
            }
        }
        out
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it is no such file: with line and column.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, FileError> {
        let label: Arc<str> = escaped(file).into();
        Self::read(bytes).map_err(|fault| {
            let mut error = FileError::of(fault, &label);
            error.hint.get_or_insert_with(|| "make it again with `barge lock`".to_owned());
            error
        })
    }

    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let document = document(bytes)?;
        let schema = document.get("schema").map(|node| text(node, "schema")).transpose()?;
        if schema != Some(VERSION) {
            return Err(Fault::new(format!("it is no lock of a version that is known, which is {VERSION}"))
                .at(document.position()));
        }
        refuse_other_keys(&document, &["schema", "sources"])?;
        let sources = document.get("sources").map(|node| items(node, "sources")).transpose()?.unwrap_or_default();
        let mut read = Vec::new();
        for node in sources {
            refuse_other_keys(node, &["source", "images"])?;
            let listed = node.get("images").map(|images| images.items("images")).transpose()?.unwrap_or_default();
            if listed.len() > MOST_IMAGES {
                return Err(Fault::new(format!("it has more than {MOST_IMAGES} images")).at(node.position()));
            }
            let mut images = Vec::new();
            for image in listed {
                refuse_other_keys(image, &["in", "name", "digest"])?;
                let optional = |key| image.get(key).map(|node| text(node, key).map(str::to_owned)).transpose();
                let digest = needed(image, "digest")?;
                let digest = digest.parse().map_err(|_| Fault::new("this is no digest").at(image.position()))?;
                images.push(LockedImage { place: optional("in")?, name: optional("name")?, digest });
            }
            read.push(LockedSource { source: needed(node, "source")?, images });
        }
        Ok(Self { sources: read })
    }

    /// Adds what a source gave, beside what the same source gave in another entry.
    pub fn add(&mut self, source: &str, images: &[LockedImage]) {
        let at = self.sources.iter().position(|locked| locked.source == source).unwrap_or_else(|| {
            self.sources.push(LockedSource { source: source.to_owned(), images: Vec::new() });
            self.sources.len() - 1
        });
        let held = &mut self.sources[at].images;
        held.extend_from_slice(images);
        held.sort();
        held.dedup();
    }

    /// Returns what a source gave; none when it is not there.
    #[must_use]
    pub fn of(&self, source: &str) -> Option<&LockedSource> {
        self.sources.iter().find(|locked| locked.source == source)
    }
}

fn needed(node: &Node, key: &str) -> Result<String, Fault> {
    let absent = || Fault::new(format!("`{key}:` is absent")).at(node.position());
    text(node.get(key).ok_or_else(absent)?, key).map(str::to_owned)
}

impl FileError {
    /// Says that a source of a file has no digests in its lock.
    #[must_use]
    pub fn not_locked(at: &At, source: &str, lock: &str) -> Self {
        let message = format!("{} has no digests of {}", escaped(lock), quoted(source));
        Self { class: Class::Absent, ..Self::at(at, message, Some(DRIFTED.to_owned())) }
    }

    /// Says that a lock has digests of a source that is not in the file.
    #[must_use]
    pub fn not_wanted(lock: &str, source: &str) -> Self {
        let message = format!("it has digests of {}, which is not in the file", quoted(source));
        let (position, hint) = (None, Some(DRIFTED.to_owned()));
        Self { file: escaped(lock), position, message, hint, class: Class::Absent }
    }
}

/// Writes a text in double quotes (YAML 1.2.2, "Double-Quoted Style"): ASCII that can be seen, and escapes.
fn in_quotes(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            ' '..='~' => out.push(character),
            _ if u32::from(character) <= 0xffff => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => {
                let _ = write!(out, "\\U{:08x}", u32::from(character));
            }
        }
    }
    out.push('"');
    out
}
