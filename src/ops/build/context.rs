//! A directory on the disk as something that COPY takes from.

use std::path::{Path, PathBuf};

use super::origin::{Found, Origin};
use crate::layer::{AddOptions, Context, End, Source, Tree};
use crate::ops::Error;
use crate::recipe::pattern::Pattern;
use crate::text::{escaped, quoted};

/// How many paths a pattern may mean.
const MOST_MATCHES: usize = 100_000;

impl Origin for Context {
    fn look(&self, path: &Path) -> Result<Option<Found>, Error> {
        Ok(self.lookup(path)?.map(|way| found_at(way.end)))
    }

    /// Links are followed up to the first wildcard and no further, as docker does: those behind it could lead in circles.
    fn matches(&self, pattern: &str) -> Result<Vec<PathBuf>, Error> {
        let parts: Vec<&str> = pattern.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let first = parts.iter().position(|part| Pattern::is_needed_for(part)).unwrap_or(parts.len());
        let written: PathBuf = parts[..first].iter().collect();
        let Some(start) = self.lookup(&written)? else { return Ok(Vec::new()) };
        if first == parts.len() {
            return Ok(vec![written]);
        }
        let mut found = vec![PathBuf::new()];
        for part in &parts[first..] {
            if !Pattern::is_needed_for(part) {
                found.iter_mut().for_each(|path| path.push(part));
                continue;
            }
            let wanted = Pattern::new(part).map_err(|reason| no_pattern(pattern, reason))?;
            let mut next = Vec::new();
            for below in found {
                let directory = start.path.join(&below);
                if !is_plain(self, &directory)? {
                    continue;
                }
                for name in self.names(&directory)?.unwrap_or_default() {
                    if wanted.matches(&name.to_string_lossy()) {
                        if next.len() == MOST_MATCHES {
                            return Err(too_many(pattern));
                        }
                        next.push(below.join(name));
                    }
                }
            }
            found = next;
        }
        if parts.last().is_some_and(|part| !Pattern::is_needed_for(part)) {
            let mut there = Vec::new();
            for below in found {
                let path = start.path.join(&below);
                if is_plain(self, path.parent().unwrap_or(&path))? && self.lookup(&path)?.is_some() {
                    there.push(below);
                }
            }
            found = there;
        }
        let mut found: Vec<PathBuf> = found.into_iter().map(|below| written.join(below)).collect();
        found.sort_unstable_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
        Ok(found)
    }

    fn add(&self, tree: &mut Tree, options: &AddOptions<'_>, path: &Path) -> Result<(), Error> {
        Ok(tree.add(options, &Source::Path(self, path))?)
    }

    fn describe(&self) -> String {
        escaped(&self.path().to_string_lossy())
    }
}

/// Returns what is at the end of a path, as [`Origin`] has it.
pub(super) const fn found_at(end: End) -> Found {
    match end {
        End::Directory => Found::Directory,
        End::File => Found::File,
        End::Other | End::Nothing => Found::Other,
    }
}

/// Returns whether a path is there and leads through no link.
fn is_plain(context: &Context, path: &Path) -> Result<bool, Error> {
    Ok(context.lookup(path)?.is_some_and(|way| way.links.is_empty()))
}

/// Says that a text is no pattern.
pub(super) fn no_pattern(pattern: &str, reason: &str) -> Error {
    Error::Usage {
        message: format!("cannot copy {}: it is no pattern: {reason}", quoted(pattern)),
        hint: Some("write [[] for a [ that stands in a name".to_owned()),
    }
}

fn too_many(pattern: &str) -> Error {
    Error::Unsupported {
        message: format!("cannot copy {}: it means more than {MOST_MATCHES} files", quoted(pattern)),
        cause: None,
        hint: Some("copy the directory that they are in".to_owned()),
    }
}
