//! The system calls of a run, and one of them disturbed: `strace` counts and injects.

use std::fs;

use super::environment::available;
use super::lab::{Ended, Lab, full};

/// Every call by which files are found, read, changed, named and locked; `?`: some machines lack some.
const TRACED: &str = "openat,openat2,read,pread64,write,pwrite64,?writev,?pwritev,fsync,fdatasync,?sync_file_range,?rename,\
                      ?renameat,renameat2,close,?mkdir,mkdirat,?unlink,unlinkat,?rmdir,?link,linkat,ftruncate,fallocate,\
                      copy_file_range,ioctl,getdents64,flock,?newfstatat,statx,fstat,fchmod,lseek,?statfs,?fstatfs,sendto,recvfrom";

/// By these a place changes.
const CHANGING: [&str; 19] = [
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "sync_file_range",
    "rename",
    "renameat",
    "renameat2",
    "close",
    "mkdir",
    "mkdirat",
    "unlink",
    "unlinkat",
    "rmdir",
    "link",
    "linkat",
    "ftruncate",
    "fallocate",
    "sendto",
];

/// One call of a run.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// The how many-th of its name it is, from one.
    pub(crate) nth: usize,
    /// As `strace` shows it.
    pub(crate) text: String,
}

impl Call {
    pub(crate) fn changes(&self) -> bool {
        CHANGING.contains(&self.name.as_str())
    }
}

/// Returns whether processes can be traced here; in CI they have to be.
pub(crate) fn strace() -> bool {
    let works = std::process::Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    available("strace", works.is_ok_and(|run| run.status.success()))
}

fn words(lab: &Lab, more: &[String]) -> Vec<String> {
    let log = lab.above("calls").to_str().unwrap().to_owned();
    let fixed = ["strace", "-qq", "-s", "200", "-o", &log];
    fixed.iter().map(|word| (*word).to_owned()).chain(more.iter().cloned()).collect()
}

/// Runs a command undisturbed, and returns its calls in their order, from where the program itself begins.
pub(crate) fn sequence(lab: &Lab, line: &str) -> Vec<Call> {
    let ended: Ended = lab.under(&words(lab, &[format!("-etrace={TRACED},poll")]), line).output().unwrap().into();
    assert_eq!(ended.code, Some(0), "{line}: {}", ended.said);
    let log = fs::read_to_string(lab.above("calls")).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    let mut calls = Vec::new();
    let mut has_begun = false;
    for text in log.lines().filter(|text| text.contains('(')) {
        let name = text.split('(').next().unwrap().to_owned();
        // what comes before this loads the program
        has_begun |= name == "poll";
        let nth = counts.entry(name.clone()).and_modify(|count| *count += 1).or_insert(1);
        if has_begun && name != "poll" {
            calls.push(Call { name, nth: *nth, text: text.to_owned() });
        }
    }
    assert!(calls.len() > 20, "{line}: {log}");
    calls
}

/// Runs a command with one call disturbed; `how` is `signal=KILL` or `error=EIO`. Returns whether it came to that.
pub(crate) fn disturbed(lab: &Lab, line: &str, call: &Call, how: &str) -> (Ended, bool) {
    let (name, nth) = (&call.name, call.nth);
    let own = [format!("-etrace={name}"), "-esignal=none".to_owned(), format!("-einject={name}:{how}:when={nth}")];
    let ended: Ended = lab.under(&words(lab, &own), line).output().unwrap().into();
    let log = fs::read_to_string(lab.above("calls")).unwrap_or_default();
    let happened = ended.signal.is_some() || log.contains("(INJECTED)");
    (ended, happened)
}

/// Runs a command on a machine that cannot do something: every call with these names fails.
pub(crate) fn lacking(lab: &Lab, line: &str, calls: &str, error: &str) -> Ended {
    // a clone of a file is an `ioctl`, as is the question how wide the terminal is
    let own = [format!("-etrace={calls}"), "-f".to_owned(), format!("-einject={calls}:error={error}")];
    lab.under(&words(lab, &own), line).output().unwrap().into()
}

/// Chooses calls: all of them, or the first, the last, those around the one that shows, and each `step`-th besides.
pub(crate) fn chosen<'a>(calls: &[&'a Call], target: &str, step: usize, seed: usize) -> Vec<&'a Call> {
    let destination = if target.ends_with(".tar") { format!("{target}\"") } else { "\"index.json\"".to_owned() };
    let shows = |call: &&Call| {
        let renames = call.name.starts_with("rename") || call.name.starts_with("link");
        renames && call.text.split(')').next().is_some_and(|arguments| arguments.contains(&destination))
    };
    let visible = calls.iter().rposition(shows);
    let is_chosen = |at: usize| {
        let is_near = visible.is_some_and(|visible| at.abs_diff(visible) <= 2);
        full() || at == 0 || at + 1 == calls.len() || is_near || at % step == seed % step
    };
    calls.iter().enumerate().filter(|(at, _)| is_chosen(*at)).map(|(_, call)| *call).collect()
}
