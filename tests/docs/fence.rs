//! The fenced blocks of a page, and the commands in those that show a terminal.
//!
//! A block of the language `console` has commands behind `$ `, each with what it prints below it, or with nothing, which says
//! nothing of what it prints. A line that ends with `\` goes on in the next one. Behind a command `# exit code N` may stand.
//!
//! A block in front of which stands a paragraph that begins with [`UNTESTED`] is not run.

use std::ops::Range;

/// How a paragraph begins that says why the block below it is not run.
pub(crate) const UNTESTED: &str = "Not run by the tests: ";

/// A fenced block of a page.
#[derive(Debug)]
pub(crate) struct Block {
    /// Of its first line between the fences, from one on.
    pub(crate) line: usize,
    pub(crate) language: String,
    pub(crate) lines: Vec<String>,
    /// Why it is not run, when it is not.
    pub(crate) untested: Option<String>,
}

/// A command of a block, and what the page says that it prints.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) command: String,
    pub(crate) exits: i32,
    /// The lines of the page where that stands, from one on.
    pub(crate) printed: Range<usize>,
}

impl Block {
    /// Returns the name of the file that the block is: its first line has it, as a comment.
    pub(crate) fn file(&self) -> Option<&str> {
        let name = self.lines.first()?.strip_prefix("# ")?;
        let plain = |sign: char| sign.is_ascii_alphanumeric() || "./-_".contains(sign);
        (self.language != "console" && !name.is_empty() && name.chars().all(plain)).then_some(name)
    }

    /// Finds the commands of a block that shows a terminal.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut goes_on = false;
        for (line, text) in (self.line..).zip(&self.lines) {
            let begun = text.strip_prefix("$ ");
            if goes_on {
                let step = steps.last_mut().unwrap();
                step.command.push_str(&format!("\n{}", text.strip_prefix("> ").unwrap_or(text)));
                step.printed = line + 1..line + 1;
            } else if let Some(command) = begun {
                steps.push(Step { line, command: command.to_owned(), exits: 0, printed: line + 1..line + 1 });
            } else if let Some(step) = steps.last_mut() {
                step.printed.end = line + 1;
            }
            goes_on = (goes_on || begun.is_some()) && text.ends_with('\\');
        }
        for step in &mut steps {
            let exits = step.command.rsplit_once("# exit code ").and_then(|(_, code)| code.trim().parse().ok());
            step.exits = exits.unwrap_or(0);
        }
        steps
    }
}

/// Finds the fenced blocks of a page.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut paragraph = String::new();
    for (number, text) in page.lines().enumerate() {
        let fence = text.strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(language)) => {
                let untested = paragraph.trim_start_matches('*').strip_prefix(UNTESTED).map(str::to_owned);
                paragraph.clear();
                let language = language.to_owned();
                open = Some(Block { line: number + 2, language, lines: Vec::new(), untested });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.lines.push(text.to_owned()),
            (None, None) if text.is_empty() => {}
            (None, None) => {
                let goes_on = number > 0 && page.lines().nth(number - 1).is_some_and(|before| !before.is_empty());
                paragraph = if goes_on { format!("{paragraph} {text}") } else { text.to_owned() };
            }
        }
    }
    blocks
}

#[test]
fn commands_stand_behind_dollars_with_what_they_print_below() {
    let page = "Text.\n\n```console\n$ barge ls a\nb\n$ barge x \\\n    --y # exit code 2\n$ z\nout\nput\n```\n\n```yaml\n# \
                barge.yaml\nx: 1\n```\n\n*Not run by the tests: no\ndocker.*\n\n```console\n$ docker ps\n```\n";
    let blocks = blocks(page);
    let step = |line, command: &str, exits, printed| Step { line, command: command.to_owned(), exits, printed };
    assert_eq!(
        blocks[0].steps(),
        [step(4, "barge ls a", 0, 5..6), step(6, "barge x \\\n    --y # exit code 2", 2, 8..8), step(8, "z", 0, 9..11)]
    );
    assert_eq!(blocks[0].file(), None);
    assert_eq!(blocks[1].file(), Some("barge.yaml"));
    assert_eq!(blocks[2].untested.as_deref(), Some("no docker.*"));
    assert!(blocks[0].untested.is_none() && blocks[1].untested.is_none());
}
