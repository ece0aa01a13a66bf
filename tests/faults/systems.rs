//! File systems and kernels that lack something: locks, exclusive renames, links, flushing of directories, files without a
//! name, room made ahead, clones. Where it can be done without, it is done all the same; else that is said, and nothing is harmed.

use super::calls::{disturbed, lacking, sequence, strace};
use super::cases::{self, Case};
use super::lab::{Ended, Lab, full};
use super::properties::{Experiment, Report};
use super::shapes::Shape;

/// What is missing, as calls and the error that they end with, and whether every command can do without.
const LACKS: [(&str, &str, bool); 16] = [
    // NFS without its lock daemon, FUSE, and kernels or sandboxes without the call
    ("flock", "ENOLCK", false),
    ("flock", "EOPNOTSUPP", false),
    ("flock", "ENOSYS", false),
    ("?renameat2", "EINVAL", true),
    ("?renameat2", "ENOSYS", true),
    // FAT and exFAT
    ("?link,linkat", "EPERM", true),
    ("?link,linkat", "EOPNOTSUPP", true),
    ("fallocate", "EOPNOTSUPP", true),
    ("fallocate", "ENOSYS", true),
    ("fchmod", "EPERM", true),
    ("ioctl", "ENOTTY", true),
    ("ioctl", "EXDEV", true),
    ("copy_file_range", "ENOSYS", true),
    ("copy_file_range", "EXDEV", true),
    // before Linux 5.6, and sandboxes
    ("openat2", "ENOSYS", true),
    ("?statfs,?fstatfs", "ENOSYS", true),
];

#[test]
fn what_is_missing_is_done_without_or_told() {
    if !strace() {
        return;
    }
    let lab = Lab::new();
    let mut report = Report::default();
    for (seed, case) in cases::ALL.iter().copied().flatten().enumerate() {
        let experiment = Experiment::prepare(&lab, case);
        for (at, (calls, error, is_done)) in LACKS.into_iter().enumerate() {
            // each command lacks a third of it, and each third is another
            if !full() && at % 3 != seed % 3 {
                continue;
            }
            experiment.reset();
            let ended = lacking(&lab, &experiment.line(), calls, error);
            let result = match ended.code {
                // without modes there, nothing has the mode that it has elsewhere
                Some(0) if calls == "fchmod" => experiment.shows(),
                Some(0) => experiment.properties(&ended),
                Some(9) if !is_done && ended.said.contains("lock") && ended.said.contains("hint: ") => {
                    experiment.properties(&ended)
                }
                _ => Err("neither done nor told".to_owned()),
            };
            report.note(&format!("{}: {calls} is {error}", case.line), &ended, result);
        }
    }
    report.end(&lab);
}

#[test]
fn a_directory_that_cannot_be_flushed_is_done_without() {
    if !strace() {
        return;
    }
    let lab = Lab::new();
    let mut report = Report::default();
    let mut flushed = 0;
    for case in cases::ALL.iter().copied().flatten() {
        let experiment = Experiment::prepare(&lab, case);
        // network and FUSE file systems answer so to directories, and flush files
        for error in if full() { &["EINVAL", "EOPNOTSUPP", "EBADF"][..] } else { &["EINVAL"] } {
            experiment.reset();
            let log = lab.above("calls");
            let mut words: Vec<String> =
                ["strace", "-qq", "-f", "-etrace=fsync", "-esignal=none", "-o"].map(str::to_owned).into();
            words.extend([log.to_str().unwrap().to_owned(), format!("-einject=fsync:error={error}")]);
            for below in ["", case.target, &format!("{}/blobs", case.target), &format!("{}/blobs/sha256", case.target)]
            {
                words.extend(["-P".to_owned(), lab.path(below).to_str().unwrap().trim_end_matches('/').to_owned()]);
            }
            let ended: Ended = lab.under(&words, &experiment.line()).output().unwrap().into();
            flushed += std::fs::read_to_string(log).unwrap_or_default().matches("(INJECTED)").count();
            let result = match ended.code {
                Some(0) => experiment.properties(&ended),
                _ => Err("not done".to_owned()),
            };
            report.note(&format!("{}: no directory can be flushed: {error}", case.line), &ended, result);
        }
    }
    report.check(flushed > cases::ALL.len(), "hardly a directory was flushed");
    report.end(&lab);
}

/// What is kept apart until an archive is written.
const SPOOLED: [Case; 1] = [Case {
    shape: Shape::Place,
    start: &["old.tar"],
    target: "old.tar",
    line: "edit old.tar:keep:v1 -t edited:v1 --env A=B",
}];

#[test]
fn where_no_file_is_without_a_name_it_has_one_for_a_moment() {
    if !strace() {
        return;
    }
    let lab = Lab::new();
    let mut report = Report::default();
    let mut found = 0;
    for case in cases::BUILD.iter().chain(&SPOOLED) {
        let experiment = Experiment::prepare(&lab, case);
        let calls = sequence(&lab, &experiment.line());
        let unnamed: Vec<_> = calls.iter().filter(|call| call.text.contains("O_TMPFILE")).collect();
        found += unnamed.len();
        // in the order of file systems without it, kernels before 3.11, and FUSE and sandboxes
        for error in ["EOPNOTSUPP", "EISDIR", "EINVAL"] {
            for call in unnamed.iter().take(if full() { usize::MAX } else { 1 }) {
                experiment.reset();
                let (ended, happened) = disturbed(&lab, &experiment.line(), call, &format!("error={error}"));
                let result = match ended.code {
                    Some(0) if happened => experiment.properties(&ended),
                    _ => Err("not done, or not disturbed".to_owned()),
                };
                report.note(&format!("{}: O_TMPFILE is {error}", case.line), &ended, result);
            }
        }
    }
    report.check(found > 0, "no file without a name was made");
    report.end(&lab);
}
