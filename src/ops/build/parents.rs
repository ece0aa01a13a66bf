//! COPY --parents: a source is a pattern for paths below a directory, and these paths are kept below the destination.
//!
//! docker's reference, "COPY --parents": the directory is the root of what is copied from, or what stands before a `/./` in
//! the source; `**` stands for any number of directories. No link below that directory is followed.

use super::context::no_pattern;
use crate::layer::Choice;
use crate::ops::Error;
use crate::recipe::path;
use crate::recipe::pattern::Pattern;

/// A source of COPY --parents.
pub(super) struct Kept {
    /// The directory that paths are seen from; empty for the root.
    pub(super) base: String,
    /// The pattern as it is written, cleaned; empty when everything is meant.
    pub(super) pattern: String,
    whole: Pattern,
    /// The names that it begins with, up to the first `**`.
    first: Vec<Pattern>,
    /// Whether a `**` follows, or stands in one of them.
    deeper: bool,
}

impl Kept {
    /// Reads a source.
    ///
    /// # Errors
    /// When it is no pattern.
    pub(super) fn read(source: &str) -> Result<Self, Error> {
        let (base, pattern) = source.split_once("/./").unwrap_or(("", source));
        let (base, pattern) = (cleaned(base), cleaned(pattern));
        let read = |text: &str| Pattern::with_double_stars(text).map_err(|reason| no_pattern(source, reason));
        let whole = read(&pattern)?;
        let parts = pattern.split('/').take_while(|part| !part.contains("**"));
        let first = parts.map(read).collect::<Result<_, _>>()?;
        let deeper = pattern.contains("**");
        Ok(Self { base, pattern, whole, first, deeper })
    }

    /// Returns what becomes of a path below the base.
    pub(super) fn choice(&self, path: &str, is_directory: bool) -> Choice {
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        if self.pattern.is_empty() || self.whole.matches(path) || above.into_iter().any(|it| self.whole.matches(it)) {
            return Choice::Take;
        }
        let names = path.split('/');
        let leads_on = self.deeper || names.clone().count() < self.first.len();
        if is_directory && leads_on && names.zip(&self.first).all(|(name, pattern)| pattern.matches(name)) {
            return Choice::Below;
        }
        Choice::Leave
    }
}

/// Returns a path without what says nothing, seen from the root; empty for the root itself.
pub(super) fn cleaned(path: &str) -> String {
    match path::relative(&format!("/{path}")) {
        root if root == "." => String::new(),
        path => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_says_which_directories_lead_on() {
        use Choice::{Below, Leave, Take};
        for (source, base, path, is_directory, expected) in [
            ("a/b", "", "a", true, Below),
            ("a/b", "", "a", false, Leave),
            ("a/b", "", "a/b", false, Take),
            ("a/b", "", "a/b/c/d", false, Take),
            ("a/b", "", "a/c", true, Leave),
            ("a/b", "", "b", true, Leave),
            ("./x/./y/*.txt", "x", "y", true, Below),
            ("./x/./y/*.txt", "x", "y/a.txt", false, Take),
            ("./x/./y/*.txt", "x", "y/a.md", false, Leave),
            ("./x/./y/*.txt", "x", "y/d", true, Leave),
            ("/usr/./", "usr", "any/thing", false, Take),
            (".", "", "any", true, Take),
            ("src/**/*.c", "", "src/a.c", false, Take),
            ("src/**/*.c", "", "src/x/y/a.c", false, Take),
            ("src/**/*.c", "", "src/x/y", true, Below),
            ("src/**/*.c", "", "other", true, Leave),
            ("x/./../y", "x", "y", false, Take),
        ] {
            let kept = Kept::read(source).unwrap();
            assert_eq!(kept.base, base, "{source}");
            assert_eq!(kept.choice(path, is_directory), expected, "{source} {path}");
        }
        assert!(Kept::read("[a").is_err());
    }
}
