//! Archives that go into parts.

use super::form::archive_options;
use super::whole::forms;
use super::{Existing, Target, WriteOptions};
use crate::blob::Cancel;
use crate::bundle::Mode;
use crate::ops::Error;
use crate::ops::bundle::Packing;
use crate::plan::Plan;
use crate::store::Location;
use crate::store::archive::{self, Arrangement, Cut, SplitOptions, SplitSink, arrange_parts};
use crate::transfer::{self, Event, Observer, Summary};

/// How a new archive is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// The largest size of a part in bytes.
    pub part_size: u64,
    /// What to do about parts of another set that are there.
    pub existing: Existing,
    /// Whether the parts are pieces of one archive, or archives by themselves.
    pub mode: Mode,
}

/// Where everything would stand in an archive that is yet to be written, and where that would be cut.
#[derive(Debug)]
pub struct Arranged {
    /// The archive, or several that follow each other.
    pub arrangement: Arrangement,
    /// The parts.
    pub cut: Cut,
}

impl Target {
    /// Returns where everything would stand in a new archive of a plan, and in which part; what does not belong into one of its
    /// form is taken out of the plan, as it is when it is delivered.
    ///
    /// # Errors
    /// When documents cannot be read, the form cannot hold what is coming, or it cannot be split like that.
    pub fn arrange(&self, plan: &mut Plan<'_>, split: Split, observer: &dyn Observer) -> Result<Arranged, Error> {
        let (place, packing) = (self.location(), self.packing.as_ref());
        let (arrangement, cut) = match split.mode {
            Mode::Archive => {
                let forms = forms(plan, &place, packing, (split.part_size, self.options), observer)?;
                arrange_parts(&forms, split.part_size, &place)?
            }
            Mode::Stream => {
                let options = archive_options(plan, None, packing, self.options, observer)?;
                let arrangement = Arrangement::of(&options, plan.inventory())?;
                let cut = Cut::of(arrangement.length(), split.part_size, &place)?;
                (arrangement, cut)
            }
        };
        Ok(Arranged { arrangement, cut })
    }
}

/// Writes an archive in parts. Those that are finished stay, whatever comes.
pub(super) fn archive_parts(
    plan: &mut Plan<'_>,
    place: archive::Place,
    (split, write): (Split, WriteOptions),
    packing: Option<&Packing>,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Summary, Error> {
    let archives = match split.mode {
        Mode::Archive => {
            let location = Location::Archive(place.path().to_owned());
            Some(forms(plan, &location, packing, (split.part_size, write), observer)?)
        }
        Mode::Stream => None,
    };
    let options = match archives.as_deref() {
        Some([first, ..]) => first.options.clone(),
        _ => archive_options(plan, None, packing, write, observer)?,
    };
    let split = SplitOptions {
        part_size: split.part_size,
        replace: split.existing == Existing::Replace,
        lock_timeout: write.lock_timeout,
        archives,
    };
    let mut sink = SplitSink::new(place, options, split, cancel);
    let result = transfer::run(plan, &mut sink, cancel, observer);
    let told = match &result {
        Ok(_) => named(&sink, &sink.kept(), "there already, and was not read", "there already, and were not read"),
        Err(_) => {
            const MORE: &str = "run the same command again to continue behind";
            let one = format!("finished and stays: {MORE} it");
            let several = format!("finished and stay: {MORE} them");
            named(&sink, &sink.finished(), &one, &several)
        }
    };
    if let Some(text) = told {
        observer.hear(Event::Told(text));
    }
    let mut summary = result?;
    summary.parts = sink.names().map_or(0, |names| names.parts);
    summary.parts_kept = sink.kept().len() as u64;
    Ok(summary)
}

/// Returns a sentence about parts, by their names.
fn named(sink: &SplitSink, parts: &[u64], one: &str, several: &str) -> Option<String> {
    let names = sink.names()?;
    let runs = runs(parts);
    let text = runs.iter().map(|(first, last)| match first == last {
        true => names.part(*first),
        false => format!("{} to {}", names.part(*first), names.part(*last)),
    });
    match parts {
        [] => None,
        [part] => Some(format!("{} is {one}", names.part(*part))),
        _ => Some(format!("{} are {several}", text.collect::<Vec<_>>().join(", "))),
    }
}

/// Returns the runs of numbers without a gap, of sorted numbers.
fn runs(numbers: &[u64]) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    runs
}

#[test]
fn numbers_without_a_gap_are_told_as_one() {
    for (numbers, expected) in [(&[][..], &[][..]), (&[2], &[(2, 2)]), (&[1, 2, 3, 5, 7, 8], &[(1, 3), (5, 5), (7, 8)])]
    {
        assert_eq!(runs(numbers), expected);
    }
}
