//! The commands of barge that a page has.

/// What stands for a command in the second column where there is none.
const NONE: &str = "not in barge";

/// A command line, where it stands, and the exit code that the page says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) exits: i32,
}

/// Finds every command of a page: code that has `barge` where a program stands, in tables, in text, and in lines that are
/// indented. Behind it `(exit code N)` may stand, in lines that are
/// indented as a comment.
///
/// # Errors
/// With the number of the line: where a row has not three cells, or its second has neither a command nor says that there is
/// none, or code that is no command.
pub(crate) fn commands(page: &str) -> Result<Vec<Command>, String> {
    let mut commands = Vec::new();
    // the rows of a table so far: the first two are its head
    let mut rows = 0;
    for (number, text) in page.lines().enumerate() {
        let line = number + 1;
        rows = if text.starts_with('|') { rows + 1 } else { 0 };
        if let Some(indented) = text.strip_prefix("    ") {
            if is_command(indented) {
                let (text, after) = indented.split_once(" # ").unwrap_or((indented, ""));
                commands.push(Command { line, text: text.trim().to_owned(), exits: exit_code(after) });
            }
            continue;
        }
        if rows > 2 {
            let cells = cells(text);
            let [_, ours, _] = &cells[..] else {
                return Err(format!("{line}: {} cells instead of three", cells.len()));
            };
            let spans = spans(ours).ok_or_else(|| format!("{line}: code that does not end"))?;
            let says_none = ours.trim().starts_with(NONE);
            if let Some((odd, _)) = spans.iter().find(|(code, _)| !is_command(code) && !says_none) {
                return Err(format!("{line}: {odd} is no command of barge"));
            }
            if spans.is_empty() && !says_none {
                return Err(format!("{line}: neither a command nor `{NONE}`"));
            }
        }
        for (code, after) in spans(text).ok_or_else(|| format!("{line}: code that does not end"))? {
            if is_command(&code) {
                commands.push(Command { line, text: code, exits: exit_code(after) });
            }
        }
    }
    Ok(commands)
}

/// Finds every line of a page that is indented below its first heading, whatever program it starts. What stands before that are
/// the forms of the commands.
pub(crate) fn indented(page: &str) -> Vec<Command> {
    let first = page.lines().position(|text| text.starts_with("## ")).unwrap_or(0);
    lines(page).into_iter().filter(|command| command.line > first).collect()
}

/// Finds every line that is indented, whatever it starts. Behind it `# exit code N` may stand.
pub(crate) fn lines(page: &str) -> Vec<Command> {
    let command = |(number, text): (usize, &str)| {
        let text = text.strip_prefix("    ").filter(|text| !text.trim().is_empty())?.trim();
        let exits = text.rsplit_once("# exit code ").and_then(|(_, code)| code.parse().ok()).unwrap_or(0);
        Some(Command { line: number + 1, text: text.to_owned(), exits })
    };
    page.lines().enumerate().filter_map(command).collect()
}

/// Returns the programs other than barge that the commands start.
pub(crate) fn programs(commands: &[Command]) -> Vec<String> {
    let mut programs: Vec<String> =
        commands.iter().flat_map(|command| started(&command.text)).filter(|it| it != "barge").collect();
    programs.sort();
    programs.dedup();
    programs
}

/// Returns what a command line starts: the first word of each of its parts. What is in single quotes starts nothing; double quotes
/// do not count, so that no page may have these signs in them.
fn started(line: &str) -> Vec<String> {
    let line: String = line.split('\'').step_by(2).collect();
    let parts = line.split(['|', '&', ';', '(']);
    parts.filter_map(|part| part.split_whitespace().next()).map(str::to_owned).collect()
}

fn is_command(code: &str) -> bool {
    started(code).iter().any(|program| program == "barge") && code.trim().contains(' ')
}

/// Splits a row at those signs that are not escaped.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim().trim_start_matches('|');
    let row = row.strip_suffix('|').unwrap_or(row);
    let mut cells = vec![String::new()];
    let mut before = ' ';
    for sign in row.chars() {
        if sign == '|' && before != '\\' {
            cells.push(String::new());
        } else {
            cells.last_mut().unwrap().push(sign);
        }
        before = sign;
    }
    cells
}

/// Returns the pieces of code in a line, each with the text up to the next; none when the last does not end.
fn spans(text: &str) -> Option<Vec<(String, &str)>> {
    let parts: Vec<&str> = text.split('`').collect();
    let spans = parts[1..].chunks(2).map(|pair| Some((pair[0].replace("\\|", "|"), *pair.get(1)?)));
    spans.collect()
}

fn exit_code(after: &str) -> i32 {
    let code = after.trim_start().strip_prefix("(exit code ").and_then(|rest| rest.split(')').next());
    code.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[test]
fn commands_are_found_wherever_they_stand() {
    let page = "Text `barge gc --dry-run` and `other x` and `barge`.\n\n    export X=y\n    barge ls dist\n    barge ls no # (exit code 3)\n\n| theirs | ours | what \
                |\n|---|---|---|\n| `docker x` | `barge a b`<br>`echo p \\| barge c` (exit code 5) | `barge d e` |\n| `y` | not in \
                barge: by hand | |\n";
    let found = commands(page).unwrap();
    let told: Vec<(usize, &str, i32)> = found.iter().map(|it| (it.line, it.text.as_str(), it.exits)).collect();
    let all = [
        (1, "barge gc --dry-run", 0),
        (4, "barge ls dist", 0),
        (5, "barge ls no", 3),
        (9, "barge a b", 0),
        (9, "echo p | barge c", 5),
        (9, "barge d e", 0),
    ];
    assert_eq!(told, all);
    assert_eq!(programs(&found), ["echo"]);
}

#[test]
fn a_row_without_a_command_has_to_say_so() {
    for (row, said) in [
        ("| x | | |", "3: neither a command"),
        ("| x | see there | |", "3: neither a command"),
        ("| x | `skopeo copy a b` | |", "3: skopeo copy a b is no command"),
        ("| x | `barge ls dist |", "3: 2 cells instead of three"),
        ("| x | `barge ls dist | |", "3: code that does not end"),
        ("| x | `barge ls a | barge ls b` | |", "3: 4 cells instead of three"),
    ] {
        let wrong = commands(&format!("| a | b | c |\n|---|---|---|\n{row}\n")).unwrap_err();
        assert!(wrong.starts_with(said), "{row}: {wrong}");
    }
}
