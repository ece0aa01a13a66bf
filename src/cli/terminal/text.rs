//! How wide text is, and how it is made narrower: cut, with an ellipsis, or folded at spaces.
//!
//! All of it has been escaped before: an escape is plain characters here, and may be cut like those.

use barge::digest::Digest;
use unicode_width::UnicodeWidthChar as _;

/// Returns how many columns a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Returns how many columns a character takes: two for East Asian ones, none for marks that stand above others (UAX #11).
fn columns_of(character: char) -> usize {
    character.width().unwrap_or(0)
}

/// Returns the beginning of a text that takes so many columns at most.
pub(crate) fn cut(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    for (at, character) in text.char_indices() {
        taken += columns_of(character);
        if taken > columns {
            return &text[..at];
        }
    }
    text
}

/// Returns the end of a text that takes so many columns at most.
fn cut_off(text: &str, columns: usize) -> &str {
    let (mut taken, mut from) = (0, text.len());
    for (at, character) in text.char_indices().rev() {
        taken += columns_of(character);
        if taken > columns {
            break;
        }
        // a mark is worth nothing without what it stands above
        if columns_of(character) > 0 {
            from = at;
        }
    }
    &text[from..]
}

/// Cuts a text at its end.
pub(super) fn shortened(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    format!("{}{}", cut(text, columns.saturating_sub(width(ellipsis))), cut(ellipsis, columns))
}

/// Cuts a text in its middle: of a name or a path the end says most, and the beginning next.
pub(super) fn squeezed(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(width(ellipsis));
    let head = cut(text, room / 3);
    let tail = cut_off(text, room - width(head));
    format!("{head}{}{tail}", cut(ellipsis, columns))
}

/// Cuts a list between its words, and says how many more there are.
pub(super) fn fewer(text: &str, columns: usize, ellipsis: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    let shown = |number: usize| format!("{}, {} more", words[..number].join(", "), words.len() - number);
    let fits = |text: &String| width(text) <= columns;
    let most = (1..words.len()).rev().map(shown).find(fits);
    most.unwrap_or_else(|| shortened(text, columns, ellipsis))
}

/// Returns the first of the ways to write a digest that fits: the whole, twelve digits with the algorithm, without.
pub(super) fn digest(text: &str, columns: usize, ellipsis: &str) -> String {
    const LEAST: usize = 12;
    let Some((algorithm, hex)) = text.split_once(':').filter(|(_, hex)| hex.len() >= LEAST && hex.is_ascii()) else {
        return shortened(text, columns, ellipsis);
    };
    let short = format!("{algorithm}:{}", &hex[..LEAST]);
    match columns {
        columns if text.len() <= columns => text.to_owned(),
        columns if short.len() <= columns => short,
        _ => hex[..LEAST].to_owned(),
    }
}

/// Returns prose in lines of so many columns, broken at spaces. Lines after the first begin where theirs began, and `indent`
/// further to the right. What stands between backticks is one word, to be copied as a whole; a word longer than a line is left to
/// the terminal.
pub(crate) fn folded(text: &str, indent: usize, columns: usize) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| fold_line(line, indent, columns)).collect();
    lines.join("\n")
}

/// Returns prose in which digests have twelve digits, in lines that are longer than so many columns. Those in references and in
/// commands stay whole: a registry takes no others.
pub(super) fn briefer(text: &str, columns: usize) -> String {
    let brief = |line: &str| -> String {
        if width(line) <= columns {
            return line.to_owned();
        }
        words(line).into_iter().map(short_digest).collect::<Vec<_>>().join(" ")
    };
    text.split('\n').map(brief).collect::<Vec<_>>().join("\n")
}

/// Returns a word with its digest shortened, when it is one, in brackets or with a sign behind it or not.
fn short_digest(word: &str) -> String {
    let from = usize::from(word.starts_with('('));
    let end = word.len() - word.trim_end_matches([')', ',', ':', ';']).len();
    match word[from..word.len() - end].parse::<Digest>() {
        Ok(digest) => format!("{}{}{}", &word[..from], digest.short(), &word[word.len() - end..]),
        Err(_) => word.to_owned(),
    }
}

fn fold_line(line: &str, indent: usize, columns: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let margin = line.len() - line.trim_start_matches(' ').len();
    let below = " ".repeat((margin + indent).min(columns / 2));
    let mut text = line[..margin].to_owned();
    let (mut column, mut blanks) = (margin, 0);
    for word in words(&line[margin..]) {
        // two blanks in a row have nothing between them
        if word.is_empty() {
            blanks += 1;
            continue;
        }
        let wide = width(word);
        if blanks > 0 && column + blanks + wide > columns {
            text.push('\n');
            text.push_str(&below);
            column = below.len();
        } else {
            text.extend(std::iter::repeat_n(' ', blanks));
            column += blanks;
        }
        text.push_str(word);
        column += wide;
        blanks = 1;
    }
    text
}

/// Returns what a line must not be broken in: words, and what stands between backticks with all that hangs on it.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut from = 0;
    let mut quoted = false;
    for (at, character) in line.char_indices() {
        match character {
            '`' => quoted = !quoted && line[at + 1..].contains('`'),
            ' ' if !quoted => {
                words.push(&line[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    words.push(&line[from..]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_is_what_a_terminal_shows() {
        for (text, columns) in
            [("", 0), ("abc", 3), ("漢字", 4), ("e\u{301}", 1), ("한", 2), ("ｆ", 2), ("🚢", 2), ("é", 1)]
        {
            assert_eq!(width(text), columns, "{text}");
        }
    }

    #[test]
    fn nothing_that_was_cut_is_wider_than_it_may_be() {
        let texts =
            ["漢字漢字:v1", "e\u{301}e\u{301}e\u{301}e\u{301}", "quay.io/org/app:v1.2", "a, b, 漢, d", "\\u{1b}[2J"];
        for text in texts {
            for columns in 0..20 {
                for ellipsis in ["\u{2026}", "..."] {
                    for cut in [shortened, squeezed, fewer] {
                        let shown = cut(text, columns, ellipsis);
                        assert!(width(&shown) <= columns, "{text} in {columns}: {shown}");
                        assert_eq!(shown == text, width(text) <= columns, "{text} in {columns}: {shown}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_says_most_stays() {
        assert_eq!(squeezed("registry.example.com/org/app:v1.2", 20, "\u{2026}"), "regist\u{2026}/org/app:v1.2");
        assert_eq!(shortened("registry.example.com", 10, "..."), "registr...");
        let platforms = "linux/amd64, linux/arm64, linux/s390x";
        assert_eq!(fewer(platforms, 36, "\u{2026}"), "linux/amd64, linux/arm64, 1 more");
        assert_eq!(fewer(platforms, 30, "\u{2026}"), "linux/amd64, 2 more");
        assert_eq!(fewer(platforms, 12, "\u{2026}"), "linux/amd64\u{2026}");
        let digest_of = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(digest(&digest_of, 71, "\u{2026}"), digest_of);
        assert_eq!(digest(&digest_of, 70, "\u{2026}"), "sha256:0123456789ab");
        assert_eq!(digest(&digest_of, 5, "\u{2026}"), "0123456789ab");
        assert_eq!(digest("linux/arm64", 6, "\u{2026}"), "linux\u{2026}");
    }

    #[test]
    fn digests_are_brief_only_where_nobody_copies_them_and_there_is_no_room() {
        let of = |text: &str| Digest::of(text.as_bytes());
        let line = format!("layer {}: content is {}, in ({})", of("a"), of("b"), of("c"));
        assert_eq!(briefer(&line, 400), line);
        let short = ["a", "b", "c"].map(|text| of(text).short());
        let expected = format!("layer {}: content is {}, in ({})", short[0], short[1], short[2]);
        assert_eq!(briefer(&line, 80), expected);
        let command = format!("run `barge cat layer {}` or pull quay.io/app@{}", of("a"), of("a"));
        assert_eq!(briefer(&command, 80), command);
    }

    #[test]
    fn prose_is_broken_at_spaces_and_commands_are_not() {
        let text = "copy it again, or run `barge verify a.tar` to list everything";
        assert_eq!(folded(text, 2, 26), "copy it again, or run\n  `barge verify a.tar` to\n  list everything");
        assert_eq!(folded("  a b c", 2, 5), "  a b\n  c");
        assert_eq!(folded("list   0123456789  (x)", 2, 12), "list\n  0123456789\n  (x)");
        assert_eq!(folded("short\nlines", 2, 5), "short\nlines");
        assert_eq!(folded("it's a ` in here", 2, 8), "it's a `\n  in\n  here");
        let long = "x".repeat(30);
        assert_eq!(folded(&format!("a {long} b"), 2, 10), format!("a\n  {long}\n  b"));
    }
}
