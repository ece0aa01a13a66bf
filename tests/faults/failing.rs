//! System calls that fail: I/O errors, full and read-only disks, no more files, and calls that a signal interrupted.

use super::calls::{Call, chosen, disturbed, in_threads, sequence, strace};
use super::cases::{self, Case};
use super::lab::{Ended, Lab, full};
use super::place::{difference, tree};
use super::properties::{Experiment, Report};
use super::shapes::listed;

/// Of the calls between one in so many is taken, unless all are.
const STEP: usize = 37;

/// Returns with what a call may fail.
pub(crate) fn errors(call: &Call) -> &'static [&'static str] {
    match call.name.as_str() {
        "openat" | "openat2" if call.text.contains("O_CREAT") => &["EIO", "EMFILE", "EROFS", "EDQUOT"],
        "openat" | "openat2" => &["EIO", "EMFILE"],
        "write" | "pwrite64" | "writev" | "pwritev" => &["ENOSPC", "EIO", "EDQUOT"],
        "fsync" | "fdatasync" => &["EIO", "ENOSPC", "EDQUOT"],
        "rename" | "renameat" | "renameat2" | "link" | "linkat" => &["EIO", "ENOSPC", "EROFS"],
        "mkdir" | "mkdirat" => &["ENOSPC", "EROFS"],
        "sendto" | "recvfrom" => &["ECONNRESET", "ETIMEDOUT"],
        "flock" => &["EIO", "ENOLCK"],
        _ => &["EIO"],
    }
}

/// Lets calls of each command fail.
fn at_calls(cases: &[Case]) {
    if !strace() {
        return;
    }
    let lab = Lab::new();
    let mut report = Report::default();
    let (mut tried, mut missed) = (0, 0);
    for (seed, case) in cases.iter().enumerate() {
        let experiment = Experiment::prepare(&lab, case);
        let mut calls = sequence(&lab, &experiment.line());
        if case.is_threaded() {
            experiment.reset();
            calls.extend(in_threads(&lab, &experiment.line()));
        }
        let calls: Vec<_> = calls.iter().collect();
        for (at, call) in chosen(&calls, &case.shows_at(), STEP, seed * 5).into_iter().enumerate() {
            let errors = errors(call);
            let all = if full() { errors } else { &errors[at % errors.len()..][..1] };
            for error in all {
                experiment.reset();
                let (ended, happened) = disturbed(&lab, &experiment.line(), call, &format!("error={error}"));
                let fault = format!("{}: {error} at {}", case.line, call.text);
                tried += 1;
                // threads do not make the same calls in the same order each time
                missed += usize::from(!happened);
                // standard error itself may be what fails, also because the first thread's write has the same number
                let is_talk = ["write(1,", "write(2,"].iter().any(|talk| call.text.starts_with(talk))
                    || (call.in_thread && call.name == "write" && ended.said.is_empty());
                let is_told = ended.said.contains("error: ") && ended.code == Some(10) || lacks_locks(error, &ended);
                let result = if ended.code == Some(0) && ended.said.contains("it is not in the receipt") {
                    lists_less(&experiment)
                } else if is_talk || ended.code == Some(0) || is_told {
                    experiment.properties(&ended)
                } else {
                    Err("neither done nor told".to_owned())
                };
                report.note(&fault, &ended, result);
            }
        }
    }
    assert!(missed * 4 <= tried, "{missed} of {tried} calls never came");
    report.end(&lab);
}

/// Returns whether a place was refused that cannot be locked, and what to do instead was said.
pub(crate) fn lacks_locks(error: &str, ended: &Ended) -> bool {
    let is_said = ["error: cannot lock", "hint: "].iter().all(|words| ended.said.contains(words));
    error.ends_with("ENOLCK") && ended.code == Some(9) && is_said
}

/// Checks a receipt that says what it lacks, because that could not be read: it lists nothing but what is there, and the next one
/// all of it.
fn lists_less(experiment: &Experiment<'_>) -> Result<(), String> {
    let path = experiment.lab.path(experiment.case.target);
    let less = listed(&path)?;
    experiment.lab.ok(&experiment.line());
    experiment.shows()?;
    let all = listed(&path)?;
    if less.len() < all.len() && less.is_subset(&all) { Ok(()) } else { Err(format!("it lists {less:?}")) }
}

/// The calls that a signal may interrupt.
const INTERRUPTED: [&str; 13] = [
    "openat",
    "openat2",
    "read",
    "pread64",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "flock",
    "ftruncate",
    "fallocate",
    "fchmod",
    "close",
];

/// Interrupts calls of every command: nobody notices.
#[test]
fn a_call_that_was_interrupted_is_made_again() {
    if !strace() {
        return;
    }
    let lab = Lab::new();
    let mut report = Report::default();
    let (mut tried, mut missed) = (0, 0);
    for (seed, case) in cases::every().enumerate() {
        let experiment = Experiment::prepare(&lab, case);
        let calls = sequence(&lab, &experiment.line());
        let calls: Vec<_> = calls.iter().filter(|call| INTERRUPTED.contains(&call.name.as_str())).collect();
        for call in chosen(&calls, &case.shows_at(), 83, seed * 7) {
            experiment.reset();
            let (ended, happened) = disturbed(&lab, &experiment.line(), call, "error=EINTR");
            let fault = format!("{}: EINTR at {}", case.line, call.text);
            tried += 1;
            missed += usize::from(!happened);
            let result = if ended.code == Some(0) { experiment.properties(&ended) } else { Err("noticed".to_owned()) };
            report.note(&fault, &ended, result);
        }
    }
    assert!(missed * 4 <= tried, "{missed} of {tried} calls never came");
    report.end(&lab);
}

/// Documents are read more than once: what could be read when all was planned need not be when it is written. In parts that are
/// archives by themselves an image would lack what its index lists.
#[test]
fn a_document_that_cannot_be_read_again_stops_the_run() {
    if !strace() {
        return;
    }
    let lab = Lab::new();
    let mut report = Report::default();
    let line = "save --jobs 1 --split 1M --split-mode archive -o parts.tar ../in/two";
    lab.reset(&[]);
    let calls = sequence(&lab, line);
    let whole = tree(&lab.path(""));
    assert!(whole.len() > 3, "{whole:?}");
    for call in calls.iter().filter(|call| call.text.contains("schemaVersion") && call.name == "read") {
        lab.reset(&[]);
        let (ended, happened) = disturbed(&lab, line, call, "error=EIO");
        let result = match ended.code {
            _ if !happened => Err("it did not happen".to_owned()),
            Some(0) if tree(&lab.path("")) == whole => Ok(()),
            Some(10) if ended.said.contains("error: ") => Ok(()),
            _ => Err(format!("neither done nor told: {:?}", difference(&whole, &tree(&lab.path(""))))),
        };
        report.note(&format!("{line}: EIO at {}", call.text), &ended, result);
    }
    report.end(&lab);
}

macro_rules! failing {
    ($($name:ident: $cases:ident,)*) => {
        $(#[test]
        fn $name() {
            at_calls(cases::$cases);
        })*
    };
}

failing! {
    merge_tells_and_is_whole: MERGE,
    copy_tells_and_is_whole: COPY,
    save_tells_and_is_whole: SAVE,
    load_tells_and_is_whole: LOAD,
    tag_tells_and_is_whole: TAG,
    rm_tells_and_is_whole: RM,
    gc_tells_and_is_whole: GC,
    build_tells_and_is_whole: BUILD,
    attach_tells_and_is_whole: ATTACH,
    sign_tells_and_is_whole: SIGN,
    manifest_tells_and_is_whole: MANIFEST,
    edit_tells_and_is_whole: EDIT,
    convert_tells_and_is_whole: CONVERT,
    split_tells_and_is_whole: SPLIT,
    delta_tells_and_is_whole: DELTA,
    receipt_tells_and_is_whole: RECEIPT,
    unpack_tells_and_is_whole: UNPACK,
    logout_tells_and_is_whole: LOGOUT,
}
