//! What an image is built from: the recipe, the directory that it takes files from, and what of that is left out.

use std::fs::{File, FileType};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use barge::blob::Cancel;
use barge::layer::Context;
use barge::ops::Error;
use barge::recipe::ignore::Ignore;
use barge::recipe::{Dialect, Recipe};
use barge::store::StoreError;
use barge::text::{escaped, quoted};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use super::BuildArgs;

/// The names under which a recipe is looked for, in this order.
const FILES: [&str; 3] = ["Containerfile", "Dockerfile", "Kubefile"];
/// The names under which an ignore file is looked for in a context, in this order; behind the name of a recipe, they are
/// those of an ignore file for that recipe alone.
const IGNORE_FILES: [&str; 2] = [".containerignore", ".dockerignore"];
/// The most bytes that are read of a recipe or an ignore file: more than either may have.
const LARGEST: u64 = 16 << 20;
/// How long nobody looks whether somebody asked to stop.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

pub(super) struct Sources {
    pub(super) recipe: Recipe,
    pub(super) context: Option<Context>,
    pub(super) ignore: Ignore,
    pub(super) ignore_name: String,
}

impl Sources {
    /// A recipe alone.
    pub(super) fn without(recipe: Recipe) -> Self {
        Self { recipe, context: None, ignore: Ignore::default(), ignore_name: String::new() }
    }

    /// Finds and reads all that the arguments mean.
    pub(super) fn find(args: &BuildArgs, cancel: &Cancel) -> Result<Self, Error> {
        let directory = args.context.as_deref().unwrap_or(Path::new("."));
        if directory.is_file() {
            return Err(Error::Usage {
                message: format!("cannot copy from {}: it is a file", quoted(&directory.to_string_lossy())),
                hint: Some("CONTEXT is a directory; give a recipe with -f FILE".to_owned()),
            });
        }
        let context = Context::open(directory)?;
        let (path, recipe) = recipe(args.file.as_deref(), directory, cancel)?;
        let (ignore_name, ignore) = ignore(args.ignorefile.as_deref(), path.as_deref(), directory, cancel)?;
        Ok(Self { recipe, context: Some(context), ignore, ignore_name })
    }
}

/// Finds and reads the recipe.
fn recipe(file: Option<&str>, directory: &Path, cancel: &Cancel) -> Result<(Option<PathBuf>, Recipe), Error> {
    let path = match file {
        Some("-") => {
            let text = patiently(&mut io::stdin().lock(), Path::new("standard input"), cancel)?;
            return Ok((None, Recipe::parse("standard input", &text, Dialect::Containerfile)?));
        }
        Some(file) => PathBuf::from(file),
        None => {
            let found = FILES.iter().map(|name| directory.join(name)).find(|path| path.exists());
            let found = found.ok_or_else(|| no_recipe(directory))?;
            // whoever wants to read a pipe says so
            refuse(&found, |kind| !kind.is_file())?;
            found
        }
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let dialect = if name.contains("kubefile") { Dialect::Kubefile } else { Dialect::Containerfile };
    let shown = path.strip_prefix(".").unwrap_or(&path).to_string_lossy().into_owned();
    let recipe = Recipe::parse(&shown, &read(&path, cancel)?, dialect)?;
    Ok((Some(path), recipe))
}

fn no_recipe(directory: &Path) -> Error {
    Error::Absent {
        message: format!("cannot find a recipe in {}", escaped(&directory.to_string_lossy())),
        cause: Some("there is no Containerfile, Dockerfile or Kubefile".to_owned()),
        hint: Some("give one with -f FILE, or build without one: --from IMAGE --add SRC:DST".to_owned()),
    }
}

/// Finds and reads the ignore file, and returns its name with it.
fn ignore(
    asked: Option<&Path>,
    recipe: Option<&Path>,
    directory: &Path,
    cancel: &Cancel,
) -> Result<(String, Ignore), Error> {
    let beside = recipe.into_iter().flat_map(|recipe| {
        IGNORE_FILES.iter().map(|name| {
            let mut path = recipe.as_os_str().to_owned();
            path.push(name);
            PathBuf::from(path)
        })
    });
    let inside = IGNORE_FILES.iter().map(|name| directory.join(name));
    let found = match asked {
        Some(path) => Some(path.to_owned()),
        None => beside.chain(inside).find(|path| path.is_file()),
    };
    let Some(path) = found else { return Ok((String::new(), Ignore::default())) };
    let ignore = Ignore::parse(&path.to_string_lossy(), &read(&path, cancel)?)?;
    Ok((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), ignore))
}

/// Refuses what is no file to read.
fn refuse(path: &Path, unfit: impl Fn(FileType) -> bool) -> Result<(), Error> {
    let kind = std::fs::metadata(path).map_err(StoreError::io("read", path))?.file_type();
    if !unfit(kind) {
        return Ok(());
    }
    let what = if kind.is_dir() { "a directory" } else { "no regular file" };
    Err(Error::Usage {
        message: format!("cannot read {}: it is {what}", quoted(&path.to_string_lossy())),
        hint: Some("give a file with -f FILE".to_owned()),
    })
}

/// Reads a file, or a pipe that has a path: that one is open at once, whether somebody writes to it yet or not.
fn read(path: &Path, cancel: &Cancel) -> Result<Vec<u8>, Error> {
    refuse(path, |kind| kind.is_dir())?;
    let mut options = File::options();
    options.read(true);
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo()) {
        options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    }
    let mut file = options.open(path).map_err(StoreError::io("read", path))?;
    patiently(&mut file, path, cancel)
}

/// Reads a little more than any such file may have: whoever parses it says that it is too large. Waits for what has yet to
/// come, until somebody asks to stop.
fn patiently(from: &mut (impl Read + AsFd), path: &Path, cancel: &Cancel) -> Result<Vec<u8>, Error> {
    let failed = |error: io::Error| StoreError::io("read", path)(error);
    let mut text = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let mut is_waiting = true;
    while (text.len() as u64) < LARGEST {
        if cancel.is_cancelled() {
            return Err(StoreError::Cancelled.into());
        }
        if is_waiting {
            match poll(&mut [PollFd::new(&*from, PollFlags::IN)], Some(&GLANCE)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(failed(error.into()).into()),
            }
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            // the end of a pipe whose writer was gone before it was opened is not told to those who wait
            Ok(count) => {
                text.extend_from_slice(&buffer[..count]);
                is_waiting = may_block(from);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => is_waiting = true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error).into()),
        }
    }
    Ok(text)
}

/// Returns whether reading may block.
fn may_block(file: &impl AsFd) -> bool {
    rustix::fs::fcntl_getfl(file).is_ok_and(|flags| !flags.contains(OFlags::NONBLOCK))
}
