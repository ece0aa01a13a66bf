//! The engine: carries out a plan, in lanes, and makes names last.
//!
//! What the target already holds is read and checked instead of trusted by its name; what is wrong there is replaced. The
//! first failure stops every lane; what has arrived whole stays for the next run, which need not read it again where the
//! target can tell that it is the same still.

mod events;

use std::sync::{Mutex, PoisonError};

pub use self::events::{Deaf, Event, Making, Observer, Piece};
use crate::blob::{BlobError, Cancel};
use crate::content::{Content, total};
use crate::plan::Plan;
pub use crate::store::Outcome;
use crate::store::lanes::{Stopped, in_lanes};
use crate::store::{Committed, PutError, Sink, Source as _, StoreError};

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Pieces written.
    pub written: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Pieces that were there and right.
    pub present: u64,
    /// Their bytes.
    pub present_bytes: u64,
    /// Pieces among those that were there that an interrupted run had brought, and that nobody had to read.
    pub kept: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Pieces among the written ones that took the place of wrong content.
    pub replaced: u64,
    /// Whether the names changed.
    pub renamed: bool,
    /// How many parts there are of an archive that is split; else 0.
    pub parts: u64,
    /// How many of them an earlier run had finished.
    pub parts_kept: u64,
}

/// Why a plan could not be carried out.
#[derive(Debug)]
pub struct TransferError {
    /// What it happened to, when that was a piece of content: `layer 3 of linux/arm64, 12.4 MiB`.
    pub about: Option<String>,
    /// What happened.
    pub error: StoreError,
}

impl Stopped for TransferError {
    fn is_stopped(&self) -> bool {
        self.error.is_stopped()
    }
}

impl From<StoreError> for TransferError {
    fn from(error: StoreError) -> Self {
        Self { about: None, error }
    }
}

/// Carries out a plan.
///
/// # Errors
/// The first failure. No name has changed then, and the sink has been told to [`Sink::abandon`] when it was a request to
/// stop.
pub fn run(
    plan: &Plan<'_>,
    sink: &mut dyn Sink,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Summary, TransferError> {
    let result = carry_out(plan, sink, cancel, observer);
    observer.hear(Event::Ended);
    if let Err(TransferError { error, .. }) = &result {
        if matches!(error, StoreError::Cancelled) {
            sink.abandon();
        }
        if let Some(kept) = sink.kept() {
            observer.hear(Event::Kept { place: sink.location(), kept });
        }
    }
    result
}

fn carry_out(
    plan: &Plan<'_>,
    sink: &mut dyn Sink,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Summary, TransferError> {
    let mut summary = bring(plan, sink, cancel, observer)?;
    summary.renamed = sink.commit(plan.inventory())? == Committed::Changed;
    Ok(summary)
}

/// Carries out a plan up to its commit, which is for the caller to make, or to leave out: several sinks can have everything
/// before the first of them gets a name.
///
/// # Errors
/// The first failure.
pub fn bring(
    plan: &Plan<'_>,
    sink: &mut dyn Sink,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Summary, TransferError> {
    let stages = sink.begin(plan.inventory())?;
    let pieces = stages.iter().map(|stage| stage.len() as u64).sum();
    let bytes = total(stages.iter().flatten().map(|content| content.size));
    observer.hear(Event::Begun { pieces, bytes });
    let about = |content: &Content| plan.about(&content.digest).unwrap_or_default();
    let mut summary = Summary::default();
    for (content, outcome) in sink.settled() {
        let (content, place) = (&content, sink.location());
        observer.hear(Event::Finished { content, about: &about(content), place, outcome });
        summary.count(content, outcome);
    }
    let summary = Mutex::new(summary);
    for stage in &stages {
        let lanes = sink.lanes();
        let task = Stage { plan, sink, observer };
        in_lanes(stage, lanes, cancel, |content, cancel| {
            let about = about(content);
            let piece = Piece::start(observer, content, &about, task.sink.location());
            let outcome = task.bring(content, &piece, cancel)?;
            summary.lock().unwrap_or_else(PoisonError::into_inner).count(content, outcome);
            piece.finish(outcome);
            Ok(())
        })
        .map_err(|(content, error)| TransferError { about: plan.about(&content.digest), error })?;
    }
    if cancel.is_cancelled() {
        return Err(StoreError::Cancelled.into());
    }
    Ok(summary.into_inner().unwrap_or_else(PoisonError::into_inner))
}

impl Summary {
    fn count(&mut self, content: &Content, outcome: Outcome) {
        match outcome {
            Outcome::Present | Outcome::Kept | Outcome::There | Outcome::Mounted => {
                self.present += 1;
                self.present_bytes += content.size;
                if outcome == Outcome::Kept {
                    self.kept += 1;
                    self.kept_bytes += content.size;
                }
            }
            Outcome::Written | Outcome::Replaced | Outcome::Sent => {
                self.written += 1;
                self.written_bytes += content.size;
                self.replaced += u64::from(outcome == Outcome::Replaced);
            }
            Outcome::Checked | Outcome::Failed => {}
        }
    }
}

struct Stage<'a> {
    plan: &'a Plan<'a>,
    sink: &'a dyn Sink,
    observer: &'a dyn Observer,
}

impl Stage<'_> {
    fn bring(&self, content: &Content, piece: &Piece<'_>, cancel: &Cancel) -> Result<Outcome, StoreError> {
        let count = |bytes| piece.count(bytes);
        let skip = |bytes| piece.skip(bytes);
        let mut was_wrong = None;
        if let Some(held) = self.sink.held(content)? {
            match held.cancelled_by(cancel).metered_by(&skip).check() {
                Ok(_) => return Ok(Outcome::Present),
                Err(BlobError::Mismatch(mismatch)) => was_wrong = Some(mismatch),
                Err(error) => return Err(StoreError::reading(error, content, self.sink.location())),
            }
        }
        loop {
            piece.start_over();
            let blob = self.plan.open(content)?.cancelled_by(cancel).metered_by(&count);
            match self.sink.put(blob) {
                Ok(outcome) => {
                    let Some(mismatch) = was_wrong.filter(|_| outcome == Outcome::Written) else { return Ok(outcome) };
                    let (digest, place) = (content.digest, self.sink.location());
                    self.observer.hear(Event::Warning(format!("{digest} in {place} was wrong ({mismatch}): replaced")));
                    return Ok(Outcome::Replaced);
                }
                Err(PutError::From(error)) => {
                    return Err(StoreError::reading(error, content, &self.plan.origin(content)));
                }
                Err(PutError::To(error)) => return Err(error),
                Err(PutError::Again { after }) if cancel.sleep(after) => {}
                Err(PutError::Again { .. }) => return Err(StoreError::Cancelled),
            }
        }
    }
}
