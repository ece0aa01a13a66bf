//! Words: what follows the name of an instruction, cut into flags, words, pairs, lists and names of here-documents.
//!
//! Quotes and escapes stay in a word: they are taken away when its variables are filled in.

use super::fault::Fault;
use crate::text::quoted;

/// How a here-document is announced: `<<EOF`, `<<-EOF` or `<<"EOF"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HereName {
    /// The line that ends it, and the name of the file.
    pub(super) word: String,
    /// Whether variables in it are filled in: not when the word is quoted.
    pub(super) expands: bool,
    /// Whether tabs at the start of its lines are left out.
    pub(super) strips_tabs: bool,
}

/// Whether a character separates words.
fn is_space(character: char) -> bool {
    character.is_whitespace()
}

/// Returns the first word of an instruction and what follows it.
pub(super) fn keyword(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.find(is_space) {
        Some(at) => (&text[..at], text[at..].trim_start()),
        None => (text, ""),
    }
}

/// Cuts text at white space outside quotes. A quote that does not end reaches to the end of the text.
pub(super) fn shell_words(text: &str, escape: char) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let word = first_word(rest, escape);
        words.push(word);
        rest = rest[word.len()..].trim_start();
    }
    words
}

/// Returns the first word of text that starts with one.
fn first_word(text: &str, escape: char) -> &str {
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if quote.is_none() && is_space(character) {
            return &text[..at];
        }
        if character == escape && quote != Some('\'') {
            characters.next();
        } else if quote == Some(character) {
            quote = None;
        } else if quote.is_none() && matches!(character, '"' | '\'') {
            quote = Some(character);
        }
    }
    text
}

/// A flag, `--name` or `--name=value`, without quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) name: String,
    pub(super) value: Option<String>,
}

/// Takes the flags from the front of what follows the name of an instruction. `--` ends them.
pub(super) fn flags(text: &str, escape: char) -> (Vec<Flag>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let word = first_word(rest, escape);
        rest = rest[word.len()..].trim_start();
        if word == "--" {
            break;
        }
        let plain = unquoted(&word[2..], escape);
        let (name, value) = match plain.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (plain, None),
        };
        flags.push(Flag { name, value });
    }
    (flags, rest)
}

/// Takes quotes and escapes away, and fills nothing in.
fn unquoted(word: &str, escape: char) -> String {
    let mut plain = String::with_capacity(word.len());
    let mut quote = None;
    let mut characters = word.chars();
    while let Some(character) = characters.next() {
        if quote == Some(character) {
            quote = None;
        } else if quote.is_none() && matches!(character, '"' | '\'') {
            quote = Some(character);
        } else if character == escape {
            plain.extend(characters.next());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// Returns a JSON list of texts, or nothing when the text is none. `CMD [ -e x ]` is a command for the shell.
pub(super) fn json_list(text: &str) -> Result<Option<Vec<String>>, Fault> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(serde_json::Value::Array(items)) = serde_json::from_str(text) else { return Ok(None) };
    let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    texts.map(Some).ok_or_else(|| Fault::new("a JSON list holds something else than texts, expected texts alone"))
}

/// Returns the sources and the destination of COPY and ADD: a JSON list, or words at white space. `<< EOF` is one word.
pub(super) fn paths(text: &str) -> Result<Vec<String>, Fault> {
    if let Some(list) = json_list(text)? {
        return Ok(list);
    }
    let mut words: Vec<String> = Vec::new();
    let mut announced = false;
    for word in text.split_whitespace() {
        match words.last_mut() {
            Some(last) if announced => last.push_str(word),
            _ => words.push(word.to_owned()),
        }
        announced = !announced && matches!(word.trim_start_matches(|it: char| it.is_ascii_digit()), "<<" | "<<-");
    }
    Ok(words)
}

/// Returns the here-document that a word announces.
pub(super) fn here_name(word: &str) -> Option<HereName> {
    let rest = word.trim_start_matches(|it: char| it.is_ascii_digit()).strip_prefix("<<")?;
    let (rest, strips_tabs) = rest.strip_prefix('-').map_or((rest, false), |rest| (rest, true));
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let plain = unquoted(rest, '\\'); // whatever the escape character of the file
    let expands = !rest.contains(['"', '\'']);
    (!plain.is_empty()).then_some(HereName { word: plain, expands, strips_tabs })
}

/// Returns the here-documents that an instruction announces: ADD, COPY and RUN do, also behind ONBUILD.
pub(super) fn here_names(line: &str, escape: char) -> Vec<HereName> {
    if !line.contains("<<") {
        return Vec::new();
    }
    let (mut name, mut rest) = keyword(line);
    if name.eq_ignore_ascii_case("ONBUILD") {
        (name, rest) = keyword(rest);
    }
    if name.eq_ignore_ascii_case("RUN") {
        return shell_words(rest, '\\').into_iter().filter_map(here_name).collect();
    }
    if !name.eq_ignore_ascii_case("COPY") && !name.eq_ignore_ascii_case("ADD") {
        return Vec::new();
    }
    let (_, rest) = flags(rest, escape);
    if rest.starts_with('[') {
        return Vec::new(); // in a list, `<<` is a path like any other
    }
    paths(rest).unwrap_or_default().iter().filter_map(|word| here_name(word)).collect()
}

/// Returns the pairs of ENV and LABEL: `name=value ...`, or the old `name value`, where the value is the rest of the line.
pub(super) fn pairs(text: &str, escape: char) -> Result<Vec<(String, String)>, Fault> {
    let words = shell_words(text, escape);
    let Some(first) = words.first() else { return Err(Fault::new("nothing follows, expected NAME=VALUE")) };
    if !first.contains('=') {
        let (name, value) = keyword(text);
        if value.is_empty() {
            return Err(Fault::new(format!("{} has no value, expected NAME=VALUE", quoted(name))));
        }
        return Ok(vec![(name.to_owned(), value.to_owned())]);
    }
    let pair = |word: &&str| match word.split_once('=') {
        Some(("", _)) => Err(Fault::new(format!("{} has no name, expected NAME=VALUE", quoted(word)))),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(Fault::new(format!("{} has no =, expected NAME=VALUE", quoted(word)))
            .hint("put a value with spaces in quotation marks")),
    };
    words.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_space_outside_quotes() {
        for (text, expected) in [
            ("a  b\tc", vec!["a", "b", "c"]),
            (r#"a="b c" d='e "f' g\ h"#, vec![r#"a="b c""#, r#"d='e "f'"#, r"g\ h"]),
            (r#"a="b \" c" d"#, vec![r#"a="b \" c""#, "d"]),
            (r"'a\' b", vec![r"'a\'", "b"]),
            ("\"open a", vec!["\"open a"]),
            (" ", vec![]),
            ("a\\", vec!["a\\"]),
        ] {
            assert_eq!(shell_words(text, '\\'), expected, "{text}");
        }
    }

    #[test]
    fn flags_come_first_and_lose_their_quotes() {
        let flag = |name: &str, value: Option<&str>| Flag { name: name.to_owned(), value: value.map(str::to_owned) };
        for (text, expected, rest) in [
            ("--from=a --link x --y z", vec![flag("from", Some("a")), flag("link", None)], "x --y z"),
            (r#"--chown="a b" x"#, vec![flag("chown", Some("a b"))], "x"),
            ("--a -- --b c", vec![flag("a", None)], "--b c"),
            ("x", vec![], "x"),
            ("--a", vec![flag("a", None)], ""),
            ("-a", vec![], "-a"),
        ] {
            assert_eq!(flags(text, '\\'), (expected, rest), "{text}");
        }
    }

    #[test]
    fn here_documents_are_announced_by_words_alone() {
        let words = |line: &str| here_names(line, '\\').into_iter().map(|it| it.word).collect::<Vec<_>>().join(" ");
        for (line, expected) in [
            ("COPY <<a 3<<-b << c /d", "a b c"),
            ("COPY --chown=1 <<'a' /d", "a"),
            (r#"COPY ["<<a", "/d"]"#, ""),
            ("RUN cat <<EOF >/x", "EOF"),
            ("RUN echo $((1 << 2))", ""),
            ("RUN echo \"<<a\"", ""),
            ("ONBUILD COPY <<a /b", "a"),
            ("ENV a=<<b", ""),
            ("COPY <<<a b", ""),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn pairs_are_new_or_old() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (text, expected) in [
            ("a=b c='d e'", vec![pair("a", "b"), pair("c", "'d e'")]),
            ("a b  c=d", vec![pair("a", "b  c=d")]),
            ("a=", vec![pair("a", "")]),
            ("\"a b\"=c", vec![pair("\"a b\"", "c")]),
        ] {
            assert_eq!(pairs(text, '\\').unwrap(), expected, "{text}");
        }
        for text in ["", "a", "a=b c", "=b"] {
            assert!(pairs(text, '\\').is_err(), "{text}");
        }
    }

    #[test]
    fn only_lists_of_texts_are_lists() {
        assert_eq!(json_list(r#"["a", "b c"]"#).unwrap(), Some(vec!["a".to_owned(), "b c".to_owned()]));
        assert_eq!(json_list("[ -e x ] && y").unwrap(), None);
        assert_eq!(json_list("['a']").unwrap(), None);
        assert!(json_list("[1]").is_err());
    }
}
