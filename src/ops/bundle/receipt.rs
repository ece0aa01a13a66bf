//! Receipts: what is really in a place, for whoever is to send the rest.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use super::super::Error;
use super::super::lookup::{is_attached, name_of};
use super::super::open::Store;
use super::packing::VERSION;
use crate::blob::Cancel;
use crate::bundle::{Receipt, Received, ReceivedImage};
use crate::content::{Content, Descriptor, Kind, total};
use crate::digest::Digest;
use crate::graph;
use crate::reference::ImageName;
use crate::store::lanes::in_lanes;
use crate::store::registry::{LANES, Registries};
use crate::store::{Source, StoreError};
use crate::transfer::{Event, Observer, Outcome, Piece};

/// A receipt that is being made.
#[derive(Debug, Default)]
pub struct Receipted {
    places: Vec<String>,
    images: Vec<ReceivedImage>,
    contents: BTreeMap<Digest, (u64, BTreeSet<String>)>,
    /// What is there and wrong, or not there although something refers to it, each a sentence: it is not in the receipt.
    pub wrong: Vec<String>,
}

/// How the work of a receipt is done.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// How many pieces are read at once.
    pub jobs: NonZeroUsize,
    /// A request to stop.
    pub cancel: &'a Cancel,
    /// Who hears of progress.
    pub observer: &'a dyn Observer,
}

impl std::fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

impl Receipted {
    /// Adds what is in a layout or an archive: every blob is read, whether an image needs it or not.
    ///
    /// # Errors
    /// When the place cannot be read, or somebody asked to stop. Wrong content is no error.
    pub fn add_place(&mut self, store: &Store, reading: &Reading<'_>) -> Result<(), Error> {
        let place = store.location();
        self.places.push(place.to_string());
        let blobs = store.blobs()?.into_iter();
        let mut contents: Vec<Content> =
            blobs.map(|(digest, size)| Content { digest, size, kind: Kind::Blob }).collect();
        contents.sort_by_key(|content| std::cmp::Reverse(content.size));
        let bytes = total(contents.iter().map(|content| content.size));
        reading.observer.hear(Event::Begun { pieces: contents.len() as u64, bytes });
        let wrong: Mutex<BTreeMap<Digest, String>> = Mutex::default();
        let read = in_lanes(&contents, reading.jobs.get(), reading.cancel, |content, cancel| {
            let piece = Piece::start(reading.observer, content, "a blob", place);
            let count = |bytes| piece.count(bytes);
            let checked = store.open(content).and_then(|reader| {
                let reader = reader.cancelled_by(cancel).metered_by(&count);
                reader.check().map_err(|error| StoreError::reading(error, content, place))
            });
            match checked {
                Ok(_) => piece.finish(Outcome::Checked),
                Err(StoreError::Cancelled) => return Err(StoreError::Cancelled),
                Err(error) => {
                    let told = crate::store::causes(&error)
                        .into_iter()
                        .fold(error.to_string(), |all, next| all + ": " + &next);
                    // a machine that fails while it is read tells no more than the place
                    let told = match told.contains(&content.digest.hex()) {
                        true => told,
                        false => format!("{}: {told}", content.digest),
                    };
                    wrong.lock().unwrap_or_else(PoisonError::into_inner).insert(content.digest, told);
                }
            }
            Ok(())
        });
        reading.observer.hear(Event::Ended);
        read.map_err(|(_, error)| error)?;
        // lanes that stop between two pieces have no failure to tell
        if reading.cancel.is_cancelled() {
            return Err(StoreError::Cancelled.into());
        }
        let wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
        for content in contents.iter().filter(|content| !wrong.contains_key(&content.digest)) {
            self.contents.entry(content.digest).or_insert_with(|| (content.size, BTreeSet::new()));
        }
        self.wrong.extend(wrong.into_values());
        for root in store.roots()?.iter().filter(|root| !is_attached(root)) {
            self.add_image(name_of(root), root);
        }
        Ok(())
    }

    /// Adds what a registry says that it has of some images. Documents are read, everything else is asked for.
    ///
    /// # Errors
    /// When the registry cannot be reached, or does not let us.
    pub fn add_images(
        &mut self,
        names: &[ImageName],
        registries: &Registries,
        reading: &Reading<'_>,
    ) -> Result<(), Error> {
        let found: Mutex<BTreeMap<String, Found>> = Mutex::default();
        let asked = in_lanes(names, reading.jobs.get().max(LANES.get()), reading.cancel, |name, _| {
            let looked = look(name, registries)?;
            found.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string(), looked);
            Ok::<(), StoreError>(())
        });
        asked.map_err(|(_, error)| error)?;
        if reading.cancel.is_cancelled() {
            return Err(StoreError::Cancelled.into());
        }
        for (name, found) in found.into_inner().unwrap_or_else(PoisonError::into_inner) {
            self.add_image(Some(&name), &found.root);
            for (digest, size) in found.contents {
                let entry = self.contents.entry(digest).or_insert_with(|| (size, BTreeSet::new()));
                entry.1.insert(found.repository.clone());
            }
            self.wrong.extend(found.wrong);
        }
        Ok(())
    }

    /// Says that a registry, or a part of it, was looked at.
    pub fn add_registry(&mut self, place: &str) {
        self.places.push(place.to_owned());
    }

    fn add_image(&mut self, name: Option<&str>, root: &Descriptor) {
        let document = Some((root.media_type().as_str().to_owned(), root.size()));
        let image = ReceivedImage { name: name.map(str::to_owned), digest: *root.digest(), document };
        if !self.images.contains(&image) {
            self.images.push(image);
        }
    }

    /// Returns the receipt; `made` is the time that stands in it (RFC 3339).
    #[must_use]
    pub fn finish(&self, made: Option<String>) -> Receipt {
        let content = |(digest, (size, repositories)): (&Digest, &(u64, BTreeSet<String>))| Received {
            digest: *digest,
            size: *size,
            repositories: repositories.iter().cloned().collect(),
        };
        Receipt {
            barge: VERSION.to_owned(),
            made,
            places: self.places.clone(),
            images: self.images.clone(),
            contents: self.contents.iter().map(content).collect(),
        }
    }
}

/// What a registry has of one image.
struct Found {
    root: Descriptor,
    repository: String,
    contents: HashMap<Digest, u64>,
    wrong: Vec<String>,
}

fn look(name: &ImageName, registries: &Registries) -> Result<Found, StoreError> {
    let repository = registries.repository(name)?.with_image(name)?;
    let roots = repository.roots()?;
    let reach = graph::reach(&repository, &roots, &mut |_, _| ());
    let mut found = Found {
        root: roots.first().cloned().ok_or_else(|| StoreError::Absent {
            what: name.to_string(),
            place: repository.location().clone(),
            hint: None,
        })?,
        repository: name.full_repository(),
        contents: HashMap::new(),
        wrong: Vec::new(),
    };
    let broken: HashMap<Digest, String> =
        reach.findings.iter().map(|finding| (finding.digest, format!("{name}: {}", finding.error))).collect();
    for node in &reach.nodes {
        let content = &node.content;
        if broken.contains_key(&content.digest) || found.contents.contains_key(&content.digest) {
            continue;
        }
        // documents were read and are right
        if node.media_type().is_document() || repository.holds(content)? {
            found.contents.insert(content.digest, content.size);
        } else if !node.media_type().is_foreign_layer() {
            found.wrong.push(format!("{name} refers to {} ({}), which is not there", content.digest, node.describe()));
        }
    }
    found.wrong.extend(broken.into_values());
    Ok(found)
}
