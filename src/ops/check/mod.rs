//! `check`: whether the programs that load archives will take this one, and under which names, before it leaves the house.
//!
//! The rules are what the programs were seen to do; `rules` says with which version of each. `facts` reads from an archive,
//! or from the plan of one, what they ask about.

mod facts;
mod rules;

use std::fmt;

use super::Error;
use crate::platform::Platform;
use crate::store::archive::Archive;

pub use facts::{Element, Facts, Image, Listed, Needs};

/// A program that loads archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loader {
    /// `docker load` with the containerd image store (the default from 29).
    Docker,
    /// `docker load` with the classic store.
    DockerClassic,
    /// `podman load`.
    Podman,
    /// `ctr images import --all-platforms`.
    Ctr,
    /// `nerdctl load --all-platforms`.
    Nerdctl,
    /// `skopeo copy --all`, to a registry.
    Skopeo,
}

impl Loader {
    /// Every loader, in the order in which they are reported.
    pub const ALL: [Self; 6] =
        [Self::Docker, Self::DockerClassic, Self::Podman, Self::Ctr, Self::Nerdctl, Self::Skopeo];

    /// Returns the word on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::DockerClassic => "docker-classic",
            Self::Podman => "podman",
            Self::Ctr => "ctr",
            Self::Nerdctl => "nerdctl",
            Self::Skopeo => "skopeo",
        }
    }
}

impl fmt::Display for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a loader takes an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It takes all of it.
    Takes,
    /// It takes something, and not all or not as one would think.
    TakesPart,
    /// It refuses, or takes nothing.
    Refuses,
}

impl Verdict {
    /// Returns the word for JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Takes => "yes",
            Self::TakesPart => "partly",
            Self::Refuses => "no",
        }
    }
}

/// Something that a loader does otherwise than one would wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What it does, and why.
    pub reason: String,
    /// What to do about it.
    pub fix: Option<String>,
}

/// What one loader will do.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// Which.
    pub loader: Loader,
    /// Whether it takes the archive.
    pub verdict: Verdict,
    /// The names under which images will be there, in order; an image without a name is not among them.
    pub names: Vec<String>,
    /// Why it is not a plain yes.
    pub remarks: Vec<Remark>,
    /// The commands that load it, one for each image where a loader takes one at a time; none when it refuses.
    pub commands: Vec<String>,
}

/// Predicts what loaders do with an archive, on machines of one platform. `file` is its name in the commands.
///
/// # Errors
/// When the archive's documents cannot be read.
pub fn check(archive: &Archive, file: &str, loaders: &[Loader], host: &Platform) -> Result<Vec<Prediction>, Error> {
    Ok(predict(&Facts::read(archive, host)?, file, loaders))
}

/// Predicts what loaders do with facts.
#[must_use]
pub fn predict(facts: &Facts, file: &str, loaders: &[Loader]) -> Vec<Prediction> {
    loaders.iter().map(|loader| rules::predict(*loader, facts, file)).collect()
}
