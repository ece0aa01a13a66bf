//! What operations work with, in one hand: for a program that uses the library, and for the command line.

use std::path::PathBuf;
use std::sync::Arc;

use super::open::Context;
use super::parts::SplitArchives;
use crate::blob::Cancel;
use crate::store::layout::KnownIndexes;
use crate::store::registry::{NetworkOptions, Notice, Registries};
use crate::transfer::{Deaf, Event, Observer};

/// All that a [`Context`] refers to. One lasts for one piece of work, such as a command: what was read of a layout and of a
/// registry is known in it and not asked for again.
///
/// ```
/// use barge::ops::open::open;
/// use barge::ops::workspace::Workspace;
/// use barge::store::Source as _;
///
/// let workspace = Workspace::offline();
/// let opened = open("fixtures/umoci-amd64:v1", &workspace.context())?;
/// assert_eq!(opened.store.roots()?.len(), 1);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct Workspace {
    /// The current layout: where words without a place are looked for.
    pub layout: Option<PathBuf>,
    /// Where compressed archives are unpacked to; beside the archive when it is not said.
    pub tmpdir: Option<PathBuf>,
    /// Where parts of split archives are looked for, besides the directory of the one that was named.
    pub part_dirs: Vec<PathBuf>,
    /// The split archives that were opened.
    pub split: SplitArchives,
    /// What was read of layouts.
    pub indexes: KnownIndexes,
    /// The request to stop: clones of it ask all that works here.
    pub cancel: Cancel,
    /// How registries are reached.
    pub registries: Registries,
    /// Who hears of warnings.
    pub observer: Arc<dyn Observer + Send + Sync>,
}

impl Workspace {
    /// Makes a workspace in which no registry is ever reached, and nobody hears of anything.
    #[must_use]
    pub fn offline() -> Self {
        let cancel = Cancel::default();
        let hint = Some("make the workspace with a network");
        let registries = Registries::forbidden("this workspace has no network", hint, &cancel);
        Self::with(cancel, registries, Arc::new(Deaf))
    }

    /// Makes a workspace that reaches registries as the options say, and tells an observer what happens.
    #[must_use]
    pub fn online(options: NetworkOptions, observer: Arc<dyn Observer + Send + Sync>) -> Self {
        let cancel = Cancel::default();
        let heard = Arc::clone(&observer);
        let notice: Notice = Arc::new(move |text| heard.hear(Event::Warning(text.to_owned())));
        let registries = Registries::new(options, &cancel, notice);
        Self::with(cancel, registries, observer)
    }

    /// Makes a workspace of what is there.
    #[must_use]
    pub fn with(cancel: Cancel, registries: Registries, observer: Arc<dyn Observer + Send + Sync>) -> Self {
        Self {
            layout: None,
            tmpdir: None,
            part_dirs: Vec::new(),
            split: SplitArchives::default(),
            indexes: KnownIndexes::default(),
            cancel,
            registries,
            observer,
        }
    }

    /// Returns what words are read against.
    #[must_use]
    pub fn context(&self) -> Context<'_> {
        Context {
            layout: self.layout.as_deref(),
            bases: &[],
            tmpdir: self.tmpdir.as_deref(),
            part_dirs: &self.part_dirs,
            split: &self.split,
            indexes: &self.indexes,
            cancel: &self.cancel,
            observer: &*self.observer,
            registries: &self.registries,
        }
    }
}

impl std::fmt::Debug for Workspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workspace").field("layout", &self.layout).field("tmpdir", &self.tmpdir).finish_non_exhaustive()
    }
}
