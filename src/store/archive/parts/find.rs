//! From a path to the parts and notes that lie there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{FoundNote, FoundPart, PartSet};
use crate::bundle::{LARGEST_LIST, Mode, PartNames, PartNote};
use crate::store::archive::bytes::Identity;
use crate::store::archive::patient;
use crate::store::listing::names_in;
use crate::store::{Location, Reason, StoreError, directory_of};
use crate::tar::header::{is_zero, starts_tar};
use crate::text::{escaped, human_size, quoted};

/// As [`PartSet::find`].
pub(super) fn find(path: &Path, further: &[PathBuf]) -> Result<Option<PartSet>, StoreError> {
    let Some(wanted) = Wanted::of(path) else { return Ok(None) };
    let mut found = Found::default();
    for directory in directories(path, further) {
        found.look_into(&directory, &wanted)?;
    }
    found.set(path, &wanted)
}

/// As [`PartSet::is_known`].
pub(super) fn is_known(path: &Path, further: &[PathBuf]) -> bool {
    let Some(wanted) = Wanted::of(path) else { return false };
    let is_part = |name: &str| wanted.part(name).is_some();
    let has_one = |directory: &PathBuf| names(directory).is_ok_and(|names| names.iter().any(|name| is_part(name)));
    directories(path, further).iter().any(has_one)
}

/// What is looked for.
struct Wanted {
    archive: String,
    /// How it is split, when the path says so.
    mode: Option<Mode>,
}

impl Wanted {
    /// Returns what a path means, if it can mean parts.
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        if let Some((archive, mode, _)) = PartNames::recognised(name) {
            return Some(Self { archive, mode: Some(mode) });
        }
        // what is there is meant itself, also when it is a link to nothing
        let is_there = std::fs::symlink_metadata(path).is_ok();
        (!is_there).then(|| Self { archive: name.to_owned(), mode: None })
    }

    fn part(&self, name: &str) -> Option<(Mode, u64)> {
        let (archive, mode, number) = PartNames::recognised(name)?;
        (archive == self.archive && self.mode.is_none_or(|wanted| wanted == mode)).then_some((mode, number))
    }

    fn note(&self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(&self.archive)?.strip_prefix(".part-")?.strip_suffix(".json")?;
        let is_number = digits.len() <= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse().ok().filter(|_| is_number)
    }
}

/// Returns the directories to look into: that of the path comes first.
fn directories(path: &Path, further: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = vec![directory_of(path).to_owned()];
    for directory in further {
        if !found.contains(directory) {
            found.push(directory.clone());
        }
    }
    found
}

/// Lists a directory; a medium that is not there holds nothing.
fn names(directory: &Path) -> Result<Vec<String>, StoreError> {
    let found = match names_in(directory) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(StoreError::io("list", directory)(error)),
    };
    let mut names: Vec<String> = found.into_iter().flat_map(OsString::into_string).collect();
    names.sort_unstable();
    Ok(names)
}

/// What was found so far.
#[derive(Default)]
struct Found {
    /// The files of each number.
    parts: BTreeMap<(u8, u64), Vec<FoundPart>>,
    notes: BTreeMap<u64, FoundNote>,
}

const fn rank(mode: Mode) -> u8 {
    match mode {
        Mode::Stream => 0,
        Mode::Archive => 1,
    }
}

impl Found {
    fn look_into(&mut self, directory: &Path, wanted: &Wanted) -> Result<(), StoreError> {
        for name in names(directory)? {
            let path = if directory == Path::new(".") { PathBuf::from(&name) } else { directory.join(&name) };
            if let Some((mode, number)) = wanted.part(&name) {
                let metadata = match std::fs::metadata(&path) {
                    Ok(metadata) => metadata,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // gone just now
                    Err(error) => return Err(StoreError::io("look at", path)(error)),
                };
                let identity = Identity::of(&metadata);
                let found = self.parts.entry((rank(mode), number)).or_default();
                let is_same = |other: &FoundPart| {
                    (other.identity.device, other.identity.inode) == (identity.device, identity.inode)
                };
                if !metadata.is_file() {
                    let reason = "it is called like a part, and is no regular file".into();
                    let hint = Some("take it away, or give it another name".to_owned());
                    let (what, place) = ("the part".to_owned(), Location::File(path));
                    return Err(StoreError::Malformed { what, place, reason, hint });
                }
                if !found.iter().any(is_same) {
                    found.push(FoundPart { number, path, identity });
                }
            } else if let Some(number) = wanted.note(&name) {
                self.take_note(path, number, wanted)?;
            }
        }
        Ok(())
    }

    fn take_note(&mut self, path: PathBuf, number: u64, wanted: &Wanted) -> Result<(), StoreError> {
        let head = head_of(read_note(&path)?);
        if head.archive != wanted.archive || head.part != number {
            let (archive, part) = (quoted(&head.archive), head.part);
            let reason = format!("it is on part {part} of {archive}: it has another name than it was given");
            return Err(malformed(&path, reason, "give the files their own names again"));
        }
        if let Some(other) = self.notes.values().next()
            && (other.head.set, other.head.mode, other.head.parts) != (head.set, head.mode, head.parts)
        {
            let one = format!("{} is on a part of the set {}", shown(&other.path), other.head.set.short());
            let reason = format!("it is on a part of the set {}, and {one}", head.set.short());
            return Err(malformed(&path, reason, "keep the parts of two sets in different directories"));
        }
        if let Some(other) = self.notes.get(&number)
            && other.head != head
        {
            let reason = format!("{} says otherwise of the same part", shown(&other.path));
            return Err(malformed(&path, reason, "keep the parts of two sets in different directories"));
        }
        self.notes.entry(number).or_insert(FoundNote { path, head });
        Ok(())
    }

    fn set(self, path: &Path, wanted: &Wanted) -> Result<Option<PartSet>, StoreError> {
        let first = self.notes.values().next().map(|note| &note.head);
        let modes: Vec<u8> = self.parts.keys().map(|(mode, _)| *mode).collect();
        let mode = match first.map(|head| head.mode).or(wanted.mode) {
            // what is no `.tar` has parts that are called alike in both modes
            Some(mode) => mode,
            None if modes.first() == Some(&rank(Mode::Archive)) => Mode::Archive,
            None => Mode::Stream,
        };
        let named_as = if wanted.archive.ends_with(".tar") { mode } else { Mode::Stream };
        let mut files: BTreeMap<u64, Vec<FoundPart>> = BTreeMap::new();
        for ((rank_found, number), found) in self.parts {
            if rank_found == rank(named_as) && !found.is_empty() {
                files.insert(number, found);
            }
        }
        let archive = directory_of(path).join(&wanted.archive);
        let archive =
            if directory_of(path) == Path::new(".") && path.parent().is_none_or(|it| it.as_os_str().is_empty()) {
                PathBuf::from(&wanted.archive)
            } else {
                archive
            };
        let mut set = PartSet {
            archive,
            names: PartNames { archive: wanted.archive.clone(), mode, parts: 0 },
            set: first.map(|head| head.set),
            length: first.filter(|_| mode == Mode::Stream).map(|head| head.length),
            parts: Vec::new(),
            notes: Vec::new(),
        };
        set.names.parts = first.map_or_else(|| files.keys().next_back().copied().unwrap_or(0), |head| head.parts);
        for (number, found) in files {
            set.parts.push(one_of(&set, number, found, self.notes.get(&number))?);
        }
        set.notes = self.notes.into_values().collect();
        if let Some(other) = set.notes.iter().find(|note| set.length.is_some_and(|length| length != note.head.length)) {
            let reason = "it says another length of the whole archive than the notes on other parts";
            return Err(malformed(&other.path, reason, "get the notes again from where the archive was split"));
        }
        set.refuse_further_parts()?;
        set.refuse_no_part(path)?;
        if set.set.is_none() && is_an_archive_alone(path, &set)? {
            return Ok(None);
        }
        Ok((!set.parts.is_empty() || !set.notes.is_empty()).then_some(set))
    }
}

/// Returns the file that is meant where several are called like one part.
fn one_of(
    set: &PartSet,
    number: u64,
    mut found: Vec<FoundPart>,
    note: Option<&FoundNote>,
) -> Result<FoundPart, StoreError> {
    let are_alike = || found.iter().all(|part| note.is_some_and(|note| note.head.size == part.identity.length));
    if found.len() > 1 && !are_alike() {
        let paths: Vec<String> = found.iter().map(|part| shown(&part.path)).collect();
        let what = format!("part {number}");
        let reason = format!("there are two different files for it: {}", paths.join(" and "));
        return Err(set.wrong(what, reason, "take away the one that does not belong to the others"));
    }
    Ok(found.swap_remove(0))
}

impl PartSet {
    /// Refuses the name of a part that the set cannot have: it is a typing error, and not the others that are meant.
    fn refuse_no_part(&self, path: &Path) -> Result<(), StoreError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = PartNames::recognised(name).map(|(_, _, number)| number);
        if self.names.parts == 0 || number.is_none_or(|number| number <= self.names.parts) {
            return Ok(());
        }
        Err(StoreError::Absent {
            what: quoted(name),
            place: self.location(),
            hint: Some(format!("the last of its parts is {}", escaped(&self.names.part(self.names.parts)))),
        })
    }

    /// Refuses files behind the last part: an earlier run with smaller parts left them.
    fn refuse_further_parts(&self) -> Result<(), StoreError> {
        let Some(further) = self.parts.iter().find(|part| part.number > self.names.parts) else { return Ok(()) };
        let what = shown(&further.path);
        let reason = format!("it is no part of the set, which has {}", self.names.parts);
        Err(self.wrong(what, reason, "it is of another set: take it away"))
    }
}

/// Returns whether a file that is called like a part is an archive by itself, and nothing else is there.
fn is_an_archive_alone(path: &Path, set: &PartSet) -> Result<bool, StoreError> {
    let [part] = set.parts.as_slice() else { return Ok(false) };
    if part.path != path {
        return Ok(false);
    }
    let mut head = Vec::new();
    let file = patient::open(path).map_err(StoreError::io("read", path))?;
    file.take(512).read_to_end(&mut head).map_err(StoreError::io("read", path))?;
    let is_tar = head.first_chunk().is_some_and(starts_tar) && !is_zero(&head);
    Ok(is_tar || crate::media::Compression::sniffed(&head) != crate::media::Compression::None)
}

/// Reads a note.
pub(super) fn read_note(path: &Path) -> Result<PartNote, StoreError> {
    let file = patient::open(path).map_err(StoreError::io("read", path))?;
    let mut bytes = Vec::new();
    file.take(LARGEST_LIST + 1).read_to_end(&mut bytes).map_err(StoreError::io("read", path))?;
    let hint = "get it again from where the archive was split, or take all notes away: complete parts are read without";
    if bytes.len() as u64 > LARGEST_LIST {
        return Err(malformed(path, format!("it is larger than {}", human_size(LARGEST_LIST)), hint));
    }
    PartNote::parse(&bytes).map_err(|error| malformed(path, Reason::from(error), hint))
}

/// Returns a note without its pieces.
pub(super) fn head_of(mut note: PartNote) -> PartNote {
    note.pieces = Vec::new();
    note
}

fn shown(path: &Path) -> String {
    escaped(&path.to_string_lossy())
}

fn malformed(path: &Path, reason: impl Into<Reason>, hint: &str) -> StoreError {
    StoreError::Malformed {
        what: "the note".to_owned(),
        place: Location::File(path.to_owned()),
        reason: reason.into(),
        hint: Some(hint.to_owned()),
    }
}
