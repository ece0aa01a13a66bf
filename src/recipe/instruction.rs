//! Instructions as they are written: understood, and nothing filled in.

/// One instruction of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The line where it starts, from 1.
    pub line: usize,
    /// Its name, in capitals.
    pub name: String,
    /// Its text in the file, with line ends, comments and here-documents.
    pub source: String,
    /// What it asks for.
    pub action: Action,
}

/// What an instruction asks for. Texts hold variables, quotes and escapes as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// ADD: as COPY, and archives are unpacked.
    Add(Sources),
    /// ARG: names, with values where none is given otherwise.
    Arg(Vec<(String, Option<String>)>),
    /// CMD.
    Cmd(Command),
    /// COPY.
    Copy(Sources),
    /// ENTRYPOINT.
    Entrypoint(Command),
    /// ENV.
    Env(Vec<(String, String)>),
    /// EXPOSE.
    Expose(Vec<String>),
    /// HEALTHCHECK.
    Healthcheck(Healthcheck),
    /// LABEL.
    Label(Vec<(String, String)>),
    /// MAINTAINER: the author, in an old way.
    Maintainer(String),
    /// ONBUILD: an instruction for images that are made from this one.
    OnBuild(String),
    /// RUN: cannot be carried out, because nothing is ever run.
    Run,
    /// SHELL.
    Shell(Vec<String>),
    /// STOPSIGNAL.
    StopSignal(String),
    /// USER.
    User(String),
    /// VOLUME.
    Volume(Vec<String>),
    /// WORKDIR.
    Workdir(String),
}

/// A command in one of its two forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Words: `["executable", "parameter"]`.
    Exec(Vec<String>),
    /// Text for the shell.
    Shell(String),
}

/// What COPY and ADD say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// `--from`: the name or number of a stage, or a reference.
    pub from: Option<String>,
    /// `--chown`.
    pub chown: Option<String>,
    /// `--chmod`.
    pub chmod: Option<String>,
    /// `--parents`: the directories above a source are kept.
    pub parents: bool,
    /// `--exclude`, each time it is given.
    pub excludes: Vec<String>,
    /// Whether ADD unpacks archives.
    pub unpack: bool,
    /// Paths, or patterns.
    pub paths: Vec<String>,
    /// Files whose content stands in the recipe.
    pub inline: Vec<Inline>,
    /// Where to.
    pub destination: String,
}

/// A file whose content stands in the recipe: a here-document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inline {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub content: String,
    /// Whether variables in it are filled in.
    pub expands: bool,
}

/// HEALTHCHECK, in the form that docker writes (moby, image-spec v1.2: `Healthcheck`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// What to run; none is HEALTHCHECK NONE, which turns an inherited one off.
    pub command: Option<Command>,
    /// Nanoseconds between two checks.
    pub interval: Option<u64>,
    /// Nanoseconds until a check has failed.
    pub timeout: Option<u64>,
    /// Nanoseconds in which failures do not count.
    pub start_period: Option<u64>,
    /// Nanoseconds between two checks in that period.
    pub start_interval: Option<u64>,
    /// How many failures in a row make a container unhealthy.
    pub retries: Option<u32>,
}
