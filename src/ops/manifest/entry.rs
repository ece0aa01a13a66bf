//! One entry of a list: found, annotated, removed. The image that it refers to keeps every byte, and so does all else in the list.

use std::collections::BTreeMap;

use serde_json::Value;

use super::create::no_list;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::document::{Body, Document, Index};
use crate::json;
use crate::media::{MediaType, OCI_INDEX};
use crate::ops::Error;
use crate::ops::attached::attached;
use crate::ops::choose::platform_of;
use crate::ops::gather::disagree;
use crate::ops::left_behind::{LeftBehind, left_behind};
use crate::ops::lookup::select_one;
use crate::plan::Plan;
use crate::platform::Platform;
use crate::reference::{DigestPrefix, ImageName, Selector};
use crate::store::{Source, StoreError, read_document};
use crate::text::{escaped, quoted};

/// What an entry is to say otherwise than its image does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EntryChanges {
    /// `os`.
    pub os: Option<String>,
    /// `architecture`.
    pub architecture: Option<String>,
    /// `variant`; empty for none.
    pub variant: Option<String>,
    /// `os.version`; empty for none.
    pub os_version: Option<String>,
    /// `os.features`; none when nothing is to change.
    pub os_features: Option<Vec<String>>,
    /// Annotations of the entry.
    pub annotations: BTreeMap<String, String>,
    /// What it belongs to: only of a list itself.
    pub subject: Option<Descriptor>,
}

impl EntryChanges {
    /// Returns whether nothing is to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn of_platform(&self) -> bool {
        let Self { os, architecture, variant, os_version, os_features, annotations: _, subject: _ } = self;
        os.is_some() || architecture.is_some() || variant.is_some() || os_version.is_some() || os_features.is_some()
    }

    /// Changes the descriptor of an image that has no entry yet: what is not said is what the image says.
    pub(super) fn of_image(&self, source: &dyn Source, root: &Descriptor) -> Result<Descriptor, Error> {
        let document = read_document(source, root)?;
        let own = match document.body() {
            Body::Manifest(manifest) => platform_of(source, root, manifest),
            Body::Index(_) => None,
        };
        Ok(self.apply(root.clone(), &own.unwrap_or_default()))
    }

    fn apply(&self, mut entry: Descriptor, before: &Platform) -> Descriptor {
        if self.of_platform() {
            let changed = |new: &Option<String>, old: &Option<String>| match new {
                Some(new) => Some(new.clone()).filter(|new| !new.is_empty()),
                None => old.clone(),
            };
            entry = entry.with_platform(&Platform {
                os: self.os.clone().unwrap_or_else(|| before.os.clone()),
                architecture: self.architecture.clone().unwrap_or_else(|| before.architecture.clone()),
                // a variant is one of its architecture
                variant: match self.architecture {
                    Some(_) => self.variant.clone().filter(|variant| !variant.is_empty()),
                    None => changed(&self.variant, &before.variant),
                },
                os_version: changed(&self.os_version, &before.os_version),
                os_features: self.os_features.clone().unwrap_or_else(|| before.os_features.clone()),
            });
        }
        for (name, value) in &self.annotations {
            entry = entry.with_annotation(name, value);
        }
        entry
    }
}

/// A list that has changed, and has not been written yet.
#[derive(Debug)]
pub struct Changed<'a> {
    /// The list as it is now, and the name that it takes over.
    pub plan: Plan<'a>,
    /// What the name meant.
    pub from: Descriptor,
    /// What it means now.
    pub to: Descriptor,
    /// The entries that changed or went.
    pub entries: Vec<Descriptor>,
    /// What belongs to the list as it was, and to nothing that its name means now.
    pub behind: Vec<LeftBehind>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// Returns the descriptor of a list by its name.
///
/// # Errors
/// When it is not there, or is an image.
pub fn find_list(source: &dyn Source, name: &ImageName) -> Result<Descriptor, Error> {
    let root = select_one(source, Some(&Selector::Name(name.to_string())))?;
    let is_list = matches!(read_document(source, &root)?.body(), Body::Index(_));
    if is_list { Ok(root) } else { Err(no_list(name, source.location())) }
}

/// Finds an entry of a list by a digest or the start of one, a platform, or the name that the place has for the image.
///
/// # Errors
/// When none answers, or several do.
pub fn find_entry(source: &dyn Source, list: &Descriptor, word: &str) -> Result<Digest, Error> {
    let document = read_document(source, list)?;
    let Body::Index(Index { manifests, .. }) = document.body() else { return Err(none(source, list, word, &[])) };
    let pinned = word.rsplit_once('@').map_or(word, |(_, digest)| digest);
    if let Ok(prefix) = pinned.parse::<DigestPrefix>() {
        let found = manifests.iter().filter(|entry| prefix.matches(entry.digest()));
        if let Some(digest) = only(found)? {
            return Ok(digest);
        }
    }
    if let Ok(platform) = word.parse::<Platform>() {
        // what is not asked for may be anything
        let is_it = |entry: &&Descriptor| {
            entry.platform().is_some_and(|held| {
                let mut held = held.clone();
                if platform.os_features.is_empty() {
                    held.os_features.clear();
                }
                if platform.os_version.is_none() {
                    held.os_version = None;
                }
                held.key() == platform.key()
            })
        };
        if let Some(digest) = only(manifests.iter().filter(is_it))? {
            return Ok(digest);
        }
    }
    if let Ok(root) = select_one(source, Some(&Selector::Name(word.to_owned()))) {
        if let Some(entry) = manifests.iter().find(|entry| entry.digest() == root.digest()) {
            return Ok(*entry.digest());
        }
        // one that is a list of one image itself
        if let Ok(document) = read_document(source, &root)
            && let Body::Index(index) = document.body()
        {
            let held = |entry: &&Descriptor| index.manifests.iter().any(|other| other.digest() == entry.digest());
            if let Some(digest) = only(manifests.iter().filter(held))? {
                return Ok(digest);
            }
        }
    }
    Err(none(source, list, word, manifests))
}

/// Returns the one digest that all of these have; none when there is nothing.
fn only<'d>(found: impl Iterator<Item = &'d Descriptor>) -> Result<Option<Digest>, Error> {
    let mut digests: Vec<Digest> = found.map(|entry| *entry.digest()).collect();
    digests.dedup();
    match &digests[..] {
        [] => Ok(None),
        [digest] => Ok(Some(*digest)),
        several => Err(Error::Absent {
            message: "cannot tell which entry is meant".to_owned(),
            cause: Some(several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
            hint: Some("give more of the digest".to_owned()),
        }),
    }
}

fn none(source: &dyn Source, list: &Descriptor, word: &str, entries: &[Descriptor]) -> Error {
    let shown = |entry: &Descriptor| match entry.platform() {
        Some(platform) => format!("{} ({platform})", entry.digest().short()),
        None => entry.digest().short(),
    };
    let there: Vec<String> = entries.iter().filter(|entry| entry.attestation_of().is_none()).map(shown).collect();
    Error::Absent {
        message: format!("cannot find {} in the list {} of {}", quoted(word), list.digest().short(), source.location()),
        cause: Some(if there.is_empty() { "it is empty".to_owned() } else { format!("it has {}", there.join(", ")) }),
        hint: Some("give a digest, the start of one, or a platform".to_owned()),
    }
}

/// Changes what a list says of an entry, or of itself when `entry` is none.
///
/// # Errors
/// When another entry is for that platform, or documents cannot be read.
pub fn annotate<'a>(
    source: &dyn Source,
    list: &Descriptor,
    entry: Option<&Digest>,
    changes: &EntryChanges,
) -> Result<Changed<'a>, Error> {
    let document = read_document(source, list)?;
    let mut value = parsed(source, list, &document)?;
    let (mut changed, mut warnings) = (Vec::new(), Vec::new());
    let Some(digest) = entry else {
        for (name, text) in &changes.annotations {
            value["annotations"][name] = text.as_str().into();
        }
        if let Some(subject) = &changes.subject {
            value["subject"] = subject_of(list, document.media_type(), subject)?;
        }
        return finish(source, list, &document, &value, changed, warnings);
    };
    let Body::Index(Index { manifests, .. }) = document.body() else {
        return finish(source, list, &document, &value, changed, warnings);
    };
    for (at, old) in manifests.iter().enumerate().filter(|(_, old)| old.digest() == digest) {
        let config = match read_document(source, old)?.body() {
            Body::Manifest(manifest) => {
                let stated = old.platform().cloned();
                let own = platform_of(source, &old.clone().without_platform(), manifest);
                (stated.or_else(|| own.clone()), own)
            }
            Body::Index(_) => (old.platform().cloned(), None),
        };
        let new = changes.apply(old.clone(), &config.0.unwrap_or_default());
        if let (Some(said), Some(own)) = (new.platform().filter(|_| changes.of_platform()), config.1) {
            if disagree(said, &own) {
                warnings.push(format!("{digest} is {own} by its config: the list says {said} now"));
            }
            let twin = manifests.iter().find(|other| {
                other.digest() != digest && other.platform().is_some_and(|other| other.key() == said.key())
            });
            if let Some(twin) = twin {
                return Err(Error::Unsupported {
                    message: format!("cannot say {said} of {digest}: another entry is for it"),
                    cause: Some(format!("it is {}", twin.digest())),
                    hint: Some("remove that one first: manifest remove".to_owned()),
                });
            }
        }
        value["manifests"][at] = new.to_value();
        changed.push(new);
    }
    finish(source, list, &document, &value, changed, warnings)
}

/// Returns what a list says of the image that it belongs to (image-spec v1.1.1, image-index.md, "subject"): its type, digest and
/// size alone.
fn subject_of(list: &Descriptor, media_type: &MediaType, subject: &Descriptor) -> Result<Value, Error> {
    let refuse = |message: String, hint: &str| Error::Unsupported { message, cause: None, hint: Some(hint.to_owned()) };
    if media_type.as_str() != OCI_INDEX {
        let message =
            format!("cannot say what {} belongs to: a list of Docker's media type has no place for it", list.digest());
        return Err(refuse(message, "write it with OCI's media types first: barge convert --to oci"));
    }
    if subject.digest() == list.digest() {
        let message = format!("cannot say that {} belongs to itself", list.digest());
        return Err(refuse(message, "give another image as the subject"));
    }
    Ok(Descriptor::new(subject.media_type(), *subject.digest(), subject.size()).to_value())
}

/// Takes entries out of a list, and the attestations that are about them.
///
/// # Errors
/// When documents cannot be read.
pub fn remove_entries<'a>(source: &dyn Source, list: &Descriptor, entries: &[Digest]) -> Result<Changed<'a>, Error> {
    let document = read_document(source, list)?;
    let mut value = parsed(source, list, &document)?;
    let (mut gone, mut warnings) = (Vec::new(), Vec::new());
    if let Body::Index(Index { manifests, .. }) = document.body() {
        let mut kept = Vec::new();
        for entry in manifests {
            let about = entry.attestation_of().and_then(|text| text.parse::<Digest>().ok());
            if entries.contains(entry.digest()) {
                gone.push(entry.clone());
            } else if about.is_some_and(|about| entries.contains(&about)) {
                warnings.push(format!("{} goes too: it is an attestation of what is removed", entry.digest()));
                gone.push(entry.clone());
            } else {
                kept.push(entry.to_value());
            }
        }
        value["manifests"] = kept.into();
    }
    finish(source, list, &document, &value, gone, warnings)
}

fn parsed(source: &dyn Source, list: &Descriptor, document: &Document) -> Result<Value, Error> {
    Ok(json::parse(document.raw())
        .map_err(|error| StoreError::malformed(list.digest().to_string(), source.location(), error))?)
}

/// Writes the list anew: everything that was not changed keeps its bytes.
fn finish<'a>(
    source: &dyn Source,
    list: &Descriptor,
    document: &Document,
    value: &Value,
    entries: Vec<Descriptor>,
    warnings: Vec<String>,
) -> Result<Changed<'a>, Error> {
    let malformed = |error| StoreError::malformed(list.digest().to_string(), source.location(), error);
    let raw = json::edited(document.raw(), value).map_err(malformed)?;
    let index = Document::parse(document.media_type(), raw).map_err(malformed)?;
    let to = list.clone().with_content(&index.descriptor());
    let mut plan = Plan::new();
    plan.add_made(&index, "list");
    let mut behind = Vec::new();
    // the name goes over, which is what was asked for
    if to.digest() != list.digest() {
        plan.add_gone(list.clone());
        let roots = source.roots()?;
        let has_other_name = roots.iter().any(|root| root.digest() == list.digest() && root != list);
        let belongs = if has_other_name { Vec::new() } else { attached(source, &roots)? };
        behind = left_behind(source, &belongs, &[*list.digest()], &|_| false);
    }
    plan.add_root(to.clone());
    Ok(Changed { plan, from: list.clone(), to, entries, behind, warnings })
}

/// Says of an entry what it is called in messages.
#[must_use]
pub fn describe_entry(entry: &Descriptor) -> String {
    let platform = entry.platform().map_or_else(|| "no platform".to_owned(), ToString::to_string);
    format!("{} ({})", entry.digest().short(), escaped(&platform))
}
