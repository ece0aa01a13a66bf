//! Layers of what is copied: the same for a line of a recipe and for `--add`.

use super::copy::{self, Beneath};
use super::stage::{Shop, Stage};
use super::{Add, Error, sources};
use crate::layer::Tree;
use crate::recipe::ignore::Ignore;
use crate::recipe::plan::{self, From};

impl<'a> Shop<'_, 'a> {
    /// Makes a layer of what is copied.
    pub(crate) fn files(
        &self,
        stage: &mut Stage<'a>,
        created_by: &str,
        copy: &plan::Copy,
        from: sources::From<'_>,
    ) -> Result<(), Error> {
        let mut tree = Tree::new().cancelled_by(self.cancel);
        self.with(stage, |beneath| copy::copy(&mut tree, copy, from, &self.terms, beneath))?;
        if copy.chown.is_none() && self.terms.owner.is_none() {
            self.warn_of_owners(created_by, &tree);
        }
        self.layer(stage, created_by, tree)
    }

    /// Lends out what a step sees of the image that it adds to.
    pub(crate) fn with<T>(
        &self,
        stage: &Stage<'a>,
        work: impl FnOnce(&Beneath<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let below = self.below(stage)?;
        let accounts = |path: &str| self.accounts(stage, path);
        work(&Beneath { standing: &|path| below.standing(path), accounts: &accounts })
    }

    /// Adds something without a recipe.
    pub(crate) fn add(&self, stage: &mut Stage<'a>, add: &Add) -> Result<(), Error> {
        let copy = plan::Copy {
            from: From::Context,
            sources: vec![add.path.clone()],
            inline: Vec::new(),
            destination: add.to.clone(),
            chown: None,
            chmod: None,
            parents: false,
            excludes: Ignore::default(),
            unpack: true,
        };
        let nothing = Ignore::default();
        let from = sources::From::Context { context: &add.context, ignore: &nothing, ignore_file: "" };
        self.files(stage, &format!("ADD {}", add.to), &copy, from)
    }
}
