//! A directory on the disk as something that COPY takes from.

use std::ffi::OsStr;
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
        Ok(self.lookup(path)?.map(|found| match found.end {
            End::Directory => Found::Directory,
            End::File => Found::File,
            End::Other | End::Nothing => Found::Other,
        }))
    }

    fn matches(&self, pattern: &str) -> Result<Vec<PathBuf>, Error> {
        let mut found = vec![PathBuf::new()];
        let mut listed = false;
        for part in pattern.split('/').filter(|part| !matches!(*part, "" | ".")) {
            if !Pattern::is_needed_for(part) {
                found.iter_mut().for_each(|path| path.push(part));
                continue;
            }
            let wanted = Pattern::new(part).map_err(|reason| no_pattern(pattern, reason))?;
            let mut next = Vec::new();
            for directory in found {
                for name in self.names(&directory)?.unwrap_or_default() {
                    if wanted.matches(&name.to_string_lossy()) {
                        if next.len() == MOST_MATCHES {
                            return Err(too_many(pattern));
                        }
                        next.push(directory.join(name));
                    }
                }
            }
            (found, listed) = (next, true);
        }
        // what stood in a list is there
        let ends_in_list = listed && pattern.rsplit('/').next().is_some_and(Pattern::is_needed_for);
        if !ends_in_list {
            let mut kept = Vec::new();
            for path in found {
                if self.lookup(&path)?.is_some() {
                    kept.push(path);
                }
            }
            found = kept;
        }
        found.sort_unstable_by(|a, b| bytes(a).cmp(bytes(b)));
        Ok(found)
    }

    fn add(&self, tree: &mut Tree, options: &AddOptions<'_>, path: &Path) -> Result<(), Error> {
        Ok(tree.add(options, &Source::Path(self, path))?)
    }

    fn describe(&self) -> String {
        escaped(&self.path().to_string_lossy())
    }
}

fn bytes(path: &Path) -> &[u8] {
    let name: &OsStr = path.as_os_str();
    name.as_encoded_bytes()
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
