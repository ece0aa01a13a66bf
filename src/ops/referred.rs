//! What of a place is in use: everything that the names reach, and everything that is mentioned on the way.
//!
//! Whoever removes content asks this first, so it errs on the side of keeping. Documents, configs and content of unknown
//! types are searched for digests as text, in whatever form: `sha256:HEX`, a tag `sha256-HEX.sig`, in-toto's
//! `"sha256":"HEX"`. What is mentioned is in use, and is searched in turn. The first thing that cannot be read is an error:
//! what it may refer to is not known.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;

use super::Error;
use crate::content::{Content, Descriptor, Kind};
use crate::digest::Digest;
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
    /// What lies there, with its size in bytes; sorted.
    pub(super) blobs: &'a [(Digest, u64)],
    /// The places among that of what somebody may have written just now, for a name to come: what it mentions is in use, it itself need
    /// not be.
    pub(super) recent: &'a [usize],
}

/// What of a place is in use.
#[derive(Debug)]
pub(super) struct InUse {
    /// Of what lies there, in its order.
    pub(super) blobs: Vec<bool>,
    /// The documents that say what they belong to, and what that is.
    pub(super) subjects: HashMap<Digest, Digest>,
}

/// Finds everything that lies in a place and is in use.
///
/// # Errors
/// When a document that is in use is missing, or something that is in use and may mention other content cannot be read.
pub(super) fn referred_to(place: &Searched<'_>) -> Result<InUse, Error> {
    let mut search = Search::of(place.blobs);
    search.mentions(place.index);
    if place.index.contains(&b'\\') {
        // the whole may be too long to be read without its escapes
        place.roots.iter().for_each(|root| search.mentions(root.to_value().to_string().as_bytes()));
    }
    let mut subjects = HashMap::new();
    let reach = graph::reach(place.source, place.roots, &mut |descriptor, document| {
        search.enter(descriptor.digest());
        subjects.extend(document.subject().map(|subject| (*descriptor.digest(), *subject.digest())));
        search.mentions(document.raw());
    });
    // a layer to be fetched from elsewhere need not be here
    let reach = graph::without_foreign(place.source, reach).0.whole()?;
    let mut used = vec![false; place.blobs.len()];
    for node in &reach.nodes {
        search.position(&node.content.digest).into_iter().for_each(|at| used[at] = true);
    }
    for node in reach.nodes.iter().filter(|node| !node.media_type().is_document()) {
        let is_layer = matches!(node.media_type().role(), Role::Layer(_));
        if search.enter(&node.content.digest) && (!is_layer || may_be_text(place.source, &node.content)) {
            search.read(place.source, &node.content)?;
        }
    }
    drop(reach);
    for &at in place.recent {
        if search.done[at] {
            continue;
        }
        let content = search.content(at);
        if may_be_text(place.source, &content) {
            match search.read(place.source, &content) {
                // what is wrong gets no name
                Ok(()) | Err(StoreError::Wrong { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    // what is only mentioned need not be there, nor be whole
    while let Some(at) = search.found.pop() {
        used[at] = true;
        if search.enter(&place.blobs[at].0) {
            search.read(place.source, &search.content(at))?;
        }
    }
    Ok(InUse { blobs: used, subjects })
}

/// Returns whether content begins as JSON does: a tar or a packed layer need not be read. What cannot be opened is a layer
/// that is missing or damaged; that is not for here to tell.
fn may_be_text(source: &dyn Source, content: &Content) -> bool {
    let mut first = [0];
    let read = source.open(content).map(|mut reader| reader.read(&mut first));
    matches!(read, Ok(Ok(1))) && matches!(first[0], b'{' | b'[' | b' ' | b'\n' | b'\r' | b'\t' | 0xef)
}

struct Search<'a> {
    /// What lies in the place; sorted.
    known: &'a [(Digest, u64)],
    /// Whether it has been searched, or need not be.
    done: Vec<bool>,
    /// The same of what does not lie there.
    absent: HashSet<Digest>,
    /// Whether it was mentioned.
    mentioned: Vec<bool>,
    /// Where that stands that was mentioned and has not been searched yet.
    found: Vec<usize>,
}

impl<'a> Search<'a> {
    fn of(known: &'a [(Digest, u64)]) -> Self {
        let none = vec![false; known.len()];
        Self { known, done: none.clone(), absent: HashSet::new(), mentioned: none, found: Vec::new() }
    }

    fn position(&self, digest: &Digest) -> Option<usize> {
        self.known.binary_search_by(|(known, _)| known.cmp(digest)).ok()
    }

    fn content(&self, at: usize) -> Content {
        let (digest, size) = self.known[at];
        Content { digest, size, kind: Kind::Blob }
    }

    /// Notes that something is searched; returns whether it was not before.
    fn enter(&mut self, digest: &Digest) -> bool {
        match self.position(digest) {
            Some(at) => !std::mem::replace(&mut self.done[at], true),
            None => self.absent.insert(*digest),
        }
    }

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
            if let Some(at) = Digest::of_hex(run).and_then(|digest| self.position(&digest))
                && !std::mem::replace(&mut self.mentioned[at], true)
            {
                self.found.push(at);
            }
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
            let known = [(digest, 1)];
            let mut search = Search::of(&known);
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
