//! The system calls of a run, as `strace` writes them: for each thread a file, so that no call stands on two lines.

use std::fs;
use std::process::Command;

use super::environment::{Barge, available};

/// One call that was answered.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// Between the parentheses.
    pub(crate) arguments: String,
    /// What stands behind the equals sign.
    pub(crate) answer: String,
}

impl Call {
    fn of(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once('(')?;
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let (arguments, answer) = rest.rsplit_once(" = ").filter(|_| is_name)?;
        let arguments = arguments.trim_end().strip_suffix(')')?;
        Some(Self { name: name.to_owned(), arguments: arguments.to_owned(), answer: answer.to_owned() })
    }

    /// Returns the number that it was answered with; 0 for a failure.
    pub(crate) fn count(&self) -> u64 {
        let digits: String = self.answer.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    }

    /// Returns the paths of the open files that it was given.
    pub(crate) fn handles(&self) -> Vec<&str> {
        handles(&self.arguments)
    }

    /// Returns the path of the file that it opened.
    pub(crate) fn opened(&self) -> Option<&str> {
        let opens = self.name.starts_with("open") || self.name == "creat";
        handles(&self.answer).first().copied().filter(|_| opens)
    }

    /// Returns whether it opened a file that was to be made when it was not there.
    pub(crate) fn makes(&self) -> bool {
        let flags = ["O_CREAT", "O_TMPFILE"];
        self.name == "creat" || self.opened().is_some() && flags.iter().any(|flag| self.arguments.contains(flag))
    }
}

/// `4</path/of/it>, "", 100` names one.
fn handles(text: &str) -> Vec<&str> {
    let parts = text.split('<').skip(1);
    parts.filter_map(|part| part.split_once('>')).map(|(path, _)| path).collect()
}

/// Returns whether processes can be traced here; in CI they have to be.
pub(crate) fn strace() -> bool {
    let works = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    available("strace", works.is_ok_and(|run| run.status.success()))
}

/// Runs a command line, and returns the calls of all of its threads; those of one thread stand in their order. `how` are more
/// words for `strace`.
#[track_caller]
pub(crate) fn traced(barge: &Barge, how: &[&str], line: &str) -> Vec<Vec<Call>> {
    let logs = barge.path("../calls");
    fs::create_dir(&logs).unwrap();
    let mut command = barge.around("strace");
    command.args(["-ff", "-qq", "-y", "-s", "0", "-esignal=none", "-o"]).arg(logs.join("of")).args(how);
    command.arg(env!("CARGO_BIN_EXE_barge")).args(line.split_whitespace());
    // whoever asks for a temporary directory fails
    command.env("TMPDIR", "/nonexistent");
    let _ = barge.finish(&mut command).exits(0);
    let mut names: Vec<_> = fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let calls = |text: String| text.lines().filter_map(Call::of).collect::<Vec<_>>();
    let threads: Vec<_> = names.iter().map(|name| calls(fs::read_to_string(name).unwrap())).collect();
    assert!(threads.iter().map(Vec::len).sum::<usize>() > 20, "{line}: {threads:?}");
    fs::remove_dir_all(&logs).unwrap();
    threads
}
