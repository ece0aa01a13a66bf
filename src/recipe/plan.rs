//! A plan: what is to be done for one platform, in order, with everything filled in.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fault::Warning;
use super::ignore::Ignore;
use crate::platform::Platform;

/// What an image is wanted for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The stage that is wanted, by name or number; else the last one.
    pub target: Option<&'a str>,
    /// The platform of the image.
    pub platform: &'a Platform,
    /// The platform that builds, for `BUILDPLATFORM` and its like.
    pub build_platform: &'a Platform,
    /// `--build-arg`: names and values.
    pub build_args: &'a [(String, String)],
}

/// An image that a stage starts from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BaseImage {
    /// The word after FROM, filled in.
    pub word: String,
    /// For which platform.
    pub platform: Platform,
}

/// What the config of an image means for the lines after its FROM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// `Env`: `NAME=VALUE`.
    pub environment: Vec<String>,
    /// `WorkingDir`.
    pub working_dir: String,
    /// `Shell`.
    pub shell: Vec<String>,
    /// `OnBuild`: instructions that come first.
    pub on_build: Vec<String>,
}

impl Inherited {
    /// Takes them from an image's config; what has another form counts as absent.
    #[must_use]
    pub fn from_config(config: &Value) -> Self {
        let config = config.get("config");
        let list = |name: &str| {
            let items = config.and_then(|config| config.get(name)).and_then(Value::as_array);
            items.into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let working_dir = config.and_then(|config| config.get("WorkingDir")).and_then(Value::as_str);
        Self {
            environment: list("Env"),
            working_dir: working_dir.unwrap_or_default().to_owned(),
            shell: list("Shell"),
            on_build: list("OnBuild"),
        }
    }
}

/// What is known of the images that stages start from.
pub type Bases = BTreeMap<BaseImage, Inherited>;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The stages that are needed, in order; the last one is the image.
    pub stages: Vec<PlannedStage>,
    /// What may be meant otherwise.
    pub warnings: Vec<Warning>,
}

/// One stage, filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStage {
    /// Its number in the recipe, from 0: [`From::Stage`] and [`Base::Stage`] mean this one.
    pub number: usize,
    /// Its name.
    pub name: Option<String>,
    /// The line of FROM.
    pub line: usize,
    /// What it starts from.
    pub base: Base,
    /// The platform that it is for.
    pub platform: Platform,
    /// What follows, one step an instruction.
    pub steps: Vec<Step>,
}

/// What a stage starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// An earlier stage.
    Stage(usize),
    /// An image: a word that the caller looks up, for the platform of the stage.
    Image(String),
}

/// One instruction, filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The line where it starts; that of FROM when the base image asks for it (ONBUILD).
    pub line: usize,
    /// What the history says.
    pub created_by: String,
    /// What is to be done.
    pub work: Work,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// It adds files.
    Files(Copy),
    /// It changes the config.
    Config(Vec<Change>),
    /// It is for the recipe itself, and for the history: ARG.
    Nothing,
}

/// COPY and ADD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Where the sources are.
    pub from: From,
    /// Paths or patterns ([`Pattern`](super::pattern::Pattern)), below what they are taken from; none leads above it.
    pub sources: Vec<String>,
    /// Files whose content stands in the recipe: names without a slash, and what they hold.
    pub inline: Vec<(String, String)>,
    /// An absolute path; with a slash at its end it is a directory, whatever is copied.
    pub destination: String,
    /// `USER[:GROUP]`, names or numbers; else 0:0.
    pub chown: Option<String>,
    /// The mode that everything gets.
    pub chmod: Option<u32>,
    /// Whether the directories above a source are kept.
    pub parents: bool,
    /// What of the sources is left out.
    pub excludes: Ignore,
    /// Whether archives among the sources are unpacked.
    pub unpack: bool,
}

/// Where the sources of COPY are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// In the context.
    Context,
    /// In an earlier stage.
    Stage(usize),
    /// In an image: a word that the caller looks up, for the platform that was asked for.
    Reference(String),
}

/// A change of the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets a variable.
    Env {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// Sets a label.
    Label {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// Sets the command; an empty one removes it.
    Cmd(Vec<String>),
    /// Adds to the command: a further CMD of a Kubefile.
    MoreCmd(Vec<String>),
    /// Sets the entry point; an empty one removes it.
    Entrypoint {
        /// Its words.
        words: Vec<String>,
        /// Whether an inherited command goes, because it was meant for another entry point.
        clears_cmd: bool,
    },
    /// Sets the working directory: an absolute path. docker makes the directory too, where it is absent.
    WorkingDir(String),
    /// Sets the user.
    User(String),
    /// Adds a port: `80/tcp`.
    Expose(String),
    /// Adds a volume.
    Volume(String),
    /// Sets the signal that stops it.
    StopSignal(String),
    /// Sets the shell of later lines.
    Shell(Vec<String>),
    /// Sets the check: docker's object.
    Healthcheck(Value),
    /// Adds an instruction for images that are made from this one.
    OnBuild(String),
    /// Sets the author.
    Author(String),
}
