//! What an image is built from: the recipe, the directory that it takes files from, and what of that is left out.

use std::io::Read;
use std::path::{Path, PathBuf};

use barge::layer::Context;
use barge::ops::Error;
use barge::recipe::ignore::Ignore;
use barge::recipe::{Dialect, Recipe};
use barge::store::StoreError;
use barge::text::escaped;

use super::BuildArgs;

/// The names under which a recipe is looked for, in this order.
const FILES: [&str; 3] = ["Containerfile", "Dockerfile", "Kubefile"];
/// The names under which an ignore file is looked for in a context, in this order; behind the name of a recipe, they are
/// those of an ignore file for that recipe alone.
const IGNORE_FILES: [&str; 2] = [".containerignore", ".dockerignore"];
/// The most bytes that are read of a recipe or an ignore file: more than either may have.
const LARGEST: u64 = 16 << 20;

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
    pub(super) fn find(args: &BuildArgs) -> Result<Self, Error> {
        let directory = args.context.as_deref().unwrap_or(Path::new("."));
        let context = Context::open(directory)?;
        let (path, recipe) = recipe(args.file.as_deref(), directory)?;
        let (ignore_name, ignore) = ignore(args.ignorefile.as_deref(), path.as_deref(), directory)?;
        Ok(Self { recipe, context: Some(context), ignore, ignore_name })
    }
}

/// Finds and reads the recipe.
fn recipe(file: Option<&str>, directory: &Path) -> Result<(Option<PathBuf>, Recipe), Error> {
    let path = match file {
        Some("-") => {
            let text = bounded(&mut std::io::stdin().lock(), Path::new("standard input"))?;
            return Ok((None, Recipe::parse("standard input", &text, Dialect::Containerfile)?));
        }
        Some(file) => PathBuf::from(file),
        None => {
            let found = FILES.iter().map(|name| directory.join(name)).find(|path| path.exists());
            found.ok_or_else(|| no_recipe(directory))?
        }
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let dialect = if name.contains("kubefile") { Dialect::Kubefile } else { Dialect::Containerfile };
    let shown = path.strip_prefix(".").unwrap_or(&path).to_string_lossy().into_owned();
    let recipe = Recipe::parse(&shown, &read(&path)?, dialect)?;
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
fn ignore(asked: Option<&Path>, recipe: Option<&Path>, directory: &Path) -> Result<(String, Ignore), Error> {
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
    let ignore = Ignore::parse(&path.to_string_lossy(), &read(&path)?)?;
    Ok((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), ignore))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut file = std::fs::File::open(path).map_err(StoreError::io("read", path))?;
    bounded(&mut file, path)
}

/// Reads a little more than any such file may have: whoever parses it says that it is too large.
fn bounded(from: &mut dyn Read, path: &Path) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    from.take(LARGEST).read_to_end(&mut text).map_err(StoreError::io("read", path))?;
    Ok(text)
}
