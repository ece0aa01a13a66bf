//! What the sources of COPY mean: which files, and what is said when there is none.

use std::cell::Cell;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::context::found_at;
use super::origin::{Found, Origin};
use super::parents::cleaned;
use crate::layer::{AddOptions, Choice, Context, End, Lookup, Tree};
use crate::ops::Error;
use crate::recipe::ignore::Ignore;
use crate::recipe::pattern::Pattern;
use crate::text::{escaped, nearest, quoted, shell_word};

/// What a step takes from.
#[derive(Clone, Copy)]
pub(crate) enum From<'a> {
    /// A directory on the disk.
    Context {
        /// The directory.
        context: &'a Context,
        /// What of it is left out.
        ignore: &'a Ignore,
        /// The name of the file that says so, for messages.
        ignore_file: &'a str,
    },
    /// The file system of an image or of an earlier stage.
    Image(&'a dyn Origin),
}

/// A file or directory that is copied.
pub(super) struct Source {
    /// Where it is. In a context, links are followed already, so that an ignore file is asked about the file itself.
    pub(super) path: PathBuf,
    /// What it is called: by the name that was written or that matched, whatever a link leads to.
    pub(super) name: OsString,
    pub(super) found: Found,
}

impl<'a> From<'a> {
    pub(super) fn origin(&self) -> &'a dyn Origin {
        match *self {
            Self::Context { context, .. } => context,
            Self::Image(origin) => origin,
        }
    }

    /// Returns what an ignore file says of a path.
    pub(super) fn choice(&self, path: &Path, is_directory: bool) -> Choice {
        match self {
            Self::Context { ignore, .. } => choice(ignore, path, is_directory),
            Self::Image(_) => Choice::Take,
        }
    }

    /// Returns what stands under a path that is no pattern.
    pub(super) fn one(&self, path: &Path) -> Result<Option<Source>, Error> {
        let name = path.file_name().unwrap_or_default().to_owned();
        let found = match self {
            Self::Context { context, .. } => {
                let Some(way) = context.lookup(path)? else { return Ok(None) };
                let left_out = |path: &PathBuf| self.choice(path, false) == Choice::Leave;
                if way.links.iter().any(left_out) || !self.lets_in(&way)? {
                    return Ok(None);
                }
                if way.end == End::Nothing {
                    return Err(Error::Absent {
                        message: format!("cannot find {} in {}", quoted(&path.to_string_lossy()), context.describe()),
                        cause: Some("it is a symbolic link that leads to nothing there".to_owned()),
                        hint: None,
                    });
                }
                Source { found: found_at(way.end), path: way.path, name }
            }
            Self::Image(origin) => {
                let Some(found) = origin.look(path)? else { return Ok(None) };
                Source { path: path.to_owned(), name, found }
            }
        };
        Ok(Some(found))
    }

    /// Returns whether an ignore file lets in something of what is there: of a directory, maybe only what is deep in it.
    fn lets_in(&self, way: &Lookup) -> Result<bool, Error> {
        match self.choice(&way.path, way.end == End::Directory) {
            Choice::Take => return Ok(true),
            Choice::Leave => return Ok(false),
            Choice::Below => {}
        }
        let any = Cell::new(false);
        let choose = |path: &Path, is_directory: bool| {
            let choice = self.choice(path, is_directory);
            any.set(any.get() || choice == Choice::Take);
            // one is enough, and what is in it does not matter
            if any.get() { Choice::Leave } else { choice }
        };
        let options = AddOptions { choose: &choose, ..AddOptions::new(Path::new("")) };
        self.origin().add(&mut Tree::new(), &options, &way.path)?;
        Ok(any.get())
    }

    /// Returns the directory that the sources of COPY --parents are seen from.
    ///
    /// # Errors
    /// When it is not there.
    pub(super) fn directory(&self, path: &str) -> Result<Source, Error> {
        match self.one(Path::new(path))? {
            Some(found) if found.found == Found::Directory => Ok(found),
            Some(_) => Err(Error::Usage {
                message: format!(
                    "cannot copy from {} in {}: it is no directory",
                    quoted(path),
                    self.origin().describe()
                ),
                hint: None,
            }),
            None => Err(self.missing(path, self.origin().look(Path::new(path))?.is_some())?),
        }
    }

    /// Returns what a source means. Of what a pattern means, `excludes` leaves out what has such a name, and so it does
    /// with a file that is named; in a directory that is named it counts for what is in it.
    ///
    /// # Errors
    /// When it means nothing.
    pub(super) fn find(&self, source: &str, excludes: &Ignore) -> Result<Vec<Source>, Error> {
        let path = cleaned(source);
        let is_pattern = Pattern::is_needed_for(&path);
        let paths = if is_pattern { self.origin().matches(&path)? } else { vec![PathBuf::from(&path)] };
        let mut found = Vec::new();
        for path in &paths {
            found.extend(self.one(path)?);
        }
        if found.is_empty() {
            // what stands there, or what the pattern means, is left out
            let there = if is_pattern { !paths.is_empty() } else { self.origin().look(Path::new(&path))?.is_some() };
            return Err(self.missing(&path, there)?);
        }
        found.retain(|source| {
            let is_directory = source.found == Found::Directory;
            is_directory && !is_pattern || choice(excludes, Path::new(&source.name), is_directory) != Choice::Leave
        });
        if found.is_empty() {
            return Err(self.excluded(source));
        }
        Ok(found)
    }

    /// Says that --exclude leaves nothing of a source.
    pub(super) fn excluded(&self, source: &str) -> Error {
        Error::Absent {
            message: format!("cannot copy {} from {}", quoted(source), self.origin().describe()),
            cause: Some("--exclude leaves out all of it".to_owned()),
            hint: None,
        }
    }

    /// Says that nothing is there, or that it is, and an ignore file leaves it out.
    pub(super) fn missing(&self, path: &str, ignored: bool) -> Result<Error, Error> {
        let origin = self.origin();
        let is_pattern = Pattern::is_needed_for(path);
        let what = if is_pattern { "anything that matches " } else { "" };
        let message = format!("cannot find {what}{} in {}", quoted(path), origin.describe());
        if let (Self::Context { ignore_file, .. }, true) = (self, ignored) {
            let ignore_file = escaped(ignore_file);
            let cause = Some(format!("it is left out by {ignore_file}"));
            let hint = (!is_pattern).then(|| format!("a line in {ignore_file} lets it in: !{}", escaped(path)));
            return Ok(Error::Absent { message, cause, hint });
        }
        let hint = if is_pattern {
            let is_name = origin.look(Path::new(path))?.is_some();
            is_name.then(|| format!("a file has this very name: write {}", escaped(&spelled(path))))
        } else {
            self.near(path)?
        };
        Ok(Error::Absent { message, cause: None, hint })
    }

    /// Returns which file beside a missing one may be meant.
    fn near(&self, path: &str) -> Result<Option<String>, Error> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let pattern = if directory.is_empty() { "*".to_owned() } else { format!("{directory}/*") };
        let beside = self.origin().matches(&pattern)?;
        let seen = beside.iter().filter(|path| self.choice(path, true) != Choice::Leave);
        let names: Vec<&str> = seen.filter_map(|path| path.file_name()?.to_str()).collect();
        let meant = nearest(name, names);
        Ok(meant.map(|name| format!("did you mean {}?", shell_word(name))))
    }
}

/// Returns a name as a pattern that means nothing else.
fn spelled(name: &str) -> String {
    name.replace('[', "[[]").replace('*', "[*]").replace('?', "[?]")
}

/// Returns what becomes of a path by patterns of what is left out.
pub(super) fn choice(ignore: &Ignore, path: &Path, is_directory: bool) -> Choice {
    if ignore.is_empty() || !ignore.excludes(&path.to_string_lossy()) {
        Choice::Take
    } else if is_directory && ignore.has_exceptions() {
        Choice::Below
    } else {
        Choice::Leave
    }
}
