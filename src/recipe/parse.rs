//! Instructions out of lines: which one it is, its flags, its arguments.

use super::fault::{Fault, Warning};
use super::instruction::{Action, Command, Inline, Instruction, Sources};
use super::lines::{HereDocument, Line, Lines};
use super::words::{self, Flag};
use super::{Dialect, From, duration};
use crate::text::{escaped, quoted};

/// The instructions of docker's reference.
const KNOWN: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// sealer's words that change no more than the config: they become other instructions.
const SEALER_KNOWN: [&str; 2] = ["CMDS", "KUBEVERSION"];
/// sealer's words that need sealer: they render applications into the image, or describe them to it.
const SEALER_ONLY: [&str; 6] = ["APP", "APPCMDS", "APPENV", "CNI", "CSI", "LAUNCH"];
/// The label that sealer makes of KUBEVERSION.
const KUBEVERSION_LABEL: &str = "app.alpha.sealer.io/supported-kube-version";

/// What a line says.
pub(super) enum Said {
    From(From),
    Instruction(Instruction),
}

/// Understands one line.
pub(super) fn line(
    lines: &Lines<'_>,
    line: &Line,
    dialect: Dialect,
    warnings: &mut Vec<Warning>,
) -> Result<Said, Fault> {
    let mut warn = |message: String| warnings.push(Warning { line: Some(line.number), message });
    if line.has_gap {
        warn("an empty line stands inside an instruction; newer builders refuse that".to_owned());
    }
    let (typed, rest) = words::keyword(&line.joined);
    let name = typed.to_ascii_uppercase();
    if name == "FROM" {
        return from(rest, lines.escape, line.number).map(Said::From);
    }
    let parser = Parser { escape: lines.escape, dialect, documents: &line.documents };
    let action = parser.action(&name, typed, rest, &mut warn)?;
    let source = lines.text[line.source.clone()].to_owned();
    Ok(Said::Instruction(Instruction { line: line.number, name, source, action }))
}

/// FROM: `[--platform=PLATFORM] IMAGE [AS NAME]`.
fn from(rest: &str, escape: char, line: usize) -> Result<From, Fault> {
    const EXPECTED: &str = "expected FROM [--platform=PLATFORM] IMAGE [AS NAME]";
    let (given, rest) = words::flags(rest, escape);
    let mut platform = None;
    for flag in given {
        match flag.name.as_str() {
            "platform" => once(&mut platform, flag)?,
            _ => return Err(unknown_flag("FROM", &flag, &["platform"])),
        }
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (image, name) = match words[..] {
        [image] => (image, None),
        [image, word, name] if word.eq_ignore_ascii_case("AS") => (image, Some(stage_name(name)?)),
        [] => return Err(Fault::new(format!("no image is named, {EXPECTED}"))),
        [_, word, ..] if word.starts_with('#') => {
            return Err(Fault::new(format!("{} follows the image, {EXPECTED}", quoted(word)))
                .hint("a comment is a line of its own"));
        }
        [_, word, ..] => return Err(Fault::new(format!("{} follows the image, {EXPECTED}", quoted(word)))),
    };
    Ok(From { line, image: image.to_owned(), name, platform })
}

/// Names of stages are the same in small letters and in capitals.
fn stage_name(typed: &str) -> Result<String, Fault> {
    let name = typed.to_ascii_lowercase();
    let fits =
        |at: usize, byte: u8| byte.is_ascii_lowercase() || at > 0 && matches!(byte, b'0'..=b'9' | b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().enumerate().all(|(at, byte)| fits(at, byte)) {
        return Err(Fault::new(format!(
            "{} is no name of a stage, expected a letter and then letters, digits, - _ or .",
            quoted(typed)
        )));
    }
    Ok(name)
}

/// Takes a flag that may be given once and has a value.
fn once(place: &mut Option<String>, flag: Flag) -> Result<(), Fault> {
    let name = flag.name;
    let value = flag.value.filter(|value| !value.is_empty());
    let value = value.ok_or_else(|| Fault::new(format!("--{} has no value, expected --{0}=VALUE", escaped(&name))))?;
    match place.replace(value) {
        Some(_) => Err(Fault::new(format!("--{} is given twice", escaped(&name)))),
        None => Ok(()),
    }
}

/// Reads a flag that is there or not.
fn switch(flag: &Flag) -> Result<bool, Fault> {
    match flag.value.as_deref() {
        None | Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => Err(Fault::new(format!("--{}={} is given, expected true or false", flag.name, escaped(other)))),
    }
}

fn unknown_flag(instruction: &str, flag: &Flag, known: &[&str]) -> Fault {
    let list = known.iter().map(|name| format!("--{name}")).collect::<Vec<_>>();
    let expected = if list.is_empty() { "none".to_owned() } else { list.join(" ") };
    Fault::new(format!("{instruction} has no flag {}, expected {expected}", quoted(&format!("--{}", flag.name))))
        .nearest(&format!("--{}", flag.name), list.iter().map(String::as_str))
}

struct Parser<'a> {
    escape: char,
    dialect: Dialect,
    documents: &'a [HereDocument],
}

impl Parser<'_> {
    fn action(&self, name: &str, typed: &str, rest: &str, warn: &mut dyn FnMut(String)) -> Result<Action, Fault> {
        match name {
            "ADD" | "COPY" => return self.sources(name, rest),
            "HEALTHCHECK" => return duration::healthcheck(rest, self.escape).map(Action::Healthcheck),
            "RUN" => return Ok(Action::Run),
            "CMDS" | "KUBEVERSION" if self.dialect == Dialect::Kubefile => return sealer(name, rest),
            _ => {}
        }
        if !KNOWN.contains(&name) {
            return Err(self.unknown(name, typed));
        }
        let (given, arguments) = match name {
            // what follows is text, where -- means nothing
            "MAINTAINER" | "STOPSIGNAL" | "ONBUILD" => (Vec::new(), rest),
            _ => words::flags(rest, self.escape),
        };
        if let Some(flag) = given.first() {
            return Err(unknown_flag(name, flag, &[]));
        }
        let one = |what: &str| match arguments {
            "" => Err(Fault::new(format!("nothing follows {name}, expected {what}"))),
            text => Ok(text.to_owned()),
        };
        Ok(match name {
            "ARG" => Action::Arg(self.arguments(&one("NAME or NAME=VALUE")?)?),
            "CMD" => Action::Cmd(command(&one("a command")?, warn)?),
            "ENTRYPOINT" => Action::Entrypoint(command(&one("a command")?, warn)?),
            "ENV" => Action::Env(words::pairs(&one("NAME=VALUE")?, self.escape)?),
            "LABEL" => Action::Label(words::pairs(&one("NAME=VALUE")?, self.escape)?),
            "EXPOSE" => Action::Expose(one("a port")?.split_whitespace().map(str::to_owned).collect()),
            "MAINTAINER" => Action::Maintainer(one("a name")?),
            "ONBUILD" => Action::OnBuild(self.trigger(&one("an instruction")?)?),
            "SHELL" => match words::json_list(&one("a JSON list of words")?)? {
                Some(words) if !words.is_empty() => Action::Shell(words),
                _ => {
                    let message = format!("{} is given, expected a JSON list of words", quoted(arguments));
                    return Err(Fault::new(message).hint(r#"write SHELL ["/bin/bash", "-c"]"#));
                }
            },
            "STOPSIGNAL" => Action::StopSignal(one("a signal")?),
            "USER" => Action::User(one("USER or USER:GROUP")?),
            "VOLUME" => Action::Volume(volumes(&one("a path")?)?),
            _ => Action::Workdir(one("a path")?),
        })
    }

    fn unknown(&self, name: &str, typed: &str) -> Fault {
        let kubefile = self.dialect == Dialect::Kubefile;
        if SEALER_ONLY.contains(&name) || SEALER_KNOWN.contains(&name) {
            if kubefile {
                return Fault::unsupported(format!("{name} is an instruction that only sealer carries out"))
                    .hint("COPY the files that it would make, and start them with CMD");
            }
            return Fault::new(format!("{name} is an instruction of Kubefiles, and this is none"));
        }
        let known = KNOWN.into_iter().chain(SEALER_KNOWN.into_iter().filter(|_| kubefile));
        let fault = Fault::new(format!("{} is no instruction, expected one such as FROM, COPY or ENV", quoted(typed)));
        fault.nearest(name, known)
    }

    /// ARG: `NAME[=VALUE] ...`.
    fn arguments(&self, text: &str) -> Result<Vec<(String, Option<String>)>, Fault> {
        let argument = |word: &str| {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word, None),
            };
            if name.is_empty() {
                return Err(Fault::new(format!("{} has no name, expected NAME or NAME=VALUE", quoted(word))));
            }
            Ok((name.to_owned(), value))
        };
        words::shell_words(text, self.escape).into_iter().map(argument).collect()
    }

    /// ONBUILD: kept as text, and read once to see that it can be read later.
    fn trigger(&self, text: &str) -> Result<String, Fault> {
        let (typed, rest) = words::keyword(text);
        let name = typed.to_ascii_uppercase();
        if matches!(name.as_str(), "ONBUILD" | "FROM" | "MAINTAINER") {
            return Err(Fault::new(format!("{name} cannot follow ONBUILD")));
        }
        self.action(&name, typed, rest, &mut |_| ())?;
        let mut text = text.to_owned();
        for document in self.documents {
            text.push_str(&format!("\n{}{}", document.content, document.name.word));
        }
        Ok(text)
    }

    /// ADD and COPY: flags, sources, and the destination.
    fn sources(&self, name: &str, rest: &str) -> Result<Action, Fault> {
        const COPY: [&str; 6] = ["from", "chown", "chmod", "link", "parents", "exclude"];
        const ADD: [&str; 7] = ["chown", "chmod", "link", "exclude", "unpack", "checksum", "keep-git-dir"];
        let copy = name == "COPY";
        let known: &[&str] = if copy { &COPY } else { &ADD };
        let (given, rest) = words::flags(rest, self.escape);
        let mut sources = Sources { unpack: !copy, ..Sources::default() };
        for flag in given {
            if !known.contains(&flag.name.as_str()) {
                return Err(unknown_flag(name, &flag, known));
            }
            match flag.name.as_str() {
                "from" => once(&mut sources.from, flag)?,
                "chown" => once(&mut sources.chown, flag)?,
                "chmod" => once(&mut sources.chmod, flag)?,
                "parents" => sources.parents = switch(&flag)?,
                "unpack" => sources.unpack = switch(&flag)?,
                // layers are always made apart from what is below them: a link changes nothing here
                "link" => drop(switch(&flag)?),
                "exclude" => {
                    let mut pattern = None;
                    once(&mut pattern, flag)?;
                    sources.excludes.extend(pattern);
                }
                only_remote => {
                    return Err(Fault::unsupported(format!(
                        "--{only_remote} is for a URL or a repository, and nothing is downloaded"
                    )));
                }
            }
        }
        let mut paths = words::paths(rest)?;
        let destination = paths.pop().filter(|_| !paths.is_empty());
        let Some(destination) = destination else {
            return Err(Fault::new(format!("{name} has fewer than two paths, expected {name} SOURCE... DESTINATION")));
        };
        let is_list = rest.starts_with('[');
        if !is_list && words::here_name(&destination).is_some() {
            return Err(Fault::new("a here-document is the destination, expected a path"));
        }
        for path in paths {
            let announced = if is_list { None } else { words::here_name(&path) };
            let Some(announced) = announced else {
                sources.paths.push(path);
                continue;
            };
            // of two with one name, the later content counts, as in docker
            let document = self.documents.iter().rev().find(|document| document.name.word == announced.word);
            let content = document.map(|document| document.content.clone()).unwrap_or_default();
            sources.inline.push(Inline { name: announced.word, content, expands: announced.expands });
        }
        sources.destination = destination;
        Ok(if copy { Action::Copy(sources) } else { Action::Add(sources) })
    }
}

/// A command in either form.
pub(super) fn command(text: &str, warn: &mut dyn FnMut(String)) -> Result<Command, Fault> {
    match words::json_list(text)? {
        Some(words) => Ok(Command::Exec(words)),
        None => {
            if text.starts_with('[') && text.ends_with(']') && text.contains(['"', '\'']) {
                warn("the command looks like a JSON list and is none, so it is given to the shell".to_owned());
            }
            Ok(Command::Shell(text.to_owned()))
        }
    }
}

fn volumes(text: &str) -> Result<Vec<String>, Fault> {
    let volumes = match words::json_list(text)? {
        Some(list) => list,
        None => text.split_whitespace().map(str::to_owned).collect(),
    };
    if volumes.iter().any(|volume| volume.trim().is_empty()) {
        return Err(Fault::new("a volume has no name, expected a path"));
    }
    Ok(volumes)
}

/// sealer's words that are other instructions in disguise.
fn sealer(name: &str, rest: &str) -> Result<Action, Fault> {
    if name == "KUBEVERSION" {
        if rest.is_empty() || rest.contains(['"', '\'', '$', '\\']) {
            return Err(Fault::new(format!("{} is given, expected versions of Kubernetes", quoted(rest))));
        }
        return Ok(Action::Label(vec![(KUBEVERSION_LABEL.to_owned(), format!("\"{rest}\""))]));
    }
    match words::json_list(rest)? {
        Some(commands) if !commands.is_empty() => Ok(Action::Cmd(Command::Exec(commands))),
        _ => Err(Fault::new(format!("{} is given, expected a JSON list of commands", quoted(rest)))
            .hint(r#"write CMDS ["kubectl apply -f manifests"]"#)),
    }
}
