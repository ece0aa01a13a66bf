//! COPY and ADD: what one of them puts into a layer, as docker's reference has it ("COPY", "ADD"; BuildKit's Dockerfile
//! frontend 1.20 where it is silent).
//!
//! Where BuildKit and the reference differ, the reference counts: `--exclude` leaves out a file that is named or matched
//! too. Two things are refused that BuildKit lets pass: a source that means nothing, and a file that would take the place
//! of a directory of the image.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use super::origin::Found;
use super::owner;
use super::parents::{Kept, cleaned};
use super::sources::{From, Source, choice};
use crate::layer::{self, AddOptions, Choice, Context, Modes, Owner, Packed, Standing, Tree, sniff};
use crate::ops::Error;
use crate::recipe::plan;
use crate::text::quoted;

/// How files are added by every step of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    /// Whose files are that COPY has no --chown for. Without one they are root's from a context, and keep their owner from
    /// an image. What ADD unpacks keeps its owner whatever stands here.
    pub(crate) owner: Option<Owner>,
    /// What permissions files have that there is no --chmod for. [`Modes::Plain`] counts for files of a context only: in
    /// an image and in a tar, somebody set them.
    pub(crate) modes: Modes,
    /// The latest time that a file may have: [`AddOptions::epoch`].
    pub(crate) epoch: Option<i64>,
    /// The directory for temporary files without a name.
    pub(crate) spool: &'a Path,
    /// Names of extended attributes to keep: [`AddOptions::xattrs`].
    pub(crate) xattrs: &'a [&'a str],
}

/// Reads `etc/passwd` or `etc/group` of the image; `None` when it has none.
pub(crate) type Accounts<'a> = dyn Fn(&str) -> Result<Option<Vec<u8>>, Error> + 'a;

/// The image that a step adds to.
#[derive(Clone, Copy)]
pub(crate) struct Beneath<'a> {
    /// What it holds at a path: [`AddOptions::below`].
    pub(crate) standing: &'a dyn Fn(&Path) -> Option<Standing>,
    /// Who its users and groups are.
    pub(crate) accounts: &'a Accounts<'a>,
}

/// Adds to a layer what COPY or ADD says.
///
/// # Errors
/// When a source means nothing, or several files where one is expected; when the image does not know the owner; when a
/// file cannot be read or cannot be in a layer. The tree is of no use then.
pub(crate) fn copy(
    tree: &mut Tree,
    copy: &plan::Copy,
    from: From<'_>,
    terms: &Terms<'_>,
    beneath: &Beneath<'_>,
) -> Result<(), Error> {
    let chown = copy.chown.as_deref().map(|said| owner::resolve(said, beneath.accounts)).transpose()?;
    let chown = chown.map(|(uid, gid)| Owner::Is { uid, gid });
    let usual = match from {
        From::Context { .. } => Owner::Is { uid: 0, gid: 0 },
        From::Image(_) => Owner::Keep,
    };
    let given = match terms.modes {
        Modes::Plain => Modes::Keep,
        modes => modes,
    };
    let modes = match (copy.chmod, from) {
        (Some(mode), _) => Modes::Are(mode),
        (None, From::Context { .. }) => terms.modes,
        (None, From::Image(_)) => given,
    };
    let step = Step {
        copy,
        from,
        terms,
        beneath,
        owner: chown.or(terms.owner).unwrap_or(usual),
        modes,
        unpacked: (chown.unwrap_or(Owner::Keep), copy.chmod.map_or(given, Modes::Are)),
        destination: cleaned(&copy.destination),
    };
    step.run(tree)
}

/// One COPY or ADD.
struct Step<'a> {
    copy: &'a plan::Copy,
    from: From<'a>,
    terms: &'a Terms<'a>,
    beneath: &'a Beneath<'a>,
    owner: Owner,
    modes: Modes,
    /// Owner and permissions of what is unpacked.
    unpacked: (Owner, Modes),
    destination: String,
}

impl Step<'_> {
    fn run(&self, tree: &mut Tree) -> Result<(), Error> {
        let Self { copy, destination, .. } = self;
        if copy.parents {
            for source in &copy.sources {
                self.add_with_parents(tree, &Kept::read(source)?)?;
            }
        }
        let mut sources = Vec::new();
        for source in copy.sources.iter().filter(|_| !copy.parents) {
            sources.extend(self.from.find(source, &copy.excludes)?);
        }
        let to = Path::new(destination);
        let is_directory = copy.parents
            || copy.destination.ends_with('/')
            || tree.leads_to(&self.options(to))? == Some(Standing::Directory);
        let count = sources.len() + copy.inline.len();
        if count > 1 && !is_directory {
            return Err(Error::Usage {
                message: format!(
                    "cannot copy {count} files to {}: the image has no such directory",
                    quoted(&copy.destination)
                ),
                hint: Some("end the destination with a slash to make it a directory".to_owned()),
            });
        }
        let place = |name: &Path| if is_directory { to.join(name) } else { to.to_owned() };
        for source in &sources {
            if source.found == Found::Directory {
                self.add_directory(tree, source)?;
            } else if !self.add_unpacked(tree, source)? {
                let place = place(Path::new(&source.name));
                self.make_room(tree, &place)?;
                self.from.origin().add(tree, &self.options(&place), &source.path)?;
            }
        }
        for (name, content) in &copy.inline {
            let place = place(Path::new(name));
            self.make_room(tree, &place)?;
            tree.add(&self.options(&place), &layer::Source::Bytes(content.as_bytes()))?;
        }
        Ok(())
    }

    fn options<'b>(&'b self, to: &'b Path) -> AddOptions<'b> {
        let Self { terms, beneath, owner, modes, .. } = self;
        AddOptions {
            owner: *owner,
            modes: *modes,
            epoch: terms.epoch,
            xattrs: terms.xattrs,
            below: beneath.standing,
            ..AddOptions::new(to)
        }
    }

    /// Makes the directory that a file goes to.
    fn make_room(&self, tree: &mut Tree, place: &Path) -> Result<(), Error> {
        if let Some(above) = place.parent() {
            make_directories(tree, &self.options(above))?;
        }
        if tree.stands_at(&self.options(place))? == Some(Standing::Directory) {
            return Err(Error::Unsupported {
                message: format!("cannot copy a file to {}", quoted(&format!("/{}", place.to_string_lossy()))),
                cause: Some("the image has a directory there".to_owned()),
                hint: Some("copy it to another place".to_owned()),
            });
        }
        Ok(())
    }

    /// Adds what is in a directory.
    fn add_directory(&self, tree: &mut Tree, source: &Source) -> Result<(), Error> {
        let to = Path::new(&self.destination);
        make_directories(tree, &self.options(to))?;
        let choose = |path: &Path, is_directory: bool| {
            let below = path.strip_prefix(&source.path).unwrap_or(path);
            stricter(self.from.choice(path, is_directory), choice(&self.copy.excludes, below, is_directory))
        };
        self.from.origin().add(tree, &AddOptions { choose: &choose, ..self.options(to) }, &source.path)
    }

    /// Adds what a pattern means below a directory, with the directories in between.
    fn add_with_parents(&self, tree: &mut Tree, kept: &Kept) -> Result<(), Error> {
        let base = self.from.directory(&kept.base)?;
        let to = Path::new(&self.destination);
        make_directories(tree, &self.options(to))?;
        let (taken, ignored, excluded) = (Cell::new(kept.pattern.is_empty()), Cell::new(false), Cell::new(false));
        let choose = |path: &Path, is_directory: bool| {
            let below = path.strip_prefix(&base.path).unwrap_or(path);
            let meant = kept.choice(&below.to_string_lossy(), is_directory);
            if meant == Choice::Leave {
                return meant;
            }
            let by_file = self.from.choice(path, is_directory);
            let by_option = choice(&self.copy.excludes, below, is_directory);
            ignored.set(ignored.get() || by_file == Choice::Leave);
            excluded.set(excluded.get() || by_option == Choice::Leave);
            let choice = stricter(stricter(meant, by_file), by_option);
            taken.set(taken.get() || choice == Choice::Take);
            choice
        };
        self.from.origin().add(tree, &AddOptions { choose: &choose, ..self.options(to) }, &base.path)?;
        let source = PathBuf::from(&kept.base).join(&kept.pattern);
        let source = source.to_string_lossy();
        match (taken.get(), ignored.get(), excluded.get()) {
            (true, ..) => Ok(()),
            (_, false, true) => Err(self.from.excluded(&source)),
            (_, ignored, _) => Err(self.from.missing(&source, ignored)?),
        }
    }

    /// Unpacks a tar of the context for ADD. Returns whether it was one.
    fn add_unpacked(&self, tree: &mut Tree, source: &Source) -> Result<bool, Error> {
        let From::Context { context, .. } = self.from else { return Ok(false) };
        if !self.copy.unpack || source.found != Found::File {
            return Ok(false);
        }
        match sniff(context, &source.path)? {
            Packed::No => Ok(false),
            Packed::Foreign(packed) => Err(foreign(context, source, packed)),
            Packed::Tar(_) => {
                let to = Path::new(&self.destination);
                make_directories(tree, &self.options(to))?;
                let (owner, modes) = self.unpacked;
                let tar = layer::Source::Tar { context, path: &source.path, spool: self.terms.spool };
                tree.add(&AddOptions { owner, modes, ..self.options(to) }, &tar)?;
                Ok(true)
            }
        }
    }
}

/// Makes a directory and those above it where they are absent: for the owner that the options say, with the mode 0755.
pub(super) fn make_directories(tree: &mut Tree, options: &AddOptions<'_>) -> Result<(), Error> {
    let above: Vec<&Path> = options.to.ancestors().filter(|path| path.file_name().is_some()).collect();
    for to in above.into_iter().rev() {
        tree.add_directory(&AddOptions { to, modes: Modes::Keep, ..*options })?;
    }
    Ok(())
}

const fn stricter(one: Choice, other: Choice) -> Choice {
    match (one, other) {
        (Choice::Leave, _) | (_, Choice::Leave) => Choice::Leave,
        (Choice::Below, _) | (_, Choice::Below) => Choice::Below,
        _ => Choice::Take,
    }
}

fn foreign(context: &Context, source: &Source, packed: &str) -> Error {
    let program = if packed == "bzip2" { "bzip2 -d" } else { "xz -d" };
    Error::Unsupported {
        message: format!("cannot unpack {}", quoted(&context.path().join(&source.path).to_string_lossy())),
        cause: Some(format!("it is packed with {packed}, expected a tar that is plain or packed with gzip or zstd")),
        hint: Some(format!("unpack it with `{program}` first, or COPY it to take the file as it is")),
    }
}
