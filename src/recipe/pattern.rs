//! Patterns: the wildcards of COPY, of ignore files and of `${name#pattern}`.
//!
//! `*` and `?` stand for anything but a slash, `[a-z]` and `[^a-z]` for one character of a set, and a backslash takes the
//! meaning away: Go's `filepath.Match`. Ignore files have `**` besides, which crosses slashes. `globset` differs in both
//! (`{a,b}`, `**` only between slashes, `[!a]`), so this is our own. Matching takes time in proportion to the product of
//! both lengths, whatever the pattern.

/// The longest pattern, in bytes.
pub(super) const LONGEST: usize = 4096;

/// One piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// This character.
    Literal(char),
    /// Any character but a slash; with `true` a slash too.
    One(bool),
    /// Any number of them.
    Many(bool),
    /// Nothing, or anything that ends in a slash: `**` in front of something.
    Directories,
    /// A character of a set, or not of it.
    Set { negated: bool, ranges: Vec<(char, char)> },
}

/// A pattern that can be matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    tokens: Vec<Token>,
}

/// What `**` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stars {
    /// The same as `*`: Go's `filepath.Match`.
    One,
    /// It crosses slashes: ignore files.
    Two,
    /// `*` itself crosses slashes, and there are no sets: the shell's `${name#pattern}`.
    Shell,
}

impl Pattern {
    /// Reads a pattern of COPY or ADD, as Go's `filepath.Match`.
    ///
    /// # Errors
    /// What is wrong with it, when a set or an escape does not end, or it is very long.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        Self::read(text, Stars::One)
    }

    /// Reads a pattern of an ignore file, or of COPY --parents.
    pub(crate) fn with_double_stars(text: &str) -> Result<Self, &'static str> {
        Self::read(text, Stars::Two)
    }

    /// Reads a pattern of `${name#pattern}`.
    pub(super) fn of_shell(text: &str) -> Result<Self, &'static str> {
        Self::read(text, Stars::Shell)
    }

    fn read(text: &str, stars: Stars) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("it is longer than 4096 bytes");
        }
        let shell = stars == Stars::Shell;
        let mut tokens = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            tokens.push(match character {
                '*' if stars == Stars::Two && rest.next_if_eq(&'*').is_some() => {
                    rest.next_if_eq(&'/');
                    if rest.peek().is_none() { Token::Many(true) } else { Token::Directories }
                }
                '*' => Token::Many(shell),
                '?' => Token::One(shell),
                '\\' => Token::Literal(rest.next().ok_or("a backslash ends it")?),
                '[' if !shell => set(&mut rest)?,
                other => Token::Literal(other),
            });
        }
        Ok(Self { tokens })
    }

    /// Returns whether the text holds anything that is more than a character: a `*`, a `?`, a set or an escape.
    #[must_use]
    pub fn is_needed_for(text: &str) -> bool {
        text.contains(['*', '?', '[', '\\'])
    }

    /// Returns whether the whole of a path matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        // most paths differ early, and need no table
        let mut characters = path.chars();
        for token in &self.tokens {
            match (token, characters.clone().next()) {
                (Token::Literal(wanted), Some(found)) if *wanted == found => drop(characters.next()),
                (Token::Literal(_), _) => return false,
                _ => return self.ends(path).last().copied().unwrap_or(false),
            }
        }
        characters.next().is_none()
    }

    /// Returns for each number of characters from the start whether that much of the text matches.
    pub(super) fn ends(&self, text: &str) -> Vec<bool> {
        let text: Vec<char> = text.chars().collect();
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        for token in &self.tokens {
            let mut next = vec![false; text.len() + 1];
            let mut running = false;
            for at in 0..=text.len() {
                let before = at.checked_sub(1).map(|before| text[before]);
                next[at] = match token {
                    Token::Many(slashes) => {
                        running = reached[at] || running && before.is_some_and(|it| *slashes || it != '/');
                        running
                    }
                    Token::Directories => {
                        let enough = running && before == Some('/');
                        running |= reached[at];
                        enough || reached[at]
                    }
                    single => before.is_some_and(|it| reached[at - 1] && single.takes(it)),
                };
            }
            reached = next;
            if !reached.contains(&true) {
                break;
            }
        }
        reached
    }

    /// Returns how long matching takes, in steps, for a text of this length.
    pub(super) fn cost(&self, length: usize) -> usize {
        self.tokens.len().saturating_mul(length)
    }

    /// Turns a pattern around, to match from the end.
    pub(super) fn reversed(mut self) -> Self {
        self.tokens.reverse();
        self
    }
}

impl Token {
    fn takes(&self, character: char) -> bool {
        match self {
            Self::Literal(wanted) => *wanted == character,
            Self::One(slashes) => *slashes || character != '/',
            Self::Set { negated, ranges } => {
                let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                inside != *negated // a slash too, in Go
            }
            Self::Many(_) | Self::Directories => false,
        }
    }
}

/// Reads a set after its bracket.
fn set(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const OPEN: &str = "a [ has no ]";
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let bound = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>| match rest.next() {
        Some('\\') => rest.next().ok_or(OPEN),
        Some('-' | ']') => Err("a set holds - or ] without a backslash"),
        other => other.ok_or(OPEN),
    };
    loop {
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Ok(Token::Set { negated, ranges });
        }
        let low = bound(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() { bound(rest)? } else { low };
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn copy_matches_as_go_does() {
        for (pattern, text, expected) in [
            // from the documentation of filepath.Match, and its corners
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("[a-ζ]*", "α", true),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("[x\\-]", "z", false),
            ("*x", "xxx", true),
            ("**", "ab", true),
            ("**", "a/b", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().matches(text), expected, "{pattern} {text}");
        }
        for pattern in ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a\\", "[\\"] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_long_pattern_takes_no_long_time() {
        let pattern = Pattern::new(&format!("{}b", "a*".repeat(1000))).unwrap();
        assert!(!pattern.matches(&"a".repeat(4000)));
        assert!(Pattern::new(&"*".repeat(LONGEST + 1)).is_err());
    }

    proptest! {
        #[test]
        fn no_pattern_breaks_matching(pattern in "[a-c*?\\[\\]^/\\\\-]{0,12}", text in "[a-c/é]{0,12}") {
            for read in [Pattern::new, Pattern::with_double_stars, Pattern::of_shell] {
                if let Ok(pattern) = read(&pattern) {
                    let whole = pattern.ends(&text).last().copied().unwrap();
                    prop_assert_eq!(pattern.matches(&text), whole);
                }
            }
        }

        #[test]
        fn plain_text_matches_itself_alone(text in "[a-z/.]{0,12}", other in "[a-z/.]{0,12}") {
            prop_assert!(!Pattern::is_needed_for(&text));
            prop_assert_eq!(Pattern::new(&text).unwrap().matches(&other), text == other);
        }
    }
}
