//! `barge man`: the manual pages, made of what `--help` shows.

use std::io;
use std::path::PathBuf;

use barge::error::Class;
use barge::ops::Error;
use barge::store::StoreError;
use barge::text::{escaped, nearest, quoted};
use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use serde_json::json;

use super::super::report::Report;
use super::super::write::count;
use super::super::{Cli, Session};
use super::{EXAMPLES, GLOBAL, GROUPS, REFERENCES, examples};

/// Print the manual page of barge or of a command, or write all of them to a directory.
///
/// The pages are for man(1): barge(1) and one for each command, such as barge-merge(1) and barge-manifest-add(1).
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge man merge | man -l -
  barge man -o /usr/local/share/man/man1   # barge.1, barge-merge.1 ...")]
pub(crate) struct ManArgs {
    /// Write every page to this directory, which is made when it is not there
    #[arg(short, long, value_name = "DIR", conflicts_with = "command")]
    output: Option<PathBuf>,
    /// The command [default: barge itself]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) fn run(args: &ManArgs, session: &Session<'_>) -> Result<Report, Error> {
    let Some(directory) = &args.output else {
        let (_, page) = one(&args.command)?;
        let text = String::from_utf8_lossy(&page).into_owned();
        return Ok(Report { text: page, results: vec![json!({"page": text})], ..Report::default() });
    };
    let mut report = Report::default();
    let pages = pages().map_err(StoreError::io("make", "the manual pages"))?;
    if !session.global.dry_run {
        std::fs::create_dir_all(directory).map_err(StoreError::io("make", directory))?;
    }
    for (name, page) in &pages {
        let path = directory.join(name);
        if !session.global.dry_run {
            std::fs::write(&path, page).map_err(StoreError::io("write", &path))?;
        }
        let shown = path.to_string_lossy();
        report.text.extend(format!("{}\n", escaped(&shown)).into_bytes());
        report.results.push(json!({"file": shown, "dryRun": session.global.dry_run}));
    }
    let would = if session.global.dry_run { "would write" } else { "wrote" };
    session.ui.say(&format!("{would} {}", count(pages.len() as u64, "manual page")));
    Ok(report)
}

/// Returns the whole tree of commands, named as their pages are: `barge-manifest-add`.
fn tree() -> Command {
    let mut tree = Cli::command().disable_help_subcommand(true);
    tree.build();
    tree
}

/// Returns the page of one command, and the name of its file.
fn one(words: &[String]) -> Result<(String, Vec<u8>), Error> {
    let mut command = &tree();
    for word in words {
        let below = || command.get_subcommands().filter(|below| !below.is_hide_set());
        command = match command.find_subcommand(word).filter(|found| !found.is_hide_set()) {
            Some(found) => found,
            None => {
                let near = nearest(word, below().map(Command::get_name));
                return Err(Error::Usage {
                    message: format!("cannot find a manual page: there is no command {}", quoted(word)),
                    hint: Some(near.map_or_else(
                        || "`barge --help` lists all commands".to_owned(),
                        |near| format!("did you mean {near} ?"),
                    )),
                });
            }
        };
    }
    Ok(page(command).map_err(StoreError::io("make", "the manual page"))?)
}

/// Returns every page, with the name of its file.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let tree = tree();
    let mut commands = vec![&tree];
    let mut pages = Vec::new();
    while let Some(command) = commands.pop() {
        pages.push(page(command)?);
        commands.extend(command.get_subcommands().filter(|below| !below.is_hide_set()));
    }
    pages.sort();
    Ok(pages)
}

/// Returns the page of a command, and the name of its file.
fn page(command: &Command) -> io::Result<(String, Vec<u8>)> {
    let is_whole = command.get_name() == "barge";
    let name = command.get_display_name().unwrap_or("barge").to_owned();
    let source = format!("barge {}", env!("CARGO_PKG_VERSION"));
    let usage = command.clone().render_usage().to_string();
    // what every command has stands in one place
    let shown =
        command.clone().override_usage(usage.trim_start_matches("Usage: ").to_owned()).mut_args(|arg| {
            match arg.get_help_heading() {
                Some(GLOBAL) if !is_whole => arg.hide(true),
                _ => arg,
            }
        });
    // the date is left empty, for the same program makes the same pages
    let mut text = format!(".TH \"{}\" 1 \"\" \"{source}\" \"barge manual\"\n", name.to_uppercase()).into_bytes();
    let man = Man::new(shown);
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    let mut roff = Roff::new();
    if is_whole {
        roff.control("PP", []);
        roff.text([roman(REFERENCES)]);
        commands(&mut roff, command);
        roff.to_writer(&mut text)?;
        man.render_options_section(&mut text)?;
        roff = Roff::new();
        roff.control("SH", ["EXIT STATUS"]);
        entry(&mut roff, "0", "Done.");
        for class in Class::ALL {
            entry(&mut roff, &class.exit_code().to_string(), &class.meaning().replace('`', ""));
        }
    } else {
        let subcommands: Vec<_> = command.get_subcommands().filter(|below| !below.is_hide_set()).collect();
        if !subcommands.is_empty() {
            roff.control("SH", ["COMMANDS"]);
            subcommands.iter().for_each(|below| reference(&mut roff, below));
        }
        roff.to_writer(&mut text)?;
        man.render_options_section(&mut text)?;
        roff = Roff::new();
        roff.control("PP", []);
        roff.text([
            roman("The options of every command, references and exit codes are in "),
            bold("barge"),
            roman("(1)."),
        ]);
    }
    let lines = match is_whole {
        true => EXAMPLES.lines().skip(1).map(|line| line.trim_start().to_owned()).collect(),
        false => examples(command),
    };
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in &lines {
        roff.text([roman(line.as_str())]);
    }
    roff.control("fi", []);
    if !is_whole {
        roff.control("SH", ["SEE ALSO"]);
        roff.text([bold("barge"), roman("(1)")]);
    }
    roff.to_writer(&mut text)?;
    Ok((format!("{name}.1"), text))
}

/// Lists all commands by what they are for.
fn commands(roff: &mut Roff, tree: &Command) {
    roff.control("SH", ["COMMANDS"]);
    for (group, commands) in GROUPS {
        roff.control("SS", [group]);
        for (name, _) in commands {
            match tree.find_subcommand(name) {
                Some(command) => reference(roff, command),
                None => entry(roff, name, "Print the help of a command."),
            }
        }
    }
}

/// Refers to the page of a command.
fn reference(roff: &mut Roff, command: &Command) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    roff.control("TP", []);
    roff.text([bold(command.get_display_name().unwrap_or_default()), roman("(1)")]);
    roff.text([roman(about)]);
}

fn entry(roff: &mut Roff, term: &str, text: &str) {
    roff.control("TP", []);
    roff.text([bold(term)]);
    roff.text([roman(text)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["barge.1", "barge-merge.1", "barge-manifest-add.1", "barge-key-generate.1", "barge-man.1"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(!names.iter().any(|name| name.contains("__")), "{names:?}");
        for (name, page) in &pages {
            let page = String::from_utf8(page.clone()).unwrap();
            for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES"] {
                assert!(page.contains(&format!(".SH {section}\n")), "{name} has no {section}:\n{page}");
            }
        }
    }
}
