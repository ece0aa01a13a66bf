//! What of a place is in use: everything that the names reach, and everything that is mentioned on the way.
//!
//! Whoever removes content asks this first, so it errs on the side of keeping. Documents, configs and content of unknown
//! types are searched for digests as text, in whatever form: `sha256:HEX`, a tag `sha256-HEX.sig`, in-toto's
//! `"sha256":"HEX"`. What is mentioned is in use, and is searched in turn. The first thing that cannot be read is an error:
//! what it may refer to is not known.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read as _;

use super::Error;
use crate::content::{Content, Descriptor, Kind};
use crate::digest::{Algorithm, Digest};
use crate::document::LARGEST_DOCUMENT;
use crate::graph;
use crate::json;
use crate::media::Role;
use crate::store::{Source, StoreError, read_small};

/// What is known of a place before it is searched.
pub(super) struct Searched<'a> {
    /// The place.
    pub(super) source: &'a dyn Source,
    /// Its names.
    pub(super) roots: &'a [Descriptor],
    /// Its `index.json`: fields of it that nobody knows may mention content too.
    pub(super) index: &'a [u8],
    /// What lies there, with its size in bytes.
    pub(super) blobs: &'a [(Digest, u64)],
    /// What somebody may have written just now, for a name to come: what it mentions is in use, it itself need not be.
    pub(super) recent: &'a [Digest],
}

/// Returns the digests of everything that is in use, there or not.
///
/// # Errors
/// When a document that is in use is missing, or something that is in use and may mention other content cannot be read.
pub(super) fn referred_to(place: &Searched<'_>) -> Result<HashSet<Digest>, Error> {
    let known: BTreeMap<String, Digest> = place.blobs.iter().map(|(digest, _)| (digest.hex(), *digest)).collect();
    let sizes: HashMap<Digest, u64> = place.blobs.iter().copied().collect();
    let mut search = Search { known, found: Vec::new() };
    search.mentions(place.index);
    for root in place.roots {
        search.mentions(root.to_value().to_string().as_bytes());
    }
    let mut done = HashSet::new();
    let reach = graph::reach(place.source, place.roots, &mut |descriptor, document| {
        done.insert(*descriptor.digest());
        search.mentions(document.raw());
    });
    // a layer to be fetched from elsewhere need not be here
    let reach = graph::without_foreign(place.source, reach).0.whole()?;
    for node in reach.nodes.iter().filter(|node| !node.media_type.is_document()) {
        let is_layer = matches!(node.media_type.role(), Role::Layer(_));
        if done.insert(node.content.digest) && (!is_layer || may_be_text(place.source, &node.content)) {
            search.read(place.source, &node.content)?;
        }
    }
    for digest in place.recent.iter().filter(|digest| !done.contains(*digest)) {
        let content = Content { digest: *digest, size: sizes.get(digest).copied().unwrap_or(0), kind: Kind::Blob };
        if may_be_text(place.source, &content) {
            match search.read(place.source, &content) {
                // what is wrong gets no name
                Ok(()) | Err(StoreError::Wrong { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let mut referred: HashSet<Digest> = reach.nodes.iter().map(|node| node.content.digest).collect();
    // what is only mentioned need not be there, nor be whole
    while let Some(digest) = search.found.pop() {
        referred.insert(digest);
        if let Some(size) = sizes.get(&digest)
            && done.insert(digest)
        {
            search.read(place.source, &Content { digest, size: *size, kind: Kind::Blob })?;
        }
    }
    Ok(referred)
}

/// Returns whether content begins as JSON does: a tar or a packed layer need not be read. What cannot be opened is a layer
/// that is missing or damaged; that is not for here to tell.
fn may_be_text(source: &dyn Source, content: &Content) -> bool {
    let mut first = [0];
    let read = source.open(content).map(|mut reader| reader.read(&mut first));
    matches!(read, Ok(Ok(1))) && matches!(first[0], b'{' | b'[' | b' ' | b'\n' | b'\r' | b'\t' | 0xef)
}

struct Search {
    /// What lies in the place, by its digits.
    known: BTreeMap<String, Digest>,
    /// What was mentioned, and has not been searched yet.
    found: Vec<Digest>,
}

impl Search {
    /// Searches small content; a large one is no text that names others.
    fn read(&mut self, source: &dyn Source, content: &Content) -> Result<(), StoreError> {
        if content.size > LARGEST_DOCUMENT {
            return Ok(());
        }
        match read_small(source, content) {
            Ok(raw) => self.mentions(&raw),
            Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Finds every digest in some bytes whose content lies here: as text, and as the text that JSON's escapes stand for.
    fn mentions(&mut self, raw: &[u8]) {
        self.digits(raw);
        if raw.contains(&b'\\')
            && let Ok(value) = json::parse(raw)
        {
            self.digits(&json::encode(&value));
        }
    }

    fn digits(&mut self, raw: &[u8]) {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        for run in raw.split(|byte| !is_digit(byte)) {
            let lengths = Algorithm::ALL.map(|algorithm| 2 * algorithm.length());
            let Some(text) = lengths.contains(&run.len()).then(|| std::str::from_utf8(run).ok()).flatten() else {
                continue;
            };
            self.found.extend(self.known.get(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_wherever_they_are_mentioned() {
        let digest = Digest::of(b"x");
        let hex = digest.hex();
        let found = |text: &str| {
            let mut search = Search { known: BTreeMap::from([(hex.clone(), digest)]), found: Vec::new() };
            search.mentions(text.as_bytes());
            !search.found.is_empty()
        };
        let escaped = hex.replacen(&hex[..1], &format!("\\u{:04x}", hex.as_bytes()[0]), 1);
        for text in [
            format!(r#"{{"a":[{{"b":"sha256:{hex}"}}]}}"#),
            format!(r#"{{"sha256":"{hex}"}}"#),
            format!("base: example.com/app@sha256:{hex}\n"),
            format!("sha256-{hex}.sig"),
            format!("blobs/sha256/{hex}"),
            format!(r#"["sha256:{escaped}"]"#),
            hex.clone(),
        ] {
            assert!(found(&text), "{text}");
        }
        for text in [&hex[1..], &format!("0{hex}"), &hex.to_uppercase(), "", &"0".repeat(64)] {
            assert!(!found(text), "{text}");
        }
    }
}
