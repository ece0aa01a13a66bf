//! `barge completions`, and what the scripts that it prints ask for at every press of the key: `barge __complete`.
//!
//! clap_complete's engine says which commands, options and values may come; [`places`] adds files and images. The scripts are
//! our own, for names come from images: bash and PowerShell are given words that are quoted already ([`line`], [`powershell`]), zsh,
//! fish and elvish quote by themselves.

mod line;
mod places;
mod powershell;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use barge::ops::Error;
use barge::text::{escaped, is_unsafe};
use clap::{Arg, Args, Command, CommandFactory as _, ValueEnum, ValueHint};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, complete};
use serde_json::json;

use self::line::Line;
use self::places::{OPEN, Places, at_home, platforms};
use super::report::{Report, write_out};
use super::{Cli, Session};

/// How long an answer may take: nobody waits longer for a word.
const LONGEST: Duration = Duration::from_secs(2);
/// How many words are offered.
const MOST: usize = 5000;

/// Print a script that makes a shell complete commands, options, values, files, and names of images.
///
/// The names are those of the current layout (-L DIR, $BARGE_LAYOUT), and behind `PLACE:` those of that place. No connection is
/// opened for them.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  barge completions bash > ~/.local/share/bash-completion/completions/barge
  barge completions zsh > ~/.zsh/_barge   # a directory that stands in $fpath
  barge completions fish > ~/.config/fish/completions/barge.fish
  barge completions powershell | Out-String | Invoke-Expression   # in $PROFILE
  source <(barge completions bash)")]
pub(crate) struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: ShellArg,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum ShellArg {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Powershell,
}

pub(crate) fn run(args: &CompletionsArgs, _: &Session<'_>) -> Result<Report, Error> {
    let (name, script) = match args.shell {
        ShellArg::Bash => ("bash", include_str!("barge.bash")),
        ShellArg::Zsh => ("zsh", include_str!("barge.zsh")),
        ShellArg::Fish => ("fish", include_str!("barge.fish")),
        ShellArg::Elvish => ("elvish", include_str!("barge.elv")),
        ShellArg::Powershell => ("powershell", include_str!("barge.ps1")),
    };
    let results = vec![json!({"shell": name, "script": script})];
    Ok(Report { text: script.as_bytes().to_vec(), results, ..Report::default() })
}

/// What a script asks.
#[derive(Args, Clone, Debug)]
pub(crate) struct CompleteArgs {
    /// Who asks
    #[arg(value_enum, value_name = "SHELL")]
    shell: ShellArg,
    /// From bash the line up to the cursor, and `COMP_WORDBREAKS`; from PowerShell the words up to the cursor in one; else these
    /// words
    #[arg(value_name = "WORD", allow_hyphen_values = true, trailing_var_arg = true)]
    words: Vec<OsString>,
}

/// Prints what may come next. Whatever is wrong, nothing is said, and it ends soon.
pub(crate) fn answer(args: &CompleteArgs) -> ExitCode {
    let args = args.clone();
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(answered(&args)));
    if let Ok(Some(answer)) = receive.recv_timeout(LONGEST) {
        let _ = write_out(answer.as_bytes());
    }
    ExitCode::SUCCESS
}

/// Returns what may come next, as the shell reads it.
fn answered(args: &CompleteArgs) -> Option<String> {
    match args.shell {
        ShellArg::Bash => {
            let mut words = args.words.iter().map(|word| word.to_string_lossy());
            let (text, breaks) = (words.next()?, words.next().unwrap_or_default());
            let line = Line::parse(&text, &breaks)?;
            let words = line.words.iter().map(OsString::from).collect();
            let found = candidates(words).into_iter();
            let answer = found.filter_map(|found| line.replacement(&found.word, found.is_whole));
            Some(answer.map(|word| format!("{word}\n")).collect())
        }
        ShellArg::Zsh | ShellArg::Elvish => Some(candidates(args.words.clone()).iter().map(in_two_fields).collect()),
        ShellArg::Fish => Some(candidates(args.words.clone()).iter().filter_map(for_fish).collect()),
        ShellArg::Powershell => {
            let found = candidates(powershell::words(args.words.first()?)?).into_iter();
            Some(found.filter_map(|found| powershell::candidate(&found.word, found.help.as_deref())).collect())
        }
    }
}

/// Returns whether a space follows, and the word; then what zsh and elvish show.
fn in_two_fields(found: &Found) -> String {
    let mark = if found.is_whole { '+' } else { '-' };
    let shown = match &found.help {
        Some(help) => format!("{:<24} -- {help}", escaped(&found.word)),
        None => escaped(&found.word),
    };
    format!("{mark}{}\0{shown}\0", found.word)
}

/// fish ends a word at a tab, and shows the rest as what it means.
fn for_fish(found: &Found) -> Option<String> {
    let is_shown = |character: char| character == '\n' || !is_unsafe(character);
    let help = found.help.as_deref().unwrap_or_default();
    found.word.chars().all(is_shown).then(|| format!("{}\t{help}\0", found.word))
}

/// A word that may stand there.
#[derive(Debug)]
struct Found {
    word: String,
    /// Whether a space follows.
    is_whole: bool,
    help: Option<String>,
}

/// Returns what the last of these words may be.
fn candidates(words: Vec<OsString>) -> Vec<Found> {
    let Some((typed, before)) = words.split_last() else { return Vec::new() };
    let (typed, at) = (typed.to_string_lossy().into_owned(), before.len());
    let mut command = asked(Cli::command(), &Places { layout: layout(before) });
    let found = complete(&mut command, words, at, None).unwrap_or_default();
    let mut found: Vec<Found> = found.iter().filter_map(|candidate| as_found(candidate, &typed)).collect();
    if typed.is_empty() && found.iter().any(|found| !found.word.starts_with('-')) {
        // options are offered to who begins to write one
        found.retain(|found| !found.word.starts_with('-'));
    }
    found.truncate(MOST);
    found
}

fn as_found(candidate: &CompletionCandidate, typed: &str) -> Option<Found> {
    if candidate.get_id().is_some_and(|id| id.starts_with("command::__")) {
        return None; // nobody types it
    }
    // of several names of a command its own is offered, where it is one of them
    let command = candidate.get_id().and_then(|id| id.strip_prefix("command::")).filter(|own| own.starts_with(typed));
    let word = command.or(candidate.get_value().to_str()).filter(|word| word.starts_with(typed))?.to_owned();
    let is_open = word.ends_with(['/', '=', ':']) || candidate.get_tag().is_some_and(|tag| tag.to_string() == OPEN);
    let help = candidate.get_help().map(ToString::to_string);
    let help = help.as_deref().and_then(|help| help.lines().next()).map(escaped);
    Some(Found { word, is_whole: !is_open, help })
}

/// Returns the current layout that the words before say, or the environment.
fn layout(words: &[OsString]) -> Option<PathBuf> {
    // what is still missing there is no fault yet
    let said = Cli::command().ignore_errors(true).try_get_matches_from(words).ok();
    let said = said.and_then(|matches| matches.try_get_one::<PathBuf>("layout").ok().flatten().cloned());
    let said = said.map(|path| path.to_str().map_or_else(|| path.clone(), at_home));
    super::current_layout(said.as_deref(), std::env::var_os("BARGE_LAYOUT"))
}

/// Says of every argument what it may be; by the name of its value, for that is what tells it to people.
fn asked(command: Command, places: &Places) -> Command {
    let name = command.get_name().to_owned();
    command.mut_args(|arg| with_values(arg, &name, places)).mut_subcommands(|command| asked(command, places))
}

/// What the value of an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Values {
    /// A place, or an image in it.
    References,
    /// A name in the current layout.
    Names,
    /// An image in a list.
    Entries,
    Platforms,
    /// Files and directories.
    Paths,
    Directories,
    /// What clap knows: the values of an option, or what its type says.
    Own,
    /// What cannot be guessed.
    Free,
}

/// Returns what the value of an argument may be; nothing for a name that nobody has thought of.
fn values(command: &str, id: &str, name: &str) -> Option<Values> {
    Some(match (command, id, name) {
        // these mean a registry, which is not asked
        ("push", _, "DEST") | ("pull", _, "REF") => Values::Free,
        (_, "platform", _) | (_, _, "PLATFORM") => Values::Platforms,
        (_, "os_features", _) => Values::Free,
        (_, _, "PLACE|REF" | "REF" | "SRC" | "PLACE" | "DEST" | "A" | "B" | "IMAGE" | "RECEIPT|BUNDLE|PLACE") => {
            Values::References
        }
        (_, _, "NAME" | "NEW") => Values::Names,
        (_, _, "ENTRY") => Values::Entries,
        (_, _, "FILE" | "LIST" | "KEY" | "PATH" | "PREFIX" | "CONTEXT" | "SRC:DST") => Values::Paths,
        (_, _, "DIR") => Values::Directories,
        (_, _, "HOW" | "WHAT" | "TYPE" | "BOOL" | "KIND" | "FORM" | "WHOSE" | "WHICH" | "LOADER" | "SHELL") => {
            Values::Own
        }
        (_, _, "manifest|config|layer|blob" | "all|none|TYPE,...") => Values::Own,
        (_, _, "KEY=VALUE" | "NAME=VALUE" | "NAME[=VALUE]" | "OLD=NEW" | "FROM=TO" | "N" | "N|TITLE" | "SIZE") => {
            Values::Free
        }
        (_, _, "SECONDS" | "TIME" | "MOMENT" | "USER" | "USER:PASSWORD" | "HOST" | "COMMAND" | "ADDR" | "PORT") => {
            Values::Free
        }
        (_, _, "VERSION" | "VARIANT" | "STAGE" | "SIGNAL" | "OS" | "ARCH" | "WORD") => Values::Free,
        _ => return None,
    })
}

fn with_values(arg: Arg, command: &str, places: &Places) -> Arg {
    let name = arg.get_value_names().and_then(<[_]>::first).map(ToString::to_string).unwrap_or_default();
    let places = places.clone();
    match values(command, arg.get_id().as_str(), &name).unwrap_or(Values::Own) {
        Values::References => arg.add(ArgValueCompleter::new(move |typed: &OsStr| places.references(typed))),
        Values::Names => arg.add(ArgValueCompleter::new(move |typed: &OsStr| places.names(typed))),
        Values::Entries => arg.add(ArgValueCompleter::new(move |typed: &OsStr| places.entries(typed))),
        Values::Platforms => arg.add(ArgValueCompleter::new(platforms)),
        Values::Paths => arg.add(ArgValueCompleter::new(PathCompleter::any())),
        Values::Directories => arg.add(ArgValueCompleter::new(places::directories)),
        Values::Own => arg,
        Values::Free => arg.value_hint(ValueHint::Other),
    }
}
