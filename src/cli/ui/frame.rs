//! The lines at the bottom of a terminal that are drawn over, and taken away in the end.
//!
//! The cursor stays behind the last of them. A terminal that became narrower has broken the lines in several: how many is
//! reckoned from what was drawn and the width that it has now.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::super::terminal::{size, width};

/// How often they are drawn at most, when lines above them come one after the other.
const REDRAW: Duration = Duration::from_millis(100);

/// What stands there now.
#[derive(Debug, Default)]
pub(super) struct Frame {
    text: String,
    drawn: Option<Instant>,
}

impl Frame {
    /// Draws lines over those that stand there.
    pub(super) fn draw(&mut self, text: &str) {
        write(&format!("{}{text}", self.cleared(size().0)));
        text.clone_into(&mut self.text);
        self.drawn = Some(Instant::now());
    }

    /// Writes a line above. Those below it may be missing then until they are drawn the next time.
    pub(super) fn line(&mut self, line: &str) {
        let cleared = self.cleared(size().0);
        if self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
            self.text.clear();
        } else {
            self.drawn = Some(Instant::now());
        }
        write(&format!("{cleared}{line}\n{}", self.text));
    }

    /// Takes away what stands there.
    pub(super) fn clear(&mut self) {
        write(&self.cleared(size().0));
        self.text.clear();
    }

    /// Returns what takes away everything that was drawn.
    fn cleared(&self, columns: usize) -> String {
        let rows: usize = self.text.lines().map(|line| width(line).div_ceil(columns.max(1)).max(1)).sum();
        match rows {
            0 => String::new(),
            1 => "\r\u{1b}[J".to_owned(),
            rows => format!("\r\u{1b}[{}A\u{1b}[J", rows - 1),
        }
    }
}

/// Writes at once, so that nothing comes between. A closed standard error is no reason to stop.
fn write(text: &str) {
    if !text.is_empty() {
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_rows_are_taken_away_as_were_drawn() {
        let line = "x".repeat(77);
        for (text, columns, expected) in [
            (String::new(), 80, ""),
            (line.clone(), 80, "\r\u{1b}[J"),
            (format!("{line}\n\n  y"), 80, "\r\u{1b}[2A\u{1b}[J"),
            // narrower now than it was drawn for
            (format!("{line}\n{line}"), 39, "\r\u{1b}[3A\u{1b}[J"),
            (line.clone(), 0, "\r\u{1b}[76A\u{1b}[J"),
        ] {
            assert_eq!(Frame { text: text.clone(), drawn: None }.cleared(columns), expected, "{text:?} {columns}");
        }
    }
}
