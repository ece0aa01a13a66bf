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
    /// Whether a thread makes it that is not the first.
    pub(crate) in_thread: bool,
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
    logged(lab, line, &[format!("-etrace={TRACED},poll")])
}

/// Returns the calls of the other threads of a run. `strace` counts the calls of each thread by themselves, and disturbs the first
/// that comes to the number: so those are left out that another thread comes to before.
pub(crate) fn in_threads(lab: &Lab, line: &str) -> Vec<Call> {
    let mut earlier = std::collections::BTreeSet::new();
    let calls = logged(lab, line, &["-f".to_owned(), format!("-etrace={TRACED}")]);
    calls.into_iter().filter(|call| earlier.insert((call.name.clone(), call.nth)) && call.in_thread).collect()
}

fn logged(lab: &Lab, line: &str, how: &[String]) -> Vec<Call> {
    let follows = how.iter().any(|word| word == "-f");
    let ended: Ended = lab.under(&words(lab, how), line).output().unwrap().into();
    assert_eq!(ended.code, Some(0), "{line}: {}", ended.said);
    let log = fs::read_to_string(lab.above("calls")).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    let mut calls = Vec::new();
    let mut has_begun = follows;
    let first = log.split(' ').next().unwrap().to_owned();
    // the end of a call during which others were made has no name of its own
    for text in log.lines().filter(|text| text.contains('(') && !text.contains("<... ")) {
        let (thread, text) = match follows {
            true => text.split_once(' ').unwrap(),
            false => ("", text),
        };
        let text = text.trim_start();
        let name = text.split('(').next().unwrap().to_owned();
        // what comes before this loads the program
        has_begun |= name == "poll";
        let nth = counts.entry((thread, name.clone())).and_modify(|count| *count += 1).or_insert(1);
        if has_begun && name != "poll" {
            calls.push(Call { name, nth: *nth, text: text.to_owned(), in_thread: follows && thread != first });
        }
    }
    assert!(calls.len() > 20, "{line}: {log}");
    calls
}

/// Runs a command with one call disturbed; `how` is `signal=KILL` or `error=EIO`. Returns whether it came to that.
pub(crate) fn disturbed(lab: &Lab, line: &str, call: &Call, how: &str) -> (Ended, bool) {
    let (name, nth) = (&call.name, call.nth);
    let mut own =
        vec![format!("-etrace={name}"), "-esignal=none".to_owned(), format!("-einject={name}:{how}:when={nth}")];
    own.extend(call.in_thread.then(|| "-f".to_owned()));
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
pub(crate) fn chosen<'a>(calls: &[&'a Call], destination: &str, step: usize, seed: usize) -> Vec<&'a Call> {
    let shows = |call: &&Call| {
        let renames = call.name.starts_with("rename") || call.name.starts_with("link");
        renames && call.text.split(')').next().is_some_and(|arguments| arguments.contains(destination))
    };
    let visible = calls.iter().rposition(shows);
    let is_chosen = |at: usize| {
        let is_near = visible.is_some_and(|visible| at.abs_diff(visible) <= 2);
        full() || at == 0 || at + 1 == calls.len() || is_near || at % step == seed % step
    };
    calls.iter().enumerate().filter(|(at, _)| is_chosen(*at)).map(|(_, call)| *call).collect()
}
