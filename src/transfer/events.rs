//! What is told while work goes on, and to whom.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::content::Content;
use crate::store::{Kept, Location, Outcome};

/// What happens while a plan is carried out or content is checked. Observers hear; they do not answer.
///
/// Several runs may go on at once, such as a push to two registries: each tells how much it has to do when it begins, and
/// one end is told when all of them have ended.
#[derive(Debug)]
pub enum Event<'a> {
    /// Work of so many pieces and bytes begins.
    Begun {
        /// How many pieces.
        pieces: u64,
        /// How many bytes in all.
        bytes: u64,
    },
    /// A piece begins.
    Started {
        /// Which.
        content: &'a Content,
        /// What it is, for people.
        about: &'a str,
        /// Where it goes to, or where it is checked.
        place: &'a Location,
    },
    /// Bytes of a piece have passed.
    Advanced {
        /// Which.
        content: &'a Content,
        /// Where: other runs may bring the same to other places.
        place: &'a Location,
        /// How many since the last time.
        bytes: u64,
    },
    /// Bytes of a piece were where they go to before: they are read there, to be checked, or nobody reads them.
    Skipped {
        /// Which.
        content: &'a Content,
        /// Where.
        place: &'a Location,
        /// How many since the last time.
        bytes: u64,
    },
    /// A piece is done. One that needed no work is told of by this alone.
    Finished {
        /// Which.
        content: &'a Content,
        /// What it is, for people.
        about: &'a str,
        /// Where.
        place: &'a Location,
        /// What became of it.
        outcome: Outcome,
    },
    /// Content begins to be made. It has no digest before it is.
    Making {
        /// What it is to be, for people: no other is made under the same words at the same time.
        about: &'a str,
        /// Where.
        place: &'a Location,
        /// How many bytes will be read for it.
        bytes: u64,
    },
    /// Bytes have been read for content that is made.
    MakingAdvanced {
        /// What it is to be.
        about: &'a str,
        /// Where.
        place: &'a Location,
        /// How many since the last time.
        bytes: u64,
    },
    /// Content was made, or could not be.
    Made {
        /// What it is.
        about: &'a str,
        /// Where.
        place: &'a Location,
        /// What came out; `None` when it failed.
        content: Option<&'a Content>,
    },
    /// All the work is done or has failed.
    Ended,
    /// A run did not come to its end, and this much of it stays for the next one.
    Kept {
        /// Where.
        place: &'a Location,
        /// How much.
        kept: Kept,
    },
    /// Something that a person should know, and that stops nothing.
    Warning(String),
    /// Something that a person should see, and that is nothing to be warned of.
    Told(String),
    /// Something that a person may want to know, and that nobody has to: shown to those who ask for more.
    Note(String),
}

/// Hears of progress. Called from several threads.
pub trait Observer: Sync {
    /// Takes note of an event.
    fn hear(&self, event: Event<'_>);
}

impl<T: Observer + Send> Observer for Arc<T> {
    fn hear(&self, event: Event<'_>) {
        (**self).hear(event);
    }
}

/// Hears nothing.
#[derive(Clone, Copy, Debug)]
pub struct Deaf;

impl Observer for Deaf {
    fn hear(&self, _: Event<'_>) {}
}

/// A piece of content under way: tells of its bytes, each once however often it is begun again, and of its end. One that is
/// dropped has failed.
pub struct Piece<'a> {
    observer: &'a dyn Observer,
    content: &'a Content,
    about: &'a str,
    place: &'a Location,
    passed: AtomicU64,
    told: AtomicU64,
    outcome: Outcome,
}

impl<'a> Piece<'a> {
    /// Tells that a piece begins.
    #[must_use]
    pub fn start(observer: &'a dyn Observer, content: &'a Content, about: &'a str, place: &'a Location) -> Self {
        observer.hear(Event::Started { content, about, place });
        let (passed, told) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { observer, content, about, place, passed, told, outcome: Outcome::Failed }
    }

    /// Takes note that it is read from its beginning again.
    pub fn start_over(&self) {
        self.passed.store(0, Ordering::Relaxed);
    }

    /// Tells of bytes that have passed, unless they had before.
    pub fn count(&self, bytes: u64) {
        if let Some(bytes) = self.untold(bytes) {
            self.observer.hear(Event::Advanced { content: self.content, place: self.place, bytes });
        }
    }

    /// Tells of bytes that were there before, unless they had been told of.
    pub fn skip(&self, bytes: u64) {
        if let Some(bytes) = self.untold(bytes) {
            self.observer.hear(Event::Skipped { content: self.content, place: self.place, bytes });
        }
    }

    /// Takes note of bytes, and returns how many of them nobody was told of.
    fn untold(&self, bytes: u64) -> Option<u64> {
        let passed = self.passed.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let told = self.told.fetch_max(passed, Ordering::Relaxed);
        passed.checked_sub(told).filter(|bytes| *bytes > 0)
    }

    /// Tells what became of it. Bytes that nobody had to read are done as well.
    pub fn finish(mut self, outcome: Outcome) {
        if outcome != Outcome::Failed {
            self.start_over();
            self.skip(self.content.size);
        }
        self.outcome = outcome;
    }
}

impl Drop for Piece<'_> {
    fn drop(&mut self) {
        let Self { observer, content, about, place, outcome, .. } = *self;
        observer.hear(Event::Finished { content, about, place, outcome });
    }
}

/// Content that is being made: tells of the bytes that are read for it, and of what came out. One that is dropped has
/// failed.
pub struct Making<'a> {
    observer: &'a dyn Observer,
    about: &'a str,
    place: &'a Location,
}

impl<'a> Making<'a> {
    /// Tells that content begins to be made from so many bytes, which are work that has just begun.
    #[must_use]
    pub fn start(observer: &'a dyn Observer, about: &'a str, place: &'a Location, bytes: u64) -> Self {
        observer.hear(Event::Begun { pieces: 1, bytes });
        observer.hear(Event::Making { about, place, bytes });
        Self { observer, about, place }
    }

    /// Tells of bytes that were read.
    pub fn count(&self, bytes: u64) {
        self.observer.hear(Event::MakingAdvanced { about: self.about, place: self.place, bytes });
    }

    /// Tells what came out.
    pub fn finish(self, content: &Content) {
        let Self { observer, about, place } = self;
        std::mem::forget(self);
        observer.hear(Event::Made { about, place, content: Some(content) });
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.observer.hear(Event::Made { about: self.about, place: self.place, content: None });
    }
}

impl fmt::Debug for Making<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Making").field("about", &self.about).finish_non_exhaustive()
    }
}

impl fmt::Debug for Piece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piece").field("content", self.content).field("about", &self.about).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::content::Kind;

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl Observer for Told {
        fn hear(&self, event: Event<'_>) {
            self.0.lock().unwrap().push(match event {
                Event::Started { about, .. } => format!("started {about}"),
                Event::Advanced { bytes, .. } => bytes.to_string(),
                Event::Skipped { bytes, .. } => format!("skipped {bytes}"),
                Event::Finished { outcome, .. } => outcome.word().to_owned(),
                other => format!("{other:?}"),
            });
        }
    }

    #[test]
    fn bytes_are_told_once_however_often_a_piece_begins_again() {
        let content = Content::of(&[0; 10], Kind::Blob);
        let told = Told::default();
        let place = Location::Stdio;
        let piece = Piece::start(&told, &content, "layer 1", &place);
        piece.count(6);
        piece.start_over();
        piece.count(4);
        piece.count(4);
        piece.finish(Outcome::Sent);
        assert_eq!(told.0.into_inner().unwrap(), ["started layer 1", "6", "2", "skipped 2", "sent"]);
    }

    #[test]
    fn a_piece_that_is_dropped_has_failed() {
        let content = Content::of(&[0; 10], Kind::Blob);
        let told = Told::default();
        let place = Location::Stdio;
        let piece = Piece::start(&told, &content, "layer 1", &place);
        piece.count(6);
        drop(piece);
        assert_eq!(told.0.into_inner().unwrap(), ["started layer 1", "6", "failed"]);
    }
}
