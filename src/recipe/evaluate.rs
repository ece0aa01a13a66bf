//! Evaluation: from what a recipe says to what is to be done for one platform.
//!
//! What a line means depends on the images that stages start from: their variables, working directory, shell and ONBUILD.
//! Nothing is read here, so the caller asks [`bases`] which images it needs to know of, reads them, and asks again until
//! none is left (ONBUILD may bring in further stages); then [`evaluate`] can answer.

use std::collections::{BTreeMap, BTreeSet};

use super::expand::{self, Budget, Syntax};
use super::fault::{Fault, RecipeError, Warning};
use super::instruction::{Action, Instruction};
use super::parse::{self, Said};
use super::plan::{Base, BaseImage, Bases, From, Inherited, Plan, PlannedStage, Request};
use super::steps::Scope;
use super::variables::{self, PROXIES, Variables};
use super::{Recipe, config, lines};
use crate::platform::Platform;
use crate::text::{escaped, quoted};

/// The most ONBUILD instructions that an image may bring.
const MOST_TRIGGERS: usize = 1000;

/// Returns the images that have to be known before [`evaluate`] can answer and are not yet, each with the line that names
/// it. When it returns none, all are known.
///
/// # Errors
/// When the target is no stage, or what stages start from cannot be filled in.
pub fn bases(recipe: &Recipe, request: &Request<'_>, known: &Bases) -> Result<Vec<(usize, BaseImage)>, RecipeError> {
    let frame = Frame::new(recipe, request)?;
    let outline = frame.outline(known).map_err(|fault| fault.in_file(&recipe.name))?;
    let mut unknown: Vec<(usize, BaseImage)> = Vec::new();
    for (number, start) in &outline {
        let Some(image) = start.image().filter(|image| !known.contains_key(image)) else { continue };
        if !unknown.iter().any(|(_, other)| *other == image) {
            unknown.push((recipe.stages[*number].from.line, image));
        }
    }
    Ok(unknown)
}

/// Returns what is to be done for one platform. Of an image that is not among the known ones, nothing is inherited.
///
/// # Errors
/// When the target is no stage, something cannot be filled in, or a stage that is needed asks for what cannot be done: RUN
/// first of all.
pub fn evaluate(recipe: &Recipe, request: &Request<'_>, known: &Bases) -> Result<Plan, RecipeError> {
    let frame = Frame::new(recipe, request)?;
    frame.evaluate(known).map_err(|fault| fault.in_file(&recipe.name))
}

/// What a stage starts from, filled in.
struct Start {
    base: Base,
    platform: Platform,
    /// What ONBUILD brings, before its own instructions.
    triggers: Vec<Instruction>,
}

impl Start {
    fn image(&self) -> Option<BaseImage> {
        match &self.base {
            Base::Image(word) => Some(BaseImage { word: word.clone(), platform: self.platform.clone() }),
            _ => None,
        }
    }
}

/// What holds for all stages.
struct Frame<'a> {
    recipe: &'a Recipe,
    request: &'a Request<'a>,
    target: usize,
    build_args: BTreeMap<&'a str, &'a str>,
    global: Variables,
    budget: Budget,
    warnings: Vec<Warning>,
}

impl<'a> Frame<'a> {
    fn new(recipe: &'a Recipe, request: &'a Request<'a>) -> Result<Self, RecipeError> {
        let target = recipe.stage(request.target)?;
        let build_args = request.build_args.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut frame = Self {
            recipe,
            request,
            target,
            build_args,
            global: Variables::default(),
            budget: Budget::new(),
            warnings: recipe.warnings.clone(),
        };
        frame.read_global().map_err(|fault| fault.in_file(&recipe.name))?;
        Ok(frame)
    }

    const fn syntax(&self) -> Syntax {
        Syntax { escape: self.recipe.escape, quotes: true }
    }

    /// Works off what stands above the first FROM.
    fn read_global(&mut self) -> Result<(), Fault> {
        let stage = self.recipe.stages.get(self.target).and_then(|stage| stage.from.name.as_deref());
        let stage = self.request.target.or(stage).unwrap_or("default");
        for (name, value) in variables::predefined(self.request.platform, self.request.build_platform, stage) {
            let given = self.build_args.get(name.as_str()).copied();
            self.global.set_argument(&name, given.unwrap_or(&value));
        }
        if !self.defines("ARCH") {
            self.global.set_architecture(&self.request.platform.normalized().architecture);
        }
        for instruction in &self.recipe.global {
            let Action::Arg(arguments) = &instruction.action else { continue };
            for (name, default) in arguments {
                let value = match (self.build_args.get(name.as_str()), default) {
                    (Some(given), _) => Some((*given).to_owned()),
                    (None, Some(default)) => Some(self.fill(default, instruction.line)?),
                    (None, None) => None,
                };
                if let Some(value) = value {
                    self.global.set_argument(name, &value);
                }
            }
        }
        self.warn_of_unused();
        Ok(())
    }

    fn instructions(&self) -> impl Iterator<Item = &'a Instruction> {
        let stages = self.recipe.stages.iter().flat_map(|stage| &stage.instructions);
        self.recipe.global.iter().chain(stages)
    }

    /// Returns whether the file itself makes a variable, by ARG or ENV.
    fn defines(&self, name: &str) -> bool {
        self.instructions().any(|instruction| match &instruction.action {
            Action::Arg(arguments) => arguments.iter().any(|(other, _)| other == name),
            Action::Env(pairs) => pairs.iter().any(|(other, _)| other == name),
            _ => false,
        })
    }

    fn warn_of_unused(&mut self) {
        let mut declared: BTreeSet<String> = self.global.names().map(str::to_owned).collect();
        for instruction in self.instructions() {
            if let Action::Arg(arguments) = &instruction.action {
                declared.extend(arguments.iter().map(|(name, _)| name.clone()));
            }
        }
        for name in self.build_args.keys() {
            if declared.contains(*name) || PROXIES.contains(&name.to_ascii_uppercase().as_str()) {
                continue;
            }
            let near = crate::text::nearest(name, declared.iter().map(String::as_str));
            let hint = near.map(|near| format!("; did you mean {}?", escaped(near))).unwrap_or_default();
            let message = format!("no ARG takes the value of --build-arg {}{hint}", escaped(name));
            self.warnings.push(Warning { line: None, message });
        }
    }

    /// Fills in with what is known above the first FROM.
    fn fill(&mut self, text: &str, line: usize) -> Result<String, Fault> {
        let filled = expand::expand(text, self.syntax(), &self.global, &self.budget).map_err(|fault| fault.at(line))?;
        for name in &filled.unknown {
            let message = format!("${} has no value above the first FROM, and is left empty", escaped(name));
            self.warnings.push(Warning { line: Some(line), message });
        }
        Ok(filled.text)
    }

    /// Finds the stages that are needed, and what they start from.
    fn outline(mut self, known: &Bases) -> Result<BTreeMap<usize, Start>, Fault> {
        self.starts(known)
    }

    fn starts(&mut self, known: &Bases) -> Result<BTreeMap<usize, Start>, Fault> {
        let mut starts: BTreeMap<usize, Start> = BTreeMap::new();
        // a stage needs earlier ones only, so the highest open number is never asked for again
        let mut open = BTreeSet::from([self.target]);
        while let Some(number) = open.pop_last() {
            let start = self.start(number, known).map_err(|fault| fault.at(self.recipe.stages[number].from.line))?;
            if let Base::Stage(base) = start.base {
                open.insert(base);
            }
            for instruction in start.triggers.iter().chain(&self.recipe.stages[number].instructions) {
                if let Action::Copy(sources) = &instruction.action {
                    let from = self.source(sources.from.as_deref(), number);
                    if let From::Stage(other) = from.map_err(|fault| fault.at(instruction.line))? {
                        open.insert(other);
                    }
                }
            }
            starts.insert(number, start);
        }
        // a stage that starts from another one is for the same platform
        for number in starts.keys().copied().collect::<Vec<_>>() {
            let base = starts.get(&number).and_then(|start| match start.base {
                Base::Stage(base) => starts.get(&base).map(|base| base.platform.clone()),
                _ => None,
            });
            if let (Some(platform), Some(start)) = (base, starts.get_mut(&number)) {
                start.platform = platform;
            }
        }
        Ok(starts)
    }

    fn start(&mut self, number: usize, known: &Bases) -> Result<Start, Fault> {
        let from = &self.recipe.stages[number].from;
        let word = self.fill(&from.image, from.line)?;
        if word.trim().is_empty() {
            let message = format!("FROM {} names no image once it is filled in", quoted(&from.image));
            return Err(Fault::new(message).hint("give its variables a value: ARG NAME=VALUE above the first FROM"));
        }
        let mut platform = self.request.platform.clone();
        if let Some(text) = &from.platform {
            let filled = self.fill(text, from.line)?;
            platform = filled.parse().map_err(|error: crate::platform::PlatformError| {
                let fault = Fault::new(format!("--platform={}: {error}", escaped(&filled)));
                error.hint().into_iter().fold(fault, Fault::hint)
            })?;
        }
        let named = self.recipe.stages[..number].iter();
        let named = named.map(|stage| stage.from.name.as_deref());
        let earlier = named.into_iter().position(|name| name.is_some_and(|name| name.eq_ignore_ascii_case(&word)));
        let base = match earlier {
            Some(stage) => Base::Stage(stage),
            None if word == "scratch" => Base::Scratch,
            None => Base::Image(word),
        };
        if base == Base::Scratch {
            platform = self.request.platform.clone(); // nothing has any platform, so it is the one asked for
        }
        let mut start = Start { base, platform, triggers: Vec::new() };
        start.triggers = self.triggers(&start, from.line, known)?;
        Ok(start)
    }

    /// Reads the instructions that ONBUILD of the base brings.
    fn triggers(&mut self, start: &Start, line: usize, known: &Bases) -> Result<Vec<Instruction>, Fault> {
        let texts: Vec<&str> = match (&start.base, start.image().and_then(|image| known.get(&image))) {
            (Base::Stage(stage), _) => {
                let instructions = self.recipe.stages[*stage].instructions.iter();
                let text = |it: &'a Instruction| match &it.action {
                    Action::OnBuild(text) => Some(text.as_str()),
                    _ => None,
                };
                instructions.filter_map(text).collect()
            }
            (_, Some(inherited)) => inherited.on_build.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        if texts.len() > MOST_TRIGGERS {
            return Err(Fault::new(format!("its image brings more than {MOST_TRIGGERS} ONBUILD instructions")));
        }
        let read = |text: &str| {
            let fault = || Fault::new(format!("ONBUILD {} of its image is not one instruction", quoted(text)));
            let cut = lines::cut(text.as_bytes()).map_err(|_| fault())?;
            let [only] = &cut.instructions[..] else { return Err(fault()) };
            let said = parse::line(&cut, only, self.recipe.dialect, &mut Vec::new());
            match said.map_err(|fault| fault.again(line))? {
                Said::Instruction(instruction) => Ok(Instruction { line, ..instruction }),
                Said::From(_) => Err(fault()),
            }
        };
        texts.into_iter().map(read).collect()
    }

    /// Understands `--from`.
    fn source(&self, word: Option<&str>, number: usize) -> Result<From, Fault> {
        let Some(word) = word else { return Ok(From::Context) };
        if word.contains('$') {
            return Err(Fault::unsupported(format!("--from={} holds a variable, expected a name", escaped(word)))
                .hint("write FROM with the variable and AS NAME above, and --from=NAME here"));
        }
        if let Some(stage) = self.recipe.find(word, number) {
            return Ok(From::Stage(stage));
        }
        match self.recipe.find(word, self.recipe.stages.len()) {
            Some(stage) if stage == number => Err(Fault::new(format!("--from={} is this very stage", escaped(word)))),
            Some(stage) => Err(Fault::new(format!(
                "--from={} is the stage of line {}, expected one above this line",
                escaped(word),
                self.recipe.stages[stage].from.line
            ))),
            None if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                Err(Fault::new(format!("--from={} is no stage, expected a number below {number}", escaped(word))))
            }
            None => Ok(From::Reference(word.to_owned())),
        }
    }

    fn evaluate(mut self, known: &Bases) -> Result<Plan, Fault> {
        let starts = self.starts(known)?;
        let mut ends: BTreeMap<usize, Inside> = BTreeMap::new();
        let mut stages = Vec::new();
        for (number, start) in starts {
            let stage = &self.recipe.stages[number];
            let inside = match (&start.base, start.image().and_then(|image| known.get(&image))) {
                (Base::Stage(base), _) => ends.get(base).cloned().unwrap_or_default(),
                (_, Some(inherited)) => Inside::new(inherited),
                (Base::Scratch, _) => Inside::new(&Inherited::from_config(&config::scratch(&start.platform))),
                _ => Inside::default(),
            };
            let mut scope = Scope {
                recipe: self.recipe,
                global: &self.global,
                build_args: &self.build_args,
                budget: &self.budget,
                warnings: Vec::new(),
                windows: start.platform.os == "windows",
                inside,
                has_cmd: false,
                steps: Vec::new(),
            };
            if let Some(architecture) = self.global.architecture() {
                scope.inside.variables.set_architecture(architecture);
            }
            let at = |fault: Fault| fault.at(stage.from.line);
            self.budget.spend(scope.inside.variables.size()).map_err(at)?;
            for instruction in start.triggers.iter().chain(&stage.instructions) {
                let from = match &instruction.action {
                    Action::Copy(sources) => self.source(sources.from.as_deref(), number),
                    _ => Ok(From::Context),
                };
                let taken = from.and_then(|from| scope.take(instruction, from));
                taken.map_err(|fault| fault.at(instruction.line))?;
            }
            let Scope { inside, steps, warnings, .. } = scope;
            self.warnings.extend(warnings);
            ends.insert(number, inside);
            stages.push(PlannedStage {
                number,
                name: stage.from.name.clone(),
                line: stage.from.line,
                base: start.base,
                platform: start.platform,
                steps,
            });
        }
        Ok(Plan { stages, warnings: self.warnings })
    }
}

/// What one line of a stage leaves to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Inside {
    pub(super) variables: Variables,
    pub(super) working_dir: String,
    pub(super) shell: Vec<String>,
}

impl Inside {
    fn new(inherited: &Inherited) -> Self {
        let mut variables = Variables::default();
        for (name, value) in inherited.environment.iter().filter_map(|pair| pair.split_once('=')) {
            variables.set_environment(name, value);
        }
        Self { variables, working_dir: inherited.working_dir.clone(), shell: inherited.shell.clone() }
    }
}
