//! Limits of a process: open files, the size of a file, memory, and threads.

use super::cases;
use super::environment::available;
use super::lab::{Ended, Lab, full};
use super::place::look;
use super::properties::{Experiment, Report};

/// Each limit, for all of `prlimit`, and whether every command has to get along with it.
const LIMITS: [(&[&str], bool); 9] = [
    (&["--nofile=24"], true),
    (&["--nofile=12"], false),
    (&["--nofile=6"], false),
    (&["--fsize=200000"], false),
    (&["--fsize=1000"], false),
    (&["--fsize=0"], false),
    (&["--as=1000000000"], true),
    (&["--as=300000000"], true),
    (&["--core=0", "--stack=1000000"], true),
];

fn limited(lab: &Lab, line: &str, limits: &[&str]) -> Ended {
    let around: Vec<String> = ["prlimit"].iter().chain(limits).map(|word| (*word).to_owned()).collect();
    lab.under(&around, line).output().unwrap().into()
}

#[test]
fn every_limit_is_kept_to_or_told() {
    let there = std::process::Command::new("prlimit").arg("--version").output().is_ok();
    if !available("prlimit", there) {
        return;
    }
    let lab = Lab::new();
    let mut report = Report::default();
    for (seed, case) in cases::ALL.iter().copied().flatten().enumerate() {
        let experiment = Experiment::prepare(&lab, case);
        for (at, (limits, is_done)) in LIMITS.into_iter().enumerate() {
            // each command meets a third of them, and each third is another
            if !full() && at % 3 != seed % 3 {
                continue;
            }
            // with as many threads as it takes, and with one
            for line in [case.line.to_owned(), experiment.line()] {
                experiment.reset();
                let ended = limited(&lab, &line, limits);
                let result = match ended.code {
                    Some(0) => experiment.properties(&ended),
                    Some(10) if !is_done && ended.said.contains("error: ") => experiment.properties(&ended),
                    // the limit is too low for the program itself to be loaded
                    Some(127) if limits == ["--nofile=6"] => Ok(()),
                    _ => Err("neither done nor told".to_owned()),
                };
                report.note(&format!("{line}: {limits:?}"), &ended, result);
            }
        }
    }
    report.end(&lab);
}

/// Threads that cannot be started: the limit is one of a user, and root has none.
#[test]
fn without_more_threads_it_is_done_or_told() {
    use std::os::unix::process::CommandExt as _;
    if !available("root", rustix::process::geteuid().is_root()) {
        return;
    }
    let lab = Lab::new();
    for threads in [1, 2, 3, 5] {
        for line in
            ["copy ../in/two new", "merge -o new -t app:v2 ../in/amd64 ../in/arm64.tar", "verify --deep ../in/two"]
        {
            lab.reset(&[]);
            let program = super::rights::open_to_all(&lab);
            let mut command = lab.barge.around("prlimit");
            // a user whom nobody else is
            command.arg(format!("--nproc={threads}")).arg(program).args(line.split(' ')).uid(54_321).gid(54_321);
            let ended: Ended = command.output().unwrap().into();
            let told = ended.code == Some(10) && ended.said.contains("error: ");
            assert!(told || ended.code == Some(0), "{threads} threads: {line}: {ended:?}");
            assert!(!ended.said.contains("panicked"), "{threads} threads: {line}: {ended:?}");
            look(&lab.path("new")).unwrap();
        }
    }
}
