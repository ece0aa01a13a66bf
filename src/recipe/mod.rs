//! Recipes: what a Containerfile, a Dockerfile or a Kubefile says, and what that means for an image.
//!
//! A [`Recipe`] is what the file says, [`evaluate()`] makes of it what is to be done for one platform, and [`mod@config`]
//! carries out what needs no files. Nothing here reads a file, and nothing is ever run: RUN is understood and refused.
//!
//! The words are those of docker's reference ("Dockerfile reference", with BuildKit's Dockerfile frontend 1.20 where the
//! reference is silent), and a Kubefile is one with sealer's habits: `${ARCH}` is known, and several CMD are kept in
//! order. The crate `parse-dockerfile` was tried for the reading: it takes the here-document of `RUN python3 <<EOF` for
//! instructions, so that the complaint names a wrong line, and keeps neither a shell command's joined lines nor the
//! extent of an instruction.

pub mod asked;
pub mod config;
mod duration;
mod evaluate;
mod expand;
mod fault;
pub mod ignore;
mod instruction;
mod lines;
mod parse;
pub(crate) mod path;
pub mod pattern;
pub mod plan;
mod ports;
mod steps;
mod variables;
mod words;

pub use evaluate::{bases, evaluate};
pub use fault::{RecipeError, Warning};
pub use instruction::{Action, Command, Healthcheck, Inline, Instruction, Sources};
pub use variables::Variables;

use fault::Fault;
use parse::Said;

use crate::text::quoted;

/// The most stages in a file.
const MOST_STAGES: usize = 100;

/// Whose words a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// docker's: Containerfile and Dockerfile.
    Containerfile,
    /// sealer's: CMDS and KUBEVERSION are known too, and several CMD add up.
    Kubefile,
}

/// A file that says how an image is made.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The name of the file, for messages.
    pub name: String,
    /// Whose words it is written in.
    pub dialect: Dialect,
    /// ARG above the first FROM.
    pub global: Vec<Instruction>,
    /// The stages, in order.
    pub stages: Vec<Stage>,
    /// What may be meant otherwise.
    pub warnings: Vec<Warning>,
    /// The character that escapes others: `\\`, unless the file says otherwise.
    pub escape: char,
}

/// From one FROM to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What it starts from.
    pub from: From,
    /// What follows.
    pub instructions: Vec<Instruction>,
}

/// FROM, nothing filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    /// The line, from 1.
    pub line: usize,
    /// The image, the stage, or `scratch`.
    pub image: String,
    /// `AS`, in small letters.
    pub name: Option<String>,
    /// `--platform`.
    pub platform: Option<String>,
}

impl Recipe {
    /// Reads a file; `name` stands for it in messages.
    ///
    /// # Errors
    /// When it is too large, is no text, or a line is not what the dialect knows.
    pub fn parse(name: &str, text: &[u8], dialect: Dialect) -> Result<Self, RecipeError> {
        read(name, text, dialect).map_err(|fault| fault.in_file(name))
    }

    /// Returns a recipe of one stage without instructions, on top of an image: its line is 0, because there is no file.
    #[must_use]
    pub fn only(image: &str) -> Self {
        let image = image.replace('\\', "\\\\").replace('$', "\\$");
        let from = From { line: 0, image, name: None, platform: None };
        Self {
            name: "--from".to_owned(),
            dialect: Dialect::Containerfile,
            global: Vec::new(),
            stages: vec![Stage { from, instructions: Vec::new() }],
            warnings: Vec::new(),
            escape: '\\',
        }
    }

    /// Returns the number of a stage, counted from 0; without a name, of the last one.
    ///
    /// # Errors
    /// When no stage has this name or number.
    pub fn stage(&self, target: Option<&str>) -> Result<usize, RecipeError> {
        let last = self.stages.len().saturating_sub(1);
        let Some(target) = target else { return Ok(last) };
        if let Some(found) = self.find(target, self.stages.len()) {
            return Ok(found);
        }
        let names = self.stages.iter().filter_map(|stage| stage.from.name.as_deref());
        let fault = Fault::absent(format!("it has no stage {}", quoted(target)));
        Err(fault.nearest(target, names).in_file(&self.name))
    }

    /// Looks among the first stages for one with this name, or this number.
    fn find(&self, word: &str, before: usize) -> Option<usize> {
        let named = |stage: &Stage| stage.from.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(word));
        let stages = self.stages.get(..before)?;
        stages.iter().position(named).or_else(|| word.parse().ok().filter(|at| *at < before))
    }
}

fn read(name: &str, text: &[u8], dialect: Dialect) -> Result<Recipe, Fault> {
    let lines = lines::cut(text)?;
    let mut recipe = Recipe {
        name: name.to_owned(),
        dialect,
        global: Vec::new(),
        stages: Vec::new(),
        warnings: Vec::new(),
        escape: lines.escape,
    };
    for line in &lines.instructions {
        let said = parse::line(&lines, line, dialect, &mut recipe.warnings).map_err(|fault| fault.at(line.number))?;
        recipe.take(said).map_err(|fault| fault.at(line.number))?;
    }
    if recipe.stages.is_empty() {
        return Err(Fault::new("it has no FROM").hint("start with FROM and an image, or with FROM scratch"));
    }
    Ok(recipe)
}

impl Recipe {
    fn take(&mut self, said: Said) -> Result<(), Fault> {
        match said {
            Said::From(from) => {
                if self.stages.len() == MOST_STAGES {
                    return Err(Fault::new(format!("more than {MOST_STAGES} stages stand in one file")));
                }
                let other = self.stages.iter().find(|other| from.name.is_some() && other.from.name == from.name);
                if let (Some(other), Some(name)) = (other, &from.name) {
                    let line = other.from.line;
                    return Err(Fault::new(format!("the stage of line {line} has the name {} too", quoted(name))));
                }
                self.stages.push(Stage { from, instructions: Vec::new() });
            }
            Said::Instruction(instruction) => match self.stages.last_mut() {
                Some(stage) => stage.instructions.push(instruction),
                None if matches!(instruction.action, Action::Arg(_)) => self.global.push(instruction),
                None => {
                    let name = &instruction.name;
                    return Err(Fault::new(format!("{name} comes before FROM, expected FROM or ARG")));
                }
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
