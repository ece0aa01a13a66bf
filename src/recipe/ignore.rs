//! Ignore files: what of a context is left out, by the rules of `.dockerignore`.
//!
//! One pattern a line; `#` starts a comment, `!` an exception, and of all that match the last one counts. A pattern that
//! matches a directory matches all below it. The rules are those of moby/patternmatcher 0.6, which docker, BuildKit and
//! buildah share.

use super::fault::{Fault, RecipeError};
use super::lines::LARGEST_FILE;
use super::path;
use super::pattern::Pattern;
use crate::text::quoted;

/// The most patterns.
const MOST_PATTERNS: usize = 10_000;

/// What is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    exception: bool,
    matcher: Matcher,
}

/// The forms that moby tells apart. The second and third are not what the pattern alone would mean: `**.o` is every path
/// that ends so, and `a**` every one that starts so.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Matcher {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Pattern(Pattern),
}

impl Ignore {
    /// Reads an ignore file; `name` stands for it in messages.
    ///
    /// # Errors
    /// When it is too large, is no text, or a pattern is none.
    pub fn parse(name: &str, text: &[u8]) -> Result<Self, RecipeError> {
        Self::read(text).map_err(|fault| fault.in_file(name))
    }

    fn read(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() > LARGEST_FILE {
            return Err(Fault::new(format!("it has {} bytes, and {LARGEST_FILE} is the limit", bytes.len())));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Fault::new("it is not UTF-8 text"))?;
        let mut ignore = Self::default();
        for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            if !line.starts_with('#') {
                ignore.add(line).map_err(|fault| fault.at(at + 1))?;
            }
        }
        Ok(ignore)
    }

    /// Takes patterns that are not in a file: those of `--exclude`.
    pub(super) fn of_patterns(patterns: &[String]) -> Result<Self, Fault> {
        let mut ignore = Self::default();
        patterns.iter().try_for_each(|pattern| ignore.add(pattern))?;
        Ok(ignore)
    }

    fn add(&mut self, line: &str) -> Result<(), Fault> {
        let pattern = line.trim();
        if pattern.is_empty() {
            return Ok(());
        }
        let (exception, pattern) = match pattern.strip_prefix('!') {
            Some("") => return Err(Fault::new("an exception has no pattern, expected !PATTERN")),
            Some(rest) => (true, rest.trim_start()),
            None => (false, pattern),
        };
        let clean = path::relative(pattern);
        let matcher =
            matcher(&clean).map_err(|reason| Fault::new(format!("{} is no pattern: {reason}", quoted(pattern))))?;
        if self.rules.len() == MOST_PATTERNS {
            return Err(Fault::new(format!("more than {MOST_PATTERNS} patterns stand there")));
        }
        self.rules.push(Rule { exception, matcher });
        Ok(())
    }

    /// Returns whether a path is left out. It is relative to the context, with slashes between names.
    #[must_use]
    pub fn excludes(&self, path: &str) -> bool {
        if path.is_empty() || path == "." {
            return false; // the context itself stays
        }
        let mut excluded = false;
        for rule in &self.rules {
            // a rule that would change nothing need not match
            if rule.exception == excluded && rule.matcher.matches_with_parents(path) {
                excluded = !rule.exception;
            }
        }
        excluded
    }

    /// Returns whether there are exceptions: below an excluded directory something may then stay.
    #[must_use]
    pub fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.exception)
    }

    /// Returns whether nothing is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// Finds the form of a pattern.
fn matcher(text: &str) -> Result<Matcher, &'static str> {
    // what moby refuses is refused in every form
    let pattern = Pattern::with_double_stars(text)?;
    Pattern::new(text)?;
    if !Pattern::is_needed_for(text) {
        return Ok(Matcher::Exact(text.to_owned()));
    }
    let plain = |text: &str| !Pattern::is_needed_for(text);
    if let Some(rest) = text.strip_prefix("**").filter(|rest| plain(rest)) {
        return Ok(Matcher::Suffix(rest.to_owned()));
    }
    if let Some(rest) = text.strip_suffix("**").filter(|rest| plain(rest)) {
        return Ok(Matcher::Prefix(rest.to_owned()));
    }
    Ok(Matcher::Pattern(pattern))
}

impl Matcher {
    /// Matches the path, or a directory above it.
    fn matches_with_parents(&self, path: &str) -> bool {
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        self.matches(path) || parents.into_iter().any(|parent| self.matches(parent))
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(text) => path == text,
            Self::Prefix(start) => path.starts_with(start.as_str()),
            Self::Suffix(end) => path.ends_with(end.as_str()) || end.strip_prefix('/') == Some(path),
            Self::Pattern(pattern) => pattern.matches(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_pattern_that_matches_counts() {
        for (lines, path, excluded) in [
            // docker's reference, ".dockerignore file"
            ("*/temp*", "somedir/temporary.txt", true),
            ("*/temp*", "somedir/temp/deep", true),
            ("*/temp*", "temp", false),
            ("*/*/temp*", "somedir/subdir/temporary.txt", true),
            ("temp?", "tempa", true),
            ("temp?", "temp", false),
            ("**/*.go", "a.go", true),
            ("**/*.go", "x/y/a.go", true),
            ("*.md\n!README.md", "README.md", false),
            ("*.md\n!README.md", "x.md", true),
            ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
            ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false),
            // directories, exceptions below them, and the context itself
            ("docs", "docs/a/b", true),
            ("docs/", "docs", true),
            ("docs\n!docs/keep", "docs/keep/x", false),
            ("docs\n!docs/keep", "docs/other", true),
            ("*\n!src", "src/main.c", false),
            ("*\n!src", "other", true),
            ("*", ".", false),
            (".", "a", false),
            // leading slashes, dots, spaces, comments
            ("/a", "a", true),
            ("./a/../b", "b", true),
            ("  a  ", "a", true),
            ("! a", "a", false),
            ("a\n! a", "a", false),
            ("#a", "#a", false),
            (" #a", "#a", true),
            ("\u{feff}a\r\nb\r\n", "b", true),
            // two stars
            ("**", "a/b", true),
            ("**/a", "a", true),
            ("**/a", "x/y/a/z", true),
            ("**/a", "xa", false),
            ("**.o", "x/y.o", true),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a**", "abc/d", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "a/xb", false),
            ("**/*.tmp/**", "x/y.tmp/z", true),
            ("a**b", "ab", true),
            ("a**b", "ax/b", true),
            ("a**b", "axb", false),
            // sets and escapes
            ("[a-c].x", "b.x", true),
            ("[^a-c].x", "b.x", false),
            ("\\!a", "!a", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("a+(b)|c{d}$", "a+(b)|c{d}$", true),
        ] {
            let ignore = Ignore::parse("i", lines.as_bytes()).unwrap();
            assert_eq!(ignore.excludes(path), excluded, "{lines:?} {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_its_line() {
        for (text, line, complaint) in [
            (&b"a\n!\n"[..], Some(2), "!PATTERN"),
            (b"\n[a", Some(2), "\"[a\" is no pattern: a [ has no ]"),
            (b"a\\", Some(1), "backslash"),
            (b"\xff", None, "UTF-8"),
            (&b"a\n".repeat(MOST_PATTERNS + 1), Some(MOST_PATTERNS + 1), "more than"),
        ] {
            let error = Ignore::parse(".dockerignore", text).unwrap_err();
            assert_eq!(error.line, line);
            assert!(error.to_string().contains(complaint), "{error}");
        }
        assert!(Ignore::parse("i", b"a\n!b").unwrap().has_exceptions());
        assert!(Ignore::parse("i", b"# a\n\n").unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in any::<String>(), lines in "([a-c*?!/\\[\\]\\\\ .]{0,6}\n){0,4}", path in "[a-c/.]{0,10}") {
            for text in [text, lines] {
                if let Ok(ignore) = Ignore::parse("i", text.as_bytes()) {
                    let _ = ignore.excludes(&path);
                }
            }
        }
    }
}
