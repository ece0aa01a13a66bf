//! A command line as bash has it: which words stand there up to the cursor, and how a word is written so that bash takes it as
//! it is, whatever is in it.

use barge::text::is_unsafe;

/// In which quotation marks the cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

/// What is typed of a command.
#[derive(Debug)]
pub(super) struct Line {
    /// Its words without their quotation, the last one up to the cursor.
    pub(super) words: Vec<String>,
    quote: Quote,
    /// How many characters of the last word stand before what bash replaces.
    kept: usize,
    /// Whether the last word begins with a tilde that means a home directory.
    tilde: bool,
}

impl Line {
    /// Reads a line up to the cursor. `breaks` are the characters that end a word for bash's completion: `COMP_WORDBREAKS`.
    ///
    /// Returns nothing where the shell alone knows what stands there: variables, other programs' output, files to redirect to.
    pub(super) fn parse(text: &str, breaks: &str) -> Option<Self> {
        let mut words: Vec<String> = Vec::new();
        let mut last = Last::default();
        let mut redirected = false;
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match (last.quote, character) {
                (Quote::Single, '\'') | (Quote::Double, '"') => last.quote = Quote::None,
                (Quote::None, '\'') => last.open(Quote::Single),
                (Quote::None, '"') => last.open(Quote::Double),
                (Quote::None | Quote::Double, '$' | '`') => {
                    last.is_known = false;
                    last.push(character);
                }
                (Quote::None, '\\') => last.push(characters.next()?),
                (Quote::Double, '\\') => {
                    let next = characters.next()?;
                    if !matches!(next, '$' | '`' | '"' | '\\') {
                        last.push('\\');
                    }
                    last.push(next);
                }
                (Quote::None, ' ' | '\t') if last.is_begun => {
                    if !redirected {
                        words.push(last.text);
                    }
                    (last, redirected) = (Last::default(), false);
                }
                (Quote::None, ' ' | '\t') => {}
                // `2>&1`
                (Quote::None, '&') if redirected && !last.is_begun => {}
                (Quote::None, '|' | '&' | ';' | '\n' | '(' | ')') => {
                    words.clear();
                    (last, redirected) = (Last::default(), false);
                }
                (Quote::None, '<' | '>') => {
                    // what stands right before it is the number of a file, or a word that ends here
                    if last.is_begun && !last.text.bytes().all(|byte| byte.is_ascii_digit()) {
                        words.push(last.text);
                    }
                    (last, redirected) = (Last::default(), true);
                }
                (quote, character) => {
                    last.tilde |= !last.is_begun && character == '~';
                    last.push(character);
                    if quote == Quote::None && breaks.contains(character) {
                        last.kept = last.text.chars().count();
                    }
                }
            }
        }
        // what is set for one command stands before it
        let assigned = words.iter().take_while(|word| is_assignment(word)).count();
        words.drain(..assigned);
        if redirected || !last.is_known || words.is_empty() {
            return None;
        }
        words.push(last.text);
        Some(Self { words, quote: last.quote, kept: last.kept, tilde: last.tilde })
    }

    /// Returns what bash is to put in the place of the last word, or of its end, for one that begins alike; nothing when it
    /// cannot be written inside of these quotation marks. A space follows where the word is whole.
    pub(super) fn replacement(&self, word: &str, is_whole: bool) -> Option<String> {
        let mut written = String::new();
        let rest: String = word.chars().skip(self.kept).collect();
        match self.quote {
            Quote::None => {
                let is_home = self.tilde && self.kept == 0 && rest.starts_with('~');
                let rest = if is_home { &rest[1..] } else { &rest };
                written.push_str(if is_home { "~" } else { "" });
                rest.chars().for_each(|character| escape(character, &mut written));
                if is_whole {
                    written.push(' ');
                }
            }
            _ if rest.chars().any(is_unsafe) => return None,
            Quote::Single => written = rest.replace('\'', r"'\''"),
            // no escape takes away the meaning that this has in an interactive shell
            Quote::Double if rest.contains('!') => return None,
            Quote::Double => {
                for character in rest.chars() {
                    if matches!(character, '$' | '`' | '"' | '\\') {
                        written.push('\\');
                    }
                    written.push(character);
                }
            }
        }
        Some(written)
    }
}

/// The word that is being read.
#[derive(Debug)]
struct Last {
    text: String,
    quote: Quote,
    kept: usize,
    tilde: bool,
    is_begun: bool,
    is_known: bool,
}

impl Default for Last {
    fn default() -> Self {
        Self { text: String::new(), quote: Quote::None, kept: 0, tilde: false, is_begun: false, is_known: true }
    }
}

impl Last {
    fn push(&mut self, character: char) {
        self.text.push(character);
        self.is_begun = true;
    }

    /// bash replaces what stands behind the mark that is open.
    fn open(&mut self, quote: Quote) {
        (self.quote, self.is_begun) = (quote, true);
        self.kept = self.text.chars().count();
    }
}

fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name).unwrap_or_default();
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Writes a character so that bash takes it as it is, and so that nothing of it moves a terminal.
fn escape(character: char, written: &mut String) {
    if is_unsafe(character) {
        let bytes = character.to_string().bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        written.push_str(&format!("$'{bytes}'"));
        return;
    }
    let is_plain = !character.is_ascii() || character.is_ascii_alphanumeric() || "-_./:@+=,%".contains(character);
    if !is_plain {
        written.push('\\');
    }
    written.push(character);
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKS: &str = " \t\n\"'@><=;|&(:";

    fn words(text: &str) -> Option<Vec<String>> {
        Line::parse(text, BREAKS).map(|line| line.words)
    }

    #[test]
    fn words_are_read_as_the_shell_does() {
        for (text, expected) in [
            ("barge ls dist:ap", &["barge", "ls", "dist:ap"][..]),
            ("barge ls ", &["barge", "ls", ""]),
            ("  barge  'a b' \"c \\\" d\" e\\ f", &["barge", "a b", "c \" d", "e f"]),
            ("barge \"a\\b\" '", &["barge", "a\\b", ""]),
            ("A=1 B='x y' barge ls x", &["barge", "ls", "x"]),
            ("true && barge ls x | barge tr", &["barge", "tr"]),
            ("barge ls 2>&1 x", &["barge", "ls", "x"]),
            ("barge cat config a >out.json dis", &["barge", "cat", "config", "a", "dis"]),
            ("barge cat config a 2> out.json dis", &["barge", "cat", "config", "a", "dis"]),
            ("barge $X di", &["barge", "$X", "di"]),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
        for text in
            ["", "bar", "barge ls $HOME/x", "barge ls \"$(x", "barge ls > di", "barge ls x\\", "barge; ", "A=1 b"]
        {
            assert_eq!(words(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_bash_replaces_is_given() {
        for (text, word, expected) in [
            ("barge ls di", "dist", Some("dist ")),
            ("barge ls dist:a", "dist:app:v1", Some("app:v1 ")),
            ("barge ls dist:app:v", "dist:app:v1", Some("v1 ")),
            ("barge ls dist\\:a", "dist:app:v1", Some("dist:app:v1 ")),
            ("barge --layout=d", "--layout=dist", Some("dist ")),
            ("barge ls \"dist:a", "dist:app:v1", Some("dist:app:v1")),
            ("barge ls dist:'a", "dist:app:v1", Some("app:v1")),
            ("barge ls ~/d", "~/dist", Some("~/dist ")),
            ("barge ls \\~/d", "~/dist", Some("\\~/dist ")),
        ] {
            let line = Line::parse(text, BREAKS).unwrap();
            assert_eq!(line.replacement(word, true).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn no_name_becomes_a_command() {
        let name = "dist:$(touch x)`y`;!'\"\\ \u{1b}\n\u{202e}é~{a,b}*";
        let line = Line::parse("barge ls dist:", BREAKS).unwrap();
        let written = line.replacement(name, false).unwrap();
        assert_eq!(written, r#"\$\(touch\ x\)\`y\`\;\!\'\"\\\ $'\x1b'$'\x0a'$'\xe2\x80\xae'é\~\{a,b\}\*"#);
        for (open, expected) in [("'", Some(r"$(x)`y'\''z")), ("\"", Some(r"\$(x)\`y'z"))] {
            let line = Line::parse(&format!("barge ls {open}"), BREAKS).unwrap();
            assert_eq!(line.replacement("$(x)`y'z", false).as_deref(), expected);
            assert_eq!(line.replacement("a\nb", false), None);
        }
        assert_eq!(Line::parse("barge ls \"", BREAKS).unwrap().replacement("a!b", true), None);
    }
}
