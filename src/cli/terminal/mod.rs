//! What a stream is when people look at it: how wide, with colours or not. The only place that decides either.
//!
//! A stream that is no terminal has no width: nothing is cut there, nothing is folded and nothing is coloured, so that a file, a
//! pipe and a log hold all of it. Colours are decoration: without them the text says the same.

mod table;
mod text;

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd, BorrowedFd};

pub(crate) use self::table::{Column, table};
pub(crate) use self::text::{cut, folded, width};

/// How large a terminal is that does not say, in columns and rows.
const USUAL: (usize, usize) = (80, 24);

/// What a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Surface {
    /// None where nothing is cut.
    columns: Option<usize>,
    colours: bool,
    /// What stands for text that was left out.
    ellipsis: &'static str,
}

/// What colours say once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// It went well.
    Good,
    /// Something is wrong.
    Bad,
    /// Something to look at.
    Warning,
    /// What to do.
    Hint,
    /// Above other things.
    Heading,
    /// Beside what matters.
    Faint,
}

impl Ink {
    /// Returns the parameters of SGR (ECMA-48, 8.3.117): of the first sixteen colours, which a terminal shows so that they can be
    /// read on its ground.
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Warning => "1;33",
            Self::Hint => "1;36",
            Self::Heading => "1",
            Self::Faint => "2",
        }
    }
}

impl Surface {
    /// What is no terminal.
    pub(crate) const PLAIN: Self = Self { columns: None, colours: false, ellipsis: "..." };

    /// Standard output.
    pub(crate) fn out() -> Self {
        Self::of(io::stdout().as_fd())
    }

    /// Standard error.
    pub(crate) fn err() -> Self {
        Self::of(io::stderr().as_fd())
    }

    fn of(stream: BorrowedFd<'_>) -> Self {
        if !stream.is_terminal() {
            return Self::PLAIN;
        }
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        // no-color.org: whatever its value is, unless it is empty
        let colours = variable("NO_COLOR").is_none() && !is_dumb() && variable("TERM").is_some();
        // locale(7): the first of these that is set
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable);
        let ellipsis = if locale.is_some_and(|locale| is_utf8(&locale)) { "\u{2026}" } else { "..." };
        Self { columns: Some(size_of(stream).0), colours, ellipsis }
    }

    #[cfg(test)]
    pub(crate) const fn of_columns(columns: usize) -> Self {
        Self { columns: Some(columns), colours: false, ellipsis: "\u{2026}" }
    }

    /// Returns the same, without an end on the right where nothing is to be cut: `--no-trunc`.
    pub(crate) const fn uncut(self, whole: bool) -> Self {
        if whole { Self { columns: None, ..self } } else { self }
    }

    /// Returns how many columns there are; none when nothing is to be cut.
    pub(crate) const fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// Returns text in a colour, where there are any.
    pub(crate) fn paint<'a>(&self, ink: Ink, text: &'a str) -> Cow<'a, str> {
        match self.colours {
            true if !text.is_empty() => Cow::Owned(format!("\u{1b}[{}m{text}\u{1b}[0m", ink.code())),
            _ => Cow::Borrowed(text),
        }
    }

    /// Returns prose in lines that fit, those after the first moved to the right by `indent` more. Digests are shortened before
    /// a line is broken.
    pub(crate) fn fold<'a>(&self, text: &'a str, indent: usize) -> Cow<'a, str> {
        match self.columns {
            Some(columns) => Cow::Owned(folded(&text::briefer(text, columns), indent, columns)),
            None => Cow::Borrowed(text),
        }
    }

    /// Returns text in lines that fit, as [`Self::fold`] does, with every character of it: somebody may copy it.
    pub(crate) fn wrap<'a>(&self, text: &'a str, indent: usize) -> Cow<'a, str> {
        match self.columns {
            Some(columns) => Cow::Owned(folded(text, indent, columns)),
            None => Cow::Borrowed(text),
        }
    }

    /// Returns a name that fits behind so many columns, cut in its middle when it has to be.
    pub(crate) fn squeeze<'a>(&self, text: &'a str, behind: usize) -> Cow<'a, str> {
        match self.columns {
            Some(columns) => Cow::Owned(text::squeezed(text, columns.saturating_sub(behind), self.ellipsis)),
            None => Cow::Borrowed(text),
        }
    }

    /// Returns prose that begins with a word such as `error:`, which has a colour, in lines that fit.
    pub(crate) fn labelled(&self, ink: Ink, label: &str, text: &str) -> String {
        let whole = format!("{label} {text}");
        let folded = self.fold(&whole, 2);
        match folded.strip_prefix(label) {
            Some(rest) => format!("{}{rest}", self.paint(ink, label)),
            None => folded.into_owned(),
        }
    }
}

/// Returns whether the terminal obeys nothing: it gets text alone.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Returns the columns and rows of the terminal that standard error is.
pub(crate) fn size() -> (usize, usize) {
    size_of(io::stderr().as_fd())
}

fn size_of(stream: BorrowedFd<'_>) -> (usize, usize) {
    match rustix::termios::tcgetwinsize(stream) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        // a serial line has no size of its own: the user says it, as for other programs
        _ => (from_environment("COLUMNS").unwrap_or(USUAL.0), from_environment("LINES").unwrap_or(USUAL.1)),
    }
}

fn from_environment(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok().filter(|number| (1..=10_000).contains(number))
}

/// Returns whether characters reach the terminal as UTF-8.
fn is_utf8(locale: &OsStr) -> bool {
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_terminal_gets_the_text_alone() {
        let long = "a word ".repeat(40);
        assert_eq!(Surface::PLAIN.paint(Ink::Bad, "error:"), "error:");
        assert_eq!(Surface::PLAIN.fold(&long, 2), long);
        assert_eq!(Surface::PLAIN.labelled(Ink::Hint, "hint:", &long), format!("hint: {long}"));
    }

    #[test]
    fn a_label_has_the_colour_and_the_text_has_none() {
        let surface = Surface { colours: true, ..Surface::of_columns(20) };
        assert_eq!(
            surface.labelled(Ink::Bad, "error:", "cannot read the file at all"),
            "\u{1b}[1;31merror:\u{1b}[0m cannot read\n  the file at all"
        );
        let cause = surface.labelled(Ink::Faint, "  caused by:", "it is not there");
        assert_eq!(cause, "\u{1b}[2m  caused by:\u{1b}[0m it is\n    not there");
    }

    #[test]
    fn only_utf_8_locales_get_characters_beyond_ascii() {
        for (locale, utf8) in [("en_US.UTF-8", true), ("C.utf8", true), ("C", false), ("de_DE@euro", false)] {
            assert_eq!(is_utf8(OsStr::new(locale)), utf8, "{locale}");
        }
    }
}
