//! One stage under way: its draft, and what the files are that were added so far.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::rc::Rc;

use super::copy::Terms;
use super::{Error, LayerOptions};
use crate::blob::Cancel;
use crate::content::Kind;
use crate::digest::Digest;
use crate::layer::{self, Built, Covered, Standing, Tree};
use crate::ops::draft::{Draft, DraftLayer};
use crate::ops::open::Context;
use crate::ops::rootfs::{LayerOf, Limits, Rootfs};
use crate::ops::target::{Made, Workbench};
use crate::pack::PackOptions;
use crate::platform::Platform;
use crate::recipe::config::HistoryEntry;
use crate::text::{human_size, quoted};
use crate::transfer::{Event, Making, Observer};

/// The largest `etc/passwd` or `etc/group` that names are looked up in, in bytes.
const LARGEST_ACCOUNTS: u64 = 1 << 20;

/// What all stages of all platforms have in common.
pub(crate) struct Shop<'s, 'a> {
    pub(crate) bench: &'s Workbench<'s>,
    pub(crate) made: &'a Made,
    pub(crate) pack: PackOptions,
    pub(crate) terms: Terms<'s>,
    /// When everything was made, in RFC 3339.
    pub(crate) created: String,
    pub(crate) cancel: &'s Cancel,
    pub(crate) observer: &'s dyn Observer,
    /// Layers that were built, by the fingerprint of what is in them: platforms share those that are the same.
    pub(crate) built: RefCell<HashMap<Digest, Built>>,
    /// File systems that were read, by the diff_ids of their layers.
    pub(crate) read: RefCell<BTreeMap<Vec<Digest>, Rc<Rootfs<'a>>>>,
}

/// A stage under way.
#[derive(Clone)]
pub(crate) struct Stage<'a> {
    pub(crate) draft: Draft<'a>,
    pub(crate) platform: Platform,
    /// How many of the layers were there when it began.
    base: usize,
    /// What the others hold, the first first.
    trees: Vec<Rc<Tree>>,
}

/// What a step sees of the image that it adds to.
pub(crate) struct Below<'s, 'a> {
    trees: &'s [Rc<Tree>],
    base: Option<Rc<Rootfs<'a>>>,
}

impl Below<'_, '_> {
    /// Returns what stands at a path, no link followed.
    pub(crate) fn standing(&self, path: &Path) -> Option<Standing> {
        for tree in self.trees.iter().rev() {
            match tree.covers(path) {
                Covered::Here(standing) => return Some(standing),
                Covered::Hidden => return None,
                Covered::No => {}
            }
        }
        self.base.as_ref()?.standing(path)
    }
}

impl<'a> Stage<'a> {
    /// Starts with a draft; what it holds is read when something has to know it.
    pub(crate) fn over(draft: Draft<'a>, platform: &Platform) -> Self {
        let base = draft.layers.len();
        Self { draft, platform: platform.clone(), base, trees: Vec::new() }
    }

    /// Returns its layers so far, or the first of them, as the layers of a file system.
    fn layers(&self, count: usize) -> Vec<LayerOf<'a>> {
        let about = |at: usize, size| format!("layer {} of {}, {}", at + 1, self.platform, human_size(size));
        let layers = self.draft.layers.iter().take(count).enumerate();
        layers
            .map(|(at, layer)| LayerOf {
                source: layer.source,
                descriptor: layer.descriptor.clone(),
                diff_id: layer.diff_id,
                about: about(at, layer.descriptor.size()),
            })
            .collect()
    }

    /// Adds a line to the history for what changes no file.
    pub(crate) fn line(&mut self, shop: &Shop<'_, '_>, created_by: &str) {
        let line = shop.history(created_by, true);
        self.draft.add_line(&line);
    }
}

impl<'s, 'a> Shop<'s, 'a> {
    /// Opens for work of which `created` says when it is done, in RFC 3339; `xattrs` are those of the options.
    pub(crate) fn new(
        bench: &'s Workbench<'s>,
        made: &'a Made,
        options: &LayerOptions,
        xattrs: &'s [&'s str],
        created: String,
        context: &Context<'s>,
    ) -> Self {
        Self {
            bench,
            made,
            pack: options.pack,
            terms: Terms {
                owner: options.owner,
                modes: options.modes,
                epoch: (!options.keep_times).then_some(options.epoch),
                spool: bench.spool(),
                xattrs,
            },
            created,
            cancel: context.cancel,
            observer: context.observer,
            built: RefCell::new(HashMap::new()),
            read: RefCell::new(BTreeMap::new()),
        }
    }
}

impl<'a> Shop<'_, 'a> {
    fn history(&self, created_by: &str, empty_layer: bool) -> HistoryEntry {
        let created = Some(self.created.clone());
        HistoryEntry { created, created_by: created_by.to_owned(), comment: None, empty_layer }
    }

    /// Reads the file system of a stage as it is now.
    pub(crate) fn rootfs(&self, stage: &Stage<'a>) -> Result<Rc<Rootfs<'a>>, Error> {
        self.rootfs_of(stage.layers(stage.draft.layers.len()))
    }

    /// Reads the file system of some layers, once.
    pub(crate) fn rootfs_of(&self, layers: Vec<LayerOf<'a>>) -> Result<Rc<Rootfs<'a>>, Error> {
        let key: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
        if let Some(read) = self.read.borrow().get(&key) {
            return Ok(Rc::clone(read));
        }
        let read = Rc::new(Rootfs::read(layers, &Limits::default(), self.cancel, self.observer)?);
        self.read.borrow_mut().insert(key, Rc::clone(&read));
        Ok(read)
    }

    /// Returns what a step adds to.
    pub(crate) fn below<'s>(&self, stage: &'s Stage<'a>) -> Result<Below<'s, 'a>, Error> {
        let base = if stage.base == 0 { None } else { Some(self.rootfs_of(stage.layers(stage.base))?) };
        Ok(Below { trees: &stage.trees, base })
    }

    /// Reads a small file of the image that a step adds to, such as `etc/passwd`; links are followed.
    pub(crate) fn accounts(&self, stage: &Stage<'a>, path: &str) -> Result<Option<Vec<u8>>, Error> {
        if stage.draft.layers.is_empty() {
            return Ok(None);
        }
        self.rootfs(stage)?.read_file(Path::new(path), LARGEST_ACCOUNTS)
    }

    /// Says what is lost when files of the disk were given to root without anybody asking for it.
    pub(crate) fn warn_of_owners(&self, created_by: &str, tree: &Tree) {
        let Some(changed) = tree.changed_owners() else { return };
        if changed.several {
            let text = "its files have several owners, and all of them become 0:0; --owner keep keeps them";
            self.observer.hear(Event::Warning(format!("{created_by}: {text}")));
        }
        if let Some(path) = &changed.set_id {
            let path = quoted(&path.to_string_lossy());
            let text = format!("{path} runs as its owner or group (setuid, setgid), which is now 0:0");
            self.observer.hear(Event::Warning(format!("{created_by}: {text}")));
        }
    }

    /// Makes a layer of a tree, on top of a stage, and its line in the history. A tree with nothing in it makes none.
    pub(crate) fn layer(&self, stage: &mut Stage<'a>, created_by: &str, tree: Tree) -> Result<(), Error> {
        if tree.is_empty() {
            stage.line(self, created_by);
            return Ok(());
        }
        let fingerprint = tree.fingerprint();
        let known = fingerprint.and_then(|fingerprint| self.built.borrow().get(&fingerprint).cloned());
        let built = match known {
            Some(built) => built,
            None => {
                let built = self.build(&stage.platform, stage.draft.layers.len() + 1, created_by, &tree)?;
                if let Some(fingerprint) = fingerprint {
                    self.built.borrow_mut().insert(fingerprint, built.clone());
                }
                built
            }
        };
        let layer = DraftLayer { descriptor: built.descriptor(), diff_id: built.diff_id, source: self.made };
        stage.draft.add_layer(layer, &self.history(created_by, false));
        stage.trees.push(Rc::new(tree));
        Ok(())
    }

    fn build(&self, platform: &Platform, number: usize, created_by: &str, tree: &Tree) -> Result<Built, Error> {
        let about = format!("layer {number} of {platform}: {created_by}");
        let making = Making::start(self.observer, &about, self.bench.location(), tree.size());
        let count = |bytes| making.count(bytes);
        let (content, built) = self
            .bench
            .make(Kind::Blob, |to| layer::build(tree, &self.pack, to, self.cancel, &count))
            .map_err(Error::Store)?;
        making.finish(&content);
        Ok(built)
    }
}

impl std::fmt::Debug for Shop<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shop").field("pack", &self.pack).field("created", &self.created).finish_non_exhaustive()
    }
}
