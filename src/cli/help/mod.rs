//! What `--help` shows: every command on one page, and below each command's own options two lines for those of every command.
//!
//! The texts of commands and options stand beside what they describe, as doc comments. The man pages ([`man`]) and
//! docs/reference.md are made of the same.

mod advice;
pub(crate) mod man;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use barge::error::Class;
use clap::builder::StyledStr;
use clap::builder::styling::Style;
use clap::{Arg, Command, CommandFactory as _};

use super::Cli;
use super::terminal::folded;
pub(crate) use advice::advised;

/// The heading of the options of every command.
pub(crate) const GLOBAL: &str = "Global options";

/// The commands by what they are for, each with what it takes or makes.
const GROUPS: [(&str, &[(&str, &str)]); 6] = [
    (
        "make",
        &[
            ("build", "images from files"),
            ("merge", "one image of several"),
            ("edit", "settings, files, base"),
            ("convert", "types and compression"),
            ("manifest", "lists of images"),
        ],
    ),
    (
        "look",
        &[
            ("ls", "images of a place"),
            ("inspect", "index, manifest, config"),
            ("tree", "how pieces are linked"),
            ("diff", "how two images differ"),
            ("verify", "every byte checked"),
            ("check", "which loaders take it"),
            ("report", "a page for a browser"),
            ("cat", "exact bytes of a piece"),
        ],
    ),
    (
        "move",
        &[
            ("copy", "from place to place"),
            ("save", "into one archive"),
            ("load", "archives into a layout"),
            ("push", "to registries"),
            ("pull", "from registries"),
            ("sync", "as barge.yaml says"),
            ("lock", "digests for sync"),
            ("receipt", "what is there already"),
            ("login", "to a registry"),
            ("logout", "of a registry"),
        ],
    ),
    (
        "keep",
        &[
            ("tag", "further names"),
            ("rm", "images or platforms"),
            ("gc", "unreferenced blobs"),
            ("unpack", "the file system"),
            ("attach", "an SBOM, a licence"),
            ("referrers", "what is attached"),
            ("sign", "with a private key"),
            ("key", "make keys"),
        ],
    ),
    ("serve", &[("serve", "a read-only registry")]),
    (
        "help",
        &[
            ("help", "all about a command"),
            ("man", "manual pages"),
            ("completions", "for your shell"),
            ("version", "of barge"),
        ],
    ),
];

/// The options of every command, two in a row.
const OPTIONS: [(&str, &str); 10] = [
    ("-L, --layout DIR", "current layout"),
    ("    --jobs N", "pieces at once"),
    ("-q, --quiet", "results and errors"),
    ("    --dry-run", "write nothing"),
    ("-v, --verbose", "tell of every piece"),
    ("    --no-network", "open no connection"),
    ("    --json", "one JSON object"),
    ("    --tmpdir DIR", "temporary files"),
    ("    --progress HOW", "bars, lines, none"),
    ("    --part-dir DIR", "parts of archives"),
];

const ABOUT: &str = "Build, merge, verify, carry and publish multi-arch images, without a daemon.";

const REFERENCES: &str = "\
A reference is a place and an image in it: DIR:NAME, FILE.tar, FILE.tar@DIGEST,
oci:DIR:NAME, oci-archive:FILE:NAME, docker-archive:FILE, :NAME (in the current
layout), docker://HOST/REPOSITORY:TAG, or - (standard input).";

/// What the manual shows of the whole.
pub(crate) const EXAMPLES: &str = "\
Examples:
  barge merge -o app.tar -t ghcr.io/org/app:v1 amd64.tar arm64.tar && barge verify app.tar
  barge push app.tar registry.example:5000";

/// Returns the commands and options as the terminal shows them.
pub(crate) fn for_terminal() -> Command {
    let is_global = |arg: &Arg| arg.get_help_heading() == Some(GLOBAL);
    let below = format!("{GLOBAL}:\n{}", options());
    Cli::command()
        .override_help(overview())
        .mut_args(|arg| if is_global(&arg) { arg.hide(true) } else { arg })
        .mut_subcommands(|command| with_below(command, &below))
}

/// Puts a text before the examples of a command, and of those below it.
fn with_below(command: Command, below: &str) -> Command {
    let after = match command.get_after_help() {
        Some(examples) => format!("{below}\n\n{examples}"),
        None => below.to_owned(),
    };
    command.disable_help_subcommand(true).after_help(after).mut_subcommands(|command| with_below(command, below))
}

/// Returns the page of all commands: what fits a terminal of 80 columns and not many lines.
fn overview() -> StyledStr {
    let bold = Style::new().bold();
    let mut page = format!("{ABOUT}\n\n{bold}Usage:{bold:#} barge [OPTIONS] COMMAND\n\n");
    for (group, commands) in GROUPS {
        for (row, pair) in commands.chunks(2).enumerate() {
            let cell = |(name, what): &(&str, &str)| format!("{bold}{name:<12}{bold:#}{what:<24}");
            let cells: String = pair.iter().map(cell).collect();
            let label = if row == 0 { group } else { "" };
            page.push_str(format!("{label:<8}{cells}").trim_end());
            page.push('\n');
        }
    }
    let codes = Class::ALL.map(|class| format!("{} {class}", class.exit_code())).join(", ");
    page.push_str(&format!("\n{}\n\n{REFERENCES}\n\n", options()));
    page.push_str(&folded(&format!("Exit codes: 0 done, {codes}."), 0, 80));
    page.push_str("\nMore: `barge help COMMAND`, `barge man`, docs/reference.md.");
    page.into()
}

/// Returns the options of every command, as rows.
fn options() -> String {
    let row = |pair: &[(&str, &str)]| {
        let cells: String = pair.iter().map(|(option, what)| format!("  {option:<19}{what:<20}")).collect();
        cells.trim_end().to_owned()
    };
    OPTIONS.chunks(2).map(row).collect::<Vec<_>>().join("\n")
}

/// Returns the examples of a command, a line each.
pub(crate) fn examples(command: &Command) -> Vec<String> {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (_, examples) = text.split_once("Examples:\n").unwrap_or_default();
    examples.lines().map(|line| line.trim_start().to_owned()).collect()
}
