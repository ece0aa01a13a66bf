//! From a word to an open store.
//!
//! Only here is the disk asked what a word means. Where two readings exist the word is refused with the two clear
//! spellings; where none does, the message says both places in which it was looked for.

use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use super::bases::find_bases;
use super::parts::{SplitArchives, open_set};
use super::{Error, lookup};
use crate::blob::{BlobReader, Cancel};
use crate::bundle::{Mode, PartNames};
use crate::content::{Content, Descriptor};
use crate::digest::Digest;
use crate::reference::{Place, Reference, Rejected, Selector, Split, Word, parse_word};
use crate::store::archive::{Archive, Format, PartSet, ReadOptions};
use crate::store::layout::{KnownIndexes, Layout};
use crate::store::listing::{is_empty, names_in};
use crate::store::registry::{Registries, Repository};
use crate::store::{Location, Source, StoreError, Subjects, Wanted};
use crate::text::{escaped, quoted};
use crate::transfer::{Event, Observer};

/// What words are read against.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The current layout: what `-L`, the environment or the working directory give.
    pub layout: Option<&'a Path>,
    /// Places beside it in which the layers are found that compact archives take bytes of: the layout that is written, and archives
    /// that come with them.
    pub bases: &'a [PathBuf],
    /// Where compressed archives are unpacked to; beside the archive when it is not said.
    pub tmpdir: Option<&'a Path>,
    /// Where parts of split archives are looked for, besides the directory of the one that was named.
    pub part_dirs: &'a [PathBuf],
    /// The split archives that were opened.
    pub split: &'a SplitArchives,
    /// What was read of layouts.
    pub indexes: &'a KnownIndexes,
    /// A request to stop.
    pub cancel: &'a Cancel,
    /// Who hears of warnings.
    pub observer: &'a dyn Observer,
    /// How registries are reached.
    pub registries: &'a Registries,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// An open place.
#[derive(Debug)]
pub enum Store {
    /// A directory.
    Layout(Layout),
    /// A tar file.
    Archive(Archive),
    /// A registry, and the one image of it that was asked for.
    Registry(Repository),
}

impl Store {
    fn source(&self) -> &dyn Source {
        match self {
            Self::Layout(layout) => layout,
            Self::Archive(archive) => archive,
            Self::Registry(repository) => repository,
        }
    }

    /// Lists every blob that lies here, referred to or not, with its size in bytes.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn blobs(&self) -> Result<Vec<(Digest, u64)>, StoreError> {
        match self {
            Self::Layout(layout) => Ok(layout.blobs()?.blobs),
            Self::Archive(archive) => Ok(archive.blobs()),
            // nobody lists them
            Self::Registry(_) => Ok(Vec::new()),
        }
    }
}

impl Source for Store {
    fn location(&self) -> &Location {
        self.source().location()
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        self.source().roots()
    }

    fn unlisted(&self, subjects: &[Digest], wanted: &Wanted<'_>) -> Result<Vec<Descriptor>, StoreError> {
        self.source().unlisted(subjects, wanted)
    }

    fn subjects(&self) -> Option<&Subjects> {
        self.source().subjects()
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        self.source().open(content)
    }

    fn holds(&self, content: &Content) -> Result<bool, StoreError> {
        self.source().holds(content)
    }
}

/// An open place, and which image of it is meant.
#[derive(Debug)]
pub struct Opened {
    /// The place.
    pub store: Store,
    /// The image; all of them when the word does not say.
    pub selector: Option<Selector>,
    /// What the user typed.
    pub label: String,
}

/// Opens what a word means, for reading.
///
/// # Errors
/// [`Error::Reference`] for a word that means nothing, [`Error::Absent`] when nothing or several things answer to it,
/// [`Error::Store`] when the place cannot be opened.
pub fn open(word: &str, context: &Context<'_>) -> Result<Opened, Error> {
    let label = escaped(word);
    let (store, selector) = match parse_word(word)? {
        Word::Reference(Reference { place: Place::Registry(name), .. }) => {
            let repository = context.registries.repository(&name)?.with_image(&name)?;
            // one image is meant, and never the repository
            let digest = repository.roots()?.first().map(|root| Selector::parse(&format!("@{}", root.digest())));
            (Store::Registry(repository), digest.transpose()?)
        }
        Word::Reference(Reference { place, selector }) => (open_place(&place, context)?, selector),
        Word::Current(selector) => (open_current(word, context)?, Some(selector)),
        Word::Local { splits, rejected } => {
            let split = one_path(word, splits, rejected, context)?.ok_or_else(|| nothing_there(word, None, None))?;
            (open_path(&split.path, context)?, split.selector)
        }
        Word::Bare { name, splits, rejected } => open_bare(word, name, splits, rejected, context)?,
    };
    Ok(Opened { store, selector, label })
}

/// Returns the layout, or the archive in one file, that a word means, when it means one that is there: a place in which bases of compact
/// archives may be.
#[must_use]
pub fn path_meant(word: &str) -> Option<PathBuf> {
    let path = match parse_word(word).ok()? {
        Word::Reference(Reference { place: Place::Archive(path) | Place::Layout(path), .. }) => path,
        Word::Local { splits, .. } | Word::Bare { splits, .. } => {
            splits.into_iter().map(|split| split.path).find(|path| path.exists())?
        }
        _ => return None,
    };
    // a part alone is of no use
    let is_part = path.file_name().and_then(|name| name.to_str()).and_then(PartNames::recognised).is_some();
    (path.is_dir() || path.is_file() && !is_part).then_some(path)
}

/// Opens a local path: a directory is a layout, a file is an archive or a part of one. Where nothing is, its parts may be.
///
/// # Errors
/// When it is not there, or neither.
pub fn open_path(path: &Path, context: &Context<'_>) -> Result<Store, Error> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(Store::Layout(Layout::open_knowing(path, context.indexes)?)),
        Err(error) if !PartSet::is_known(path, context.part_dirs) => Err(StoreError::io("open", path)(error).into()),
        _ => open_archive(path, None, context),
    }
}

fn open_archive(path: &Path, format: Option<Format>, context: &Context<'_>) -> Result<Store, Error> {
    let archive = match open_set(path, format, context)? {
        Some(archive) => archive,
        None => Archive::open(path, &read_options(context, format), context.cancel)
            .map_err(|error| if_a_part(error, path))?,
    };
    Ok(heard(archive, context))
}

/// Says of a file that is called like a part, and is no archive by itself, that the others are wanted.
fn if_a_part(error: StoreError, path: &Path) -> StoreError {
    let name = path.file_name().and_then(|name| name.to_str());
    match (error, name.and_then(PartNames::recognised)) {
        (StoreError::Malformed { what, place, reason, .. }, Some((_, Mode::Stream, _))) => {
            let hint = "it is called like a part: put the others beside it, and the notes on them, or name their \
                        directories with --part-dir; when it is none, copy it again from where it was made";
            StoreError::Malformed { what, place, reason, hint: Some(hint.to_owned()) }
        }
        (error, _) => error,
    }
}

/// Returns how an archive is to be opened; its content decides on the format when none is asked for.
pub(super) fn read_options(context: &Context<'_>, format: Option<Format>) -> ReadOptions {
    ReadOptions { tmpdir: context.tmpdir.map(Path::to_path_buf), format }
}

fn heard(archive: Archive, context: &Context<'_>) -> Store {
    for warning in archive.warnings() {
        context.observer.hear(Event::Warning(warning.clone()));
    }
    find_bases(&archive, context);
    Store::Archive(archive)
}

fn open_place(place: &Place, context: &Context<'_>) -> Result<Store, Error> {
    match place {
        Place::Layout(path) => Ok(Store::Layout(Layout::open_knowing(path, context.indexes)?)),
        Place::Archive(path) => open_archive(path, None, context),
        Place::DockerArchive(path) => open_archive(path, Some(Format::Docker), context),
        Place::Stdio => {
            let fd = std::io::stdin().as_fd().try_clone_to_owned().map_err(StoreError::io("open", "standard input"))?;
            let archive = Archive::from_stdin(fd.into(), &read_options(context, None), context.cancel)?;
            Ok(heard(archive, context))
        }
        Place::Registry(name) => Ok(Store::Registry(context.registries.repository(name)?.with_image(name)?)),
    }
}

fn open_current(word: &str, context: &Context<'_>) -> Result<Store, Error> {
    let Some(layout) = context.layout else {
        return Err(Error::Absent {
            message: format!("cannot look up {}: there is no current layout", quoted(word)),
            cause: None,
            hint: Some(
                "give one with -L DIR, set BARGE_LAYOUT, or run barge in a directory that is a layout".to_owned(),
            ),
        });
    };
    Ok(Store::Layout(Layout::open_knowing(layout, context.indexes)?))
}

fn open_bare(
    word: &str,
    name: Selector,
    splits: Vec<Split>,
    rejected: Vec<Rejected>,
    context: &Context<'_>,
) -> Result<(Store, Option<Selector>), Error> {
    let path = one_path(word, splits, rejected, context)?;
    // the current layout may be what this run is about to make
    let current = match context.layout.map(|path| Layout::open_knowing(path, context.indexes)).transpose() {
        Err(StoreError::Absent { .. }) => None,
        opened => opened?,
    };
    let named = match &current {
        Some(layout) => !lookup::select(layout, Some(&name)).map_or_else(none_if_absent, Ok)?.is_empty(),
        None => false,
    };
    match (path, current) {
        (Some(split), Some(layout)) if named => Err(Error::Absent {
            message: format!("cannot tell what {} means", quoted(word)),
            cause: Some(format!("{} is a path, and a name in {}", spelled(&split), layout.location())),
            hint: Some(format!("write ./{} for the path, or :{} for the name", escaped(word), escaped(word))),
        }),
        (Some(split), _) => Ok((open_path(&split.path, context)?, split.selector)),
        (None, Some(layout)) if named => Ok((Store::Layout(layout), Some(name))),
        (None, current) => Err(nothing_there(word, current.as_ref(), context.layout)),
    }
}

/// An image that is not there is an answer here, any other failure is not.
fn none_if_absent(error: Error) -> Result<Vec<Descriptor>, Error> {
    match error {
        Error::Absent { .. } => Ok(Vec::new()),
        other => Err(other),
    }
}

/// Returns the one way to read a word as a path that exists.
fn one_path(
    word: &str,
    splits: Vec<Split>,
    rejected: Vec<Rejected>,
    context: &Context<'_>,
) -> Result<Option<Split>, Error> {
    let (mut there, mut elsewhere) = (Vec::new(), Vec::new());
    for split in splits {
        if exists(&split.path)? { there.push(split) } else { elsewhere.push(split) }
    }
    if there.is_empty() {
        there.extend(elsewhere.into_iter().filter(|split| PartSet::is_known(&split.path, context.part_dirs)));
    }
    if there.len() > 1 {
        let readings = there.iter().map(spelled).collect::<Vec<_>>().join(" and ");
        return Err(Error::Absent {
            message: format!("cannot tell what {} means", quoted(word)),
            cause: Some(format!("{readings} exist")),
            hint: Some(
                "write oci:DIR:NAME or oci-archive:FILE:NAME, where the path ends at the first colon".to_owned(),
            ),
        });
    }
    if there.is_empty() {
        for rejected in rejected {
            if exists(&rejected.path)? {
                return Err(rejected.error.into());
            }
        }
    }
    Ok(there.pop())
}

fn exists(path: &Path) -> Result<bool, Error> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if is_absence(&error) => Ok(false),
        Err(error) => Err(StoreError::io("look at", path)(error).into()),
    }
}

/// Returns whether a path cannot be looked at because nothing is there: every other failure is one of the machine.
pub(super) fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    // a path through a file ("bundle.tar/x") is not there either, nor is a name that no file can have
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename | InvalidInput)
}

fn spelled(split: &Split) -> String {
    let selector = split.selector.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{}{selector}", escaped(&split.path.to_string_lossy()))
}

fn nothing_there(word: &str, searched: Option<&Layout>, layout: Option<&Path>) -> Error {
    let name = match (searched, layout) {
        (Some(place), _) => Some(format!(", and no image in {} has that name", place.location())),
        (None, Some(layout)) => {
            Some(format!(", and the current layout {} is not there", escaped(&layout.to_string_lossy())))
        }
        (None, None) => None,
    };
    let near = searched.and_then(|layout| lookup::near_name(layout, word)).or_else(|| near_path(word));
    Error::Absent {
        message: format!("cannot find {}", quoted(word)),
        cause: Some(format!("no such file or directory{}", name.unwrap_or_default())),
        hint: near.map(|near| format!("did you mean {} ?", escaped(&near))).or_else(|| registry_hint(word)),
    }
}

/// Returns what to write when a registry is meant: elsewhere than in a push or a pull that is never guessed.
fn registry_hint(word: &str) -> Option<String> {
    let host = word.split('/').next().unwrap_or_default();
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_host =
        name == "localhost" || is_port || (word.contains('/') && name.contains('.') && !name.starts_with('.'));
    is_host.then(|| format!("if a registry is meant, write docker://{}", escaped(word)))
}

/// Returns whether a path is that of a directory with nothing in it.
#[must_use]
pub fn is_empty_directory(path: &Path) -> bool {
    is_empty(path).unwrap_or(false)
}

/// Returns what lies beside a mistyped path and is spelled almost alike.
fn near_path(word: &str) -> Option<String> {
    let path = Path::new(word);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let typed = path.file_name()?.to_str()?;
    let names: Vec<String> = names_in(parent.unwrap_or(Path::new(".")))
        .ok()?
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .take(10_000)
        .collect();
    let near = crate::text::nearest(typed, names.iter().map(String::as_str))?;
    Some(parent.map_or_else(|| near.to_owned(), |parent| parent.join(near).to_string_lossy().into_owned()))
}
