//! A sudden loss of power: what was only in memory is gone, and the file system comes up from its journal.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::cases::{self, Case};
use super::environment::available;
use super::lab::{Ended, Lab, full};
use super::mounted::Mounted;
use super::properties::{Experiment, Report};

/// A command, once undisturbed, and the power goes right after it said that it had succeeded; then several times while it runs.
fn of(kind: &str, cases: &[Case], report: &mut Report, lab: &Lab) -> Option<()> {
    let disk = Mounted::disk(lab, kind)?;
    for case in cases {
        let experiment = Experiment::prepare(lab, case);
        // what lies there before lies there for good
        let reset = || {
            experiment.reset();
            disk.flush();
        };
        for _ in 0..if full() { 5 } else { 1 } {
            reset();
            let ended: Ended = lab.run(&experiment.line());
            disk.cut();
            disk.restart();
            let result = match ended.code {
                Some(0) => experiment.is_done(),
                _ => Err("not done".to_owned()),
            };
            report.note(&format!("{}: power lost after it had ended, {kind}", case.line), &ended, result);
        }
        reset();
        let begun = Instant::now();
        lab.ok(&experiment.line());
        let took = begun.elapsed();
        let times = if full() { 24 } else { 2 };
        for at in 0..times {
            reset();
            let mut command = lab.command(&experiment.line());
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let after: Duration = took * (2 * at + 1) / (2 * times);
            thread::sleep(after);
            disk.cut();
            let ended: Ended = child.wait_with_output().unwrap().into();
            disk.restart();
            let result = match ended.code {
                Some(0 | 10) => experiment.properties(&ended),
                // in the midst of looking, what is there may be unreadable or be taken for damaged
                Some(3 | 4) => experiment.properties(&ended),
                _ => Err("neither done nor told".to_owned()),
            };
            report.note(&format!("{}: power lost after {after:?}, {kind}", case.line), &ended, result);
        }
    }
    Some(())
}

fn all_on(kind: &str) {
    let tools = ["/usr/sbin/mkfs.ext4", "/usr/sbin/mkfs.xfs"].iter().all(|tool| std::path::Path::new(tool).exists());
    if !available("mkfs.ext4 and mkfs.xfs", tools) {
        return;
    }
    let lab = Lab::new();
    let mut report = Report::default();
    for cases in cases::ALL {
        // without everything each of them is made once
        let cases = if full() { cases } else { &cases[..1] };
        if of(kind, cases, &mut report, &lab).is_none() {
            return;
        }
    }
    report.end(&lab);
}

#[test]
fn ext4_has_the_old_state_or_the_new_one() {
    all_on("ext4");
}

#[test]
fn xfs_has_the_old_state_or_the_new_one() {
    all_on("xfs");
}
