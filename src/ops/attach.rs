//! `attach`: files become an artifact that belongs to an image, where the image is.
//!
//! image-spec v1.1.1, manifest.md, "Guidelines for Artifact Usage": a manifest with a type of artifact, the empty config, a layer
//! for each file, and the image as its subject. It says no time unless one is given, so the same files make the same bytes.

use std::collections::BTreeMap;
use std::io::Read;

use super::Error;
use super::artifact::{EMPTY, artifact, as_root};
use super::attached::{Attached, claims};
use super::choose::{choose_root, follow};
use super::draft::moment;
use super::lookup::select_one;
use super::target::{Made, Workbench};
use crate::blob::{CHUNK, Cancel, Making};
use crate::content::{CREATED, Content, Descriptor, Kind};
use crate::digest::Digest;
use crate::document::Document;
use crate::media::{MediaType, OCI_EMPTY};
use crate::plan::Plan;
use crate::platform::PlatformFilter;
use crate::reference::Selector;
use crate::store::{Source, StoreError, read_document};
use crate::text::quoted;

/// The annotation that says what a file is called (image-spec v1.1.1, annotations.md).
pub const TITLE: &str = "org.opencontainers.image.title";

/// What is to be attached.
#[derive(Clone, Debug)]
pub struct AttachOptions {
    /// The type of artifact.
    pub artifact_type: String,
    /// The media type of the files.
    pub media_type: MediaType,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// When it was made, in seconds since 1970; it is not said otherwise.
    pub created: Option<i64>,
}

/// A file.
pub struct Piece {
    /// What it is called, without a directory; standard input has no name.
    pub title: Option<String>,
    /// How messages call it.
    pub label: String,
    /// Its bytes.
    pub reader: Box<dyn Read>,
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Piece").field("label", &self.label).finish_non_exhaustive()
    }
}

/// An artifact that has been made and has not been named yet.
#[derive(Debug)]
pub struct Attaching<'a> {
    /// All content, and where it comes from.
    pub plan: Plan<'a>,
    /// Its manifest.
    pub document: Document,
    /// The digest of what it belongs to.
    pub subject: Digest,
    /// Whether the place has all of it already.
    pub is_there: bool,
}

impl AttachOptions {
    /// Checks what was asked for.
    ///
    /// # Errors
    /// When a type is none (RFC 6838, section 4.2), a file would be taken for a manifest, or the time cannot be written.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |what: &str, text: &str, reason: &str| {
            let message = format!("cannot use the {what} {}: {reason}", quoted(text));
            Err(Error::Usage { message, hint: Some("give one such as application/spdx+json".to_owned()) })
        };
        for (what, text) in [("type", self.artifact_type.as_str()), ("media type", self.media_type.as_str())] {
            if !is_media_type(text) {
                return wrong(what, text, "it is no media type");
            }
        }
        if self.artifact_type == OCI_EMPTY {
            return wrong("type", OCI_EMPTY, "it says that there is nothing");
        }
        if self.media_type.is_document() {
            return wrong("media type", self.media_type.as_str(), "it is for manifests");
        }
        self.created.map_or(Ok(()), |seconds| moment::written(seconds).map(drop))
    }
}

/// Returns whether text is a media type without parameters (RFC 6838, section 4.2).
fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        (1..=127).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.chars().all(|character| character.is_ascii_alphanumeric() || "!#$&-^_.+".contains(character))
    };
    text.split_once('/').is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
}

/// Finds what something is to be attached to: the image as it is named, or with platforms its manifest for one of them. By its
/// digest it may be an artifact itself.
///
/// # Errors
/// When it is not there, several are meant, or it cannot be read or is no manifest.
pub fn subject_of(
    source: &dyn Source,
    selector: Option<&Selector>,
    platforms: &PlatformFilter,
) -> Result<Descriptor, Error> {
    let root = match platforms {
        PlatformFilter::All => select_one(source, selector)?,
        PlatformFilter::Only(_) => choose_root(source, selector, platforms)?,
    };
    if !root.media_type().is_document() {
        let reason = format!("its media type is {}, which is no manifest's", root.media_type());
        return Err(StoreError::malformed(root.digest().to_string(), source.location(), reason).into());
    }
    if let PlatformFilter::Only(_) = platforms {
        return Ok(follow(source, root, platforms)?.descriptor);
    }
    read_document(source, &root)?;
    Ok(root)
}

/// Makes an artifact of some files that belongs to `subject`, which is in `source`.
///
/// # Errors
/// When the options cannot be used, two files have one name, or a file cannot be read or kept.
pub fn attach<'a>(
    source: &dyn Source,
    subject: &Descriptor,
    pieces: Vec<Piece>,
    options: &AttachOptions,
    bench: &Workbench<'_>,
    made: &'a Made,
    cancel: &Cancel,
) -> Result<Attaching<'a>, Error> {
    options.check()?;
    refuse_a_title_twice(&pieces)?;
    let mut plan = Plan::new();
    let mut layers = Vec::new();
    for piece in pieces {
        let Piece { title, label, mut reader } = piece;
        let (content, ()) = bench.make(Kind::Blob, |making| pass(&mut *reader, making, &label, cancel))?;
        plan.add(made, &content, label);
        let Content { digest, size, .. } = content;
        let mut layer = Descriptor::new(&options.media_type, digest, size);
        if let Some(title) = title {
            layer = layer.with_annotation(TITLE, &title);
        }
        layers.push(layer.to_value());
    }
    plan.add_bytes(EMPTY.to_vec(), Kind::Blob, "an empty config".to_owned());
    let mut annotations = options.annotations.clone();
    if let Some(seconds) = options.created {
        annotations.entry(CREATED.to_owned()).or_insert(moment::written(seconds)?);
    }
    let document = artifact(&options.artifact_type, subject, &layers, &annotations)?;
    let digest = *document.descriptor().digest();
    plan.add_made(&document, &format!("manifest of what is attached to {}", subject.digest().short()));
    let roots = source.roots()?;
    let is_same = |claim: &Attached| claim.subject == *subject.digest() && *claim.root.digest() == digest;
    let is_named = claims(source, &roots).iter().any(is_same);
    if !is_named {
        plan.add_root(as_root(&document, subject.digest(), &options.artifact_type));
    }
    // what is damaged is mended by attaching it again
    let is_whole = |content: &Content| source.open(content).is_ok_and(|reader| reader.check().is_ok());
    let is_there = is_named && plan.inventory().contents.iter().all(is_whole);
    Ok(Attaching { plan, document, subject: *subject.digest(), is_there })
}

/// Copies a file, however large.
fn pass(reader: &mut dyn Read, making: &mut Making<'_>, label: &str, cancel: &Cancel) -> Result<(), Error> {
    use std::io::Write as _;
    let mut buffer = vec![0; CHUNK];
    loop {
        if cancel.is_cancelled() {
            return Err(StoreError::Cancelled.into());
        }
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(StoreError::io("read", label)(error).into()),
        };
        let path = making.path().to_owned();
        making.write_all(&buffer[..count]).map_err(StoreError::io("write", path))?;
    }
}

/// Refuses two files of one name: whoever gets them out would have one of them.
fn refuse_a_title_twice(pieces: &[Piece]) -> Result<(), Error> {
    let mut titles: BTreeMap<&str, &str> = BTreeMap::new();
    for piece in pieces {
        let Some(title) = piece.title.as_deref() else { continue };
        if let Some(first) = titles.insert(title, &piece.label) {
            return Err(Error::Usage {
                message: format!("cannot attach {first} and {}: both are called {}", piece.label, quoted(title)),
                hint: Some("rename one, or attach them one by one".to_owned()),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_two_parts() {
        for text in ["application/spdx+json", "a/b", "application/vnd.dev.sigstore.bundle.v0.3+json", "x-y/z_1"] {
            assert!(is_media_type(text), "{text}");
        }
        let long = format!("a/{}", "b".repeat(128));
        for text in ["", "sbom", "a/", "/b", "a/b/c", "a/b;c=d", "a b/c", "a/\u{1b}[2J", ".a/b", "a/\u{fc}", &long] {
            assert!(!is_media_type(text), "{text:?}");
        }
    }
}
