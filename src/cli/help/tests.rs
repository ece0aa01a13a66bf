//! What `--help` promises: every command once, and examples that can be typed.

use clap::Parser as _;

use super::*;

/// Returns every command that people see, with the words that it is called by.
pub(super) fn commands() -> Vec<(String, Command)> {
    let mut found = Vec::new();
    let mut waiting = vec![("barge".to_owned(), Cli::command())];
    while let Some((words, command)) = waiting.pop() {
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            waiting.push((format!("{words} {}", below.get_name()), below.clone()));
        }
        found.push((words, command));
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

#[test]
fn the_page_of_all_commands_fits_a_screen() {
    let page = overview().to_string();
    assert!(page.lines().count() <= 40, "{} lines:\n{page}", page.lines().count());
    let wide: Vec<&str> = page.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "{wide:#?}");
}

#[test]
fn every_command_stands_on_the_page_once() {
    let mut listed: Vec<&str> =
        GROUPS.iter().flat_map(|(_, commands)| commands.iter().map(|(name, _)| *name)).collect();
    let tree = Cli::command();
    let mut there: Vec<&str> = tree.get_subcommands().filter(|it| !it.is_hide_set()).map(Command::get_name).collect();
    there.push("help"); // clap's own
    listed.sort_unstable();
    there.sort_unstable();
    assert_eq!(listed, there);
    for (name, what) in GROUPS.iter().flat_map(|(_, commands)| *commands) {
        assert!(name.len() < 12 && what.len() <= 24, "{name}: {what}");
    }
}

#[test]
fn every_global_option_stands_below_each_command() {
    let tree = Cli::command();
    let global = tree.get_arguments().filter(|arg| arg.get_help_heading() == Some(GLOBAL));
    let mut spelled: Vec<String> = global
        .map(|arg| {
            let short = arg.get_short().map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
            let takes = arg.get_action().takes_values();
            let value = arg.get_value_names().filter(|_| takes).map(|names| format!(" {}", names[0]));
            format!("{short}--{}{}", arg.get_long().unwrap(), value.unwrap_or_default())
        })
        .collect();
    let mut shown: Vec<&str> = OPTIONS.iter().map(|(option, _)| *option).collect();
    spelled.sort();
    shown.sort_unstable();
    assert_eq!(shown, spelled);
    let mut command = for_terminal();
    command.build();
    let merge = command.find_subcommand_mut("merge").unwrap();
    for help in [merge.render_help(), merge.render_long_help()] {
        let help = help.to_string();
        assert_eq!(help.matches("--no-network").count(), 1, "{help}");
        let (_, end) = help.split_once("\nGlobal options:\n").unwrap();
        assert!(end.contains("\n\nExamples:\n  barge merge"), "{help}");
    }
}

/// Returns the command lines of barge in a line of a shell, each as words.
fn lines_of_barge(line: &str) -> Vec<Vec<String>> {
    // what the shell takes for itself stands apart in every example
    let words = shlex::split(line).unwrap_or_else(|| panic!("a quotation mark is open: {line}"));
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut inside = false;
    for word in words {
        match word.as_str() {
            "|" | "||" | "&&" | ">" | "<" => inside = false,
            "barge" => {
                found.push(vec![word]);
                inside = true;
            }
            _ if inside => found.last_mut().unwrap().push(word.trim_end_matches(')').to_owned()),
            _ if word.ends_with("(barge") => {
                found.push(vec!["barge".to_owned()]);
                inside = true;
            }
            _ => {}
        }
    }
    found
}

#[test]
fn every_command_has_two_examples_that_can_be_typed() {
    let mut faults = Vec::new();
    for (words, command) in commands() {
        let examples = match words.as_str() {
            "barge" => EXAMPLES.lines().skip(1).map(|line| line.trim_start().to_owned()).collect(),
            _ => super::examples(&command),
        };
        let of_it = |line: &Vec<String>| words.split(' ').all(|word| line.iter().any(|other| other == word));
        let own = examples.iter().filter(|example| lines_of_barge(example).iter().any(of_it));
        if own.count() < 2 {
            faults.push(format!("{words}: two examples of it are wanted"));
        }
        for example in &examples {
            let lines = lines_of_barge(example);
            for line in lines {
                if let Err(error) = Cli::try_parse_from(&line) {
                    faults.push(format!("{words}: {example}: {error}"));
                }
            }
            if example.contains("   ") && !example.contains("   # ") {
                faults.push(format!("{words}: what is said of an example begins with three spaces and #: {example}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_line_is_read_as_a_shell_reads_it() {
    let lines = lines_of_barge("ssh x 'a b' | barge load -o dist && source <(barge completions bash)   # barge so");
    assert_eq!(lines, [vec!["barge", "load", "-o", "dist"], vec!["barge", "completions", "bash"]]);
    assert!(Cli::try_parse_from(["barge", "lsx"]).is_err());
}
