//! Filling in: variables, quotes and escapes in one word, by the rules of BuildKit's shell words.
//!
//! `$x`, `${x}`, `${x:-word}`, `${x-word}`, `${x:+word}`, `${x+word}`, `${x:?word}`, `${x?word}`, `${x#pattern}`,
//! `${x##pattern}`, `${x%pattern}` and `${x%%pattern}`. What stands in a variable is never read again, so nothing here
//! calls itself, and [`Budget`] bounds how much all values together grow.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::fault::Fault;
use super::pattern::Pattern;
use super::variables::Variables;
use crate::text::quoted;

/// The longest value, in bytes.
const LONGEST_VALUE: usize = 1024 * 1024;
/// How much all values of one evaluation come to, in bytes.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// How deep `${a:-${b:-...}}` goes.
const DEEPEST: usize = 32;
/// How many steps of matching count as a byte.
const STEPS_PER_BYTE: usize = 8;

/// What may still be made.
#[derive(Debug)]
pub(super) struct Budget {
    left: Cell<usize>,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { left: Cell::new(MOST_BYTES) }
    }

    pub(super) fn spend(&self, bytes: usize) -> Result<(), Fault> {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.ok_or_else(|| Fault::new("the values of all variables grow beyond 32 MiB"))?);
        Ok(())
    }
}

/// What a word became.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expanded {
    /// The whole of it.
    pub(super) text: String,
    /// The same, cut at white space that is not in quotes.
    pub(super) words: Vec<String>,
    /// Variables that stand in it and nowhere else.
    pub(super) unknown: BTreeSet<String>,
}

/// What is special in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    /// The character that takes the meaning of the next one away.
    pub(super) escape: char,
    /// Whether quotes mean something: not in a here-document.
    pub(super) quotes: bool,
}

/// What is being read.
#[derive(Debug)]
enum Kind {
    Top,
    Quoted,
    /// The word of `${name:-word}`.
    Word {
        name: String,
        operator: Operator,
        empty_is_unset: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Default,
    Alternative,
    Needed,
    CutStart,
    CutEnd,
}

#[derive(Debug)]
struct Frame {
    kind: Kind,
    text: String,
}

/// Fills in a word.
pub(super) fn expand(text: &str, syntax: Syntax, variables: &Variables, budget: &Budget) -> Result<Expanded, Fault> {
    let mut expander = Expander {
        rest: text,
        syntax,
        variables,
        budget,
        frames: vec![Frame { kind: Kind::Top, text: String::new() }],
        word: String::new(),
        out: Expanded::default(),
    };
    expander.run().map_err(|fault| match fault {
        Trouble::Syntax(message) => Fault::new(format!("{message} in {}", quoted(text))),
        Trouble::Fault(fault) => fault,
    })
}

enum Trouble {
    Syntax(String),
    Fault(Fault),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn syntax<T>(message: impl Into<String>) -> Result<T, Trouble> {
    Err(Trouble::Syntax(message.into()))
}

struct Expander<'a> {
    rest: &'a str,
    syntax: Syntax,
    variables: &'a Variables,
    budget: &'a Budget,
    frames: Vec<Frame>,
    /// The word that is being put together at the top.
    word: String,
    out: Expanded,
}

impl Expander<'_> {
    fn run(&mut self) -> Result<Expanded, Trouble> {
        while let Some(character) = self.next() {
            match self.frames.last().map(|frame| &frame.kind) {
                Some(Kind::Quoted) => self.quoted(character)?,
                Some(Kind::Word { .. }) if character == '}' => self.close()?,
                _ => self.plain(character)?,
            }
        }
        match self.frames.pop() {
            Some(Frame { kind: Kind::Top, text }) => {
                self.end_word();
                self.out.text = text;
                Ok(std::mem::take(&mut self.out))
            }
            Some(Frame { kind: Kind::Quoted, .. }) => syntax("a \" has no end"),
            _ => syntax("a ${ has no }"),
        }
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = &self.rest[character.len_utf8()..];
        Some(character)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn plain(&mut self, character: char) -> Result<(), Trouble> {
        match character {
            '\'' if self.syntax.quotes => {
                let Some(end) = self.rest.find('\'') else { return syntax("a ' has no end") };
                let (inside, after) = self.rest.split_at(end);
                self.rest = &after[1..];
                self.push(inside, false)
            }
            '"' if self.syntax.quotes => self.open(Kind::Quoted),
            '$' => self.dollar(),
            it if it == self.syntax.escape => {
                let pattern = matches!(
                    self.frames.last().map(|frame| &frame.kind),
                    Some(Kind::Word { operator: Operator::CutStart | Operator::CutEnd, .. })
                );
                if pattern {
                    self.push("\\", false)?;
                }
                match self.next() {
                    Some(next) => self.push(next.encode_utf8(&mut [0; 4]), false),
                    None => Ok(()),
                }
            }
            other => self.push(other.encode_utf8(&mut [0; 4]), true),
        }
    }

    fn quoted(&mut self, character: char) -> Result<(), Trouble> {
        match character {
            '"' => {
                let inside = self.frames.pop().map(|frame| frame.text).unwrap_or_default();
                self.push(&inside, false)
            }
            '$' => self.dollar(),
            it if it == self.syntax.escape => match self.peek() {
                Some(next) if matches!(next, '"' | '$') || next == it => {
                    self.next();
                    self.push(next.encode_utf8(&mut [0; 4]), false)
                }
                _ => self.push(it.encode_utf8(&mut [0; 4]), false),
            },
            other => self.push(other.encode_utf8(&mut [0; 4]), false),
        }
    }

    fn open(&mut self, kind: Kind) -> Result<(), Trouble> {
        if self.frames.len() == DEEPEST {
            return syntax(format!("quotes and ${{ are nested deeper than {DEEPEST}"));
        }
        self.frames.push(Frame { kind, text: String::new() });
        Ok(())
    }

    /// Adds to what is being read; at the top, white space ends a word when it may.
    fn push(&mut self, text: &str, splits: bool) -> Result<(), Trouble> {
        let Some(frame) = self.frames.last_mut() else { return Ok(()) };
        if frame.text.len() + text.len() > LONGEST_VALUE {
            return Err(Fault::new("a value grows beyond 1 MiB").into());
        }
        self.budget.spend(text.len())?;
        frame.text.push_str(text);
        if matches!(frame.kind, Kind::Top) {
            for character in text.chars() {
                if splits && character.is_whitespace() {
                    self.end_word();
                } else {
                    self.word.push(character);
                }
            }
        }
        Ok(())
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.out.words.push(std::mem::take(&mut self.word));
        }
    }

    /// Reads what follows a dollar sign.
    fn dollar(&mut self) -> Result<(), Trouble> {
        if self.peek() != Some('{') {
            let name = self.name();
            return if name.is_empty() { self.push("$", false) } else { self.value(&name) };
        }
        self.next();
        let name = match self.peek() {
            None => return syntax("a ${ has no }"),
            Some('{' | '}' | ':') => return syntax("a ${ has no name"),
            Some(_) => self.name(),
        };
        let mut operator = self.next();
        if operator == Some('}') {
            return self.value(&name);
        }
        let empty_is_unset = operator == Some(':');
        if empty_is_unset {
            operator = self.next();
        }
        let operator = match operator {
            None => return syntax("a ${ has no }"),
            Some('-') => Operator::Default,
            Some('+') => Operator::Alternative,
            Some('?') => Operator::Needed,
            Some('#') if !empty_is_unset => Operator::CutStart,
            Some('%') if !empty_is_unset => Operator::CutEnd,
            Some('/') if !empty_is_unset => {
                return Err(Fault::unsupported(format!("${{{name}/...}} is given, and texts are not replaced"))
                    .hint("give the result as a variable of its own, with --build-arg")
                    .into());
            }
            Some(other) => {
                return syntax(format!("${{{name} is followed by {other:?}, expected }} or one of :- - :+ +"));
            }
        };
        self.open(Kind::Word { name, operator, empty_is_unset })
    }

    /// Reads a name: letters, digits and `_`; digits alone when the first is one; or one of the shell's own.
    fn name(&mut self) -> String {
        let Some(first) = self.peek() else { return String::new() };
        let length = if first.is_ascii_digit() {
            self.rest.find(|it: char| !it.is_ascii_digit())
        } else if "@*#?-$!".contains(first) {
            Some(1)
        } else {
            self.rest.find(|it: char| !it.is_alphanumeric() && it != '_')
        };
        let (name, rest) = self.rest.split_at(length.unwrap_or(self.rest.len()));
        self.rest = rest;
        name.to_owned()
    }

    fn value(&mut self, name: &str) -> Result<(), Trouble> {
        let variables = self.variables;
        match variables.get(name) {
            Some(value) => self.push(value, true),
            None => {
                self.out.unknown.insert(name.to_owned());
                Ok(())
            }
        }
    }

    /// Ends `${name:-word}`.
    fn close(&mut self) -> Result<(), Trouble> {
        let Some(Frame { kind: Kind::Word { name, operator, empty_is_unset }, text: word }) = self.frames.pop() else {
            return Ok(());
        };
        let variables = self.variables;
        let set = variables.get(&name);
        let value = set.filter(|value| !empty_is_unset || !value.is_empty());
        match operator {
            Operator::Default => self.push(value.unwrap_or(&word), true),
            Operator::Alternative => self.push(value.map_or("", |_| &word), true),
            Operator::Needed => match value {
                Some(value) => self.push(value, true),
                None => {
                    let word = if word.is_empty() { "it must have a value" } else { &word };
                    Err(Fault::new(format!("{name} has no value: {}", quoted(word)))
                        .hint(format!("give it with --build-arg {name}=VALUE"))
                        .into())
                }
            },
            Operator::CutStart | Operator::CutEnd => {
                let kept = self.cut(value.unwrap_or_default(), &word, operator)?;
                self.push(&kept, true)
            }
        }
    }

    /// Cuts what matches off one end of a value: the shortest match, or the longest when the operator stands twice.
    fn cut(&self, value: &str, word: &str, operator: Operator) -> Result<String, Trouble> {
        let at_end = operator == Operator::CutEnd;
        let (pattern, longest) = match word.strip_prefix(if at_end { '%' } else { '#' }) {
            Some(pattern) => (pattern, true),
            None => (word, false),
        };
        let pattern = match Pattern::of_shell(pattern) {
            Ok(pattern) => pattern,
            Err(reason) => return syntax(format!("{} is no pattern ({reason})", quoted(pattern))),
        };
        self.budget.spend(pattern.cost(value.len()) / STEPS_PER_BYTE)?;
        let reversed = |text: &str| text.chars().rev().collect::<String>();
        let ends = if at_end { pattern.reversed().ends(&reversed(value)) } else { pattern.ends(value) };
        let found = if longest { ends.iter().rposition(|end| *end) } else { ends.iter().position(|end| *end) };
        let count = value.chars().count();
        let cut = found.unwrap_or(0);
        Ok(if at_end { value.chars().take(count - cut).collect() } else { value.chars().skip(cut).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHELL: Syntax = Syntax { escape: '\\', quotes: true };

    fn variables() -> Variables {
        let mut variables = Variables::default();
        for (name, value) in
            [("x", "X"), ("empty", ""), ("v", "1.22.3"), ("s", "a b"), ("d", "$x"), ("p", "/a/b/c.tar")]
        {
            variables.set_argument(name, value);
        }
        variables
    }

    fn filled(text: &str, syntax: Syntax) -> Result<Expanded, Fault> {
        expand(text, syntax, &variables(), &Budget::new())
    }

    #[test]
    fn words_are_filled_in_as_docker_does() {
        for (text, expected) in [
            ("plain", "plain"),
            ("$x-${x}y$xy", "X-Xy"),
            ("$d", "$x"), // a value is not read again
            (r"\$x \\ \a", r"$x \ a"),
            (r#"'$x\' "$x \$x \" \\ \a""#, r#"$x\ X $x " \ \a"#),
            ("$", "$"),
            ("$/", "$/"),
            ("a$", "a$"),
            ("$1a$$", "a"),
            ("${x:-n}${u:-n}${empty:-n}${empty-n}${u-n}", "Xnnn"),
            ("${x:+y}${u:+y}${empty:+y}${empty+y}${u+y}", "yy"),
            ("${u:-${w:-${x}}}", "X"),
            ("${u:-'}'\"}\"\\}}", "}}}"),
            ("${u:-a $s}", "a a b"),
            ("\"${u:-\"q\"}\"", "q"),
            ("${x:?no}", "X"),
            ("${v%.*}|${v%%.*}|${v#*.}|${v##*.}|${v%x}|${v#1}", "1.22|1|22.3|3|1.22.3|.22.3"),
            ("${p##*/}|${p%/*}|${p%.tar}|${u#a}", "c.tar|/a/b|/a/b/c|"),
            ("é${x}é", "éXé"),
            ("a\\", "a"),
        ] {
            assert_eq!(filled(text, SHELL).unwrap().text, expected, "{text}");
        }
        assert_eq!(filled("`$x\\a", Syntax { escape: '`', quotes: true }).unwrap().text, "$x\\a");
        assert_eq!(filled("'$x' \"\\$x\"", Syntax { escape: '\\', quotes: false }).unwrap().text, "'X' \"$x\"");
    }

    #[test]
    fn words_are_cut_after_filling_in_but_not_in_quotes() {
        for (text, expected) in [
            ("$s c", vec!["a", "b", "c"]),
            ("\"$s\" c", vec!["a b", "c"]),
            ("x$s", vec!["xa", "b"]),
            (r"a\ b $empty", vec!["a b"]),
            ("", vec![]),
        ] {
            assert_eq!(filled(text, SHELL).unwrap().words, expected, "{text}");
        }
    }

    #[test]
    fn unknown_variables_are_told() {
        let unknown = filled("$u ${w} $x ${y:-1} ${empty}", SHELL).unwrap().unknown;
        assert_eq!(unknown.into_iter().collect::<Vec<_>>(), ["u", "w"]);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (text, complaint) in [
            ("${", "no }"),
            ("${}", "no name"),
            ("${:-x}", "no name"),
            ("${x", "no }"),
            ("${x:-", "no }"),
            ("${x:}", "followed by '}'"),
            ("${x!y}", "followed by '!'"),
            ("${x:#y}", "followed by '#'"),
            ("${x/a/b}", "not replaced"),
            ("'a", "a ' has no end"),
            ("\"a", "a \" has no end"),
            ("${u:?say \u{1b}}", "u has no value: \"say \\u{1b}\""),
        ] {
            let error = filled(text, SHELL).unwrap_err().in_file("F");
            assert!(error.message.contains(complaint), "{text}: {error}");
        }
        assert!(filled(&"${a:-".repeat(DEEPEST), SHELL).unwrap_err().in_file("F").message.contains("nested"));
    }

    #[test]
    fn values_do_not_grow_without_bound() {
        let mut variables = Variables::default();
        variables.set_argument("a", &"x".repeat(LONGEST_VALUE / 2));
        let budget = Budget::new();
        let error = expand("$a$a$a", SHELL, &variables, &budget).unwrap_err().in_file("F");
        assert!(error.message.contains("1 MiB"), "{error}");
        let failed = (0..100).find_map(|_| expand("$a$a", SHELL, &variables, &budget).err());
        assert!(failed.unwrap().in_file("F").message.contains("32 MiB"));
    }

    proptest! {
        #[test]
        fn no_text_breaks_filling_in(
            text in prop_oneof![any::<String>(), "[$\\{\\}:+?#%x'\"\\\\ a*-]{0,30}"], quotes in any::<bool>()
        ) {
            for escape in ['\\', '`'] {
                let _ = filled(&text, Syntax { escape, quotes });
            }
        }

        #[test]
        fn plain_text_stays(text in "[a-z /.=,-]{0,30}") {
            prop_assert_eq!(filled(&text, SHELL).unwrap().text, text);
        }
    }
}
