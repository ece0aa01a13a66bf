//! docs/reference.md: every command, option and exit code, made of what `--help` shows.

use std::path::Path;

use clap::builder::PossibleValue;

use super::tests::commands;
use super::*;

/// Set it to write the page instead of comparing it: `make reference`.
const UPDATE: &str = "BARGE_UPDATE_REFERENCE";

const REGISTRY: &str = "Registry options";

#[test]
fn the_page_is_what_help_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md");
    let page = page();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, page).unwrap();
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap();
    let differs = there.lines().zip(page.lines()).enumerate().find(|(_, (there, made))| there != made);
    assert!(there == page, "docs/reference.md is not what --help says (`make reference` writes it): {differs:#?}");
}

fn page() -> String {
    let tree = Cli::command();
    let mut page = String::from(
        "# Reference\n\nEvery command with its options, as `barge COMMAND --help` shows them. Made by `make reference`: \
         do not edit.\n\n",
    );
    for (group, commands) in GROUPS {
        let link = |(name, _): &(&str, &str)| match *name {
            "help" => "`help`".to_owned(),
            name => format!("[`{name}`](#barge-{name})"),
        };
        page.push_str(&format!("- {group}: {}\n", commands.iter().map(link).collect::<Vec<_>>().join(" · ")));
    }
    page.push_str("- for all: [global options](#global-options) · [registry options](#registry-options) · ");
    page.push_str("[exit codes](#exit-codes)\n");
    page.push_str(&format!("\n{}\n", prose(REFERENCES)));
    section(&mut page, "Global options", "Every command takes them.", &with_heading(&tree, GLOBAL));
    let merge = tree.find_subcommand("merge").unwrap();
    section(
        &mut page,
        "Registry options",
        "Every command that may reach a registry takes them.",
        &with_heading(merge, REGISTRY),
    );
    page.push_str("\n## Exit codes\n\n| code | class | meaning |\n|---|---|---|\n| 0 | | Done. |\n");
    for class in Class::ALL {
        page.push_str(&format!("| {} | {class} | {} |\n", class.exit_code(), class.meaning()));
    }
    for (group, names) in GROUPS {
        page.push_str(&format!("\n## To {group}\n"));
        for (name, _) in names {
            let mark = format!("barge {name}");
            let below = |words: &str| words == mark || words.starts_with(&format!("{mark} "));
            for (words, command) in commands().iter().filter(|(words, _)| below(words)) {
                describe(&mut page, words, command);
            }
        }
    }
    page
}

fn with_heading<'a>(command: &'a Command, heading: &str) -> Vec<&'a Arg> {
    command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_help_heading() == Some(heading)).collect()
}

fn section(page: &mut String, title: &str, text: &str, args: &[&Arg]) {
    page.push_str(&format!("\n## {title}\n\n{text}\n\n"));
    args.iter().for_each(|arg| page.push_str(&option(arg)));
}

fn describe(page: &mut String, words: &str, command: &Command) {
    page.push_str(&format!("\n### {words}\n\n"));
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    page.push_str(&format!("{}\n", prose(&about)));
    let usage = usage(words);
    page.push_str(&format!("\n    {}\n", usage.trim_start_matches("Usage: ").replace('\n', "\n    ")));
    let aliases: Vec<String> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        page.push_str(&format!("\nAlso called {}.\n", aliases.join(", ")));
    }
    let own = |arg: &&Arg| !arg.is_hide_set() && arg.get_help_heading().is_none();
    let args: Vec<String> = command.get_arguments().filter(own).map(option).collect();
    if !args.is_empty() {
        page.push_str(&format!("\n{}", args.concat()));
    }
    let mut more: Vec<&str> = command.get_arguments().filter_map(Arg::get_help_heading).collect();
    more.dedup();
    for heading in more.into_iter().filter(|heading| *heading != REGISTRY) {
        page.push_str(&format!("\n{heading}:\n\n"));
        with_heading(command, heading).into_iter().for_each(|arg| page.push_str(&option(arg)));
    }
    if !with_heading(command, REGISTRY).is_empty() {
        page.push_str("\nAnd the [registry options](#registry-options).\n");
    }
    let examples = super::examples(command);
    if !examples.is_empty() {
        page.push_str(&format!("\n```sh\n{}\n```\n", examples.join("\n")));
    }
}

/// Returns how a command is called, as the whole tree says it.
fn usage(words: &str) -> String {
    let mut tree = Cli::command();
    tree.build();
    let below = |command, word| Command::find_subcommand_mut(command, word).unwrap();
    words.split(' ').skip(1).fold(&mut tree, below).render_usage().to_string()
}

/// Returns a list entry for an option or an argument.
fn option(arg: &Arg) -> String {
    let value = arg.get_value_names().filter(|_| arg.get_action().takes_values() || arg.is_positional());
    let value = value.map(|names| names.join(" "));
    let name = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => String::new(),
    };
    let optional = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
    let spelled = match value {
        Some(value) if name.is_empty() => value,
        Some(value) if optional => format!("{name}[={value}]"),
        Some(value) => format!("{name} {value}"),
        None => name,
    };
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut entry = format!("- `{spelled}`: {}", prose(&help).replace('\n', "\n  "));
    let takes = arg.get_action().takes_values();
    let values: Vec<PossibleValue> =
        if takes { arg.get_possible_values().into_iter().filter(|it| !it.is_hide_set()).collect() } else { Vec::new() };
    if !values.is_empty() {
        let shown = |value: &PossibleValue| match value.get_help() {
            Some(help) => format!("`{}` ({help})", value.get_name()),
            None => format!("`{}`", value.get_name()),
        };
        entry.push_str(&format!("; one of {}", values.iter().map(shown).collect::<Vec<_>>().join(", ")));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if takes && !defaults.is_empty() && !arg.is_hide_default_value_set() {
        entry.push_str(&format!(" [default: {}]", defaults.join(", ")));
    }
    entry.push('\n');
    entry
}

/// Returns text in which Markdown finds no marks but those of code: what is in capitals or brackets stays as it is.
fn prose(text: &str) -> String {
    let mut inside = false;
    let mut made = String::new();
    for character in text.chars() {
        inside ^= character == '`';
        if !inside && matches!(character, '<' | '*' | '_' | '[' | ']') {
            made.push('\\');
        }
        made.push(character);
    }
    made
}
