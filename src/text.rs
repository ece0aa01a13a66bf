//! Text that came from outside, made safe to show.
//!
//! A name in an image, an archive or an answer may hold escape sequences that move the cursor, overwrite what stands
//! above or turn the reading direction around. Everything of that kind is shown, never obeyed.

use std::fmt::Write as _;
use std::time::Duration;

/// Returns whether a character must not reach a terminal as it is: C0, DEL, C1, line and paragraph separators, and the
/// characters that change the reading direction or cannot be seen.
#[must_use]
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Returns text with everything unsafe written as an escape (`\u{1b}`), and the rest as it is.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) {
            let _ = write!(safe, "{}", character.escape_unicode());
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Returns text in quotation marks, escaped, and cut after 120 characters: for messages about text that may be anything.
#[must_use]
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut cut: String = text.chars().take(LONGEST).collect();
    if cut.len() < text.len() {
        cut.push_str("...");
    }
    format!("\"{}\"", escaped(&cut))
}

/// Returns a word as a shell takes it, whatever is in it; what a terminal would obey is escaped.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:@+=,%".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", escaped(word).replace('\'', r"'\''"))
}

/// Returns a size for people: bytes below 1 KiB, else with one decimal in KiB, MiB, GiB or TiB.
#[must_use]
pub fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[allow(clippy::cast_precision_loss)] // one decimal is shown
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Returns a time for people: seconds, minutes and seconds, hours and minutes, or days and hours.
#[must_use]
pub fn human_time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// Returns which of some names a mistyped one most likely means: the one with the fewest changes of a character, if these
/// are at most a third of it.
#[must_use]
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 256; // the cost is the product of both lengths
    let limit = (typed.chars().count() / 3).max(1);
    let near = |name: &&str| name.len() <= LONGEST && typed.len() <= LONGEST;
    let ranked = names.into_iter().filter(near).map(|name| (distance(typed, name), name));
    ranked.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Returns how many characters have to be put in, left out, replaced, or swapped with the next one.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut older = vec![0; to.len() + 1];
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, a) in from.iter().enumerate() {
        let mut now = vec![row + 1];
        for (column, b) in to.iter().enumerate() {
            let mut cost = (above[column] + usize::from(a != b)).min(above[column + 1] + 1).min(now[column] + 1);
            if row > 0 && column > 0 && *a == to[column - 1] && from[row - 1] == *b {
                cost = cost.min(older[column - 1] + 1);
            }
            now.push(cost);
        }
        older = std::mem::replace(&mut above, now);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_terminal_passes() {
        assert_eq!(escaped("plain é 漢"), "plain é 漢");
        assert_eq!(escaped("\u{1b}[2J"), "\\u{1b}[2J");
        assert_eq!(escaped("a\r\nb\u{7f}\u{9b}\u{202e}c"), "a\\u{d}\\u{a}b\\u{7f}\\u{9b}\\u{202e}c");
        assert!(quoted(&"x".repeat(500)).len() < 130);
    }

    #[test]
    fn a_mistyped_name_finds_the_right_one() {
        let names = ["merge", "verify", "inspect", "tree"];
        for (typed, meant) in
            [("mrege", Some("merge")), ("verfy", Some("verify")), ("treee", Some("tree")), ("x", None)]
        {
            assert_eq!(nearest(typed, names), meant, "{typed}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn words_survive_a_shell() {
        for (word, quoted) in [("a.tar", "a.tar"), ("my file.tar", "'my file.tar'"), ("it's", r"'it'\''s'"), ("", "''")]
        {
            assert_eq!(shell_word(word), quoted);
        }
    }

    #[test]
    fn sizes_are_rounded_once() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (13_002_342, "12.4 MiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
    }
    #[test]
    fn times_have_two_parts_at_most() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m"), (90_061, "1d01h")]
        {
            assert_eq!(human_time(Duration::from_secs(seconds)), text);
        }
    }
}
