//! `barge sync --watch`: the same again, after a while and when the file changes.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use barge::content::Descriptor;
use barge::error::Class;
use barge::ops::Error;
use barge::store::StoreError;
use barge::text::human_time;

use super::Session;
use super::report::{Failure, Report, print_json, write_out};
use super::sync::{Loaded, SyncArgs, round};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long it must be the same before it counts as changed.
const SETTLE: Duration = Duration::from_millis(100);

/// What earlier rounds have brought to layouts and archives: what is there is not read and hashed again in each round.
#[derive(Debug, Default)]
pub(crate) struct Done(HashMap<String, Vec<Descriptor>>);

impl Done {
    /// Returns whether a step has brought the very same before, and its place still names it.
    pub(crate) fn has(&self, step: &str, coming: &[Descriptor], there: &[Descriptor]) -> bool {
        let still_there = |root: &Descriptor| there.iter().any(|held| held.digest() == root.digest());
        self.0.get(step).is_some_and(|before| before == coming) && coming.iter().all(still_there)
    }

    /// Takes note of what a step has brought.
    pub(crate) fn add(&mut self, step: &str, brought: Vec<Descriptor>) {
        self.0.insert(step.to_owned(), brought);
    }
}

/// Reads a time: a number, and s, m, h or d behind it.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time such as 30s, 10m, 2h or 1d".to_owned();
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().map_err(|_| expected())?;
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err(expected()),
    };
    number.checked_mul(seconds).filter(|seconds| *seconds > 0).map(Duration::from_secs).ok_or_else(expected)
}

/// Carries the file out again and again, until somebody asks to stop. What fails is told, and tried again in the next round.
pub(crate) fn run(args: &SyncArgs, session: &Session<'_>) -> Result<Report, Error> {
    if args.file.file == "-" {
        return Err(Error::Usage {
            message: "cannot watch standard input".to_owned(),
            hint: Some("give a file with -f".to_owned()),
        });
    }
    let mut read = Bytes::read(args)?;
    let mut loaded = Some(Loaded::read(args, &read.file, session)?);
    let mut done = Done::default();
    loop {
        let began = Instant::now();
        let result = match &loaded {
            Some(loaded) => once(args, loaded, &mut done, session),
            None => Ok(None),
        };
        session.ui.finish();
        match result {
            Err(error) if error.class() == Class::Interrupted => return Err(error),
            Err(error) => told(failed(&error, session), began, session)?,
            Ok(Some(report)) => told(report, began, session)?,
            Ok(None) => {}
        }
        session.ui.say(&format!("waiting {}, or until {} changes", human_time(args.interval), args.file.file));
        match wait(args, &read, session) {
            Woken::Asked => return Ok(Report::default()),
            Woken::Time => {}
            Woken::Changed(new) => {
                read = new;
                session.ui.say(&format!("{} has changed", args.file.file));
                done = Done::default();
                loaded = match Loaded::read(args, &read.file, session) {
                    Ok(loaded) => Some(loaded),
                    Err(error) => {
                        told(failed(&error, session), Instant::now(), session)?;
                        None
                    }
                };
            }
        }
    }
}

/// Carries the file out once, with connections and passwords of its own: what a registry had in the last round it may have lost.
fn once(args: &SyncArgs, loaded: &Loaded, done: &mut Done, session: &Session<'_>) -> Result<Option<Report>, Error> {
    let registries = args.network.registries(session.global, &session.cancel, session.notice())?;
    let mut fresh = Session::new(session.global, &session.ui, session.cancel.clone(), registries, &session.answered);
    fresh.workspace.indexes = session.indexes.clone();
    round(loaded, done, &fresh).map(Some)
}

/// Says what failed, and makes a report of it.
fn failed(error: &Error, session: &Session<'_>) -> Report {
    session.ui.complain(error);
    let (class, message, hint) = (error.class(), error.to_string(), error.hint());
    Report { failure: Some(Failure { class, message, hint }), ..Report::default() }
}

/// Prints what a round has done: a line for each image, or one JSON object.
fn told(report: Report, began: Instant, session: &Session<'_>) -> Result<(), Error> {
    let warnings = session.ui.take_warnings();
    let written = match session.global.json {
        true => {
            session.answered.store(true, Ordering::Relaxed);
            print_json("sync", report, &warnings, began.elapsed())
        }
        false => write_out(&report.text),
    };
    Ok(written.map_err(StoreError::io("write", "standard output"))?)
}

/// What is looked at: the file, and its lock where that counts.
#[derive(Debug, PartialEq, Eq)]
struct Bytes {
    file: Vec<u8>,
    lock: Option<Vec<u8>>,
}

impl Bytes {
    fn read(args: &SyncArgs) -> Result<Self, Error> {
        let lock = if args.locked { args.file.lock_bytes() } else { None };
        Ok(Self { file: args.file.read()?, lock })
    }
}

/// Why a wait came to its end.
enum Woken {
    Asked,
    Time,
    Changed(Bytes),
}

/// Waits until it is time, or the file is another one, or somebody asks to stop.
fn wait(args: &SyncArgs, read: &Bytes, session: &Session<'_>) -> Woken {
    let until = Instant::now() + args.interval;
    loop {
        if !session.cancel.sleep(LOOK.min(args.interval)) {
            return Woken::Asked;
        }
        // an editor may have moved it away for a moment, or have written half of it
        if let Ok(new) = Bytes::read(args)
            && new != *read
            && session.cancel.sleep(SETTLE)
            && Bytes::read(args).is_ok_and(|again| again == new)
        {
            return Woken::Changed(new);
        }
        if Instant::now() >= until {
            return Woken::Time;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        for (text, seconds) in
            [("30", Some(30)), ("30s", Some(30)), ("10m", Some(600)), ("2h", Some(7200)), ("1d", Some(86400))]
        {
            assert_eq!(parse_time(text).ok().map(|time| time.as_secs()), seconds, "{text}");
        }
        for text in ["", "0", "0m", "m", "1w", "-1s", "1.5h", "99999999999999999999d", "999999999999999999d"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
