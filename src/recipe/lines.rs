//! Lines: a file cut into instructions, as BuildKit's parser does it.
//!
//! An instruction may go on over several lines, with comments and empty lines in between, and here-documents may follow
//! it. What is cut out here is not yet understood: that is for `parse`.

use std::ops::Range;

use super::fault::Fault;
use super::words::{self, HereName};
use crate::text::quoted;

/// The largest file, in bytes; here-documents are part of it.
pub(super) const LARGEST_FILE: usize = 1024 * 1024;
/// The most instructions in a file.
const MOST_INSTRUCTIONS: usize = 10_000;

/// A whole file.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    pub(super) text: &'a str,
    /// The character that escapes others and continues lines.
    pub(super) escape: char,
    pub(super) instructions: Vec<Line>,
}

/// One instruction, its lines joined.
#[derive(Debug)]
pub(super) struct Line {
    /// Where it starts, from 1.
    pub(super) number: usize,
    /// Where it stands in the file, here-documents included.
    pub(super) source: Range<usize>,
    /// The instruction without line ends, comments and here-documents.
    pub(super) joined: String,
    pub(super) documents: Vec<HereDocument>,
    /// Whether an empty line stands inside, which docker wants to refuse one day.
    pub(super) has_gap: bool,
}

/// A file that stands in the recipe itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HereDocument {
    pub(super) name: HereName,
    pub(super) content: String,
}

/// Goes through the file line by line.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    number: usize,
}

impl<'a> Reader<'a> {
    /// Returns the next line with its end.
    fn next(&mut self) -> Option<&'a str> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let end = rest.find('\n').map_or(rest.len(), |at| at + 1);
        self.at += end;
        self.number += 1;
        Some(&rest[..end])
    }
}

/// Cuts a file.
pub(super) fn cut(bytes: &[u8]) -> Result<Lines<'_>, Fault> {
    if bytes.len() > LARGEST_FILE {
        return Err(Fault::new(format!("it has {} bytes, and {LARGEST_FILE} is the limit", bytes.len()))
            .hint("put large files beside it and COPY them"));
    }
    let number_at = |at: usize| bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Fault::new("it is not UTF-8 text").at(number_at(error.valid_up_to())))?;
    if let Some(at) = text.find('\0') {
        return Err(Fault::new("it holds a NUL byte: is this a text file?").at(number_at(at)));
    }
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut reader = Reader { text, at: start, number: 0 };
    let escape = directives(text, start)?;
    let mut instructions: Vec<Line> = Vec::new();
    while let Some(mut line) = logical(&mut reader, escape) {
        here_documents(&mut reader, &mut line, escape).map_err(|fault| fault.at(line.number))?;
        if instructions.len() == MOST_INSTRUCTIONS {
            return Err(
                Fault::new(format!("more than {MOST_INSTRUCTIONS} instructions stand in one file")).at(line.number)
            );
        }
        instructions.push(line);
    }
    Ok(Lines { text, escape, instructions })
}

/// Reads the directives: comments `# name=value` above everything else. Returns the escape character.
fn directives(text: &str, start: usize) -> Result<char, Fault> {
    let mut reader = Reader { text, at: start, number: 0 };
    let mut seen = Vec::new();
    let mut escape = '\\';
    while let Some(line) = reader.next() {
        let Some((name, value)) = line.trim().strip_prefix('#').and_then(|rest| rest.split_once('=')) else { break };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if !matches!(name.as_str(), "syntax" | "escape" | "check") || value.is_empty() {
            break;
        }
        let fault = |message: String| Err(Fault::new(message).at(reader.number));
        if seen.contains(&name) {
            return fault(format!("the directive {name} stands there twice"));
        }
        if name == "escape" {
            escape = match value {
                "\\" => '\\',
                "`" => '`',
                other => return fault(format!("the escape character is {}, expected \\ or `", quoted(other))),
            };
        }
        seen.push(name);
    }
    Ok(escape)
}

/// Reads the next instruction, joined over its lines.
fn logical(reader: &mut Reader<'_>, escape: char) -> Option<Line> {
    loop {
        let start = reader.at;
        let first = reader.next()?;
        let number = reader.number;
        let trimmed = first.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let (part, mut goes_on) = continued(trimmed.trim_end_matches(['\r', '\n']), escape);
        let mut joined = part.to_owned();
        let mut has_gap = false;
        let mut end = start + first.trim_end_matches(['\r', '\n']).len();
        while goes_on {
            let Some(next) = reader.next() else { break };
            let plain = next.trim_end_matches(['\r', '\n']);
            let content = plain.trim_start();
            if content.is_empty() || content.starts_with('#') {
                has_gap |= content.is_empty();
                continue;
            }
            let (part, more) = continued(plain, escape);
            joined.push_str(part);
            goes_on = more;
            end = reader.at - (next.len() - plain.len());
        }
        if joined.trim().is_empty() {
            continue; // an escape character alone
        }
        return Some(Line { number, source: start..end, joined, documents: Vec::new(), has_gap });
    }
}

/// Returns the line without what continues it, and whether it is continued: by an escape character at its end, but not by
/// two.
fn continued(line: &str, escape: char) -> (&str, bool) {
    let bare = line.trim_end_matches([' ', '\t']);
    match bare.strip_suffix(escape) {
        Some(rest) if !rest.ends_with(escape) => (rest, true),
        _ => (line, false),
    }
}

/// Reads the here-documents that the instruction announces.
fn here_documents(reader: &mut Reader<'_>, line: &mut Line, escape: char) -> Result<(), Fault> {
    for name in words::here_names(&line.joined, escape) {
        let mut content = String::new();
        loop {
            let Some(next) = reader.next() else {
                return Err(Fault::new(format!("the here-document {} has no end", quoted(&name.word)))
                    .hint(format!("a line that holds {} and nothing else ends it", quoted(&name.word))));
            };
            let plain = next.trim_end_matches(['\r', '\n']);
            let plain = if name.strips_tabs { plain.trim_start_matches('\t') } else { plain };
            if plain == name.word {
                break;
            }
            content.push_str(if name.strips_tabs { next.trim_start_matches('\t') } else { next });
        }
        line.documents.push(HereDocument { name, content });
        line.source.end = reader.text[..reader.at].trim_end_matches(['\r', '\n']).len();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(text: &str) -> Vec<(usize, String)> {
        let lines = cut(text.as_bytes()).unwrap();
        lines.instructions.iter().map(|line| (line.number, line.joined.clone())).collect()
    }

    #[test]
    fn an_instruction_goes_on_over_lines_comments_and_gaps() {
        for (text, expected) in [
            ("FROM a\n\n# x\n  ENV b=c  \n", vec![(1, "FROM a"), (4, "ENV b=c  ")]),
            ("ENV a=b \\\n  # no\n\n  c=d\nUSER x", vec![(1, "ENV a=b   c=d"), (5, "USER x")]),
            ("ENV a=b\\ \t\n  c", vec![(1, "ENV a=b  c")]),
            ("ENV a=b\\\\\nUSER c", vec![(1, "ENV a=b\\\\"), (2, "USER c")]),
            ("# escape=`\nENV a=C:\\\nENV b=`\nc", vec![(2, "ENV a=C:\\"), (3, "ENV b=c")]),
            ("#escape = `\r\nENV b=`\r\nc\r\n", vec![(2, "ENV b=c")]),
            ("# plain\n# escape=`\nENV a=\\\nb", vec![(3, "ENV a=b")]),
            ("\u{feff}FROM a", vec![(1, "FROM a")]),
            ("FROM \\", vec![(1, "FROM ")]),
            ("\\\n\\\nFROM a", vec![(1, "FROM a")]),
            ("", vec![]),
            ("#\n", vec![]),
        ] {
            let expected: Vec<(usize, String)> =
                expected.into_iter().map(|(number, text)| (number, text.to_owned())).collect();
            assert_eq!(joined(text), expected, "{text:?}");
        }
    }

    #[test]
    fn here_documents_belong_to_the_instruction_above_them() {
        let text = "COPY <<a <<-'b' /d/\n$x\na \na\n\t\t1\n\tb\nRUN python3 <<EOF\nprint(1)\nEOF\nUSER x\n";
        let lines = cut(text.as_bytes()).unwrap();
        let documents: Vec<(&str, bool, &str)> = lines.instructions[0]
            .documents
            .iter()
            .map(|it| (it.name.word.as_str(), it.name.expands, it.content.as_str()))
            .collect();
        assert_eq!(documents, [("a", true, "$x\na \n"), ("b", false, "1\n")]);
        assert_eq!(&text[lines.instructions[0].source.clone()], "COPY <<a <<-'b' /d/\n$x\na \na\n\t\t1\n\tb");
        assert_eq!(lines.instructions[1].documents[0].content, "print(1)\n");
        assert_eq!((lines.instructions[2].number, lines.instructions[2].joined.as_str()), (10, "USER x"));
    }

    #[test]
    fn what_cannot_be_cut_is_refused_with_its_line() {
        for (text, line, complaint) in [
            (&b"FROM a\n\xff"[..], Some(2), "not UTF-8"),
            (b"FROM a\n\nENV x=\0", Some(3), "NUL"),
            (b"# escape=/\nFROM a", Some(1), "expected \\ or `"),
            (b"# escape=`\n# escape=`\n", Some(2), "twice"),
            (b"FROM a\nCOPY <<x /y\nx y\n", Some(2), "has no end"),
            (&[b'#'; LARGEST_FILE + 1], None, "is the limit"),
            (&b"USER x\n".repeat(MOST_INSTRUCTIONS + 1), Some(MOST_INSTRUCTIONS + 1), "more than 10000"),
        ] {
            let error = cut(text).unwrap_err().in_file("F");
            assert_eq!(error.line, line, "{error}");
            assert!(error.message.contains(complaint), "{error}");
        }
    }
}
