//! Lists of images: which a text file, manifests of Kubernetes, or a `barge.yaml` name, and where they stand there.
//!
//! [`ImageList::add`] reads one file after the other, and keeps each image once, in the order of first sight, with every
//! place that names it. What a file is, its content says: a document of YAML or JSON, or else references, one a line.
//!
//! Nothing here touches the disk. The input is hostile: sizes, counts, depths and aliases are limited.

mod chosen;
mod fault;
mod lines;
mod manifest;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

pub use fault::ListError;

use crate::reference::{ImageName, Word, parse_word};
use crate::text::{escaped, quoted};
use crate::yaml::{self, Fault, Node, Value};

/// The largest file, in bytes.
pub const LARGEST_FILE: usize = crate::yaml::LARGEST_FILE;

/// Where a list names an image. It prints as `FILE:LINE`, safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, safe to show.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An image of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// As it was written where it was seen first.
    pub text: String,
    /// Its name, with a tag or a digest, when that is what was written; else it is a word as on the command line.
    pub name: Option<ImageName>,
    /// Every place that lists it, in order; never empty.
    pub origins: Vec<Origin>,
}

impl fmt::Display for Listed {
    /// Prints `TEXT (FILE:LINE and N more)`, safe to show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escaped(&self.text))?;
        let Some((first, more)) = self.origins.split_first() else { return Ok(()) };
        match more.len() {
            0 => write!(f, " ({first})"),
            more => write!(f, " ({first} and {more} more)"),
        }
    }
}

/// What a file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever lists images: the user named this very file.
    Anything,
    /// A manifest, or something that has nothing to do with images: it lies beside manifests.
    Manifests,
}

/// Images from any number of files.
#[derive(Clone, Debug, Default)]
pub struct ImageList {
    images: Vec<Listed>,
    numbers: HashMap<String, usize>,
    unknown: Vec<String>,
}

impl ImageList {
    /// Adds what a file lists, and returns whether it is a list: with [`Expected::Anything`] always.
    ///
    /// # Errors
    /// When it is not text, larger than 8 MiB, not well formed, no list, a template, or names what is no image.
    pub fn add(&mut self, file: &str, bytes: &[u8], expected: Expected) -> Result<bool, ListError> {
        let label: Arc<str> = escaped(file).into();
        self.read(&label, bytes, expected).map_err(|fault| ListError::of(fault, &label))
    }

    fn read(&mut self, file: &Arc<str>, bytes: &[u8], expected: Expected) -> Result<bool, Fault> {
        if bytes.len() > LARGEST_FILE {
            return Err(Fault::new("it is larger than 8 MiB"));
        }
        let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
        let text = text.ok_or_else(|| Fault::new("it is not text in UTF-8").hint(fault::WHAT_IS_READ))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if expected == Expected::Anything && !lines::is_document(text) {
            for (line, column, word) in lines::words(text) {
                self.keep_word(file, line, column, word);
            }
            return Ok(true);
        }
        let mut any = expected == Expected::Anything;
        for document in yaml::documents(text)? {
            any |= self.read_document(file, &document, expected)?;
        }
        Ok(any)
    }

    fn read_document(&mut self, file: &Arc<str>, document: &Node, expected: Expected) -> Result<bool, Fault> {
        if manifest::is_manifest(document) {
            let found = manifest::images(document)?;
            for (node, text) in found.images {
                let (line, column) = node.position();
                let name = manifest::name_of(node, text)?;
                self.keep(Origin { file: Arc::clone(file), line, column }, text, Some(name));
            }
            for kind in found.unknown {
                self.say_unknown(kind);
            }
            return Ok(true);
        }
        if expected == Expected::Manifests {
            if manifest::names_images(document) || document.get("images").is_some() {
                self.say_unknown(format!("{file} (no manifest of Kubernetes)"));
            }
            return Ok(false);
        }
        if matches!(document.value, Value::Null) {
            return Ok(true);
        }
        for (node, text) in chosen::images(document)? {
            let (line, column) = node.position();
            self.keep_word(file, line, column, text);
        }
        Ok(true)
    }

    /// Keeps a word, which names an image by docker's grammar or means whatever it means on the command line.
    fn keep_word(&mut self, file: &Arc<str>, line: usize, column: usize, word: &str) {
        // what no word can be is for those to say who want to use it
        let name = match parse_word(word) {
            Ok(Word::Bare { .. }) => ImageName::parse(word).ok().map(ImageName::with_default_tag),
            _ => None,
        };
        self.keep(Origin { file: Arc::clone(file), line, column }, word, name);
    }

    fn keep(&mut self, origin: Origin, text: &str, name: Option<ImageName>) {
        let key = name.as_ref().map_or_else(|| text.to_owned(), ToString::to_string);
        let next = self.images.len();
        let at = *self.numbers.entry(key).or_insert(next);
        if at == next {
            self.images.push(Listed { text: text.to_owned(), name, origins: Vec::new() });
        }
        self.images[at].origins.push(origin);
    }

    fn say_unknown(&mut self, what: String) {
        if !self.unknown.contains(&what) {
            self.unknown.push(what);
        }
    }

    /// Returns the images, each once, in the order of first sight.
    #[must_use]
    pub fn images(&self) -> &[Listed] {
        &self.images
    }

    /// Returns what seems to name images and is of no known kind, in sentences, each once.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.unknown.iter().map(|what| format!("{what} is not known: its images are not looked for")).collect()
    }
}

/// Says that text is no image, and why.
fn no_image(node: &Node, error: &crate::reference::ReferenceError, text: &str) -> Fault {
    let fault = Fault::new(error.to_string()).at(node.position());
    match error.hint() {
        Some(hint) => fault.hint(hint),
        None if text.contains('$') => {
            fault.hint(format!("variables are not filled in: write the image itself, not {}", quoted(text)))
        }
        None => fault,
    }
}
