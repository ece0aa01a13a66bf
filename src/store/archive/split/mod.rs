//! Writing an archive in parts, without a second copy: `x.tar.001`, `x.tar.002` ... of one size, each with a note beside it, and
//! at the end the sums of all of them.
//!
//! ```text
//! cut     where the archive is cut, and what lies in each part
//! found   what is there already: finished parts of the same set stay, those of another one are refused or replaced
//! stream  the archive in its order, without what lies in finished parts
//! writer  the thread that hashes and writes a part and gives it its name
//! ```
//!
//! Nothing that looks whole ever is a mixture: notes and sums of another set go before the first part is replaced, a part gets
//! its name after its note, and the sums come last.
//!
//! Content that lies in several parts is proved when its end is reached, and parts with its beginning have their names by then.
//! So a finished part counts for less than the content in it until the part with the last byte of that is finished: before, the
//! content is read again from its beginning and compared with what is there.

mod cut;
mod found;
mod stream;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::io::retry_on_intr;
use tempfile::NamedTempFile;

pub use self::cut::Cut;
use self::found::Found;
use self::stream::Stream;
use self::writer::{Ground, Writer};
use super::arrange::{Arrangement, Fragment};
use super::place::Place;
use super::write::ArchiveOptions;
use crate::blob::{BlobReader, Cancel};
use crate::bundle::{PartNames, PartNote};
use crate::content::Content;
use crate::digest::Digest;
use crate::store::beside::stale::{self, NotTaken};
use crate::store::listing::names_in;
use crate::store::{
    CREATE_IN, Committed, Inventory, Location, Outcome, PutError, Sink, StoreError, directory_of, flock, room,
};

/// How an archive is split.
#[derive(Clone, Debug)]
pub struct SplitOptions {
    /// The largest size of a part in bytes.
    pub part_size: u64,
    /// Whether parts of another set give way.
    pub replace: bool,
    /// How long to wait for another process that writes the same set.
    pub lock_timeout: Duration,
    /// What is in each part, when every part is to be an archive by itself; else the parts are pieces of one archive.
    pub archives: Option<Vec<PartForm>>,
}

/// What a part is that is an archive by itself.
#[derive(Clone, Debug)]
pub struct PartForm {
    /// How it is written.
    pub options: ArchiveOptions,
    /// What it names, and the content that is in it as a whole.
    pub coming: Inventory,
    /// The content that is in it to a part.
    pub fragments: Vec<Fragment>,
}

/// Arranges the parts that are archives by themselves.
///
/// # Errors
/// When they cannot be parts of a set.
pub fn arrange_parts(forms: &[PartForm], part_size: u64, place: &Location) -> Result<(Arrangement, Cut), StoreError> {
    let arrange = |form: &PartForm| Arrangement::with_fragments(&form.options, &form.coming, &form.fragments);
    let (arrangement, ends) = Arrangement::chain(forms.iter().map(arrange).collect::<Result<_, _>>()?)?;
    let cut = Cut::between(&arrangement, ends, part_size, place)?;
    Ok((arrangement, cut))
}

/// A set of parts that is being written.
pub struct SplitSink {
    location: Location,
    place: Place,
    options: ArchiveOptions,
    split: SplitOptions,
    cancel: Cancel,
    begun: Option<Begun>,
}

struct Begun {
    ground: Ground,
    found: Found,
    settled: Vec<Content>,
    stream: Mutex<Stream>,
    /// Removed when this is dropped.
    _lock: NamedTempFile,
}

/// What a set is.
#[derive(Debug)]
struct Set {
    names: PartNames,
    id: Digest,
    cut: Cut,
    arrangement: Arrangement,
}

impl SplitSink {
    /// Prepares to write an archive in parts beside the place where it would be as a whole. Nothing is created before
    /// [`Sink::begin`].
    #[must_use]
    pub fn new(place: Place, options: ArchiveOptions, split: SplitOptions, cancel: &Cancel) -> Self {
        let location = Location::Archive(place.path().to_owned());
        Self { location, place, options, split, cancel: cancel.clone(), begun: None }
    }

    /// Returns the path of the archive that the parts are of.
    fn path(&self) -> Result<PathBuf, StoreError> {
        match &self.place {
            Place::Instead(lock) => lock.real_path(),
            Place::New(_) | Place::Stream => Ok(self.place.path().to_owned()),
        }
    }

    /// Returns the numbers of the parts that an earlier run has finished, once this one has begun.
    #[must_use]
    pub fn kept(&self) -> Vec<u64> {
        self.begun.as_ref().map(|begun| begun.found.kept.keys().copied().collect()).unwrap_or_default()
    }

    /// Returns the numbers of all parts that are finished, once it has begun.
    #[must_use]
    pub fn finished(&self) -> Vec<u64> {
        let Some(begun) = &self.begun else { return Vec::new() };
        let mut stream = begun.stream.lock().unwrap_or_else(PoisonError::into_inner);
        // what the thread still has to do is done first
        let _ = stream.writer.finish();
        begun.digests(&stream.writer).keys().copied().collect()
    }

    /// Returns how the files are called, once it has begun.
    #[must_use]
    pub fn names(&self) -> Option<&PartNames> {
        self.begun.as_ref().map(|begun| &begun.ground.set.names)
    }

    fn refuse(&self, others: &[&str]) -> StoreError {
        const SHOWN: usize = 5;
        let mut names = others.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
        if others.len() > SHOWN {
            names.push_str(&format!(" and {} more", others.len() - SHOWN));
        }
        let reason = format!("there are files of another set: {}", crate::text::escaped(&names));
        let hint = "give another name, remove them, or --force to replace them".to_owned();
        let action = "write the parts of".to_owned();
        StoreError::Unsupported { action, place: self.location.clone(), reason: reason.into(), hint: Some(hint) }
    }
}

impl Set {
    fn note(&self, part: u64, digest: Digest) -> PartNote {
        self.cut.note(&self.arrangement, (self.id, &self.names.archive), part, digest)
    }

    /// Returns the name of a temporary file: one that no other archive has, however long their names are.
    fn temporary(&self, what: char, number: u64) -> String {
        format!("{}{what}{number:05}", own_prefix(&self.names.archive))
    }
}

fn own_prefix(archive: &str) -> String {
    format!("{}{}", stale::prefix(archive), &Digest::of(archive.as_bytes()).hex()[..stale::RANDOM - 6])
}

/// Locks a set: the file lies beside it as long as somebody writes it.
fn lock(directory: &Path, archive: &str, sink: &SplitSink) -> Result<NamedTempFile, StoreError> {
    let path = directory.join(format!("{}l00000", own_prefix(archive)));
    flock::wait(&sink.location, sink.split.lock_timeout, &sink.cancel, || {
        stale::take(&path).map_err(|error| not_taken(error, &path))
    })
}

/// Says why a temporary file of a set cannot be had.
fn not_taken(error: NotTaken, path: &Path) -> StoreError {
    const HINT: &str = "write to a local file system, or an archive in one piece: it needs no lock when it is new";
    match error {
        NotTaken::Machine(error) => StoreError::io(CREATE_IN, directory_of(path))(error),
        NotTaken::Lock(error) => flock::failed(error, &Location::File(path.to_owned()), path, HINT),
    }
}

/// Removes the temporary files that a dead process left of a set that is locked now.
fn remove_temporaries(directory: &Path, archive: &str) {
    let prefix = own_prefix(archive);
    for found in names_in(directory).unwrap_or_default() {
        let name = found.to_string_lossy();
        if name.strip_prefix(&prefix).is_some_and(|rest| rest.len() == 6 && rest.starts_with(['p', 'n'])) {
            let _ = std::fs::remove_file(directory.join(&found));
        }
    }
}

impl Begun {
    fn digests(&self, writer: &Writer) -> BTreeMap<u64, Digest> {
        let mut digests = self.found.kept.clone();
        digests.extend(writer.finished());
        digests
    }
}

/// Returns how much room is needed beyond what is free now: parts of another set go one by one as ours come.
fn needed(set: &Set, found: &Found, size_of: impl Fn(&str) -> u64) -> u64 {
    let (mut most, mut now): (u64, u64) = (0, 0);
    let mut freed: u64 = 0;
    for part in (1..=set.names.parts).filter(|part| !found.kept.contains_key(part)) {
        let range = set.cut.range(part);
        now += range.end - range.start;
        most = most.max(now.saturating_sub(freed));
        freed = freed.saturating_add(size_of(&set.names.part(part)));
    }
    most
}

impl Sink for SplitSink {
    fn location(&self) -> &Location {
        &self.location
    }

    fn begin(&mut self, coming: &Inventory) -> Result<Vec<Vec<Content>>, StoreError> {
        let path = self.path()?;
        let directory = directory_of(&path).to_owned();
        let unnameable = || StoreError::Unsupported {
            action: "split".to_owned(),
            place: self.location.clone(),
            reason: "its name is not UTF-8, and the names of the parts stand in their notes".into(),
            hint: Some("give another name".to_owned()),
        };
        let archive = path.file_name().and_then(|name| name.to_str()).ok_or_else(unnameable)?.to_owned();
        let (arrangement, cut) = match &self.split.archives {
            Some(forms) => arrange_parts(forms, self.split.part_size, &self.location)?,
            None => {
                let arrangement = Arrangement::of(&self.options, coming)?;
                let cut = Cut::of(arrangement.length(), self.split.part_size, &self.location)?;
                (arrangement, cut)
            }
        };
        let names = PartNames { archive, mode: cut.mode(), parts: cut.parts() };
        let set = Set { id: cut.set(&arrangement), names, cut, arrangement };
        let lock = lock(&directory, &set.names.archive, self)?;
        remove_temporaries(&directory, &set.names.archive);
        let found = Found::beside(&directory, &set)?;
        let others = found.others();
        if !others.is_empty() && !self.split.replace {
            return Err(self.refuse(&others));
        }
        let size_of = |name: &str| directory.join(name).symlink_metadata().map_or(0, |there| there.len());
        room::require(
            needed(&set, &found, size_of),
            retry_on_intr(|| rustix::fs::statvfs(&directory)),
            self.place.path(),
        )?;
        let mut replaced = BTreeSet::new();
        for name in (1..=set.names.parts).filter(|part| !found.kept.contains_key(part)).map(|part| set.names.part(part))
        {
            let path = directory.join(&name);
            match path.symlink_metadata() {
                Ok(_) => drop(replaced.insert(name)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::io("look at", path)(error)),
            }
        }
        let set = Arc::new(set);
        let durability = self.options.durability;
        let ground = Ground { directory, set: Arc::clone(&set), durability, replaced: Arc::new(replaced) };
        for word in &found.words {
            ground.remove(word)?;
        }
        if !found.words.is_empty() {
            ground.sync_names()?;
        }
        let writer = Writer::start(ground.clone())?;
        let mut stream = Stream::new(ground.clone(), found.kept.keys().copied().collect(), writer);
        stream.write_front()?;
        let slots = set.arrangement.slots();
        let (wanted, settled): (Vec<_>, Vec<_>) = slots.iter().partition(|slot| stream.wants(slot));
        let contents = |slots: Vec<&super::Slot>| slots.into_iter().map(|slot| slot.content.clone()).collect();
        let (wanted, settled) = (contents(wanted), contents(settled));
        self.begun = Some(Begun { ground, found, settled, stream: Mutex::new(stream), _lock: lock });
        Ok(vec![wanted])
    }

    fn settled(&self) -> Vec<(Content, Outcome)> {
        let settled = self.begun.iter().flat_map(|begun| &begun.settled);
        settled.map(|content| (content.clone(), Outcome::Present)).collect()
    }

    fn held(&self, _: &Content) -> Result<Option<BlobReader<'_>>, StoreError> {
        Ok(None) // what is finished is settled, and the rest is always written anew
    }

    fn put(&self, blob: BlobReader<'_>) -> Result<Outcome, PutError> {
        let digest = blob.content().digest;
        let unannounced = || StoreError::Missing { digest, place: self.location.clone() };
        let begun = self.begun.as_ref().ok_or_else(unannounced)?;
        let mut stream = begun.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let at = stream.next_of(blob.content()).ok_or_else(unannounced)?;
        stream.put(at, blob)?;
        Ok(Outcome::Written)
    }

    fn commit(&mut self, _: &Inventory) -> Result<Committed, StoreError> {
        let incomplete = |place: &Location| StoreError::malformed("the parts", place, "not everything has arrived");
        let begun = self.begun.as_ref().ok_or_else(|| incomplete(&self.location))?;
        let mut stream = begun.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.end()?;
        let ground = &begun.ground;
        let set = &ground.set;
        let digests = begun.digests(&stream.writer);
        if digests.len() as u64 != set.names.parts {
            return Err(incomplete(&self.location));
        }
        let whole = match &self.place {
            Place::Instead(lock) if lock.is_current()? => Some(lock.real_path()?),
            _ => None,
        };
        let nothing_new = begun.found.kept.len() as u64 == set.names.parts;
        if nothing_new && begun.found.has_sums && begun.found.others().is_empty() && whole.is_none() {
            return Ok(Committed::Unchanged);
        }
        // what a longer run left behind ours
        let ours: BTreeSet<String> = digests.keys().map(|part| set.names.part(*part)).collect();
        for name in begun.found.parts.iter().filter(|name| !ours.contains(*name)) {
            ground.remove(name)?;
        }
        if let Some(whole) = whole {
            std::fs::remove_file(&whole).map_err(StoreError::io("remove", &whole))?;
        }
        let sums: String = digests.iter().map(|(part, digest)| set.sum(*part, digest)).collect();
        ground.sync_names()?;
        ground.write(&set.names.sums(), sums.as_bytes())?;
        Ok(Committed::Changed)
    }

    fn abandon(&mut self) {} // finished parts stay: the same run continues there

    fn lanes(&self) -> usize {
        1
    }
}

impl std::fmt::Debug for SplitSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SplitSink").field("location", &self.location).finish_non_exhaustive()
    }
}
