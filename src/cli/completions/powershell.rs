//! What PowerShell sends, and how a word is written so that it takes it as it is.

use std::ffi::{OsStr, OsString};

use barge::text::is_unsafe;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Reads the words up to the cursor: in base64, with a zero byte between each two, for that is what every version passes on unchanged.
pub(super) fn words(sent: &OsStr) -> Option<Vec<OsString>> {
    let joined = String::from_utf8(STANDARD.decode(sent.to_str()?).ok()?).ok()?;
    Some(joined.split('\0').map(OsString::from).collect())
}

/// Returns a line of the word as it is written, how it is shown and what it means, none of which may be empty; nothing for what
/// cannot be written in a line.
pub(super) fn candidate(word: &str, help: Option<&str>) -> Option<String> {
    let meaning = help.filter(|help| !help.is_empty()).unwrap_or(word);
    let is_shown = !word.is_empty() && !word.contains(is_unsafe);
    is_shown.then(|| quoted(word)).flatten().map(|written| format!("{written}\t{word}\t{meaning}\n"))
}

/// Writes a word as PowerShell reads it, in quotation marks where it needs any (about_Quoting_Rules, about_Parsing).
fn quoted(word: &str) -> Option<String> {
    // a tilde means a home directory outside of quotation marks alone
    let (tilde, rest) = word.split_at(if word.starts_with("~/") { 2 } else { 0 });
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_./:+=".contains(character);
    match rest.chars().all(is_plain) {
        true => Some(word.to_owned()),
        false if !tilde.is_empty() => None,
        false => {
            let mut written = String::from("'");
            for character in word.chars() {
                // the typographic ones end a word as well
                if matches!(character, '\'' | '\u{2018}'..='\u{201b}') {
                    written.push(character);
                }
                written.push(character);
            }
            written.push('\'');
            Some(written)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_as_they_were_typed() {
        let sent = |text: &str| words(OsStr::new(&STANDARD.encode(text)));
        assert_eq!(sent("barge\0ls\0").unwrap(), ["barge", "ls", ""]);
        assert_eq!(sent("barge\0ls\0a \"b\" é").unwrap(), ["barge", "ls", "a \"b\" é"]);
        assert_eq!(words(OsStr::new("no base64!")), None);
    }

    #[test]
    fn no_name_becomes_a_command() {
        for (word, expected) in [
            ("dist:app:v1", "dist:app:v1"),
            ("--layout=dist", "--layout=dist"),
            ("all,linux/amd64", "'all,linux/amd64'"),
            ("r$(touch ran)", "'r$(touch ran)'"),
            ("a'b\u{2019}; c", "'a''b\u{2019}\u{2019}; c'"),
            ("@x", "'@x'"),
            ("~/dist", "~/dist"),
        ] {
            assert_eq!(candidate(word, None).unwrap(), format!("{expected}\t{word}\t{word}\n"));
        }
        for word in ["", "a\nb", "a\tb", "~/a b"] {
            assert_eq!(candidate(word, None), None, "{word:?}");
        }
        assert_eq!(candidate("ls", Some("List")).unwrap(), "ls\tls\tList\n");
    }
}
