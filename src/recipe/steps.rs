//! Steps: one instruction of a stage filled in, with what the lines above it left.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::evaluate::Inside;
use super::expand::{self, Budget, Expanded, Syntax};
use super::fault::{Fault, Warning};
use super::ignore::Ignore;
use super::instruction::{Action, Command, Healthcheck, Instruction, Sources};
use super::plan::{Change, Copy, From, Step, Work};
use super::variables::Variables;
use super::{Dialect, Recipe, path, ports};
use crate::text::{escaped, quoted};

/// What every cluster image of sealer has at its root: in a Kubefile these are directories, whatever is copied there and
/// whether the base has them or not.
const CLUSTER_DIRECTORIES: [&str; 3] = ["/bin", "/charts", "/manifests"];

/// A stage while it is worked off.
pub(super) struct Scope<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) global: &'a Variables,
    pub(super) build_args: &'a BTreeMap<&'a str, &'a str>,
    pub(super) budget: &'a Budget,
    pub(super) warnings: Vec<Warning>,
    pub(super) windows: bool,
    pub(super) inside: Inside,
    /// Whether this stage has a CMD of its own.
    pub(super) has_cmd: bool,
    pub(super) steps: Vec<Step>,
}

impl Scope<'_> {
    /// Works off one instruction; `from` is what its `--from` means.
    pub(super) fn take(&mut self, instruction: &Instruction, from: From) -> Result<(), Fault> {
        let line = instruction.line;
        let (created_by, work) = match &instruction.action {
            Action::Run => {
                return Err(Fault::unsupported("RUN needs a container, and nothing is ever run")
                    .hint("run it beforehand and COPY the result, or start FROM an image that has it"));
            }
            Action::Copy(sources) | Action::Add(sources) => {
                let copy = self.copy(&instruction.name, sources, from, line)?;
                (described_copy(&instruction.name, &copy, sources.from.as_deref()), Work::Files(copy))
            }
            Action::Arg(arguments) => (self.arguments(arguments, line)?, Work::Nothing),
            action => {
                let changes = self.changes(action, line)?;
                (described(&instruction.name, &changes), Work::Config(changes))
            }
        };
        self.budget.spend(created_by.len())?;
        self.steps.push(Step { line, created_by, work });
        Ok(())
    }

    fn expanded(&mut self, text: &str, syntax: Syntax, line: usize) -> Result<Expanded, Fault> {
        let expanded = expand::expand(text, syntax, &self.inside.variables, self.budget)?;
        for name in &expanded.unknown {
            let hint = match self.global.get(name) {
                Some(_) => format!("; ARG {} makes it known to this stage", escaped(name)),
                None => crate::text::nearest(name, self.inside.variables.names())
                    .map(|near| format!("; did you mean ${}?", escaped(near)))
                    .unwrap_or_default(),
            };
            let message = format!("${} has no value here, and is left empty{hint}", escaped(name));
            self.warnings.push(Warning { line: Some(line), message });
        }
        Ok(expanded)
    }

    const fn syntax(&self) -> Syntax {
        Syntax { escape: self.recipe.escape, quotes: true }
    }

    fn fill(&mut self, text: &str, line: usize) -> Result<String, Fault> {
        self.expanded(text, self.syntax(), line).map(|expanded| expanded.text)
    }

    /// Fills in what must not be empty.
    fn need(&mut self, what: &str, text: &str, line: usize) -> Result<String, Fault> {
        let filled = self.fill(text, line)?;
        if filled.is_empty() {
            return Err(Fault::new(format!("{} is empty once it is filled in, expected {what}", quoted(text))));
        }
        Ok(filled)
    }

    /// ARG: returns what the history says.
    fn arguments(&mut self, arguments: &[(String, Option<String>)], line: usize) -> Result<String, Fault> {
        let mut created_by = "ARG".to_owned();
        for (name, default) in arguments {
            let value = match (self.build_args.get(name.as_str()), default) {
                (Some(given), _) => Some((*given).to_owned()),
                (None, Some(default)) => Some(self.fill(default, line)?),
                (None, None) => self.global.get(name).map(str::to_owned),
            };
            created_by.push_str(&format!(" {name}"));
            if let Some(value) = value {
                self.budget.spend(value.len())?;
                created_by.push_str(&format!("={value}"));
                self.inside.variables.set_argument(name, &value);
            }
        }
        Ok(created_by)
    }

    fn pairs(&mut self, pairs: &[(String, String)], line: usize) -> Result<Vec<(String, String)>, Fault> {
        let mut filled = Vec::new();
        for (name, value) in pairs {
            filled.push((self.need("a name", name, line)?, self.fill(value, line)?));
        }
        Ok(filled)
    }

    /// Everything that changes the config alone.
    fn changes(&mut self, action: &Action, line: usize) -> Result<Vec<Change>, Fault> {
        let one = match action {
            Action::Env(pairs) => {
                let pairs = self.pairs(pairs, line)?; // all of them with the values from above this line
                for (name, value) in &pairs {
                    if name.contains('=') {
                        return Err(Fault::new(format!("{} is the name of a variable, and holds a =", quoted(name))));
                    }
                    self.inside.variables.set_environment(name, value);
                }
                return Ok(pairs.into_iter().map(|(name, value)| Change::Env { name, value }).collect());
            }
            Action::Label(pairs) => {
                let pairs = self.pairs(pairs, line)?;
                return Ok(pairs.into_iter().map(|(name, value)| Change::Label { name, value }).collect());
            }
            Action::Expose(ports) => {
                let mut words = Vec::new();
                for port in ports {
                    words.extend(self.expanded(port, self.syntax(), line)?.words);
                }
                return Ok(ports::read(&words)?.into_iter().map(Change::Expose).collect());
            }
            Action::Volume(volumes) => {
                let filled = volumes.iter().map(|volume| self.need("a path", volume.trim(), line).map(Change::Volume));
                return filled.collect();
            }
            Action::Cmd(command) => self.cmd(command),
            Action::Entrypoint(command) => {
                Change::Entrypoint { words: self.command(command), clears_cmd: !self.has_cmd }
            }
            Action::Workdir(directory) => {
                let directory = self.need("a path", directory, line)?;
                self.inside.working_dir = path::absolute(&self.inside.working_dir, &directory);
                limited(&self.inside.working_dir)?;
                Change::WorkingDir(self.inside.working_dir.clone())
            }
            Action::User(user) => Change::User(self.need("USER or USER:GROUP", user, line)?),
            Action::StopSignal(signal) => {
                let signal = self.need("a signal", signal, line)?;
                ports::check_signal(&signal)?;
                Change::StopSignal(signal)
            }
            Action::Shell(words) => {
                self.inside.shell.clone_from(words);
                Change::Shell(words.clone())
            }
            Action::Healthcheck(check) => Change::Healthcheck(healthcheck(check)),
            Action::OnBuild(text) => Change::OnBuild(text.clone()),
            Action::Maintainer(author) => Change::Author(author.clone()),
            Action::Add(_) | Action::Arg(_) | Action::Copy(_) | Action::Run => return Ok(Vec::new()),
        };
        Ok(vec![one])
    }

    /// CMD: in a Kubefile each line is a command of its own, and all are kept in order, as sealer does.
    fn cmd(&mut self, command: &Command) -> Change {
        let is_first = !std::mem::replace(&mut self.has_cmd, true);
        if self.recipe.dialect == Dialect::Containerfile {
            return Change::Cmd(self.command(command));
        }
        let words = match command {
            Command::Exec(words) => words.clone(),
            Command::Shell(text) => vec![text.clone()],
        };
        if is_first { Change::Cmd(words) } else { Change::MoreCmd(words) }
    }

    /// Returns a command as words; text is given to the shell.
    fn command(&self, command: &Command) -> Vec<String> {
        let text = match command {
            Command::Exec(words) => return words.clone(),
            Command::Shell(text) => text,
        };
        let usual: &[&str] = if self.windows { &["cmd", "/S", "/C"] } else { &["/bin/sh", "-c"] };
        let mut words = self.inside.shell.clone();
        if words.is_empty() {
            words = usual.iter().map(|word| (*word).to_owned()).collect();
        }
        words.push(text.clone());
        words
    }

    /// COPY and ADD.
    fn copy(&mut self, name: &str, said: &Sources, from: From, line: usize) -> Result<Copy, Fault> {
        let mut sources = Vec::new();
        for path in &said.paths {
            let filled = self.need("a path", path, line)?;
            check_source(name, &filled)?;
            sources.push(filled);
        }
        let mut inline = Vec::new();
        for file in &said.inline {
            if file.name.contains('/') || matches!(file.name.as_str(), "." | "..") {
                let name = quoted(&file.name);
                return Err(Fault::new(format!("the here-document {name} is to be a file, expected a plain name")));
            }
            let mut content = file.content.clone();
            if file.expands {
                content = self.expanded(&content, Syntax { escape: '\\', quotes: false }, line)?.text;
            }
            inline.push((file.name.clone(), content));
        }
        let filled = self.fill(&said.destination, line)?;
        let mut destination = path::absolute(&self.inside.working_dir, &filled);
        let of_a_cluster =
            self.recipe.dialect == Dialect::Kubefile && CLUSTER_DIRECTORIES.contains(&destination.as_str());
        if (path::is_directory(&filled) || of_a_cluster) && !destination.ends_with('/') {
            destination.push('/');
        }
        limited(&destination)?;
        if sources.len() + inline.len() > 1 && !destination.ends_with('/') {
            let written = quoted(&said.destination);
            return Err(Fault::new(format!("{name} has several sources, and {written} is no directory"))
                .hint(format!("end the destination with a slash: {}/", escaped(&said.destination))));
        }
        let chown = said.chown.as_ref().map(|owner| self.need("USER or USER:GROUP", owner, line)).transpose()?;
        let chmod = said.chmod.as_ref().map(|mode| self.fill(mode, line).and_then(|mode| octal(&mode))).transpose()?;
        let excludes = Ignore::of_patterns(&said.excludes)?;
        let (parents, unpack) = (said.parents, said.unpack);
        Ok(Copy { from, sources, inline, destination, chown, chmod, parents, excludes, unpack })
    }
}

fn limited(text: &str) -> Result<(), Fault> {
    if text.len() > path::LONGEST {
        return Err(Fault::new(format!("{} is longer than {} bytes", quoted(text), path::LONGEST)));
    }
    Ok(())
}

/// Refuses what is to be downloaded, and what leads out of the place that it is taken from.
fn check_source(name: &str, source: &str) -> Result<(), Fault> {
    let lower = source.to_ascii_lowercase();
    let remote = ["http://", "https://", "ftp://", "git://", "ssh://", "git@"].iter().any(|it| lower.starts_with(it));
    if remote {
        let message = format!("{name} {} would download it, and a build opens no connection", quoted(source));
        return Err(Fault::unsupported(message).hint("download it beforehand, and COPY it from the context"));
    }
    if path::leaves(source) {
        return Err(Fault::new(format!("{} leads out of the context, expected a path below it", quoted(source))));
    }
    limited(source)
}

fn octal(text: &str) -> Result<u32, Fault> {
    let digits = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o7777);
    mode.ok_or_else(|| Fault::new(format!("--chmod={} is given, expected an octal mode such as 0755", escaped(text))))
}

/// Makes docker's object (moby, image-spec v1.2, "Healthcheck"): what is 0 or absent is left out.
fn healthcheck(check: &Healthcheck) -> Value {
    let test = match &check.command {
        None => vec!["NONE".to_owned()],
        Some(Command::Exec(words)) => std::iter::once("CMD".to_owned()).chain(words.iter().cloned()).collect(),
        Some(Command::Shell(text)) => vec!["CMD-SHELL".to_owned(), text.clone()],
    };
    let mut object = json!({ "Test": test });
    for (name, value) in [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
        ("Retries", check.retries.filter(|count| *count > 0).map(u64::from)),
    ] {
        if let Some(value) = value {
            object[name] = value.into();
        }
    }
    object
}

/// Returns what the history says of a change: the instruction filled in, lists as JSON.
pub(super) fn described(name: &str, changes: &[Change]) -> String {
    let list = |words: &[String]| Value::from(words.to_vec()).to_string();
    let mut text = match changes.first() {
        Some(Change::Label { .. }) => "LABEL".to_owned(), // also when sealer's word for it was written
        Some(Change::Cmd(_) | Change::MoreCmd(_)) => "CMD".to_owned(),
        _ => name.to_owned(),
    };
    for change in changes {
        text.push(' ');
        match change {
            Change::Env { name, value } | Change::Label { name, value } => text.push_str(&format!("{name}={value}")),
            Change::Cmd(words) | Change::MoreCmd(words) | Change::Shell(words) => text.push_str(&list(words)),
            Change::Entrypoint { words, .. } => text.push_str(&list(words)),
            Change::WorkingDir(word)
            | Change::User(word)
            | Change::Expose(word)
            | Change::Volume(word)
            | Change::StopSignal(word)
            | Change::OnBuild(word)
            | Change::Author(word) => text.push_str(word),
            Change::Healthcheck(object) => text.push_str(&object.to_string()),
        }
    }
    text
}

fn described_copy(name: &str, copy: &Copy, from: Option<&str>) -> String {
    let mut text = name.to_owned();
    let flags = [("from", from.map(str::to_owned)), ("chown", copy.chown.clone())];
    let chmod = ("chmod", copy.chmod.map(|mode| format!("{mode:04o}")));
    for (flag, value) in flags.into_iter().chain([chmod]) {
        if let Some(value) = value {
            text.push_str(&format!(" --{flag}={value}"));
        }
    }
    let inline = copy.inline.iter().map(|(name, _)| format!("<<{name}"));
    for word in copy.sources.iter().cloned().chain(inline).chain([copy.destination.clone()]) {
        text.push_str(&format!(" {word}"));
    }
    text
}
