//! A sudden loss of power: what was only in memory is gone, and the file system comes up from its journal.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::cases::{self, Case};
use super::environment::available;
use super::lab::{Ended, Lab, full};
use super::mounted::Mounted;
use super::properties::{Experiment, Report};

/// A command, once undisturbed, and the power goes right after it said that it had succeeded; then several times while it runs.
fn of(kind: &str, disk: &Mounted, cases: &[Case], report: &mut Report, lab: &Lab) {
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
}

fn can_be_made(kind: &str) -> bool {
    let tools = ["ext4", kind].map(|kind| format!("/usr/sbin/mkfs.{kind}"));
    available(&tools.join(" and "), tools.iter().all(|tool| Path::new(tool).exists()))
}

/// Takes each command, or one in so many, on one kind of file system.
fn all_on(kind: &str, mount: fn(&Lab, &str) -> Option<Mounted>, step: usize) {
    if !can_be_made(kind) {
        return;
    }
    let lab = Lab::new();
    let mut report = Report::default();
    let Some(disk) = mount(&lab, kind) else { return };
    let step = if full() { 1 } else { step };
    for cases in cases::ALL.iter().chain(cases::OTHERS).copied().step_by(step) {
        // without everything each of them is made once
        let cases = if full() { cases } else { &cases[..1] };
        of(kind, &disk, cases, &mut report, &lab);
    }
    drop(disk);
    report.end(&lab);
}

#[test]
fn ext4_has_the_old_state_or_the_new_one() {
    all_on("ext4", Mounted::disk, 1);
}

#[test]
fn xfs_has_the_old_state_or_the_new_one() {
    all_on("xfs", Mounted::disk, 1);
}

#[test]
fn btrfs_has_the_old_state_or_the_new_one() {
    all_on("btrfs", Mounted::forgetful_disk, 4);
}

/// The experiments above say something only if a disk forgets: what nobody flushed is not there, and what somebody did is.
#[test]
fn a_disk_without_power_forgets_what_was_not_flushed() {
    type Mount = fn(&Lab, &str) -> Option<Mounted>;
    for (kind, mount) in [("ext4", Mounted::disk as Mount), ("xfs", Mounted::disk), ("btrfs", Mounted::forgetful_disk)]
    {
        let lab = Lab::new();
        let Some(disk) = can_be_made(kind).then(|| mount(&lab, kind)).flatten() else { continue };
        let content = vec![b'x'; 100_000];
        let [flushed, other] = ["flushed", "other"].map(|name| lab.path(name));
        // a machine that stands still for long flushes by itself
        let has_forgotten = (0..5).any(|_| {
            lab.reset(&[]);
            disk.flush();
            for path in [&flushed, &other] {
                fs::write(path, &content).unwrap();
            }
            for path in [flushed.as_path(), &lab.path("")] {
                File::open(path).unwrap().sync_all().unwrap();
            }
            fs::rename(&other, lab.path("renamed")).unwrap();
            disk.cut();
            disk.restart();
            assert_eq!(fs::read(&flushed).unwrap(), content, "{kind}");
            fs::read(lab.path("renamed")).map_or(true, |now| now != content)
        });
        assert!(has_forgotten, "{kind}");
    }
}
