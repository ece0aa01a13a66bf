//! Trying again: which failures may pass, and how long to wait before the next try.

use std::time::Duration;

use super::answer::{Complaint, LONGEST_WAIT};
use super::client::Registry;
use crate::error::Class;
use crate::store::{Location, StoreError};

/// The first pause; each one after it is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A failure that another try may not meet.
#[derive(Debug)]
pub(super) struct Passing {
    pub(super) reason: String,
    pub(super) hint: Option<String>,
    /// How long the registry asked us to wait.
    pub(super) after: Option<Duration>,
    /// The status, where there was an answer.
    pub(super) status: Option<u16>,
}

impl Passing {
    /// A failure of which nothing but the reason is known.
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: None, after: None, status: None }
    }
}

impl From<Complaint> for Passing {
    fn from(complaint: Complaint) -> Self {
        let hint = (complaint.status.as_u16() == 429)
            .then(|| "the registry limits how often it is asked: wait, or log in with `barge login`".to_owned());
        let status = Some(complaint.status.as_u16());
        Self { reason: complaint.reason(), hint, after: complaint.retry_after, status }
    }
}

/// Why one try failed.
#[derive(Debug)]
pub(super) enum Attempt {
    Passing(Passing),
    /// The reader of the body that was sent failed, and knows why.
    Body,
    Final(StoreError),
}

impl From<StoreError> for Attempt {
    fn from(error: StoreError) -> Self {
        Self::Final(error)
    }
}

impl Registry {
    /// Does something until it succeeds or fails for good, with a pause after every passing failure.
    pub(super) fn persist<T>(
        &self,
        action: &str,
        place: &Location,
        mut attempt: impl FnMut() -> Result<T, Attempt>,
    ) -> Result<T, StoreError> {
        let mut failures = 0;
        loop {
            match attempt() {
                Ok(result) => return Ok(result),
                Err(Attempt::Final(error)) => return Err(error),
                // only what is streamed has a reader of its own, and that is not sent from here
                Err(Attempt::Body) => return Err(self.lost(action, place)),
                Err(Attempt::Passing(passing)) => {
                    let pause = self.pause(&mut failures, action, place, passing)?;
                    if !self.cancel().sleep(pause) {
                        return Err(StoreError::Cancelled);
                    }
                }
            }
        }
    }

    /// Counts a failure, and returns how long to wait before the next try; tells the user when that is for a while.
    ///
    /// # Errors
    /// That failure, when it was tried often enough; [`StoreError::Cancelled`] when it came of a request to stop.
    pub(super) fn pause(
        &self,
        failures: &mut u32,
        action: &str,
        place: &Location,
        passing: Passing,
    ) -> Result<Duration, StoreError> {
        if self.cancel().is_cancelled() {
            return Err(StoreError::Cancelled);
        }
        *failures += 1;
        let Passing { reason, hint, after, .. } = passing;
        let too_long = after.is_some_and(|after| after > LONGEST_WAIT);
        if *failures > self.options.retries || too_long {
            let reason = match (after.filter(|_| too_long), *failures) {
                (Some(after), _) => format!("{reason} (and wants us to wait for {} minutes)", after.as_secs() / 60),
                (None, 1) => reason,
                (None, tries) => format!("{reason} (tried {tries} times)"),
            };
            return Err(self.remote(action, place, Class::Unreachable, reason, hint));
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << (*failures - 1).min(10)).min(LONGEST_PAUSE);
        // half of it is left to chance, so that many clients that fail at once do not come back at once
        let pause = after.unwrap_or_else(|| doubled.mul_f64(0.5 + 0.5 * fastrand::f64()));
        self.notice(&format!("{reason}: trying again in {:.1} s", pause.as_secs_f64()));
        Ok(pause)
    }
}
