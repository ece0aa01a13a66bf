//! Stages, step by step: what was planned becomes drafts with layers.

use std::collections::BTreeMap;

use super::prepare::{Prepared, describe};
use super::sources;
use super::stage::{Shop, Stage};
use super::work_dir::work_dir;
use super::{BuildOptions, Error, Inputs};
use crate::layer::Tree;
use crate::ops::draft::{BASE_DIGEST, BASE_NAME, Draft, Form, moment};
use crate::ops::open::Context;
use crate::ops::rootfs::{Picking, layers_of};
use crate::ops::target::{Made, Target};
use crate::platform::Platform;
use crate::recipe::config;
use crate::recipe::plan::{self, Base, Change, From, PlannedStage, Step, Work};
use crate::store::StoreError;
use crate::text::escaped;

/// An image that was made: its platform, what it is based on, and the draft of it.
type Image<'a> = (Platform, Option<String>, Draft<'a>);

/// Makes the images of all platforms.
pub(super) fn all<'a>(
    prepared: &'a Prepared,
    inputs: &Inputs<'_>,
    options: &BuildOptions,
    target: &mut Target,
    made: &'a Made,
    context: &Context<'_>,
) -> Result<Vec<Image<'a>>, Error> {
    let bench = target.workbench(made, !options.deliver, context)?;
    let xattrs: Vec<&str> = options.layers.xattrs.iter().map(String::as_str).collect();
    let created = moment::written(options.layers.epoch)?;
    let shop = Shop::new(&bench, made, &options.layers, &xattrs, created, context);
    let nothing = Vec::new();
    let mut images = Vec::new();
    for (at, (platform, plan)) in prepared.plans.iter().enumerate() {
        let run = Run { shop: &shop, prepared, inputs, platform };
        let (base, mut stage) = run.stages(plan)?;
        for add in inputs.adds.get(at).unwrap_or(&nothing) {
            shop.add(&mut stage, add)?;
        }
        for (created_by, change) in inputs.changes {
            run.changes(&mut stage, created_by, std::slice::from_ref(change))?;
        }
        let mut draft = stage.draft;
        config::set_created(&mut draft.config, &shop.created);
        draft.annotations.extend(options.annotations.clone());
        images.push((platform.clone(), base, draft));
    }
    Ok(images)
}

/// The work for one platform.
struct Run<'r, 'a> {
    shop: &'r Shop<'r, 'a>,
    prepared: &'a Prepared,
    inputs: &'r Inputs<'r>,
    platform: &'r Platform,
}

impl<'a> Run<'_, 'a> {
    /// Makes the stages of a plan, and returns the last one with what it is based on.
    fn stages(&self, plan: &plan::Plan) -> Result<(Option<String>, Stage<'a>), Error> {
        let mut stages: BTreeMap<usize, Stage<'a>> = BTreeMap::new();
        let mut last = (None, Stage::over(Draft::scratch(self.platform), self.platform));
        for planned in &plan.stages {
            let what = match &planned.base {
                Base::Image(word) => format!("FROM {word}"),
                _ => "FROM".to_owned(),
            };
            let mut stage = self.start(planned, &stages).map_err(|error| self.at(planned.line, &what, error))?;
            for step in &planned.steps {
                if self.shop.cancel.is_cancelled() {
                    return Err(StoreError::Cancelled.into());
                }
                self.step(&mut stage, step, &stages).map_err(|error| self.at(step.line, &step.created_by, error))?;
            }
            let base = match &planned.base {
                Base::Image(word) => Some(word.clone()),
                _ => None,
            };
            last = (base, stage.clone());
            stages.insert(planned.number, stage);
        }
        Ok(last)
    }

    /// Says at which line something failed; what a user asked for himself needs no place.
    fn at(&self, line: usize, what: &str, error: Error) -> Error {
        match error {
            Error::Store(StoreError::Cancelled) => error,
            error if line == 0 => error, // there is no file
            error => {
                let file = self.prepared.file.clone();
                let what = match self.prepared.plans.len() {
                    1 => escaped(what),
                    _ => format!("{} (for {})", escaped(what), self.platform),
                };
                Error::Line { file, line, what, error: Box::new(error) }
            }
        }
    }

    /// Starts a stage from what stands after FROM.
    fn start(&self, planned: &PlannedStage, stages: &BTreeMap<usize, Stage<'a>>) -> Result<Stage<'a>, Error> {
        let word = match &planned.base {
            Base::Scratch => return Ok(Stage::over(Draft::scratch(&planned.platform), &planned.platform)),
            Base::Stage(number) => {
                // a plan has the stages in an order in which each finds those that it needs
                let mut stage = stages.get(number).cloned().ok_or_else(|| lost(&planned.base))?;
                config::drop_on_build(&mut stage.draft.config);
                return Ok(stage);
            }
            Base::Image(word) => word,
        };
        let (opened, found) = self.prepared.image(word, &planned.platform).ok_or_else(|| lost(&planned.base))?;
        let mut draft = Draft::of_image(&opened.store, &found.image)?;
        draft.form = Form::Oci;
        draft.annotations.clear();
        config::drop_on_build(&mut draft.config);
        draft.annotations.insert(BASE_DIGEST.to_owned(), found.image.descriptor.digest().to_string());
        if let Some(name) = &found.name {
            draft.annotations.insert(BASE_NAME.to_owned(), name.clone());
        }
        Ok(Stage::over(draft, &planned.platform))
    }

    fn step(&self, stage: &mut Stage<'a>, step: &Step, stages: &BTreeMap<usize, Stage<'a>>) -> Result<(), Error> {
        match &step.work {
            Work::Nothing => stage.line(self.shop, &step.created_by),
            Work::Config(changes) => self.changes(stage, &step.created_by, changes)?,
            Work::Files(copy) => {
                let (rootfs, name) = match &copy.from {
                    From::Context => {
                        let Some(context) = self.inputs.context else { return Err(no_context()) };
                        let Inputs { ignore, ignore_name: ignore_file, .. } = *self.inputs;
                        let from = sources::From::Context { context, ignore, ignore_file };
                        return self.shop.files(stage, &step.created_by, copy, from);
                    }
                    From::Stage(number) => {
                        let from = stages.get(number).ok_or_else(|| lost(&Base::Stage(*number)))?;
                        (self.shop.rootfs(from)?, describe(&Base::Stage(*number)))
                    }
                    From::Reference(word) => {
                        let image = self.prepared.image(word, self.platform);
                        let (opened, found) = image.ok_or_else(|| lost(&Base::Image(word.clone())))?;
                        (self.shop.rootfs_of(layers_of(&opened.store, &found.image)?)?, opened.label.clone())
                    }
                };
                let origin = Picking::new(&rootfs, name, self.shop.terms.spool);
                self.shop.files(stage, &step.created_by, copy, sources::From::Image(&origin))?;
            }
        }
        Ok(())
    }

    /// Carries out changes of the config, and their line in the history. A working directory is made where it is absent.
    fn changes(&self, stage: &mut Stage<'a>, created_by: &str, changes: &[Change]) -> Result<(), Error> {
        let mut tree = Tree::new().cancelled_by(self.shop.cancel);
        for change in changes {
            config::apply(&mut stage.draft.config, change);
            if let Change::WorkingDir(path) = change
                && self.platform.os != "windows"
            {
                let user = stage.draft.config["config"]["User"].as_str().map(str::to_owned);
                self.shop.with(stage, |beneath| {
                    work_dir(&mut tree, path, user.as_deref(), &self.shop.terms, beneath).map(drop)
                })?;
            }
        }
        self.shop.layer(stage, created_by, tree)
    }
}

fn no_context() -> Error {
    Error::Unsupported {
        message: "cannot do what ONBUILD of the image asks for".to_owned(),
        cause: Some("it copies from a directory, and there is none without a recipe".to_owned()),
        hint: Some("write a Containerfile that starts FROM the image, and give the directory".to_owned()),
    }
}

/// Says that a plan names what it was not prepared for: it was made by this crate, so nobody sees this.
fn lost(base: &Base) -> Error {
    Error::Absent { message: format!("cannot find {} in the plan", describe(base)), cause: None, hint: None }
}
