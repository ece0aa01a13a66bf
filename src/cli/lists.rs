//! `--list` and `--file`: images from lists, for `save` and `pull`.

use barge::image_list::ImageList;
use barge::ops::Error;
use barge::ops::listed::{Found, Lists, find, read};
use barge::transfer::{Event, Observer as _};
use clap::Args;

use super::Session;
use super::write::count;

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Take images from a list: a text file, Kubernetes manifests, a directory of them, a barge.yaml, or - (can be repeated)
    #[arg(long = "list", value_name = "LIST")]
    lists: Vec<String>,
}

impl ListArgs {
    /// Returns whether no list is given.
    pub(crate) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Reads the lists, and looks up what they name; `references` stand beside them on the command line.
    pub(crate) fn find(&self, references: &[String], session: &Session<'_>) -> Result<Found, Error> {
        if self.is_empty() {
            return Ok(Found::default());
        }
        let images = read_lists(&self.lists, session)?;
        let is_stream = |word: &str| word == "-" || word.starts_with("-:") || word.starts_with("-@");
        let mut words = references.iter().chain(images.images().iter().map(|image| &image.text));
        if self.lists.iter().any(|list| list == "-") && words.any(|word| is_stream(word)) {
            return Err(Error::Usage {
                message: "cannot read a list and an archive from standard input".to_owned(),
                hint: Some("give `-` once".to_owned()),
            });
        }
        find(&images, &self.lists, &session.context())
    }
}

/// Reads lists, and tells what of them is not taken.
pub(crate) fn read_lists(lists: &[String], session: &Session<'_>) -> Result<ImageList, Error> {
    let Lists { images, skipped, links } = read(lists, &session.cancel)?;
    for note in images.notes() {
        session.ui.hear(Event::Warning(note));
    }
    if skipped > 0 {
        session.ui.say(&format!("{} skipped: no manifest of Kubernetes", count(skipped, "file")));
    }
    if links > 0 {
        session.ui.say(&format!("{} not followed", count(links, "link")));
    }
    Ok(images)
}
