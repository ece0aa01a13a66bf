//! File systems and kernels that lack something: locks, exclusive renames, links, flushing of directories, room made ahead,
//! clones. Where it can be done without, it is done all the same; else that is said, and nothing is harmed.

use super::calls::{lacking, strace};
use super::cases;
use super::lab::{Lab, full};
use super::properties::{Experiment, Report};

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
