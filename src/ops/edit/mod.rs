//! `edit`: an image that exists gets another environment, command, base or the like, for every platform or for some.
//!
//! A change means what the instruction of a recipe means, and leaves the same line in the history. Layers keep their bytes, unless they are
//! asked to become one.

mod files;
mod rebase;
mod squash;

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

pub use self::files::{FileOptions, files};
pub use self::rebase::{Base, rebase};
use super::Error;
use super::draft::moment;
use super::rework::{Image, Rework};
use crate::platform::{self, Platform};
use crate::recipe::config::{self, HistoryEntry};
use crate::recipe::plan::Change;
use crate::text::escaped;

/// What a line of the history that an edit has made says in its comment.
const COMMENT: &str = "barge edit";

/// What is to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditOptions {
    /// What instructions of a recipe would change, each with its line for the history.
    pub changes: Vec<(String, Change)>,
    /// Variables that go.
    pub remove_env: Vec<String>,
    /// Labels that go.
    pub remove_labels: Vec<String>,
    /// Annotations of each manifest, and of the index when all of it changes; those without a value go.
    pub annotations: BTreeMap<String, Option<String>>,
    /// The platform that it is for.
    pub platform: Option<Platform>,
    /// When it was made, in seconds since 1970. Else it says what it said.
    pub created: Option<i64>,
}

impl EditOptions {
    /// Returns whether nothing is to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Changes every image that may change, and returns what a person should know.
///
/// # Errors
/// When a change cannot be meant, or several images would be for one platform.
pub fn edit(rework: &mut Rework<'_>, options: &EditOptions) -> Result<Vec<String>, Error> {
    if let Some(platform) = &options.platform {
        let there: Vec<Platform> = rework.images().map(|image| image.platform.clone()).collect();
        if there.len() > 1 {
            return Err(Error::Usage {
                message: format!(
                    "cannot make {} images ones for {platform}: they are for {}",
                    there.len(),
                    platform::list(&there)
                ),
                hint: Some("say which one with --platform".to_owned()),
            });
        }
    }
    let created = options.created.map(moment::written).transpose()?;
    let mut removed = HashSet::new();
    for image in rework.images_mut() {
        change(image, options, created.as_deref(), &mut removed);
    }
    if rework.is_whole() {
        for (name, value) in &options.annotations {
            rework.annotate_index(name, value.as_deref());
        }
    }
    let asked = options.remove_env.iter().map(|name| ("variable", name));
    let asked = asked.chain(options.remove_labels.iter().map(|name| ("label", name)));
    let absent = asked.filter(|(what, name)| !removed.contains(&format!("{what} {name}")));
    Ok(absent.map(|(what, name)| format!("no {what} {} is there to remove", escaped(name))).collect())
}

fn change(image: &mut Image<'_>, options: &EditOptions, created: Option<&str>, removed: &mut HashSet<String>) {
    if let Some(platform) = &options.platform {
        // its config may say another one than the index does
        let says = [image.platform.key(), image.draft.platform().key()];
        if says.iter().any(|says| *says != platform.key()) {
            image.set_platform(platform);
        }
    }
    if let Some(created) = created {
        config::set_created(&mut image.draft.config, created);
    }
    for name in &options.remove_env {
        let was_there = config::unset_variable(&mut image.draft.config, name);
        removed.extend(was_there.then(|| format!("variable {name}")));
    }
    for name in &options.remove_labels {
        let was_there = config::unset_label(&mut image.draft.config, name);
        removed.extend(was_there.then(|| format!("label {name}")));
    }
    for (name, value) in &options.annotations {
        match value {
            Some(value) => drop(image.draft.annotations.insert(name.clone(), value.clone())),
            None => drop(image.draft.annotations.remove(name)),
        }
    }
    for (line, change) in &options.changes {
        carry_out(image, line, change);
    }
}

/// Carries out what one instruction says. One that says what is so already leaves no trace.
fn carry_out(image: &mut Image<'_>, line: &str, change: &Change) {
    let before = image.draft.config.clone();
    config::apply(&mut image.draft.config, change);
    if image.draft.config == before {
        return;
    }
    // no clock: the moment that the image says
    let created = image.draft.config.get("created").and_then(Value::as_str).map(str::to_owned);
    image.draft.add_line(&HistoryEntry {
        created,
        created_by: line.to_owned(),
        comment: Some(COMMENT.to_owned()),
        empty_layer: true,
    });
}
