//! Everything that is decided before anything is made: which images are meant, and what is to be done for each platform.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::Error;
use crate::json;
use crate::ops::choose::{Chosen, choose_image};
use crate::ops::lookup::{name_of, select};
use crate::ops::open::{Context, Opened, open};
use crate::platform::{Platform, PlatformFilter};
use crate::recipe::plan::{Base, BaseImage, Bases, From, Inherited, Plan, Request, Work};
use crate::recipe::{Recipe, evaluate};
use crate::reference::ImageName;
use crate::store::{Source as _, StoreError, read_small};
use crate::text::{escaped, quoted};
use crate::transfer::Event;

/// How many rounds of ONBUILD are looked at: each may bring further images.
const MOST_ROUNDS: usize = 16;

/// What a recipe is evaluated with.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// The platforms, each once.
    pub platforms: &'a [Platform],
    /// The stage that is wanted; else the last one.
    pub target: Option<&'a str>,
    /// `--build-arg`: names and values.
    pub build_args: &'a [(String, String)],
    /// Whether a name that no place here has is looked for in its registry.
    pub online: bool,
}

/// An image that a stage starts from or copies from.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) image: Chosen,
    /// The name that the new image says it is based on, when it has one that means the same everywhere.
    pub(super) name: Option<String>,
}

/// What is to be done, all of it known to be possible but for the files.
#[derive(Debug)]
pub struct Prepared {
    pub(super) file: String,
    pub(super) plans: Vec<(Platform, Plan)>,
    opened: BTreeMap<String, Opened>,
    found: BTreeMap<BaseImage, Found>,
}

impl Prepared {
    /// Returns the stores that images come from.
    pub fn stores(&self) -> impl Iterator<Item = &crate::ops::open::Store> {
        self.opened.values().map(|opened| &opened.store)
    }

    /// Returns an image that was looked up, and where it is.
    pub(super) fn image(&self, word: &str, platform: &Platform) -> Option<(&Opened, &Found)> {
        let key = BaseImage { word: word.to_owned(), platform: platform.clone() };
        self.opened.get(word).zip(self.found.get(&key))
    }
}

/// Reads what a recipe needs to know of images, and evaluates it for every platform. Nothing is written.
///
/// # Errors
/// When an image is not there or not for the platform, or the recipe asks for what cannot be done.
pub fn prepare(asked: &Asked<'_>, context: &Context<'_>) -> Result<Prepared, Error> {
    let mut finding = Finding { asked, context, opened: BTreeMap::new(), found: BTreeMap::new(), known: Bases::new() };
    let mut plans = Vec::new();
    let mut warned = Vec::new();
    let local = Platform::local();
    for platform in asked.platforms {
        let Asked { target, build_args, .. } = *asked;
        let request = Request { target, platform, build_platform: &local, build_args };
        finding.bases(&request)?;
        let plan = evaluate(asked.recipe, &request, &finding.known)?;
        finding.references(&plan, platform)?;
        refuse_another_platform(asked.recipe, &plan, platform)?;
        for warning in &plan.warnings {
            if !warned.contains(warning) {
                warned.push(warning.clone());
            }
        }
        plans.push((platform.clone(), plan));
    }
    let file = escaped(&asked.recipe.name);
    for warning in warned {
        let line = warning.line.map(|line| format!("line {line} of ")).unwrap_or_default();
        context.observer.hear(Event::Warning(format!("{line}{file}: {}", warning.message)));
    }
    let Finding { opened, found, .. } = finding;
    Ok(Prepared { file, plans, opened, found })
}

/// Refuses a last stage for another platform than the image is to be for: its place in the index would be a lie.
fn refuse_another_platform(recipe: &Recipe, plan: &Plan, platform: &Platform) -> Result<(), Error> {
    let Some(last) = plan.stages.last().filter(|last| last.platform.key() != platform.key()) else { return Ok(()) };
    Err(Error::Line {
        file: escaped(&recipe.name),
        line: last.line,
        what: "FROM".to_owned(),
        error: Box::new(Error::Unsupported {
            message: format!("the image would be for {}, and {platform} is asked for", last.platform),
            cause: None,
            hint: Some(
                "leave out --platform of the last stage, or copy from that stage into one that is FROM scratch"
                    .to_owned(),
            ),
        }),
    })
}

struct Finding<'a> {
    asked: &'a Asked<'a>,
    context: &'a Context<'a>,
    opened: BTreeMap<String, Opened>,
    found: BTreeMap<BaseImage, Found>,
    known: Bases,
}

impl Finding<'_> {
    /// Finds what stages start from, until nothing is unknown.
    fn bases(&mut self, request: &Request<'_>) -> Result<(), Error> {
        for _ in 0..MOST_ROUNDS {
            let unknown = crate::recipe::bases(self.asked.recipe, request, &self.known)?;
            if unknown.is_empty() {
                break;
            }
            for (line, image) in unknown {
                let what = self.of_platform(format!("FROM {}", escaped(&image.word)), &image.platform);
                let found = self.find(&image).map_err(|error| self.at(line, what, error))?;
                self.known.insert(image, found);
            }
        }
        Ok(())
    }

    /// Finds what COPY takes from.
    fn references(&mut self, plan: &Plan, platform: &Platform) -> Result<(), Error> {
        for step in plan.stages.iter().flat_map(|stage| &stage.steps) {
            if let Work::Files(copy) = &step.work
                && let From::Reference(word) = &copy.from
            {
                let image = BaseImage { word: word.clone(), platform: platform.clone() };
                let what = self.of_platform(format!("COPY --from={}", escaped(word)), platform);
                self.find(&image).map_err(|error| self.at(step.line, what, error))?;
            }
        }
        Ok(())
    }

    /// Says for which platform something was wanted, where there are several.
    fn of_platform(&self, what: String, platform: &Platform) -> String {
        if self.asked.platforms.len() == 1 { what } else { format!("{what} (for {platform})") }
    }

    fn at(&self, line: usize, what: String, error: Error) -> Error {
        if line == 0 {
            return error; // there is no file
        }
        Error::Line { file: escaped(&self.asked.recipe.name), line, what, error: Box::new(error) }
    }

    fn find(&mut self, base: &BaseImage) -> Result<Inherited, Error> {
        if !self.opened.contains_key(&base.word) {
            let opened = self.open(&base.word)?;
            self.opened.insert(base.word.clone(), opened);
        }
        let opened = &self.opened[&base.word];
        let wanted = PlatformFilter::Only(vec![base.platform.clone()]);
        let image = choose_image(&opened.store, opened.selector.as_ref(), &wanted)?;
        let config = config_of(opened, &image)?;
        let name = base_name(&base.word, &image);
        self.found.insert(base.clone(), Found { image, name });
        Ok(Inherited::from_config(&config))
    }

    /// Opens what a word means: never a registry, unless it says `docker://` or the user wants it. A name that the current
    /// layout has is that image, whatever directories happen to lie where the command was started.
    fn open(&self, word: &str) -> Result<Opened, Error> {
        let is_name = ImageName::parse(word).is_ok();
        if is_name && self.context.layout.is_some_and(Path::exists) {
            let named = open(&format!(":{word}"), self.context)?;
            match select(&named.store, named.selector.as_ref()) {
                Ok(_) => return Ok(Opened { label: escaped(word), ..named }),
                Err(Error::Absent { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        match open(word, self.context) {
            Err(Error::Absent { .. }) if is_name && self.asked.online => {
                open(&format!("docker://{word}"), self.context)
            }
            // what was mistyped is told as ever; else it is an image that is meant, and there are several ways to give one
            Err(Error::Absent { message, cause, hint })
                if is_name && hint.as_deref().is_none_or(is_about_registries) =>
            {
                let shown = escaped(word);
                let hint = format!(
                    "give the layout that has it with -L DIR, write a place before it (DIR:{shown}), or docker://{shown} for its registry, or look in registries with --online"
                );
                Err(Error::Absent { message, cause, hint: Some(hint) })
            }
            opened => opened,
        }
    }
}

fn is_about_registries(hint: &str) -> bool {
    hint.contains("docker://")
}

fn config_of(opened: &Opened, image: &Chosen) -> Result<Value, Error> {
    let manifest = image.manifest(&opened.store)?;
    let place = opened.store.location();
    let Some(config) = manifest.image_config().filter(|_| manifest.has_file_system()) else {
        let what = image.descriptor.digest().to_string();
        return Err(StoreError::malformed(what, place, "it is an artifact, not an image with a file system").into());
    };
    let raw = read_small(&opened.store, &config.content())?;
    Ok(json::parse(&raw).map_err(|error| StoreError::malformed(config.digest().to_string(), place, error))?)
}

/// Returns the name of a base: the word, where it is a name and no path of this machine, else what its place calls it.
fn base_name(word: &str, image: &Chosen) -> Option<String> {
    let named = |text: &str| ImageName::parse(text).ok().map(|name| name.with_default_tag().to_string());
    let known = image.name.as_deref().or_else(|| name_of(&image.descriptor));
    match word.strip_prefix("docker://") {
        Some(name) => named(name),
        // a tag alone says nothing of where it is
        None => known.filter(|name| name.contains(['/', ':'])).and_then(named),
    }
}

/// Says which stage a word of a plan means, for messages.
pub(super) fn describe(base: &Base) -> String {
    match base {
        Base::Scratch => "scratch".to_owned(),
        Base::Stage(number) => format!("stage {number}"),
        Base::Image(word) => quoted(word),
    }
}
